//! Records that nobody can read: a client's is buried, any other waits for an operator's word.

use std::process::Output;
use std::time::Duration;

use anyhow::ensure;
use brokerx_client::log::read_topic;
use brokerx_client::{Cents, eventually, place_order, wait_until_quiet};
use brokerx_e2e::fixture::Fixture;
use brokerx_e2e::forgery::forged_headers;
use brokerx_e2e::instances::{detail, get};
use brokerx_schemas::{
    AccountCommand, AccountEvent, AuthEvent, BookCommand, DeadLetter, InstrumentEvent, MarketData, Message, Passage,
    Reply, TradeEvent, UnusableRecord,
};
use brokerx_settlement::account::AccountMachine;
use brokerx_topics::headers::{SRC, worker_headers};
use brokerx_topics::runner::fold_topic;
use brokerx_topics::service::kafka;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};

use super::transactions::{self, transactional};

const LIMIT: Duration = Duration::from_secs(60);
/// In the registry's wire format, of a schema that nobody ever registered.
const INVENTED: &[u8] = b"\x00\x7f\x00\x00\x01rest";

async fn send(fixture: &Fixture, topic: &str, partition: i32, headers: Option<OwnedHeaders>) -> anyhow::Result<i64> {
    write(fixture, topic, partition, headers, ("x", Some(INVENTED))).await
}

/// Writes a record with any key and value, and returns its offset.
async fn write(
    fixture: &Fixture,
    topic: &str,
    partition: i32,
    headers: Option<OwnedHeaders>,
    (key, value): (&str, Option<&[u8]>),
) -> anyhow::Result<i64> {
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let mut record = FutureRecord::<str, [u8]>::to(topic).partition(partition).key(key);
    (record.headers, record.payload) = (headers, value);
    let sent = producer.send(record, LIMIT).await;
    Ok(sent.map_err(|(error, _)| error)?.offset)
}

fn hint(topic: &str, partition: i32, offset: i64) -> String {
    format!("brokerx-topics pass {topic} {partition} {offset}")
}

/// As an operator passes an offset.
fn pass(fixture: &Fixture, topic: &str, partition: i32, offset: i64) -> anyhow::Result<Output> {
    let (partition, offset) = (partition.to_string(), offset.to_string());
    let arguments = ["pass", topic, &partition, &offset, "--reason", "a trial", "--by", "me"];
    Ok(fixture.system().output("brokerx-topics", &arguments)?)
}

fn passes(fixture: &Fixture, topic: &str, partition: i32, offset: i64) -> anyhow::Result<()> {
    let passed = pass(fixture, topic, partition, offset)?;
    ensure!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
    Ok(())
}

/// Waits until a process says this of itself.
async fn says(fixture: &Fixture, process: &str, ready: bool, text: &str) -> anyhow::Result<()> {
    eventually(
        &format!("{process} is ready: {ready}, and says {text:?}"),
        LIMIT,
        async || {
            let (is_ready, said) = get(fixture, process, "/ready").await?;
            Ok(is_ready == ready && said.contains(text))
        },
    )
    .await
}

pub async fn a_client_s_invented_schema_goes_to_the_dead_letters(fixture: &Fixture) -> anyhow::Result<()> {
    let partitions = fixture.partitions(AccountCommand::TOPIC);
    let mut sent = Vec::new();
    // Behind offsets that are no records: it is its own offset that is passed.
    let producer = transactional(&fixture.platform, "a-tool-before-it")?;
    for partition in 0..partitions {
        producer.begin_transaction()?;
        transactions::send(&producer, AccountCommand::TOPIC, partition, "aborted").await?;
        producer.abort_transaction(LIMIT)?;
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
        let partition = fixture.partitions(topic) - 1;
        let offset = send(fixture, topic, partition, Some(headers_of(topic))).await?;
        let hint = hint(topic, partition, offset);
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
        let readable = pass(fixture, topic, partition, 1)?;
        ensure!(!readable.status.success(), "a record that can be read was passed");
        passes(fixture, topic, partition, offset)?;
        for name in processes {
            says(fixture, name, true, "").await?;
        }
        let again = pass(fixture, topic, partition, offset)?;
        ensure!(!again.status.success(), "it was passed twice");
    }
    trade(fixture, "after-pass").await
}

