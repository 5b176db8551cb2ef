//! The tables of the projection, and where each column comes from.

use brokerx_schemas::{
    AccountEvent, Candle, Execution, OrderView, PaymentView, PositionView, Posting, Trade, TransferView,
};

use super::account::Account;
use super::candles::CandleKey;
use super::rows::{JsonText, OnConflict, rows, symbol, text};

rows! {
    /// `accounts`.
    Accounts in "accounts", OnConflict::Replace("account_id"), from row: (i64, &Account) {
        account_id: i64 = row.0,
        account_seq: i64 = row.1.account_seq,
        state: String = row.1.state.clone(),
        status_version: i64 = row.1.status_version,
        kill_switch: bool = row.1.kill_switch,
        frozen: bool = row.1.frozen,
        balance_cents: i64 = row.1.balance_cents,
        reserved_cents: i64 = row.1.reserved_cents,
        updated_us: i64 = row.1.updated_us,
    }
}

/// A position and the event that changed it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) account_id: i64,
    pub(super) account_seq: i64,
    pub(super) frozen: bool,
    pub(super) view: PositionView,
}

rows! {
    /// `positions`.
    Positions in "positions", OnConflict::Replace("account_id, symbol"), from row: &Position {
        account_id: i64 = row.account_id,
        symbol: String = row.view.symbol.to_string(),
        quantity: i64 = row.view.quantity,
        reserved_quantity: i64 = row.view.reserved_quantity,
        cost_cents: i64 = row.view.cost_cents,
        account_seq: i64 = row.account_seq,
        frozen: bool = row.frozen,
    }
}

rows! {
    /// `orders`.
    Orders in "orders", OnConflict::Replace("order_id"), from row: (i64, &OrderView) {
        order_id: i64 = row.1.order_id.0,
        account_id: i64 = row.1.account_id.0,
        account_seq: i64 = row.0,
        client_order_id: String = text(&row.1.client_order_id),
        symbol: String = row.1.symbol.to_string(),
        side: String = symbol(&row.1.side),
        order_type: String = symbol(&row.1.order_type),
        quantity: i64 = row.1.quantity,
        price_cents: Option<i64> = row.1.price_cents,
        stop_price_cents: Option<i64> = row.1.stop_price_cents,
        collar_price_cents: Option<i64> = row.1.collar_price_cents,
        time_in_force: String = symbol(&row.1.time_in_force),
        post_only: bool = row.1.post_only,
        display_quantity: Option<i64> = row.1.display_quantity,
        self_trade_prevention: String = symbol(&row.1.self_trade_prevention),
        status: String = symbol(&row.1.status),
        reason: Option<String> = row.1.reason.as_ref().map(symbol),
        version: i32 = row.1.version,
        event_seq: i32 = row.1.event_seq,
        filled_quantity: i64 = row.1.filled_quantity,
        filled_notional_cents: i64 = row.1.filled_notional_cents,
        fees_cents: i64 = row.1.fees_cents,
        reserved_cents: i64 = row.1.reserved_cents,
        reserved_quantity: i64 = row.1.reserved_quantity,
        created_us: i64 = row.1.created_us,
        updated_us: i64 = row.1.updated_us,
    }
}

rows! {
    /// `executions`.
    Executions in "executions", OnConflict::Refuse, from row: (i64, &OrderView, &Execution) {
        order_id: i64 = row.1.order_id.0,
        trade_id: i64 = row.2.trade_id.0,
        account_id: i64 = row.1.account_id.0,
        account_seq: i64 = row.0,
        symbol: String = row.1.symbol.to_string(),
        side: String = symbol(&row.1.side),
        price_cents: i64 = row.2.price_cents,
        quantity: i64 = row.2.quantity,
        fee_cents: i64 = row.2.fee_cents,
        liquidity: String = symbol(&row.2.liquidity),
        executed_us: i64 = row.2.executed_us,
    }
}

/// A payment, its account and the event that changed it.
#[derive(Clone, Debug)]
pub(super) struct Payment<'a> {
    pub(super) account_id: i64,
    pub(super) account_seq: i64,
    pub(super) view: &'a PaymentView,
}

