SELECT account_id, accounts.account_seq, coalesce(numbered.events, 0)
FROM projection.accounts
FULL JOIN (
    SELECT account_id, count(*) AS events, max(account_seq) AS last
    FROM projection.account_events
    GROUP BY account_id
) AS numbered USING (account_id)
WHERE (accounts.account_seq, accounts.account_seq) IS DISTINCT FROM (numbered.events, numbered.last)
