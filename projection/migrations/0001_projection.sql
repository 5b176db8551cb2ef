-- The projection of account-events, trades and auth. Every row follows from the logs alone: the
-- schema may be dropped and refolded at any time (`brokerx-settlement project --rebuild`).
-- Enums are stored as the symbols of the Avro enums. Money is integer cents, a quantity is whole
-- shares, times are microseconds since the epoch. The CHECK constraints are a net under the
-- account machine, not the place where rules are decided: nothing that a client sends can trip
-- them, hence the exceptions for what was refused and for frozen accounts.

CREATE SCHEMA IF NOT EXISTS projection;
COMMENT ON SCHEMA projection IS 'What the logs say, in rows; rebuildable, never a source of truth.';

CREATE TABLE projection.log_positions (
    topic text NOT NULL,
    partition integer NOT NULL CHECK (partition >= 0),
    position bigint NOT NULL CHECK (position >= 0),
    PRIMARY KEY (topic, partition)
);
COMMENT ON TABLE projection.log_positions IS 'How far each partition is projected; written in the transaction of the rows.';
COMMENT ON COLUMN projection.log_positions.position IS 'The next offset to project: everything below it is in the rows.';

CREATE TABLE projection.log_sources (
    topic text NOT NULL,
    partition integer NOT NULL CHECK (partition >= 0),
    source text NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    PRIMARY KEY (topic, partition, source)
);
COMMENT ON TABLE projection.log_sources IS 'The last number projected of each worker that writes to a partition: duplicates and records behind a hole are told by it.';
COMMENT ON COLUMN projection.log_sources.source IS 'The writer''s inbox, topic-partition: the header src.';
COMMENT ON COLUMN projection.log_sources.seq IS 'The header seq of the last record that was projected.';

CREATE TABLE projection.accounts (
    account_id bigint PRIMARY KEY,
    account_seq bigint NOT NULL CHECK (account_seq > 0),
    state text NOT NULL CHECK (state IN ('PENDING', 'ACTIVE', 'SUSPENDED', 'REJECTED')),
    status_version bigint NOT NULL CHECK (status_version >= 0),
    kill_switch boolean NOT NULL,
    frozen boolean NOT NULL,
    balance_cents bigint NOT NULL,
    reserved_cents bigint NOT NULL,
    updated_us bigint NOT NULL,
    CONSTRAINT accounts_cash CHECK (frozen OR (balance_cents >= 0 AND reserved_cents BETWEEN 0 AND balance_cents))
) WITH (fillfactor = 70);
COMMENT ON TABLE projection.accounts IS 'Trading accounts as they stand after their last event.';
COMMENT ON COLUMN projection.accounts.account_seq IS 'The last event that is projected: compared with the consistency token of a read.';
COMMENT ON COLUMN projection.accounts.status_version IS 'Version of the state, from the identity outbox; 0 before the first.';
COMMENT ON COLUMN projection.accounts.frozen IS 'A broken invariant froze the account; its fills are still booked, whatever they lead to.';
COMMENT ON COLUMN projection.accounts.balance_cents IS 'All cash; available is balance less reserved.';
COMMENT ON COLUMN projection.accounts.reserved_cents IS 'Cash reserved for open buy orders and pending withdrawals.';
COMMENT ON COLUMN projection.accounts.updated_us IS 'Machine time of the last event.';

CREATE TABLE projection.positions (
    account_id bigint NOT NULL,
    symbol text NOT NULL,
    quantity bigint NOT NULL,
    reserved_quantity bigint NOT NULL,
    cost_cents bigint NOT NULL,
    account_seq bigint NOT NULL,
    frozen boolean NOT NULL,
    PRIMARY KEY (account_id, symbol),
    CONSTRAINT positions_shares CHECK (frozen OR (quantity >= 0 AND reserved_quantity BETWEEN 0 AND quantity AND cost_cents >= 0))
) WITH (fillfactor = 70);
COMMENT ON TABLE projection.positions IS 'Shares held, per account and symbol; a row stays at 0 after the last share is sold.';
COMMENT ON COLUMN projection.positions.reserved_quantity IS 'Shares reserved for open sell orders.';
COMMENT ON COLUMN projection.positions.cost_cents IS 'Total cost of the shares held, without fees; the average price is this by quantity.';
COMMENT ON COLUMN projection.positions.account_seq IS 'The event that last changed the position.';
COMMENT ON COLUMN projection.positions.frozen IS 'The account was frozen when the position last changed.';

