//! A new configuration for the machines: appended to every inbox partition.

use anyhow::{Context, Result, bail};
use brokerx_schemas::{Config, ConfigChange};

use super::cluster::Cluster;
use super::connect::{connect, until};
use super::inbox::{self, ControlRecord, Inbox, InboxConfig};
use super::lock::Lock;
use super::notebook::{Beginning, Note};
use super::options::ClusterOptions;
use crate::codec::Codec;
use crate::passes::Passes;
use crate::service::PlatformOptions;

/// Rounds of reading and appending before the command gives up.
const ROUNDS_MAX: usize = 5;

/// The configuration that all inbox partitions have now.
#[derive(Clone, Debug, PartialEq)]
pub struct Configured {
    /// Its version.
    pub version: i32,
    /// The machines' behaviour that is in force with it.
    pub logic_version: i32,
    /// The configuration.
    pub config: Config,
    /// How many records had to be appended; 0 when every partition had it.
    pub records_appended: usize,
    /// How many records had to be read to know what every partition had.
    pub records_read: i64,
}

/// Appends `config`, and `logic_version` if given, to every inbox partition under the version after
/// the last, and repeats itself until every partition has it. Changes nothing when every partition
/// has it already.
///
/// Only what came since the last change, or since the log was begun, is read, and of that nothing when it went well
/// ([`Note`]). The first change of a log that was begun by a build without notes, or in more than one run, reads the
/// whole inboxes, some 500,000 records a second.
///
/// # Errors
/// When an inbox cannot be read or written, `logic_version` is lower than the present one, or
/// partitions still differ after 5 rounds.
pub async fn configure(
    platform: &PlatformOptions,
    options: &ClusterOptions,
    config: &Config,
    logic_version: Option<i32>,
) -> Result<Configured> {
    let (cluster, _) = connect(platform, options).await?;
    let codec = Codec::connect(platform, options.limit()).await?;
    let _lock = Lock::acquire(platform, options.limit())?;
    let mut records_appended = 0;
    let mut records_read = 0;
    let log_id = log_id(&cluster, &codec).await?;
    let passes = Passes::new(platform.clone(), codec.clone());
    let mut note = Note::read(&cluster, &log_id)?;
    for _ in 0..ROUNDS_MAX {
        let read = read(&cluster, options, &codec, &passes, note.as_ref(), &log_id).await?;
        records_read += read.records;
        let noted = |is_settled| {
            let states = read.states.iter().zip(&read.ends);
            Note::of(
                &log_id,
                is_settled,
                states.map(|((inbox, state), end)| (*inbox, state, *end)),
            )
        };
        let plan = plan(&read.states, config, logic_version)?;
        if plan.changes.is_empty() {
            let settled = note.as_ref().is_some_and(|note| note.says(&log_id));
            if !settled {
                noted(true).write(&cluster, options).await?;
            }
            return Ok(Configured {
                version: plan.version,
                logic_version: plan.logic_version,
                config: config.clone(),
                records_appended,
                records_read,
            });
        }
        tracing::info!(
            "appending configuration version {} to {} partitions",
            plan.version,
            plan.changes.len()
        );
        // From here on a run that is cut short leaves something to be read again.
        let unsettled = noted(false);
        unsettled.write(&cluster, options).await?;
        note = Some(unsettled);
        let producer = cluster.producer()?;
        for (inbox, from) in plan.changes {
            for version in from..=plan.version {
                let change = ConfigChange {
                    version,
                    logic_version: plan.logic_version,
                    config: config.clone(),
                };
                inbox.append(&producer, &codec, ControlRecord::Config(change)).await?;
                records_appended += 1;
            }
        }
    }
    bail!("the inbox partitions still differ after {ROUNDS_MAX} rounds: does another run interfere?")
}

/// The configuration in force.
///
/// # Errors
/// When an inbox cannot be read, or partitions differ: then [`configure`] was cut short and must be repeated.
pub async fn current_config(platform: &PlatformOptions, options: &ClusterOptions) -> Result<Configured> {
    let (cluster, _) = connect(platform, options).await?;
    let codec = Codec::connect(platform, options.limit()).await?;
    let log_id = log_id(&cluster, &codec).await?;
    let passes = Passes::new(platform.clone(), codec.clone());
    let note = Note::read(&cluster, &log_id)?;
    let read = read(&cluster, options, &codec, &passes, note.as_ref(), &log_id).await?;
    let [(_, first), ..] = &read.states[..] else {
        bail!("the catalogue has no inbox");
    };
    if let Some((inbox, state)) = read.states.iter().find(|(_, state)| state != first) {
        bail!(
            "{inbox} has configuration version {}, others {}: repeat the last change",
            state.version,
            first.version
        );
    }
    Ok(Configured {
        version: first.version,
        logic_version: first.logic_version,
        config: first.config.clone(),
        records_appended: 0,
        records_read: read.records,
    })
}

/// Names the log that the inboxes are of: its genesis is the same in all of them.
async fn log_id(cluster: &Cluster, codec: &Codec) -> Result<String> {
    let Some(inbox) = inbox::all(cluster)?.next() else {
        bail!("the catalogue has no inbox");
    };
    let genesis = inbox.genesis(cluster, codec).await?;
    let genesis = genesis.with_context(|| format!("{inbox}: there is no genesis; run `brokerx-topics apply` first"))?;
    Ok(genesis.log_id)
}

/// What the inboxes have.
struct Read {
    states: Vec<(Inbox, InboxConfig)>,
    /// The end of each.
    ends: Vec<i64>,
    /// How many records that took.
    records: i64,
}

