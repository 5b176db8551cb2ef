//! An event of an account in JSON. Its parts look as they do in the HTTP API.

use brokerx_json::{CashBody, Cents, ExecutionBody, OrderBody, PaymentBody, PositionBody, names, rfc3339};
use brokerx_schemas::{AccountEvent, TransferView};
use serde::Serialize;

use crate::protocol::{PrivateChannel, PrivateChannels};

/// An event of an account as it was read.
#[derive(Debug)]
pub struct Happened {
    /// The event.
    pub event: AccountEvent,
    /// The request that it belongs to; not known of an event that was read from the projection.
    pub correlation_id: Option<String>,
}

impl Happened {
    /// The channels that the event belongs to: orders when it is about an order or a refused command,
    /// deposits when it is about a payment, balances when it is about cash or shares, or about none of these.
    pub fn channels(&self) -> PrivateChannels {
        let event = &self.event;
        let mut channels = PrivateChannels::default();
        if event.order.is_some() || event.refusal.is_some() {
            channels.insert(PrivateChannel::Orders);
        }
        if event.cash.is_some() || !event.positions.is_empty() {
            channels.insert(PrivateChannel::Balances);
        }
        if event.payment.is_some() {
            channels.insert(PrivateChannel::Deposits);
        }
        if channels.is_empty() {
            channels.insert(PrivateChannel::Balances);
        }
        channels
    }
}

/// The push of an event.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "event")]
pub(super) struct EventBody<'a> {
    channels: PrivateChannels,
    seq: i64,
    prev_seq: i64,
    event: String,
    account_id: String,
    occurred_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution: Option<ExecutionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit: Option<PaymentBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cash: Option<CashBody>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    positions: Vec<PositionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<StatusBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct TransferBody {
    transfer_id: String,
    symbol: String,
    quantity: i64,
    direction: String,
    price: Cents,
    created_at: String,
}

#[derive(Debug, Serialize)]
struct StatusBody {
    state: String,
    kill_switch: bool,
}

#[derive(Debug, Serialize)]
struct RefusalBody {
    code: String,
}

impl<'a> EventBody<'a> {
    pub(super) fn new(happened: &'a Happened, prev_seq: i64) -> Self {
        let event = &happened.event;
        Self {
            channels: happened.channels(),
            seq: event.account_seq,
            prev_seq,
            event: names::symbol(event.kind),
            account_id: event.account_id.to_string(),
            occurred_at: rfc3339(event.occurred_us),
            // Only the execution of this event is known here, not the order's earlier ones.
            order: event
                .order
                .as_ref()
                .map(|order| OrderBody::new(order, event.execution.as_slice())),
            execution: event.execution.as_ref().map(ExecutionBody::from),
            deposit: event.payment.as_ref().map(PaymentBody::from),
            transfer: event.transfer.as_ref().map(TransferBody::from),
            cash: event.cash.as_ref().map(CashBody::from),
            positions: event.positions.iter().map(PositionBody::from).collect(),
            status: event.status.map(|status| StatusBody {
                state: names::lower(status.state),
                kill_switch: status.kill_switch,
            }),
            refusal: event.refusal.as_ref().map(|refusal| RefusalBody {
                code: names::symbol(refusal.reason),
            }),
            note: event
                .intervention
                .as_ref()
                .map(|intervention| intervention.note.as_str()),
            correlation_id: happened.correlation_id.as_deref(),
        }
    }
}

impl From<&TransferView> for TransferBody {
    fn from(transfer: &TransferView) -> Self {
        Self {
            transfer_id: transfer.transfer_id.to_string(),
            symbol: transfer.symbol.to_string(),
            quantity: transfer.quantity,
            direction: names::lower(transfer.direction),
            price: Cents(transfer.price_cents),
            created_at: rfc3339(transfer.created_us),
        }
    }
}
