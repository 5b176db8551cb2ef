//! Delivers one letter: from its id to what became of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use tokio::time::timeout;

use super::desk::Outcome;
use super::files::{MailFiles, Written};
use super::letter::{Letter, LetterError, MailRow, Stationery};
use super::options::MailOptions;
use super::smtp::Smtp;
use crate::telemetry::{MailMetrics, MailOutcome};

/// How long PostgreSQL may take to tell an address.
const ROW_LIMIT: Duration = Duration::from_secs(10);

/// Reads addresses, writes letters and delivers them.
pub struct Post {
    database: PgPool,
    stationery: Stationery,
    carrier: Carrier,
    metrics: MailMetrics,
}

enum Carrier {
    Files(MailFiles),
    Smtp(Smtp),
}

impl Post {
    /// With the addresses of a database, in which unqualified names mean the schema `identity`. Nobody is
    /// asked for anything yet.
    ///
    /// # Errors
    /// When the options contradict each other, or what they name cannot be read.
    pub fn new(options: &MailOptions, database: PgPool, metrics: MailMetrics) -> anyhow::Result<Arc<Self>> {
        let carrier = match Smtp::new(options)? {
            Some(smtp) => Carrier::Smtp(smtp),
            None => Carrier::Files(MailFiles::new(options.mail_dir.clone())),
        };
        let stationery = Stationery {
            from: options.mail_from.clone(),
            public_url: options.public_url.clone(),
            mail_key: options.mail_key.clone(),
        };
        Ok(Arc::new(Self {
            database,
            stationery,
            carrier,
            metrics,
        }))
    }

    /// Where letters go, for people.
    pub(super) fn place(&self) -> String {
        match &self.carrier {
            Carrier::Files(files) => files.folder().display().to_string(),
            Carrier::Smtp(smtp) => smtp.name(),
        }
    }

    /// Tries to deliver a letter, and counts what became of it.
    pub(super) async fn deliver(&self, mail_id: i64) -> Outcome {
        let row = match timeout(ROW_LIMIT, self.row(mail_id)).await {
            Ok(Ok(Some(row))) => row,
            Ok(Ok(None)) => {
                tracing::info!("a mail is not sent: its registration was replaced, or has ended");
                self.metrics.count(MailOutcome::Outdated);
                return Outcome::Moot;
            }
            Ok(Err(error)) => return waits(format!("the address cannot be read: {error}")),
            Err(_) => return waits(format!("the address was not read within {} s", ROW_LIMIT.as_secs())),
        };
        let letter = match self.stationery.write(&row) {
            Ok(letter) => letter,
            // An address is personal data: the reason says that it is wrong, not what it is.
            Err(LetterError::Address(_)) => return Outcome::Unsendable("the address is not valid".to_owned()),
            Err(error) => return Outcome::Unsendable(error.to_string()),
        };
        let outcome = match &self.carrier {
            Carrier::Files(files) => write(files, mail_id, letter).await,
            Carrier::Smtp(smtp) => match smtp.send(&letter).await {
                Ok(()) => Ok(Written::New),
                Err(failure) => Err(failure.outcome(&row.email)),
            },
        };
        match outcome {
            Ok(Written::New) => {
                tracing::info!(purpose = row.purpose, "a mail was sent");
                self.metrics.count(MailOutcome::Sent);
                Outcome::Settled
            }
            Ok(Written::Before) => {
                self.metrics.count(MailOutcome::Repeated);
                Outcome::Settled
            }
            Err(outcome) => outcome,
        }
    }

    /// Delivers a letter once, for a person who waits for it.
    ///
    /// # Errors
    /// Why it was not delivered, or that there is no such letter any more.
    pub async fn send_again(&self, mail_id: i64) -> Result<(), String> {
        // Whatever else is wrong is told below.
        if let Ok(Ok(None)) = timeout(ROW_LIMIT, self.row(mail_id)).await {
            return Err("there is no such mail: its registration was replaced, or has ended".to_owned());
        }
        match self.deliver(mail_id).await {
            Outcome::Settled | Outcome::Moot => Ok(()),
            Outcome::Refused(reason)
            | Outcome::Unsendable(reason)
            | Outcome::Deferred { reason, .. }
            | Outcome::Waits { reason, .. }
            | Outcome::Unburied(reason) => Err(reason),
        }
    }

    /// Lets go what nobody needs now.
    pub(super) fn tidy(&self) {
        if let Carrier::Smtp(smtp) = &self.carrier {
            smtp.tidy();
        }
    }

    async fn row(&self, mail_id: i64) -> sqlx::Result<Option<MailRow>> {
        sqlx::query_as(
            "SELECT mail_id, purpose,
                    coalesce(clients.email, registrations.email) AS email,
                    coalesce(clients.name, registrations.name) AS name,
                    extract(epoch FROM mails.created_at)::bigint AS created,
                    extract(epoch FROM expires_at)::bigint AS expires
             FROM mails LEFT JOIN clients ON clients.client_id = mails.client_id
                        LEFT JOIN registrations ON registrations.client_id = registration_id
             WHERE mail_id = $1",
        )
        .bind(mail_id)
        .fetch_optional(&self.database)
        .await
    }
}

async fn write(files: &MailFiles, mail_id: i64, letter: Letter) -> Result<Written, Outcome> {
    let files = files.clone();
    let written = tokio::task::spawn_blocking(move || files.write(mail_id, &letter.text));
    let written = written.await.context("writing it panicked");
    written
        .and_then(|written| written.context("the mail cannot be written"))
        .map_err(|error| waits(format!("{error:#}")))
}

fn waits(reason: String) -> Outcome {
    Outcome::Waits { reason, alarm: false }
}
