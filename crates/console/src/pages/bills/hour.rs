//! One clock hour: what its mails were paid from, its bill, how the amount was rounded, and the adjustments that
//! late usage or mails given back made necessary.

use askama::Template;
use axum::{
    extract::{Path, Query, State},
    response::Response,
};
use indicia_domain::{
    ledger::{Kind, Transfer},
    money::MoneyMicros,
    time::{HOUR_MICROS, UnixMicros},
};
use indicia_store::{
    bill::{Bill, BillQuery},
    ledger::DeductionQuery,
    usage::UsageHour,
};

use serde::Deserialize;

use super::{BillRow, crumbs, hour_href, hour_name, with_query};
use crate::{
    ConsoleState,
    components::{Link, Note, Pager, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::{
        asked::{A_PLACE, asked},
        transactions::{parse_token, token_text},
    },
    period::Month,
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, Shell},
};

/// Bills of one hour that a page shows; there is one, and one more for each time that its usage changed later.
const BILLS_MAX: i64 = 1_000;

struct Line {
    row: BillRow,
    /// Why there is an adjustment.
    reason: Option<String>,
}

/// A message of the hour, or what of one was given back in it.
struct MessageLine {
    at: Moment,
    href: String,
    id: i64,
    mails: String,
    is_reversal: bool,
}

/// Messages on one page.
const MESSAGES_PER_PAGE: usize = 50;

#[derive(Template)]
#[template(path = "bills/hour.html")]
struct HourPage {
    shell: Shell,
    title: String,
    zone: String,
    free: String,
    package: String,
    payg: String,
    notes: Vec<Note>,
    computation: Option<String>,
    total: String,
    lines: Vec<Line>,
    mails_href: String,
    messages: Vec<MessageLine>,
    pager: Pager,
}

/// What the page is asked with: the last message line of the page before.
#[derive(Deserialize)]
pub struct HourQuery {
    #[serde(default)]
    after: String,
}

/// `GET …/billing/bills/hours/{second}`, by the Unix time at which the hour begins.
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, second)): Path<(String, String)>,
    Query(query): Query<HourQuery>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "hour with mails" };
    let second: i64 = second.parse().map_err(|_| missing())?;
    let start = UnixMicros::from_seconds(second);
    let hours = state.store.usage_hours(view.id(), start, start.plus_micros(1)).await?;
    let hour = hours.into_iter().next().ok_or_else(missing)?;
    let wanted = BillQuery {
        account_id: view.id(),
        from: start,
        before: start.plus_micros(1),
        only_open: false,
        after: None,
        limit: BILLS_MAX,
        newest_first: false,
    };
    let bills = state.store.bills(&wanted).await?;
    let (messages, pager) = messages(&state, &view, &hour, &query.after).await?;
    let date = view.zone.moment(start).date().to_owned();
    let month = Month::of(&view.zone, start);
    let is_odd = {
        let (from, before) = view.zone.day(start.civil(view.zone.time_zone()).date());
        before.0 - from.0 != 24 * HOUR_MICROS
    };
    let name = hour_name(&view.zone, hour.hour_start, hour.hour_end, is_odd);
    let way = vec![
        Link::new(view.href(&format!("{BILLS}/{month}")), month.name()),
        Link::new(view.href(&format!("{BILLS}/{date}")), date.clone()),
        here(name.clone()),
    ];
    page(&HourPage {
        shell: view
            .shell(&state, Place::Bills, &format!("Bill of {date}, {name}"))
            .with_crumbs(crumbs(&view, way)),
        title: format!("{date}, {name}"),
        zone: view.zone.label(start),
        free: format::mails(hour.free_mails),
        package: format::mails(hour.package_mails),
        payg: format::mails(hour.payg_mails),
        notes: notes(&view, &hour),
        computation: computation(&state, &hour, &bills),
        total: state.money(hour.billed_micros),
        mails_href: super::with_query(&view.href("/mails"), &[("from", &date), ("to", &date)]),
        lines: lines(&state, &view, &bills),
        messages,
        pager,
    })
}

