//! The machines' state, found by folding their inboxes offline.

use brokerx_client::log::count_partitions;
use brokerx_matcher::machine::Matcher;
use brokerx_schemas::{AccountCommand, AccountEvent, BookCommand, Message};
use brokerx_settlement::account::{AccountMachine, AccountSummary};
use brokerx_settlement::publisher::Publisher;
use brokerx_topics::codec::Codec;
use brokerx_topics::machine::{Fold, Machine};
use brokerx_topics::runner::fold_topic;
use brokerx_topics::service::PlatformOptions;

/// Every partition of every machine, folded offline.
pub(super) struct Folds {
    settlement: Vec<Fold<AccountMachine>>,
    matcher: Vec<Fold<Matcher>>,
    publisher: Vec<Fold<Publisher>>,
}

/// What one inbox partition sent to each destination: topic, partition, last number.
pub(super) type Sent = Vec<(String, i32, u64)>;

impl Folds {
    /// Per inbox partition, the last number given to each destination.
    pub(super) fn sent(&self) -> Vec<(String, Sent)> {
        let mut all = Vec::new();
        collect(AccountCommand::TOPIC, &self.settlement, &mut all);
        collect(BookCommand::TOPIC, &self.matcher, &mut all);
        collect(AccountEvent::TOPIC, &self.publisher, &mut all);
        all
    }

    /// Every account as settlement holds it.
    pub(super) fn accounts(&self) -> impl Iterator<Item = AccountSummary> {
        let machines = self.settlement.iter().filter_map(Fold::machine);
        machines.flat_map(AccountMachine::accounts)
    }
}

fn collect<M: Machine>(inbox: &str, folds: &[Fold<M>], all: &mut Vec<(String, Sent)>) {
    for fold in folds {
        let state = fold.state();
        let sent = state
            .edges
            .sent()
            .map(|(topic, partition, seq)| (topic.to_owned(), partition, seq))
            .collect();
        all.push((format!("{inbox}-{}", state.setup.partition), sent));
    }
}

/// Folds every inbox up to its present end.
pub(super) async fn fold_all(platform: &PlatformOptions, codec: &Codec) -> anyhow::Result<Folds> {
    Ok(Folds {
        settlement: fold_each(platform, codec).await?,
        matcher: fold_each(platform, codec).await?,
        publisher: fold_each(platform, codec).await?,
    })
}

async fn fold_each<M: Machine>(platform: &PlatformOptions, codec: &Codec) -> anyhow::Result<Vec<Fold<M>>> {
    let (platform, codec) = (platform.clone(), codec.clone());
    tokio::task::spawn_blocking(move || {
        (0..count_partitions(&platform, M::Input::TOPIC)?)
            .map(|partition| Ok(fold_topic(&platform, &codec, partition, None)?))
            .collect()
    })
    .await?
}
