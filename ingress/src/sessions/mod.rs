//! UC-02: logging in and out.

mod attempts;
mod limits;
mod login;
mod tries;

pub use attempts::sum_up_refusals;
pub use limits::Limits;
pub use login::{login, logout};
pub use tries::Tries;
