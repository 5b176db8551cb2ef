//! The JSON Web Tokens that clients authenticate with: EdDSA (Ed25519), issuer `brokerx`, audience
//! `brokerx.web`. A token does not show whether it was revoked; [`crate::Revocations`] knows.
//!
//! Whoever gives tokens ([`Tokens`]) has the secret key; whoever only checks them ([`Verifier`]) has the
//! public one, and cannot make a token.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use crate::genuine::Genuine;
use crate::keys::{PublicKey, SecretKey};
use crate::signatures;

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

/// Checks tokens, and cannot make them. Clones remember together what they have found genuine.
#[derive(Clone)]
pub struct Verifier {
    genuine: Genuine<Claims>,
    key: DecodingKey,
    validation: Validation,
    /// The key of tokens that a release before Ed25519 gave, HS256: what holds it can make such tokens.
    former: Option<(DecodingKey, Validation)>,
}

impl Verifier {
    /// Checks the tokens that the holder of the secret half gives.
    pub fn new(key: &PublicKey) -> Self {
        signatures::install();
        Self {
            genuine: Genuine::new(),
            key: DecodingKey::from_ed_der(key.bytes()),
            validation: validation(Algorithm::EdDSA),
            former: None,
        }
    }

    /// The claims of a genuine token that has not expired.
    ///
    /// # Errors
    /// [`TokenError`]: the token is not genuine, or it has expired.
    pub fn verify(&self, token: &str, now_unix_seconds: i64) -> Result<Claims, TokenError> {
        // A client sends the same token with each request, and a signature takes a tenth of an order's work to check.
        let claims = match self.genuine.claims(token) {
            Some(claims) => claims,
            None => {
                let claims = self.check(token)?;
                self.genuine.remember(token, &claims);
                claims
            }
        };
        if now_unix_seconds >= claims.exp {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The claims of a genuine token, whether it has expired or not.
    fn check(&self, token: &str) -> Result<Claims, TokenError> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        // Each algorithm has a key of its own, so that a token cannot have a public key taken for a secret.
        let (key, validation) = match (header.alg, &self.former) {
            (Algorithm::HS256, Some((key, validation))) => (key, validation),
            _ => (&self.key, &self.validation),
        };
        let decoded = jsonwebtoken::decode::<Claims>(token, key, validation);
        Ok(decoded.map_err(|_| TokenError::Invalid)?.claims)
    }
}

/// What must be true of a token of this algorithm. No token can choose another one, and none can choose `none`.
fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    // The expiry is compared in `verify`, each time, with the caller's clock and without leeway.
    validation.validate_exp = false;
    validation
}

/// Gives and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    signing: EncodingKey,
    public_key: PublicKey,
    verifier: Verifier,
}

impl Tokens {
    /// Tokens signed with the Ed25519 pair that is derived from this key. Tokens that an older release signed
    /// with the key itself (HS256) are still genuine.
    pub fn new(key: &SecretKey) -> Self {
        let (seed, public) = signatures::key_pair_of(key.bytes());
        let public_key = PublicKey::new(public);
        let former = (DecodingKey::from_secret(key.bytes()), validation(Algorithm::HS256));
        Self {
            signing: EncodingKey::from_ed_der(&seed),
            public_key,
            verifier: Verifier {
                former: Some(former),
                ..Verifier::new(&public_key)
            },
        }
    }

    /// What others check these tokens with.
    pub fn public_key(&self) -> PublicKey {
        self.public_key
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
        let token = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.signing)
            .expect("plain claims serialize");
        (token, claims)
    }

    /// As [`Verifier::verify`].
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    pub fn verify(&self, token: &str, now_unix_seconds: i64) -> Result<Claims, TokenError> {
        self.verifier.verify(token, now_unix_seconds)
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

    #[test]
    fn who_only_checks_tokens_cannot_make_them() {
        let tokens = tokens("01");
        let verifier = Verifier::new(&tokens.public_key());
        let (token, claims) = tokens.issue("client", Some("7".to_owned()), Role::Client, 100, 50);
        assert_eq!(verifier.verify(&token, 149), Ok(claims.clone()));
        assert_eq!(verifier.verify(&token, 150), Err(TokenError::Expired));
        // With all that a verifier knows: its key as a secret, or as a seed.
        let key = tokens.public_key();
        let forged = [
            (Algorithm::HS256, EncodingKey::from_secret(key.bytes())),
            (Algorithm::EdDSA, EncodingKey::from_ed_der(key.bytes())),
        ];
        for (algorithm, key) in forged {
            let token = jsonwebtoken::encode(&Header::new(algorithm), &claims, &key).unwrap();
            assert_eq!(verifier.verify(&token, 100), Err(TokenError::Invalid), "{algorithm:?}");
            assert_eq!(tokens.verify(&token, 100), Err(TokenError::Invalid), "{algorithm:?}");
        }
        // One with the signature of another, and one that an older release gave, which only the secret key shows.
        let (another, _) = tokens.issue("another", None, Role::Operator, 100, 50);
        let (content, _) = token.rsplit_once('.').unwrap();
        let (_, signature) = another.rsplit_once('.').unwrap();
        let altered = format!("{content}.{signature}");
        assert_eq!(verifier.verify(&altered, 100), Err(TokenError::Invalid));
        let key = EncodingKey::from_secret(&[1; 32]);
        let former = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        assert_eq!(verifier.verify(&former, 100), Err(TokenError::Invalid));
        assert_eq!(tokens.verify(&former, 100), Ok(claims));
    }
}
