SELECT account_id, 'event ' || projected_seq + 1, 'event ' || account_seq || ': ' || reason
FROM projection.set_aside WHERE NOT follows
