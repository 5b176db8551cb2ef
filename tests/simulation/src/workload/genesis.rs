//! The first record of every inbox, which sets up the market of the run.

use brokerx_schemas::{AccountCommand, BookCommand, Config, Genesis, Session, TopicPartitions};
use brokerx_topics::machine::LOGIC_VERSION;

use super::{PARTITIONS, REPLY_PARTITIONS};
use crate::log::Logs;

/// The clock of every run begins here, milliseconds since the epoch.
pub const START_MS: i64 = 1_700_000_000_000;
/// A day of the simulation lasts six seconds, four of them with an open market.
const DAY_SECONDS: i64 = 6;
const SESSION_SECONDS: i64 = 4;
const DAYS: i32 = 50;

/// The genesis of every inbox partition. The seeds are divided among four markets: always open, with or
/// without an auction after a halt; and with sessions, with or without an opening auction.
pub fn genesis(seed: u64) -> Genesis {
    let counts = brokerx_schemas::SCHEMAS.iter().map(|(topic, _)| TopicPartitions {
        topic: (*topic).to_owned(),
        partitions: if *topic == "replies" {
            REPLY_PARTITIONS
        } else {
            PARTITIONS
        },
    });
    let collect = seed & 1 == 1;
    let sessions = match seed & 2 {
        0 => Vec::new(),
        _ => (0..DAYS).map(session).collect(),
    };
    Genesis {
        log_id: "simulation".to_owned(),
        generation: 0,
        // Every fourth log was begun under the first version, every eighth under the second.
        logic_version: match seed % 8 {
            2 | 6 => 1,
            4 => 2,
            _ => LOGIC_VERSION,
        },
        config_version: 1,
        config: Config {
            collect_while_closed: collect,
            collect_while_halted: collect,
            sessions,
            ..Config::default()
        },
        topics: counts.collect(),
    }
}

fn session(number: i32) -> Session {
    let opens_second = START_MS / 1_000 + i64::from(number) * DAY_SECONDS;
    Session {
        day: 19_675 + number,
        opens_second,
        closes_second: opens_second + SESSION_SECONDS,
    }
}

/// Writes the first record of every inbox.
pub fn write_genesis(seed: u64, logs: &mut Logs) {
    for partition in 0..PARTITIONS {
        logs.append(partition, None, AccountCommand::Genesis(genesis(seed)).into());
        logs.append(partition, None, BookCommand::Genesis(genesis(seed)).into());
    }
}
