//! The HTTP side of a worker: metrics and health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use prometheus_client::encoding::text::encode;
use serde_json::json;

use super::{Health, Metrics, Shutdown};

/// How long open requests may take once the process stops.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics` (OpenMetrics), `/health` (alive) and `/ready` (able to serve: 200, else 503), as JSON.
pub fn http_routes(metrics: Arc<Metrics>, health: Health) -> Router {
    Router::new()
        .route("/metrics", get(move || async move { metrics_text(&metrics) }))
        .route("/health", get(|| async { Json(json!({ "status": "alive" })) }))
        .route("/ready", get(move || async move { readiness(&health) }))
}

fn metrics_text(metrics: &Metrics) -> Response {
    let mut text = String::new();
    match encode(&mut text, metrics) {
        Ok(()) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn readiness(health: &Health) -> Response {
    let ready = health.is_ready();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(json!({ "ready": ready, "checks": health.states() }))).into_response()
}

/// Serves [`http_routes`] until the shutdown is requested, then lets open requests end (2 s).
///
/// # Errors
/// When the address cannot be bound, with the address.
pub fn serve(
    listen: SocketAddr,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: Shutdown,
) -> BoxFuture<'static, anyhow::Result<()>> {
    serve_router(listen, http_routes(metrics, health), DRAIN_LIMIT, shutdown)
}

/// Serves a router until the shutdown is requested, then lets open requests end, for `drain_limit`
/// at most. Handlers can take the client's address as `ConnectInfo<SocketAddr>`.
///
/// The future is boxed so that the HTTP server is compiled here and not again in each process, see
/// [`run_process`](super::run_process).
///
/// # Errors
/// When the address cannot be bound, with the address.
pub fn serve_router(
    listen: SocketAddr,
    router: Router,
    drain_limit: Duration,
    shutdown: Shutdown,
) -> BoxFuture<'static, anyhow::Result<()>> {
    Box::pin(listen_and_serve(listen, router, drain_limit, shutdown))
}

async fn listen_and_serve(
    listen: SocketAddr,
    router: Router,
    drain_limit: Duration,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "serving");
    // Answers are small: one that waits for more to send is only late.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let requested = shutdown.clone();
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(async move { requested.requested().await });
    tokio::select! {
        served = server.into_future() => served.context("the HTTP server failed"),
        () = async {
            shutdown.requested().await;
            tokio::time::sleep(drain_limit).await;
        } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::service::metrics;

    /// Status and body of a path.
    async fn get(address: SocketAddr, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{address}{path}")).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn metrics_health_and_readiness_are_served() {
        let mut registry = metrics();
        let counter = prometheus_client::metrics::counter::Counter::<u64>::default();
        registry.register("orders", "Orders", counter.clone());
        counter.inc();
        let health = Health::default();
        let kafka = health.add("kafka");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(axum::serve(listener, http_routes(Arc::new(registry), health)).into_future());

        assert_eq!(get(address, "/health").await.0, 200);
        let (status, body) = get(address, "/ready").await;
        assert!(status == 503 && body.contains("starting"), "{status} {body}");
        kafka.set(true, "connected");
        assert_eq!(get(address, "/ready").await.0, 200);
        let (status, body) = get(address, "/metrics").await;
        assert!(
            status == 200 && body.contains("brokerx_orders_total 1"),
            "{status} {body}"
        );
        server.abort();
    }

    #[tokio::test]
    async fn a_shutdown_ends_the_server() {
        let shutdown = Shutdown::default();
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = serve(listen, Arc::new(metrics()), Health::default(), shutdown.clone());
        shutdown.request();
        tokio::time::timeout(Duration::from_secs(10), server)
            .await
            .unwrap()
            .unwrap();
    }
}
