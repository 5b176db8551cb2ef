//! The topics that the publisher derives for other teams: `orders`, `deposits`, `ledger`. Key: the
//! account id in decimal. Each event of an account appears in at most one record of each topic;
//! `account_seq` tells its place.

use serde::{Deserialize, Serialize};

use crate::{AccountEventKind, AccountId, Execution, OrderView, PaymentView, Posting, kinds};

/// An order after something happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderChange {
    /// The account.
    pub account_id: AccountId,
    /// The place of the event in the account's stream.
    pub account_seq: i64,
    /// What happened.
    pub event: AccountEventKind,
    /// The order after it.
    pub order: OrderView,
    /// The execution, when it was one.
    pub execution: Option<Execution>,
    /// Settlement's machine time, microseconds since the epoch.
    pub occurred_us: i64,
}

kinds! {
    /// A record of `orders`.
    OrderEvent, OrderEventKind {
        /// An order changed.
        order_change: OrderChange(OrderChange),
    }
}

/// A deposit or withdrawal after something happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentChange {
    /// The account.
    pub account_id: AccountId,
    /// The place of the event in the account's stream.
    pub account_seq: i64,
    /// The deposit or withdrawal after it.
    pub payment: PaymentView,
    /// Settlement's machine time.
    pub occurred_us: i64,
}

kinds! {
    /// A record of `deposits`.
    DepositEvent, DepositEventKind {
        /// A deposit or withdrawal changed.
        payment_change: PaymentChange(PaymentChange),
    }
}

/// The double entry of one event; sums to zero per asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The account that `CLIENT` postings belong to.
    pub account_id: AccountId,
    /// The place of the event in the account's stream.
    pub account_seq: i64,
    /// What happened.
    pub event: AccountEventKind,
    /// The lines.
    pub postings: Vec<Posting>,
    /// Settlement's machine time.
    pub occurred_us: i64,
}

kinds! {
    /// A record of `ledger`.
    LedgerEvent, LedgerEventKind {
        /// A journal entry.
        journal_entry: JournalEntry(JournalEntry),
    }
}
