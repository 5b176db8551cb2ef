//! Which account a record is about, and who asks.

use brokerx_schemas::{AccountCommand, AccountId, BookStatus, CommandMeta, OrderId, Reason, Symbol};

/// The account that a record is about; none for a record about all of them.
pub(super) fn account_of(input: &AccountCommand) -> Option<AccountId> {
    match input {
        AccountCommand::PlaceOrder(command) => Some(command.account_id),
        AccountCommand::CancelOrder(command) => Some(command.account_id),
        AccountCommand::ReplaceOrder(command) => Some(command.account_id),
        AccountCommand::CancelAllOrders(command) => Some(command.account_id),
        AccountCommand::SetKillSwitch(command) => Some(command.account_id),
        AccountCommand::Deposit(command) | AccountCommand::Withdraw(command) => Some(command.account_id),
        AccountCommand::PaymentResult(result) => Some(result.account_id),
        AccountCommand::TransferShares(command) => Some(command.account_id),
        AccountCommand::SetLimits(command) => Some(command.account_id),
        AccountCommand::AdjustBalance(command) => Some(command.account_id),
        AccountCommand::ThawAccount(command) => Some(command.account_id),
        AccountCommand::AccountStatus(change) => Some(change.account_id),
        AccountCommand::Fill(fill) => Some(fill.account_id),
        AccountCommand::CommandDone(answer) => Some(answer.account_id),
        AccountCommand::OrderTriggered(triggered) => Some(triggered.account_id),
        AccountCommand::OrderEnded(ended) => Some(ended.account_id),
        AccountCommand::Genesis(_)
        | AccountCommand::Config(_)
        | AccountCommand::Tick(_)
        | AccountCommand::DayClosed(_)
        | AccountCommand::Unknown => None,
    }
}

/// The meta of a client's or operator's command; none for what workers say.
pub(super) fn meta_of(input: &AccountCommand) -> Option<&CommandMeta> {
    match input {
        AccountCommand::PlaceOrder(command) => Some(&command.meta),
        AccountCommand::CancelOrder(command) => Some(&command.meta),
        AccountCommand::ReplaceOrder(command) => Some(&command.meta),
        AccountCommand::CancelAllOrders(command) => Some(&command.meta),
        AccountCommand::SetKillSwitch(command) => Some(&command.meta),
        AccountCommand::Deposit(command) | AccountCommand::Withdraw(command) => Some(&command.meta),
        AccountCommand::TransferShares(command) => Some(&command.meta),
        AccountCommand::SetLimits(command) => Some(&command.meta),
        AccountCommand::AdjustBalance(command) => Some(&command.meta),
        AccountCommand::ThawAccount(command) => Some(&command.meta),
        _ => None,
    }
}

/// The answer when the account does not exist: its client may not trade or pay yet, and nothing
/// else can be found.
pub(super) fn stranger_reason(input: &AccountCommand) -> Reason {
    match input {
        AccountCommand::PlaceOrder(_) | AccountCommand::Deposit(_) | AccountCommand::Withdraw(_) => {
            Reason::AccountNotActive
        }
        _ => Reason::NotFound,
    }
}

/// The order that a book speaks of as one that it has, and its symbol.
pub(super) fn in_its_book(input: &AccountCommand) -> Option<(OrderId, Symbol)> {
    match input {
        AccountCommand::Fill(fill) if fill.leaves_quantity > 0 => Some((fill.order_id, fill.symbol)),
        AccountCommand::OrderTriggered(triggered) => Some((triggered.order_id, triggered.symbol)),
        AccountCommand::CommandDone(done) if matches!(done.status, BookStatus::Working | BookStatus::Replaced) => {
            Some((done.order_id, done.symbol))
        }
        _ => None,
    }
}
