-- The truth about who the clients are. Unlike the schema `projection` it cannot be rebuilt from a
-- topic: it is backed up and never dropped. Money and orders are not here.

CREATE TABLE clients (
    client_id       uuid PRIMARY KEY,
    email           text NOT NULL,
    email_key       text NOT NULL UNIQUE,
    password_hash   text,
    name            text NOT NULL,
    phone           text,
    date_of_birth   date,
    account_id      bigint UNIQUE,
    role            text NOT NULL CHECK (role IN ('client', 'operator')),
    status          text NOT NULL CHECK (status IN ('pending', 'active', 'suspended', 'rejected')),
    status_version  bigint NOT NULL DEFAULT 1 CHECK (status_version > 0),
    reminders_sent  smallint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT clients_have_an_account CHECK ((role = 'client') = (account_id IS NOT NULL)),
    CONSTRAINT clients_have_a_password CHECK (role = 'operator' OR password_hash IS NOT NULL),
    CONSTRAINT clients_account_is_positive CHECK (account_id > 0)
);
-- The reminder job looks for clients that never opened their link.
CREATE INDEX clients_pending ON clients (created_at) WHERE status = 'pending';

COMMENT ON TABLE clients IS 'Everybody who can authenticate: retail clients and operators.';
COMMENT ON COLUMN clients.client_id IS 'Random UUID, the subject of tokens.';
COMMENT ON COLUMN clients.email IS 'As the client wrote it; where mails go.';
COMMENT ON COLUMN clients.email_key IS 'Lower case; what is compared.';
COMMENT ON COLUMN clients.password_hash IS 'argon2id in PHC format; none for operators, who have API keys.';
COMMENT ON COLUMN clients.account_id IS 'The trading account, a random positive 63-bit number; none for operators.';
COMMENT ON COLUMN clients.status IS 'pending until the mailed link is opened; rejected when it never was.';
COMMENT ON COLUMN clients.status_version IS 'Counts the changes of status from 1; settlement applies only a higher one.';
COMMENT ON COLUMN clients.reminders_sent IS 'How many verification reminders went out.';

CREATE TABLE mails (
    mail_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id   uuid NOT NULL REFERENCES clients,
    purpose     text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL CHECK (expires_at = date_trunc('second', expires_at)),
    used_at     timestamptz
);
CREATE INDEX mails_of_client ON mails (client_id);

COMMENT ON TABLE mails IS 'Mails that were asked for. The notifier reads the address here and derives links and codes; no secret is stored.';
COMMENT ON COLUMN mails.purpose IS 'VERIFY_EMAIL or VERIFY_REMINDER; part of what a link signs.';
COMMENT ON COLUMN mails.expires_at IS 'When the link stops working; whole seconds, because the link carries Unix seconds.';
COMMENT ON COLUMN mails.used_at IS 'When the link was opened with success; a link works once.';

CREATE SEQUENCE outbox_event_ids;
CREATE TABLE outbox (
    event_id        bigint PRIMARY KEY,
    topic           text NOT NULL CHECK (topic IN ('auth', 'account-commands')),
    partition_key   text NOT NULL,
    payload         jsonb NOT NULL,
    correlation_id  text,
    created_at      timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE outbox IS 'What must reach Kafka, written in the transaction of the change that it tells of; deleted once Kafka has acknowledged it. Writers hold an advisory lock from the draw of the event id to their commit, so ids become visible in order.';
COMMENT ON COLUMN outbox.event_id IS 'Order of sending, and what consumers remove duplicates by.';
COMMENT ON COLUMN outbox.topic IS 'The topic.';
COMMENT ON COLUMN outbox.partition_key IS 'The record key: an account id in decimal, or a client id.';
COMMENT ON COLUMN outbox.payload IS 'An AuthEvent or an AccountCommand as JSON.';
COMMENT ON COLUMN outbox.correlation_id IS 'Of the request that caused it.';

CREATE TABLE api_keys (
    key_id        uuid PRIMARY KEY,
    client_id     uuid NOT NULL REFERENCES clients,
    name          text NOT NULL,
    key_hash      bytea NOT NULL UNIQUE CHECK (length(key_hash) = 32),
    scopes        text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'trade', 'funds', 'operate']),
    created_at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_keys_of_client ON api_keys (client_id);

COMMENT ON TABLE api_keys IS 'Keys for the header X-API-Key; shown once, stored as a hash, deleted to revoke.';
COMMENT ON COLUMN api_keys.name IS 'What the owner calls it.';
COMMENT ON COLUMN api_keys.key_hash IS 'SHA-256 of the key, which has 256 random bits.';
COMMENT ON COLUMN api_keys.scopes IS 'What the key may do: read, trade, funds; operate for operators.';

CREATE TABLE login_attempts (
    attempt_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email_key     text NOT NULL,
    client_id     uuid REFERENCES clients,
    address       text NOT NULL,
    user_agent    text,
    outcome       text NOT NULL,
    attempted_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX login_attempts_wrong_of_email ON login_attempts (email_key, attempted_at) WHERE outcome = 'WRONG_CREDENTIALS';
CREATE INDEX login_attempts_wrong_of_address ON login_attempts (address, attempted_at) WHERE outcome = 'WRONG_CREDENTIALS';

COMMENT ON TABLE login_attempts IS 'The audit of every try to log in, and what limits wrong tries.';
COMMENT ON COLUMN login_attempts.email_key IS 'As tried, lower case; it need not exist.';
COMMENT ON COLUMN login_attempts.outcome IS 'A symbol of LoginOutcome in the schema of auth.';

CREATE TABLE revoked_tokens (
    token_id    uuid PRIMARY KEY,
    client_id   uuid NOT NULL REFERENCES clients,
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz NOT NULL DEFAULT now()
);

COMMENT ON TABLE revoked_tokens IS 'Tokens that were logged out before their end; rows may go once expired.';

CREATE TABLE operator_audit (
    audit_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operator        uuid NOT NULL REFERENCES clients,
    action          text NOT NULL,
    target          text NOT NULL,
    request         jsonb NOT NULL,
    correlation_id  text NOT NULL,
    requested_at    timestamptz NOT NULL DEFAULT now(),
    outcome         text,
    finished_at     timestamptz
);

COMMENT ON TABLE operator_audit IS 'What operators did: written before the action, completed after it.';
COMMENT ON COLUMN operator_audit.target IS 'The symbol, account id or client id acted on.';
COMMENT ON COLUMN operator_audit.outcome IS 'done, pending (no answer in time), or the code of the refusal; null when the ingress stopped in between.';
