//! `replies`: outcomes for the ingress instance that asked. The partition is named in the command.

use serde::{Deserialize, Serialize};

use crate::{CommandId, Execution, Instrument, OrderView, PaymentView, Refusal, TransferView};

crate::vocabulary! {
    /// What a [`Reply`] carries.
    ReplyKind {
        /// The command was refused; `refusal` says why, `order` shows the order it was about.
        Refused,
        /// An order as the book, or for `ack_mode` `ACCEPTED` settlement, left it.
        Order,
        /// A deposit or withdrawal.
        Payment,
        /// A share transfer.
        Transfer,
        /// An instrument, from the matcher.
        Instrument,
        /// A command on the account as a whole (limits, kill switch, cancel all) was done.
        Account,
    }
}

/// The outcome of one command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The command.
    pub command_id: CommandId,
    /// What this carries.
    pub kind: ReplyKind,
    /// The command repeats an earlier one; this is the original's decision with the current state.
    #[serde(default)]
    pub replayed: bool,
    /// The account's sequence number after the command: the consistency token. None from the matcher.
    pub account_seq: Option<i64>,
    /// Why, for `REFUSED`.
    pub refusal: Option<Refusal>,
    /// The order.
    pub order: Option<OrderView>,
    /// The first executions of the order, at most 100.
    #[serde(default)]
    pub executions: Vec<Execution>,
    /// The deposit or withdrawal.
    pub payment: Option<PaymentView>,
    /// The transfer.
    pub transfer: Option<TransferView>,
    /// The instrument.
    pub instrument: Option<Instrument>,
}

impl Reply {
    /// The most executions in one reply.
    pub const EXECUTIONS_MAX: usize = 100;

    /// A reply that carries nothing yet.
    pub fn new(command_id: CommandId, kind: ReplyKind) -> Self {
        Self {
            command_id,
            kind,
            replayed: false,
            account_seq: None,
            refusal: None,
            order: None,
            executions: Vec::new(),
            payment: None,
            transfer: None,
            instrument: None,
        }
    }
}
