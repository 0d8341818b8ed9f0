//! The operator's list of accounts with their money: who is overdue, who owes most, whose packages run out.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::time;
use indicia_store::{
    oversight::{AccountMoney, AccountMoneyQuery, AccountOrder},
    package::PackageFilter,
    usage::UsageTotal,
};
use serde::Deserialize;

use super::OperatorView;
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment, Zone},
    pages::{
        SelectOption, asked,
        left::Left,
        packages::outlook::{Drawing, Reckoned},
        status::account_badge,
        with_query,
    },
    period::Month,
    shell::{BILLS, Place, Shell, account_href},
};

const PAGE_SIZE: usize = 50;

const ORDERS: &[(&str, &str)] = &[
    ("", "Created, oldest first"),
    ("owes-most", "Owes most first"),
    ("runs-out-first", "Packages run out first"),
];
const STATES: &[(&str, &str)] = &[("", "All"), ("overdue", "Overdue")];

struct Row {
    href: String,
    bills_href: String,
    name: String,
    id: i64,
    email: String,
    badge: Badge,
    overdue_since: Option<Moment>,
    cash: String,
    credit_limit: Option<String>,
    open: String,
    due: Option<String>,
    month_mails: String,
    month_sources: Vec<String>,
    packages_left: String,
    packages_later: Option<String>,
    future: String,
    /// Used today of the daily quota.
    quota: String,
}

#[derive(Template)]
#[template(path = "operator/accounts.html")]
struct AccountsPage {
    shell: Shell,
    orders: Vec<SelectOption>,
    states: Vec<SelectOption>,
    is_filtered: bool,
    rows: Vec<Row>,
    pager: Pager,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct AccountsQuery {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    status: String,
    /// The sort key and the id of the last account of the page before, as `key-id`.
    #[serde(default)]
    after: String,
}

impl AccountsQuery {
    fn query(&self) -> Result<AccountMoneyQuery, ConsoleError> {
        asked::choice(&self.sort, "an order of this list", ORDERS)?;
        asked::choice(&self.status, "a status of this list", STATES)?;
        Ok(AccountMoneyQuery {
            order: self.order(),
            only_overdue: self.status.trim() == "overdue",
            after: asked::asked(&self.after, asked::A_PLACE, place)?,
            limit: PAGE_SIZE as i64 + 1,
        })
    }

    fn order(&self) -> AccountOrder {
        match self.sort.trim() {
            "owes-most" => AccountOrder::OwesMost,
            "runs-out-first" => AccountOrder::RunsOutFirst,
            _ => AccountOrder::Created,
        }
    }

