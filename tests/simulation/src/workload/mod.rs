//! Clients, an operator and a payment provider: the writers that are not folds.

pub mod astray;
mod genesis;
mod guard;
pub mod mending;
mod operator;
mod orders;

use std::collections::{BTreeMap, BTreeSet};

use brokerx_schemas::{
    AccountCommand, AccountEventKind, AccountId, AccountState, AccountStatus, AnyMessage, BookCommand, CommandId,
    CommandMeta, ListInstrument, Message, PaymentId, PaymentResult, PaymentStatus, PlaceOrder, ReplyTo, RequestPayment,
    Symbol, TradeId, TransferDirection, TransferShares,
};
use brokerx_topics::partition::{account_key, partition_of, symbol_key};
use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use crate::log::Logs;

pub use genesis::{START_MS, genesis, write_genesis};

/// Partitions of every keyed topic of the simulation; `replies` has [`REPLY_PARTITIONS`].
pub const PARTITIONS: i32 = 2;
/// Partitions of `replies`.
pub const REPLY_PARTITIONS: i32 = 3;
const ACCOUNTS: i64 = 6;
const SYMBOLS: [&str; 3] = ["AAPL", "MSFT", "TSLA"];

/// What was requested of the system, for the audit.
#[derive(Debug, Default)]
pub struct Asked {
    /// Every order that some client placed, by account and client order id.
    pub orders: BTreeSet<(AccountId, String)>,
    /// Every command with a reply address.
    pub commands: BTreeSet<CommandId>,
    /// How often each account was made to freeze.
    pub frozen: BTreeMap<AccountId, usize>,
    /// Trades that never were, and the account that was told of each.
    pub forged: BTreeMap<TradeId, AccountId>,
}

/// The writers.
#[derive(Debug, Default)]
pub struct Workload {
    /// What they requested.
    pub asked: Asked,
    placed: Vec<PlaceOrder>,
    command_count: u64,
    /// How far the provider has read `account-events`, per partition.
    provider_position: BTreeMap<i32, usize>,
    open_payments: Vec<(AccountId, PaymentId)>,
    /// The provider's answers so far, so that a repeated one is the same.
    outcomes: BTreeMap<PaymentId, PaymentStatus>,
    status_versions: BTreeMap<AccountId, i64>,
    /// Records of no book, per partition.
    astray: BTreeMap<i32, u64>,
    /// The logic version of the logs; that of their genesis before the first change.
    logic_version: Option<i32>,
    /// Changes of the configuration.
    configurations: i32,
}

impl Workload {
    fn meta(&mut self, logs: &Logs, random: &mut Xoshiro256PlusPlus) -> CommandMeta {
        self.command_count += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.command_count.to_be_bytes());
        let command_id = CommandId(bytes);
        self.asked.commands.insert(command_id);
        // A few commands are already past their deadline when they are written.
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

    /// One client does something, or something becomes of one.
    pub fn act(&mut self, seed: u64, logs: &mut Logs, random: &mut Xoshiro256PlusPlus) {
        match random.random_range(0..106) {
            0..53 => self.place(logs, random),
            53..62 => self.retry(logs, random),
            62..78 => self.cancel(logs, random),
            78..86 => self.replace(logs, random),
            86..88 => self.cancel_all(logs, random),
            88..90 => self.kill_switch(logs, random),
            90..95 => self.operate(logs, random),
            95..97 => self.suspend(logs, random),
            97..99 => self.freeze_or_thaw(logs, random),
            99 => drop(self.raise_logic_version(seed, logs)),
            100..102 => self.go_astray(logs, random),
            _ => {
                let account_id = any_account(random);
                self.deposit(account_id, logs, random);
            }
        }
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
