//! One batch, one transaction.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use brokerx_schemas::AccountEvent;
use sqlx::postgres::PgRow;
use sqlx::{Connection, FromRow, PgConnection, Row};

use super::account::Account;
use super::batch::{Batch, Log};
use super::changes::Changes;
use super::error::ProjectorError;
use super::halves::{Parted, is_refused_for_good, write_by_halves};
use super::metrics::ProjectorMetrics;
use super::plain::{self, Plain};
use super::positions;
use super::rows::JsonText;
use super::set_aside::{self, SetAside};
use super::tally::Tally;

/// How a batch is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// A statement for each table.
    AllAtOnce,
    /// In parts: the events of each account by themselves, the others by halves, so that those that cannot be
    /// hold up no other.
    InParts,
}

/// Writes a batch in one transaction: all at once or, when PostgreSQL has found that some rows cannot be, once
/// more, in parts. What was done is counted once it is committed.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    metrics: &ProjectorMetrics,
) -> Result<(), ProjectorError> {
    let written = match write_as(connection, batch, How::AllAtOnce, metrics).await {
        Err(ProjectorError::Database(error)) if is_refused_for_good(&error) => {
            write_as(connection, batch, How::InParts, metrics).await
        }
        written => written,
    };
    written?.tell(metrics);
    Ok(())
}

async fn write_as(
    connection: &mut PgConnection,
    batch: &Batch,
    how: How,
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
    let by_halves = how == How::InParts;
    plain::write(&mut transaction, &batch.trades, by_halves, &mut tally).await?;
    plain::write(&mut transaction, &batch.auth, by_halves, &mut tally).await?;
    let candles: Vec<_> = batch
        .candles
        .iter()
        .map(|(key, (origin, row))| (*key, *origin, *row))
        .collect();
    // Nearly always there is nothing to look after.
    let any_missing = metrics.set_aside_rows.get() > 0;
    if any_missing {
        // Those that are refused once more are set aside once more.
        let subjects: Vec<_> = candles.iter().map(Plain::subject).collect();
        set_aside::follow_rows(&mut transaction, Log::MarketData.topic(), &subjects).await?;
    }
    plain::write(&mut transaction, &candles, by_halves, &mut tally).await?;
    if any_missing || tally.set_aside_rows > 0 {
        tally.rows_aside = Some(set_aside::count_rows(&mut transaction).await?);
    }
    transaction.commit().await?;
    Ok(tally)
}

/// Writes the events of a batch, and looks after the accounts that are set aside.
async fn write_events(
    transaction: &mut PgConnection,
    batch: &Batch,
    how: How,
    metrics: &ProjectorMetrics,
    tally: &mut Tally,
) -> Result<(), ProjectorError> {
    let accounts = load_accounts(transaction, batch).await?;
    let following = match how {
        How::AllAtOnce => {
            let changes = Changes::gather(accounts, &batch.events);
            tally.add(write_changes(transaction, &changes).await?);
            changes.following().iter().copied().collect()
        }
        How::InParts => write_by_account(transaction, accounts, batch, tally).await?,
    };
    // Nearly always there is nothing to look after.
    if tally.set_aside_events > 0 || metrics.set_aside_accounts.get() > 0 {
        set_aside::follow(transaction, &following).await?;
        tally.accounts_aside = Some(set_aside::count(transaction).await?);
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
/// judged by what is projected then. Returns whether the account goes on.
async fn write_account(
    transaction: &mut PgConnection,
    account_id: i64,
    account: Option<Account>,
    events: &[&(AccountEvent, JsonText)],
    tally: &mut Tally,
) -> Result<bool, ProjectorError> {
    let mut one = OneAccount {
        account_id,
        account,
        follows: false,
        tally,
        events: PhantomData,
    };
    write_by_halves(transaction, events, &mut one).await?;
    Ok(one.follows)
}

/// An account while its events are written.
struct OneAccount<'a, 'e> {
    account_id: i64,
    /// As the events so far leave it.
    account: Option<Account>,
    follows: bool,
    tally: &'a mut Tally,
    events: PhantomData<&'e AccountEvent>,
}

impl<'e> Parted for OneAccount<'_, 'e> {
    type Row = &'e (AccountEvent, JsonText);

    async fn write(&mut self, connection: &mut PgConnection, part: &[Self::Row]) -> sqlx::Result<()> {
        let account_id = self.account_id;
        let account = self.account.iter().map(|account| (account_id, account.clone()));
        let changes = Changes::gather(account.collect(), part.iter().copied());
        let written = write_changes(connection, &changes).await?;
        // One of duplicates alone says nothing.
        if changes.following().contains(&account_id) || !changes.set_aside().is_empty() {
            self.follows = changes.following().contains(&account_id);
        }
        self.account = changes.into_accounts().remove(&account_id);
        self.tally.add(written);
        Ok(())
    }

    async fn set_aside(
        &mut self,
        connection: &mut PgConnection,
        (event, body): &Self::Row,
        reason: String,
    ) -> sqlx::Result<()> {
        let projected_seq = self.account.as_ref().map_or(0, |account| account.account_seq);
        let event = SetAside::new(event, body, projected_seq, reason);
        set_aside::write(connection, &[event]).await?;
        self.tally.set_aside_events += 1;
        self.follows = false;
        Ok(())
    }
}

async fn write_changes(connection: &mut PgConnection, changes: &Changes<'_>) -> sqlx::Result<Tally> {
    let mut tally = Tally::default();
    changes
        .write(connection, |table, rows| tally.wrote(table, rows))
        .await?;
    tally.duplicates(Log::AccountEvents, changes.duplicates());
    tally.set_aside_events += changes.set_aside().len() as u64;
    Ok(tally)
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
