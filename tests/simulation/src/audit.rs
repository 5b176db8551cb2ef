//! Looks at the logs from the outside, as other teams would, and says what is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use brokerx_schemas::{
    AccountEvent, AccountEventKind, AccountId, AnyMessage, LedgerAccount, OrderId, OrderStatus, Reason, ReplyKind,
    TradeId,
};

use crate::log::{LogRecord, Logs};
use crate::station::Node;
use crate::workload::astray::frozen_accounts;
use crate::workload::mending::{FORGED, MISSING, booked, corrected, differences, traded};
use crate::workload::{Asked, Workload};

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding(pub String);

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Everything that is wrong.
pub fn audit(nodes: &[Box<dyn Node>], logs: &Logs, workload: &Workload) -> Vec<Finding> {
    let asked = &workload.asked;
    let disputed = workload.disputed(logs);
    let mut findings = Vec::new();
    edges_and_states(nodes, logs, &mut findings);
    let events = events(logs);
    sequences(&events, asked, &disputed, &mut findings);
    money(&events, &mut findings);
    trades(&events, logs, &disputed, &mut findings);
    outcomes(&events, logs, asked, &mut findings);
    findings
}

/// Each partition's state equals its whole inbox folded in one go, and each destination has received
/// exactly what that fold sends: nothing lost, doubled or out of order.
fn edges_and_states(nodes: &[Box<dyn Node>], logs: &Logs, findings: &mut Vec<Finding>) {
    let mut received: BTreeMap<(&str, i32, &str), Vec<&LogRecord>> = BTreeMap::new();
    for (topic, _) in brokerx_schemas::SCHEMAS {
        for (partition, record) in logs.deduplicated(topic) {
            if let Some(identity) = &record.identity {
                received
                    .entry((topic, partition, &identity.source))
                    .or_default()
                    .push(record);
            }
        }
    }
    for node in nodes {
        let reference = node.reference(logs);
        if reference.state_hash != node.state_hash() {
            findings.push(Finding(format!(
                "{}: the state is not the one that its inbox folds to",
                reference.source
            )));
        }
        let mut counts: BTreeMap<(&str, i32), usize> = BTreeMap::new();
        for emission in &reference.emissions {
            let topic = emission.output.message.topic();
            let partition = emission.output.partition;
            let index = counts.entry((topic, partition)).or_default();
            let arrived = received
                .get(&(topic, partition, reference.source.as_str()))
                .and_then(|edge| edge.get(*index));
            *index += 1;
            if arrived.is_none_or(|record| record.message != emission.output.message) {
                findings.push(Finding(format!(
                    "{} -> {topic}-{partition}: number {} {}",
                    reference.source,
                    emission.seq,
                    if arrived.is_none() {
                        "never arrived"
                    } else {
                        "arrived with other content"
                    }
                )));
                break;
            }
        }
        for ((topic, partition, source), edge) in &received {
            let sent = counts.get(&(*topic, *partition)).copied().unwrap_or(0);
            if *source == reference.source && edge.len() > sent {
                findings.push(Finding(format!(
                    "{source} -> {topic}-{partition}: {} arrived, {sent} were sent",
                    edge.len()
                )));
            }
        }
    }
}

fn events(logs: &Logs) -> Vec<&AccountEvent> {
    logs.deduplicated("account-events")
        .into_iter()
        .filter_map(|(_, record)| match &record.message {
            AnyMessage::AccountEvent(event) => Some(event),
            _ => None,
        })
        .collect()
}

fn sequences(events: &[&AccountEvent], asked: &Asked, disputed: &BTreeSet<AccountId>, findings: &mut Vec<Finding>) {
    let mut last: BTreeMap<AccountId, i64> = BTreeMap::new();
    let mut frozen: BTreeMap<AccountId, usize> = BTreeMap::new();
    for event in events {
        let last = last.entry(event.account_id).or_default();
        if event.account_seq != *last + 1 {
            findings.push(Finding(format!(
                "account {}: {} follows {last}",
                event.account_id, event.account_seq
            )));
        }
        *last = event.account_seq;
        if event.kind == AccountEventKind::Frozen {
            *frozen.entry(event.account_id).or_default() += 1;
        }
    }
    // Each stray answer is noticed, and nothing else freezes an account that agrees with its books.
    for account_id in frozen.keys().chain(asked.frozen.keys()) {
        let count = |map: &BTreeMap<AccountId, usize>| map.get(account_id).copied().unwrap_or(0);
        let (frozen, made_to) = (count(&frozen), count(&asked.frozen));
        if frozen < made_to || frozen > made_to && !disputed.contains(account_id) {
            findings.push(Finding(format!(
                "account {account_id} was frozen {frozen} times, made to {made_to} times"
            )));
        }
    }
}

