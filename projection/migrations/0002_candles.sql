-- Candles, from the records of market-data. That topic is kept for a time only: rows that are older than
-- the topic stay until the schema is dropped, and a refold does not bring them back.

CREATE TABLE projection.candles (
    symbol text NOT NULL,
    interval text NOT NULL CHECK (interval IN ('SECOND', 'MINUTE', 'FIVE_MINUTES', 'HOUR', 'DAY')),
    start_us bigint NOT NULL,
    open_cents bigint NOT NULL,
    high_cents bigint NOT NULL,
    low_cents bigint NOT NULL CHECK (low_cents > 0),
    close_cents bigint NOT NULL,
    volume bigint NOT NULL CHECK (volume > 0),
    trade_count bigint NOT NULL CHECK (trade_count > 0),
    closed boolean NOT NULL,
    PRIMARY KEY (symbol, interval, start_us),
    CONSTRAINT candles_prices CHECK (
        high_cents >= low_cents
        AND open_cents BETWEEN low_cents AND high_cents
        AND close_cents BETWEEN low_cents AND high_cents
    )
) WITH (fillfactor = 80);
COMMENT ON TABLE projection.candles IS 'What traded in each interval of the matcher''s machine time, as its last record says.';
COMMENT ON COLUMN projection.candles.interval IS 'CandleInterval of the schema.';
COMMENT ON COLUMN projection.candles.start_us IS 'Where it begins: a multiple of the interval; a day begins at 00:00 UTC.';
COMMENT ON COLUMN projection.candles.volume IS 'Shares traded.';
COMMENT ON COLUMN projection.candles.closed IS 'Whether its time is over; otherwise it is still growing.';
