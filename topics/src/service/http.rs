//! The HTTP side of a worker: metrics and health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use prometheus_client::encoding::text::encode;
use serde_json::json;

use super::{Health, Limits, Metrics, Server, ServerMetrics, Shutdown};

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
    let server = Server {
        listen,
        router: http_routes(metrics, health),
        drain_limit: DRAIN_LIMIT,
        limits: Limits::for_operation(),
        metrics: ServerMetrics::default(),
    };
    server.serve(shutdown)
}

/// Serves a public router and, on a listener of its own, [`http_routes`], which the public one has too.
/// Whoever takes all places of the one leaves those of the other, so that a full process can be told
/// from a dead one.
///
/// # Errors
/// When one of the addresses cannot be bound, with the address.
pub async fn serve_with_operation(
    server: Server,
    admin_listen: SocketAddr,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let operation = serve(admin_listen, Arc::clone(&metrics), health.clone(), shutdown.clone());
    let public = Server {
        router: server.router.merge(http_routes(metrics, health)),
        ..server
    };
    tokio::try_join!(public.serve(shutdown), operation).map(drop)
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
