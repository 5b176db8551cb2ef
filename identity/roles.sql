-- What the role of each process may do in the schema `identity`, and nothing else. Run by the owner after
-- every migration, whatever was granted before; a role that the cluster does not have gets nothing.
-- The roles are made by compose/postgres/roles.sql.

DO $$
BEGIN
    -- Two that grant at the same time would be in each other's way.
    PERFORM pg_advisory_xact_lock(7021219520170819585);

    IF to_regrole('brokerx_ingress') IS NOT NULL THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA identity FROM brokerx_ingress;
        GRANT USAGE ON SCHEMA identity TO brokerx_ingress;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA identity TO brokerx_ingress;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA identity TO brokerx_ingress;
        REVOKE INSERT, UPDATE, DELETE ON identity._sqlx_migrations FROM brokerx_ingress;
        -- What operators did is written once; its outcome follows.
        REVOKE UPDATE, DELETE ON identity.operator_audit FROM brokerx_ingress;
        GRANT UPDATE (outcome, finished_at) ON identity.operator_audit TO brokerx_ingress;
    END IF;

    -- What is in a mail, and who is not let in any more; no password, nor anything to log in with.
    IF to_regrole('brokerx_notifier') IS NOT NULL THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA identity FROM brokerx_notifier;
        GRANT USAGE ON SCHEMA identity TO brokerx_notifier;
        GRANT SELECT ON identity.mails, identity.revoked_tokens TO brokerx_notifier;
        GRANT SELECT (client_id, email, name, status) ON identity.clients TO brokerx_notifier;
        GRANT SELECT (client_id, email, name) ON identity.registrations TO brokerx_notifier;
    END IF;
END
$$;
