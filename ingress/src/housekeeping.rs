//! Deletes what has served its time: a bounded number of rows at once, again and again.

use std::time::Duration;

use sqlx::PgConnection;

/// Rows of one table in one round.
const ROUND: i64 = 1_000;
/// An address that a client did not log in from for so long is not known any more.
const KNOWN_ADDRESS: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// How long rows are kept.
#[derive(Clone, Debug)]
pub struct Retention {
    /// The audit of log-ins, and API keys and mails after their end.
    pub login_audit: Duration,
}

/// One round: deletes what is old enough, up to a bound.
///
/// # Errors
/// When the database fails; what was deleted is gone, the next round goes on.
pub async fn delete_old_rows(connection: &mut PgConnection, retention: &Retention) -> sqlx::Result<()> {
    let tables = [
        (
            "DELETE FROM login_attempts WHERE attempt_id IN (SELECT attempt_id FROM login_attempts
             WHERE attempted_at < now() - make_interval(secs => $1) ORDER BY attempted_at LIMIT $2)",
            retention.login_audit,
        ),
        (
            "DELETE FROM api_keys WHERE key_id IN (SELECT key_id FROM api_keys
             WHERE least(expires_at, revoked_at) < now() - make_interval(secs => $1) LIMIT $2)",
            retention.login_audit,
        ),
        (
            "DELETE FROM known_addresses WHERE (email_key, network) IN (SELECT email_key, network FROM known_addresses
             WHERE last_login_at < now() - make_interval(secs => $1) ORDER BY last_login_at LIMIT $2)",
            KNOWN_ADDRESS,
        ),
        (
            "DELETE FROM revoked_tokens WHERE token_id IN (SELECT token_id FROM revoked_tokens
             WHERE expires_at < now() - make_interval(secs => $1) ORDER BY expires_at LIMIT $2)",
            Duration::ZERO,
        ),
        // Only as many as may be deleted are looked at, by the primary key: the oldest have the lowest numbers.
        // What a link is for is asked only until it ends, and a mail that waited for so long is of no use.
        (
            "DELETE FROM mails WHERE mail_id IN (SELECT mail_id FROM
               (SELECT mail_id, expires_at FROM mails ORDER BY mail_id LIMIT $2) AS oldest
             WHERE expires_at < now() - make_interval(secs => $1))",
            retention.login_audit,
        ),
    ];
    for (query, age) in tables {
        sqlx::query(query)
            .bind(age.as_secs_f64())
            .bind(ROUND)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
