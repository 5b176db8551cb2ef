//! Registrations whose link was never used: reminded, then rejected and deleted. Everything follows from the
//! rows, so the job may run at any time and on any instance, one at a time.

use brokerx_identity::links::VERIFY_REMINDER;
use brokerx_schemas::{AuthEvent, MailRequested};
use brokerx_topics::service::clock::now_us;
use sqlx::{Connection, PgConnection};

use super::registrations;
use crate::outbox::Writer;

/// Registrations of one round; the next round takes the rest.
const ROUND: i64 = 100;
/// Rounds of deletions: a flood of registrations goes as fast as it came.
const ROUNDS: usize = 50;

/// When reminders go out and when the registration is rejected, seconds after it was made.
#[derive(Clone, Debug)]
pub struct ReminderAges {
    /// A reminder at each of these ages.
    pub reminders: Vec<i64>,
    /// Rejected and deleted at this age.
    pub rejection: i64,
    /// How long each reminder's link works, seconds.
    pub link: i64,
}

/// One round: rejects and reminds whoever is due, up to a bound.
///
/// # Errors
/// When the database fails; what was committed stands, the next round does the rest.
pub async fn remind_and_reject(connection: &mut PgConnection, ages: &ReminderAges) -> sqlx::Result<()> {
    for _ in 0..ROUNDS {
        if registrations::end_old(connection, ages.rejection, ROUND).await? < ROUND as usize {
            break;
        }
    }
    // The latest reminder first: after an outage a client gets that one, not all that were missed.
    for (index, age) in ages.reminders.iter().enumerate().rev() {
        let sent_after = i16::try_from(index + 1).unwrap_or(i16::MAX);
        for client_id in pending(connection, *age, sent_after).await? {
            remind(connection, &client_id, sent_after, ages.link).await?;
        }
    }
    Ok(())
}

/// Registrations of at least this age that have had fewer than `reminders_below` reminders.
async fn pending(connection: &mut PgConnection, age_seconds: i64, reminders_below: i16) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar(
        "SELECT client_id::text FROM registrations
         WHERE of_client IS NULL AND created_at <= now() - make_interval(secs => $1) AND reminders_sent < $2
         ORDER BY created_at LIMIT $3",
    )
    .bind(age_seconds as f64)
    .bind(reminders_below)
    .bind(ROUND)
    .fetch_all(connection)
    .await
}

async fn remind(
    connection: &mut PgConnection,
    client_id: &str,
    sent_after: i16,
    link_seconds: i64,
) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    let account_id: Option<i64> = sqlx::query_scalar(
        "UPDATE registrations SET reminders_sent = $2
         WHERE client_id = $1::uuid AND reminders_sent < $2 RETURNING account_id",
    )
    .bind(client_id)
    .bind(sent_after)
    .fetch_optional(&mut *transaction)
    .await?;
    // It became a client in the meantime, or was replaced.
    let Some(account_id) = account_id else { return Ok(()) };
    let mail_id: i64 = sqlx::query_scalar(
        "INSERT INTO mails (registration_id, purpose, expires_at)
         VALUES ($1::uuid, $2, date_trunc('second', now()) + make_interval(secs => $3)) RETURNING mail_id",
    )
    .bind(client_id)
    .bind(VERIFY_REMINDER)
    .bind(link_seconds as f64)
    .fetch_one(&mut *transaction)
    .await?;
    let mut outbox = Writer::new(&mut transaction, None).await?;
    let requested = |event_id| {
        AuthEvent::MailRequested(MailRequested {
            event_id,
            client_id: client_id.to_owned(),
            mail_id,
            occurred_us: now_us(),
        })
    };
    outbox.auth(&account_id.to_string(), requested).await?;
    transaction.commit().await
}
