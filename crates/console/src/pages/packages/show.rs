//! One package: what is left, what becomes of it, its use by day, its deductions, and what was or will be said
//! about it.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use indicia_domain::{
    ledger::{
        Kind, Transfer,
        change::{NotRenewable, renewal_start, returnable},
        package::{Package, PackageStatus},
    },
    notice::{Channel, NoticeKind},
    time::{civil_date, local_day},
};
use indicia_store::{
    ledger::DeductionQuery,
    notice::{NoticeRow, NoticeState},
    package::{PackageFilter, PackageRow},
    usage::PackageDay,
};
use serde::Deserialize;

use super::{
    Drawing, Reckoned, adjustment_text, all_deductions, change::renewal_among, days_left_text, deducted,
    deduction_text, find,
};
use crate::{
    ConsoleState,
    charts::{Column, Columns, Ink, StackedBar},
    components::{Badge, Empty, Icon, Link, Pager, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::{
        Fact,
        alerts::PercentOption,
        asked::{A_PLACE, asked},
        billing::way_to_packages,
        bills::ledger_href,
        status::{Parts, package_badge},
        transactions::{parse_token, token_text},
        with_query,
    },
    session::viewer::{AccountView, here},
    shell::{ALERTS, DIRECTMAIL, Place, Shell},
};

const DEDUCTIONS_PER_PAGE: usize = 50;
/// Days in the picture of its use.
const CHART_DAYS: i64 = 31;

struct DeductionLine {
    at: Moment,
    before: String,
    deducted: String,
    /// What it was, where it is not simply a message that the package paid for.
    what: Option<&'static str>,
    after: String,
    transaction: i64,
    href: String,
}

/// A notice about this package, planned, sent, or no longer worth sending.
struct NoticeLine {
    what: String,
    channel: &'static str,
    due_at: Moment,
    badge: Badge,
    text: String,
}

#[derive(Template)]
#[template(path = "billing/package.html")]
struct PackagePage {
    shell: Shell,
    id: String,
    badge: Badge,
    lede: String,
    csv_href: String,
    actions: Vec<Link>,
    granted: String,
    bar: StackedBar,
    facts: Vec<Fact>,
    links: Vec<Link>,
    outlook: Option<String>,
    chart: Option<Columns>,
    alert_action: String,
    alerts_href: String,
    alerts: Option<Vec<PercentOption>>,
    notices: Vec<NoticeLine>,
    lines: Vec<DeductionLine>,
    pager: Pager,
    empty: Option<Empty>,
}

/// What a package's page is asked with: the place of the last deduction of the page before.
#[derive(Deserialize)]
pub struct PackageQuery {
    #[serde(default)]
    before: String,
}

/// `GET …/resource-packages/directmail/{instance_id}`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
    Query(query): Query<PackageQuery>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    let token = asked(&query.before, A_PLACE, parse_token)?;
    let wanted = DeductionQuery {
        after: token,
        limit: DEDUCTIONS_PER_PAGE as i64 + 1,
        newest_first: true,
        ..all_deductions(&view, &instance_id)
    };
    let mut deductions = state.store.deductions(&wanted).await?;
    let has_more = deductions.len() > DEDUCTIONS_PER_PAGE;
    deductions.truncate(DEDUCTIONS_PER_PAGE);
    let href = view.href(&format!("{DIRECTMAIL}/{instance_id}"));
    let next = deductions.last().filter(|_| has_more);
    let next = next.map(|last| with_query(&href, &[("before", &token_text(last))]));
    let all = state.store.packages(view.id(), &PackageFilter::default()).await?;
    let reckoned = Reckoned::load(&state, &Drawing::of(&view), &all).await?;
    let notices = state.store.package_notices(view.id(), &instance_id).await?;
    let is_live = super::is_live(&row.package, view.now);
    let mut crumbs = way_to_packages(&view);
    crumbs.push(here(instance_id.clone()));
    page(&PackagePage {
        shell: view.shell(&state, Place::Packages, &instance_id).with_crumbs(crumbs),
        badge: package_badge(&row.package, view.now),
        lede: lede(&view, &row),
        csv_href: format!("{href}/deductions.csv"),
        actions: actions(&view, &row, &all, &href),
        granted: granted(&row),
        bar: StackedBar::new(
            format!("What is left of {instance_id}"),
            Parts::of(&row.package, view.now).segments(),
        ),
        facts: facts(&state, &view, &row),
        links: links(&view, &row, &all),
        outlook: reckoned.sentence(&view, &instance_id),
        chart: chart(&state, &view, &row.package).await?,
        alert_action: view.href(ALERTS),
        alerts_href: view.href(ALERTS),
        alerts: is_live.then(|| PercentOption::list(row.alert_percent, row.package.granted)),
        notices: notices.iter().map(|notice| notice_line(&view, notice)).collect(),
        empty: deductions.is_empty().then(|| {
            let text = "A line appears here with the first mail that this package pays for. Free credit, and packages \
                        that end earlier, pay before it.";
            Empty::new(Icon::Package, "Nothing has been deducted", text)
        }),
        lines: deductions.iter().map(|line| deduction_line(&view, line)).collect(),
        pager: Pager::newest_first(token.map(|_| href.clone()), next),
        id: instance_id,
    })
}

