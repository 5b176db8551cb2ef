//! On whose behalf an order is in a book's hands, and who hears of its end.

use brokerx_schemas::{AccountId, CommandId, OrderId, Symbol};

/// The order that is meant, and the command that is answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub account_id: AccountId,
    pub command_id: CommandId,
    pub order_id: OrderId,
    pub symbol: Symbol,
}

/// How an order came to the book, which decides how its end is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Entrant {
    /// By a command, which is answered once it is done.
    Command(Asked),
    /// By its trigger: it was answered when it was placed.
    Stop(Asked),
}
