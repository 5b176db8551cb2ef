//! `account-events`: what happened to each account, dense per account. Key: the account id in decimal.

use serde::{Deserialize, Serialize};

use crate::{
    AccountId, AccountLimits, AccountState, CommandId, Liquidity, OrderId, OrderStatus, OrderType, PaymentDirection,
    PaymentId, PaymentStatus, Reason, Refusal, SelfTradePrevention, Side, Symbol, TimeInForce, TradeId,
    TransferDirection, TransferId,
};

crate::vocabulary! {
    /// What happened.
    AccountEventKind {
        /// An order was refused, by settlement or by the book.
        OrderRejected,
        /// Settlement reserved for an order and forwarded it.
        OrderAccepted,
        /// The book holds the order, or a refused command left it as it was.
        OrderWorking,
        /// A trade.
        OrderExecuted,
        /// A cancel was forwarded to the book.
        OrderCancelRequested,
        /// The order ended before all of it had traded.
        OrderCancelled,
        /// The order ended with its session.
        OrderExpired,
        /// The book confirmed the full fill.
        OrderFilled,
        /// Settlement reserved for new terms and forwarded them.
        OrderReplaceRequested,
        /// The new terms stand.
        OrderReplaced,
        /// The book refused the new terms; the old stand.
        OrderReplaceRejected,
        /// A stop was triggered.
        OrderTriggered,
        /// A command was refused and changed nothing.
        CommandRefused,
        /// A deposit or withdrawal waits for the provider.
        PaymentPending,
        /// A deposit or withdrawal settled.
        PaymentSettled,
        /// A deposit or withdrawal failed.
        PaymentFailed,
        /// Shares came from or went to another custodian.
        SharesTransferred,
        /// The account may, or may no longer, trade.
        StatusChanged,
        /// The limits changed.
        LimitsChanged,
        /// The kill switch was engaged or lifted.
        KillSwitchChanged,
        /// Somebody asked to cancel all orders.
        CancelAllRequested,
        /// A day closed.
        DayClosed,
        /// A broken invariant froze the account.
        Frozen,
        /// An operator corrected cash or a position.
        BalanceAdjusted,
        /// An operator let a frozen account go on.
        Thawed,
    }
}

/// An order, whole, as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderView {
    /// The order.
    pub order_id: OrderId,
    /// The owner.
    pub account_id: AccountId,
    /// The client's own id.
    pub client_order_id: String,
    /// The instrument.
    pub symbol: Symbol,
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, stop or stop-limit.
    pub order_type: OrderType,
    /// Total shares.
    pub quantity: i64,
    /// Limit price.
    pub price_cents: Option<i64>,
    /// Trigger.
    pub stop_price_cents: Option<i64>,
    /// The worst price that a market order or stop may trade at.
    pub collar_price_cents: Option<i64>,
    /// How long it stays.
    pub time_in_force: TimeInForce,
    /// Refuse rather than take liquidity.
    pub post_only: bool,
    /// Shares shown.
    pub display_quantity: Option<i64>,
    /// What gives way to prevent a self-trade.
    pub self_trade_prevention: SelfTradePrevention,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was refused or ended.
    pub reason: Option<Reason>,
    /// Counts changes of the terms: 1 when accepted, one more with each replace.
    pub version: i32,
    /// Counts everything that happened to the order, from 1.
    pub event_seq: i32,
    /// Shares traded.
    pub filled_quantity: i64,
    /// Sum of price x quantity of its executions; the average price is this divided by `filled_quantity`.
    pub filled_notional_cents: i64,
    /// Fees so far.
    pub fees_cents: i64,
    /// Cash still reserved for it (buy).
    pub reserved_cents: i64,
    /// Shares still reserved for it (sell).
    pub reserved_quantity: i64,
    /// When it was placed: machine time, microseconds since the epoch.
    pub created_us: i64,
    /// When it last changed.
    pub updated_us: i64,
}

/// One fill of an order, with its fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The trade.
    pub trade_id: TradeId,
    /// Price per share.
    pub price_cents: i64,
    /// Shares.
    pub quantity: i64,
    /// The fee of this execution: by how much it raised the order's cumulative fee.
    pub fee_cents: i64,
    /// Maker or taker.
    pub liquidity: Liquidity,
    /// The matcher's time of the trade.
    pub executed_us: i64,
}

