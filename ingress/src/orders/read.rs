//! `GET /api/v1/orders`, `/orders/{id}`, `/orders/by-client-id/{client_order_id}`: from the projection.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use brokerx_schemas::{AccountId, Execution, OrderId, OrderView, Reply, Symbol, TradeId};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, PgPool};

use super::OrderBody;
use super::change::order_id;
use crate::access::Caller;
use crate::body::{Query, is_client_key};
use crate::consistency;
use crate::names;
use crate::page::{PAGE_ITEMS, Page, PageQuery};
use crate::problem::Problem;
use crate::state::Shared;

#[derive(FromRow)]
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

#[derive(FromRow)]
struct ExecutionRow {
    order_id: i64,
    trade_id: i64,
    price_cents: i64,
    quantity: i64,
    fee_cents: i64,
    liquidity: String,
    executed_us: i64,
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

/// The bodies of rows, their executions included.
async fn bodies(database: &PgPool, account_id: AccountId, rows: Vec<OrderRow>) -> Result<Vec<OrderBody>, Problem> {
    let order_ids: Vec<i64> = rows.iter().map(|row| row.order_id).collect();
    let executions = executions(database, &order_ids).await?;
    let body = |row: OrderRow| {
        let executions = executions.get(&row.order_id).map_or(&[][..], Vec::as_slice);
        Ok(OrderBody::new(&row.view(account_id)?, executions))
    };
    rows.into_iter().map(body).collect()
}

/// `GET /api/v1/orders`: the caller's, newest first.
pub async fn list(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OrderBody>>, Problem> {
    let before = query.before()?;
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let rows: Vec<OrderRow> = sqlx::query_as(
        "SELECT * FROM projection.orders WHERE account_id = $1 AND order_id < $2 ORDER BY order_id DESC LIMIT $3",
    )
    .bind(account_id.0)
    .bind(before)
    .bind(PAGE_ITEMS + 1)
    .fetch_all(&app.database)
    .await?;
    let page = Page::of_rows(rows, |row| row.order_id);
    Ok(Json(Page {
        items: bodies(&app.database, account_id, page.items).await?,
        next_cursor: page.next_cursor,
    }))
}

/// The query of a single order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneQuery {
    consistency_token: Option<String>,
}

/// A single order.
#[derive(Debug, Serialize)]
pub struct OneOrder {
    order: OrderBody,
}

/// `GET /api/v1/orders/{id}`: 404 also for somebody else's.
pub async fn by_id(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<OneOrder>, Problem> {
    let order_id = order_id(&id)?;
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let row: Option<OrderRow> =
        sqlx::query_as("SELECT * FROM projection.orders WHERE account_id = $1 AND order_id = $2")
            .bind(account_id.0)
            .bind(order_id.0)
            .fetch_optional(&app.database)
            .await?;
    one(&app.database, account_id, row).await
}

/// `GET /api/v1/orders/by-client-id/{client_order_id}`: the newest with this id.
pub async fn by_client_id(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(client_order_id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<OneOrder>, Problem> {
    if !is_client_key(&client_order_id) {
        return Err(not_found());
    }
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let row = newest_row(&app.database, account_id, &client_order_id).await?;
    one(&app.database, account_id, row).await
}

async fn newest_row(
    database: &PgPool,
    account_id: AccountId,
    client_order_id: &str,
) -> Result<Option<OrderRow>, Problem> {
    let row = sqlx::query_as(
        "SELECT * FROM projection.orders WHERE account_id = $1 AND client_order_id = $2 ORDER BY order_id DESC LIMIT 1",
    )
    .bind(account_id.0)
    .bind(client_order_id)
    .fetch_optional(database)
    .await?;
    Ok(row)
}

/// The newest order with a client's own id, with its first executions.
pub(super) async fn newest(
    database: &PgPool,
    account_id: AccountId,
    client_order_id: &str,
) -> Result<Option<(OrderView, Vec<Execution>)>, Problem> {
    let Some(row) = newest_row(database, account_id, client_order_id).await? else {
        return Ok(None);
    };
    let executions = executions(database, &[row.order_id]).await?.remove(&row.order_id);
    Ok(Some((row.view(account_id)?, executions.unwrap_or_default())))
}

async fn one(database: &PgPool, account_id: AccountId, row: Option<OrderRow>) -> Result<Json<OneOrder>, Problem> {
    let row = row.ok_or_else(not_found)?;
    let order = bodies(database, account_id, vec![row])
        .await?
        .pop()
        .ok_or_else(not_found)?;
    Ok(Json(OneOrder { order }))
}

fn not_found() -> Problem {
    Problem::not_found("there is no such order")
}