CREATE TABLE projection.orders (
    order_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    client_order_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    order_type text NOT NULL CHECK (order_type IN ('LIMIT', 'MARKET', 'STOP', 'STOP_LIMIT')),
    quantity bigint NOT NULL,
    price_cents bigint,
    stop_price_cents bigint,
    collar_price_cents bigint,
    time_in_force text NOT NULL CHECK (time_in_force IN ('DAY', 'GTC', 'IOC', 'FOK')),
    post_only boolean NOT NULL,
    display_quantity bigint,
    self_trade_prevention text NOT NULL CHECK (self_trade_prevention IN ('CANCEL_INCOMING', 'CANCEL_RESTING', 'CANCEL_BOTH')),
    status text NOT NULL CHECK (status IN ('PENDING', 'ACCEPTED', 'WORKING', 'PARTIALLY_FILLED', 'FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED')),
    reason text,
    version integer NOT NULL,
    event_seq integer NOT NULL,
    filled_quantity bigint NOT NULL CHECK (filled_quantity >= 0),
    filled_notional_cents bigint NOT NULL CHECK (filled_notional_cents >= 0),
    fees_cents bigint NOT NULL CHECK (fees_cents >= 0),
    reserved_cents bigint NOT NULL CHECK (reserved_cents >= 0),
    reserved_quantity bigint NOT NULL CHECK (reserved_quantity >= 0),
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    CONSTRAINT orders_quantity CHECK (status = 'REJECTED' OR quantity > 0),
    CONSTRAINT orders_price CHECK (status = 'REJECTED' OR (coalesce(price_cents, 1) > 0 AND coalesce(stop_price_cents, 1) > 0 AND coalesce(collar_price_cents, 1) > 0))
) WITH (fillfactor = 80);
CREATE INDEX orders_by_account ON projection.orders (account_id, order_id DESC);
CREATE INDEX orders_by_client_id ON projection.orders (account_id, client_order_id, order_id DESC);
COMMENT ON TABLE projection.orders IS 'Orders as they stand, the rejected ones too.';
COMMENT ON COLUMN projection.orders.account_seq IS 'The event that last changed the order.';
COMMENT ON COLUMN projection.orders.client_order_id IS 'The client''s own id; may come again a day after the order''s end, the newest order counts.';
COMMENT ON COLUMN projection.orders.collar_price_cents IS 'The worst price that a market order or stop may trade at.';
COMMENT ON COLUMN projection.orders.reason IS 'Why it was refused or ended.';
COMMENT ON COLUMN projection.orders.version IS 'Counts changes of the terms, from 1.';
COMMENT ON COLUMN projection.orders.event_seq IS 'Counts everything that happened to the order, from 1.';
COMMENT ON COLUMN projection.orders.filled_notional_cents IS 'Sum of price x quantity of the executions.';
COMMENT ON COLUMN projection.orders.reserved_cents IS 'Cash still reserved for it (buy).';
COMMENT ON COLUMN projection.orders.reserved_quantity IS 'Shares still reserved for it (sell).';

CREATE TABLE projection.executions (
    order_id bigint NOT NULL,
    trade_id bigint NOT NULL,
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    price_cents bigint NOT NULL CHECK (price_cents > 0),
    quantity bigint NOT NULL CHECK (quantity > 0),
    fee_cents bigint NOT NULL CHECK (fee_cents >= 0),
    liquidity text NOT NULL CHECK (liquidity IN ('MAKER', 'TAKER')),
    executed_us bigint NOT NULL,
    PRIMARY KEY (order_id, trade_id)
);
COMMENT ON TABLE projection.executions IS 'Fills of orders: each trade appears once on each side.';
COMMENT ON COLUMN projection.executions.account_seq IS 'The event that booked the fill.';
COMMENT ON COLUMN projection.executions.executed_us IS 'The matcher''s time of the trade.';

CREATE TABLE projection.payments (
    payment_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    direction text NOT NULL CHECK (direction IN ('DEPOSIT', 'WITHDRAWAL')),
    amount_cents bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL CHECK (status IN ('PENDING', 'SETTLED', 'FAILED')),
    reason text,
    created_us bigint NOT NULL,
    updated_us bigint NOT NULL,
    CONSTRAINT payments_amount CHECK (status = 'FAILED' OR amount_cents > 0)
);
CREATE INDEX payments_by_account ON projection.payments (account_id, payment_id DESC);
COMMENT ON TABLE projection.payments IS 'Deposits and withdrawals as they stand.';
COMMENT ON COLUMN projection.payments.account_seq IS 'The event that last changed the payment.';
COMMENT ON COLUMN projection.payments.reason IS 'Why it failed.';

