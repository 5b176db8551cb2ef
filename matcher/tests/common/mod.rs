//! A matcher without Kafka, and what it answers in short form.
#![allow(
    clippy::unwrap_used,
    clippy::inconsistent_digit_grouping,
    clippy::new_without_default,
    dead_code,
    reason = "each test file uses a part; cents stand behind dollars"
)]

use brokerx_matcher::machine::Matcher;
use brokerx_matcher::naive::{NaiveBook, NaiveTrade, Said};
use brokerx_schemas::*;
use brokerx_topics::machine::{Applied, Content, Emission, Fold, LOGIC_VERSION, Machine, Record};

pub const NOW_MS: i64 = 1_700_000_000_000;
pub const NEVER_US: i64 = i64::MAX;

/// A fold that is fed commands.
pub struct Desk {
    pub fold: Fold<Matcher>,
    pub now_ms: i64,
}

/// A genesis record with 8 partitions for what is keyed.
pub fn genesis(config: Config) -> BookCommand {
    genesis_of(config, LOGIC_VERSION)
}

/// The same of an older log.
pub fn genesis_of(config: Config, logic_version: i32) -> BookCommand {
    let counts = [
        ("account-commands", 8),
        ("trades", 8),
        ("market-data", 8),
        ("instruments", 1),
        ("replies", 64),
    ];
    BookCommand::Genesis(Genesis {
        log_id: "test".to_owned(),
        generation: 0,
        logic_version,
        config_version: 1,
        config,
        topics: counts
            .map(|(topic, partitions)| TopicPartitions {
                topic: topic.to_owned(),
                partitions,
            })
            .to_vec(),
    })
}

pub fn symbol() -> Symbol {
    Symbol::new("AAPL").unwrap()
}

pub fn meta() -> CommandMeta {
    CommandMeta {
        command_id: CommandId([7; 16]),
        reply_to: Some(ReplyTo {
            instance: "ingress-0".to_owned(),
            partition: 3,
        }),
        deadline_us: NEVER_US,
    }
}

/// AAPL at 100.00, tick 0.01, band 5 %.
pub fn listing() -> ListInstrument {
    ListInstrument {
        meta: meta(),
        operator: "operator".to_owned(),
        idempotency_key: None,
        symbol: symbol(),
        name: "Apple Inc.".to_owned(),
        tick_size_cents: 1,
        reference_price_cents: 100_00,
        band_bps: 500,
    }
}

pub fn instrument_command() -> InstrumentCommand {
    InstrumentCommand {
        meta: meta(),
        operator: "operator".to_owned(),
        idempotency_key: None,
        symbol: symbol(),
        note: None,
    }
}

/// A limit order of 10 shares of AAPL, good till cancelled.
pub fn limit(order_id: i64, account_id: i64, side: Side, price_cents: i64, quantity: i64) -> NewOrder {
    NewOrder {
        command_id: CommandId([1; 16]),
        order_id: OrderId(order_id),
        account_id: AccountId(account_id),
        symbol: symbol(),
        side,
        order_type: OrderType::Limit,
        quantity,
        price_cents: Some(price_cents),
        stop_price_cents: None,
        collar_price_cents: None,
        time_in_force: TimeInForce::Gtc,
        post_only: false,
        display_quantity: None,
        self_trade_prevention: SelfTradePrevention::CancelIncoming,
        deadline_us: NEVER_US,
    }
}

impl Desk {
    /// A matcher with its genesis applied.
    pub fn empty() -> Self {
        Self::with(Config::default())
    }

    /// The same with another configuration.
    pub fn with(config: Config) -> Self {
        Self::of_version(config, LOGIC_VERSION)
    }

    /// The same in a log of an older logic version.
    pub fn of_version(config: Config, logic_version: i32) -> Self {
        let mut desk = Self {
            fold: Fold::new(0),
            now_ms: NOW_MS,
        };
        desk.feed(genesis_of(config, logic_version));
        desk
    }

    /// A matcher with AAPL listed.
    pub fn new() -> Self {
        let mut desk = Self::empty();
        desk.feed(BookCommand::ListInstrument(listing()));
        desk
    }

    /// Applies a record to the end and returns all that it sent.
    pub fn feed(&mut self, command: BookCommand) -> Vec<Emission> {
        let mut emissions = Vec::new();
        let record = Record {
            offset: self.fold.position(),
            appended_ms: self.now_ms,
            identity: None,
            digest: 1,
            input: Content::Decoded(command),
        };
        assert_eq!(self.fold.apply(record, &mut emissions).unwrap(), Applied::Yes);
        while !self.fold.is_between_records() {
            self.fold.resume(&mut emissions);
        }
        emissions
    }

    pub fn matcher(&self) -> &Matcher {
        self.fold.machine().unwrap()
    }

    /// Puts the machine through a snapshot.
    pub fn restore(&mut self) {
        let state = self.fold.snapshot_state();
        let mut cursor = Default::default();
        let mut slices = Vec::new();
        while let Some(slice) = self.matcher().snapshot_slice(&mut cursor).unwrap() {
            slices.push(slice);
        }
        let before = self.fold.state_hash();
        self.fold = Fold::restore(state, 0, slices.iter().map(Vec::as_slice)).unwrap();
        assert_eq!(self.fold.state_hash(), before);
    }

    /// A tick at a second.
    pub fn tick_at(&mut self, second: i64) -> Vec<Emission> {
        self.now_ms = second * 1_000;
        self.feed(BookCommand::Tick(Tick { second }))
    }

    /// A tick, one second later.
    pub fn tick(&mut self) -> Vec<Emission> {
        self.now_ms += 1_000;
        self.feed(BookCommand::Tick(Tick {
            second: self.now_ms / 1_000,
        }))
    }
}

