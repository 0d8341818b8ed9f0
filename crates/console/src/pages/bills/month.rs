//! A month: its days with what paid for their mails and what was billed, and the collections that fell into it.

use askama::Template;
use axum::response::Response;
use indicia_domain::time::civil_date;
use indicia_store::{collection::Settlement, usage::UsageTotal};

use super::{crumbs, ledger_href};
use crate::{
    ConsoleState,
    charts::{Column, Columns, Ink},
    components::Empty,
    components::Icon,
    error::{ConsoleError, page},
    format::{self, Moment},
    period::Month,
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, STATEMENTS, Shell},
};

struct DayRow {
    date: String,
    href: String,
    free: String,
    package: String,
    payg: String,
    billed_mails: String,
    billed: String,
}

/// A collection from the cash balance.
pub struct SettlementRow {
    pub at: Moment,
    pub cause: &'static str,
    pub bills: String,
    pub amount: String,
    pub href: String,
}

impl SettlementRow {
    pub fn of(state: &ConsoleState, view: &AccountView, settlement: &Settlement) -> Self {
        Self {
            at: view.zone.moment(settlement.at),
            cause: cause_text(settlement.cause.as_str()),
            bills: format::mails(settlement.bills),
            amount: state.money(settlement.amount.0),
            href: ledger_href(view, settlement.settlement_id),
        }
    }
}

/// Why bills were collected, for the reader.
pub fn cause_text(cause: &str) -> &'static str {
    match cause {
        "threshold" => "Open bills reached the threshold",
        "month" => "The 1st of the month",
        _ => "Money came in for bills that were due",
    }
}

#[derive(Template)]
#[template(path = "bills/month.html")]
struct MonthPage {
    shell: Shell,
    name: String,
    lede: String,
    statement_href: String,
    previous: Option<(String, String)>,
    next: Option<(String, String)>,
    total: DayRow,
    bills: String,
    paid: String,
    outstanding: String,
    chart: Columns,
    rows: Vec<DayRow>,
    settlements: Vec<SettlementRow>,
    empty: Option<Empty>,
}

/// The page of `month`.
pub async fn show(state: &ConsoleState, view: &AccountView, month: Month) -> Result<Response, ConsoleError> {
    let (start, end) = month.bounds(&view.zone);
    let days = state.store.usage_days(view.id(), start, end).await?;
    let usage = state.store.usage_total(view.id(), start, end).await?;
    let bills = state.store.bill_total(view.id(), start, end).await?;
    let settlements = state.store.settlements(view.id(), start, end).await?;
    let present = Month::of(&view.zone, view.now);
    let oldest = Month::of(&view.zone, view.account.created_at);
    let neighbour = |other: Month| (view.href(&format!("{BILLS}/{other}")), other.name());
    let name = month.name();
    page(&MonthPage {
        shell: view
            .shell(state, Place::Bills, &format!("Bills of {name}"))
            .with_crumbs(crumbs(view, vec![here(name.clone())])),
        lede: format!(
            "{} to {}, local days in {}.",
            view.zone.moment(start).date(),
            view.zone.moment(end.plus_micros(-1)).date(),
            view.zone.label_between(start, end)
        ),
        statement_href: view.href(&format!("{STATEMENTS}/{month}")),
        previous: (month > oldest).then(|| neighbour(month.previous())),
        next: (month < present).then(|| neighbour(month.next())),
        bills: format::counted(bills.bills, "bill"),
        paid: state.money(bills.paid.0),
        outstanding: state.money(bills.outstanding.0),
        chart: chart(view, month, &days),
        empty: days.is_empty().then(|| {
            Empty::new(
                Icon::Wallet,
                "No mail was charged in this month",
                "A line appears here with the first accepted mail.",
            )
            .with_link(view.href(BILLS), "Other months")
        }),
        total: day_row(state, view, None, &usage),
        rows: days.iter().map(|(day, usage)| day_row(state, view, Some(*day), usage)).collect(),
        settlements: settlements
            .iter()
            .map(|settlement| SettlementRow::of(state, view, settlement))
            .collect(),
        name,
    })
}

fn day_row(state: &ConsoleState, view: &AccountView, day: Option<i64>, usage: &UsageTotal) -> DayRow {
    let date = day.map(|day| civil_date(day).to_string()).unwrap_or_default();
    DayRow {
        href: view.href(&format!("{BILLS}/{date}")),
        date,
        free: format::mails(usage.free_mails),
        package: format::mails(usage.package_mails),
        payg: format::mails(usage.payg_mails),
        billed_mails: format::mails(usage.billed_mails),
        billed: state.money(usage.billed_micros),
    }
}

/// Every day of the month has a column, those to come and those without mail too.
fn chart(view: &AccountView, month: Month, days: &[(i64, UsageTotal)]) -> Columns {
    let (first, after) = month.day_numbers(&view.zone);
    let columns = (first..after).map(|day| {
        let usage = days.iter().find(|(number, _)| *number == day).map(|(_, usage)| usage);
        let of = |part: fn(&UsageTotal) -> i64| usage.map_or(0, part);
        Column {
            label: civil_date(day).strftime("%d").to_string(),
            values: vec![
                of(|usage| usage.free_mails),
                of(|usage| usage.package_mails),
                of(|usage| usage.payg_mails),
            ],
        }
    });
    Columns {
        title: format!("Mails charged per day of {}, by what paid", month.name()),
        series: vec![
            ("Free credit".into(), Ink::Good),
            ("Packages".into(), Ink::Used),
            ("Pay-as-you-go".into(), Ink::Pending),
        ],
        columns: columns.collect(),
    }
}
