//! Tokens that were found genuine, so that the signature of each is checked once.
//!
//! A token is genuine or not, for ever: what changes are its end and its revocation, and these are looked at each time.
//! Only genuine tokens are remembered, whole, so nobody gains anything by sending others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// As many are remembered at least, and twice as many at most: some 10 MB.
const REMEMBERED: usize = 8_192;

/// Tokens and what they say; clones share them.
#[derive(Clone)]
pub(crate) struct Genuine<T>(Arc<Mutex<Generations<T>>>);

/// What was not asked for while a whole generation came in is forgotten.
struct Generations<T> {
    young: HashMap<Box<str>, T>,
    old: HashMap<Box<str>, T>,
}

impl<T: Clone> Genuine<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        })))
    }

    /// What a token says that is known.
    pub(crate) fn claims(&self, token: &str) -> Option<T> {
        let mut generations = self.generations();
        if let Some(claims) = generations.young.get(token) {
            return Some(claims.clone());
        }
        let (token, claims) = generations.old.remove_entry(token)?;
        generations.add(token, claims.clone());
        Some(claims)
    }

    /// Remembers a genuine token.
    pub(crate) fn remember(&self, token: &str, claims: &T) {
        self.generations().add(token.into(), claims.clone());
    }

    fn generations(&self) -> MutexGuard<'_, Generations<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Generations<T> {
    fn add(&mut self, token: Box<str>, claims: T) {
        if self.young.len() >= REMEMBERED {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, claims);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_for_stays_and_the_rest_is_bounded() {
        let genuine = Genuine::new();
        let asked_for = |number: usize| genuine.claims(&number.to_string());
        for number in 0..5 * REMEMBERED {
            genuine.remember(&number.to_string(), &number);
            assert_eq!(asked_for(0), Some(0), "after {number}");
        }
        assert_eq!(asked_for(1), None);
        assert_eq!(asked_for(5 * REMEMBERED - 1), Some(5 * REMEMBERED - 1));
        let generations = genuine.generations();
        assert!(generations.young.len() + generations.old.len() <= 2 * REMEMBERED);
    }

    #[test]
    fn a_token_that_is_not_known_says_nothing() {
        let genuine = Genuine::new();
        genuine.remember("a.b.c", &1);
        assert_eq!(genuine.claims("a.b.d"), None);
        assert_eq!(genuine.claims("a.b.c"), Some(1));
    }
}
