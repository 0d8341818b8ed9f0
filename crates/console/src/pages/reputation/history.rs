//! Past reviews with their records (R19, R23), and every change of the quota with who made it.

use indicia_domain::{
    quota::{
        evidence::Measure,
        rate::Rate,
        review::{Action, Subject},
        week::WEEK_DAYS,
    },
    time::civil_date,
};
use indicia_store::quota::{QuotaEvent, Replayed, Review, WarmingRow};

use super::standing::{ReasonLine, reason_line, tone_of};
use crate::{
    components::{Badge, Tone},
    format::{self, Moment, mails},
    pages::Fact,
    session::viewer::AccountView,
};

/// A past review.
pub struct ReviewRow {
    /// First and last day of the week.
    pub week: String,
    /// Whose it is, where it is not the account's own.
    pub subject: Option<String>,
    pub at: Moment,
    pub badge: Badge,
    pub from: String,
    pub to: String,
    pub levels: String,
    pub reasons: Vec<ReasonLine>,
    pub policy: String,
    pub replay: Badge,
    pub facts: Vec<Fact>,
}

/// A change of the quota.
pub struct EventRow {
    pub at: Moment,
    pub badge: Badge,
    pub subject: Option<String>,
    pub who: String,
    pub from: String,
    pub to: String,
    pub reason: String,
}

/// The name of what is not the account itself.
fn subject_name(subject: Subject, warming: &[WarmingRow]) -> Option<String> {
    let name = |what: &str, id: i64| {
        let row = warming.iter().find(|row| row.warming.subject == subject);
        row.map_or_else(|| format!("{what} {id}"), |row| row.warming.name.clone())
    };
    match subject {
        Subject::Account => None,
        Subject::Domain(id) => Some(name("domain", id)),
        Subject::Sender(id) => Some(name("sender address", id)),
    }
}

impl ReviewRow {
    pub fn of(view: &AccountView, replayed: &Replayed, warming: &[WarmingRow]) -> ReviewRow {
        let review = &replayed.review;
        let levels = (review.old_level, review.new_level);
        ReviewRow {
            week: format!("{} to {}", civil_date(review.week), civil_date(review.week + WEEK_DAYS - 1)),
            subject: subject_name(review.subject, warming),
            at: view.zone.moment(review.reviewed_at),
            badge: Badge::new(tone_of(review.decision.action), done(review.decision.action)),
            from: mails(review.old_daily),
            to: mails(review.new_daily),
            levels: match levels.0 == levels.1 {
                true => format!("level {}", levels.1),
                false => format!("level {} to {}", levels.0, levels.1),
            },
            reasons: review.decision.reasons.iter().map(reason_line).collect(),
            policy: review.policy.clone(),
            replay: replay_badge(replayed),
            facts: facts(view, review),
        }
    }
}

fn done(action: Action) -> &'static str {
    match action {
        Action::Raise => "Raised",
        Action::Lower => "Lowered",
        Action::Keep => "Kept",
        Action::Pause => "Paused",
        Action::Release => "Released",
    }
}

/// R23: whether the kept record gives the same result again.
fn replay_badge(replayed: &Replayed) -> Badge {
    match (&replayed.again, replayed.is_same()) {
        (_, true) => Badge::new(Tone::Good, "This review replays to the same result"),
        (Some(_), false) => Badge::new(Tone::Bad, "This review replays to another result"),
        (None, false) => Badge::new(Tone::Warn, "The policy of this review is not there any more"),
    }
}

/// The record that was decided on.
fn facts(view: &AccountView, review: &Review) -> Vec<Fact> {
    let (dossier, evidence) = (&review.dossier, &review.dossier.evidence);
    let not_arrived = evidence.rate(Measure::NotArrived);
    let arrived = Rate::new(not_arrived.out_of - not_arrived.events, not_arrived.out_of);
    let mut facts = vec![
        Fact::text("Looked at from", view.zone.moment(dossier.from).local),
        Fact::text("until", view.zone.moment(dossier.until).local),
        Fact::text("Accepted", format::mails_noun(evidence.counts.accepted)),
        Fact::text("Unique recipients", mails(evidence.recipients)),
        Fact::text("Invalid addresses", format::share_of(evidence.rate(Measure::Invalid))),
        Fact::text("Spam reports", format::share_of(evidence.rate(Measure::Reported))),
        Fact::text("Called spam by providers", format::share_of(evidence.rate(Measure::Judged))),
        Fact::text("Arrival", format::share_of(arrived)),
        Fact::text("Put off at least once", mails(evidence.counts.deferred)),
    ];
    let days: Vec<String> =
        evidence.days.iter().map(|day| format!("{} of {}", mails(day.used), mails(day.quota))).collect();
    facts.push(Fact::text("Used by day", if days.is_empty() { "none".to_owned() } else { days.join(", ") }));
    if let Some(level) = dossier.ceiling_level {
        facts.push(Fact::text("Own ceiling", format!("level {level}")));
    }
    facts
}

impl EventRow {
    pub fn of(view: &AccountView, event: &QuotaEvent, warming: &[WarmingRow]) -> EventRow {
        EventRow {
            at: view.zone.moment(event.at),
            badge: event_badge(event),
            subject: subject_name(event.subject, warming),
            who: who(event),
            from: mails(event.old_daily),
            to: mails(event.new_daily),
            reason: format::grouped_mails(&event.reason),
        }
    }
}

fn event_badge(event: &QuotaEvent) -> Badge {
    let (tone, word) = match event.kind.as_str() {
        "operator" => (Tone::Info, "Set by hand"),
        "pause" | "operator-pause" => (Tone::Bad, "Paused"),
        "release" => (Tone::Good, "Released"),
        "ceiling" => (Tone::Neutral, "Ceiling"),
        "met" => (Tone::Good, "Allowance over"),
        "review" if event.new_daily > event.old_daily => (Tone::Good, "Raised"),
        "review" if event.new_daily < event.old_daily => (Tone::Warn, "Lowered"),
        other => (Tone::Neutral, other),
    };
    Badge::new(tone, word)
}

/// Who changed it. The operators' names are not for the account's owner to know.
pub fn who(event: &QuotaEvent) -> String {
    if matches!(event.kind.as_str(), "operator" | "operator-pause") {
        return "an operator".to_owned();
    }
    match event.actor.split_once(' ') {
        Some(("system", "review")) => "the weekly review".to_owned(),
        Some(("system", "brake")) => "the brake".to_owned(),
        Some(("system", _)) => "the service".to_owned(),
        Some(("account", name)) => name.to_owned(),
        Some(("api-key", key)) => format!("access key {key}"),
        Some(_) => "an operator".to_owned(),
        // Rows of before the actor was kept.
        None => "the weekly review".to_owned(),
    }
}
