//! The fills of both sides equal the trades, in the topics and in the projection.

use std::collections::BTreeMap;

use brokerx_schemas::{OrderId, TradeEvent, TradeId};
use sqlx::{PgPool, Row};

use super::finding::Finding;
use super::topics::Topics;

type Fills = BTreeMap<(OrderId, TradeId), (i64, i64)>;

pub(super) async fn check(topics: &Topics, database: &PgPool, findings: &mut Vec<Finding>) -> anyhow::Result<()> {
    let mut sides = Fills::new();
    for record in &topics.trades {
        let TradeEvent::Trade(trade) = &record.value else {
            continue;
        };
        for order_id in [trade.maker_order_id, trade.taker_order_id] {
            sides.insert((order_id, trade.trade_id), (trade.price_cents, trade.quantity));
        }
    }
    let mut executions = Fills::new();
    for record in &topics.account_events {
        if let (Some(order), Some(execution)) = (&record.value.order, record.value.execution) {
            let key = (order.order_id, execution.trade_id);
            if executions
                .insert(key, (execution.price_cents, execution.quantity))
                .is_some()
            {
                findings.push(Finding(format!("order {} has trade {} twice", key.0, key.1)));
            }
        }
    }
    compare("account-events", &sides, &executions, findings);
    let rows = sqlx::query("SELECT order_id, trade_id, price_cents, quantity FROM projection.executions")
        .fetch_all(database)
        .await?;
    let mut projected = Fills::new();
    for row in rows {
        let key = (OrderId(row.try_get("order_id")?), TradeId(row.try_get("trade_id")?));
        projected.insert(key, (row.try_get("price_cents")?, row.try_get("quantity")?));
    }
    compare("the projection", &sides, &projected, findings);
    Ok(())
}

fn compare(place: &str, trades: &Fills, executions: &Fills, findings: &mut Vec<Finding>) {
    for (key, value) in trades {
        if executions.get(key) != Some(value) {
            let got = executions.get(key);
            findings.push(Finding(format!(
                "{place}: trade {} of order {} is {got:?}, not {value:?}",
                key.1, key.0
            )));
        }
    }
    for key in executions.keys().filter(|key| !trades.contains_key(key)) {
        findings.push(Finding(format!(
            "{place}: order {} has an execution without trade {}",
            key.0, key.1
        )));
    }
}
