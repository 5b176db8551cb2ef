//! The socket of a connection, and the route that opens it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use brokerx_topics::service::clock::now_unix_seconds;
use brokerx_topics::service::{ClientPlace, Seat};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::outbox::Slow;
use super::{Ending, Feed, Outbox, Outgoing, Push, Session};
use crate::protocol::{Answer, ErrorCode};

/// How long a client may take to receive what is written to it.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// How long the last message to a client may take.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// Messages that are written together.
const BATCH: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenQuery {
    token: Option<String>,
}

/// `GET /ws`.
pub fn routes(feed: Arc<Feed>) -> Router {
    Router::new().route("/ws", get(open)).with_state(feed)
}

async fn open(
    State(feed): State<Arc<Feed>>,
    Query(query): Query<OpenQuery>,
    Extension(seat): Extension<Seat>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if query.token.is_some() && !feed.token_in_query {
        let reason = "a token in the address ends in logs; send it in a first `auth` message";
        return (StatusCode::BAD_REQUEST, reason).into_response();
    }
    // The places of the feed are those of the server: a connection keeps its own.
    let Some(place) = seat.of_client(&headers) else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            [("retry-after", "5")],
            "too many connections",
        )
            .into_response();
    };
    let place = (seat, place);
    let bytes = feed.limits.message_bytes_max;
    upgrade
        .max_message_size(bytes)
        .max_frame_size(bytes)
        .on_upgrade(move |socket| serve(feed, socket, query.token, place))
}

async fn serve(feed: Arc<Feed>, socket: WebSocket, token: Option<String>, place: (Seat, ClientPlace)) {
    let id = feed.next_id.fetch_add(1, Ordering::Relaxed);
    let (outbox, queue, slow) = Outbox::new(id, feed.limits.queue_messages_max);
    let (sink, stream) = socket.split();
    feed.metrics.connections.inc();
    let mut connection = Connection {
        session: Session::new(Arc::clone(&feed), outbox),
        feed: Arc::clone(&feed),
        sink,
        stream,
        queue,
        slow,
        heard_at: Instant::now(),
    };
    match connection.run(token).await {
        Ok(ending) => {
            tracing::debug!(connection = id, reason = ending.reason, "a connection is closed");
            let frame = CloseFrame {
                code: ending.close_code,
                reason: Utf8Bytes::from_static(ending.reason),
            };
            // The client may be gone already. One that has closed is answered by the protocol itself, which takes no
            // frame of ours behind that; it is written when the sink is closed.
            let farewell = async {
                let _ = connection.sink.send(Message::Close(Some(frame))).await;
                connection.sink.close().await
            };
            let _ = timeout(FAREWELL_LIMIT, farewell).await;
        }
        Err(error) => tracing::debug!(connection = id, %error, "a connection is gone"),
    }
    drop(connection);
    feed.metrics.connections.dec();
    drop(place);
}

struct Connection {
    session: Session,
    feed: Arc<Feed>,
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    queue: mpsc::Receiver<Push>,
    slow: Arc<Slow>,
    heard_at: Instant,
}

/// Why a turn of the loop ends the connection.
enum Stop {
    Ending(Ending),
    Gone(axum::Error),
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::Ending(ending)
    }
}

const AWAY: Ending = Ending {
    close_code: 1001,
    reason: "the server stops",
};
const BYE: Ending = Ending {
    close_code: 1000,
    reason: "closed by the client",
};
const SILENT: Ending = Ending {
    close_code: 1001,
    reason: "nothing was heard for too long",
};
const SLOW: Ending = Ending {
    close_code: 1008,
    reason: "the client reads too slowly",
};
const BINARY: Ending = Ending {
    close_code: 1003,
    reason: "messages are JSON text",
};

impl Connection {
    async fn run(&mut self, token: Option<String>) -> Result<Ending, axum::Error> {
        match self.turns(token).await {
            Err(Stop::Ending(ending)) => Ok(ending),
            Err(Stop::Gone(error)) => Err(error),
            Ok(never) => match never {},
        }
    }

