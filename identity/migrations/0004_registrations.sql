-- A registration is not a client: it becomes one when its link is used, and is deleted when it never is.

SET LOCAL statement_timeout = 0;

CREATE TABLE registrations (
    client_id       uuid PRIMARY KEY,
    account_id      bigint NOT NULL UNIQUE CHECK (account_id > 0),
    email           text NOT NULL,
    email_key       text NOT NULL UNIQUE,
    password_hash   text NOT NULL,
    name            text NOT NULL,
    phone           text,
    date_of_birth   date,
    of_client       uuid REFERENCES clients,
    reminders_sent  smallint NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX registrations_by_age ON registrations (created_at);

COMMENT ON TABLE registrations IS 'Who registered and has not used the mailed link yet: one per e-mail, a newer one takes the place of an older. Settlement knows nothing of them.';
COMMENT ON COLUMN registrations.client_id IS 'What the client will be called.';
COMMENT ON COLUMN registrations.account_id IS 'The account that the client will have.';
COMMENT ON COLUMN registrations.of_client IS 'Who has this e-mail already. Such a registration can never become a client; it is kept so that nothing shows, to whoever registered, that the e-mail is known.';
COMMENT ON COLUMN registrations.reminders_sent IS 'How many verification reminders went out.';

-- A mail belongs to a client or to a registration, with which it goes.
ALTER TABLE mails
    ALTER COLUMN client_id DROP NOT NULL,
    ADD COLUMN registration_id uuid REFERENCES registrations ON DELETE CASCADE;
CREATE INDEX mails_of_registration ON mails (registration_id) WHERE registration_id IS NOT NULL;

-- The audit outlives those whom it tells of.
ALTER TABLE login_attempts DROP CONSTRAINT login_attempts_client_id_fkey;

INSERT INTO registrations (client_id, account_id, email, email_key, password_hash, name, phone, date_of_birth, reminders_sent, created_at)
    SELECT client_id, account_id, email, email_key, password_hash, name, phone, date_of_birth, reminders_sent, created_at
    FROM clients WHERE status = 'pending';
UPDATE mails SET registration_id = client_id, client_id = NULL
    WHERE client_id IN (SELECT client_id FROM clients WHERE status = 'pending');
DELETE FROM mails WHERE client_id IN (SELECT client_id FROM clients WHERE status = 'rejected');
DELETE FROM clients WHERE status IN ('pending', 'rejected');

DROP INDEX clients_pending;
ALTER TABLE clients
    DROP COLUMN reminders_sent,
    DROP CONSTRAINT clients_status_check,
    ADD CONSTRAINT clients_status_check CHECK (status IN ('active', 'suspended'));
ALTER TABLE mails ADD CONSTRAINT mails_have_a_reader CHECK (num_nonnulls(client_id, registration_id) = 1);

COMMENT ON COLUMN clients.status IS 'active from the moment at which the mailed link was used.';
COMMENT ON COLUMN mails.purpose IS 'VERIFY_EMAIL, VERIFY_REMINDER (part of what their links sign) or REGISTERED_AGAIN, which has no link.';
COMMENT ON COLUMN mails.used_at IS 'When the link was used with success; using it again changes nothing.';
COMMENT ON COLUMN mails.registration_id IS 'The registration that it was sent for, until that becomes a client.';
