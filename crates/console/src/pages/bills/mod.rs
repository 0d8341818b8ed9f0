//! R10, R11: the bills by month, day and hour, and those that are unpaid.
//!
//! ```text
//! /billing/bills                 the months, what is open, when it is collected
//! /billing/bills/unpaid          every bill that is open or due, oldest hour first
//! /billing/bills/2026-11         the days of a month, the collections in it
//! /billing/bills/2026-11-22      the hours of a day (23 or 25 of them when the clocks change)
//! /billing/bills/hours/{second}  the bills of one hour: mails, price, rounding, adjustments
//! ```
//! All figures are totals that the store keeps by hour and day; no page adds up mails.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use indicia_domain::{money::MoneyMicros, time::UnixMicros};
use indicia_store::bill::{Bill, BillQuery};
use serde::Deserialize;

use super::{
    asked::{self, A_PLACE, asked},
    with_query,
};
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Link, Pager, Tone},
    error::{ConsoleError, page},
    format::{self, Moment, Zone},
    period::{Month, parse_day},
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, Shell, TRANSACTIONS},
};

mod day;
pub mod hour;
mod month;
pub use month::SettlementRow;

/// Months on one page of the list.
const MONTHS_PER_PAGE: usize = 12;
const BILLS_PER_PAGE: usize = 50;

/// The way to a page below the bills.
fn crumbs(view: &AccountView, rest: Vec<Link>) -> Vec<Link> {
    let mut way = vec![view.crumb("Billing Management", "/billing"), view.crumb("Bills", BILLS)];
    way.extend(rest);
    way
}

/// The address of the ledger lines of one transaction.
pub fn ledger_href(view: &AccountView, transaction_id: i64) -> String {
    view.href(&format!("{TRANSACTIONS}/{transaction_id}"))
}

/// The address of the bills of one hour.
pub fn hour_href(view: &AccountView, hour_start: UnixMicros) -> String {
    view.href(&format!("{BILLS}/hours/{}", hour_start.seconds()))
}

/// `14:00 to 15:00`, each with its offset where a clock change makes the local time ambiguous.
pub fn hour_name(zone: &Zone, start: UnixMicros, end: UnixMicros, has_offset: bool) -> String {
    let clock = |at: UnixMicros| {
        let offset = if has_offset { format!(" ({})", zone.offset(at)) } else { String::new() };
        format!("{}{offset}", zone.moment(at).clock())
    };
    format!("{} to {}", clock(start), clock(end))
}

/// The exact price before rounding, where the two differ: `exact USD 4.3471`.
pub fn exact(state: &ConsoleState, price: MoneyMicros, mails: i64, amount: MoneyMicros) -> Option<String> {
    let exact = price.checked_mul(mails)?;
    (exact != amount).then(|| format!("exact {}", state.money(exact.0)))
}

/// A bill as a line of a table.
pub struct BillRow {
    pub name: String,
    pub date: String,
    pub hour: String,
    pub hour_href: String,
    pub made_at: Moment,
    pub mails: String,
    pub price: String,
    pub amount: String,
    pub badge: Badge,
    pub state_text: String,
    pub ledger_href: String,
    pub settlement_href: Option<String>,
}

impl BillRow {
    pub fn of(state: &ConsoleState, view: &AccountView, bill: &Bill) -> Self {
        let (badge, state_text) = state_of(view, bill);
        Self {
            name: if bill.is_adjustment() { format!("Adjustment {}", bill.number) } else { "Bill".into() },
            date: view.zone.moment(bill.hour_start).date().to_owned(),
            hour: hour_name(&view.zone, bill.hour_start, bill.hour_end, false),
            hour_href: hour_href(view, bill.hour_start),
            made_at: view.zone.moment(bill.made_at),
            mails: format::mails(bill.mails),
            price: state.money(bill.price.0),
            amount: state.money(bill.amount.0),
            badge,
            state_text,
            ledger_href: ledger_href(view, bill.bill_id),
            settlement_href: bill.settlement_id.map(|id| ledger_href(view, id)),
        }
    }
}

