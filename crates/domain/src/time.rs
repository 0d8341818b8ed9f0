//! Instants, local days and the end of a package.
//!
//! One resolution everywhere: microseconds since 1970-01-01T00:00:00Z. Intervals are half-open `[start, end)`.
//! Days and months are those of the account's billing zone, computed by a calendar library; nothing here
//! reads a clock.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::civil::{Date, DateTime};
pub use jiff::tz::TimeZone;
use jiff::tz::TimeZoneDatabase;
use jiff::{Span, Timestamp};

/// Microseconds in one second, minute, hour and day of 24 hours.
pub const SECOND_MICROS: i64 = 1_000_000;
pub const MINUTE_MICROS: i64 = 60 * SECOND_MICROS;
pub const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
pub const DAY_MICROS: i64 = 24 * HOUR_MICROS;

/// An instant: microseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
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

/// How far back a clock may step without being followed; see [`never_back`].
pub const STEP_BACK_MAX_MICROS: i64 = 5 * MINUTE_MICROS;

/// The instant of a change whose predecessor on the same account happened at `last`.
///
/// Two nodes' clocks differ by a little, and a clock that ran ahead is set back. An account's own time does not
/// follow: its lines would stand in another order by time than by booking, and a balance as of an instant would
/// change after the fact (R27). A step of more than [`STEP_BACK_MAX_MICROS`] is followed: then the last change had
/// the wrong time, and time must not stand still until the clock gets there.
pub fn never_back(clock: UnixMicros, last: UnixMicros) -> UnixMicros {
    let behind = last.0.saturating_sub(clock.0);
    if (1..=STEP_BACK_MAX_MICROS).contains(&behind) { last } else { clock }
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

/// Looks a zone up by its IANA name, in the database that is built in: on every node an hour, a month and a package
/// end at the same instant, whatever its system knows of zones.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);
    BUNDLED.get(name).map_err(|_| UnknownZone(name.to_owned()))
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

/// One clock hour of a zone, `[start, end)`: what R10 bills by. Where the zone's clock jumps by a part of an hour,
/// the hour ends, or begins, at the jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalHour {
    pub start: UnixMicros,
    pub end: UnixMicros,
}

/// The clock hour that contains `at`.
pub fn local_hour(zone: &TimeZone, at: UnixMicros) -> LocalHour {
    let within = |at: UnixMicros| {
        let civil = at.civil(zone);
        let seconds = i64::from(civil.minute()) * 60 + i64::from(civil.second());
        seconds * SECOND_MICROS + i64::from(civil.subsec_nanosecond()) / 1_000
    };
    let offset = |at: UnixMicros| zone.to_offset(at.timestamp()).seconds();
    let mut start = at.plus_micros(-within(at));
    if offset(start) != offset(at) {
        let jump = zone
            .preceding(
                at.timestamp().saturating_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX),
            )
            .next();
        start = jump.map_or(start, |jump| start.max(UnixMicros::from_timestamp(jump.timestamp())));
    }
    let mut end = start.plus_micros(HOUR_MICROS - within(start));
    if offset(end) != offset(start) {
        let jump = zone.following(start.timestamp()).next();
        end = jump.map_or(end, |jump| end.min(UnixMicros::from_timestamp(jump.timestamp())));
    }
    LocalHour { start, end }
}

/// The local month `[start, end)` with this number (months since January of year 0).
pub fn local_month_numbered(zone: &TimeZone, number: i64) -> (UnixMicros, UnixMicros) {
    let first = |number: i64| {
        let year = i16::try_from(number.div_euclid(12)).unwrap_or(9_999).clamp(-9_999, 9_999);
        let month = number.rem_euclid(12) as i8 + 1;
        midnight(zone, Date::new(year, month, 1).unwrap_or(Date::MAX))
    };
    (first(number), first(number + 1))
}

/// `2026-11` as the month's number; `None` when it is not written so.
pub fn month_number(text: &str) -> Option<i64> {
    let (year, month) = text.split_once('-')?;
    let digits =
        |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(year, 4) || !digits(month, 2) {
        return None;
    }
    let (year, month): (i64, i64) = (year.parse().ok()?, month.parse().ok()?);
    (1..=12).contains(&month).then_some(year * 12 + month - 1)
}

/// The month's number as `2026-11`: a billing cycle.
pub fn month_text(number: i64) -> String {
    format!("{:04}-{:02}", number.div_euclid(12), number.rem_euclid(12) + 1)
}

