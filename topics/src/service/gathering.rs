//! Consumers off the path of an order: they wait while little comes, and gather while much does.
//!
//! A request costs the broker and its client about as much as a dozen records. At thousands of
//! records a second an answer to each is most of the load, so the broker is told to gather records
//! before it answers. A broker that gathers answers each time the wait is over, though, and with
//! nothing when nothing came: as the only way to read, that was most of the work of an idle system.
//!
//! So there are two ways, and the rate of the records decides between them. librdkafka fixes both
//! settings when a client is made, and what it has to hold a fetch back (pausing, a low
//! `queued.min.messages`) lets a request go out with some of the partitions only, whose long wait
//! then holds up the others; so a change makes a new client, which goes on where the last one was.
//! It takes a moment, and changes are rare: busy within seconds, quiet only after half a minute.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Drained;
use super::kafka::{gathering, poll_time};

/// The rate is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// A poll that takes this long found nothing that was fetched before.
const WAITED: Duration = Duration::from_millis(5);
/// So many looks in a row without much to read end the gathering.
const QUIET_LOOKS: u32 = 30;

/// When a consumer gathers, and the settings with which it does.
#[derive(Debug)]
pub struct Gathering {
    /// How long the broker gathers: so often it answers in vain when nothing comes.
    wait: Duration,
    is_busy: bool,
    records: u32,
    looked_at: Instant,
    quiet_looks: u32,
}

impl Gathering {
    /// While much comes the broker gathers records for so long, or until there are 64 KiB.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait: wait.max(Duration::from_millis(1)),
            is_busy: false,
            records: 0,
            looked_at: Instant::now(),
            quiet_looks: 0,
        }
    }

    /// A record came.
    pub fn count(&mut self) {
        self.records = self.records.saturating_add(1);
    }

    /// The settings of a client as things are now.
    pub fn settings(&self, config: ClientConfig) -> ClientConfig {
        match self.is_busy {
            true => gathering(config, self.wait),
            false => config,
        }
    }

    /// Looks at the rate when it is time to. True when another client is needed, see
    /// [`settings`](Self::settings).
    pub fn changes(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.looked_at);
        if since < LOOK {
            return false;
        }
        let records = std::mem::take(&mut self.records);
        // As many as there are in this time when the broker gathers.
        let answers = since.div_duration_f64(self.wait) as u32;
        self.looked_at = now;
        let was_busy = self.is_busy;
        if records > answers.saturating_mul(2) {
            (self.is_busy, self.quiet_looks) = (true, 0);
        } else if records > answers / 2 {
            self.quiet_looks = 0;
        } else {
            self.quiet_looks += 1;
            self.is_busy &= self.quiet_looks < QUIET_LOOKS;
        }
        self.is_busy != was_busy
    }
}

/// A consumer that reads by [`assign`](Self::assign) and gathers while it pays.
pub struct GatheringConsumer<C: ConsumerContext> {
    config: ClientConfig,
    context: C,
    consumer: Drained<BaseConsumer<C>>,
    /// None: it never gathers.
    gathering: Option<Gathering>,
    /// What is read, and from where this client began.
    assigned: TopicPartitionList,
    /// When a poll last had to wait: everything that had been fetched was handed out.
    waited_at: Option<Instant>,
}