    fn href(&self, after: &str) -> String {
        with_query("/accounts", &[("sort", &self.sort), ("status", &self.status), ("after", after)])
    }
}

fn place(text: &str) -> Option<(i64, i64)> {
    let (key, id) = text.rsplit_once('-')?;
    Some((key.parse().ok()?, id.parse().ok()?))
}

/// `GET /accounts`
pub async fn list(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Query(query): Query<AccountsQuery>,
) -> Result<Response, ConsoleError> {
    let wanted = query.query()?;
    let mut accounts = state.store.account_money(&wanted).await?;
    let has_more = accounts.len() > PAGE_SIZE;
    accounts.truncate(PAGE_SIZE);
    let mut rows = Vec::with_capacity(accounts.len());
    for account in &accounts {
        let usage = month_usage(&state, account).await?;
        rows.push(row(&state, account, usage, in_packages(&state, account).await?));
    }
    let next = accounts.last().filter(|_| has_more);
    let next = next.map(|last| query.href(&format!("{}-{}", last.sort_key, last.account_id)));
    let order = ORDERS.iter().find(|(value, _)| *value == query.sort).map_or(ORDERS[0].1, |(_, text)| *text);
    page(&AccountsPage {
        shell: operator.shell(&state, Place::Accounts, "Accounts"),
        empty: rows.is_empty().then(|| nothing(&wanted)),
        pager: Pager::walked(
            wanted.after.map(|_| query.href("")),
            next,
            order,
            ("Back to the first", "More"),
        ),
        orders: SelectOption::list(ORDERS, &query.sort),
        states: SelectOption::list(STATES, &query.status),
        is_filtered: !query.sort.is_empty() || !query.status.is_empty(),
        rows,
    })
}

fn nothing(query: &AccountMoneyQuery) -> Empty {
    if query.after.is_some() {
        let text = "The accounts of this page may have changed their place meanwhile.";
        return Empty::new(Icon::People, "Here the list ends", text)
            .with_link("/accounts", "Back to the first");
    }
    if query.only_overdue {
        let text = "Every bill that was called in is paid.";
        return Empty::new(Icon::Check, "No account is overdue", text)
            .with_link("/accounts", "Show all accounts");
    }
    if query.order == AccountOrder::RunsOutFirst {
        let text = "Only accounts with mails left in packages are in this order.";
        return Empty::new(Icon::Package, "No account has mails left in packages", text)
            .with_link("/accounts", "Show all accounts");
    }
    let how = "Make one with: indicia account create --name NAME --email ADDRESS --json";
    Empty::new(Icon::People, "There is no account yet", how)
}

/// What the account used in the present month of its own calendar.
async fn month_usage(state: &ConsoleState, account: &AccountMoney) -> Result<UsageTotal, ConsoleError> {
    let zone = Zone::named(&account.zone);
    let (from, before) = Month::of(&zone, state.now()).bounds(&zone);
    Ok(state.store.usage_total(account.account_id, from, before).await?)
}

/// What an account has in packages, as its own pages say it.
struct InPackages {
    left: Left,
    /// What becomes of it; empty where nothing is left.
    future: String,
}

async fn in_packages(state: &ConsoleState, account: &AccountMoney) -> Result<InPackages, ConsoleError> {
    let (now, zone) = (state.now(), Zone::named(&account.zone));
    let rows = state.store.packages(account.account_id, &PackageFilter::default()).await?;
    let left = Left::of(rows.iter().map(|row| &row.package), now);
    if left.now_packages + left.later_packages == 0 {
        return Ok(InPackages { left, future: String::new() });
    }
    let drawing =
        Drawing { account_id: account.account_id, created_at: account.created_at, zone: &zone, now };
    let reckoned = Reckoned::load(state, &drawing, &rows).await?;
    let future = match reckoned.has_usage() {
        true => reckoned.future(&zone, now),
        false => reckoned.basis(),
    };
    Ok(InPackages { left, future })
}

fn row(state: &ConsoleState, account: &AccountMoney, usage: UsageTotal, packages: InPackages) -> Row {
    let zone = Zone::named(&account.zone);
    let today = time::local_day(zone.time_zone(), state.now()).number;
    let used = if account.quota_day == today { account.quota_day_used } else { 0 };
    Row {
        href: account_href(account.account_id, ""),
        bills_href: account_href(account.account_id, &format!("{BILLS}/unpaid")),
        name: account.name.clone(),
        id: account.account_id,
        email: account.email.clone(),
        badge: account_badge(account.status),
        overdue_since: account.overdue_since.map(|at| Zone::named("UTC").moment(at)),
        cash: state.money(account.cash.0),
        credit_limit: (account.credit_limit.0 != 0).then(|| state.money(account.credit_limit.0)),
        open: state.money(account.open.0),
        due: (account.due.0 != 0).then(|| state.money(account.due.0)),
        month_mails: format::mails(usage.mails()),
        month_sources: sources(&usage),
        packages_left: packages.left.now(),
        packages_later: packages.left.later(),
        future: packages.future,
        quota: format!("{} of {}", format::mails(used), format::mails(account.daily_quota)),
    }
}

fn sources(usage: &UsageTotal) -> Vec<String> {
    [(usage.free_mails, "free"), (usage.package_mails, "package"), (usage.payg_mails, "as you go")]
        .into_iter()
        .filter(|(mails, _)| *mails != 0)
        .map(|(mails, name)| format!("{} {name}", format::mails(mails)))
        .collect()
}
