//! R24: the warm-up of a dedicated IP address at one mailbox provider.
//!
//! A provider trusts an address that it has not seen before with a little mail, and with more when that was
//! welcome. So each (address, provider) has a *step*: the day of the [`Schedule`] that it has reached. The day's
//! allowance is the schedule's number at that step; what does not fit goes out by a warm or a shared address.
//!
//! Once for every UTC day on which the address was used, when the next day begins ([`Warmup::advance`]):
//!
//! | the day just over | the step |
//! | --- | --- |
//! | `back_deferred_percent` or more of the answers were deferrals | one back |
//! | more than `hold_deferred_percent` deferrals | held |
//! | more than `hold_failed_percent` failures for good | held |
//! | less than `used_percent` of the allowance sent | held: trust grows with mail, not with time |
//! | otherwise | one up; beyond the last, the address is warm |
//!
//! Shares count only with at least `evidence_min` such answers, so that two deferrals in ten mails hold nobody. After
//! more than `idle_days` without a mail the warm-up begins again with step 1: providers forget what they have
//! not seen for a month.
//!
//! The state moves in the same way for an address whose warm-up its owner manages himself; there it limits nothing
//! ([`WarmupType::Manual`]), and is right on the day on which he gives the reins back.

mod schedule;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::outcome::{Disposition, ErrorClassification, Phase};
use crate::time::{DAY_MICROS, UnixMicros};

pub use schedule::{Schedule, ScheduleError};

/// The *(config)* numbers of warm-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmupPolicy {
    pub schedule: Schedule,
    /// The share of the allowance that a day must have used for the next step.
    pub used_percent: i64,
    /// Above this share of deferrals among the provider's answers, the step is held.
    pub hold_deferred_percent: i64,
    /// From this share of deferrals on, the step goes back by one.
    pub back_deferred_percent: i64,
    /// Above this share of failures for good, the step is held.
    pub hold_failed_percent: i64,
    /// Deferrals, or failures, without which a share is taken for chance.
    pub evidence_min: i64,
    /// Days without mail after which the warm-up begins again.
    pub idle_days: i64,
}

impl Default for WarmupPolicy {
    fn default() -> Self {
        WarmupPolicy {
            schedule: Schedule::sitevibes(),
            used_percent: 50,
            hold_deferred_percent: 10,
            back_deferred_percent: 30,
            hold_failed_percent: 3,
            evidence_min: 5,
            idle_days: 30,
        }
    }
}

/// Which number of a policy cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("{name} is {value}: write a share from {least} to 100 per cent")]
    Percent { name: &'static str, value: i64, least: i64 },
    #[error("back_deferred_percent ({back}) must be above hold_deferred_percent ({hold})")]
    BackBelowHold { back: i64, hold: i64 },
    #[error("{name} is {value}: write at least 1")]
    TooSmall { name: &'static str, value: i64 },
}

impl WarmupPolicy {
    /// What the types cannot say.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (name, value, least) in [
            ("used_percent", self.used_percent, 0),
            ("hold_deferred_percent", self.hold_deferred_percent, 0),
            ("back_deferred_percent", self.back_deferred_percent, 1),
            ("hold_failed_percent", self.hold_failed_percent, 0),
        ] {
            if !(least..=100).contains(&value) {
                return Err(PolicyError::Percent { name, value, least });
            }
        }
        if self.back_deferred_percent <= self.hold_deferred_percent {
            let (back, hold) = (self.back_deferred_percent, self.hold_deferred_percent);
            return Err(PolicyError::BackBelowHold { back, hold });
        }
        for (name, value) in [("evidence_min", self.evidence_min), ("idle_days", self.idle_days)] {
            if value < 1 {
                return Err(PolicyError::TooSmall { name, value });
            }
        }
        Ok(())
    }
}

/// Who decides how much a new address sends. The names are DirectMail's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmupType {
    /// `sysCusStream`: the schedule does.
    System,
    /// `cusSelfManager`: the customer does; nothing is limited.
    Manual,
}

