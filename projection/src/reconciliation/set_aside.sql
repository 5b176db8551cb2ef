SELECT account_id::text, 'event ' || projected_seq + 1, 'event ' || account_seq || ': ' || reason
FROM projection.set_aside WHERE NOT follows
UNION ALL
SELECT topic || '-' || partition || ' offset ' || record_offset, subject, 'set aside: ' || reason
FROM projection.set_aside_records WHERE NOT follows
