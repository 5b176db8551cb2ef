//! A book that is right, a line to the account on which things get lost or are forged, and an operator who
//! puts the account right by the rules of docs/operations.md.

use std::collections::{BTreeMap, VecDeque};

use brokerx_schemas::*;

use crate::bench::*;

/// An order as the book has it.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    pub order: NewOrder,
    pub left: i64,
}

/// Side, shares and price of one account's part of a trade.
pub type Part = (Side, i64, i64);

/// The account of [`ALICE`], its book, and what is under way between them.
pub struct Trial {
    pub bench: Bench,
    pub book: BTreeMap<OrderId, Resting>,
    pub to_book: VecDeque<BookCommand>,
    pub from_book: VecDeque<AccountCommand>,
    /// Trades of the book while an order arrives: shares and price.
    pub on_arrival: Vec<(i64, i64)>,
    /// Whether what does not trade at once is cancelled.
    pub is_immediate: bool,
    /// A broken book refuses everything.
    pub is_book_frozen: bool,
    /// What traded, and what the account has booked.
    trades: BTreeMap<TradeId, Part>,
    booked: BTreeMap<TradeId, Part>,
    ledger: BTreeMap<(LedgerAccount, String), i128>,
    next_trade: i64,
    status_version: i64,
    pub freezes: usize,
}

pub const CASH: i64 = 100_000_00;
pub const SHARES: i64 = 1_000;

impl Trial {
    pub fn of_version(logic_version: i32) -> Self {
        let mut trial = Self {
            bench: Bench::of_version(logic_version, Config::default()),
            book: BTreeMap::new(),
            to_book: VecDeque::new(),
            from_book: VecDeque::new(),
            on_arrival: Vec::new(),
            is_immediate: false,
            is_book_frozen: false,
            trades: BTreeMap::new(),
            booked: BTreeMap::new(),
            ledger: BTreeMap::new(),
            next_trade: 0,
            status_version: 1,
            freezes: 0,
        };
        let mut left = CASH;
        while left > 0 {
            let payment = trial.bench.payment(left.min(Config::default().payment_cents_max));
            left -= payment.amount_cents;
            trial.feed(AccountCommand::Deposit(payment));
            let payment_id = trial.bench.event().payment.as_ref().unwrap().payment_id;
            trial.feed(AccountCommand::PaymentResult(PaymentResult {
                account_id: ALICE,
                payment_id,
                outcome: PaymentStatus::Settled,
                provider_reference: None,
            }));
        }
        let transfer = trial.bench.transfer_of(SHARES, TransferDirection::In, 10_00);
        trial.feed(transfer);
        trial
    }

    /// The account hears something.
    pub fn feed(&mut self, input: AccountCommand) {
        self.bench.apply(input);
        self.to_book.extend(self.bench.forwarded.iter().cloned());
        for event in &self.bench.events {
            for line in &event.postings {
                let key = (line.ledger_account, line.asset.clone());
                *self.ledger.entry(key).or_default() += i128::from(line.amount);
            }
            if let (Some(order), Some(execution)) = (&event.order, event.execution) {
                let part = (order.side, execution.quantity, execution.price_cents);
                self.booked.insert(execution.trade_id, part);
            }
            self.freezes += usize::from(event.kind == AccountEventKind::Frozen);
        }
    }

    pub fn summary(&self) -> brokerx_settlement::account::AccountSummary {
        self.bench.account(ALICE)
    }

    pub fn is_frozen(&self) -> bool {
        self.summary().frozen.is_some()
    }

    /// A client places an order and the book hears of it; its answers are on their way.
    pub fn place(&mut self, side: Side, quantity: i64) -> OrderId {
        let order = self.bench.limit(side, quantity, 10_00);
        self.feed(AccountCommand::PlaceOrder(order));
        let Some(BookCommand::NewOrder(order)) = self.bench.forwarded.first().cloned() else {
            panic!("{:?}", self.bench.events)
        };
        self.hear();
        order.order_id
    }

