//! Passwords: argon2id, in a bounded number of threads.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::http::Problem;

/// How long a request waits for its turn; after that it is refused, so that no long queue builds up.
const TURN_LIMIT: Duration = Duration::from_secs(3);

/// Hashes and checks passwords.
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// The hash of a password that nobody has. When an e-mail is unknown the password is checked against
    /// this, so that the answer takes as long as for a known e-mail.
    decoy: String,
}

impl Passwords {
    /// Hashes and checks at most `threads` passwords at once.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn new(threads: u32) -> anyhow::Result<Self> {
        let decoy = hash(&uuid::Uuid::new_v4().to_string())?;
        Ok(Self {
            turns: Arc::new(Semaphore::new(threads as usize)),
            decoy,
        })
    }

    /// The hash of a new password, in PHC format.
    ///
    /// # Errors
    /// 503 when too many requests wait.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.in_turn(move || hash(&password)).await?.map_err(Problem::internal)
    }

    /// The first of these hashes that a password belongs to. Where there is no hash it belongs to none, and
    /// that takes as long.
    ///
    /// # Errors
    /// 503 when too many requests wait.
    pub async fn verify<const N: usize>(
        &self,
        password: String,
        hashes: [Option<String>; N],
    ) -> Result<Option<usize>, Problem> {
        let hashes = hashes.map(|hash| (hash.is_some(), hash.unwrap_or_else(|| self.decoy.clone())));
        let matches = move |(is_known, hash): &(bool, String)| verify(&password, hash) && *is_known;
        self.in_turn(move || hashes.iter().position(matches)).await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let turn = tokio::time::timeout(TURN_LIMIT, Arc::clone(&self.turns).acquire_owned())
            .await
            .map_err(|_| {
                Problem::unavailable(
                    "OVERLOADED",
                    "too many passwords are being checked; try again in a moment",
                )
            })?
            .map_err(Problem::internal)?;
        tokio::task::spawn_blocking(move || {
            // Held until the work is done, even when the request has been given up.
            let _turn = turn;
            work()
        })
        .await
        .map_err(Problem::internal)
    }
}

fn hash(password: &str) -> anyhow::Result<String> {
    let hash = Argon2::default()
        .hash_password(password.as_bytes())
        .map_err(|error| anyhow::anyhow!("a password could not be hashed: {error}"))?;
    Ok(hash.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_belongs_to_its_hash_alone() {
        let passwords = Passwords::new(1).unwrap();
        let hash = passwords.hash("Secret12".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let verify = async |password: &str, first: Option<&str>, second: Option<&str>| {
            let hashes = [first, second].map(|hash| hash.map(str::to_owned));
            passwords.verify(password.to_owned(), hashes).await.unwrap()
        };
        assert_eq!(verify("Secret12", Some(&hash), None).await, Some(0));
        assert_eq!(verify("Secret12", None, Some(&hash)).await, Some(1));
        assert_eq!(verify("Secret13", Some(&hash), Some(&hash)).await, None);
        assert_eq!(verify("Secret12", None, None).await, None);
        assert_eq!(verify("Secret12", Some("nonsense"), None).await, None);
    }
}
