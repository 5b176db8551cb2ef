SELECT account_id, coalesce(reserved.cents, 0), accounts.reserved_cents
FROM projection.accounts
LEFT JOIN (
    SELECT account_id, sum(cents) AS cents
    FROM (
        SELECT account_id, reserved_cents AS cents FROM projection.orders WHERE reserved_cents <> 0
        UNION ALL
        SELECT account_id, amount_cents FROM projection.payments
        WHERE direction = 'WITHDRAWAL' AND status = 'PENDING'
    ) AS parts
    GROUP BY account_id
) AS reserved USING (account_id)
WHERE coalesce(reserved.cents, 0) <> accounts.reserved_cents