/// A deposit or withdrawal as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// The deposit or withdrawal.
    pub payment_id: PaymentId,
    /// Which of the two.
    pub direction: PaymentDirection,
    /// The amount, more than 0.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Why it failed.
    pub reason: Option<Reason>,
    /// When it was asked for.
    pub created_us: i64,
    /// When it last changed.
    pub updated_us: i64,
}

/// A share transfer that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferView {
    /// The transfer.
    pub transfer_id: TransferId,
    /// The account.
    pub account_id: AccountId,
    /// The operator's client id.
    pub operator: String,
    /// The instrument.
    pub symbol: Symbol,
    /// Shares.
    pub quantity: i64,
    /// In or out.
    pub direction: TransferDirection,
    /// Cost basis per share of shares that arrived.
    pub price_cents: i64,
    /// When.
    pub created_us: i64,
}

/// What an operator did to an account by hand, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervention {
    /// The operator's client id.
    pub operator: String,
    /// Why, in the operator's words.
    pub note: String,
    /// The instrument whose position was corrected; none for cash and for a thaw.
    pub symbol: Option<Symbol>,
    /// By how much: cents of cash or shares of the symbol, signed; 0 for a thaw.
    pub amount: i64,
    /// By how much the cost of the position changed, signed.
    pub cost_cents: i64,
}

/// The account's status as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The state.
    pub state: AccountState,
    /// Its version.
    pub version: i64,
    /// Whether the kill switch is engaged.
    pub kill_switch: bool,
}

/// The account's cash after the event. Available is balance less reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CashView {
    /// Everything.
    pub balance_cents: i64,
    /// Reserved for open buy orders and pending withdrawals.
    pub reserved_cents: i64,
}

/// One position after the event. Available is quantity less reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionView {
    /// The instrument.
    pub symbol: Symbol,
    /// Shares held.
    pub quantity: i64,
    /// Shares reserved for open sell orders.
    pub reserved_quantity: i64,
    /// Total cost of the shares held, without fees.
    pub cost_cents: i64,
}

crate::vocabulary! {
    /// Whose side of the ledger a posting is on. All but the first are house accounts.
    LedgerAccount {
        /// The client of the event.
        Client,
        /// Fees earned.
        Fees,
        /// The counter side of trades; sums to zero per asset over all partitions.
        Clearing,
        /// Money with the payment provider.
        Provider,
        /// Shares with other custodians.
        Custodian,
        /// The counter side of what operators corrected.
        Corrections,
    }
}

/// One line of double entry. The postings of an event sum to zero per asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    /// Whose side.
    pub ledger_account: LedgerAccount,
    /// The currency, or the symbol.
    pub asset: String,
    /// Signed: cents of a currency, shares of a symbol.
    pub amount: i64,
}

/// One event of one account: everything that changed, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEvent {
    /// The account.
    pub account_id: AccountId,
    /// Dense per account from 1: the private stream's `seq`, the projection's key, the consistency token.
    pub account_seq: i64,
    /// What happened.
    pub kind: AccountEventKind,
    /// The logic version of settlement that made this event.
    pub logic_version: i32,
    /// The client's or operator's command that led here, where there is one.
    pub command_id: Option<CommandId>,
    /// Machine time, microseconds since the epoch.
    pub occurred_us: i64,
    /// The order after the event.
    pub order: Option<OrderView>,
    /// The execution, for `ORDER_EXECUTED`.
    pub execution: Option<Execution>,
    /// The deposit or withdrawal after the event.
    pub payment: Option<PaymentView>,
    /// The transfer.
    pub transfer: Option<TransferView>,
    /// The account's status after the event.
    pub status: Option<StatusView>,
    /// The limits after the event.
    pub limits: Option<AccountLimits>,
    /// Why, for `COMMAND_REFUSED`.
    pub refusal: Option<Refusal>,
    /// The day that closed, in days since the epoch.
    pub closed_day: Option<i32>,
    /// The cash, when the event changed it.
    pub cash: Option<CashView>,
    /// The positions that the event changed.
    #[serde(default)]
    pub positions: Vec<PositionView>,
    /// The double entry.
    #[serde(default)]
    pub postings: Vec<Posting>,
    /// What an operator did by hand, for `BALANCE_ADJUSTED` and `THAWED`.
    #[serde(default)]
    pub intervention: Option<Intervention>,
}
