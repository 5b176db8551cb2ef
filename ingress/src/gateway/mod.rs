//! What a request passes before its handler: correlation, limits, who asks, and how fresh an answer
//! it wants; and the headers and the rendering of problems on its way back.

mod access;
pub mod consistency;
mod context;
mod cors;
mod layer;

pub use access::{Caller, Operator, Refused, Scope};
pub use context::{CORRELATION_ID, RequestContext};
pub use cors::cors_layer;
pub use layer::gateway;
