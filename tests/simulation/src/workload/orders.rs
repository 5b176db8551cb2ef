//! What clients do with orders.

use brokerx_schemas::{
    AccountCommand, AccountId, AckMode, AnyMessage, CancelAllOrders, CancelOrder, OrderId, OrderType, PlaceOrder,
    ReplaceOrder, SelfTradePrevention, SetKillSwitch, Side, TimeInForce,
};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{Workload, any_account, any_symbol, send_account};
use crate::log::Logs;

impl Workload {
    pub(super) fn place(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let side = if random.random() { Side::Buy } else { Side::Sell };
        let order_type = match random.random_range(0..12) {
            0 | 1 => OrderType::Market,
            2 => OrderType::Stop,
            3 => OrderType::StopLimit,
            _ => OrderType::Limit,
        };
        let market = order_type == OrderType::Market;
        let has_limit = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
        let has_stop = matches!(order_type, OrderType::Stop | OrderType::StopLimit);
        let price_cents = random.random_range(98_00..=102_00);
        let stop_price_cents = random.random_range(98_00..=102_00);
        let quantity = random.random_range(1..=40);
        let time_in_force = match random.random_range(0..8) {
            0 => TimeInForce::Fok,
            1 | 2 => TimeInForce::Ioc,
            3 => TimeInForce::Day,
            _ if market => TimeInForce::Ioc,
            _ => TimeInForce::Gtc,
        };
        // Only an order that may rest in the book can be post-only or an iceberg.
        let rests = order_type == OrderType::Limit && matches!(time_in_force, TimeInForce::Day | TimeInForce::Gtc);
        let order = PlaceOrder {
            meta: self.meta(logs, random),
            account_id,
            client_order_id: format!("c{}", self.command_count),
            symbol: any_symbol(random),
            side,
            order_type,
            quantity,
            price_cents: has_limit.then_some(price_cents),
            stop_price_cents: has_stop.then_some(stop_price_cents),
            collar_price_cents: market.then_some(if side == Side::Buy { 104_00 } else { 96_00 }),
            time_in_force,
            post_only: rests && random.random_ratio(1, 6),
            display_quantity: (rests && random.random_ratio(1, 4)).then(|| random.random_range(1..=quantity)),
            self_trade_prevention: [
                SelfTradePrevention::CancelIncoming,
                SelfTradePrevention::CancelResting,
                SelfTradePrevention::CancelBoth,
            ][random.random_range(0..3)],
            ack_mode: if random.random() {
                AckMode::Worked
            } else {
                AckMode::Accepted
            },
        };
        self.asked.orders.insert((account_id, order.client_order_id.clone()));
        self.placed.push(order.clone());
        send_account(logs, account_id, AccountCommand::PlaceOrder(order));
    }

    /// A client that got no answer sends its order again, with the same id.
    pub(super) fn retry(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        if self.placed.is_empty() {
            return;
        }
        let original = self.placed[random.random_range(0..self.placed.len())].clone();
        let order = PlaceOrder {
            meta: self.meta(logs, random),
            ..original
        };
        send_account(logs, order.account_id, AccountCommand::PlaceOrder(order));
    }

    fn known_order(logs: &Logs, random: &mut Xoshiro256PlusPlus) -> Option<(AccountId, OrderId, i32)> {
        let known: Vec<_> = logs
            .records("account-events")
            .filter_map(|(_, record)| match &record.message {
                AnyMessage::AccountEvent(event) => event.order.as_ref(),
                _ => None,
            })
            .map(|order| (order.account_id, order.order_id, order.version))
            .collect();
        let recent = known.len().saturating_sub(40);
        (!known.is_empty()).then(|| known[random.random_range(recent..known.len())])
    }

    pub(super) fn cancel(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let Some((account_id, order_id, version)) = Self::known_order(logs, random) else {
            return;
        };
        let command = CancelOrder {
            meta: self.meta(logs, random),
            account_id,
            order_id,
            client_version: random.random_ratio(1, 4).then_some(version),
            idempotency_key: None,
        };
        send_account(logs, account_id, AccountCommand::CancelOrder(command));
    }

    pub(super) fn replace(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let Some((account_id, order_id, client_version)) = Self::known_order(logs, random) else {
            return;
        };
        let command = ReplaceOrder {
            meta: self.meta(logs, random),
            account_id,
            order_id,
            client_version,
            price_cents: random.random::<bool>().then(|| random.random_range(98_00..=102_00)),
            quantity: random.random::<bool>().then(|| random.random_range(1..=60)),
            time_in_force: None,
            idempotency_key: None,
        };
        send_account(logs, account_id, AccountCommand::ReplaceOrder(command));
    }

    /// Cancels all orders of an account, or those of one symbol.
    pub(super) fn cancel_all(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let command = CancelAllOrders {
            meta: self.meta(logs, random),
            account_id,
            symbol: random.random::<bool>().then(|| any_symbol(random)),
            idempotency_key: None,
        };
        send_account(logs, account_id, AccountCommand::CancelAllOrders(command));
    }

    /// Engages the kill switch or, more often, lifts it.
    pub(super) fn kill_switch(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let command = SetKillSwitch {
            meta: self.meta(logs, random),
            account_id,
            engaged: random.random_ratio(1, 4),
            operator: None,
            idempotency_key: None,
        };
        send_account(logs, account_id, AccountCommand::SetKillSwitch(command));
    }
}
