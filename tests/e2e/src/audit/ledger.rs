//! Cash and shares are conserved to the unit, and every account's stream is dense.

use std::collections::BTreeMap;

use brokerx_schemas::{AccountId, LedgerAccount};
use sqlx::{PgPool, Row};

use super::finding::Finding;
use super::topics::Topics;

pub(super) async fn check(topics: &Topics, database: &PgPool, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let mut last: BTreeMap<AccountId, i64> = BTreeMap::new();
    let mut clearing: BTreeMap<&str, i64> = BTreeMap::new();
    let mut client: BTreeMap<(AccountId, &str), i64> = BTreeMap::new();
    for record in &topics.account_events {
        let event = &record.value;
        let last = last.entry(event.account_id).or_default();
        if event.account_seq != *last + 1 {
            findings.push(Finding(format!(
                "account {}: {} follows {last}",
                event.account_id, event.account_seq
            )));
        }
        *last = event.account_seq;
        let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
        for posting in &event.postings {
            *sums.entry(&posting.asset).or_default() += posting.amount;
            match posting.ledger_account {
                LedgerAccount::Clearing => *clearing.entry(&posting.asset).or_default() += posting.amount,
                LedgerAccount::Client => {
                    *client.entry((event.account_id, &posting.asset)).or_default() += posting.amount
                }
                _ => {}
            }
        }
        for (asset, sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
            findings.push(Finding(format!(
                "{}:{}: {asset} is off by {sum}",
                event.account_id, event.account_seq
            )));
        }
    }
    for (asset, sum) in clearing.into_iter().filter(|(_, sum)| *sum != 0) {
        findings.push(Finding(format!("clearing of {asset} is off by {sum}")));
    }

    let mut held: BTreeMap<(AccountId, String), i64> = BTreeMap::new();
    for row in sqlx::query("SELECT account_id, balance_cents FROM projection.accounts")
        .fetch_all(database)
        .await?
    {
        held.insert(
            (AccountId(row.try_get("account_id")?), "USD".to_owned()),
            row.try_get("balance_cents")?,
        );
    }
    for row in sqlx::query("SELECT account_id, symbol, quantity FROM projection.positions")
        .fetch_all(database)
        .await?
    {
        held.insert(
            (AccountId(row.try_get("account_id")?), row.try_get("symbol")?),
            row.try_get("quantity")?,
        );
    }
    for ((account_id, asset), amount) in &client {
        let shown = held.get(&(*account_id, (*asset).to_owned())).copied().unwrap_or(0);
        if shown != *amount {
            findings.push(Finding(format!(
                "account {account_id}: {asset} is {shown}, its postings sum to {amount}"
            )));
        }
    }
    for ((account_id, asset), amount) in held.iter().filter(|(_, amount)| **amount != 0) {
        if !client.contains_key(&(*account_id, asset.as_str())) {
            findings.push(Finding(format!(
                "account {account_id}: {amount} {asset} without a posting"
            )));
        }
    }
    let report = brokerx_projection::reconciliation::report(database).await?;
    if !report.consistent {
        findings.push(Finding(format!(
            "reconciliation in the database: {}",
            serde_json::to_string(&report)?
        )));
    }
    Ok(())
}
