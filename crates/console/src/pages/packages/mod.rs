//! R16: the instances of the product DirectMail, and one instance with its deductions, also as CSV.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use indicia_domain::{
    ledger::{Transfer, package::PackageStatus},
    time::UnixMicros,
};
use indicia_store::{
    ledger::{DeductionQuery, DeductionToken},
    package::{PackageFilter, PackageRow},
};
use serde::Deserialize;

use super::{
    Fact, SelectOption,
    billing::way_to_packages,
    status::{Parts, package_badge},
    with_query,
};
use crate::{
    ConsoleState,
    charts::StackedBar,
    components::{Badge, Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment},
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, Place, Shell},
};

mod export;
pub use export::export;

const INSTANCES_PER_PAGE: u32 = 20;
const DEDUCTIONS_PER_PAGE: usize = 50;

const STATUSES: &[(&str, &str)] = &[
    ("", "All"),
    ("available", "Available"),
    ("upcoming", "Upcoming"),
    ("used-up", "Used up"),
    ("expired", "Expired"),
    ("refunded", "Refunded"),
];

const SORTS: &[(&str, &str)] = &[
    ("", "End, earliest first"),
    ("end-latest", "End, latest first"),
    ("start-latest", "Start, latest first"),
    ("remaining-most", "Remaining, most first"),
    ("specification-largest", "Specification, largest first"),
];

/// What the list is asked with. All of it is text, so that a mistyped address shows the list and no error.
#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    status: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

struct InstanceRow {
    href: String,
    id: String,
    specification: String,
    remaining: String,
    share: String,
    bar: StackedBar,
    lapsed: Option<String>,
    badge: Badge,
    starts_at: Moment,
    ends_at: Moment,
    days_left: String,
}

struct Picture {
    summary: String,
    whole: StackedBar,
}

#[derive(Template)]
#[template(path = "billing/packages.html")]
struct ListPage {
    shell: Shell,
    action: String,
    buy_href: String,
    picture: Option<Picture>,
    statuses: Vec<SelectOption>,
    sorts: Vec<SelectOption>,
    is_filtered: bool,
    rows: Vec<InstanceRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// `GET …/resource-packages/directmail`
pub async fn list(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<ListQuery>,
) -> Result<Response, ConsoleError> {
    let action = view.href(DIRECTMAIL);
    let buy_href = format!("{action}/buy");
    let all = state.store.packages(view.id(), &PackageFilter::default()).await?;
    let picture = picture(&all, view.now);
    let has_any = !all.is_empty();
    let mut rows: Vec<PackageRow> = all
        .into_iter()
        .filter(|row| query.status.is_empty() || status_name(row.package.status_at(view.now)) == query.status)
        .collect();
    sort(&mut rows, &query.sort, view.now);
    let pager = Pager::numbered(
        query.page.parse().unwrap_or(1),
        INSTANCES_PER_PAGE,
        rows.len() as u64,
        "instance",
        |number| {
            with_query(
                &action,
                &[("status", &query.status), ("sort", &query.sort), ("page", &number.to_string())],
            )
        },
    );
    let skipped = ((pager.page - 1) * INSTANCES_PER_PAGE) as usize;
    let shown = rows.iter().skip(skipped).take(INSTANCES_PER_PAGE as usize);
    let rows: Vec<InstanceRow> = shown.map(|row| instance_row(&view, row)).collect();
    let mut crumbs = way_to_packages(&view);
    crumbs.truncate(3);
    crumbs.push(here("DirectMail"));
    page(&ListPage {
        shell: view.shell(&state, Place::Packages, "Resource Packages").with_crumbs(crumbs),
        empty: rows.is_empty().then(|| nothing_to_list(has_any, &action, &buy_href)),
        statuses: SelectOption::list(STATUSES, &query.status),
        sorts: SelectOption::list(SORTS, &query.sort),
        is_filtered: !query.status.is_empty() || !query.sort.is_empty(),
        action,
        buy_href,
        picture,
        rows,
        pager,
    })
}

fn nothing_to_list(has_any: bool, action: &str, buy_href: &str) -> Empty {
    if has_any {
        return Empty::new(
            Icon::Package,
            "No package has this status",
            "Others do. Choose another status, or see all.",
        )
        .with_link(action, "Show all packages");
    }
    Empty::new(
        Icon::Package,
        "This account has no resource package",
        "Beyond the free credit, mails are charged as you go. A package makes each mail cheaper, the larger the more.",
    )
    .with_link(buy_href, "Buy a package")
}

fn picture(rows: &[PackageRow], now: UnixMicros) -> Option<Picture> {
    let live: Vec<&PackageRow> =
        rows.iter().filter(|row| !row.package.refunded && now < row.package.ends_at).collect();
    if live.is_empty() {
        return None;
    }
    let parts = live.iter().fold(Parts::default(), |sum, row| sum.plus(Parts::of(&row.package, now)));
    let granted: i64 = live.iter().map(|row| row.package.granted).sum();
    Some(Picture {
        summary: format!(
            "{} of {} in {} that have not ended",
            format::mails(parts.remaining),
            format::mails_noun(granted),
            format::counted(live.len() as i64, "package")
        ),
        whole: StackedBar::new("All packages that have not ended", parts.segments()),
    })
}

fn status_name(status: PackageStatus) -> &'static str {
    match status {
        PackageStatus::Upcoming => "upcoming",
        PackageStatus::Available => "available",
        PackageStatus::UsedUp => "used-up",
        PackageStatus::Expired => "expired",
        PackageStatus::Refunded => "refunded",
    }
}

