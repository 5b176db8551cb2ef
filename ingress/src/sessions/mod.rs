//! UC-02: logging in and out.

mod attempts;
mod login;
mod revocations;

pub use login::{login, logout};
pub use revocations::Revocations;
