//! The inboxes of a run that was recorded once still fold to the same state and cause the same records.
//!
//! `golden/<logic version>/` holds the inbox partitions of one simulated run, with their duplicates and
//! holes, and `expected.json`, the result of folding them. They never change: a machine that folds one
//! differently would, after an upgrade, contradict what it has already sent. The digest of what is sent
//! covers destination, number, cause and kind of each record, so that a new field does not change it.
//!
//! `BROKERX_GOLDEN_INBOX_WRITE=<logic version>` records a version that is not there yet.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{AnyMessage, Message};
use brokerx_settlement::account::AccountMachine;
use brokerx_simulation::log::{Inbox, Logs, content};
use brokerx_simulation::workload::PARTITIONS;
use brokerx_simulation::world::{Plan, run_with_logs};
use brokerx_topics::machine::{Emission, Fold, Identity, Machine, Record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

/// A version is recorded from the first seed with sessions and auctions in which all of this happens.
const HAPPENS: [&str; 4] = ["missing trade corrected", "forged trade corrected", "swept", "Thawed"];
const SEEDS_MAX: u64 = 400;
const STEPS: u32 = 6_000;
const WRITE: &str = "BROKERX_GOLDEN_INBOX_WRITE";

/// A record of an inbox.
#[derive(Serialize, Deserialize)]
struct Entry<I> {
    appended_ms: i64,
    /// Source and number; none for a record that no worker wrote.
    identity: Option<(String, u64)>,
    input: I,
    /// Nobody could read it, and it was passed.
    #[serde(default)]
    is_passed: bool,
}

/// The result of folding a partition.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Folded {
    records: usize,
    emissions: usize,
    /// Hexadecimal.
    emissions_digest: String,
    /// Hexadecimal.
    state_hash: String,
}

type Expected = BTreeMap<String, Folded>;

fn folder(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(version.to_string())
}

fn name<I: Inbox>(partition: i32) -> String {
    format!("{}-{partition}", I::TOPIC)
}

fn fold<M: Machine>(partition: i32, entries: Vec<Entry<M::Input>>) -> Folded {
    let records = entries.len();
    let mut fold = Fold::<M>::new(partition);
    let mut emissions: Vec<Emission> = Vec::new();
    for (offset, entry) in entries.into_iter().enumerate() {
        let record = Record {
            offset: offset as i64,
            appended_ms: entry.appended_ms,
            identity: entry.identity.map(|(source, seq)| Identity { source, seq }),
            digest: offset as u128,
            input: content(entry.input, entry.is_passed),
        };
        fold.apply(record, &mut emissions).unwrap();
        while !fold.is_between_records() {
            fold.resume(&mut emissions);
        }
    }
    let mut digest = Xxh3::new();
    for Emission {
        output,
        seq,
        cause_offset,
    } in &emissions
    {
        let line = format!(
            "{}-{} {seq} {cause_offset} {}\n",
            output.message.topic(),
            output.partition,
            kind(&output.message)
        );
        digest.update(line.as_bytes());
        digest.update(&output.key);
    }
    Folded {
        records,
        emissions: emissions.len(),
        emissions_digest: format!("{:016x}", digest.digest()),
        state_hash: format!("{:016x}", fold.state_hash()),
    }
}

fn kind(message: &AnyMessage) -> String {
    match message {
        AnyMessage::AccountCommand(message) => format!("{:?}", message.kind()),
        AnyMessage::BookCommand(message) => format!("{:?}", message.kind()),
        AnyMessage::MarketData(message) => format!("{:?}", message.kind()),
        AnyMessage::AccountEvent(event) => format!("{:?}", event.kind),
        AnyMessage::Reply(reply) => format!("{:?}", reply.kind),
        message => message.topic().to_owned(),
    }
}

fn check<M: Machine>(version: u32, expected: &Expected)
where
    M::Input: Inbox + DeserializeOwned,
{
    for partition in 0..PARTITIONS {
        let name = name::<M::Input>(partition);
        let bytes = fs::read(folder(version).join(format!("{name}.msgpack"))).unwrap();
        let folded = fold::<M>(partition, rmp_serde::from_slice(&bytes).unwrap());
        assert_eq!(Some(&folded), expected.get(&name), "{name} of version {version}");
    }
}

fn record<M: Machine>(version: u32, logs: &Logs, expected: &mut Expected)
where
    M::Input: Inbox + Serialize + DeserializeOwned,
{
    for partition in 0..PARTITIONS {
        let name = name::<M::Input>(partition);
        let entries: Vec<Entry<M::Input>> = logs
            .records(M::Input::TOPIC)
            .filter(|(number, _)| *number == partition)
            .map(|(_, record)| Entry {
                appended_ms: record.appended_ms,
                identity: record.identity.clone().map(|identity| (identity.source, identity.seq)),
                input: M::Input::from_any(&record.message),
                is_passed: record.is_passed,
            })
            .collect();
        let bytes = rmp_serde::to_vec_named(&entries).unwrap();
        fs::write(folder(version).join(format!("{name}.msgpack")), bytes).unwrap();
        expected.insert(name, fold::<M>(partition, entries));
    }
}

/// Records a version, unless it is there.
fn write(version: u32) {
    let folder = folder(version);
    assert!(!folder.exists(), "{} is there, and never changes", folder.display());
    fs::create_dir_all(&folder).unwrap();
    // Every fourth seed has both.
    let mut runs = (0..SEEDS_MAX).map(|number| {
        run_with_logs(Plan {
            steps: STEPS,
            ..Plan::of_seed(4 * number + 3)
        })
    });
    let (outcome, logs) = runs
        .find(|(outcome, _)| HAPPENS.iter().all(|what| outcome.happened.contains_key(*what)))
        .unwrap();
    assert!(outcome.findings.is_empty(), "{:?}", outcome.findings);
    let mut expected = Expected::new();
    record::<AccountMachine>(version, &logs, &mut expected);
    record::<Matcher>(version, &logs, &mut expected);
    fs::write(
        folder.join("expected.json"),
        serde_json::to_vec_pretty(&expected).unwrap(),
    )
    .unwrap();
}

#[test]
fn every_recorded_inbox_folds_as_it_did() {
    if let Ok(version) = std::env::var(WRITE) {
        write(version.parse().unwrap());
    }
    for version in 1..=u32::try_from(Matcher::LOGIC_VERSION_MAX).unwrap() {
        let bytes = fs::read(folder(version).join("expected.json"));
        let expected: Expected = serde_json::from_slice(&bytes.unwrap()).unwrap();
        assert!(expected.values().all(|folded| folded.emissions > 100), "{expected:?}");
        check::<AccountMachine>(version, &expected);
        check::<Matcher>(version, &expected);
    }
}
