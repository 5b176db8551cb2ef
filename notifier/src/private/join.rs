//! Where the past, read in pages, meets the present, pushed as it happens: dense by construction.
//!
//! Events of an account are numbered without a gap. The join passes on exactly `last + 1`, whether a
//! page or a live event brings it, and drops any number at or below `last`. A live event above `last + 1`
//! means that events in between were not seen here: they happened before this process read the topic, or
//! were forgotten as described next. Then pages are requested from `last` on, and live events wait, at
//! most [`WAITING_MAX`] of them. When more come, the oldest are forgotten: the pages will bring them. A
//! resume is the same with another `last`.
//!
//! A client may resume after a number that is not known here yet, because another process that had read
//! further sent it that event. The number is believed once a page or a live event shows that it exists;
//! until then pages are requested from just before it. If no event with that number ever comes, the client
//! made it up, and [`Join::give_up`] goes back to what is known.
//!
//! Known limit: when pages cannot be read, [`Join::give_up`] goes on with the live events; the first of
//! them is marked as [`Step::rebased`] so that the client can see that something is missing.

use std::collections::VecDeque;

/// Live events that wait while the past is read.
pub const WAITING_MAX: usize = 1_024;

/// An event that is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<E> {
    /// Its number.
    pub seq: i64,
    /// The event.
    pub event: E,
    /// Whether events before it may be missing.
    pub rebased: bool,
}

/// The join of one account's past and present.
#[derive(Debug)]
pub struct Join<E> {
    /// Everything up to this number was passed on, or comes before the base.
    last: i64,
    /// Whether the next event must be `last + 1`, or may be any later one.
    anchored: bool,
    /// The past is being read, at least up to `known`.
    reading: bool,
    /// The highest number that was seen here, or that a caller knew.
    known: i64,
    waiting: VecDeque<(i64, E)>,
}

impl<E> Join<E> {
    /// Begins after `base`; without a base, with whatever comes first.
    pub fn new(base: Option<i64>) -> Self {
        Self {
            last: base.unwrap_or(0),
            anchored: base.is_some(),
            reading: false,
            known: base.unwrap_or(0),
            waiting: VecDeque::new(),
        }
    }

    /// Begins anew after `after`: everything later is passed on, at least up to `known`.
    pub fn resume(&mut self, after: i64, known: i64) {
        self.last = after;
        self.anchored = true;
        self.reading = true;
        self.known = self.known.max(known);
        // What waits is still later than what the pages will bring.
    }

    /// The number up to which everything was passed on.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The highest number that is known to exist.
    pub fn known(&self) -> i64 {
        self.known
    }

    /// Whether the stream begins after a number that is not known to exist.
    pub fn is_unproven(&self) -> bool {
        self.last > self.known
    }

    /// The number after which a page is wanted; none when only live events are still to come.
    pub fn wants_page_after(&self) -> Option<i64> {
        let proof = i64::from(self.is_unproven());
        self.reading.then_some(self.last - proof)
    }

