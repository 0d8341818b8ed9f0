//! Decisions and what they rest on, as lines of text and as JSON.

use indicia_domain::quota::brake::{Readings, Trip};
use indicia_domain::quota::evidence::{Evidence, Measure, Reason};
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::review::{Decision, Dossier};
use indicia_domain::quota::words::{grouped, short};
use indicia_domain::time::civil_date;
use indicia_store::quota::Outlook;
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::output::Out;
use crate::cli::{Done, Failure};

/// What is kept is always JSON that can be made.
fn value(kept: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(kept).map_err(Failure::failed)
}

pub fn decision_json(dossier: &Dossier, decision: &Decision) -> Result<Value, Failure> {
    let reasons: Result<Vec<Value>, Failure> = decision.reasons.iter().map(reason_json).collect();
    Ok(json!({
        "week": civil_date(dossier.week).to_string(),
        "subject": dossier.subject.kind(),
        "subject_id": dossier.subject.id().to_string(),
        "from": dossier.from.to_string(),
        "until": dossier.until.to_string(),
        "action": decision.action.as_str(),
        "old_level": dossier.level,
        "new_level": decision.level,
        "old_daily_mails": dossier.daily_mails,
        "new_daily_mails": decision.daily_mails,
        "headline": decision.headline(dossier.daily_mails),
        "reasons": reasons?,
        "evidence": value(&dossier.evidence)?,
    }))
}

fn reason_json(reason: &Reason) -> Result<Value, Failure> {
    let mut kept = value(reason)?;
    kept["text"] = Value::from(reason.to_string());
    Ok(kept)
}

pub fn outlook_json(account_id: i64, outlook: &Outlook) -> Result<Value, Failure> {
    let mut shown = decision_json(&outlook.dossier, &outlook.decision)?;
    shown["account_id"] = Value::from(account_id.to_string());
    shown["week_ends_at"] = Value::from(outlook.week.end.to_string());
    Ok(shown)
}

pub fn brake_json(readings: &Readings, trip: Option<&Trip>) -> Result<Value, Failure> {
    Ok(
        json!({ "readings": value(readings)?, "trip": trip.map(value).transpose()?, "text": trip.map(Trip::to_string) }),
    )
}

/// The week against every line.
pub fn print_evidence(out: &mut Out, policy: &QuotaPolicy, evidence: &Evidence) -> Done {
    let counts = &evidence.counts;
    out.line(format_args!(
        "  accepted {}, delivered {}, invalid {}, refused as spam {}, failed {}; spam reports {}; put off {}",
        grouped(counts.accepted),
        grouped(counts.delivered),
        grouped(counts.invalid),
        grouped(counts.spam),
        grouped(counts.failed),
        grouped(counts.reported),
        grouped(counts.deferred)
    ))?;
    out.line(format_args!(
        "  unique recipients {}; fewer than {} move nobody",
        grouped(evidence.recipients),
        grouped(policy.recipients_min)
    ))?;
    let (raise, lower, pause) = (&policy.raise, &policy.lower, &policy.pause);
    out.line(format_args!(
        "  {:<31} {:<28} {:<15} {:<14} {:<14} {}",
        "", "so far", "surely above", "raised below", "lowered from", "paused from"
    ))?;
    for (measure, raised, lowered, paused) in [
        (Measure::Invalid, raise.invalid, lower.invalid, Some(pause.invalid)),
        (Measure::Reported, raise.reported, lower.reported, Some(pause.reported)),
        (Measure::Judged, raise.reported, lower.reported, Some(pause.reported)),
        (Measure::NotArrived, raise.arrival.rest(), lower.arrival.rest(), None),
    ] {
        let rate = evidence.rate(measure);
        let so_far =
            format!("{} ({} of {})", short(rate.share()), grouped(rate.events), grouped(rate.out_of));
        let bound = short(rate.lower_bound(policy.confidence));
        let paused = paused.map_or_else(|| "-".to_owned(), |line| line.to_string());
        out.line(format_args!(
            "  {:<31} {so_far:<28} {bound:<15} {:<14} {:<14} {paused}",
            measure.to_string(),
            raised.to_string(),
            lowered.to_string()
        ))?;
    }
    out.line(format_args!(
        "  days with {} or more of the quota used: {}; {} are needed for more",
        raise.full_use,
        evidence.full_days(raise.full_use),
        raise.full_days
    ))
}

/// What a review does, and a line for each reason.
pub fn print_decision(out: &mut Out, indent: &str, old_daily: i64, decision: &Decision) -> Done {
    out.line(format_args!("{indent}{}", decision.headline(old_daily)))?;
    decision.reasons.iter().try_for_each(|reason| out.line(format_args!("{indent}  - {reason}")))
}

/// What the brake sees.
pub fn print_readings(out: &mut Out, policy: &QuotaPolicy, readings: &Readings, trip: Option<&Trip>) -> Done {
    out.line(format_args!(
        "The brake pauses from {} of invalid addresses, or {} of spam reports or verdicts, on; what it sees:",
        policy.pause.invalid, policy.pause.reported
    ))?;
    out.line(format_args!("  unique recipients of yesterday and today: {}", grouped(readings.recipients)))?;
    for window in &readings.windows {
        let minutes = match window.minutes {
            minutes if minutes % 60 == 0 => format!("{} h", minutes / 60),
            minutes => format!("{minutes} min"),
        };
        let counts = &window.counts;
        out.line(format_args!(
            "  last {minutes:<7} known {:<9} invalid {:<7} delivered {:<9} of what was accepted then: reported {}, called spam {}",
            grouped(counts.decided()),
            grouped(counts.invalid),
            grouped(counts.delivered),
            grouped(window.blamed),
            grouped(window.accused)
        ))?;
    }
    match trip {
        Some(trip) => out.line(format_args!("  It would pause: {trip}")),
        None => out.line("  It would not pause."),
    }
}