fn money(events: &[&AccountEvent], findings: &mut Vec<Finding>) {
    let mut clearing: BTreeMap<&str, i64> = BTreeMap::new();
    let mut held: BTreeMap<(AccountId, &str), i64> = BTreeMap::new();
    let mut shown: BTreeMap<(AccountId, String), i64> = BTreeMap::new();
    let mut frozen: BTreeSet<AccountId> = BTreeSet::new();
    for event in events {
        match event.kind {
            AccountEventKind::Frozen => drop(frozen.insert(event.account_id)),
            AccountEventKind::Thawed => drop(frozen.remove(&event.account_id)),
            _ => {}
        }
        // What is frozen may be unsound until it is corrected.
        let is_frozen = frozen.contains(&event.account_id);
        let note = event.intervention.as_ref().map_or("", |made| made.note.as_str());
        let is_of_trade = note.starts_with(MISSING) || note.starts_with(FORGED);
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for posting in &event.postings {
            *sums.entry(&posting.asset).or_default() += posting.amount;
            match posting.ledger_account {
                LedgerAccount::Clearing => *clearing.entry(&posting.asset).or_default() += posting.amount,
                // What one side has not booked, or booked and never traded, is corrected.
                LedgerAccount::Corrections if is_of_trade => {
                    *clearing.entry(&posting.asset).or_default() += posting.amount;
                }
                LedgerAccount::Client => *held.entry((event.account_id, &posting.asset)).or_default() += posting.amount,
                _ => {}
            }
        }
        if sums.values().any(|sum| *sum != 0) {
            findings.push(Finding(format!(
                "postings of {}:{} do not sum to zero",
                event.account_id, event.account_seq
            )));
        }
        if let Some(cash) = event.cash {
            shown.insert((event.account_id, "USD".to_owned()), cash.balance_cents);
            if !is_frozen && (cash.reserved_cents < 0 || cash.reserved_cents > cash.balance_cents) {
                findings.push(Finding(format!("account {}: {cash:?}", event.account_id)));
            }
        }
        for position in &event.positions {
            shown.insert((event.account_id, position.symbol.to_string()), position.quantity);
            if !is_frozen && (position.reserved_quantity < 0 || position.reserved_quantity > position.quantity) {
                findings.push(Finding(format!("account {}: {position:?}", event.account_id)));
            }
        }
    }
    for (asset, sum) in clearing.iter().filter(|(_, sum)| **sum != 0) {
        findings.push(Finding(format!("clearing of {asset} is off by {sum}")));
    }
    for ((account_id, asset), amount) in held {
        if shown.get(&(account_id, asset.to_owned())).copied().unwrap_or(0) != amount {
            findings.push(Finding(format!(
                "account {account_id}: {asset} is not the sum of its postings"
            )));
        }
    }
}

/// Every trade is booked once on each side, and nothing else is: or it was corrected, for an account that
/// missed a record of its book or was told of a trade that never was.
fn trades(events: &[&AccountEvent], logs: &Logs, disputed: &BTreeSet<AccountId>, findings: &mut Vec<Finding>) {
    let mut seen: BTreeSet<(OrderId, TradeId)> = BTreeSet::new();
    for event in events {
        if let (Some(order), Some(execution)) = (&event.order, event.execution)
            && !seen.insert((order.order_id, execution.trade_id))
        {
            findings.push(Finding(format!(
                "order {} has trade {} twice",
                order.order_id, execution.trade_id
            )));
        }
    }
    let traded = traded(logs);
    for (key, part) in booked(logs) {
        if traded.get(&key).is_some_and(|traded| *traded != part) {
            findings.push(Finding(format!("{key:?}: {part:?} was booked")));
        }
    }
    let corrected = corrected(logs);
    for (note, (part, _)) in differences(logs) {
        let sides = [None, Some(part.symbol)];
        let is_corrected = sides.iter().all(|symbol| corrected.contains(&(note.clone(), *symbol)));
        if !disputed.contains(&part.account_id) || !is_corrected {
            findings.push(Finding(format!("{note}: {part:?}, and it was not corrected")));
        }
    }
    for account_id in frozen_accounts(logs) {
        findings.push(Finding(format!("account {account_id} cannot be thawed")));
    }
}

