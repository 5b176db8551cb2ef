-- The subject names the event and the asset.
SELECT account_id || ':' || account_seq || ' ' || asset, 0, sum(amount)
FROM projection.ledger_entries
GROUP BY account_id, account_seq, asset
HAVING sum(amount) <> 0
