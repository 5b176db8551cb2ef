//! One life of the projector: from the positions in the database to the first error.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use brokerx_schemas::AccountEvent;
use brokerx_topics::codec::Codec;
use brokerx_topics::service::{Backoff, Check, PlatformOptions, since};
use sqlx::postgres::PgRow;
use sqlx::{Connection, FromRow, PgConnection, Row};

use super::account::Account;
use super::batch::{Batch, Log};
use super::changes::Changes;
use super::error::ProjectorError;
use super::metrics::ProjectorMetrics;
use super::options::BatchLimits;
use super::reader::{ReaderParts, UnplacedReader};
use super::rows::JsonText;
use super::set_aside::{self, SetAside};
use super::tables::{AuthEvents, Candles, Trades};
use super::{database, positions};

/// Longest time of one transaction: a session with a database that hangs is given up.
const TRANSACTION_LIMIT: Duration = Duration::from_secs(60);
/// How often an instance that stands by asks whether it may project.
const STANDBY_INTERVAL: Duration = Duration::from_secs(1);
/// How often an idle projector looks whether its positions are still what it left.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What every session of a projector needs.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) platform: PlatformOptions,
    pub(super) database_url: String,
    pub(super) limits: BatchLimits,
    pub(super) codec: Codec,
    pub(super) metrics: ProjectorMetrics,
    pub(super) check: Check,
}

/// Projects until something fails.
pub(super) async fn run(parts: &Parts, backoff: &mut Backoff) -> Result<Infallible, ProjectorError> {
    let mut connection = database::open(&parts.database_url).await?;
    database::ensure_current(&mut connection).await?;
    while !database::try_own(&mut connection).await? {
        // An owner that says nothing may be frozen: until it has lost its lease nobody projects.
        match database::owner_silence(&mut connection).await? {
            silence if database::is_lively(silence) => parts.check.set(true, "standing by for another instance"),
            _ => parts.check.set(false, "the instance that projects has fallen silent"),
        }
        backoff.reset();
        tokio::time::sleep(STANDBY_INTERVAL).await;
    }
    let reader_parts = ReaderParts {
        platform: parts.platform.clone(),
        codec: parts.codec.clone(),
        limits: parts.limits,
        metrics: parts.metrics.clone(),
        check: parts.check.clone(),
    };
    parts.check.set(false, "starting to project");
    let mut connecting = tokio::task::spawn_blocking(move || UnplacedReader::connect(reader_parts));
    // Kafka may take long to answer, and the lease must not end for that.
    let reader = loop {
        match tokio::time::timeout(LOOK_INTERVAL, &mut connecting).await {
            Ok(connected) => break connected.map_err(|_| ProjectorError::ReaderDied)??,
            Err(_) => limited(database::keep_lease(&mut connection)).await?,
        }
    };
    parts
        .metrics
        .set_aside_accounts
        .set(set_aside::count(&mut connection).await?);
    let progress = positions::load(&mut connection, &reader.begins).await?;
    let mut position_sum: i64 = progress.values().map(|progress| progress.position).sum();
    let mut batches = reader.start(progress)?;
    parts.metrics.owner.set(1);
    parts.check.set(true, "projecting");
    loop {
        let batch = match tokio::time::timeout(LOOK_INTERVAL, batches.recv()).await {
            Ok(Some(batch)) => batch?,
            Ok(None) => return Err(ProjectorError::ReaderDied),
            Err(_) => {
                // Somebody may have dropped the projection to have it folded anew.
                limited(positions::verify(&mut connection, position_sum)).await?;
                continue;
            }
        };
        let begun = Instant::now();
        limited(write(&mut connection, &batch, &parts.metrics)).await?;
        parts.metrics.batch_seconds.observe(begun.elapsed().as_secs_f64());
        position_sum += batch.records as i64;
        committed(&batch, &parts.metrics);
        let stopped = parts.metrics.stopped_partitions.get();
        match stopped {
            0 => parts.check.set(true, "projecting"),
            _ => parts.check.set(false, "partitions have stopped, see the log"),
        }
        backoff.reset();
    }
}

async fn limited<T, E: Into<ProjectorError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, ProjectorError> {
    tokio::time::timeout(TRANSACTION_LIMIT, work)
        .await
        .map_err(|_| ProjectorError::Late("a transaction"))?
        .map_err(Into::into)
}

/// Writes a batch in one transaction.
async fn write(connection: &mut PgConnection, batch: &Batch, metrics: &ProjectorMetrics) -> Result<(), ProjectorError> {
    let mut transaction = connection.begin().await?;
    // This comes first because it locks the positions: another owner waits here, and finds them
    // moved.
    positions::advance(&mut transaction, batch).await?;
    if !batch.events.is_empty() {
        write_events(&mut transaction, batch, metrics).await?;
    }
    if !batch.trades.is_empty() {
        let mut trades = Trades::default();
        batch.trades.iter().for_each(|trade| trades.push(trade));
        let written = trades.write(&mut transaction).await?;
        metrics.wrote(Trades::TABLE, written);
        metrics.duplicates(Log::Trades.topic(), batch.trades.len() as u64 - written);
    }
    if !batch.auth.is_empty() {
        let mut events = AuthEvents::default();
        batch.auth.iter().for_each(|event| events.push(event));
        let written = events.write(&mut transaction).await?;
        metrics.wrote(AuthEvents::TABLE, written);
        metrics.duplicates(Log::Auth.topic(), batch.auth.len() as u64 - written);
    }
    if !batch.candles.is_empty() {
        let mut candles = Candles::default();
        batch.candles.iter().for_each(|row| candles.push(row));
        metrics.wrote(Candles::TABLE, candles.write(&mut transaction).await?);
    }
    transaction.commit().await?;
    Ok(())
}

