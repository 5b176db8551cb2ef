-- Both sides of every trade against the executions, as multisets.
WITH sides AS (
    SELECT trade_id, taker_order_id AS order_id, taker_account_id AS account_id, symbol, price_cents, quantity,
        taker_side AS side, 'TAKER' AS liquidity
    FROM projection.trades
    UNION ALL
    SELECT trade_id, maker_order_id, maker_account_id, symbol, price_cents, quantity,
        CASE taker_side WHEN 'BUY' THEN 'SELL' ELSE 'BUY' END, 'MAKER'
    FROM projection.trades
)
SELECT trade_id || ' of order ' || order_id,
    CASE WHEN sides IS NULL THEN 'no trade' ELSE to_json(sides)::text END,
    CASE WHEN executed IS NULL THEN 'no execution' ELSE to_json(executed)::text END
FROM sides
FULL JOIN (
    SELECT trade_id, order_id, account_id, symbol, price_cents, quantity, side, liquidity
    FROM projection.executions
) AS executed USING (trade_id, order_id, account_id, symbol, price_cents, quantity, side, liquidity)
WHERE sides IS NULL OR executed IS NULL