rows! {
    /// `payments`.
    Payments in "payments", OnConflict::Replace("payment_id"), from row: &Payment<'_> {
        payment_id: i64 = row.view.payment_id.0,
        account_id: i64 = row.account_id,
        account_seq: i64 = row.account_seq,
        direction: String = symbol(&row.view.direction),
        amount_cents: i64 = row.view.amount_cents,
        currency: String = text(&row.view.currency),
        status: String = symbol(&row.view.status),
        reason: Option<String> = row.view.reason.as_ref().map(symbol),
        created_us: i64 = row.view.created_us,
        updated_us: i64 = row.view.updated_us,
    }
}

rows! {
    /// `transfers`.
    Transfers in "transfers", OnConflict::Refuse, from row: (i64, &TransferView) {
        transfer_id: i64 = row.1.transfer_id.0,
        account_id: i64 = row.1.account_id.0,
        account_seq: i64 = row.0,
        operator: String = text(&row.1.operator),
        symbol: String = row.1.symbol.to_string(),
        quantity: i64 = row.1.quantity,
        direction: String = symbol(&row.1.direction),
        price_cents: i64 = row.1.price_cents,
        created_us: i64 = row.1.created_us,
    }
}

rows! {
    /// `account_events`.
    AccountEvents<'a> in "account_events", OnConflict::Refuse, from row: (&AccountEvent, &'a JsonText) {
        account_id: i64 = row.0.account_id.0,
        account_seq: i64 = row.0.account_seq,
        kind: String = symbol(&row.0.kind),
        order_id: Option<i64> = row.0.order.as_ref().map(|order| order.order_id.0),
        occurred_us: i64 = row.0.occurred_us,
        body: &'a JsonText = row.1,
    }
}

rows! {
    /// `ledger_entries`.
    LedgerEntries in "ledger_entries", OnConflict::Refuse, from row: (&AccountEvent, i32, &Posting) {
        account_id: i64 = row.0.account_id.0,
        account_seq: i64 = row.0.account_seq,
        line: i32 = row.1,
        ledger_account: String = symbol(&row.2.ledger_account),
        asset: String = text(&row.2.asset),
        amount: i64 = row.2.amount,
        occurred_us: i64 = row.0.occurred_us,
    }
}

rows! {
    /// `trades`.
    Trades in "trades", OnConflict::Keep("trade_id"), from row: &Trade {
        trade_id: i64 = row.trade_id.0,
        symbol: String = row.symbol.to_string(),
        price_cents: i64 = row.price_cents,
        quantity: i64 = row.quantity,
        taker_side: String = symbol(&row.taker_side),
        taker_order_id: i64 = row.taker_order_id.0,
        taker_account_id: i64 = row.taker_account_id.0,
        maker_order_id: i64 = row.maker_order_id.0,
        maker_account_id: i64 = row.maker_account_id.0,
        sequence: i64 = row.sequence,
        executed_us: i64 = row.executed_us,
    }
}

rows! {
    /// `candles`.
    Candles in "candles", OnConflict::Replace("symbol, interval, start_us"), from row: (&CandleKey, &Candle) {
        symbol: String = row.0.0.to_string(),
        interval: String = symbol(&row.0.1),
        start_us: i64 = row.0.2,
        open_cents: i64 = row.1.open_cents,
        high_cents: i64 = row.1.high_cents,
        low_cents: i64 = row.1.low_cents,
        close_cents: i64 = row.1.close_cents,
        volume: i64 = row.1.volume,
        trade_count: i64 = row.1.trade_count,
        closed: bool = row.1.closed,
    }
}

/// An identity event, taken apart.
#[derive(Clone, Debug)]
pub(super) struct Auth {
    pub(super) event_id: i64,
    pub(super) kind: String,
    pub(super) client_id: Option<String>,
    pub(super) account_id: Option<i64>,
    pub(super) occurred_us: i64,
    pub(super) body: JsonText,
}

rows! {
    /// `auth_events`.
    AuthEvents<'a> in "auth_events", OnConflict::Keep("event_id"), from row: &'a Auth {
        event_id: i64 = row.event_id,
        kind: &'a str = &row.kind,
        client_id: Option<&'a str> = row.client_id.as_deref(),
        account_id: Option<i64> = row.account_id,
        occurred_us: i64 = row.occurred_us,
        body: &'a JsonText = &row.body,
    }
}
