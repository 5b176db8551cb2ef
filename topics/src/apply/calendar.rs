//! Trading hours as people write them, resolved to instants.
//!
//! `apply` of a machine must not depend on a time zone database: two builds may carry different ones.
//! So hours, weekdays, holidays and time zone become explicit UTC instants when the configuration is
//! written, up to a horizon. After it the market stays closed until a later configuration says more.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use brokerx_schemas::Session;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde::Deserialize;

const DAY_SECONDS: i64 = 86_400;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Weekday {
    fn of(date: Date) -> Self {
        match date.weekday() {
            jiff::civil::Weekday::Monday => Self::Monday,
            jiff::civil::Weekday::Tuesday => Self::Tuesday,
            jiff::civil::Weekday::Wednesday => Self::Wednesday,
            jiff::civil::Weekday::Thursday => Self::Thursday,
            jiff::civil::Weekday::Friday => Self::Friday,
            jiff::civil::Weekday::Saturday => Self::Saturday,
            jiff::civil::Weekday::Sunday => Self::Sunday,
        }
    }
}

fn working_days() -> Vec<Weekday> {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    vec![Monday, Tuesday, Wednesday, Thursday, Friday]
}

/// The `calendar` of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Name in the time zone database, e.g. `America/Montreal`.
    pub time_zone: String,
    /// Local time at which a session opens, e.g. `09:30`.
    pub opens: Time,
    /// Local time at which it closes; on the next day when it is not later than `opens`.
    pub closes: Time,
    /// Days with a session; Monday to Friday when left out.
    #[serde(default = "working_days")]
    pub weekdays: Vec<Weekday>,
    /// Days without one nevertheless.
    #[serde(default)]
    pub holidays: Vec<Date>,
    /// Days with other hours.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// The first day that may have a session.
    pub first_day: Date,
    /// The last one: the horizon.
    pub last_day: Date,
}

/// A day that opens late, closes early, or has a session of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The day, as its date where the market is.
    pub day: Date,
    /// Local time at which its session opens; as on other days when left out.
    pub opens: Option<Time>,
    /// Local time at which it closes, on the next day when it is not later than it opens; as on
    /// other days when left out.
    pub closes: Option<Time>,
}

/// The local times of one day's session.
#[derive(Clone, Copy)]
struct Hours {
    opens: Time,
    closes: Time,
}

impl Calendar {
    /// Every session, in order.
    ///
    /// # Errors
    /// When the time zone is unknown, an exception means nothing, there is no session at all, a session
    /// does not close after it opens, overlaps the one before, or has an instant that cannot be
    /// represented.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let zone = TimeZone::get(&self.time_zone).with_context(|| format!("time zone {:?}", self.time_zone))?;
        let second_of = |date: Date, time: Time| -> Result<i64> {
            Ok(date.to_datetime(time).to_zoned(zone.clone())?.timestamp().as_second())
        };
        let exceptions = self.exceptions_by_day()?;
        let mut sessions: Vec<Session> = Vec::new();
        let mut date = self.first_day;
        while date <= self.last_day {
            let next = date.tomorrow()?;
            if let Some(Hours { opens, closes }) = self.hours(date, exceptions.get(&date)) {
                let close_date = if closes > opens { date } else { next };
                let session = Session {
                    day: day_of(date)?,
                    opens_second: second_of(date, opens)?,
                    closes_second: second_of(close_date, closes)?,
                };
                // An hour that the clock change skips can leave nothing of a session.
                ensure!(
                    session.opens_second < session.closes_second,
                    "the session of {date} does not close after it opens"
                );
                ensure!(
                    sessions
                        .last()
                        .is_none_or(|last| last.closes_second <= session.opens_second),
                    "the session of {date} opens before the one before it closes"
                );
                sessions.push(session);
            }
            date = next;
        }
        ensure!(
            !sessions.is_empty(),
            "there is no session between first_day and last_day"
        );
        Ok(sessions)
    }

    /// Whether a day has a session, but for its exception.
    fn has_session(&self, date: Date) -> bool {
        self.weekdays.contains(&Weekday::of(date)) && !self.holidays.contains(&date)
    }

    /// When a day's session opens and closes; none when it has none.
    fn hours(&self, date: Date, exception: Option<&Exception>) -> Option<Hours> {
        let usual = Hours {
            opens: self.opens,
            closes: self.closes,
        };
        match exception {
            Some(exception) => Some(Hours {
                opens: exception.opens.unwrap_or(usual.opens),
                closes: exception.closes.unwrap_or(usual.closes),
            }),
            None => self.has_session(date).then_some(usual),
        }
    }

    /// The exceptions, each of which must mean something: what is written down and has no effect is a
    /// mistake that somebody would find on the day itself.
    fn exceptions_by_day(&self) -> Result<BTreeMap<Date, Exception>> {
        let mut by_day = BTreeMap::new();
        for exception in &self.exceptions {
            let Exception { day, opens, closes } = *exception;
            ensure!(
                (self.first_day..=self.last_day).contains(&day),
                "the exception of {day} is not between first_day and last_day"
            );
            ensure!(
                opens.is_some() || closes.is_some(),
                "the exception of {day} says neither when it opens nor when it closes; a day without a session is \
                 one of the holidays"
            );
            ensure!(
                !self.holidays.contains(&day),
                "{day} is one of the holidays and of the exceptions"
            );
            ensure!(
                self.has_session(day) || opens.is_some() && closes.is_some(),
                "{day} has no session of its own: its exception must say when it opens and when it closes"
            );
            ensure!(by_day.insert(day, *exception).is_none(), "{day} has two exceptions");
        }
        Ok(by_day)
    }
}

