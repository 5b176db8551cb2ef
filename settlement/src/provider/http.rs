//! The provider's routes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};
use brokerx_topics::service::Password;
use serde_json::json;

use super::store::{Store, StoreError};
use super::wire::{PaymentAnswer, PaymentOrder};

#[derive(Clone)]
struct Provider {
    store: Arc<Mutex<Store>>,
    latency: Duration,
}

/// The routes of the payments; every answer takes at least `latency`. With a token they are for those who present it.
pub fn routes(store: Store, latency: Duration, token: Option<Password>) -> Router {
    let provider = Provider {
        store: Arc::new(Mutex::new(store)),
        latency,
    };
    let routes = Router::new()
        .route("/v1/payments/{payment_id}", put(ask).get(look))
        .with_state(provider);
    match token {
        Some(token) => routes.route_layer(from_fn_with_state(Arc::new(token), check)),
        None => routes,
    }
}

async fn check(State(token): State<Arc<Password>>, request: Request, next: Next) -> Response {
    if presents(request.headers(), &token) {
        return next.run(request).await;
    }
    tracing::warn!("a payment request without the right token was refused");
    let refused = problem(StatusCode::UNAUTHORIZED, "the token is missing or wrong");
    ([(WWW_AUTHENTICATE, "Bearer")], refused).into_response()
}

fn presents(headers: &HeaderMap, token: &Password) -> bool {
    let said = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let said = said.and_then(|value| value.split_once(' '));
    said.is_some_and(|(scheme, said)| scheme.eq_ignore_ascii_case("bearer") && token.is(said))
}

async fn ask(
    State(provider): State<Provider>,
    Path(payment_id): Path<i64>,
    order: Result<Json<PaymentOrder>, JsonRejection>,
) -> Response {
    let order = match order {
        Ok(Json(order)) if order.amount_cents > 0 => order,
        Ok(_) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "amount_cents must be more than 0"),
        Err(rejection) => return problem(StatusCode::BAD_REQUEST, &rejection.body_text()),
    };
    provider.answer(|store| store.put(payment_id, order)).await
}

async fn look(State(provider): State<Provider>, Path(payment_id): Path<i64>) -> Response {
    provider.answer(|store| store.get(payment_id)).await
}

impl Provider {
    async fn answer(&self, request: impl FnOnce(&mut Store) -> Result<PaymentAnswer, StoreError>) -> Response {
        tokio::time::sleep(self.latency).await;
        // A poisoned lock is sound: the store changes memory last, so a panic before that leaves it
        // as the file says.
        let answered = request(&mut self.store.lock().unwrap_or_else(PoisonError::into_inner));
        match answered {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => {
                let status = match error {
                    StoreError::Mismatch(_) => StatusCode::CONFLICT,
                    StoreError::Unknown(_) => StatusCode::NOT_FOUND,
                    StoreError::Broken | StoreError::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                tracing::warn!(%error, "a payment request was not answered as wished");
                problem(status, &error.to_string())
            }
        }
    }
}

fn problem(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({ "status": status.as_u16(), "detail": detail }))).into_response()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token: Password = "0123abcd".parse().unwrap();
        let presented = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            presents(&headers, &token)
        };
        assert!(presented(Some("Bearer 0123abcd")) && presented(Some("bearer 0123abcd")));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123abc",
            "Bearer 0123abcde",
            "Basic 0123abcd",
            "0123abcd",
        ] {
            assert!(!presented(Some(wrong)), "{wrong}");
        }
        assert!(!presented(None));
    }
}
