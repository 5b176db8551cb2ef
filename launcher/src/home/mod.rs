//! The directory of a local system: where each thing lives, who may work in it, and its logs and
//! secrets.

pub mod files;
pub mod layout;
mod lock;
pub mod logs;
pub mod secrets;

pub use layout::Layout;
pub use lock::Lock;
pub use secrets::Secrets;
