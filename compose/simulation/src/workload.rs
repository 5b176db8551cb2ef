//! Clients, an operator and a payment provider: the writers that are not folds.

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{
    AccountCommand, AccountEventKind, AccountId, AccountState, AccountStatus, AckMode, AnyMessage, BookCommand,
    CancelOrder, CommandId, CommandMeta, Config, Genesis, ListInstrument, Message, OrderId, OrderType, PaymentId,
    PaymentResult, PaymentStatus, PlaceOrder, ReplaceOrder, ReplyTo, RequestPayment, SelfTradePrevention, Side, Symbol,
    TimeInForce, TopicPartitions, TransferDirection, TransferShares,
};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use crate::log::Logs;

/// Partitions of every keyed topic of the simulation; `replies` has [`REPLY_PARTITIONS`].
pub const PARTITIONS: i32 = 2;
/// Partitions of `replies`.
pub const REPLY_PARTITIONS: i32 = 3;
const ACCOUNTS: i64 = 6;
const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "TSLA"];

/// What was asked of the system, for the audit.
#[derive(Debug, Default)]
pub struct Asked {
    /// Every order that some client placed, by account and client order id.
    pub orders: BTreeSet<(AccountId, String)>,
    /// Every command with a reply address.
    pub commands: BTreeSet<CommandId>,
}

/// The writers.
#[derive(Debug, Default)]
pub struct Workload {
    /// What they asked for.
    pub asked: Asked,
    placed: Vec<PlaceOrder>,
    command_count: u64,
    /// How far the provider has read `account-events`, per partition.
    provider_position: BTreeMap<i32, usize>,
    open_payments: Vec<(AccountId, PaymentId)>,
    /// Answers stay the same when they are given twice.
    outcomes: BTreeMap<PaymentId, PaymentStatus>,
}

/// The genesis record of every inbox partition.
pub fn genesis() -> Genesis {
    let counts = brokerx_schemas::SCHEMAS.iter().map(|(topic, _)| TopicPartitions {
        topic: (*topic).to_owned(),
        partitions: if *topic == "replies" {
            REPLY_PARTITIONS
        } else {
            PARTITIONS
        },
    });
    Genesis {
        log_id: "simulation".to_owned(),
        generation: 0,
        logic_version: 1,
        config_version: 1,
        config: Config::default(),
        topics: counts.collect(),
    }
}

