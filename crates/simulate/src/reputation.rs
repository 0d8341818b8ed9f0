//! What a mailbox provider remembers of an entity (a sending domain, an IP address) and makes of it.
//!
//! Two memories that fade exponentially, a quick one of a day and a slow one of one to two weeks, hold what was
//! received of it: recipients, invalid ones, traps, mails shown in the inbox, complaints about them. *Badness* is
//! the sum of the three shares, each over its line; the worse memory counts, so that a burst shows within hours
//! and is not forgotten for weeks. Of an entity that is not known well a little is presumed; of its last day, what
//! is known of its last weeks. Mail in the spam folder is seen by nobody and draws no complaint, so a reputation
//! that is lost comes back only as memory fades and the presumption gains weight, as deliverability people report.
//!
//! A provider also knows the usual volume of a day. It takes more than that only by a factor that good history
//! widens; the rest is put off.

use crate::constants::*;

/// What was received of an entity.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    pub recipients: f64,
    pub invalid: f64,
    pub traps: f64,
    /// Mails in the inbox: those that somebody can complain about.
    pub shown: f64,
    pub complaints: f64,
}

impl Trace {
    pub fn add(&mut self, other: &Trace) {
        self.recipients += other.recipients;
        self.invalid += other.invalid;
        self.traps += other.traps;
        self.shown += other.shown;
        self.complaints += other.complaints;
    }

    fn fade(&mut self, factor: f64) {
        for value in
            [&mut self.recipients, &mut self.invalid, &mut self.traps, &mut self.shown, &mut self.complaints]
        {
            *value *= factor;
        }
    }

