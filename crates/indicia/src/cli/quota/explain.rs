//! `indicia quota explain`: all about one account's quota on one page (R23).

use indicia_domain::quota::Allowance;
use indicia_domain::quota::brake::{Readings, Trip, brake};
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::quota::review::Subject;
use indicia_domain::quota::words::grouped;
use indicia_domain::time::{self, TimeZone, UnixMicros, civil_date, local_day, local_month};
use indicia_store::account::{Account, AccountNumbers};
use indicia_store::quota::{BrakeRecord, Outlook, QuotaEvent, Replayed, Standing, WarmingRow};
use serde_json::{Value, json};

use super::figures::{
    brake_json, decision_json, outlook_json, print_decision, print_evidence, print_readings,
};
use crate::cli::output::{Out, counted};
use crate::cli::{Done, Failure, Opened, named_account, print_json};

/// All that is shown, read once.
struct Shown {
    account: Account,
    zone: TimeZone,
    used_today: i64,
    used_this_month: i64,
    standing: Standing,
    outlook: Outlook,
    readings: Readings,
    trip: Option<Trip>,
    warming: Vec<(WarmingRow, Option<Outlook>)>,
    reviews: Vec<Replayed>,
    pauses: Vec<Pause>,
    events: Vec<QuotaEvent>,
}

/// A pause by the brake, and whether its record gives it again.
struct Pause {
    at: UnixMicros,
    record: BrakeRecord,
    is_same: bool,
}

pub async fn run(opened: &Opened, account_id: i64, reviews: i64, as_json: bool) -> Done {
    let shown = load(opened, account_id, reviews).await?;
    let policy = opened.store.quota_policy();
    if as_json {
        print_json(&json_of(&policy, &shown)?)?;
    } else {
        let mut out = Out::open();
        print_standing(&mut out, &policy, &shown)?;
        print_week(&mut out, &policy, &shown)?;
        print_history(&mut out, &shown)?;
        out.close()?;
    }
    let differ = shown.reviews.iter().filter(|replayed| !replayed.is_same()).count()
        + shown.pauses.iter().filter(|pause| !pause.is_same).count();
    match differ {
        0 => Ok(()),
        differ => Err(Failure::failed(format!(
            "{} of the past did not give the same again (R23): the record is damaged, or its policy is gone",
            counted(differ as i64, "decision")
        ))),
    }
}

async fn load(opened: &Opened, account_id: i64, limit: i64) -> Result<Shown, Failure> {
    let store = &opened.store;
    let account = named_account(opened, account_id).await?;
    let gone = || Failure::failed(format!("account {account_id} was deleted meanwhile"));
    let numbers = store.account_numbers(account_id).await?.ok_or_else(gone)?;
    let zone = time::zone(&account.zone).map_err(Failure::failed)?;
    let (readings, trip) = store.brake_readings(account_id).await?.ok_or_else(gone)?;
    let mut warming = Vec::new();
    for row in store.warming(account_id).await? {
        let outlook = store.outlook_of(account_id, row.warming.subject).await?;
        warming.push((row, outlook));
    }
    let mut pauses = Vec::new();
    for (at, record) in store.brake_records(account_id, limit).await? {
        let policy = store.quota_policy_of(&record.policy).await?;
        let again = policy.and_then(|policy| brake(&policy, &record.readings));
        let is_same = again.as_ref() == Some(&record.trip);
        pauses.push(Pause { at, record, is_same });
    }
    let (used_today, used_this_month) = used(&numbers, &zone, store.now());
    Ok(Shown {
        used_today,
        used_this_month,
        standing: store.quota_standing(account_id).await?.ok_or_else(gone)?,
        outlook: store.quota_outlook(account_id).await?.ok_or_else(gone)?,
        reviews: store.replay_reviews(account_id, limit).await?,
        events: store.quota_events(account_id, limit).await?,
        account,
        zone,
        readings,
        trip,
        warming,
        pauses,
    })
}

fn used(numbers: &AccountNumbers, zone: &TimeZone, now: UnixMicros) -> (i64, i64) {
    let allowance = Allowance {
        daily_mails: numbers.daily_quota,
        day: numbers.quota_day,
        day_used: numbers.quota_day_used,
        month: numbers.quota_month,
        month_used: numbers.quota_month_used,
    };
    (allowance.used_on(local_day(zone, now).number), allowance.used_in(local_month(zone, now).0))
}

