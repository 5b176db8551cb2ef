SELECT asset, 0, sum(amount)
FROM projection.ledger_entries
WHERE ledger_account = 'CLEARING'
GROUP BY asset
HAVING sum(amount) <> 0
