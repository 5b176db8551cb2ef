//! Where a running cluster is not what the catalogue says.

use std::fmt;

use anyhow::Result;
use brokerx_schemas::SCHEMAS;

use super::cluster::{Cluster, Settings, Shape};
use super::connect::connect;
use super::options::ClusterOptions;
use super::schemas::COMPATIBILITY;
use super::{genesis, inbox};
use crate::catalogue::{Topic, all};
use crate::codec::{Codec, Registry, subject_of};
use crate::service::PlatformOptions;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// The topic or subject.
    pub place: String,
    /// What differs.
    pub what: String,
    /// What the catalogue says.
    pub expected: String,
    /// What the cluster says.
    pub found: String,
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            place,
            what,
            expected,
            found,
        } = self;
        write!(formatter, "{place}: {what} is {found}, the catalogue says {expected}")
    }
}

/// All differences in topics, settings, schemas, compatibility and genesis. Changes nothing.
///
/// # Errors
/// When broker or registry do not answer.
pub async fn drift(platform: &PlatformOptions, options: &ClusterOptions) -> Result<Vec<Drift>> {
    let (cluster, registry) = connect(platform, options).await?;
    let shapes = cluster.shapes()?;
    let partitions = cluster.partitions_of_log()?.unwrap_or(options.partitions);
    let existing: Vec<&Topic> = all().iter().filter(|topic| shapes.contains_key(&topic.name)).collect();
    let settings = cluster.settings(&existing).await?;
    let mut drifts = Vec::new();
    for topic in all() {
        match (shapes.get(&topic.name), settings.get(&topic.name)) {
            (Some(shape), Some(settings)) => compare((topic, partitions), *shape, settings, options, &mut drifts),
            _ => drifts.push(new(&topic.name, "the topic", "there", "missing")),
        }
    }
    let topics_fit = drifts.is_empty();
    schemas(&registry, &mut drifts).await?;
    // An inbox can only be read when it exists and its schemas are registered.
    if topics_fit && !drifts.iter().any(|drift| drift.what == "the schema") {
        inboxes(platform, options, &cluster, &mut drifts).await?;
    }
    Ok(drifts)
}

fn new(place: &str, what: &str, expected: impl fmt::Display, found: impl fmt::Display) -> Drift {
    Drift {
        place: place.to_owned(),
        what: what.to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

fn compare(
    (topic, partitions): (&Topic, i32),
    shape: Shape,
    settings: &Settings,
    options: &ClusterOptions,
    drifts: &mut Vec<Drift>,
) {
    let mut check = |what: &str, expected: String, found: String| {
        if expected != found {
            drifts.push(new(&topic.name, what, expected, found));
        }
    };
    let expected = topic.count(partitions);
    check("partitions", expected.to_string(), shape.partitions.to_string());
    check(
        "replication factor",
        options.replication_factor.to_string(),
        shape.replicas.to_string(),
    );
    for (name, expected) in topic.settings(options.min_insync_replicas) {
        let found = settings.get(name).map_or("not set", |setting| &setting.value);
        check(name, expected, found.to_owned());
    }
}

async fn schemas(registry: &Registry, drifts: &mut Vec<Drift>) -> Result<()> {
    for (topic, schema) in SCHEMAS {
        let subject = subject_of(topic);
        let Some(latest) = registry.latest(&subject).await? else {
            drifts.push(new(&subject, "the schema", "registered", "missing"));
            continue;
        };
        match registry.id_of(&subject, schema).await? {
            None => drifts.push(new(&subject, "the schema", "registered", "missing among the versions")),
            Some(id) if id != latest.id => {
                let found = format!("schema {}, of another build", latest.id);
                drifts.push(new(&subject, "the latest version", format!("schema {id}"), found));
            }
            Some(_) => {}
        }
        let level = registry
            .compatibility(&subject)
            .await?
            .unwrap_or_else(|| "not set".to_owned());
        if level != COMPATIBILITY {
            drifts.push(new(&subject, "compatibility", COMPATIBILITY, level));
        }
    }
    Ok(())
}

async fn inboxes(
    platform: &PlatformOptions,
    options: &ClusterOptions,
    cluster: &Cluster,
    drifts: &mut Vec<Drift>,
) -> Result<()> {
    let codec = Codec::connect(platform, options.limit()).await?;
    let mut log_id: Option<String> = None;
    let topics = genesis::topic_partitions(&cluster.shapes()?);
    for partition in inbox::all(cluster)? {
        let place = partition.to_string();
        match partition.genesis(cluster, &codec).await {
            Err(reason) => drifts.push(new(&place, "the start", "a genesis", format!("{reason:#}"))),
            Ok(None) => drifts.push(new(&place, "the genesis", "at offset 0", "missing")),
            Ok(Some(genesis)) => {
                if genesis.topics != topics {
                    drifts.push(new(&place, "the genesis", "of these partition counts", "of others"));
                }
                let expected = log_id.get_or_insert_with(|| genesis.log_id.clone());
                if *expected != genesis.log_id {
                    drifts.push(new(&place, "the log", expected, &genesis.log_id));
                }
            }
        }
    }
    Ok(())
}
