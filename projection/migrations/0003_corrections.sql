-- What operators correct by hand has a counter side of its own in the ledger.

ALTER TABLE projection.ledger_entries DROP CONSTRAINT ledger_entries_ledger_account_check;
ALTER TABLE projection.ledger_entries ADD CONSTRAINT ledger_entries_ledger_account_check
    CHECK (ledger_account IN ('CLIENT', 'FEES', 'CLEARING', 'PROVIDER', 'CUSTODIAN', 'CORRECTIONS'));
COMMENT ON COLUMN projection.ledger_entries.ledger_account IS 'CLIENT, or the house account: FEES, CLEARING, PROVIDER, CUSTODIAN, CORRECTIONS.';
