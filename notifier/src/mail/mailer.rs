//! Reads `auth`, has letters delivered, and commits what is settled.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use brokerx_schemas::{AuthEvent, Message};
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers::trace_of;
use brokerx_topics::passes::{Passes, hint};
use brokerx_topics::service::clock::now_us;
use brokerx_topics::service::{Backoff, Check, DeliveringProducer, Drained, PlatformOptions, Shutdown, backoff, kafka};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio::task::{Id, JoinSet};
use tracing::Instrument;

use super::burial::Burial;
use super::commits::{UnderWay, commit};
use super::desk::{Desk, Outcome, Patience, Request, Work};
use super::offsets::{Offsets, Seen};
use super::options::MailOptions;
use super::post::Post;
use super::stuck::{Stuck, StuckRecords};
use crate::telemetry::{MailMetrics, MailOutcome};

/// The consumer group.
const GROUP: &str = "brokerx-mail";
/// How long a poll takes while nothing is under way.
const POLL: Duration = Duration::from_millis(500);
/// And while something is: what became of it is seen after a poll.
const BUSY_POLL: Duration = Duration::from_millis(20);
/// How long it may take to seek back to a record that must wait, and to read what was committed.
const ASK_LIMIT: Duration = Duration::from_secs(5);
/// How long a stop waits for letters that are being handed over, and for a commit.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Sends the mails.
pub struct Mailer {
    /// Where the brokers are.
    pub platform: PlatformOptions,
    /// Names this instance in the group.
    pub instance: String,
    /// Decodes `auth`.
    pub codec: Codec,
    /// Which records everybody passes.
    pub passes: Passes,
    /// Writes dead letters.
    pub producer: DeliveringProducer,
    /// How patient it is, and with how many letters at once.
    pub options: MailOptions,
    /// Delivers.
    pub post: Arc<Post>,
    /// What is counted.
    pub metrics: MailMetrics,
    /// Holds while mails do not wait for anything.
    pub check: Check,
    /// When to stop.
    pub shutdown: Shutdown,
}

impl Mailer {
    /// Starts the thread; it ends soon after the shutdown is requested, once the letters that are being
    /// handed over are, or after 3 s.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, in which letters are delivered.
    pub fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        let runtime = Handle::current();
        std::thread::Builder::new().name("mail".to_owned()).spawn(move || {
            let _context = runtime.enter();
            let mut pause = backoff();
            while !self.shutdown.is_requested() {
                let started = Instant::now();
                if let Err(error) = self.live(&runtime) {
                    self.check.set(false, &format!("{error:#}"));
                    tracing::warn!(error = format!("{error:#}"), "reading auth begins anew");
                    if started.elapsed() > Duration::from_secs(60) {
                        pause.reset();
                    }
                    std::thread::sleep(pause.next());
                }
            }
        })
    }

    /// From joining the group to the first error, or to the stop.
    fn live(&self, runtime: &Handle) -> anyhow::Result<()> {
        let consumer: Drained = kafka::consumer_config(&self.platform, GROUP)
            .set("group.instance.id", format!("notifier-{}", self.instance))
            .create()?;
        consumer.subscribe(&[AuthEvent::TOPIC])?;
        tracing::info!(place = self.post.place(), "mails are delivered");
        let patience = Patience {
            pause: Duration::from_secs(self.options.mail_pause_seconds),
            limit: Duration::from_secs(self.options.mail_patience_seconds),
        };
        let mut life = Life {
            mailer: self,
            burial: Burial {
                producer: self.producer.clone(),
                codec: self.codec.clone(),
            },
            runtime,
            consumer: Arc::new(consumer),
            offsets: Offsets::default(),
            commits: UnderWay::default(),
            desk: Desk::new(patience, self.options.smtp.smtp_connections_max as usize),
            tasks: JoinSet::new(),
            carried: HashMap::new(),
            assigned: BTreeSet::new(),
            full: BTreeSet::new(),
            stuck: StuckRecords::default(),
            pause: backoff(),
        };
        life.run()
    }
}

/// A consumer and what is under way.
struct Life<'a> {
    mailer: &'a Mailer,
    burial: Burial,
    runtime: &'a Handle,
    consumer: Arc<Drained>,
    offsets: Offsets,
    commits: UnderWay,
    desk: Desk,
    tasks: JoinSet<Outcome>,
    /// Which letter a task works on.
    carried: HashMap<Id, u64>,
    /// Partitions that are its own.
    assigned: BTreeSet<i32>,
    /// Those of them that are not read for now.
    full: BTreeSet<i32>,
    /// The partitions whose next record cannot be read for now.
    stuck: StuckRecords,
    /// Between tries to read one.
    pause: Backoff,
}

