//! R24: what has an allowance of its own: domains and sender addresses that a grown account added later, and
//! dedicated IP addresses at each mailbox provider.

use indicia_domain::quota::{
    policy::QuotaPolicy,
    review::Subject,
    warmup::{WarmupPolicy, WarmupType},
};
use indicia_store::{
    dedicated_ip::{DedicatedIp, Warmth, WarmupState},
    quota::{Outlook, WarmingRow},
};

use super::{standing::OutlookCard, trends::provider_name};
use crate::{
    ConsoleState,
    charts::{Ink, Segment, StackedBar},
    components::{Badge, Tone},
    error::ConsoleError,
    format::{Moment, mails, mails_noun},
    pages::mails::day_number,
    session::viewer::AccountView,
};

/// A domain or sender address with an allowance, or one whose allowance is over.
pub struct AllowanceRow {
    pub name: String,
    pub kind: &'static str,
    pub badge: Badge,
    pub level: String,
    pub today: String,
    pub bar: StackedBar,
    pub since: Moment,
    pub met_at: Option<Moment>,
    pub outlook: Option<OutlookCard>,
}

impl AllowanceRow {
    pub fn of(
        view: &AccountView,
        policy: &QuotaPolicy,
        row: &WarmingRow,
        outlook: Option<&Outlook>,
    ) -> AllowanceRow {
        let warming = &row.warming;
        let used = warming.used_on(day_number(view, view.now));
        let badge = match row.met_at {
            Some(_) => Badge::new(Tone::Good, "Has met the account's quota"),
            None if used >= warming.daily_mails => Badge::new(Tone::Warn, "Used up today"),
            None => Badge::new(Tone::Info, "Climbing"),
        };
        AllowanceRow {
            name: warming.name.clone(),
            kind: match warming.subject {
                Subject::Domain(_) => "Domain",
                Subject::Sender(_) => "Sender address",
                Subject::Account => "Account",
            },
            badge,
            level: format!("{} of {}", warming.level, policy.ladder.top()),
            today: format!("{} of {}", mails(used), mails(warming.daily_mails)),
            bar: used_bar(&format!("Allowance of {} today", warming.name), used, warming.daily_mails),
            since: view.zone.moment(row.created_at),
            met_at: row.met_at.map(|at| view.zone.moment(at)),
            outlook: outlook.map(OutlookCard::of),
        }
    }
}

fn used_bar(title: &str, used: i64, allowed: i64) -> StackedBar {
    let left = (allowed - used).max(0);
    StackedBar::bare(
        title,
        vec![Segment::new("Used", used, Ink::Used), Segment::new("Left", left, Ink::Gone)],
    )
}

/// A dedicated address.
pub struct AddressCard {
    pub address: String,
    pub badge: Badge,
    pub pool: String,
    pub managed: &'static str,
    pub ends_at: Moment,
    pub providers: Vec<WarmupRow>,
}

/// Where an address stands with one provider.
pub struct WarmupRow {
    pub provider: &'static str,
    pub badge: Badge,
    pub step: String,
    pub progress: StackedBar,
    pub today: String,
    pub results: String,
    pub reason: String,
}

/// Every dedicated address of an account, with its warm-up.
pub async fn addresses(state: &ConsoleState, view: &AccountView) -> Result<Vec<AddressCard>, ConsoleError> {
    let ips = state.store.dedicated_ips(view.id()).await?;
    if ips.is_empty() {
        return Ok(Vec::new());
    }
    let warmups = state.store.warmups(view.id()).await?;
    let policy = state.store.warmup_policy();
    Ok(ips.iter().map(|ip| address(view, &policy, ip, &warmups)).collect())
}

fn address(view: &AccountView, policy: &WarmupPolicy, ip: &DedicatedIp, all: &[WarmupState]) -> AddressCard {
    let badge = match (ip.is_running, ip.warmth) {
        (false, _) => Badge::new(Tone::Neutral, "Its term has ended"),
        (true, Warmth::Cold) => Badge::new(Tone::Neutral, "Not used yet"),
        (true, Warmth::Warming) => Badge::new(Tone::Info, "Warming up"),
        (true, Warmth::Warm) => Badge::new(Tone::Good, "Warm"),
    };
    AddressCard {
        address: ip.address.to_string(),
        badge,
        pool: ip.pool.as_ref().map_or_else(|| "in no pool".to_owned(), |pool| format!("pool {}", pool.name)),
        managed: match ip.warmup_type {
            WarmupType::System => "by the schedule",
            WarmupType::Manual => "by you: nothing is limited",
        },
        ends_at: view.zone.moment(ip.ends_at),
        providers: all
            .iter()
            .filter(|state| state.ip_id == ip.ip_id)
            .map(|state| warmup_row(policy, ip, state))
            .collect(),
    }
}

fn warmup_row(policy: &WarmupPolicy, ip: &DedicatedIp, state: &WarmupState) -> WarmupRow {
    let (days, step) = (policy.schedule.days(), state.warmup.step);
    let badge = match (state.warmup.finished, state.allowance) {
        (true, _) => Badge::new(Tone::Good, "Warm"),
        (false, Some(allowance)) if state.today.sent >= allowance => Badge::new(Tone::Warn, "Full today"),
        (false, _) => Badge::new(Tone::Info, "Warming up"),
    };
    let reached = if state.warmup.finished { days } else { (step - 1).clamp(0, days) };
    let provider = provider_name(state.provider);
    WarmupRow {
        provider,
        badge,
        step: if state.warmup.finished { "done".to_owned() } else { format!("day {step} of {days}") },
        progress: StackedBar::bare(
            format!("Warm-up of {} at {provider}", ip.address),
            vec![
                Segment::new("Days done", reached, Ink::Good),
                Segment::new("Days to come", days - reached, Ink::Gone),
            ],
        ),
        today: match state.allowance {
            Some(allowance) => format!("{} of {}", mails(state.today.sent), mails(allowance)),
            None => format!("{}, no limit", mails_noun(state.today.sent)),
        },
        results: format!(
            "{} delivered, {} put off, {} failed",
            mails(state.today.delivered),
            mails(state.today.deferred),
            mails(state.today.failed)
        ),
        reason: state.reason.clone(),
    }
}
