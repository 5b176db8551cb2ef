//! The records of an inbox that belong to the runner, not to the business.

use serde::{Deserialize, Serialize};

/// Offset 0 of every inbox partition: everything that `apply` needs to know from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Genesis {
    /// Names this log for ever; a snapshot of another log is refused.
    pub log_id: String,
    /// Topic generation, part of every packed id; 0 at first.
    pub generation: i32,
    /// The version of the machine's behaviour from here on; 1 at first.
    pub logic_version: i32,
    /// The version of the configuration; 1.
    pub config_version: i32,
    /// The whole configuration.
    pub config: Config,
    /// Partition counts of every topic that a machine writes to.
    pub topics: Vec<TopicPartitions>,
}

/// How many partitions a topic has; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPartitions {
    /// The topic's name.
    pub topic: String,
    /// Its partition count.
    pub partitions: i32,
}

/// A new configuration or logic version. It carries everything, not only what is different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// Must be the last version + 1; a lower one is a repeat and is ignored.
    pub version: i32,
    /// The logic version from here on; not lower than before.
    pub logic_version: i32,
    /// The whole configuration.
    pub config: Config,
}

/// The clock of a machine, appended by the runner that owns the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// Seconds since the epoch.
    pub second: i64,
}

/// The rate in orders a second that README advertises. The defaults of [`Config`] take it for a whole day.
pub const ORDERS_PER_SECOND: i64 = 2_000;

/// Partitions of a log that is begun without a word about them.
pub const PARTITIONS: i32 = 8;

/// How many idempotency keys of what has ended the partitions of an inbox remember together, unless told otherwise. A
/// day of [`ORDERS_PER_SECOND`] is 172.8 million: 675 thousandths of this, below the alarm at 700, with room for
/// cancels with keys and for accounts that are spread unevenly. At some 250 bytes for an order that has ended and 100
/// for one that was rejected that is some 43 GB after such a day, and 64 GB at the cap.
const CLOSED_KEYS_MAX: i32 = 256_000_000;

/// The sequenced configuration of the machines. Files only seed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The currency of all cash, ISO 4217.
    pub currency: String,
    /// Fee on executions that rested, in basis points of the notional.
    pub maker_fee_bps: i32,
    /// Fee on executions that crossed, in basis points of the notional.
    pub taker_fee_bps: i32,
    /// Least fee of an order once anything traded.
    pub minimum_fee_cents: i64,
    /// Smallest deposit or withdrawal.
    pub payment_cents_min: i64,
    /// Largest deposit or withdrawal.
    pub payment_cents_max: i64,
    /// Deposits that one account may make in one UTC day.
    pub deposits_per_day_max: i32,
    /// Default limit of an account: shares of one order.
    pub order_quantity_max: i64,
    /// Default limit of an account: notional of one order.
    pub order_notional_cents_max: i64,
    /// Default limit of an account: open orders.
    pub open_orders_max: i32,
    /// How long the idempotency key of an ended order or command is remembered.
    pub closed_key_seconds: i64,
    /// Remembered keys of ended orders and commands of one account.
    pub closed_keys_per_account_max: i32,
    /// Remembered keys of ended orders and commands of one partition.
    pub closed_keys_per_partition_max: i32,
    /// Lowest price of an order.
    pub price_cents_min: i64,
    /// Highest price of an order.
    pub price_cents_max: i64,
    /// How far a market order or a triggered stop may trade from its reference, in basis points.
    pub collar_bps: i32,
    /// How far a limit may be from the last trade where the instrument does not say, in basis points.
    pub band_bps: i32,
    /// Price levels of each side in a periodic snapshot.
    pub snapshot_levels_max: i32,
    /// Every symbol appears in a snapshot within this time.
    pub snapshot_cycle_seconds: i32,
    /// Whether orders are collected for the opening auction while a session is closed, or refused.
    #[serde(default)]
    pub collect_while_closed: bool,
    /// Whether orders are collected for the reopening auction while an instrument is halted, or refused.
    #[serde(default)]
    pub collect_while_halted: bool,
    /// The sessions of the calendar, in order and disjoint; empty when the market is always open.
    /// After the last one it stays closed.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// As long as an account remembers fewer keys than this, those of the other accounts of its partition
    /// cannot take its room.
    #[serde(default = "closed_keys_per_account_assured")]
    pub closed_keys_per_account_assured: i32,
    /// The least share of its quantity that an iceberg shows at a time, in percent, rounded up to a
    /// share; 0 when it may show as little as it likes. Counts from logic version 2 on.
    #[serde(default = "display_percent_min")]
    pub display_percent_min: i32,
}

