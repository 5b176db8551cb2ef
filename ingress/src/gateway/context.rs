//! Who asks, and under which correlation id.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use brokerx_topics::headers::Trace;
use brokerx_topics::service::{client_address, source_of};
use ipnet::IpNet;
use uuid::Uuid;

/// The header of the correlation id.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The longest correlation id that is accepted, in characters.
const CORRELATION_ID_LENGTH_MAX: usize = 64;
/// How much of the user agent is kept, in characters.
const USER_AGENT_LENGTH_MAX: usize = 256;

/// What is known of a request before its route sees it.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Goes into the headers of every record that the request causes.
    pub trace: Trace,
    /// The client's address.
    pub address: IpAddr,
    /// The client's user agent, cut short.
    pub user_agent: Option<String>,
}

impl RequestContext {
    /// The context of a request from `peer`, which may be one of the `trusted` proxies.
    pub fn of(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let correlation_id = text(CORRELATION_ID.as_str())
            .filter(|id| is_correlation_id(id))
            .map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
        let traceparent = text("traceparent")
            .filter(|text| is_traceparent(text))
            .map_or_else(new_traceparent, str::to_owned);
        Self {
            trace: Trace {
                correlation_id: Some(correlation_id),
                traceparent: Some(traceparent),
            },
            address: client_address(headers, peer, trusted),
            user_agent: text("user-agent").map(|agent| agent.chars().take(USER_AGENT_LENGTH_MAX).collect()),
        }
    }

    /// What limits count by: the client's address or, of an IPv6 address, its /64.
    pub fn network(&self) -> IpAddr {
        source_of(self.address)
    }

    /// The correlation id.
    pub fn correlation_id(&self) -> &str {
        self.trace.correlation_id.as_deref().unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let context = parts.extensions.get::<Self>().cloned();
        Ok(context.unwrap_or_else(|| Self::of(&parts.headers, IpAddr::from([0, 0, 0, 0]), &[])))
    }
}

fn is_correlation_id(text: &str) -> bool {
    (1..=CORRELATION_ID_LENGTH_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// Version 00 of the W3C trace context: `00-<32 hex>-<16 hex>-<2 hex>`.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex =
        |part: &str, length| part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    matches!(parts[..], ["00", trace, span, flags] if hex(trace, 32) && hex(span, 16) && hex(flags, 2))
}

fn new_traceparent() -> String {
    format!("00-{:032x}-{:016x}-01", rand::random::<u128>(), rand::random::<u64>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn context(pairs: &[(&'static str, &str)], trusted: &[&str]) -> RequestContext {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        RequestContext::of(&headers, IpAddr::from([127, 0, 0, 1]), &trusted)
    }

    #[test]
    fn a_correlation_id_or_trace_that_is_missing_or_malformed_is_made() {
        assert_eq!(context(&[("x-correlation-id", "a-1")], &[]).correlation_id(), "a-1");
        for bad in ["", "a b", "a\"b", &"a".repeat(65)] {
            let made = context(&[("x-correlation-id", bad)], &[]);
            assert!(made.correlation_id().parse::<Uuid>().is_ok(), "{bad}");
        }
        let given = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        assert_eq!(
            context(&[("traceparent", given)], &[]).trace.traceparent.as_deref(),
            Some(given)
        );
        let made = context(&[("traceparent", "00-xyz")], &[]).trace.traceparent.unwrap();
        assert!(is_traceparent(&made), "{made}");
    }

    #[test]
    fn a_forwarded_address_is_believed_only_behind_a_trusted_proxy() {
        let here = ["127.0.0.0/8"];
        let here_and_inside = ["127.0.0.1/32", "10.0.0.0/8"];
        // The lines of the header, the trusted proxies, the client's address.
        let cases: &[(&[&str], &[&str], &str)] = &[
            (&["6.6.6.6, 10.0.0.9"], &[], "127.0.0.1"),
            (&["6.6.6.6, 10.0.0.9"], &["10.0.0.0/8"], "127.0.0.1"),
            (&["6.6.6.6, 10.0.0.9"], &here, "10.0.0.9"),
            (&[], &here, "127.0.0.1"),
            // A client's own line stands before that of the proxy.
            (&["6.6.6.6", "203.0.113.5"], &here, "203.0.113.5"),
            (&["6.6.6.6, 7.7.7.7", "8.8.8.8, 203.0.113.5"], &here, "203.0.113.5"),
            // A proxy behind a proxy.
            (&["6.6.6.6, 203.0.113.5, 10.0.0.9"], &here_and_inside, "203.0.113.5"),
            (&["6.6.6.6, 203.0.113.5", "10.0.0.9"], &here_and_inside, "203.0.113.5"),
            (&["10.0.0.9"], &here_and_inside, "10.0.0.9"),
            (&["203.0.113.5:4711"], &here, "203.0.113.5"),
            (&["[2001:db8::5]:4711"], &here, "2001:db8::5"),
            (&["2001:db8::5"], &here, "2001:db8::5"),
            (&["::ffff:203.0.113.5"], &here, "203.0.113.5"),
            // Nothing is believed that stands behind what cannot be read.
            (&["203.0.113.5, unknown"], &here, "127.0.0.1"),
            (&["203.0.113.5, "], &here, "127.0.0.1"),
        ];
        for (lines, trusted, address) in cases {
            let pairs: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
            let expected: IpAddr = address.parse().unwrap();
            assert_eq!(context(&pairs, trusted).address, expected, "{lines:?} {trusted:?}");
        }
    }
}
