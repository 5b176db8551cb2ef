//! `POST` and `GET` of `/api/v1/deposits` and `/api/v1/withdrawals`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokerx_database::row;
use brokerx_json::{PaymentBody, decimal, names};
use brokerx_schemas::{AccountCommand, PaymentDirection, PaymentId, PaymentStatus, PaymentView, Reply, RequestPayment};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::commands::Outcome;
use crate::gateway::{Caller, RequestContext, Scope, consistency};
use crate::http::{Body, FieldError, IdempotencyKey, Page, PageQuery, Problem, Query, reasons};
use crate::orders::{REPLAYED, late};
use crate::state::{App, Shared};

/// The body of a deposit or withdrawal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestBody {
    amount: Option<Box<RawValue>>,
    currency: Option<String>,
}

impl RequestBody {
    /// Amount in cents, and currency. Settlement decides about limits and which currencies are served.
    fn check(self) -> Result<(i64, String), Problem> {
        let mut errors = Vec::new();
        let amount = self
            .amount
            .as_deref()
            .and_then(|json| decimal::parse(json, 2).ok())
            .filter(|cents| *cents > 0);
        if amount.is_none() {
            errors.push(FieldError::new(
                "amount",
                "INVALID_AMOUNT",
                "is more than 0, with at most two digits after the point",
            ));
        }
        let is_code = |code: &String| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        let currency = self.currency.filter(is_code);
        if currency.is_none() {
            errors.push(FieldError::new(
                "currency",
                "INVALID_CURRENCY",
                "is three letters of ISO 4217, such as USD",
            ));
        }
        match (amount, currency) {
            (Some(amount_cents), Some(currency)) => Ok((amount_cents, currency)),
            _ => Err(Problem::fields(errors)),
        }
    }
}

/// `POST /api/v1/deposits`.
pub async fn deposit(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    key: IdempotencyKey,
    Body(body): Body<RequestBody>,
) -> Result<Response, Problem> {
    request(&app, &caller, &context, key, body, PaymentDirection::Deposit).await
}

/// `POST /api/v1/withdrawals`.
pub async fn withdraw(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    key: IdempotencyKey,
    Body(body): Body<RequestBody>,
) -> Result<Response, Problem> {
    request(&app, &caller, &context, key, body, PaymentDirection::Withdrawal).await
}

async fn request(
    app: &App,
    caller: &Caller,
    context: &RequestContext,
    key: IdempotencyKey,
    body: RequestBody,
    direction: PaymentDirection,
) -> Result<Response, Problem> {
    let account_id = caller.account(Scope::Funds)?;
    let idempotency_key = key.required()?;
    let (amount_cents, currency) = body.check()?;
    let command = |meta| {
        let payment = RequestPayment {
            meta,
            account_id,
            idempotency_key,
            amount_cents,
            currency,
        };
        if direction == PaymentDirection::Withdrawal {
            AccountCommand::Withdraw(payment)
        } else {
            AccountCommand::Deposit(payment)
        }
    };
    let location = if direction == PaymentDirection::Withdrawal {
        "/api/v1/withdrawals"
    } else {
        "/api/v1/deposits"
    };
    match app.commands.account(account_id, &context.trace, command).await? {
        Outcome::Late => Ok(late(location)),
        Outcome::Replied(reply) => answer(&reply, location),
    }
}

/// 201, or 200 for a repeat; 202 while the provider has given no final answer.
fn answer(reply: &Reply, location: &'static str) -> Result<Response, Problem> {
    let mut response = match (&reply.payment, &reply.refusal) {
        (_, Some(refusal)) => reasons::refused(refusal).into_response(),
        (None, None) => return Err(Problem::internal("a reply without a payment and without a refusal")),
        (Some(payment), None) => {
            let body = Json(PaymentBody::from(payment));
            match payment.status {
                PaymentStatus::Pending => (StatusCode::ACCEPTED, [(header::LOCATION, location)], body).into_response(),
                _ if reply.replayed => (StatusCode::OK, body).into_response(),
                _ => (StatusCode::CREATED, body).into_response(),
            }
        }
    };
    if reply.replayed {
        response.headers_mut().extend([REPLAYED]);
    }
    Ok(response)
}

