//! `GET /api/v1/instruments` and `/api/v1/market/{symbol}/quote|book`: public, from memory.

use axum::Json;
use axum::extract::{Path, State};
use brokerx_schemas::{Instrument, Symbol};
use serde::{Deserialize, Serialize};

use super::body::{BookBody, QuoteBody};
use super::book::Book;
use super::{InstrumentBody, Market};
use crate::body::Query;
use crate::page::Page;
use crate::problem::Problem;
use crate::state::Shared;

/// Instruments on one page: they are small and a client wants them all.
const INSTRUMENTS_PER_PAGE: usize = 100;

/// The query of the list of instruments.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstrumentQuery {
    cursor: Option<String>,
}

/// `GET /api/v1/instruments`: by symbol, the delisted ones too.
pub async fn instruments(
    State(app): State<Shared>,
    Query(query): Query<InstrumentQuery>,
) -> Result<Json<Page<InstrumentBody>>, Problem> {
    let after = query.cursor.as_deref().map(Symbol::new).transpose();
    let after = after.map_err(|_| Problem::invalid_request("cursor is not one that a list returned"))?;
    let state = app.market.read();
    let mut behind = state
        .instruments
        .values()
        .filter(|instrument| after.is_none_or(|after| instrument.symbol > after));
    let page: Vec<&Instrument> = behind.by_ref().take(INSTRUMENTS_PER_PAGE).collect();
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
pub async fn quote(
    State(app): State<Shared>,
    Path(symbol): Path<String>,
) -> Result<Json<impl Serialize + use<>>, Problem> {
    of_book(&app.market, &symbol, QuoteBody::new)
}

/// `GET /api/v1/market/{symbol}/book`: every level, and the sequence number to join increments by.
pub async fn book(
    State(app): State<Shared>,
    Path(symbol): Path<String>,
) -> Result<Json<impl Serialize + use<>>, Problem> {
    of_book(&app.market, &symbol, BookBody::new)
}

fn of_book<T>(
    market: &Market,
    symbol: &str,
    body: impl FnOnce(&Instrument, &Book, bool) -> T,
) -> Result<Json<T>, Problem> {
    let state = market.read();
    let symbol = Symbol::new(symbol).map_err(|_| unknown())?;
    let instrument = state.instruments.get(&symbol).ok_or_else(unknown)?;
    let live = market.is_live(&state, symbol);
    Ok(Json(match state.books.get(&symbol) {
        Some(book) => body(instrument, book, live),
        None => body(instrument, &Book::default(), live),
    }))
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such instrument")
}
