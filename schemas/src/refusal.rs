//! Why a command was refused, as its reply and its event say it.

use serde::{Deserialize, Serialize};

use crate::Reason;

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The code that the client sees.
    pub reason: Reason,
    /// The order's current version, for `VERSION_CONFLICT`.
    pub current_version: Option<i32>,
}
