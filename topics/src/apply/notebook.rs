//! What this command knows of the configurations in the inboxes, so that changing one takes seconds
//! however long the logs are.
//!
//! Only this command appends configurations, one run at a time (see [`Lock`](super::lock::Lock)). Before
//! it appends it notes what every inbox had and where it ended (`is_settled` is false), and afterwards what
//! every inbox has (true). So a settled note says it all; after a run that was cut short only what was
//! appended since that run began is read; and without a note, whole inboxes are. A note is of one log: it
//! counts for nothing when the inboxes were made anew.
//!
//! The run that begins a log notes that its inboxes have what is in the genesis, once all of them have it. That
//! note stands under a key of its own and counts only while no change is noted of the same log: whatever is written
//! late or twice by a run that lost its lock, it hides no change. A run that is cut short before it leaves no note.
//! One that finds a part of a log's inboxes empty forgets what is noted of that log, before it gives them their
//! genesis: one of them may have been made anew.
//!
//! The notes are records in a topic of this command's own. Nobody else reads it, and machines depend only
//! on what is in their inboxes, so it is not in the catalogue.
//!
//! Known limits, after which the topic `brokerx-configured` may be deleted: the next run reads everything once.
//! - A configuration that an older build of this command appends, one that keeps no notes, is not seen.
//! - Nor is it seen that somebody passes the record of a change that is noted already.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use brokerx_schemas::Genesis;
use rdkafka::message::Message as _;
use rdkafka::producer::FutureRecord;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::inbox::{Inbox, InboxConfig};
use super::options::ClusterOptions;

/// Compacted, with one partition.
const TOPIC: &str = "brokerx-configured";
/// Of the note that a change leaves.
const CHANGED: &str = "configured";
/// Of the note that the beginning of a log leaves.
const SEEDED: &str = "seeded";
/// How long the note may take to be read or written.
const LIMIT: Duration = Duration::from_secs(30);

/// What is known of every inbox of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Note {
    log_id: String,
    /// Whether nothing was being appended.
    is_settled: bool,
    inboxes: BTreeMap<String, Noted>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Noted {
    config: InboxConfig,
    /// What comes before this offset is in it.
    through: i64,
}

/// What of an inbox need not be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Beginning {
    /// All of it.
    Known(InboxConfig),
    /// What comes before the offset.
    After(InboxConfig, i64),
    /// Nothing.
    Start,
}

impl Note {
    /// What the inboxes have, each with the offset before which that is in it.
    pub(super) fn of<'a>(
        log_id: &str,
        is_settled: bool,
        states: impl Iterator<Item = (Inbox, &'a InboxConfig, i64)>,
    ) -> Self {
        let noted = |(inbox, config, through): (Inbox, &InboxConfig, i64)| {
            let config = config.clone();
            (inbox.to_string(), Noted { config, through })
        };
        Self {
            log_id: log_id.to_owned(),
            is_settled,
            inboxes: states.map(noted).collect(),
        }
    }

    /// What the inboxes of a log have when each holds nothing but this.
    pub(super) fn of_genesis(genesis: &Genesis, inboxes: impl Iterator<Item = Inbox>) -> Self {
        let config = InboxConfig::of_genesis(genesis);
        Self::of(&genesis.log_id, true, inboxes.map(|inbox| (inbox, &config, 1)))
    }

    /// That nothing is known of a log.
    fn blank(log_id: &str) -> Self {
        Self::of(log_id, false, std::iter::empty())
    }

    /// Where reading an inbox of a log begins, by what is noted, if anything.
    pub(super) fn beginning(note: Option<&Self>, log_id: &str, inbox: &str) -> Beginning {
        let note = note.filter(|note| note.log_id == log_id);
        match note.and_then(|note| Some((note.is_settled, note.inboxes.get(inbox)?))) {
            None => Beginning::Start,
            Some((true, noted)) => Beginning::Known(noted.config.clone()),
            Some((false, noted)) => Beginning::After(noted.config.clone(), noted.through),
        }
    }

    /// Whether it says all that there is to say of a log.
    pub(super) fn says(&self, log_id: &str) -> bool {
        self.is_settled && self.log_id == log_id
    }

