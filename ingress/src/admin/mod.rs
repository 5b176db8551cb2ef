//! What operators do. Every handler takes an [`crate::gateway::Operator`] and is audited.

mod accounts;
mod acted;
mod amounts;
mod audit;
mod clients;
mod in_flight;
mod instruments;
mod interventions;
mod items;
mod reconciliation;
mod sessions;

pub use accounts::{kill, set_limits, transfer, unkill};
pub use clients::{reinstate, suspend};
pub use in_flight::InFlight;
pub use instruments::{delist, halt, list, resume};
pub use interventions::{adjust, thaw};
pub use reconciliation::reconciliation;
pub use sessions::{close_sessions, open_sessions};

use crate::orders::{done as answer, late};