CREATE TABLE projection.transfers (
    transfer_id bigint PRIMARY KEY,
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    operator text NOT NULL,
    symbol text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    direction text NOT NULL CHECK (direction IN ('IN', 'OUT')),
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    created_us bigint NOT NULL
);
CREATE INDEX transfers_by_account ON projection.transfers (account_id, transfer_id DESC);
COMMENT ON TABLE projection.transfers IS 'Share transfers from and to other custodians.';
COMMENT ON COLUMN projection.transfers.operator IS 'Client id of the operator who ordered it.';
COMMENT ON COLUMN projection.transfers.price_cents IS 'Cost basis per share of shares that arrived.';

CREATE TABLE projection.account_events (
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL CHECK (account_seq > 0),
    kind text NOT NULL,
    order_id bigint,
    occurred_us bigint NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (account_id, account_seq)
);
COMMENT ON TABLE projection.account_events IS 'Every event of every account, whole; append-only.';
COMMENT ON COLUMN projection.account_events.account_seq IS 'Dense per account from 1: the private stream''s seq.';
COMMENT ON COLUMN projection.account_events.kind IS 'AccountEventKind of the schema.';
COMMENT ON COLUMN projection.account_events.order_id IS 'The order that the event is about.';
COMMENT ON COLUMN projection.account_events.body IS 'The event as JSON, with the field names of the Avro schema.';

CREATE TABLE projection.ledger_entries (
    account_id bigint NOT NULL,
    account_seq bigint NOT NULL,
    line integer NOT NULL CHECK (line > 0),
    ledger_account text NOT NULL CHECK (ledger_account IN ('CLIENT', 'FEES', 'CLEARING', 'PROVIDER', 'CUSTODIAN')),
    asset text NOT NULL,
    amount bigint NOT NULL,
    occurred_us bigint NOT NULL,
    PRIMARY KEY (account_id, account_seq, line)
);
COMMENT ON TABLE projection.ledger_entries IS 'The double-entry ledger: a row per posting, each event sums to zero per asset; append-only.';
COMMENT ON COLUMN projection.ledger_entries.account_id IS 'The client account of the event; house lines name the account whose event caused them.';
COMMENT ON COLUMN projection.ledger_entries.line IS 'Place of the posting in its event, from 1.';
COMMENT ON COLUMN projection.ledger_entries.ledger_account IS 'CLIENT, or the house account: FEES, CLEARING, PROVIDER, CUSTODIAN.';
COMMENT ON COLUMN projection.ledger_entries.asset IS 'A currency, or a symbol.';
COMMENT ON COLUMN projection.ledger_entries.amount IS 'Signed: cents of a currency, shares of a symbol.';

CREATE TABLE projection.trades (
    trade_id bigint PRIMARY KEY,
    symbol text NOT NULL,
    price_cents bigint NOT NULL CHECK (price_cents > 0),
    quantity bigint NOT NULL CHECK (quantity > 0),
    taker_side text NOT NULL CHECK (taker_side IN ('BUY', 'SELL')),
    taker_order_id bigint NOT NULL,
    taker_account_id bigint NOT NULL,
    maker_order_id bigint NOT NULL,
    maker_account_id bigint NOT NULL,
    sequence bigint NOT NULL,
    executed_us bigint NOT NULL
);
CREATE INDEX trades_by_symbol ON projection.trades (symbol, trade_id DESC);
COMMENT ON TABLE projection.trades IS 'Trades as the matcher wrote them.';
COMMENT ON COLUMN projection.trades.sequence IS 'The sequence of the book change that the trade is part of.';
COMMENT ON COLUMN projection.trades.executed_us IS 'The matcher''s machine time.';

CREATE TABLE projection.auth_events (
    event_id bigint PRIMARY KEY,
    kind text NOT NULL,
    client_id text,
    account_id bigint,
    occurred_us bigint NOT NULL,
    body jsonb NOT NULL
);
CREATE INDEX auth_events_by_client ON projection.auth_events (client_id, event_id DESC);
COMMENT ON TABLE projection.auth_events IS 'The audit of identities: what happened to clients; no secret and no personal data.';
COMMENT ON COLUMN projection.auth_events.event_id IS 'The outbox row; the relay may write a record twice, the first counts.';
COMMENT ON COLUMN projection.auth_events.kind IS 'AuthEventKind of the schema.';

CREATE FUNCTION projection.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%.% is append-only', TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation', HINT = 'A correction is a new entry.';
END
$$;
COMMENT ON FUNCTION projection.refuse_change() IS 'Refuses every statement that it is a trigger of.';

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON projection.ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION projection.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON projection.account_events
    FOR EACH STATEMENT EXECUTE FUNCTION projection.refuse_change();
