//! The cash balance and every line that changed it, as a list and as CSV; and the whole ledger, in which every
//! amount of every page is found again (R25, R27).

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::{
    ledger::{Kind, LedgerAccount, Transfer, Unit},
    money::MoneyMicros,
    time::UnixMicros,
};
use indicia_store::ledger::DeductionToken;
use serde::Deserialize;

use super::{
    SelectOption,
    asked::{self, A_PLACE, asked},
    bills::ledger_href,
    with_query,
};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment},
    period::Month,
    session::viewer::{AccountView, here},
    shell::{BILLS, Place, STATEMENTS, Shell, TRANSACTIONS},
};

pub mod detail;
mod export;
mod ledger;
pub use export::export;
pub use ledger::{LineRow, ledger};

const LINES_PER_PAGE: usize = 50;
/// Lines read at a time when only one kind of them is wanted.
const LINES_PER_READ: i64 = 500;
/// Reads for one page at most; a page that finds too little by then says where it stopped and goes on from there.
const READS_MAX: usize = 40;

const KINDS: &[(&str, &str)] = &[
    ("", "All"),
    ("top-up", "Payments received"),
    ("credit", "Put on or taken off by the operator"),
    ("purchase", "Packages bought"),
    ("upgrade", "Packages upgraded"),
    ("refund", "Refunds"),
    ("settlement", "Bills collected"),
    ("adjustment", "Adjustments"),
];

/// What a transaction was, for the reader.
pub fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Opening => "Free credit granted",
        Kind::Send => "Mails charged",
        Kind::Reversal => "Mails given back",
        Kind::Purchase => "Package bought",
        Kind::Upgrade => "Package upgraded",
        Kind::Refund => "Package refunded",
        Kind::Bill => "Bill",
        Kind::Settlement => "Bills collected",
        Kind::Credit => "Operator's credit",
        Kind::TopUp => "Payment received",
        Kind::Adjustment => "Adjustment",
    }
}

/// An amount of a line in its own unit.
pub fn amount_text(state: &ConsoleState, unit: Unit, amount: i64) -> String {
    match unit {
        Unit::Mail => format::mails_noun(amount),
        Unit::Money => state.money(amount),
    }
}

/// By how much a line changed the cash balance; zero when it did not touch it.
pub fn cash_change(line: &Transfer) -> i64 {
    match (&line.from, &line.to) {
        (LedgerAccount::Cash, _) => -line.amount,
        (_, LedgerAccount::Cash) => line.amount,
        _ => 0,
    }
}

/// A line of the cash balance.
pub struct CashRow {
    pub at: Moment,
    pub kind: &'static str,
    pub memo: String,
    pub before: String,
    pub change: String,
    pub is_incoming: bool,
    pub after: String,
    pub href: String,
}

impl CashRow {
    pub fn of(state: &ConsoleState, view: &AccountView, line: &Transfer) -> Self {
        let change = cash_change(line);
        Self {
            at: view.zone.moment(line.at),
            kind: kind_text(line.kind),
            memo: format::grouped_mails(&line.memo),
            before: state.money(line.before),
            change: signed(state, change),
            is_incoming: change > 0,
            after: state.money(line.after),
            href: ledger_href(view, line.transaction_id),
        }
    }
}

/// An amount with its sign, `+` too.
pub fn signed(state: &ConsoleState, amount: i64) -> String {
    if amount > 0 { format!("+{}", state.money(amount)) } else { state.money(amount) }
}

/// What the list is asked with. Text all of it, so that what cannot be read is refused in words.
#[derive(Clone, Debug, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    month: String,
    #[serde(default)]
    kind: String,
    /// The last line of the page before, as `instant-line`.
    #[serde(default)]
    after: String,
}

impl ListQuery {
    fn read(&self) -> Result<Asked, ConsoleError> {
        let kind_named = |text: &str| {
            KINDS.iter().find(|(value, _)| *value == text).and_then(|(value, _)| value.parse().ok())
        };
        Ok(Asked {
            month: asked::month(&self.month)?,
            kind: asked(&self.kind, "a kind of line of the cash balance", kind_named)?,
            after: asked(&self.after, A_PLACE, parse_token)?,
        })
    }
}

/// The list that is asked for.
#[derive(Clone, Copy)]
struct Asked {
    month: Option<Month>,
    kind: Option<Kind>,
    after: Option<DeductionToken>,
}

impl Asked {
    /// The instants between which lines are listed.
    fn bounds(&self, view: &AccountView) -> (UnixMicros, UnixMicros) {
        let all = (UnixMicros(i64::MIN), UnixMicros(i64::MAX));
        self.month.map_or(all, |month| month.bounds(&view.zone))
    }
}

/// Reads the token of a line: `instant-line`.
pub fn parse_token(text: &str) -> Option<DeductionToken> {
    let (at, sequence) = text.rsplit_once('-')?;
    Some(DeductionToken { at: at.parse().ok()?, sequence: sequence.parse().ok()? })
}

/// The token of a line for an address.
pub fn token_text(line: &Transfer) -> String {
    format!("{}-{}", line.at.0, line.sequence)
}

/// One page of cash lines, newest first, and the token to go on from.
struct Found {
    lines: Vec<Transfer>,
    next: Option<String>,
}

