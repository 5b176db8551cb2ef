//! What this command knows of the configurations in the inboxes, so that changing one takes seconds
//! however long the logs are.
//!
//! Only this command appends configurations, one run at a time (see [`Lock`](super::lock::Lock)). Before
//! it appends it notes what every inbox had and where it ended (`is_settled` is false), and afterwards what
//! every inbox has (true). So a settled note says it all; after a run that was cut short only what was
//! appended since that run began is read; and without a note, whole inboxes are. A note is of one log: it
//! counts for nothing when the inboxes were made anew.
//!
//! The note is one record in a topic of this command's own. Nobody else reads it, and machines depend only
//! on what is in their inboxes, so it is not in the catalogue.
//!
//! Known limit: a configuration that an older build of this command appends, one that keeps no notes, is
//! not seen. The topic may be deleted: the next run reads everything once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::message::Message as _;
use rdkafka::producer::FutureRecord;
use serde::{Deserialize, Serialize};

use super::cluster::Cluster;
use super::inbox::{Inbox, InboxConfig};
use super::options::ClusterOptions;

/// Compacted, with one partition.
const TOPIC: &str = "brokerx-configured";
const KEY: &str = "configured";
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

    /// The last note; none when there is none, or none that this build can read.
    pub(super) fn read(cluster: &Cluster) -> Result<Option<Self>> {
        if !cluster.shapes()?.contains_key(TOPIC) {
            return Ok(None);
        }
        let (low, end) = cluster.watermarks(TOPIC, 0)?;
        let mut note = None;
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
                note = record.payload().and_then(|value| serde_json::from_slice(value).ok());
            }
        }
        Ok(note)
    }

    /// Makes this the last note, acknowledged.
    pub(super) async fn write(&self, cluster: &Cluster, options: &ClusterOptions) -> Result<()> {
        if !cluster.shapes()?.contains_key(TOPIC) {
            cluster
                .create_compacted(TOPIC, options.replication_factor, options.min_insync_replicas)
                .await?;
        }
        let value = serde_json::to_vec(self)?;
        let record = FutureRecord::to(TOPIC).partition(0).key(KEY).payload(&value);
        match cluster.producer()?.send(record, LIMIT).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error).context("the note was not acknowledged"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::inbox::partitions;
    use super::*;

    fn config(version: i32) -> InboxConfig {
        InboxConfig {
            version,
            logic_version: 1,
            config: brokerx_schemas::Config::default(),
        }
    }

    #[test]
    fn what_is_read_follows_from_the_note() -> Result<()> {
        let states: Vec<_> = partitions().take(2).zip([(config(3), 70), (config(2), 50)]).collect();
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
}
