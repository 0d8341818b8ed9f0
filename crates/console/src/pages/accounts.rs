//! The operator's list of accounts.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::time;
use indicia_store::account::{Account, AccountNumbers};
use serde::Deserialize;

use super::{status::account_badge, with_query};
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment, Zone},
    session::viewer::{Viewer, here},
    shell::{Place, Shell, account_href},
};

const PAGE_SIZE: usize = 50;

struct Row {
    href: String,
    name: String,
    id: i64,
    email: String,
    badge: Badge,
    quota: String,
    balance: String,
    created_at: Moment,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct AccountsQuery {
    /// The id of the last account of the page before.
    #[serde(default)]
    after: String,
}

/// `GET /accounts`
pub async fn list(
    State(state): State<ConsoleState>,
    viewer: Viewer,
    Query(query): Query<AccountsQuery>,
) -> Result<Response, ConsoleError> {
    if !viewer.is_operator() {
        return Err(ConsoleError::NotFound { what: "page" });
    }
    let after = query.after.parse().unwrap_or(i64::MIN);
    let mut accounts = state.store.accounts(after, PAGE_SIZE as i64 + 1).await?;
    let has_more = accounts.len() > PAGE_SIZE;
    accounts.truncate(PAGE_SIZE);
    let mut rows = Vec::with_capacity(accounts.len());
    for account in &accounts {
        if let Some(numbers) = state.store.account_numbers(account.account_id).await? {
            rows.push(row(&state, account, &numbers));
        }
    }
    let next = accounts.last().filter(|_| has_more);
    let next = next.map(|last| with_query("/accounts", &[("after", &last.account_id.to_string())]));
    let first = (after != i64::MIN).then(|| "/accounts".to_owned());
    page(&AccountsPage {
        shell: Shell::new(&state, &viewer, None, Place::Accounts, "Accounts")
            .with_crumbs(vec![here("Accounts")]),
        empty: rows.is_empty().then(|| {
            let how = "Make one with: indicia account create --name NAME --email ADDRESS --json";
            Empty::new(Icon::People, "There is no account yet", how)
        }),
        pager: Pager::walked(first, next, "In the order of their creation", ("Back to the first", "More")),
        rows,
    })
}

fn row(state: &ConsoleState, account: &Account, numbers: &AccountNumbers) -> Row {
    let used = time::zone(&account.zone)
        .map(|zone| time::local_day(&zone, state.now()).number)
        .map_or(0, |day| if numbers.quota_day == day { numbers.quota_day_used } else { 0 });
    Row {
        href: account_href(account.account_id, ""),
        name: account.name.clone(),
        id: account.account_id,
        email: account.email.clone(),
        badge: account_badge(numbers.status),
        quota: format!("{} of {}", format::mails(used), format::mails(numbers.daily_quota)),
        balance: state.money(numbers.cash.0),
        created_at: Zone::named("UTC").moment(account.created_at),
    }
}
