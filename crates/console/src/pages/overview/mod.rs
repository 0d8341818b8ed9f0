//! The overview: what may be sent today, what pays for it, what became of the last days' mail, and what needs
//! attention.

use askama::Template;
use axum::{extract::State, response::Response};
use indicia_domain::{
    account::AccountStatus,
    ledger::free_credit::FreeCredit,
    quota::Allowance,
    time::{civil_date, local_day, local_month},
};
use indicia_store::{
    account::AccountNumbers,
    evidence::{DayOutcome, OutcomeFilter},
    message::LogQuery,
    package::{PackageFilter, PackageRow},
    quota::QuotaEvent,
};

use super::{
    left::Left,
    mails::{MailRow, day_number, no_mail_yet},
    reputation::who,
    status::Parts,
};
use crate::{
    ConsoleState,
    charts::{Column, Columns, Donut, Ink, Segment, StackedBar},
    components::{Empty, Note},
    error::{ConsoleError, page},
    format::{self, Moment},
    session::viewer::AccountView,
    shell::{DIRECTMAIL, Place, REPUTATION, Shell},
};

mod attention;

/// Days in the picture.
const DAYS: i64 = 14;
const LATEST_MAILS: i64 = 8;
const QUOTA_CHANGES_MAX: i64 = 5;
/// Packages named in the order of payers.
const PAYERS_MAX: usize = 4;

struct QuotaCard {
    ring: Donut,
    /// R22: nothing may be sent, whatever is left.
    is_paused: bool,
    left: String,
    used: String,
    daily: String,
    resets_at: Moment,
    month_used: String,
    monthly: String,
}

/// A change of the quota, as an operator or a review made it (R23).
struct QuotaChange {
    at: Moment,
    who: String,
    from: String,
    to: String,
    reason: String,
}

struct FreeCard {
    left: String,
    total: String,
    bar: StackedBar,
    today_left: String,
    daily: String,
}

struct PackagesCard {
    left: String,
    later: Option<String>,
    bar: StackedBar,
    count_text: String,
    next_end: Option<Moment>,
    href: String,
}

struct Payer {
    /// It cannot pay now.
    is_idle: bool,
    name: String,
    href: Option<String>,
    text: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    attention: Vec<Note>,
    quota: QuotaCard,
    free: FreeCard,
    packages: PackagesCard,
    days: Columns,
    days_count: i64,
    payers: Vec<Payer>,
    mails_href: String,
    rows: Vec<MailRow>,
    empty: Option<Empty>,
    quota_changes: Vec<QuotaChange>,
    reputation_href: String,
}

/// What the overview is made from.
struct Facts {
    numbers: AccountNumbers,
    packages: Vec<PackageRow>,
    quota_left: i64,
    quota_used: i64,
    free_today: i64,
    has_verified_domain: bool,
    has_sender: bool,
}

impl Facts {
    async fn load(state: &ConsoleState, view: &AccountView) -> Result<Self, ConsoleError> {
        let missing = ConsoleError::NotFound { what: "account" };
        let numbers = state.store.account_numbers(view.id()).await?.ok_or(missing)?;
        let packages = state.store.packages(view.id(), &PackageFilter::default()).await?;
        let day = day_number(view, view.now);
        let quota_used = allowance(&numbers).used_on(day);
        let free = FreeCredit {
            total_left: numbers.free_left,
            day: numbers.free_day,
            day_used: numbers.free_day_used,
        };
        let domains = state.store.domains(view.id()).await?;
        let senders = state.store.senders(view.id()).await?;
        Ok(Self {
            quota_left: (numbers.daily_quota - quota_used).max(0),
            quota_used,
            free_today: free.available(day, state.policy.free_daily_mails),
            has_verified_domain: domains.iter().any(|domain| domain.verified),
            has_sender: !senders.is_empty(),
            numbers,
            packages,
        })
    }

    /// Packages that can pay now, in the order in which they do (R05).
    fn paying<'a>(&'a self, view: &AccountView) -> Vec<&'a PackageRow> {
        let mut paying: Vec<&PackageRow> = self
            .packages
            .iter()
            .filter(|row| row.package.is_valid_at(view.now) && row.package.remaining > 0)
            .collect();
        paying.sort_by(|a, b| a.package.paying_order().cmp(&b.package.paying_order()));
        paying
    }
}

fn allowance(numbers: &AccountNumbers) -> Allowance {
    Allowance {
        daily_mails: numbers.daily_quota,
        day: numbers.quota_day,
        day_used: numbers.quota_day_used,
        month: numbers.quota_month,
        month_used: numbers.quota_month_used,
    }
}

/// `GET /accounts/{account_id}`
pub async fn show(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let facts = Facts::load(&state, &view).await?;
    let latest = state.store.mail_log(&LogQuery::all(view.id(), LATEST_MAILS)).await?;
    let today = day_number(&view, view.now);
    let usage = state
        .store
        .outcomes_by_day(view.id(), today - DAYS + 1, today + 1, &OutcomeFilter::default())
        .await?;
    let changes = state.store.quota_events(view.id(), QUOTA_CHANGES_MAX).await?;
    page(&OverviewPage {
        shell: view.shell(&state, Place::Overview, "Overview"),
        attention: attention::notes(&state, &view, &facts),
        quota: quota_card(&view, &facts),
        free: free_card(&state, &facts),
        packages: packages_card(&view, &facts),
        days: days(&usage, today),
        days_count: DAYS,
        payers: payers(&state, &view, &facts),
        mails_href: view.href("/mails"),
        empty: latest.is_empty().then(|| no_mail_yet(&view)),
        rows: latest.iter().map(|row| MailRow::of(&view, row)).collect(),
        reputation_href: view.href(REPUTATION),
        quota_changes: changes.iter().map(|change| quota_change(&view, change)).collect(),
    })
}

