//! What happens to a [`World`]: random clients, operators and deliveries.

use brokerx_schemas::*;
use brokerx_topics::machine::LOGIC_VERSION;

use crate::bench::*;
use crate::properties::{ACCOUNTS, World};

impl World {
    /// Something happens: a client, an operator, the clock, the provider or the books do one thing.
    pub fn act(&mut self) {
        let account_id = *self.random.pick(&ACCOUNTS);
        let roll = self.random.below(100);
        match roll {
            0..30 => self.place(account_id),
            30..38 => self.cancel(account_id),
            38..46 => self.replace(account_id),
            46..54 => self.pay(account_id),
            54..60 => self.pay_result(),
            60..65 => self.transfer(account_id),
            65 => {
                let command = CancelAllOrders {
                    meta: self.meta(),
                    account_id,
                    symbol: self.random.one_in(2).then(aapl),
                    idempotency_key: None,
                };
                self.send(AccountCommand::CancelAllOrders(command));
            }
            66 => {
                let command = SetKillSwitch {
                    meta: self.meta(),
                    account_id,
                    engaged: self.random.one_in(3),
                    operator: None,
                    idempotency_key: None,
                };
                self.send(AccountCommand::SetKillSwitch(command));
            }
            67..72 => self.repeat(),
            72 => self.reconfigure(),
            73..76 => self.pass(),
            76 => {
                let choice = self.random.below(1_000) as usize;
                let cause = *self.random.pick(&[Reason::SessionEnded, Reason::Delisted]);
                self.book.end_one(choice, cause);
            }
            _ => self.deliver(4),
        }
    }

    fn meta(&mut self) -> CommandMeta {
        let mut meta = self.bench.meta();
        if self.random.one_in(30) {
            meta.deadline_us = 0;
        }
        meta
    }

    fn send(&mut self, command: AccountCommand) {
        self.sent.push(command.clone());
        self.feed(command);
    }

    fn symbol(&mut self) -> Symbol {
        Symbol::new(if self.random.one_in(2) { "AAPL" } else { "MSFT" }).unwrap()
    }

    fn place(&mut self, account_id: AccountId) {
        let meta = self.meta();
        let is_market = self.random.one_in(5);
        let price = self.random.between(50_00, 60_00);
        let command = PlaceOrder {
            meta,
            account_id,
            client_order_id: format!("{}", self.random.below(400)),
            symbol: self.symbol(),
            side: *self.random.pick(&[Side::Buy, Side::Sell]),
            order_type: if is_market { OrderType::Market } else { OrderType::Limit },
            quantity: self.random.between(0, 60),
            price_cents: (!is_market).then_some(price),
            stop_price_cents: None,
            collar_price_cents: is_market.then_some(price),
            time_in_force: *self
                .random
                .pick(&[TimeInForce::Day, TimeInForce::Gtc, TimeInForce::Ioc]),
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            ack_mode: *self.random.pick(&[AckMode::Worked, AckMode::Accepted]),
        };
        self.send(AccountCommand::PlaceOrder(command));
    }

    fn some_order(&mut self) -> OrderId {
        let recent = self.order_ids.len().saturating_sub(12);
        match &self.order_ids[recent..] {
            [] => OrderId(1),
            ids => *self.random.pick(ids),
        }
    }

    fn key(&mut self) -> Option<String> {
        self.random.one_in(2).then(|| format!("key {}", self.random.below(100)))
    }

    fn cancel(&mut self, account_id: AccountId) {
        let order_id = self.some_order();
        let owner = self.orders.get(&order_id).map_or(account_id, |order| order.account_id);
        let command = CancelOrder {
            meta: self.meta(),
            account_id: if self.random.one_in(10) { account_id } else { owner },
            order_id,
            client_version: self.random.one_in(4).then_some(1),
            idempotency_key: self.key(),
        };
        self.send(AccountCommand::CancelOrder(command));
    }