    pub fn cancel(&mut self, order_id: OrderId) {
        let cancel = self.bench.cancel(order_id);
        self.feed(AccountCommand::CancelOrder(cancel));
        self.hear();
    }

    pub fn replace(&mut self, order_id: OrderId, quantity: i64) {
        let replace = self.bench.replace(order_id, quantity, 10_00);
        self.feed(AccountCommand::ReplaceOrder(replace));
        self.hear();
    }

    /// An order in the book trades.
    pub fn trade(&mut self, order_id: OrderId, quantity: i64, price_cents: i64) {
        let Some(mut resting) = self.book.remove(&order_id) else {
            return;
        };
        let quantity = quantity.min(resting.left);
        resting.left -= quantity;
        self.next_trade += 1;
        let fill = Fill {
            trade_id: TradeId(self.next_trade),
            ..self.bench.fill_of(&resting.order, quantity, price_cents, resting.left)
        };
        self.trades
            .insert(fill.trade_id, (resting.order.side, quantity, price_cents));
        self.from_book.push_back(AccountCommand::Fill(fill));
        if resting.left > 0 {
            self.book.insert(order_id, resting);
        }
    }

    /// The book ends an order by itself.
    pub fn end(&mut self, order_id: OrderId, cause: Reason) {
        if let Some(resting) = self.book.remove(&order_id) {
            self.from_book.push_back(AccountCommand::OrderEnded(OrderEnded {
                account_id: ALICE,
                order_id,
                symbol: aapl(),
                cause,
                leaves_quantity: resting.left,
            }));
        }
    }

    /// The book says that a stop was triggered.
    pub fn trigger(&mut self, order_id: OrderId) {
        self.from_book.push_back(AccountCommand::OrderTriggered(OrderTriggered {
            account_id: ALICE,
            order_id,
            symbol: aapl(),
            last_price_cents: 10_00,
        }));
    }

    /// The book answers a command on an order that nobody sent.
    pub fn answer_unasked(&mut self, order_id: OrderId) {
        self.from_book.push_back(AccountCommand::CommandDone(CommandDone {
            account_id: ALICE,
            command_id: CommandId([9; 16]),
            order_id,
            symbol: aapl(),
            status: BookStatus::Working,
            reason: None,
            leaves_quantity: 1,
        }));
    }

    /// Somebody who is not the book tells the account of a trade that never was.
    pub fn forge(&mut self, order_id: OrderId, quantity: i64) {
        let summary = self.summary();
        let Some(view) = summary.orders.iter().find(|order| order.order_id == order_id) else {
            return;
        };
        self.next_trade += 1;
        self.feed(AccountCommand::Fill(Fill {
            account_id: ALICE,
            order_id,
            trade_id: TradeId(self.next_trade),
            symbol: aapl(),
            side: view.side,
            price_cents: 10_00,
            quantity,
            liquidity: Liquidity::Maker,
            leaves_quantity: view.quantity - view.filled_quantity - quantity,
            executed_us: 0,
        }));
    }

    /// The book hears everything that was sent to it.
    pub fn hear(&mut self) {
        while let Some(command) = self.to_book.pop_front() {
            self.hear_one(command);
        }
    }

