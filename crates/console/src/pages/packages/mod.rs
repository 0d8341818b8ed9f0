//! R16: the instances of the product DirectMail, and what can be done with one.
//!
//! `mod` is the list; `show` one instance with its deductions; `export` those as CSV; `outlook` what becomes of the
//! packages at the present pace; `refund`, `renew` and `upgrade` are forms with a confirm step, alike in shape: the
//! page says what will happen or why it cannot, and its one button does it once (R26).

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::{
    ledger::{
        Kind, LedgerAccount, Transfer,
        package::{Package, PackageStatus},
    },
    time::{DAY_MICROS, UnixMicros},
};
use indicia_store::{
    ledger::DeductionQuery,
    package::{PackageFilter, PackageRow},
};
use serde::Deserialize;

use super::{
    SelectOption, asked,
    billing::way_to_packages,
    left::Left,
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

pub mod change;
mod export;
pub mod outlook;
pub mod refund;
pub mod renew;
mod show;
pub mod upgrade;

pub use export::export;
use outlook::{Drawing, OutlookSummary, Reckoned, days_left_text};
pub use show::show;

const INSTANCES_PER_PAGE: u32 = 20;

const STATUSES: &[(&str, &str)] = &[
    ("", "All"),
    ("available", "Available"),
    ("upcoming", "Upcoming"),
    ("used-up", "Used up"),
    ("expired", "Expired"),
    ("refunded", "Refunded"),
    ("upgraded", "Upgraded"),
];

const ENDS: &[(&str, &str)] = &[
    ("", "Any time"),
    ("1", "Within a day"),
    ("7", "Within 7 days"),
    ("30", "Within 30 days"),
    ("90", "Within 90 days"),
];

const SORTS: &[(&str, &str)] = &[
    ("", "End, earliest first"),
    ("end-latest", "End, latest first"),
    ("start-latest", "Start, latest first"),
    ("remaining-least", "Remaining, least first"),
    ("remaining-most", "Remaining, most first"),
    ("specification-largest", "Specification, largest first"),
];

/// What the list is asked with. All of it is text, so that what cannot be read is refused in words.
#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    status: String,
    /// Days within which the end comes.
    #[serde(default)]
    ends: String,
    /// Mails of the package as bought.
    #[serde(default)]
    specification: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

/// The filter that is asked for.
struct Filter<'a> {
    status: &'a str,
    specification: Option<i64>,
    ends_within_days: Option<i64>,
    page: u32,
}

impl Filter<'_> {
    fn takes(&self, row: &PackageRow, now: UnixMicros) -> bool {
        let has_status = self.status.is_empty() || status_name(row.package.status_at(now)) == self.status;
        let has_size = self.specification.is_none_or(|mails| row.specification == mails);
        let ends_soon = self.ends_within_days.is_none_or(|days| {
            let latest = now.plus_micros(days * DAY_MICROS);
            is_live(&row.package, now) && row.package.ends_at <= latest
        });
        has_status && has_size && ends_soon
    }
}

/// The furthest end that can be asked for, in days: a hundred years.
const ENDS_DAYS_MAX: i64 = 36_525;

impl ListQuery {
    fn read(&self) -> Result<Filter<'_>, ConsoleError> {
        asked::choice(&self.status, "a status of a package", STATUSES)?;
        asked::choice(&self.sort, "an order of this list", SORTS)?;
        let days = |text: &str| text.parse().ok().filter(|days| (0..=ENDS_DAYS_MAX).contains(days));
        Ok(Filter {
            status: self.status.trim(),
            specification: asked::number(&self.specification, "a number of mails")?,
            ends_within_days: asked::asked(&self.ends, "a number of days", days)?,
            page: asked::page_number(&self.page)?,
        })
    }

    fn is_filtered(&self) -> bool {
        [&self.status, &self.ends, &self.specification, &self.sort].iter().any(|field| !field.is_empty())
    }

    fn href(&self, path: &str, page: &str) -> String {
        let fields = [
            ("status", self.status.as_str()),
            ("ends", &self.ends),
            ("specification", &self.specification),
            ("sort", &self.sort),
            ("page", page),
        ];
        with_query(path, &fields)
    }
}

