//! The private stream of one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use brokerx_schemas::{AccountEvent, AccountId};
use brokerx_topics::service::{Backoff, backoff};
use tokio::time::Instant;

use super::event::{EventBody, Happened};
use super::history::{History, PAGE};
use super::join::{Join, Step};
use crate::connection::Outgoing;
use crate::protocol::{Answer, ErrorCode, PrivateChannels};
use crate::telemetry::{ChannelKind, FeedMetrics};

/// How long PostgreSQL may be away before a client is told that its past cannot be read now.
const AWAY_LIMIT: Duration = Duration::from_secs(3);
/// How long the projection may make no progress towards the events that a client must still get.
const BEHIND_LIMIT: Duration = Duration::from_secs(15);
/// The longest pause between two queries to a projection that is behind.
const LOOK_LONGEST: Duration = Duration::from_millis(250);

/// The least time between the first pages of two resumes of one connection, whatever streams they are of.
const RESUMES_APART: Duration = Duration::from_millis(100);

type Page = Pin<Box<dyn Future<Output = anyhow::Result<Vec<AccountEvent>>> + Send>>;

/// Pushes the events of one account to one connection, each once, in order, without a gap.
pub struct PrivateStream {
    account_id: AccountId,
    history: Arc<History>,
    metrics: FeedMetrics,
    channels: PrivateChannels,
    join: Join<Arc<Happened>>,
    /// The last number pushed, or the base.
    previous: i64,
    page: Option<Page>,
    pause: Backoff,
    progress_at: Instant,
    /// The number that the client asked to resume after, until that is done.
    resuming: Option<i64>,
}

impl PrivateStream {
    /// A stream that begins after `base`; without a base, with whatever happens first.
    pub fn new(account_id: AccountId, base: Option<i64>, history: Arc<History>, metrics: FeedMetrics) -> Self {
        Self {
            account_id,
            history,
            metrics,
            channels: PrivateChannels::default(),
            join: Join::new(base),
            previous: base.unwrap_or(0),
            page: None,
            pause: backoff(),
            progress_at: Instant::now(),
            resuming: None,
        }
    }

    /// The account.
    pub fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// The channels that are pushed.
    pub fn channels_mut(&mut self) -> &mut PrivateChannels {
        &mut self.channels
    }

    /// The highest number that the client can have seen.
    pub fn last(&self) -> i64 {
        self.join.known()
    }

    /// The number up to which everything was passed on, or comes before the base. It is never above the
    /// highest number that is known to exist.
    pub fn passed(&self) -> i64 {
        self.join.last().min(self.join.known())
    }

    /// Pushes everything after `after`, at least up to `known`, then goes on live.
    ///
    /// A client that resumes again and again, last at `resumed_at`, has to wait for its pages, which spares
    /// PostgreSQL.
    pub fn resume(&mut self, after: i64, known: i64, resumed_at: Option<std::time::Instant>, out: &mut Vec<Outgoing>) {
        let pause = resumed_at.map_or(Duration::ZERO, |before| RESUMES_APART.saturating_sub(before.elapsed()));
        self.metrics.resumes.inc();
        out.push(Answer::Resuming { after }.into());
        self.join.resume(after, known);
        self.previous = after;
        self.resuming = Some(after);
        self.read_on(pause, true);
    }

    /// Takes a live event.
    pub fn live(&mut self, happened: Arc<Happened>, out: &mut Vec<Outgoing>) {
        let mut steps = Vec::new();
        self.join.live(happened.event.account_seq, happened, &mut steps);
        self.push(steps, true, out);
        if self.join.wants_page_after().is_some() && self.page.is_none() {
            self.metrics.gaps_filled.inc();
            self.read_on(Duration::ZERO, true);
        }
    }

    /// Waits for a page of the past; for ever when none is wanted. The future may be dropped and made again.
    pub async fn past(&mut self) -> anyhow::Result<Vec<AccountEvent>> {
        match &mut self.page {
            Some(page) => page.await,
            None => std::future::pending().await,
        }
    }

    /// Takes the page that [`PrivateStream::past`] returned.
    pub fn take(&mut self, page: anyhow::Result<Vec<AccountEvent>>, out: &mut Vec<Outgoing>) {
        self.page = None;
        let mut steps = Vec::new();
        let limit = match page {
            Ok(events) => {
                let is_full = events.len() == PAGE;
                let events = events.into_iter().map(|event| {
                    (
                        event.account_seq,
                        Arc::new(Happened {
                            event,
                            correlation_id: None,
                        }),
                    )
                });
                let progress = self.join.page(events, is_full, &mut steps);
                self.push(steps, false, out);
                if self.join.wants_page_after().is_none() {
                    return self.finish(out);
                }
                if progress {
                    return self.read_on(Duration::ZERO, true);
                }
                BEHIND_LIMIT
            }
            Err(error) => {
                tracing::debug!(account_id = %self.account_id, error = format!("{error:#}"), "the past cannot be read");
                AWAY_LIMIT
            }
        };
        if self.progress_at.elapsed() < limit {
            let pause = self.pause.next().min(LOOK_LONGEST);
            self.read_on(pause, false);
        } else {
            self.give_up(out);
        }
    }

    fn read_on(&mut self, pause: Duration, progress: bool) {
        if progress {
            self.progress_at = Instant::now();
            self.pause.reset();
        }
        let Some(after) = self.join.wants_page_after() else {
            return;
        };
        let (history, account_id) = (Arc::clone(&self.history), self.account_id);
        self.page = Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            history.page(account_id, after).await
        }));
    }

    fn finish(&mut self, out: &mut Vec<Outgoing>) {
        if let Some(after) = self.resuming.take() {
            out.push(
                Answer::Resumed {
                    after,
                    to: self.join.last(),
                }
                .into(),
            );
        }
    }

    fn give_up(&mut self, out: &mut Vec<Outgoing>) {
        self.metrics.resumes_unavailable.inc();
        self.resuming = None;
        let after = self.join.last();
        let detail = match self.join.is_unproven() {
            true => format!(
                "nothing is known up to {after}; the last number known is {}",
                self.join.known()
            ),
            false => format!("what came after {after} cannot be read now; resume later"),
        };
        out.push(Answer::error(ErrorCode::ResumeUnavailable, detail).into());
        let mut steps = Vec::new();
        self.join.give_up(&mut steps);
        self.push(steps, false, out);
    }

    /// Pushes the events that are subscribed to. The latency of live ones is measured.
    fn push(&mut self, steps: Vec<Step<Arc<Happened>>>, is_live: bool, out: &mut Vec<Outgoing>) {
        for step in steps {
            if step.rebased {
                // Even when this event is not subscribed to: the next one that is will show the gap.
                self.previous = step.seq - 1;
            }
            if !step.event.channels().intersects(self.channels) {
                continue;
            }
            let previous = std::mem::replace(&mut self.previous, step.seq);
            tracing::debug!(
                account_id = %self.account_id, seq = step.seq,
                correlation_id = step.event.correlation_id.as_deref(), "an event is pushed"
            );
            let body = EventBody::new(&step.event, previous);
            out.push(match is_live {
                true => Outgoing::live(ChannelKind::Account, &body, step.event.event.occurred_us),
                false => Outgoing::past(ChannelKind::Account, &body),
            });
        }
    }
}
