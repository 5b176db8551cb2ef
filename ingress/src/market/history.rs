//! `GET /api/v1/market/{symbol}/trades|candles`: public, from the projection, newest first.

use axum::Json;
use axum::extract::{Path, State};
use brokerx_database::row;
use brokerx_json::{CandleBody, Cents, TradeBody, interval_of, names, rfc3339};
use brokerx_schemas::{Candle, Symbol};
use serde::Deserialize;

use super::Market;
use super::snapshots::unknown;
use crate::http::{Page, PageQuery, Problem, Query};
use crate::state::Shared;

/// The symbol in a path; 404 when there is no such instrument.
fn listed(market: &Market, symbol: &str) -> Result<Symbol, Problem> {
    market.named(symbol)?.ok_or_else(unknown)
}

row! {
    struct TradeRow {
        trade_id: i64,
        price_cents: i64,
        quantity: i64,
        taker_side: String,
        sequence: i64,
        executed_us: i64,
    }
}

/// `GET /api/v1/market/{symbol}/trades`: every trade.
pub async fn trades(
    State(app): State<Shared>,
    Path(symbol): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TradeBody>>, Problem> {
    let symbol = listed(&app.market, &symbol)?;
    let (before, limit) = (query.before()?, query.limit()?);
    let _turn = app.public_reads.turn().await?;
    let rows: Vec<TradeRow> = sqlx::query_as(
        "SELECT trade_id, price_cents, quantity, taker_side, sequence, executed_us FROM projection.trades
         WHERE symbol = $1 AND trade_id < $2 ORDER BY trade_id DESC LIMIT $3",
    )
    .bind(symbol.as_str())
    .bind(before)
    .bind(limit + 1)
    .fetch_all(&app.database)
    .await?;
    Ok(Json(Page::of_rows(rows, limit, |row| row.trade_id).map(|row| {
        TradeBody {
            trade_id: row.trade_id.to_string(),
            price: Cents(row.price_cents),
            quantity: row.quantity,
            taker_side: row.taker_side.to_ascii_lowercase(),
            sequence: row.sequence,
            executed_at: rfc3339(row.executed_us),
        }
    })))
}

/// The query of the candles.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandleQuery {
    interval: String,
    cursor: Option<String>,
    limit: Option<i64>,
}

row! {
    struct CandleRow {
        start_us: i64,
        open_cents: i64,
        high_cents: i64,
        low_cents: i64,
        close_cents: i64,
        volume: i64,
        trade_count: i64,
        closed: bool,
    }
}

/// `GET /api/v1/market/{symbol}/candles`: those of one interval, including the one that is still growing.
pub async fn candles(
    State(app): State<Shared>,
    Path(symbol): Path<String>,
    Query(query): Query<CandleQuery>,
) -> Result<Json<Page<CandleBody>>, Problem> {
    let symbol = listed(&app.market, &symbol)?;
    let interval = interval_of(&query.interval)
        .ok_or_else(|| Problem::invalid_request("interval is one of 1s, 1m, 5m, 1h, 1d"))?;
    let page = PageQuery {
        cursor: query.cursor,
        limit: query.limit,
        consistency_token: None,
    };
    let (before, limit) = (page.before()?, page.limit()?);
    let _turn = app.public_reads.turn().await?;
    let rows: Vec<CandleRow> = sqlx::query_as(
        "SELECT start_us, open_cents, high_cents, low_cents, close_cents, volume, trade_count, closed
         FROM projection.candles
         WHERE symbol = $1 AND interval = $2 AND start_us < $3 ORDER BY start_us DESC LIMIT $4",
    )
    .bind(symbol.as_str())
    .bind(names::symbol(interval))
    .bind(before)
    .bind(limit + 1)
    .fetch_all(&app.database)
    .await?;
    let candle = |row: CandleRow| Candle {
        interval,
        start_us: row.start_us,
        open_cents: row.open_cents,
        high_cents: row.high_cents,
        low_cents: row.low_cents,
        close_cents: row.close_cents,
        volume: row.volume,
        trade_count: row.trade_count,
        closed: row.closed,
    };
    Ok(Json(
        Page::of_rows(rows, limit, |row| row.start_us).map(|row| CandleBody::from(&candle(row))),
    ))
}
