//! Secret keys, as the configuration gives them.

use std::fmt;
use std::str::FromStr;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

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
