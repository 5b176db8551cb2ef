//! The records that the matcher writes, and where they go.

use brokerx_schemas::{
    AccountCommand, AccountId, BookSnapshot, BookUpdate, Candle, CandleUpdate, CommandDone, CommandMeta, DayClosed,
    Fill, Heartbeat, InstrumentEvent, InstrumentStatusChange, Level, LevelChange, Liquidity, MarketData, OrderEnded,
    OrderId, OrderTriggered, PackedId, Reason, Reply, Symbol, Trade, TradeEvent, TradeId,
};
use brokerx_topics::machine::{Context, Outputs, Setup};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};

use super::entrant::Asked;
use super::listing::Listing;
use crate::book::{Answer, LevelView, Party, Side, Ticks};

/// Which partition this machine is, and how many partitions each topic has that it writes to.
#[derive(Clone, Debug)]
pub(super) struct Routes {
    pub partition: i32,
    pub generation: i32,
    account_commands: i32,
    trades: i32,
    market_data: i32,
    instruments: i32,
    replies: i32,
}

impl Routes {
    pub fn new(setup: &Setup) -> Self {
        Self {
            partition: setup.partition,
            generation: setup.generation,
            account_commands: setup.partitions("account-commands"),
            trades: setup.partitions("trades"),
            market_data: setup.partitions("market-data"),
            instruments: setup.partitions("instruments"),
            replies: setup.partitions("replies"),
        }
    }
}

/// One trade, as the book made it.
pub(super) struct TradeTerms {
    pub trade_id: PackedId,
    pub symbol: Symbol,
    pub sequence: i64,
    pub price_cents: i64,
    pub quantity: i64,
    pub maker: Party,
    pub taker: Party,
    pub taker_side: Side,
}

/// Writes the records of one step.
pub(super) struct Publisher<'a> {
    routes: &'a Routes,
    now_us: i64,
    outputs: &'a mut Outputs,
}

impl<'a> Publisher<'a> {
    pub fn new(routes: &'a Routes, context: &Context, outputs: &'a mut Outputs) -> Self {
        Self {
            routes,
            now_us: context.now_us(),
            outputs,
        }
    }

    fn send_to_account(&mut self, account_id: AccountId, command: AccountCommand) {
        let key = account_key(account_id);
        let partition = partition_of(&key, self.routes.account_commands);
        self.outputs.send(partition, key, command);
    }

    fn send_to_market_data(&mut self, symbol: Symbol, record: MarketData) {
        let key = symbol_key(symbol);
        let partition = partition_of(&key, self.routes.market_data);
        self.outputs.send(partition, key, record);
    }

    /// The trade, and a fill for each side: the resting order's first.
    pub fn trade(&mut self, terms: &TradeTerms) {
        let trade_id = TradeId(terms.trade_id.pack());
        let symbol = terms.symbol;
        let maker_fill = Fill {
            account_id: AccountId(terms.maker.account_id),
            order_id: OrderId(terms.maker.order_id),
            trade_id,
            symbol,
            side: side_of(terms.taker_side.opposite()),
            price_cents: terms.price_cents,
            quantity: terms.quantity,
            liquidity: Liquidity::Maker,
            leaves_quantity: terms.maker.leaves,
            executed_us: self.now_us,
        };
        let taker_fill = Fill {
            account_id: AccountId(terms.taker.account_id),
            order_id: OrderId(terms.taker.order_id),
            side: side_of(terms.taker_side),
            liquidity: Liquidity::Taker,
            leaves_quantity: terms.taker.leaves,
            ..maker_fill
        };
        let trade = Trade {
            trade_id,
            symbol,
            price_cents: terms.price_cents,
            quantity: terms.quantity,
            taker_side: taker_fill.side,
            taker_order_id: taker_fill.order_id,
            taker_account_id: taker_fill.account_id,
            maker_order_id: maker_fill.order_id,
            maker_account_id: maker_fill.account_id,
            sequence: terms.sequence,
            executed_us: self.now_us,
        };
        let key = symbol_key(symbol);
        let partition = partition_of(&key, self.routes.trades);
        self.outputs.send(partition, key, TradeEvent::Trade(trade));
        self.send_to_account(maker_fill.account_id, AccountCommand::Fill(maker_fill));
        self.send_to_account(taker_fill.account_id, AccountCommand::Fill(taker_fill));
    }

    pub fn command_done(&mut self, asked: &Asked, answer: &Answer) {
        let done = CommandDone {
            account_id: asked.account_id,
            command_id: asked.command_id,
            order_id: asked.order_id,
            symbol: asked.symbol,
            status: answer.status,
            reason: answer.reason,
            leaves_quantity: answer.leaves,
        };
        self.send_to_account(asked.account_id, AccountCommand::CommandDone(done));
    }

    pub fn order_ended(&mut self, symbol: Symbol, order_id: i64, account_id: i64, cause: Reason, leaves: i64) {
        let ended = OrderEnded {
            account_id: AccountId(account_id),
            order_id: OrderId(order_id),
            symbol,
            cause,
            leaves_quantity: leaves,
        };
        self.send_to_account(ended.account_id, AccountCommand::OrderEnded(ended));
    }

