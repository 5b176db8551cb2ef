//! The bytes of released examples, beside the schema that wrote them:
//! `golden/<version>/<topic>.avsc` and `golden/<version>/<topic>.hex`, a line `example hex` each.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::parts::without_docs;
use super::{Topic, folder};

/// One topic of one version.
pub struct Golden {
    /// The version: a number, counted up when a released schema has changed.
    pub version: u32,
    /// The schema of that version, as text.
    pub schema: String,
    /// The datum of each example.
    pub data: BTreeMap<String, Vec<u8>>,
}

/// The versions that there are, the oldest first.
pub fn versions() -> Vec<u32> {
    let entries = fs::read_dir(folder("golden")).into_iter().flatten();
    let mut versions: Vec<u32> = entries
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap())
        .collect();
    versions.sort_unstable();
    versions
}

/// What a topic looked like in every version that has it.
pub fn of(topic: &Topic) -> Vec<Golden> {
    versions()
        .into_iter()
        .filter_map(|version| read(topic, version))
        .collect()
}

fn file(topic: &Topic, version: u32, extension: &str) -> PathBuf {
    folder("golden")
        .join(version.to_string())
        .join(format!("{}.{extension}", topic.name))
}

fn read(topic: &Topic, version: u32) -> Option<Golden> {
    let schema = fs::read_to_string(file(topic, version, "avsc")).ok()?;
    let lines = fs::read_to_string(file(topic, version, "hex")).unwrap();
    let data = lines.lines().map(|line| {
        let (name, hex) = line.split_once(' ').unwrap();
        (name.to_owned(), from_hex(hex))
    });
    Some(Golden {
        version,
        schema,
        data: data.collect(),
    })
}

/// Adds today's schema and the examples that are missing to a version; what is there stays.
///
/// # Panics
/// When the version was written with another schema: that takes a new version.
pub fn write_missing(topic: &Topic, version: u32) {
    let mut data = BTreeMap::new();
    if let Some(golden) = read(topic, version) {
        let same = without_docs(&golden.schema) == without_docs(topic.json);
        assert!(same, "{} of version {version} has another schema", topic.name);
        data = golden.data;
    }
    for example in topic.examples() {
        data.entry(example.name).or_insert(example.bytes);
    }
    let lines: String = data
        .iter()
        .map(|(name, bytes)| format!("{name} {}\n", to_hex(bytes)))
        .collect();
    fs::create_dir_all(folder("golden").join(version.to_string())).unwrap();
    if !file(topic, version, "avsc").exists() {
        fs::write(file(topic, version, "avsc"), topic.json).unwrap();
    }
    fs::write(file(topic, version, "hex"), lines).unwrap();
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
