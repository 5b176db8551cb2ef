//! Homes of test systems: `.brokerx/test-PID-N`, removed after the test. When the test failed its
//! logs are kept; the next test run removes them.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::failure::{Failure, Result};
use crate::layout::Layout;
use crate::postgres;
use crate::process::{Identity, stop_leftovers};

const PREFIX: &str = "test-";
const OWNER: &str = "owner.json";

/// A home that lives as long as this value.
#[derive(Debug)]
pub struct Scratch {
    layout: Layout,
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
        Ok(Scratch { layout })
    }

    /// The layout with this home.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.layout, std::thread::panicking());
    }
}

/// Removes the homes whose test process has ended, or all of them but the logs. Returns the log
/// directories that stay.
pub fn clean_abandoned(checkout: &Layout, keep_logs: bool) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(checkout.shared()) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| !owner_is_alive(&entry.path()))
        .filter_map(|entry| {
            let layout = checkout.with_home(entry.path());
            stop_leftovers(&layout);
            remove(&layout, keep_logs);
            layout.logs().is_dir().then(|| layout.logs())
        })
        .collect()
}

fn owner_is_alive(home: &Path) -> bool {
    fs::read(home.join(OWNER))
        .ok()
        .and_then(|owner| serde_json::from_slice::<Option<Identity>>(&owner).ok()?)
        .is_some_and(|owner| owner.is_alive())
}

/// Best effort: what cannot be removed now is removed by the next test run.
fn remove(layout: &Layout, keep_logs: bool) {
    let _ = postgres::wipe(layout);
    if !keep_logs {
        let _ = fs::remove_dir_all(layout.home());
        return;
    }
    for directory in [layout.data(), layout.snapshots(), layout.run(), layout.secrets()] {
        let _ = fs::remove_dir_all(directory);
    }
    eprintln!("logs of the failed test: {}", layout.logs().display());
}
