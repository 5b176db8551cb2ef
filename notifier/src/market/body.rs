//! The market's pushes in JSON.

use brokerx_json::{CandleBody, Cents, LevelBody, QuoteBody, StatusBody, TradeBody};
use brokerx_market::Book;
use brokerx_schemas::{Candle, LevelChange, Side, Symbol, Trade};
use serde::Serialize;

/// A message of the market.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum MarketBody {
    Quote(QuoteBody),
    BookSnapshot(SnapshotBody),
    Book(ChangesBody),
    Trade(SymbolTradeBody),
    Candle(SymbolCandleBody),
    Status(StatusBody),
}

#[derive(Debug, Serialize)]
pub(super) struct SnapshotBody {
    symbol: String,
    sequence: i64,
    bids: Vec<LevelBody>,
    asks: Vec<LevelBody>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChangesBody {
    symbol: String,
    sequence: i64,
    prev_sequence: i64,
    changes: Vec<ChangeBody>,
}

#[derive(Debug, Serialize)]
struct ChangeBody {
    side: &'static str,
    #[serde(flatten)]
    level: LevelBody,
}

#[derive(Debug, Serialize)]
pub(super) struct SymbolTradeBody {
    symbol: String,
    #[serde(flatten)]
    trade: TradeBody,
}

#[derive(Debug, Serialize)]
pub(super) struct SymbolCandleBody {
    symbol: String,
    #[serde(flatten)]
    candle: CandleBody,
}

impl MarketBody {
    pub(super) fn candle(symbol: Symbol, candle: &Candle) -> Self {
        Self::Candle(SymbolCandleBody {
            symbol: symbol.to_string(),
            candle: CandleBody::from(candle),
        })
    }

    pub(super) fn snapshot(symbol: Symbol, book: &Book) -> Self {
        let level = |(price, quantity, order_count)| LevelBody {
            price: Cents(price),
            quantity,
            order_count,
        };
        Self::BookSnapshot(SnapshotBody {
            symbol: symbol.to_string(),
            sequence: book.sequence(),
            bids: book.bids().map(level).collect(),
            asks: book.asks().map(level).collect(),
        })
    }

    pub(super) fn changes<'a>(
        symbol: Symbol,
        prev_sequence: i64,
        sequence: i64,
        changes: impl IntoIterator<Item = &'a LevelChange>,
    ) -> Self {
        let change = |change: &LevelChange| ChangeBody {
            side: if change.side == Side::Buy { "bid" } else { "ask" },
            level: LevelBody {
                price: Cents(change.price_cents),
                quantity: change.quantity,
                order_count: change.order_count,
            },
        };
        let changes = changes.into_iter().map(change).collect();
        Self::Book(ChangesBody {
            symbol: symbol.to_string(),
            sequence,
            prev_sequence,
            changes,
        })
    }
}

impl From<&Trade> for MarketBody {
    fn from(trade: &Trade) -> Self {
        Self::Trade(SymbolTradeBody {
            symbol: trade.symbol.to_string(),
            trade: TradeBody::from(trade),
        })
    }
}
