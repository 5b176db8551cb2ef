//! UC-02: logging in and out.

mod attempts;
mod login;

pub use login::{login, logout};
