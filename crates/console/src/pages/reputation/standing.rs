//! The running week against the lines (R19 to R23): each measure with its picture, the seven days, the recipients,
//! and what the review would do if the week ended now.

use indicia_domain::quota::{
    evidence::{Evidence, Measure, Reason},
    policy::QuotaPolicy,
    rate::{Ppm, Rate},
    review::{Action, Decision, Dossier},
};
use indicia_store::quota::Outlook;

use crate::{
    charts::{Gauge, Mark, UseOfWeek, Zone as Beyond},
    components::{Badge, Tone},
    format::{self, Moment, mails, mails_noun},
    pause,
    session::viewer::AccountView,
};

/// A measure with its lines.
pub struct MeasureCard {
    pub name: &'static str,
    /// What is counted against what.
    pub meaning: String,
    pub figure: String,
    pub made_of: String,
    pub badge: Badge,
    pub bound: Option<String>,
    pub gauge: Gauge,
}

/// One reason of a decision.
pub struct ReasonLine {
    pub badge: Badge,
    pub text: String,
}

/// The week as far as it has come.
pub struct WeekCard {
    pub from: Moment,
    pub next_review: Moment,
    /// What of the week came before a release counts for nothing.
    pub is_fresh: bool,
    pub accepted: String,
    pub decided: String,
    pub deferred: String,
    pub recipients: String,
    pub recipients_badge: Badge,
    pub recipients_needed: String,
    pub full_text: String,
    pub full_badge: Badge,
    pub full_line: String,
    pub days: UseOfWeek,
    pub measures: Vec<MeasureCard>,
}

/// The outcome of the week if it ended now.
pub struct OutlookCard {
    pub tone: Tone,
    /// `If the week ended now: raised to 3,000 mails a day, because …`
    pub sentence: String,
    /// The same without its beginning, where that stands above already.
    pub brief: String,
    pub reasons: Vec<ReasonLine>,
}

impl OutlookCard {
    pub fn of(outlook: &Outlook) -> OutlookCard {
        let brief = brief(&outlook.dossier, &outlook.decision);
        OutlookCard {
            tone: tone_of(outlook.decision.action),
            sentence: format!("If the week ended now: {brief}"),
            brief,
            reasons: outlook.decision.reasons.iter().map(reason_line).collect(),
        }
    }
}

pub fn tone_of(action: Action) -> Tone {
    match action {
        Action::Raise | Action::Release => Tone::Good,
        Action::Keep => Tone::Info,
        Action::Lower => Tone::Warn,
        Action::Pause => Tone::Bad,
    }
}

/// R23: what the review would do, and why, in one sentence.
fn brief(dossier: &Dossier, decision: &Decision) -> String {
    let daily = mails_noun(decision.daily_mails);
    let what = match decision.action {
        Action::Raise => format!("raised to {daily} a day"),
        Action::Lower => format!("lowered to {daily} a day"),
        Action::Keep if dossier.paused.is_some() => "paused as before".to_owned(),
        Action::Keep => format!("kept at {daily} a day"),
        Action::Pause => format!("sending paused, and after it {daily} a day"),
        Action::Release => format!("sending released with {daily} a day"),
    };
    let reasons: Vec<String> = decisive(decision).into_iter().map(Reason::to_string).collect();
    match reasons.is_empty() {
        true => format!("{what}."),
        false => format!("{what}, because {}.", reasons.join("; ")),
    }
}

/// The reasons that made the decision; of a quota that is kept, those that keep it from more.
fn decisive(decision: &Decision) -> Vec<&Reason> {
    let stands_in_the_way =
        |reason: &&Reason| !matches!(reason, Reason::Good { .. } | Reason::WellUsed { .. });
    let all = decision.reasons.iter();
    match decision.action {
        Action::Keep => all.filter(stands_in_the_way).collect(),
        _ => all.collect(),
    }
}