impl Life<'_> {
    fn run(&mut self) -> anyhow::Result<()> {
        while !self.mailer.shutdown.is_requested() {
            let wait = if self.desk.working() > 0 { BUSY_POLL } else { POLL };
            match self
                .consumer
                .poll(wait)
                .map(|read| read.map(|message| message.detach()))
            {
                Some(Ok(message)) => self.take(&message)?,
                // That does not mend itself.
                Some(Err(error)) if is_final(&error) => return Err(error).context("auth cannot be read"),
                // librdkafka goes on by itself once a broker is back.
                Some(Err(error)) => tracing::debug!(%error, "auth cannot be read for now"),
                None => {}
            }
            self.hear();
            self.follow_the_group()?;
            self.begin_what_is_due();
            self.commit_beside();
            self.show();
            self.mailer.post.tidy();
        }
        let asked = Instant::now();
        while (self.desk.working() > 0 || self.commits.is_asked()) && asked.elapsed() < STOP_LIMIT {
            std::thread::sleep(BUSY_POLL);
            self.hear();
            let acknowledged = self.commits.acknowledged(Instant::now());
            self.offsets.committed(acknowledged);
        }
        self.commit_at_last();
        Ok(())
    }

    /// Takes in a record.
    fn take(&mut self, message: &OwnedMessage) -> anyhow::Result<()> {
        let (partition, offset) = (message.partition(), message.offset());
        if !self.offsets.has(partition) {
            self.begin_partition(partition, offset)?;
        }
        // A partition that came back is read again from what was committed.
        match self.offsets.seen(partition, offset) {
            Seen::Never => {}
            Seen::Open => return Ok(()),
            Seen::Settled => {
                self.offsets.settle(partition, offset);
                return Ok(());
            }
        }
        match self.understood(message) {
            Ok(Some(request)) => {
                self.offsets.open(partition, offset);
                self.desk.add(request, Instant::now());
            }
            Ok(None) => self.offsets.settle(partition, offset),
            Err(error) => {
                self.mailer.metrics.count(MailOutcome::Waited);
                self.stuck.add(Stuck::new(partition, offset, &error));
                // Polled again after the pause rather than retried in place: a member that does not poll loses its
                // place in the group.
                self.consumer
                    .seek(AuthEvent::TOPIC, partition, Offset::Offset(offset), ASK_LIMIT)
                    .context("a record cannot be put back")?;
                std::thread::sleep(self.pause.next());
                return Ok(());
            }
        }
        self.stuck.read_on(partition);
        if self.stuck.worst().is_none() {
            self.pause.reset();
        }
        Ok(())
    }

    /// Asks what was committed of a partition whose first record came.
    fn begin_partition(&mut self, partition: i32, offset: i64) -> anyhow::Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition(AuthEvent::TOPIC, partition);
        let committed = self.consumer.committed_offsets(list, ASK_LIMIT);
        let committed = committed.context("what was committed cannot be read")?;
        let element = committed.find_partition(AuthEvent::TOPIC, partition);
        let committed = element.as_ref().and_then(|element| match element.offset() {
            Offset::Offset(committed) => Some((committed, element.metadata())),
            _ => None,
        });
        self.offsets.begin(partition, offset, committed);
        Ok(())
    }

    /// The letter that a record asks for, if it asks for one. An error means that it must be read again later.
    fn understood(&self, message: &OwnedMessage) -> anyhow::Result<Option<Request>> {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(value) = message.payload() else {
            return Ok(None);
        };
        let decoded = self
            .runtime
            .block_on(self.mailer.codec.decode_resolving::<AuthEvent>(value));
        let event = match decoded {
            Ok(event) => event,
            Err(error @ (DecodeError::UnknownSchema(_) | DecodeError::DeniedSchema(_))) => {
                let passed = self.mailer.passes.look(AuthEvent::TOPIC, partition, offset);
                if self.runtime.block_on(passed)? {
                    self.mailer.metrics.count(MailOutcome::Unusable);
                    return Ok(None);
                }
                return Err(error).context(hint(AuthEvent::TOPIC, partition, offset));
            }
            Err(error) => {
                tracing::error!(partition, offset, %error, "a record of auth cannot be used");
                self.mailer.metrics.count(MailOutcome::Unusable);
                return Ok(None);
            }
        };
        let (event_id, mail_id) = match event {
            AuthEvent::ClientRegistered(event) => (event.event_id, event.mail_id),
            AuthEvent::MailRequested(event) => (event.event_id, event.mail_id),
            _ => return Ok(None),
        };
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Ok(Some(Request {
            partition,
            offset,
            key: message.key().unwrap_or_default().to_owned(),
            value: value.to_owned(),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_owned()))
                .collect(),
            appended_ms: message.timestamp().to_millis().unwrap_or_else(|| now_us() / 1_000),
            event_id,
            mail_id,
            trace: trace_of(message.headers()),
        }))
    }

    /// Hears what became of tries.
    fn hear(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let (id, outcome) = match ended {
                Ok(ended) => ended,
                Err(error) => {
                    tracing::error!(%error, "the work on a letter panicked");
                    let outcome = Outcome::Deferred {
                        reason: "the work on it panicked".to_owned(),
                        lost: false,
                        operator: None,
                    };
                    (error.id(), outcome)
                }
            };
            let Some(letter) = self.carried.remove(&id) else {
                continue;
            };
            self.count(&outcome);
            let before = self
                .desk
                .trouble()
                .map(|trouble| (trouble.reason.clone(), trouble.alarm));
            let settled = self.desk.done(letter, outcome, Instant::now(), age);
            if let Some(request) = settled {
                self.offsets.settle(request.partition, request.offset);
            }
            self.tell(before);
        }
    }

    fn count(&self, outcome: &Outcome) {
        let counted = match outcome {
            Outcome::Deferred { .. } => MailOutcome::Deferred,
            Outcome::Waits { .. } | Outcome::Unburied(_) => MailOutcome::Waited,
            // Counted where it is known what became of it.
            Outcome::Settled | Outcome::Moot | Outcome::Refused(_) | Outcome::Unsendable(_) => return,
        };
        self.mailer.metrics.count(counted);
    }

    /// Writes into the log that all wait, or that they do no longer: once, not at each try.
    fn tell(&self, before: Option<(String, bool)>) {
        match (before, self.desk.trouble()) {
            (Some((before, _)), Some(now)) if before == now.reason => {}
            (_, Some(now)) if now.alarm => {
                tracing::error!(reason = now.reason, "all mails wait, and it takes a person to end it");
            }
            (_, Some(now)) => tracing::warn!(reason = now.reason, "all mails wait"),
            (Some(_), None) => tracing::info!("mails do not wait any more"),
            (None, None) => {}
        }
    }

    fn begin_what_is_due(&mut self) {
        while let Some((letter, request, work)) = self.desk.next(Instant::now()) {
            let span = tracing::info_span!(
                "mail",
                event_id = request.event_id,
                mail_id = request.mail_id,
                correlation_id = request.trace.correlation_id.as_deref()
            );
            let (post, burial) = (Arc::clone(&self.mailer.post), self.burial.clone());
            let metrics = self.mailer.metrics.clone();
            let doing = async move {
                match work {
                    Work::Deliver => deliver(&post, &request).await,
                    Work::Bury { reason, given_up } => bury(&burial, &request, &reason, given_up, &metrics).await,
                }
            };
            let task = self.tasks.spawn_on(doing.instrument(span), self.runtime);
            self.carried.insert(task.id(), letter);
        }
    }

    /// Leaves partitions that went to another instance, and reads no more of those that have enough letters.
    fn follow_the_group(&mut self) -> anyhow::Result<()> {
        let assignment = self.consumer.assignment()?;
        let assigned: BTreeSet<i32> = assignment
            .elements()
            .iter()
            .map(|element| element.partition())
            .collect();
        for gone in self.offsets.keep(&assigned) {
            self.desk.forget(gone);
        }
        self.stuck.keep(&assigned);
        let loads = self.desk.loads();
        for (partition, load) in &loads {
            if load.is_crowded() && self.desk.make_room(*partition, Instant::now(), age) {
                tracing::warn!(
                    partition,
                    "a letter is given up: too many of its partition are set aside"
                );
            }
        }
        let full: BTreeSet<i32> = loads
            .iter()
            .filter_map(|(partition, load)| load.is_full().then_some(*partition))
            .collect();
        self.full.retain(|partition| assigned.contains(partition));
        let pausing = of_auth(full.difference(&self.full));
        // One that was paused when it went comes back paused.
        let come = assigned.difference(&self.assigned);
        let resuming = of_auth(
            self.full
                .iter()
                .chain(come)
                .filter(|partition| !full.contains(partition)),
        );
        if pausing.count() > 0 {
            self.consumer.pause(&pausing)?;
        }
        if resuming.count() > 0 {
            self.consumer.resume(&resuming)?;
        }
        self.full = full;
        self.assigned = assigned;
        Ok(())
    }

    /// What is settled is committed, without waiting for it; a commit that is lost repeats letters.
    fn commit_beside(&mut self) {
        let now = Instant::now();
        let acknowledged = self.commits.acknowledged(now);
        self.offsets.committed(acknowledged);
        if !self.commits.is_free(now) {
            return;
        }
        let commits = self.offsets.to_commit();
        if commits.is_empty() {
            return;
        }
        let consumer = Arc::clone(&self.consumer);
        if let Err(error) = self.commits.ask(commits, move |it| commit(&consumer, it)) {
            tracing::warn!(%error, "no thread to commit offsets of auth in");
        }
    }

    /// The same at the end, which waits for it.
    fn commit_at_last(&self) {
        for last in self.offsets.to_commit() {
            if let Err(error) = commit(&self.consumer, &last) {
                tracing::warn!(%error, last.partition, "an offset of auth is not committed: mails may come twice");
            }
        }
    }

    fn show(&self) {
        let metrics = &self.mailer.metrics;
        let (aside, reason) = self.desk.aside();
        let oldest = self.desk.letters().next().map_or(Duration::ZERO, age).as_secs();
        metrics.waiting.set(self.desk.letters().count() as i64);
        metrics.set_aside.set(aside as i64);
        metrics.oldest_seconds.set(oldest as i64);
        let trouble = self.desk.trouble();
        let stuck = self.stuck.worst();
        metrics.blocked.set(i64::from(trouble.is_some() || stuck.is_some()));
        let alarm = trouble.is_some_and(|trouble| trouble.alarm) || stuck.is_some_and(|stuck| stuck.alarm);
        metrics.alarm.set(i64::from(alarm));
        let check = &self.mailer.check;
        match (stuck, trouble, reason) {
            (Some(stuck), _, _) => {
                let (partition, offset) = (stuck.partition, stuck.offset);
                let why = format!("a record of auth waits: {partition} at {offset}: {}", stuck.reason);
                check.set(false, &why);
            }
            (None, Some(trouble), _) => check.set(false, &format!("all mails wait: {}", trouble.reason)),
            (None, None, Some(reason)) => check.set(true, &format!("{aside} mails are set aside, the first: {reason}")),
            (None, None, None) => check.set(true, "no mail waits"),
        }
    }
}

