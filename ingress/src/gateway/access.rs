//! Who asks and what they may do: the extractors that every protected route uses.
//!
//! `Authorization: Bearer <token>` needs no database, so trading goes on without one; `X-API-Key`
//! is looked up by its hash. Both yield a [`Caller`]. An administrative handler takes an
//! [`Operator`], which only an operator's request yields.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brokerx_database::row;
use brokerx_identity::api_keys;
use brokerx_identity::tokens::{Role, TokenError};
use brokerx_schemas::AccountId;
use brokerx_topics::service::clock::now_unix_seconds;
use sqlx::PgPool;

use super::RequestContext;
use crate::http::Problem;
use crate::state::{App, Shared};

/// What an API key may be used for. A token may be used for everything that its role may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read one's own account.
    Read,
    /// Place, change and cancel orders.
    Trade,
    /// Deposit and withdraw.
    Funds,
    /// The routes under `/admin`.
    Operate,
}

impl Scope {
    /// Its name in the table of API keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Trade => "trade",
            Self::Funds => "funds",
            Self::Operate => "operate",
        }
    }
}

/// A client or operator whose identity is proved.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The client id, a UUID.
    pub client_id: String,
    /// The token's id and expiry (Unix seconds); none for an API key.
    pub token: Option<(String, i64)>,
    account_id: Option<AccountId>,
    role: Role,
    /// The scopes of an API key; none for a token, which has them all.
    scopes: Option<Vec<String>>,
}

impl Caller {
    /// The caller's account, for a route that needs this scope.
    ///
    /// # Errors
    /// 403 for an operator, or for a key without the scope.
    pub fn account(&self, scope: Scope) -> Result<AccountId, Problem> {
        self.require(scope)?;
        self.account_id
            .ok_or_else(|| Problem::forbidden("NO_ACCOUNT", "an operator has no trading account"))
    }

    fn require(&self, scope: Scope) -> Result<(), Problem> {
        match &self.scopes {
            Some(scopes) if !scopes.iter().any(|name| name == scope.name()) => Err(Problem::new(
                StatusCode::FORBIDDEN,
                "SCOPE_MISSING",
                format!("the API key does not have the scope {:?} that this needs", scope.name()),
            )),
            _ => Ok(()),
        }
    }
}

/// Why a request has no caller: a problem, or a rate limit with its headers.
pub enum Refused {
    /// Not authenticated, or not allowed.
    Problem(Problem),
    /// Too many requests.
    Limited(Box<Response>),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::Limited(response) => *response,
        }
    }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let caller = match parts.headers.get("x-api-key") {
            Some(key) => by_guarded_api_key(app, parts, key.as_bytes()).await?,
            None => by_token(app, &parts.headers)?,
        };
        if app.revocations.is_blocked(&caller.client_id) {
            return Err(Problem::forbidden("NOT_ALLOWED", "this client is suspended").into());
        }
        if let Err(wait) = app.client_limit.take(&caller.client_id) {
            app.metrics.rate_limited.inc();
            return Err(Refused::Limited(Box::new(app.client_limit.refuse(wait))));
        }
        Ok(caller)
    }
}

/// An operator.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The operator's client id.
    pub client_id: String,
}

impl FromRequestParts<Shared> for Operator {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refused> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.role != Role::Operator {
            return Err(Problem::forbidden("NOT_AN_OPERATOR", "only operators may do this").into());
        }
        caller.require(Scope::Operate)?;
        Ok(Self {
            client_id: caller.client_id,
        })
    }
}

fn by_token(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let value = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => {
            return Err(Problem::unauthenticated(
                "this needs the header Authorization: Bearer TOKEN, or X-API-Key",
            ));
        }
    };
    let claims = app
        .tokens
        .verify(token, now_unix_seconds())
        .map_err(|error| match error {
            TokenError::Expired => Problem::unauthenticated("the token has expired; log in again"),
            TokenError::Invalid => {
                Problem::unauthenticated("the token is not one that was given here; log in to get one")
            }
        })?;
    if !app.revocations.is_known() {
        return Err(Problem::unavailable(
            "TOKENS_UNKNOWN",
            "this instance does not know yet which tokens were logged out; try again in a moment",
        ));
    }
    if app.revocations.is_revoked(&claims.jti) {
        return Err(Problem::unauthenticated("the token was logged out; log in again"));
    }
    let account_id = claims.account_id.map(|text| {
        text.parse()
            .map_err(|_| Problem::unauthenticated("the token is not one that was given here; log in to get one"))
    });
    Ok(Caller {
        client_id: claims.sub,
        token: Some((claims.jti, claims.exp)),
        account_id: account_id.transpose()?,
        role: claims.role,
        scopes: None,
    })
}

row! {
    struct KeyRow {
        client_id: String,
        account_id: Option<i64>,
        role: String,
        status: String,
        scopes: Vec<String>,
    }
}

/// As [`by_api_key`], until too many of an address were wrong.
async fn by_guarded_api_key(app: &App, parts: &Parts, key: &[u8]) -> Result<Caller, Refused> {
    let network = parts.extensions.get::<RequestContext>().map(RequestContext::network);
    let hash = api_keys::hash(key);
    if let Err(wait) = app.wrong_keys.admit(network, &hash) {
        app.metrics.rate_limited.inc();
        return Err(Refused::Limited(Box::new(app.wrong_keys.refuse(wait))));
    }
    let caller = by_api_key(&app.database, &hash).await;
    let is_wrong = |problem: &Problem| problem.status() == StatusCode::UNAUTHORIZED;
    // The database may not have answered: then nothing is known of the key.
    match &caller {
        Ok(_) => app.wrong_keys.learn(network, hash, true),
        Err(problem) if is_wrong(problem) => app.wrong_keys.learn(network, hash, false),
        Err(_) => {}
    }
    Ok(caller?)
}

async fn by_api_key(database: &PgPool, hash: &[u8]) -> Result<Caller, Problem> {
    let row: Option<KeyRow> = sqlx::query_as(
        "SELECT client_id::text AS client_id, account_id, role, status, scopes
         FROM api_keys JOIN clients USING (client_id)
         WHERE key_hash = $1 AND revoked_at IS NULL AND expires_at > now()",
    )
    .bind(hash)
    .fetch_optional(database)
    .await?;
    let row = row.ok_or_else(|| Problem::unauthenticated("the API key is not valid, has expired or was revoked"))?;
    if row.status != "active" {
        return Err(Problem::forbidden("NOT_ALLOWED", "this client is not active"));
    }
    Ok(Caller {
        client_id: row.client_id,
        token: None,
        account_id: row.account_id.map(AccountId),
        role: if row.role == "operator" {
            Role::Operator
        } else {
            Role::Client
        },
        scopes: Some(row.scopes),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_do_what_its_scopes_say() {
        let caller = |scopes: Option<&[&str]>, account_id| Caller {
            client_id: String::new(),
            token: None,
            account_id,
            role: Role::Client,
            scopes: scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect()),
        };
        let account = Some(AccountId(7));
        assert_eq!(caller(None, account).account(Scope::Trade).unwrap(), AccountId(7));
        assert_eq!(
            caller(Some(&["read", "trade"]), account).account(Scope::Trade).unwrap(),
            AccountId(7)
        );
        assert_eq!(
            caller(Some(&["read"]), account)
                .account(Scope::Trade)
                .unwrap_err()
                .code(),
            "SCOPE_MISSING"
        );
        assert_eq!(
            caller(None, None).account(Scope::Read).unwrap_err().code(),
            "NO_ACCOUNT"
        );
    }
}
