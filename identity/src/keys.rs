//! Secret keys, as the configuration gives them.

use std::fmt;
use std::str::FromStr;

use crate::signatures::PUBLIC_KEY_LENGTH;

/// A secret key, at least 32 bytes; its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Vec<u8>);

/// A text that is not a [`SecretKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not pairs of hexadecimal digits.
    #[error("a key is an even number of hexadecimal digits")]
    NotHexadecimal,
    /// Fewer than 32 bytes.
    #[error("a key has at least {} bytes ({} hexadecimal digits)", SecretKey::LENGTH_MIN, 2 * SecretKey::LENGTH_MIN)]
    TooShort,
}

impl SecretKey {
    /// The shortest key, in bytes: the output of SHA-256, as RFC 7518 asks for HS256.
    pub const LENGTH_MIN: usize = 32;

    /// The key's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(KeyError::NotHexadecimal);
        }
        let bytes: Vec<u8> = (0..text.len())
            .step_by(2)
            .map(|index| u8::from_str_radix(&text[index..index + 2], 16).map_err(|_| KeyError::NotHexadecimal))
            .collect::<Result<_, _>>()?;
        if bytes.len() < Self::LENGTH_MIN {
            return Err(KeyError::TooShort);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SecretKey(..)")
    }
}

/// What tokens are checked with: the public half of an Ed25519 pair, as 64 hexadecimal digits. No secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; PublicKey::LENGTH]);

/// A text that is not a [`PublicKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a public key is {} hexadecimal digits", 2 * PublicKey::LENGTH)]
pub struct PublicKeyError;

impl PublicKey {
    const LENGTH: usize = PUBLIC_KEY_LENGTH;

    pub(crate) fn new(bytes: [u8; PublicKey::LENGTH]) -> Self {
        Self(bytes)
    }

    /// The key's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        // As long as the shortest secret key.
        let key: SecretKey = text.parse().map_err(|_| PublicKeyError)?;
        key.bytes().try_into().map(Self).map_err(|_| PublicKeyError)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_comes_back_as_it_was_shown() {
        let text = "0a".repeat(32);
        assert_eq!(text.parse::<PublicKey>().unwrap().to_string(), text);
        for bad in ["0a".repeat(31), "0a".repeat(33), "x".repeat(64), String::new()] {
            assert_eq!(bad.parse::<PublicKey>(), Err(PublicKeyError), "{bad}");
        }
    }

    #[test]
    fn a_key_is_hexadecimal_and_long_enough() {
        let key: SecretKey = "0f".repeat(32).parse().unwrap();
        assert_eq!(key.bytes(), [0x0f; 32]);
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
        assert_eq!("ab".repeat(31).parse::<SecretKey>(), Err(KeyError::TooShort));
        assert_eq!("".parse::<SecretKey>(), Err(KeyError::TooShort));
        for bad in ["zz".repeat(32), "a".repeat(65), "é".repeat(32)] {
            assert_eq!(bad.parse::<SecretKey>(), Err(KeyError::NotHexadecimal), "{bad}");
        }
    }
}
