//! What became of every order, compared with what its client was told.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use brokerx_e2e::audit::Told;
use brokerx_schemas::{AccountId, OrderStatus, OrderView};
use sqlx::PgPool;

/// An order as its client knows it.
#[derive(Clone, Debug)]
pub struct Known {
    pub account_id: AccountId,
    pub client_order_id: String,
    /// The order in each answer about it; none when it was refused before it had an id.
    pub told: Vec<Told>,
}

/// How much was examined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcomes {
    /// Orders that were acknowledged.
    pub orders: usize,
    /// Answers that showed one of these orders.
    pub answers: usize,
}

/// Checks that every order in an answer is in the projection exactly once, under the id that its client was
/// told, and as it was told or further along; and that no refused order had an effect.
pub async fn check(asked: &[Known], database: &PgPool) -> anyhow::Result<Outcomes> {
    let mut stored: BTreeMap<(AccountId, String), Vec<OrderView>> = BTreeMap::new();
    let query = sqlx::query_scalar("SELECT to_jsonb(o) FROM projection.orders AS o");
    for row in query.fetch_all(database).await? {
        let order: OrderView = serde_json::from_value(row)?;
        let key = (order.account_id, order.client_order_id.clone());
        stored.entry(key).or_default().push(order);
    }
    let mut outcomes = Outcomes::default();
    for known in asked {
        let key = (known.account_id, known.client_order_id.clone());
        let orders = stored.get(&key).map_or(&[][..], Vec::as_slice);
        check_one(known, orders).with_context(|| format!("{known:?} became {orders:?}"))?;
        outcomes.orders += usize::from(!known.told.is_empty());
        outcomes.answers += known.told.len();
    }
    Ok(outcomes)
}

fn check_one(known: &Known, orders: &[OrderView]) -> anyhow::Result<()> {
    let acted = |order: &&OrderView| order.status != OrderStatus::Rejected;
    let acted = orders.iter().filter(acted).count();
    ensure!(acted <= 1, "it took effect {acted} times");
    ensure!(
        acted == 0 || !known.told.is_empty(),
        "it was refused and took effect all the same"
    );
    for told in &known.told {
        let order = orders.iter().find(|order| order.order_id == told.order_id);
        let order =
            order.with_context(|| format!("the client was told of order {}, which is not there", told.order_id))?;
        if let Some(contradiction) = told.contradiction(order) {
            bail!("{contradiction}");
        }
    }
    for order in orders {
        let waits = [OrderStatus::Pending, OrderStatus::Accepted].contains(&order.status);
        ensure!(!waits, "order {} still waits for the book", order.order_id);
    }
    Ok(())
}
