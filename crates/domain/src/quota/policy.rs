//! R20, R21: the ladder and the lines. All of it is configuration, kept under a version, so that every decision can
//! be replayed with the very numbers that it was made with.

use serde::{Deserialize, Serialize};

use super::rate::{Confidence, Ppm};
use crate::mail::provider::Provider;

/// R20: mails a day by level, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ladder(pub Vec<i64>);

impl Ladder {
    /// The highest level.
    pub fn top(&self) -> i64 {
        self.0.len() as i64 - 1
    }

    /// Mails a day at a level; of one that is not on the ladder, the nearest.
    pub fn daily(&self, level: i64) -> i64 {
        let place = level.clamp(0, self.top().max(0)) as usize;
        self.0.get(place).copied().unwrap_or(0)
    }

    /// The highest level whose quota is not above `daily_mails`; the lowest when all are. A quota that an operator
    /// has set lies between two.
    pub fn level_of(&self, daily_mails: i64) -> i64 {
        (self.0.iter().filter(|step| **step <= daily_mails).count() as i64 - 1).max(0)
    }

    /// The next level above a quota; `None` at the top.
    pub fn above(&self, daily_mails: i64) -> Option<i64> {
        self.0.iter().position(|step| *step > daily_mails).map(|place| place as i64)
    }

    /// The next level below a quota; `None` at the bottom.
    pub fn below(&self, daily_mails: i64) -> Option<i64> {
        self.0.iter().rposition(|step| *step < daily_mails).map(|place| place as i64)
    }
}

/// From here on sending is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseLines {
    pub invalid: Ppm,
    pub reported: Ppm,
}

/// From here on the quota is lowered; below `arrival` too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowerLines {
    pub invalid: Ppm,
    pub reported: Ppm,
    pub arrival: Ppm,
}

/// Below these, from `arrival` on, and with the quota made use of, it is raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaiseLines {
    pub invalid: Ppm,
    pub reported: Ppm,
    pub arrival: Ppm,
    /// A day counts as full from this share of its quota on.
    pub full_use: Ppm,
    /// Days of the seven that must be full.
    pub full_days: i64,
}

/// R20 to R22 *(config)*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaPolicy {
    /// The operator's name for these numbers.
    pub version: String,
    pub ladder: Ladder,
    /// R20: of a new account, and of a domain or sender address that a grown account adds (R24).
    pub initial_level: i64,
    /// R17: mails a day at that level, when it is to differ from the ladder.
    pub initial_daily_mails: i64,
    pub pause: PauseLines,
    pub lower: LowerLines,
    pub raise: RaiseLines,
    /// Fewer unique recipients move nobody.
    pub recipients_min: i64,
    /// Fewer spam reports prove nothing.
    pub reports_min: i64,
    /// Providers that tell us of every report of their users: spam reports are set against the mails delivered there.
    /// Whoever sends mostly to others would else have a tenth of the share that he has.
    pub reporting: Vec<Provider>,
    pub confidence: Confidence,
    /// R22: stretches of the last 24 hours that the brake looks at, in minutes; the last is the whole day.
    pub brake_windows_minutes: Vec<i64>,
    /// The so-manieth pause within `pauses_weeks` is not released by a review, only by an operator; 0: every pause is.
    pub pauses_before_operator: i64,
    pub pauses_weeks: i64,
}

impl Default for QuotaPolicy {
    fn default() -> Self {
        QuotaPolicy {
            version: "1".to_owned(),
            ladder: Ladder(vec![
                200, 1_000, 2_000, 3_000, 5_000, 8_000, 13_000, 20_000, 35_000, 60_000, 100_000,
            ]),
            initial_level: 2,
            initial_daily_mails: 2_000,
            pause: PauseLines { invalid: Ppm::percent(10), reported: Ppm(5_000) },
            lower: LowerLines { invalid: Ppm::percent(5), reported: Ppm(3_000), arrival: Ppm::percent(85) },
            raise: RaiseLines {
                invalid: Ppm::percent(2),
                reported: Ppm(1_000),
                arrival: Ppm::percent(95),
                full_use: Ppm::percent(80),
                full_days: 3,
            },
            recipients_min: 200,
            reports_min: 3,
            reporting: vec![Provider::Outlook, Provider::Yahoo],
            confidence: Confidence::Percent95,
            brake_windows_minutes: vec![10, 60, 360, DAY_MINUTES],
            pauses_before_operator: 2,
            pauses_weeks: 8,
        }
    }
}

pub const DAY_MINUTES: i64 = 24 * 60;
/// Outcomes are counted in stretches of this length; a window of the brake is a whole number of them.
pub const SLICE_MINUTES: i64 = 5;
/// A monthly quota must stay a number that can be counted.
const DAILY_MAX: i64 = 1_000_000_000;

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("version is empty; give these numbers a name")]
    NoVersion,
    #[error(
        "ladder needs at least two levels, each larger than the one before, from 1 to 1000000000 mails a day"
    )]
    Ladder,
    #[error("initial_level is {0}, which is not on the ladder; its levels are 0 to {1}")]
    InitialLevel(i64, i64),
    #[error("{0} is not a share between 0 and 100 per cent")]
    Share(&'static str),
    #[error("the lines of {0} are not in their order: raise below lower, lower below pause")]
    Order(&'static str),
    #[error(
        "raise.arrival is {0}, below lower.arrival of {1}; more must arrive to be raised than not to be lowered"
    )]
    Arrival(Ppm, Ppm),
    #[error("raise.full_days is {0}; a week has 1 to 7")]
    FullDays(i64),
    #[error("{0} must be {1} or more")]
    TooSmall(&'static str, i64),
    #[error(
        "brake_windows_minutes must be multiples of 5 minutes, ascending, and end with 1440, the last 24 hours (R22)"
    )]
    Windows,
}

