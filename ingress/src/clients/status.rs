//! Changes of a client's status: the row and the outbox records about it, in one transaction.

use brokerx_schemas::{AccountId, AccountState, AuthEvent, ClientChanged};
use brokerx_topics::service::clock::now_us;
use sqlx::PgConnection;

use crate::outbox::Writer;

/// A change of status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusChange {
    /// An operator suspended the client.
    Suspend,
    /// An operator lifted the suspension.
    Reinstate,
}

impl StatusChange {
    /// The status that the change starts from, the one that it leads to, and the account's state after it.
    fn steps(self) -> (&'static str, &'static str, AccountState) {
        match self {
            Self::Suspend => ("active", "suspended", AccountState::Suspended),
            Self::Reinstate => ("suspended", "active", AccountState::Active),
        }
    }

    fn event(self, changed: ClientChanged) -> AuthEvent {
        match self {
            Self::Suspend => AuthEvent::ClientSuspended(changed),
            Self::Reinstate => AuthEvent::ClientReinstated(changed),
        }
    }
}

/// Changes the status of a client whose status is the one that the change starts from. Returns the last
/// event id of the outbox; none when the client has another status, or is unknown, or an operator.
///
/// # Errors
/// When the database fails.
pub async fn change_status(
    transaction: &mut PgConnection,
    client_id: &str,
    change: StatusChange,
    correlation_id: Option<&str>,
) -> sqlx::Result<Option<i64>> {
    let (from, to, state) = change.steps();
    let row: Option<(i64, i64)> = sqlx::query_as(
        "UPDATE clients SET status = $3, status_version = status_version + 1, updated_at = now()
         WHERE client_id = $1::uuid AND status = $2 AND role = 'client' RETURNING account_id, status_version",
    )
    .bind(client_id)
    .bind(from)
    .bind(to)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((account_id, version)) = row else {
        return Ok(None);
    };
    let account_id = AccountId(account_id);
    let mut outbox = Writer::new(transaction, correlation_id).await?;
    outbox.account_status(account_id, state, version).await?;
    let changed = |event_id| {
        change.event(ClientChanged {
            event_id,
            client_id: client_id.to_owned(),
            account_id: Some(account_id),
            occurred_us: now_us(),
        })
    };
    outbox.auth(&account_id.to_string(), changed).await.map(Some)
}
