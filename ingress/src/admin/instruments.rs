//! Listing, halting, resuming and delisting instruments.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brokerx_json::{InstrumentBody, decimal};
use brokerx_market::Keeper as _;
use brokerx_schemas::{BookCommand, Config, InstrumentCommand, ListInstrument, Symbol};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::acted::{Acted, acted};
use super::audit::{Action, Audit};
use super::late;
use crate::http::{Body, FieldError, IdempotencyKey, OptionalBody, Problem};
use crate::state::Shared;

/// Where an outcome that is late can be seen.
const PLACE: &str = "/api/v1/instruments";
const NAME_LENGTH_MAX: usize = 200;
const NOTE_LENGTH_MAX: usize = 500;

/// The body of a listing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ListBody {
    symbol: String,
    name: String,
    tick_size: Option<Box<RawValue>>,
    reference_price: Box<RawValue>,
    band_percent: Option<Box<RawValue>>,
}

/// A listing of the right shape.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    symbol: Symbol,
    tick_size_cents: i64,
    reference_price_cents: i64,
    band_bps: i32,
}

impl ListBody {
    fn check(&self) -> Result<Listing, Problem> {
        let mut errors = Vec::new();
        let symbol = Symbol::new(&self.symbol);
        if let Err(error) = symbol {
            errors.push(FieldError::new("symbol", "INVALID_REQUEST", error.to_string()));
        }
        if self.name.trim().is_empty()
            || self.name.chars().count() > NAME_LENGTH_MAX
            || self.name.contains(char::is_control)
        {
            errors.push(FieldError::new(
                "name",
                "INVALID_REQUEST",
                "is a text of 1 to 200 characters on one line",
            ));
        }
        let mut positive = |field: &'static str, json: Option<&RawValue>, default: Option<i64>| {
            let value = json
                .map_or(default, |json| decimal::parse(json, 2).ok())
                .filter(|value| *value > 0);
            if value.is_none() {
                errors.push(FieldError::new(
                    field,
                    "INVALID_REQUEST",
                    "is more than 0, with at most two digits after the point",
                ));
            }
            value.unwrap_or(1)
        };
        let tick_size_cents = positive("tick_size", self.tick_size.as_deref(), Some(1));
        let reference_price_cents = positive("reference_price", Some(&self.reference_price), None);
        // A percent with two digits is a whole number of basis points.
        let band = positive(
            "band_percent",
            self.band_percent.as_deref(),
            Some(i64::from(Config::default().band_bps)),
        );
        if reference_price_cents % tick_size_cents != 0 {
            errors.push(FieldError::new(
                "reference_price",
                "INVALID_PRICE",
                "is not a multiple of the tick",
            ));
        }
        let band_bps = i32::try_from(band).ok().filter(|bps| *bps < 10_000);
        if band_bps.is_none() {
            errors.push(FieldError::new("band_percent", "INVALID_REQUEST", "is less than 100"));
        }
        match (symbol, band_bps) {
            (Ok(symbol), Some(band_bps)) if errors.is_empty() => Ok(Listing {
                symbol,
                tick_size_cents,
                reference_price_cents,
                band_bps,
            }),
            _ => Err(Problem::fields(errors)),
        }
    }
}

/// `POST /admin/v1/instruments`.
pub async fn list(
    audit: Audit,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Body(body): Body<ListBody>,
) -> Result<Response, Problem> {
    let listing = body.check()?;
    let action = Action {
        name: "list_instrument",
        target: body.symbol.clone(),
        idempotency_key: idempotency_key.clone(),
        request: serde_json::to_value(&body).map_err(Problem::internal)?,
    };
    let operator = audit.operator.client_id.clone();
    let command = move |meta| {
        BookCommand::ListInstrument(ListInstrument {
            meta,
            operator,
            idempotency_key,
            symbol: listing.symbol,
            name: body.name,
            tick_size_cents: listing.tick_size_cents,
            reference_price_cents: listing.reference_price_cents,
            band_bps: listing.band_bps,
        })
    };
    let acting = audit.clone();
    let act = async move {
        let commands = &acting.app.commands;
        let end = commands
            .book_to_its_end(listing.symbol, &acting.context.trace, command)
            .await?;
        let app = Shared::clone(&acting.app);
        acted(end, PLACE, move |reply| {
            let status = if reply.replayed {
                StatusCode::OK
            } else {
                StatusCode::CREATED
            };
            instrument_answer(&app, reply, status)
        })
    };
    audit.around(action, || Ok(late(PLACE)), act).await
}

/// The instrument of a reply. This instance's market learns it from here, before it comes over the topic.
fn instrument_answer(app: &Shared, reply: &brokerx_schemas::Reply, status: StatusCode) -> Option<Response> {
    let instrument = reply.instrument.clone()?;
    let body = Json(InstrumentBody::from(&instrument));
    app.market.learn(instrument);
    Some((status, body).into_response())
}