/// Paid for, not given back, its end still to come.
fn is_live(package: &Package, now: UnixMicros) -> bool {
    package.closed.is_none() && now < package.ends_at
}

struct InstanceRow {
    href: String,
    id: String,
    specification: String,
    remaining: String,
    share: String,
    bar: StackedBar,
    /// What lapsed or was given back, where something was.
    gone: Option<String>,
    badge: Badge,
    starts_at: Moment,
    ends_at: Moment,
    days_left: Option<String>,
    outlook: Option<String>,
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
    alerts_href: String,
    picture: Option<Picture>,
    outlook: Option<OutlookSummary>,
    has_any: bool,
    statuses: Vec<SelectOption>,
    ends: Vec<SelectOption>,
    specifications: Vec<SelectOption>,
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
    let filter = query.read()?;
    let all = state.store.packages(view.id(), &PackageFilter::default()).await?;
    let reckoned = Reckoned::load(&state, &Drawing::of(&view), &all).await?;
    let has_any = !all.is_empty();
    let picture = has_any.then(|| picture(&view, &all));
    let outlook = (has_any || reckoned.has_usage()).then(|| reckoned.summary(&state, &view));
    let specifications = specifications(&all, &query.specification);
    let mut rows: Vec<PackageRow> = all.into_iter().filter(|row| filter.takes(row, view.now)).collect();
    sort(&mut rows, query.sort.trim(), view.now);
    let pager = Pager::numbered(filter.page, INSTANCES_PER_PAGE, rows.len() as u64, "instance", |number| {
        query.href(&action, &number.to_string())
    });
    let skipped = ((pager.page - 1) * INSTANCES_PER_PAGE) as usize;
    let shown = rows.iter().skip(skipped).take(INSTANCES_PER_PAGE as usize);
    let rows: Vec<InstanceRow> = shown.map(|row| instance_row(&view, &reckoned, row)).collect();
    let mut crumbs = way_to_packages(&view);
    crumbs.truncate(3);
    crumbs.push(here("DirectMail"));
    page(&ListPage {
        shell: view.shell(&state, Place::Packages, "Resource Packages").with_crumbs(crumbs),
        empty: rows.is_empty().then(|| nothing_to_list(has_any, &action, &buy_href)),
        statuses: SelectOption::list(STATUSES, &query.status),
        ends: SelectOption::list(ENDS, &query.ends),
        specifications,
        sorts: SelectOption::list(SORTS, &query.sort),
        is_filtered: query.is_filtered(),
        alerts_href: view.href(crate::shell::ALERTS),
        action,
        buy_href,
        picture,
        outlook,
        has_any,
        rows,
        pager,
    })
}