fn local(zone: &TimeZone, at: UnixMicros) -> String {
    at.civil(zone).strftime("%Y-%m-%d %H:%M").to_string()
}

fn monthly(standing: &Standing) -> i64 {
    standing.daily_mails.saturating_mul(indicia_domain::quota::MONTH_DAYS)
}

fn print_standing(out: &mut Out, policy: &QuotaPolicy, shown: &Shown) -> Done {
    let Shown { account, standing, zone, .. } = shown;
    out.line(format_args!("account       {}  {} ({})", account.account_id, account.name, account.zone))?;
    let ceiling = standing.ceiling_level.map_or_else(
        || "no ceiling".to_owned(),
        |level| format!("ceiling: level {level}, {} a day", grouped(policy.ladder.daily(level))),
    );
    out.line(format_args!(
        "quota         {} mails a day, level {} of {}; {ceiling}",
        grouped(standing.daily_mails),
        standing.level,
        policy.ladder.top()
    ))?;
    let steps = policy.ladder.0.iter().zip(0..).map(|(step, level)| match level == standing.level {
        true => format!("[{}]", grouped(*step)),
        false => grouped(*step),
    });
    out.line(format_args!("ladder        {}", steps.collect::<Vec<_>>().join("  ")))?;
    out.line(format_args!(
        "used          today {} of {}, this month {} of {}",
        grouped(shown.used_today),
        grouped(standing.daily_mails),
        grouped(shown.used_this_month),
        grouped(monthly(standing))
    ))?;
    out.line(format_args!("policy        {}", policy.version))?;
    if let Some(at) = standing.paused_at {
        let by = standing.paused_by.map_or("somebody", |by| by.as_str());
        out.line(format_args!(
            "PAUSED        since {} by the {by}: {}",
            local(zone, at),
            standing.pause_reason
        ))?;
    }
    if standing.evidence_from > shown.outlook.week.start {
        out.line(format_args!(
            "evidence      since {}, after a release",
            local(zone, standing.evidence_from)
        ))?;
    }
    for (row, outlook) in &shown.warming {
        print_warming(out, zone, row, outlook.as_ref())?;
    }
    Ok(())
}

/// R24.
fn print_warming(out: &mut Out, zone: &TimeZone, row: &WarmingRow, outlook: Option<&Outlook>) -> Done {
    let warming = &row.warming;
    let what = match warming.subject {
        Subject::Sender(_) => "sender address",
        Subject::Domain(_) | Subject::Account => "domain",
    };
    if let Some(at) = row.met_at {
        return out.line(format_args!(
            "warmed up     the {what} {}, with the account's quota since {}",
            warming.name,
            local(zone, at)
        ));
    }
    out.line(format_args!(
        "warming up    the {what} {}: {} mails a day of its own, level {}",
        warming.name,
        grouped(warming.daily_mails),
        warming.level
    ))?;
    match outlook {
        Some(outlook) => print_decision(out, "              ", warming.daily_mails, &outlook.decision),
        None => Ok(()),
    }
}

fn print_week(out: &mut Out, policy: &QuotaPolicy, shown: &Shown) -> Done {
    let Shown { outlook, zone, .. } = shown;
    out.line("")?;
    out.line(format_args!(
        "The week of {}, reviewed after {} ({}):",
        civil_date(outlook.week.number),
        local(zone, outlook.week.end),
        shown.account.zone
    ))?;
    print_evidence(out, policy, &outlook.dossier.evidence)?;
    out.line("If the week ended now:")?;
    print_decision(out, "  ", outlook.dossier.daily_mails, &outlook.decision)?;
    out.line("")?;
    print_readings(out, policy, &shown.readings, shown.trip.as_ref())
}

fn print_history(out: &mut Out, shown: &Shown) -> Done {
    out.line("")?;
    out.line(format_args!("Past reviews ({}):", shown.reviews.len()))?;
    for replayed in &shown.reviews {
        let past = &replayed.review;
        out.line(format_args!(
            "  week of {}, {} under policy {}: {}",
            civil_date(past.week),
            subject_text(past.subject),
            past.policy,
            again_text(replayed)
        ))?;
        print_decision(out, "    ", past.old_daily, &past.decision)?;
    }
    for pause in &shown.pauses {
        out.line(format_args!(
            "  brake, {} under policy {}: {}",
            local(&shown.zone, pause.at),
            pause.record.policy,
            if pause.is_same { "run again, the same" } else { "run again, NOT the same" }
        ))?;
        out.line(format_args!("    Paused {}", pause.record.trip))?;
    }
    out.line(format_args!("Changes ({}):", shown.events.len()))?;
    for event in &shown.events {
        out.line(format_args!(
            "  {}  {:<14} {:<12} {} to {} mails a day, by {}: {}",
            local(&shown.zone, event.at),
            event.kind,
            subject_text(event.subject),
            grouped(event.old_daily),
            grouped(event.new_daily),
            event.actor,
            event.reason
        ))?;
    }
    Ok(())
}

