//! What is measured in a run.

use indicia_domain::quota::review::Action;

use crate::sender::Kind;

/// One sender's mails.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    pub accepted: i64,
    pub inbox: i64,
    pub folder: i64,
    pub trapped: i64,
    pub invalid: i64,
    /// Refused for a bad repute, of domain or address.
    pub spam: i64,
    pub failed: i64,
    /// Put off at the first attempt.
    pub deferred: i64,
    /// Spam reports that reached the service.
    pub reported: i64,
    /// At the end of the run.
    pub waiting: i64,
    /// Wanted, but not sent for want of quota.
    pub given_up: i64,
    /// The inbox's expected share, mail by mail: `inbox` without the last throw of the dice.
    pub inbox_expected: f64,
}

impl Tally {
    pub fn delivered(&self) -> i64 {
        self.inbox + self.folder + self.trapped
    }

    pub fn decided(&self) -> i64 {
        self.delivered() + self.invalid + self.spam + self.failed
    }

    pub fn add(&mut self, other: &Tally) {
        self.accepted += other.accepted;
        self.inbox += other.inbox;
        self.folder += other.folder;
        self.trapped += other.trapped;
        self.invalid += other.invalid;
        self.spam += other.spam;
        self.failed += other.failed;
        self.deferred += other.deferred;
        self.reported += other.reported;
        self.waiting += other.waiting;
        self.given_up += other.given_up;
        self.inbox_expected += other.inbox_expected;
    }

    /// Inbox among the mails whose fate is known.
    pub fn arrival(&self) -> f64 {
        share(self.inbox as f64, self.decided() as f64)
    }

    fn arrival_expected(&self) -> f64 {
        share(self.inbox_expected, self.decided() as f64)
    }
}

/// 0 of nothing.
pub fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// When somebody who harms others was stopped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    pub kind: Kind,
    /// Bad mails accepted until the first pause, or until the end of the run.
    pub mails: i64,
    /// From the first of them; `None`: never stopped.
    pub minutes: Option<i64>,
}

/// When somebody who uses all its quota had 50,000 a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Days from the account's making; `None`: not within the run.
    pub days: Option<f64>,
}

/// The goal of those who grow.
pub const GROWTH_DAILY: i64 = 50_000;
/// Within so many days.
pub const GROWTH_DAYS: f64 = 56.0;

/// Weeks of good senders' accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountWeeks {
    pub all: i64,
    pub raised: i64,
    pub lowered: i64,
    /// Paused in it, or all through it.
    pub paused: i64,
}

impl AccountWeeks {
    /// Counts one week: what the review did, and whether there was a pause in it.
    pub fn count(&mut self, action: Option<Action>, was_paused: bool) {
        self.all += 1;
        let paused = was_paused || action == Some(Action::Pause);
        self.paused += i64::from(paused);
        self.lowered += i64::from(action == Some(Action::Lower));
        self.raised += i64::from(action == Some(Action::Raise));
    }

    pub fn add(&mut self, other: &AccountWeeks) {
        self.all += other.all;
        self.raised += other.raised;
        self.lowered += other.lowered;
        self.paused += other.paused;
    }

    /// The share of weeks in which a good sender was lowered or paused.
    pub fn wronged(&self) -> f64 {
        share((self.lowered + self.paused) as f64, self.all as f64)
    }
}

/// All that is measured in one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub kinds: Vec<Kind>,
    pub tallies: Vec<Tally>,
    /// By sender: the quota in force at the end of each week, 0 while paused, -1 before the account is made.
    pub quota_by_week: Vec<Vec<i64>>,
    /// Of good senders by week: (inbox, decided).
    pub arrival_by_week: Vec<(i64, i64)>,
    pub weeks: AccountWeeks,
    pub growths: Vec<Growth>,
    pub stops: Vec<Stop>,
    /// Of bought lists, by whomever, accepted in the run.
    pub bad_mails: i64,
}

impl Figures {
    /// All mails of some kinds.
    pub fn total(&self, of: impl Fn(Kind) -> bool) -> Tally {
        let mut total = Tally::default();
        for (kind, tally) in self.kinds.iter().zip(&self.tallies) {
            if of(*kind) {
                total.add(tally);
            }
        }
        total
    }

    /// Mails of good senders that did not arrive because of the bad ones: for each what it sent, times the arrival that
    /// it lacks against the same run without the bad ones.
    pub fn harm(&self, without_bad: &Figures) -> f64 {
        let pairs = self.tallies.iter().zip(&without_bad.tallies).zip(&self.kinds);
        pairs
            .filter(|(_, kind)| kind.is_good())
            .map(|((with, without), _)| {
                with.decided() as f64 * (without.arrival_expected() - with.arrival_expected())
            })
            .sum()
    }

    /// A number that differs when any count does (FNV-1a).
    pub fn digest(&self) -> u64 {
        let mut digest = 0xcbf2_9ce4_8422_2325_u64;
        let mut note = |number: i64| {
            for byte in number.to_le_bytes() {
                digest = (digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        for tally in &self.tallies {
            let Tally { accepted, inbox, folder, trapped, invalid, spam, failed, deferred, .. } = *tally;
            [accepted, inbox, folder, trapped, invalid, spam, failed, deferred]
                .into_iter()
                .for_each(&mut note);
            [tally.reported, tally.waiting, tally.given_up].into_iter().for_each(&mut note);
            note(tally.inbox_expected.to_bits() as i64);
        }
        self.quota_by_week.iter().flatten().for_each(|quota| note(*quota));
        for stop in &self.stops {
            note(stop.mails);
            note(stop.minutes.unwrap_or(-1));
        }
        for growth in &self.growths {
            note(growth.days.map_or(-1, |days| (days * 1_000.0) as i64));
        }
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harm_is_what_is_missing_against_the_run_without_the_bad() {
        let tally = |inbox: i64| Tally {
            accepted: 1_000,
            inbox,
            folder: 1_000 - inbox,
            inbox_expected: inbox as f64,
            ..Tally::default()
        };
        let run = |good, bad| Figures {
            kinds: vec![Kind::Shop, Kind::Bought],
            tallies: vec![tally(good), tally(bad)],
            ..Figures::default()
        };
        assert!((run(900, 100).harm(&run(990, 0)) - 90.0).abs() < 1e-9, "the bad one's own mail is no harm");
        assert_ne!(run(900, 100).digest(), run(901, 100).digest());
        assert_eq!(run(900, 100).total(Kind::is_good).arrival(), 0.9);
    }

    #[test]
    fn a_week_is_counted_once() {
        let mut weeks = AccountWeeks::default();
        weeks.count(Some(Action::Raise), false);
        weeks.count(Some(Action::Pause), true);
        weeks.count(Some(Action::Lower), false);
        weeks.count(None, false);
        assert_eq!(weeks, AccountWeeks { all: 4, raised: 1, lowered: 1, paused: 1 });
        assert_eq!(weeks.wronged(), 0.5);
    }
}
