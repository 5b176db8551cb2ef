//! What is remembered of a command: what was asked for, and how it ended.

use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use brokerx_schemas::{CommandId, OrderId, Reason, Refusal, TransferView};

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The book has not answered; the command in flight.
    Pending(CommandId),
    /// It was refused; about this order.
    Refused(Refusal, Option<OrderId>),
    /// It was done to this order.
    Order(OrderId),
    /// Shares were transferred.
    Transfer(Box<TransferView>),
    /// It was done to the account as a whole.
    Account,
}

/// A command whose key is remembered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Hash of what the client asked for.
    pub(super) content: u128,
    pub(super) outcome: Outcome,
    /// When it was decided.
    pub(super) ended_us: Option<i64>,
}

impl Hash for Remembered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.content, self.ended_us).hash(state);
        match &self.outcome {
            Outcome::Pending(command_id) => (0_u8, command_id).hash(state),
            Outcome::Refused(
                Refusal {
                    reason,
                    current_version,
                },
                order_id,
            ) => {
                (1_u8, reason, current_version, order_id).hash(state);
            }
            Outcome::Order(order_id) => (2_u8, order_id).hash(state),
            Outcome::Transfer(transfer) => (3_u8, transfer.transfer_id, transfer.quantity).hash(state),
            Outcome::Account => 4_u8.hash(state),
        }
    }
}

/// What is remembered of an order that was rejected: enough to tell a repeat from another order and to
/// answer it, as a repeat brings the fields of the order along. Some 100 bytes in place of a packed order's 250:
/// nothing limits how many orders a client has rejected but the number of keys.
#[derive(Clone, Copy, Debug, PartialEq, Hash, Serialize, Deserialize)]
pub(super) struct Rejected {
    /// Hash of the client's own id.
    pub(super) key: u128,
    /// Hash of what the client asked for.
    pub(super) content: u128,
    pub(super) reason: Reason,
    /// How many events the order had.
    pub(super) event_seq: i32,
    pub(super) created_us: i64,
    pub(super) closed_us: i64,
}
