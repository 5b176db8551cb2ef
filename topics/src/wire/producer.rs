//! Gathers records, sends them in one request to each broker, and takes in what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiKey, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::{Decodable, StrBytes};
use prometheus_client::metrics::histogram::Histogram;

use super::batch::{Batch, Header};
use super::connection::{Connection, Request};
use super::leaders::Leaders;
use super::refusals::named;
use super::sasl::open;
use crate::service::clock::now_us;
use crate::service::kafka::MESSAGE_BYTES_MAX;
use crate::service::{Backoff, PlatformOptions, backoff};

/// A batch of this size is not made larger: what comes next waits for the next request.
const BATCH_BYTES: usize = 512 << 10;
/// What one broker is sent in the next request at most; more waits in front of the producer.
const GATHERED_BYTES_MAX: usize = 8 << 20;
/// Requests that a broker has not answered at most. It takes them one after the other, and what
/// waits here meanwhile becomes fewer and larger ones.
const SENT_MAX: usize = 4;
/// How long it may take to connect, the system's look for the name's addresses left out. The thread does nothing else
/// meanwhile.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long a broker may take to write what it was sent to all replicas in sync.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// A broker that answers nothing for so long is connected to anew.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);

/// Who asks for leaders again and finds others cannot tell what was written before from what was not.
const MOVED: &str = "partitions have moved to other brokers";

impl Request for ProduceRequest {
    const API: ApiKey = ApiKey::Produce;
    const VERSION: i16 = 9;
    type Answer = ProduceResponse;
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where to.
    pub topic: &'static str,
    /// Where to.
    pub partition: i32,
    /// The record's key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: &'a [u8],
    /// The headers, in their order.
    pub headers: &'a [Header<'a>],
}

/// Why a record was not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum AddError {
    /// There is no room: [`collect`](Producer::collect) first.
    Full,
    /// It can never be sent.
    Unsendable(String),
    /// It is not known where it should go, because no broker answers: try again.
    Away(String),
    /// A broker says that there is no such place now.
    Refused(String),
}

/// A producer for one thread. `T` is what a record is known by when it is acknowledged.
pub struct Producer<T> {
    platform: PlatformOptions,
    leaders: Leaders,
    brokers: BTreeMap<i32, Broker<T>>,
    /// When brokers may be asked for leaders again.
    ask_at: Option<Instant>,
    asking: Backoff,
    latency: Histogram,
    /// Why it is of no more use. What was answered since cannot be told from what was not.
    failed: Option<String>,
}

struct Broker<T> {
    link: Link,
    /// Pauses between connections that came to nothing.
    pause: Backoff,
    /// Whether anything was answered since it was connected.
    has_answered: bool,
    /// What goes with the next request.
    gathered: BTreeMap<(&'static str, i32), Batch>,
    gathered_bytes: usize,
    tags: Vec<T>,
    /// What was sent and is not acknowledged, oldest first.
    sent: VecDeque<Sent<T>>,
}

enum Link {
    Up(Connection),
    Down { retry_at: Instant },
}

struct Sent<T> {
    request: ProduceRequest,
    tags: Vec<T>,
    first_at: Instant,
    last_at: Instant,
}

impl<T: Copy> Producer<T> {
    /// A producer that is connected to nobody yet. `latency` is told, in seconds, how long each record took
    /// from being sent to being acknowledged.
    pub fn new(platform: &PlatformOptions, latency: Histogram) -> Self {
        Self {
            platform: platform.clone(),
            leaders: Leaders::default(),
            brokers: BTreeMap::new(),
            ask_at: None,
            asking: backoff(),
            latency,
            failed: None,
        }
    }

    /// Takes a record, which goes out with the next [`collect`](Self::collect). Waits, some seconds at most,
    /// when it is the first to its topic.
    ///
    /// # Errors
    /// When it was not taken.
    pub fn add(&mut self, tag: T, record: Record<'_>) -> Result<(), AddError> {
        if let Some(reason) = &self.failed {
            return Err(AddError::Refused(reason.clone()));
        }
        let size = Batch::size_of(record.key, record.value, record.headers);
        if size > MESSAGE_BYTES_MAX {
            return Err(AddError::Unsendable(format!(
                "a record to {} has {size} bytes, more than {MESSAGE_BYTES_MAX}",
                record.topic
            )));
        }
        if !self.leaders.knows(record.topic) {
            self.learn(record.topic)?;
        }
        let Some(leader) = self.leaders.of(record.topic, record.partition) else {
            return Err(AddError::Refused(format!(
                "there is no partition {}-{}",
                record.topic, record.partition
            )));
        };
        let broker = self.brokers.entry(leader).or_insert_with(Broker::new);
        let place = (record.topic, record.partition);
        let grown = broker.gathered.get(&place).map_or(0, Batch::len) + size;
        let is_first = grown == size;
        if broker.gathered_bytes + size > GATHERED_BYTES_MAX || (!is_first && grown > BATCH_BYTES) {
            return Err(AddError::Full);
        }
        let batch = broker
            .gathered
            .entry(place)
            .or_insert_with(|| Batch::new(now_us() / 1_000));
        batch.push(record.key, record.value, record.headers);
        broker.gathered_bytes += size;
        broker.tags.push(tag);
        Ok(())
    }

