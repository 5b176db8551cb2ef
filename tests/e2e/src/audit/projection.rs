//! Every row of accounts, positions, orders and payments equals what the machines hold, column by
//! column. What no machine keeps is taken from the events: which event last changed a row, and orders
//! that settlement has forgotten.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{AccountEvent, AccountEventKind, AccountId, OrderId, OrderView, PaymentId, Symbol};
use brokerx_settlement::account::AccountSummary;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::finding::Finding;
use super::folds::Folds;
use super::topics::Topics;

/// Rows of a table as JSON objects, by their key.
type Rows = BTreeMap<String, Value>;

pub(super) async fn check(
    topics: &Topics,
    folds: &Folds,
    database: &PgPool,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let last = Last::of(topics.account_events.iter().map(|record| &record.value));
    let mut held = Held::default();
    for (account_seq, order) in last.orders.values() {
        held.order(*account_seq, order)?;
    }
    for account in folds.accounts() {
        if let Some(invariant) = account.frozen {
            findings.push(Finding(format!(
                "account {} is frozen: {invariant:?}",
                account.account_id
            )));
        }
        held.account(&account, &last)?;
    }
    if held.accounts.is_empty() {
        findings.push(Finding("the machines hold no account".to_owned()));
    }
    for (table, held) in [
        ("accounts", &held.accounts),
        ("positions", &held.positions),
        ("orders", &held.orders),
        ("payments", &held.payments),
    ] {
        compare(table, held, &read(table, database).await?, findings);
    }
    Ok(())
}

/// The last event about each account, order, position and payment.
#[derive(Default)]
struct Last<'a> {
    /// When the account last changed.
    changed_us: BTreeMap<AccountId, i64>,
    orders: BTreeMap<OrderId, (i64, &'a OrderView)>,
    /// The event that last changed the position, and whether the account was frozen by then.
    positions: BTreeMap<(AccountId, Symbol), (i64, bool)>,
    payments: BTreeMap<PaymentId, i64>,
}

impl<'a> Last<'a> {
    fn of(events: impl Iterator<Item = &'a AccountEvent>) -> Self {
        let mut last = Self::default();
        let mut frozen = BTreeSet::new();
        for event in events {
            let (account_id, account_seq) = (event.account_id, event.account_seq);
            last.changed_us.insert(account_id, event.occurred_us);
            match event.kind {
                AccountEventKind::Frozen => drop(frozen.insert(account_id)),
                AccountEventKind::Thawed => drop(frozen.remove(&account_id)),
                _ => {}
            }
            if let Some(order) = &event.order {
                last.orders.insert(order.order_id, (account_seq, order));
            }
            for position in &event.positions {
                let changed = (account_seq, frozen.contains(&account_id));
                last.positions.insert((account_id, position.symbol), changed);
            }
            if let Some(payment) = &event.payment {
                last.payments.insert(payment.payment_id, account_seq);
            }
        }
        last
    }
}

/// The rows as they should be.
#[derive(Default)]
struct Held {
    accounts: Rows,
    positions: Rows,
    orders: Rows,
    payments: Rows,
}

impl Held {
    fn account(&mut self, account: &AccountSummary, last: &Last<'_>) -> anyhow::Result<()> {
        let account_id = account.account_id;
        let row = json!({
            "account_id": account_id,
            "account_seq": account.account_seq,
            "state": account.status.state,
            "status_version": account.status.version,
            "kill_switch": account.status.kill_switch,
            "frozen": account.frozen.is_some(),
            "updated_us": last.changed_us.get(&account_id),
        });
        insert(&mut self.accounts, "accounts", row_of(&account.cash, row)?);
        for position in &account.positions {
            let changed = last.positions.get(&(account_id, position.symbol));
            let (account_seq, frozen) = changed.copied().unwrap_or_default();
            let more = json!({"account_id": account_id, "account_seq": account_seq, "frozen": frozen});
            insert(&mut self.positions, "positions", row_of(position, more)?);
        }
        for order in &account.orders {
            let changed = last.orders.get(&order.order_id);
            self.order(changed.map_or(0, |(account_seq, _)| *account_seq), order)?;
        }
        for payment in &account.payments {
            let account_seq = last.payments.get(&payment.payment_id);
            let more = json!({"account_id": account_id, "account_seq": account_seq});
            insert(&mut self.payments, "payments", row_of(payment, more)?);
        }
        Ok(())
    }

