-- Records without an account whose rows PostgreSQL refuses for good: they are not applied, and the others go on.

CREATE TABLE projection.set_aside_records (
    topic text NOT NULL,
    partition integer NOT NULL,
    record_offset bigint NOT NULL,
    subject text NOT NULL,
    reason text NOT NULL,
    body text NOT NULL,
    follows boolean NOT NULL,
    PRIMARY KEY (topic, partition, record_offset, subject)
);
COMMENT ON TABLE projection.set_aside_records IS 'Rows of trades, auth and candles that were refused; docs/operations.md says what to do.';
COMMENT ON COLUMN projection.set_aside_records.record_offset IS 'The record that they come from.';
COMMENT ON COLUMN projection.set_aside_records.subject IS 'What the row is about: a trade, an identity event, a candle.';
COMMENT ON COLUMN projection.set_aside_records.reason IS 'Why PostgreSQL refused it.';
COMMENT ON COLUMN projection.set_aside_records.body IS 'What it says, as JSON; text, so that nothing in it can be refused.';
COMMENT ON COLUMN projection.set_aside_records.follows IS 'Whether a later record says how the same thing stands: then nothing is missing.';
