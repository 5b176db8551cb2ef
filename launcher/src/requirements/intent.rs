//! What the machine is about to be used for.

use super::programs::NeededBy;

/// What somebody is about to do on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intent {
    /// Who does it, which says which programs are needed.
    pub by: NeededBy,
    /// Whether cargo has much to do: what is to be built is not there yet.
    pub builds: bool,
    /// Whether Kafka, registry and PostgreSQL are still to be fetched.
    pub fetches: bool,
}