/// R11: open until it is collected, due when it is to be paid now, then paid.
fn state_of(view: &AccountView, bill: &Bill) -> (Badge, String) {
    let when = |at: UnixMicros| view.zone.moment(at).local;
    match (bill.settled_at, bill.due_at) {
        (Some(at), _) => (Badge::new(Tone::Good, "Paid"), when(at)),
        (None, Some(at)) => (Badge::new(Tone::Bad, "Due"), format!("since {}", when(at))),
        (None, None) => (Badge::new(Tone::Info, "Open"), String::new()),
    }
}

struct MonthRow {
    name: String,
    href: String,
    statement_href: String,
    free: String,
    package: String,
    payg: String,
    bills: String,
    billed: String,
    paid: String,
    outstanding: String,
}

#[derive(Template)]
#[template(path = "bills/index.html")]
struct IndexPage {
    shell: Shell,
    open: String,
    due: String,
    is_due: bool,
    unpaid_href: String,
    this_month: String,
    this_month_note: String,
    price: String,
    threshold: String,
    next_first: String,
    rows: Vec<MonthRow>,
    pager: Pager,
}

/// What the list of months is asked with: the newest month to show.
#[derive(Deserialize)]
pub struct IndexQuery {
    #[serde(default)]
    until: String,
}

/// `GET /accounts/{account_id}/billing/bills`
pub async fn index(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<IndexQuery>,
) -> Result<Response, ConsoleError> {
    let present = Month::of(&view.zone, view.now);
    let oldest = Month::of(&view.zone, view.account.created_at);
    let newest = asked::month(&query.until)?.unwrap_or(present).min(present);
    let mut month = newest;
    let mut rows = Vec::with_capacity(MONTHS_PER_PAGE);
    while rows.len() < MONTHS_PER_PAGE && (month >= oldest || rows.is_empty()) {
        rows.push(month_row(&state, &view, month).await?);
        month = month.previous();
    }
    let (start, end) = present.bounds(&view.zone);
    let usage = state.store.usage_total(view.id(), start, end).await?;
    let not_billed = usage.payg_mails.saturating_sub(usage.billed_mails);
    let path = view.href(BILLS);
    let next = (month >= oldest).then(|| with_query(&path, &[("until", &month.to_string())]));
    page(&IndexPage {
        shell: view
            .shell(&state, Place::Bills, "Bills")
            .with_crumbs(vec![view.crumb("Billing Management", "/billing"), here("Bills")]),
        open: state.money(view.numbers.open.0),
        due: state.money(view.numbers.due.0),
        is_due: view.numbers.due.0 > 0,
        unpaid_href: view.href(&format!("{BILLS}/unpaid")),
        this_month: state.money(usage.billed_micros),
        this_month_note: match not_billed {
            0 => format!("for {}", format::mails_noun(usage.billed_mails)),
            more => format!(
                "for {}; {} more are billed when their hour has ended",
                format::mails_noun(usage.billed_mails),
                format::mails(more)
            ),
        },
        price: state.money(state.prices.pay_as_you_go().0),
        threshold: state.money(state.config.collection.threshold.0),
        next_first: view.zone.moment(end).full(),
        rows,
        pager: Pager::newest_first((newest < present).then(|| path.clone()), next),
    })
}

async fn month_row(state: &ConsoleState, view: &AccountView, month: Month) -> Result<MonthRow, ConsoleError> {
    let (start, end) = month.bounds(&view.zone);
    let usage = state.store.usage_total(view.id(), start, end).await?;
    let bills = state.store.bill_total(view.id(), start, end).await?;
    Ok(MonthRow {
        name: month.name(),
        href: view.href(&format!("{BILLS}/{month}")),
        statement_href: view.href(&format!("{}/{month}", crate::shell::STATEMENTS)),
        free: format::mails(usage.free_mails),
        package: format::mails(usage.package_mails),
        payg: format::mails(usage.payg_mails),
        bills: format::mails(bills.bills),
        billed: state.money(bills.amount.0),
        paid: state.money(bills.paid.0),
        outstanding: state.money(bills.outstanding.0),
    })
}

