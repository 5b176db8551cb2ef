//! How often a client gets a channel's present state: the whole book, the quote, the status.
//!
//! Making one takes the lock that the whole market waits for, and sending a book takes much bandwidth. So whoever has
//! subscribed gets one more a second of each channel, whether asked for with `snapshot` or by subscribing once more; and
//! who leaves a channel and comes back gets a few at once, as a page does that is drawn anew.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brokerx_topics::service::Rate;

use crate::protocol::Channel;

/// In the long run, the least time between two of one channel.
const APART: Duration = Duration::from_secs(1);
/// How often a channel may be subscribed anew at once.
const RETURNS: u32 = 3;

/// What one connection was sent.
#[derive(Debug)]
pub(super) struct Wholes {
    epoch: Instant,
    asking: Rate,
    returning: Rate,
    /// When the bucket of each channel is full again, of those that are not; the others are dropped.
    asked: BTreeMap<Channel, u64>,
    returned: BTreeMap<Channel, u64>,
}

impl Wholes {
    /// Nothing was sent yet.
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            asking: Rate::every(APART, 1),
            returning: Rate::every(APART, RETURNS),
            asked: BTreeMap::new(),
            returned: BTreeMap::new(),
        }
    }

    /// Forgets what is so long ago that it does not count; to be called with each message that asks.
    pub(super) fn tidy(&mut self) {
        let now_ns = self.now_ns();
        for channels in [&mut self.asked, &mut self.returned] {
            channels.retain(|_, full_at_ns| *full_at_ns > now_ns);
        }
    }

    /// Whether a channel that is subscribed may be sent whole once more; if so it counts as sent.
    pub(super) fn may_repeat(&mut self, channel: Channel) -> bool {
        let now_ns = self.now_ns();
        take(&self.asking, &mut self.asked, channel, now_ns)
    }

    /// Whether a channel that is not subscribed may be now; if so it counts as sent.
    pub(super) fn may_begin(&mut self, channel: Channel) -> bool {
        let now_ns = self.now_ns();
        take(&self.returning, &mut self.returned, channel, now_ns)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// As if this time had passed.
    #[cfg(test)]
    pub(super) fn wait(&mut self, time: Duration) {
        self.epoch -= time;
    }
}

fn take(rate: &Rate, channels: &mut BTreeMap<Channel, u64>, channel: Channel, now_ns: u64) -> bool {
    let full_at_ns = channels.get(&channel).copied().unwrap_or(0);
    let taken = rate.take(full_at_ns, now_ns);
    if let Ok(next_ns) = taken {
        channels.insert(channel, next_ns);
    }
    taken.is_ok()
}
