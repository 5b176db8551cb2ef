//! Whether an account may trade, and how much.

use brokerx_schemas::{AccountEvent, AccountEventKind, AccountState, AccountStatus, Reason, ReplyKind, SetLimits};

use super::asks::Asks;
use super::cancel::Sweep;
use super::desk::{Desk, blank_reply, event, refusal};
use super::hash::content_hash;
use super::idempotency::{Request, admit};
use super::remembered::Outcome;
use super::state::Account;

/// What the identity outbox says: only a higher version counts, anything else is a repeat.
/// An account that may not trade any more leaves the books.
pub(super) fn account_status(account: &mut Account, desk: &mut Desk<'_>, status: AccountStatus) -> Option<Sweep> {
    if status.version <= account.core.status_version || status.state == AccountState::Unknown {
        return None;
    }
    account.core.state = status.state;
    account.core.status_version = status.version;
    let changed = AccountEvent {
        status: Some(account.status_view()),
        limits: Some(account.limits(desk.rules)),
        ..event(AccountEventKind::StatusChanged, None)
    };
    desk.record(account, changed);
    if desk.rules.since(3) {
        account.core.asks = match account.reason_to_leave() {
            Some(_) => Asks::first(desk.context.now_ms.div_euclid(1_000)),
            None => Asks::default(),
        };
    }
    let may_not_trade = status.state != AccountState::Active && desk.rules.since(2);
    may_not_trade.then(|| Sweep::because(Reason::AccountNotActive, desk.context))
}

pub(super) fn set_limits(account: &mut Account, desk: &mut Desk<'_>, command: SetLimits) {
    let limits = command.limits;
    let asked = (
        limits.order_quantity_max,
        limits.order_notional_cents_max,
        limits.open_orders_max,
    );
    let request = Request {
        meta: &command.meta,
        operator: Some(&command.operator),
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("limits", command.operator.as_str(), asked)),
        when_frozen: false,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    // Zero is a limit (nothing is allowed); less makes no sense.
    if limits.order_quantity_max < 0 || limits.order_notional_cents_max < 0 || limits.open_orders_max < 0 {
        return admitted.refuse(account, desk, refusal(Reason::InvalidOrder), None);
    }
    account.core.limits = Some(limits);
    let changed = AccountEvent {
        limits: Some(limits),
        ..event(AccountEventKind::LimitsChanged, Some(command.meta.command_id))
    };
    desk.record(account, changed);
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
}
