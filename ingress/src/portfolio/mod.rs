//! `GET /api/v1/portfolio`: cash and positions from the projection, valued at this instance's prices.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use brokerx_database::row;
use brokerx_json::{CashBody, Cents, PositionBody};
use brokerx_schemas::{CashView, PositionView, Symbol};
use serde::{Deserialize, Serialize};

use crate::gateway::{Caller, consistency};
use crate::http::{Problem, Query};
use crate::market::Market;
use crate::state::Shared;

/// The query of the portfolio.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortfolioQuery {
    consistency_token: Option<String>,
}

/// The portfolio.
#[derive(Debug, Serialize)]
pub struct Portfolio {
    cash: CashBody,
    positions: Vec<Position>,
    consistency_token: String,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Position {
    #[serde(flatten)]
    held: PositionBody,
    /// Null while this instance knows no price, or when the value is too large to be counted.
    market_value: Option<Cents>,
    unrealized_profit: Option<Cents>,
}

row! {
    /// The account with one of its positions; an account without positions has one row without any.
    struct Row {
        account_seq: i64,
        balance_cents: i64,
        account_reserved_cents: i64,
        symbol: Option<String>,
        quantity: Option<i64>,
        reserved_quantity: Option<i64>,
        cost_cents: Option<i64>,
    }
}

/// The caller's cash and positions. They are read in one statement, so that both are of the same moment.
pub async fn portfolio(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    Query(query): Query<PortfolioQuery>,
) -> Result<Json<Portfolio>, Problem> {
    let account_id = consistency::readable(&app, &caller, query.consistency_token.as_deref(), &headers).await?;
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT a.account_seq, a.balance_cents, a.reserved_cents AS account_reserved_cents,
                p.symbol, p.quantity, p.reserved_quantity, p.cost_cents
         FROM projection.accounts AS a
         LEFT JOIN projection.positions AS p ON p.account_id = a.account_id AND p.quantity <> 0
         WHERE a.account_id = $1 ORDER BY p.symbol",
    )
    .bind(account_id.0)
    .fetch_all(&app.database)
    .await?;
    // An account that has not been projected yet starts at 0.
    let (account_seq, balance_cents, reserved_cents) = rows.first().map_or((0, 0, 0), |row| {
        (row.account_seq, row.balance_cents, row.account_reserved_cents)
    });
    Ok(Json(Portfolio {
        cash: CashBody::from(&CashView {
            balance_cents,
            reserved_cents,
        }),
        positions: rows.iter().filter_map(|row| position(row, &app.market)).collect(),
        consistency_token: consistency::token(account_id, account_seq),
    }))
}

fn position(row: &Row, market: &Market) -> Option<Position> {
    let symbol = Symbol::new(row.symbol.as_ref()?).ok()?;
    let held = PositionView {
        symbol,
        quantity: row.quantity?,
        reserved_quantity: row.reserved_quantity?,
        cost_cents: row.cost_cents?,
    };
    Some(valued(&held, market.value_cents(symbol)))
}

fn valued(held: &PositionView, price_cents: Option<i64>) -> Position {
    let value_cents = price_cents.and_then(|price| price.checked_mul(held.quantity));
    let profit_cents = value_cents.and_then(|value| value.checked_sub(held.cost_cents));
    Position {
        held: PositionBody::from(held),
        market_value: value_cents.map(Cents),
        unrealized_profit: profit_cents.map(Cents),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn positions_are_valued_to_the_cent() {
        let held = PositionView {
            symbol: Symbol::new("AAPL").unwrap(),
            quantity: 3,
            reserved_quantity: 1,
            cost_cents: 1_000,
        };
        assert_eq!(
            serde_json::to_value(valued(&held, Some(350))).unwrap(),
            json!({
                "symbol": "AAPL", "quantity": 3, "available": 2, "reserved": 1, "average_price": "3.33",
                "market_value": "10.50", "unrealized_profit": "0.50"
            })
        );
        assert_eq!(valued(&held, None).market_value, None);
        assert_eq!(valued(&held, Some(i64::MAX)).market_value, None);
    }
}
