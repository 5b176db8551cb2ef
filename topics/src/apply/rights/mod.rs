//! The rights of the catalogue in a cluster that asks for them.

mod native;

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result};
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;

use super::cluster::Cluster;
use super::connect::{no_broker, until};
use super::options::ClusterOptions;
use crate::catalogue::{self, Acl};
use crate::service::{PlatformOptions, kafka};

/// What [`grant_rights`] had to do; the default when everything was as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Rights that were missing.
    pub granted: usize,
    /// Rights that they had besides.
    pub taken_back: usize,
}

/// Gives the principals of the catalogue these rights, [those of the catalogue](catalogue::acls) or others, and
/// takes back what else they have. Rights of others stay. Whoever calls this may alter the cluster.
///
/// Rights that are to be kept are never taken back in between: what is missing is granted first.
///
/// # Errors
/// When no broker comes within the limit, or it refuses, e.g. because it has no authorizer.
pub async fn grant_rights(
    platform: &PlatformOptions,
    options: &ClusterOptions,
    rights: &BTreeSet<Acl>,
) -> Result<Granted> {
    let cluster = Cluster::new(platform)?;
    let there = until("the broker", async || cluster.is_there().await);
    if tokio::time::timeout(options.limit(), there).await.is_err() {
        cluster.is_there().await.with_context(|| no_broker(platform, options))?;
    }
    let admin: AdminClient<DefaultClientContext> = kafka::client_config(platform).create()?;
    let client = admin.inner();
    let wanted: HashSet<native::Binding> = rights.iter().map(binding).collect();
    let mut found = HashSet::new();
    for principal in catalogue::principals() {
        let theirs = native::rights_of(client, &user(principal));
        found.extend(theirs.with_context(|| format!("the rights of {principal} cannot be read"))?);
    }
    let missing: Vec<_> = wanted.difference(&found).collect();
    native::grant(client, &missing).context("rights cannot be granted")?;
    let surplus: Vec<_> = found.difference(&wanted).collect();
    native::take_back(client, &surplus).context("rights cannot be taken back")?;
    Ok(Granted {
        granted: missing.len(),
        taken_back: surplus.len(),
    })
}

fn user(principal: &str) -> String {
    format!("User:{principal}")
}

fn binding(acl: &Acl) -> native::Binding {
    native::Binding::allow(&user(acl.principal), &acl.resource, acl.operation)
}
