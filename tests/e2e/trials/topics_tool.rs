//! `./brokerx topics` against the running cluster.

use std::time::Duration;

use anyhow::{Context, ensure};
use brokerx_client::log::read_topic;
use brokerx_e2e::fixture::Fixture;
use brokerx_schemas::{AccountCommand, BookCommand, ConfigChange, Control, InboxMessage};
use brokerx_topics::service::{Drained, kafka};
use rdkafka::consumer::Consumer;
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

/// Runs the tool; returns whether it succeeded, and its standard output.
fn run(fixture: &Fixture, arguments: &[&str]) -> anyhow::Result<(bool, String)> {
    let output = fixture.system().output("brokerx-topics", arguments)?;
    Ok((output.status.success(), String::from_utf8(output.stdout)?))
}

pub async fn applying_twice_changes_nothing(fixture: &Fixture) -> anyhow::Result<()> {
    let genesis = || {
        run(
            fixture,
            &[
                "tail",
                "account-commands",
                "--partition",
                "0",
                "--from",
                "0",
                "--limit",
                "1",
            ],
        )
    };
    let before = genesis()?;
    let (well, _) = run(fixture, &["apply"])?;
    ensure!(well, "the second apply failed");
    ensure!(before.0 && before == genesis()?, "the genesis record is another");
    Ok(())
}

pub async fn the_cluster_does_not_drift_from_the_catalogue(fixture: &Fixture) -> anyhow::Result<()> {
    let (well, text) = run(fixture, &["diff"])?;
    ensure!(well, "{text}");
    Ok(())
}

pub async fn tail_decodes_to_json(fixture: &Fixture) -> anyhow::Result<()> {
    let (well, text) = run(fixture, &["tail", "instruments", "--from", "beginning", "--limit", "3"])?;
    ensure!(well, "{text}");
    let lines: Vec<Value> = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines.len() == 3, "{} lines", lines.len());
    for line in &lines {
        ensure!(
            line["value"]["kind"] == "INSTRUMENT" && line["headers"]["seq"].is_string(),
            "{line}"
        );
    }
    Ok(())
}

/// What `config` printed: the configuration, and how many records it read and appended.
fn configure(fixture: &Fixture, arguments: &[&str]) -> anyhow::Result<(Value, i64, i64)> {
    let arguments = [&["config"], arguments].concat();
    let output = fixture.system().output("brokerx-topics", &arguments)?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{told}");
    let number = |name: &str| {
        let digits = told.split_once(name).context("a count")?.1;
        let digits: String = digits.chars().take_while(char::is_ascii_digit).collect();
        anyhow::Ok(digits.parse::<i64>()?)
    };
    Ok((
        serde_json::from_slice(&output.stdout)?,
        number("records read: ")?,
        number("appended: ")?,
    ))
}

/// Before anybody has changed a configuration, what the log was begun with is known.
pub async fn the_configuration_of_a_new_log_is_known_without_reading_it(fixture: &Fixture) -> anyhow::Result<()> {
    let (_, read, appended) = configure(fixture, &[])?;
    ensure!(
        (read, appended) == (0, 0),
        "{read} records were read, {appended} appended"
    );
    Ok(())
}

/// The configurations that were appended to each inbox partition, in order.
async fn appended(fixture: &Fixture) -> anyhow::Result<Vec<Vec<ConfigChange>>> {
    fn of<M: InboxMessage>(records: Vec<brokerx_client::log::LogRecord<M>>, all: &mut Vec<Vec<ConfigChange>>) {
        let first = all.len();
        for record in records {
            let place = first + record.partition as usize;
            all.resize(all.len().max(place + 1), Vec::new());
            if let Some(Control::Config(change)) = record.value.control() {
                all[place].push(change.clone());
            }
        }
    }
    let mut all = Vec::new();
    of::<AccountCommand>(read_topic(&fixture.platform, &fixture.codec).await?, &mut all);
    of::<BookCommand>(read_topic(&fixture.platform, &fixture.codec).await?, &mut all);
    Ok(all)
}