/// Every order that was asked for was decided once, nothing waits for the book for ever, and every
/// command was answered.
fn outcomes(events: &[&AccountEvent], logs: &Logs, asked: &Asked, findings: &mut Vec<Finding>) {
    let mut decided: BTreeMap<(AccountId, &str), BTreeSet<OrderId>> = BTreeMap::new();
    let mut status: BTreeMap<OrderId, OrderStatus> = BTreeMap::new();
    for event in events {
        let Some(order) = &event.order else { continue };
        decided
            .entry((event.account_id, &order.client_order_id))
            .or_default()
            .insert(order.order_id);
        if let Some(before) = status.insert(order.order_id, order.status)
            && before.is_terminal()
            && before != order.status
        {
            findings.push(Finding(format!(
                "order {} went from {before:?} to {:?}",
                order.order_id, order.status
            )));
        }
    }
    for (order_id, status) in &status {
        if matches!(status, OrderStatus::Pending | OrderStatus::Accepted) {
            findings.push(Finding(format!("order {order_id} still waits for the book")));
        }
    }
    let mut answered = BTreeSet::new();
    let mut expired = BTreeSet::new();
    for (_, record) in logs.deduplicated("replies") {
        let AnyMessage::Reply(reply) = &record.message else {
            continue;
        };
        if !answered.insert(reply.command_id) {
            findings.push(Finding(format!("command {} was answered twice", reply.command_id)));
        }
        if reply.kind == ReplyKind::Refused && reply.order.is_none() {
            expired.insert(reply.command_id);
        }
    }
    for ((account_id, client_order_id), orders) in &decided {
        if orders.len() > 1 {
            findings.push(Finding(format!(
                "{account_id}/{client_order_id} was decided as {} orders",
                orders.len()
            )));
        }
    }
    let silent = asked
        .orders
        .iter()
        .filter(|(account_id, id)| !decided.contains_key(&(*account_id, id.as_str())))
        .count();
    if silent > expired.len() {
        findings.push(Finding(format!("{silent} orders were never decided")));
    }
}

/// Counts what happened: kinds of events and of market data, and the reasons with which orders ended.
pub fn happened(logs: &Logs) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut count = |what: String| *counts.entry(what).or_default() += 1;
    for event in events(logs) {
        count(format!("{:?}", event.kind));
        if event.kind == AccountEventKind::OrderCancelled && event.command_id.is_some() {
            let view = event.order.as_ref();
            let by_freeze = view.is_some_and(|order| order.reason == Some(Reason::Frozen));
            count(if by_freeze { "swept" } else { "cancelled" }.to_owned());
        }
        let ended = event.order.as_ref().filter(|order| order.status.is_terminal());
        if let Some(reason) = ended.and_then(|order| order.reason) {
            count(format!("{reason:?}"));
        }
    }
    for (_, passes) in logs.passed() {
        count(format!("{passes:?} passed"));
    }
    for (note, symbol) in corrected(logs) {
        for what in [MISSING, FORGED] {
            if symbol.is_none() && note.starts_with(what) {
                count(format!("{what} corrected"));
            }
        }
    }
    let mut versions = BTreeMap::new();
    for event in events(logs) {
        let before = versions.insert(event.account_id, event.logic_version);
        if before.is_some_and(|before| before < event.logic_version) {
            count(format!("LogicVersion{}", event.logic_version));
        }
    }
    for (_, record) in logs.deduplicated("market-data") {
        if let AnyMessage::MarketData(message) = &record.message {
            count(format!("{:?}", message.kind()));
        }
    }
    counts
}

/// A hash of the states and logs.
pub fn fingerprint(nodes: &[Box<dyn Node>], logs: &Logs) -> u64 {
    let mut hasher = DefaultHasher::new();
    for node in nodes {
        node.state_hash().hash(&mut hasher);
    }
    for (topic, _) in brokerx_schemas::SCHEMAS {
        for (partition, record) in logs.records(topic) {
            (topic, partition, record.appended_ms).hash(&mut hasher);
            record
                .identity
                .as_ref()
                .map(|identity| (&identity.source, identity.seq))
                .hash(&mut hasher);
        }
    }
    hasher.finish()
}
