//! The layer around every route: correlation, limits, headers, the rendering of problems, metrics.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use super::{CORRELATION_ID, RequestContext};
use crate::http::{Html, Problem};
use crate::state::{App, Shared};
use crate::telemetry::{RequestLabels, RouteLabels};

/// Answers of an API must not be framed, sniffed for another type, cached, or leak their address.
const SECURITY_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// The layer around every route of the API.
pub async fn gateway(
    State(app): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    let started = Instant::now();
    let context = RequestContext::of(request.headers(), peer.ip(), &app.options.server.trusted_proxies);
    request.extensions_mut().insert(context.clone());
    let method = method_label(request.method());
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    let correlation_id = context.correlation_id();
    let span = tracing::info_span!("request", correlation_id, method, route);
    let mut response = serve(&app, &context, request, next).instrument(span.clone()).await;
    render(&mut response, correlation_id);
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        // A page has a policy of its own.
        headers.entry(name).or_insert(value);
    }
    headers.insert("x-instance", app.instance_header.clone());
    // This never fails: the context accepts only ids that are valid in a header.
    if let Ok(value) = HeaderValue::from_str(correlation_id) {
        headers.insert(CORRELATION_ID, value);
    }
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(status, duration_us = elapsed.as_micros() as u64, "answered"));
    app.metrics
        .request_seconds
        .get_or_create(&RouteLabels {
            method: method.clone(),
            route: route.clone(),
        })
        .observe(elapsed.as_secs_f64());
    app.metrics
        .requests
        .get_or_create(&RequestLabels { method, route, status })
        .inc();
    response
}

/// A method as a label of a metric. Unknown methods share one label, so that clients cannot make new ones.
fn method_label(method: &Method) -> String {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::PATCH,
    ];
    if known.contains(method) {
        method.to_string()
    } else {
        "other".to_owned()
    }
}

async fn serve(app: &App, context: &RequestContext, request: Request, next: Next) -> Response {
    if let Err(wait) = app.address_limit.take(context.network()) {
        app.metrics.rate_limited.inc();
        return app.address_limit.refuse(wait);
    }
    match tokio::time::timeout(app.options.request_limit(), next.run(request)).await {
        Ok(response) => response,
        // A command that was sent may still be applied; the client may send the request again with the same key.
        Err(_) => Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "REQUEST_TIMEOUT",
            "the request took too long and may still be carried out: look what became of it, or send it again with the same key",
        )
        .into_response(),
    }
}

/// Writes the body of a problem, with the id that leads to the logs.
fn render(response: &mut Response, correlation_id: &str) {
    let status = response.status();
    if response.extensions_mut().remove::<Html>().is_some() {
        return;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        // The framework itself refused the request, for example because its path is not UTF-8.
        None if status.is_client_error() => Problem::new(
            status,
            "INVALID_REQUEST",
            "the request cannot be read: something in its path or its headers is malformed",
        ),
        None if status.is_server_error() => Problem::internal(status),
        None => return,
    };
    if status.is_server_error() {
        tracing::warn!(
            correlation_id,
            status = status.as_u16(),
            code = problem.code(),
            "a request was not served"
        );
    }
    if let Some(seconds) = problem.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    let body = problem.body(correlation_id);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    *response.body_mut() = body.into();
}
