//! Each process has its own secrets and its own role in the database, and no others.

use std::fs;

use anyhow::{Context, ensure};
use brokerx_e2e::fixture::Fixture;
use brokerx_launcher::platform::Role;
use sqlx::postgres::PgPoolOptions;

/// The code of PostgreSQL for what a role may not do.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What the kernel says that a running process was told.
fn environment(fixture: &Fixture, name: &str) -> anyhow::Result<String> {
    let pid = fixture.system().process(name).pid();
    let bytes = fs::read(format!("/proc/{pid}/environ"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

pub async fn a_process_knows_no_secret_of_another(fixture: &Fixture) -> anyhow::Result<()> {
    let secrets = fixture.system().platform().secrets().clone();
    let all = [
        ("jwt", &secrets.jwt_key),
        ("mail", &secrets.mail_key),
        ("owner", &secrets.database_password),
        ("ingress", &secrets.ingress_password),
        ("settlement", &secrets.settlement_password),
        ("notifier", &secrets.notifier_password),
        ("reader", &secrets.reader_password),
    ];
    let expected: [(&str, &[&str]); 5] = [
        ("provider", &[]),
        ("matcher", &[]),
        ("settlement", &["settlement"]),
        ("ingress", &["jwt", "mail", "ingress"]),
        ("notifier", &["mail", "notifier"]),
    ];
    for (process, expected) in expected {
        let environment = environment(fixture, process)?;
        let known: Vec<_> = all
            .iter()
            .filter(|(_, secret)| environment.contains(secret.as_str()))
            .map(|(name, _)| *name)
            .collect();
        ensure!(known == expected, "{process} knows {known:?}, not {expected:?}");
    }
    nothing_of_the_shell_is_known(fixture)
}

/// Whoever started the system may know anything; of that a process knows what it cannot do without, and settings of
/// BrokerX, which its own name.
fn nothing_of_the_shell_is_known(fixture: &Fixture) -> anyhow::Result<()> {
    // cargo tells the trials this, which stands for a password here.
    ensure!(
        std::env::var_os("CARGO_PKG_NAME").is_some(),
        "the trials are not run by cargo"
    );
    let needed = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "LANG",
        "LANGUAGE",
        "TZ",
        "RUST_BACKTRACE",
        "RUST_LIB_BACKTRACE",
    ];
    let java = ["JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];
    // PostgreSQL writes its title over what the kernel shows.
    for process in [
        "kafka",
        "registry",
        "provider",
        "settlement",
        "matcher",
        "ingress",
        "notifier",
    ] {
        let environment = environment(fixture, process)?;
        let told = fixture.system().process(process).spec().environment.clone();
        let is_expected = |name: &str| {
            needed.contains(&name)
                || name.starts_with("LC_")
                || (["kafka", "registry"].contains(&process) && java.contains(&name))
                || told.iter().any(|(told, _)| told == name)
        };
        let variables = environment.split_terminator('\0');
        let names: Vec<_> = variables.map(|it| it.split('=').next().unwrap_or(it)).collect();
        ensure!(names.contains(&"PATH"), "{process} was told nothing: {names:?}");
        let strange: Vec<_> = names.into_iter().filter(|name| !is_expected(name)).collect();
        ensure!(strange.is_empty(), "{process} knows {strange:?} of the shell");
    }
    Ok(())
}

pub async fn a_role_can_do_its_work_and_no_more(fixture: &Fixture) -> anyhow::Result<()> {
    let refused: [(Role, &[&'static str]); 4] = [
        (
            Role::Notifier,
            &[
                "INSERT INTO identity.revoked_tokens SELECT gen_random_uuid(), client_id, now() FROM identity.clients",
                "UPDATE identity.clients SET status = 'active'",
                "DELETE FROM identity.revoked_tokens",
                "UPDATE identity.mails SET used_at = now()",
                "INSERT INTO identity.outbox SELECT",
                "SELECT password_hash FROM identity.clients",
                "SELECT password_hash FROM identity.registrations",
                "SELECT key_hash FROM identity.api_keys",
                "UPDATE projection.accounts SET balance_cents = 0",
            ],
        ),
        (
            Role::Settlement,
            &[
                "SELECT email FROM identity.clients",
                "UPDATE projection.ledger_entries SET amount = 0",
                "DELETE FROM projection.account_events",
                "TRUNCATE projection.trades",
                "UPDATE projection.executions SET fee_cents = 0",
                "ALTER TABLE projection.ledger_entries DISABLE TRIGGER ALL",
                "DROP SCHEMA projection CASCADE",
            ],
        ),
        (
            Role::Ingress,
            &[
                "UPDATE projection.accounts SET balance_cents = 0",
                "INSERT INTO projection.ledger_entries SELECT",
                "DELETE FROM identity.operator_audit",
                "UPDATE identity.operator_audit SET operator = operator",
                "DROP TABLE identity.clients",
                "CREATE TABLE identity.mine (id bigint)",
            ],
        ),
        (
            Role::Reader,
            &["SELECT 1 FROM identity.clients", "DELETE FROM projection.orders"],
        ),
    ];
    let allowed: [(Role, &[&'static str]); 4] = [
        (
            Role::Notifier,
            &[
                "SELECT email, name, status FROM identity.clients",
                "SELECT body FROM projection.account_events",
            ],
        ),
        (Role::Settlement, &["SELECT body FROM projection.account_events"]),
        (
            Role::Ingress,
            &[
                "SELECT 1 FROM identity.clients, projection.accounts",
                "DELETE FROM identity.mails WHERE false",
            ],
        ),
        (Role::Reader, &["SELECT position FROM projection.log_positions"]),
    ];
    for (role, statements) in allowed {
        let database = database(fixture, role).await?;
        for statement in statements {
            sqlx::raw_sql(*statement)
                .execute(&database)
                .await
                .with_context(|| format!("{role:?}: {statement}"))?;
        }
        database.close().await;
    }
    for (role, statements) in refused {
        let database = database(fixture, role).await?;
        for statement in statements {
            let outcome = sqlx::raw_sql(*statement).execute(&database).await;
            let code = match &outcome {
                Err(sqlx::Error::Database(error)) => error.code(),
                _ => None,
            };
            ensure!(
                code.as_deref() == Some(INSUFFICIENT_PRIVILEGE),
                "{role:?}: {statement}: {outcome:?}"
            );
        }
        database.close().await;
    }
    Ok(())
}

async fn database(fixture: &Fixture, role: Role) -> anyhow::Result<sqlx::PgPool> {
    let url = fixture.system().platform().database_url_of(role);
    Ok(PgPoolOptions::new().max_connections(1).connect(&url).await?)
}
