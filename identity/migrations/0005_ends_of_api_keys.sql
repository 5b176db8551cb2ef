-- API keys end, and what was taken back stays visible.

ALTER TABLE api_keys
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN revoked_at timestamptz;
-- Keys from before have the time that a new one has by default.
UPDATE api_keys SET expires_at = now() + interval '90 days';
ALTER TABLE api_keys ALTER COLUMN expires_at SET NOT NULL;

COMMENT ON TABLE api_keys IS 'Keys for the header X-API-Key; shown once, stored as a hash. Rows go some time after the key has ended.';
COMMENT ON COLUMN api_keys.expires_at IS 'From then on the key is refused.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was taken back; from then on it is refused.';
