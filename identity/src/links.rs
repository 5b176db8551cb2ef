//! Tokens in mailed links.
//!
//! A token is base64url, without padding, of `mail_id (i64) || expiry (i64, Unix seconds) ||
//! HMAC-SHA256(mail key, mail_id || purpose || expiry)[..16]`, integers big-endian. Whoever holds
//! the mail key derives the token from the mail's row, so no topic, table or log ever contains a token.
//! That a link was used is written in the row; the token alone does not show it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::keys::SecretKey;

/// The purpose of the first verification mail.
pub const VERIFY_EMAIL: &str = "VERIFY_EMAIL";
/// The purpose of a reminder to verify; its link works like the first one's.
pub const VERIFY_REMINDER: &str = "VERIFY_REMINDER";

/// The purpose of the mail to a client whose e-mail somebody registered again; it has no link.
pub const REGISTERED_AGAIN: &str = "REGISTERED_AGAIN";

const TAG_LENGTH: usize = 16;
const LENGTH: usize = 8 + 8 + TAG_LENGTH;

/// A token that is not genuine, or is too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Not one of ours, altered, or of another purpose.
    #[error("the link is not valid")]
    Invalid,
    /// Genuine, but past its expiry.
    #[error("the link has expired")]
    Expired,
}

/// The token of a mail's link.
pub fn token(mail_key: &SecretKey, mail_id: i64, purpose: &str, expires_unix_seconds: i64) -> String {
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.extend(mail_id.to_be_bytes());
    bytes.extend(expires_unix_seconds.to_be_bytes());
    let tag = authenticator(mail_key, mail_id, purpose, expires_unix_seconds).finalize();
    bytes.extend(&tag.into_bytes()[..TAG_LENGTH]);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The mail that a token belongs to, when it is genuine for one of `purposes` and not expired at
/// `now_unix_seconds`.
///
/// # Errors
/// [`LinkError`]: the token is not genuine, or it has expired.
pub fn verify(mail_key: &SecretKey, token: &str, purposes: &[&str], now_unix_seconds: i64) -> Result<i64, LinkError> {
    let bytes: [u8; LENGTH] = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(LinkError::Invalid)?;
    let integer_at = |start: usize| {
        let mut integer = [0; 8];
        integer.copy_from_slice(&bytes[start..start + 8]);
        i64::from_be_bytes(integer)
    };
    let (mail_id, expires_unix_seconds) = (integer_at(0), integer_at(8));
    let genuine = purposes.iter().any(|purpose| {
        // Compared in constant time.
        authenticator(mail_key, mail_id, purpose, expires_unix_seconds)
            .verify_truncated_left(&bytes[16..])
            .is_ok()
    });
    if !genuine {
        return Err(LinkError::Invalid);
    }
    if now_unix_seconds >= expires_unix_seconds {
        return Err(LinkError::Expired);
    }
    Ok(mail_id)
}

fn authenticator(mail_key: &SecretKey, mail_id: i64, purpose: &str, expires_unix_seconds: i64) -> Hmac<Sha256> {
    let mut authenticator = Hmac::<Sha256>::new_from_slice(mail_key.bytes()).expect("HMAC takes a key of any length");
    authenticator.update(&mail_id.to_be_bytes());
    authenticator.update(purpose.as_bytes());
    authenticator.update(&expires_unix_seconds.to_be_bytes());
    authenticator
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key(byte: &str) -> SecretKey {
        byte.repeat(32).parse().unwrap()
    }

    #[test]
    fn a_genuine_token_names_its_mail_until_it_expires() {
        let token = token(&key("01"), 42, VERIFY_EMAIL, 1_000);
        let purposes = [VERIFY_EMAIL, VERIFY_REMINDER];
        assert_eq!(verify(&key("01"), &token, &purposes, 999), Ok(42));
        assert_eq!(verify(&key("01"), &token, &purposes, 1_000), Err(LinkError::Expired));
    }

    #[test]
    fn anything_else_is_invalid() {
        let token = token(&key("01"), 42, VERIFY_EMAIL, 1_000);
        assert_eq!(
            verify(&key("02"), &token, &[VERIFY_EMAIL], 1),
            Err(LinkError::Invalid),
            "key"
        );
        assert_eq!(
            verify(&key("01"), &token, &[VERIFY_REMINDER], 1),
            Err(LinkError::Invalid),
            "purpose"
        );
        for index in 0..token.len() - 1 {
            let mut altered = token.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert_eq!(
                verify(&key("01"), &altered, &[VERIFY_EMAIL], 1),
                Err(LinkError::Invalid),
                "{index}"
            );
        }
        for bad in ["", "abc", &token[1..], "ä"] {
            assert_eq!(
                verify(&key("01"), bad, &[VERIFY_EMAIL], 1),
                Err(LinkError::Invalid),
                "{bad}"
            );
        }
    }
}
