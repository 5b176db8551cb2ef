//! The calendar at work: on a tick, sessions end and begin in every book, and days are closed.
//!
//! A tick ends what has ended, then closes the days, then begins what has begun; one that comes
//! after an outage makes up for all that was missed in this order. `DayClosed` goes to every
//! account partition, exactly once per day and in the order of days, missed ones included, after
//! the last fill and expiry of the day. What happened before the first tick belongs to no day. The
//! machine goes by its own time, so a trade in the second before the tick still belongs to the day
//! that ends.
//!
//! Without a calendar a session lasts from 00:00 to 00:00 UTC and the next begins at once: DAY orders
//! expire, no book closes.

use brokerx_topics::machine::{Context, Outputs};

use super::calendar::Calendar;
use super::publish::Publisher;
use super::state::Matcher;
use super::work::{Pass, Work};

impl Matcher {
    /// Puts what the calendar asks for at this time on the stack.
    pub(super) fn follow_calendar(&mut self, context: &Context) {
        let second = context.now_ms.div_euclid(1_000);
        let calendar = Calendar::of(&self.config);
        let is_open = calendar.is_open(second);
        let Some(day) = self.day_closed else {
            // The first tick of the log.
            self.day_closed = Some(calendar.day_before(second));
            match (self.calendar_open, is_open) {
                (true, false) => self.push_pass(Pass::Close),
                (false, true) => self.push_pass(Pass::Open),
                _ => {}
            }
            return;
        };
        let ended = calendar.next_ended(day, second).is_some();
        let closes = calendar.has_sessions() && ended || self.calendar_open && !is_open;
        let expires = ended && !closes;
        // The last to be pushed is the first to be done.
        if is_open && (closes || !self.calendar_open) {
            self.push_pass(Pass::Open);
        }
        if ended {
            self.work.push(Work::Days);
        }
        if closes {
            self.push_pass(Pass::Close);
        } else if expires {
            self.push_pass(Pass::Expire);
        }
    }

    fn push_pass(&mut self, pass: Pass) {
        self.work.push(Work::Pass { pass, next: 0 });
    }

    /// Does one listing of a pass, and leaves the next on the stack.
    pub(super) fn pass_on(&mut self, context: &Context, pass: Pass, index: usize, outputs: &mut Outputs) {
        match pass {
            Pass::Close => self.calendar_open = false,
            Pass::Open => self.calendar_open = true,
            Pass::Expire => {}
        }
        let Some(listing) = self.listings.get(index) else {
            return;
        };
        self.work.push(Work::Pass { pass, next: index + 1 });
        let before = listing.standing;
        if before.delisted || before.frozen {
            return;
        }
        if pass != Pass::Expire {
            self.listings[index].standing.session_closed = pass == Pass::Close;
        }
        if self.listings[index].standing != before {
            self.publish_standing(context, index, None, outputs);
        }
        match pass {
            // What a closed book has collected belongs to the next session, whoever closed it.
            Pass::Close | Pass::Expire if before.session_closed && self.logic_version >= 2 => {}
            Pass::Close | Pass::Expire => self.end_session(index),
            Pass::Open if !before.trades() && self.listings[index].standing.trades() => self.reopen(index),
            Pass::Open => {}
        }
        self.account_for(index);
    }

    /// Tells the accounts of the next day that has ended.
    pub(super) fn close_day(&mut self, context: &Context, outputs: &mut Outputs) {
        let second = context.now_ms.div_euclid(1_000);
        let next = self
            .day_closed
            .and_then(|day| Calendar::of(&self.config).next_ended(day, second));
        if let Some(day) = next {
            self.day_closed = Some(day);
            Publisher::new(&self.routes, context, outputs).day_closed(day);
            self.work.push(Work::Days);
        }
    }
}
