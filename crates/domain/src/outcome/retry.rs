//! When a mail that met a temporary failure is tried again, and when it is given up.
//!
//! The pause grows with the number of attempts made, along a configured ladder whose last step repeats. It
//! is stretched or shortened by up to a fifth, from a random number that the caller brings, so that mails
//! which failed together do not come back together. No due instant lies past the maximum age: the last
//! attempt is made at that age, and what fails then, or is found more than
//! [`LAST_ATTEMPT_GRACE_MICROS`] later, ends for good.

use crate::time::UnixMicros;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// The pause varies by this share to either side, in thousandths.
const JITTER_PERMILLE: i64 = 200;

/// How long after the maximum age the last attempt, due at that age, may still begin.
pub const LAST_ATTEMPT_GRACE_MICROS: i64 = 15 * 60 * MICROS_PER_SECOND;

/// Why a schedule was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the retry schedule has no pause: give at least one, in seconds")]
    Empty,
    #[error("retry pause number {position} is 0 s: a pause must be at least 1 s")]
    ZeroPause { position: usize },
    #[error("the maximum age of a queued mail is 0 s: it must be at least 1 s")]
    ZeroAge,
}

/// The ladder of pauses and the age at which a mail is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    pauses_s: Vec<u32>,
    age_max_s: u32,
}

impl Default for RetrySchedule {
    /// 1, 5, 15, 30, 60, 120, then every 240 minutes, for 72 hours.
    fn default() -> RetrySchedule {
        RetrySchedule {
            pauses_s: [1, 5, 15, 30, 60, 120, 240].map(|minutes| minutes * 60).to_vec(),
            age_max_s: 72 * 3600,
        }
    }
}

/// What comes after a temporary failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this instant.
    RetryAt(UnixMicros),
    /// The maximum age is reached.
    GiveUp,
}

impl RetrySchedule {
    /// A schedule of pauses in seconds, the last of which repeats, up to an age in seconds.
    pub fn new(pauses_s: Vec<u32>, age_max_s: u32) -> Result<RetrySchedule, ScheduleError> {
        if pauses_s.is_empty() {
            return Err(ScheduleError::Empty);
        }
        if let Some(index) = pauses_s.iter().position(|pause| *pause == 0) {
            return Err(ScheduleError::ZeroPause { position: index + 1 });
        }
        if age_max_s == 0 {
            return Err(ScheduleError::ZeroAge);
        }
        Ok(RetrySchedule { pauses_s, age_max_s })
    }

    /// The instant of the maximum age of a mail accepted at `accepted_at`.
    pub fn deadline(&self, accepted_at: UnixMicros) -> UnixMicros {
        UnixMicros(accepted_at.0.saturating_add(i64::from(self.age_max_s) * MICROS_PER_SECOND))
    }

    /// Whether a mail is too old for any further attempt.
    pub fn is_expired(&self, accepted_at: UnixMicros, now: UnixMicros) -> bool {
        now.0 > self.deadline(accepted_at).0.saturating_add(LAST_ATTEMPT_GRACE_MICROS)
    }

    /// What follows temporary failure number `attempts` (from 1) at `now`. `random` is any random number.
    pub fn next(&self, accepted_at: UnixMicros, now: UnixMicros, attempts: u32, random: u32) -> Next {
        let deadline = self.deadline(accepted_at);
        if now.0 >= deadline.0 {
            return Next::GiveUp;
        }
        let due = now.0.saturating_add(self.pause_micros(attempts, random));
        Next::RetryAt(UnixMicros(due.min(deadline.0)))
    }

    /// The pause after failure number `failures` (from 1), varied by `random`.
    pub fn pause_micros(&self, failures: u32, random: u32) -> i64 {
        let step = (failures.max(1) as usize - 1).min(self.pauses_s.len() - 1);
        jittered(i64::from(self.pauses_s[step]) * MICROS_PER_SECOND, random)
    }
}

/// `pause_micros` varied by up to a fifth to either side. `random` is any random number.
pub fn jittered(pause_micros: i64, random: u32) -> i64 {
    let permille = i64::from(random) % (2 * JITTER_PERMILLE + 1) - JITTER_PERMILLE;
    pause_micros + pause_micros / 1000 * permille
}
