//! Errors as a caller sees them: `application/problem+json` (RFC 9457).
//!
//! A [`Problem`] is made where the fault is known and rendered once, by the gateway, which adds the
//! correlation id. The inner cause of a fault goes to the log, never into a body.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};

/// A fault of one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The field's path in the body, such as `order.price`.
    pub field: Cow<'static, str>,
    /// What is wrong, as a code.
    pub code: Cow<'static, str>,
    /// What is wrong, in words.
    pub message: Cow<'static, str>,
}

impl FieldError {
    /// A fault of a field.
    pub fn new(
        field: impl Into<Cow<'static, str>>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            field: field.into(),
            code: code.into(),
            message: message.into(),
        }
    }
}

/// Why a request was not served.
#[derive(Clone, Debug)]
pub struct Problem(Box<Content>);

#[derive(Clone, Debug)]
struct Content {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u64>,
    extensions: Map<String, Value>,
}

impl Problem {
    /// A problem of any status. The code is for programs, the detail for people.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Content {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_seconds: None,
            extensions: Map::new(),
        }))
    }

    /// 422 with the faults of single fields; its code is that of the first.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let (code, detail): (_, Cow<'static, str>) = match errors.first() {
            Some(first) => (first.code.clone(), format!("{} {}", first.field, first.message).into()),
            None => (
                "INVALID_REQUEST".into(),
                "the request cannot be read: something in its path or its headers is malformed".into(),
            ),
        };
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.0.errors = errors;
        problem
    }

    /// 422 for a body or query that is well-formed but not what the route takes.
    pub fn invalid_request(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST", detail)
    }

    /// 400 for a request that cannot be read.
    pub fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401: the caller is not known, or no longer accepted.
    pub fn unauthenticated(detail: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", detail)
    }

    /// 403: the caller is known, but may not do this.
    pub fn forbidden(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, detail)
    }

    /// 404: it does not exist, or belongs to somebody else.
    pub fn not_found(detail: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", detail)
    }

    /// 503: this request had no effect, and may be sent again.
    pub fn unavailable(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(Duration::from_secs(1))
    }

    /// 429 with the time after which a try may succeed.
    pub fn too_many(code: &'static str, detail: &'static str, retry_after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(retry_after)
    }

    /// 500; the error is logged, the caller learns only that it happened.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a request failed inside");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL",
            "something went wrong on our side; the correlation id leads to it in the logs",
        )
    }

    /// The same problem with `Retry-After`, in whole seconds, at least 1.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.0.retry_after_seconds = Some(after.as_secs() + u64::from(after.subsec_nanos() > 0 || after.is_zero()));
        self
    }

    /// The same problem with one more member in the body.
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => drop(self.0.extensions.insert(name.to_owned(), value)),
            Err(error) => tracing::error!(%error, name, "a member of a problem cannot be written"),
        }
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The code for programs.
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What is wrong, for people.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The faults of single fields.
    pub fn field_errors(&self) -> &[FieldError] {
        &self.0.errors
    }

    /// `Retry-After`, seconds.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after_seconds
    }

    /// The body, for the request with this correlation id.
    pub fn body(&self, correlation_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: String,
            title: String,
            status: u16,
            detail: &'a str,
            code: &'a str,
            correlation_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
            #[serde(flatten)]
            extensions: &'a Map<String, Value>,
        }
        let content = &*self.0;
        let name = content.code.to_ascii_lowercase();
        let body = Body {
            r#type: format!("urn:brokerx:problem:{}", name.replace('_', "-")),
            title: name.replace('_', " "),
            status: content.status.as_u16(),
            detail: &content.detail,
            code: &content.code,
            correlation_id,
            errors: &content.errors,
            extensions: &content.extensions,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    /// A response with the status only; the gateway finds the problem in its extensions and writes the body.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sqlx::Error> for Problem {
    /// 503 when the database cannot be reached; any other error is a fault of the ingress: 500.
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Tls(_) => {
                tracing::warn!(%error, "the database is away");
                Self::unavailable(
                    "DATABASE_UNAVAILABLE",
                    "the database is away at the moment; orders and cancels are still taken",
                )
            }
            // SQLSTATE classes 08: connection, 53: resources, 57: operator intervention (stop, cancel,
            // start-up). Codes 3F000, 42P01: the projection does not exist yet, or is being rebuilt.
            sqlx::Error::Database(inner)
                if inner.code().is_some_and(|code| {
                    ["08", "53", "57"].iter().any(|class| code.starts_with(class)) || code == "3F000" || code == "42P01"
                }) =>
            {
                tracing::warn!(error = %inner, "the database is not ready");
                Self::unavailable(
                    "DATABASE_UNAVAILABLE",
                    "the database is not ready at the moment; orders and cancels are still taken",
                )
            }
            error => Self::internal(error),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_body_has_the_members_of_rfc_9457_and_those_added_to_it() {
        let problem = Problem::fields(vec![FieldError::new("order.price", "INVALID_PRICE", "is missing")])
            .with("current_version", 3);
        let body: Value = serde_json::from_slice(&problem.body("c-1")).unwrap();
        assert_eq!(
            body,
            serde_json::json!({
                "type": "urn:brokerx:problem:invalid-price", "title": "invalid price", "status": 422,
                "detail": "order.price is missing", "code": "INVALID_PRICE", "correlation_id": "c-1",
                "errors": [{"field": "order.price", "code": "INVALID_PRICE", "message": "is missing"}],
                "current_version": 3,
            })
        );
    }

    #[test]
    fn retry_after_is_rounded_up() {
        for (milliseconds, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2)] {
            let problem = Problem::too_many("RATE_LIMITED", "", Duration::from_millis(milliseconds));
            assert_eq!(problem.retry_after_seconds(), Some(seconds), "{milliseconds}");
        }
    }

    #[test]
    fn an_internal_error_shows_nothing_of_itself() {
        let body = Problem::internal("secret").body("c-1");
        assert!(!String::from_utf8(body).unwrap().contains("secret"));
        assert_eq!(
            Problem::from(sqlx::Error::PoolTimedOut).status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(
            Problem::from(sqlx::Error::RowNotFound).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }
}
