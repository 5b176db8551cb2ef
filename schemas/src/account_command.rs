//! `account-commands`: the inbox of settlement. Key: the account id in decimal.

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, AccountState, BookStatus, CommandId, ConfigChange, Genesis, Liquidity, OrderId, OrderType, PaymentId,
    PaymentStatus, Reason, SelfTradePrevention, Side, Symbol, Tick, TimeInForce, TradeId, TransferDirection, kinds,
};

/// Where the outcome of a command is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The ingress instance that asked.
    pub instance: String,
    /// The partition of `replies` that it reads.
    pub partition: i32,
}

/// What every command of a client or an operator carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandMeta {
    /// Names the command.
    pub command_id: CommandId,
    /// Where the outcome goes; nowhere when nobody waits.
    pub reply_to: Option<ReplyTo>,
    /// A command whose record is appended later than this (microseconds since the epoch) does nothing.
    pub deadline_us: i64,
}

crate::vocabulary! {
    /// How far an order must have come before its client is answered.
    AckMode {
        /// The book has answered.
        Worked,
        /// The reservation stands.
        Accepted,
    }
}

/// A client places an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceOrder {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account that trades.
    pub account_id: AccountId,
    /// The client's own id of the order: its idempotency key, 1 to 64 printable ASCII characters.
    pub client_order_id: String,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, stop or stop-limit.
    pub order_type: OrderType,
    /// Shares.
    pub quantity: i64,
    /// Limit price; none for market and stop.
    pub price_cents: Option<i64>,
    /// Trigger of a stop or stop-limit.
    pub stop_price_cents: Option<i64>,
    /// The worst price that a market order may trade at, stamped by the ingress from the reference price.
    pub collar_price_cents: Option<i64>,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take liquidity.
    pub post_only: bool,
    /// Shares shown of an iceberg order.
    pub display_quantity: Option<i64>,
    /// What gives way when it would trade with the account's own order.
    pub self_trade_prevention: SelfTradePrevention,
    /// When the client is answered.
    pub ack_mode: AckMode,
}

/// A client cancels an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account that asks; somebody else's order is not found.
    pub account_id: AccountId,
    /// The order.
    pub order_id: OrderId,
    /// The version of the order that the client knows, if it cares.
    pub client_version: Option<i32>,
    /// The client's idempotency key of this command.
    pub idempotency_key: Option<String>,
}

/// A client changes the terms of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaceOrder {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account that asks.
    pub account_id: AccountId,
    /// The order.
    pub order_id: OrderId,
    /// The version of the order that the client knows.
    pub client_version: i32,
    /// New limit price, if it changes.
    pub price_cents: Option<i64>,
    /// New total quantity (including what has traded), if it changes.
    pub quantity: Option<i64>,
    /// New time in force, if it changes.
    pub time_in_force: Option<TimeInForce>,
    /// The client's idempotency key of this command.
    pub idempotency_key: Option<String>,
}

/// Cancels all open orders of an account, or those of one symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelAllOrders {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// Only this symbol, if given.
    pub symbol: Option<Symbol>,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
}

/// Engages or lifts the kill switch: cancel all, refuse new orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKillSwitch {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// True engages, false lifts.
    pub engaged: bool,
    /// The operator's client id, when it is not the client's own doing.
    pub operator: Option<String>,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
}

/// A client pays money in or takes it out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestPayment {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// The client's idempotency key, 1 to 64 printable ASCII characters.
    pub idempotency_key: String,
    /// The amount, more than 0.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
}

/// The payment provider's last word. Results come in any order and more than once; only the first
/// changes anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentResult {
    /// The account.
    pub account_id: AccountId,
    /// The deposit or withdrawal.
    pub payment_id: PaymentId,
    /// `SETTLED`, or `FAILED` on a definite refusal.
    pub outcome: PaymentStatus,
    /// The provider's own reference.
    pub provider_reference: Option<String>,
}

/// An operator moves shares from or to another custodian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferShares {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// The instrument.
    pub symbol: Symbol,
    /// Shares, more than 0.
    pub quantity: i64,
    /// In or out.
    pub direction: TransferDirection,
    /// Cost basis per share of shares that arrive; 0 when not given.
    pub price_cents: Option<i64>,
}

/// The trading limits of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    /// Shares of one order.
    pub order_quantity_max: i64,
    /// Notional of one order.
    pub order_notional_cents_max: i64,
    /// Open orders.
    pub open_orders_max: i32,
}

/// An operator sets the limits of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLimits {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// The new limits.
    pub limits: AccountLimits,
}

