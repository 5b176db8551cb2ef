//! The structure of the project, read from its sources.
//!
//! - [`rooms`]: which crate depends on which, from the manifests, and the picture of it in
//!   ARCHITECTURE.md;
//! - [`files`]: which file of a crate uses items of which other, from the sources;
//! - [`graph`]: circles, and the edges that remain when those that follow from others are removed.
//!
//! The tests in `tests/` compare the rooms with the picture and look for circles.

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
