//! The forms of requests and answers: bodies, queries and keys on the way in, pages and problems on the
//! way out. Nothing here knows the application's state.

mod body;
mod html;
mod limit;
mod page;
mod problem;
pub mod reasons;

pub use body::{Body, IdempotencyKey, OptionalBody, Query, decode, is_client_key};
pub use html::Html;
pub use limit::RateLimit;
pub use page::{Page, PageQuery, limit_of};
pub use problem::{FieldError, Problem};
