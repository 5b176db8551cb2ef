//! What the machine has too little of.

/// Memory, or space on a file system, of which there is too little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// What there is too little of and where, e.g. `disk space in /home/ada/brokerx/target`.
    pub of: String,
    /// What it is needed for, e.g. `the build`.
    pub purpose: String,
    /// How much is needed, MiB.
    pub needed_mebibytes: u64,
    /// How much there is, MiB.
    pub available_mebibytes: u64,
    /// What the user can do about it.
    pub advice: String,
}

pub(super) fn describe(all: &[Shortage]) -> String {
    let describe = |shortage: &Shortage| {
        let Shortage {
            of,
            purpose,
            needed_mebibytes,
            available_mebibytes,
            advice,
        } = shortage;
        format!(
            "not enough {of}: {needed_mebibytes} MiB are needed for {purpose}, {available_mebibytes} MiB are available.\n  {advice}"
        )
    };
    all.iter().map(describe).collect::<Vec<_>>().join("\n")
}
