//! R19, R21: what a stretch of time shows of a sender, and how it stands against the lines.
//!
//! Everything is counted when it becomes known, in stretches of five minutes: a delivery when it is committed, a
//! spam report when it comes. So a week that is over does not change any more, however late it is looked at, and
//! nothing falls between two weeks. Our own failures (R03) are no evidence.

use serde::{Deserialize, Serialize};

use super::policy::QuotaPolicy;
use super::rate::{Confidence, Ppm, Rate};

/// What became known, in mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub accepted: i64,
    pub delivered: i64,
    /// Addresses that do not exist.
    pub invalid: i64,
    /// Refused as spam by the provider.
    pub spam: i64,
    /// Not delivered for another reason of the recipient's side.
    pub failed: i64,
    /// Spam reports; as evidence those about mails to providers that report.
    pub reported: i64,
    /// As evidence: a provider called the content spam, or a report came from one of whom few come.
    pub judged: i64,
    /// As evidence: of `delivered`, those to providers that report.
    pub reporting: i64,
    /// Put off at least once.
    pub deferred: i64,
}

impl Counts {
    /// Mails whose fate is known.
    pub fn decided(&self) -> i64 {
        self.delivered + self.invalid + self.spam + self.failed
    }

    pub fn add(&mut self, other: &Counts) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.invalid += other.invalid;
        self.spam += other.spam;
        self.failed += other.failed;
        self.reported += other.reported;
        self.judged += other.judged;
        self.reporting += other.reporting;
        self.deferred += other.deferred;
    }
}

/// One local day's use of the quota that was in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayUse {
    pub used: i64,
    pub quota: i64,
}

/// What a week shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    pub counts: Counts,
    /// Mails that the week's reports can be about: delivered to providers that report, in the week or in the seven days
    /// that end two days before it does, whichever is more. Reports come hours and days after the mail; without this a few about a
    /// large mailing of last Sunday would be set against a quiet Monday.
    pub reportable: i64,
    /// Unique recipients of what was accepted.
    pub recipients: i64,
    pub days: Vec<DayUse>,
}

/// R21: what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Invalid addresses among the mails whose fate is known.
    Invalid,
    /// Spam reports among the mails delivered to providers that report.
    Reported,
    /// Mails that were called spam, by a provider's verdict on their content or by a report from elsewhere, among the
    /// mails whose fate is known.
    Judged,
    /// Not delivered, among the mails whose fate is known.
    NotArrived,
}

/// How a week stands, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    Pause,
    Lower,
    Keep,
    Raise,
}

/// Why it stands so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// R21: fewer unique recipients than move anybody.
    TooFewRecipients { recipients: i64, needed: i64 },
    /// Past a line beyond chance.
    Past { measure: Measure, rate: Rate, line: Ppm, bound: Ppm },
    /// Past the line of lowering as counted, but it may be chance.
    Unproven { measure: Measure, rate: Rate, line: Ppm, bound: Ppm },
    /// Not good enough for more.
    Barred { measure: Measure, rate: Rate, line: Ppm },
    /// On the good side of the line.
    Good { measure: Measure, rate: Rate, line: Ppm },
    /// On too few days was the quota made use of.
    LittleUsed { full_days: i64, needed: i64, full_use: Ppm },
    /// It was made use of.
    WellUsed { full_days: i64, needed: i64, full_use: Ppm },
    /// The user's own ceiling.
    AtCeiling { level: i64 },
    /// The ladder ends here.
    AtTop,
    /// There is no lower level.
    AtBottom,
    /// The pause that the last review or the brake had made is over; evidence begins anew.
    Released,
    /// The pause in force began after this week: the review of its own week ends it.
    PausedLater,
    /// Paused by an operator, who alone releases it.
    PausedByOperator,
    /// Paused so often that only an operator releases.
    WaitsForOperator { pauses: i64, weeks: i64 },
}

/// How evidence stands against the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub grade: Grade,
    pub reasons: Vec<Reason>,
}

impl Evidence {
    pub fn rate(&self, measure: Measure) -> Rate {
        let decided = self.counts.decided();
        match measure {
            Measure::Invalid => Rate::new(self.counts.invalid, decided),
            Measure::Reported => Rate::new(self.counts.reported, self.reportable.max(self.counts.reporting)),
            Measure::Judged => Rate::new(self.counts.judged, decided),
            Measure::NotArrived => Rate::new(decided - self.counts.delivered, decided),
        }
    }

