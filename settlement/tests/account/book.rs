//! A book that is easy to believe: a list of resting orders, searched from end to end.

use std::collections::VecDeque;

use brokerx_schemas::*;

use super::bench::done_of;

/// What the naive book remembers of an order.
#[derive(Clone, Debug)]
struct Resting {
    order: NewOrder,
    filled: i64,
    /// Grows with each arrival: time priority.
    arrival: u64,
}

impl Resting {
    fn leaves(&self) -> i64 {
        self.order.quantity - self.filled
    }

    fn limit(&self) -> i64 {
        self.order.price_cents.or(self.order.collar_price_cents).unwrap()
    }
}

/// All symbols in one book partition.
#[derive(Debug, Default)]
pub struct NaiveBook {
    resting: Vec<Resting>,
    arrivals: u64,
    trades: i64,
    /// What it has written to the accounts, in order.
    pub outbox: VecDeque<AccountCommand>,
}

impl NaiveBook {
    pub fn apply(&mut self, command: &BookCommand, refuse: bool, now_us: i64) {
        match command {
            BookCommand::NewOrder(order) if refuse => self.done(
                order,
                order.command_id,
                BookStatus::Rejected,
                Some(Reason::Halted),
                order.quantity,
            ),
            BookCommand::NewOrder(order) => self.sweep(*order, 0, order.command_id, BookStatus::Working, now_us),
            BookCommand::CancelBookOrder(cancel) => match self.take(cancel.order_id) {
                Some(resting) => self.done(
                    &resting.order,
                    cancel.command_id,
                    BookStatus::Cancelled,
                    Some(Reason::CancelledByClient),
                    resting.leaves(),
                ),
                None => self.closed(cancel.account_id, cancel.command_id, cancel.order_id, cancel.symbol),
            },
            BookCommand::ReplaceBookOrder(replace) => {
                let Some(old) = self.take(replace.order_id) else {
                    return self.closed(replace.account_id, replace.command_id, replace.order_id, replace.symbol);
                };
                if refuse {
                    self.done(
                        &old.order,
                        replace.command_id,
                        BookStatus::Rejected,
                        Some(Reason::PriceBand),
                        old.leaves(),
                    );
                    self.resting.push(old);
                    return;
                }
                let order = NewOrder {
                    price_cents: replace.price_cents,
                    quantity: replace.quantity,
                    time_in_force: replace.time_in_force,
                    ..old.order
                };
                if replace.quantity <= old.filled {
                    return self.done(
                        &order,
                        replace.command_id,
                        BookStatus::Cancelled,
                        Some(Reason::CancelledByClient),
                        old.leaves(),
                    );
                }
                self.sweep(order, old.filled, replace.command_id, BookStatus::Replaced, now_us);
            }
            other => panic!("not an order command: {other:?}"),
        }
    }

    /// Ends one resting order by itself.
    pub fn end_one(&mut self, choice: usize, cause: Reason) {
        if self.resting.is_empty() {
            return;
        }
        let resting = self.resting.remove(choice % self.resting.len());
        self.outbox.push_back(AccountCommand::OrderEnded(OrderEnded {
            account_id: resting.order.account_id,
            order_id: resting.order.order_id,
            symbol: resting.order.symbol,
            cause,
            leaves_quantity: resting.leaves(),
        }));
    }

    fn take(&mut self, order_id: OrderId) -> Option<Resting> {
        let index = self
            .resting
            .iter()
            .position(|resting| resting.order.order_id == order_id)?;
        Some(self.resting.remove(index))
    }

    fn sweep(&mut self, order: NewOrder, filled: i64, command_id: CommandId, rests: BookStatus, now_us: i64) {
        self.arrivals += 1;
        let mut incoming = Resting {
            order,
            filled,
            arrival: self.arrivals,
        };
        while incoming.leaves() > 0 {
            let Some(index) = self.best_against(&incoming) else {
                break;
            };
            let (price, quantity) = (
                self.resting[index].limit(),
                self.resting[index].leaves().min(incoming.leaves()),
            );
            self.trades += 1;
            incoming.filled += quantity;
            self.resting[index].filled += quantity;
            let maker = self.resting[index].clone();
            if maker.leaves() == 0 {
                self.resting.remove(index);
            }
            for (side, liquidity) in [(&maker, Liquidity::Maker), (&incoming, Liquidity::Taker)] {
                self.outbox.push_back(AccountCommand::Fill(Fill {
                    account_id: side.order.account_id,
                    order_id: side.order.order_id,
                    trade_id: TradeId(self.trades),
                    symbol: side.order.symbol,
                    side: side.order.side,
                    price_cents: price,
                    quantity,
                    liquidity,
                    leaves_quantity: side.leaves(),
                    executed_us: now_us,
                }));
            }
        }
        let leaves = incoming.leaves();
        let stays =
            order.order_type == OrderType::Limit && matches!(order.time_in_force, TimeInForce::Day | TimeInForce::Gtc);
        match (leaves, stays) {
            (0, _) => self.done(&order, command_id, BookStatus::Filled, None, 0),
            (_, true) => {
                self.resting.push(incoming);
                self.done(&order, command_id, rests, None, leaves);
            }
            (_, false) => self.done(
                &order,
                command_id,
                BookStatus::Cancelled,
                Some(Reason::NoLiquidity),
                leaves,
            ),
        }
    }

    /// The resting order that the incoming one trades with next. Here orders of one account trade
    /// with each other.
    fn best_against(&self, incoming: &Resting) -> Option<usize> {
        let sign = if incoming.order.side == Side::Buy { 1 } else { -1 };
        let candidates = self.resting.iter().enumerate().filter(|(_, resting)| {
            resting.order.symbol == incoming.order.symbol
                && resting.order.side == incoming.order.side.opposite()
                && sign * resting.limit() <= sign * incoming.limit()
        });
        let best = candidates.min_by_key(|(_, resting)| (sign * resting.limit(), resting.arrival));
        best.map(|(index, _)| index)
    }

    fn closed(&mut self, account_id: AccountId, command_id: CommandId, order_id: OrderId, symbol: Symbol) {
        self.outbox.push_back(AccountCommand::CommandDone(CommandDone {
            account_id,
            command_id,
            order_id,
            symbol,
            status: BookStatus::Rejected,
            reason: Some(Reason::OrderClosed),
            leaves_quantity: 0,
        }));
    }

    fn done(
        &mut self,
        order: &NewOrder,
        command_id: CommandId,
        status: BookStatus,
        reason: Option<Reason>,
        leaves_quantity: i64,
    ) {
        self.outbox
            .push_back(done_of(order, command_id, status, reason, leaves_quantity));
    }
}
