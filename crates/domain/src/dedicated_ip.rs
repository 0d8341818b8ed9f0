//! The term of a dedicated IP address: from when until when it is a customer's to send from.
//!
//! A term is a number of calendar months from an instant, in UTC: an address has no zone, and one that ends on the
//! 31st ends on the last day of a shorter month. With automatic renewal a month is added whenever the end is
//! reached; the end is computed from the present instant, so nothing has to run for it to happen. Intervals are
//! half-open: at the end instant itself the address is no longer used.

use jiff::Span;
use jiff::tz::TimeZone;

use crate::time::UnixMicros;

/// Months of a term: a hundred years.
pub const MONTHS_MAX: i64 = 1_200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    pub starts_at: UnixMicros,
    /// Months agreed on so far, 1 to [`MONTHS_MAX`].
    pub months: i64,
    pub auto_renewal: bool,
}

impl Term {
    /// How many months it has at `now`, with those that automatic renewal has added by then.
    pub fn months_at(&self, now: UnixMicros) -> i64 {
        let agreed = self.months.clamp(1, MONTHS_MAX);
        if !self.auto_renewal {
            return agreed;
        }
        let (start, present) = (self.starts_at.civil(&TimeZone::UTC), now.civil(&TimeZone::UTC));
        let passed = (i64::from(present.year()) - i64::from(start.year())) * 12 + i64::from(present.month())
            - i64::from(start.month());
        let months = passed.clamp(agreed, MONTHS_MAX);
        // Within the month in which it would end, the instant decides.
        if self.end_of(months) <= now { (months + 1).min(MONTHS_MAX) } else { months }
    }

    /// When it ends, as far as is known at `now`.
    pub fn ends_at(&self, now: UnixMicros) -> UnixMicros {
        self.end_of(self.months_at(now))
    }

    pub fn is_running(&self, now: UnixMicros) -> bool {
        self.starts_at <= now && now < self.ends_at(now)
    }

    fn end_of(&self, months: i64) -> UnixMicros {
        let end = self.starts_at.civil(&TimeZone::UTC).checked_add(Span::new().months(months));
        let zoned = end.and_then(|end| TimeZone::UTC.to_zoned(end));
        zoned.map_or(UnixMicros(i64::MAX), |zoned| UnixMicros::from_timestamp(zoned.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> UnixMicros {
        UnixMicros::parse(text).expect("an instant")
    }

    fn term(start: &str, months: i64, auto_renewal: bool) -> Term {
        Term { starts_at: at(start), months, auto_renewal }
    }

    #[test]
    fn a_term_is_half_open() {
        let term = term("2026-01-31T10:00:00Z", 1, false);
        assert_eq!(term.ends_at(term.starts_at), at("2026-02-28T10:00:00Z"));
        assert!(!term.is_running(at("2026-01-31T09:59:59.999999Z")));
        assert!(term.is_running(term.starts_at) && term.is_running(at("2026-02-28T09:59:59.999999Z")));
        assert!(!term.is_running(at("2026-02-28T10:00:00Z")));
    }

    #[test]
    fn automatic_renewal_adds_a_month_at_each_end_and_loses_no_day() {
        let term = term("2026-01-31T10:00:00Z", 1, true);
        for (now, end) in [
            ("2026-02-01T00:00:00Z", "2026-02-28T10:00:00Z"),
            ("2026-02-28T09:59:59Z", "2026-02-28T10:00:00Z"),
            ("2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z"),
            ("2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"),
            ("2031-12-31T09:00:00Z", "2031-12-31T10:00:00Z"),
            ("2031-12-31T10:00:00Z", "2032-01-31T10:00:00Z"),
        ] {
            assert_eq!(term.ends_at(at(now)), at(end), "{now}");
            assert!(term.is_running(at(now)), "{now}");
        }
    }

    #[test]
    fn renewal_never_shortens_what_was_agreed() {
        let term = term("2026-01-15T00:00:00Z", 12, true);
        assert_eq!(term.ends_at(at("2026-03-01T00:00:00Z")), at("2027-01-15T00:00:00Z"));
        assert_eq!(term.months_at(at("2027-01-15T00:00:00Z")), 13);
    }

    #[test]
    fn numbers_out_of_range_are_bounded() {
        for months in [i64::MIN, 0, i64::MAX] {
            let term = Term { starts_at: UnixMicros(0), months, auto_renewal: true };
            assert!((1..=MONTHS_MAX).contains(&term.months_at(UnixMicros(i64::MAX))));
        }
    }
}
