//! Rooms: the crates of the workspace, named by their folders.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::graph::Graph;

/// Which room depends on which, by the manifests, including dependencies that only tests need.
///
/// # Errors
/// When `cargo metadata` fails.
pub fn from_manifests(root: &Path) -> anyhow::Result<Graph> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--locked",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    let mut rooms = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let manifest = package["manifest_path"]
            .as_str()
            .context("a package without a manifest")?;
        let folder = Path::new(manifest).parent().context("a manifest without a folder")?;
        rooms.insert(name, folder.strip_prefix(root)?.display().to_string());
    }
    let mut graph = Graph::new();
    for package in packages {
        let name = package["name"].as_str().context("a package without a name")?;
        let all = package["dependencies"].as_array().context("no dependencies")?;
        let ours = all.iter().filter_map(|one| rooms.get(one["name"].as_str()?)).cloned();
        graph.insert(rooms[name].clone(), ours.collect());
    }
    Ok(graph)
}

/// Which room depends on which, by the picture: the lines `a --> b` of the first Mermaid block of a
/// text, where `id["folder"]` names a room.
///
/// # Errors
/// When there is no such block, or a line of it is not understood.
pub fn from_picture(text: &str) -> anyhow::Result<Graph> {
    let block = text.split("```mermaid").nth(1).context("there is no Mermaid block")?;
    let block = block.split("```").next().context("the Mermaid block does not end")?;
    let mut names = BTreeMap::new();
    let mut edges = Vec::new();
    for line in block.lines().map(str::trim) {
        if let Some((from, to)) = line.split_once(" --> ") {
            for to in to.split(" & ") {
                edges.extend(from.split(" & ").map(|from| (from.to_owned(), to.to_owned())));
            }
        } else if let Some((id, label)) = line.split_once("[\"") {
            let label = label.split(['"', '<']).next().context("a label without an end")?;
            names.insert(id.to_owned(), label.to_owned());
        } else {
            let is_frame = line.is_empty() || line == "end" || line == "flowchart TD" || line.starts_with("subgraph ");
            ensure!(is_frame, "what does {line:?} say?");
        }
    }
    let mut graph: Graph = names.values().map(|name| (name.clone(), Default::default())).collect();
    for (from, to) in edges {
        let name = |id: &str| names.get(id).cloned().with_context(|| format!("{id} has no label"));
        graph.entry(name(&from)?).or_default().insert(name(&to)?);
    }
    Ok(graph)
}
