//! R19, R20, R23: the weekly decision.
//!
//! [`review`] is a pure function of a policy and a [`Dossier`]; both are kept, so that any review can be run again
//! and gives the same result. It reads nothing else: no clock, no money, no other account.

use serde::{Deserialize, Serialize};

use super::evidence::{Evidence, Grade, Reason};
use super::policy::QuotaPolicy;
use crate::time::UnixMicros;

/// Whose quota it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "subject", content = "id")]
pub enum Subject {
    Account,
    /// R24: a domain that a grown account added later.
    Domain(i64),
    /// R24: a sender address that a grown account added later.
    Sender(i64),
}

impl Subject {
    /// As the database and the API name it.
    pub fn kind(self) -> &'static str {
        match self {
            Subject::Account => "account",
            Subject::Domain(_) => "domain",
            Subject::Sender(_) => "sender",
        }
    }

    /// 0 for the account itself.
    pub fn id(self) -> i64 {
        match self {
            Subject::Account => 0,
            Subject::Domain(id) | Subject::Sender(id) => id,
        }
    }

    pub fn read(kind: &str, id: i64) -> Option<Subject> {
        match kind {
            "account" => Some(Subject::Account),
            "domain" => Some(Subject::Domain(id)),
            "sender" => Some(Subject::Sender(id)),
            _ => None,
        }
    }
}

/// A pause that is in force when the week is reviewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    pub since: UnixMicros,
    /// Pauses of this account by reviews and the brake within the policy's weeks, this one included.
    pub lately: i64,
    /// An operator made it; only an operator ends it.
    pub by_operator: bool,
}

impl Paused {
    /// R22: why the next review does not release it; `None`: it does.
    pub fn held_by(&self, policy: &QuotaPolicy) -> Option<Reason> {
        let (pauses, weeks) = (self.lately, policy.pauses_weeks);
        let too_often = policy.pauses_before_operator > 0 && pauses >= policy.pauses_before_operator;
        match (self.by_operator, too_often) {
            (true, _) => Some(Reason::PausedByOperator),
            (false, true) => Some(Reason::WaitsForOperator { pauses, weeks }),
            (false, false) => None,
        }
    }
}

/// All that a review looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dossier {
    pub subject: Subject,
    /// The local day number of the week's Monday.
    pub week: i64,
    /// The stretch of time that was looked at, `[from, until)`: the week, or what of it came after a release.
    pub from: UnixMicros,
    pub until: UnixMicros,
    /// Mails a day that were in force when the review ran.
    pub daily_mails: i64,
    pub level: i64,
    /// R20: the user's own.
    pub ceiling_level: Option<i64>,
    /// Only accounts are paused.
    pub paused: Option<Paused>,
    pub evidence: Evidence,
}

/// What a review does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Raise,
    Lower,
    Keep,
    Pause,
    /// Ends a pause.
    Release,
}

impl Action {
    pub const ALL: [Action; 5] = [Action::Raise, Action::Lower, Action::Keep, Action::Pause, Action::Release];

    /// As the database and the API name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Raise => "raise",
            Action::Lower => "lower",
            Action::Keep => "keep",
            Action::Pause => "pause",
            Action::Release => "release",
        }
    }

    pub fn parse(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// A review's outcome: the quota from now on, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub action: Action,
    pub level: i64,
    pub daily_mails: i64,
    pub reasons: Vec<Reason>,
}

/// R19 to R21: decides over a week.
pub fn review(policy: &QuotaPolicy, dossier: &Dossier) -> Decision {
    let unchanged = |action, reasons| Decision {
        action,
        level: dossier.level,
        daily_mails: dossier.daily_mails,
        reasons,
    };
    if let Some(paused) = dossier.paused {
        // The week before may be reviewed when the next has begun already: its review ends no pause of the next.
        let began_later = paused.since >= dossier.until;
        return match paused.held_by(policy) {
            Some(reason) => unchanged(Action::Keep, vec![reason]),
            None if began_later => unchanged(Action::Keep, vec![Reason::PausedLater]),
            None => unchanged(Action::Release, vec![Reason::Released]),
        };
    }
    let standing = dossier.evidence.stand(policy);
    let mut reasons = standing.reasons;
    let moved = |action, level: i64, reasons| Decision {
        action,
        level,
        daily_mails: policy.ladder.daily(level),
        reasons,
    };
    match (standing.grade, dossier.subject) {
        (Grade::Pause, Subject::Account) => {
            let (level, daily_mails) = policy.after_pause(dossier.daily_mails);
            Decision { action: Action::Pause, level, daily_mails, reasons }
        }
        // A domain or sender address goes down to the bottom: the account's other mail is not to blame.
        (Grade::Pause, Subject::Domain(_) | Subject::Sender(_)) => {
            match policy.ladder.below(dossier.daily_mails) {
                Some(_) => moved(Action::Lower, 0, reasons),
                None => {
                    reasons.push(Reason::AtBottom);
                    unchanged(Action::Keep, reasons)
                }
            }
        }
        (Grade::Lower, _) => match policy.ladder.below(dossier.daily_mails) {
            Some(level) => moved(Action::Lower, level, reasons),
            None => {
                reasons.push(Reason::AtBottom);
                unchanged(Action::Keep, reasons)
            }
        },
        (Grade::Keep, _) => unchanged(Action::Keep, reasons),
        (Grade::Raise, _) => match policy.ladder.above(dossier.daily_mails) {
            None => {
                reasons.push(Reason::AtTop);
                unchanged(Action::Keep, reasons)
            }
            Some(level) if dossier.ceiling_level.is_some_and(|ceiling| level > ceiling) => {
                reasons.push(Reason::AtCeiling { level: dossier.ceiling_level.unwrap_or(level) });
                unchanged(Action::Keep, reasons)
            }
            Some(level) => moved(Action::Raise, level, reasons),
        },
    }
}