/// Days since the epoch.
fn day_of(date: Date) -> Result<i32> {
    let midnight = date.to_zoned(TimeZone::UTC)?.timestamp().as_second();
    Ok(i32::try_from(midnight.div_euclid(DAY_SECONDS))?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn calendar(text: &str) -> Calendar {
        serde_saphyr::from_str(text).unwrap()
    }

    /// Montreal leaves daylight saving time on 1 November 2026.
    #[test]
    fn hours_are_local_days_are_working_days() {
        let calendar = calendar(
            "{time_zone: America/Montreal, opens: '09:30', closes: '18:00', holidays: ['2026-11-03'], \
             first_day: '2026-10-30', last_day: '2026-11-04'}",
        );
        let sessions = calendar.sessions().unwrap();
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let seen: Vec<_> = sessions
            .iter()
            .map(|session| (session.opens_second, session.closes_second))
            .collect();
        assert_eq!(
            seen,
            [
                (at("2026-10-30T13:30:00Z"), at("2026-10-30T22:00:00Z")),
                (at("2026-11-02T14:30:00Z"), at("2026-11-02T23:00:00Z")),
                (at("2026-11-04T14:30:00Z"), at("2026-11-04T23:00:00Z")),
            ]
        );
        assert_eq!(i64::from(sessions[0].day), at("2026-10-30T00:00:00Z") / DAY_SECONDS);
        assert_eq!(sessions[2].day - sessions[0].day, 5);
    }

    /// The sessions of a calendar in Montreal, as UTC instants.
    fn montreal(rest: &str) -> Vec<(String, String)> {
        let calendar = calendar(&format!("{{time_zone: America/Montreal, {rest}}}"));
        let text = |second| jiff::Timestamp::from_second(second).unwrap().to_string();
        let sessions = calendar.sessions().unwrap();
        sessions
            .iter()
            .map(|session| (text(session.opens_second), text(session.closes_second)))
            .collect()
    }

    fn instants<const N: usize>(sessions: [(&str, &str); N]) -> Vec<(String, String)> {
        sessions
            .map(|(opens, closes)| (opens.to_owned(), closes.to_owned()))
            .to_vec()
    }

    #[test]
    fn a_day_may_close_early_or_open_late_and_a_day_off_may_have_a_session() {
        let sessions = montreal(
            "opens: '09:30', closes: '16:00', first_day: '2026-12-23', last_day: '2026-12-28', \
             holidays: ['2026-12-25'], exceptions: [{day: '2026-12-24', closes: '13:00'}, \
             {day: '2026-12-26', opens: '10:00', closes: '11:30'}, {day: '2026-12-28', opens: '11:00'}]",
        );
        assert_eq!(
            sessions,
            instants([
                ("2026-12-23T14:30:00Z", "2026-12-23T21:00:00Z"),
                ("2026-12-24T14:30:00Z", "2026-12-24T18:00:00Z"),
                ("2026-12-26T15:00:00Z", "2026-12-26T16:30:00Z"),
                ("2026-12-28T16:00:00Z", "2026-12-28T21:00:00Z"),
            ])
        );
    }

    /// Montreal goes to daylight saving time on 8 March 2026 and leaves it on 1 November 2026.
    #[test]
    fn exceptions_are_local_times_over_both_clock_changes() {
        let sessions = |first: &str, change: &str, last: &str| {
            montreal(&format!(
                "opens: '09:30', closes: '16:00', first_day: '{first}', last_day: '{last}', exceptions: \
                 [{{day: '{first}', closes: '13:00'}}, {{day: '{change}', opens: '01:30', closes: '03:30'}}, \
                 {{day: '{last}', closes: '13:00', opens: '10:00'}}]"
            ))
        };
        assert_eq!(
            sessions("2026-03-06", "2026-03-08", "2026-03-09"),
            instants([
                ("2026-03-06T14:30:00Z", "2026-03-06T18:00:00Z"),
                // From half past one to half past three is one hour when the clock leaves one out.
                ("2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"),
                ("2026-03-09T14:00:00Z", "2026-03-09T17:00:00Z"),
            ])
        );
        assert_eq!(
            sessions("2026-10-30", "2026-11-01", "2026-11-02"),
            instants([
                ("2026-10-30T13:30:00Z", "2026-10-30T17:00:00Z"),
                // And three when it gives one twice; what is there twice is the first time of both.
                ("2026-11-01T05:30:00Z", "2026-11-01T08:30:00Z"),
                ("2026-11-02T15:00:00Z", "2026-11-02T18:00:00Z"),
            ])
        );
    }

    #[test]
    fn an_early_close_of_a_night_session_may_be_before_midnight() {
        let sessions = montreal(
            "opens: '20:00', closes: '05:00', first_day: '2026-10-29', last_day: '2026-10-31', \
             weekdays: [thursday, friday, saturday], exceptions: [{day: '2026-10-30', closes: '23:00'}]",
        );
        assert_eq!(
            sessions,
            instants([
                ("2026-10-30T00:00:00Z", "2026-10-30T09:00:00Z"),
                ("2026-10-31T00:00:00Z", "2026-10-31T03:00:00Z"),
                // The night of the change has an hour more.
                ("2026-11-01T00:00:00Z", "2026-11-01T10:00:00Z"),
            ])
        );
    }

    #[test]
    fn an_exception_without_a_meaning_is_refused() {
        for (exceptions, why) in [
            ("{day: '2026-11-03'}", "neither"),
            (
                "{day: '2026-11-03', closes: '12:00'}, {day: '2026-11-03', opens: '11:00'}",
                "two exceptions",
            ),
            ("{day: '2026-11-04', closes: '12:00'}", "one of the holidays"),
            ("{day: '2026-11-07', closes: '12:00'}", "no session of its own"),
            ("{day: '2027-11-03', closes: '12:00'}", "not between"),
            // Not later than it opens: on the next day.
            (
                "{day: '2026-11-05', closes: '09:30'}, {day: '2026-11-06', opens: '09:00'}",
                "before the one before",
            ),
        ] {
            let calendar = calendar(&format!(
                "{{time_zone: UTC, opens: '09:30', closes: '16:00', first_day: '2026-11-02', last_day: '2026-11-08', \
                 holidays: ['2026-11-04'], exceptions: [{exceptions}]}}"
            ));
            let refused = calendar.sessions().unwrap_err().to_string();
            assert!(refused.contains(why), "{exceptions}: {refused}");
        }
    }

    /// 02:30 of that night is 03:30, which leaves nothing of the session.
    #[test]
    fn a_session_that_the_clock_change_swallows_is_refused() {
        let calendar = calendar(
            "{time_zone: America/Montreal, opens: '02:30', closes: '03:00', weekdays: [sunday], \
             first_day: '2026-03-08', last_day: '2026-03-08'}",
        );
        let refused = calendar.sessions().unwrap_err().to_string();
        assert!(refused.contains("2026-03-08"), "{refused}");
    }

    #[test]
    fn a_session_may_pass_midnight() {
        let calendar = calendar(
            "{time_zone: Asia/Tokyo, opens: '20:00', closes: '05:00', weekdays: [saturday], \
             first_day: '2026-11-02', last_day: '2026-11-08'}",
        );
        let [session] = calendar.sessions().unwrap().try_into().unwrap();
        assert_eq!(session.closes_second - session.opens_second, 9 * 3_600);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "{time_zone: Mars/Olympus, opens: '09:30', closes: '18:00', first_day: '2026-11-02', last_day: '2026-11-08'}",
            "{time_zone: UTC, opens: '09:30', closes: '18:00', first_day: '2026-11-08', last_day: '2026-11-02'}",
        ] {
            assert!(calendar(text).sessions().is_err(), "{text}");
        }
        let unknown =
            "{time_zone: UTC, opens: '1:00', closes: '2:00', first_day: '2026-11-08', last_day: '2026-11-09', x: 1}";
        assert!(serde_saphyr::from_str::<Calendar>(unknown).is_err());
    }
}
