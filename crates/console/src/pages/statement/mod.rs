//! The monthly statement: a month on paper, from opening to closing.
//!
//! It is made from totals that the store keeps (usage by hour, each package's draw by day, bills) and from the lines
//! of the cash balance; the lines of mails are never read, so that a month of ten million mails opens like any other.
//! What it shows adds up, and it says so if it ever should not:
//!
//! ```text
//! opening cash    + payments + credits − purchases + refunds − collections ± adjustments  = closing cash
//! opening package + bought ± adjusted − given back − drawn − lapsed                        = closing package
//! ```
//! A month's closing is the next one's opening: both are the state just before the local midnight between them.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use indicia_domain::time::{UnixMicros, civil_date};
use indicia_store::{
    bill::BillTotal,
    statement::{Span, drawn_by_package},
    usage::{PackageDay, UsageTotal},
};

use super::{bills::SettlementRow, transactions::CashRow};
use crate::{
    ConsoleState,
    components::{Link, Note},
    error::{ConsoleError, page},
    format::{self, Moment},
    period::Month,
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, STATEMENTS, Shell, TRANSACTIONS},
};

mod money;
mod packages;
use money::MoneyRow;
use packages::PackageRowView;

/// What a statement is about: a month, up to now where it is not over.
#[derive(Clone, Copy, Debug)]
struct Period {
    month: Month,
    start: UnixMicros,
    /// The first instant after it.
    end: UnixMicros,
    /// Its first local day and the one after its last.
    first_day: i64,
    before_day: i64,
    is_over: bool,
}

impl Period {
    fn of(view: &AccountView, month: Month) -> Self {
        let (start, end) = month.bounds(&view.zone);
        let (first_day, before_day) = month.day_numbers(&view.zone);
        let is_over = end <= view.now;
        // What happened at this very instant belongs to the month so far.
        let end = if is_over { end } else { view.now.plus_micros(1) };
        Self { month, start, end, first_day, before_day, is_over }
    }

    fn span(&self) -> Span {
        let Self { start, end, first_day, before_day, .. } = *self;
        Span { start, end, first_day, before_day }
    }
}

struct ListRow {
    name: String,
    href: String,
    state: &'static str,
    opening: String,
    closing: String,
}

#[derive(Template)]
#[template(path = "statement/list.html")]
struct ListPage {
    shell: Shell,
    rows: Vec<ListRow>,
    earlier: Option<String>,
}

/// Months on the list; earlier ones are reached from the list of bills.
const MONTHS_MAX: usize = 24;

/// `GET /accounts/{account_id}/billing/statements`
pub async fn list(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let oldest = Month::of(&view.zone, view.account.created_at);
    let mut month = Month::of(&view.zone, view.now);
    let mut closing = view.numbers.cash;
    let mut rows = Vec::new();
    while rows.len() < MONTHS_MAX && (month >= oldest || rows.is_empty()) {
        let period = Period::of(&view, month);
        let opening = state.store.cash_before(view.id(), period.start).await?;
        rows.push(ListRow {
            name: month.name(),
            href: view.href(&format!("{STATEMENTS}/{month}")),
            state: if period.is_over { "Closed" } else { "Up to now" },
            opening: state.money(opening.0),
            closing: state.money(closing.0),
        });
        closing = opening;
        month = month.previous();
    }
    page(&ListPage {
        shell: view
            .shell(&state, Place::Statements, "Statements")
            .with_crumbs(vec![view.crumb("Billing Management", "/billing"), here("Statements")]),
        earlier: (month >= oldest).then(|| view.href(&format!("{BILLS}?until={month}"))),
        rows,
    })
}

/// Mails by what paid for them.
struct SourceRow {
    name: String,
    href: Option<String>,
    mails: String,
    share: String,
}

struct DayRow {
    date: String,
    href: String,
    free: String,
    package: String,
    payg: String,
    billed: String,
}

struct BillsView {
    bills: String,
    mails: String,
    amount: String,
    paid: String,
    outstanding: String,
    href: String,
}

#[derive(Template)]
#[template(path = "statement/statement.html")]
struct StatementPage {
    shell: Shell,
    name: String,
    account_name: String,
    account_id: i64,
    email: String,
    currency: String,
    from: String,
    until: String,
    zone: String,
    made_at: Moment,
    is_over: bool,
    previous: Option<Link>,
    next: Option<Link>,
    notes: Vec<Note>,
    money: Vec<MoneyRow>,
    opening: String,
    closing: String,
    lines: Vec<CashRow>,
    more_lines: Option<String>,
    transactions_href: String,
    sources: Vec<SourceRow>,
    mails_total: String,
    bills: BillsView,
    settlements: Vec<SettlementRow>,
    packages: Vec<PackageRowView>,
    days: Vec<DayRow>,
}

