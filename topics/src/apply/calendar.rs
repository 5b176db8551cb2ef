//! Trading hours as people write them, resolved to instants.
//!
//! `apply` of a machine must not depend on a time zone database: two builds may carry different ones.
//! So hours, weekdays, holidays and time zone become explicit UTC instants when the configuration is
//! written, up to a horizon. After it the market stays closed until a later configuration says more.

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
    /// The first day that may have a session.
    pub first_day: Date,
    /// The last one: the horizon.
    pub last_day: Date,
}

impl Calendar {
    /// Every session, in order.
    ///
    /// # Errors
    /// When the time zone is unknown, there is no session at all, or an instant cannot be represented.
    pub fn sessions(&self) -> Result<Vec<Session>> {
        let zone = TimeZone::get(&self.time_zone).with_context(|| format!("time zone {:?}", self.time_zone))?;
        let second_of = |date: Date, time: Time| -> Result<i64> {
            Ok(date.to_datetime(time).to_zoned(zone.clone())?.timestamp().as_second())
        };
        let mut sessions = Vec::new();
        let mut date = self.first_day;
        while date <= self.last_day {
            let next = date.tomorrow()?;
            if self.weekdays.contains(&Weekday::of(date)) && !self.holidays.contains(&date) {
                let close_date = if self.closes > self.opens { date } else { next };
                sessions.push(Session {
                    day: day_of(date)?,
                    opens_second: second_of(date, self.opens)?,
                    closes_second: second_of(close_date, self.closes)?,
                });
            }
            date = next;
        }
        ensure!(
            !sessions.is_empty(),
            "there is no session between first_day and last_day"
        );
        Ok(sessions)
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
