//! Reading one's own writes.
//!
//! Reads come from the projection, which is a moment behind. A read waits until the projection includes
//! what this instance last told of the account, so a client that asks one instance reads what it has
//! written, without doing anything for it. For the others there are tokens: every answer that changed or
//! read an account carries the account and its sequence number, in a form that clients need not understand.
//! A read that is given one (`consistency_token` in the query, or the header `Consistency-Token`) waits until
//! the projection has come that far, whichever instance gave it. When that takes too long the answer is 503
//! `PROJECTION_BEHIND`, not silently an older state.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use brokerx_schemas::AccountId;
use sqlx::PgPool;

use crate::gateway::{Caller, Scope};
use crate::http::Problem;
use crate::state::App;

const POLL: Duration = Duration::from_millis(10);

/// The token of an account that has come to `account_seq`.
pub fn token(account_id: AccountId, account_seq: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{account_id}:{account_seq}"))
}

fn parse(token: &str, account_id: AccountId) -> Option<i64> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (account, account_seq) = text.split_once(':')?;
    (account.parse() == Ok(account_id)).then(|| account_seq.parse().ok())?
}

/// The caller's account. Waits first until the projection includes what was told of the account, and what
/// the request's token asks for, if it has one. Every read of an account begins with this.
///
/// # Errors
/// 403 when the caller may not read or has no account, 422 when the token does not belong to this
/// account, 503 when the projection takes too long.
pub async fn readable(
    app: &App,
    caller: &Caller,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<AccountId, Problem> {
    let account_id = caller.account(Scope::Read)?;
    let header = headers.get("consistency-token").and_then(|value| value.to_str().ok());
    let asked = match query.or(header) {
        Some(token) => Some(
            parse(token, account_id)
                .ok_or_else(|| Problem::invalid_request("consistency_token is not one of this account"))?,
        ),
        None => None,
    };
    let told = app.commands.told();
    if let Some(wanted) = asked.max(told.last(account_id)) {
        let reached = wait(&app.database, account_id, wanted, app.options.consistency_limit()).await?;
        told.reached(account_id, reached);
    }
    Ok(account_id)
}

/// Waits until the projection has come to event `wanted` of an account. Returns how far it has come.
async fn wait(database: &PgPool, account_id: AccountId, wanted: i64, limit: Duration) -> Result<i64, Problem> {
    let end = Instant::now() + limit;
    loop {
        let reached = brokerx_projection::last_event(database, account_id).await?;
        if reached >= wanted {
            return Ok(reached);
        }
        if Instant::now() >= end {
            return Err(Problem::unavailable(
                "PROJECTION_BEHIND",
                "what the last answer told, or the token asks for, is not readable yet",
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_account() {
        let token = token(AccountId(7), 42);
        assert_eq!(parse(&token, AccountId(7)), Some(42));
        assert_eq!(parse(&token, AccountId(8)), None);
        assert_eq!(parse("", AccountId(7)), None);
        assert_eq!(parse("7:42", AccountId(7)), None);
    }
}
