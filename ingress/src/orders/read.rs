//! `GET /api/v1/orders`, `/orders/{id}`, `/orders/by-client-id/{client_order_id}`: from the projection.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use brokerx_json::OrderBody;
use serde::{Deserialize, Serialize};

use super::path::{not_found, order_id};
use super::rows::{self, Known};
use crate::gateway::{Caller, consistency};
use crate::http::{Page, PageQuery, Problem, Query, is_client_key};
use crate::state::Shared;

/// `GET /api/v1/orders`: the caller's, newest first.
pub async fn list(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OrderBody>>, Problem> {
    let before = query.before()?;
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let page = rows::page(&app.database, account_id, before).await?;
    Ok(Json(
        page.map(|(order, executions)| OrderBody::new(&order, &executions)),
    ))
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

/// `GET /api/v1/orders/{id}`: 404 also for somebody else's order.
pub async fn by_id(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<OneOrder>, Problem> {
    let order_id = order_id(&id)?;
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    one(rows::by_id(&app.database, account_id, order_id).await?)
}

/// `GET /api/v1/orders/by-client-id/{client_order_id}`: the newest order with this id.
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
    one(rows::newest(&app.database, account_id, &client_order_id).await?)
}

fn one(known: Option<Known>) -> Result<Json<OneOrder>, Problem> {
    let (order, executions) = known.ok_or_else(not_found)?;
    let order = OrderBody::new(&order, &executions);
    Ok(Json(OneOrder { order }))
}
