//! The JSON messages of the WebSocket; `schemas/asyncapi/websocket.yaml` documents them.

use std::fmt;

use brokerx_json::{interval_name, interval_of};
use brokerx_schemas::{CandleInterval, Symbol};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use crate::telemetry::ChannelKind;

/// What a client may say.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who it is.
    Auth {
        /// A token of the HTTP API.
        token: String,
    },
    /// What it wants to hear.
    Subscribe {
        /// Names of channels.
        channels: Vec<String>,
        /// How often.
        #[serde(default)]
        mode: Mode,
        /// Comes back in the answer.
        #[serde(default)]
        id: Option<String>,
        /// Private events after this number are pushed first.
        #[serde(default)]
        after: Option<i64>,
    },
    /// What it does not want to hear any more.
    Unsubscribe {
        /// Names of channels.
        channels: Vec<String>,
        /// Comes back in the answer.
        #[serde(default)]
        id: Option<String>,
    },
    /// Push the private events after this number again.
    Resume {
        /// The last number that the client has.
        after: i64,
    },
    /// Private events up to this number were seen.
    Ack {
        /// The number.
        seq: i64,
    },
    /// Send the whole book again.
    Snapshot {
        /// A book channel.
        channel: String,
    },
    /// Answer with a pong.
    Ping {},
}

/// How often a channel is pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// With each change.
    #[default]
    Normal,
    /// About once a second: quotes, books and candles are conflated, but trades and statuses all come.
    Throttled,
}

/// A channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// A channel of the client's own account.
    Private(PrivateChannel),
    /// A channel of the market, with its symbol.
    Public(PublicChannel, Symbol),
}

/// The private channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrivateChannel {
    /// Orders and refused commands.
    Orders,
    /// Cash, shares and the state of the account.
    Balances,
    /// Deposits and withdrawals.
    Deposits,
}

/// The public channels; each has a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PublicChannel {
    /// Best prices.
    Quote,
    /// All levels.
    Book,
    /// Every trade.
    Trades,
    /// What traded in each interval.
    Candles(CandleInterval),
    /// Whether it trades, and whether the feed is up to date.
    Status,
}

impl PrivateChannel {
    const ALL: [Self; 3] = [Self::Orders, Self::Balances, Self::Deposits];

    fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Balances => "balances",
            Self::Deposits => "deposits",
        }
    }
}

impl PublicChannel {
    /// The channel of a name without its symbol, such as `quote`, or `candles` with `1m`.
    fn parse(kind: &str, interval: Option<&str>) -> Option<Self> {
        match (kind, interval) {
            ("quote", None) => Some(Self::Quote),
            ("book", None) => Some(Self::Book),
            ("trades", None) => Some(Self::Trades),
            ("candles", Some(interval)) => interval_of(interval).map(Self::Candles),
            ("status", None) => Some(Self::Status),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Book => "book",
            Self::Trades => "trades",
            Self::Candles(_) => "candles",
            Self::Status => "status",
        }
    }
}

impl Channel {
    /// The channel of a name such as `orders`, `book:AAPL` or `candles:AAPL:1m`.
    pub fn parse(name: &str) -> Option<Self> {
        match name.split_once(':') {
            None => PrivateChannel::ALL
                .into_iter()
                .find(|channel| channel.name() == name)
                .map(Self::Private),
            Some((kind, rest)) => {
                let (symbol, interval) = match rest.split_once(':') {
                    Some((symbol, interval)) => (symbol, Some(interval)),
                    None => (rest, None),
                };
                let channel = PublicChannel::parse(kind, interval)?;
                Some(Self::Public(channel, Symbol::new(symbol).ok()?))
            }
        }
    }

    /// The kind as which it is counted.
    pub fn kind(self) -> ChannelKind {
        match self {
            Self::Private(PrivateChannel::Orders) => ChannelKind::Orders,
            Self::Private(PrivateChannel::Balances) => ChannelKind::Balances,
            Self::Private(PrivateChannel::Deposits) => ChannelKind::Deposits,
            Self::Public(PublicChannel::Quote, _) => ChannelKind::Quote,
            Self::Public(PublicChannel::Book, _) => ChannelKind::Book,
            Self::Public(PublicChannel::Trades, _) => ChannelKind::Trades,
            Self::Public(PublicChannel::Candles(_), _) => ChannelKind::Candles,
            Self::Public(PublicChannel::Status, _) => ChannelKind::Status,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private(channel) => formatter.write_str(channel.name()),
            Self::Public(channel @ PublicChannel::Candles(interval), symbol) => {
                write!(formatter, "{}:{symbol}:{}", channel.name(), interval_name(*interval))
            }
            Self::Public(channel, symbol) => write!(formatter, "{}:{symbol}", channel.name()),
        }
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A set of private channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateChannels(u8);

impl PrivateChannels {
    /// Adds a channel.
    pub fn insert(&mut self, channel: PrivateChannel) {
        self.0 |= 1 << channel as u8;
    }

    /// Takes a channel out.
    pub fn remove(&mut self, channel: PrivateChannel) {
        self.0 &= !(1 << channel as u8);
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a channel is in both.
    pub fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Serialize for PrivateChannels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut names = serializer.serialize_seq(None)?;
        for channel in PrivateChannel::ALL {
            if self.0 & 1 << channel as u8 != 0 {
                names.serialize_element(channel.name())?;
            }
        }
        names.end()
    }
}

/// What the server answers. What it pushes is declared beside the code that pushes it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the variants are the messages of the protocol, documented there"
)]
pub enum Answer<'a> {
    Authenticated {
        account_id: Option<String>,
        seq: Option<i64>,
    },
    Subscribed {
        channels: &'a [Channel],
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    Resuming {
        after: i64,
    },
    Resumed {
        after: i64,
        to: i64,
    },
    Pong,
    Error {
        code: ErrorCode,
        detail: String,
    },
}

