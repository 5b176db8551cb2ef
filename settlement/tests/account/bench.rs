//! One partition of the account machine that a test can feed and look at.

use brokerx_schemas::*;
use brokerx_settlement::account::{AccountMachine, AccountSummary};
use brokerx_topics::machine::{Content, Emission, Fold, LOGIC_VERSION, Machine, Record};

/// The account of most tests.
pub const ALICE: AccountId = AccountId(101);
/// Another one.
pub const BOB: AccountId = AccountId(202);
/// 2026-03-02 00:00:00 UTC.
pub const START_MS: i64 = 1_772_409_600_000;

pub fn aapl() -> Symbol {
    Symbol::new("AAPL").unwrap()
}

/// A machine in its fold, and what the last record made.
pub struct Bench {
    pub fold: Fold<AccountMachine>,
    pub now_ms: i64,
    pub events: Vec<AccountEvent>,
    pub replies: Vec<Reply>,
    pub forwarded: Vec<BookCommand>,
    /// Every emission of the last record, in order.
    pub emissions: Vec<Emission>,
    commands: u64,
}

impl Bench {
    /// With an active account of [`ALICE`] and the default configuration.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    pub fn with(config: Config) -> Self {
        Self::of_version(LOGIC_VERSION, config)
    }

    /// Whose log was begun under a logic version.
    pub fn of_version(logic_version: i32, config: Config) -> Self {
        let mut bench = Self {
            fold: Fold::new(0),
            now_ms: START_MS,
            events: Vec::new(),
            replies: Vec::new(),
            forwarded: Vec::new(),
            emissions: Vec::new(),
            commands: 0,
        };
        bench.apply(AccountCommand::Genesis(Genesis {
            logic_version,
            ..genesis(config)
        }));
        bench.status(ALICE, AccountState::Active, 1);
        bench
    }

    /// Feeds a record to its end.
    pub fn apply(&mut self, input: AccountCommand) -> &mut Self {
        let record = Record {
            offset: self.fold.position(),
            appended_ms: self.now_ms,
            identity: self.fold.next_identity(&input),
            digest: 0,
            input: Content::Decoded(input),
        };
        self.emissions.clear();
        self.fold.apply(record, &mut self.emissions).unwrap();
        while !self.fold.is_between_records() {
            self.fold.resume(&mut self.emissions);
        }
        self.events.clear();
        self.replies.clear();
        self.forwarded.clear();
        for emission in &self.emissions {
            match &emission.output.message {
                AnyMessage::AccountEvent(event) => self.events.push(event.clone()),
                AnyMessage::Reply(reply) => self.replies.push(reply.clone()),
                AnyMessage::BookCommand(command) => self.forwarded.push(command.clone()),
                other => panic!("the machine wrote to {}", other.topic()),
            }
        }
        self
    }

    pub fn machine(&self) -> &AccountMachine {
        self.fold.machine().unwrap()
    }

    pub fn account(&self, account_id: AccountId) -> AccountSummary {
        self.machine().account(account_id).unwrap()
    }

    /// The one event of the last record.
    pub fn event(&self) -> &AccountEvent {
        assert_eq!(self.events.len(), 1, "{:?}", self.events);
        &self.events[0]
    }

    /// What happened by the last record, in order.
    pub fn kinds(&self) -> Vec<AccountEventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }

    /// The one reply of the last record.
    pub fn reply(&self) -> &Reply {
        assert_eq!(self.replies.len(), 1, "{:?}", self.replies);
        &self.replies[0]
    }

    /// The reason of the one reply of the last record, which must be a refusal.
    pub fn refused(&self) -> Reason {
        assert_eq!(self.reply().kind, ReplyKind::Refused);
        self.reply().refusal.as_ref().unwrap().reason
    }

    /// A fresh command with a reply address and a deadline 5 s from now.
    pub fn meta(&mut self) -> CommandMeta {
        self.commands += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.commands.to_le_bytes());
        CommandMeta {
            command_id: CommandId(id),
            reply_to: Some(ReplyTo {
                instance: "ingress-1".to_owned(),
                partition: 3,
            }),
            deadline_us: (self.now_ms + 5_000) * 1_000,
        }
    }

    pub fn status(&mut self, account_id: AccountId, state: AccountState, version: i64) -> &mut Self {
        self.apply(AccountCommand::AccountStatus(AccountStatus {
            account_id,
            state,
            version,
        }))
    }

    /// Deposits and settles, in steps of the largest deposit.
    pub fn fund(&mut self, cents: i64) -> &mut Self {
        let mut left = cents;
        while left > 0 {
            let amount_cents = left.min(Config::default().payment_cents_max);
            let request = self.payment(amount_cents);
            self.apply(AccountCommand::Deposit(request));
            let payment_id = self.event().payment.as_ref().unwrap().payment_id;
            self.result(payment_id, PaymentStatus::Settled);
            left -= amount_cents;
        }
        self
    }

    pub fn payment(&mut self, amount_cents: i64) -> RequestPayment {
        let meta = self.meta();
        RequestPayment {
            account_id: ALICE,
            idempotency_key: format!("key-{}", meta.command_id),
            meta,
            amount_cents,
            currency: "USD".to_owned(),
        }
    }

    pub fn result(&mut self, payment_id: PaymentId, outcome: PaymentStatus) -> &mut Self {
        self.apply(AccountCommand::PaymentResult(PaymentResult {
            account_id: ALICE,
            payment_id,
            outcome,
            provider_reference: None,
        }))
    }

    pub fn transfer(&mut self, quantity: i64, direction: TransferDirection, price_cents: i64) -> &mut Self {
        let transfer = self.transfer_of(quantity, direction, price_cents);
        self.apply(transfer)
    }

    pub fn transfer_of(&mut self, quantity: i64, direction: TransferDirection, price_cents: i64) -> AccountCommand {
        AccountCommand::TransferShares(TransferShares {
            meta: self.meta(),
            account_id: ALICE,
            operator: "operator".to_owned(),
            idempotency_key: None,
            symbol: aapl(),
            quantity,
            direction,
            price_cents: Some(price_cents),
        })
    }

    /// An operator's thaw.
    pub fn thaw_of(&mut self) -> AccountCommand {
        AccountCommand::ThawAccount(ThawAccount {
            meta: self.meta(),
            account_id: ALICE,
            operator: "operator".to_owned(),
            idempotency_key: None,
            note: "checked".to_owned(),
        })
    }

    /// An operator's correction.
    pub fn adjustment_of(&mut self, symbol: Option<Symbol>, amount: i64, cost_cents: i64) -> AccountCommand {
        AccountCommand::AdjustBalance(AdjustBalance {
            meta: self.meta(),
            account_id: ALICE,
            operator: "operator".to_owned(),
            idempotency_key: None,
            symbol,
            amount,
            cost_cents,
            note: "counted by hand".to_owned(),
        })
    }

    /// Why the last command was refused, if it was.
    pub fn refusal(&self) -> Option<Reason> {
        self.reply().refusal.as_ref().map(|refusal| refusal.reason)
    }

    /// A day limit order of [`ALICE`] under a fresh id.
    pub fn limit(&mut self, side: Side, quantity: i64, price_cents: i64) -> PlaceOrder {
        let meta = self.meta();
        PlaceOrder {
            account_id: ALICE,
            client_order_id: format!("order-{}", meta.command_id),
            meta,
            symbol: aapl(),
            side,
            order_type: OrderType::Limit,
            quantity,
            price_cents: Some(price_cents),
            stop_price_cents: None,
            collar_price_cents: None,
            time_in_force: TimeInForce::Day,
            post_only: false,
            display_quantity: None,
            self_trade_prevention: SelfTradePrevention::CancelIncoming,
            ack_mode: AckMode::Worked,
        }
    }

    /// Places an order. Returns the book command that was forwarded.
    pub fn place(&mut self, order: PlaceOrder) -> NewOrder {
        self.apply(AccountCommand::PlaceOrder(order));
        match self.forwarded.as_slice() {
            [BookCommand::NewOrder(new_order)] => *new_order,
            other => panic!("not accepted: {other:?} {:?}", self.events),
        }
    }

    /// Places a limit order that the book takes in.
    pub fn working(&mut self, side: Side, quantity: i64, price_cents: i64) -> NewOrder {
        let order = self.limit(side, quantity, price_cents);
        let order = self.place(order);
        self.done(&order, order.command_id, BookStatus::Working, None, quantity);
        order
    }

    pub fn cancel(&mut self, order_id: OrderId) -> CancelOrder {
        CancelOrder {
            meta: self.meta(),
            account_id: ALICE,
            order_id,
            client_version: None,
            idempotency_key: None,
        }
    }

    pub fn replace(&mut self, order_id: OrderId, quantity: i64, price_cents: i64) -> ReplaceOrder {
        ReplaceOrder {
            meta: self.meta(),
            account_id: ALICE,
            order_id,
            client_version: 1,
            price_cents: Some(price_cents),
            quantity: Some(quantity),
            time_in_force: None,
            idempotency_key: None,
        }
    }

    /// The book fills an order.
    pub fn fill(&mut self, order: &NewOrder, quantity: i64, price_cents: i64, leaves_quantity: i64) -> &mut Self {
        let fill = self.fill_of(order, quantity, price_cents, leaves_quantity);
        self.apply(AccountCommand::Fill(fill))
    }

    pub fn fill_of(&mut self, order: &NewOrder, quantity: i64, price_cents: i64, leaves_quantity: i64) -> Fill {
        self.commands += 1;
        Fill {
            account_id: order.account_id,
            order_id: order.order_id,
            trade_id: TradeId(self.commands as i64),
            symbol: order.symbol,
            side: order.side,
            price_cents,
            quantity,
            liquidity: Liquidity::Taker,
            leaves_quantity,
            executed_us: self.now_ms * 1_000,
        }
    }

    /// The book answers.
    pub fn done(
        &mut self,
        order: &NewOrder,
        command_id: CommandId,
        status: BookStatus,
        reason: Option<Reason>,
        leaves_quantity: i64,
    ) -> &mut Self {
        self.apply(done_of(order, command_id, status, reason, leaves_quantity))
    }

    /// The clock goes on.
    pub fn pass(&mut self, seconds: i64) -> &mut Self {
        self.now_ms += seconds * 1_000;
        let second = self.now_ms / 1_000;
        self.apply(AccountCommand::Tick(Tick { second }))
    }

    /// Takes a snapshot and goes on from what it restores.
    pub fn restore(&mut self) {
        let slices = slices(self.machine());
        let state = self.fold.snapshot_state();
        self.fold = Fold::restore(state, 0, slices.iter().map(Vec::as_slice)).unwrap();
    }
}

