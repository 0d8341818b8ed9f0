//! R22: the brake between reviews.
//!
//! It looks at the last 24 hours, and within them at shorter stretches up to now: an account with much good mail
//! that is taken over by somebody else would otherwise send for hours before a whole day's share shows it. The
//! lines and the evidence asked for are those of a pause (R21): enough unique recipients over the day, enough mails
//! in the stretch, and the bound past the line.
//!
//! Spam reports come late. Here they count in the stretch in which their mail was accepted, not the one in
//! which they came, so that they are set against the mails they belong to.

use serde::{Deserialize, Serialize};

use super::evidence::{Counts, Measure, Reason, past, pause_lines};
use super::policy::QuotaPolicy;
use super::rate::Rate;

/// The last so many minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    pub minutes: i64,
    pub counts: Counts,
    /// Spam reports so far about mails to reporting providers that were accepted in this stretch.
    pub blamed: i64,
    /// Other reports and verdicts so far about mails that were accepted in this stretch.
    pub accused: i64,
}

/// All that the brake looks at; kept with what it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// Unique recipients of yesterday and today, local days.
    pub recipients: i64,
    pub windows: Vec<Window>,
}

/// Why it went off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    pub minutes: i64,
    pub reason: Reason,
}

impl Window {
    fn rate(&self, measure: Measure) -> Rate {
        let decided = self.counts.decided();
        match measure {
            Measure::Invalid => Rate::new(self.counts.invalid, decided),
            Measure::Reported => Rate::new(self.blamed, self.counts.reporting),
            Measure::Judged => Rate::new(self.accused, decided),
            Measure::NotArrived => Rate::new(decided - self.counts.delivered, decided),
        }
    }
}

/// Whether sending is to be paused, and by what; the shortest stretch that shows it.
pub fn brake(policy: &QuotaPolicy, readings: &Readings) -> Option<Trip> {
    if readings.recipients < policy.recipients_min {
        return None;
    }
    readings.windows.iter().find_map(|window| {
        pause_lines(policy).into_iter().find_map(|(measure, line)| {
            let rate = window.rate(measure);
            if window.counts.decided() < policy.recipients_min {
                return None;
            }
            past(policy, measure, rate, line).map(|reason| Trip { minutes: window.minutes, reason })
        })
    })
}