async fn read(
    cluster: &Cluster,
    options: &ClusterOptions,
    codec: &Codec,
    passes: &Passes,
    note: Option<&Note>,
    log_id: &str,
) -> Result<Read> {
    let beginning = |inbox: Inbox| (inbox, Note::beginning(note, log_id, &inbox.to_string()));
    let beginnings: Vec<_> = inbox::all(cluster)?.map(beginning).collect();
    let is_known = |(_, beginning): &(Inbox, Beginning)| matches!(beginning, Beginning::Known(_));
    if !beginnings.iter().all(is_known) {
        learn_decisions(passes, options).await?;
    }
    let mut read = Read {
        states: Vec::new(),
        ends: Vec::new(),
        records: 0,
    };
    for (inbox, beginning) in beginnings {
        let end = inbox.end(cluster)?;
        let state = match beginning {
            Beginning::Known(config) => config,
            Beginning::After(config, through) => {
                read.records += end - through;
                inbox
                    .config(cluster, codec, passes, Some((config, through)), end)
                    .await?
            }
            Beginning::Start => {
                read.records += end;
                inbox.config(cluster, codec, passes, None, end).await?
            }
        };
        read.states.push((inbox, state));
        read.ends.push(end);
    }
    Ok(read)
}

/// Reads what is decided by now about records that are passed; a broker that is slow to answer is asked again.
async fn learn_decisions(passes: &Passes, options: &ClusterOptions) -> Result<()> {
    let learnt = until("the records that are passed", async || passes.reload().await);
    match tokio::time::timeout(options.limit(), learnt).await {
        Ok(()) => Ok(()),
        // Tells why.
        Err(_) => passes.reload().await,
    }
}

/// What has to be appended so that every partition has the configuration under one version.
#[derive(Debug, PartialEq)]
struct Plan<P> {
    version: i32,
    logic_version: i32,
    /// Partitions, each with the first version that it lacks.
    changes: Vec<(P, i32)>,
}

fn plan<P: Copy>(states: &[(P, InboxConfig)], config: &Config, logic_version: Option<i32>) -> Result<Plan<P>> {
    let highest = states.iter().map(|(_, state)| state.version).max().unwrap_or(0);
    let present = states.iter().map(|(_, state)| state.logic_version).max().unwrap_or(0);
    let logic_version = logic_version.unwrap_or(present);
    if logic_version < present {
        bail!("logic version {logic_version} is lower than the present {present}: it never goes back");
    }
    let is_wanted = |state: &InboxConfig| state.config == *config && state.logic_version == logic_version;
    // A run that was cut short left some partitions at its version: it is finished under the same
    // version when it was about the same configuration.
    let finishes = states
        .iter()
        .all(|(_, state)| state.version < highest || is_wanted(state));
    let version = if finishes { highest } else { highest + 1 };
    let changes = states
        .iter()
        .filter(|(_, state)| state.version < version)
        .map(|(inbox, state)| (*inbox, state.version + 1))
        .collect();
    Ok(Plan {
        version,
        logic_version,
        changes,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn state(version: i32, logic_version: i32, maker_fee_bps: i32) -> InboxConfig {
        InboxConfig {
            version,
            logic_version,
            config: config(maker_fee_bps),
        }
    }

    fn config(maker_fee_bps: i32) -> Config {
        Config {
            maker_fee_bps,
            ..Config::default()
        }
    }

    fn planned(states: &[InboxConfig], maker_fee_bps: i32, logic: Option<i32>) -> Result<Plan<usize>> {
        let states: Vec<_> = states.iter().cloned().enumerate().collect();
        plan(&states, &config(maker_fee_bps), logic)
    }

    #[test]
    fn nothing_to_do_when_every_partition_has_it() {
        let plan = planned(&[state(3, 1, 7), state(3, 1, 7)], 7, None).unwrap();
        assert_eq!(
            plan,
            Plan {
                version: 3,
                logic_version: 1,
                changes: vec![]
            }
        );
    }

    #[test]
    fn a_change_gets_the_next_version_everywhere() {
        let plan = planned(&[state(1, 1, 2), state(1, 1, 2)], 7, None).unwrap();
        assert_eq!(
            plan,
            Plan {
                version: 2,
                logic_version: 1,
                changes: vec![(0, 2), (1, 2)]
            }
        );
    }

    #[test]
    fn a_change_that_was_cut_short_is_finished_under_its_version() {
        let plan = planned(&[state(2, 1, 7), state(1, 1, 2)], 7, None).unwrap();
        assert_eq!(
            plan,
            Plan {
                version: 2,
                logic_version: 1,
                changes: vec![(1, 2)]
            }
        );
    }

    #[test]
    fn another_change_after_one_that_was_cut_short_skips_no_version() {
        let plan = planned(&[state(2, 1, 7), state(1, 1, 2)], 9, None).unwrap();
        assert_eq!(
            plan,
            Plan {
                version: 3,
                logic_version: 1,
                changes: vec![(0, 3), (1, 2)]
            }
        );
    }

    #[test]
    fn the_logic_version_rises_with_its_own_record_and_never_falls() {
        let plan = planned(&[state(1, 1, 2)], 2, Some(2)).unwrap();
        assert_eq!(
            plan,
            Plan {
                version: 2,
                logic_version: 2,
                changes: vec![(0, 2)]
            }
        );
        assert!(planned(&[state(2, 2, 2)], 2, Some(1)).is_err());
    }
}