row! {
    struct PaymentRow {
        payment_id: i64,
        amount_cents: i64,
        currency: String,
        status: String,
        reason: Option<String>,
        created_us: i64,
        updated_us: i64,
    }
}

/// `GET /api/v1/deposits`.
pub async fn deposits(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PaymentBody>>, Problem> {
    list(&app, &caller, &headers, &query, PaymentDirection::Deposit).await
}

/// `GET /api/v1/withdrawals`.
pub async fn withdrawals(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PaymentBody>>, Problem> {
    list(&app, &caller, &headers, &query, PaymentDirection::Withdrawal).await
}

async fn list(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    query: &PageQuery,
    direction: PaymentDirection,
) -> Result<Json<Page<PaymentBody>>, Problem> {
    let (before, limit) = (query.before()?, query.limit()?);
    let account_id = consistency::readable(app, caller, query.consistency_token.as_deref(), headers).await?;
    let rows: Vec<PaymentRow> = sqlx::query_as(
        "SELECT payment_id, amount_cents, currency, status, reason, created_us, updated_us FROM projection.payments
         WHERE account_id = $1 AND direction = $2 AND payment_id < $3 ORDER BY payment_id DESC LIMIT $4",
    )
    .bind(account_id.0)
    .bind(names::symbol(direction))
    .bind(before)
    .bind(limit + 1)
    .fetch_all(&app.database)
    .await?;
    let body = |row: PaymentRow| {
        PaymentBody::from(&PaymentView {
            payment_id: PaymentId(row.payment_id),
            direction,
            amount_cents: row.amount_cents,
            currency: row.currency,
            status: names::of_symbol(&row.status),
            reason: row.reason.as_deref().map(names::of_symbol),
            created_us: row.created_us,
            updated_us: row.updated_us,
        })
    };
    Ok(Json(Page::of_rows(rows, limit, |row| row.payment_id).map(body)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use brokerx_schemas::{CommandId, Reason, Refusal, ReplyKind};

    use super::*;

    #[test]
    fn amounts_are_exact_and_positive() {
        let check = |text: &str| serde_json::from_str::<RequestBody>(text).unwrap().check();
        assert_eq!(
            check(r#"{"amount": "100.50", "currency": "USD"}"#).unwrap(),
            (10_050, "USD".to_owned())
        );
        assert_eq!(check(r#"{"amount": 100.5, "currency": "USD"}"#).unwrap().0, 10_050);
        for (text, code) in [
            (r#"{"amount": "0", "currency": "USD"}"#, "INVALID_AMOUNT"),
            (r#"{"amount": "-1", "currency": "USD"}"#, "INVALID_AMOUNT"),
            (r#"{"amount": 1.005, "currency": "USD"}"#, "INVALID_AMOUNT"),
            (r#"{"currency": "USD"}"#, "INVALID_AMOUNT"),
            (r#"{"amount": "1", "currency": "usd"}"#, "INVALID_CURRENCY"),
            (r#"{"amount": "1"}"#, "INVALID_CURRENCY"),
            (r#"{}"#, "INVALID_AMOUNT"),
        ] {
            assert_eq!(check(text).unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn each_outcome_becomes_its_answer() {
        let status = |status: Option<PaymentStatus>, refusal: Option<Reason>, replayed| {
            let mut reply = Reply::new(CommandId([1; 16]), ReplyKind::Payment);
            reply.payment = status.map(|status| PaymentView {
                payment_id: PaymentId(1),
                direction: PaymentDirection::Deposit,
                amount_cents: 100,
                currency: "USD".to_owned(),
                status,
                reason: None,
                created_us: 0,
                updated_us: 0,
            });
            reply.refusal = refusal.map(|reason| Refusal {
                reason,
                current_version: None,
            });
            reply.replayed = replayed;
            answer(&reply, "/x").unwrap().status().as_u16()
        };
        assert_eq!(status(Some(PaymentStatus::Settled), None, false), 201);
        assert_eq!(status(Some(PaymentStatus::Failed), None, false), 201);
        assert_eq!(status(Some(PaymentStatus::Settled), None, true), 200);
        assert_eq!(status(Some(PaymentStatus::Pending), None, false), 202);
        assert_eq!(status(None, Some(Reason::IdempotencyMismatch), false), 409);
        assert_eq!(status(None, Some(Reason::InvalidAmount), false), 422);
    }
}