impl Workload {
    fn meta(&mut self, logs: &Logs, random: &mut Xoshiro256PlusPlus) -> CommandMeta {
        self.command_count += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.command_count.to_be_bytes());
        let command_id = CommandId(bytes);
        self.asked.commands.insert(command_id);
        // A few commands are late already.
        let patience_ms = if random.random_ratio(1, 40) { -1 } else { 1_000_000_000 };
        CommandMeta {
            command_id,
            reply_to: Some(ReplyTo {
                instance: "ingress-0".to_owned(),
                partition: random.random_range(0..REPLY_PARTITIONS),
            }),
            deadline_us: (logs.now_ms + patience_ms) * 1_000,
        }
    }

    fn patient_meta(&mut self, logs: &Logs, random: &mut Xoshiro256PlusPlus) -> CommandMeta {
        CommandMeta {
            deadline_us: i64::MAX,
            ..self.meta(logs, random)
        }
    }

    /// Registers everyone, lists the instruments, and gives everyone money and shares.
    pub fn open(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        for symbol in symbols() {
            let command = BookCommand::ListInstrument(ListInstrument {
                meta: self.patient_meta(logs, random),
                operator: "operator".to_owned(),
                idempotency_key: None,
                symbol,
                name: format!("{symbol} shares"),
                tick_size_cents: 1,
                reference_price_cents: 100_00,
                band_bps: 1_000,
            });
            send_book(logs, symbol, command);
        }
        for account_id in accounts() {
            let state = AccountState::Active;
            send_account(
                logs,
                account_id,
                AccountCommand::AccountStatus(AccountStatus {
                    account_id,
                    state,
                    version: 1,
                }),
            );
            for _ in 0..2 {
                self.deposit(account_id, logs, random);
            }
            for symbol in symbols() {
                let transfer = TransferShares {
                    meta: self.patient_meta(logs, random),
                    account_id,
                    operator: "operator".to_owned(),
                    idempotency_key: None,
                    symbol,
                    quantity: random.random_range(1..=200),
                    direction: TransferDirection::In,
                    price_cents: Some(90_00),
                };
                send_account(logs, account_id, AccountCommand::TransferShares(transfer));
            }
        }
    }

    /// One client does something.
    pub fn act(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        match random.random_range(0..100) {
            0..55 => self.place(logs, random),
            55..65 => self.retry(logs, random),
            65..85 => self.cancel(logs, random),
            85..93 => self.replace(logs, random),
            _ => {
                let account_id = any_account(random);
                self.deposit(account_id, logs, random);
            }
        }
    }

    fn place(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let account_id = any_account(random);
        let side = if random.random() { Side::Buy } else { Side::Sell };
        let market = random.random_ratio(1, 6);
        let price_cents = random.random_range(98_00..=102_00);
        let order = PlaceOrder {
            meta: self.meta(logs, random),
            account_id,
            client_order_id: format!("c{}", self.command_count),
            symbol: any_symbol(random),
            side,
            order_type: if market { OrderType::Market } else { OrderType::Limit },
            quantity: random.random_range(1..=40),
            price_cents: (!market).then_some(price_cents),
            stop_price_cents: None,
            collar_price_cents: market.then_some(if side == Side::Buy { 104_00 } else { 96_00 }),
            time_in_force: match random.random_range(0..8) {
                0 => TimeInForce::Fok,
                1 | 2 => TimeInForce::Ioc,
                3 => TimeInForce::Day,
                _ if market => TimeInForce::Ioc,
                _ => TimeInForce::Gtc,
            },
            post_only: false,
            display_quantity: None,
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

    /// A client that heard nothing asks again, with the same id.
    fn retry(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
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

    fn cancel(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
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

    fn replace(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
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

    fn deposit(&mut self, account_id: AccountId, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let deposit = RequestPayment {
            meta: self.patient_meta(logs, random),
            account_id,
            idempotency_key: format!("d{}", self.command_count),
            amount_cents: random.random_range(1_00..=10_000_00),
            currency: "USD".to_owned(),
        };
        send_account(logs, account_id, AccountCommand::Deposit(deposit));
    }

    /// The payments stage: answers pending payments in any order, some of them more than once.
    pub fn answer_payments(&mut self, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        let mut position = BTreeMap::<i32, usize>::new();
        for (partition, record) in logs.records("account-events") {
            let seen = position.entry(partition).or_default();
            *seen += 1;
            let AnyMessage::AccountEvent(event) = &record.message else {
                continue;
            };
            if *seen <= self.provider_position.get(&partition).copied().unwrap_or(0) {
                continue;
            }
            if let (AccountEventKind::PaymentPending, Some(payment)) = (event.kind, &event.payment) {
                self.open_payments.push((event.account_id, payment.payment_id));
            }
        }
        self.provider_position = position;
        while !self.open_payments.is_empty() && random.random_ratio(4, 5) {
            let index = random.random_range(0..self.open_payments.len());
            let (account_id, payment_id) = self.open_payments[index];
            if random.random_ratio(4, 5) {
                self.open_payments.swap_remove(index);
            }
            let outcome = *self.outcomes.entry(payment_id).or_insert_with(|| {
                if random.random_ratio(1, 8) {
                    PaymentStatus::Failed
                } else {
                    PaymentStatus::Settled
                }
            });
            let result = PaymentResult {
                account_id,
                payment_id,
                outcome,
                provider_reference: None,
            };
            send_account(logs, account_id, AccountCommand::PaymentResult(result));
        }
    }

    /// Whether the provider owes no answer.
    pub fn is_quiet(&self, logs: &Logs) -> bool {
        let read: usize = self.provider_position.values().sum();
        self.open_payments.is_empty() && read == logs.records("account-events").count()
    }
}

/// Every account.
pub fn accounts() -> impl Iterator<Item = AccountId> {
    (1..=ACCOUNTS).map(|number| AccountId(number * 1_000_003))
}

fn symbols() -> impl Iterator<Item = Symbol> {
    SYMBOLS.into_iter().map(|text| Symbol::new(text).expect("a constant"))
}

fn any_account(random: &mut Xoshiro256PlusPlus) -> AccountId {
    AccountId(random.random_range(1..=ACCOUNTS) * 1_000_003)
}

fn any_symbol(random: &mut Xoshiro256PlusPlus) -> Symbol {
    Symbol::new(SYMBOLS[random.random_range(0..SYMBOLS.len())]).expect("a constant")
}

fn send_account(logs: &mut Logs, account_id: AccountId, command: AccountCommand) {
    logs.append(partition_of(&account_key(account_id), PARTITIONS), None, command.into());
}

fn send_book(logs: &mut Logs, symbol: Symbol, command: BookCommand) {
    logs.append(partition_of(&symbol_key(symbol), PARTITIONS), None, command.into());
}

/// Writes the first record of every inbox.
pub fn write_genesis(logs: &mut Logs) {
    for partition in 0..PARTITIONS {
        logs.append(partition, None, AccountCommand::Genesis(genesis()).into());
        logs.append(partition, None, BookCommand::Genesis(genesis()).into());
    }
}

/// The inboxes that have a clock.
pub fn write_tick(logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
    let partition = random.random_range(0..PARTITIONS);
    let tick = brokerx_schemas::Tick {
        second: logs.now_ms / 1_000,
    };
    let message: AnyMessage = if random.random() {
        AccountCommand::Tick(tick).into()
    } else {
        BookCommand::Tick(tick).into()
    };
    debug_assert!([AccountCommand::TOPIC, BookCommand::TOPIC].contains(&message.topic()));
    logs.append(partition, None, message);
}