fn nothing_to_list(has_any: bool, action: &str, buy_href: &str) -> Empty {
    if has_any {
        return Empty::new(
            Icon::Package,
            "No package is like this",
            "Others are. Choose other filters, or see all.",
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

/// The sizes that the account has, to choose from.
fn specifications(rows: &[PackageRow], chosen: &str) -> Vec<SelectOption> {
    let mut sizes: Vec<i64> = rows.iter().map(|row| row.specification).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut choices = vec![(String::new(), "All".to_owned())];
    choices.extend(sizes.into_iter().map(|mails| (mails.to_string(), format::mails_noun(mails))));
    SelectOption::list(&choices, chosen)
}

fn picture(view: &AccountView, rows: &[PackageRow]) -> Picture {
    let live: Vec<&PackageRow> = rows.iter().filter(|row| is_live(&row.package, view.now)).collect();
    let parts = live.iter().fold(Parts::default(), |sum, row| sum.plus(Parts::of(&row.package, view.now)));
    let granted = live.iter().fold(0_i64, |sum, row| sum.saturating_add(row.package.granted));
    let left = Left::of(rows.iter().map(|row| &row.package), view.now);
    let later = left.later().map(|later| format!(", {later}")).unwrap_or_default();
    Picture {
        summary: match live.len() {
            0 => "No package is in its validity or to come".into(),
            _ => format!(
                "{} {}{later}, of {} granted",
                format::mails_noun(left.now_mails),
                left.where_now(),
                format::mails(granted)
            ),
        },
        whole: StackedBar::new("All packages that have not ended", parts.segments()),
    }
}

fn status_name(status: PackageStatus) -> &'static str {
    match status {
        PackageStatus::Upcoming => "upcoming",
        PackageStatus::Available => "available",
        PackageStatus::UsedUp => "used-up",
        PackageStatus::Expired => "expired",
        PackageStatus::Refunded => "refunded",
        PackageStatus::Upgraded => "upgraded",
    }
}

/// The store gives them in the order in which they pay. By default those that can still pay stand first, in
/// that order, and those that are over follow, the latest end first.
fn sort(rows: &mut [PackageRow], by: &str, now: UnixMicros) {
    use std::cmp::Reverse;
    match by {
        "end-latest" => rows.sort_by_key(|row| Reverse(row.package.ends_at)),
        "start-latest" => rows.sort_by_key(|row| Reverse(row.package.starts_at)),
        "remaining-least" => rows.sort_by_key(|row| row.package.usable_at(now)),
        "remaining-most" => rows.sort_by_key(|row| Reverse(row.package.usable_at(now))),
        "specification-largest" => rows.sort_by_key(|row| Reverse(row.specification)),
        _ => rows.sort_by_key(|row| {
            let is_over = !is_live(&row.package, now);
            (is_over, if is_over { -row.package.ends_at.0 } else { row.package.ends_at.0 })
        }),
    }
}

fn instance_row(view: &AccountView, reckoned: &Reckoned, row: &PackageRow) -> InstanceRow {
    let package = &row.package;
    let parts = Parts::of(package, view.now);
    let status = package.status_at(view.now);
    InstanceRow {
        href: view.href(&format!("{DIRECTMAIL}/{}", package.instance_id)),
        id: package.instance_id.clone(),
        specification: format::mails(row.specification),
        remaining: format::mails(package.usable_at(view.now)),
        share: format::percent(package.usable_at(view.now), package.granted).unwrap_or_default(),
        bar: StackedBar::bare(format!("What is left of {}", package.instance_id), parts.segments()),
        gone: match status {
            PackageStatus::Expired if parts.lapsed > 0 => {
                Some(format!("{} lapsed", format::mails(parts.lapsed)))
            }
            PackageStatus::Refunded => Some("paid back, unused".into()),
            PackageStatus::Upgraded => Some("exchanged, unused".into()),
            _ => adjustment_text(row),
        },
        badge: package_badge(package, view.now),
        starts_at: view.zone.moment(package.starts_at),
        ends_at: view.zone.moment(package.ends_at),
        days_left: is_live(package, view.now).then(|| days_left_text(view, package)).flatten(),
        outlook: reckoned.of_package(view, &package.instance_id),
    }
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

/// Mails that a line took from the package: negative where it gave them back (R03) or the operator added some.
fn deducted(line: &Transfer) -> i64 {
    if matches!(line.from, LedgerAccount::Package(_)) { line.amount } else { -line.amount }
}

/// What a line of the package's deductions was, where it is not simply a message that it paid for.
fn deduction_text(line: &Transfer) -> Option<&'static str> {
    match line.kind {
        Kind::Reversal => Some("given back"),
        Kind::Adjustment if deducted(line) > 0 => Some("taken out by the operator"),
        Kind::Adjustment => Some("added by the operator"),
        _ => None,
    }
}

/// What the operator took out or added in all; `None` where the package has what was bought.
fn adjustment_text(row: &PackageRow) -> Option<String> {
    match row.package.granted.saturating_sub(row.specification) {
        0 => None,
        more @ 1.. => Some(format!("{} added by the operator", format::mails(more))),
        fewer => Some(format!("{} taken out by the operator", format::mails(fewer.saturating_neg()))),
    }
}
