//! Carries the outbox to Kafka, one instance at a time.
//!
//! A batch that was handed to the producer is waited for, however long Kafka is away and whatever
//! happens to PostgreSQL meanwhile: sending it again would only write it twice. It is sent again when a
//! delivery failed, because then the producer has given it up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use brokerx_database::row;
use brokerx_schemas::{AccountCommand, AuthEvent, Message};
use brokerx_topics::codec::Codec;
use brokerx_topics::headers::{Trace, trace_headers};
use brokerx_topics::service::{Batch, DeliveringProducer, Delivery, Outbound, Shutdown, backoff};
use prometheus_client::metrics::gauge::Gauge;
use rdkafka::error::KafkaError;
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{Connection, PgConnection};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::CHANNEL;
use crate::clients::{ReminderAges, remind_and_reject};
use crate::housekeeping::{Retention, delete_old_rows};
use brokerx_identity::database;

/// Held by the instance that relays, for as long as its connection lives.
const RELAY_LOCK: i64 = 0x6272_6f6b_6572_0003;
/// How often the relay looks without being woken: a notification is lost with its connection.
const LOOK: Duration = Duration::from_secs(5);
/// How often an instance that is not the relay tries to become it.
const CANDIDATE: Duration = Duration::from_secs(1);
/// How often reminders are looked for.
const REMIND: Duration = Duration::from_secs(30);
/// How often somebody is told that Kafka does not acknowledge a batch, and the lock is looked at.
const STILL_WAITING: Duration = Duration::from_secs(10);
/// Records of one batch.
const BATCH: i64 = 200;

/// The relay of one process.
pub struct Relay {
    /// How the database is reached; the relay has a connection of its own.
    pub database: PgConnectOptions,
    /// Sends the records.
    pub producer: DeliveringProducer,
    /// Encodes the records.
    pub codec: Codec,
    /// The reminder job, which runs where the relay does.
    pub reminders: ReminderAges,
    /// How long rows are kept; they are deleted where the relay is.
    pub retention: Retention,
    /// The gauge of waiting rows, which only the relaying instance sets.
    pub rows: Gauge,
}

row! {
    struct Row {
        event_id: i64,
        topic: String,
        partition_key: String,
        payload: String,
        correlation_id: Option<String>,
    }
}

/// A batch that the producer has.
struct Handed {
    /// Its last row.
    last: i64,
    rows: usize,
    acknowledged: Pin<Box<dyn Future<Output = Result<(), KafkaError>> + Send>>,
}

impl Relay {
    /// Relays until the shutdown is requested; starts again, after a pause, whenever something fails.
    pub async fn run(self, shutdown: Shutdown) {
        let mut pause = backoff();
        let mut handed = None;
        while !shutdown.is_requested() {
            let ended = tokio::select! {
                ended = self.lead(&mut handed, || pause.reset()) => ended,
                () = shutdown.requested() => return,
            };
            if let Err(error) = ended {
                tracing::warn!(error = format!("{error:#}"), "the outbox relay begins again");
                tokio::time::sleep(pause.next()).await;
            }
        }
    }

    /// Waits for the lock, then relays for as long as nothing fails. The lock ends with the connection.
    async fn lead(&self, handed: &mut Option<Handed>, mut succeeded: impl FnMut()) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect_with(&self.database)
            .await
            .context("no database")?;
        loop {
            let mine: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(RELAY_LOCK)
                .fetch_one(&mut connection)
                .await?;
            if mine {
                break;
            }
            succeeded();
            tokio::time::sleep(CANDIDATE).await;
        }
        tracing::info!("this instance relays the outbox");
        let written = Arc::new(Notify::new());
        let _listening = self.listen(Arc::clone(&written)).await?;
        let mut reminded: Option<Instant> = None;
        loop {
            if reminded.is_none_or(|reminded| reminded.elapsed() >= REMIND) {
                remind_and_reject(&mut connection, &self.reminders)
                    .await
                    .context("reminders")?;
                delete_old_rows(&mut connection, &self.retention)
                    .await
                    .context("housekeeping")?;
                reminded = Some(Instant::now());
            }
            let sent = self.send_batch(&mut connection, handed).await?;
            succeeded();
            self.rows.set(sent as i64);
            if sent < BATCH as usize {
                tokio::select! {
                    () = written.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            }
        }
    }

