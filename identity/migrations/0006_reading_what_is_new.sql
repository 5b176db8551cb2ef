-- Each process asks once a second which tokens were revoked since it asked last, and which clients are suspended.

CREATE INDEX revoked_tokens_by_time ON revoked_tokens (revoked_at);
CREATE INDEX clients_suspended ON clients (client_id) WHERE status = 'suspended';

COMMENT ON COLUMN revoked_tokens.revoked_at IS 'The time of the database when it was logged out; what is new is found by it.';
