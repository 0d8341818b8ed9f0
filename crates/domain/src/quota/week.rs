//! R19: the week that is reviewed, from Monday 00:00 to Monday 00:00 of the account's zone.

use jiff::tz::TimeZone;

use crate::time::{UnixMicros, local_day, local_day_numbered};

/// A local week. Its number is the local day number of its Monday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Week {
    pub number: i64,
    pub start: UnixMicros,
    pub end: UnixMicros,
}

pub const WEEK_DAYS: i64 = 7;
/// 1970-01-05 was the first Monday.
const FIRST_MONDAY: i64 = 4;

impl Week {
    /// The week that contains a local day.
    pub fn number_of_day(day: i64) -> i64 {
        day - (day - FIRST_MONDAY).rem_euclid(WEEK_DAYS)
    }

    /// The week that contains an instant.
    pub fn containing(zone: &TimeZone, at: UnixMicros) -> Week {
        Week::numbered(zone, Week::number_of_day(local_day(zone, at).number))
    }

    pub fn numbered(zone: &TimeZone, number: i64) -> Week {
        let midnight = |day| local_day_numbered(zone, day).start;
        Week { number, start: midnight(number), end: midnight(number + WEEK_DAYS) }
    }

    pub fn next(number: i64) -> i64 {
        number + WEEK_DAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{HOUR_MICROS, zone};

    #[test]
    fn r19_a_week_begins_on_monday_at_the_local_midnight() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let monday = UnixMicros::parse("2026-11-22T16:00:00Z").unwrap();
        let week = Week::containing(&shanghai, monday);
        assert_eq!(week.start, monday, "Monday 23 November, 00:00 in Shanghai");
        let before = Week::containing(&shanghai, monday.plus_micros(-1));
        assert_eq!((before.end, Week::next(before.number)), (monday, week.number));
    }

    #[test]
    fn r19_a_week_has_an_hour_more_or_less_when_the_clocks_change() {
        let berlin = zone("Europe/Berlin").unwrap();
        let hours = |text: &str| {
            let week = Week::containing(&berlin, UnixMicros::parse(text).unwrap());
            (week.end.0 - week.start.0) / HOUR_MICROS
        };
        assert_eq!(hours("2026-10-20T12:00:00Z"), 169);
        assert_eq!(hours("2026-03-25T12:00:00Z"), 167);
        assert_eq!(hours("2026-11-25T12:00:00Z"), 168);
    }
}
