//! UC-01: who the clients are. Registration, verification, reminders, status.

mod limits;
mod me;
mod passwords;
mod register;
mod registrations;
mod reminders;
mod rules;
mod status;
mod verify;

pub use limits::RegistrationLimits;
pub use me::me;
pub use passwords::Passwords;
pub use register::register;
pub use reminders::{ReminderAges, remind_and_reject};
pub use rules::{EMAIL_LENGTH_MAX, email_key};
pub use status::{StatusChange, change_status};
pub use verify::{show as show_link, verify};