/// The body of a halt, resume or delisting; it may be left out.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NoteBody {
    reason: Option<String>,
}

pub(super) type Kind = fn(InstrumentCommand) -> BookCommand;

macro_rules! instrument_route {
    ($(#[$doc:meta])* $name:ident, $kind:path) => {
        $(#[$doc])*
        pub async fn $name(
            audit: Audit,
            IdempotencyKey(key): IdempotencyKey,
            Path(symbol): Path<String>,
            OptionalBody(body): OptionalBody<NoteBody>,
        ) -> Result<Response, Problem> {
            act_on(&audit, stringify!($name), $kind, &symbol, key, &body).await
        }
    };
}

instrument_route! {
    /// `POST /admin/v1/instruments/{symbol}/halt`.
    halt, BookCommand::HaltInstrument
}
instrument_route! {
    /// `POST /admin/v1/instruments/{symbol}/resume`.
    resume, BookCommand::ResumeInstrument
}
instrument_route! {
    /// `POST /admin/v1/instruments/{symbol}/delist`.
    delist, BookCommand::DelistInstrument
}

async fn act_on(
    audit: &Audit,
    name: &'static str,
    kind: Kind,
    symbol_text: &str,
    idempotency_key: Option<String>,
    body: &NoteBody,
) -> Result<Response, Problem> {
    let note = check_note(body.reason.as_deref())?;
    let symbol = audit.app.market.named(symbol_text)?;
    let symbol = symbol.ok_or_else(|| Problem::not_found("there is no such instrument"))?;
    let action = Action {
        name,
        target: symbol_text.to_owned(),
        idempotency_key: idempotency_key.clone(),
        request: serde_json::to_value(body).map_err(Problem::internal)?,
    };
    let acting = audit.clone();
    let act = async move { send(&acting, kind, symbol, idempotency_key, note).await };
    audit.around(action, || Ok(late(PLACE)), act).await
}

/// Sends one command about one instrument and waits for as long as an outcome can be expected.
pub(super) async fn send(
    audit: &Audit,
    kind: Kind,
    symbol: Symbol,
    idempotency_key: Option<String>,
    note: Option<String>,
) -> Result<Acted, Problem> {
    let operator = audit.operator.client_id.clone();
    let command = |meta| {
        kind(InstrumentCommand {
            meta,
            operator,
            idempotency_key,
            symbol,
            note,
        })
    };
    let commands = &audit.app.commands;
    let end = commands.book_to_its_end(symbol, &audit.context.trace, command).await?;
    let app = Shared::clone(&audit.app);
    acted(end, PLACE, move |reply| instrument_answer(&app, reply, StatusCode::OK))
}

fn check_note(note: Option<&str>) -> Result<Option<String>, Problem> {
    match note {
        Some(note) if note.chars().count() > NOTE_LENGTH_MAX || note.contains(char::is_control) => {
            let fault = FieldError::new("reason", "INVALID_REQUEST", "is at most 500 characters on one line");
            Err(Problem::fields(vec![fault]))
        }
        note => Ok(note.map(str::to_owned)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_with_a_fault_names_the_field() {
        let check = |text: &str| serde_json::from_str::<ListBody>(text).unwrap().check();
        let good =
            r#"{"symbol": "AAPL", "name": "Apple", "tick_size": "0.01", "reference_price": 185.5, "band_percent": 5}"#;
        let listing = check(good).unwrap();
        assert_eq!(
            (listing.tick_size_cents, listing.reference_price_cents, listing.band_bps),
            (1, 18_550, 500)
        );
        let fewest = r#"{"symbol": "AAPL", "name": "Apple", "reference_price": "185.50"}"#;
        assert_eq!(check(fewest).unwrap(), listing);
        for (text, field) in [
            (r#"{"symbol": "aapl", "name": "Apple", "reference_price": 1}"#, "symbol"),
            (r#"{"symbol": "A", "name": "", "reference_price": 1}"#, "name"),
            (
                r#"{"symbol": "A", "name": "A", "reference_price": 0}"#,
                "reference_price",
            ),
            (
                r#"{"symbol": "A", "name": "A", "reference_price": 1.02, "tick_size": 0.05}"#,
                "reference_price",
            ),
            (
                r#"{"symbol": "A", "name": "A", "reference_price": 1, "band_percent": 100}"#,
                "band_percent",
            ),
            (
                r#"{"symbol": "A", "name": "A", "reference_price": 1, "band_percent": 2.555}"#,
                "band_percent",
            ),
        ] {
            let problem = check(text).unwrap_err();
            assert_eq!(problem.field_errors()[0].field, field, "{text}");
        }
    }
}
