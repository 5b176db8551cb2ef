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
        require_json(request.headers())?;
        decode(&whole(request, state).await?).map(Self)
    }
}

/// The bytes of a body.
async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state)
        .await
        .map_err(|rejection| match rejection {
            BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "BODY_TOO_LARGE",
                "the body is larger than this route takes",
            ),
            _ => Problem::bad_request("BROKEN_BODY", "the connection ended before the body did"),
        })
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    if is_json(headers) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "the body must be JSON, with the header Content-Type: application/json",
    ))
}

/// A JSON body that may be left out, which is the default of its type.
pub struct OptionalBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.body().is_end_stream() {
            return Ok(Self(T::default()));
        }
        let typed = require_json(request.headers());
        let bytes = whole(request, state).await?;
        // One that is sent in chunks shows only at its end that it is empty.
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        typed?;
        decode(&bytes).map(Self)
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
        _ => Problem::bad_request("MALFORMED_JSON", format!("the body is not JSON: {error}")),
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
            .map_err(|rejection| Problem::invalid_request(query_fault(&rejection.body_text())))
    }
}

/// What is wrong with a query, without how it was found.
fn query_fault(text: &str) -> String {
    let fault = text
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(text);
    format!("the query of the URL cannot be used: {fault}")
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
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        match value.to_str() {
            // Of two keys none can be chosen.
            Ok(text) if is_client_key(text) && values.next().is_none() => Ok(Self(Some(text.to_owned()))),
            _ => Err(Problem::bad_request(
                "IDEMPOTENCY_KEY_INVALID",
                "the header Idempotency-Key is sent once, with 1 to 64 printable ASCII characters and no space",
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
    fn a_body_that_may_be_left_out_may_be_empty_in_chunks() {
        let read = |body: axum::body::Body, is_typed: bool| {
            let mut request = Request::new(body);
            if is_typed {
                let json = "application/json".parse().unwrap();
                request.headers_mut().insert(header::CONTENT_TYPE, json);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let read = runtime.block_on(OptionalBody::<Note>::from_request(request, &()));
            read.map(|OptionalBody(note)| note.text)
                .map_err(|problem| problem.status().as_u16())
        };
        let chunks = |chunks: &[&'static str]| {
            let chunks: Vec<_> = chunks.iter().map(|chunk| Ok::<_, std::io::Error>(*chunk)).collect();
            axum::body::Body::from_stream(futures_util::stream::iter(chunks))
        };
        assert_eq!(read(axum::body::Body::empty(), false), Ok(None));
        assert_eq!(read(chunks(&[]), false), Ok(None));
        assert_eq!(read(chunks(&["{\"text\":", "\"a\"}"]), true), Ok(Some("a".to_owned())));
        assert_eq!(read(chunks(&["{}"]), false), Err(415));
        assert_eq!(read(chunks(&["{"]), true), Err(400));
    }

    #[derive(Debug, Default, Deserialize)]
    struct Note {
        text: Option<String>,
    }

    #[tokio::test]
    async fn one_key_is_sent_with_a_request() {
        let read = async |keys: &[&str]| {
            let mut request = Request::new(());
            for key in keys {
                request.headers_mut().append("idempotency-key", key.parse().unwrap());
            }
            let (mut parts, ()) = request.into_parts();
            let read = IdempotencyKey::from_request_parts(&mut parts, &()).await;
            read.map(|IdempotencyKey(key)| key)
                .map_err(|problem| problem.code().to_owned())
        };
        assert_eq!(read(&[]).await, Ok(None));
        assert_eq!(read(&["a"]).await, Ok(Some("a".to_owned())));
        for bad in [&["a b"][..], &[""], &["a", "b"], &["a", "a"]] {
            assert_eq!(read(bad).await, Err("IDEMPOTENCY_KEY_INVALID".to_owned()), "{bad:?}");
        }
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
