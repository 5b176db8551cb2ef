//! The one way in which a process serves HTTP: connections are bounded in number and in time.
//!
//! Every connection takes a place ([`Seat`]), in all and of its address, before anything is read from
//! it; one that finds none is told so and closed. A request's head, the wait for the next request and
//! every write have limits ([`Limits`]); how long a request may be served is the router's matter. A
//! connection that becomes a WebSocket keeps its place for as long as its handler keeps the seat, which
//! every request has as an extension. The limit of open files is raised at the start, and the places
//! are never more than it allows, so that a full server still reads its files and answers on its other
//! listeners.
//!
//! Known limit: connections that come faster than they can be refused wait in the system's queue.

mod descriptors;
mod io;
mod options;
mod seats;
mod tls;

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::{Metrics, Shutdown, backoff};
use io::{LimitedIo, Phase};
pub use options::{Limits, ServerOptions};
pub use seats::{ClientPlace, Seat};
use seats::{Gone, Seats};
pub use tls::ServerCertificate;

/// What a connection is told for which there is no place.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n\
    content-type: text/plain\r\ncontent-length: 20\r\n\r\ntoo many connections";

/// A server before it serves.
pub struct Server {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it serves. Handlers can take the client's address as `ConnectInfo<SocketAddr>` and the
    /// connection's place as `Extension<Seat>`.
    pub router: Router,
    /// How long open requests may take once the process stops.
    pub drain_limit: Duration,
    /// What connections may take.
    pub limits: Limits,
    /// What is counted.
    pub metrics: ServerMetrics,
}

/// What is counted about connections.
#[derive(Clone, Debug, Default)]
pub struct ServerMetrics {
    open: Gauge,
    refused: Counter,
}

impl ServerMetrics {
    /// Registers the metrics.
    pub fn new(registry: &mut Metrics) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("http");
        registry.register("connections", "Open connections", metrics.open.clone());
        registry.register(
            "connections_refused",
            "Connections for which there was no place",
            metrics.refused.clone(),
        );
        metrics
    }
}

impl Server {
    /// Serves until the shutdown is requested, then lets open requests and the keepers of seats end,
    /// for the drain limit at most.
    ///
    /// The future is boxed so that the HTTP server is compiled here and not again in each process, see
    /// [`run_process`](super::run_process).
    ///
    /// # Errors
    /// When the address cannot be bound, with the address.
    pub fn serve(self, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        self.serve_with(None, shutdown)
    }

    /// As [`Server::serve`], over TLS only when there is a certificate. The handshake counts as part of the
    /// first request's head.
    ///
    /// # Errors
    /// As [`Server::serve`].
    pub fn serve_with(
        self,
        certificate: Option<ServerCertificate>,
        shutdown: Shutdown,
    ) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(self.listen_and_serve(certificate, shutdown))
    }

    async fn listen_and_serve(self, certificate: Option<ServerCertificate>, shutdown: Shutdown) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        let room = descriptors::room_for_connections();
        if room < self.limits.connections_max {
            tracing::warn!(
                connections_max = self.limits.connections_max,
                room,
                "the system's limit of open files allows fewer connections than are configured"
            );
        }
        tracing::info!(address = %listener.local_addr()?, "serving");
        let (seats, gone) = Seats::new(&self.limits, room);
        self.accept(&listener, certificate.as_ref(), &seats, &shutdown).await;
        drop(listener);
        drop(seats);
        // Those that are left are cut off.
        let _ = tokio::time::timeout(self.drain_limit, all_gone(gone)).await;
        Ok(())
    }

    async fn accept(
        &self,
        listener: &TcpListener,
        certificate: Option<&ServerCertificate>,
        seats: &Seats,
        shutdown: &Shutdown,
    ) {
        let mut pause = backoff();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.requested() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                // The client of a connection that was not taken yet has gone, or there are too many
                // files: either way the next ones are taken after a moment.
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(pause.next()).await;
                    continue;
                }
            };
            pause.reset();
            let Some(seat) = seats.take(peer.ip()) else {
                self.metrics.refused.inc();
                if certificate.is_none() {
                    // It fits into the empty buffer of a new connection, or the client has gone.
                    let _ = stream.try_write(FULL);
                }
                continue;
            };
            let (router, limits, shutdown) = (self.router.clone(), self.limits.clone(), shutdown.clone());
            let open = Open::new(&self.metrics.open);
            let certificate = certificate.cloned();
            tokio::spawn(async move {
                // Answers are small: one that waits for more to send is only late.
                let _ = stream.set_nodelay(true);
                let phase = Phase::default();
                let stream = LimitedIo::new(stream, phase.clone(), &limits);
                match certificate {
                    None => converse(stream, phase, peer, router, seat, &shutdown).await,
                    Some(ServerCertificate(acceptor)) => match acceptor.accept(stream).await {
                        Ok(stream) => converse(stream, phase, peer, router, seat, &shutdown).await,
                        Err(error) => tracing::debug!(%error, %peer, "no handshake"),
                    },
                }
                drop(open);
            });
        }
    }
}

/// Serves the requests of one connection, one after the other.
async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    phase: Phase,
    peer: SocketAddr,
    router: Router,
    seat: Seat,
    shutdown: &Shutdown,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        phase.served();
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(seat.clone());
        let answer = router.call(request.map(Body::new));
        let phase = phase.clone();
        async move {
            let answer = answer.await;
            // Whoever has the connection from now on has limits of their own.
            let is_given_away = matches!(&answer, Ok(answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS);
            if !is_given_away {
                phase.idle();
                look_again().await;
            }
            answer
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection.with_upgrades());
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = shutdown.requested() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Has the connection polled once more. hyper (1.12) does not read again from a client that had nothing to
/// say while it was served, so nobody would begin to wait for the next request.
fn look_again() -> impl Future<Output = ()> {
    poll_fn(|context| {
        context.waker().wake_by_ref();
        Poll::Ready(())
    })
}

/// Counts a connection for as long as it lives.
struct Open(Gauge);

impl Open {
    fn new(open: &Gauge) -> Self {
        open.inc();
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Waits until nobody has a seat any more.
async fn all_gone(mut gone: Gone) {
    // Nobody sends: it ends when the last sender is dropped.
    while gone.recv().await.is_some() {}
}

#[cfg(test)]
mod tests;