fn subject_text(subject: Subject) -> String {
    match subject {
        Subject::Account => "account".to_owned(),
        Subject::Domain(id) => format!("domain {id}"),
        Subject::Sender(id) => format!("sender {id}"),
    }
}

fn again_text(replayed: &Replayed) -> &'static str {
    match (&replayed.again, replayed.is_same()) {
        (_, true) => "run again, the same",
        (Some(_), false) => "run again, NOT the same",
        (None, false) => "its policy is not there any more",
    }
}

fn json_of(policy: &QuotaPolicy, shown: &Shown) -> Result<Value, Failure> {
    let Shown { account, standing, .. } = shown;
    let paused = standing.paused_at.map(|at| {
        json!({
            "since": at.to_string(),
            "by": standing.paused_by.map(indicia_store::quota::PausedBy::as_str),
            "reason": standing.pause_reason,
        })
    });
    Ok(json!({
        "account_id": account.account_id.to_string(),
        "zone": account.zone,
        "level": standing.level,
        "level_max": policy.ladder.top(),
        "ladder": policy.ladder,
        "daily_mails": standing.daily_mails,
        "monthly_mails": monthly(standing),
        "used_today": shown.used_today,
        "used_this_month": shown.used_this_month,
        "ceiling_level": standing.ceiling_level,
        "paused": paused,
        "evidence_from": (standing.evidence_from.0 > 0).then(|| standing.evidence_from.to_string()),
        "policy": policy.version,
        "outlook": outlook_json(account.account_id, &shown.outlook)?,
        "brake": brake_json(&shown.readings, shown.trip.as_ref())?,
        "warming": warming_json(shown)?,
        "reviews": reviews_json(shown)?,
        "brake_pauses": pauses_json(shown)?,
        "changes": changes_json(shown),
    }))
}

fn warming_json(shown: &Shown) -> Result<Vec<Value>, Failure> {
    let one = |(row, outlook): &(WarmingRow, Option<Outlook>)| {
        let warming = &row.warming;
        let outlook = outlook.as_ref().map(|outlook| decision_json(&outlook.dossier, &outlook.decision));
        Ok(json!({
            "subject": warming.subject.kind(),
            "subject_id": warming.subject.id().to_string(),
            "name": warming.name,
            "level": warming.level,
            "daily_mails": warming.daily_mails,
            "met_at": row.met_at.map(|at| at.to_string()),
            "outlook": outlook.transpose()?,
        }))
    };
    shown.warming.iter().map(one).collect()
}

fn reviews_json(shown: &Shown) -> Result<Vec<Value>, Failure> {
    let one = |replayed: &Replayed| {
        let past = &replayed.review;
        let mut kept = decision_json(&past.dossier, &past.decision)?;
        kept["reviewed_at"] = Value::from(past.reviewed_at.to_string());
        kept["policy"] = Value::from(past.policy.clone());
        kept["replays"] = Value::from(replayed.is_same());
        Ok(kept)
    };
    shown.reviews.iter().map(one).collect()
}

fn pauses_json(shown: &Shown) -> Result<Vec<Value>, Failure> {
    let one = |pause: &Pause| {
        let mut kept = brake_json(&pause.record.readings, Some(&pause.record.trip))?;
        kept["at"] = Value::from(pause.at.to_string());
        kept["policy"] = Value::from(pause.record.policy.clone());
        kept["replays"] = Value::from(pause.is_same);
        Ok(kept)
    };
    shown.pauses.iter().map(one).collect()
}

fn changes_json(shown: &Shown) -> Vec<Value> {
    let one = |event: &QuotaEvent| {
        json!({
            "at": event.at.to_string(), "kind": event.kind, "subject": event.subject.kind(),
            "subject_id": event.subject.id().to_string(), "old_daily_mails": event.old_daily,
            "new_daily_mails": event.new_daily, "old_level": event.old_level, "new_level": event.new_level,
            "reason": event.reason, "actor": event.actor,
        })
    };
    shown.events.iter().map(one).collect()
}
