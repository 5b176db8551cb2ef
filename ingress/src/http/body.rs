//! What a request carries: JSON bodies, queries and idempotency keys, each refused with a clear problem.

use axum::body::{Bytes, HttpBody};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::http::Problem;

/// A JSON body. Types that are used with it refuse unknown fields.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                "the body must be application/json",
            ));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| match rejection {
                BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => {
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE", "the body is too large")
                }
                _ => Problem::bad_request("BROKEN_BODY", "the body could not be read to its end"),
            })?;
        decode(&bytes).map(Self)
    }
}

/// A JSON body that may be left out, which is the default of its type.
pub struct OptionalBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        Body::from_request(request, state).await.map(|Body(body)| Self(body))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The value of a JSON text.
///
/// # Errors
/// 400 when it is not JSON, 422 when it is not what the route takes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        Category::Data => Problem::invalid_request(error.to_string()),
        _ => Problem::bad_request("MALFORMED_JSON", error.to_string()),
    })
}

/// The query of a URL. Types that are used with it refuse unknown parameters.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| Problem::invalid_request(rejection.body_text()))
    }
}

/// The header `Idempotency-Key`, where there is one: 1 to 64 printable ASCII characters.
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// The longest key, in characters.
    pub const LENGTH_MAX: usize = 64;

    /// The key of a route that needs one.
    ///
    /// # Errors
    /// 400 when it is missing.
    pub fn required(self) -> Result<String, Problem> {
        self.0.ok_or_else(|| {
            Problem::bad_request(
                "IDEMPOTENCY_KEY_MISSING",
                "this request needs the header Idempotency-Key",
            )
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        match value.to_str() {
            Ok(text) if is_client_key(text) => Ok(Self(Some(text.to_owned()))),
            _ => Err(Problem::bad_request(
                "IDEMPOTENCY_KEY_INVALID",
                "Idempotency-Key is 1 to 64 printable ASCII characters",
            )),
        }
    }
}

/// Whether a text may be a client's own id: 1 to 64 printable ASCII characters, no space.
pub fn is_client_key(text: &str) -> bool {
    (1..=IdempotencyKey::LENGTH_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[allow(dead_code, reason = "only decoded")]
        name: String,
    }

    #[test]
    fn bodies_are_refused_with_a_clear_code() {
        for (text, status, code) in [
            ("{\"name\":", 400, "MALFORMED_JSON"),
            ("", 400, "MALFORMED_JSON"),
            ("{\"name\":\"a\"} x", 400, "MALFORMED_JSON"),
            ("{\"name\":1}", 422, "INVALID_REQUEST"),
            ("{}", 422, "INVALID_REQUEST"),
            ("{\"name\":\"a\",\"other\":1}", 422, "INVALID_REQUEST"),
            ("{\"name\":\"a\",\"name\":\"b\"}", 422, "INVALID_REQUEST"),
        ] {
            let problem = decode::<Sample>(text.as_bytes()).unwrap_err();
            assert_eq!((problem.status().as_u16(), problem.code()), (status, code), "{text}");
        }
        assert!(decode::<Sample>(b"{\"name\":\"a\"}").is_ok());
    }

    #[test]
    fn keys_are_short_and_printable() {
        assert!(is_client_key("a-1"));
        assert!(is_client_key(&"a".repeat(64)));
        for bad in ["", "a b", "ä", "a\n", &"a".repeat(65)] {
            assert!(!is_client_key(bad), "{bad}");
        }
    }
}
