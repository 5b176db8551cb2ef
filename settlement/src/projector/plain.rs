//! Rows that follow from one record each and belong to no account: trades, identity events, candles.

use std::marker::PhantomData;

use brokerx_schemas::{Candle, Trade};
use serde::Serialize;
use sqlx::PgConnection;

use super::batch::{Log, Origin};
use super::candles::CandleKey;
use super::halves::{Parted, write_by_halves};
use super::rows::symbol;
use super::set_aside::{self, RowAside};
use super::tables::{Auth, AuthEvents, Candles, Trades};
use super::tally::Tally;

/// A row, and the record that it comes from.
pub(super) trait Plain: Sync + Sized {
    const LOG: Log;
    const TABLE: &'static str;
    /// Whether a row may be written once only: all others were projected before.
    const IS_ONCE: bool;

    fn origin(&self) -> Origin;
    /// What it is about, as an operator would call it.
    fn subject(&self) -> String;
    /// What it says, as JSON.
    fn body(&self) -> String;
    /// Writes rows with one statement, and says how many were new.
    fn write(rows: &[Self], connection: &mut PgConnection) -> impl Future<Output = sqlx::Result<u64>> + Send;
}

impl Plain for (Origin, Trade) {
    const LOG: Log = Log::Trades;
    const TABLE: &'static str = Trades::TABLE;
    const IS_ONCE: bool = true;

    fn origin(&self) -> Origin {
        self.0
    }

    fn subject(&self) -> String {
        format!("trade {}", self.1.trade_id.0)
    }

    fn body(&self) -> String {
        json(&self.1)
    }

    async fn write(rows: &[Self], connection: &mut PgConnection) -> sqlx::Result<u64> {
        let mut trades = Trades::default();
        rows.iter().for_each(|(_, trade)| trades.push(trade));
        trades.write(connection).await
    }
}

impl Plain for (Origin, Auth) {
    const LOG: Log = Log::Auth;
    const TABLE: &'static str = AuthEvents::TABLE;
    const IS_ONCE: bool = true;

    fn origin(&self) -> Origin {
        self.0
    }

    fn subject(&self) -> String {
        format!("identity event {}", self.1.event_id)
    }

    fn body(&self) -> String {
        self.1.body.as_str().to_owned()
    }

    async fn write(rows: &[Self], connection: &mut PgConnection) -> sqlx::Result<u64> {
        let mut events = AuthEvents::default();
        rows.iter().for_each(|(_, event)| events.push(event));
        events.write(connection).await
    }
}

impl Plain for (CandleKey, Origin, Candle) {
    const LOG: Log = Log::MarketData;
    const TABLE: &'static str = Candles::TABLE;
    const IS_ONCE: bool = false;

    fn origin(&self) -> Origin {
        self.1
    }

    fn subject(&self) -> String {
        let (name, interval, start_us) = &self.0;
        format!("candle {name} {} {start_us}", symbol(interval))
    }

    fn body(&self) -> String {
        json(&self.2)
    }

    async fn write(rows: &[Self], connection: &mut PgConnection) -> sqlx::Result<u64> {
        let mut candles = Candles::default();
        rows.iter().for_each(|(key, _, candle)| candles.push((key, candle)));
        candles.write(connection).await
    }
}

fn json(value: &impl Serialize) -> String {
    // Numbers and names; what cannot be shown is at least said.
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

/// Writes rows, all at once or, when some cannot be, by halves: those that are refused for good are set aside.
pub(super) async fn write<R: Plain>(
    transaction: &mut PgConnection,
    rows: &[R],
    by_halves: bool,
    tally: &mut Tally,
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut writing = Writing {
        tally,
        rows: PhantomData,
    };
    match by_halves {
        true => write_by_halves(transaction, rows, &mut writing).await,
        false => writing.write(transaction, rows).await,
    }
}

struct Writing<'a, R> {
    tally: &'a mut Tally,
    rows: PhantomData<fn() -> R>,
}

impl<R: Plain> Parted for Writing<'_, R> {
    type Row = R;

    async fn write(&mut self, connection: &mut PgConnection, part: &[R]) -> sqlx::Result<()> {
        let written = R::write(part, connection).await?;
        self.tally.wrote(R::TABLE, written);
        if R::IS_ONCE {
            self.tally.duplicates(R::LOG, part.len() as u64 - written);
        }
        Ok(())
    }

    async fn set_aside(&mut self, connection: &mut PgConnection, row: &R, reason: String) -> sqlx::Result<()> {
        let Origin {
            partition: (log, partition),
            offset,
        } = row.origin();
        let row = RowAside {
            topic: log.topic(),
            partition,
            offset,
            subject: row.subject(),
            reason,
            body: row.body(),
        };
        set_aside::write_row(connection, &row).await?;
        self.tally.set_aside_rows += 1;
        Ok(())
    }
}