    fn replace(&mut self, account_id: AccountId) {
        let order_id = self.some_order();
        let order = self.orders.get(&order_id).cloned();
        let command = ReplaceOrder {
            meta: self.meta(),
            account_id: order.as_ref().map_or(account_id, |order| order.account_id),
            order_id,
            client_version: order.map_or(1, |order| order.version),
            price_cents: self.random.one_in(2).then(|| self.random.between(50_00, 60_00)),
            quantity: self.random.one_in(2).then(|| self.random.between(1, 80)),
            time_in_force: None,
            idempotency_key: self.key(),
        };
        self.send(AccountCommand::ReplaceOrder(command));
    }

    fn pay(&mut self, account_id: AccountId) {
        let command = RequestPayment {
            meta: self.meta(),
            account_id,
            idempotency_key: format!("{}", self.random.below(200)),
            amount_cents: self.random.between(0, 5_000_00),
            currency: "USD".to_owned(),
        };
        let is_withdrawal = self.random.one_in(4);
        self.send(if is_withdrawal {
            AccountCommand::Withdraw(command)
        } else {
            AccountCommand::Deposit(command)
        });
    }

    fn pay_result(&mut self) {
        let recent = self.payment_ids.len().saturating_sub(5);
        if self.payment_ids.is_empty() {
            return;
        }
        let (account_id, payment_id) = *self.random.pick(&self.payment_ids[recent..]);
        let outcome = *self
            .random
            .pick(&[PaymentStatus::Settled, PaymentStatus::Settled, PaymentStatus::Failed]);
        self.feed(AccountCommand::PaymentResult(PaymentResult {
            account_id,
            payment_id,
            outcome,
            provider_reference: None,
        }));
    }

    fn transfer(&mut self, account_id: AccountId) {
        let command = TransferShares {
            meta: self.meta(),
            account_id,
            operator: "operator".to_owned(),
            idempotency_key: self.key(),
            symbol: self.symbol(),
            quantity: self.random.between(0, 100),
            direction: *self
                .random
                .pick(&[TransferDirection::In, TransferDirection::In, TransferDirection::Out]),
            price_cents: Some(self.random.between(0, 70_00)),
        };
        self.send(AccountCommand::TransferShares(command));
    }

    /// A client sends something again, under a new command id.
    fn repeat(&mut self) {
        if self.sent.is_empty() {
            return;
        }
        let mut command = self.random.pick(&self.sent).clone();
        let meta = self.meta();
        match &mut command {
            AccountCommand::PlaceOrder(command) => command.meta = meta,
            AccountCommand::CancelOrder(command) => command.meta = meta,
            AccountCommand::ReplaceOrder(command) => command.meta = meta,
            AccountCommand::Deposit(command) | AccountCommand::Withdraw(command) => command.meta = meta,
            AccountCommand::TransferShares(command) => command.meta = meta,
            _ => {}
        }
        self.feed(command);
    }

    fn reconfigure(&mut self) {
        self.config.taker_fee_bps = self.random.below(20) as i32;
        self.config.maker_fee_bps = self.random.below(20) as i32;
        self.config_version += 1;
        self.feed(AccountCommand::Config(ConfigChange {
            version: self.config_version,
            logic_version: LOGIC_VERSION,
            config: self.config.clone(),
        }));
    }

    fn pass(&mut self) {
        self.bench.now_ms += *self.random.pick(&[1_000, 60_000, 20_000_000]);
        let second = self.bench.now_ms / 1_000;
        self.feed(AccountCommand::Tick(Tick { second }));
    }

    /// Lets the books and the machine hear of each other.
    pub fn deliver(&mut self, most: i64) {
        for _ in 0..self.random.between(1, most) {
            if let Some(command) = self.to_book.pop_front() {
                let refuse = self.random.one_in(10);
                self.book.apply(&command, refuse, self.bench.now_ms * 1_000);
            }
        }
        for _ in 0..self.random.between(1, 2 * most) {
            if let Some(input) = self.book.outbox.pop_front() {
                self.feed(input);
            }
        }
    }
}