    fn learn(&mut self, topic: &'static str) -> Result<(), AddError> {
        let now = Instant::now();
        if self.ask_at.is_some_and(|at| now < at) {
            return Err(AddError::Away(format!("who leads {topic} is asked again soon")));
        }
        match self.leaders.with(Some(topic), &self.platform) {
            Ok(leaders) if !leaders.agree_with(&self.leaders) => Err(AddError::Refused(self.fails(MOVED.to_owned()))),
            Ok(leaders) => {
                self.leaders = leaders;
                self.ask_at = None;
                self.asking.reset();
                Ok(())
            }
            Err(error) => {
                tracing::warn!(topic, %error, "who leads a topic is not known");
                self.ask_at = Some(Instant::now() + self.asking.next());
                match error.kind() {
                    io::ErrorKind::NotFound => Err(AddError::Refused(error.to_string())),
                    _ => Err(AddError::Away(error.to_string())),
                }
            }
        }
    }

    /// Sends what was gathered, as far as the brokers have room, and appends the tags of what was
    /// acknowledged since the last call. Waits for something to happen up to `wait` when records are on their
    /// way, and for a connection, and for leaders when it cannot be made, some seconds at most.
    ///
    /// # Errors
    /// When a broker refused a record, or partitions went to other brokers. The producer is of no more use:
    /// what it has not told to be acknowledged may be written or not, and every later call says so too.
    pub fn collect(&mut self, wait: Duration, acknowledged: &mut Vec<T>) -> Result<(), String> {
        if let Some(reason) = &self.failed {
            return Err(reason.clone());
        }
        self.collect_or_fail(wait, acknowledged)
            .map_err(|reason| self.fails(reason))
    }

    fn fails(&mut self, reason: String) -> String {
        self.failed.get_or_insert(reason).clone()
    }

    fn collect_or_fail(&mut self, wait: Duration, acknowledged: &mut Vec<T>) -> Result<(), String> {
        let before = acknowledged.len();
        self.turn(acknowledged)?;
        if wait.is_zero() || acknowledged.len() > before || self.in_flight() == 0 {
            return Ok(());
        }
        // With several brokers the first that is up decides when to look again; none is looked at later than that.
        let waiting = self.brokers.values().find_map(|broker| match &broker.link {
            Link::Up(connection) if !broker.sent.is_empty() => Some(connection),
            _ => None,
        });
        match waiting {
            Some(connection) => connection.wait(wait).map_err(|error| error.to_string())?,
            None => std::thread::sleep(wait.min(Duration::from_millis(10))),
        }
        self.turn(acknowledged)
    }

    fn turn(&mut self, acknowledged: &mut Vec<T>) -> Result<(), String> {
        for (id, broker) in &mut self.brokers {
            if broker.sent.is_empty() && broker.gathered.is_empty() {
                continue;
            }
            if let Err(error) = broker.connect(*id, &self.leaders, &self.platform)? {
                tracing::debug!(broker = id, %error, "a broker is away");
                continue;
            }
            let lost = match broker.exchange(acknowledged, &self.latency) {
                Ok(refused) => {
                    refused?;
                    continue;
                }
                Err(error) => error,
            };
            // A broker ends a connection that was idle for minutes: all is sent again on another one.
            tracing::info!(broker = id, error = %lost, "the connection to a broker is lost");
            broker.lost();
        }
        Ok(())
    }

    /// Records that were taken and are not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.brokers.values().map(Broker::in_flight).sum()
    }
}

impl<T: Copy> Broker<T> {
    fn new() -> Self {
        Self {
            link: Link::Down {
                retry_at: Instant::now(),
            },
            pause: backoff(),
            has_answered: false,
            gathered: BTreeMap::new(),
            gathered_bytes: 0,
            tags: Vec::new(),
            sent: VecDeque::new(),
        }
    }

    fn in_flight(&self) -> usize {
        self.tags.len() + self.sent.iter().map(|sent| sent.tags.len()).sum::<usize>()
    }

