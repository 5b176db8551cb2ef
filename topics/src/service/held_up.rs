//! A partition whose log goes on, and of which nothing is given: another producer's transaction is open, whose end
//! Kafka waits for before it gives out anything behind its first record.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaResult;

use super::{GatheringConsumer, high_watermark};

/// After this time without anything it is told. Transactions of tools that end by themselves take less.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at the logs of a client.
const LOOKS_APART: Duration = Duration::from_secs(1);

/// Looks whether a partition is held up.
#[derive(Debug, Default)]
pub struct HeldUp {
    /// Where it stands, and since when.
    stands: Option<(i64, Instant)>,
    is_told: bool,
}

/// What has changed.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// It has been held up for some time.
    Begins,
    /// It goes on.
    Ends,
}

impl HeldUp {
    /// Looks at where a partition is that reads, and where its log ends.
    pub fn look(&mut self, position: i64, end: i64, now: Instant) -> Option<Turn> {
        let moves = position >= end || self.stands.is_none_or(|(at, _)| at != position);
        if moves {
            self.stands = (position < end).then_some((position, now));
            return std::mem::take(&mut self.is_told).then_some(Turn::Ends);
        }
        let (_, since) = self.stands?;
        let begins = !self.is_told && now.saturating_duration_since(since) >= PATIENCE;
        self.is_told |= begins;
        begins.then_some(Turn::Begins)
    }

    /// It does not read, for another reason.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Looks whether any of the logs that a client reads is held up. What it asks is known to the client: there is no
/// request.
#[derive(Debug, Default)]
pub struct HeldUpLogs {
    logs: BTreeMap<(String, i32), HeldUp>,
    /// Those that are held up, with what is said of each.
    told: BTreeMap<(String, i32), String>,
    looked_at: Option<Instant>,
}

impl HeldUpLogs {
    /// Looks, once a second. Returns whether what is to be [`said`](Self::said) has changed.
    ///
    /// # Errors
    /// When the client has not been told to read anything.
    pub fn look<C: ConsumerContext + Clone + 'static>(
        &mut self,
        consumer: &GatheringConsumer<C>,
        now: Instant,
    ) -> KafkaResult<bool> {
        let before = self.looked_at;
        if before.is_some_and(|at| now.saturating_duration_since(at) < LOOKS_APART) {
            return Ok(false);
        }
        self.looked_at = Some(now);
        if !before.is_some_and(|at| consumer.has_waited_since(at)) {
            // Much was fetched, or nobody polled: that nothing of a log came yet says nothing of the log.
            let untold = self.logs.values_mut().filter(|log| !log.is_told);
            untold.for_each(HeldUp::forget);
        }
        let mut is_news = false;
        for place in consumer.reached()?.elements() {
            let (topic, partition) = (place.topic(), place.partition());
            let end = CString::new(topic)
                .ok()
                .and_then(|topic| high_watermark(consumer.client(), &topic, partition));
            if let (Offset::Offset(position), Some(end)) = (place.offset(), end) {
                is_news |= self.judge((topic, partition), (position, end), now);
            }
        }
        Ok(is_news)
    }

    /// Why nothing comes of the first log that is held up; none when none is.
    pub fn said(&self) -> Option<&str> {
        self.told.values().next().map(String::as_str)
    }

    /// Logs that are held up.
    pub fn count(&self) -> usize {
        self.told.len()
    }

    /// Whether what is to be said has changed with this.
    fn judge(&mut self, (topic, partition): (&str, i32), (position, end): (i64, i64), now: Instant) -> bool {
        let log = (topic.to_owned(), partition);
        match self.logs.entry(log.clone()).or_default().look(position, end, now) {
            Some(Turn::Begins) => {
                let why = format!("{topic}-{partition} {}", nothing_comes(position, end));
                tracing::error!(why, "held up");
                self.told.insert(log, why);
                true
            }
            Some(Turn::Ends) => {
                tracing::info!(topic, partition, position, "goes on");
                self.told.remove(&log).is_some()
            }
            None => false,
        }
    }
}

/// What is said of a log that is held up.
pub(crate) fn nothing_comes(position: i64, end: i64) -> String {
    format!(
        "offset {position} of {end}: nothing comes for now; Kafka is away, or a transaction of another producer is open"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_a_partition_of_which_nothing_comes_is_held_up() {
        let begun = Instant::now();
        let mut held_up = HeldUp::default();
        for (second, position, end, turn) in [
            (0, 10, 10, None),
            (60, 10, 10, None),
            // Behind, and it goes on.
            (61, 10, 30, None),
            (65, 20, 40, None),
            (69, 30, 50, None),
            (73, 30, 60, None),
            (74, 30, 60, Some(Turn::Begins)),
            (90, 30, 70, None),
            (91, 31, 70, Some(Turn::Ends)),
            (95, 31, 70, None),
            (96, 31, 70, Some(Turn::Begins)),
            (97, 70, 70, Some(Turn::Ends)),
            (98, 70, 70, None),
        ] {
            let now = begun + Duration::from_secs(second);
            assert_eq!(held_up.look(position, end, now), turn, "{second} s");
        }
    }

    #[test]
    fn the_first_log_that_is_held_up_is_told_until_none_is() {
        let begun = Instant::now();
        let mut logs = HeldUpLogs::default();
        let mut judge = |second, partition, position, end| {
            let is_news = logs.judge(
                ("trades", partition),
                (position, end),
                begun + Duration::from_secs(second),
            );
            is_news.then(|| logs.said().map(str::to_owned))
        };
        for partition in 0..2 {
            assert_eq!(judge(0, partition, 3, 5), None);
        }
        let told = judge(6, 0, 3, 5).unwrap().unwrap();
        assert!(told.starts_with("trades-0 offset 3 of 5: nothing comes"), "{told}");
        assert_eq!(judge(6, 1, 3, 5).unwrap().unwrap(), told);
        assert!(judge(7, 0, 5, 5).unwrap().unwrap().starts_with("trades-1"));
        assert_eq!(judge(8, 1, 4, 5), Some(None));
    }
}
