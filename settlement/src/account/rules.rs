//! The configuration in force and where outputs go.

use brokerx_schemas::{
    AccountEvent, AccountLimits, BookCommand, Config, Message, OrderId, PackedId, PaymentId, Reply, TransferId,
};
use brokerx_topics::machine::{Context, Setup};

/// Everything from outside that a decision depends on; all of it comes from the inbox.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) config: Config,
    pub(super) logic_version: i32,
    generation: i32,
    pub(super) event_partitions: i32,
    pub(super) book_partitions: i32,
    pub(super) reply_partitions: i32,
}

impl Rules {
    /// # Panics
    /// When the genesis does not name a topic that settlement writes to.
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            config: setup.config.clone(),
            logic_version: setup.logic_version,
            generation: setup.generation,
            event_partitions: setup.partitions(AccountEvent::TOPIC),
            book_partitions: setup.partitions(BookCommand::TOPIC),
            reply_partitions: setup.partitions(Reply::TOPIC),
        }
    }

    /// Whether decisions are those of a logic version or a later one; `docs/logic-versions.md` says what
    /// each brought.
    pub(super) fn since(&self, logic_version: i32) -> bool {
        self.logic_version >= logic_version
    }

    /// The limits of an account without its own.
    pub(super) fn default_limits(&self) -> AccountLimits {
        AccountLimits {
            order_quantity_max: self.config.order_quantity_max,
            order_notional_cents_max: self.config.order_notional_cents_max,
            open_orders_max: self.config.open_orders_max,
        }
    }

    /// The id of what the record at this place makes. One record makes at most one order, payment
    /// or transfer, so its place is unique.
    fn packed_id(&self, context: &Context) -> i64 {
        PackedId {
            generation: self.generation,
            partition: context.partition,
            counter: context.offset,
        }
        .pack()
    }

    pub(super) fn order_id(&self, context: &Context) -> OrderId {
        OrderId(self.packed_id(context))
    }

    pub(super) fn payment_id(&self, context: &Context) -> PaymentId {
        PaymentId(self.packed_id(context))
    }

    pub(super) fn transfer_id(&self, context: &Context) -> TransferId {
        TransferId(self.packed_id(context))
    }
}