/// A record of an invented schema in each topic that a process reads: whoever reads it says so, and goes on once
/// it is passed. The two topics of the trial above are left out.
pub async fn no_topic_stops_its_readers_in_silence(fixture: &Fixture) -> anyhow::Result<()> {
    let mut sent = Vec::new();
    for topic in [
        BookCommand::TOPIC,
        AccountEvent::TOPIC,
        TradeEvent::TOPIC,
        AuthEvent::TOPIC,
        InstrumentEvent::TOPIC,
        Reply::TOPIC,
    ] {
        // Of the replies each ingress reads a partition of its own, the first the first.
        let partition = match topic == Reply::TOPIC {
            true => 0,
            false => fixture.partitions(topic) - 1,
        };
        let headers = headers_of(topic);
        sent.push((topic, partition, send(fixture, topic, partition, Some(headers)).await?));
    }
    let hint_of = |topic: &str| {
        let (topic, partition, offset) = sent.iter().find(|(sent, ..)| *sent == topic).unwrap();
        hint(topic, *partition, *offset)
    };
    let told = told_by_each_reader(fixture, hint_of).await;
    // Also when somebody did not say so: the trials behind this one go on.
    for (topic, partition, offset) in &sent {
        passes(fixture, topic, *partition, *offset)?;
    }
    told?;
    for process in ["matcher", "settlement", "ingress", "notifier"] {
        says(fixture, process, true, "").await?;
    }
    eventually("no mail waits", LIMIT, async || {
        let (_, said) = get(fixture, "notifier", "/ready").await?;
        Ok(!detail(&said, "mail")?.contains("brokerx-topics pass"))
    })
    .await?;
    trade(fixture, "after-each-topic").await?;
    wait_until_quiet(&fixture.platform, &fixture.database).await
}

/// Where only workers write, nobody looks at what names no worker.
fn headers_of(topic: &str) -> OwnedHeaders {
    let forged = match topic {
        AccountEvent::TOPIC => forged_headers::<AccountEvent>(),
        TradeEvent::TOPIC => forged_headers::<TradeEvent>(),
        InstrumentEvent::TOPIC => forged_headers::<InstrumentEvent>(),
        Reply::TOPIC => forged_headers::<Reply>(),
        MarketData::TOPIC => forged_headers::<MarketData>(),
        _ => None,
    };
    forged.unwrap_or_else(|| worker_headers("tool-0", 1, 0, &Default::default()))
}

/// Each reader of a topic says that it waits, with the hint of that topic.
async fn told_by_each_reader(fixture: &Fixture, hint_of: impl Fn(&str) -> String) -> anyhow::Result<()> {
    for (process, check, topic) in [
        ("matcher", "runner-matcher", BookCommand::TOPIC),
        ("settlement", "runner-publisher", AccountEvent::TOPIC),
        ("settlement", "payments", AccountEvent::TOPIC),
        ("notifier", "reading-account-events", AccountEvent::TOPIC),
        ("notifier", "reading-trades", TradeEvent::TOPIC),
        ("notifier", "reading-instruments", InstrumentEvent::TOPIC),
        ("ingress", "reading-instruments", InstrumentEvent::TOPIC),
        ("ingress", "reading-replies", Reply::TOPIC),
        ("notifier", "mail", AuthEvent::TOPIC),
    ] {
        let hint = hint_of(topic);
        eventually(&format!("{check} of {process} says {hint:?}"), LIMIT, async || {
            let (ready, said) = get(fixture, process, "/ready").await?;
            Ok(!ready && detail(&said, check)?.contains(&hint))
        })
        .await?;
    }
    // The projector reads one after the other.
    eventually("the projector says that it waits", LIMIT, async || {
        let (ready, said) = get(fixture, "settlement", "/ready").await?;
        Ok(!ready && detail(&said, "projector")?.contains("brokerx-topics pass"))
    })
    .await
}

