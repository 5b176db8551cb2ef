//! The crates depend on each other as ARCHITECTURE.md shows, and no files of a crate in a circle.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use brokerx_structure::graph::{Graph, circles, reachable, reduced};
use brokerx_structure::{files, rooms, root};

const WORKERS: [&str; 4] = ["ingress", "matcher", "notifier", "settlement"];

fn edges(graph: &Graph) -> Vec<String> {
    graph
        .iter()
        .flat_map(|(from, all)| all.iter().map(move |to| format!("{from} -> {to}")))
        .collect()
}

#[test]
fn the_picture_shows_the_rooms_and_what_they_depend_on() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let shown = rooms::from_picture(&text).unwrap();
    let built = rooms::from_manifests(&root()).unwrap();
    let names = |graph: &Graph| graph.keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        names(&shown),
        names(&built),
        "the rooms of the picture are not those of the workspace"
    );
    assert_eq!(
        edges(&shown),
        edges(&reduced(&built)),
        "the arrows of the picture are not the dependencies that do not follow from others"
    );
}

#[test]
fn no_worker_depends_on_another_nor_on_a_test() {
    let built = rooms::from_manifests(&root()).unwrap();
    for worker in WORKERS {
        let below = reachable(&built, worker);
        let wrong: Vec<_> = below
            .iter()
            .filter(|room| WORKERS.contains(&room.as_str()) || room.starts_with("tests/"))
            .collect();
        assert!(wrong.is_empty(), "{worker} depends on {wrong:?}");
    }
}

#[test]
fn no_files_of_a_crate_need_each_other_in_a_circle() {
    let mut found = Vec::new();
    for room in rooms::from_manifests(&root()).unwrap().into_keys() {
        for crate_root in files::crate_roots(&root().join(&room)).unwrap() {
            let graph = files::edges(&root(), &crate_root).unwrap();
            for circle in circles(&graph) {
                // A circle is allowed when each of its files says why they are one thing.
                let says_why = |file: &String| {
                    fs::read_to_string(root().join(file))
                        .unwrap()
                        .contains("One thing with `")
                };
                if circle.iter().all(says_why) {
                    continue;
                }
                let inside = graph.iter().filter(|(file, _)| circle.contains(*file));
                let ties = inside.map(|(file, needed)| (file.clone(), needed & &circle)).collect();
                found.push(edges(&ties).join("\n"));
            }
        }
    }
    assert!(found.is_empty(), "circles of files:\n{}", found.join("\n\n"));
}

#[test]
fn edges_between_files_are_seen() {
    let graph = files::edges(&root(), &root().join("tests/structure/src/lib.rs")).unwrap();
    let expected = [
        "tests/structure/src/files.rs -> tests/structure/src/graph.rs",
        "tests/structure/src/files.rs -> tests/structure/src/modules.rs",
        "tests/structure/src/rooms.rs -> tests/structure/src/graph.rs",
    ];
    assert_eq!(edges(&graph), expected);
}

/// The paths that a document names in backticks or as links, where it names one from the root.
fn paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let linked = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let rooms = [
        "bench", "compose", "database", "docs", "identity", "ingress", "launcher", "market", "matcher",
    ];
    let more = ["notifier", "projection", "schemas", "settlement", "tests", "topics"];
    quoted
        .chain(linked)
        .map(|path| path.split('#').next().unwrap_or(path))
        .filter(|path| !path.contains(['*', ' ', '<', '{']) && !path.contains("NAME"))
        .filter(|path| {
            path.split_once('/')
                .is_some_and(|(room, _)| rooms.contains(&room) || more.contains(&room))
        })
        .collect()
}

#[test]
fn the_paths_that_the_documents_name_are_there() {
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let named = paths(&text);
        assert!(named.len() > 2, "{document} names {named:?}");
        let missing: Vec<_> = named.into_iter().filter(|path| !root().join(path).exists()).collect();
        assert!(missing.is_empty(), "{document} names {missing:?}, which are not there");
    }
}

#[test]
fn each_migration_is_compiled_in() {
    let mut seen = 0;
    for room in rooms::from_manifests(&root()).unwrap().into_keys() {
        let Ok(folder) = fs::read_dir(root().join(&room).join("migrations")) else {
            continue;
        };
        let mut names: Vec<_> = folder
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        names.sort();
        seen += names.len();
        let call = format!("migrations!(\"{}\")", names.join("\",\""));
        let sources = fs::read_dir(root().join(&room).join("src")).unwrap();
        let is_made = sources
            .filter_map(|file| fs::read_to_string(file.unwrap().path()).ok())
            .any(|source| source.replace([' ', '\n'], "").contains(&call));
        assert!(is_made, "no file in {room}/src says {call}");
    }
    assert!(seen > 2, "{seen} migrations");
}

/// A consumer that is dropped with fetched records in its queue never ends.
#[test]
fn no_consumer_is_owned_but_by_what_drains_it() {
    let mut found = Vec::new();
    for room in rooms::from_manifests(&root()).unwrap().into_keys() {
        for file in sources(&root().join(&room)) {
            if file.ends_with("topics/src/service/drained.rs") || file.ends_with("tests/structure/tests/structure.rs") {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if code.trim_start().starts_with("use ") {
                    continue;
                }
                for kind in ["BaseConsumer", "StreamConsumer"] {
                    let is_owned = |at: usize| !["&", "Drained<"].iter().any(|before| code[..at].ends_with(before));
                    if code.match_indices(kind).any(|(at, _)| is_owned(at)) {
                        found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
                    }
                }
            }
        }
    }
    assert!(
        found.is_empty(),
        "take a `Drained` of brokerx-topics:\n{}",
        found.join("\n")
    );
}

/// The Rust files in a folder, but for those of a room inside it.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.join("Cargo.toml").exists() && !path.ends_with("target") {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
