//! How many reads of strangers the database serves at once.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::http::Problem;

/// How long a read waits for its turn.
const TURN_LIMIT: Duration = Duration::from_secs(1);

/// Trades and candles are read by anybody, without a token. They get a part of the connections to the database, so
/// that no number of strangers keeps clients from their orders.
#[derive(Debug)]
pub struct PublicReads(Semaphore);

impl PublicReads {
    /// Half of so many connections, at least one.
    pub fn new(connections: u32) -> Self {
        Self(Semaphore::new((connections as usize / 2).max(1)))
    }

    /// A turn, which ends when it is dropped.
    ///
    /// # Errors
    /// 503 when there was none in time.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.turn_within(TURN_LIMIT).await
    }

    async fn turn_within(&self, limit: Duration) -> Result<SemaphorePermit<'_>, Problem> {
        tokio::time::timeout(limit, self.0.acquire())
            .await
            .map_err(|_| Problem::unavailable("OVERLOADED", "too many trades and candles are asked for; try again"))?
            .map_err(Problem::internal)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_have_half_of_the_connections() {
        for (connections, turns) in [(10, 5), (2, 1), (1, 1)] {
            let reads = PublicReads::new(connections);
            let mut taken = Vec::new();
            for _ in 0..turns {
                taken.push(reads.turn().await.unwrap());
            }
            let refused = reads.turn_within(Duration::ZERO).await.unwrap_err();
            assert_eq!((refused.status().as_u16(), refused.code()), (503, "OVERLOADED"));
            taken.pop();
            assert!(reads.turn().await.is_ok(), "a turn that ended is free");
        }
    }
}