/// A reason with how it weighs.
pub fn reason_line(reason: &Reason) -> ReasonLine {
    let (tone, word) = match reason {
        Reason::Good { .. } | Reason::WellUsed { .. } => (Tone::Good, "good"),
        Reason::Released => (Tone::Good, "released"),
        Reason::Past { .. } => (Tone::Bad, "past the line"),
        Reason::PausedByOperator | Reason::PausedLater | Reason::WaitsForOperator { .. } => {
            (Tone::Bad, "waits")
        }
        Reason::Unproven { .. } => (Tone::Warn, "may be chance"),
        Reason::Barred { .. } => (Tone::Warn, "not good enough"),
        Reason::TooFewRecipients { .. } => (Tone::Neutral, "too few"),
        Reason::LittleUsed { .. } => (Tone::Neutral, "little used"),
        Reason::AtCeiling { .. } => (Tone::Neutral, "ceiling"),
        Reason::AtTop | Reason::AtBottom => (Tone::Neutral, "end of the ladder"),
    };
    ReasonLine { badge: Badge::new(tone, word), text: reason.to_string() }
}

impl WeekCard {
    pub fn of(view: &AccountView, policy: &QuotaPolicy, outlook: &Outlook) -> WeekCard {
        let (dossier, evidence) = (&outlook.dossier, &outlook.dossier.evidence);
        let enough = evidence.recipients >= policy.recipients_min;
        let full_days = evidence.full_days(policy.raise.full_use);
        let has_use = full_days >= policy.raise.full_days;
        WeekCard {
            from: view.zone.moment(dossier.from),
            next_review: view.zone.moment(pause::next_review(&view.zone, view.now)),
            is_fresh: dossier.from > outlook.week.start,
            accepted: mails(evidence.counts.accepted),
            decided: mails(evidence.counts.decided()),
            deferred: mails(outlook.deferred),
            recipients: mails(evidence.recipients),
            recipients_badge: match enough {
                true => Badge::new(Tone::Good, "Enough to judge"),
                false => Badge::new(Tone::Neutral, "Too few to judge"),
            },
            recipients_needed: mails(policy.recipients_min),
            full_text: format!("{full_days} of 7"),
            full_badge: match has_use {
                true => Badge::new(Tone::Good, "Enough for more"),
                false => Badge::new(Tone::Neutral, format!("{} needed for more", policy.raise.full_days)),
            },
            full_line: policy.raise.full_use.to_string(),
            days: UseOfWeek { days: evidence.days.clone(), full_use: policy.raise.full_use },
            measures: measures(policy, evidence),
        }
    }
}

/// A measure's lines; `pause` is none for arrival.
struct Lines {
    raise: Ppm,
    lower: Ppm,
    pause: Option<Ppm>,
}

fn lines_of(policy: &QuotaPolicy, measure: Measure) -> Lines {
    let (raise, lower, pause) = (&policy.raise, &policy.lower, &policy.pause);
    match measure {
        Measure::Invalid => Lines { raise: raise.invalid, lower: lower.invalid, pause: Some(pause.invalid) },
        Measure::Reported | Measure::Judged => {
            Lines { raise: raise.reported, lower: lower.reported, pause: Some(pause.reported) }
        }
        Measure::NotArrived => {
            Lines { raise: raise.arrival.rest(), lower: lower.arrival.rest(), pause: None }
        }
    }
}

/// How a rate stands against the lines of its measure, as the review sees it (R21).
pub fn measure_badge(policy: &QuotaPolicy, measure: Measure, rate: Rate) -> Badge {
    let lines = lines_of(policy, measure);
    let is_report = matches!(measure, Measure::Reported | Measure::Judged);
    let proves = !is_report || rate.events >= policy.reports_min;
    let is_past = |line: Ppm| proves && rate.is_past(line, policy.confidence);
    // The line of raising belongs to the good side for arrival, and to the other for the rest.
    let raise = if measure == Measure::NotArrived { Ppm(lines.raise.0 + 1) } else { lines.raise };
    if rate.out_of == 0 {
        Badge::new(Tone::Neutral, "Nothing yet")
    } else if lines.pause.is_some_and(is_past) {
        Badge::new(Tone::Bad, "Pauses sending")
    } else if is_past(lines.lower) {
        Badge::new(Tone::Bad, "Lowers the quota")
    } else if proves && rate.reaches(lines.lower) {
        Badge::new(Tone::Warn, "Past the line, may be chance")
    } else if proves && rate.reaches(raise) {
        Badge::new(Tone::Warn, "Not good enough for more")
    } else {
        Badge::new(Tone::Good, "Good enough for more")
    }
}