impl QuotaPolicy {
    /// R17: mails a day at activation.
    pub fn initial_daily(&self) -> i64 {
        self.initial_daily_mails
    }

    /// Where an account stands after a pause: one level below, and not above the level of a new account, since its
    /// evidence begins anew.
    pub fn after_pause(&self, daily_mails: i64) -> (i64, i64) {
        let below = self.ladder.below(daily_mails).unwrap_or(0).min(self.initial_level);
        (below, self.ladder.daily(below).min(daily_mails))
    }

    /// Whether the numbers make sense together.
    pub fn check(&self) -> Result<(), PolicyError> {
        if self.version.trim().is_empty() {
            return Err(PolicyError::NoVersion);
        }
        let steps = &self.ladder.0;
        let in_range = steps.iter().all(|step| (1..=DAILY_MAX).contains(step));
        if steps.len() < 2 || !in_range || !steps.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err(PolicyError::Ladder);
        }
        if !(0..=self.ladder.top()).contains(&self.initial_level) {
            return Err(PolicyError::InitialLevel(self.initial_level, self.ladder.top()));
        }
        self.check_lines()?;
        if !(1..=7).contains(&self.raise.full_days) {
            return Err(PolicyError::FullDays(self.raise.full_days));
        }
        for (name, value, min) in [
            ("recipients_min", self.recipients_min, 1),
            ("reports_min", self.reports_min, 1),
            ("pauses_before_operator", self.pauses_before_operator, 0),
            ("pauses_weeks", self.pauses_weeks, 1),
            ("initial_daily_mails", self.initial_daily_mails, 0),
        ] {
            if value < min {
                return Err(PolicyError::TooSmall(name, min));
            }
        }
        let windows = &self.brake_windows_minutes;
        let whole = windows.iter().all(|minutes| *minutes > 0 && minutes % SLICE_MINUTES == 0);
        let ascending = windows.windows(2).all(|pair| pair[0] < pair[1]);
        match whole && ascending && windows.last() == Some(&DAY_MINUTES) {
            true => Ok(()),
            false => Err(PolicyError::Windows),
        }
    }

    fn check_lines(&self) -> Result<(), PolicyError> {
        let (raise, lower, pause) = (&self.raise, &self.lower, &self.pause);
        for (name, share) in [
            ("pause.invalid", pause.invalid),
            ("pause.reported", pause.reported),
            ("lower.invalid", lower.invalid),
            ("lower.reported", lower.reported),
            ("lower.arrival", lower.arrival),
            ("raise.invalid", raise.invalid),
            ("raise.reported", raise.reported),
            ("raise.arrival", raise.arrival),
            ("raise.full_use", raise.full_use),
        ] {
            if share.0 <= 0 || share > Ppm::ALL {
                return Err(PolicyError::Share(name));
            }
        }
        for (name, raise, lower, pause) in [
            ("invalid", raise.invalid, lower.invalid, pause.invalid),
            ("reported", raise.reported, lower.reported, pause.reported),
        ] {
            if raise > lower || lower > pause {
                return Err(PolicyError::Order(name));
            }
        }
        match raise.arrival < lower.arrival {
            true => Err(PolicyError::Arrival(raise.arrival, lower.arrival)),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r20_the_ladder_of_the_rule() {
        let policy = QuotaPolicy::default();
        policy.check().expect("the default is a policy");
        assert_eq!(
            (policy.initial_daily(), policy.ladder.top(), policy.ladder.daily(10)),
            (2_000, 10, 100_000)
        );
        assert_eq!((policy.ladder.above(2_000), policy.ladder.below(2_000)), (Some(3), Some(1)));
        assert_eq!((policy.ladder.above(100_000), policy.ladder.below(200)), (None, None));
    }

    #[test]
    fn r20_a_quota_between_two_levels_moves_to_its_neighbours() {
        let ladder = QuotaPolicy::default().ladder;
        assert_eq!((ladder.level_of(2_500), ladder.above(2_500), ladder.below(2_500)), (2, Some(3), Some(2)));
        assert_eq!((ladder.level_of(0), ladder.above(0), ladder.below(0)), (0, Some(0), None));
        assert_eq!((ladder.level_of(1_000_000), ladder.below(1_000_000)), (10, Some(10)));
    }

    #[test]
    fn r22_after_a_pause_trust_begins_anew() {
        let policy = QuotaPolicy::default();
        assert_eq!(policy.after_pause(100_000), (2, 2_000));
        assert_eq!(policy.after_pause(2_000), (1, 1_000));
        assert_eq!(policy.after_pause(200), (0, 200));
        assert_eq!(policy.after_pause(50), (0, 50), "what an operator has set is not raised by a pause");
    }

    #[test]
    fn r21_a_policy_that_makes_no_sense_is_refused() {
        let broken: [fn(&mut QuotaPolicy); 9] = [
            |policy| policy.version.clear(),
            |policy| policy.ladder.0.swap(0, 1),
            |policy| policy.initial_level = 11,
            |policy| policy.pause.invalid = Ppm(0),
            |policy| policy.lower.invalid = Ppm::percent(11),
            |policy| policy.raise.arrival = Ppm::percent(80),
            |policy| policy.raise.full_days = 8,
            |policy| policy.recipients_min = 0,
            |policy| policy.brake_windows_minutes = vec![10, 60],
        ];
        for change in broken {
            let mut policy = QuotaPolicy::default();
            change(&mut policy);
            policy.check().expect_err("refused");
        }
    }
}
