//! What operators do once everything has come to rest: they compare every account with the trades, correct
//! what differs, and let the account go on, as docs/operations.md says.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{
    AccountCommand, AccountId, AccountState, AccountStatus, AdjustBalance, AnyMessage, BookCommand, OrderId, Side,
    Symbol, ThawAccount, Tick, Trade, TradeEvent, TradeId,
};
use rand::rngs::Xoshiro256PlusPlus;

use super::astray::{frozen_accounts, open_orders};
use super::{PARTITIONS, Workload, send_account};
use crate::log::Logs;

/// How long the operators wait between two looks, milliseconds: longer than the first pause after which the
/// books are asked again.
const LOOKS_MS: i64 = 15_000;
/// What the note of a correction begins with: a trade that was not booked, one that never was, and what the
/// house bears.
pub const MISSING: &str = "missing trade";
/// See [`MISSING`].
pub const FORGED: &str = "forged trade";
const BORNE: &str = "borne by the house";

/// One account's part of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whose it is.
    pub account_id: AccountId,
    /// What was traded.
    pub symbol: Symbol,
    /// What the account did.
    pub side: Side,
    /// Shares.
    pub quantity: i64,
    /// Cents per share.
    pub price_cents: i64,
}

/// What a correction changes: a position or cash, by so many shares or cents, and by so many cents of cost.
type By = (Option<Symbol>, i64, i64);
/// The note of a correction, and what it changes.
type Correction = (String, By);

/// Parts of trades by order and trade.
pub type Parts = BTreeMap<(OrderId, TradeId), Part>;

/// What traded, by the topic of trades.
pub fn traded(logs: &Logs) -> Parts {
    let mut parts = Parts::new();
    for (_, record) in logs.deduplicated("trades") {
        let AnyMessage::TradeEvent(TradeEvent::Trade(trade)) = &record.message else {
            continue;
        };
        let Trade {
            symbol,
            quantity,
            price_cents,
            ..
        } = *trade;
        let maker_side = trade.taker_side.opposite();
        for (order_id, account_id, side) in [
            (trade.taker_order_id, trade.taker_account_id, trade.taker_side),
            (trade.maker_order_id, trade.maker_account_id, maker_side),
        ] {
            let part = Part {
                account_id,
                symbol,
                side,
                quantity,
                price_cents,
            };
            parts.insert((order_id, trade.trade_id), part);
        }
    }
    parts
}

/// What the accounts have booked.
pub fn booked(logs: &Logs) -> Parts {
    let mut parts = Parts::new();
    for (_, record) in logs.deduplicated("account-events") {
        if let AnyMessage::AccountEvent(event) = &record.message
            && let (Some(order), Some(execution)) = (&event.order, event.execution)
        {
            let part = Part {
                account_id: event.account_id,
                symbol: order.symbol,
                side: order.side,
                quantity: execution.quantity,
                price_cents: execution.price_cents,
            };
            parts.insert((order.order_id, execution.trade_id), part);
        }
    }
    parts
}

/// The note on the correction of a trade, and what it does for the account: 1 books it, -1 takes it back.
pub fn differences(logs: &Logs) -> BTreeMap<String, (Part, i64)> {
    let (traded, booked) = (traded(logs), booked(logs));
    let note = |what: &str, (order_id, trade_id): &(OrderId, TradeId)| format!("{what} {trade_id} of order {order_id}");
    let missing = traded.iter().filter(|(key, _)| !booked.contains_key(key));
    let missing = missing.map(|(key, part)| (note(MISSING, key), (*part, 1)));
    let forged = booked.iter().filter(|(key, _)| !traded.contains_key(key));
    missing
        .chain(forged.map(|(key, part)| (note(FORGED, key), (*part, -1))))
        .collect()
}

/// Corrections that were made, by their notes and what they correct.
pub fn corrected(logs: &Logs) -> BTreeSet<(String, Option<Symbol>)> {
    let events = logs.deduplicated("account-events");
    let made = events.into_iter().filter_map(|(_, record)| match &record.message {
        AnyMessage::AccountEvent(event) => event.intervention.as_ref(),
        _ => None,
    });
    made.map(|made| (made.note.clone(), made.symbol)).collect()
}

