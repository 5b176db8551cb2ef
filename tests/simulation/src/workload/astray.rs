//! Records that go astray between book and account: passed because nobody can read them, or forged. Either
//! way the account and its book disagree about what is left of an order.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{
    AccountCommand, AccountEventKind, AccountId, AnyMessage, BookStatus, CommandDone, CommandId, Fill, Liquidity,
    OrderId, OrderType, OrderView, TradeId,
};
use brokerx_topics::machine::Identity;
use brokerx_topics::partition::{account_key, partition_of};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::{PARTITIONS, Workload, any_account, any_symbol};
use crate::log::{Logs, Passes};

/// A book partition that none of the runs has: it speaks of what never was.
const ASTRAY: &str = "book-commands-77";

impl Workload {
    /// Something goes astray.
    pub(super) fn go_astray(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        match random.random_range(0..12) {
            0 | 1 => logs.pass_next(Passes::Fill),
            2 => logs.pass_next(Passes::Answer),
            3 => logs.pass_next(Passes::End),
            _ => self.forge_fill(logs, random),
        }
    }

    /// An answer to a command that was never sent: the account is frozen.
    pub(super) fn freeze(&mut self, account_id: AccountId, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        *self.asked.frozen.entry(account_id).or_default() += 1;
        let answer = CommandDone {
            account_id,
            command_id: CommandId([0xff; 16]),
            order_id: OrderId(1),
            symbol: any_symbol(random),
            status: BookStatus::Working,
            reason: None,
            leaves_quantity: 1,
        };
        self.send_astray(account_id, AccountCommand::CommandDone(answer), logs);
    }

    /// A trade of one share that never was. It leaves something of the order, so that the book's next word on
    /// it is another.
    fn forge_fill(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let open = open_orders(logs).remove(&account_id).unwrap_or_default();
        let candidates: Vec<&OrderView> = open
            .values()
            .filter(|order| order.order_type == OrderType::Limit && order.quantity - order.filled_quantity > 1)
            .collect();
        if candidates.is_empty() {
            return;
        }
        let order = candidates[random.random_range(0..candidates.len())];
        let trade_id = TradeId(-1 - self.asked.forged.len() as i64);
        self.asked.forged.insert(trade_id, account_id);
        let fill = Fill {
            account_id,
            order_id: order.order_id,
            trade_id,
            symbol: order.symbol,
            side: order.side,
            price_cents: order.price_cents.unwrap_or(1),
            quantity: 1,
            liquidity: Liquidity::Maker,
            leaves_quantity: order.quantity - order.filled_quantity - 1,
            executed_us: logs.now_ms * 1_000,
        };
        self.send_astray(account_id, AccountCommand::Fill(fill), logs);
    }

    fn send_astray(&mut self, account_id: AccountId, command: AccountCommand, logs: &mut Logs) {
        let partition = partition_of(&account_key(account_id), PARTITIONS);
        let seq = self.astray.entry(partition).or_default();
        *seq += 1;
        let identity = Identity {
            source: ASTRAY.to_owned(),
            seq: *seq,
        };
        logs.append(partition, Some(identity), command.into());
    }
}

/// The orders of each account that are open by the last that was said of them.
pub fn open_orders(logs: &Logs) -> BTreeMap<AccountId, BTreeMap<OrderId, OrderView>> {
    let mut open: BTreeMap<AccountId, BTreeMap<OrderId, OrderView>> = BTreeMap::new();
    for (_, record) in logs.deduplicated("account-events") {
        let AnyMessage::AccountEvent(event) = &record.message else {
            continue;
        };
        let Some(order) = &event.order else { continue };
        let orders = open.entry(event.account_id).or_default();
        match order.status.is_terminal() {
            true => drop(orders.remove(&order.order_id)),
            false => drop(orders.insert(order.order_id, order.clone())),
        }
    }
    open.retain(|_, orders| !orders.is_empty());
    open
}

/// The accounts that are frozen by the last that was said of them.
pub fn frozen_accounts(logs: &Logs) -> BTreeSet<AccountId> {
    let mut frozen = BTreeSet::new();
    for (_, record) in logs.deduplicated("account-events") {
        if let AnyMessage::AccountEvent(event) = &record.message {
            match event.kind {
                AccountEventKind::Frozen => drop(frozen.insert(event.account_id)),
                AccountEventKind::Thawed => drop(frozen.remove(&event.account_id)),
                _ => {}
            }
        }
    }
    frozen
}
