-- A request of an operator that acts on several things remembers, with its key, what they were.

ALTER TABLE operator_audit ADD COLUMN idempotency_key text;
CREATE INDEX operator_audit_of_key ON operator_audit (operator, idempotency_key) WHERE idempotency_key IS NOT NULL;

COMMENT ON COLUMN operator_audit.idempotency_key IS 'The header Idempotency-Key of the request.';
COMMENT ON COLUMN operator_audit.outcome IS 'done, partly_done, pending (no answer in time), or the code of the refusal; null while it runs, and when the ingress stopped in between.';