impl WarmupType {
    pub fn as_str(self) -> &'static str {
        match self {
            WarmupType::System => "sysCusStream",
            WarmupType::Manual => "cusSelfManager",
        }
    }

    pub fn parse(name: &str) -> Option<WarmupType> {
        [WarmupType::System, WarmupType::Manual].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What one day brought an address at one provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Attempts, made or under way: what the allowance is held against.
    pub sent: i64,
    pub delivered: i64,
    pub deferred: i64,
    pub failed: i64,
}

/// What one attempt says of an address's standing with the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    Delivered,
    Deferred,
    Failed,
}

impl Evidence {
    /// `None`: nothing. So it is without an answer of the remote's (`answered`), since a host that cannot be reached
    /// has not judged; with greylisting, which meets every stranger; and with a mailbox that is full or gets too much.
    pub fn of(
        disposition: Disposition,
        classification: ErrorClassification,
        answered: bool,
    ) -> Option<Evidence> {
        match disposition {
            Disposition::Delivered => Some(Evidence::Delivered),
            _ if !answered => None,
            Disposition::Permanent => Some(Evidence::Failed),
            Disposition::Temporary => match classification {
                ErrorClassification::SmtpGreylist
                | ErrorClassification::SmtpBoxFull
                | ErrorClassification::SmtpTooLarge
                | ErrorClassification::SmtpRcptFreq => None,
                _ => Some(Evidence::Deferred),
            },
        }
    }

    /// Whether `phase` is one in which the remote has spoken.
    pub fn was_answered(phase: Phase, code: Option<u16>) -> bool {
        code.is_some() && !matches!(phase, Phase::Dns | Phase::Connect)
    }
}

/// The days of warm-up are UTC's: providers know no account's zone, and an address may change hands.
pub fn day_of(at: UnixMicros) -> i64 {
    at.0.div_euclid(DAY_MICROS)
}

/// Where an address stands with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// The schedule's day, from 1.
    pub step: i64,
    /// The UTC day for which this holds: the last one on which the address was used.
    pub day: i64,
    /// Warm: the schedule limits nothing any more.
    pub finished: bool,
}

/// Why a warm-up stands where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Raised,
    Finished,
    StillWarm,
    HeldDeferred { deferred: i64, answers: i64, limit_percent: i64 },
    HeldFailed { failed: i64, answers: i64, limit_percent: i64 },
    HeldUnused { sent: i64, allowance: i64, least_percent: i64 },
    Back { deferred: i64, answers: i64, limit_percent: i64 },
    Idle { days: i64 },
}

impl Decision {
    /// Whether growth was held, or worse.
    pub fn is_hold(&self) -> bool {
        !matches!(self, Decision::Raised | Decision::Finished | Decision::StillWarm)
    }
}

/// For people, as a sentence without its full stop.
impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Decision::Raised => f.write_str("raised: the day before was used and went well"),
            Decision::Finished => f.write_str("warm: the schedule's last day was used and went well"),
            Decision::StillWarm => f.write_str("warm"),
            Decision::HeldDeferred { deferred, answers, limit_percent } => {
                write!(
                    f,
                    "held: {deferred} of {answers} answers were deferrals, more than {limit_percent} per cent"
                )
            }
            Decision::HeldFailed { failed, answers, limit_percent } => {
                write!(
                    f,
                    "held: {failed} of {answers} mails failed for good, more than {limit_percent} per cent"
                )
            }
            Decision::HeldUnused { sent, allowance, least_percent } => {
                write!(f, "held: {sent} of {allowance} mails were sent, less than {least_percent} per cent")
            }
            Decision::Back { deferred, answers, limit_percent } => write!(
                f,
                "one step back: {deferred} of {answers} answers were deferrals, {limit_percent} per cent or more"
            ),
            Decision::Idle { days } => write!(f, "begun again: {days} days went by without a mail"),
        }
    }
}

impl Warmup {
    /// An address that the provider has not seen.
    pub fn new(day: i64) -> Warmup {
        Warmup { step: 1, day, finished: false }
    }

