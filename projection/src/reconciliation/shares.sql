SELECT account_id || ' ' || symbol, coalesce(posted.shares, 0), coalesce(held.shares, 0)
FROM (SELECT account_id, symbol, quantity AS shares FROM projection.positions) AS held
FULL JOIN (
    SELECT account_id, asset AS symbol, sum(amount) AS shares
    FROM projection.ledger_entries
    WHERE ledger_account = 'CLIENT' AND asset <> 'USD'
    GROUP BY account_id, asset
) AS posted USING (account_id, symbol)
WHERE coalesce(posted.shares, 0) <> coalesce(held.shares, 0)
