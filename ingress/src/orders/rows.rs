//! Orders as the projection holds them.

use std::collections::HashMap;

use brokerx_database::row;
use brokerx_json::names;
use brokerx_schemas::{AccountId, Execution, OrderId, OrderView, Reply, Symbol, TradeId};
use sqlx::PgPool;

use crate::http::{Page, Problem};

/// An order with its first executions, in the order of their trades.
pub(super) type Known = (OrderView, Vec<Execution>);

row! {
    struct OrderRow {
        order_id: i64,
        client_order_id: String,
        symbol: String,
        side: String,
        order_type: String,
        quantity: i64,
        price_cents: Option<i64>,
        stop_price_cents: Option<i64>,
        collar_price_cents: Option<i64>,
        time_in_force: String,
        post_only: bool,
        display_quantity: Option<i64>,
        self_trade_prevention: String,
        status: String,
        reason: Option<String>,
        version: i32,
        event_seq: i32,
        filled_quantity: i64,
        filled_notional_cents: i64,
        fees_cents: i64,
        reserved_cents: i64,
        reserved_quantity: i64,
        created_us: i64,
        updated_us: i64,
    }
}

impl OrderRow {
    fn view(self, account_id: AccountId) -> Result<OrderView, Problem> {
        Ok(OrderView {
            order_id: OrderId(self.order_id),
            account_id,
            client_order_id: self.client_order_id,
            symbol: Symbol::new(&self.symbol).map_err(Problem::internal)?,
            side: names::of_symbol(&self.side),
            order_type: names::of_symbol(&self.order_type),
            quantity: self.quantity,
            price_cents: self.price_cents,
            stop_price_cents: self.stop_price_cents,
            collar_price_cents: self.collar_price_cents,
            time_in_force: names::of_symbol(&self.time_in_force),
            post_only: self.post_only,
            display_quantity: self.display_quantity,
            self_trade_prevention: names::of_symbol(&self.self_trade_prevention),
            status: names::of_symbol(&self.status),
            reason: self.reason.as_deref().map(names::of_symbol),
            version: self.version,
            event_seq: self.event_seq,
            filled_quantity: self.filled_quantity,
            filled_notional_cents: self.filled_notional_cents,
            fees_cents: self.fees_cents,
            reserved_cents: self.reserved_cents,
            reserved_quantity: self.reserved_quantity,
            created_us: self.created_us,
            updated_us: self.updated_us,
        })
    }
}

row! {
    struct ExecutionRow {
        order_id: i64,
        trade_id: i64,
        price_cents: i64,
        quantity: i64,
        fee_cents: i64,
        liquidity: String,
        executed_us: i64,
    }
}

/// The first executions of each order, in the order of their trades.
async fn executions(database: &PgPool, order_ids: &[i64]) -> Result<HashMap<i64, Vec<Execution>>, Problem> {
    let rows: Vec<ExecutionRow> = sqlx::query_as(
        "SELECT e.* FROM unnest($1::bigint[]) AS o (order_id) CROSS JOIN LATERAL (
             SELECT order_id, trade_id, price_cents, quantity, fee_cents, liquidity, executed_us
             FROM projection.executions WHERE executions.order_id = o.order_id ORDER BY trade_id LIMIT $2) AS e",
    )
    .bind(order_ids)
    .bind(Reply::EXECUTIONS_MAX as i64)
    .fetch_all(database)
    .await?;
    let mut by_order: HashMap<i64, Vec<Execution>> = HashMap::new();
    for row in rows {
        by_order.entry(row.order_id).or_default().push(Execution {
            trade_id: TradeId(row.trade_id),
            price_cents: row.price_cents,
            quantity: row.quantity,
            fee_cents: row.fee_cents,
            liquidity: names::of_symbol(&row.liquidity),
            executed_us: row.executed_us,
        });
    }
    Ok(by_order)
}

/// Makes orders of rows, with their executions.
async fn known(database: &PgPool, account_id: AccountId, rows: Vec<OrderRow>) -> Result<Vec<Known>, Problem> {
    let order_ids: Vec<i64> = rows.iter().map(|row| row.order_id).collect();
    let mut executions = executions(database, &order_ids).await?;
    rows.into_iter()
        .map(|row| {
            let executions = executions.remove(&row.order_id).unwrap_or_default();
            Ok((row.view(account_id)?, executions))
        })
        .collect()
}

async fn one(database: &PgPool, account_id: AccountId, row: Option<OrderRow>) -> Result<Option<Known>, Problem> {
    Ok(known(database, account_id, row.into_iter().collect()).await?.pop())
}

/// The orders of an account with a lower id than `before`, newest first, a page of at most `limit`.
pub(super) async fn page(
    database: &PgPool,
    account_id: AccountId,
    before: i64,
    limit: i64,
) -> Result<Page<Known>, Problem> {
    let rows: Vec<OrderRow> = sqlx::query_as(
        "SELECT * FROM projection.orders WHERE account_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3",
    )
    .bind(account_id.0)
    .bind(before)
    .bind(limit + 1)
    .fetch_all(database)
    .await?;
    let page = Page::of_rows(rows, limit, |row| row.order_id);
    Ok(Page {
        items: known(database, account_id, page.items).await?,
        next_cursor: page.next_cursor,
    })
}

/// An order of an account.
pub(super) async fn by_id(
    database: &PgPool,
    account_id: AccountId,
    order_id: OrderId,
) -> Result<Option<Known>, Problem> {
    let row = sqlx::query_as("SELECT * FROM projection.orders WHERE account_id = $1 AND order_id = $2")
        .bind(account_id.0)
        .bind(order_id.0)
        .fetch_optional(database)
        .await?;
    one(database, account_id, row).await
}

/// The newest order that its client gave this id.
pub(super) async fn newest(
    database: &PgPool,
    account_id: AccountId,
    client_order_id: &str,
) -> Result<Option<Known>, Problem> {
    let row = sqlx::query_as(
        "SELECT * FROM projection.orders WHERE account_id = $1 AND client_order_id = $2 ORDER BY order_id DESC LIMIT 1",
    )
    .bind(account_id.0)
    .bind(client_order_id)
    .fetch_optional(database)
    .await?;
    one(database, account_id, row).await
}