    fn hear_one(&mut self, command: BookCommand) {
        let frozen = self.is_book_frozen;
        let (order_id, command_id) = match &command {
            BookCommand::NewOrder(order) => (order.order_id, order.command_id),
            BookCommand::CancelBookOrder(cancel) => (cancel.order_id, cancel.command_id),
            BookCommand::ReplaceBookOrder(replace) => (replace.order_id, replace.command_id),
            other => panic!("{other:?}"),
        };
        let resting = self.book.get(&order_id).copied();
        let (status, reason, left) = match (command, resting) {
            _ if frozen => (BookStatus::Rejected, Some(Reason::Frozen), 0),
            (BookCommand::NewOrder(order), _) => {
                let left = order.quantity;
                self.book.insert(order_id, Resting { order, left });
                for (quantity, price_cents) in std::mem::take(&mut self.on_arrival) {
                    self.trade(order_id, quantity, price_cents);
                }
                match self.book.get(&order_id).map(|resting| resting.left) {
                    None => (BookStatus::Filled, None, 0),
                    Some(left) if self.is_immediate => {
                        self.book.remove(&order_id);
                        (BookStatus::Cancelled, Some(Reason::NoLiquidity), left)
                    }
                    Some(left) => (BookStatus::Working, None, left),
                }
            }
            (_, None) => (BookStatus::Rejected, Some(Reason::OrderClosed), 0),
            (BookCommand::ReplaceBookOrder(replace), Some(mut resting)) => {
                let filled = resting.order.quantity - resting.left;
                match replace.quantity - filled {
                    ..0 => (BookStatus::Rejected, Some(Reason::QuantityBelowFilled), resting.left),
                    0 => {
                        self.book.remove(&order_id);
                        (BookStatus::Filled, None, 0)
                    }
                    left => {
                        resting.order.quantity = replace.quantity;
                        resting.left = left;
                        self.book.insert(order_id, resting);
                        (BookStatus::Replaced, None, left)
                    }
                }
            }
            (_, Some(resting)) => {
                self.book.remove(&order_id);
                (BookStatus::Cancelled, Some(Reason::CancelledByClient), resting.left)
            }
        };
        self.from_book.push_back(AccountCommand::CommandDone(CommandDone {
            account_id: ALICE,
            command_id,
            order_id,
            symbol: aapl(),
            status,
            reason,
            leaves_quantity: left,
        }));
    }

    /// The next record of the book gets lost.
    pub fn lose(&mut self) -> Option<AccountCommand> {
        self.from_book.pop_front()
    }

    /// The next record of the book arrives.
    pub fn deliver(&mut self) -> bool {
        match self.from_book.pop_front() {
            Some(record) => self.feed(record),
            None => return false,
        }
        true
    }

    /// Everything that is under way arrives.
    pub fn settle(&mut self) {
        loop {
            self.hear();
            if !self.deliver() {
                return;
            }
        }
    }

    pub fn pass(&mut self, seconds: i64) {
        self.bench.now_ms += seconds * 1_000;
        let second = self.bench.now_ms / 1_000;
        self.feed(AccountCommand::Tick(Tick { second }));
    }

    pub fn status(&mut self, state: AccountState) {
        self.status_version += 1;
        self.feed(AccountCommand::AccountStatus(AccountStatus {
            account_id: ALICE,
            state,
            version: self.status_version,
        }));
    }

    /// An answer that nobody asked for.
    pub fn freeze(&mut self) {
        self.feed(AccountCommand::CommandDone(CommandDone {
            account_id: ALICE,
            command_id: CommandId([9; 16]),
            order_id: OrderId(7),
            symbol: aapl(),
            status: BookStatus::Rejected,
            reason: Some(Reason::OrderClosed),
            leaves_quantity: 0,
        }));
    }

    pub fn thaw(&mut self) -> Option<Reason> {
        let thaw = self.bench.thaw_of();
        self.feed(thaw);
        self.bench.refusal()
    }

    pub fn adjust(&mut self, symbol: Option<Symbol>, amount: i64, cost_cents: i64) -> Option<Reason> {
        let adjustment = self.bench.adjustment_of(symbol, amount, cost_cents);
        self.feed(adjustment);
        self.bench.refusal()
    }

    /// What must be booked beyond what was, or taken back.
    fn differences(&self) -> Vec<(TradeId, Part, i64)> {
        let missing = self.trades.iter().filter(|(id, _)| !self.booked.contains_key(id));
        let forged = self.booked.iter().filter(|(id, _)| !self.trades.contains_key(id));
        let missing = missing.map(|(id, part)| (*id, *part, 1));
        missing.chain(forged.map(|(id, part)| (*id, *part, -1))).collect()
    }