/// The lines behind the hour's pay-as-you-go mails.
async fn messages(
    state: &ConsoleState,
    view: &AccountView,
    hour: &UsageHour,
    after: &str,
) -> Result<(Vec<MessageLine>, Pager), ConsoleError> {
    let wanted = DeductionQuery {
        account_id: view.id(),
        instance_id: None,
        from: hour.hour_start,
        before: hour.hour_end,
        after: asked(after, A_PLACE, parse_token)?,
        limit: MESSAGES_PER_PAGE as i64 + 1,
        newest_first: false,
    };
    let mut lines = state.store.pay_as_you_go_lines(&wanted).await?;
    let has_more = lines.len() > MESSAGES_PER_PAGE;
    lines.truncate(MESSAGES_PER_PAGE);
    let path = hour_href(view, hour.hour_start);
    let next =
        lines.last().filter(|_| has_more).map(|last| with_query(&path, &[("after", &token_text(last))]));
    let first = wanted.after.map(|_| path.clone());
    let pager = Pager::walked(first, next, "Oldest first", ("Back to the oldest", "Newer"));
    let message = |line: &Transfer| MessageLine {
        at: view.zone.moment(line.at),
        href: view.href(&format!("/mails/{}", line.transaction_id)),
        id: line.transaction_id,
        mails: format::mails(if line.kind == Kind::Send { line.amount } else { -line.amount }),
        is_reversal: line.kind != Kind::Send,
    };
    Ok((lines.iter().map(message).collect(), pager))
}

fn notes(view: &AccountView, hour: &UsageHour) -> Vec<Note> {
    let not_billed = hour.payg_mails - hour.billed_mails;
    if not_billed == 0 {
        return Vec::new();
    }
    let title = match not_billed {
        1.. => format!("{} not billed yet", format::mails_noun(not_billed)),
        _ => format!("{} given back and not credited yet", format::mails_noun(-not_billed)),
    };
    let text = if view.now < hour.hour_end {
        format!("The bill is made when the hour has ended, at {}.", view.zone.moment(hour.hour_end).full())
    } else {
        "The next run of the billing job brings the hour's bills up to date.".into()
    };
    vec![Note::new(Tone::Info, title, text)]
}

/// R10: how the hour's amount comes about.
fn computation(state: &ConsoleState, hour: &UsageHour, bills: &[Bill]) -> Option<String> {
    let last = bills.last()?;
    let exact = last.price.checked_mul(hour.billed_mails)?;
    let product = format!(
        "{} at {} each are {}",
        format::mails_noun(hour.billed_mails),
        state.money(last.price.0),
        state.money(exact.0)
    );
    let billed = MoneyMicros(hour.billed_micros);
    Some(if hour.billed_mails == 0 {
        "All of the hour's pay-as-you-go mails were given back, so nothing is charged.".into()
    } else if exact == billed {
        format!("{product}, a whole number of cents.")
    } else if billed.0 == 10_000 && exact.0 < 5_000 {
        format!("{product}; an hour with any usage costs at least {}.", state.money(billed.0))
    } else {
        format!("{product}; rounded half-up to the cent: {}.", state.money(billed.0))
    })
}

fn lines(state: &ConsoleState, view: &AccountView, bills: &[Bill]) -> Vec<Line> {
    let mut mails = 0_i64;
    let mut lines = Vec::with_capacity(bills.len());
    for bill in bills {
        mails = mails.saturating_add(bill.mails);
        lines.push(Line { row: BillRow::of(state, view, bill), reason: reason(bill, mails) });
    }
    lines
}

/// Why an adjustment was made: more mails were charged to the hour after its bill, or mails were given back.
fn reason(bill: &Bill, mails: i64) -> Option<String> {
    if !bill.is_adjustment() {
        return None;
    }
    let changed = match bill.mails {
        1 => "1 mail was charged to this hour after it had been billed".to_owned(),
        more @ 2.. => {
            format!("{} mails were charged to this hour after it had been billed", format::mails(more))
        }
        -1 => "1 mail was given back after the hour had been billed".to_owned(),
        fewer => format!(
            "{} mails were given back after the hour had been billed",
            format::mails(fewer.saturating_neg())
        ),
    };
    Some(format!(
        "{changed}. The bills together are now what one bill of {} would be.",
        format::mails_noun(mails)
    ))
}

#[cfg(test)]
mod tests {
    use indicia_domain::ledger::bill::amount;

    use super::*;

    fn bill(number: i64, mails: i64, amount: MoneyMicros) -> Bill {
        Bill {
            account_id: 1,
            bill_id: number,
            hour_start: UnixMicros(0),
            hour_end: UnixMicros(HOUR_MICROS),
            day: 0,
            number,
            mails,
            amount,
            price: MoneyMicros(290),
            made_at: UnixMicros(HOUR_MICROS),
            due_at: None,
            settled_at: None,
            settlement_id: None,
        }
    }

    #[test]
    fn r03_an_adjustment_says_what_happened_and_what_it_makes_of_the_hour() {
        let price = MoneyMicros(290);
        let back = bill(2, -80, MoneyMicros(amount(price, 20).0 - amount(price, 100).0));
        let text = reason(&back, 20).expect("an adjustment has a reason");
        assert!(text.starts_with("80 mails were given back after the hour had been billed."), "{text}");
        assert!(text.ends_with("what one bill of 20 mails would be."), "{text}");
        assert_eq!(reason(&bill(1, 100, amount(price, 100)), 100), None);
    }
}
