//! The headers of a record: who wrote it, and what it belongs to.
//!
//! All values are text, so that any client reads them.

use rdkafka::message::{Header, Headers, OwnedHeaders};

use crate::machine::Identity;

/// The writer's inbox, `topic-partition`: names the source of an edge.
pub const SRC: &str = "src";
/// The record's number on its edge, decimal, dense from 1.
pub const SEQ: &str = "seq";
/// The offset in `src` that caused the record, decimal.
pub const OFF: &str = "off";
/// W3C trace context, passed on from the cause.
pub const TRACEPARENT: &str = "traceparent";
/// The client's correlation id, passed on from the cause.
pub const CORRELATION_ID: &str = "correlation-id";

/// Longest text of a trace that is passed on, bytes: a client cannot make every later record large.
pub const TRACE_BYTES_MAX: usize = 256;

/// What a record belongs to, passed on from cause to effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The client's correlation id.
    pub correlation_id: Option<String>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Trace {
    fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = [(TRACEPARENT, &self.traceparent), (CORRELATION_ID, &self.correlation_id)];
        pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// Why the identity of a record cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Only one of `src` and `seq` is there.
    #[error("header {0} is missing beside the other half of the identity")]
    Missing(&'static str),
    /// A header stands there twice.
    #[error("header {0} stands there twice")]
    Twice(&'static str),
    /// A value is not what it should be.
    #[error("header {name} has value {value:?}, which is no {expected}")]
    Value {
        /// The header.
        name: &'static str,
        /// Its value, lossily as text.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// What a record belongs to. Text that is not UTF-8 or too long is left out: it is for people, not
/// for machines.
pub fn trace_of<H: Headers>(headers: Option<&H>) -> Trace {
    let mut trace = Trace::default();
    for header in headers.iter().flat_map(|headers| headers.iter()) {
        let field = match header.key {
            CORRELATION_ID => &mut trace.correlation_id,
            TRACEPARENT => &mut trace.traceparent,
            _ => continue,
        };
        *field = header
            .value
            .filter(|value| value.len() <= TRACE_BYTES_MAX)
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned);
    }
    trace
}

/// The worker that wrote a record, and its number; none when a client, an operator or the clock did.
///
/// # Errors
/// When the headers claim an identity that cannot be read.
pub fn identity_of<H: Headers>(headers: Option<&H>) -> Result<Option<Identity>, HeaderError> {
    let (mut source, mut seq) = (None, None);
    for header in headers.iter().flat_map(|headers| headers.iter()) {
        let (name, field) = match header.key {
            SRC => (SRC, &mut source),
            SEQ => (SEQ, &mut seq),
            _ => continue,
        };
        if field.replace(header.value.unwrap_or_default()).is_some() {
            return Err(HeaderError::Twice(name));
        }
    }
    let (source, seq) = match (source, seq) {
        (None, None) => return Ok(None),
        (Some(source), Some(seq)) => (source, seq),
        (None, Some(_)) => return Err(HeaderError::Missing(SRC)),
        (Some(_), None) => return Err(HeaderError::Missing(SEQ)),
    };
    let source = std::str::from_utf8(source)
        .ok()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| wrong(SRC, source, "topic-partition"))?;
    Ok(Some(Identity {
        source: source.to_owned(),
        seq: decimal(seq)
            .filter(|seq| *seq > 0)
            .ok_or_else(|| wrong(SEQ, seq, "positive decimal number"))?,
    }))
}

/// The worker that a record says it is from, also when its identity cannot be read otherwise. A record without one is
/// no worker's: when it cannot be used either, it is left out, and stops nobody.
pub fn claimed_source<H: Headers>(headers: Option<&H>) -> Option<&[u8]> {
    headers?.iter().find(|header| header.key == SRC)?.value
}

fn wrong(name: &'static str, value: &[u8], expected: &'static str) -> HeaderError {
    HeaderError::Value {
        name,
        value: String::from_utf8_lossy(value).into_owned(),
        expected,
    }
}

/// Digits only: no sign, no spaces, so that a number has one spelling.
fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical)
}

/// The headers of a record of a client or an operator.
pub fn trace_headers(trace: &Trace) -> OwnedHeaders {
    trace
        .pairs()
        .fold(OwnedHeaders::new_with_capacity(2), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
}

/// The headers of a record of a worker.
pub fn worker_headers(source: &str, seq: u64, off: i64, trace: &Trace) -> OwnedHeaders {
    let pairs = WorkerHeaders::new(seq, off);
    pairs
        .with(source, trace)
        .fold(OwnedHeaders::new_with_capacity(5), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        })
}

/// The headers of a record of a worker, as pairs of name and value.
pub struct WorkerHeaders {
    seq: String,
    off: String,
}

impl WorkerHeaders {
    /// Of the record with this number, which the record at an offset caused.
    pub fn new(seq: u64, off: i64) -> Self {
        Self {
            seq: seq.to_string(),
            off: off.to_string(),
        }
    }

    /// All of them, in the order in which they are written.
    pub fn with<'a>(&'a self, source: &'a str, trace: &'a Trace) -> impl Iterator<Item = (&'static str, &'a [u8])> {
        let own = [(SRC, source), (SEQ, &self.seq), (OFF, &self.off)];
        let pairs = own.into_iter().chain(trace.pairs());
        pairs.map(|(name, value)| (name, value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> OwnedHeaders {
        pairs.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(*value),
            })
        })
    }

    #[test]
    fn what_a_worker_writes_is_read_back() {
        let trace = Trace {
            correlation_id: Some("c-1".to_owned()),
            traceparent: Some("00-1-2-01".to_owned()),
        };
        let written = worker_headers("book-commands-3", 7, 42, &trace);
        let identity = Identity {
            source: "book-commands-3".to_owned(),
            seq: 7,
        };
        assert_eq!(identity_of(Some(&written)), Ok(Some(identity)));
        assert_eq!(trace_of(Some(&written)), trace);
        assert_eq!(written.count(), 5);
    }

    #[test]
    fn a_client_has_no_identity() {
        assert_eq!(identity_of(None::<&OwnedHeaders>), Ok(None));
        let written = trace_headers(&Trace::default());
        assert_eq!(identity_of(Some(&written)), Ok(None));
        assert_eq!(trace_of(Some(&written)), Trace::default());
    }

    #[test]
    fn half_an_identity_or_a_strange_number_is_refused() {
        for (pairs, expected) in [
            (&[("src", "a-0")][..], HeaderError::Missing(SEQ)),
            (&[("seq", "1")], HeaderError::Missing(SRC)),
            (&[("src", "a-0"), ("src", "a-1"), ("seq", "1")], HeaderError::Twice(SRC)),
        ] {
            assert_eq!(identity_of(Some(&headers(pairs))), Err(expected), "{pairs:?}");
        }
        for seq in ["0", "-1", "+1", "01", "", "x", "99999999999999999999"] {
            let refused = identity_of(Some(&headers(&[("src", "a-0"), ("seq", seq)])));
            assert!(matches!(refused, Err(HeaderError::Value { name: SEQ, .. })), "{seq}");
        }
    }

    #[test]
    fn a_trace_that_is_too_long_is_left_out() {
        let long = "x".repeat(TRACE_BYTES_MAX + 1);
        assert_eq!(trace_of(Some(&headers(&[("correlation-id", &long)]))), Trace::default());
    }
}
