//! What an operator does to an account by hand: correct its cash or a position, let it go on after a
//! freeze. Both are commands in the account's own log, so a replay does them again.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, AdjustBalance, Intervention, LedgerAccount, Posting, Reason, ReplyKind, Symbol,
    ThawAccount,
};

use super::asks::Asks;
use super::desk::{Desk, blank_reply, event, refusal};
use super::hash::content_hash;
use super::idempotency::{Request, admit};
use super::position::{Cash, Position};
use super::remembered::Outcome;
use super::state::Account;

/// Corrects cash or a position. It must leave what it touches as it has to be: an account that is not
/// frozen never becomes unsound by a correction. A frozen one may take several to become sound.
pub(super) fn adjust_balance(account: &mut Account, desk: &mut Desk<'_>, command: AdjustBalance) {
    let terms = (
        command.symbol,
        command.amount,
        command.cost_cents,
        command.note.as_str(),
    );
    let request = Request {
        meta: &command.meta,
        operator: Some(&command.operator),
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("adjust", command.operator.as_str(), terms)),
        when_frozen: true,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    let (after, counter) = match judge(account, &command) {
        Ok(judged) => judged,
        Err(reason) => return admitted.refuse(account, desk, refusal(reason), None),
    };
    let asset = match after {
        After::Cash(cash) => {
            account.core.cash = cash;
            desk.rules.config.currency.clone()
        }
        After::Position(symbol, position) => {
            *account.positions.edit_or_default(symbol) = position;
            symbol.to_string()
        }
    };
    let line = |ledger_account, amount| Posting {
        ledger_account,
        asset: asset.clone(),
        amount,
    };
    let postings = match command.amount {
        0 => Vec::new(),
        amount => vec![
            line(LedgerAccount::Client, amount),
            line(LedgerAccount::Corrections, counter),
        ],
    };
    let positions = command.symbol.map(|symbol| account.position(symbol).view(symbol));
    let adjusted = AccountEvent {
        positions: positions.into_iter().collect(),
        postings,
        intervention: Some(Intervention {
            operator: command.operator.clone(),
            note: command.note.clone(),
            symbol: command.symbol,
            amount: command.amount,
            cost_cents: command.cost_cents,
        }),
        ..event(AccountEventKind::BalanceAdjusted, Some(command.meta.command_id))
    };
    desk.record(account, adjusted);
    if let Some(symbol) = command.symbol
        && account.position(symbol).is_empty()
    {
        account.positions.remove(&symbol);
    }
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
}

/// What a correction leaves.
enum After {
    Cash(Cash),
    Position(Symbol, Position),
}

/// What a correction leaves, and its counter side. Of a number whose counter side is beyond 64 bits there is
/// no correction, under any logic version.
///
/// # Errors
/// Why it cannot be done.
fn judge(account: &Account, command: &AdjustBalance) -> Result<(After, i64), Reason> {
    let is_frozen = account.core.frozen.is_some();
    let Some(symbol) = command.symbol else {
        let cash = account.core.cash;
        let balance_cents = cash.balance_cents.checked_add(command.amount);
        let balance_cents = balance_cents.ok_or(Reason::InvalidAmount)?;
        if command.amount == 0 || command.cost_cents != 0 {
            return Err(Reason::InvalidAmount);
        }
        let after = Cash { balance_cents, ..cash };
        if !is_frozen && !after.is_sound() {
            return Err(Reason::InsufficientFunds);
        }
        let counter = command.amount.checked_neg().ok_or(Reason::InvalidAmount)?;
        return Ok((After::Cash(after), counter));
    };
    if command.amount == 0 && command.cost_cents == 0 {
        return Err(Reason::InvalidQuantity);
    }
    let position = account.position(symbol);
    let quantity = position.quantity.checked_add(command.amount);
    let cost_cents = position.cost_cents.checked_add(command.cost_cents);
    let after = Position {
        quantity: quantity.ok_or(Reason::InvalidQuantity)?,
        cost_cents: cost_cents.ok_or(Reason::InvalidAmount)?,
        ..position
    };
    if !is_frozen && !after.is_sound() {
        return Err(Reason::InsufficientShares);
    }
    let counter = command.amount.checked_neg().ok_or(Reason::InvalidQuantity)?;
    Ok((After::Position(symbol, after), counter))
}

/// Lets a frozen account go on. Its orders have left the books by then, so what is reserved can be
/// counted anew: only withdrawals that the provider has not decided. An account that is not frozen stays as
/// it is.
pub(super) fn thaw(account: &mut Account, desk: &mut Desk<'_>, command: ThawAccount) {
    let request = Request {
        meta: &command.meta,
        operator: Some(&command.operator),
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("thaw", command.operator.as_str(), command.note.as_str())),
        when_frozen: true,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    if account.core.frozen.is_some() {
        let Some(thawed) = sound_again(account) else {
            if desk.rules.since(3) {
                // Whatever is left to ask the books is asked with the next tick, as if for the first time.
                account.core.asks = Asks::default();
            }
            return admitted.refuse(account, desk, refusal(Reason::AccountUnsound), None);
        };
        account.core.cash = thawed;
        let symbols: Vec<Symbol> = account.positions.iter().map(|(symbol, _)| *symbol).collect();
        for symbol in &symbols {
            account.positions.edit_or_default(*symbol).reserved_quantity = 0;
        }
        account.core.frozen = None;
        if desk.rules.since(3) {
            account.core.asks = Asks::default();
        }
        let thawed = AccountEvent {
            status: Some(account.status_view()),
            limits: Some(account.limits(desk.rules)),
            positions: symbols
                .iter()
                .map(|symbol| account.position(*symbol).view(*symbol))
                .collect(),
            intervention: Some(Intervention {
                operator: command.operator.clone(),
                note: command.note.clone(),
                symbol: None,
                amount: 0,
                cost_cents: 0,
            }),
            ..event(AccountEventKind::Thawed, Some(command.meta.command_id))
        };
        desk.record(account, thawed);
        for symbol in symbols {
            if desk.rules.since(3) && account.position(symbol).is_empty() {
                account.positions.remove(&symbol);
            }
        }
    }
    admitted.finish(account, desk, Outcome::Account, blank_reply(ReplyKind::Account));
}

/// The cash with only pending withdrawals reserved; none while an order is open or a command in flight,
/// or when cash or a position is not as it must be even so.
fn sound_again(account: &Account) -> Option<Cash> {
    if !account.open_orders.is_empty() || account.in_flight.len() > 0 {
        return None;
    }
    let mut pending = account.payments.iter().map(|(_, payment)| payment.reserved_cents());
    let cash = Cash {
        reserved_cents: pending.try_fold(0_i64, i64::checked_add)?,
        ..account.core.cash
    };
    let unreserved = |position: &Position| Position {
        reserved_quantity: 0,
        ..*position
    };
    let all_sound = account
        .positions
        .iter()
        .all(|(_, position)| unreserved(position).is_sound());
    (cash.is_sound() && all_sound).then_some(cash)
}
