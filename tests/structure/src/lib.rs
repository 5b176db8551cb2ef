//! The structure of the project, read from its sources.
//!
//! - [`rooms`]: which crate depends on which, from the manifests, and the picture of it in
//!   ARCHITECTURE.md;
//! - [`files`]: which file of a crate names items of which other, from the sources;
//! - [`graph`]: circles, and what is left of edges when those that follow from others are taken away.
//!
//! The tests beside it hold the three against each other.

pub mod files;
pub mod graph;
mod modules;
pub mod rooms;

use std::path::{Path, PathBuf};

/// The project's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    here.canonicalize().unwrap_or(here)
}
