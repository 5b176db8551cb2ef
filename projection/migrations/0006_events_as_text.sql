-- An event is kept as it was written, not taken apart and sorted: it is read as a whole only, by its number, and
-- making jsonb of it was most of what an event cost. Fields without a value are left out.

ALTER TABLE projection.account_events ALTER COLUMN body TYPE json USING body::json;
COMMENT ON COLUMN projection.account_events.body IS 'The event as JSON, with the field names of the Avro schema; a field without a value is left out.';
