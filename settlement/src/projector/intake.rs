//! Which records of a partition count: duplicates and records behind a hole are dropped.

use brokerx_schemas::{AccountEvent, AuthEvent, CandleUpdate, InboxMessage, Message, Trade, TradeEvent};
use brokerx_topics::codec::{Codec, DecodeError};
use brokerx_topics::headers::{HeaderError, claimed_source, identity_of};
use brokerx_topics::machine::{Identity, Verdict};
use brokerx_topics::passes::{Passes, Word};
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers};

use super::batch::{Advance, Batch, Log, LogPartition, Origin};
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
    Undecodable { offset: i64, reason: String },
    #[error("offset {offset}: {reason}")]
    Malformed { offset: i64, reason: String },
    #[error("offset {0}: a kind of record that this build does not know")]
    UnknownKind(i64),
    #[error("offset {0}: the worker who alone writes the topic did not write it")]
    Impostor(i64),
}

/// What became of a record.
#[derive(Debug)]
pub(super) enum Taken {
    Yes,
    Duplicate,
    Hole {
        expected: u64,
    },
    /// It says nothing: its topic's worker did not write it, or no worker wrote it and nobody can read it.
    LeftOut(Stop),
}

/// Why a record was not taken in.
#[derive(Debug)]
pub(super) enum Refused {
    /// The partition stops.
    Stop(Stop),
    /// Its schema must be resolved first; then it is taken in again.
    UnknownSchema(u32),
    /// Offsets before it are passed over: what stands there must be looked at first; then it is taken in again.
    Gap { expected: i64, got: i64 },
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
        let (expected, got) = (progress.position, offset);
        return Err(match got > expected {
            true => Refused::Gap { expected, got },
            false => Stop::OffsetGap { expected, got }.into(),
        });
    }
    // Nobody waits for a schema that a stranger names.
    if !partition.0.is_written_by(claimed_source(record.headers())) {
        pass(progress, batch, partition, record);
        return Ok(Taken::LeftOut(Stop::Impostor(offset)));
    }
    let identity = identity_of(record.headers())
        .map_err(|error| Stop::Headers { offset, error })
        .and_then(|identity| storable(offset, identity));
    // It is decoded before it is counted, so that what cannot be decoded changes nothing.
    let (identity, content) = match passes.word(record.topic(), record.partition(), offset) {
        // One whose number cannot be used has none.
        Word::Passed(_) => (identity.unwrap_or_default(), Content::Other),
        Word::Undecided { schema_id, .. } => return Err(Refused::UnknownSchema(schema_id)),
        Word::Use => match identity
            .map_err(Refused::from)
            .and_then(|identity| Ok((identity, decode(codec, partition, record)?)))
        {
            Err(Refused::Stop(stop)) if stop.is_stray(record.headers()) => {
                pass(progress, batch, partition, record);
                return Ok(Taken::LeftOut(stop));
            }
            used => used?,
        },
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
    if matches!(taken, Taken::Yes) {
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
    pass(progress, batch, partition, record);
    Ok(taken)
}

/// Counts a record, whatever became of it.
fn pass(progress: &mut Progress, batch: &mut Batch, partition: LogPartition, record: &BorrowedMessage<'_>) {
    progress.position = record.offset() + 1;
    batch.advance(partition, record.offset(), record.timestamp().to_millis().unwrap_or(0));
}

/// Moves a partition on to an offset, before which there is no record.
pub(super) fn pass_over(progress: &mut Progress, batch: &mut Batch, partition: LogPartition, to: i64) {
    batch.pass_over(
        partition,
        Advance {
            from: progress.position,
            to,
        },
    );
    progress.position = to;
}

impl Stop {
    /// Whether the record is nobody's: its bytes are no message, today and for ever, and it does not say that a worker
    /// wrote it. Whoever reads the topic on a machine buries it and goes on.
    fn is_stray(&self, headers: Option<&impl Headers>) -> bool {
        let can_never_be_read = matches!(self, Self::NoValue(_) | Self::Undecodable { .. } | Self::Headers { .. });
        can_never_be_read && claimed_source(headers).is_none()
    }
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
        DecodeError::Malformed(reason) => Refused::Stop(Stop::Undecodable { offset, reason }),
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

#[cfg(test)]
mod tests {
    use brokerx_topics::headers::{Trace, worker_headers};
    use rdkafka::message::OwnedHeaders;

    use super::*;

    #[test]
    fn only_what_can_never_be_read_and_no_worker_wrote_is_left_out() {
        let worker = worker_headers("account-commands-1", 9, 5, &Trace::default());
        let garbage = || Stop::Undecodable {
            offset: 7,
            reason: "garbage".to_owned(),
        };
        let half = Stop::Headers {
            offset: 7,
            error: HeaderError::Missing("src"),
        };
        for stop in [Stop::NoValue(7), garbage(), half] {
            assert!(stop.is_stray(None::<&OwnedHeaders>), "{stop}");
            assert!(!stop.is_stray(Some(&worker)), "{stop}");
        }
        // Another build may read it.
        assert!(!Stop::UnknownKind(7).is_stray(None::<&OwnedHeaders>));
    }

    #[test]
    fn markers_move_a_position_and_are_no_records() {
        let partition = (Log::Trades, 3);
        let mut progress = Progress {
            position: 5,
            ..Progress::default()
        };
        let mut batch = Batch::default();
        pass_over(&mut progress, &mut batch, partition, 7);
        assert_eq!(progress.position, 7);
        assert!(!batch.is_empty() && !batch.has_rows());
        batch.advance(partition, 7, 1_000);
        pass_over(&mut progress, &mut batch, partition, 9);
        let whole = Advance { from: 5, to: 9 };
        assert_eq!(batch.advances.get(&partition), Some(&whole));
        assert_eq!((batch.records, batch.span()), (1, 4));
    }
}
