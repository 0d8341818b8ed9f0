//! An account of the service in the simulated world: the real rules, with the world's mails.
//!
//! Admission is [`Allowance::take`] (R17) and [`Warming`] (R24), the week is judged by [`review`] (R19 to R21) and
//! the last hours by [`brake`] (R22), the very functions that the server runs. Here is only what the server's
//! store does around them: counting, applying a decision, pausing and releasing.

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::Allowance;
use indicia_domain::quota::brake::brake;
use indicia_domain::quota::evidence::{Counts, DayUse, Evidence};
use indicia_domain::quota::policy::{QuotaPolicy, SLICE_MINUTES};
use indicia_domain::quota::review::{Action, Decision, Dossier, Paused, Subject, review};
use indicia_domain::quota::warming::Warming;
use indicia_domain::time::{MINUTE_MICROS, TimeZone, UnixMicros};

use crate::book::{Book, LISTS};
use crate::regime::Regime;
use crate::sender::{STEPS_PER_DAY, STEPS_PER_WEEK};

/// Monday, 27 July 2026, 00:00 UTC: 26 weeks from there hold a Christmas.
pub const START: UnixMicros = UnixMicros(1_785_110_400_000_000);

/// The instant at which a step begins.
pub fn instant(step: i64) -> UnixMicros {
    START.plus_micros(step * SLICE_MINUTES * MINUTE_MICROS)
}

/// The local day's number of a step, in UTC.
fn day_number(step: i64) -> i64 {
    instant(step).0.div_euclid(24 * 60 * MINUTE_MICROS)
}

/// Without a quota. A monthly quota must not overflow.
const UNLIMITED_DAILY: i64 = 1_000_000_000;

/// Where a pause stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    pub since_step: i64,
    /// No review releases it.
    pub needs_operator: bool,
}

#[derive(Clone, Debug)]
struct SecondDomain {
    warming: Warming,
    week: Counts,
    week_sent: i64,
    days: Vec<DayUse>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    policy: Option<QuotaPolicy>,
    allowance: Allowance,
    level: i64,
    pause: Option<Pause>,
    pauses: Vec<i64>,
    book: Book,
    second: Option<SecondDomain>,
    touched: bool,
}

impl Account {
    pub fn new(regime: &Regime, days: usize) -> Account {
        let (policy, daily) = match regime {
            Regime::Policy { policy, .. } => (Some(QuotaPolicy::clone(policy)), policy.initial_daily()),
            Regime::Unlimited => (None, UNLIMITED_DAILY),
            Regime::Fixed(daily) => (None, *daily),
        };
        let windows = policy.as_ref().map(|policy| policy.brake_windows_minutes.clone());
        Account {
            level: policy.as_ref().map_or(0, |policy| policy.initial_level),
            policy,
            allowance: Allowance::new(daily),
            pause: None,
            pauses: Vec::new(),
            book: Book::new(&windows.unwrap_or_default(), days),
            second: None,
            touched: false,
        }
    }

    pub fn daily_mails(&self) -> i64 {
        self.allowance.daily_mails
    }

    /// The quota that is in force: none while paused.
    pub fn in_force(&self) -> i64 {
        if self.pause.is_some() { 0 } else { self.allowance.daily_mails }
    }

    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// What is left of today's quota.
    pub fn left_today(&self, step: i64) -> i64 {
        match self.pause {
            Some(_) => 0,
            None => (self.allowance.daily_mails - self.allowance.used_on(day_number(step))).max(0),
        }
    }

    pub fn begin_step(&mut self, step: i64) {
        if self.policy.is_some() {
            self.book.begin_step(step);
        }
    }

    /// R17, R24: how many of `mails` are accepted, in whole requests of `per_request`.
    pub fn accept(
        &mut self,
        zone: &TimeZone,
        step: i64,
        list: usize,
        mails: i64,
        per_request: i64,
        by_second_domain: bool,
    ) -> i64 {
        if self.pause.is_some() || mails <= 0 {
            return 0;
        }
        let whole = |room: i64| room.clamp(0, mails) / per_request * per_request;
        let mut wanted = mails;
        let day = day_number(step);
        if by_second_domain && let Some(second) = &self.second {
            let room = second.warming.daily_mails - second.warming.used_on(day);
            wanted = if room >= mails { mails } else { whole(room) };
        }
        let accepted = match self.allowance.take(zone, instant(step), wanted) {
            Ok(()) => wanted,
            Err(over) => {
                let fits = whole(over.quota - over.used).min(wanted);
                // The day's rest may still be more than the month's.
                if fits > 0 && self.allowance.take(zone, instant(step), fits).is_ok() { fits } else { 0 }
            }
        };
        if accepted == 0 {
            return 0;
        }
        self.book.sent(list, accepted);
        self.note(&Counts { accepted, ..Counts::default() }, by_second_domain);
        if by_second_domain && let Some(second) = &mut self.second {
            second.warming.take(day, accepted);
            second.week_sent += accepted;
        }
        accepted
    }