    fn order(&mut self, account_seq: i64, order: &OrderView) -> anyhow::Result<()> {
        let row = row_of(order, json!({"account_seq": account_seq}))?;
        insert(&mut self.orders, "orders", row);
        Ok(())
    }
}

/// A row from a view, whose fields are named like the columns; `more` holds the columns that the view lacks.
fn row_of(view: &impl Serialize, more: Value) -> anyhow::Result<Value> {
    let mut row = serde_json::to_value(view)?;
    if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
        row.extend(more);
    }
    Ok(row)
}

/// Enters a row under its key. An empty position is left out: the machine forgets it, while its row stays.
fn insert(rows: &mut Rows, table: &str, row: Value) {
    let is_nothing = |column: &str| row[column] == 0;
    let key = match table {
        "accounts" => row["account_id"].to_string(),
        "positions"
            if ["quantity", "reserved_quantity", "cost_cents"]
                .into_iter()
                .all(is_nothing) =>
        {
            return;
        }
        "positions" => format!("{} {}", row["account_id"], row["symbol"]),
        "orders" => row["order_id"].to_string(),
        _ => row["payment_id"].to_string(),
    };
    rows.insert(key, row);
}

async fn read(table: &str, database: &PgPool) -> anyhow::Result<Rows> {
    let query = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t) FROM projection.{table} AS t"));
    let mut rows = Rows::new();
    for row in sqlx::query_scalar(query).fetch_all(database).await? {
        insert(&mut rows, table, row);
    }
    Ok(rows)
}

fn compare(table: &str, held: &Rows, projected: &Rows, findings: &mut Vec<Finding>) {
    for (key, held) in held {
        let Some(projected) = projected.get(key) else {
            findings.push(Finding(format!("{table}: {key} is held and not projected")));
            continue;
        };
        for column in columns(held).chain(columns(projected)).collect::<BTreeSet<_>>() {
            let (held, projected) = (held.get(column), projected.get(column));
            if held != projected {
                findings.push(Finding(format!(
                    "{table}: {column} of {key} is {held:?} in the machine and {projected:?} in the projection"
                )));
            }
        }
    }
    for key in projected.keys().filter(|key| !held.contains_key(*key)) {
        findings.push(Finding(format!("{table}: {key} is projected and not held")));
    }
}

fn columns(row: &Value) -> impl Iterator<Item = &String> {
    row.as_object().into_iter().flat_map(|row| row.keys())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: &str, rows: &[Value]) -> Rows {
        let mut by_key = Rows::new();
        rows.iter().for_each(|row| insert(&mut by_key, table, row.clone()));
        by_key
    }

    fn found(table: &str, held: &[Value], projected: &[Value]) -> Vec<String> {
        let mut findings = Vec::new();
        compare(table, &rows(table, held), &rows(table, projected), &mut findings);
        findings.into_iter().map(|finding| finding.0).collect()
    }

    #[test]
    fn a_difference_in_any_column_or_row_is_found() {
        let order = |order_id: i64, status: &str| json!({"order_id": order_id, "status": status});
        assert!(found("orders", &[order(1, "FILLED")], &[order(1, "FILLED")]).is_empty());
        for (held, projected, word) in [
            (vec![order(1, "FILLED")], vec![order(1, "WORKING")], "status of 1"),
            (vec![order(1, "FILLED")], vec![json!({"order_id": 1})], "status of 1"),
            (vec![json!({"order_id": 1})], vec![order(1, "FILLED")], "status of 1"),
            (vec![order(1, "FILLED")], vec![], "not projected"),
            (vec![], vec![order(1, "FILLED")], "not held"),
        ] {
            let findings = found("orders", &held, &projected);
            assert!(
                findings.len() == 1 && findings[0].contains(word),
                "{word}: {findings:?}"
            );
        }
    }

    #[test]
    fn an_empty_position_may_stay_as_a_row() {
        let position = |quantity: i64| json!({"account_id": 1, "symbol": "A", "quantity": quantity, "reserved_quantity": 0, "cost_cents": 0});
        assert!(found("positions", &[], &[position(0)]).is_empty());
        assert_eq!(found("positions", &[], &[position(1)]).len(), 1);
    }
}