/// What the schema says where an older writer said nothing.
const fn closed_keys_per_account_assured() -> i32 {
    1_000
}

/// A tenth, as exchanges that bound it ask for too (the Philippine one does): then an order trades in at
/// most ten parts with each one that it meets.
fn display_percent_min() -> i32 {
    10
}

impl Config {
    /// The least that an iceberg of this many shares may show at a time; the share is rounded up.
    pub fn display_quantity_min(&self, quantity: i64) -> i64 {
        let hundredths = i128::from(quantity) * i128::from(self.display_percent_min);
        i64::try_from((hundredths + 99).div_euclid(100)).unwrap_or(i64::MAX)
    }
}

/// One session of the calendar, resolved to UTC when the configuration was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The trading day, in days since the epoch; rises from session to session.
    pub day: i32,
    /// When it opens, in seconds since the epoch.
    pub opens_second: i64,
    /// When it closes, in seconds since the epoch; later than it opens.
    pub closes_second: i64,
}

impl Config {
    /// The default of a log whose inboxes have so many partitions.
    pub fn of_a_log(partitions: i32) -> Self {
        Self {
            closed_keys_per_partition_max: CLOSED_KEYS_MAX / partitions.max(1),
            ..Self::default()
        }
    }
}

#[allow(clippy::inconsistent_digit_grouping, reason = "amounts are grouped as dollars_cents")]
impl Default for Config {
    fn default() -> Self {
        Self {
            currency: "USD".to_owned(),
            maker_fee_bps: 2,
            taker_fee_bps: 5,
            minimum_fee_cents: 0,
            payment_cents_min: 1_00,
            payment_cents_max: 10_000_00,
            deposits_per_day_max: 100,
            order_quantity_max: 10_000,
            order_notional_cents_max: 1_000_000_00,
            open_orders_max: 200,
            closed_key_seconds: 24 * 60 * 60,
            closed_keys_per_account_max: 100_000,
            closed_keys_per_partition_max: CLOSED_KEYS_MAX / PARTITIONS,
            price_cents_min: 1_00,
            price_cents_max: 10_000_00,
            collar_bps: 500,
            band_bps: 500,
            snapshot_levels_max: 10_000,
            snapshot_cycle_seconds: 10,
            collect_while_closed: false,
            collect_while_halted: false,
            sessions: Vec::new(),
            closed_keys_per_account_assured: closed_keys_per_account_assured(),
            display_percent_min: display_percent_min(),
        }
    }
}

/// What a record means to the runner, when it is one of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control<'a> {
    /// The first record of the log.
    Genesis(&'a Genesis),
    /// A new configuration.
    Config(&'a ConfigChange),
    /// The clock.
    Tick(Tick),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_display_is_rounded_up() {
        let least = |percent, quantity| {
            let config = Config {
                display_percent_min: percent,
                ..Config::default()
            };
            config.display_quantity_min(quantity)
        };
        for (percent, quantity, expected) in [
            (10, 10_000, 1_000),
            (10, 11, 2),
            (10, 10, 1),
            (10, 1, 1),
            (0, 10_000, 0),
            (100, 7, 7),
            (i32::MAX, i64::MAX, i64::MAX),
        ] {
            assert_eq!(least(percent, quantity), expected, "{percent} % of {quantity}");
        }
    }
}
