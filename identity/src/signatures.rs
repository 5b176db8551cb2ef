//! The signatures of tokens, made and checked by ring: Ed25519, and HMAC-SHA256 for tokens of older
//! releases. jsonwebtoken leaves the choice of a library to its caller; those it offers itself would be
//! compiled for this alone (docs/adr/0017-every-process-its-own-rights.md).

use jsonwebtoken::crypto::{CryptoProvider, JwkUtils, JwtSigner, JwtVerifier};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use ring::{hkdf, hmac};
use signature::{Signer, Verifier};

/// Tells the keys that are derived from one secret apart.
const SEED_PURPOSE: &[u8] = b"brokerx tokens, Ed25519";
/// Bytes of an Ed25519 seed.
const SEED_LENGTH: usize = 32;
/// Bytes of an Ed25519 public key.
pub(crate) const PUBLIC_KEY_LENGTH: usize = 32;

static RING: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    jwk_utils: JwkUtils::new_unimplemented(),
};

/// Makes jsonwebtoken use what is here, in the whole process; again and again if need be.
pub(crate) fn install() {
    // An error says that it was done before.
    let _ = RING.install_default();
}

/// The seed and the public key of the Ed25519 pair that belongs to a secret.
///
/// # Panics
/// Never: both lengths are what the algorithms ask for.
pub(crate) fn key_pair_of(secret: &[u8]) -> ([u8; SEED_LENGTH], [u8; PUBLIC_KEY_LENGTH]) {
    let mut seed = [0; SEED_LENGTH];
    hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
        .extract(secret)
        .expand(&[SEED_PURPOSE], hkdf::HKDF_SHA256)
        .and_then(|derived| derived.fill(&mut seed))
        .expect("HKDF-SHA256 gives 32 bytes");
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("any 32 bytes are a seed");
    let mut public = [0; PUBLIC_KEY_LENGTH];
    public.copy_from_slice(pair.public_key().as_ref());
    (seed, public)
}

struct SignsEd25519(Ed25519KeyPair);

impl Signer<Vec<u8>> for SignsEd25519 {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for SignsEd25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct VerifiesEd25519(UnparsedPublicKey<Vec<u8>>);

impl Verifier<Vec<u8>> for VerifiesEd25519 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for VerifiesEd25519 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct Hmac(Algorithm, hmac::Key);

impl Signer<Vec<u8>> for Hmac {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(hmac::sign(&self.1, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl Verifier<Vec<u8>> for Hmac {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        hmac::verify(&self.1, message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Hmac {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

/// The key of [`Algorithm::EdDSA`] is the seed.
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    match algorithm {
        Algorithm::EdDSA => {
            let pair = Ed25519KeyPair::from_seed_unchecked(key.inner()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
            Ok(Box::new(SignsEd25519(pair)))
        }
        // Only tests sign with it.
        Algorithm::HS256 | Algorithm::HS384 => Ok(Box::new(hmac_of(*algorithm, key.try_get_hmac_secret()?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// The key of [`Algorithm::EdDSA`] is the 32 bytes of the public key.
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    match algorithm {
        Algorithm::EdDSA => {
            let key = UnparsedPublicKey::new(&ED25519, key.as_bytes().to_vec());
            Ok(Box::new(VerifiesEd25519(key)))
        }
        Algorithm::HS256 => Ok(Box::new(hmac_of(*algorithm, key.try_get_hmac_secret()?))),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn hmac_of(algorithm: Algorithm, secret: &[u8]) -> Hmac {
    let digest = match algorithm {
        Algorithm::HS384 => hmac::HMAC_SHA384,
        _ => hmac::HMAC_SHA256,
    };
    Hmac(algorithm, hmac::Key::new(digest, secret))
}
