//! Rate limits in fixed memory.
//!
//! A slot is one atomic number, the time at which a key's bucket will be full again ([`Rate`]). Keys are hashed, with a secret seed, into a fixed number of slots; two keys that meet
//! in a slot share its rate. Nothing is allocated per key, so a flood of addresses costs no memory.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::HeaderName;
use axum::response::{IntoResponse, Response};
use brokerx_topics::service::Rate;

use crate::http::Problem;

/// Slots of 8 bytes, 512 KiB in all.
const SLOTS: usize = 1 << 16;

/// A rate per key with room for bursts.
#[derive(Debug)]
pub struct RateLimit {
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
    epoch: Instant,
    per_second: u32,
    rate: Rate,
}

impl RateLimit {
    /// `per_second` in the long run, `burst` at once; both at least 1.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = Duration::from_nanos(1_000_000_000 / u64::from(per_second.max(1)));
        Self {
            per_second,
            ..Self::every(interval, burst)
        }
    }

    /// `burst` at once, at least 1, and in the long run one in each `interval`.
    pub fn every(interval: Duration, burst: u32) -> Self {
        let per_second = 1_000_000_000 / interval.as_nanos().max(1);
        Self {
            slots: std::iter::repeat_with(AtomicU64::default).take(SLOTS).collect(),
            hasher: RandomState::new(),
            epoch: Instant::now(),
            per_second: u32::try_from(per_second).unwrap_or(u32::MAX),
            rate: Rate::every(interval, burst),
        }
    }

    /// Whether the bucket of a key is empty; takes nothing.
    ///
    /// # Errors
    /// When it is: the time until it holds one again.
    pub fn look(&self, key: impl Hash) -> Result<(), Duration> {
        self.look_at(key, self.epoch.elapsed().as_nanos() as u64)
    }

    fn look_at(&self, key: impl Hash, now_ns: u64) -> Result<(), Duration> {
        let full_at_ns = self.slot(key).load(Ordering::Relaxed);
        self.rate.take(full_at_ns, now_ns).map(drop)
    }

    fn slot(&self, key: impl Hash) -> &AtomicU64 {
        &self.slots[self.hasher.hash_one(key) as usize % SLOTS]
    }

    /// Takes one request from the bucket of a key.
    ///
    /// # Errors
    /// When the bucket is empty: the time until it holds one again.
    pub fn take(&self, key: impl Hash) -> Result<(), Duration> {
        self.take_at(key, self.epoch.elapsed().as_nanos() as u64)
    }

    fn take_at(&self, key: impl Hash, now_ns: u64) -> Result<(), Duration> {
        let slot = self.slot(key);
        let mut full_at_ns = slot.load(Ordering::Relaxed);
        loop {
            let next_ns = self.rate.take(full_at_ns, now_ns)?;
            match slot.compare_exchange_weak(full_at_ns, next_ns, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(changed) => full_at_ns = changed,
            }
        }
    }

    /// 429, with the headers that tell the rate.
    pub fn refuse(&self, wait: Duration) -> Response {
        let problem = Problem::too_many(
            "RATE_LIMITED",
            "too many requests in a short time; Retry-After says when to try again",
            wait,
        );
        let reset_seconds = problem.retry_after_seconds().unwrap_or(1);
        let headers = [
            (HeaderName::from_static("ratelimit-limit"), u64::from(self.per_second)),
            (HeaderName::from_static("ratelimit-remaining"), 0),
            (HeaderName::from_static("ratelimit-reset"), reset_seconds),
        ];
        let mut response = problem.into_response();
        response
            .headers_mut()
            .extend(headers.map(|(name, value)| (name, value.into())));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_after_it_only_the_rate() {
        let limit = RateLimit::new(10, 3);
        for _ in 0..3 {
            assert_eq!(limit.take_at("a", 0), Ok(()));
        }
        assert!(limit.look_at("a", 0).is_err() && limit.look_at("a", 100_000_000).is_ok());
        assert_eq!(limit.take_at("a", 0), Err(Duration::from_millis(100)));
        assert_eq!(limit.take_at("a", 40_000_000), Err(Duration::from_millis(60)));
        assert_eq!(limit.take_at("a", 100_000_000), Ok(()));
        assert!(limit.take_at("a", 100_000_000).is_err());
        for _ in 0..3 {
            assert_eq!(limit.take_at("a", 10_000_000_000), Ok(()), "full again, not fuller");
        }
        assert!(limit.take_at("a", 10_000_000_000).is_err());
    }
}