/// The last note that the tool left.
fn note(fixture: &Fixture) -> anyhow::Result<Value> {
    let consumer: Drained = kafka::consumer_config(&fixture.platform, "note").create()?;
    let limit = Duration::from_secs(20);
    let (_, end) = consumer.fetch_watermarks("brokerx-configured", 0, limit)?;
    let mut place = TopicPartitionList::new();
    place.add_partition_offset("brokerx-configured", 0, Offset::Offset(end - 1))?;
    consumer.assign(&place)?;
    let record = consumer.poll(limit).context("no note")??;
    Ok(serde_json::from_slice(record.payload().unwrap_or_default())?)
}

pub async fn a_configuration_is_changed_without_reading_the_log(fixture: &Fixture) -> anyhow::Result<()> {
    let write = |config: &Value| -> anyhow::Result<tempfile::NamedTempFile> {
        let file = tempfile::Builder::new().suffix(".json").tempfile()?;
        std::fs::write(file.path(), config.to_string())?;
        Ok(file)
    };
    let (before, read, _) = configure(fixture, &[])?;
    ensure!(read == 0, "{read} records were read to show what is noted");
    let partitions = appended(fixture).await?.len() as i64;
    let change = |bps: i64| {
        let mut config = before.clone();
        config["collar_bps"] = (before["collar_bps"].as_i64().unwrap_or(0) - bps).into();
        write(&config)
    };
    let path = |file: &tempfile::NamedTempFile| file.path().display().to_string();
    // The first change finds the note of the log's beginning, a later one that of the change before: each reads what
    // it appended itself.
    let (first, second) = (change(1)?, change(2)?);
    for file in [&first, &second] {
        let (_, read, told) = configure(fixture, &[&path(file)])?;
        ensure!(
            told == partitions,
            "{told} records were appended to {partitions} partitions"
        );
        // Ticks go on meanwhile.
        ensure!(read < 20 * partitions, "{read} records were read");
    }
    let (shown, read, _) = configure(fixture, &[])?;
    ensure!(shown["collar_bps"] == before["collar_bps"].as_i64().unwrap_or(0) - 2 && read == 0);

    // A run that was cut short after it had appended to some partitions: the note says where it began.
    let mut unsettled = note(fixture)?;
    unsettled["is_settled"] = false.into();
    let old = appended(fixture).await?;
    let inboxes = unsettled["inboxes"].as_object_mut().context("no inboxes")?;
    for inbox in inboxes.values_mut().step_by(2) {
        // As if the last change were not known yet, though it is in the log.
        inbox["config"]["version"] = (inbox["config"]["version"].as_i64().unwrap_or(0) - 1).into();
        inbox["config"]["config"]["collar_bps"] = 0.into();
        inbox["through"] = 1.into();
    }
    let producer: FutureProducer = kafka::producer_config(&fixture.platform).create()?;
    let text = unsettled.to_string();
    let record = FutureRecord::<str, str>::to("brokerx-configured")
        .partition(0)
        .key("configured")
        .payload(&text);
    let sent = producer.send(record, Duration::from_secs(10)).await;
    ensure!(sent.is_ok(), "{sent:?}");
    let (_, _, told) = configure(fixture, &[&path(&second)])?;
    ensure!(told == 0, "{told} records were appended again");
    ensure!(appended(fixture).await? == old, "the log has changed");
    ensure!(note(fixture)?["is_settled"] == true);

    // The other trials go on with what there was.
    configure(fixture, &[&path(&write(&before)?)])?;
    let versions: Vec<Vec<i32>> = (appended(fixture).await?.iter())
        .map(|changes| changes.iter().map(|change| change.version).collect())
        .collect();
    for versions in &versions {
        ensure!(versions.is_sorted_by(|one, next| *next == one + 1), "{versions:?}");
    }
    Ok(())
}
