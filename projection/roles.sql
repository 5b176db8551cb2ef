-- What the role of each process may do in the schema `projection`, and nothing else. Run by the owner after
-- every migration, whatever was granted before; a role that the cluster does not have gets nothing.
-- The roles are made by compose/postgres/roles.sql.

DO $$
DECLARE
    reader text;
BEGIN
    -- Two that grant at the same time would be in each other's way.
    PERFORM pg_advisory_xact_lock(7021219520170819585);

    IF to_regrole('brokerx_settlement') IS NOT NULL THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA projection FROM brokerx_settlement;
        GRANT USAGE ON SCHEMA projection TO brokerx_settlement;
        GRANT SELECT ON ALL TABLES IN SCHEMA projection TO brokerx_settlement;
        -- What stands: the last record says how.
        GRANT INSERT, UPDATE ON projection.log_positions, projection.log_sources, projection.accounts,
            projection.positions, projection.orders, projection.payments, projection.candles,
            projection.set_aside, projection.set_aside_records TO brokerx_settlement;
        GRANT DELETE ON projection.log_sources TO brokerx_settlement;
        -- What happened: nothing changes it.
        GRANT INSERT ON projection.executions, projection.transfers, projection.account_events,
            projection.ledger_entries, projection.trades, projection.auth_events TO brokerx_settlement;
    END IF;

    FOREACH reader IN ARRAY ARRAY['brokerx_ingress', 'brokerx_notifier', 'brokerx_reader'] LOOP
        IF to_regrole(reader) IS NOT NULL THEN
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA projection FROM %I', reader);
            EXECUTE format('GRANT USAGE ON SCHEMA projection TO %I', reader);
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA projection TO %I', reader);
        END IF;
    END LOOP;
END
$$;