    /// What it is on `today`, given what its own day brought, and why. `None`: its day is not over. However many
    /// days went by unused, the step moves once.
    pub fn advance(
        &self,
        policy: &WarmupPolicy,
        counts: &DayCounts,
        today: i64,
    ) -> Option<(Warmup, Decision)> {
        if today <= self.day {
            return None;
        }
        let idle_days = today - self.day - 1;
        if idle_days >= policy.idle_days {
            return Some((Warmup::new(today), Decision::Idle { days: idle_days }));
        }
        let last = policy.schedule.days();
        // A schedule that has become shorter ends where it ends.
        let step = self.step.clamp(1, last);
        let decision = self.judge(policy, counts, step);
        let (step, finished) = match (&decision, self.finished) {
            (Decision::Back { .. }, true) => (last, false),
            (Decision::Back { .. }, false) => ((step - 1).max(1), false),
            (_, true) => (last, true),
            (Decision::Finished, false) => (last, true),
            (Decision::Raised, false) => (step + 1, false),
            (_, false) => (step, false),
        };
        Some((Warmup { step, day: today, finished }, decision))
    }

    fn judge(&self, policy: &WarmupPolicy, counts: &DayCounts, step: i64) -> Decision {
        let DayCounts { sent, deferred, failed, .. } = *counts;
        let answers = counts.delivered + deferred + failed;
        let share_above =
            |part: i64, percent: i64| part.saturating_mul(100) > answers.saturating_mul(percent);
        let (deferrals, failures) = (deferred >= policy.evidence_min, failed >= policy.evidence_min);
        let back = policy.back_deferred_percent;
        if deferrals && deferred.saturating_mul(100) >= answers.saturating_mul(back) {
            return Decision::Back { deferred, answers, limit_percent: back };
        }
        if self.finished {
            return Decision::StillWarm;
        }
        if deferrals && share_above(deferred, policy.hold_deferred_percent) {
            return Decision::HeldDeferred { deferred, answers, limit_percent: policy.hold_deferred_percent };
        }
        if failures && share_above(failed, policy.hold_failed_percent) {
            return Decision::HeldFailed { failed, answers, limit_percent: policy.hold_failed_percent };
        }
        let (allowance, least_percent) = (policy.schedule.mails(step), policy.used_percent);
        if sent.saturating_mul(100) < allowance.saturating_mul(least_percent) {
            return Decision::HeldUnused { sent, allowance, least_percent };
        }
        if step >= policy.schedule.days() { Decision::Finished } else { Decision::Raised }
    }

    /// Mails of its day; `None`: no limit.
    pub fn allowance(&self, policy: &WarmupPolicy, kind: WarmupType) -> Option<i64> {
        (kind == WarmupType::System && !self.finished).then(|| policy.schedule.mails(self.step))
    }

    /// What of its day is left, when `sent` have gone out.
    pub fn room(&self, policy: &WarmupPolicy, kind: WarmupType, sent: i64) -> Room {
        match self.allowance(policy, kind) {
            Some(allowance) => Room::Mails((allowance - sent).max(0)),
            None => Room::Unlimited { sent },
        }
    }
}

/// What an address can take today for one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// So many mails.
    Mails(i64),
    /// Warm, or managed by its owner; so many have gone out today.
    Unlimited { sent: i64 },
}

/// Which of a pool's addresses a mail goes out by. An address that is being warmed comes first, the one with the most
/// room left, since only mail can warm it; what does not fit goes by a warm one, that which has sent least; where
/// there is none either (`None`), by shared addresses. Of equals the first.
pub fn choose(rooms: &[Room]) -> Option<usize> {
    let warming = rooms.iter().enumerate().filter_map(|(index, room)| match room {
        Room::Mails(left) if *left > 0 => Some((index, *left)),
        _ => None,
    });
    let most = warming.max_by_key(|(index, left)| (*left, std::cmp::Reverse(*index)));
    let warm = || {
        let unlimited = rooms.iter().enumerate().filter_map(|(index, room)| match room {
            Room::Unlimited { sent } => Some((index, *sent)),
            Room::Mails(_) => None,
        });
        unlimited.min_by_key(|(index, sent)| (*sent, *index))
    };
    most.or_else(warm).map(|(index, _)| index)
}
