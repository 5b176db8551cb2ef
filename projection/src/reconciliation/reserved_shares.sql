SELECT account_id || ' ' || symbol, coalesce(reserved.shares, 0), coalesce(held.shares, 0)
FROM (SELECT account_id, symbol, reserved_quantity AS shares FROM projection.positions) AS held
FULL JOIN (
    SELECT account_id, symbol, sum(reserved_quantity) AS shares
    FROM projection.orders
    WHERE reserved_quantity <> 0
    GROUP BY account_id, symbol
) AS reserved USING (account_id, symbol)
WHERE coalesce(reserved.shares, 0) <> coalesce(held.shares, 0)