impl<C: ConsumerContext + Clone + 'static> GatheringConsumer<C> {
    /// A consumer of these settings for which the broker gathers so long when much comes.
    ///
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(config: ClientConfig, wait: Option<Duration>, context: C) -> KafkaResult<Self> {
        Ok(Self {
            consumer: config.create_with_context(context.clone())?,
            config,
            context,
            gathering: wait.map(Gathering::new),
            assigned: TopicPartitionList::new(),
            waited_at: None,
        })
    }

    /// The client of now, to ask the broker with.
    pub fn client(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Reads these partitions from these offsets on, each a number.
    ///
    /// # Errors
    /// When librdkafka refuses the list.
    pub fn assign(&mut self, places: TopicPartitionList) -> KafkaResult<()> {
        self.consumer.assign(&places)?;
        self.assigned = places;
        Ok(())
    }

    /// Reads a partition no more.
    ///
    /// # Errors
    /// When it was not read.
    pub fn leave(&mut self, topic: &str, partition: i32) -> KafkaResult<()> {
        let mut left = TopicPartitionList::new();
        left.add_partition(topic, partition);
        self.consumer.pause(&left)?;
        let mut rest = TopicPartitionList::new();
        for place in self.assigned.elements() {
            if (place.topic(), place.partition()) != (topic, partition) {
                rest.add_partition_offset(place.topic(), place.partition(), place.offset())?;
            }
        }
        self.assigned = rest;
        Ok(())
    }

    /// The next record, or an error of the client, within a time.
    pub fn poll(&mut self, limit: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        if let Some(gathering) = &mut self.gathering
            && gathering.changes(Instant::now())
        {
            let config = gathering.settings(self.config.clone());
            if let Err(error) = self.go_on_with(&config) {
                return Some(Err(error));
            }
        }
        let asked = Instant::now();
        let polled = self.consumer.poll(poll_time(limit));
        if polled.is_none() || asked.elapsed() >= WAITED {
            self.waited_at = Some(asked);
        }
        if let (Some(gathering), Some(Ok(_))) = (&mut self.gathering, &polled) {
            gathering.count();
        }
        polled
    }

    /// Where it is in each partition that it reads, markers of transactions included.
    ///
    /// # Errors
    /// When it was not told to read anything.
    pub fn reached(&self) -> KafkaResult<TopicPartitionList> {
        let reached = self.consumer.position()?;
        let mut places = TopicPartitionList::with_capacity(self.assigned.count());
        for place in self.assigned.elements() {
            let reached = reached.find_partition(place.topic(), place.partition());
            let offset = match reached.map(|reached| reached.offset()) {
                Some(Offset::Offset(offset)) => offset,
                // Nothing of it was handed out yet.
                _ => place.offset().to_raw().unwrap_or(0),
            };
            places.add_partition_offset(place.topic(), place.partition(), Offset::Offset(offset))?;
        }
        Ok(places)
    }

    /// Whether a poll had to wait since then: what comes is not held back by what was fetched before it.
    pub fn has_waited_since(&self, then: Instant) -> bool {
        self.waited_at.is_some_and(|at| at >= then)
    }

    fn go_on_with(&mut self, config: &ClientConfig) -> KafkaResult<()> {
        let places = self.reached()?;
        let consumer: Drained<BaseConsumer<C>> = config.create_with_context(self.context.clone())?;
        consumer.assign(&places)?;
        std::mem::replace(&mut self.consumer, consumer).retire();
        self.assigned = places;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rdkafka::Message;
    use rdkafka::consumer::DefaultConsumerContext;
    use rdkafka::mocking::MockCluster;
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

    use super::*;

    /// Looks once a second; the rates at which the gathering changed, by second.
    fn changes(rates: impl IntoIterator<Item = u32>) -> Vec<(u32, bool)> {
        let mut gathering = Gathering::new(Duration::from_millis(20));
        let start = gathering.looked_at;
        let mut changes = Vec::new();
        for (second, rate) in (1..).zip(rates) {
            gathering.records = rate;
            assert!(!gathering.changes(gathering.looked_at), "it is not time to look");
            if gathering.changes(start + LOOK * second) {
                changes.push((second, gathering.is_busy));
            }
        }
        changes
    }

    #[test]
    fn a_heartbeat_is_waited_for_and_a_flood_is_gathered() {
        assert_eq!(changes([10; 100]), []);
        assert_eq!(changes([10, 10, 1_000, 1_000]), [(3, true)]);
    }

    #[test]
    fn quiet_comes_only_after_a_while_of_little() {
        let flood_then_little = [1_000].into_iter().chain([10; 40]);
        assert_eq!(changes(flood_then_little), [(1, true), (31, false)]);
        let now_and_then_more = [1_000].into_iter().chain([10, 10, 10, 10, 40].repeat(20));
        assert_eq!(changes(now_and_then_more), [(1, true)]);
    }

    #[test]
    fn another_client_goes_on_where_the_last_one_was() {
        const RECORDS: i32 = 300;
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("topic", 3, 1).unwrap();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("group.id", "none");
        let producer: BaseProducer = config.create().unwrap();
        let send = |number: i32| {
            let value = number.to_string();
            // Nothing comes to partition 2: its place is the one that it was given.
            let record = BaseRecord::<(), _>::to("topic").partition(number % 2).payload(&value);
            producer.send(record).unwrap();
        };
        (0..RECORDS).for_each(send);
        producer.flush(Duration::from_secs(10)).unwrap();

        let wait = Duration::from_millis(20);
        let mut consumer = GatheringConsumer::new(config.clone(), Some(wait), DefaultConsumerContext).unwrap();
        let mut places = TopicPartitionList::new();
        for partition in 0..3 {
            places
                .add_partition_offset("topic", partition, Offset::Offset(0))
                .unwrap();
        }
        consumer.assign(places).unwrap();
        let mut read = Vec::new();
        let started = Instant::now();
        while read.len() < RECORDS as usize {
            assert!(started.elapsed() < Duration::from_secs(60), "only {} came", read.len());
            // Among records that were fetched already, and before the first.
            if [0, 100, 250].contains(&read.len()) {
                consumer.go_on_with(&config).unwrap();
            }
            if let Some(record) = consumer.poll(wait) {
                let record = record.unwrap();
                read.push((record.partition(), record.offset()));
            }
        }
        // It knows where it is also before another client has read anything.
        let reached = |consumer: &GatheringConsumer<DefaultConsumerContext>| {
            let places = consumer.reached().unwrap();
            places
                .elements()
                .iter()
                .map(|place| place.offset().to_raw().unwrap())
                .collect::<Vec<_>>()
        };
        let half = i64::from(RECORDS / 2);
        assert_eq!(reached(&consumer), [half, half, 0]);
        consumer.go_on_with(&config).unwrap();
        assert_eq!(reached(&consumer), [half, half, 0]);
        let expected = |partition| (0..i64::from(RECORDS / 2)).map(move |offset| (partition, offset));
        for thread in std::fs::read_dir("/proc/self/task").unwrap() {
            let name = thread.unwrap().path().join("comm");
            while std::fs::read_to_string(&name).is_ok_and(|name| name.trim() == "retired") {
                assert!(
                    started.elapsed() < Duration::from_secs(60),
                    "a former client does not end"
                );
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        for partition in [0, 1] {
            let of_partition = read.iter().copied().filter(|(of, _)| *of == partition);
            assert!(of_partition.eq(expected(partition)), "partition {partition}");
        }
    }
}
