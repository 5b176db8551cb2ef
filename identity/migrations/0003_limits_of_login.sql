-- Wrong passwords count by the network of the address; refused tries are summed up.

ALTER TABLE login_attempts
    ADD COLUMN network text,
    ADD COLUMN refused bigint NOT NULL DEFAULT 0 CHECK (refused >= 0);

DROP INDEX login_attempts_wrong_of_address;
CREATE INDEX login_attempts_wrong_of_network ON login_attempts (network, attempted_at) WHERE outcome = 'WRONG_CREDENTIALS';
CREATE INDEX login_attempts_wrong_of_pair ON login_attempts (email_key, network, attempted_at) WHERE outcome = 'WRONG_CREDENTIALS';
CREATE INDEX login_attempts_by_age ON login_attempts (attempted_at);

COMMENT ON TABLE login_attempts IS 'The audit of tries to log in, and what limits wrong tries. Of tries beyond a limit it keeps the first of a window and how many followed. Rows go after the time that is configured.';
COMMENT ON COLUMN login_attempts.address IS 'The whole address.';
COMMENT ON COLUMN login_attempts.network IS 'What limits count by: an IPv4 address, or the first address of the /64 of an IPv6 address.';
COMMENT ON COLUMN login_attempts.refused IS 'Of an outcome LIMITED: how many further tries the same limit refused within the window.';

CREATE TABLE known_addresses (
    email_key      text NOT NULL,
    network        text NOT NULL,
    last_login_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (email_key, network)
);
CREATE INDEX known_addresses_by_age ON known_addresses (last_login_at);

COMMENT ON TABLE known_addresses IS 'From where clients have logged in: wrong passwords that others try elsewhere do not delay them there. By e-mail, so that a look takes as long for one that does not exist.';
COMMENT ON COLUMN known_addresses.last_login_at IS 'Of the last log-in, to the hour; rows go when it is long ago.';

-- Tokens that have expired are deleted by age.
CREATE INDEX revoked_tokens_by_end ON revoked_tokens (expires_at);
