//! What Kafka's authorizer says in its log: who was refused what, and which rights were used.

use std::collections::BTreeSet;
use std::fs;

use brokerx_e2e::fixture::Fixture;
use brokerx_topics::catalogue::{Acl, Operation, Resource, acls};

/// Rights that a whole run does not need to use, and why they are granted all the same: principal, operation,
/// resource, reason.
const UNUSED: [(&str, &str, &str, &str); 12] = [
    ("ingress", "Read", "passed-offsets", NOTHING_UNREADABLE),
    ("notifier", "Read", "passed-offsets", NOTHING_UNREADABLE),
    ("notifier", "Write", "dead-letters", NOTHING_UNREADABLE),
    ("notifier", "Write", "acks", NOBODY_CONFIRMS),
    ("notifier", "Read", "acks", NAMED_ALL_THE_SAME),
    ("operators", "Create", "brokerx-configured", NO_HAND),
    ("operators", "Write", "brokerx-configured", NO_HAND),
    ("operators", "Read", "brokerx-configured", NO_HAND),
    ("registry", "Write", "kafkasql-snapshots", NO_SNAPSHOT),
    ("registry", "Read", "kafkasql-snapshots", NO_SNAPSHOT),
    (
        "registry",
        "Read",
        "registry-events",
        "Apicurio's events are for others; it makes the topic at each start",
    ),
    (
        "settlement",
        "Read",
        "brokerx-projector*",
        "the projector names the group and is no member: it would get along with a right to describe",
    ),
];
const NOTHING_UNREADABLE: &str = "used where a record cannot be read: unreadable::, dead_letters::";
const NOBODY_CONFIRMS: &str = "used where a client of the feed says what it has seen";
const NAMED_ALL_THE_SAME: &str = "nothing in the notifier does it; the catalogue names it there all the same";
const NO_HAND: &str =
    "used where a log is begun and where a configuration is changed: topics_tool::a_configuration_is_changed_...";
const NO_SNAPSHOT: &str = "used once an administrator lets Apicurio write a snapshot";

/// What somebody did, or wanted to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deed {
    user: String,
    /// As Kafka calls it, e.g. `DESCRIBE`.
    operation: String,
    /// `Topic`, `Group`, ...
    kind: String,
    name: String,
}

impl Deed {
    /// Of a line of the log: `Principal = User:NAME is Denied operation = READ from host = ADDRESS on resource =
    /// Topic:LITERAL:NAME for request = ...`.
    fn in_line(line: &str) -> Option<Self> {
        let word = |before: &str| line.split_once(before)?.1.split(' ').next();
        let mut resource = word("resource = ")?.splitn(3, ':');
        let (kind, name) = (resource.next()?, resource.nth(1)?);
        Some(Self {
            user: word("Principal = User:")?.to_owned(),
            operation: word("operation = ")?.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Whether it takes this right and no other, as far as operations go. Kafka lets whoever may read or write
    /// describe as well; that alone needs neither.
    fn uses(&self, right: &Acl) -> bool {
        let is_of = match &right.resource {
            Resource::Topic(name) => self.kind == "Topic" && self.name == *name,
            Resource::Groups(prefix) => self.kind == "Group" && self.name.starts_with(prefix),
        };
        let takes = right.operation == Operation::All || self.operation == kafka_name(right.operation);
        self.user == right.principal && is_of && takes
    }
}

fn kafka_name(operation: Operation) -> String {
    format!("{operation:?}").to_uppercase()
}

fn deeds(fixture: &Fixture, verdict: &str) -> anyhow::Result<BTreeSet<Deed>> {
    let log = fs::read_to_string(fixture.system().layout().log("kafka"))?;
    let verdict = format!(" is {verdict} operation = ");
    let lines = log.lines().filter(|line| line.contains(&verdict));
    Ok(lines.filter_map(Deed::in_line).collect())
}

/// Who was refused what until now, as `User:NAME OPERATION Kind:NAME`.
pub fn denials(fixture: &Fixture) -> anyhow::Result<BTreeSet<String>> {
    let shown = |it: Deed| format!("User:{} {} {}:{}", it.user, it.operation, it.kind, it.name);
    Ok(deeds(fixture, "Denied")?.into_iter().map(shown).collect())
}

/// The rights of the catalogue that nobody has used until now and no reason is known for, as `NAME OPERATION RESOURCE`.
pub fn needless(fixture: &Fixture) -> anyhow::Result<BTreeSet<String>> {
    let used = deeds(fixture, "Allowed")?;
    let unused = acls().into_iter().filter(|right| !used.iter().any(|it| it.uses(right)));
    Ok(unused
        .map(|right| shown(&right))
        .filter(|it| !is_explained(it))
        .collect())
}

/// Reasons that are given for rights that nobody has.
pub fn explained_in_vain() -> Vec<String> {
    let granted: BTreeSet<String> = acls().iter().map(shown).collect();
    let explained = UNUSED
        .iter()
        .map(|(who, what, which, _)| format!("{who} {what} {which}"));
    explained.filter(|it| !granted.contains(it)).collect()
}

fn is_explained(right: &str) -> bool {
    let mut explained = UNUSED.iter();
    explained.any(|(who, what, which, _)| right == format!("{who} {what} {which}"))
}

fn shown(right: &Acl) -> String {
    let resource = match &right.resource {
        Resource::Topic(name) => name.clone(),
        Resource::Groups(prefix) => format!("{prefix}*"),
    };
    format!("{} {:?} {resource}", right.principal, right.operation)
}