    /// The note that counts of a log; none when there is none, or none that this build can read.
    pub(super) fn read(cluster: &Cluster, log_id: &str) -> Result<Option<Self>> {
        if !cluster.shapes()?.contains_key(TOPIC) {
            return Ok(None);
        }
        let (low, end) = cluster.watermarks(TOPIC, 0)?;
        let mut notes = Notes::default();
        let mut position = low;
        let started = Instant::now();
        let consumer = cluster.read_from(TOPIC, 0, low)?;
        while position < end {
            let record = match consumer.poll(Duration::from_millis(100)) {
                Some(record) => record.context("the note cannot be read")?,
                None if started.elapsed() < LIMIT => continue,
                None => bail!("the note did not come within {LIMIT:?}: {TOPIC}-0, offset {position} of {end}"),
            };
            // Something may be left over from the partition that was read before.
            if record.topic() == TOPIC {
                position = record.offset() + 1;
                notes.take(record.key(), record.payload());
            }
        }
        Ok(notes.of(log_id))
    }

    /// Makes this the last note of a change, acknowledged.
    pub(super) async fn write(&self, cluster: &Cluster, options: &ClusterOptions) -> Result<()> {
        self.append(CHANGED, cluster, options).await
    }

    /// Makes this the note of a log that was begun, acknowledged.
    pub(super) async fn write_seeded(&self, cluster: &Cluster, options: &ClusterOptions) -> Result<()> {
        self.append(SEEDED, cluster, options).await
    }

    /// Forgets what is noted of a log, if anything.
    pub(super) async fn forget(log_id: &str, cluster: &Cluster, options: &ClusterOptions) -> Result<()> {
        match Self::read(cluster, log_id)? {
            Some(_) => Self::blank(log_id).write(cluster, options).await,
            None => Ok(()),
        }
    }

    async fn append(&self, key: &str, cluster: &Cluster, options: &ClusterOptions) -> Result<()> {
        if !cluster.shapes()?.contains_key(TOPIC) {
            cluster
                .create_compacted(TOPIC, options.replication_factor, options.min_insync_replicas)
                .await?;
        }
        let value = serde_json::to_vec(self)?;
        let record = FutureRecord::to(TOPIC).partition(0).key(key).payload(&value);
        match cluster.producer()?.send(record, LIMIT).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error).context("the note was not acknowledged"),
        }
    }
}

/// The last records of the topic.
#[derive(Debug, Default)]
struct Notes {
    /// None within when this build cannot read it.
    changed: Option<Option<Note>>,
    seeded: Option<Note>,
}

impl Notes {
    /// Takes in the next record.
    fn take(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let note = value.and_then(|value| serde_json::from_slice(value).ok());
        match key {
            Some(key) if key == SEEDED.as_bytes() => self.seeded = note,
            _ => self.changed = Some(note),
        }
    }

