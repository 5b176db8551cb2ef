//! API keys: how they look, and what is stored of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// A new API key: `bx_` and 256 random bits in base64url.
pub fn generate() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    format!("bx_{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored of an API key. A key has 256 random bits, so one fast hash is enough.
pub fn hash(key: &[u8]) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_and_never_the_same() {
        let (one, other) = (generate(), generate());
        assert_ne!(one, other);
        assert_eq!(one.len(), 3 + 43);
        assert_eq!(hash(one.as_bytes()).len(), 32);
    }
}