/// R08: the local midnight that closes the day `months` calendar months after the day of `start`; a day that the
/// month lacks is its last day. Bought 2018-09-12 17:51 in UTC+8 for six months, it ends 2019-03-13 00:00 there.
pub fn validity_end(zone: &TimeZone, start: UnixMicros, months: u32) -> UnixMicros {
    let date = start.civil(zone).date();
    let last_day = date.checked_add(Span::new().months(i64::from(months))).unwrap_or(Date::MAX);
    midnight(zone, next_date(last_day))
}

/// The local midnight `days` calendar days before `at`, which is a local midnight itself (any other instant counts as
/// its day's).
pub fn days_before(zone: &TimeZone, at: UnixMicros, days: i64) -> UnixMicros {
    let date = at.civil(zone).date();
    midnight(zone, date.checked_sub(Span::new().days(days.clamp(0, 36_500))).unwrap_or(Date::MIN))
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
    fn r10_the_hour_is_that_of_the_zones_clock() {
        let kolkata = zone("Asia/Kolkata").unwrap();
        let hour = local_hour(&kolkata, at("2026-11-22T04:31:00Z"));
        assert_eq!((hour.start, hour.end), (at("2026-11-22T04:30:00Z"), at("2026-11-22T05:30:00Z")));
        assert_eq!(local_hour(&kolkata, hour.end.plus_micros(-1)), hour, "one microsecond before");
        assert_eq!(local_hour(&kolkata, hour.end).start, hour.end, "the hour itself");
    }

    #[test]
    fn r10_an_hour_ends_where_the_clock_jumps_by_half_an_hour() {
        // Lord Howe goes back from 02:00 to 01:30 on the first Sunday of April, at 15:00 UTC.
        let howe = zone("Australia/Lord_Howe").unwrap();
        let before = local_hour(&howe, at("2026-04-04T14:59:59Z"));
        let after = local_hour(&howe, at("2026-04-04T15:00:00Z"));
        assert_eq!((before.end, after.start), (at("2026-04-04T15:00:00Z"), at("2026-04-04T15:00:00Z")));
        assert_eq!(after.end, at("2026-04-04T15:30:00Z"), "01:30 to 02:00, for the second time");
    }

    #[test]
    fn r14_days_before_are_calendar_days() {
        // Berlin's 2026-10-25 has 25 hours.
        let berlin = zone("Europe/Berlin").unwrap();
        assert_eq!(days_before(&berlin, at("2026-10-25T23:00:00Z"), 1), at("2026-10-24T22:00:00Z"));
        assert_eq!(days_before(&berlin, at("2026-10-25T23:00:00Z"), 30), at("2026-09-25T22:00:00Z"));
    }

    #[test]
    fn a_month_by_its_number() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let number = month_number("2026-12").unwrap();
        assert_eq!(
            local_month_numbered(&shanghai, number),
            (at("2026-11-30T16:00:00Z"), at("2026-12-31T16:00:00Z"))
        );
        assert_eq!(month_text(number), "2026-12");
        for wrong in ["2026-13", "2026-00", "2026-1", "26-01", "2026/01", "", "2026-01-01", "+026-01"] {
            assert_eq!(month_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn r27_an_accounts_time_does_not_follow_a_small_step_back() {
        let last = UnixMicros(1_795_320_000_000_000);
        for (clock, expected) in [
            (last.0 + 1, last.0 + 1),
            (last.0 - 1, last.0),
            (last.0 - STEP_BACK_MAX_MICROS, last.0),
            (last.0 - STEP_BACK_MAX_MICROS - 1, last.0 - STEP_BACK_MAX_MICROS - 1),
            (i64::MIN, i64::MIN),
        ] {
            assert_eq!(never_back(UnixMicros(clock), last), UnixMicros(expected), "{clock}");
        }
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
        fn r10_hours_follow_each_other_without_gap_or_overlap(seconds in 0i64..4_000_000_000, pick in 0usize..6) {
            let names = ["Asia/Shanghai", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe", "Africa/Cairo", "Pacific/Chatham"];
            let zone = zone(names[pick]).unwrap();
            let at = UnixMicros::from_seconds(seconds);
            let hour = local_hour(&zone, at);
            proptest::prop_assert!(hour.start <= at && at < hour.end && hour.end.0 - hour.start.0 <= HOUR_MICROS);
            proptest::prop_assert_eq!(local_hour(&zone, hour.start), hour);
            proptest::prop_assert_eq!(local_hour(&zone, hour.end.plus_micros(-1)), hour);
            proptest::prop_assert_eq!(local_hour(&zone, hour.end).start, hour.end);
            proptest::prop_assert_eq!(local_day(&zone, hour.start), local_day(&zone, hour.end.plus_micros(-1)), "an hour is of one day");
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