    fn is_reporting(&self, provider: Provider) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.reporting.contains(&provider))
    }

    /// What became of mails to a provider.
    pub fn count(&mut self, change: &Counts, provider: Provider, by_second_domain: bool) {
        let reporting = if self.is_reporting(provider) { change.delivered } else { 0 };
        self.note(&Counts { reporting, ..*change }, by_second_domain);
    }

    /// Reports of a provider's users about mails that were accepted in an earlier step.
    pub fn report(&mut self, accepted_step: i64, reports: i64, provider: Provider, by_second_domain: bool) {
        match self.is_reporting(provider) {
            true => {
                self.touched = true;
                self.book.blame(accepted_step, reports);
                self.note_second(&Counts { reported: reports, ..Counts::default() }, by_second_domain);
            }
            false => self.judge(accepted_step, reports, by_second_domain),
        }
    }

    /// A provider's verdicts on the content of mails that were accepted in an earlier step.
    pub fn judge(&mut self, accepted_step: i64, verdicts: i64, by_second_domain: bool) {
        if self.policy.is_none() || verdicts == 0 {
            return;
        }
        self.touched = true;
        self.book.accuse(accepted_step, verdicts);
        self.note_second(&Counts { judged: verdicts, ..Counts::default() }, by_second_domain);
    }

    fn note(&mut self, change: &Counts, by_second_domain: bool) {
        if self.policy.is_some() {
            self.book.count(change);
            self.touched = true;
            self.note_second(change, by_second_domain);
        }
    }

    fn note_second(&mut self, change: &Counts, by_second_domain: bool) {
        if by_second_domain && let Some(second) = &mut self.second {
            second.week.add(change);
        }
    }

    /// R24: a domain is added.
    pub fn add_domain(&mut self) {
        let Some(policy) = &self.policy else { return };
        let warming =
            Warming::of_new(policy, Subject::Domain(2), "second.example", self.allowance.daily_mails);
        self.second = warming.map(|warming| SecondDomain {
            warming,
            week: Counts::default(),
            week_sent: 0,
            days: Vec::new(),
        });
    }

    pub fn end_day(&mut self, last_step: i64) {
        let day = day_number(last_step);
        self.book.end_day(self.allowance.used_on(day), self.allowance.daily_mails);
        if let Some(second) = &mut self.second {
            let (used, quota) = (second.warming.used_on(day), second.warming.daily_mails);
            second.days.push(DayUse { used, quota });
        }
    }

    /// R22: pauses if the last hours ask for it, and says so.
    pub fn look_at_brake(&mut self, step: i64, addresses: [f64; LISTS]) -> bool {
        let Some(policy) = &self.policy else { return false };
        if !self.touched || self.pause.is_some() {
            return false;
        }
        self.touched = false;
        if brake(policy, &self.book.readings(addresses)).is_none() {
            return false;
        }
        let (level, daily_mails) = policy.after_pause(self.allowance.daily_mails);
        self.level = level;
        self.allowance.daily_mails = daily_mails;
        self.begin_pause(step);
        true
    }

    fn begin_pause(&mut self, step: i64) {
        self.pauses.push(step);
        self.pause = Some(Pause { since_step: step, needs_operator: false });
    }

    /// Ends a pause, by a review or an operator.
    pub fn release(&mut self) {
        self.pause = None;
        self.book.forget();
    }

    /// R19: the review at the beginning of `step`, a Monday's first.
    pub fn review_week(&mut self, step: i64, addresses: [f64; LISTS]) -> Option<Action> {
        let policy = self.policy.clone()?;
        let lately_from = step - policy.pauses_weeks * STEPS_PER_WEEK;
        let lately = self.pauses.iter().filter(|at| **at >= lately_from).count() as i64;
        let dossier = Dossier {
            subject: Subject::Account,
            week: day_number(step) - 7,
            from: instant(step - STEPS_PER_WEEK),
            until: instant(step),
            daily_mails: self.allowance.daily_mails,
            level: self.level,
            ceiling_level: None,
            paused: self.pause.map(|pause| Paused {
                since: instant(pause.since_step),
                lately,
                by_operator: false,
            }),
            evidence: self.book.week(step, addresses),
        };
        let decision = review(&policy, &dossier);
        self.apply(step, &decision);
        self.review_second(step, &policy, addresses[0]);
        self.book.begin_week();
        Some(decision.action)
    }

    fn apply(&mut self, step: i64, decision: &Decision) {
        self.level = decision.level;
        self.allowance.daily_mails = decision.daily_mails;
        match decision.action {
            Action::Pause => self.begin_pause(step),
            Action::Release => self.release(),
            Action::Keep => {
                if let Some(pause) = &mut self.pause {
                    pause.needs_operator = true;
                }
            }
            Action::Raise | Action::Lower => {}
        }
    }

    fn review_second(&mut self, step: i64, policy: &QuotaPolicy, addresses: f64) {
        let Some(second) = &mut self.second else { return };
        let evidence = Evidence {
            counts: second.week,
            reportable: second.week.reporting,
            recipients: crate::book::unique(second.week_sent, addresses),
            days: std::mem::take(&mut second.days),
        };
        let dossier = Dossier {
            subject: second.warming.subject,
            week: day_number(step) - 7,
            from: instant(step - STEPS_PER_WEEK),
            until: instant(step),
            daily_mails: second.warming.daily_mails,
            level: second.warming.level,
            ceiling_level: None,
            paused: None,
            evidence,
        };
        let decision = review(policy, &dossier);
        second.warming.level = decision.level;
        second.warming.daily_mails = decision.daily_mails;
        second.week = Counts::default();
        second.week_sent = 0;
        if second.warming.has_met(self.allowance.daily_mails) {
            self.second = None;
        }
    }
}

