//! Tools of others may write with transactions: what takes offsets and is no record stops nobody, and what
//! is lost still does.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::instances::{detail, get};
use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{
    AccountCommand, AccountEvent, AuthEvent, BookCommand, DeadLetter, Message as _, Reply, TradeEvent,
};
use brokerx_settlement::account::AccountMachine;
use brokerx_topics::hexadecimal::hexadecimal;
use brokerx_topics::machine::Machine;
use brokerx_topics::runner::{Between, Surveyor, fold_topic};
use brokerx_topics::service::{Drained, PlatformOptions, kafka};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{Message as _, Offset, TopicPartitionList};

const LIMIT: Duration = Duration::from_secs(90);

/// The first that a worker's log has: nobody waits for a record that need never come.
pub async fn a_log_of_nothing_but_markers_is_read_to_its_end(fixture: &Fixture) -> anyhow::Result<()> {
    let producer = transactional(&fixture.platform, "a-tool-of-the-first-hour")?;
    producer.begin_transaction()?;
    for (topic, partition) in all_partitions(fixture, AccountEvent::TOPIC) {
        send(&producer, topic, partition, "aborted").await?;
    }
    producer.abort_transaction(LIMIT)?;
    let mut system = fixture.system();
    system.process("settlement").stop();
    system
        .restart("settlement")
        .context("settlement does not start on such a log")
}

pub async fn a_transactional_producer_stops_no_partition(fixture: &Fixture) -> anyhow::Result<()> {
    let producer = transactional(&fixture.platform, "a-mirror")?;
    let inboxes = [AccountCommand::TOPIC, BookCommand::TOPIC];
    let partitions = || inboxes.iter().flat_map(|topic| all_partitions(fixture, topic));
    for (topic, partition) in partitions() {
        producer.begin_transaction()?;
        send(&producer, topic, partition, "aborted").await?;
        send(&producer, topic, partition, "aborted").await?;
        producer.abort_transaction(LIMIT)?;
        producer.begin_transaction()?;
        send(&producer, topic, partition, "committed").await?;
        producer.commit_transaction(LIMIT)?;
    }
    // The log of each ends with a marker now. Whoever starts there must go on from it.
    {
        let mut system = fixture.system();
        for worker in ["settlement", "matcher"] {
            system.process(worker).kill();
            system
                .restart(worker)
                .with_context(|| format!("{worker} does not start behind a marker"))?;
        }
    }
    let plain: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    for (topic, partition) in partitions() {
        send(&plain, topic, partition, "behind it").await?;
    }
    let expected = partitions().count();
    eventually("the records behind the markers are used", LIMIT, async || {
        let letters = read_topic::<DeadLetter>(&fixture.platform, &fixture.codec).await?;
        // A worker that was killed writes some of them once more: they are told apart by their places.
        let count = |text: &str| {
            let hex = hexadecimal(text.as_bytes());
            let places = letters.iter().filter_map(|letter| match &letter.value {
                DeadLetter::UnusableRecord(record) if record.value_hex.as_deref() == Some(hex.as_str()) => {
                    Some((&record.topic, record.partition, record.offset))
                }
                _ => None,
            });
            places.collect::<BTreeSet<_>>().len()
        };
        ensure!(count("aborted") == 0, "what was aborted is no record");
        Ok((count("committed"), count("behind it")) == (expected, expected))
    })
    .await?;
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    client
        .place(&place_order("after", &symbol, "buy", 1, Some(Cents(99_00)), "GTC"))
        .await?
        .expect(201)?;
    fold_each::<AccountMachine>(fixture).await?;
    fold_each::<Matcher>(fixture).await
}

/// Kafka gives nothing out behind the first record of an open transaction: who waits for it says so, whatever it reads.
pub async fn an_open_transaction_is_told(fixture: &Fixture) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    // Also who has read nothing but what its snapshot ends with.
    {
        let mut system = fixture.system();
        system.process("settlement").stop();
        system.restart("settlement")?;
    }
    let producer = transactional(&fixture.platform, "a-tool-that-hangs")?;
    producer.begin_transaction()?;
    let logs = [
        BookCommand::TOPIC,
        AccountCommand::TOPIC,
        AccountEvent::TOPIC,
        TradeEvent::TOPIC,
        AuthEvent::TOPIC,
        Reply::TOPIC,
    ];
    for (topic, partition) in logs.into_iter().flat_map(|topic| all_partitions(fixture, topic)) {
        send(&producer, topic, partition, "in an open transaction").await?;
    }
    let told = told_by_each_reader(fixture).await;
    producer.abort_transaction(LIMIT)?;
    told?;
    all_go_on(fixture).await?;
    // Also while the other logs of a reader go on.
    producer.begin_transaction()?;
    for (topic, partition) in all_partitions(fixture, TradeEvent::TOPIC) {
        send(&producer, topic, partition, "in an open transaction").await?;
    }
    let told = told_beside_others(fixture).await;
    producer.abort_transaction(LIMIT)?;
    told?;
    all_go_on(fixture).await?;
    let order = place_order("after", &symbol, "buy", 1, Some(Cents(99_00)), "GTC");
    eventually("an order goes through", LIMIT, async || {
        let answer = client.place(&order).await?;
        ensure!([200, 201, 202, 503].contains(&answer.status), "{}", answer.body);
        Ok([200, 201].contains(&answer.status))
    })
    .await
}

