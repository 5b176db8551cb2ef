//! Libraries that a build links, as `pkg-config` finds them.

use std::process::Command;

use crate::failure::Missing;

use super::programs::{self, succeeds};

/// The libraries in the list that are not there with their headers.
pub(super) fn missing() -> Vec<Missing> {
    let is_missing = |library: &str| !succeeds(Command::new("pkg-config").args(["--exists", library]));
    programs::all()
        .filter_map(|it| Some((it, it.program.strip_prefix("pkg-config ")?)))
        .filter(|(_, library)| is_missing(library))
        .map(|(it, library)| it.missing(format!("but `pkg-config --exists {library}` does not find it")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_the_list_that_is_there_is_not_missed() {
        let listed = programs::all().filter(|it| it.program.starts_with("pkg-config "));
        assert_eq!(listed.count(), 1);
        // What has been built with it has it.
        assert!(missing().is_empty());
    }
}