    /// Its shares, when a little is presumed.
    fn shares(&self, presumed: Shares) -> Shares {
        let (recipients, shown) = (self.recipients + PRIOR_MAILS, self.shown + PRIOR_MAILS);
        Shares {
            complaints: (self.complaints + presumed.complaints * PRIOR_MAILS) / shown,
            invalid: (self.invalid + presumed.invalid * PRIOR_MAILS) / recipients,
            traps: (self.traps + presumed.traps * PRIOR_MAILS) / recipients,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Shares {
    complaints: f64,
    invalid: f64,
    traps: f64,
}

/// What is presumed of the unknown.
const PRESUMED: Shares = Shares { complaints: PRIOR_COMPLAINTS, invalid: PRIOR_INVALID, traps: 0.0 };

impl Shares {
    /// 0 is spotless; at 1 half of the mail goes to the spam folder.
    fn badness(&self) -> f64 {
        self.complaints / COMPLAINT_LINE + self.invalid / INVALID_LINE + self.traps / TRAP_LINE
    }
}

/// How much of a day's volume an entity may grow by.
fn growth(badness: f64) -> f64 {
    match badness {
        bad if bad < 1.0 / 3.0 => GROWTH_GOOD,
        bad if bad < 1.0 => GROWTH_FAIR,
        bad if bad < 3.0 => GROWTH_POOR,
        _ => GROWTH_BAD,
    }
}

/// `b^k / (m^k + b^k)`: half at `middle`.
pub fn hill(badness: f64, middle: f64, steepness: f64) -> f64 {
    let power = (badness.max(0.0) / middle).powi(steepness as i32);
    power / (1.0 + power)
}

/// One entity at one provider.
#[derive(Clone, Debug)]
pub struct Reputation {
    fast: Trace,
    slow: Trace,
    /// Since the last hour was settled.
    fresh: Trace,
    floor_daily: f64,
    usual_daily: f64,
    tried_today: f64,
    taken_today: f64,
    taken_this_hour: f64,
    badness: f64,
    cap_daily: f64,
    jumps: bool,
    /// A factor on the growth that is allowed.
    growth: f64,
}

impl Reputation {
    /// Of something never seen before, of which `floor_daily` mails a day are taken.
    pub fn unknown(floor_daily: f64, jumps: bool, growth: f64) -> Reputation {
        Reputation {
            fast: Trace::default(),
            slow: Trace::default(),
            fresh: Trace::default(),
            floor_daily,
            usual_daily: 0.0,
            tried_today: 0.0,
            taken_today: 0.0,
            taken_this_hour: 0.0,
            badness: PRESUMED.badness(),
            cap_daily: floor_daily,
            jumps,
            growth,
        }
    }

    /// Of something that has sent `daily` good mails a day for long.
    pub fn known(floor_daily: f64, daily: f64, half_life_days: f64, growth: f64) -> Reputation {
        let mut reputation = Reputation::unknown(floor_daily, false, growth);
        // What stays of an endless row of such days.
        let days = half_life_days / std::f64::consts::LN_2;
        reputation.slow = Trace {
            recipients: daily * days,
            invalid: daily * days * 0.003,
            traps: 0.0,
            shown: daily * days,
            complaints: daily * days * 0.000_2,
        };
        reputation.usual_daily = daily;
        reputation.settle(1.0, 1.0);
        reputation
    }

    pub fn badness(&self) -> f64 {
        self.badness
    }

    pub fn note(&mut self, trace: &Trace) {
        self.fresh.add(trace);
    }

    /// Mails that may still be taken now.
    pub fn room(&self) -> i64 {
        let today = self.cap_daily - self.taken_today;
        let hour = self.cap_daily * HOUR_SHARE - self.taken_this_hour;
        today.min(hour).max(0.0) as i64
    }

    /// Mails offered for the first time.
    pub fn tried(&mut self, mails: i64) {
        self.tried_today += mails as f64;
    }

    pub fn taken(&mut self, mails: i64) {
        self.taken_today += mails as f64;
        self.taken_this_hour += mails as f64;
    }

    /// At the end of an hour: memories fade, and the hour becomes a part of them.
    pub fn settle(&mut self, fast_factor: f64, slow_factor: f64) {
        self.fast.fade(fast_factor);
        self.slow.fade(slow_factor);
        self.fast.add(&self.fresh);
        self.slow.add(&self.fresh);
        self.fresh = Trace::default();
        self.taken_this_hour = 0.0;
        let weeks = self.slow.shares(PRESUMED);
        let badness = weeks.badness().max(self.fast.shares(weeks).badness());
        self.cap_daily = self.floor_daily.max(self.usual_daily * growth(badness) * self.growth);
        let jump = (self.tried_today / self.cap_daily - 1.0).clamp(0.0, 1.0);
        self.badness = badness + if self.jumps { jump * JUMP_BADNESS } else { 0.0 };
    }

    /// At the end of a day, after its last hour.
    pub fn turn_day(&mut self) {
        self.usual_daily = self.taken_today.max(self.usual_daily * USUAL_FADE);
        self.tried_today = 0.0;
        self.taken_today = 0.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(shown: f64, complaints: f64, invalid: f64) -> Trace {
        Trace { recipients: shown + invalid, invalid, traps: 0.0, shown, complaints }
    }

    fn week(entity: &mut Reputation, daily: &Trace, days: usize) {
        for _ in 0..days {
            for _ in 0..24 {
                let mut hour = *daily;
                hour.fade(1.0 / 24.0);
                entity.note(&hour);
                entity.settle(0.5_f64.powf(1.0 / 24.0), 0.5_f64.powf(1.0 / 24.0 / 10.0));
            }
            entity.turn_day();
        }
    }

    #[test]
    fn googles_lines_are_where_google_draws_them() {
        let at = |share: f64| trace(1e9, share * 1e9, 0.0).shares(PRESUMED).badness();
        assert!((at(0.003) - 1.0).abs() < 0.01 && (at(0.001) - 0.333).abs() < 0.01);
        assert!(hill(at(0.001), 1.0, FOLDER_STEEPNESS) < 0.04, "below 0.1 % hardly anything");
        assert!((hill(at(0.003), 1.0, FOLDER_STEEPNESS) - 0.5).abs() < 0.01);
        assert!(hill(at(0.01), 1.0, FOLDER_STEEPNESS) > 0.95, "far above: nearly all");
    }

    #[test]
    fn a_burst_shows_within_a_day_and_is_forgotten_within_weeks() {
        let mut entity = Reputation::unknown(DOMAIN_FLOOR, true, 1.0);
        week(&mut entity, &trace(5_000.0, 1.0, 15.0), 28);
        let before = entity.badness();
        week(&mut entity, &trace(5_000.0, 100.0, 1_000.0), 1);
        let after = entity.badness();
        assert!(before < 0.2 && after > 2.0, "{before} {after}");
        week(&mut entity, &trace(5_000.0, 1.0, 15.0), 7);
        let week_later = entity.badness();
        assert!(week_later < after / 2.0 && week_later > before * 1.5, "{week_later}");
        week(&mut entity, &trace(5_000.0, 1.0, 15.0), 42);
        assert!(entity.badness() < before * 1.3, "{}", entity.badness());
    }

    #[test]
    fn volume_grows_by_good_history_only() {
        let mut good = Reputation::unknown(ADDRESS_FLOOR, false, 1.0);
        assert_eq!(good.room(), 250, "a quarter of the floor within an hour");
        for _ in 0..8 {
            let taken = (0..24).map(|_| {
                let room = good.room();
                good.taken(room);
                good.note(&trace(room as f64, 0.0, 0.0));
                good.settle(0.97, 0.997);
                room
            });
            assert!(taken.sum::<i64>() > 0);
            good.turn_day();
        }
        assert!(good.cap_daily > 50.0 * ADDRESS_FLOOR, "doubles day by day: {}", good.cap_daily);
        week(&mut good, &trace(50_000.0, 1_000.0, 10_000.0), 1);
        good.settle(1.0, 1.0);
        assert!(good.cap_daily <= good.usual_daily * GROWTH_BAD + 1.0, "{}", good.cap_daily);
    }

    #[test]
    fn trying_far_more_than_usual_is_bad_in_itself() {
        let mut entity = Reputation::unknown(DOMAIN_FLOOR, true, 1.0);
        let before = entity.badness();
        entity.tried(50_000);
        entity.settle(1.0, 1.0);
        assert!((entity.badness() - before - JUMP_BADNESS).abs() < 1e-9);
    }
}