/// Everything that one command on one symbol caused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the machine said of orders, in order.
    pub said: Vec<Said>,
    /// Levels that changed, in the order of the updates.
    pub changes: Vec<LevelChange>,
}

impl Outcome {
    /// The trades in order.
    pub fn trades(&self) -> Vec<NaiveTrade> {
        let trades = self.said.iter().filter_map(|said| match said {
            Said::Trade(trade) => Some(*trade),
            _ => None,
        });
        trades.collect()
    }

    /// Orders that ended by the rules: id, cause, shares left.
    pub fn ended(&self) -> Vec<(i64, Reason, i64)> {
        let ended = self.said.iter().filter_map(|said| match said {
            Said::Ended(order_id, cause, leaves) => Some((*order_id, *cause, *leaves)),
            _ => None,
        });
        ended.collect()
    }

    /// Status, reason and shares left of `CommandDone`.
    pub fn done(&self) -> Option<(BookStatus, Option<Reason>, i64)> {
        self.said.iter().find_map(|said| match said {
            Said::Done(status, reason, leaves) => Some((*status, *reason, *leaves)),
            _ => None,
        })
    }
}

/// Reads what a command on one symbol caused, and checks that the records agree with each other.
pub fn outcome(emissions: &[Emission]) -> Outcome {
    let mut outcome = Outcome::default();
    let mut messages = emissions.iter().map(|emission| &emission.output.message);
    let mut done_seen = false;
    while let Some(message) = messages.next() {
        let said = match message {
            AnyMessage::TradeEvent(TradeEvent::Trade(trade)) => {
                let fills = [messages.next(), messages.next()];
                let [maker, taker] = fills.map(|message| match message {
                    Some(AnyMessage::AccountCommand(AccountCommand::Fill(fill))) => *fill,
                    other => panic!("a fill of each side follows its trade: {other:?}"),
                });
                Said::Trade(naive_trade(trade, &maker, &taker))
            }
            AnyMessage::AccountCommand(AccountCommand::Fill(fill)) => panic!("a fill without its trade: {fill:?}"),
            AnyMessage::AccountCommand(AccountCommand::OrderEnded(ended)) => {
                Said::Ended(ended.order_id.0, ended.cause, ended.leaves_quantity)
            }
            AnyMessage::AccountCommand(AccountCommand::OrderTriggered(triggered)) => {
                Said::Triggered(triggered.order_id.0, triggered.last_price_cents)
            }
            AnyMessage::AccountCommand(AccountCommand::CommandDone(done)) => {
                assert!(!done_seen, "CommandDone comes once");
                done_seen = true;
                Said::Done(done.status, done.reason, done.leaves_quantity)
            }
            AnyMessage::MarketData(MarketData::BookUpdate(update)) => {
                outcome.changes.extend(&update.changes);
                continue;
            }
            _ => continue,
        };
        outcome.said.push(said);
    }
    outcome
}

/// The trade, when its records agree.
fn naive_trade(trade: &Trade, maker: &Fill, taker: &Fill) -> NaiveTrade {
    for (fill, liquidity, order_id, account_id) in [
        (maker, Liquidity::Maker, trade.maker_order_id, trade.maker_account_id),
        (taker, Liquidity::Taker, trade.taker_order_id, trade.taker_account_id),
    ] {
        assert_eq!(fill.trade_id, trade.trade_id);
        assert_eq!(
            (fill.liquidity, fill.order_id, fill.account_id),
            (liquidity, order_id, account_id)
        );
        assert_eq!((fill.price_cents, fill.quantity), (trade.price_cents, trade.quantity));
    }
    assert_eq!((maker.side.opposite(), taker.side), (taker.side, trade.taker_side));
    NaiveTrade {
        maker_order_id: trade.maker_order_id.0,
        taker_order_id: trade.taker_order_id.0,
        price_cents: trade.price_cents,
        quantity: trade.quantity,
        maker_leaves: maker.leaves_quantity,
        taker_leaves: taker.leaves_quantity,
    }
}

/// What the naive book makes of a command on an order or on its instrument.
pub fn naively(book: &mut NaiveBook, command: &BookCommand) -> Vec<Said> {
    match command {
        BookCommand::NewOrder(order) => book.place(order),
        BookCommand::ReplaceBookOrder(replace) => book.replace(replace),
        BookCommand::CancelBookOrder(cancel) => book.cancel(cancel),
        BookCommand::HaltInstrument(_) => {
            book.halt();
            Vec::new()
        }
        BookCommand::ResumeInstrument(_) => book.resume(),
        BookCommand::OpenSession(_) => book.open(),
        BookCommand::CloseSession(_) => book.close(),
        BookCommand::DelistInstrument(_) => book.delist(),
        other => panic!("the naive book does not know {other:?}"),
    }
}

/// The records on `market-data`, in order.
pub fn market_data(emissions: &[Emission]) -> Vec<MarketData> {
    let records = emissions.iter().filter_map(|emission| match &emission.output.message {
        AnyMessage::MarketData(record) => Some(record.clone()),
        _ => None,
    });
    records.collect()
}

/// The reply of an operator's command.
pub fn reply(emissions: &[Emission]) -> Reply {
    let replies: Vec<_> = emissions
        .iter()
        .filter_map(|emission| match &emission.output.message {
            AnyMessage::Reply(reply) => Some((emission.output.partition, reply.clone())),
            _ => None,
        })
        .collect();
    let [(partition, reply)] = <[_; 1]>::try_from(replies).unwrap();
    assert_eq!(partition, 3, "a reply goes where the command says");
    reply
}

/// A small generator: the same seed gives the same run everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[(self.next() % items.len() as u64) as usize]
    }
}
