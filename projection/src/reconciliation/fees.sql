SELECT 'fees', charged.cents, earned.cents
FROM (SELECT coalesce(sum(fee_cents), 0) AS cents FROM projection.executions) AS charged,
    (SELECT coalesce(sum(amount), 0) AS cents FROM projection.ledger_entries WHERE ledger_account = 'FEES') AS earned
WHERE charged.cents <> earned.cents
