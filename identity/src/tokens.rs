//! The JSON Web Tokens that clients authenticate with: HS256, issuer `brokerx`, audience
//! `brokerx.web`. A token does not show whether it was revoked; [`crate::Revocations`] knows.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::keys::SecretKey;

/// The `iss` of every token.
pub const ISSUER: &str = "brokerx";
/// The `aud` of every token.
pub const AUDIENCE: &str = "brokerx.web";

/// The roles that somebody can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A retail client with a trading account.
    Client,
    /// Staff: has no account and uses the routes under `/admin`.
    Operator,
}

/// The content of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`ISSUER`].
    pub iss: String,
    /// [`AUDIENCE`].
    pub aud: String,
    /// The client id, a UUID.
    pub sub: String,
    /// The trading account in decimal; none for operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The role.
    pub role: Role,
    /// The token's own id, a UUID: what a logout revokes.
    pub jti: String,
    /// When it was given, Unix seconds.
    pub iat: i64,
    /// When it expires, Unix seconds: from then on it is refused.
    pub exp: i64,
}

/// A token that is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not ours: signature, algorithm, issuer, audience or form.
    #[error("the token is not valid")]
    Invalid,
    /// Ours, but past its end.
    #[error("the token has expired")]
    Expired,
}

/// Gives and checks tokens with one key.
#[derive(Clone)]
pub struct Tokens {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl Tokens {
    /// Tokens signed with this key.
    pub fn new(key: &SecretKey) -> Self {
        // Only HS256: a token cannot choose another algorithm, and cannot choose `none`.
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        // The expiry is compared in `verify`, with the caller's clock and without leeway.
        validation.validate_exp = false;
        Self {
            encoding: EncodingKey::from_secret(key.bytes()),
            decoding: DecodingKey::from_secret(key.bytes()),
            validation,
        }
    }

    /// A new token, valid from now on for `valid_seconds`, and its claims.
    ///
    /// # Panics
    /// Never: the claims are plain strings and numbers.
    pub fn issue(
        &self,
        client_id: &str,
        account_id: Option<String>,
        role: Role,
        now_unix_seconds: i64,
        valid_seconds: i64,
    ) -> (String, Claims) {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: client_id.to_owned(),
            account_id,
            role,
            jti: uuid::Uuid::new_v4().to_string(),
            iat: now_unix_seconds,
            exp: now_unix_seconds + valid_seconds,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("plain claims serialize");
        (token, claims)
    }

    /// The claims of a genuine token that has not expired.
    ///
    /// # Errors
    /// [`TokenError`]: the token is not genuine, or it has expired.
    pub fn verify(&self, token: &str, now_unix_seconds: i64) -> Result<Claims, TokenError> {
        let claims = jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .map_err(|_| TokenError::Invalid)?
            .claims;
        if now_unix_seconds >= claims.exp {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn tokens(byte: &str) -> Tokens {
        Tokens::new(&byte.repeat(32).parse().unwrap())
    }

    #[test]
    fn a_token_comes_back_as_it_was_given() {
        let (token, claims) = tokens("01").issue("client", Some("7".to_owned()), Role::Client, 100, 50);
        assert_eq!(tokens("01").verify(&token, 149), Ok(claims.clone()));
        assert_eq!(tokens("01").verify(&token, 150), Err(TokenError::Expired));
        assert_eq!(tokens("02").verify(&token, 149), Err(TokenError::Invalid));
        assert_eq!(
            (claims.iss.as_str(), claims.aud.as_str(), claims.exp),
            ("brokerx", "brokerx.web", 150)
        );
    }

    #[test]
    fn other_algorithms_issuers_and_audiences_are_refused() {
        let (_, claims) = tokens("01").issue("client", None, Role::Operator, 100, 50);
        let encode = |algorithm, claims: &Claims| {
            let key = EncodingKey::from_secret(&[1; 32]);
            jsonwebtoken::encode(&Header::new(algorithm), claims, &key).unwrap()
        };
        assert!(tokens("01").verify(&encode(Algorithm::HS256, &claims), 100).is_ok());
        let issuer = Claims {
            iss: "other".to_owned(),
            ..claims.clone()
        };
        let audience = Claims {
            aud: "other".to_owned(),
            ..claims.clone()
        };
        for token in [
            encode(Algorithm::HS384, &claims),
            encode(Algorithm::HS256, &issuer),
            encode(Algorithm::HS256, &audience),
            "eyJhbGciOiJub25lIn0.e30.".to_owned(),
            String::new(),
        ] {
            assert_eq!(tokens("01").verify(&token, 100), Err(TokenError::Invalid), "{token}");
        }
    }
}
