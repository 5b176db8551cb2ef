//! Records that nobody can read: a client's is buried, any other waits for an operator's word.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, place_order};
use brokerx_e2e::fixture::Fixture;
use brokerx_schemas::{AccountCommand, DeadLetter, MarketData, Message};
use brokerx_settlement::account::AccountMachine;
use brokerx_topics::catalogue;
use brokerx_topics::headers::worker_headers;
use brokerx_topics::runner::fold_topic;
use brokerx_topics::service::kafka;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{FutureProducer, FutureRecord};

const LIMIT: Duration = Duration::from_secs(60);
/// In the registry's wire format, of a schema that nobody ever registered.
const INVENTED: &[u8] = b"\x00\x7f\x00\x00\x01rest";

async fn send(fixture: &Fixture, topic: &str, partition: i32, headers: Option<OwnedHeaders>) -> anyhow::Result<i64> {
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let mut record = FutureRecord::<str, [u8]>::to(topic)
        .partition(partition)
        .key("x")
        .payload(INVENTED);
    record.headers = headers;
    let sent = producer.send(record, LIMIT).await;
    Ok(sent.map_err(|(error, _)| error)?.offset)
}

pub async fn a_client_s_invented_schema_goes_to_the_dead_letters(fixture: &Fixture) -> anyhow::Result<()> {
    let partitions = catalogue::topic(AccountCommand::TOPIC).partitions;
    let mut sent = Vec::new();
    for partition in 0..partitions {
        sent.push((partition, send(fixture, AccountCommand::TOPIC, partition, None).await?));
    }
    let buried = async || {
        let letters = read_topic::<DeadLetter>(&fixture.platform, &fixture.codec).await?;
        let all = sent.iter().all(|place| {
            letters.iter().any(|letter| match &letter.value {
                DeadLetter::UnusableRecord(record) => {
                    record.topic == AccountCommand::TOPIC
                        && (record.partition, record.offset) == *place
                        && record.reason.contains("no schema")
                }
                DeadLetter::Unknown => false,
            })
        });
        Ok(all)
    };
    eventually("each is in the dead letters", LIMIT, buried).await?;
    // Every fold of the log passes the same records.
    let (platform, codec) = (fixture.platform.clone(), fixture.codec.clone());
    tokio::task::spawn_blocking(move || {
        for partition in 0..partitions {
            fold_topic::<AccountMachine>(&platform, &codec, partition, None)?;
        }
        anyhow::Ok(())
    })
    .await??;
    {
        let mut system = fixture.system();
        system.process("settlement").kill();
        system.restart("settlement")?;
    }
    trade(fixture, "after-burial").await
}

pub async fn an_operator_passes_what_a_worker_wrote(fixture: &Fixture) -> anyhow::Result<()> {
    for (topic, processes, check) in [
        (AccountCommand::TOPIC, vec!["settlement"], "runner-settlement"),
        (MarketData::TOPIC, vec!["ingress", "notifier"], "reading-market-data"),
    ] {
        let partition = catalogue::topic(topic).partitions - 1;
        let headers = worker_headers("tool-0", 1, 0, &Default::default());
        let offset = send(fixture, topic, partition, Some(headers)).await?;
        let (partition, offset) = (partition.to_string(), offset.to_string());
        let hint = format!("brokerx-topics pass {topic} {partition} {offset}");
        for name in &processes {
            eventually(&format!("{name} says what it waits for"), LIMIT, async || {
                let (ready, text) = get(fixture, name, "/ready").await?;
                Ok(!ready && text.contains(check) && text.contains(&hint))
            })
            .await?;
            let (_, metrics) = get(fixture, name, "/metrics").await?;
            let alarm = |line: &str| {
                (line.starts_with("brokerx_runner_denied{") || line.starts_with("brokerx_reader_blocked{"))
                    && line.ends_with(" 1")
            };
            ensure!(metrics.lines().any(alarm), "{name} shows no alarm");
        }
        let pass = |offset: &str| {
            fixture.system().output(
                "brokerx-topics",
                &["pass", topic, &partition, offset, "--reason", "a trial", "--by", "me"],
            )
        };
        let readable = pass("1")?;
        ensure!(!readable.status.success(), "a record that can be read was passed");
        let passed = pass(&offset)?;
        ensure!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
        for name in processes {
            eventually(&format!("{name} goes on"), LIMIT, async || {
                Ok(get(fixture, name, "/ready").await?.0)
            })
            .await?;
        }
        let again = pass(&offset)?;
        ensure!(!again.status.success(), "it was passed twice");
    }
    trade(fixture, "after-pass").await
}

async fn trade(fixture: &Fixture, order_id: &str) -> anyhow::Result<()> {
    let symbol = fixture.instrument().await?;
    let client = fixture.funded_client(Cents(1_000_00), &[]).await?;
    client
        .place(&place_order(order_id, &symbol, "buy", 1, Some(Cents(99_00)), "GTC"))
        .await?
        .expect(201)?;
    Ok(())
}

/// Whether a process answers with success, and what.
async fn get(fixture: &Fixture, process: &str, path: &str) -> anyhow::Result<(bool, String)> {
    let url = format!("{}{path}", fixture.system().metrics_url(process));
    let answer = reqwest::get(&url).await.context(url)?;
    Ok((answer.status().is_success(), answer.text().await?))
}
