//! `book-commands`: the inbox of the matcher. Key: the symbol.

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, CommandId, CommandMeta, ConfigChange, Genesis, OrderId, OrderType, SelfTradePrevention, Side, Symbol,
    Tick, TimeInForce, kinds,
};

/// Settlement forwards an order for which it has reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewOrder {
    /// The client's command; `CommandDone` repeats it.
    pub command_id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// The owner.
    pub account_id: AccountId,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, stop or stop-limit.
    pub order_type: OrderType,
    /// Shares.
    pub quantity: i64,
    /// Limit price; none for market and stop.
    pub price_cents: Option<i64>,
    /// Trigger of a stop or stop-limit.
    pub stop_price_cents: Option<i64>,
    /// The worst price that was reserved for a market order or a stop.
    pub collar_price_cents: Option<i64>,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take liquidity.
    pub post_only: bool,
    /// Shares shown of an iceberg order.
    pub display_quantity: Option<i64>,
    /// What gives way to prevent a self-trade.
    pub self_trade_prevention: SelfTradePrevention,
    /// A record that is appended later than this (microseconds since the epoch) does nothing.
    pub deadline_us: i64,
}

/// Settlement forwards a change of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceBookOrder {
    /// The client's command.
    pub command_id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// The owner.
    pub account_id: AccountId,
    /// The instrument.
    pub symbol: Symbol,
    /// The limit price from here on; none for an order without.
    pub price_cents: Option<i64>,
    /// The total quantity from here on, including what has traded.
    pub quantity: i64,
    /// How long it stays from here on.
    pub time_in_force: TimeInForce,
    /// A record that is appended later than this does nothing.
    pub deadline_us: i64,
}

/// Settlement forwards a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelBookOrder {
    /// The client's command.
    pub command_id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// The owner.
    pub account_id: AccountId,
    /// The instrument.
    pub symbol: Symbol,
    /// A record that is appended later than this does nothing.
    pub deadline_us: i64,
}

/// An operator lists an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListInstrument {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// The instrument.
    pub symbol: Symbol,
    /// Its name.
    pub name: String,
    /// Every price is a multiple of this.
    pub tick_size_cents: i64,
    /// The reference for bands and collars before the first trade.
    pub reference_price_cents: i64,
    /// How far a limit may be from the last trade, in basis points.
    pub band_bps: i32,
}

/// An operator acts on one instrument: halt, resume, delist, open or close its session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentCommand {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// The instrument.
    pub symbol: Symbol,
    /// Why, in the operator's words.
    pub note: Option<String>,
}

kinds! {
    /// A record of `book-commands`.
    BookCommand, BookCommandKind {
        /// Offset 0.
        genesis: Genesis(Genesis),
        /// A new configuration.
        config: Config(ConfigChange),
        /// The clock.
        tick: Tick(Tick),
        /// A new order.
        new_order: NewOrder(NewOrder),
        /// A change of terms.
        replace_book_order: ReplaceBookOrder(ReplaceBookOrder),
        /// A cancel.
        cancel_book_order: CancelBookOrder(CancelBookOrder),
        /// An operator lists an instrument.
        list_instrument: ListInstrument(ListInstrument),
        /// An operator halts an instrument.
        halt_instrument: HaltInstrument(InstrumentCommand),
        /// An operator resumes an instrument.
        resume_instrument: ResumeInstrument(InstrumentCommand),
        /// An operator delists an instrument.
        delist_instrument: DelistInstrument(InstrumentCommand),
        /// An operator opens the session of an instrument.
        open_session: OpenSession(InstrumentCommand),
        /// An operator closes the session of an instrument.
        close_session: CloseSession(InstrumentCommand),
    }
}
