//! The naive model: keeps lists of what happened and computes everything anew from them.

use std::collections::BTreeMap;

use brokerx_schemas::*;

/// An accepted order and all its fills.
#[derive(Clone, Debug)]
struct Known {
    order: NewOrder,
    config: Config,
    /// Quantity and price that the replace in flight asks for, and its command.
    asked: Option<(CommandId, i64, Option<i64>)>,
    is_open: bool,
    fills: Vec<Fill>,
}

/// What changed the shares of an account, in order.
#[derive(Clone, Copy, Debug)]
enum Move {
    Arrive { quantity: i64, cost: i64 },
    Leave { quantity: i64 },
}

/// Everything that was ever decided, as lists.
#[derive(Debug, Default)]
pub struct Oracle {
    orders: Vec<Known>,
    /// Account, direction, amount, status, by id.
    payments: BTreeMap<PaymentId, (AccountId, PaymentDirection, i64, PaymentStatus)>,
    moves: Vec<(AccountId, Symbol, Move)>,
}

fn half_up(numerator: i128, denominator: i128) -> i64 {
    i64::try_from((2 * numerator + denominator).div_euclid(2 * denominator)).unwrap()
}

impl Known {
    fn filled(&self) -> i64 {
        self.fills.iter().map(|fill| fill.quantity).sum()
    }

    fn notional(&self) -> i64 {
        self.fills.iter().map(|fill| fill.quantity * fill.price_cents).sum()
    }

    /// The cumulative fee of all fills and of `more` cents at the higher rate.
    fn fee(&self, more: i64) -> i64 {
        if self.fills.is_empty() && more == 0 {
            return 0;
        }
        let rate = |fill: &Fill| match fill.liquidity {
            Liquidity::Maker => self.config.maker_fee_bps,
            _ => self.config.taker_fee_bps,
        };
        let fills = self.fills.iter();
        let basis: i128 = fills
            .map(|fill| i128::from(fill.quantity * fill.price_cents) * i128::from(rate(fill)))
            .sum();
        let highest = self.config.maker_fee_bps.max(self.config.taker_fee_bps);
        let fee = half_up(basis + i128::from(more) * i128::from(highest), 10_000).max(self.config.minimum_fee_cents);
        if self.order.side == Side::Sell {
            fee.min(self.notional())
        } else {
            fee
        }
    }

    /// The worst price of each share that is left, one by one.
    fn shares_left(&self) -> Vec<i64> {
        let worst = |price: Option<i64>| price.or(self.order.collar_price_cents).unwrap();
        let old = (self.order.quantity - self.filled(), worst(self.order.price_cents));
        let new = self
            .asked
            .map_or((0, 0), |(_, quantity, price)| (quantity - self.filled(), worst(price)));
        let price_in = |(left, price): (i64, i64), share: i64| if share < left { price } else { 0 };
        (0..old.0.max(new.0))
            .map(|share| price_in(old, share).max(price_in(new, share)))
            .collect()
    }
}

impl Oracle {
    /// What the machine accepted and what it forwarded to the books.
    pub fn forwarded(&mut self, command: &BookCommand, config: &Config) {
        match command {
            BookCommand::NewOrder(order) => self.orders.push(Known {
                order: *order,
                config: config.clone(),
                asked: None,
                is_open: true,
                fills: Vec::new(),
            }),
            BookCommand::ReplaceBookOrder(replace) => {
                let known = self.known(replace.order_id);
                known.asked = Some((replace.command_id, replace.quantity, replace.price_cents));
            }
            _ => {}
        }
    }

    /// What the books and the provider say.
    pub fn heard(&mut self, input: &AccountCommand) {
        match input {
            AccountCommand::Fill(fill) => {
                let change = match fill.side {
                    Side::Buy => Move::Arrive {
                        quantity: fill.quantity,
                        cost: fill.quantity * fill.price_cents,
                    },
                    _ => Move::Leave {
                        quantity: fill.quantity,
                    },
                };
                self.moves.push((fill.account_id, fill.symbol, change));
                let known = self.known(fill.order_id);
                known.fills.push(*fill);
                known.is_open = fill.leaves_quantity > 0;
                if known.order.quantity - known.filled() != fill.leaves_quantity {
                    known.adopt();
                }
            }
            AccountCommand::CommandDone(done) => {
                let known = self.known(done.order_id);
                let is_replace = known
                    .asked
                    .is_some_and(|(command_id, ..)| command_id == done.command_id);
                match done.status {
                    BookStatus::Rejected if is_replace => known.asked = None,
                    // A cancel that came too late.
                    BookStatus::Rejected if done.reason == Some(Reason::OrderClosed) => {}
                    BookStatus::Rejected | BookStatus::Cancelled => known.is_open = false,
                    _ if is_replace => known.adopt(),
                    _ => {}
                }
            }
            AccountCommand::OrderEnded(ended) => self.known(ended.order_id).is_open = false,
            AccountCommand::PaymentResult(result) => {
                if let Some(payment) = self.payments.get_mut(&result.payment_id)
                    && payment.3 == PaymentStatus::Pending
                {
                    payment.3 = result.outcome;
                }
            }
            _ => {}
        }
    }

