//! The cash balance over a statement's month: what it was, what changed it by kind, what it is.

use indicia_store::statement::{CashMonth, CashSum};

use super::Period;
use crate::{
    ConsoleState,
    components::{Note, Tone},
    format,
    pages::{transactions::signed, with_query},
    session::viewer::AccountView,
    shell::TRANSACTIONS,
};

/// Lines listed on the sheet; the sums are of all.
pub const LINES_SHOWN: usize = 100;

/// A line of the sheet: the sum of one kind.
pub struct MoneyRow {
    pub name: &'static str,
    pub href: String,
    pub count: String,
    pub amount: String,
}

/// One row for each kind that there is, and always those that a reader looks for.
pub fn rows(state: &ConsoleState, view: &AccountView, period: &Period, cash: &CashMonth) -> Vec<MoneyRow> {
    let path = view.href(TRANSACTIONS);
    let month = period.month.to_string();
    let row_of = |sum: CashSum| MoneyRow {
        name: sum.name,
        href: with_query(&path, &[("month", &month), ("kind", sum.kind.as_str())]),
        count: if sum.count == 0 { "none".into() } else { format::counted(sum.count, "line") },
        amount: signed(state, sum.amount.0),
    };
    cash.rows().into_iter().map(row_of).collect()
}

/// What is not listed on the sheet.
pub fn more_text(cash: &CashMonth) -> Option<String> {
    let more = cash.count - cash.lines.len() as i64;
    (more > 0).then(|| format!("and {} more", format::counted(more, "line")))
}

/// R25: opening and changes make the closing; said aloud if they ever do not.
pub fn contradiction(state: &ConsoleState, cash: &CashMonth) -> Option<Note> {
    let expected = cash.expected_closing();
    (expected != cash.closing).then(|| {
        let text = format!(
            "The lines of this month make {} of the opening balance, but the ledger's closing balance is {}. Do not rely \
             on this sheet, and tell the operator of this installation.",
            state.money(expected.0),
            state.money(cash.closing.0)
        );
        Note::new(Tone::Bad, "This statement does not add up", text)
    })
}
