//! An order in JSON, the same wherever it is shown.

use brokerx_schemas::{Execution, OrderView, SelfTradePrevention};
use serde::Serialize;

use crate::time::rfc3339;
use crate::{Cents, divide_half_up, names};

/// An order.
#[derive(Clone, Debug, Serialize)]
pub struct OrderBody {
    id: String,
    client_order_id: String,
    symbol: String,
    direction: String,
    order_type: String,
    quantity: i64,
    price: Option<Cents>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_price: Option<Cents>,
    time_in_force: String,
    post_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    self_trade_prevention: Option<String>,
    status: String,
    version: i32,
    event_seq: i32,
    filled_quantity: i64,
    /// Rounded half up to the cent; null before the first fill.
    average_price: Option<Cents>,
    fees: Cents,
    executions: Vec<ExecutionBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created_at: String,
    updated_at: String,
}

/// One fill of an order.
#[derive(Clone, Debug, Serialize)]
pub struct ExecutionBody {
    trade_id: String,
    price: Cents,
    quantity: i64,
    fee: Cents,
    liquidity: String,
    executed_at: String,
}

impl OrderBody {
    /// An order with those of its executions that are known.
    pub fn new(order: &OrderView, executions: &[Execution]) -> Self {
        let by_default = SelfTradePrevention::CancelIncoming;
        Self {
            id: order.order_id.to_string(),
            client_order_id: order.client_order_id.clone(),
            symbol: order.symbol.to_string(),
            direction: names::lower(order.side),
            order_type: names::lower(order.order_type),
            quantity: order.quantity,
            price: order.price_cents.map(Cents),
            stop_price: order.stop_price_cents.map(Cents),
            time_in_force: names::symbol(order.time_in_force),
            post_only: order.post_only,
            display_quantity: order.display_quantity,
            self_trade_prevention: Some(order.self_trade_prevention)
                .filter(|prevention| *prevention != by_default)
                .map(names::lower),
            status: names::lower(order.status),
            version: order.version,
            event_seq: order.event_seq,
            filled_quantity: order.filled_quantity,
            average_price: divide_half_up(order.filled_notional_cents, order.filled_quantity).map(Cents),
            fees: Cents(order.fees_cents),
            executions: executions.iter().map(ExecutionBody::from).collect(),
            reason: order.reason.map(names::symbol),
            created_at: rfc3339(order.created_us),
            updated_at: rfc3339(order.updated_us),
        }
    }
}

impl From<&Execution> for ExecutionBody {
    fn from(execution: &Execution) -> Self {
        Self {
            trade_id: execution.trade_id.to_string(),
            price: Cents(execution.price_cents),
            quantity: execution.quantity,
            fee: Cents(execution.fee_cents),
            liquidity: names::lower(execution.liquidity),
            executed_at: rfc3339(execution.executed_us),
        }
    }
}
