//! Mails: what `auth` asks for becomes a file, exactly once as far as that is possible.
//!
//! One consumer group shares the partitions of `auth` among the instances. An offset is committed
//! after its mail is on disk, so a crash repeats a mail rather than losing it; the repeat has the
//! same name and the same bytes. The topic carries only the mail's row id: the address is read from
//! PostgreSQL, the link is derived with the mail key, and neither is logged. While PostgreSQL or the
//! disk fails, the mail waits, and so do those behind it. A mail whose row is gone, because its
//! registration was replaced or has ended, and one that can never be sent (its purpose is unknown) are
//! counted, logged and skipped.

mod files;
mod letter;

use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use brokerx_schemas::{AuthEvent, Message};
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers::trace_of;
use brokerx_topics::passes::{Passes, hint};
use brokerx_topics::service::kafka::consumer_config;
use brokerx_topics::service::{Backoff, Check, Drained, PlatformOptions, Shutdown, backoff};
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use sqlx::PgPool;
use tokio::runtime::Handle;

use crate::telemetry::{MailMetrics, MailOutcome};
pub use files::MailFiles;
use files::Written;
pub use letter::Stationery;
use letter::{LetterError, MailRow};

const GROUP: &str = "brokerx-mail";
const POLL: Duration = Duration::from_millis(500);
/// How long it may take to seek back to a record that must wait.
const SEEK_LIMIT: Duration = Duration::from_secs(5);

/// Writes the mails.
pub struct Mailer {
    /// Where the brokers are.
    pub platform: PlatformOptions,
    /// Names this instance in the group.
    pub instance: String,
    /// Decodes `auth`.
    pub codec: Codec,
    /// Which records everybody passes.
    pub passes: Passes,
    /// The database with the addresses; unqualified names mean the schema `identity`.
    pub database: PgPool,
    /// What all mails have in common.
    pub stationery: Stationery,
    /// Where they go.
    pub files: MailFiles,
    /// What is counted.
    pub metrics: MailMetrics,
    /// Holds while mails do not wait for anything.
    pub check: Check,
    /// When to stop.
    pub shutdown: Shutdown,
}

impl Mailer {
    /// Starts the thread; it ends when the shutdown is requested.
    ///
    /// # Errors
    /// When the system gives no thread.
    ///
    /// # Panics
    /// Outside of a Tokio runtime, in which PostgreSQL is asked.
    pub fn spawn(self) -> std::io::Result<JoinHandle<()>> {
        let runtime = Handle::current();
        std::thread::Builder::new().name("mail".to_owned()).spawn(move || {
            let mut pause = backoff();
            while !self.shutdown.is_requested() {
                if let Err(error) = self.run(&runtime, &mut pause) {
                    self.check.set(false, &format!("{error:#}"));
                    tracing::warn!(error = format!("{error:#}"), "reading auth begins anew");
                    std::thread::sleep(pause.next());
                }
            }
        })
    }

    fn run(&self, runtime: &Handle, pause: &mut Backoff) -> anyhow::Result<()> {
        let consumer: Drained = consumer_config(&self.platform, GROUP)
            .set("group.instance.id", format!("notifier-{}", self.instance))
            .create()?;
        consumer.subscribe(&[AuthEvent::TOPIC])?;
        self.check.set(true, "no mail waits");
        while !self.shutdown.is_requested() {
            let message = match consumer.poll(POLL) {
                None => continue,
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    // librdkafka goes on by itself once a broker is back.
                    tracing::debug!(%error, "auth cannot be read for now");
                    continue;
                }
            };
            match self.handle(&message, runtime) {
                Ok(()) => {
                    pause.reset();
                    self.check.set(true, "no mail waits");
                    // A commit that is lost repeats mails that are there already.
                    if let Err(error) = consumer.commit_message(&message, CommitMode::Async) {
                        tracing::debug!(%error, "an offset of auth was not committed");
                    }
                }
                Err(error) => {
                    self.metrics.count(MailOutcome::Waited);
                    self.check.set(false, &format!("a mail waits: {error:#}"));
                    tracing::warn!(offset = message.offset(), error = format!("{error:#}"), "a mail waits");
                    // Polled again after the pause rather than retried in place: a member that does not poll loses
                    // its place in the group.
                    consumer
                        .seek(
                            message.topic(),
                            message.partition(),
                            Offset::Offset(message.offset()),
                            SEEK_LIMIT,
                        )
                        .context("a record cannot be put back")?;
                    std::thread::sleep(pause.next());
                }
            }
        }
        Ok(())
    }

    /// Does what a record asks for. An error means that it must be tried again later.
    fn handle(&self, message: &BorrowedMessage<'_>, runtime: &Handle) -> anyhow::Result<()> {
        let Some(value) = message.payload() else { return Ok(()) };
        let event = match runtime.block_on(self.codec.decode_resolving::<AuthEvent>(value)) {
            Ok(event) => event,
            Err(error @ (DecodeError::UnknownSchema(_) | DecodeError::DeniedSchema(_))) => {
                let (partition, offset) = (message.partition(), message.offset());
                if runtime.block_on(self.passes.look(AuthEvent::TOPIC, partition, offset))? {
                    self.metrics.count(MailOutcome::Unusable);
                    return Ok(());
                }
                return Err(error).context(hint(AuthEvent::TOPIC, partition, offset));
            }
            Err(error) => {
                tracing::error!(partition = message.partition(), offset = message.offset(), %error, "a record of auth cannot be used");
                self.metrics.count(MailOutcome::Unusable);
                return Ok(());
            }
        };
        let (event_id, mail_id) = match event {
            AuthEvent::ClientRegistered(event) => (event.event_id, event.mail_id),
            AuthEvent::MailRequested(event) => (event.event_id, event.mail_id),
            _ => return Ok(()),
        };
        let trace = trace_of(message.headers());
        let span = tracing::info_span!(
            "mail",
            event_id,
            mail_id,
            correlation_id = trace.correlation_id.as_deref()
        );
        let _entered = span.enter();
        self.mail(mail_id, runtime)
    }

    fn mail(&self, mail_id: i64, runtime: &Handle) -> anyhow::Result<()> {
        let Some(row) = runtime
            .block_on(self.row(mail_id))
            .context("the address cannot be read")?
        else {
            tracing::info!("a mail is not sent: its registration was replaced, or has ended");
            self.metrics.count(MailOutcome::Outdated);
            return Ok(());
        };
        let text = match self.stationery.write(&row) {
            Ok(text) => text,
            Err(error) => {
                // An address is personal data: the log says that it is wrong, not what it is.
                let reason = match &error {
                    LetterError::Address(_) => "the address is not valid".to_owned(),
                    error => error.to_string(),
                };
                tracing::error!(reason, purpose = row.purpose, "a mail can never be sent");
                self.metrics.count(MailOutcome::Unusable);
                return Ok(());
            }
        };
        match self.files.write(mail_id, &text).context("the mail cannot be written")? {
            Written::New => {
                tracing::info!(purpose = row.purpose, "a mail was sent");
                self.metrics.count(MailOutcome::Sent);
            }
            Written::Before => self.metrics.count(MailOutcome::Repeated),
        }
        Ok(())
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