/// The store gives them in the order in which they pay. By default those that can still pay stand first, in
/// that order, and those that are over follow, the latest end first.
fn sort(rows: &mut [PackageRow], by: &str, now: UnixMicros) {
    use std::cmp::Reverse;
    match by {
        "end-latest" => rows.sort_by_key(|row| Reverse(row.package.ends_at)),
        "start-latest" => rows.sort_by_key(|row| Reverse(row.package.starts_at)),
        "remaining-most" => rows.sort_by_key(|row| Reverse(row.package.usable_at(now))),
        "specification-largest" => rows.sort_by_key(|row| Reverse(row.specification)),
        _ => rows.sort_by_key(|row| {
            let is_over = row.package.refunded || now >= row.package.ends_at;
            (is_over, if is_over { -row.package.ends_at.0 } else { row.package.ends_at.0 })
        }),
    }
}

fn instance_row(view: &AccountView, row: &PackageRow) -> InstanceRow {
    let package = &row.package;
    let parts = Parts::of(package, view.now);
    let status = package.status_at(view.now);
    let is_live =
        matches!(status, PackageStatus::Available | PackageStatus::Upcoming | PackageStatus::UsedUp);
    InstanceRow {
        href: view.href(&format!("{DIRECTMAIL}/{}", package.instance_id)),
        id: package.instance_id.clone(),
        specification: format::mails(row.specification),
        remaining: format::mails(parts.remaining),
        share: format::percent(parts.remaining, package.granted).unwrap_or_default(),
        bar: StackedBar::bare(format!("What is left of {}", package.instance_id), parts.segments()),
        lapsed: (parts.lapsed > 0).then(|| format!("{} lapsed", format::mails(parts.lapsed))),
        badge: package_badge(status),
        starts_at: view.zone.moment(package.starts_at),
        ends_at: view.zone.moment(package.ends_at),
        days_left: if is_live {
            format::mails(format::days_left(view.now, package.ends_at))
        } else {
            "–".into()
        },
    }
}

struct DeductionLine {
    at: Moment,
    before: String,
    deducted: String,
    after: String,
    transaction: i64,
    href: String,
}

#[derive(Template)]
#[template(path = "billing/package.html")]
struct PackagePage {
    shell: Shell,
    id: String,
    badge: Badge,
    lede: String,
    csv_href: String,
    granted: String,
    bar: StackedBar,
    facts: Vec<Fact>,
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
    let token = parse_token(&query.before);
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
    let next = next.map(|last| with_query(&href, &[("before", &format!("{}-{}", last.at.0, last.sequence))]));
    let mut crumbs = way_to_packages(&view);
    crumbs.push(here(instance_id.clone()));
    page(&PackagePage {
        shell: view.shell(&state, Place::Packages, &instance_id).with_crumbs(crumbs),
        badge: package_badge(row.package.status_at(view.now)),
        lede: lede(&view, &row),
        csv_href: format!("{href}/deductions.csv"),
        granted: format::mails(row.package.granted),
        bar: StackedBar::new(
            format!("What is left of {instance_id}"),
            Parts::of(&row.package, view.now).segments(),
        ),
        facts: facts(&state, &view, &row),
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

async fn find(
    state: &ConsoleState,
    view: &AccountView,
    instance_id: &str,
) -> Result<PackageRow, ConsoleError> {
    let row = state.store.package(view.id(), instance_id).await?;
    row.ok_or(ConsoleError::NotFound { what: "package" })
}

fn all_deductions(view: &AccountView, instance_id: &str) -> DeductionQuery {
    DeductionQuery {
        account_id: view.id(),
        instance_id: Some(instance_id.to_owned()),
        from: UnixMicros(i64::MIN),
        before: UnixMicros(i64::MAX),
        after: None,
        limit: 0,
        newest_first: false,
    }
}

fn parse_token(text: &str) -> Option<DeductionToken> {
    let (at, sequence) = text.split_once('-')?;
    Some(DeductionToken { at: at.parse().ok()?, sequence: sequence.parse().ok()? })
}

fn lede(view: &AccountView, row: &PackageRow) -> String {
    let package = &row.package;
    let end = view.zone.moment(package.ends_at).full();
    match package.status_at(view.now) {
        PackageStatus::Upcoming => format!("Works from {}.", view.zone.moment(package.starts_at).full()),
        PackageStatus::Available => format!(
            "{} left for {}. What is left at {end} lapses.",
            format::mails_noun(package.remaining),
            format::counted(format::days_left(view.now, package.ends_at), "day")
        ),
        PackageStatus::UsedUp => "All of its mails have been used.".into(),
        PackageStatus::Expired if package.remaining > 0 => {
            format!(
                "Ended at {end}. {} lapsed with it and do not come back.",
                format::mails_noun(package.remaining)
            )
        }
        PackageStatus::Expired => format!("Ended at {end} with nothing left."),
        PackageStatus::Refunded => "Paid back in full, unused.".into(),
    }
}

fn facts(state: &ConsoleState, view: &AccountView, row: &PackageRow) -> Vec<Fact> {
    let package = &row.package;
    vec![
        Fact::text("Specification", format::mails_noun(row.specification)),
        Fact::text("Price", state.money(row.price.0)),
        Fact::mono("Order", row.order_id.to_string()),
        Fact::text("Start", view.zone.moment(package.starts_at).full()),
        Fact::text("End", view.zone.moment(package.ends_at).full()),
        Fact::text("Bought", view.zone.moment(package.purchased_at).full()),
    ]
}

fn deduction_line(view: &AccountView, line: &Transfer) -> DeductionLine {
    DeductionLine {
        at: view.zone.moment(line.at),
        before: format::mails(line.before),
        deducted: format::mails(line.amount),
        after: format::mails(line.after),
        transaction: line.transaction_id,
        href: view.href(&format!("/mails/{}", line.transaction_id)),
    }
}
