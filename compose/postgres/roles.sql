-- The roles of PostgreSQL: one for each kind of process, which can do what its work needs and nothing else
-- (identity/roles.sql and projection/roles.sql say what). None of them owns a table, so none can change or
-- drop one, nor take the guard of an append-only table away. The owner, who migrates, is made with the cluster.
--
-- Locally the launcher runs this before each start; it fills in the passwords. Elsewhere a superuser runs it
-- once with passwords of his own (a quote in one is doubled), before `brokerx-operator migrate`.
-- A statement is one line: PostgreSQL's single-user mode, which the launcher uses, takes it so.
DO $$ BEGIN CREATE ROLE brokerx_ingress; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE brokerx_settlement; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
DO $$ BEGIN CREATE ROLE brokerx_notifier; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
-- Looks at the projection from outside, for reports and `./brokerx bench`.
DO $$ BEGIN CREATE ROLE brokerx_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
ALTER ROLE brokerx_ingress LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{ingress}';
ALTER ROLE brokerx_settlement LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{settlement}';
ALTER ROLE brokerx_notifier LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{notifier}';
ALTER ROLE brokerx_reader LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '{reader}';
REVOKE ALL ON DATABASE brokerx FROM PUBLIC;
GRANT CONNECT ON DATABASE brokerx TO brokerx_ingress, brokerx_settlement, brokerx_notifier, brokerx_reader;
