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
/// cannot be, once more, account by account. What was done is counted once it is committed.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    let written = match write_as(connection, batch, Events::AllAtOnce, metrics).await {
        Err(ProjectorError::Database(error)) if is_contradiction(&error) => {
            write_as(connection, batch, Events::ByAccount, metrics).await
        }
        written => written,
    };
    written?.tell(metrics);
    Ok(())
}

async fn write_as(
    connection: &mut PgConnection,
    batch: &Batch,
    how: Events,
    metrics: &ProjectorMetrics,
) -> Result<Tally, ProjectorError> {
    let mut tally = Tally::default();
    let mut transaction = connection.begin().await?;
    // This comes first because it locks the positions: another owner waits here, and finds them
    // moved.
    positions::advance(&mut transaction, batch).await?;
    if !batch.events.is_empty() {
        write_events(&mut transaction, batch, how, metrics, &mut tally).await?;
    }
    if !batch.trades.is_empty() {
        let mut trades = Trades::default();
        batch.trades.iter().for_each(|trade| trades.push(trade));
        let written = trades.write(&mut transaction).await?;
        tally.wrote(Trades::TABLE, written);
        tally.duplicates(Log::Trades, batch.trades.len() as u64 - written);
    }
    if !batch.auth.is_empty() {
        let mut events = AuthEvents::default();
        batch.auth.iter().for_each(|event| events.push(event));
        let written = events.write(&mut transaction).await?;
        tally.wrote(AuthEvents::TABLE, written);
        tally.duplicates(Log::Auth, batch.auth.len() as u64 - written);
    }
    if !batch.candles.is_empty() {
        let mut candles = Candles::default();
        batch.candles.iter().for_each(|row| candles.push(row));
        tally.wrote(Candles::TABLE, candles.write(&mut transaction).await?);
    }
    transaction.commit().await?;
    Ok(tally)
}

/// Writes the events of a batch, and looks after the accounts that are set aside.
async fn write_events(
    transaction: &mut PgConnection,
    batch: &Batch,
    how: Events,
    metrics: &ProjectorMetrics,
    tally: &mut Tally,
) -> Result<(), ProjectorError> {
    let accounts = load_accounts(transaction, batch).await?;
    let following = match how {
        Events::AllAtOnce => {
            let changes = Changes::gather(accounts, &batch.events);
            tally.add(write_changes(transaction, &changes).await?);
            changes.following().iter().copied().collect()
        }
        Events::ByAccount => write_by_account(transaction, accounts, batch, tally).await?,
    };
    // Nearly always there is nothing to look after.
    if tally.set_aside > 0 || metrics.set_aside_accounts.get() > 0 {
        set_aside::follow(transaction, &following).await?;
        tally.set_aside_accounts = Some(set_aside::count(transaction).await?);
    }
    Ok(())
}

/// Writes the events of each account by themselves, so that those that cannot be hold up no other account.
/// Returns the accounts that go on.
async fn write_by_account(
    transaction: &mut PgConnection,
    mut accounts: BTreeMap<i64, Account>,
    batch: &Batch,
    tally: &mut Tally,
) -> Result<Vec<i64>, ProjectorError> {
    let mut by_account: BTreeMap<i64, Vec<&(AccountEvent, JsonText)>> = BTreeMap::new();
    for event in &batch.events {
        by_account.entry(event.0.account_id.0).or_default().push(event);
    }
    let mut following = Vec::new();
    for (account_id, events) in by_account {
        let account = accounts.remove(&account_id);
        if write_account(transaction, account_id, account, &events, tally).await? {
            following.push(account_id);
        }
    }
    Ok(following)
}

/// Writes the events of one account, up to one that cannot be: that one is set aside, and those behind it are
/// judged by what is projected then. It is found by halves. Returns whether the account goes on.
async fn write_account(
    transaction: &mut PgConnection,
    account_id: i64,
    account: Option<Account>,
    events: &[&(AccountEvent, JsonText)],
    tally: &mut Tally,
) -> Result<bool, ProjectorError> {
    let mut account = account;
    let mut follows = false;
    // The next part is the last.
    let mut parts = vec![events];
    while let Some(part) = parts.pop() {
        let accounts = account.iter().map(|account| (account_id, account.clone())).collect();
        let changes = Changes::gather(accounts, part.iter().copied());
        let mut by_itself = transaction.begin().await?;
        match write_changes(&mut by_itself, &changes).await {
            Ok(written) => {
                by_itself.commit().await?;
                // One of duplicates alone says nothing.
                if changes.following().contains(&account_id) || !changes.set_aside().is_empty() {
                    follows = changes.following().contains(&account_id);
                }
                account = changes.into_accounts().remove(&account_id);
                tally.add(written);
            }
            Err(error) if is_contradiction(&error) => {
                by_itself.rollback().await?;
                if let [(event, body)] = part {
                    let projected_seq = account.as_ref().map_or(0, |account| account.account_seq);
                    let event = SetAside::new(event, body, projected_seq, error.to_string());
                    set_aside::write(transaction, &[event]).await?;
                    tally.set_aside += 1;
                    follows = false;
                } else {
                    let (first, rest) = part.split_at(part.len() / 2);
                    parts.extend([rest, first]);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(follows)
}

async fn write_changes(connection: &mut PgConnection, changes: &Changes<'_>) -> sqlx::Result<Tally> {
    let mut tally = Tally::default();
    changes
        .write(connection, |table, rows| tally.wrote(table, rows))
        .await?;
    tally.duplicates(Log::AccountEvents, changes.duplicates());
    tally.set_aside += changes.set_aside().len() as u64;
    Ok(tally)
}

/// What a transaction does, to be told once it is committed.
#[derive(Debug, Default)]
struct Tally {
    rows: BTreeMap<&'static str, u64>,
    duplicates: BTreeMap<&'static str, u64>,
    /// Events that were set aside.
    set_aside: u64,
    /// Accounts that are set aside, when they were counted.
    set_aside_accounts: Option<i64>,
}

impl Tally {
    fn wrote(&mut self, table: &'static str, rows: u64) {
        *self.rows.entry(table).or_default() += rows;
    }

    fn duplicates(&mut self, log: Log, records: u64) {
        *self.duplicates.entry(log.topic()).or_default() += records;
    }

    fn add(&mut self, other: Self) {
        for (table, rows) in other.rows {
            self.wrote(table, rows);
        }
        for (topic, records) in other.duplicates {
            *self.duplicates.entry(topic).or_default() += records;
        }
        self.set_aside += other.set_aside;
        self.set_aside_accounts = other.set_aside_accounts.or(self.set_aside_accounts);
    }

    fn tell(self, metrics: &ProjectorMetrics) {
        for (table, rows) in self.rows {
            metrics.wrote(table, rows);
        }
        for (topic, records) in self.duplicates {
            metrics.duplicates(topic, records);
        }
        if self.set_aside > 0 {
            tracing::error!(
                events = self.set_aside,
                "events contradict what is projected; their accounts are set aside"
            );
            metrics.set_aside_events.inc_by(self.set_aside);
        }
        if let Some(accounts) = self.set_aside_accounts {
            metrics.set_aside_accounts.set(accounts);
        }
    }
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
