//! Instants, local days and the end of a package.
//!
//! One resolution everywhere: microseconds since 1970-01-01T00:00:00Z. Intervals are half-open `[start, end)`.
//! Days and months are those of the account's billing zone, computed by a calendar library; nothing here
//! reads a clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::{Date, DateTime};
pub use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// Microseconds in one second, minute, hour and day of 24 hours.
pub const SECOND_MICROS: i64 = 1_000_000;
pub const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
pub const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// The instant as the calendar library has it. Values outside its range (years -9999 to 9999) are clamped,
    /// so that a corrupt row can be shown rather than crash the page that shows it.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    pub fn from_timestamp(timestamp: Timestamp) -> Self {
        UnixMicros(timestamp.as_microsecond())
    }

    /// Reads an instant as RFC 3339 has it: `2026-11-22T04:00:00Z`, or with an offset.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse::<Timestamp>().ok().map(Self::from_timestamp)
    }

    pub fn from_seconds(seconds: i64) -> Self {
        UnixMicros(seconds.saturating_mul(SECOND_MICROS))
    }

    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND_MICROS)
    }

    pub fn millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    pub fn plus_micros(self, micros: i64) -> Self {
        UnixMicros(self.0.saturating_add(micros))
    }

    /// `2018-09-12T09:51:56Z`, as the billing SDK has its times.
    pub fn rfc3339_seconds(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `2019-09-29T13:28Z`, as the DirectMail SDK has its times.
    pub fn rfc3339_minutes(self) -> String {
        self.timestamp().strftime("%Y-%m-%dT%H:%MZ").to_string()
    }

    /// The wall clock in `zone`.
    pub fn civil(self, zone: &TimeZone) -> DateTime {
        self.timestamp().to_zoned(zone.clone()).datetime()
    }
}

impl fmt::Display for UnixMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp())
    }
}

/// Where the present instant comes from. The binary has the machine's clock, tests and the demo another.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> UnixMicros;
}

/// A clock that stands still until it is moved: for tests and simulations.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now: UnixMicros) -> Self {
        ManualClock(AtomicI64::new(now.0))
    }

    pub fn set(&self, now: UnixMicros) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UnixMicros {
        UnixMicros(self.0.load(Ordering::SeqCst))
    }
}

/// A zone name that the calendar library does not know.
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is not a time zone name of the IANA database; use one such as Asia/Shanghai, Europe/Berlin or UTC"
)]
pub struct UnknownZone(pub String);

/// Looks a zone up by its IANA name.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    TimeZone::get(name).map_err(|_| UnknownZone(name.to_owned()))
}

/// One calendar day of a zone: 23 to 25 hours long, `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalDay {
    /// Days since 1970-01-01 of the *civil* date: the key under which a day's counts are kept.
    pub number: i64,
    pub start: UnixMicros,
    pub end: UnixMicros,
}

/// The local calendar day that contains `at`.
pub fn local_day(zone: &TimeZone, at: UnixMicros) -> LocalDay {
    let date = at.civil(zone).date();
    LocalDay { number: day_number(date), start: midnight(zone, date), end: midnight(zone, next_date(date)) }
}

/// The local day with this number.
pub fn local_day_numbered(zone: &TimeZone, number: i64) -> LocalDay {
    let date = civil_date(number);
    LocalDay { number, start: midnight(zone, date), end: midnight(zone, next_date(date)) }
}

/// Months since January of year 0 of the local calendar month that contains `at`, and the instant it ends.
pub fn local_month(zone: &TimeZone, at: UnixMicros) -> (i64, UnixMicros) {
    let date = at.civil(zone).date();
    let number = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
    let next_first = date.first_of_month().checked_add(Span::new().months(1)).unwrap_or(Date::MAX);
    (number, midnight(zone, next_first))
}

/// The start of the clock hour (UTC) that contains `at`.
pub fn clock_hour(at: UnixMicros) -> UnixMicros {
    UnixMicros(at.0.div_euclid(HOUR_MICROS) * HOUR_MICROS)
}

/// R08: the local midnight that closes the day `months` calendar months after the day of `start`; a day that the
/// month lacks is its last day. Bought 2018-09-12 17:51 in UTC+8 for six months, it ends 2019-03-13 00:00 there.
pub fn validity_end(zone: &TimeZone, start: UnixMicros, months: u32) -> UnixMicros {
    let date = start.civil(zone).date();
    let last_day = date.checked_add(Span::new().months(i64::from(months))).unwrap_or(Date::MAX);
    midnight(zone, next_date(last_day))
}