/// `of 50,000 mails`, and what the operator changed of it.
fn granted(row: &PackageRow) -> String {
    let adjusted = adjustment_text(row).map(|text| format!(", {text}")).unwrap_or_default();
    format!("of {} bought{adjusted}", format::mails_noun(row.specification))
}

fn lede(view: &AccountView, row: &PackageRow) -> String {
    let package = &row.package;
    let end = view.zone.moment(package.ends_at).full();
    match package.status_at(view.now) {
        PackageStatus::Upcoming if package.remaining == 0 => used_up(row),
        PackageStatus::Upcoming => {
            format!("Works from {}. It ends {end}.", view.zone.moment(package.starts_at).full())
        }
        PackageStatus::Available => format!(
            "{} left; {}. What is left at {end} lapses.",
            format::mails_noun(package.remaining),
            days_left_text(view, package).unwrap_or_default()
        ),
        PackageStatus::UsedUp => used_up(row),
        PackageStatus::Expired if package.remaining > 0 => {
            format!(
                "Ended at {end}. {} lapsed with it and do not come back.",
                format::mails_noun(package.remaining)
            )
        }
        PackageStatus::Expired => format!("Ended at {end} with nothing left."),
        PackageStatus::Refunded => "Given back unused; its price was paid back in full.".into(),
        PackageStatus::Upgraded => "Given back unused, in exchange for a larger one.".into(),
    }
}

/// R25: mails that an operator took out were not used.
fn used_up(row: &PackageRow) -> String {
    let (used, taken) = (row.package.consumed(), row.specification.saturating_sub(row.package.granted));
    let whole = format::mails_noun(row.specification);
    match (used, taken) {
        (_, ..=0) => "All of its mails have been used.".into(),
        (0, _) if row.package.granted == 0 => {
            format!("An operator took its {whole} out; none was used. Ask the operator of this service.")
        }
        _ => format!(
            "Nothing is left: of {whole}, {} have been used and an operator took {} out.",
            format::mails(used),
            format::mails(taken)
        ),
    }
}

/// What can be done with it now. Only what can: a package that has been used has no button to refund it, and the
/// address of that page says why.
fn actions(view: &AccountView, row: &PackageRow, all: &[PackageRow], href: &str) -> Vec<Link> {
    let mut actions = Vec::new();
    let renewal = renewal_start(&row.package, view.now);
    if renewal.is_ok() {
        if renewal_among(all, &row.package.instance_id).is_none() {
            actions.push(Link::new(format!("{href}/renew"), "Renew"));
        }
    } else if matches!(renewal, Err(NotRenewable::Ended(_))) {
        actions.push(Link::new(view.href(&format!("{DIRECTMAIL}/buy")), "Buy a new one"));
    }
    if returnable(&row.package, row.specification, view.now).is_ok() {
        actions.push(Link::new(format!("{href}/upgrade"), "Upgrade"));
        actions.push(Link::new(format!("{href}/refund"), "Refund"));
    }
    actions
}

fn facts(state: &ConsoleState, view: &AccountView, row: &PackageRow) -> Vec<Fact> {
    let package = &row.package;
    let mut facts = vec![
        Fact::text("Specification", format::mails_noun(row.specification)),
        Fact::text("Price", state.money(row.price.0)),
        Fact::text("Start", view.zone.moment(package.starts_at).full()),
        Fact::text("End", view.zone.moment(package.ends_at).full()),
        Fact::text("Bought", view.zone.moment(package.purchased_at).full()),
    ];
    if package.granted != row.specification {
        facts.insert(1, Fact::text("Granted, with adjustments", format::mails_noun(package.granted)));
    }
    facts
}

