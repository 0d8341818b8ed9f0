//! The whole ledger of an account, newest line first: mails and money, each line with its two sides.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::ledger::{Transfer, Unit};
use serde::Deserialize;

use super::{amount_text, kind_text};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::{
        SelectOption,
        asked::{A_PLACE, asked, number},
        bills::ledger_href,
        with_query,
    },
    session::viewer::{AccountView, here},
    shell::{Place, Shell, TRANSACTIONS},
};

const LINES_PER_PAGE: usize = 50;

const UNITS: &[(&str, &str)] = &[("", "Mails and money"), ("mail", "Mails"), ("money", "Money")];

/// A line of the ledger as pages show it.
pub struct LineRow {
    pub number: i64,
    pub at: Moment,
    pub kind: &'static str,
    pub from: String,
    pub to: String,
    pub amount: String,
    /// Whose balance `before` and `after` are.
    pub side: String,
    pub before: String,
    pub after: String,
    pub memo: String,
    pub validity: Option<String>,
    pub href: String,
    pub transaction: i64,
}

impl LineRow {
    pub fn of(state: &ConsoleState, view: &AccountView, line: &Transfer) -> Self {
        let balance = |amount| match line.unit {
            Unit::Mail => format::mails(amount),
            Unit::Money => state.money(amount),
        };
        Self {
            number: line.sequence,
            at: view.zone.moment(line.at),
            kind: kind_text(line.kind),
            from: line.from.to_string(),
            to: line.to.to_string(),
            amount: amount_text(state, line.unit, line.amount),
            side: line.own_side().0.to_string(),
            before: balance(line.before),
            after: balance(line.after),
            memo: format::grouped_mails(&line.memo),
            validity: line.validity.map(|validity| {
                format!(
                    "pays from {} until {}",
                    view.zone.moment(validity.from).local,
                    view.zone.moment(validity.until).local
                )
            }),
            href: ledger_href(view, line.transaction_id),
            transaction: line.transaction_id,
        }
    }
}

/// What the ledger is asked with.
#[derive(Deserialize)]
pub struct LedgerQuery {
    #[serde(default)]
    unit: String,
    /// The number of the last line of the page before.
    #[serde(default)]
    before: String,
}

#[derive(Template)]
#[template(path = "transactions/ledger.html")]
struct LedgerPage {
    shell: Shell,
    action: String,
    units: Vec<SelectOption>,
    rows: Vec<LineRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// `GET …/billing/transactions/ledger`
pub async fn ledger(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<LedgerQuery>,
) -> Result<Response, ConsoleError> {
    let before = number(&query.before, A_PLACE)?;
    let unit = asked(&query.unit, "a unit: mail or money", |text| text.parse::<Unit>().ok())?;
    let mut lines = state.store.ledger_lines(view.id(), before, unit, LINES_PER_PAGE as i64 + 1).await?;
    let has_more = lines.len() > LINES_PER_PAGE;
    lines.truncate(LINES_PER_PAGE);
    let action = view.href(&format!("{TRANSACTIONS}/ledger"));
    let address = |before: &str| with_query(&action, &[("unit", &query.unit), ("before", before)]);
    let next = lines.last().filter(|_| has_more).map(|last| address(&last.sequence.to_string()));
    page(&LedgerPage {
        shell: view.shell(&state, Place::Transactions, "Ledger").with_crumbs(vec![
            view.crumb("Billing Management", "/billing"),
            view.crumb("Balance and transactions", TRANSACTIONS),
            here("Ledger"),
        ]),
        units: SelectOption::list(UNITS, &query.unit),
        rows: lines.iter().map(|line| LineRow::of(&state, &view, line)).collect(),
        pager: Pager::newest_first(before.map(|_| address("")), next),
        empty: lines.is_empty().then(|| {
            Empty::new(Icon::Wallet, "No line of this unit", "Choose the other, or see both.")
                .with_link(&action, "Show mails and money")
        }),
        action,
    })
}
