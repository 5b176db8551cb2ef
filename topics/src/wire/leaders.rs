//! Which broker leads which partition.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::connection::{Connection, Request};
use super::refusals::named;
use super::sasl::open;
use crate::service::PlatformOptions;

/// How long it may take to ask, whoever answers.
const LIMIT: Duration = Duration::from_secs(3);

impl Request for MetadataRequest {
    const API: ApiKey = ApiKey::Metadata;
    const VERSION: i16 = 9;
    type Answer = MetadataResponse;
}

/// Which broker leads which partition, as far as it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Leaders {
    /// By partition.
    topics: HashMap<&'static str, Vec<i32>>,
    addresses: BTreeMap<i32, String>,
}

impl Leaders {
    /// Who leads a partition; none when its topic was not asked for, or has no such partition.
    pub(super) fn of(&self, topic: &str, partition: i32) -> Option<i32> {
        let leaders = self.topics.get(topic)?;
        leaders.get(usize::try_from(partition).ok()?).copied()
    }

    /// Whether all that both know of is led by the same brokers, at the same addresses.
    pub(super) fn agree_with(&self, other: &Self) -> bool {
        let leads = |(topic, leaders): (&&str, &Vec<i32>)| other.topics.get(topic).is_none_or(|known| known == leaders);
        let stands = |(id, address): (&i32, &String)| other.addresses.get(id).is_none_or(|known| known == address);
        self.topics.iter().all(leads) && self.addresses.iter().all(stands)
    }

    /// Whether a topic was asked for.
    pub(super) fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Where a broker is.
    pub(super) fn address(&self, broker: i32) -> Option<&str> {
        self.addresses.get(&broker).map(String::as_str)
    }

    /// The same with one more topic, and all that was known asked for again. Waits for 3 s at most.
    ///
    /// # Errors
    /// When no broker answers, or one says that a partition has no leader now; `NotFound` when it says that a topic is
    /// not there.
    pub(super) fn with(&self, topic: Option<&'static str>, platform: &PlatformOptions) -> io::Result<Self> {
        let topics: Vec<&'static str> = self.topics.keys().copied().chain(topic).collect();
        let mut left = LIMIT;
        let mut last = io::Error::other("there is no broker to ask");
        let brokers = platform.kafka_brokers.split(',').map(str::trim);
        let brokers: Vec<&str> = brokers.filter(|text| !text.is_empty()).collect();
        for (address, behind) in brokers.iter().zip((1..=brokers.len() as u32).rev()) {
            // One that does not answer leaves time for those behind it.
            let begun = Instant::now();
            let deadline = begun + left / behind;
            let asked = open(address, &platform.kafka_security, deadline)
                .and_then(|mut connection| ask(&mut connection, &topics, deadline));
            match asked {
                Ok(leaders) => return Ok(leaders),
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
                Err(error) => last = io::Error::new(error.kind(), format!("{address}: {error}")),
            }
            left = left.saturating_sub(begun.elapsed());
        }
        Err(last)
    }
}

fn ask(connection: &mut Connection, topics: &[&'static str], deadline: Instant) -> io::Result<Leaders> {
    let asked_for = |topic: &&'static str| {
        let name = TopicName(StrBytes::from_static_str(topic));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let request = MetadataRequest::default()
        .with_topics(Some(topics.iter().map(asked_for).collect()))
        .with_allow_auto_topic_creation(false);
    let answer = connection.ask(&request, deadline)?;
    let mut leaders = Leaders::default();
    for broker in &answer.brokers {
        let address = format!("{}:{}", broker.host.as_str(), broker.port);
        leaders.addresses.insert(broker.node_id.0, address);
    }
    for topic in topics {
        let told = answer
            .topics
            .iter()
            .find(|told| told.name.as_ref().is_some_and(|name| name.0.as_str() == *topic));
        let told = told.ok_or_else(|| io::Error::other(format!("nothing is said of topic {topic}")))?;
        let refused = |code: i16| io::Error::new(ErrorKind::NotFound, format!("topic {topic}: {}", named(code)));
        if told.error_code != 0 {
            return Err(refused(told.error_code));
        }
        let mut by_partition = vec![-1; told.partitions.len()];
        for partition in &told.partitions {
            let place = usize::try_from(partition.partition_index).ok();
            match place.and_then(|place| by_partition.get_mut(place)) {
                Some(leader) if partition.leader_id.0 >= 0 => *leader = partition.leader_id.0,
                // It will have one soon, after a broker has started or gone.
                _ => {
                    let why = format!("{topic}-{}: no leader", partition.partition_index);
                    return Err(io::Error::new(ErrorKind::NotConnected, why));
                }
            }
        }
        leaders.topics.insert(topic, by_partition);
    }
    Ok(leaders)
}