#[derive(Template)]
#[template(path = "bills/unpaid.html")]
struct UnpaidPage {
    shell: Shell,
    open: String,
    due: String,
    threshold: String,
    next_first: String,
    rows: Vec<BillRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// What the unpaid bills are asked with: the last bill of the page before, as `hour-number`.
#[derive(Deserialize)]
pub struct UnpaidQuery {
    #[serde(default)]
    after: String,
}

/// `GET …/billing/bills/unpaid`
pub async fn unpaid(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<UnpaidQuery>,
) -> Result<Response, ConsoleError> {
    let after = asked(&query.after, A_PLACE, |text| {
        let (hour, number) = text.rsplit_once('-')?;
        let token: (i64, i64) = (hour.parse().ok()?, number.parse().ok()?);
        Some(token)
    })?;
    let wanted = BillQuery {
        account_id: view.id(),
        from: UnixMicros(i64::MIN),
        before: UnixMicros(i64::MAX),
        only_open: true,
        after,
        limit: BILLS_PER_PAGE as i64 + 1,
        newest_first: false,
    };
    let mut bills = state.store.bills(&wanted).await?;
    let has_more = bills.len() > BILLS_PER_PAGE;
    bills.truncate(BILLS_PER_PAGE);
    let path = view.href(&format!("{BILLS}/unpaid"));
    let next = bills
        .last()
        .filter(|_| has_more)
        .map(|last| with_query(&path, &[("after", &format!("{}-{}", last.hour_start.0, last.number))]));
    let (_, end) = Month::of(&view.zone, view.now).bounds(&view.zone);
    page(&UnpaidPage {
        shell: view
            .shell(&state, Place::Bills, "Unpaid bills")
            .with_crumbs(crumbs(&view, vec![here("Unpaid")])),
        open: state.money(view.numbers.open.0),
        due: state.money(view.numbers.due.0),
        threshold: state.money(state.config.collection.threshold.0),
        next_first: view.zone.moment(end).full(),
        empty: bills.is_empty().then(|| {
            let text = "Every bill is paid. An hour with pay-as-you-go mails is billed when it has ended.";
            Empty::new(Icon::Check, "Nothing is unpaid", text)
                .with_link(view.href(BILLS), "All bills by month")
        }),
        rows: bills.iter().map(|bill| BillRow::of(&state, &view, bill)).collect(),
        pager: Pager::walked(
            after.map(|_| path.clone()),
            next,
            "Oldest hour first",
            ("Back to the oldest", "Newer"),
        ),
    })
}

/// `GET …/billing/bills/{period}`: a month or a day.
pub async fn period(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, period)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    if let Some(found) = Month::parse(&period) {
        return month::show(&state, &view, found).await;
    }
    match parse_day(&period) {
        Some(found) => day::show(&state, &view, found).await,
        None => Err(ConsoleError::NotFound { what: "month or day" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_that_comes_twice_is_told_apart_by_its_offset() {
        let berlin = Zone::named("Europe/Berlin");
        let at = |text: &str| UnixMicros::parse(text).expect("an instant");
        let (first, second, third) =
            (at("2026-10-25T00:00:00Z"), at("2026-10-25T01:00:00Z"), at("2026-10-25T02:00:00Z"));
        assert_eq!(hour_name(&berlin, first, second, true), "02:00 (UTC+02:00) to 02:00 (UTC+01:00)");
        assert_eq!(hour_name(&berlin, second, third, true), "02:00 (UTC+01:00) to 03:00 (UTC+01:00)");
        assert_eq!(hour_name(&berlin, second, third, false), "02:00 to 03:00");
    }
}
