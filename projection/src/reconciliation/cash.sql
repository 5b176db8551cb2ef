-- All cash is US dollars; every other asset is a symbol.
SELECT account_id, coalesce(posted.cents, 0), coalesce(held.cents, 0)
FROM (SELECT account_id, balance_cents AS cents FROM projection.accounts) AS held
FULL JOIN (
    SELECT account_id, sum(amount) AS cents
    FROM projection.ledger_entries
    WHERE ledger_account = 'CLIENT' AND asset = 'USD'
    GROUP BY account_id
) AS posted USING (account_id)
WHERE coalesce(posted.cents, 0) <> coalesce(held.cents, 0)