    /// A stop is on its way into the book.
    pub fn order_triggered(&mut self, asked: &Asked, last_price_cents: i64) {
        let triggered = OrderTriggered {
            account_id: asked.account_id,
            order_id: asked.order_id,
            symbol: asked.symbol,
            last_price_cents,
        };
        self.send_to_account(asked.account_id, AccountCommand::OrderTriggered(triggered));
    }

    /// The end of a day, to every account partition.
    pub fn day_closed(&mut self, day: i32) {
        let closed = DayClosed {
            day,
            book_partition: self.routes.partition,
        };
        for partition in 0..self.routes.account_commands {
            let key = self.routes.partition.to_string().into_bytes();
            self.outputs.send(partition, key, AccountCommand::DayClosed(closed));
        }
    }

    /// Candles of one symbol, if there are any.
    pub fn candles(&mut self, symbol: Symbol, candles: Vec<Candle>) {
        if !candles.is_empty() {
            let update = CandleUpdate {
                symbol,
                candles,
                occurred_us: self.now_us,
            };
            self.send_to_market_data(symbol, MarketData::CandleUpdate(update));
        }
    }

    /// What a step changed; the listing's sequence counts it already.
    pub fn book_update(&mut self, listing: &Listing, touched: &[(Side, Ticks)], last_price_cents: Option<i64>) {
        let changes = touched.iter().map(|(side, price)| {
            let level = listing.book.level(*side, *price);
            LevelChange {
                side: side_of(*side),
                price_cents: listing.cents(*price),
                quantity: level.quantity,
                order_count: count_of(level),
            }
        });
        let update = BookUpdate {
            symbol: listing.instrument.symbol,
            sequence: listing.sequence(),
            changes: changes.collect(),
            last_price_cents,
            occurred_us: self.now_us,
        };
        self.send_to_market_data(update.symbol, MarketData::BookUpdate(update));
    }

    /// The standing of an instrument; the listing's sequence counts the change already.
    pub fn status_change(&mut self, listing: &Listing, note: Option<String>) {
        let change = InstrumentStatusChange {
            symbol: listing.instrument.symbol,
            sequence: listing.sequence(),
            status: listing.instrument.status,
            note,
            occurred_us: self.now_us,
        };
        self.send_to_market_data(change.symbol, MarketData::InstrumentStatusChange(change));
    }

    /// The book as it stands; returns how many levels were written.
    pub fn book_snapshot(&mut self, listing: &Listing, levels_max: usize) -> usize {
        let side = |side| -> Vec<Level> {
            let levels = listing.book.levels(side).take(levels_max);
            levels
                .map(|level| Level {
                    price_cents: listing.cents(level.price),
                    quantity: level.quantity,
                    order_count: count_of(level),
                })
                .collect()
        };
        let snapshot = BookSnapshot {
            symbol: listing.instrument.symbol,
            sequence: listing.sequence(),
            bids: side(Side::Buy),
            asks: side(Side::Sell),
            complete: [Side::Buy, Side::Sell]
                .into_iter()
                .all(|side| listing.book.level_count(side) <= levels_max),
            last_price_cents: listing.last_price_cents,
            reference_price_cents: listing.reference_cents(),
            status: listing.instrument.status,
            occurred_us: self.now_us,
        };
        let levels = snapshot.bids.len() + snapshot.asks.len();
        self.send_to_market_data(snapshot.symbol, MarketData::BookSnapshot(snapshot));
        levels
    }

    /// The sign of life goes to the market-data partition of the same number: the symbols of this
    /// partition are there.
    pub fn heartbeat(&mut self, second: i64, instruments: usize) {
        let heartbeat = Heartbeat {
            partition: self.routes.partition,
            second,
            instruments: i32::try_from(instruments).unwrap_or(i32::MAX),
        };
        let partition = self.routes.partition % self.routes.market_data;
        let key = self.routes.partition.to_string().into_bytes();
        self.outputs.send(partition, key, MarketData::Heartbeat(heartbeat));
    }

    pub fn instrument(&mut self, listing: &Listing) {
        let key = symbol_key(listing.instrument.symbol);
        let partition = partition_of(&key, self.routes.instruments);
        let record = InstrumentEvent::Instrument(listing.instrument.clone());
        self.outputs.send(partition, key, record);
    }

    /// Answers a command, if somebody waits for that and the partition to answer to exists.
    pub fn reply(&mut self, meta: &CommandMeta, reply: Reply) {
        if let Some(to) = &meta.reply_to
            && (0..self.routes.replies).contains(&to.partition)
        {
            self.outputs.send(to.partition, to.instance.clone().into_bytes(), reply);
        }
    }
}

fn side_of(side: Side) -> brokerx_schemas::Side {
    match side {
        Side::Buy => brokerx_schemas::Side::Buy,
        Side::Sell => brokerx_schemas::Side::Sell,
    }
}

fn count_of(level: LevelView) -> i32 {
    i32::try_from(level.order_count).unwrap_or(i32::MAX)
}
