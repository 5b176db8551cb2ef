//! `GET /api/v1/instruments` and `/api/v1/market/{symbol}/quote|book`: public, from memory.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use brokerx_json::{InstrumentBody, QuoteBody};
use brokerx_market::View;
use brokerx_schemas::{Instrument, Symbol};
use serde::Deserialize;

use super::Market;
use crate::http::{Page, Problem, Query, limit_of};
use crate::state::Shared;

/// Instruments on one page, unless the query says otherwise; many, because they are small and a client usually wants all
/// of them.
const INSTRUMENTS_PER_PAGE: i64 = 100;

/// The query of the list of instruments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentQuery {
    cursor: Option<String>,
    /// Items on the page, 1 to 200; 100 when not given.
    limit: Option<i64>,
}

/// `GET /api/v1/instruments`: by symbol, including delisted ones.
pub async fn instruments(
    State(app): State<Shared>,
    Query(query): Query<InstrumentQuery>,
) -> Result<Json<Page<InstrumentBody>>, Problem> {
    let after = query.cursor.as_deref().map(Symbol::new).transpose();
    let after = after.map_err(|_| Problem::invalid_request("cursor is not a next_cursor that this list returned"))?;
    let limit = limit_of(query.limit, INSTRUMENTS_PER_PAGE)?;
    let view = app.market.known()?;
    let mut behind = view
        .instruments()
        .filter(|instrument| after.is_none_or(|after| instrument.symbol > after));
    let page: Vec<&Instrument> = behind.by_ref().take(limit as usize).collect();
    let next_cursor = page
        .last()
        .filter(|_| behind.next().is_some())
        .map(|last| last.symbol.to_string());
    Ok(Json(Page {
        items: page.into_iter().map(InstrumentBody::from).collect(),
        next_cursor,
    }))
}

/// `GET /api/v1/market/{symbol}/quote`.
pub async fn quote(State(app): State<Shared>, Path(symbol): Path<String>) -> Result<Json<QuoteBody>, Problem> {
    of_symbol(&app.market, &symbol, View::quote_body)
}

/// `GET /api/v1/market/{symbol}/book`: every level, and the sequence number that the next increment follows.
pub async fn book(State(app): State<Shared>, Path(symbol): Path<String>) -> Result<Response, Problem> {
    let symbol = Symbol::new(&symbol).map_err(|_| unknown())?;
    let text = app.market.book_text(symbol)?.ok_or_else(unknown)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

fn of_symbol<T>(
    market: &Market,
    symbol: &str,
    body: impl FnOnce(&View, Symbol) -> Option<T>,
) -> Result<Json<T>, Problem> {
    let symbol = Symbol::new(symbol).map_err(|_| unknown())?;
    body(&*market.known()?, symbol).map(Json).ok_or_else(unknown)
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such instrument")
}
