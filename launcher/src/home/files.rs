//! Files that others read while they are written, and directories that others may not read.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
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

/// Makes a directory with this mode, or gives it to the one that is there.
///
/// # Errors
/// When the operating system refuses, with the path.
pub fn directory(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .map_err(Failure::io(format!("cannot create {}", path.display())))
}

/// Writes a file that only its owner can read, in the place of what is there.
///
/// # Errors
/// When the operating system refuses, with the path.
pub fn private(path: &Path, text: &str) -> Result<()> {
    // Another's file would keep its mode.
    let _ = fs::remove_file(path);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(Failure::io(format!("cannot write {}", path.display())))
}