/// Whether this client is never given anything again: a right is missing, or another took its name.
fn is_final(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_)) || kafka::is_refusal(error)
}

async fn deliver(post: &Post, request: &Request) -> Outcome {
    let outcome = post.deliver(request.mail_id).await;
    match &outcome {
        Outcome::Deferred { reason, .. } => tracing::info!(reason, "a mail is set aside"),
        Outcome::Refused(reason) => tracing::warn!(reason, "a mail is refused for good"),
        Outcome::Unsendable(reason) => tracing::warn!(reason, "a mail cannot be written"),
        // All wait for it: told once.
        Outcome::Waits { reason, .. } => tracing::debug!(reason, "a mail waits"),
        Outcome::Settled | Outcome::Moot | Outcome::Unburied(_) => {}
    }
    outcome
}

async fn bury(burial: &Burial, request: &Request, reason: &str, given_up: bool, metrics: &MailMetrics) -> Outcome {
    if let Err(error) = burial.bury(request, reason).await {
        let error = format!("{error:#}");
        tracing::warn!(error, "a dead letter is not written yet");
        return Outcome::Unburied(error);
    }
    tracing::warn!(reason, "a mail went to the dead letters");
    metrics.count(match given_up {
        true => MailOutcome::GivenUp,
        false => MailOutcome::Refused,
    });
    Outcome::Settled
}

/// How long ago a letter was asked for.
fn age(request: &Request) -> Duration {
    let elapsed_ms = (now_us() / 1_000).saturating_sub(request.appended_ms);
    Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0))
}

fn of_auth<'a>(partitions: impl Iterator<Item = &'a i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(AuthEvent::TOPIC, *partition);
    }
    list
}
