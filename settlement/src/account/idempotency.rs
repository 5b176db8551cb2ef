//! Repeats: check identity first, compare content, then act.
//!
//! A key that is remembered decides alone: the same content gets the original outcome, also after
//! the deadline (a repeat does nothing), other content is refused. Only a new key goes on to the
//! deadline and the other checks. Every decision is remembered but two, after which a client may
//! simply try again: `IDEMPOTENCY_MISMATCH` and `TOO_MANY_REQUESTS`.
//!
//! A key belongs to whoever sent it: the account's client or one operator. Nobody can use up the key
//! of somebody else.
//!
//! A key is remembered while its order or command is in flight and `closed_key_seconds` longer. It
//! is never forgotten early: at the cap (`closed_keys_per_account_max`, `..._per_partition_max`,
//! open ones counted too) new keys are refused. The cap of the partition spares an account that
//! remembers fewer than `closed_keys_per_account_assured`: the others cannot use up its share. A cancel
//! without a key is never refused for want of room.
//!
//! A refusal after which nothing is remembered changes nothing, so it leaves no event, only the answer.

use brokerx_schemas::{CommandId, CommandMeta, OrderId, Reason, Refusal, Reply, ReplyKind, TransferView};

use super::answer::Answer;
use super::desk::{Desk, blank_reply, refusal};
use super::hash::content_hash;
use super::memory::RememberedKey;
use super::remembered::{Outcome, Remembered};
use super::state::{Account, Follower};

/// What a command says of itself, before anything is decided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) meta: &'a CommandMeta,
    /// The operator who sent it; none for the account's own client.
    pub(super) operator: Option<&'a str>,
    /// Its idempotency key.
    pub(super) key: Option<&'a str>,
    /// Hash of what is asked for.
    pub(super) content: u128,
    /// Whether it is also done on an account that is frozen.
    pub(super) when_frozen: bool,
}

impl Request<'_> {
    /// Under what the key is remembered. A client's is where it always was; an operator's is its own
    /// from logic version 2 on, unless it was remembered before for this very command.
    fn remembered_key(&self, account: &Account, desk: &Desk<'_>) -> Option<u128> {
        let key = content_hash(self.key?);
        let Some(operator) = self.operator.filter(|_| desk.rules.since(2)) else {
            return Some(key);
        };
        let before = account.commands.get(&key);
        if before.is_some_and(|remembered| remembered.content == self.content) {
            return Some(key);
        }
        Some(content_hash(&("operator", operator, self.key)))
    }
}

/// A command that passed the first checks.
pub(super) struct Admitted<'a> {
    pub(super) meta: &'a CommandMeta,
    /// Hash of its idempotency key, if it has one.
    pub(super) key: Option<u128>,
    content: u128,
}

/// The first checks of every command but orders and payments: repeats, room for its key, deadline,
/// the freeze. None when the command is answered already.
pub(super) fn admit<'a>(account: &mut Account, desk: &mut Desk<'_>, request: Request<'a>) -> Option<Admitted<'a>> {
    let Request { meta, content, .. } = request;
    let key = request.remembered_key(account, desk);
    let known = key.and_then(|key| account.commands.get(&key));
    let admitted = Admitted { meta, key, content };
    let refused = match known {
        Some(remembered) if remembered.content == content => {
            let outcome = remembered.outcome.clone();
            repeat(account, desk, meta, outcome);
            return None;
        }
        Some(_) => Reason::IdempotencyMismatch,
        // The same command id again without a key: the first is in flight and stays the only one.
        None if account.in_flight.contains(&meta.command_id) => Reason::IdempotencyMismatch,
        // No number of keys that a client uses keeps an operator away.
        None if key.is_some() && is_full(account, desk) && !(request.operator.is_some() && desk.rules.since(4)) => {
            Reason::TooManyRequests
        }
        None => {
            let passes_freeze = request.when_frozen && desk.rules.since(2);
            let decided = match desk.context.is_past(meta.deadline_us) {
                true => Reason::ExpiredRequest,
                false if account.core.frozen.is_some() && !passes_freeze => Reason::Frozen,
                false => return Some(admitted),
            };
            admitted.refuse(account, desk, refusal(decided), None);
            return None;
        }
    };
    refuse_for_now(account, desk, meta, refused, None);
    None
}

/// Refuses a command and remembers nothing: the client may try again.
pub(super) fn refuse_for_now(
    account: &mut Account,
    desk: &mut Desk<'_>,
    meta: &CommandMeta,
    reason: Reason,
    order_id: Option<OrderId>,
) {
    desk.note_refusal(account, meta.command_id, refusal(reason), order_id);
    let reply = Desk::refused_reply(account, refusal(reason), order_id);
    desk.reply(account, Answer::of(meta), reply);
}

