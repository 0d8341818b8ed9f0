//! What a sender wants to send in five minutes, and the state of its lists.

use crate::constants::CONTENT_SIGMA;
use crate::random::Stream;
use crate::sender::{List, Profile, Rhythm, STEPS_PER_DAY, STEPS_PER_HOUR, STEPS_PER_WEEK};

/// Steady mail over the day, by hour: little at night, most in the evening. Assumed.
const HOURS: [f64; 24] = [
    0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.5, 0.8, 1.2, 1.4, 1.5, 1.5, 1.4, 1.4, 1.4, 1.4, 1.4, 1.4, 1.5, 1.6, 1.6,
    1.3, 0.8, 0.5,
];
/// Steady mail over the week, from Monday. Assumed.
const WEEKDAYS: [f64; 7] = [1.1, 1.1, 1.1, 1.0, 1.0, 0.8, 0.9];
/// Mailings and bulk go out from 8 to 18 o'clock, mailings to 22.
const WORK_FROM_HOUR: i64 = 8;
const WORK_UNTIL_HOUR: i64 = 18;
const EVENING_HOUR: i64 = 22;
/// Days of the run from 13 November to 24 December 2026.
const SEASON: std::ops::Range<i64> = 109..151;

/// The recipients of one list in the course of a run.
#[derive(Clone, Copy, Debug)]
pub struct Recipients {
    pub list: List,
    mailed: i64,
}

impl Recipients {
    pub fn new(list: List) -> Recipients {
        Recipients { list, mailed: 0 }
    }

    /// The share of invalid addresses among the next mails.
    pub fn invalid(&self) -> f64 {
        let first = (self.mailed as f64) < self.list.addresses;
        self.list.fresh_invalid + if first { self.list.first_pass_invalid } else { 0.0 }
    }

    pub fn mailed(&mut self, mails: i64) {
        self.mailed += mails;
    }

    /// What is left when the list has been cleaned: like a newsletter's.
    pub fn clean(&mut self) {
        self.list.fresh_invalid = 0.004;
        self.list.first_pass_invalid = 0.0;
        self.list.traps = 0.0;
        self.list.complaints = 0.000_3;
    }
}

/// What one list's owner wants.
#[derive(Clone, Debug)]
pub struct Demand {
    rhythm: Rhythm,
    stream: Stream,
    /// How today's recipients feel about it.
    mood: f64,
    /// Mails of the mailing that is under way.
    backlog: i64,
    /// Mails that were given up because the quota had no room for them.
    given_up: i64,
}

impl Demand {
    pub fn new(rhythm: Rhythm, stream: Stream) -> Demand {
        Demand { rhythm, stream, mood: 1.0, backlog: 0, given_up: 0 }
    }

    /// At the beginning of a day: what is sent today is liked more or less than usual.
    pub fn begin_day(&mut self) {
        self.mood = self.stream.log_normal(1.0, CONTENT_SIGMA);
    }

    /// A factor on complaints today.
    pub fn mood(&self) -> f64 {
        self.mood
    }

    /// Mails that it wants to send in a step, when `left_today` are left of its quota.
    pub fn wanted(&mut self, step: i64, addresses: f64, left_today: i64) -> i64 {
        let hour = step / STEPS_PER_HOUR % 24;
        let weekday = step / STEPS_PER_DAY % 7;
        let by_day = |daily: f64| {
            daily * WEEKDAYS[weekday as usize] * HOURS[hour as usize] / hours_sum() / STEPS_PER_HOUR as f64
        };
        match self.rhythm {
            Rhythm::Steady { daily } => self.stream.poisson(by_day(daily)),
            Rhythm::Season { daily, peak } => {
                let in_season = SEASON.contains(&(step / STEPS_PER_DAY));
                self.stream.poisson(by_day(daily) * if in_season { peak } else { 1.0 })
            }
            Rhythm::Mailings { days, hour: from, steps } => {
                if days.contains(&weekday) && step % STEPS_PER_DAY == from * STEPS_PER_HOUR {
                    // What is left of the mailing before is stale now.
                    self.given_up += self.backlog;
                    self.backlog = addresses as i64;
                }
                if (WORK_FROM_HOUR..EVENING_HOUR).contains(&hour) {
                    self.backlog.min((addresses / steps as f64) as i64 + 1)
                } else {
                    0
                }
            }
            Rhythm::All { daily, spread } => {
                if !(WORK_FROM_HOUR..WORK_UNTIL_HOUR).contains(&hour) {
                    return 0;
                }
                let steps = (WORK_UNTIL_HOUR - WORK_FROM_HOUR) * STEPS_PER_HOUR;
                let pace = (daily / steps as f64) as i64;
                let rest = WORK_UNTIL_HOUR * STEPS_PER_HOUR - step % STEPS_PER_DAY;
                // In whole requests of 100, so that spreading leaves nothing over.
                if spread { pace.min((left_today / rest + 99) / 100 * 100) } else { pace }
            }
            Rhythm::Flood { per_minute } => (per_minute * 5.0) as i64,
        }
    }

