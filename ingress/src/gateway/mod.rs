//! What a request passes before its handler: correlation, limits, who asks, and how fresh an answer
//! it wants. And what its answer passes on the way back: headers, and the rendering of problems.

mod access;
pub mod consistency;
mod context;
mod cors;
mod layer;
mod wrong_keys;

pub use access::{Caller, Operator, Refused, Scope};
pub use context::{CORRELATION_ID, RequestContext};
pub use cors::cors_layer;
pub use layer::gateway;
pub use wrong_keys::WrongKeys;
