SELECT order_id,
    concat_ws(' / ', coalesce(executed.quantity, 0), coalesce(executed.notional_cents, 0), coalesce(executed.fees_cents, 0)),
    concat_ws(' / ', orders.filled_quantity, orders.filled_notional_cents, orders.fees_cents)
FROM projection.orders
FULL JOIN (
    SELECT order_id, sum(quantity) AS quantity, sum(quantity * price_cents) AS notional_cents, sum(fee_cents) AS fees_cents
    FROM projection.executions
    GROUP BY order_id
) AS executed USING (order_id)
WHERE (coalesce(executed.quantity, 0), coalesce(executed.notional_cents, 0), coalesce(executed.fees_cents, 0))
    IS DISTINCT FROM (orders.filled_quantity, orders.filled_notional_cents, orders.fees_cents)
