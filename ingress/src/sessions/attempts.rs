//! Tries to log in: their audit, and what the database remembers of wrong ones.

use std::time::Duration;

use brokerx_database::row;
use brokerx_json::names;
use brokerx_schemas::{AuthEvent, LoginAttempted, LoginOutcome};
use brokerx_topics::service::clock::now_us;
use brokerx_topics::service::{Backoff, Shutdown, backoff};
use sqlx::PgPool;

use super::tries::{History, Tries, Who};
use crate::gateway::RequestContext;
use crate::outbox::Writer;

/// How often the sums of refused tries are written.
const SUM: Duration = Duration::from_secs(10);

/// One try.
pub(super) struct Attempt {
    pub(super) who: Who,
    /// The client, once it is looked up.
    pub(super) client_id: Option<String>,
    context: RequestContext,
}

impl Attempt {
    pub(super) fn new(email_key: String, context: RequestContext) -> Self {
        let network = context.network();
        Self {
            who: Who { email_key, network },
            client_id: None,
            context,
        }
    }

    /// Writes the try to the audit, and to `auth` without the address and the e-mail. Returns its row.
    pub(super) async fn record(&self, database: &PgPool, outcome: LoginOutcome) -> sqlx::Result<i64> {
        let mut transaction = database.begin().await?;
        let attempt_id: i64 = sqlx::query_scalar(
            "INSERT INTO login_attempts (email_key, client_id, address, network, user_agent, outcome)
             VALUES ($1, $2::uuid, $3, $4, $5, $6) RETURNING attempt_id",
        )
        .bind(&self.who.email_key)
        .bind(&self.client_id)
        .bind(self.context.address.to_string())
        .bind(self.who.network.to_string())
        .bind(&self.context.user_agent)
        .bind(names::symbol(outcome))
        .fetch_one(&mut *transaction)
        .await?;
        if outcome == LoginOutcome::Succeeded {
            // To the hour, so that a client who logs in often does not write each time.
            sqlx::query(
                "INSERT INTO known_addresses AS known (email_key, network) VALUES ($1, $2)
                 ON CONFLICT (email_key, network) DO UPDATE SET last_login_at = now()
                 WHERE known.last_login_at < now() - interval '1 hour'",
            )
            .bind(&self.who.email_key)
            .bind(self.who.network.to_string())
            .execute(&mut *transaction)
            .await?;
        }
        let mut outbox = Writer::new(&mut transaction, Some(self.context.correlation_id())).await?;
        let attempted = |event_id| {
            AuthEvent::LoginAttempted(LoginAttempted {
                event_id,
                client_id: self.client_id.clone(),
                outcome,
                occurred_us: now_us(),
            })
        };
        outbox
            .auth(self.client_id.as_deref().unwrap_or("unknown"), attempted)
            .await?;
        transaction.commit().await?;
        Ok(attempt_id)
    }
}

row! {
    /// Ages in seconds, youngest first.
    struct HistoryRow {
        of_network: Vec<f64>,
        of_pair: Vec<f64>,
        of_email: Vec<f64>,
        is_known: bool,
    }
}

/// What all instances have decided about somebody who tries. It takes as long for an e-mail that does not
/// exist.
pub(super) async fn history(database: &PgPool, tries: &Tries, who: &Who) -> sqlx::Result<History> {
    let [of_network, of_pair, of_email] = tries.memory().map(|count| count as i64);
    let row: HistoryRow = sqlx::query_as(
        "SELECT
           ARRAY(SELECT extract(epoch FROM now() - attempted_at)::double precision FROM login_attempts
                 WHERE network = $2 AND outcome = 'WRONG_CREDENTIALS' AND attempted_at > now() - make_interval(secs => $3)
                 ORDER BY attempted_at DESC LIMIT $4) AS of_network,
           ARRAY(SELECT extract(epoch FROM now() - attempted_at)::double precision FROM login_attempts
                 WHERE email_key = $1 AND network = $2 AND outcome = 'WRONG_CREDENTIALS'
                   AND attempted_at > now() - make_interval(secs => $3)
                 ORDER BY attempted_at DESC LIMIT $5) AS of_pair,
           ARRAY(SELECT extract(epoch FROM now() - attempted_at)::double precision FROM login_attempts
                 WHERE email_key = $1 AND outcome = 'WRONG_CREDENTIALS' AND attempted_at > now() - make_interval(secs => $3)
                 ORDER BY attempted_at DESC LIMIT $6) AS of_email,
           EXISTS (SELECT FROM known_addresses WHERE email_key = $1 AND network = $2) AS is_known",
    )
    .bind(&who.email_key)
    .bind(who.network.to_string())
    .bind(tries.limits().window.as_secs_f64())
    .bind(of_network)
    .bind(of_pair)
    .bind(of_email)
    .fetch_one(database)
    .await?;
    let ages = |seconds: Vec<f64>| {
        let age = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        seconds.into_iter().map(age).collect()
    };
    Ok(History {
        of_network: ages(row.of_network),
        of_pair: ages(row.of_pair),
        of_email: ages(row.of_email),
        is_known: row.is_known,
    })
}

/// Writes how many tries were refused, again and again until the shutdown is requested, and once more then.
pub async fn sum_up_refusals(database: PgPool, tries: &Tries, shutdown: Shutdown) {
    let mut pause = backoff();
    loop {
        tokio::select! {
            () = tokio::time::sleep(SUM) => {}
            () = shutdown.requested() => {}
        }
        let is_last = shutdown.is_requested();
        sum_up(&database, tries, &mut pause, is_last).await;
        if is_last {
            return;
        }
    }
}

async fn sum_up(database: &PgPool, tries: &Tries, pause: &mut Backoff, is_last: bool) {
    let unwritten = tries.unwritten();
    if unwritten.is_empty() {
        return;
    }
    let (ids, sums): (Vec<i64>, Vec<i64>) = unwritten.iter().map(|sum| (sum.attempt_id, sum.refused)).unzip();
    let written = sqlx::query(
        "UPDATE login_attempts SET refused = refused + sums.refused
         FROM (SELECT attempt_id, sum(refused)::bigint AS refused
               FROM unnest($1::bigint[], $2::bigint[]) AS each (attempt_id, refused) GROUP BY attempt_id) AS sums
         WHERE login_attempts.attempt_id = sums.attempt_id",
    )
    .bind(ids)
    .bind(sums)
    .execute(database)
    .await;
    match written {
        Ok(_) => pause.reset(),
        Err(error) => {
            tracing::warn!(%error, rows = unwritten.len(), "how many log-ins were refused is not written yet");
            tries.put_back(unwritten);
            if !is_last {
                tokio::time::sleep(pause.next()).await;
            }
        }
    }
}
