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
use brokerx_topics::service::Places;

use crate::gateway::{Caller, Scope};
use crate::http::Problem;
use crate::state::App;

/// Between the first looks at the projection, and between later ones: it is a moment behind, or further.
const POLL: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// Reads of one account that wait at once: each asks the database again and again, which others need too.
const WAITING_MAX: usize = 64;

/// The places of the reads that wait for the projection, by account.
pub fn waiting_reads() -> Places<AccountId> {
    Places::new(WAITING_MAX)
}

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
    let asked = asked(query, headers, account_id)?;
    let told = app.commands.told();
    if let Some(wanted) = asked.max(told.last(account_id)) {
        reached(app, account_id, wanted).await?;
    }
    Ok(account_id)
}

/// Waits until the projection has come to event `wanted` of an account.
///
/// # Errors
/// 503 when it does not in time.
pub async fn reached(app: &App, account_id: AccountId, wanted: i64) -> Result<(), Problem> {
    let reached = wait(app, account_id, wanted).await?;
    app.commands.told().reached(account_id, reached);
    Ok(())
}

/// The event that the token of a request asks for; none without a token.
fn asked(query: Option<&str>, headers: &HeaderMap, account_id: AccountId) -> Result<Option<i64>, Problem> {
    let header = headers
        .get("consistency-token")
        .map(|value| value.to_str().unwrap_or_default());
    let Some(token) = query.or(header) else {
        return Ok(None);
    };
    let asked = parse(token, account_id);
    asked.map(Some).ok_or_else(|| {
        Problem::invalid_request("the consistency token is not one that was given for this account; leave it out")
    })
}

/// Waits until the projection has come to event `wanted` of an account. Returns how far it has come.
async fn wait(app: &App, account_id: AccountId, wanted: i64) -> Result<i64, Problem> {
    let behind = || {
        Problem::unavailable(
            "PROJECTION_BEHIND",
            "what the last answer told, or the consistency token asks for, cannot be read yet; ask again in a moment",
        )
    };
    let end = Instant::now() + app.options.consistency_limit();
    let (mut pause, longest) = POLL;
    let mut place = None;
    loop {
        let reached = brokerx_projection::last_event(&app.database, account_id).await?;
        if reached >= wanted {
            return Ok(reached);
        }
        if Instant::now() >= end {
            return Err(behind());
        }
        if place.is_none() {
            place = Some(app.waiting_reads.take(account_id).ok_or_else(behind)?);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(longest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
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

    #[test]
    fn an_account_has_so_many_reads_that_wait() {
        let waiting = waiting_reads();
        let mut places: Vec<_> = (0..WAITING_MAX).map(|_| waiting.take(AccountId(7)).unwrap()).collect();
        assert!(waiting.take(AccountId(7)).is_none());
        assert!(waiting.take(AccountId(8)).is_some(), "nobody pays for another");
        places.pop();
        assert!(waiting.take(AccountId(7)).is_some());
        drop(places);
        let again = (0..=WAITING_MAX).map_while(|_| waiting.take(AccountId(7)));
        assert_eq!(again.collect::<Vec<_>>().len(), WAITING_MAX, "nothing is left behind");
    }

    #[test]
    fn a_token_that_cannot_be_read_is_refused_wherever_it_stands() {
        let ours = token(AccountId(7), 42);
        let with =
            |value: &[u8]| HeaderMap::from_iter([("consistency-token".parse().unwrap(), value.try_into().unwrap())]);
        let asked = |query, headers: &HeaderMap| {
            asked(query, headers, AccountId(7)).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(asked(None, &HeaderMap::new()), Ok(None));
        assert_eq!(asked(Some(&ours), &HeaderMap::new()), Ok(Some(42)));
        assert_eq!(asked(None, &with(ours.as_bytes())), Ok(Some(42)));
        assert_eq!(asked(Some(&ours), &with(b"x")), Ok(Some(42)), "the query counts");
        for bad in [&b""[..], b"x", b"\xff"] {
            assert_eq!(asked(None, &with(bad)), Err(422), "{bad:?}");
        }
    }
}
