//! Which records of a partition count: duplicates and records behind a hole are dropped.

use brokerx_schemas::{AccountEvent, AuthEvent, CandleUpdate, InboxMessage, Message, Trade, TradeEvent};
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers::{HeaderError, identity_of};
use brokerx_topics::machine::{Identity, Verdict};
use brokerx_topics::passes::{Passes, Word};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::batch::{Batch, Log, LogPartition, Origin};
use super::candles::{self, CandleRecord, Unusable};
use super::positions::Progress;
use super::rows::{JsonText, symbol, text};
use super::tables::Auth;

/// A source's name is part of a key of PostgreSQL, whose length has a limit. A worker's is a topic and a number.
const SOURCE_BYTES_MAX: usize = 512;

/// Why a partition cannot go on. An operator, or another build, must help.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error("offset {got} came where {expected} should have: records are missing")]
    OffsetGap { expected: i64, got: i64 },
    #[error("offset {0}: a record without a value")]
    NoValue(i64),
    #[error("offset {offset}: {error}")]
    Headers { offset: i64, error: HeaderError },
    #[error("offset {offset}: {reason}")]
    Malformed { offset: i64, reason: String },
    #[error("offset {0}: a kind of record that this build does not know")]
    UnknownKind(i64),
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    Duplicate,
    Hole { expected: u64 },
}

/// Why a record was not taken in.
#[derive(Debug)]
pub(super) enum Refused {
    /// The partition stops.
    Stop(Stop),
    /// Its schema must be resolved first; then it is taken in again.
    UnknownSchema(u32),
}

