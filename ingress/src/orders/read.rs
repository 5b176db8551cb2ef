//! `GET /api/v1/orders`, `/orders/{id}`, `/orders/by-client-id/{client_order_id}`: from the projection.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use brokerx_json::OrderBody;
use brokerx_schemas::Refusal;
use brokerx_topics::service::clock::now_us;
use serde::{Deserialize, Serialize};

use super::answer::late;
use super::path::{by_client_id_location, not_found, order_id};
use super::repeat::is_remembered;
use super::rows::{self, Known};
use crate::commands::Decision;
use crate::gateway::{Caller, Scope, consistency};
use crate::http::{Page, PageQuery, Problem, Query, is_client_key, reasons};
use crate::state::Shared;

/// `GET /api/v1/orders`: the caller's, newest first.
pub async fn list(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<OrderBody>>, Problem> {
    let (before, limit) = (query.before()?, query.limit()?);
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let page = rows::page(&app.database, account_id, before, limit).await?;
    Ok(Json(
        page.map(|(order, executions)| OrderBody::new(&order, &executions)),
    ))
}

/// The query of a single order.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneQuery {
    consistency_token: Option<String>,
}

/// A single order.
#[derive(Debug, Serialize)]
pub struct OneOrder {
    order: OrderBody,
}

/// `GET /api/v1/orders/{id}`: 404 also for somebody else's order.
pub async fn by_id(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<OneQuery>,
) -> Result<Json<OneOrder>, Problem> {
    let order_id = order_id(&id)?;
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    one(rows::by_id(&app.database, account_id, order_id).await?)
}

/// The query of an order by the client's own id.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByClientIdQuery {
    consistency_token: Option<String>,
    /// When the order was asked for, microseconds since the epoch: stands in the place that a late answer names.
    asked_us: Option<i64>,
}

/// How much later than now `asked_us` may be: it stands in the answer of another instance, whose clock may be
/// ahead.
const AHEAD_US: i64 = 10 * 1_000_000;

impl ByClientIdQuery {
    /// The time at which the order was asked for, if it is one.
    ///
    /// # Errors
    /// 422 when it is before the epoch, or in the future.
    fn asked_us(&self, now_us: i64) -> Result<Option<i64>, Problem> {
        match self.asked_us {
            Some(asked_us) if !(0..=now_us.saturating_add(AHEAD_US)).contains(&asked_us) => {
                Err(Problem::invalid_request(
                    "asked_us is when the order was asked for, in microseconds since 1970 (UTC), and not in the future",
                ))
            }
            asked_us => Ok(asked_us),
        }
    }
}

/// `GET /api/v1/orders/by-client-id/{client_order_id}`: the newest order with this id. An order that was
/// answered before there was an outcome is answered with 202 until there is one, never with an older order
/// whose id is free again.
pub async fn by_client_id(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Path(client_order_id): Path<String>,
    Query(query): Query<ByClientIdQuery>,
) -> Result<Response, Problem> {
    if !is_client_key(&client_order_id) {
        return Err(not_found());
    }
    let asked_us = query.asked_us(now_us())?;
    let account_id = caller.account(Scope::Read)?;
    let told = app.commands.told().decision(account_id, &client_order_id);
    // What has no outcome is in no event that could be waited for.
    if !matches!(told, Some(Decision::AwaitedSince(_))) {
        consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    }
    let newest = rows::newest(&app.database, account_id, &client_order_id).await?;
    let remembered_us = app.options.closed_key_seconds.saturating_mul(1_000_000);
    match meant(newest, told, asked_us, now_us(), remembered_us) {
        Meant::Known(known) => one(Some(*known)).map(IntoResponse::into_response),
        Meant::Refused(refusal) => Err(reasons::refused(&refusal)),
        Meant::UndecidedSince(asked_us) => Ok(undecided(&client_order_id, asked_us)),
        Meant::Nothing => Err(not_found()),
    }
}

/// What is meant by a client's own id of an order.
#[derive(Debug, PartialEq)]
enum Meant {
    Known(Box<Known>),
    /// It was refused, and is not recorded.
    Refused(Refusal),
    /// It was asked for at this time, microseconds since the epoch, and may still be decided.
    UndecidedSince(i64),
    Nothing,
}

/// Which order is meant by an id: the newest one that is recorded, unless another one was asked for when that one's
/// id was free again. That another one was asked for is known by what was `told` of it, or by the time in the place
/// that a late answer named (`asked_us`), which is all that another instance knows.
fn meant(
    newest: Option<Known>,
    told: Option<Decision>,
    asked_us: Option<i64>,
    now_us: i64,
    remembered_us: i64,
) -> Meant {
    let asked_us = match told {
        Some(Decision::AwaitedSince(asked_us)) => Some(asked_us),
        Some(Decision::Refused(_)) => Some(now_us),
        None => asked_us,
    };
    let Some(asked_us) = asked_us else {
        return newest.map_or(Meant::Nothing, |known| Meant::Known(Box::new(known)));
    };
    let is_the_one = |(order, _): &Known| is_remembered(order, asked_us, remembered_us);
    match (newest.filter(is_the_one), told) {
        (Some(known), _) => Meant::Known(Box::new(known)),
        (None, Some(Decision::Refused(refusal))) => Meant::Refused(refusal),
        (None, Some(Decision::AwaitedSince(_))) => Meant::UndecidedSince(asked_us),
        // Settlement may be away for as long as it likes; after this time the client may use the id for another order.
        (None, None) if now_us.saturating_sub(asked_us) < remembered_us => Meant::UndecidedSince(asked_us),
        (None, None) => Meant::Nothing,
    }
}

