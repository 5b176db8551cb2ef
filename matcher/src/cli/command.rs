//! One line of input.

use serde::Deserialize;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A new order.
    New,
    /// New terms.
    Replace,
    /// A cancel.
    Cancel,
    /// Halts the instrument.
    Halt,
    /// Lifts the halt.
    Resume,
    /// Opens the session.
    Open,
    /// Closes the session.
    Close,
}

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// A bid.
    Buy,
    /// An ask.
    Sell,
}

/// A type of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// At the price or better.
    Limit,
    /// At the best prices there are.
    Market,
    /// A market order once triggered.
    Stop,
    /// A limit order once triggered.
    StopLimit,
}

/// How long an order stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Stay {
    /// Until the session closes.
    Day,
    /// Until cancelled.
    Gtc,
    /// Immediate or cancel.
    Ioc,
    /// Fill or kill.
    Fok,
}

/// What gives way to prevent a self-trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum SelfTrade {
    /// The incoming order.
    #[serde(rename = "cancel_incoming")]
    Incoming,
    /// The resting order.
    #[serde(rename = "cancel_resting")]
    Resting,
    /// Both.
    #[serde(rename = "cancel_both")]
    Both,
}

/// A line of input. Prices are whole ticks, quantities whole shares.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What is asked for.
    pub op: Op,
    /// The order.
    pub id: Option<i64>,
    /// Its owner.
    pub account: Option<i64>,
    /// Its side.
    pub side: Option<Side>,
    /// Its type; a limit order by default.
    #[serde(rename = "type")]
    pub order_type: Option<Type>,
    /// Its limit.
    pub price: Option<i64>,
    /// What triggers a stop.
    pub stop_price: Option<i64>,
    /// The worst price of a market order or stop.
    pub collar: Option<i64>,
    /// Shares; in a replace the new total.
    pub quantity: Option<i64>,
    /// Shares that an iceberg shows.
    pub display_quantity: Option<i64>,
    /// How long it stays; GTC by default.
    pub time_in_force: Option<Stay>,
    /// Refuse rather than take.
    pub post_only: Option<bool>,
    /// What gives way; the incoming order by default.
    pub self_trade: Option<SelfTrade>,
}

impl Line {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let line: Self = serde_json::from_slice(bytes)
            // The parser gets one line at a time and counts each as line 1.
            .map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))?;
        let is_on_order = matches!(line.op, Op::New | Op::Replace | Op::Cancel);
        let is_new = line.op == Op::New;
        let missing = [
            ("id", is_on_order && line.id.is_none()),
            ("account", is_on_order && line.account.is_none()),
            ("side", is_new && line.side.is_none()),
            ("quantity", is_new && line.quantity.is_none()),
        ];
        if let Some((name, _)) = missing.into_iter().find(|(_, is_missing)| *is_missing) {
            return Err(format!("missing field `{name}`"));
        }
        if line.id.is_some_and(|id| id < 0) {
            return Err("`id` is negative".to_owned());
        }
        Ok(line)
    }
}
