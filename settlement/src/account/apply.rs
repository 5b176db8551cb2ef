//! The machine as the runner drives it: hands each record to its account, and does what is left to
//! do afterwards.

use std::ops::Bound;

use brokerx_schemas::{
    AccountCommand, AccountEvent, AccountEventKind, AccountId, Config, DayClosed, PaymentDirection, Reply, ReplyKind,
};
use brokerx_topics::machine::{Context, LOGIC_VERSION, Machine, Outputs, Setup, SnapshotError, Step, permille};

use super::answer::Answer;
use super::cancel::{self, Sweep, remove_from_book};
use super::desk::{Desk, blank_reply, event, refusal, send_reply};
use super::hash::entry_hash;
use super::machine::{AccountMachine, Work};
use super::memory::RememberedKey;
use super::routing::{account_of, in_its_book, meta_of, stranger_reason};
use super::snapshot::{self, Cursor};
use super::state::{Account, BrokenInvariant};
use super::{done, fill, intervention, pay, place, replace, status, transfer};

/// At most this many keys are forgotten, or days of accounts closed, before outputs are taken.
const ITEMS_PER_STEP: usize = 1_000;

impl AccountMachine {
    /// A record of an account that does not exist. What a client asks for is refused and leaves
    /// nothing behind; what a book says makes an account that is frozen from its first event.
    fn on_stranger(&mut self, account_id: AccountId, context: &Context, outputs: &mut Outputs, input: AccountCommand) {
        match input {
            AccountCommand::AccountStatus(change) => {
                self.open_account(account_id);
                self.on_account(account_id, context, outputs, |account, desk| {
                    // It was just made, so there is nothing to sweep.
                    let _ = status::account_status(account, desk, change);
                });
            }
            AccountCommand::PaymentResult(_) => self.contradictions += 1,
            input => match meta_of(&input) {
                Some(meta) => {
                    let reply = Reply {
                        refusal: Some(refusal(stranger_reason(&input))),
                        ..blank_reply(ReplyKind::Refused)
                    };
                    send_reply(outputs, &self.rules, Answer::of(meta), reply);
                }
                None => {
                    self.open_account(account_id);
                    self.on_account(account_id, context, outputs, |account, desk| {
                        desk.freeze(account, BrokenInvariant::UnknownAccount);
                        if let Some((order_id, symbol)) = in_its_book(&input).filter(|_| desk.rules.since(4)) {
                            remove_from_book(account, desk, order_id, symbol);
                        }
                    });
                }
            },
        }
    }

    /// Does a step of the work at hand, if there is some.
    fn go_on(&mut self, context: &Context, outputs: &mut Outputs) -> Step {
        if let Some((account_id, sweep)) = self.to_sweep {
            // It is of all orders, so it takes the place of another sweep of the account.
            let gives_way = match &self.work {
                Some(Work::Sweep(other, _)) => *other == account_id,
                work => work.is_none(),
            };
            if gives_way {
                self.to_sweep = None;
                self.work = Some(Work::Sweep(account_id, sweep));
            }
        }
        self.work = match self.work.take() {
            None => None,
            Some(Work::Sweep(account_id, sweep)) => self
                .on_account(account_id, context, outputs, |account, desk| {
                    cancel::sweep(account, desk, sweep)
                })
                .flatten()
                .map(|sweep| Work::Sweep(account_id, sweep)),
            Some(Work::Tick { forget_until, second }) => match self.forget(forget_until) {
                true => Some(Work::Tick { forget_until, second }),
                false => self.is_due(second).then_some(Work::Ask { asked: None, second }),
            },
            Some(Work::Ask { asked, second }) => {
                let left = self.ask_again(asked, second, context, outputs);
                (left.is_some() || self.is_due(second)).then_some(Work::Ask { asked: left, second })
            }
            Some(Work::CloseDay { day, after }) => {
                self.close_day(day, after, context, outputs)
                    .map(|after| Work::CloseDay {
                        day,
                        after: Some(after),
                    })
            }
        };
        if self.work.is_some() || self.to_sweep.is_some() {
            Step::More
        } else {
            Step::Done
        }
    }