    /// The one that counts of a log.
    fn of(self, log_id: &str) -> Option<Note> {
        match self.changed {
            // It may be of this log, and say that it was changed.
            Some(None) => None,
            Some(Some(changed)) if changed.log_id == log_id => Some(changed),
            Some(Some(_)) | None => self.seeded.filter(|note| note.log_id == log_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use brokerx_schemas::Config;

    use super::super::inbox::of_a_log;
    use super::*;

    fn inboxes() -> impl Iterator<Item = Inbox> {
        of_a_log(2)
    }

    fn config(version: i32) -> InboxConfig {
        InboxConfig {
            version,
            logic_version: 1,
            config: Config::default(),
        }
    }

    #[test]
    fn what_is_read_follows_from_the_note() -> Result<()> {
        let states: Vec<_> = inboxes().take(2).zip([(config(3), 70), (config(2), 50)]).collect();
        let note = |is_settled| {
            let states = states
                .iter()
                .map(|(inbox, (config, through))| (*inbox, config, *through));
            let note = Note::of("log", is_settled, states);
            // As it comes back.
            serde_json::from_slice::<Note>(&serde_json::to_vec(&note)?).context("a note")
        };
        let (first, second) = (states[0].0.to_string(), states[1].0.to_string());
        let settled = note(true)?;
        let known = |inbox: &str| Note::beginning(Some(&settled), "log", inbox);
        assert_eq!(known(&first), Beginning::Known(config(3)));
        assert_eq!(known(&second), Beginning::Known(config(2)));
        // A partition that the note does not know, another log, no note at all: everything is read.
        assert_eq!(known("book-commands-63"), Beginning::Start);
        assert_eq!(Note::beginning(Some(&settled), "another", &first), Beginning::Start);
        assert_eq!(Note::beginning(None, "log", &first), Beginning::Start);
        // A run that was cut short may have appended to some of them.
        let unsettled = note(false)?;
        let known = Note::beginning(Some(&unsettled), "log", &second);
        assert_eq!(known, Beginning::After(config(2), 50));
        Ok(())
    }
    fn genesis(log_id: &str) -> Genesis {
        Genesis {
            log_id: log_id.to_owned(),
            generation: 0,
            logic_version: 3,
            config_version: 1,
            config: Config::default(),
            topics: Vec::new(),
        }
    }

    /// What counts of a log when the topic holds these records.
    fn counts(log_id: &str, records: &[(&str, &Note)]) -> Result<Option<Note>> {
        let mut notes = Notes::default();
        for (key, note) in records {
            notes.take(Some(key.as_bytes()), Some(&serde_json::to_vec(note)?));
        }
        Ok(notes.of(log_id))
    }

    #[test]
    fn of_a_log_that_was_begun_nothing_is_read() -> Result<()> {
        let note = counts("log", &[(SEEDED, &Note::of_genesis(&genesis("log"), inboxes()))])?;
        assert!(note.as_ref().is_some_and(|note| note.says("log")));
        let of_genesis = InboxConfig {
            version: 1,
            logic_version: 3,
            config: Config::default(),
        };
        for inbox in inboxes() {
            let beginning = Note::beginning(note.as_ref(), "log", &inbox.to_string());
            assert_eq!(beginning, Beginning::Known(of_genesis.clone()), "{inbox}");
        }
        Ok(())
    }

    #[test]
    fn the_note_of_a_beginning_hides_no_change_whichever_comes_last() -> Result<()> {
        let seeded = Note::of_genesis(&genesis("log"), inboxes());
        let states = [config(2)];
        let changed = |log_id: &str, is_settled| {
            let states = inboxes().zip(&states).map(|(inbox, state)| (inbox, state, 9));
            Note::of(log_id, is_settled, states)
        };
        for is_settled in [false, true] {
            let changed = changed("log", is_settled);
            for records in [
                [(SEEDED, &seeded), (CHANGED, &changed)],
                [(CHANGED, &changed), (SEEDED, &seeded)],
            ] {
                assert_eq!(counts("log", &records)?, Some(changed.clone()));
            }
        }
        // What is noted of a log that is gone says nothing of the next one, and the other way round.
        let (of_old, old) = (changed("old", true), Note::of_genesis(&genesis("old"), inboxes()));
        let noted = [(CHANGED, &of_old), (SEEDED, &seeded)];
        assert_eq!(counts("log", &noted)?, Some(seeded.clone()));
        assert_eq!(counts("log", &[(CHANGED, &of_old), (SEEDED, &old)])?, None);
        // What was forgotten is read, although the beginning is noted.
        let blank = Note::blank("log");
        let noted = counts("log", &[(SEEDED, &seeded), (CHANGED, &blank)])?;
        let first = inboxes().next().context("no inbox")?.to_string();
        assert_eq!(Note::beginning(noted.as_ref(), "log", &first), Beginning::Start);
        assert!(noted.is_some_and(|note| !note.says("log")));
        Ok(())
    }

    #[test]
    fn a_note_of_a_change_that_this_build_cannot_read_counts_for_nothing_and_hides_the_beginning() -> Result<()> {
        let seeded = serde_json::to_vec(&Note::of_genesis(&genesis("log"), inboxes()))?;
        for value in [Some(&b"of a later build"[..]), None] {
            let mut notes = Notes::default();
            notes.take(Some(CHANGED.as_bytes()), value);
            notes.take(Some(SEEDED.as_bytes()), Some(&seeded));
            assert_eq!(notes.of("log"), None);
        }
        Ok(())
    }
}