async fn all_go_on(fixture: &Fixture) -> anyhow::Result<()> {
    for process in ["matcher", "settlement", "ingress", "notifier"] {
        eventually(&format!("{process} goes on"), LIMIT, async || {
            Ok(get(fixture, process, "/ready")
                .await
                .is_ok_and(|(is_ready, _)| is_ready))
        })
        .await?;
    }
    Ok(())
}

/// The projection says that it waits for trades, and goes on saying so while it projects market data.
async fn told_beside_others(fixture: &Fixture) -> anyhow::Result<()> {
    let says = async || -> anyhow::Result<bool> {
        let (is_ready, said) = get(fixture, "settlement", "/ready").await?;
        Ok(!is_ready && detail(&said, "projector")?.contains(OPEN))
    };
    let projected = async || -> anyhow::Result<u64> {
        let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
        let name = "brokerx_projector_records_total{topic=\"market-data\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse().ok());
        count.context("no such metric")
    };
    eventually("the projector says that it waits", LIMIT, &says).await?;
    let before = projected().await?;
    eventually("the projector goes on with market data", LIMIT, async || {
        ensure!(says().await?, "it says so no more");
        Ok(projected().await? > before + 20)
    })
    .await
}

/// What is said while nothing comes.
const OPEN: &str = "a transaction of another producer is open";

async fn told_by_each_reader(fixture: &Fixture) -> anyhow::Result<()> {
    for (process, check) in [
        ("matcher", "runner-matcher"),
        ("settlement", "runner-settlement"),
        ("settlement", "projector"),
        ("ingress", "reading-replies"),
        ("notifier", "reading-trades"),
        ("notifier", "reading-account-events"),
    ] {
        eventually(&format!("{check} of {process} says that it waits"), LIMIT, async || {
            let (is_ready, said) = get(fixture, process, "/ready").await?;
            Ok(!is_ready && detail(&said, check)?.contains(OPEN))
        })
        .await?;
    }
    Ok(())
}

/// A fold from outside comes through as well.
async fn fold_each<M: Machine>(fixture: &Fixture) -> anyhow::Result<()> {
    let (platform, codec) = (fixture.platform.clone(), fixture.codec.clone());
    let partitions = all_partitions(fixture, M::Input::TOPIC);
    tokio::task::spawn_blocking(move || {
        for (topic, partition) in partitions {
            fold_topic::<M>(&platform, &codec, partition, None).with_context(|| format!("{topic}-{partition}"))?;
        }
        Ok(())
    })
    .await?
}

/// What is no inbox of a machine that trades: the projection and the payments come through as well.
pub async fn a_transactional_producer_stops_no_projection(fixture: &Fixture) -> anyhow::Result<()> {
    let producer = transactional(&fixture.platform, "another-mirror")?;
    let logs = [AccountEvent::TOPIC, TradeEvent::TOPIC];
    let partitions = || logs.iter().flat_map(|topic| all_partitions(fixture, topic));
    for (topic, partition) in partitions() {
        producer.begin_transaction()?;
        send(&producer, topic, partition, "aborted").await?;
        producer.abort_transaction(LIMIT)?;
        producer.begin_transaction()?;
        send(&producer, topic, partition, "committed").await?;
        producer.commit_transaction(LIMIT)?;
    }
    // Each log ends with a marker: the projection comes to its very end, so that a fold anew would end as well.
    let ends = |fixture: &Fixture| -> anyhow::Result<Vec<(String, i32, i64)>> {
        let asker: Drained = kafka::consumer_config(&fixture.platform, "brokerx-ends").create()?;
        partitions()
            .map(|(topic, partition)| {
                let (_, end) = asker.fetch_watermarks(topic, partition, LIMIT)?;
                Ok((topic.to_owned(), partition, end))
            })
            .collect()
    };
    let reached = async || {
        let ends = ends(fixture)?;
        for (topic, partition, end) in ends {
            let position: i64 =
                sqlx::query_scalar("SELECT position FROM projection.log_positions WHERE topic = $1 AND partition = $2")
                    .bind(&topic)
                    .bind(partition)
                    .fetch_one(&fixture.database)
                    .await?;
            if position < end {
                return Ok(false);
            }
        }
        Ok(true)
    };
    eventually("the projection is behind the markers", LIMIT, &reached).await?;
    // What is written behind them is projected, also by who starts there.
    {
        let mut system = fixture.system();
        system.process("settlement").kill();
        system
            .restart("settlement")
            .context("settlement does not start behind a marker")?;
    }
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    client
        .place(&place_order(
            "behind-markers",
            &symbol,
            "buy",
            1,
            Some(Cents(99_00)),
            "GTC",
        ))
        .await?
        .expect(201)?;
    eventually("the projection goes on behind the markers", LIMIT, &reached).await?;
    let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
    let is_whole = metrics
        .lines()
        .any(|line| line == "brokerx_projector_stopped_partitions 0");
    ensure!(is_whole, "a partition of the projection has stopped");
    Ok(())
}