/// What stands in the topic of the decisions and is none: it stops nobody, but who comes to the very offset that a
/// decision is about which cannot be read.
pub async fn what_is_no_decision_stops_nobody(fixture: &Fixture) -> anyhow::Result<()> {
    let mut strays = Vec::new();
    for value in [None, Some(b"garbage".as_slice()), Some(INVENTED)] {
        strays.push(write(fixture, Passage::TOPIC, 0, None, ("no-place", value)).await?);
    }
    // A client's record that settlement has not read yet, and what may be a decision about it.
    fixture.system().process("settlement").stop();
    let partition = fixture.partitions(AccountCommand::TOPIC) - 1;
    let garbage = ("x", Some(b"garbage of a client".as_slice()));
    let offset = write(fixture, AccountCommand::TOPIC, partition, None, garbage).await?;
    let key = format!("{}-{partition}-{offset}", AccountCommand::TOPIC);
    let decision = write(fixture, Passage::TOPIC, 0, None, (&key, Some(INVENTED))).await?;
    fixture.system().respawn("settlement")?;
    let waits = format!("offset {offset}: whether it is passed is not known");
    eventually("settlement waits in front of it", LIMIT, async || {
        // It may not serve yet.
        let Ok((ready, said)) = get(fixture, "settlement", "/ready").await else {
            return Ok(false);
        };
        Ok(!ready && said.contains(&waits) && said.contains(&hint(Passage::TOPIC, 0, decision)))
    })
    .await?;
    let unreadable = async || -> anyhow::Result<bool> {
        let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
        Ok(metrics.lines().any(|line| line == "brokerx_passes_unreadable 4"))
    };
    ensure!(unreadable().await?, "the metric shows them");
    passes(fixture, Passage::TOPIC, 0, decision)?;
    says(fixture, "settlement", true, "decides nothing").await?;
    eventually("the client's record is in the dead letters", LIMIT, async || {
        let letters = read_topic::<DeadLetter>(&fixture.platform, &fixture.codec).await?;
        Ok(letters.iter().any(|letter| match &letter.value {
            DeadLetter::UnusableRecord(record) => (record.partition, record.offset) == (partition, offset),
            DeadLetter::Unknown => false,
        }))
    })
    .await?;
    // A decision of an operator counts among them.
    let headers = worker_headers("tool-0", 2, 0, &Default::default());
    let offset = send(fixture, AccountCommand::TOPIC, partition, Some(headers)).await?;
    let hint = hint(AccountCommand::TOPIC, partition, offset);
    says(fixture, "settlement", false, &hint).await?;
    passes(fixture, AccountCommand::TOPIC, partition, offset)?;
    says(fixture, "settlement", true, "").await?;
    // Good Avro of another topic is no decision, and is passed as such; a decision stands for ever.
    let mut foreign = Vec::new();
    let dead_letter = DeadLetter::UnusableRecord(UnusableRecord {
        topic: "x".to_owned(),
        partition: 0,
        offset: 0,
        reason: "a trial".to_owned(),
        key_hex: None,
        value_hex: None,
        headers: Vec::new(),
        appended_ms: 0,
    });
    fixture.codec.encode(&dead_letter, &mut foreign)?;
    let foreign = write(fixture, Passage::TOPIC, 0, None, ("no-place", Some(&foreign))).await?;
    passes(fixture, Passage::TOPIC, 0, foreign)?;
    let good = pass(fixture, Passage::TOPIC, 0, foreign + 1)?;
    ensure!(!good.status.success(), "a decision that can be read was passed");
    // What was looked at by somebody is shown no more.
    for stray in strays {
        passes(fixture, Passage::TOPIC, 0, stray)?;
    }
    let again = pass(fixture, Passage::TOPIC, 0, decision)?;
    ensure!(!again.status.success(), "it was passed twice");
    fixture.system().process("settlement").kill();
    fixture.system().restart("settlement")?;
    says(fixture, "settlement", true, "every decision can be read").await?;
    trade(fixture, "after-strays").await
}

/// Bytes that are no message: what no worker wrote is left out by everybody, and a worker's can be passed although the
/// mails, whose readers leave both out, are behind it.
pub async fn garbage_that_no_worker_wrote_stops_nobody(fixture: &Fixture) -> anyhow::Result<()> {
    for topic in [
        AccountEvent::TOPIC,
        TradeEvent::TOPIC,
        AuthEvent::TOPIC,
        MarketData::TOPIC,
    ] {
        for partition in 0..fixture.partitions(topic) {
            for value in [None, Some(b"garbage".as_slice())] {
                write(fixture, topic, partition, None, ("x", value)).await?;
            }
        }
    }
    // Nor what names somebody who is no worker, without a number, where no machine reads.
    for topic in [TradeEvent::TOPIC, MarketData::TOPIC] {
        let (key, value) = (SRC, Some("some-host"));
        let headers = OwnedHeaders::new().insert(Header { key, value });
        write(fixture, topic, 0, Some(headers), ("x", Some(b"garbage"))).await?;
    }
    trade(fixture, "behind-garbage").await?;
    wait_until_quiet(&fixture.platform, &fixture.database).await?;
    says(fixture, "settlement", true, "").await?;
    let (_, metrics) = get(fixture, "settlement", "/metrics").await?;
    let metric = |name: &str| {
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse::<i32>().ok())
    };
    ensure!(
        metric("brokerx_projector_stopped_partitions") == Some(0),
        "a partition has stopped"
    );
    let expected = 2 * fixture.partitions(AccountEvent::TOPIC);
    let left_out = metric("brokerx_payments_left_out_total");
    ensure!(
        left_out >= Some(expected),
        "payments left out {left_out:?}, not {expected}"
    );
    let headers = worker_headers("tool-0", 2, 0, &Default::default());
    let garbage = ("x", Some(b"garbage of a worker".as_slice()));
    let offset = write(fixture, AuthEvent::TOPIC, 0, Some(headers), garbage).await?;
    says(fixture, "settlement", false, "partitions have stopped").await?;
    passes(fixture, AuthEvent::TOPIC, 0, offset)?;
    {
        let mut system = fixture.system();
        system.process("settlement").kill();
        system.restart("settlement")?;
    }
    says(fixture, "settlement", true, "").await?;
    trade(fixture, "behind-garbage-of-a-worker").await?;
    wait_until_quiet(&fixture.platform, &fixture.database).await
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
