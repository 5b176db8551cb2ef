//! Files that others read while they are written.

use std::fs;
use std::path::Path;

use crate::failure::{Failure, Result};

/// Writes a file beside its place and renames it: a reader finds the old one or the new one, never
/// half of it.
///
/// # Errors
/// When the operating system refuses, with the path.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, bytes)
        .and_then(|()| fs::rename(&draft, path))
        .map_err(Failure::io(format!("cannot write {}", path.display())))
}
