//! What an audit reads.

use brokerx_client::log::LogRecord;
use brokerx_schemas::{
    AccountCommand, AccountEvent, BookCommand, DepositEvent, InstrumentEvent, LedgerEvent, MarketData, OrderEvent,
    Reply, TradeEvent,
};

/// What the topics hold, duplicates removed.
#[derive(Debug)]
pub struct Topics {
    /// The inbox of settlement.
    pub account_commands: Vec<LogRecord<AccountCommand>>,
    /// The inbox of the matcher.
    pub book_commands: Vec<LogRecord<BookCommand>>,
    /// Outcomes for the ingress.
    pub replies: Vec<LogRecord<Reply>>,
    /// What happened to each account.
    pub account_events: Vec<LogRecord<AccountEvent>>,
    /// Trades.
    pub trades: Vec<LogRecord<TradeEvent>>,
    /// Book changes.
    pub market_data: Vec<LogRecord<MarketData>>,
    /// Instruments.
    pub instruments: Vec<LogRecord<InstrumentEvent>>,
    /// Orders, for other teams.
    pub orders: Vec<LogRecord<OrderEvent>>,
    /// Payments, for other teams.
    pub deposits: Vec<LogRecord<DepositEvent>>,
    /// The ledger, for other teams.
    pub ledger: Vec<LogRecord<LedgerEvent>>,
}