    /// The operator compares the account with the trades, corrects what differs, and lets it go on.
    fn correct(&mut self) {
        for (trade_id, part, sign) in self.differences() {
            let (side, quantity, price_cents) = part;
            let sign = if side == Side::Buy { sign } else { -sign };
            assert_eq!(self.adjust(None, -sign * quantity * price_cents, 0), None);
            // What a sale takes off the cost was 10.00 a share all along.
            assert_eq!(
                self.adjust(Some(aapl()), sign * quantity, sign * quantity * 10_00),
                None
            );
            match self.trades.contains_key(&trade_id) {
                true => self.booked.insert(trade_id, part),
                false => self.booked.remove(&trade_id),
            };
        }
    }

    /// Everything arrives; then the operator does what docs/operations.md says, until the account goes on and
    /// agrees with its book.
    pub fn put_right(&mut self, name: &str) {
        for round in 0.. {
            assert!(round < 30, "{name}: it cannot be put right: {:?}", self.summary());
            self.settle();
            if round == 5 && self.is_book_frozen {
                self.is_book_frozen = false;
                let resting: Vec<_> = self.book.keys().copied().collect();
                resting
                    .into_iter()
                    .for_each(|order_id| self.end(order_id, Reason::Delisted));
                continue;
            }
            if self.is_frozen() {
                self.correct();
                if self.thaw().is_none() {
                    continue;
                }
            } else if self.is_at_rest() {
                break;
            } else if self.book.is_empty() && !self.has_open_orders() {
                // Thawed before it was corrected.
                self.correct();
            } else {
                // Something is stuck that froze nothing: whoever may not trade leaves the books.
                self.status(AccountState::Suspended);
            }
            self.pass(15);
            if round % 3 == 2 {
                self.bench.restore();
            }
        }
        self.status(AccountState::Active);
        self.check(name);
    }

    /// Whether nothing is open here or there, and every trade is booked.
    fn is_at_rest(&self) -> bool {
        self.book.is_empty() && self.differences().is_empty() && !self.has_open_orders()
    }

    fn has_open_orders(&self) -> bool {
        self.summary().orders.iter().any(|order| !order.status.is_terminal())
    }

    fn posted(&self, account: LedgerAccount, asset: &str) -> i64 {
        let sum = self.ledger.get(&(account, asset.to_owned())).copied();
        i64::try_from(sum.unwrap_or(0)).unwrap()
    }

    /// Cash and shares are those of the trades, nothing is reserved, and corrections stand against what the
    /// other sides of the trades have.
    fn check(&mut self, name: &str) {
        let account = self.summary();
        let (mut cash, mut shares) = (CASH, SHARES);
        for (side, quantity, price_cents) in self.trades.values() {
            let sign = if *side == Side::Buy { 1 } else { -1 };
            cash -= sign * quantity * price_cents;
            shares += sign * quantity;
        }
        let fees = self.posted(LedgerAccount::Fees, "USD");
        assert_eq!(account.cash.balance_cents, cash - fees, "{name}: cash");
        assert_eq!(account.cash.reserved_cents, 0, "{name}");
        let [position] = account.positions[..] else {
            panic!("{name}: {:?}", account.positions)
        };
        assert_eq!((position.quantity, position.reserved_quantity), (shares, 0), "{name}");
        for (asset, owed) in [("USD", cash - CASH), ("AAPL", shares - SHARES)] {
            let others = [LedgerAccount::Clearing, LedgerAccount::Corrections];
            let others: i64 = others.into_iter().map(|account| self.posted(account, asset)).sum();
            assert_eq!(others, -owed, "{name}: {asset} of the other sides");
        }
        // It trades on, and its answers agree.
        self.is_book_frozen = false;
        self.on_arrival.clear();
        let before = self.freezes;
        let order_id = self.place(Side::Buy, 5);
        self.trade(order_id, 5, 10_00);
        self.settle();
        let last = self.summary().orders.pop().unwrap();
        assert_eq!((last.status, self.freezes), (OrderStatus::Filled, before), "{name}");
    }
}