    /// How many seconds a key is remembered after the second in which it ended: until the whole
    /// window has passed since the last microsecond of that second.
    fn key_window_seconds(&self) -> i64 {
        self.rules.config.closed_key_seconds.saturating_add(1)
    }

    /// Whether the books are asked again for the orders of some account in a second.
    fn is_due(&self, second: i64) -> bool {
        self.to_ask.first().is_some_and(|(due, _)| *due <= second)
    }

    /// Forgets keys that ended in or before a second. Returns whether there may be more.
    fn forget(&mut self, second: i64) -> bool {
        for _ in 0..ITEMS_PER_STEP {
            let Some((account_id, key)) = self.memory.pop_until(second) else {
                return false;
            };
            self.restore_account(account_id, |account, _| match key {
                RememberedKey::Order(order_id) if account.is_needed_after(order_id, second) => {}
                RememberedKey::Order(order_id) => account.forget_order(order_id),
                RememberedKey::Command(key) => drop(account.commands.remove(&key)),
            });
        }
        true
    }

    /// Writes the end of a day to the next accounts, but not to one to which nothing happened since the end
    /// of the day before and that holds nothing: its statement is the one of that day. Returns the last of them if there may be more.
    fn close_day(
        &mut self,
        day: i32,
        after: Option<AccountId>,
        context: &Context,
        outputs: &mut Outputs,
    ) -> Option<AccountId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let next: Vec<_> = self
            .accounts
            .range((from, Bound::Unbounded))
            .take(ITEMS_PER_STEP)
            .map(|(id, _)| *id)
            .collect();
        for account_id in &next {
            let is_idle =
                |account: &Account| account.core.account_seq == account.core.closed_seq && !account.has_holdings();
            if self.rules.since(2) && self.accounts.get(account_id).is_some_and(is_idle) {
                continue;
            }
            self.on_account(*account_id, context, outputs, |account, desk| {
                let closed = AccountEvent {
                    closed_day: Some(day),
                    ..event(AccountEventKind::DayClosed, None)
                };
                desk.record(account, closed);
                if desk.rules.since(2) {
                    account.core.closed_seq = account.core.account_seq;
                }
            });
        }
        next.last().copied().filter(|_| next.len() == ITEMS_PER_STEP)
    }

    fn on_day_closed(&mut self, closed: DayClosed) {
        if let Some(day) = self.days.arrive(closed, self.rules.book_partitions) {
            self.work = Some(Work::CloseDay { day, after: None });
        }
    }
}

/// What a record leads to beyond its account.
enum After {
    Nothing,
    Sweep(Sweep),
    Contradiction,
}