    /// What the machine decided by itself, from its events.
    pub fn decided(&mut self, event: &AccountEvent) {
        if let (AccountEventKind::PaymentPending, Some(payment)) = (event.kind, &event.payment) {
            let entry = (
                event.account_id,
                payment.direction,
                payment.amount_cents,
                PaymentStatus::Pending,
            );
            self.payments.insert(payment.payment_id, entry);
        }
        if let Some(transfer) = &event.transfer {
            let change = match transfer.direction {
                TransferDirection::In => Move::Arrive {
                    quantity: transfer.quantity,
                    cost: transfer.quantity * transfer.price_cents,
                },
                _ => Move::Leave {
                    quantity: transfer.quantity,
                },
            };
            self.moves.push((event.account_id, transfer.symbol, change));
        }
    }

    fn known(&mut self, order_id: OrderId) -> &mut Known {
        let mut known = self.orders.iter_mut();
        known
            .find(|known| known.order.order_id == order_id)
            .expect("a book speaks of an order that was accepted")
    }

    fn orders_of(&self, account_id: AccountId) -> impl Iterator<Item = &Known> {
        self.orders
            .iter()
            .filter(move |known| known.order.account_id == account_id)
    }

    /// The cash of an account.
    pub fn cash(&self, account_id: AccountId) -> CashView {
        let mut cash = CashView {
            balance_cents: 0,
            reserved_cents: 0,
        };
        for (account, direction, amount, status) in self.payments.values() {
            match (direction, status) {
                _ if *account != account_id => {}
                (PaymentDirection::Deposit, PaymentStatus::Settled) => cash.balance_cents += amount,
                (PaymentDirection::Withdrawal, PaymentStatus::Settled) => cash.balance_cents -= amount,
                (PaymentDirection::Withdrawal, PaymentStatus::Pending) => cash.reserved_cents += amount,
                _ => {}
            }
        }
        for known in self.orders_of(account_id) {
            let sign = if known.order.side == Side::Buy { -1 } else { 1 };
            cash.balance_cents += sign * known.notional() - known.fee(0);
            if known.is_open && known.order.side == Side::Buy {
                let notional: i64 = known.shares_left().iter().sum();
                cash.reserved_cents += notional + known.fee(notional) - known.fee(0);
            }
        }
        cash
    }

    /// The positions of an account, without those that hold nothing.
    pub fn positions(&self, account_id: AccountId) -> Vec<PositionView> {
        let mut positions = BTreeMap::new();
        for (_, symbol, change) in self.moves.iter().filter(|(account, ..)| *account == account_id) {
            let (held, cost) = positions.entry(*symbol).or_insert((0_i64, 0_i64));
            match *change {
                Move::Arrive { quantity, cost: more } => (*held, *cost) = (*held + quantity, *cost + more),
                Move::Leave { quantity } => {
                    let gone = half_up(i128::from(*cost) * i128::from(quantity), i128::from(*held));
                    (*held, *cost) = (*held - quantity, *cost - gone);
                }
            }
        }
        let views = positions.into_iter().map(|(symbol, (quantity, cost_cents))| {
            let sells = self
                .orders_of(account_id)
                .filter(|known| known.is_open && known.order.side == Side::Sell && known.order.symbol == symbol);
            PositionView {
                symbol,
                quantity,
                reserved_quantity: sells.map(|known| known.shares_left().len() as i64).sum(),
                cost_cents,
            }
        });
        views.filter(|view| view.quantity > 0).collect()
    }
}

impl Known {
    fn adopt(&mut self) {
        if let Some((_, quantity, price)) = self.asked.take() {
            self.order.quantity = quantity.max(self.filled());
            self.order.price_cents = price;
        }
    }
}