    async fn turns(&mut self, token: Option<String>) -> Result<std::convert::Infallible, Stop> {
        let mut out = Vec::new();
        if let Some(token) = token {
            let authenticated = self.session.authenticate(&token, &mut out).await;
            self.write(&mut out).await?;
            authenticated?;
        }
        let mut pings = interval(self.feed.limits.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shutdown = self.feed.shutdown.clone();
        let mut revocations = self.feed.revocations.changes();
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let expiry = self
                .session
                .expires()
                .map(|expires| expires.saturating_sub(now_unix_seconds()));
            let turn: Result<(), Ending> = tokio::select! {
                () = self.slow.wait() => Err(SLOW),
                count = self.queue.recv_many(&mut batch, BATCH) => {
                    debug_assert!(count > 0, "the session holds a sender");
                    for push in batch.drain(..) {
                        self.session.pushed(push, &mut out);
                    }
                    Ok(())
                }
                page = past(&mut self.session) => {
                    if let Some(private) = self.session.private() {
                        private.take(page, &mut out);
                    }
                    Ok(())
                }
                message = self.stream.next() => {
                    self.heard_at = Instant::now();
                    match message {
                        Some(Ok(Message::Text(text))) => self.session.request(&text, &mut out).await,
                        Some(Ok(Message::Binary(_))) => Err(BINARY),
                        // It is answered below this, and is work all the same.
                        Some(Ok(Message::Ping(_))) => self.session.paced(&mut out).map(drop),
                        Some(Ok(Message::Pong(_))) => Ok(()),
                        Some(Ok(Message::Close(_))) | None => Err(BYE),
                        Some(Err(error)) => return Err(Stop::Gone(error)),
                    }
                }
                _ = pings.tick() => self.ping(&mut out).await,
                Ok(()) = revocations.changed() => self.session.check_token(&mut out),
                () = expired(expiry) => self.session.check_token(&mut out),
                () = shutdown.requested() => Err(AWAY),
            };
            if turn == Err(SLOW) {
                return Err(self.too_slow().await);
            }
            self.write(&mut out).await?;
            turn?;
        }
    }

    async fn ping(&mut self, out: &mut Vec<Outgoing>) -> Result<(), Ending> {
        if self.heard_at.elapsed() > self.feed.limits.idle {
            return Err(SILENT);
        }
        self.session.check_token(out)?;
        // A failed ping needs no handling: a client that is gone is noticed because it says nothing.
        let _ = timeout(FAREWELL_LIMIT, self.sink.send(Message::Ping(Default::default()))).await;
        Ok(())
    }

    /// Writes everything, or finds the client too slow.
    async fn write(&mut self, out: &mut Vec<Outgoing>) -> Result<(), Stop> {
        if out.is_empty() {
            return Ok(());
        }
        let (sink, feed) = (&mut self.sink, &self.feed);
        let written = async {
            for message in out.drain(..) {
                sink.feed(Message::Text(message.text)).await?;
                if let Some(channel) = message.channel {
                    feed.metrics.pushed(channel, message.occurred_us);
                }
            }
            sink.flush().await
        };
        tokio::select! {
            biased;
            written = timeout(WRITE_LIMIT, written) => {
                if let Ok(written) = written {
                    return written.map_err(Stop::Gone);
                }
            }
            () = self.slow.wait() => {}
        }
        Err(self.too_slow().await)
    }

    /// Tells the client that it is too slow, if it still reads.
    async fn too_slow(&mut self) -> Stop {
        self.feed.metrics.slow_consumers.inc();
        let told = Outgoing::from(Answer::error(ErrorCode::SlowConsumer, SLOW.reason));
        let _ = timeout(FAREWELL_LIMIT, self.sink.send(Message::Text(told.text))).await;
        Stop::Ending(SLOW)
    }
}

async fn past(session: &mut Session) -> anyhow::Result<Vec<brokerx_schemas::AccountEvent>> {
    match session.private() {
        Some(private) => private.past().await,
        None => std::future::pending().await,
    }
}

/// Waits until a token has expired, for ever without one.
async fn expired(seconds: Option<i64>) {
    match seconds {
        Some(seconds) => sleep(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))).await,
        None => std::future::pending().await,
    }
}