impl Answer<'_> {
    /// An error.
    pub fn error(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self::Error {
            code,
            detail: detail.into(),
        }
    }
}

/// Why a request is not carried out or the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The message is not one of the protocol, or does not fit the moment.
    InvalidMessage,
    /// There is no valid token, or it does not allow this. A wrong token closes the connection.
    Unauthorized,
    /// No such channel or symbol.
    UnknownChannel,
    /// More channels than one connection may have.
    TooManySubscriptions,
    /// The past cannot be read now; the stream goes on live.
    ResumeUnavailable,
    /// The client reads too slowly; the connection is closed.
    SlowConsumer,
    /// The token has expired; the connection is closed.
    TokenExpired,
    /// More messages than a client may send; this one is not carried out. Too many of these close the
    /// connection.
    TooManyMessages,
    /// More connections of the account than there may be; this one is closed.
    TooManyConnections,
    /// The book was sent whole within the last second.
    TooManySnapshots,
    /// Which tokens were revoked is not known yet; the connection is closed, to be opened again later.
    TokensUnknown,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_channel_has_one_name() {
        for name in [
            "orders",
            "balances",
            "deposits",
            "quote:AAPL",
            "book:BRK.B",
            "trades:A",
            "status:A",
            "candles:A:1s",
            "candles:A:1m",
            "candles:BRK.B:5m",
            "candles:A:1h",
            "candles:A:1d",
        ] {
            assert_eq!(Channel::parse(name).unwrap().to_string(), name);
        }
        for bad in [
            "",
            "Orders",
            "orders:AAPL",
            "book",
            "book:",
            "book:aapl",
            "candles:AAPL",
            "candles:AAPL:",
            "candles:AAPL:2m",
            "candles:AAPL:1m:1m",
            "candles:1m:AAPL",
            "quote:AAPL:1",
            "status:AAPL:1m",
            "status:",
        ] {
            assert_eq!(Channel::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn requests_are_read_strictly() {
        let parse = |json: serde_json::Value| serde_json::from_str::<Request>(&json.to_string());
        let subscribe = parse(json!({"type": "subscribe", "channels": ["orders"], "after": 3, "id": "x"})).unwrap();
        let expected = Request::Subscribe {
            channels: vec!["orders".to_owned()],
            mode: Mode::Normal,
            id: Some("x".to_owned()),
            after: Some(3),
        };
        assert_eq!(subscribe, expected);
        assert_eq!(parse(json!({"type": "ping"})).unwrap(), Request::Ping {});
        for bad in [
            json!({}),
            json!({"type": "dance"}),
            json!({"type": "ping", "loud": true}),
            json!({"type": "resume"}),
            json!({"type": "resume", "after": "3"}),
            json!({"type": "ack", "seq": 1.5}),
            json!({"type": "subscribe", "channels": "orders"}),
            json!({"type": "subscribe", "channels": [], "mode": "slow"}),
        ] {
            assert!(parse(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_are_as_documented() {
        let text = |answer: Answer<'_>| serde_json::to_value(answer).unwrap();
        assert_eq!(text(Answer::Pong), json!({"type": "pong"}));
        assert_eq!(
            text(Answer::error(ErrorCode::ResumeUnavailable, "why")),
            json!({"type": "error", "code": "resume_unavailable", "detail": "why"})
        );
        let channels = [Channel::parse("orders").unwrap(), Channel::parse("book:AAPL").unwrap()];
        assert_eq!(
            text(Answer::Subscribed {
                channels: &channels,
                id: None
            }),
            json!({"type": "subscribed", "channels": ["orders", "book:AAPL"]})
        );
        let mut private = PrivateChannels::default();
        private.insert(PrivateChannel::Deposits);
        private.insert(PrivateChannel::Orders);
        assert_eq!(serde_json::to_value(private).unwrap(), json!(["orders", "deposits"]));
    }
}