fn dispatch(account: &mut Account, desk: &mut Desk<'_>, input: AccountCommand) -> After {
    match input {
        AccountCommand::PlaceOrder(command) => place::place(account, desk, command),
        AccountCommand::CancelOrder(command) => cancel::cancel(account, desk, command),
        AccountCommand::ReplaceOrder(command) => replace::replace(account, desk, command),
        AccountCommand::CancelAllOrders(command) => {
            return cancel::cancel_all(account, desk, command).map_or(After::Nothing, After::Sweep);
        }
        AccountCommand::SetKillSwitch(command) => {
            return cancel::set_kill_switch(account, desk, command).map_or(After::Nothing, After::Sweep);
        }
        AccountCommand::Deposit(command) => pay::request(account, desk, PaymentDirection::Deposit, command),
        AccountCommand::Withdraw(command) => pay::request(account, desk, PaymentDirection::Withdrawal, command),
        AccountCommand::PaymentResult(result) => {
            let contradicts = pay::result(account, desk, result);
            return if contradicts {
                After::Contradiction
            } else {
                After::Nothing
            };
        }
        AccountCommand::TransferShares(command) => transfer::transfer(account, desk, command),
        AccountCommand::SetLimits(command) => status::set_limits(account, desk, command),
        AccountCommand::AdjustBalance(command) => intervention::adjust_balance(account, desk, command),
        AccountCommand::ThawAccount(command) => intervention::thaw(account, desk, command),
        AccountCommand::AccountStatus(change) => {
            return status::account_status(account, desk, change).map_or(After::Nothing, After::Sweep);
        }
        AccountCommand::Fill(fill) => fill::fill(account, desk, fill),
        AccountCommand::CommandDone(answer) => done::command_done(account, desk, answer),
        AccountCommand::OrderTriggered(triggered) => done::order_triggered(account, desk, triggered),
        AccountCommand::OrderEnded(ended) => done::order_ended(account, desk, ended),
        // The fold and `apply` keep these for themselves.
        AccountCommand::Genesis(_)
        | AccountCommand::Config(_)
        | AccountCommand::Tick(_)
        | AccountCommand::DayClosed(_)
        | AccountCommand::Unknown => {}
    }
    After::Nothing
}

impl Machine for AccountMachine {
    type Input = AccountCommand;
    type Cursor = Cursor;

    const NAME: &'static str = "settlement";
    const LOGIC_VERSION_MAX: i32 = LOGIC_VERSION;

    fn new(setup: &Setup) -> Self {
        Self::empty(setup)
    }

    fn configure(&mut self, config: &Config, logic_version: i32) {
        self.set_rules(config, logic_version);
    }

    fn apply(&mut self, context: &Context, input: AccountCommand, outputs: &mut Outputs) -> Step {
        if let AccountCommand::DayClosed(closed) = input {
            self.on_day_closed(closed);
            return self.go_on(context, outputs);
        }
        let Some(account_id) = account_of(&input) else {
            return Step::Done;
        };
        if !self.accounts.contains_key(&account_id) {
            self.on_stranger(account_id, context, outputs, input);
            return self.go_on(context, outputs);
        }
        let after = self.on_account(account_id, context, outputs, |account, desk| {
            dispatch(account, desk, input)
        });
        match after {
            Some(After::Sweep(sweep)) => self.work = Some(Work::Sweep(account_id, sweep)),
            Some(After::Contradiction) => self.contradictions += 1,
            Some(After::Nothing) | None => {}
        }
        self.go_on(context, outputs)
    }

    fn tick(&mut self, context: &Context, second: i64, outputs: &mut Outputs) -> Step {
        self.work = Some(Work::Tick {
            forget_until: second.saturating_sub(self.key_window_seconds()),
            second,
        });
        self.go_on(context, outputs)
    }

    /// Keys wait for time, and accounts for which the books are asked again: a day closes by what the books
    /// say.
    fn next_tick(&self) -> Option<i64> {
        let oldest = self.memory.oldest();
        let forgets = oldest.map(|oldest| oldest.saturating_add(self.key_window_seconds()));
        let asks = self.to_ask.first().map(|(second, _)| *second);
        forgets.into_iter().chain(asks).min()
    }

    fn memory_permille(&self) -> i64 {
        permille(self.memory.keys, self.rules.config.closed_keys_per_partition_max)
    }

    fn resume(&mut self, context: &Context, outputs: &mut Outputs) -> Step {
        self.go_on(context, outputs)
    }

    fn state_hash(&self) -> u64 {
        let shared = entry_hash(&(&self.days, self.contradictions));
        self.accounts_hash.wrapping_add(shared)
    }

    fn snapshot_slice(&self, cursor: &mut Cursor) -> Result<Option<Vec<u8>>, SnapshotError> {
        snapshot::next_slice(self, cursor)
    }

    fn restore_slice(&mut self, slice: &[u8]) -> Result<(), SnapshotError> {
        snapshot::restore(self, slice)
    }
}