    /// Connects when it is not connected and the time has come, and sends again what was not acknowledged.
    /// The inner error says why it is still away.
    fn connect(&mut self, id: i32, leaders: &Leaders, platform: &PlatformOptions) -> Result<io::Result<()>, String> {
        let Link::Down { retry_at } = self.link else {
            return Ok(Ok(()));
        };
        let now = Instant::now();
        if now < retry_at {
            return Ok(Err(io::ErrorKind::NotConnected.into()));
        }
        let address = leaders.address(id).unwrap_or_default();
        let opened = open(address, &platform.kafka_security, now + CONNECT_LIMIT);
        let opened = opened.and_then(|mut connection| {
            for sent in &mut self.sent {
                connection.send(&sent.request)?;
                sent.last_at = Instant::now();
            }
            Ok(connection)
        });
        match opened {
            Ok(connection) => {
                self.link = Link::Up(connection);
                self.has_answered = false;
                Ok(Ok(()))
            }
            Err(error) => {
                // When it stays away, others may lead its partitions.
                let asked = leaders.with(None, platform);
                // The pause begins after that.
                self.lost();
                match asked {
                    Ok(found) if !found.agree_with(leaders) => Err(MOVED.to_owned()),
                    _ => Ok(Err(error)),
                }
            }
        }
    }

    fn lost(&mut self) {
        // One that served is connected to again at once: it may only have been idle for too long.
        let pause = match std::mem::take(&mut self.has_answered) {
            true => Duration::ZERO,
            false => self.pause.next(),
        };
        self.link = Link::Down {
            retry_at: Instant::now() + pause,
        };
    }

    /// Takes in what was answered and sends what was gathered. The outer error says that the connection is
    /// lost, the inner one that the broker refused.
    fn exchange(&mut self, acknowledged: &mut Vec<T>, latency: &Histogram) -> io::Result<Result<(), String>> {
        let Link::Up(connection) = &mut self.link else {
            return Ok(Ok(()));
        };
        connection.push()?;
        while !self.sent.is_empty()
            && let Some(mut answer) = connection.receive()?
        {
            let answer = ProduceResponse::decode(&mut answer, ProduceRequest::VERSION).map_err(io::Error::other)?;
            if let Some(refusal) = refusal(&answer) {
                return Ok(Err(refusal));
            }
            let Some(sent) = self.sent.pop_front() else { break };
            self.has_answered = true;
            self.pause.reset();
            // It takes one after the other: the next has its time from now on.
            if let Some(next) = self.sent.front_mut() {
                next.last_at = Instant::now();
            }
            let seconds = sent.first_at.elapsed().as_secs_f64();
            sent.tags.iter().for_each(|_| latency.observe(seconds));
            acknowledged.extend(sent.tags);
        }
        if self
            .sent
            .front()
            .is_some_and(|sent| sent.last_at.elapsed() > SILENCE_LIMIT)
        {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the broker does not answer"));
        }
        if !self.gathered.is_empty() && self.sent.len() < SENT_MAX {
            let now = Instant::now();
            self.gathered_bytes = 0;
            self.sent.push_back(Sent {
                request: request(std::mem::take(&mut self.gathered)),
                tags: std::mem::take(&mut self.tags),
                first_at: now,
                last_at: now,
            });
            if let Some(sent) = self.sent.back() {
                connection.send(&sent.request)?;
            }
        }
        Ok(Ok(()))
    }
}

fn request(gathered: BTreeMap<(&'static str, i32), Batch>) -> ProduceRequest {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let mut last = None;
    for ((topic, partition), batch) in gathered {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch.finish().into()));
        match topics.last_mut() {
            Some(same) if last == Some(topic) => same.partition_data.push(data),
            _ => topics.push(
                TopicProduceData::default()
                    .with_name(TopicName(StrBytes::from_static_str(topic)))
                    .with_partition_data(vec![data]),
            ),
        }
        last = Some(topic);
    }
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(WRITE_LIMIT.as_millis() as i32)
        .with_topic_data(topics)
}

/// The first record that a broker refused, in words.
fn refusal(answer: &ProduceResponse) -> Option<String> {
    let partitions = answer.responses.iter().flat_map(|topic| {
        topic
            .partition_responses
            .iter()
            .map(move |partition| (topic, partition))
    });
    let (topic, partition) = partitions
        .into_iter()
        .find(|(_, partition)| partition.error_code != 0)?;
    let said = partition.error_message.as_ref().map_or("", |text| text.as_str());
    Some(format!(
        "a record to {}-{}: {} {said}",
        topic.name.0.as_str(),
        partition.index,
        named(partition.error_code)
    ))
}