fn measures(policy: &QuotaPolicy, evidence: &Evidence) -> Vec<MeasureCard> {
    [Measure::Invalid, Measure::Reported, Measure::Judged, Measure::NotArrived]
        .into_iter()
        .map(|measure| measure_card(policy, measure, evidence.rate(measure)))
        .collect()
}

/// What most measures are shares of.
const FATE_KNOWN: &str = "mails whose fate is known";

/// The providers that tell of every report of their users.
pub fn reporting_providers(policy: &QuotaPolicy) -> String {
    match policy.reporting.is_empty() {
        true => "none is set".to_owned(),
        false => policy.reporting.iter().map(|provider| provider.as_str()).collect::<Vec<_>>().join(", "),
    }
}

fn measure_card(policy: &QuotaPolicy, measure: Measure, rate: Rate) -> MeasureCard {
    let arrived = Rate::new(rate.out_of - rate.events, rate.out_of);
    let (name, meaning, shown) = match measure {
        Measure::Invalid => ("Invalid addresses", FATE_KNOWN.to_owned(), rate),
        Measure::Reported => {
            let meaning =
                format!("mails delivered to providers that report ({})", reporting_providers(policy));
            ("Spam reports", meaning, rate)
        }
        Measure::Judged => ("Called spam by providers", FATE_KNOWN.to_owned(), rate),
        Measure::NotArrived => ("Arrival", FATE_KNOWN.to_owned(), arrived),
    };
    let badge = measure_badge(policy, measure, rate);
    let bound = rate.lower_bound(policy.confidence);
    let figure = if rate.out_of == 0 { "none yet".to_owned() } else { format::share(shown.share()) };
    MeasureCard {
        name,
        meaning,
        made_of: format!("{} of {}", mails(shown.events), mails(shown.out_of)),
        bound: (bound.0 > 0).then(|| bound_words(policy, measure, bound)),
        gauge: Gauge {
            title: format!("{name} against the lines"),
            description: description(policy, measure, &figure, &badge),
            share: rate.share(),
            bound: Some(bound),
            tone: badge.tone,
            marks: marks(policy, measure),
        },
        figure,
        badge,
    }
}

/// What the share surely exceeds, or falls short of, beyond chance.
fn bound_words(policy: &QuotaPolicy, measure: Measure, bound: Ppm) -> String {
    let sure = policy.confidence.permille();
    let sure = Ppm(sure * 1_000);
    match measure {
        Measure::NotArrived => {
            format!("surely not over {} (with {sure} confidence)", format::share(bound.rest()))
        }
        Measure::Invalid | Measure::Reported | Measure::Judged => {
            format!("surely over {} (with {sure} confidence)", format::share(bound))
        }
    }
}

fn marks(policy: &QuotaPolicy, measure: Measure) -> Vec<Mark> {
    let lines = lines_of(policy, measure);
    let figure = |line: Ppm| match measure {
        Measure::NotArrived => line.rest().to_string(),
        Measure::Invalid | Measure::Reported | Measure::Judged => line.to_string(),
    };
    let mut marks = vec![
        Mark { at: lines.raise, zone: Beyond::Keep, figure: figure(lines.raise), words: "no raise" },
        Mark { at: lines.lower, zone: Beyond::Lower, figure: figure(lines.lower), words: "lowers" },
    ];
    if let Some(pause) = lines.pause {
        marks.push(Mark { at: pause, zone: Beyond::Pause, figure: figure(pause), words: "pauses" });
    }
    marks
}