/// An operator corrects the cash or one position of an account, with a posting of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdjustBalance {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// The instrument whose position is corrected; none for cash.
    pub symbol: Option<Symbol>,
    /// By how much: cents of cash or shares of the symbol, signed, not 0 unless the cost changes.
    pub amount: i64,
    /// By how much the cost of the position changes, signed; 0 for cash.
    pub cost_cents: i64,
    /// Why, in the operator's words.
    pub note: String,
}

/// An operator lets a frozen account go on, once everything of it is as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThawAccount {
    /// Identity, reply address, deadline.
    pub meta: CommandMeta,
    /// The account.
    pub account_id: AccountId,
    /// The operator's client id.
    pub operator: String,
    /// The idempotency key of this command.
    pub idempotency_key: Option<String>,
    /// Why, in the operator's words.
    pub note: String,
}

/// The identity outbox says whether an account may trade; only a higher version counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountStatus {
    /// The account.
    pub account_id: AccountId,
    /// The state.
    pub state: AccountState,
    /// Counts the changes of this account's state, from 1.
    pub version: i64,
}

/// One side of a trade, from the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// The owner.
    pub account_id: AccountId,
    /// The order.
    pub order_id: OrderId,
    /// The trade.
    pub trade_id: TradeId,
    /// The instrument.
    pub symbol: Symbol,
    /// The order's side.
    pub side: Side,
    /// Price per share: the resting order's, or the auction's.
    pub price_cents: i64,
    /// Shares.
    pub quantity: i64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// Shares of the order that are left after this fill.
    pub leaves_quantity: i64,
    /// The matcher's machine time of the trade, microseconds since the epoch.
    pub executed_us: i64,
}

/// The book's answer to a command: exactly one per command, after the fills that it caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandDone {
    /// The owner.
    pub account_id: AccountId,
    /// The command.
    pub command_id: CommandId,
    /// The order.
    pub order_id: OrderId,
    /// The instrument.
    pub symbol: Symbol,
    /// What the book did.
    pub status: BookStatus,
    /// Why, unless it simply worked.
    pub reason: Option<Reason>,
    /// Shares left in the book (working), or left unfilled (ended).
    pub leaves_quantity: i64,
}

/// A stop was triggered and is now a market or limit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderTriggered {
    /// The owner.
    pub account_id: AccountId,
    /// The order.
    pub order_id: OrderId,
    /// The instrument.
    pub symbol: Symbol,
    /// The trade price that triggered it.
    pub last_price_cents: i64,
}

/// An order ended neither by a full fill nor by its own `CommandDone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEnded {
    /// The owner.
    pub account_id: AccountId,
    /// The order.
    pub order_id: OrderId,
    /// The instrument.
    pub symbol: Symbol,
    /// Expiry, delisting, self-trade of a resting order, freeze, the end of a stop after its trigger or
    /// of a market order after its auction.
    pub cause: Reason,
    /// Shares left unfilled.
    pub leaves_quantity: i64,
}

/// A book partition has written its last fill and expiry of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayClosed {
    /// The day that ended, in days since the epoch.
    pub day: i32,
    /// The book partition that says so.
    pub book_partition: i32,
}

kinds! {
    /// A record of `account-commands`.
    AccountCommand, AccountCommandKind {
        /// Offset 0.
        genesis: Genesis(Genesis),
        /// A new configuration.
        config: Config(ConfigChange),
        /// The clock.
        tick: Tick(Tick),
        /// A client places an order.
        place_order: PlaceOrder(PlaceOrder),
        /// A client cancels an order.
        cancel_order: CancelOrder(CancelOrder),
        /// A client changes an order.
        replace_order: ReplaceOrder(ReplaceOrder),
        /// A client or operator cancels all orders.
        cancel_all_orders: CancelAllOrders(CancelAllOrders),
        /// The kill switch.
        set_kill_switch: SetKillSwitch(SetKillSwitch),
        /// A client deposits.
        deposit: Deposit(RequestPayment),
        /// A client withdraws.
        withdraw: Withdraw(RequestPayment),
        /// The payment provider's answer.
        payment_result: PaymentResult(PaymentResult),
        /// An operator transfers shares.
        transfer_shares: TransferShares(TransferShares),
        /// An operator sets limits.
        set_limits: SetLimits(SetLimits),
        /// The identity outbox.
        account_status: AccountStatus(AccountStatus),
        /// A trade of one of the account's orders.
        fill: Fill(Fill),
        /// The book's answer.
        command_done: CommandDone(CommandDone),
        /// A stop was triggered.
        order_triggered: OrderTriggered(OrderTriggered),
        /// An order ended by itself.
        order_ended: OrderEnded(OrderEnded),
        /// The end of a day of one book partition.
        day_closed: DayClosed(DayClosed),
        /// An operator corrects cash or a position.
        adjust_balance: AdjustBalance(AdjustBalance),
        /// An operator lets a frozen account go on.
        thaw_account: ThawAccount(ThawAccount),
    }
}
