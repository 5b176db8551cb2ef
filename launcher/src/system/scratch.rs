//! Homes of test systems: `.brokerx/test-PID-N`, removed after the test. When a test fails,
//! its logs and mails are kept in `.brokerx/test-failed-PID-N` until a few more have failed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use crate::failure::{Failure, Result};
use crate::home::Layout;
use crate::home::layout::file_name;
use crate::platform::postgres;
use crate::process::{Identity, stop_leftovers};

const PREFIX: &str = "test-";
const FAILED_PREFIX: &str = "test-failed-";
const OWNER: &str = "owner.json";

/// Failed tests of which something is kept.
const FAILED_MAX: usize = 5;

/// A home that lives as long as this value.
#[derive(Debug)]
pub struct Scratch {
    layout: Layout,
    keep_logs: bool,
}

impl Scratch {
    /// A new home in a checkout.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new(checkout: &Layout) -> Result<Scratch> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pid = std::process::id();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let home = checkout.shared().join(format!("{PREFIX}{pid}-{number}"));
        let layout = checkout.with_home(&home);
        layout.create()?;
        let owner = serde_json::to_vec(&Identity::of(pid)).unwrap_or_default();
        fs::write(home.join(OWNER), owner).map_err(Failure::io(format!("cannot write to {}", home.display())))?;
        Ok(Scratch {
            layout,
            keep_logs: false,
        })
    }

    /// The layout with this home.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether logs and mails are kept when the home is removed; otherwise only those of a panic.
    pub fn set_keep_logs(&mut self, keep_logs: bool) {
        self.keep_logs = keep_logs;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.layout, self.keep_logs || std::thread::panicking());
    }
}

/// Removes the homes whose test process has ended, with or without their logs and mails.
pub fn clean_abandoned(checkout: &Layout, keep_logs: bool) {
    for home in directories(checkout, PREFIX) {
        if !is_kept(&home) && !owner_is_alive(&home) {
            let layout = checkout.with_home(home);
            stop_leftovers(&layout);
            remove(&layout, keep_logs);
        }
    }
}

/// What is kept of failed tests, and since when; the oldest first.
pub fn kept(checkout: &Layout) -> Vec<(SystemTime, PathBuf)> {
    let since = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let mut kept: Vec<_> = directories(checkout, FAILED_PREFIX)
        .filter_map(|path| Some((since(&path).ok()?, path)))
        .collect();
    kept.sort();
    kept
}

fn directories(checkout: &Layout, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(checkout.shared()).into_iter().flatten().flatten();
    entries
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
}

fn is_kept(home: &Path) -> bool {
    file_name(home).starts_with(FAILED_PREFIX)
}

fn owner_is_alive(home: &Path) -> bool {
    fs::read(home.join(OWNER))
        .ok()
        .and_then(|owner| serde_json::from_slice::<Option<Identity>>(&owner).ok()?)
        .is_some_and(|owner| owner.is_alive())
}

/// Best effort: what cannot be removed now is removed by the next test run.
fn remove(layout: &Layout, keep_logs: bool) {
    if keep_logs {
        match keep(layout) {
            Ok(place) => eprintln!("logs and mails of the failed test: {}", place.display()),
            Err(failure) => eprintln!("the logs of the failed test are lost: {failure}"),
        }
    }
    let _ = postgres::wipe(layout);
    let _ = fs::remove_dir_all(layout.home());
}

/// Moves logs and mails out of a home, in the place of those of the oldest failure.
fn keep(layout: &Layout) -> Result<PathBuf> {
    let place = file_name(layout.home()).replacen(PREFIX, FAILED_PREFIX, 1);
    let place = layout.shared().join(place);
    // The kernel uses process ids again.
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).map_err(Failure::io(format!("cannot create {}", place.display())))?;
    for directory in [layout.logs(), layout.mail()] {
        let context = format!("cannot move {}", directory.display());
        fs::rename(&directory, place.join(file_name(&directory))).map_err(Failure::io(context))?;
    }
    let kept = kept(layout);
    for (_, oldest) in &kept[..kept.len().saturating_sub(FAILED_MAX)] {
        let _ = fs::remove_dir_all(oldest);
    }
    Ok(place)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_passed_test_leaves_nothing_and_failed_ones_their_last_logs() {
        // A checkout of its own, in a home of this one.
        let outer = Scratch::new(&Layout::of_checkout()).unwrap();
        let checkout = Layout::at(outer.layout().home());
        let passed = Scratch::new(&checkout).unwrap();
        let home = passed.layout().home().to_owned();
        drop(passed);
        assert!(!home.exists());
        assert!(kept(&checkout).is_empty());

        for number in 0..FAILED_MAX + 2 {
            let mut failed = Scratch::new(&checkout).unwrap();
            failed.set_keep_logs(true);
            fs::write(failed.layout().log("matcher"), number.to_string()).unwrap();
            fs::write(failed.layout().mail().join("1.eml"), "welcome").unwrap();
            let home = failed.layout().home().to_owned();
            drop(failed);
            assert!(!home.exists());
            // Seconds apart, whatever the clock of the file system counts in.
            let (_, newest) = kept(&checkout).pop().unwrap();
            let then = SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
            fs::File::open(newest).unwrap().set_modified(then).unwrap();
        }
        let kept = kept(&checkout);
        assert_eq!(kept.len(), FAILED_MAX);
        let newest = &kept[FAILED_MAX - 1].1;
        let log = fs::read_to_string(newest.join("logs/matcher.log")).unwrap();
        assert_eq!(log, (FAILED_MAX + 1).to_string());
        assert!(newest.join("mail/1.eml").is_file());
        // What is kept is no abandoned home.
        clean_abandoned(&checkout, false);
        assert_eq!(super::kept(&checkout).len(), FAILED_MAX);
    }
}
