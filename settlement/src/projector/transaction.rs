//! One batch, one transaction.

use std::collections::BTreeMap;

use brokerx_schemas::AccountEvent;
use sqlx::postgres::PgRow;
use sqlx::{Connection, FromRow, PgConnection, Row};

use super::account::Account;
use super::batch::{Batch, Log};
use super::changes::Changes;
use super::error::ProjectorError;
use super::metrics::ProjectorMetrics;
use super::positions;
use super::rows::JsonText;
use super::set_aside::{self, SetAside};
use super::tables::{AuthEvents, Candles, Trades};

/// How the events of a batch are written.
#[derive(Clone, Copy)]
enum Events {
    /// A statement for each table.
    AllAtOnce,
    /// Those of each account by themselves, so that those that cannot be hold up no other account.
    ByAccount,
}

/// Writes a batch in one transaction: its events all at once or, when PostgreSQL has found that some rows
/// cannot be, once more, account by account.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    match write_as(connection, batch, Events::AllAtOnce, metrics).await {
        Err(ProjectorError::Database(error)) if is_contradiction(&error) => {
            write_as(connection, batch, Events::ByAccount, metrics).await
        }
        written => written,
    }
}

async fn write_as(
    connection: &mut PgConnection,
    batch: &Batch,
    how: Events,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    let mut transaction = connection.begin().await?;
    // This comes first because it locks the positions: another owner waits here, and finds them
    // moved.
    positions::advance(&mut transaction, batch).await?;
    if !batch.events.is_empty() {
        write_events(&mut transaction, batch, how, metrics).await?;
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

/// Writes the events of a batch, and looks after the accounts that are set aside.
async fn write_events(
    transaction: &mut PgConnection,
    batch: &Batch,
    how: Events,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    let accounts = load_accounts(transaction, batch).await?;
    let (following, aside) = match how {
        Events::AllAtOnce => {
            let changes = Changes::gather(accounts, &batch.events);
            write_changes(transaction, &changes, metrics).await?;
            (changes.following(), changes.set_aside().len())
        }
        Events::ByAccount => write_by_account(transaction, accounts, batch, metrics).await?,
    };
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
        match write_changes(&mut by_itself, &changes, metrics).await {
            Ok(()) => {
                by_itself.commit().await?;
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

async fn write_changes(
    connection: &mut PgConnection,
    changes: &Changes<'_>,
    metrics: &ProjectorMetrics,
) -> sqlx::Result<()> {
    changes
        .write(connection, |table, rows| metrics.wrote(table, rows))
        .await?;
    metrics.duplicates(Log::AccountEvents.topic(), changes.duplicates());
    Ok(())
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