/// `GET …/billing/statements/{month}`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, month)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "month" };
    let month = Month::parse(&month).ok_or_else(missing)?;
    let present = Month::of(&view.zone, view.now);
    let oldest = Month::of(&view.zone, view.account.created_at);
    if month > present {
        return Err(missing());
    }
    let period = Period::of(&view, month);
    let store = &state.store;
    let usage = store.usage_total(view.id(), period.start, period.end).await?;
    let days = store.usage_days(view.id(), period.start, period.end).await?;
    let drawn = store.package_days(view.id(), period.first_day, period.before_day).await?;
    let bills = store.bill_total(view.id(), period.start, period.end).await?;
    let settlements = store.settlements(view.id(), period.start, period.end).await?;
    let cash = store.cash_month(view.id(), &period.span(), money::LINES_SHOWN).await?;
    let packages = packages::load(&state, &view, &period.span(), &drawn).await?;
    let neighbour = |month: Month| Link::new(view.href(&format!("{STATEMENTS}/{month}")), month.name());
    let transactions_href = view.href(&format!("{TRANSACTIONS}?month={month}"));
    let name = month.name();
    page(&StatementPage {
        shell: view.shell(&state, Place::Statements, &format!("Statement of {name}")).with_crumbs(vec![
            view.crumb("Billing Management", "/billing"),
            view.crumb("Statements", STATEMENTS),
            here(name.clone()),
        ]),
        account_name: view.account.name.clone(),
        account_id: view.id(),
        email: view.account.email.clone(),
        currency: state.config.currency.clone(),
        from: view.zone.moment(period.start).local,
        until: view.zone.moment(period.end).local,
        zone: view.zone.label_between(period.start, period.end),
        made_at: view.zone.moment(view.now),
        is_over: period.is_over,
        previous: (month > oldest).then(|| neighbour(month.previous())),
        next: (month < present).then(|| neighbour(month.next())),
        notes: money::contradiction(&state, &cash).into_iter().collect(),
        money: money::rows(&state, &view, &period, &cash),
        opening: state.money(cash.opening.0),
        closing: state.money(cash.closing.0),
        more_lines: money::more_text(&cash),
        lines: cash.lines.iter().map(|line| CashRow::of(&state, &view, line)).collect(),
        transactions_href,
        sources: sources(&view, &usage, &drawn),
        mails_total: format::mails(usage.mails()),
        bills: bills_view(&state, &view, month, &bills),
        settlements: settlements.iter().map(|found| SettlementRow::of(&state, &view, found)).collect(),
        packages,
        days: days.iter().map(|(day, usage)| day_row(&state, &view, *day, usage)).collect(),
        name,
    })
}

/// R04: free credit, then each package, then pay-as-you-go.
fn sources(view: &AccountView, usage: &UsageTotal, drawn: &[PackageDay]) -> Vec<SourceRow> {
    let total = usage.mails();
    let row = |name: String, href: Option<String>, mails: i64| SourceRow {
        name,
        href,
        mails: format::mails(mails),
        share: format::percent(mails, total).unwrap_or_else(|| "–".into()),
    };
    let mut rows = vec![row("Free credit".into(), None, usage.free_mails)];
    for (instance, mails) in drawn_by_package(drawn) {
        let href = packages::href(view, &instance);
        rows.push(row(format!("Package {instance}"), Some(href), mails));
    }
    rows.push(row("Pay-as-you-go".into(), None, usage.payg_mails));
    rows
}

fn bills_view(state: &ConsoleState, view: &AccountView, month: Month, bills: &BillTotal) -> BillsView {
    BillsView {
        bills: format::counted(bills.bills, "bill"),
        mails: format::mails(bills.mails),
        amount: state.money(bills.amount.0),
        paid: state.money(bills.paid.0),
        outstanding: state.money(bills.outstanding.0),
        href: view.href(&format!("{BILLS}/{month}")),
    }
}

fn day_row(state: &ConsoleState, view: &AccountView, day: i64, usage: &UsageTotal) -> DayRow {
    let date = civil_date(day).to_string();
    DayRow {
        href: view.href(&format!("{BILLS}/{date}")),
        date,
        free: format::mails(usage.free_mails),
        package: format::mails(usage.package_mails),
        payg: format::mails(usage.payg_mails),
        billed: state.money(usage.billed_micros),
    }
}