/// Whether one more key would be more than may be remembered.
pub(super) fn is_full(account: &Account, desk: &Desk<'_>) -> bool {
    let config = &desk.rules.config;
    let reached = |keys: usize, most: i32| i64::try_from(keys).is_ok_and(|keys| keys >= i64::from(most));
    let keys = account.remembered_keys();
    let has_share = desk.rules.since(2) && !reached(keys, config.closed_keys_per_account_assured);
    reached(keys, config.closed_keys_per_account_max)
        || !has_share && reached(desk.memory.keys, config.closed_keys_per_partition_max)
}

/// Answers a repeat: with the original decision and the current state, or, while there is none
/// yet, by sending the outcome to the repeat once it comes.
fn repeat(account: &mut Account, desk: &mut Desk<'_>, meta: &CommandMeta, outcome: Outcome) {
    let reply = match outcome {
        Outcome::Pending(command_id) => return wait_for(account, command_id, Answer::of(meta)),
        Outcome::Refused(refusal, order_id) => Desk::refused_reply(account, refusal, order_id),
        Outcome::Order(order_id) => Desk::order_reply(account, order_id),
        Outcome::Transfer(transfer) => transfer_reply(*transfer),
        Outcome::Account => blank_reply(ReplyKind::Account),
    };
    desk.reply(
        account,
        Answer::of(meta),
        Reply {
            replayed: true,
            ..reply
        },
    );
}

/// Whoever asked last gets the outcome of a command that is in flight, or that waits behind one.
fn wait_for(account: &mut Account, command_id: CommandId, answer: Option<Answer>) {
    if let Some(mut in_flight) = account.in_flight.edit(command_id) {
        in_flight.answer = answer;
        return;
    }
    let follows = |follower: &Follower| follower.command_id == command_id;
    let leader = account
        .in_flight
        .iter()
        .find(|(_, in_flight)| in_flight.followers.0.iter().any(follows))
        .map(|(leader, _)| *leader);
    if let Some(mut leader) = leader.and_then(|leader| account.in_flight.edit(leader))
        && let Some(follower) = leader.followers.0.iter_mut().find(|follower| follows(follower))
    {
        follower.answer = answer;
    }
}

/// A transfer as a reply.
pub(super) fn transfer_reply(transfer: TransferView) -> Reply {
    Reply {
        transfer: Some(transfer),
        ..blank_reply(ReplyKind::Transfer)
    }
}

impl Admitted<'_> {
    /// Refuses the command: an event, a reply, and the decision is remembered.
    pub(super) fn refuse(
        self,
        account: &mut Account,
        desk: &mut Desk<'_>,
        refusal: Refusal,
        order_id: Option<OrderId>,
    ) {
        if self.key.is_some() {
            desk.record_refusal(account, Some(self.meta.command_id), refusal.clone(), order_id);
        } else {
            desk.note_refusal(account, self.meta.command_id, refusal.clone(), order_id);
        }
        let reply = Desk::refused_reply(account, refusal.clone(), order_id);
        self.finish(account, desk, Outcome::Refused(refusal, order_id), reply);
    }

    /// Replies and remembers the decision.
    pub(super) fn finish(self, account: &mut Account, desk: &mut Desk<'_>, outcome: Outcome, reply: Reply) {
        desk.reply(account, Answer::of(self.meta), reply);
        if let Some(key) = self.key {
            let ended_us = Some(desk.now_us());
            desk.memory
                .schedule(desk.now_us(), account.id, RememberedKey::Command(key));
            account.commands.insert(
                key,
                Remembered {
                    content: self.content,
                    outcome,
                    ended_us,
                },
            );
        }
    }

    /// Remembers that the command is in flight.
    pub(super) fn remember_pending(&self, account: &mut Account) {
        if let Some(key) = self.key {
            account.commands.insert(
                key,
                Remembered {
                    content: self.content,
                    outcome: Outcome::Pending(self.meta.command_id),
                    ended_us: None,
                },
            );
        }
    }
}

/// Remembers the outcome of a command that was in flight.
pub(super) fn decide(account: &mut Account, desk: &mut Desk<'_>, key: Option<u128>, outcome: Outcome) {
    let now_us = desk.now_us();
    if let Some(key) = key
        && let Some(mut remembered) = account.commands.edit(key)
    {
        remembered.outcome = outcome;
        remembered.ended_us = Some(now_us);
        desk.memory.schedule(now_us, account.id, RememberedKey::Command(key));
    }
}