/// The first instant of a civil date. Where daylight saving skips midnight, the day begins with the first
/// instant that exists; where midnight happens twice, with the first of the two.
fn midnight(zone: &TimeZone, date: Date) -> UnixMicros {
    match zone.to_zoned(date.to_datetime(jiff::civil::Time::midnight())) {
        Ok(zoned) => UnixMicros::from_timestamp(zoned.timestamp()),
        Err(_) => UnixMicros::from_timestamp(Timestamp::MAX),
    }
}

fn next_date(date: Date) -> Date {
    date.tomorrow().unwrap_or(Date::MAX)
}

fn day_number(date: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    i64::from(date.duration_since(epoch).as_hours() as i32 / 24)
}

/// The civil date with this day number.
pub fn civil_date(number: i64) -> Date {
    jiff::civil::date(1970, 1, 1)
        .checked_add(Span::new().days(number.clamp(-4_371_587, 2_932_896)))
        .unwrap_or(Date::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMicros {
        UnixMicros::from_timestamp(text.parse().expect("an instant"))
    }

    #[test]
    fn r08_worked_example_of_the_rule() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        assert_eq!(validity_end(&shanghai, at("2018-09-12T09:51:56Z"), 6), at("2019-03-12T16:00:00Z"));
    }

    #[test]
    fn r08_day_that_the_month_lacks_is_its_last_day() {
        let utc = zone("UTC").unwrap();
        for start in ["2026-08-28T23:00:00Z", "2026-08-29T00:00:00Z", "2026-08-31T01:00:00Z"] {
            assert_eq!(validity_end(&utc, at(start), 6), at("2027-03-01T00:00:00Z"), "{start}");
        }
        assert_eq!(
            validity_end(&utc, at("2027-08-31T01:00:00Z"), 6),
            at("2028-03-01T00:00:00Z"),
            "leap year"
        );
    }

    #[test]
    fn r08_the_zone_decides_the_day() {
        let start = at("2026-08-31T20:00:00Z");
        assert_eq!(validity_end(&zone("UTC").unwrap(), start, 6), at("2027-03-01T00:00:00Z"));
        assert_eq!(validity_end(&zone("Asia/Shanghai").unwrap(), start, 6), at("2027-03-01T16:00:00Z"));
    }

    #[test]
    fn r08_midnight_that_daylight_saving_skips() {
        // Beirut goes from 00:00 to 01:00 on the last Sunday of March: the day starts at its first real instant.
        let beirut = zone("Asia/Beirut").unwrap();
        let day = local_day(&beirut, at("2026-03-29T10:00:00Z"));
        assert_eq!(day.start, at("2026-03-28T22:00:00Z"));
        assert_eq!(day.end.0 - day.start.0, 23 * HOUR_MICROS);
    }

    #[test]
    fn a_local_day_is_half_open() {
        let berlin = zone("Europe/Berlin").unwrap();
        let day = local_day(&berlin, at("2026-10-25T12:00:00Z"));
        assert_eq!(day.end.0 - day.start.0, 25 * HOUR_MICROS);
        assert_eq!(local_day(&berlin, day.start).number, day.number);
        assert_eq!(local_day(&berlin, day.start.plus_micros(-1)).number, day.number - 1);
        assert_eq!(local_day(&berlin, day.end).number, day.number + 1);
        assert_eq!(local_day_numbered(&berlin, day.number), day);
    }

    #[test]
    fn a_local_month_ends_at_the_first_local_midnight() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let (number, end) = local_month(&shanghai, at("2026-12-31T15:59:59.999999Z"));
        assert_eq!((number, end), (2026 * 12 + 11, at("2026-12-31T16:00:00Z")));
        assert_eq!(local_month(&shanghai, end).0, 2027 * 12);
    }

    #[test]
    fn an_instant_out_of_range_is_shown_not_panicked_over() {
        assert_eq!(UnixMicros(i64::MAX).timestamp(), Timestamp::MAX);
        assert_eq!(UnixMicros(i64::MIN).timestamp(), Timestamp::MIN);
    }

    proptest::proptest! {
        #[test]
        fn r08_later_purchase_never_ends_earlier(a in 0i64..4_000_000_000, gap in 0i64..40_000_000, pick in 0usize..5) {
            let names = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Apia", "UTC"];
            let zone = zone(names[pick]).unwrap();
            let (first, second) = (UnixMicros::from_seconds(a), UnixMicros::from_seconds(a + gap));
            proptest::prop_assert!(validity_end(&zone, first, 6) <= validity_end(&zone, second, 6));
        }

        #[test]
        fn every_instant_is_in_its_own_day(seconds in -2_000_000_000i64..8_000_000_000, pick in 0usize..5) {
            let names = ["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo"];
            let zone = zone(names[pick]).unwrap();
            let at = UnixMicros::from_seconds(seconds);
            let day = local_day(&zone, at);
            proptest::prop_assert!(day.start <= at && at < day.end);
        }
    }
}
