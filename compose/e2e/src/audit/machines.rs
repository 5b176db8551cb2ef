//! The projection equals the machines' state, which is the offline fold of their inboxes.

use std::collections::BTreeMap;

use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{AccountCommand, AccountEvent, BookCommand, Message, OrderId};
use brokerx_settlement::account::AccountMachine;
use brokerx_settlement::publisher::Publisher;
use brokerx_topics::codec::Codec;
use brokerx_topics::machine::{Fold, Machine};
use brokerx_topics::runner::fold_topic;
use brokerx_topics::service::PlatformOptions;
use sqlx::{PgPool, Row};

use super::Finding;

const PARTITIONS: i32 = 8;

/// Every partition of every machine, folded offline.
pub(super) struct Folds {
    settlement: Vec<Fold<AccountMachine>>,
    matcher: Vec<Fold<Matcher>>,
    publisher: Vec<Fold<Publisher>>,
}

/// What one inbox partition sent to each destination: topic, partition, last number.
pub(super) type Sent = Vec<(String, i32, u64)>;

impl Folds {
    /// Per inbox partition, the last number given to each destination.
    pub(super) fn sent(&self) -> Vec<(String, Sent)> {
        let mut all = Vec::new();
        collect(AccountCommand::TOPIC, &self.settlement, &mut all);
        collect(BookCommand::TOPIC, &self.matcher, &mut all);
        collect(AccountEvent::TOPIC, &self.publisher, &mut all);
        all
    }
}

fn collect<M: Machine>(inbox: &str, folds: &[Fold<M>], all: &mut Vec<(String, Sent)>) {
    for fold in folds {
        let state = fold.state();
        let sent = state
            .edges
            .sent()
            .map(|(topic, partition, seq)| (topic.to_owned(), partition, seq))
            .collect();
        all.push((format!("{inbox}-{}", state.setup.partition), sent));
    }
}

pub(super) async fn fold_all(platform: &PlatformOptions, codec: &Codec) -> anyhow::Result<Folds> {
    Ok(Folds {
        settlement: fold_each(platform, codec).await?,
        matcher: fold_each(platform, codec).await?,
        publisher: fold_each(platform, codec).await?,
    })
}

async fn fold_each<M: Machine>(platform: &PlatformOptions, codec: &Codec) -> anyhow::Result<Vec<Fold<M>>> {
    let (platform, codec) = (platform.clone(), codec.clone());
    tokio::task::spawn_blocking(move || {
        (0..PARTITIONS)
            .map(|partition| Ok(fold_topic(&platform, &codec, partition, None)?))
            .collect()
    })
    .await?
}

type Cash = (i64, i64, i64);
type Position = (i64, i64, i64);

pub(super) async fn check(folds: &Folds, database: &PgPool, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let mut accounts: BTreeMap<i64, Cash> = BTreeMap::new();
    for row in sqlx::query("SELECT account_id, account_seq, balance_cents, reserved_cents FROM projection.accounts")
        .fetch_all(database)
        .await?
    {
        let value = (
            row.try_get("account_seq")?,
            row.try_get("balance_cents")?,
            row.try_get("reserved_cents")?,
        );
        accounts.insert(row.try_get("account_id")?, value);
    }
    let mut positions: BTreeMap<(i64, String), Position> = BTreeMap::new();
    for row in
        sqlx::query("SELECT account_id, symbol, quantity, reserved_quantity, cost_cents FROM projection.positions WHERE quantity <> 0")
            .fetch_all(database)
            .await?
    {
        let value = (row.try_get("quantity")?, row.try_get("reserved_quantity")?, row.try_get("cost_cents")?);
        positions.insert((row.try_get("account_id")?, row.try_get("symbol")?), value);
    }
    let mut orders: BTreeMap<OrderId, (i64, i64, i64)> = BTreeMap::new();
    for row in sqlx::query(
        "SELECT order_id, filled_quantity, fees_cents, event_seq::bigint AS event_seq FROM projection.orders",
    )
    .fetch_all(database)
    .await?
    {
        let value = (
            row.try_get("filled_quantity")?,
            row.try_get("fees_cents")?,
            row.try_get("event_seq")?,
        );
        orders.insert(OrderId(row.try_get("order_id")?), value);
    }

    let mut held = 0;
    for account in folds
        .settlement
        .iter()
        .filter_map(Fold::machine)
        .flat_map(AccountMachine::accounts)
    {
        held += 1;
        if let Some(invariant) = account.frozen {
            findings.push(Finding(format!(
                "account {} is frozen: {invariant:?}",
                account.account_id
            )));
        }
        let cash = (
            account.account_seq,
            account.cash.balance_cents,
            account.cash.reserved_cents,
        );
        same(
            "account",
            &account.account_id,
            accounts.remove(&account.account_id.0),
            cash,
            findings,
        );
        for position in account.positions.iter().filter(|position| position.quantity != 0) {
            let value = (position.quantity, position.reserved_quantity, position.cost_cents);
            let key = (account.account_id.0, position.symbol.to_string());
            same("position", &format!("{key:?}"), positions.remove(&key), value, findings);
        }
        for order in &account.orders {
            let value = (order.filled_quantity, order.fees_cents, i64::from(order.event_seq));
            same(
                "order",
                &order.order_id,
                orders.get(&order.order_id).copied(),
                value,
                findings,
            );
        }
    }
    if held == 0 {
        findings.push(Finding("the machines hold no account".to_owned()));
    }
    for account_id in accounts.keys() {
        findings.push(Finding(format!("account {account_id} is projected and in no machine")));
    }
    for key in positions.keys() {
        findings.push(Finding(format!("position {key:?} is projected and in no machine")));
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    id: &dyn std::fmt::Display,
    projected: Option<T>,
    held: T,
    findings: &mut Vec<Finding>,
) {
    if projected.as_ref() != Some(&held) {
        findings.push(Finding(format!(
            "{what} {id}: the machine holds {held:?}, the projection {projected:?}"
        )));
    }
}