    /// What came of it.
    pub fn done(&mut self, wanted: i64, accepted: i64) {
        match self.rhythm {
            Rhythm::Mailings { .. } => self.backlog -= accepted,
            Rhythm::Steady { .. } | Rhythm::Season { .. } => self.given_up += wanted - accepted,
            // No end to what it wants.
            Rhythm::All { .. } | Rhythm::Flood { .. } => {}
        }
    }

    pub fn given_up(&self) -> i64 {
        self.given_up
    }
}

fn hours_sum() -> f64 {
    HOURS.iter().sum()
}

/// How a list grows, at the beginning of a week.
pub fn grow(profile: &Profile, recipients: &mut Recipients, step: i64) {
    if step >= profile.from_step + STEPS_PER_WEEK {
        recipients.list.addresses *= 1.0 + profile.list.weekly_growth;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn day(demand: &mut Demand, day: i64, quota: i64) -> i64 {
        let mut left = quota;
        for step in day * STEPS_PER_DAY..(day + 1) * STEPS_PER_DAY {
            let wanted = demand.wanted(step, 10_000.0, left);
            let accepted = wanted.min(left);
            demand.done(wanted, accepted);
            left -= accepted;
        }
        quota - left
    }

    fn demand(rhythm: Rhythm) -> Demand {
        Demand::new(rhythm, Stream::new(1, Purpose::Demand, 1))
    }

    #[test]
    fn steady_mail_is_what_it_says_over_a_week() {
        let mut steady = demand(Rhythm::Steady { daily: 10_000.0 });
        let week: i64 = (0..7).map(|at| day(&mut steady, at, 1_000_000)).sum();
        assert!((68_500..71_500).contains(&week), "{week}");
        let mut season = demand(Rhythm::Season { daily: 1_000.0, peak: 10.0 });
        assert!(day(&mut season, 115, 1_000_000) > 5 * day(&mut season, 10, 1_000_000));
    }

    #[test]
    fn a_mailing_goes_on_next_day_and_is_given_up_at_the_next_one() {
        let mut mailing = demand(Rhythm::Mailings { days: [1, 3], hour: 9, steps: 20 });
        assert_eq!(day(&mut mailing, 0, 4_000), 0, "not on Mondays");
        assert_eq!([day(&mut mailing, 1, 4_000), day(&mut mailing, 2, 4_000)], [4_000, 4_000]);
        assert_eq!(day(&mut mailing, 3, 4_000), 4_000);
        assert!(mailing.given_up() < 2_000, "{}", mailing.given_up());
    }

    #[test]
    fn who_wants_all_takes_all() {
        let mut spread = demand(Rhythm::All { daily: 150_000.0, spread: true });
        assert_eq!(day(&mut spread, 0, 20_000), 20_000);
        let mut at_once = demand(Rhythm::All { daily: 150_000.0, spread: false });
        assert_eq!(day(&mut at_once, 0, 20_000), 20_000);
        assert_eq!(day(&mut at_once, 0, 10_000_000), 150_000);
    }

    #[test]
    fn what_bounced_once_is_not_sent_again() {
        let mut recipients = Recipients::new(List {
            addresses: 1_000.0,
            weekly_growth: 0.0,
            fresh_invalid: 0.001,
            first_pass_invalid: 0.2,
            traps: 0.0,
            complaints: 0.0,
        });
        assert!(recipients.invalid() > 0.2);
        recipients.mailed(1_000);
        assert_eq!(recipients.invalid(), 0.001);
    }
}
