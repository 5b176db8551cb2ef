//! What operators see of the runner: `brokerx_runner_*`, by machine and partition.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use crate::machine::Applied;
use crate::service::{Metrics, latency};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    machine: &'static str,
    partition: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MachineLabels {
    machine: &'static str,
}

type Seconds = Gauge<f64, AtomicU64>;

macro_rules! partition_metrics {
    ($( $(#[doc = $help:literal])+ $name:ident: $type:ty $(, $unit:expr)?; )+) => {
        /// The metrics of one partition.
        #[derive(Clone, Debug)]
        pub struct PartitionMetrics {
            $( $(#[doc = $help])+ pub $name: $type, )+
        }

        #[derive(Debug, Default)]
        struct PartitionFamilies { $( $name: Family<PartitionLabels, $type>, )+ }

        impl PartitionFamilies {
            fn register(&self, registry: &mut Metrics) {
                $( partition_metrics!(@register registry, stringify!($name), concat!($($help),+), self.$name.clone() $(, $unit)?); )+
            }
            fn of(&self, labels: &PartitionLabels) -> PartitionMetrics {
                PartitionMetrics { $( $name: self.$name.get_or_create_owned(labels), )+ }
            }
            fn remove(&self, labels: &PartitionLabels) {
                $( self.$name.remove(labels); )+
            }
        }
    };
    (@register $registry:ident, $name:expr, $help:expr, $family:expr) => {
        $registry.register($name, $help.trim().trim_end_matches('.'), $family)
    };
    (@register $registry:ident, $name:expr, $help:expr, $family:expr, $unit:expr) => {
        $registry.register_with_unit($name, $help.trim().trim_end_matches('.'), $unit, $family)
    };
}

partition_metrics! {
    /// Records that the machine applied.
    records_applied: Counter;
    /// Records of a worker that had been applied before, and changed nothing.
    records_duplicate: Counter;
    /// Records of a worker dropped behind a hole: when this grows and does not stop, a sender lost records.
    records_behind_hole: Counter;
    /// Ticks and configurations that were behind, and changed nothing.
    records_stale: Counter;
    /// Records that went to the dead letters.
    records_dead_letter: Counter;
    /// Offsets that hold no record: markers of transactions, and what was aborted.
    offsets_passed_over: Counter;
    /// Records handed to the producer.
    outputs: Counter;
    /// Records with outputs that are not acknowledged yet.
    in_flight: Gauge;
    /// Records between the position and the end of the log.
    lag: Gauge;
    /// The next offset to apply.
    position: Gauge;
    /// Time since a commit stopped covering everything that was applied; 0 when it covers all.
    commit_age: Seconds, Unit::Seconds;
    /// Time since the last snapshot was saved, or since the partition started.
    snapshot_age: Seconds, Unit::Seconds;
    /// Size of the last snapshot.
    snapshot_size: Gauge, Unit::Bytes;
    /// How long the partition stood still for the last snapshot.
    snapshot_pause: Seconds, Unit::Seconds;
    /// How long the store took for the last snapshot.
    snapshot_save: Seconds, Unit::Seconds;
    /// Snapshots that could not be saved.
    snapshot_failures: Counter;
    /// Times that the partition was started.
    starts: Counter;
    /// 1 when the partition stopped and waits for an operator.
    stopped: Gauge;
    /// 1 while the partition waits for a schema.
    blocked: Gauge;
    /// Machine time, since the epoch: it stands while no record comes.
    machine_time: Seconds, Unit::Seconds;
}

#[derive(Debug)]
struct MachineFamilies {
    apply: Family<MachineLabels, Histogram, fn() -> Histogram>,
    append_to_apply: Family<MachineLabels, Histogram, fn() -> Histogram>,
    send_to_ack: Family<MachineLabels, Histogram, fn() -> Histogram>,
    restarts: Family<MachineLabels, Counter>,
    faults: Family<MachineLabels, Counter>,
    stalls: Family<MachineLabels, Counter>,
    rebalances: Family<MachineLabels, Counter>,
}

impl Default for MachineFamilies {
    fn default() -> Self {
        Self {
            apply: Family::new_with_constructor(latency),
            append_to_apply: Family::new_with_constructor(latency),
            send_to_ack: Family::new_with_constructor(latency),
            restarts: Family::default(),
            faults: Family::default(),
            stalls: Family::default(),
            rebalances: Family::default(),
        }
    }
}

#[derive(Debug, Default)]
struct Families {
    partition: PartitionFamilies,
    machine: MachineFamilies,
}

/// Made once per process: a process that drives two machines exports each name once, with two labels.
static FAMILIES: OnceLock<Families> = OnceLock::new();

/// The metrics of one machine's runner.
#[derive(Clone, Debug)]
pub struct RunnerMetrics {
    machine: &'static str,
    /// Time in the machine for one record.
    pub apply: Histogram,
    /// Time from a record's append to the end of its apply.
    pub append_to_apply: Histogram,
    /// Time from an output's send to its acknowledgement.
    pub send_to_ack: Histogram,
    /// Restarts of an apply thread's partitions after a failed send.
    pub restarts: Counter,
    /// Partitions that stopped and wait for an operator.
    pub faults: Counter,
    /// Times that the group membership was left to lapse because nothing made progress.
    pub stalls: Counter,
    /// Assignments and revocations.
    pub rebalances: Counter,
}

impl RunnerMetrics {
    /// The metrics of a machine; registers all of them with the process's registry at the first call.
    pub fn register(registry: &mut Metrics, machine: &'static str) -> Self {
        let families = FAMILIES.get_or_init(|| {
            let families = Families::default();
            families.register(registry.sub_registry_with_prefix("runner"));
            families
        });
        let labels = MachineLabels { machine };
        let of = &families.machine;
        Self {
            machine,
            apply: of.apply.get_or_create_owned(&labels),
            append_to_apply: of.append_to_apply.get_or_create_owned(&labels),
            send_to_ack: of.send_to_ack.get_or_create_owned(&labels),
            restarts: of.restarts.get_or_create_owned(&labels),
            faults: of.faults.get_or_create_owned(&labels),
            stalls: of.stalls.get_or_create_owned(&labels),
            rebalances: of.rebalances.get_or_create_owned(&labels),
        }
    }

    /// The metrics of a partition that is owned from now on.
    pub fn partition(&self, partition: i32) -> PartitionMetrics {
        let labels = PartitionLabels {
            machine: self.machine,
            partition,
        };
        FAMILIES.get_or_init(Families::default).partition.of(&labels)
    }

    /// Stops exporting a partition: another process owns it.
    pub fn remove_partition(&self, partition: i32) {
        let labels = PartitionLabels {
            machine: self.machine,
            partition,
        };
        FAMILIES.get_or_init(Families::default).partition.remove(&labels);
    }
}

impl Families {
    fn register(&self, registry: &mut Metrics) {
        self.partition.register(registry);
        let of = &self.machine;
        let seconds = || Unit::Seconds;
        registry.register_with_unit(
            "apply",
            "Time in the machine for one record",
            seconds(),
            of.apply.clone(),
        );
        registry.register_with_unit(
            "append_to_apply",
            "Time from a record's append to the end of its apply",
            seconds(),
            of.append_to_apply.clone(),
        );
        registry.register_with_unit(
            "send_to_ack",
            "Time from an output's send to its acknowledgement",
            seconds(),
            of.send_to_ack.clone(),
        );
        registry.register(
            "restarts",
            "Restarts of an apply thread's partitions after a failed send",
            of.restarts.clone(),
        );
        registry.register(
            "faults",
            "Partitions that stopped and wait for an operator",
            of.faults.clone(),
        );
        registry.register(
            "stalls",
            "Times that the group membership was left to lapse because nothing made progress",
            of.stalls.clone(),
        );
        registry.register("rebalances", "Assignments and revocations", of.rebalances.clone());
    }
}

impl PartitionMetrics {
    /// Counts what became of a record.
    pub fn count(&self, applied: Applied) {
        match applied {
            Applied::Yes => &self.records_applied,
            Applied::Duplicate => &self.records_duplicate,
            Applied::Hole => &self.records_behind_hole,
            Applied::Stale => &self.records_stale,
            Applied::DeadLetter => &self.records_dead_letter,
        }
        .inc();
    }
}

/// Sets a gauge of seconds.
pub fn set_seconds(gauge: &Seconds, duration: Duration) {
    gauge.set(duration.as_secs_f64());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn two_machines_export_each_name_once() {
        let mut registry = crate::service::metrics();
        for machine in ["one", "two"] {
            let metrics = RunnerMetrics::register(&mut registry, machine);
            metrics.partition(3).count(Applied::Duplicate);
            metrics.apply.observe(0.001);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for machine in ["one", "two"] {
            let line = format!("brokerx_runner_records_duplicate_total{{machine=\"{machine}\",partition=\"3\"}} 1");
            assert!(text.contains(&line), "{text}");
        }
        let name = "# TYPE brokerx_runner_commit_age_seconds gauge";
        assert_eq!(text.matches(name).count(), 1, "{text}");
    }
}
