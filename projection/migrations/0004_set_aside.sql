-- Accounts one of whose events contradicts what is projected: it is not applied, and the others go on.

CREATE TABLE projection.set_aside (
    account_id bigint PRIMARY KEY,
    account_seq bigint NOT NULL,
    projected_seq bigint NOT NULL,
    reason text NOT NULL,
    events bigint NOT NULL CHECK (events > 0),
    body jsonb NOT NULL,
    follows boolean NOT NULL
);
COMMENT ON TABLE projection.set_aside IS 'Accounts with events that contradict what is projected; docs/operations.md says what to do.';
COMMENT ON COLUMN projection.set_aside.account_seq IS 'The number of the first event that was set aside.';
COMMENT ON COLUMN projection.set_aside.projected_seq IS 'The last event that was projected before it.';
COMMENT ON COLUMN projection.set_aside.reason IS 'The contradiction.';
COMMENT ON COLUMN projection.set_aside.events IS 'Events that were set aside so far.';
COMMENT ON COLUMN projection.set_aside.body IS 'The first of them, whole.';
COMMENT ON COLUMN projection.set_aside.follows IS 'Whether later events follow on what is projected: then a stray record was left out, and nothing is missing.';