/// Writes the events of a batch: all at once or, when PostgreSQL finds that some cannot be, account by account.
async fn write_events(
    transaction: &mut PgConnection,
    batch: &Batch,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    let accounts = load_accounts(transaction, batch).await?;
    let changes = Changes::gather(accounts.clone(), &batch.events);
    let mut all_at_once = transaction.begin().await?;
    let written = changes
        .write(&mut all_at_once, |table, rows| metrics.wrote(table, rows))
        .await;
    let mut following = changes.following();
    let mut aside = changes.set_aside().len();
    match written {
        Ok(()) => {
            all_at_once.commit().await?;
            metrics.duplicates(Log::AccountEvents.topic(), changes.duplicates());
        }
        Err(error) if is_contradiction(&error) => {
            all_at_once.rollback().await?;
            (following, aside) = write_by_account(transaction, accounts, batch, metrics).await?;
        }
        Err(error) => return Err(error.into()),
    }
    if aside > 0 {
        tracing::error!(
            events = aside,
            "events contradict what is projected; their accounts are set aside"
        );
        metrics.set_aside_events.inc_by(aside as u64);
    }
    // Nearly always there is nothing to look after.
    if aside > 0 || metrics.set_aside_accounts.get() > 0 {
        set_aside::follow(transaction, &following).await?;
        metrics.set_aside_accounts.set(set_aside::count(transaction).await?);
    }
    Ok(())
}

/// Writes the events of each account by themselves, so that those that cannot be hold up no other account.
/// Returns the accounts that go on, and how many events were set aside.
async fn write_by_account(
    transaction: &mut PgConnection,
    mut accounts: BTreeMap<i64, Account>,
    batch: &Batch,
    metrics: &ProjectorMetrics,
) -> Result<(Vec<i64>, usize), ProjectorError> {
    let mut by_account: BTreeMap<i64, Vec<&(AccountEvent, JsonText)>> = BTreeMap::new();
    for event in &batch.events {
        by_account.entry(event.0.account_id.0).or_default().push(event);
    }
    let (mut following, mut aside) = (Vec::new(), 0);
    for (account_id, events) in by_account {
        let account = accounts.remove(&account_id);
        let projected_seq = account.as_ref().map_or(0, |account| account.account_seq);
        let changes = Changes::gather(
            account.map(|account| (account_id, account)).into_iter().collect(),
            events.iter().copied(),
        );
        let mut by_itself = transaction.begin().await?;
        match changes
            .write(&mut by_itself, |table, rows| metrics.wrote(table, rows))
            .await
        {
            Ok(()) => {
                by_itself.commit().await?;
                metrics.duplicates(Log::AccountEvents.topic(), changes.duplicates());
                following.extend(changes.following());
                aside += changes.set_aside().len();
            }
            Err(error) if is_contradiction(&error) => {
                by_itself.rollback().await?;
                let reason = error.to_string();
                let events: Vec<_> = events
                    .iter()
                    .filter(|(event, _)| event.account_seq > projected_seq)
                    .map(|(event, body)| SetAside::new(event, body, projected_seq, reason.clone()))
                    .collect();
                set_aside::write(transaction, &events).await?;
                aside += events.len();
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((following, aside))
}

/// Whether PostgreSQL refuses the rows themselves: class 23, integrity constraint violation.
fn is_contradiction(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("23"))
}

async fn load_accounts(connection: &mut PgConnection, batch: &Batch) -> Result<BTreeMap<i64, Account>, ProjectorError> {
    let mut account_ids: Vec<_> = batch.events.iter().map(|(event, _)| event.account_id.0).collect();
    account_ids.sort_unstable();
    account_ids.dedup();
    let rows = sqlx::query(
        "SELECT account_id, account_seq, state, status_version, kill_switch, frozen, \
         balance_cents, reserved_cents, updated_us FROM projection.accounts WHERE account_id = ANY($1)",
    )
    .bind(&account_ids)
    .fetch_all(connection)
    .await?;
    let account = |row: &PgRow| Ok((row.try_get("account_id")?, Account::from_row(row)?));
    let accounts: sqlx::Result<_> = rows.iter().map(account).collect();
    Ok(accounts?)
}

fn committed(batch: &Batch, metrics: &ProjectorMetrics) {
    for (partition, advance) in &batch.advances {
        metrics.moved_to(*partition, advance.to);
        metrics.projected(partition.0.topic(), (advance.to - advance.from) as u64);
    }
    metrics.batch_records.observe(batch.records as f64);
    metrics
        .lag_seconds
        .set(since(batch.newest_ms.saturating_mul(1_000)).as_secs_f64());
}
