//! An operator moves shares from or to another custodian.

use brokerx_schemas::{
    AccountEvent, AccountEventKind, LedgerAccount, Posting, Reason, TransferDirection, TransferShares, TransferView,
};

use super::desk::{Desk, event, refusal};
use super::hash::content_hash;
use super::idempotency::{Request, admit, transfer_reply};
use super::position::Position;
use super::remembered::Outcome;
use super::state::Account;

pub(super) fn transfer(account: &mut Account, desk: &mut Desk<'_>, command: TransferShares) {
    let terms = (command.symbol, command.quantity, command.direction, command.price_cents);
    let request = Request {
        meta: &command.meta,
        operator: Some(&command.operator),
        key: command.idempotency_key.as_deref(),
        content: content_hash(&("transfer", command.operator.as_str(), terms)),
        when_frozen: false,
    };
    let Some(admitted) = admit(account, desk, request) else {
        return;
    };
    let (position, signed) = match judge(&account.position(command.symbol), &command) {
        Ok(after) => after,
        Err(reason) => return admitted.refuse(account, desk, refusal(reason), None),
    };
    desk.touched = Some(command.symbol);
    *account.positions.edit_or_default(command.symbol) = position;
    let view = TransferView {
        transfer_id: desk.rules.transfer_id(desk.context),
        account_id: account.id,
        operator: command.operator.clone(),
        symbol: command.symbol,
        quantity: command.quantity,
        direction: command.direction,
        price_cents: command.price_cents.unwrap_or(0),
        created_us: desk.now_us(),
    };
    let line = |ledger_account, amount| Posting {
        ledger_account,
        asset: command.symbol.to_string(),
        amount,
    };
    let transferred = AccountEvent {
        transfer: Some(view.clone()),
        positions: vec![position.view(command.symbol)],
        postings: vec![
            line(LedgerAccount::Client, signed),
            line(LedgerAccount::Custodian, -signed),
        ],
        ..event(AccountEventKind::SharesTransferred, Some(command.meta.command_id))
    };
    desk.record(account, transferred);
    if position.is_empty() {
        account.positions.remove(&command.symbol);
    }
    let outcome = Outcome::Transfer(Box::new(view.clone()));
    admitted.finish(account, desk, outcome, transfer_reply(view));
}

/// The position after the transfer, and the signed change of its shares.
///
/// # Errors
/// Why it cannot be done.
fn judge(position: &Position, command: &TransferShares) -> Result<(Position, i64), Reason> {
    let price_cents = command.price_cents.unwrap_or(0);
    if command.quantity < 1 {
        return Err(Reason::InvalidQuantity);
    }
    if price_cents < 0 {
        return Err(Reason::InvalidPrice);
    }
    match command.direction {
        TransferDirection::In => {
            let cost_cents = price_cents.checked_mul(command.quantity).ok_or(Reason::InvalidPrice)?;
            let after = position
                .with_arrival(command.quantity, cost_cents)
                .ok_or(Reason::InvalidQuantity)?;
            Ok((after, command.quantity))
        }
        TransferDirection::Out if command.quantity > position.available() => Err(Reason::InsufficientShares),
        TransferDirection::Out => {
            let after = position
                .with_departure(command.quantity)
                .ok_or(Reason::InsufficientShares)?;
            Ok((after, -command.quantity))
        }
        TransferDirection::Unknown => Err(Reason::InvalidOrder),
    }
}