/// A book's answer to a command on an order.
pub fn done_of(
    order: &NewOrder,
    command_id: CommandId,
    status: BookStatus,
    reason: Option<Reason>,
    leaves_quantity: i64,
) -> AccountCommand {
    AccountCommand::CommandDone(CommandDone {
        account_id: order.account_id,
        command_id,
        order_id: order.order_id,
        symbol: order.symbol,
        status,
        reason,
        leaves_quantity,
    })
}

pub fn slices(machine: &AccountMachine) -> Vec<Vec<u8>> {
    let mut cursor = Default::default();
    std::iter::from_fn(|| machine.snapshot_slice(&mut cursor).unwrap()).collect()
}

pub fn genesis(config: Config) -> Genesis {
    let topics = [
        (AccountEvent::TOPIC, 8),
        (BookCommand::TOPIC, 8),
        (Reply::TOPIC, 64),
        (DeadLetter::TOPIC, 1),
    ];
    Genesis {
        log_id: "test".to_owned(),
        generation: 0,
        logic_version: LOGIC_VERSION,
        config_version: 1,
        config,
        topics: topics
            .into_iter()
            .map(|(topic, partitions)| TopicPartitions {
                topic: topic.to_owned(),
                partitions,
            })
            .collect(),
    }
}

/// An amount of one ledger account and asset in an event's postings.
pub fn posted(event: &AccountEvent, account: LedgerAccount, asset: &str) -> i64 {
    let lines = event.postings.iter();
    let lines = lines.filter(|line| line.ledger_account == account && line.asset == asset);
    lines.map(|line| line.amount).sum()
}
