//! Reconciliation from the outside: topics, projection and machines must tell the same story.
//!
//! [`reconcile`] waits until the pipeline is quiet and then lists everything that is wrong. [`Told`]
//! compares what a client was told with what became of its order.

mod edges;
mod finding;
mod folds;
mod ledger;
mod projection;
mod told;
mod topics;
mod trades;

use brokerx_client::log::{deduplicate, read_topic};
use brokerx_client::wait_until_quiet;
use brokerx_topics::codec::Codec;
use brokerx_topics::service::PlatformOptions;
use sqlx::PgPool;

use crate::forgery::is_forged;
pub use finding::Finding;
pub use told::Told;
pub use topics::Topics;

/// How much was examined, for the last line of a test's output.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Records of all topics, duplicates removed.
    pub records: usize,
    /// Records that were duplicates or stood behind a hole.
    pub dropped: usize,
    /// Trades.
    pub trades: usize,
    /// Events of accounts.
    pub events: usize,
}

/// Everything that is wrong once the pipeline is quiet.
///
/// # Errors
/// When something cannot be read in time.
pub async fn reconcile(
    platform: &PlatformOptions,
    codec: &Codec,
    database: &PgPool,
) -> anyhow::Result<(Vec<Finding>, Extent)> {
    wait_until_quiet(platform, database).await?;
    let mut findings = Vec::new();
    let mut extent = Extent::default();
    macro_rules! read {
        () => {{
            let records = read_topic(platform, codec).await?;
            let before = records.len();
            let (records, holes) = deduplicate(records);
            extent.records += records.len();
            extent.dropped += before - records.len();
            findings.extend(holes.into_iter().map(Finding));
            records
        }};
    }
    let mut topics = Topics {
        account_commands: read!(),
        book_commands: read!(),
        replies: read!(),
        account_events: read!(),
        trades: read!(),
        market_data: read!(),
        instruments: read!(),
        orders: read!(),
        deposits: read!(),
        ledger: read!(),
    };
    // What settlement did not write is no event. That all of settlement's own are there shows by their numbers.
    topics
        .account_events
        .retain(|record| record.identity.as_ref().is_some_and(|writer| !is_forged(writer)));
    extent.trades = topics.trades.len();
    extent.events = topics.account_events.len();
    let folds = folds::fold_all(platform, codec).await?;
    edges::check(&topics, &folds, &mut findings);
    projection::check(&topics, &folds, database, &mut findings).await?;
    trades::check(&topics, database, &mut findings).await?;
    ledger::check(&topics, database, &mut findings).await?;
    Ok((findings, extent))
}