fn quota_change(view: &AccountView, change: &QuotaEvent) -> QuotaChange {
    QuotaChange {
        at: view.zone.moment(change.at),
        who: who(change),
        from: format::mails(change.old_daily),
        to: format::mails(change.new_daily),
        reason: change.reason.clone(),
    }
}

fn quota_card(view: &AccountView, facts: &Facts) -> QuotaCard {
    let zone = view.zone.time_zone();
    let allowance = allowance(&facts.numbers);
    let month_used = allowance.used_in(local_month(zone, view.now).0);
    QuotaCard {
        is_paused: facts.numbers.status.has(AccountStatus::RESTRICTED),
        ring: Donut {
            title: "Daily quota".into(),
            used: facts.quota_used,
            whole: facts.numbers.daily_quota,
            caption: "used".into(),
        },
        left: format::mails(facts.quota_left),
        used: format::mails(facts.quota_used),
        daily: format::mails(facts.numbers.daily_quota),
        resets_at: view.zone.moment(local_day(zone, view.now).end),
        month_used: format::mails(month_used),
        monthly: format::mails(allowance.monthly_mails()),
    }
}

fn free_card(state: &ConsoleState, facts: &Facts) -> FreeCard {
    let total = state.policy.free_total_mails;
    let left = facts.numbers.free_left;
    FreeCard {
        left: format::mails(left),
        total: format::mails(total),
        bar: StackedBar::bare(
            "Free credit",
            vec![
                Segment::new("Left", left, Ink::Good),
                Segment::new("Used", (total - left).max(0), Ink::Used),
            ],
        ),
        today_left: format::mails(facts.free_today),
        daily: format::mails(state.policy.free_daily_mails),
    }
}

fn packages_card(view: &AccountView, facts: &Facts) -> PackagesCard {
    let live =
        facts.packages.iter().filter(|row| row.package.closed.is_none() && view.now < row.package.ends_at);
    let parts = live.fold(Parts::default(), |sum, row| sum.plus(Parts::of(&row.package, view.now)));
    let left = Left::of(facts.packages.iter().map(|row| &row.package), view.now);
    let paying = facts.paying(view);
    PackagesCard {
        left: left.now(),
        later: left.later(),
        bar: StackedBar::bare("Packages that have not ended", parts.segments()),
        count_text: left.where_now(),
        next_end: paying.first().map(|row| view.zone.moment(row.package.ends_at)),
        href: view.href(DIRECTMAIL),
    }
}

/// R04, R05: the sources in the order in which they pay.
fn payers(state: &ConsoleState, view: &AccountView, facts: &Facts) -> Vec<Payer> {
    let mut payers = vec![Payer {
        is_idle: facts.free_today == 0,
        name: "Free credit".into(),
        href: None,
        text: match (facts.free_today, facts.numbers.free_left) {
            (0, 0) => "Used up for good.".into(),
            (0, _) => "Used up for today.".into(),
            (left, _) => format!("{} left today.", format::mails_noun(left)),
        },
    }];
    let paying = facts.paying(view);
    payers.extend(paying.iter().take(PAYERS_MAX).map(|row| Payer {
        is_idle: false,
        name: row.package.instance_id.clone(),
        href: Some(view.href(&format!("{DIRECTMAIL}/{}", row.package.instance_id))),
        text: format!(
            "{} left, ends {}.",
            format::mails_noun(row.package.remaining),
            view.zone.moment(row.package.ends_at).local
        ),
    }));
    if paying.len() > PAYERS_MAX {
        let more =
            format!("{} more, by their end", format::counted((paying.len() - PAYERS_MAX) as i64, "package"));
        payers.push(Payer {
            is_idle: false,
            name: more,
            href: Some(view.href(DIRECTMAIL)),
            text: String::new(),
        });
    }
    let price = state.money(state.prices.pay_as_you_go().0.saturating_mul(1_000));
    payers.push(Payer {
        is_idle: false,
        name: "Pay-as-you-go".into(),
        href: Some(view.href("/billing")),
        text: format!("{price} per 1,000 mails, without limit."),
    });
    payers
}

fn days(outcomes: &[DayOutcome], today: i64) -> Columns {
    let columns = (today - DAYS + 1..=today).map(|day| {
        let found = outcomes.iter().find(|outcome| outcome.day == day);
        let found = found.map(|outcome| outcome.counts).unwrap_or_default();
        let failed = found.invalid + found.spam + found.failed;
        let waiting = (found.accepted - found.delivered - failed).max(0);
        Column {
            label: civil_date(day).strftime("%m-%d").to_string(),
            values: vec![found.delivered, waiting, failed],
        }
    });
    Columns {
        title: "Mails per day".into(),
        series: vec![
            ("Delivered".into(), Ink::Good),
            ("Waiting".into(), Ink::Pending),
            ("Not delivered".into(), Ink::Bad),
        ],
        columns: columns.collect(),
    }
}