    /// Tells `written` whenever a writer commits, of this instance or another, for as long as the
    /// task is held. It has a connection of its own: sqlx's listener connects again by itself, and
    /// with the relay's connection the lock would be lost unseen.
    async fn listen(&self, written: Arc<Notify>) -> anyhow::Result<JoinSet<()>> {
        let mut listener = PgListener::connect_with(&database::pool(self.database.clone(), 1)).await?;
        listener.listen(CHANNEL).await?;
        let mut pause = backoff();
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                match listener.try_recv().await {
                    Ok(_) => pause.reset(),
                    Err(error) => {
                        tracing::debug!(%error, "nobody tells of writers to the outbox");
                        tokio::time::sleep(pause.next()).await;
                    }
                }
                // Also when the connection was lost: something may have been written meanwhile.
                written.notify_one();
            }
        });
        Ok(task)
    }

    /// Sends the oldest rows in order, unless the producer has some already, and deletes them once all are
    /// acknowledged. The producer keeps the order within a partition; a batch that fails in part is sent
    /// again from its first row. Returns how many were deleted.
    async fn send_batch(&self, connection: &mut PgConnection, handed: &mut Option<Handed>) -> anyhow::Result<usize> {
        if handed.is_none() {
            *handed = self.hand_over(connection).await?;
        }
        let Some(batch) = handed else { return Ok(0) };
        let since = Instant::now();
        let acknowledged = loop {
            match tokio::time::timeout(STILL_WAITING, &mut batch.acknowledged).await {
                Ok(acknowledged) => break acknowledged,
                Err(_) => {
                    let (rows, waited_s) = (batch.rows, since.elapsed().as_secs());
                    tracing::warn!(rows, waited_s, "Kafka does not acknowledge the outbox; waiting on");
                    // The lock ends with its connection, and nobody else uses that.
                    connection.ping().await.context("the lock of the relay")?;
                }
            }
        };
        let (last, rows) = (batch.last, batch.rows);
        if let Err(error) = acknowledged {
            *handed = None;
            return Err(error).context("Kafka did not take a batch");
        }
        sqlx::query("DELETE FROM outbox WHERE event_id <= $1")
            .bind(last)
            .execute(&mut *connection)
            .await?;
        *handed = None;
        Ok(rows)
    }

    async fn hand_over(&self, connection: &mut PgConnection) -> anyhow::Result<Option<Handed>> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT event_id, topic, partition_key, payload::text AS payload, correlation_id
             FROM outbox ORDER BY event_id LIMIT $1",
        )
        .bind(BATCH)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last().map(|row| row.event_id) else {
            return Ok(None);
        };
        // Through one producer: a row must not overtake one before it that was given up.
        let batch = self.producer.batch();
        let mut deliveries = Vec::with_capacity(rows.len());
        for row in &rows {
            let delivery = self.send(&batch, row);
            deliveries.push(delivery.with_context(|| format!("outbox row {}", row.event_id))?);
        }
        Ok(Some(Handed {
            last,
            rows: rows.len(),
            acknowledged: Box::pin(async move {
                for delivery in deliveries {
                    delivery.delivered().await?;
                }
                Ok(())
            }),
        }))
    }

    fn send(&self, batch: &Batch, row: &Row) -> anyhow::Result<Delivery> {
        let mut value = Vec::with_capacity(128);
        match row.topic.as_str() {
            AuthEvent::TOPIC => self
                .codec
                .encode(&serde_json::from_str::<AuthEvent>(&row.payload)?, &mut value)?,
            AccountCommand::TOPIC => {
                self.codec
                    .encode(&serde_json::from_str::<AccountCommand>(&row.payload)?, &mut value)?;
            }
            other => bail!("nothing is written to topic {other} from here"),
        }
        let key = row.partition_key.as_bytes();
        let trace = Trace {
            correlation_id: row.correlation_id.clone(),
            traceparent: None,
        };
        Ok(batch.send(Outbound {
            topic: &row.topic,
            partition: None,
            key,
            value: &value,
            headers: trace_headers(&trace),
        })?)
    }
}
