//! The provider's routes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};
use serde_json::json;

use super::store::{Store, StoreError};
use super::wire::{PaymentAnswer, PaymentOrder};

#[derive(Clone)]
struct Provider {
    store: Arc<Mutex<Store>>,
    latency: Duration,
}

/// The routes of the payments; every answer takes at least `latency`.
pub fn routes(store: Store, latency: Duration) -> Router {
    let provider = Provider {
        store: Arc::new(Mutex::new(store)),
        latency,
    };
    Router::new()
        .route("/v1/payments/{payment_id}", put(ask).get(look))
        .with_state(provider)
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