pub async fn markers_are_told_from_records_that_are_lost(fixture: &Fixture) -> anyhow::Result<()> {
    let admin: AdminClient<_> = kafka::client_config(&fixture.platform).create()?;
    // Compaction loses records in the middle of a log, and leaves their offsets.
    let compacted = fixture.unique("compacted");
    let topic = NewTopic::new(&compacted, 1, TopicReplication::Fixed(1))
        .set("cleanup.policy", "compact")
        .set("segment.ms", "100")
        .set("min.cleanable.dirty.ratio", "0.0");
    let whole = fixture.unique("whole");
    let topics = [topic, NewTopic::new(&whole, 1, TopicReplication::Fixed(1))];
    for created in admin.create_topics(&topics, &AdminOptions::new()).await? {
        created.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
    }

    let producer = transactional(&fixture.platform, "a-tool")?;
    send(&producer_of(fixture)?, &whole, 0, "0").await?;
    producer.begin_transaction()?;
    send(&producer, &whole, 0, "1").await?;
    producer.commit_transaction(LIMIT)?;
    producer.begin_transaction()?;
    send(&producer, &whole, 0, "3").await?;
    send(&producer, &whole, 0, "4").await?;
    producer.abort_transaction(LIMIT)?;
    send(&producer_of(fixture)?, &whole, 0, "6").await?;
    let platform = fixture.platform.clone();
    let surveyed = move |topic: &str, range| survey(&platform, topic, range);
    for range in [(2, 3), (2, 6), (3, 6), (5, 6)] {
        let found = surveyed(&whole, range);
        ensure!(found == Between::NoRecord, "{range:?}: {found:?}");
    }

    let plain = producer_of(fixture)?;
    let kept = FutureRecord::<str, str>::to(&compacted)
        .partition(0)
        .key("kept")
        .payload("kept");
    ensure!(plain.send(kept, LIMIT).await.is_ok(), "the first record was not sent");
    eventually("compaction makes a hole", LIMIT, async || {
        send(&plain, &compacted, 0, "again").await?;
        Ok(offsets(&fixture.platform, &compacted)?
            .windows(2)
            .any(|pair| pair[1] > pair[0] + 1))
    })
    .await?;
    let offsets = offsets(&fixture.platform, &compacted)?;
    let hole = offsets
        .windows(2)
        .find(|pair| pair[1] > pair[0] + 1)
        .context("it was there")?;
    let found = surveyed(&compacted, (hole[0] + 1, hole[1]));
    ensure!(found == Between::Missing(hole[0] + 1), "{hole:?}: {found:?}");
    Ok(())
}

fn survey(platform: &PlatformOptions, topic: &str, range: (i64, i64)) -> Between {
    Surveyor::new(kafka::consumer_config(platform, "brokerx-survey")).survey(topic, 0, range, || {})
}

/// The offsets that a reader gets of a topic's only partition.
fn offsets(platform: &PlatformOptions, topic: &str) -> anyhow::Result<Vec<i64>> {
    let consumer: Drained = kafka::consumer_config(platform, "brokerx-offsets").create()?;
    let (low, high) = consumer.fetch_watermarks(topic, 0, LIMIT)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(low))?;
    consumer.assign(&list)?;
    let mut offsets: Vec<i64> = Vec::new();
    while offsets.last().is_none_or(|last| last + 1 < high) {
        let message = consumer.poll(LIMIT).context("nothing comes")??;
        offsets.push(message.offset());
    }
    Ok(offsets)
}

fn all_partitions(fixture: &Fixture, topic: &'static str) -> impl Iterator<Item = (&'static str, i32)> + use<> {
    (0..fixture.partitions(topic)).map(move |partition| (topic, partition))
}

fn producer_of(fixture: &Fixture) -> anyhow::Result<FutureProducer> {
    Ok(kafka::producer_config(&fixture.platform).create()?)
}

pub(super) fn transactional(platform: &PlatformOptions, id: &str) -> anyhow::Result<FutureProducer> {
    let producer: FutureProducer = kafka::producer_config(platform)
        .set("transactional.id", id)
        .set("transaction.timeout.ms", "30000")
        .set("message.timeout.ms", "30000")
        .create()?;
    producer.init_transactions(LIMIT)?;
    Ok(producer)
}

pub(super) async fn send(producer: &FutureProducer, topic: &str, partition: i32, text: &str) -> anyhow::Result<()> {
    let record = FutureRecord::<str, str>::to(topic)
        .partition(partition)
        .key("x")
        .payload(text);
    let sent = producer.send(record, LIMIT).await;
    ensure!(sent.is_ok(), "{sent:?}");
    Ok(())
}
