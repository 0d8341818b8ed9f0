//! R17: how many mails an account may send on a local day and in a local month.

use jiff::tz::TimeZone;

use crate::time::{UnixMicros, local_day, local_month};

/// An account's quota and what is used of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Mails a local day; the monthly quota is this times 30.
    pub daily_mails: i64,
    /// The local day (its number) that `day_used` counts.
    pub day: i64,
    pub day_used: i64,
    /// The local month (months since year 0) that `month_used` counts.
    pub month: i64,
    pub month_used: i64,
}

/// Days of quota in a month (R17).
pub const MONTH_DAYS: i64 = 30;

/// A request that would pass what is left; refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverQuota {
    pub period: Period,
    pub quota: i64,
    pub used: i64,
    pub requested: i64,
    /// When the count starts again.
    pub resets_at: UnixMicros,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Day,
    Month,
}

impl Period {
    pub fn name(self) -> &'static str {
        match self {
            Period::Day => "Daily",
            Period::Month => "Monthly",
        }
    }
}

impl Allowance {
    /// A new account's, on the day of its creation.
    pub fn new(daily_mails: i64) -> Self {
        Allowance { daily_mails, day: 0, day_used: 0, month: 0, month_used: 0 }
    }

    pub fn monthly_mails(&self) -> i64 {
        self.daily_mails.saturating_mul(MONTH_DAYS)
    }

    pub fn used_on(&self, day: i64) -> i64 {
        if self.day == not_before(self.day, day) { self.day_used } else { 0 }
    }

    pub fn used_in(&self, month: i64) -> i64 {
        if self.month == not_before(self.month, month) { self.month_used } else { 0 }
    }

    /// Counts `mails` on the day and month of `at`, or says why not and counts nothing.
    pub fn take(&mut self, zone: &TimeZone, at: UnixMicros, mails: i64) -> Result<(), OverQuota> {
        let day = local_day(zone, at);
        let (month, month_end) = local_month(zone, at);
        let (day_used, month_used) = (self.used_on(day.number), self.used_in(month));
        if day_used + mails > self.daily_mails {
            let (quota, used) = (self.daily_mails, day_used);
            return Err(OverQuota { period: Period::Day, quota, used, requested: mails, resets_at: day.end });
        }
        if month_used + mails > self.monthly_mails() {
            let (quota, used) = (self.monthly_mails(), month_used);
            return Err(OverQuota {
                period: Period::Month,
                quota,
                used,
                requested: mails,
                resets_at: month_end,
            });
        }
        *self = Allowance {
            day: not_before(self.day, day.number),
            day_used: day_used + mails,
            month: not_before(self.month, month),
            month_used: month_used + mails,
            ..*self
        };
        Ok(())
    }

    /// Uncounts mails that were counted at `at` and are reversed (R03), where that day or month still runs.
    pub fn give_back(&mut self, zone: &TimeZone, at: UnixMicros, mails: i64) {
        if local_day(zone, at).number == self.day {
            self.day_used = (self.day_used - mails).max(0);
        }
        if local_month(zone, at).0 == self.month {
            self.month_used = (self.month_used - mails).max(0);
        }
    }
}

/// The period that counts: a clock that steps back over a boundary, or another node's that is a moment behind,
/// finds the period that it has just left and must not start its count anew.
pub(crate) fn not_before(kept: i64, now: i64) -> i64 {
    if now + 1 == kept { kept } else { now }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::zone;

    fn at(text: &str) -> UnixMicros {
        UnixMicros::from_timestamp(text.parse().unwrap())
    }

    #[test]
    fn r17_refused_whole_with_the_reset_instant() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let mut allowance = Allowance::new(2_000);
        let now = at("2026-11-22T15:59:59.999999Z");
        allowance.take(&shanghai, now, 1_999).unwrap();
        let refused = allowance.take(&shanghai, now, 2).unwrap_err();
        assert_eq!(refused.resets_at, at("2026-11-22T16:00:00Z"));
        assert_eq!(
            (refused.period, refused.quota, refused.used, refused.requested),
            (Period::Day, 2_000, 1_999, 2)
        );
        allowance.take(&shanghai, now, 1).expect("exactly what is left");
        allowance
            .take(&shanghai, at("2026-11-22T16:00:00Z"), 2_000)
            .expect("the next local day has its own count");
    }

    #[test]
    fn r17_monthly_quota_is_thirty_days_of_it() {
        let utc = zone("UTC").unwrap();
        let mut allowance = Allowance::new(10);
        for day in 1..=30 {
            allowance.take(&utc, at(&format!("2026-10-{day:02}T12:00:00Z")), 10).unwrap();
        }
        let refused = allowance.take(&utc, at("2026-10-31T12:00:00Z"), 1).unwrap_err();
        assert_eq!(
            (refused.period, refused.quota, refused.resets_at),
            (Period::Month, 300, at("2026-11-01T00:00:00Z"))
        );
        allowance.take(&utc, at("2026-11-01T00:00:00Z"), 10).expect("a new month");
    }

    #[test]
    fn r17_a_clock_that_steps_back_over_midnight_gains_nothing() {
        let utc = zone("UTC").unwrap();
        let mut allowance = Allowance::new(10);
        let (before, after) = (at("2026-10-31T23:59:59.9Z"), at("2026-11-01T00:00:00Z"));
        allowance.take(&utc, before, 10).unwrap();
        allowance.take(&utc, after, 6).unwrap();
        assert!(allowance.take(&utc, before, 5).is_err(), "counted on the new day");
        allowance.take(&utc, before, 4).unwrap();
        assert!(allowance.take(&utc, after, 1).is_err());
        assert_eq!((allowance.day_used, allowance.month_used), (10, 10));
    }

    #[test]
    fn r03_reversed_mails_free_their_own_day_only() {
        let utc = zone("UTC").unwrap();
        let mut allowance = Allowance::new(10);
        let (first, second) = (at("2026-10-01T12:00:00Z"), at("2026-10-02T12:00:00Z"));
        allowance.take(&utc, first, 10).unwrap();
        allowance.take(&utc, second, 4).unwrap();
        allowance.give_back(&utc, first, 10);
        assert_eq!((allowance.day_used, allowance.month_used), (4, 4));
    }
}
