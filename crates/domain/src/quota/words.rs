//! Quota decisions said to people, in the English of the record. What is kept is the decision itself; the words can
//! always be made again from it.

use std::fmt;

use super::brake::Trip;
use super::evidence::{Measure, Reason};
use super::rate::Ppm;
use super::review::{Action, Decision};

/// `1,234,567`.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Shares for people: two decimals of a per cent are plenty, and a share that is not nothing is never shown as none.
pub fn short(share: Ppm) -> String {
    match share.0 {
        1..=99 => "under 0.01 %".to_owned(),
        parts => Ppm(parts / 100 * 100).to_string(),
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Measure::Invalid => "invalid addresses",
            Measure::Reported => "spam reports",
            Measure::Judged => "mails that providers call spam",
            Measure::NotArrived => "mails that did not arrive",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::TooFewRecipients { recipients, needed } => write!(
                f,
                "not enough data: {} unique recipients, {} are needed",
                grouped(*recipients),
                grouped(*needed)
            ),
            Reason::Past { measure, rate, line, bound } => write!(
                f,
                "{measure}: {} ({} of {}), and surely more than {}; the line is {line}",
                short(rate.share()),
                grouped(rate.events),
                grouped(rate.out_of),
                short(*bound)
            ),
            Reason::Unproven { measure, rate, line, .. } => write!(
                f,
                "{measure}: {} ({} of {}), past the line of {line}, but so few that it may be chance",
                short(rate.share()),
                grouped(rate.events),
                grouped(rate.out_of)
            ),
            Reason::Barred { measure, rate, line } => write!(
                f,
                "{measure}: {} ({} of {}); for more, {} {line}",
                short(rate.share()),
                grouped(rate.events),
                grouped(rate.out_of),
                wanted(*measure)
            ),
            Reason::Good { measure, rate, line } => write!(
                f,
                "{measure}: {} ({} of {}), within {line}",
                short(rate.share()),
                grouped(rate.events),
                grouped(rate.out_of)
            ),
            Reason::LittleUsed { full_days, needed, full_use } => write!(
                f,
                "{full_use} or more of the quota was used on {full_days} of 7 days; {needed} are needed for more"
            ),
            Reason::WellUsed { full_days, full_use, .. } => {
                write!(f, "{full_use} or more of the quota was used on {full_days} of 7 days")
            }
            Reason::AtCeiling { level } => {
                write!(f, "your own ceiling is level {level}; move it to grow further")
            }
            Reason::AtTop => f.write_str("this is the highest level"),
            Reason::AtBottom => f.write_str("this is the lowest level"),
            Reason::Released => f.write_str("the pause is over; what counts from now on is new evidence"),
            Reason::PausedLater => f.write_str(
                "sending was paused after this week was over; the review of the week of the pause ends it",
            ),
            Reason::PausedByOperator => {
                f.write_str("paused by an operator of this service, who alone can release it")
            }
            Reason::WaitsForOperator { pauses, weeks } => write!(
                f,
                "paused {pauses} times within {weeks} weeks; only an operator of this service can release it"
            ),
        }
    }
}

fn wanted(measure: Measure) -> &'static str {
    match measure {
        Measure::NotArrived => "at most",
        Measure::Invalid | Measure::Reported | Measure::Judged => "under",
    }
}

impl fmt::Display for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes) = (self.minutes / 60, self.minutes % 60);
        match (hours, minutes) {
            (0, minutes) => write!(f, "in the last {minutes} minutes: {}", self.reason),
            (1, 0) => write!(f, "in the last hour: {}", self.reason),
            (hours, 0) => write!(f, "in the last {hours} hours: {}", self.reason),
            _ => write!(f, "in the last {} minutes: {}", self.minutes, self.reason),
        }
    }
}

impl Decision {
    /// `Raised from 2,000 to 3,000 mails a day.`
    pub fn headline(&self, old_daily: i64) -> String {
        let (old, new) = (grouped(old_daily), grouped(self.daily_mails));
        match self.action {
            Action::Raise => format!("Raised from {old} to {new} mails a day."),
            Action::Lower => format!("Lowered from {old} to {new} mails a day."),
            Action::Keep => format!("Kept at {new} mails a day."),
            Action::Pause => {
                format!("Paused; when it is released, the quota is {new} mails a day (was {old}).")
            }
            Action::Release => format!("Released; the quota is {new} mails a day."),
        }
    }

    /// All reasons in one line.
    pub fn because(&self) -> String {
        self.reasons.iter().map(Reason::to_string).collect::<Vec<_>>().join("; ")
    }
}
