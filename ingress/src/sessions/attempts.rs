//! Tries to log in: their audit, and the limit on wrong ones.

use std::time::Duration;

use brokerx_json::names;
use brokerx_schemas::{AuthEvent, LoginAttempted, LoginOutcome};
use brokerx_topics::service::clock::now_us;

use crate::gateway::RequestContext;
use crate::http::Problem;
use crate::outbox::Writer;
use crate::state::App;

/// One try.
pub(super) struct Attempt<'a> {
    pub(super) email_key: String,
    /// The client, once it is looked up.
    pub(super) client_id: Option<String>,
    address: String,
    context: &'a RequestContext,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(email_key: String, context: &'a RequestContext) -> Self {
        Self {
            email_key,
            client_id: None,
            address: context.address.to_string(),
            context,
        }
    }

    /// Writes the try to the audit, and to `auth` without the address and the e-mail.
    pub(super) async fn record(&self, app: &App, outcome: LoginOutcome) -> Result<(), Problem> {
        let mut transaction = app.database.begin().await?;
        sqlx::query(
            "INSERT INTO login_attempts (email_key, client_id, address, user_agent, outcome)
             VALUES ($1, $2::uuid, $3, $4, $5)",
        )
        .bind(&self.email_key)
        .bind(&self.client_id)
        .bind(&self.address)
        .bind(&self.context.user_agent)
        .bind(names::symbol(outcome))
        .execute(&mut *transaction)
        .await?;
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
        Ok(())
    }
}

/// The refusal, when there were too many wrong passwords within the window for this e-mail or from
/// this address. Tries at the same moment may exceed the limit by the number of password threads.
pub(super) async fn too_many(app: &App, attempt: &Attempt<'_>) -> Result<Option<Problem>, Problem> {
    let options = &app.options;
    // With a limit of n: the seconds until the n-th newest wrong try leaves the window, if there are n.
    let wait_seconds: Option<f64> = sqlx::query_scalar(
        "SELECT greatest(
             (SELECT extract(epoch FROM attempted_at + make_interval(secs => $3) - now()) FROM login_attempts
              WHERE email_key = $1 AND outcome = 'WRONG_CREDENTIALS' AND attempted_at > now() - make_interval(secs => $3)
              ORDER BY attempted_at DESC OFFSET $4 LIMIT 1),
             (SELECT extract(epoch FROM attempted_at + make_interval(secs => $3) - now()) FROM login_attempts
              WHERE address = $2 AND outcome = 'WRONG_CREDENTIALS' AND attempted_at > now() - make_interval(secs => $3)
              ORDER BY attempted_at DESC OFFSET $5 LIMIT 1))::double precision",
    )
    .bind(&attempt.email_key)
    .bind(&attempt.address)
    .bind(options.login_window_seconds as f64)
    .bind(options.login_failures_max - 1)
    .bind(options.login_failures_per_address_max - 1)
    .fetch_one(&app.database)
    .await?;
    Ok(wait_seconds.map(|seconds| {
        let wait = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1));
        Problem::too_many("LOGIN_LIMITED", "too many wrong passwords", wait)
    }))
}
