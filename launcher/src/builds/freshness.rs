//! Whether a program is still what its sources would give, found out without cargo: asking it takes
//! longer than many a program runs, and waits until any other build is done.
//!
//! Cargo writes a list of a program's sources beside it (`NAME.d`). Any that is newer, or that cannot
//! be looked at, makes the program stale; cargo is then asked, and has nothing to do where that was a
//! false alarm. Known limit: an edit that is made while cargo runs is noticed only with the next one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::home::Layout;

/// Whether the program is there, and newer than its sources and than what the workspace was locked
/// to.
pub fn is_fresh(layout: &Layout, binary: &str) -> bool {
    is_newest(&layout.binary(binary), layout.root(), &layout.target())
}

fn is_newest(program: &Path, root: &Path, target: &Path) -> bool {
    let Some(built) = modified(program) else {
        return false;
    };
    let Ok(list) = fs::read_to_string(program.with_extension("d")) else {
        return false;
    };
    let mut sources = sources(&list);
    sources.extend([root.join("Cargo.toml"), root.join("Cargo.lock")]);
    // A list that another checkout has left in a shared target directory says nothing about this
    // one. What build scripts have made lies in the target directory.
    let ours = |source: &Path| source.starts_with(root) || source.starts_with(target);
    let older = |source: &Path| modified(source).is_some_and(|changed| changed <= built);
    sources.iter().all(|source| ours(source) && older(source))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// The sources in a list of the form `PROGRAM: SOURCE SOURCE ...`, in which a space within a path
/// stands after a backslash.
fn sources(list: &str) -> Vec<PathBuf> {
    let line = list.lines().next().unwrap_or_default();
    let Some((_, sources)) = line.split_once(": ") else {
        return Vec::new();
    };
    sources
        .replace("\\ ", "\0")
        .split(' ')
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(path.replace('\0', " ")))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A checkout in which a program has been built a minute ago from one source.
    struct Checkout {
        root: tempfile::TempDir,
    }

    impl Checkout {
        fn new() -> Checkout {
            let checkout = Checkout {
                root: tempfile::tempdir().unwrap(),
            };
            let source = checkout.path("main.rs").display().to_string();
            let program = checkout.path("program").display().to_string();
            for (name, text) in [
                ("Cargo.toml", ""),
                ("Cargo.lock", ""),
                ("main.rs", ""),
                ("program.d", format!("{program}: {source}\n").as_str()),
                ("program", ""),
            ] {
                fs::write(checkout.path(name), text).unwrap();
                checkout.touch(name, 120);
            }
            checkout.touch("program", 60);
            checkout
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn touch(&self, name: &str, seconds_ago: u64) {
            let then = SystemTime::now() - Duration::from_secs(seconds_ago);
            let file = fs::File::options().write(true).open(self.path(name)).unwrap();
            file.set_modified(then).unwrap();
        }

        fn is_fresh(&self, root: &Path) -> bool {
            is_newest(&self.path("program"), root, &root.join("target"))
        }
    }

    #[test]
    fn a_program_is_fresh_until_a_source_is_newer() {
        for name in ["main.rs", "Cargo.toml", "Cargo.lock"] {
            let checkout = Checkout::new();
            assert!(checkout.is_fresh(checkout.root.path()));
            checkout.touch(name, 1);
            assert!(!checkout.is_fresh(checkout.root.path()), "{name}");
        }
    }

    #[test]
    fn a_source_that_has_gone_makes_it_stale() {
        let checkout = Checkout::new();
        fs::remove_file(checkout.path("main.rs")).unwrap();
        assert!(!checkout.is_fresh(checkout.root.path()));
    }

    #[test]
    fn a_program_of_another_checkout_is_stale() {
        let checkout = Checkout::new();
        let other = Checkout::new();
        assert!(!checkout.is_fresh(other.root.path()));
    }

    #[test]
    fn sources_are_read_with_their_spaces() {
        let list = "/t/release/brokerx-x: /a/lib.rs /my\\ checkout/main.rs\n\n/a/lib.rs:\n";
        assert_eq!(
            sources(list),
            [PathBuf::from("/a/lib.rs"), PathBuf::from("/my checkout/main.rs")]
        );
        assert_eq!(sources(""), Vec::<PathBuf>::new());
    }
}
