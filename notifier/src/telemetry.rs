//! The metrics of the notifier.

use brokerx_topics::service::{Metrics, latency, since};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// What is pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelValue)]
#[allow(missing_docs, reason = "named as in the protocol")]
pub enum ChannelKind {
    Orders,
    Balances,
    Deposits,
    /// Events of the account, whichever private channel they belong to.
    Account,
    Quote,
    Book,
    Trades,
    Candles,
    Status,
}

/// The label of what is counted per channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChannelLabel {
    /// The kind of channel.
    pub channel: ChannelKind,
}

/// What is counted about connections.
#[derive(Clone, Debug)]
pub struct FeedMetrics {
    /// Open connections.
    pub connections: Gauge,
    subscriptions: Family<ChannelLabel, Gauge>,
    pushes: Family<ChannelLabel, Counter>,
    push_seconds: Family<ChannelLabel, Histogram>,
    /// Connections that were closed because they read too slowly.
    pub slow_consumers: Counter,
    /// Resumes that were asked for.
    pub resumes: Counter,
    /// Gaps that were filled from the projection without being asked.
    pub gaps_filled: Counter,
    /// Resumes and gaps that the projection could not serve.
    pub resumes_unavailable: Counter,
    /// Messages of clients that were refused.
    pub refused: Counter,
}

impl FeedMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self {
            connections: Gauge::default(),
            subscriptions: Family::default(),
            pushes: Family::default(),
            push_seconds: Family::new_with_constructor(latency),
            slow_consumers: Counter::default(),
            resumes: Counter::default(),
            gaps_filled: Counter::default(),
            resumes_unavailable: Counter::default(),
            refused: Counter::default(),
        };
        let registry = ours(registry);
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register("subscriptions", "Subscribed channels", metrics.subscriptions.clone());
        registry.register("pushes", "Messages pushed", metrics.pushes.clone());
        registry.register_with_unit(
            "push",
            "From what happened (the worker's time) to its push",
            Unit::Seconds,
            metrics.push_seconds.clone(),
        );
        for (name, help, counter) in [
            (
                "slow_consumers",
                "Connections closed because they read too slowly",
                &metrics.slow_consumers,
            ),
            ("resumes", "Resumes asked for", &metrics.resumes),
            (
                "gaps_filled",
                "Gaps filled from the projection without being asked",
                &metrics.gaps_filled,
            ),
            (
                "resumes_unavailable",
                "Resumes and gaps that the projection could not serve",
                &metrics.resumes_unavailable,
            ),
            (
                "messages_refused",
                "Messages of clients that were refused",
                &metrics.refused,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }

    /// Counts a subscription, or with -1 its end.
    pub fn subscribed(&self, channel: ChannelKind, by: i64) {
        self.subscriptions.get_or_create(&ChannelLabel { channel }).inc_by(by);
    }

    /// Counts a push. With `occurred_us`, the time of something that has just happened, also measures how long
    /// the push took.
    pub fn pushed(&self, channel: ChannelKind, occurred_us: Option<i64>) {
        let label = ChannelLabel { channel };
        self.pushes.get_or_create(&label).inc();
        if let Some(occurred_us) = occurred_us {
            let seconds = since(occurred_us).as_secs_f64();
            self.push_seconds.get_or_create(&label).observe(seconds);
        }
    }
}

/// What became of a mail, or of a try to deliver it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum MailOutcome {
    /// Delivered: the mail server has taken it, or its file is there.
    Sent,
    /// Asked for twice.
    Repeated,
    /// The mail server, PostgreSQL or the disk was away, or refused us; it is tried again.
    Waited,
    /// Refused for now, or the connection broke; it is tried again.
    Deferred,
    /// Refused for good; it is in the dead letters.
    Refused,
    /// Refused for now, too often; it is in the dead letters.
    GivenUp,
    /// Its registration was replaced, or has ended.
    Outdated,
    /// A record that cannot be read.
    Unusable,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MailLabel {
    outcome: MailOutcome,
}

/// What is counted about mails.
#[derive(Clone, Debug, Default)]
pub struct MailMetrics {
    mails: Family<MailLabel, Counter>,
    /// Mails that are not delivered yet.
    pub waiting: Gauge,
    /// Those of them that were tried, and are tried again later.
    pub set_aside: Gauge,
    /// How long ago the oldest of them was asked for, seconds.
    pub oldest_seconds: Gauge,
    /// 1 while all wait (the mail server, PostgreSQL or the disk is away, or refuses us), or those of a partition
    /// behind a record that cannot be read.
    pub blocked: Gauge,
    /// 1 while that takes a person to end it.
    pub alarm: Gauge,
}

impl MailMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self::default();
        let registry = ours(registry);
        registry.register("mails", "Mails by what became of them", metrics.mails.clone());
        registry.register_with_unit(
            "mail_oldest",
            "How long ago the oldest mail was asked for that is not delivered",
            Unit::Seconds,
            metrics.oldest_seconds.clone(),
        );
        for (name, help, gauge) in [
            ("mails_waiting", "Mails that are not delivered yet", &metrics.waiting),
            (
                "mails_set_aside",
                "Mails that were tried and are tried again later",
                &metrics.set_aside,
            ),
            (
                "mail_blocked",
                "1 while all mails wait, as what they need is away or refuses us, or those of a partition behind a record that cannot be read",
                &metrics.blocked,
            ),
            (
                "mail_alarm",
                "1 while mails wait and it takes a person to end it: the mail server refuses us, or the registry does not know the schema of a record",
                &metrics.alarm,
            ),
        ] {
            registry.register(name, help, gauge.clone());
        }
        metrics
    }

    /// Counts a mail.
    pub fn count(&self, outcome: MailOutcome) {
        self.mails.get_or_create(&MailLabel { outcome }).inc();
    }
}

/// What is counted about acknowledgements.
#[derive(Clone, Debug, Default)]
pub struct AckMetrics {
    /// Written to the topic.
    pub written: Counter,
    /// Left out because too many waited.
    pub dropped: Counter,
}

impl AckMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self::default();
        let registry = ours(registry);
        registry.register("acks", "Acknowledgements written", metrics.written.clone());
        registry.register(
            "acks_dropped",
            "Acknowledgements left out because too many waited",
            metrics.dropped.clone(),
        );
        metrics
    }
}

fn ours(registry: &mut Metrics) -> &mut Registry {
    registry.sub_registry_with_prefix("notifier")
}
