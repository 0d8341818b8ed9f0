//! R24: the daily allowance of a domain or sender address that a grown account added later.
//!
//! It starts at the initial quota and climbs the same ladder on its own record until it meets the account's quota;
//! from then on there is none. An account whose quota is not above the initial one has none either: what warms a
//! new account is its quota itself.

use super::allowance::not_before;
use super::policy::QuotaPolicy;
use super::review::Subject;

/// An allowance of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warming {
    /// A domain or a sender address.
    pub subject: Subject,
    /// For people: `example.com`, `news@example.com`.
    pub name: String,
    pub level: i64,
    pub daily_mails: i64,
    /// The local day (its number) that `day_used` counts.
    pub day: i64,
    pub day_used: i64,
}

impl Warming {
    /// The allowance of what an account adds now; `None` when its quota is not above the initial one.
    pub fn of_new(policy: &QuotaPolicy, subject: Subject, name: &str, account_daily: i64) -> Option<Warming> {
        let daily_mails = policy.initial_daily();
        (account_daily > daily_mails).then(|| Warming {
            subject,
            name: name.to_owned(),
            level: policy.initial_level,
            daily_mails,
            day: 0,
            day_used: 0,
        })
    }

    pub fn used_on(&self, day: i64) -> i64 {
        if self.day == not_before(self.day, day) { self.day_used } else { 0 }
    }

    pub fn fits(&self, day: i64, mails: i64) -> bool {
        self.used_on(day) + mails <= self.daily_mails
    }

    /// Counts mails that [`fits`](Warming::fits) has let through.
    pub fn take(&mut self, day: i64, mails: i64) {
        let used = self.used_on(day);
        self.day = not_before(self.day, day);
        self.day_used = used + mails;
    }

    /// Uncounts mails that were counted on `day` and are reversed (R03), while that day is the one that counts.
    pub fn give_back(&mut self, day: i64, mails: i64) {
        if day == self.day {
            self.day_used = (self.day_used - mails).max(0);
        }
    }

    /// Whether it has met the account's quota: from then on the account's alone holds.
    pub fn has_met(&self, account_daily: i64) -> bool {
        self.daily_mails >= account_daily
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r24_only_a_grown_account_warms_what_it_adds() {
        let policy = QuotaPolicy::default();
        let of = |daily| Warming::of_new(&policy, Subject::Domain(7), "example.com", daily);
        assert_eq!(of(2_000), None, "nothing else holds a new user back");
        let warming = of(3_000).expect("a grown account");
        assert_eq!((warming.level, warming.daily_mails, warming.has_met(3_000)), (2, 2_000, false));
        assert!(warming.has_met(2_000));
    }

    #[test]
    fn r24_a_day_has_its_own_count() {
        let policy = QuotaPolicy::default();
        let mut warming = Warming::of_new(&policy, Subject::Sender(7), "news@example.com", 60_000).unwrap();
        assert!(warming.fits(100, 2_000) && !warming.fits(100, 2_001));
        warming.take(100, 1_999);
        assert!(warming.fits(100, 1) && !warming.fits(100, 2));
        assert!(!warming.fits(99, 2), "another node's clock that is a moment behind");
        warming.give_back(100, 9);
        warming.give_back(99, 500);
        assert_eq!(warming.used_on(100), 1_990);
        assert!(warming.fits(101, 2_000));
    }
}