/// Where it came from and what became of it.
fn links(view: &AccountView, row: &PackageRow, all: &[PackageRow]) -> Vec<Link> {
    let package = |instance: &str| view.href(&format!("{DIRECTMAIL}/{instance}"));
    let mut links = vec![
        Link::new(
            view.href(&format!("{DIRECTMAIL}/orders/{}", row.order_id)),
            format!("Order {}", row.order_id),
        ),
        Link::new(ledger_href(view, row.order_id), "The order's lines in the ledger"),
    ];
    if let Some(old) = &row.renewal_of {
        links.push(Link::new(package(old), format!("Renewal of {old}")));
    }
    if let Some(new) = &row.replaced_by {
        links.push(Link::new(package(new), format!("Replaced by {new}")));
    }
    let id = Some(row.package.instance_id.as_str());
    for newer in all.iter().filter(|other| other.renewal_of.as_deref() == id) {
        let newer = &newer.package.instance_id;
        links.push(Link::new(package(newer), format!("Renewed by {newer}")));
    }
    links
}

/// Its use over the last days that it worked, up to today; `None` when it has not paid yet.
async fn chart(
    state: &ConsoleState,
    view: &AccountView,
    package: &Package,
) -> Result<Option<Columns>, ConsoleError> {
    if package.consumed() == 0 {
        return Ok(None);
    }
    let zone = view.zone.time_zone();
    let last = view.now.min(package.ends_at.plus_micros(-1));
    let before_day = local_day(zone, last).number + 1;
    let from_day = (before_day - CHART_DAYS).max(local_day(zone, package.starts_at).number);
    let mut days = state.store.package_days(view.id(), from_day, before_day).await?;
    days.retain(|day| day.instance_id == package.instance_id);
    let used =
        |day: i64| days.iter().find(|found: &&PackageDay| found.day == day).map_or(0, |found| found.mails);
    let columns: Vec<Column> = (from_day..before_day)
        .map(|day| Column { label: civil_date(day).strftime("%m-%d").to_string(), values: vec![used(day)] })
        .collect();
    let has_use = columns.iter().any(|column| column.values.iter().any(|value| *value != 0));
    Ok(has_use.then(|| Columns {
        title: format!("Mails per day paid by {}", package.instance_id),
        series: vec![("Paid by this package".into(), Ink::Used)],
        columns,
    }))
}

fn deduction_line(view: &AccountView, line: &Transfer) -> DeductionLine {
    DeductionLine {
        at: view.zone.moment(line.at),
        before: format::mails(line.before),
        deducted: format::mails(deducted(line)),
        what: deduction_text(line),
        after: format::mails(line.after),
        transaction: line.transaction_id,
        href: match line.kind {
            Kind::Adjustment => ledger_href(view, line.transaction_id),
            _ => view.href(&format!("/mails/{}", line.transaction_id)),
        },
    }
}

fn notice_line(view: &AccountView, notice: &NoticeRow) -> NoticeLine {
    let when = |at: Option<_>| at.map(|at| view.zone.moment(at).local).unwrap_or_default();
    let (badge, text) = match notice.state {
        NoticeState::Waiting if notice.reason.is_empty() => {
            (Badge::new(Tone::Info, "Planned"), String::new())
        }
        NoticeState::Waiting => (Badge::new(Tone::Warn, "Waiting"), notice.reason.clone()),
        NoticeState::HandedOver => (Badge::new(Tone::Good, "Sent"), when(notice.done_at)),
        NoticeState::Skipped => (Badge::new(Tone::Neutral, "Not sent"), notice.reason.clone()),
    };
    NoticeLine {
        what: notice_text(notice.kind, notice.lead_days),
        channel: match notice.channel {
            Channel::Station => "In-station message",
            Channel::Email => "E-mail",
            Channel::Sms => "SMS",
        },
        due_at: view.zone.moment(notice.due_at),
        badge,
        text,
    }
}

fn notice_text(kind: NoticeKind, lead_days: i64) -> String {
    match kind {
        NoticeKind::Expiry => format!("Ends in {}", format::counted(lead_days, "day")),
        NoticeKind::LowBalance => "Low balance".into(),
        NoticeKind::UsedUp => "Used up".into(),
        NoticeKind::Lapsed => "Ended, mails lapsed".into(),
        NoticeKind::CollectionAhead => "Bills are about to be collected".into(),
        NoticeKind::Overdue => "Overdue".into(),
        NoticeKind::Restored => "Sending restored".into(),
        NoticeKind::QuotaPaused => "Sending paused".into(),
        NoticeKind::QuotaReleased => "Sending goes on".into(),
        NoticeKind::QuotaRaised => "Quota raised".into(),
        NoticeKind::QuotaLowered => "Quota lowered".into(),
    }
}
