//! A producer that has failed for good: librdkafka's, whose numbers the broker does not expect any more, and the one
//! of the workers' machines, of which the broker refuses a record.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::{LogRecord, read_topic};
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::foreign_batch::{append_as, writer_of};
use brokerx_schemas::{AccountCommand, AccountId, BookCommand, MarketData, Message};
use brokerx_topics::service::{PlatformOptions, kafka};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

const LIMIT: Duration = Duration::from_secs(60);
/// No messages: whoever reads an inbox sends them to the dead letters, and nothing else changes.
const GARBAGE: [&[u8]; 2] = [b"written under", b"another's id"];
/// The broker refuses every batch that is larger, and this is less than the head of one.
const UNMET: (&str, &str) = ("max.message.bytes", "32");

#[derive(Clone, Copy)]
enum Fault {
    /// Records of somebody else with the numbers of the ingress's producer.
    ForeignNumbers,
    /// What a process writes to a topic.
    Refused(&'static str, &'static str),
}

const FAULTS: [Fault; 3] = [
    Fault::ForeignNumbers,
    Fault::Refused("settlement", BookCommand::TOPIC),
    Fault::Refused("matcher", MarketData::TOPIC),
];

impl Fault {
    fn process(self) -> &'static str {
        match self {
            Self::ForeignNumbers => "ingress",
            Self::Refused(process, _) => process,
        }
    }

    /// What the process logs of it.
    fn told(self) -> &'static str {
        match self {
            Self::ForeignNumbers => "a producer has failed for good; another one takes its place",
            Self::Refused(..) => "all partitions of a thread start over",
        }
    }
}

pub async fn another_takes_the_place_of_one_that_has_failed_for_good(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(9_000_00), &[]).await?;
    let account_id: AccountId = client.account_id.parse()?;
    let place = async |id: &str| {
        let order = place_order(id, &symbol, "buy", 1, Some(Cents(99_00)), "GTC");
        client.place(&order).await
    };
    for (round, fault) in FAULTS.into_iter().enumerate() {
        let (process, failed) = (fault.process(), fault.told());
        let id = |what: &str| format!("{what}-{round}");
        place(&id("before")).await?.expect(201)?;
        let before = log(fixture, process)?.matches(failed).count();
        let mut settings = None;
        match fault {
            Fault::ForeignNumbers => {
                let last = last::<AccountCommand>(fixture, |command| match command {
                    AccountCommand::PlaceOrder(order) => order.account_id == account_id,
                    _ => false,
                });
                let (topic, (partition, offset)) = (AccountCommand::TOPIC, last.await?);
                let writer = writer_of(&folder(fixture, topic, partition), offset)?;
                append_as(writer, &fixture.platform.kafka_brokers, topic, partition, &GARBAGE)?;
            }
            Fault::Refused(_, topic) => {
                let theirs = TopicSettings::of(&fixture.platform, topic).await?;
                theirs.set_with(Some(UNMET)).await?;
                settings = Some(theirs);
                // What goes to other topics with the same request is written.
                let answer = place(&id("behind")).await?;
                ensure!([201, 202, 503].contains(&answer.status), "{}", answer.body);
                eventually("the broker's refusal ends the producer", LIMIT, async || {
                    Ok(log(fixture, process)?.matches(failed).count() > before)
                })
                .await?;
            }
        }
        if let Some(settings) = settings {
            settings.set_with(None).await?;
        }
        // The request may have its answer or not: its client asks again until it has.
        eventually("an order goes through", LIMIT, async || {
            let answer = place(&id("behind")).await?;
            ensure!([200, 201, 202, 503].contains(&answer.status), "{}", answer.body);
            Ok([200, 201].contains(&answer.status))
        })
        .await
        .with_context(|| format!("after the producer of the {process} failed"))?;
        let after = log(fixture, process)?.matches(failed).count();
        ensure!(after > before, "the producer of the {process} did not fail");
        ensure!(
            fixture.system().process(process).ended().is_none(),
            "the {process} has ended"
        );
        eventually("it is ready", LIMIT, async || {
            Ok(fixture.system().process(process).is_ready())
        })
        .await?;
        // A matcher that wrote nothing for a while has shown no sign of life either.
        eventually("the market is open to orders", LIMIT, async || {
            let answer = place(&id("after")).await?;
            ensure!([200, 201, 202, 503].contains(&answer.status), "{}", answer.body);
            Ok([200, 201].contains(&answer.status))
        })
        .await?;
    }
    // Each order that was acknowledged is there, once.
    let listed = client.get("/api/v1/orders?limit=200").await?.expect(200)?;
    let orders = listed["items"].as_array().context("no orders")?;
    let mut ids: Vec<_> = orders
        .iter()
        .filter_map(|order| order["client_order_id"].as_str())
        .collect();
    ids.sort_unstable();
    let mut expected: Vec<_> = (0..FAULTS.len())
        .flat_map(|round| ["before", "behind", "after"].map(|what| format!("{what}-{round}")))
        .collect();
    expected.sort_unstable();
    ensure!(ids == expected, "{ids:?}");
    let working = orders.iter().filter(|order| order["status"] == "working").count();
    ensure!(working == expected.len(), "{listed}");
    Ok(())
}

/// A topic's own settings, as they were.
struct TopicSettings {
    admin: AdminClient<DefaultClientContext>,
    topic: &'static str,
    settings: Vec<(String, String)>,
}

impl TopicSettings {
    async fn of(platform: &PlatformOptions, topic: &'static str) -> anyhow::Result<Self> {
        let admin: AdminClient<_> = kafka::client_config(platform).create()?;
        let described = admin
            .describe_configs(&[ResourceSpecifier::Topic(topic)], &AdminOptions::new())
            .await?;
        let described = described.into_iter().next().context("nothing is said of the topic")?;
        let described = described.map_err(|code| anyhow::anyhow!("{topic}: {code}"))?;
        let own = described
            .entries
            .into_iter()
            .filter(|entry| entry.source == ConfigSource::DynamicTopic);
        let settings = own.filter_map(|entry| Some((entry.name, entry.value?))).collect();
        Ok(Self { admin, topic, settings })
    }

    /// Sets them as they were, and another one.
    async fn set_with(&self, other: Option<(&str, &str)>) -> anyhow::Result<()> {
        let own = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let change = own
            .filter(|(name, _)| other.is_none_or(|(theirs, _)| theirs != *name))
            .chain(other)
            .fold(
                AlterConfig::new(ResourceSpecifier::Topic(self.topic)),
                |change, (name, value)| change.set(name, value),
            );
        for altered in self.admin.alter_configs([&change], &AdminOptions::new()).await? {
            altered.map_err(|(_, code)| anyhow::anyhow!("{}: {code}", self.topic))?;
        }
        Ok(())
    }
}

/// Where the last such record stands: partition and offset.
async fn last<M: Message + Sync>(fixture: &Fixture, is_it: impl Fn(&M) -> bool) -> anyhow::Result<(i32, i64)> {
    let records = read_topic::<M>(&fixture.platform, &fixture.codec).await?;
    let last: Option<&LogRecord<M>> = records.iter().rfind(|record| is_it(&record.value));
    let last = last.context("no such record")?;
    Ok((last.partition, last.offset))
}

/// Where the broker keeps a partition.
fn folder(fixture: &Fixture, topic: &str, partition: i32) -> PathBuf {
    let data = fixture.system().layout().data();
    data.join("kafka").join(format!("{topic}-{partition}"))
}

/// Everything that a process has logged.
fn log(fixture: &Fixture, process: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(fixture.system().layout().log(process))?)
}