fn description(policy: &QuotaPolicy, measure: Measure, figure: &str, badge: &Badge) -> String {
    let lines: Vec<String> = marks(policy, measure)
        .iter()
        .map(|mark| {
            let from = if measure == Measure::NotArrived { "below" } else { "from" };
            format!("{from} {} {}", mark.figure, mark.words)
        })
        .collect();
    format!("{figure}; {}. {}", lines.join(", "), badge.label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(measure: Measure, events: i64, out_of: i64) -> String {
        measure_badge(&QuotaPolicy::default(), measure, Rate::new(events, out_of)).label
    }

    #[test]
    fn r21_a_measure_says_what_the_review_would_make_of_it() {
        assert_eq!(label(Measure::Invalid, 0, 0), "Nothing yet");
        assert_eq!(label(Measure::Invalid, 19, 1_000), "Good enough for more");
        assert_eq!(label(Measure::Invalid, 20, 1_000), "Not good enough for more");
        assert_eq!(label(Measure::Invalid, 51, 1_000), "Past the line, may be chance");
        assert_eq!(label(Measure::Invalid, 80, 1_000), "Lowers the quota");
        assert_eq!(label(Measure::Invalid, 200, 1_000), "Pauses sending");
        assert_eq!(label(Measure::Reported, 2, 300), "Good enough for more", "two reports prove nothing");
        assert_eq!(label(Measure::Reported, 30, 3_000), "Pauses sending");
        assert_eq!(label(Measure::Judged, 30, 3_000), "Pauses sending");
        assert_eq!(label(Measure::NotArrived, 50, 1_000), "Good enough for more", "95 % arrived");
        assert_eq!(label(Measure::NotArrived, 51, 1_000), "Not good enough for more");
        assert_eq!(label(Measure::NotArrived, 900, 1_000), "Lowers the quota", "arrival alone never pauses");
    }

    #[test]
    fn r21_the_badge_agrees_with_the_review_for_every_rate() {
        let policy = QuotaPolicy::default();
        for out_of in [200, 1_000, 20_000] {
            for permille in 0..300 {
                let invalid = out_of * permille / 1_000;
                let mut evidence = Evidence { recipients: 200, ..Evidence::default() };
                (evidence.counts.invalid, evidence.counts.delivered) = (invalid, out_of - invalid);
                let standing = evidence.stand(&policy);
                let past = standing
                    .reasons
                    .iter()
                    .any(|reason| matches!(reason, Reason::Past { measure: Measure::Invalid, .. }));
                let badge = measure_badge(&policy, Measure::Invalid, evidence.rate(Measure::Invalid));
                assert_eq!(past, badge.tone == Tone::Bad, "{invalid} of {out_of}: {}", badge.label);
            }
        }
    }

    #[test]
    fn r23_the_sentence_of_a_kept_quota_names_what_stands_in_the_way_only() {
        let decision = Decision {
            action: Action::Keep,
            level: 2,
            daily_mails: 2_000,
            reasons: vec![
                Reason::Good { measure: Measure::Invalid, rate: Rate::new(1, 1_000), line: Ppm::percent(2) },
                Reason::LittleUsed { full_days: 1, needed: 3, full_use: Ppm::percent(80) },
            ],
        };
        let dossier = Dossier {
            subject: indicia_domain::quota::review::Subject::Account,
            week: 0,
            from: indicia_domain::time::UnixMicros(0),
            until: indicia_domain::time::UnixMicros(0),
            daily_mails: 2_000,
            level: 2,
            ceiling_level: None,
            paused: None,
            evidence: Evidence::default(),
        };
        assert_eq!(
            brief(&dossier, &decision),
            "kept at 2,000 mails a day, because 80 % or more of the quota was used on 1 of 7 days; 3 are \
             needed for more."
        );
    }
}
