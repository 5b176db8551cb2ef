//! Every build of the workspace compiles each dependency with the same features.
//!
//! Cargo gives a dependency all features that the selected packages, and when it builds tests their
//! dev-dependencies, ask for. Where two selections differ, the dependency and all that stands upon
//! it, our own crates included, are compiled twice: minutes on a small machine.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use brokerx_launcher::builds::cargo::{self, selection};
use brokerx_launcher::home::Layout;

/// Each package with the sets of features that it is compiled with: one for the programs, and often
/// another for the build scripts and macros, which are compiled apart.
type Features = BTreeMap<String, BTreeSet<String>>;

const PROGRAMS: &str = "normal,build";
const TESTS: &str = "normal,build,dev";

fn features(selection: &str, edges: &str) -> Features {
    let mut tree: Command = cargo::command(&Layout::of_checkout(), "tree");
    tree.args([
        "--locked",
        "--offline",
        "--prefix",
        "none",
        "--format",
        "{p}|{f}",
        "--edges",
        edges,
    ])
    .args(selection.split(' '));
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut features = Features::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Some((package, set)) = line.trim_end_matches(" (*)").split_once('|') else {
            continue;
        };
        features.entry(package.to_owned()).or_default().insert(set.to_owned());
    }
    features
}

/// What of `part` is compiled with features that no package of `whole` has.
fn differences(part: &Features, whole: &Features) -> Vec<String> {
    part.iter()
        .filter_map(|(package, sets)| {
            let expected = whole.get(package)?;
            (!sets.is_subset(expected)).then(|| format!("{package}: {sets:?} instead of {expected:?}"))
        })
        .collect()
}

#[test]
fn programs_and_tests_share_what_is_compiled() {
    let whole = features(selection::EVERYTHING, TESTS);
    assert!(whole.len() > 100, "cargo tree shows only {} packages", whole.len());
    for (name, part) in [
        ("what is started", features(selection::EVERYTHING, PROGRAMS)),
        ("the tests", features(selection::TESTS, TESTS)),
        ("the end-to-end trials", features(selection::TRIALS, TESTS)),
    ] {
        let differences = differences(&part, &whole);
        assert!(
            differences.is_empty(),
            "{name} would compile these again, with other features; give them the missing ones in the root \
             Cargo.toml, and when only tests use them a line in tests/e2e/Cargo.toml:\n{}",
            differences.join("\n")
        );
    }
}

#[test]
fn the_script_builds_the_launcher_with_the_features_of_everything() {
    let script = fs::read_to_string(Layout::of_checkout().root().join("brokerx")).unwrap();
    let build = format!(
        "cargo build --release --locked {} --bin brokerx-launcher",
        selection::EVERYTHING
    );
    assert!(script.contains(&build), "brokerx must call `{build}`");
}

/// A feature that one member adds is not there in a build of the others.
#[test]
fn features_are_chosen_once_for_all_members() {
    let root = Layout::of_checkout().root().to_owned();
    let workspace = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = workspace
        .split_once("members = [")
        .unwrap()
        .1
        .split_once(']')
        .unwrap()
        .0;
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"launcher"), "{members:?}");
    for member in members {
        let manifest = fs::read_to_string(root.join(member).join("Cargo.toml")).unwrap();
        for line in manifest.lines() {
            let adds = line.contains("workspace = true") && line.contains("features");
            assert!(
                !adds,
                "{member}/Cargo.toml: move these features to the root Cargo.toml: {line}"
            );
        }
    }
}
