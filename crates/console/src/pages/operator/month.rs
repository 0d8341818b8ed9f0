//! One month of all accounts: what was billed and what of it is paid, packages sold, payments that came in.
//!
//! Bills belong to the local month of each account's own calendar, as on its statement; settlements, orders and
//! payments are counted by their instant, in UTC.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_store::{
    money::TopUpRow,
    oversight::{AccountBills, MonthBills, Sum},
};
use serde::Deserialize;

use super::{OperatorView, account_link};
use crate::{
    ConsoleState,
    components::Link,
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::{asked, with_query},
    period::Month,
    shell::{BILLS, Place, Shell, TRANSACTIONS, account_href},
};

const ACCOUNTS_SHOWN: i64 = 20;
const TOP_UPS_SHOWN: i64 = 50;
const HREF: &str = "/operator/month";

struct SumRow {
    name: String,
    count: String,
    amount: String,
}

/// A table of sums with its heading and what it says when empty.
struct SumTable {
    title: &'static str,
    what: &'static str,
    none: &'static str,
    rows: Vec<SumRow>,
    total: String,
}

struct AccountRow {
    href: String,
    name: String,
    id: i64,
    bills: String,
    mails: String,
    amount: String,
    outstanding: String,
}

struct TopUpLine {
    at: Moment,
    provider: String,
    account: Link,
    reference: String,
    event: String,
    amount: String,
    href: String,
}

struct Billed {
    amount: String,
    what: String,
    paid: String,
    due: String,
    outstanding: String,
}

#[derive(Template)]
#[template(path = "operator/month.html")]
struct MonthPage {
    shell: Shell,
    month: String,
    month_name: String,
    previous_href: String,
    next_href: Option<String>,
    billed: Billed,
    sums: Vec<SumTable>,
    accounts: Vec<AccountRow>,
    accounts_shown: i64,
    top_ups: Vec<TopUpLine>,
    top_ups_shown: i64,
}

#[derive(Deserialize)]
pub struct MonthQuery {
    #[serde(default)]
    month: String,
}

/// `GET /operator/month`
pub async fn show(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Query(query): Query<MonthQuery>,
) -> Result<Response, ConsoleError> {
    let present = Month::of(&operator.zone, state.now());
    let month = asked::month(&query.month)?.unwrap_or(present);
    let (first_day, next_first_day) = month.day_numbers(&operator.zone);
    let (from, before) = month.bounds(&operator.zone);
    let store = &state.store;
    let accounts = store.largest_bills(first_day, next_first_day, ACCOUNTS_SHOWN).await?;
    let top_ups = store.top_ups(None, from, before, TOP_UPS_SHOWN).await?;
    let sums = vec![
        sum_table(
            &state,
            "Settlements",
            "by what brought them about",
            "Nothing was collected in this month.",
            store.settlement_sums(from, before).await?,
        ),
        sum_table(
            &state,
            "Package orders",
            "by kind; refunds pay back",
            "No package was ordered in this month.",
            store.order_sums(from, before).await?,
        ),
        sum_table(
            &state,
            "Top-ups",
            "by payment provider",
            "No provider told of a payment in this month.",
            store.top_up_sums(from, before).await?,
        ),
    ];
    page(&MonthPage {
        shell: operator.shell(&state, Place::Month, "Bills and payments"),
        month: month.to_string(),
        month_name: month.name(),
        previous_href: with_query(HREF, &[("month", &month.previous().to_string())]),
        next_href: (month < present).then(|| with_query(HREF, &[("month", &month.next().to_string())])),
        billed: billed(&state, store.month_bills(first_day, next_first_day).await?),
        sums,
        accounts: accounts.iter().map(|account| account_row(&state, month, account)).collect(),
        accounts_shown: ACCOUNTS_SHOWN,
        top_ups: top_ups.iter().map(|top_up| top_up_line(&state, &operator, top_up)).collect(),
        top_ups_shown: TOP_UPS_SHOWN,
    })
}

fn billed(state: &ConsoleState, bills: MonthBills) -> Billed {
    Billed {
        amount: state.money(bills.amount.0),
        what: format!(
            "{} in {}, {} of them adjustments, of {}",
            format::mails_noun(bills.mails),
            format::counted(bills.bills, "bill"),
            format::mails(bills.adjustments),
            format::counted(bills.accounts, "account")
        ),
        paid: state.money(bills.paid.0),
        due: state.money(bills.due.0),
        outstanding: state.money(bills.amount.0.saturating_sub(bills.paid.0)),
    }
}

fn sum_table(
    state: &ConsoleState,
    title: &'static str,
    what: &'static str,
    none: &'static str,
    sums: Vec<Sum>,
) -> SumTable {
    let total = sums.iter().fold(0_i64, |total, sum| total.saturating_add(sum.amount.0));
    SumTable {
        title,
        what,
        none,
        total: state.money(total),
        rows: sums
            .into_iter()
            .map(|sum| SumRow {
                count: format::mails(sum.count),
                amount: state.money(sum.amount.0),
                name: capitalised(&sum.name),
            })
            .collect(),
    }
}

/// A word of the store as the first of a line: `threshold` becomes `Threshold`.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn account_row(state: &ConsoleState, month: Month, account: &AccountBills) -> AccountRow {
    AccountRow {
        href: account_href(account.account_id, &format!("{BILLS}/{month}")),
        name: account.name.clone(),
        id: account.account_id,
        bills: format::mails(account.bills),
        mails: format::mails(account.mails),
        amount: state.money(account.amount.0),
        outstanding: state.money(account.outstanding.0),
    }
}

fn top_up_line(state: &ConsoleState, operator: &OperatorView, top_up: &TopUpRow) -> TopUpLine {
    TopUpLine {
        at: operator.zone.moment(top_up.at),
        provider: top_up.provider.clone(),
        account: account_link(top_up.account_id),
        reference: top_up.payment_reference.clone(),
        event: top_up.event_id.clone(),
        amount: state.money(top_up.amount.0),
        href: account_href(top_up.account_id, TRANSACTIONS),
    }
}