/// Whether a step is the first of a day.
pub fn begins_day(step: i64) -> bool {
    step % STEPS_PER_DAY == 0
}

/// Whether a step is a Monday's first.
pub fn begins_week(step: i64) -> bool {
    step % STEPS_PER_WEEK == 0
}

#[cfg(test)]
mod tests {
    use indicia_domain::time::zone;

    use super::*;

    fn account() -> (Account, TimeZone) {
        (Account::new(&Regime::standard(), 100), zone("UTC").unwrap())
    }

    #[test]
    fn the_run_begins_on_a_monday_at_midnight() {
        assert_eq!(START.rfc3339_seconds(), "2026-07-27T00:00:00Z");
        assert_eq!((day_number(0) + 3) % 7, 0, "1970-01-01 was a Thursday");
    }

    #[test]
    fn r17_whole_requests_up_to_the_quota() {
        let (mut account, utc) = account();
        account.begin_step(0);
        assert_eq!(account.accept(&utc, 0, 0, 1_950, 100, false), 1_950, "the last request may be smaller");
        assert_eq!(account.accept(&utc, 0, 0, 500, 100, false), 0, "50 are left, a request has 100");
        assert_eq!(account.accept(&utc, 0, 0, 500, 10, false), 50);
        assert_eq!(account.left_today(0), 0);
        assert_eq!(account.left_today(STEPS_PER_DAY), 2_000, "tomorrow");
    }

    #[test]
    fn r22_the_brake_pauses_and_the_review_releases() {
        let (mut account, utc) = account();
        account.begin_step(0);
        let accepted = account.accept(&utc, 0, 0, 1_000, 100, false);
        account.count(&Counts { delivered: 750, invalid: 250, ..Counts::default() }, Provider::Gmail, false);
        assert_eq!(accepted, 1_000);
        assert!(account.look_at_brake(0, [1e6, 1.0]));
        assert!(!account.look_at_brake(0, [1e6, 1.0]), "paused already");
        assert_eq!((account.daily_mails(), account.in_force()), (1_000, 0));
        assert_eq!(account.accept(&utc, 1, 0, 100, 100, false), 0);
        assert_eq!(account.review_week(STEPS_PER_WEEK, [1e6, 1.0]), Some(Action::Release));
        assert_eq!(account.in_force(), 1_000);
        account.begin_step(STEPS_PER_WEEK);
        account.accept(&utc, STEPS_PER_WEEK, 0, 1_000, 100, false);
        account.count(&Counts { delivered: 750, invalid: 250, ..Counts::default() }, Provider::Gmail, false);
        assert!(account.look_at_brake(STEPS_PER_WEEK, [1e6, 1.0]));
        assert_eq!(account.review_week(2 * STEPS_PER_WEEK, [1e6, 1.0]), Some(Action::Keep));
        assert!(account.pause().is_some_and(|pause| pause.needs_operator));
    }

    #[test]
    fn r24_a_second_domain_of_a_grown_account_has_an_allowance_of_its_own() {
        let (mut account, utc) = account();
        account.allowance.daily_mails = 20_000;
        account.add_domain();
        assert_eq!(account.accept(&utc, 0, 0, 5_000, 100, true), 2_000);
        assert_eq!(account.accept(&utc, 0, 0, 5_000, 100, true), 0);
        assert_eq!(account.accept(&utc, 0, 0, 5_000, 100, false), 5_000, "the first domain is not held back");
    }
}
