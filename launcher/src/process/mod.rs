//! Child processes that can be found again, waited for, and ended for certain.
//!
//! Every child leads its own session, so that Ctrl-C reaches only the launcher, which then stops
//! things in order. What runs is recorded in `run/NAME.json` together with the time at which the
//! kernel started it: a pid that has been given to somebody else in the meantime is never
//! signalled. When the launcher or a test dies, even by SIGKILL, the kernel signals its children.
//!
//! [`Process`] is a component that runs until it is stopped; [`tool`] runs a program that ends by
//! itself.

pub mod account;
mod channel;
mod child;
mod identity;
pub mod inherited;
pub mod probe;
mod record;
mod spawn;
pub mod tool;

pub use account::Account;
pub use child::{Process, Spec};
pub use identity::Identity;
pub use probe::Probe;
pub use record::{RunRecord, leftovers, stop_leftovers};