async fn find(state: &ConsoleState, view: &AccountView, asked: &Asked) -> Result<Found, ConsoleError> {
    let (from, before) = asked.bounds(view);
    let kind = asked.kind;
    let mut after = asked.after;
    let mut lines: Vec<Transfer> = Vec::new();
    let limit = if kind.is_some() { LINES_PER_READ } else { LINES_PER_PAGE as i64 + 1 };
    for _ in 0..READS_MAX {
        let read = state.store.money_lines(view.id(), from, before, after, limit, true).await?;
        let is_end = (read.len() as i64) < limit;
        let last = read.last().map(|line| DeductionToken { at: line.at.0, sequence: line.sequence });
        lines.extend(read.into_iter().filter(|line| kind.is_none_or(|kind| line.kind == kind)));
        if lines.len() > LINES_PER_PAGE {
            lines.truncate(LINES_PER_PAGE);
            let next = lines.last().map(token_text);
            return Ok(Found { lines, next });
        }
        if is_end {
            return Ok(Found { lines, next: None });
        }
        after = last;
    }
    let next = after.map(|token| format!("{}-{}", token.at, token.sequence));
    Ok(Found { lines, next })
}

#[derive(Template)]
#[template(path = "transactions/list.html")]
struct ListPage {
    shell: Shell,
    cash: String,
    is_negative: bool,
    credit_limit: Option<String>,
    available: String,
    open: String,
    due: String,
    is_due: bool,
    unpaid_href: String,
    action: String,
    csv_href: String,
    ledger_href: String,
    statement_href: Option<String>,
    months: Vec<SelectOption>,
    kinds: Vec<SelectOption>,
    is_filtered: bool,
    rows: Vec<CashRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// Months in the list to choose from.
const MONTHS_MAX: usize = 36;

/// `GET /accounts/{account_id}/billing/transactions`
pub async fn list(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<ListQuery>,
) -> Result<Response, ConsoleError> {
    let asked = query.read()?;
    let found = find(&state, &view, &asked).await?;
    let action = view.href(TRANSACTIONS);
    let address = |after: &str| {
        with_query(&action, &[("month", &query.month), ("kind", &query.kind), ("after", after)])
    };
    let csv = format!("{action}/export.csv");
    let is_filtered = asked.month.is_some() || asked.kind.is_some();
    let numbers = &view.numbers;
    page(&ListPage {
        shell: view.shell(&state, Place::Transactions, "Balance and transactions").with_crumbs(vec![
            view.crumb("Billing Management", "/billing"),
            here("Balance and transactions"),
        ]),
        cash: state.money(numbers.cash.0),
        is_negative: numbers.cash.0 < 0,
        credit_limit: (numbers.credit_limit.0 > 0).then(|| state.money(numbers.credit_limit.0)),
        available: state.money(numbers.cash.0.saturating_add(numbers.credit_limit.0)),
        open: state.money(numbers.open.0),
        due: state.money(numbers.due.0),
        is_due: numbers.due > MoneyMicros::ZERO,
        unpaid_href: view.href(&format!("{BILLS}/unpaid")),
        csv_href: with_query(&csv, &[("month", &query.month), ("kind", &query.kind)]),
        ledger_href: format!("{action}/ledger"),
        statement_href: asked.month.map(|month| view.href(&format!("{STATEMENTS}/{month}"))),
        months: months(&view, asked.month),
        kinds: SelectOption::list(KINDS, &query.kind),
        is_filtered,
        empty: (found.lines.is_empty() && found.next.is_none()).then(|| nothing(&action, is_filtered)),
        rows: found.lines.iter().map(|line| CashRow::of(&state, &view, line)).collect(),
        pager: Pager::newest_first(asked.after.map(|_| address("")), found.next.as_deref().map(address)),
        action,
    })
}

fn nothing(action: &str, is_filtered: bool) -> Empty {
    if is_filtered {
        let text = "No line of the cash balance is of this month and kind.";
        return Empty::new(Icon::Wallet, "Nothing to show", text).with_link(action, "Show all lines");
    }
    let text = "The balance is changed by money that comes in, packages that are bought, and bills that are collected. Ask \
                the operator of this installation how to pay in.";
    Empty::new(Icon::Wallet, "No money has moved yet", text)
}

/// The months from the present one back to the account's first, to choose from.
fn months(view: &AccountView, chosen: Option<Month>) -> Vec<SelectOption> {
    let oldest = Month::of(&view.zone, view.account.created_at);
    let mut month = Month::of(&view.zone, view.now);
    let mut choices = vec![(String::new(), "All".to_owned())];
    for _ in 0..MONTHS_MAX {
        choices.push((month.to_string(), month.name()));
        if month <= oldest {
            break;
        }
        month = month.previous();
    }
    SelectOption::list(&choices, &chosen.map(|month| month.to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_touches_cash_can_be_chosen_by_the_name_the_ledger_has() {
        for (value, _) in &KINDS[1..] {
            assert!(value.parse::<Kind>().is_ok(), "{value}");
        }
    }

    #[test]
    fn a_token_reads_back_and_may_be_before_the_epoch() {
        let token = parse_token("-5-7").expect("a token");
        assert_eq!((token.at, token.sequence), (-5, 7));
        assert!(parse_token("x").is_none() && parse_token("1-").is_none());
    }
}
