//! Shows, once per process, which decisions cannot be read.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use brokerx_schemas::{Message, Passage};
use prometheus_client::metrics::gauge::Gauge;

use super::hints::hint;
use crate::service::{Check, Health, Metrics};

struct Watch {
    unreadable: Gauge,
    check: Check,
}

/// Made once per process: all that read the decisions read the same ones.
static WATCH: OnceLock<Watch> = OnceLock::new();
/// What was told last.
static TOLD: Mutex<BTreeMap<i64, String>> = Mutex::new(BTreeMap::new());

/// Shows the records of `passed-offsets` that cannot be read: the first call of a process registers the metric
/// `passes_unreadable` and the check `passed-offsets`, without which the process is ready all the same.
pub fn watch_unreadable(metrics: &mut Metrics, health: &Health) {
    WATCH.get_or_init(|| {
        let unreadable = Gauge::default();
        metrics.sub_registry_with_prefix("passes").register(
            "unreadable",
            "Records of passed-offsets that cannot be read, and so decide nothing",
            unreadable.clone(),
        );
        let check = health.add_aside("passed-offsets");
        check.set(true, "every decision can be read");
        Watch { unreadable, check }
    });
}

/// Tells of the records that cannot be read, by offset, with the reasons; of each once.
pub(super) fn tell(unreadable: &BTreeMap<i64, String>) {
    let why = |(offset, why): (&i64, &String)| {
        let hint = hint(Passage::TOPIC, 0, *offset);
        format!("offset {offset} of {} decides nothing: {why}; {hint}", Passage::TOPIC)
    };
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for entry in unreadable.iter().filter(|(offset, _)| !told.contains_key(offset)) {
        tracing::error!("{}", why(entry));
    }
    told.clone_from(unreadable);
    if let Some(watch) = WATCH.get() {
        watch.unreadable.set(unreadable.len() as i64);
        match unreadable.iter().next() {
            None => watch.check.set(true, "every decision can be read"),
            Some(first) => watch.check.set(false, &why(first)),
        }
    }
}
