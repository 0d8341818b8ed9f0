//! Local months and days as the address of a page names them: `2026-11`, `2026-11-22`.
//!
//! A period is half-open, from a local midnight to another, in the account's billing zone; a day of 23 or 25
//! hours is one day.

use std::fmt;

use indicia_domain::time::{UnixMicros, local_day};
use jiff::civil::{Date, date};

use crate::format::Zone;

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A calendar month. As `Display`: `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month {
    year: i16,
    /// From 1.
    month: i8,
}

impl Month {
    /// The month that an instant is in.
    pub fn of(zone: &Zone, at: UnixMicros) -> Self {
        let date = at.civil(zone.time_zone()).date();
        Self { year: date.year(), month: date.month() }
    }

    /// Reads `2026-11`, and nothing looser. Years from 1970 to 9998, so that its neighbours exist.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, month) = text.split_once('-')?;
        let has_digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
        if !has_digits(year, 4) || !has_digits(month, 2) {
            return None;
        }
        let found = Self { year: year.parse().ok()?, month: month.parse().ok()? };
        ((1970..9999).contains(&found.year) && (1..=12).contains(&found.month)).then_some(found)
    }

    /// Its first day.
    pub fn first(self) -> Date {
        date(self.year, self.month, 1)
    }

    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }

    pub fn previous(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12 },
            month => Self { year: self.year, month: month - 1 },
        }
    }

    /// The first instant of the month and the first after it.
    pub fn bounds(self, zone: &Zone) -> (UnixMicros, UnixMicros) {
        (zone.day(self.first()).0, zone.day(self.next().first()).0)
    }

    /// The number of its first day and the number after that of its last, as counts by day are keyed.
    pub fn day_numbers(self, zone: &Zone) -> (i64, i64) {
        (number_of(zone, self.first()), number_of(zone, self.next().first()))
    }

    /// `November 2026`.
    pub fn name(self) -> String {
        let name = usize::try_from(self.month - 1).ok().and_then(|index| MONTH_NAMES.get(index));
        format!("{} {}", name.copied().unwrap_or_default(), self.year)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}", self.year, self.month)
    }
}

/// The number of a local day, as counts by day are keyed.
pub fn number_of(zone: &Zone, date: Date) -> i64 {
    local_day(zone.time_zone(), zone.day(date).0).number
}

/// Reads `2026-11-22`, and nothing looser.
pub fn parse_day(text: &str) -> Option<Date> {
    (text.len() == 10).then(|| text.parse::<Date>().ok()).flatten().filter(|date| date.year() >= 1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_reads_back_as_written_and_nothing_looser_is_read() {
        for text in ["2026-11", "1970-01", "9998-12"] {
            assert_eq!(Month::parse(text).map(|month| month.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "2026",
            "2026-13",
            "2026-00",
            "26-11",
            "2026-1",
            "2026-11-01",
            "+026-11",
            "1969-12",
            "9999-01",
        ] {
            assert_eq!(Month::parse(text), None, "{text}");
        }
        assert_eq!(parse_day("2026-11-22"), Some(date(2026, 11, 22)));
        for text in ["2026-11", "2026-11-31", "2026-11-22T00", "1969-01-01", "20261122"] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn months_follow_each_other_over_the_year() {
        let december = Month::parse("2026-12").expect("a month");
        assert_eq!(december.next().to_string(), "2027-01");
        assert_eq!(december.next().previous(), december);
        assert_eq!(december.name(), "December 2026");
    }

    #[test]
    fn a_month_with_a_clock_change_is_an_hour_shorter_or_longer() {
        let hours = |text: &str| {
            let (start, end) = Month::parse(text).expect("a month").bounds(&Zone::named("Europe/Berlin"));
            (end.0 - start.0) / 3_600_000_000
        };
        assert_eq!((hours("2026-03"), hours("2026-10"), hours("2026-11")), (743, 745, 720));
    }

    #[test]
    fn an_instant_belongs_to_the_month_of_the_zone() {
        let last = UnixMicros::parse("2026-10-31T15:59:59Z").expect("an instant");
        let shanghai = Zone::named("Asia/Shanghai");
        assert_eq!(Month::of(&shanghai, last).to_string(), "2026-10");
        assert_eq!(Month::of(&shanghai, last.plus_micros(1_000_000)).to_string(), "2026-11");
        let (first, after) = Month::of(&shanghai, last).day_numbers(&shanghai);
        assert_eq!(after - first, 31);
    }
}