impl From<Stop> for Refused {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// A record, decoded.
enum Content {
    Event(Box<AccountEvent>, JsonText),
    Trade(Trade),
    Auth(Auth),
    Candles(CandleUpdate),
    /// Nothing that is projected.
    Other,
}

/// Adds a record to the batch, or drops it; either way the partition has passed it.
pub(super) fn take(
    codec: &Codec,
    passes: &Passes,
    partition: LogPartition,
    progress: &mut Progress,
    record: &BorrowedMessage<'_>,
    batch: &mut Batch,
) -> Result<Taken, Refused> {
    let offset = record.offset();
    if offset != progress.position {
        return Err(Stop::OffsetGap {
            expected: progress.position,
            got: offset,
        }
        .into());
    }
    let identity = identity_of(record.headers())
        .map_err(|error| Stop::Headers { offset, error })
        .and_then(|identity| storable(offset, identity));
    // It is decoded before it is counted, so that what cannot be decoded changes nothing.
    let (identity, content) = match passes.word(record.topic(), record.partition(), offset) {
        // One whose number cannot be used has none.
        Word::Passed(_) => (identity.unwrap_or_default(), Content::Other),
        Word::Undecided { schema_id, .. } => return Err(Refused::UnknownSchema(schema_id)),
        Word::Use => (identity?, decode(codec, partition, record)?),
    };
    let origin = Origin { partition, offset };
    let mut taken = Taken::Yes;
    if let Some(identity) = identity {
        match progress.judge(partition.0, &identity) {
            Verdict::Next => {
                batch.sources.insert((partition, identity.source), identity.seq as i64);
            }
            Verdict::Duplicate => taken = Taken::Duplicate,
            Verdict::Hole { expected } => taken = Taken::Hole { expected },
        }
    }
    if taken == Taken::Yes {
        if !matches!(content, Content::Other) {
            batch.bytes += record.payload_len();
        }
        match content {
            Content::Event(event, body) => {
                batch.bytes += body.len();
                batch.events.push((*event, body));
            }
            Content::Trade(trade) => batch.trades.push((origin, trade)),
            Content::Auth(auth) => batch.auth.push((origin, auth)),
            Content::Candles(update) => candles::enter(&mut batch.candles, origin, &update),
            Content::Other => {}
        }
    }
    progress.position = offset + 1;
    batch.advance(partition, offset, record.timestamp().to_millis().unwrap_or(0));
    Ok(taken)
}

/// The worker that a record names, if the table of positions has a place for it: no worker of ours is any other.
fn storable(offset: i64, identity: Option<Identity>) -> Result<Option<Identity>, Stop> {
    match &identity {
        Some(Identity { source, .. }) if source.len() > SOURCE_BYTES_MAX || source.contains('\0') => {
            Err(Stop::Malformed {
                offset,
                reason: "its header src names no worker".to_owned(),
            })
        }
        _ => Ok(identity),
    }
}

fn decode(codec: &Codec, (log, _): LogPartition, record: &BorrowedMessage<'_>) -> Result<Content, Refused> {
    let offset = record.offset();
    let value = record.payload().ok_or(Stop::NoValue(offset))?;
    Ok(match log {
        Log::AccountEvents => {
            let event: AccountEvent = decode_value(codec, offset, value)?;
            if event.is_unknown() {
                return Err(Stop::UnknownKind(offset).into());
            }
            let body = body(offset, &event)?;
            Content::Event(Box::new(event), body)
        }
        Log::Trades => match decode_value(codec, offset, value)? {
            TradeEvent::Trade(trade) => Content::Trade(trade),
            TradeEvent::Unknown => return Err(Stop::UnknownKind(offset).into()),
        },
        Log::Auth => Content::Auth(auth_row(offset, &decode_value(codec, offset, value)?)?),
        Log::MarketData => match decode_value::<CandleRecord>(codec, offset, value)?.candles() {
            Ok(Some(update)) => Content::Candles(update),
            Ok(None) => Content::Other,
            Err(Unusable::UnknownInterval) => return Err(Stop::UnknownKind(offset).into()),
            Err(Unusable::Contradiction) => {
                let reason = "its kind and what is present disagree".to_owned();
                return Err(Stop::Malformed { offset, reason }.into());
            }
        },
    })
}

fn decode_value<M: Message>(codec: &Codec, offset: i64, value: &[u8]) -> Result<M, Refused> {
    codec.decode(value).map_err(|error| match error {
        DecodeError::Malformed(reason) => Refused::Stop(Stop::Malformed { offset, reason }),
        DecodeError::UnknownSchema(id) | DecodeError::DeniedSchema(id) => Refused::UnknownSchema(id),
    })
}

fn body<M: Message>(offset: i64, message: &M) -> Result<JsonText, Stop> {
    JsonText::of(message).map_err(|error| Stop::Malformed {
        offset,
        reason: error.to_string(),
    })
}

fn auth_row(offset: i64, event: &AuthEvent) -> Result<Auth, Stop> {
    let (event_id, client_id, account_id, occurred_us) = match event {
        AuthEvent::ClientRegistered(registered) => (
            registered.event_id,
            Some(&registered.client_id),
            Some(registered.account_id),
            registered.occurred_us,
        ),
        AuthEvent::ClientVerified(change)
        | AuthEvent::ClientRejected(change)
        | AuthEvent::ClientSuspended(change)
        | AuthEvent::ClientReinstated(change)
        | AuthEvent::OperatorAdded(change) => (
            change.event_id,
            Some(&change.client_id),
            change.account_id,
            change.occurred_us,
        ),
        AuthEvent::MailRequested(mail) => (mail.event_id, Some(&mail.client_id), None, mail.occurred_us),
        AuthEvent::LoginAttempted(login) => (login.event_id, login.client_id.as_ref(), None, login.occurred_us),
        AuthEvent::Unknown => return Err(Stop::UnknownKind(offset)),
    };
    Ok(Auth {
        event_id,
        kind: symbol(&event.kind()),
        client_id: client_id.map(|client_id| text(client_id)),
        account_id: account_id.map(|id| id.0),
        occurred_us,
        body: body(offset, event)?,
    })
}
