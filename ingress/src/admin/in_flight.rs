//! Commands of operators that are on their way, whether or not somebody still waits for their answer.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::Problem;

/// So many may be on their way at once.
const PLACES: u32 = 64;

/// A bounded number of places.
pub struct InFlight(Arc<Semaphore>);

impl Default for InFlight {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES as usize)))
    }
}

impl InFlight {
    /// A place, which is given back when it is dropped.
    ///
    /// # Errors
    /// 503 when all are taken.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| {
            Problem::unavailable(
                "OVERLOADED",
                "too many commands of operators are on their way; nothing was done, try again in a moment",
            )
        })
    }

    /// Waits until none is on its way.
    pub async fn ended(&self) {
        // Never closed, so the only outcome is that all places are free.
        drop(self.0.acquire_many(PLACES).await);
    }
}