    /// Days on which at least `full_use` of the quota was used.
    pub fn full_days(&self, full_use: Ppm) -> i64 {
        let is_full = |day: &&DayUse| day.quota > 0 && Rate::new(day.used, day.quota).reaches(full_use);
        self.days.iter().filter(is_full).count() as i64
    }

    /// R21: where the evidence stands.
    pub fn stand(&self, policy: &QuotaPolicy) -> Standing {
        if self.recipients < policy.recipients_min {
            let (recipients, needed) = (self.recipients, policy.recipients_min);
            return Standing {
                grade: Grade::Keep,
                reasons: vec![Reason::TooFewRecipients { recipients, needed }],
            };
        }
        for (grade, lines) in [(Grade::Pause, pause_lines(policy)), (Grade::Lower, lower_lines(policy))] {
            let past: Vec<Reason> =
                lines.into_iter().filter_map(|(measure, line)| self.past(policy, measure, line)).collect();
            if !past.is_empty() {
                return Standing { grade, reasons: past };
            }
        }
        self.stand_for_more(policy)
    }

    fn past(&self, policy: &QuotaPolicy, measure: Measure, line: Ppm) -> Option<Reason> {
        past(policy, measure, self.rate(measure), line)
    }

    fn stand_for_more(&self, policy: &QuotaPolicy) -> Standing {
        let lower = lower_lines(policy);
        let raise = &policy.raise;
        let lines = [
            (Measure::Invalid, raise.invalid, false),
            (Measure::Reported, raise.reported, self.counts.reported < policy.reports_min),
            (Measure::Judged, raise.reported, self.counts.judged < policy.reports_min),
            (Measure::NotArrived, raise.arrival.rest(), false),
        ];
        let mut reasons = Vec::new();
        let mut good = true;
        for ((measure, line, too_few), (_, lower_line)) in lines.into_iter().zip(lower) {
            let rate = self.rate(measure);
            // "From 95 % on" arrive, but "below 2 %" are invalid: the line itself is on different sides.
            let over = match measure {
                Measure::NotArrived => rate.out_of == 0 || rate.reaches(Ppm(line.0 + 1)),
                Measure::Invalid | Measure::Reported | Measure::Judged => rate.reaches(line) && !too_few,
            };
            good &= !over;
            reasons.push(match over {
                true if rate.reaches(lower_line) => {
                    let bound = rate.lower_bound(policy.confidence);
                    Reason::Unproven { measure, rate, line: lower_line, bound }
                }
                true => Reason::Barred { measure, rate, line },
                false => Reason::Good { measure, rate, line },
            });
        }
        let (full_days, needed, full_use) = (self.full_days(raise.full_use), raise.full_days, raise.full_use);
        let used = full_days >= needed;
        reasons.push(match used {
            true => Reason::WellUsed { full_days, needed, full_use },
            false => Reason::LittleUsed { full_days, needed, full_use },
        });
        Standing { grade: if good && used { Grade::Raise } else { Grade::Keep }, reasons }
    }
}

/// Whether a rate is past a line: beyond chance, and with enough reports.
pub(super) fn past(policy: &QuotaPolicy, measure: Measure, rate: Rate, line: Ppm) -> Option<Reason> {
    let confidence: Confidence = policy.confidence;
    let is_report = matches!(measure, Measure::Reported | Measure::Judged);
    let enough = !is_report || rate.events >= policy.reports_min;
    (enough && rate.is_past(line, confidence)).then(|| Reason::Past {
        measure,
        rate,
        line,
        bound: rate.lower_bound(confidence),
    })
}

pub(super) fn pause_lines(policy: &QuotaPolicy) -> Vec<(Measure, Ppm)> {
    vec![
        (Measure::Invalid, policy.pause.invalid),
        (Measure::Reported, policy.pause.reported),
        (Measure::Judged, policy.pause.reported),
    ]
}

fn lower_lines(policy: &QuotaPolicy) -> Vec<(Measure, Ppm)> {
    vec![
        (Measure::Invalid, policy.lower.invalid),
        (Measure::Reported, policy.lower.reported),
        (Measure::Judged, policy.lower.reported),
        (Measure::NotArrived, policy.lower.arrival.rest()),
    ]
}
