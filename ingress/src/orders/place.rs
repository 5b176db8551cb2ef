//! `POST /api/v1/orders`.

use axum::extract::State;
use axum::response::Response;
use brokerx_schemas::{AccountCommand, AckMode, OrderType, PlaceOrder};
use brokerx_topics::service::clock::now_us;
use serde::Deserialize;

use super::path::by_client_id_location;
use super::shape::{OrderInput, OrderShape, PriceRange};
use super::{answer, repeat};
use crate::gateway::{Caller, RequestContext, Scope};
use crate::http::{Body, FieldError, Problem, Query};
use crate::market::{Terms, collar_cents};
use crate::state::{App, Shared};

/// The body of a new order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceBody {
    order: OrderInput,
}

/// The query of a new order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceQuery {
    /// How far the order must have come before the answer; the book unless told otherwise.
    #[serde(default)]
    ack: Ack,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ack {
    #[default]
    Worked,
    Accepted,
}

/// Places an order and answers as the book left it.
pub async fn place(
    State(app): State<Shared>,
    caller: Caller,
    context: RequestContext,
    Query(query): Query<PlaceQuery>,
    Body(body): Body<PlaceBody>,
) -> Result<Response, Problem> {
    let account_id = caller.account(Scope::Trade)?;
    let range = PriceRange::of(&app.options);
    let checked = body
        .order
        .check(range, |symbol| !matches!(app.market.terms(symbol), Ok(None)))
        .map_err(Problem::fields)
        .and_then(|shape| Ok((collar(&app, &shape)?, shape)));
    let (collar_price_cents, shape) = match checked {
        Ok(checked) => checked,
        Err(problem) => {
            return match body.order.check(range, |_| true) {
                // The order itself is sound, only the market is missing: a repeat can be answered without it.
                Ok(shape) => repeat::answer(&app, account_id, &shape).await.ok_or(problem),
                Err(_) => Err(problem),
            };
        }
    };
    let client_order_id = shape.client_order_id.clone();
    let location = by_client_id_location(&client_order_id, now_us());
    let command = |meta| {
        AccountCommand::PlaceOrder(PlaceOrder {
            meta,
            account_id,
            client_order_id: shape.client_order_id,
            symbol: shape.symbol,
            side: shape.side,
            order_type: shape.order_type,
            quantity: shape.quantity,
            price_cents: shape.price_cents,
            stop_price_cents: shape.stop_price_cents,
            collar_price_cents,
            time_in_force: shape.time_in_force,
            post_only: shape.post_only,
            display_quantity: shape.display_quantity,
            self_trade_prevention: shape.self_trade_prevention,
            ack_mode: match query.ack {
                Ack::Worked => AckMode::Worked,
                Ack::Accepted => AckMode::Accepted,
            },
        })
    };
    let outcome = app
        .commands
        .order(account_id, &client_order_id, &context.trace, command)
        .await?;
    Ok(answer::placed(outcome, account_id, &location))
}

/// The collar of a market order; settlement fixes that of a stop. Every order is refused while the book's
/// partition shows no sign of life.
fn collar(app: &App, shape: &OrderShape) -> Result<Option<i64>, Problem> {
    let unknown = || {
        vec![FieldError::new(
            "order.symbol",
            "UNKNOWN_SYMBOL",
            "is not a listed instrument",
        )]
    };
    let Terms {
        tick_cents,
        reference_cents,
        live,
    } = app
        .market
        .terms(shape.symbol)?
        .ok_or_else(|| Problem::fields(unknown()))?;
    if shape.order_type != OrderType::Market {
        return match live {
            true => Ok(None),
            false => Err(Problem::unavailable(
                "MARKET_UNAVAILABLE",
                "no sign of life comes from the market of this instrument at the moment, so it takes no orders; try again",
            )),
        };
    }
    let reference_cents = reference_cents.filter(|_| live).ok_or_else(|| {
        Problem::unavailable(
            "NO_REFERENCE_PRICE",
            "the price of this instrument is not known at the moment, so it takes no market orders; try again",
        )
    })?;
    let range = (app.options.price_cents_min, app.options.price_cents_max);
    collar_cents(shape.side, reference_cents, app.options.collar_bps, tick_cents, range)
        .map(Some)
        .ok_or_else(|| {
            Problem::unavailable(
                "NO_REFERENCE_PRICE",
                "no price that orders may have is near enough to the last trade for a market order",
            )
        })
}