    /// Takes a live event.
    pub fn live(&mut self, seq: i64, event: E, steps: &mut Vec<Step<E>>) {
        self.known = self.known.max(seq);
        if seq <= self.last {
            return;
        }
        if !self.reading {
            if !self.anchored || seq == self.last + 1 {
                self.pass(seq, event, steps);
                return;
            }
            self.reading = true;
        }
        if self.waiting.back().is_some_and(|(waiting, _)| *waiting >= seq) {
            return;
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back((seq, event));
    }

    /// Takes a page of the past, in order. `is_full` says that more may follow at once. Returns whether
    /// anything was passed on.
    pub fn page(
        &mut self,
        events: impl IntoIterator<Item = (i64, E)>,
        is_full: bool,
        steps: &mut Vec<Step<E>>,
    ) -> bool {
        let before = self.last;
        for (seq, event) in events {
            self.known = self.known.max(seq);
            if seq == self.last + 1 {
                self.pass(seq, event, steps);
            } else if seq > self.last {
                // The past has no lasting holes, so what follows one is not taken: a later page will fill it.
                break;
            }
        }
        while let Some((seq, event)) = self.waiting.pop_front() {
            if seq == self.last + 1 {
                self.pass(seq, event, steps);
            } else if seq > self.last {
                self.waiting.push_front((seq, event));
                break;
            }
        }
        let is_done = self.waiting.is_empty() && self.last == self.known && !is_full;
        self.reading &= !is_done;
        self.last > before
    }

    /// Goes on with live events, because the past cannot be read or ends before the number that the client
    /// named.
    pub fn give_up(&mut self, steps: &mut Vec<Step<E>>) {
        self.reading = false;
        self.anchored = false;
        self.last = self.last.min(self.known);
        while let Some((seq, event)) = self.waiting.pop_front() {
            if seq > self.last {
                self.pass(seq, event, steps);
            }
        }
    }

    fn pass(&mut self, seq: i64, event: E, steps: &mut Vec<Step<E>>) {
        let rebased = !self.anchored;
        self.anchored = true;
        self.last = seq;
        self.known = self.known.max(seq);
        steps.push(Step { seq, event, rebased });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A join whose events are just their numbers.
    struct Trial {
        join: Join<i64>,
        passed: Vec<i64>,
    }

    impl Trial {
        fn new(base: Option<i64>) -> Self {
            Self {
                join: Join::new(base),
                passed: Vec::new(),
            }
        }
        fn take(&mut self, steps: Vec<Step<i64>>) {
            self.passed.extend(steps.iter().map(|step| step.seq));
        }
        fn live(&mut self, seqs: impl IntoIterator<Item = i64>) {
            for seq in seqs {
                let mut steps = Vec::new();
                self.join.live(seq, seq, &mut steps);
                self.take(steps);
            }
        }
        fn page(&mut self, seqs: impl IntoIterator<Item = i64>, is_full: bool) -> bool {
            let mut steps = Vec::new();
            let progress = self
                .join
                .page(seqs.into_iter().map(|seq| (seq, seq)), is_full, &mut steps);
            self.take(steps);
            progress
        }
    }

    #[test]
    fn the_present_is_passed_on_once_and_in_order() {
        let mut trial = Trial::new(Some(4));
        trial.live([3, 4, 5, 5, 6, 4, 7]);
        assert_eq!(trial.passed, [5, 6, 7]);
        assert_eq!(trial.join.wants_page_after(), None);
    }

    #[test]
    fn a_gap_is_filled_before_what_follows_it() {
        let mut trial = Trial::new(Some(4));
        trial.live([7, 8]);
        assert_eq!((trial.passed.len(), trial.join.wants_page_after()), (0, Some(4)));
        // The projection is behind.
        assert!(trial.page([5], false));
        assert_eq!(trial.join.wants_page_after(), Some(5));
        assert!(!trial.page([], false));
        trial.live([9]);
        // The next page brings more than was missing.
        assert!(trial.page([6, 7, 8], false));
        trial.live([10]);
        assert_eq!(trial.passed, [5, 6, 7, 8, 9, 10]);
        assert_eq!(trial.join.wants_page_after(), None);
    }

    #[test]
    fn a_resume_reads_until_the_past_ends_and_the_highest_known_number_is_reached() {
        let mut trial = Trial::new(Some(5));
        trial.join.resume(0, 5);
        assert!(trial.page([1, 2], true));
        trial.live([6]);
        assert!(trial.page([3, 4], true));
        // This process read 5 live; it is not in the projection yet.
        assert!(!trial.page([], false));
        assert_eq!(trial.join.wants_page_after(), Some(4));
        assert!(trial.page([5], false));
        assert_eq!(trial.passed, [1, 2, 3, 4, 5, 6]);
        assert_eq!(trial.join.wants_page_after(), None);
        // The client resumes again on the same connection.
        trial.join.resume(4, 6);
        trial.page([5, 6], false);
        assert_eq!(trial.passed[6..], [5, 6]);
    }

    #[test]
    fn live_events_that_wait_are_bounded_and_the_forgotten_ones_come_from_the_past() {
        let mut trial = Trial::new(Some(0));
        let more = WAITING_MAX as i64 + 10;
        trial.live(2..=more + 1);
        assert!(trial.page([1], true));
        assert_eq!(
            trial.join.wants_page_after(),
            Some(1),
            "the oldest that waited are forgotten"
        );
        assert!(trial.page(2..=11, true));
        assert_eq!(trial.passed, (1..=more + 1).collect::<Vec<_>>());
    }

    #[test]
    fn giving_up_goes_on_live_and_says_so() {
        let mut join = Join::new(Some(2));
        let mut steps = Vec::new();
        join.live(5, (), &mut steps);
        join.give_up(&mut steps);
        join.live(6, (), &mut steps);
        let seen: Vec<_> = steps.iter().map(|step| (step.seq, step.rebased)).collect();
        assert_eq!(seen, [(5, true), (6, false)]);
        // When nothing waited, the next event is taken whatever its number, unless it is old.
        steps.clear();
        join.resume(3, 6);
        join.give_up(&mut steps);
        join.live(3, (), &mut steps);
        join.live(9, (), &mut steps);
        assert_eq!(
            steps,
            [Step {
                seq: 9,
                event: (),
                rebased: true
            }]
        );
    }

    #[test]
    fn a_number_from_another_process_is_believed_once_its_event_comes() {
        let mut trial = Trial::new(Some(5));
        trial.join.resume(8, 5);
        assert_eq!((trial.join.wants_page_after(), trial.join.known()), (Some(7), 5));
        trial.live([6, 7]);
        assert!(!trial.page([], false));
        assert_eq!(trial.join.wants_page_after(), Some(7));
        assert!(!trial.page([8], false));
        assert_eq!(trial.join.wants_page_after(), None);
        trial.live([8, 9]);
        assert_eq!(trial.passed, [9]);
        // A live event can show it, too.
        trial.join.resume(12, 9);
        trial.live([10, 11, 12, 13]);
        trial.page([], false);
        assert_eq!(trial.passed, [9, 13]);
        assert_eq!(trial.join.wants_page_after(), None);
    }

    #[test]
    fn a_number_that_nobody_knows_is_not_waited_for() {
        let mut join = Join::new(Some(5));
        let mut steps = Vec::new();
        join.resume(1_000, 5);
        assert!(!join.page([], false, &mut steps));
        assert!(join.is_unproven());
        join.live(6, (), &mut steps);
        join.give_up(&mut steps);
        assert_eq!((join.last(), steps.len()), (6, 0));
        join.live(7, (), &mut steps);
        assert_eq!((steps[0].seq, steps[0].rebased), (7, true));
    }

    #[test]
    fn without_a_base_the_first_event_is_the_base() {
        let mut trial = Trial::new(None);
        trial.live([41, 42, 41]);
        assert_eq!(trial.passed, [41, 42]);
    }

    #[test]
    fn any_interleaving_of_past_and_present_is_passed_on_without_a_gap() {
        // Live events from a random point on, pages of a projection that lags by a random amount.
        let mut state = 7_u64;
        let mut random = |bound: i64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % bound
        };
        for _ in 0..500 {
            let end = 1 + random(60);
            let known = random(end);
            let mut trial = Trial::new(None);
            trial.join.resume(random(known + 1), known);
            let after = trial.join.last();
            let (mut written, mut projected) = (known, random(known + 1));
            while trial.passed.last() != Some(&end) || trial.join.wants_page_after().is_some() {
                if random(2) == 0 && written < end {
                    written += 1;
                    trial.live([written]);
                }
                projected = (projected + random(4)).min(written);
                if let Some(last) = trial.join.wants_page_after() {
                    let limit = 1 + random(5);
                    let page: Vec<_> = (last + 1..=projected).take(limit as usize).collect();
                    let is_full = page.len() as i64 == limit;
                    trial.page(page, is_full);
                }
                if end == after && written == end && trial.join.wants_page_after().is_none() {
                    break;
                }
            }
            assert_eq!(trial.passed, (after + 1..=end).collect::<Vec<_>>());
        }
    }
}
