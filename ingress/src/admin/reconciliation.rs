//! `GET /admin/v1/reconciliation`: whether the projection adds up.
//!
//! The topics are projected independently, so a check that compares two of them (`trades` with the
//! executions of `account-events`) differs for a moment while something trades; on a quiet system
//! every difference is 0.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sqlx::FromRow;

use crate::access::Operator;
use crate::problem::Problem;
use crate::state::Shared;

/// Name, meaning, and the statement that counts the differences.
const CHECKS: &[(&str, &str, &str)] = &[
    (
        "events_balance",
        "events whose postings do not sum to zero per asset",
        "SELECT count(*) FROM (SELECT FROM projection.ledger_entries
         GROUP BY account_id, account_seq, asset HAVING sum(amount) <> 0) AS unbalanced",
    ),
    (
        "clearing_is_zero",
        "assets whose clearing account does not sum to zero",
        "SELECT count(*) FROM (SELECT FROM projection.ledger_entries WHERE ledger_account = 'CLEARING'
         GROUP BY asset HAVING sum(amount) <> 0) AS open",
    ),
    (
        "cash_equals_ledger",
        "accounts whose balance is not the sum of their postings",
        "SELECT count(*) FROM projection.accounts AS a LEFT JOIN (
             SELECT account_id, sum(amount) AS amount FROM projection.ledger_entries
             WHERE ledger_account = 'CLIENT' AND asset = 'USD' GROUP BY account_id) AS l USING (account_id)
         WHERE a.balance_cents <> coalesce(l.amount, 0)",
    ),
    (
        "shares_equal_ledger",
        "positions whose quantity is not the sum of their postings",
        "SELECT count(*) FROM (
             SELECT account_id, symbol, quantity FROM projection.positions WHERE quantity <> 0) AS p
         FULL JOIN (
             SELECT account_id, asset AS symbol, sum(amount) AS amount FROM projection.ledger_entries
             WHERE ledger_account = 'CLIENT' AND asset <> 'USD' GROUP BY account_id, asset
             HAVING sum(amount) <> 0) AS l USING (account_id, symbol)
         WHERE coalesce(p.quantity, 0) <> coalesce(l.amount, 0)",
    ),
    (
        "orders_equal_executions",
        "orders whose filled quantity or notional is not the sum of their executions",
        "SELECT count(*) FROM projection.orders AS o LEFT JOIN (
             SELECT order_id, sum(quantity) AS quantity, sum(price_cents * quantity) AS notional, sum(fee_cents) AS fees
             FROM projection.executions GROUP BY order_id) AS e USING (order_id)
         WHERE (o.filled_quantity, o.filled_notional_cents, o.fees_cents)
            <> (coalesce(e.quantity, 0), coalesce(e.notional, 0), coalesce(e.fees, 0))",
    ),
    (
        "trades_have_two_sides",
        "trades without exactly one matching execution on each side, and executions without a trade",
        "SELECT count(*) FROM projection.trades AS t FULL JOIN (
             SELECT trade_id, count(*) AS sides, sum(CASE side WHEN 'BUY' THEN quantity ELSE -quantity END) AS net,
                    min(quantity) AS quantity, min(price_cents) AS price_cents, max(price_cents) AS price_cents_max
             FROM projection.executions GROUP BY trade_id) AS e USING (trade_id)
         WHERE (e.sides, e.net, e.quantity, e.price_cents, e.price_cents_max)
            IS DISTINCT FROM (2::bigint, 0::numeric, t.quantity, t.price_cents, t.price_cents)",
    ),
    (
        "reservations_equal_orders",
        "accounts whose reserved cash is not that of their open orders and pending withdrawals",
        "SELECT count(*) FROM projection.accounts AS a
         LEFT JOIN (SELECT account_id, sum(reserved_cents) AS cents FROM projection.orders GROUP BY account_id) AS o
             USING (account_id)
         LEFT JOIN (SELECT account_id, sum(amount_cents) AS cents FROM projection.payments
             WHERE direction = 'WITHDRAWAL' AND status = 'PENDING' GROUP BY account_id) AS w USING (account_id)
         WHERE a.reserved_cents <> coalesce(o.cents, 0) + coalesce(w.cents, 0)",
    ),
];

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    meaning: &'static str,
    differences: i64,
}

/// How far a partition is projected.
#[derive(Debug, FromRow, Serialize)]
struct LogPosition {
    topic: String,
    partition: i32,
    position: i64,
}

/// The reconciliation.
#[derive(Debug, Serialize)]
pub struct Reconciliation {
    balanced: bool,
    checks: Vec<Check>,
    log_positions: Vec<LogPosition>,
}

/// All checks over one state of the database.
pub async fn reconciliation(State(app): State<Shared>, _operator: Operator) -> Result<Json<Reconciliation>, Problem> {
    let mut transaction = app.database.begin().await?;
    sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .execute(&mut *transaction)
        .await?;
    let mut checks = Vec::with_capacity(CHECKS.len());
    for (name, meaning, statement) in CHECKS {
        let differences: i64 = sqlx::query_scalar(*statement).fetch_one(&mut *transaction).await?;
        checks.push(Check {
            name,
            meaning,
            differences,
        });
    }
    let log_positions: Vec<LogPosition> =
        sqlx::query_as("SELECT topic, partition, position FROM projection.log_positions ORDER BY topic, partition")
            .fetch_all(&mut *transaction)
            .await?;
    transaction.commit().await?;
    let balanced = checks.iter().all(|check| check.differences == 0);
    Ok(Json(Reconciliation {
        balanced,
        checks,
        log_positions,
    }))
}
