//! A local day: its hours, each with what paid for its mails and what was billed for it.

use std::collections::HashMap;

use askama::Template;
use axum::response::Response;
use indicia_domain::{
    money::MoneyMicros,
    time::{HOUR_MICROS, UnixMicros},
};
use indicia_store::{
    bill::BillQuery,
    usage::{UsageHour, UsageTotal},
};
use jiff::civil::Date;

use super::{crumbs, exact, hour_href, hour_name};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Link},
    error::{ConsoleError, page},
    format,
    period::Month,
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, Shell},
};

struct HourRow {
    name: String,
    href: String,
    free: String,
    package: String,
    payg: String,
    billed: String,
    exact: Option<String>,
    /// Mails that have no bill yet.
    not_billed: Option<String>,
}

struct Sum {
    free: String,
    package: String,
    payg: String,
    billed: String,
}

#[derive(Template)]
#[template(path = "bills/day.html")]
struct DayPage {
    shell: Shell,
    name: String,
    lede: String,
    /// Said when the clocks change on this day.
    clock_change: Option<String>,
    previous: Option<String>,
    next: Option<String>,
    mails_href: String,
    rows: Vec<HourRow>,
    sum: Sum,
    empty: Option<Empty>,
}

/// Bills of one day that are looked at for their price: its hours', with room for adjustments.
const BILLS_MAX: i64 = 1_000;

/// The price a mail in each hour's latest bill.
async fn prices(
    state: &ConsoleState,
    view: &AccountView,
    from: UnixMicros,
    before: UnixMicros,
) -> Result<HashMap<UnixMicros, MoneyMicros>, ConsoleError> {
    let wanted = BillQuery {
        account_id: view.id(),
        from,
        before,
        only_open: false,
        after: None,
        limit: BILLS_MAX,
        newest_first: false,
    };
    let bills = state.store.bills(&wanted).await?;
    Ok(bills.into_iter().map(|bill| (bill.hour_start, bill.price)).collect())
}

/// The page of the local day `date`.
pub async fn show(state: &ConsoleState, view: &AccountView, date: Date) -> Result<Response, ConsoleError> {
    let (start, end) = view.zone.day(date);
    let hours = state.store.usage_hours(view.id(), start, end).await?;
    let usage = state.store.usage_total(view.id(), start, end).await?;
    let prices = prices(state, view, start, end).await?;
    let length_hours = (end.0 - start.0) / HOUR_MICROS;
    let is_odd = end.0 - start.0 != 24 * HOUR_MICROS;
    let month = Month::of(&view.zone, start);
    let neighbour = |other: Option<Date>| other.map(|date| view.href(&format!("{BILLS}/{date}")));
    let name = date.to_string();
    page(&DayPage {
        shell: view.shell(state, Place::Bills, &format!("Bills of {name}")).with_crumbs(crumbs(
            view,
            vec![Link::new(view.href(&format!("{BILLS}/{month}")), month.name()), here(name.clone())],
        )),
        lede: format!("The clock hours of this day in {}. Each hour with pay-as-you-go mails is billed when it has ended.", view.zone.label_between(start, end)),
        clock_change: is_odd.then(|| {
            format!("The clocks change on this day: it has {length_hours} hours, and each is shown with its offset from UTC.")
        }),
        previous: neighbour(date.yesterday().ok().filter(|_| start > view.account.created_at)),
        next: neighbour(date.tomorrow().ok().filter(|_| end <= view.now)),
        mails_href: super::with_query(&view.href("/mails"), &[("from", &name), ("to", &name)]),
        empty: hours.is_empty().then(|| {
            Empty::new(Icon::Wallet, "No mail was charged on this day", "The month shows the days that have any.")
                .with_link(view.href(&format!("{BILLS}/{month}")), month.name())
        }),
        rows: hours.iter().map(|hour| hour_row(state, view, hour, prices.get(&hour.hour_start), is_odd)).collect(),
        sum: sum(state, &usage),
        name,
    })
}

fn hour_row(
    state: &ConsoleState,
    view: &AccountView,
    hour: &UsageHour,
    price: Option<&MoneyMicros>,
    has_offset: bool,
) -> HourRow {
    let not_billed = hour.payg_mails - hour.billed_mails;
    let billed = MoneyMicros(hour.billed_micros);
    HourRow {
        name: hour_name(&view.zone, hour.hour_start, hour.hour_end, has_offset),
        href: hour_href(view, hour.hour_start),
        free: format::mails(hour.free_mails),
        package: format::mails(hour.package_mails),
        payg: format::mails(hour.payg_mails),
        billed: state.money(hour.billed_micros),
        exact: price.and_then(|price| exact(state, *price, hour.billed_mails, billed)),
        not_billed: (not_billed != 0).then(|| format!("{} not billed yet", format::mails(not_billed))),
    }
}

fn sum(state: &ConsoleState, usage: &UsageTotal) -> Sum {
    Sum {
        free: format::mails(usage.free_mails),
        package: format::mails(usage.package_mails),
        payg: format::mails(usage.payg_mails),
        billed: state.money(usage.billed_micros),
    }
}