/// Not decided yet: ask again in a second.
fn undecided(client_order_id: &str, asked_us: i64) -> Response {
    let mut response = late(&by_client_id_location(client_order_id, asked_us));
    let soon = HeaderValue::from_static("1");
    response.headers_mut().insert(header::RETRY_AFTER, soon);
    response
}

fn one(known: Option<Known>) -> Result<Json<OneOrder>, Problem> {
    let (order, executions) = known.ok_or_else(not_found)?;
    let order = OrderBody::new(&order, &executions);
    Ok(Json(OneOrder { order }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use brokerx_schemas::{AccountId, CommandId, OrderStatus, OrderView, Reason, Reply, ReplyKind};

    use super::super::answer::tests::order;
    use super::*;
    use crate::commands::Told;

    const MINUTE_US: i64 = 60 * 1_000_000;
    const DAY_US: i64 = 24 * 60 * MINUTE_US;
    const NOW_US: i64 = 100 * DAY_US;

    #[test]
    fn an_order_that_was_sent_again_and_answered_in_time_is_undecided_no_more() {
        let account_id = AccountId(7);
        let command_id = |number| CommandId([number; 16]);
        let told = Told::new(Duration::from_secs(60));
        let decision = |id: &str| told.decision(account_id, id);
        for (number, id) in [(1, "sent again"), (2, "refused"), (3, "another")] {
            told.late(account_id, id.to_owned(), command_id(number));
        }
        let outcome = |id: Option<&str>, order| {
            let reply = Reply {
                order,
                account_seq: Some(5),
                ..Reply::new(command_id(9), ReplyKind::Order)
            };
            told.outcome(account_id, id.map(str::to_owned).as_ref(), &reply);
        };
        outcome(Some("sent again"), Some(order(OrderStatus::Working, None)));
        // What is refused without an order says nothing of what was sent before it; nor does a deposit.
        outcome(Some("refused"), None);
        outcome(None, None);
        assert_eq!(decision("sent again"), None);
        for id in ["refused", "another"] {
            assert!(matches!(decision(id), Some(Decision::AwaitedSince(_))), "{id}");
        }
        assert_eq!(told.last(account_id), Some(5));
    }

    #[test]
    fn an_order_whose_id_was_free_again_is_not_shown_for_a_new_one() {
        let ended = |updated_us| {
            let order = OrderView {
                updated_us,
                ..order(OrderStatus::Filled, None)
            };
            Some((order, Vec::new()))
        };
        let refusal = Refusal {
            reason: Reason::TooManyRequests,
            current_version: None,
        };
        let awaited = |asked_us| Some(Decision::AwaitedSince(asked_us));
        let refused = || Some(Decision::Refused(refusal.clone()));
        // The new one was asked for eleven minutes ago, two days after the end of the old one.
        let asked_us = NOW_US - 11 * MINUTE_US;
        let old = || ended(asked_us - 2 * DAY_US);
        let new = || ended(asked_us + MINUTE_US);
        let open = || {
            let order = OrderView {
                updated_us: asked_us - 2 * DAY_US,
                ..order(OrderStatus::Working, None)
            };
            Some((order, Vec::new()))
        };
        let known = |known: Option<Known>| Meant::Known(Box::new(known.unwrap()));
        for (name, newest, told, place, expected) in [
            ("no other was asked for", old(), None, None, known(old())),
            ("there is none", None, None, None, Meant::Nothing),
            // What this instance knows of the new one.
            (
                "undecided",
                old(),
                awaited(asked_us),
                None,
                Meant::UndecidedSince(asked_us),
            ),
            (
                "undecided, and no old one",
                None,
                awaited(asked_us),
                None,
                Meant::UndecidedSince(asked_us),
            ),
            (
                "undecided, whatever the place says",
                old(),
                awaited(asked_us),
                Some(1),
                Meant::UndecidedSince(asked_us),
            ),
            (
                "decided, and the outcome is on its way",
                new(),
                awaited(asked_us),
                None,
                known(new()),
            ),
            (
                "a repeat of one that is open",
                open(),
                awaited(asked_us),
                None,
                known(open()),
            ),
            ("refused", old(), refused(), None, Meant::Refused(refusal.clone())),
            ("refused, then taken", new(), refused(), None, known(new())),
            // All that another instance knows of it.
            (
                "elsewhere undecided",
                old(),
                None,
                Some(asked_us),
                Meant::UndecidedSince(asked_us),
            ),
            ("elsewhere decided", new(), None, Some(asked_us), known(new())),
            (
                "elsewhere, a day ago",
                None,
                None,
                Some(NOW_US - DAY_US),
                Meant::Nothing,
            ),
            (
                "elsewhere, nearly a day ago",
                None,
                None,
                Some(NOW_US - DAY_US + 1),
                Meant::UndecidedSince(NOW_US - DAY_US + 1),
            ),
        ] {
            assert_eq!(meant(newest, told, place, NOW_US, DAY_US), expected, "{name}");
        }
    }

    #[test]
    fn an_order_was_asked_for_by_now() {
        let now_us = 1_800_000_000_000_000;
        let check = |asked_us| {
            let query = ByClientIdQuery {
                asked_us,
                ..ByClientIdQuery::default()
            };
            query.asked_us(now_us).map_err(|problem| problem.status().as_u16())
        };
        for good in [None, Some(0), Some(now_us), Some(now_us + AHEAD_US)] {
            assert_eq!(check(good), Ok(good));
        }
        for bad in [i64::MIN, -1, now_us + AHEAD_US + 1, i64::MAX] {
            assert_eq!(check(Some(bad)), Err(422), "{bad}");
        }
    }
}