/// What is less than nothing by the last that was shown of the accounts: symbol or cash, shares or cents, and
/// cents of cost, that would bring it to nothing.
fn deficits(logs: &Logs) -> BTreeMap<(AccountId, Option<Symbol>), (i64, i64)> {
    let mut deficits = BTreeMap::new();
    for (_, record) in logs.deduplicated("account-events") {
        let AnyMessage::AccountEvent(event) = &record.message else {
            continue;
        };
        if let Some(cash) = event.cash {
            deficits.insert((event.account_id, None), ((-cash.balance_cents).max(0), 0));
        }
        for position in &event.positions {
            let lacks = ((-position.quantity).max(0), (-position.cost_cents).max(0));
            deficits.insert((event.account_id, Some(position.symbol)), lacks);
        }
    }
    deficits.retain(|_, lacks| *lacks != (0, 0));
    deficits
}

impl Workload {
    /// Accounts that may disagree with their books: a record of theirs was passed or forged.
    pub fn disputed(&self, logs: &Logs) -> BTreeSet<AccountId> {
        let forged = self.asked.forged.values().copied();
        forged
            .chain(logs.passed().into_iter().map(|(account_id, _)| account_id))
            .collect()
    }

    /// Looks at everything once, and does what is to be done. Returns whether anything was.
    pub fn put_right(&mut self, seed: u64, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) -> bool {
        let frozen = frozen_accounts(logs);
        let disputed = self.disputed(logs);
        let open = open_orders(logs);
        let made = corrected(logs);
        let deficits = deficits(logs);
        let mut to_correct: BTreeMap<AccountId, Vec<Correction>> = BTreeMap::new();
        for (note, (part, sign)) in differences(logs) {
            let sign = if part.side == Side::Buy { sign } else { -sign };
            let cents = part.quantity * part.price_cents;
            for (symbol, amount, cost) in [
                (None, -sign * cents, 0),
                (Some(part.symbol), sign * part.quantity, sign * cents),
            ] {
                if !made.contains(&(note.clone(), symbol)) {
                    let list = to_correct.entry(part.account_id).or_default();
                    list.push((note.clone(), (symbol, amount, cost)));
                }
            }
        }
        let stuck = |account_id: &&AccountId| open.contains_key(*account_id) && !frozen.contains(*account_id);
        let stuck: Vec<AccountId> = disputed.iter().filter(stuck).copied().collect();
        if frozen.is_empty() && stuck.is_empty() && to_correct.is_empty() {
            return false;
        }
        while self.raise_logic_version(seed, logs) {}
        for account_id in stuck {
            // What is stuck without a freeze: whoever may not trade leaves the books.
            let version = self.status_versions.entry(account_id).or_insert(1);
            *version += 1;
            let change = AccountStatus {
                account_id,
                state: AccountState::Suspended,
                version: *version,
            };
            send_account(logs, account_id, AccountCommand::AccountStatus(change));
        }
        for account_id in to_correct.keys() {
            if !frozen.contains(account_id) && !open.contains_key(account_id) {
                // Thawed before it was corrected, and it may not have what must be taken back.
                self.freeze(*account_id, logs, random);
            }
        }
        for account_id in frozen {
            let list = to_correct.remove(&account_id).unwrap_or_default();
            let is_corrected = list.is_empty();
            for (note, by) in list {
                self.correct(account_id, by, note, logs, random);
            }
            if is_corrected {
                for ((_, symbol), (amount, cost_cents)) in deficits.iter().filter(|((id, _), _)| *id == account_id) {
                    self.correct(
                        account_id,
                        (*symbol, *amount, *cost_cents),
                        BORNE.to_owned(),
                        logs,
                        random,
                    );
                }
                let meta = self.patient_meta(logs, random);
                let thaw = ThawAccount {
                    meta,
                    account_id,
                    operator: "operator".to_owned(),
                    idempotency_key: None,
                    note: "put right".to_owned(),
                };
                send_account(logs, account_id, AccountCommand::ThawAccount(thaw));
            }
        }
        logs.now_ms += LOOKS_MS;
        let second = logs.now_ms / 1_000;
        for partition in 0..PARTITIONS {
            logs.append(partition, None, AccountCommand::Tick(Tick { second }).into());
            logs.append(partition, None, BookCommand::Tick(Tick { second }).into());
        }
        true
    }

    fn correct(
        &mut self,
        account_id: AccountId,
        (symbol, amount, cost_cents): By,
        note: String,
        logs: &mut Logs,
        random: &mut Xoshiro256PlusPlus,
    ) {
        let adjust = AdjustBalance {
            meta: self.patient_meta(logs, random),
            account_id,
            operator: "operator".to_owned(),
            idempotency_key: None,
            symbol,
            amount,
            cost_cents,
            note,
        };
        send_account(logs, account_id, AccountCommand::AdjustBalance(adjust));
    }
}
