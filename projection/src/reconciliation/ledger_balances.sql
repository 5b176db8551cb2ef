SELECT asset, 0, sum(amount)
FROM projection.ledger_entries
GROUP BY asset
HAVING sum(amount) <> 0
