//! The publisher: makes the public topics `orders`, `deposits` and `ledger` of `account-events`.
//!
//! A machine on a derived inbox: no clock, no configuration, and no state but the counters of its
//! edges, which the fold keeps. What comes from one event goes to the partition with the event's
//! own index (the topics have equal partition counts and the same key), so the events of an account
//! stay in order.
//!
//! - `orders`: every event that changed an order, once, with the execution when it was one. A
//!   refused command on an order changed nothing and is not published.
//! - `deposits`: every change of a deposit or withdrawal.
//! - `ledger`: the postings of every event that has some.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, Config, DepositEvent, JournalEntry, LedgerEvent, OrderChange, OrderEvent,
    PaymentChange,
};
use brokerx_topics::machine::{Context, LOGIC_VERSION, Machine, Outputs, Setup, SnapshotError, Step};
use brokerx_topics::partition::account_key;

/// The publisher of one partition of `account-events`. See the [module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Publisher;

impl Machine for Publisher {
    type Input = AccountEvent;
    type Cursor = ();

    const NAME: &'static str = "publisher";
    const LOGIC_VERSION_MAX: i32 = LOGIC_VERSION;
    const DERIVED: bool = true;

    fn new(_setup: &Setup) -> Self {
        Self
    }

    fn configure(&mut self, _config: &Config, _logic_version: i32) {}

    fn apply(&mut self, context: &Context, event: AccountEvent, outputs: &mut Outputs) -> Step {
        let key = account_key(event.account_id);
        let AccountEvent {
            account_id,
            account_seq,
            occurred_us,
            kind,
            ..
        } = event;
        if let Some(order) = event.order.filter(|_| changes_order(kind)) {
            let change = OrderChange {
                account_id,
                account_seq,
                event: kind,
                order,
                execution: event.execution,
                occurred_us,
            };
            outputs.send(context.partition, key.clone(), OrderEvent::OrderChange(change));
        }
        if let Some(payment) = event.payment.filter(|_| changes_payment(kind)) {
            let change = PaymentChange {
                account_id,
                account_seq,
                payment,
                occurred_us,
            };
            outputs.send(context.partition, key.clone(), DepositEvent::PaymentChange(change));
        }
        if !event.postings.is_empty() {
            let entry = JournalEntry {
                account_id,
                account_seq,
                event: kind,
                postings: event.postings,
                occurred_us,
            };
            outputs.send(context.partition, key, LedgerEvent::JournalEntry(entry));
        }
        Step::Done
    }

    fn tick(&mut self, _context: &Context, _second: i64, _outputs: &mut Outputs) -> Step {
        Step::Done
    }

    fn resume(&mut self, _context: &Context, _outputs: &mut Outputs) -> Step {
        Step::Done
    }

    fn state_hash(&self) -> u64 {
        0
    }

    fn snapshot_slice(&self, _cursor: &mut ()) -> Result<Option<Vec<u8>>, SnapshotError> {
        Ok(None)
    }

    fn restore_slice(&mut self, _slice: &[u8]) -> Result<(), SnapshotError> {
        Err(SnapshotError::Mismatch("the publisher has no slices".to_owned()))
    }
}

/// Whether an event of this kind changed the order that it shows.
fn changes_order(kind: AccountEventKind) -> bool {
    use AccountEventKind as Kind;
    matches!(
        kind,
        Kind::OrderRejected
            | Kind::OrderAccepted
            | Kind::OrderWorking
            | Kind::OrderExecuted
            | Kind::OrderCancelRequested
            | Kind::OrderCancelled
            | Kind::OrderExpired
            | Kind::OrderFilled
            | Kind::OrderReplaceRequested
            | Kind::OrderReplaced
            | Kind::OrderReplaceRejected
            | Kind::OrderTriggered
    )
}

/// Whether an event of this kind changed the payment that it shows.
fn changes_payment(kind: AccountEventKind) -> bool {
    use AccountEventKind as Kind;
    matches!(kind, Kind::PaymentPending | Kind::PaymentSettled | Kind::PaymentFailed)
}
