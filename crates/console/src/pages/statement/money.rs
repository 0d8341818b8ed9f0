//! The cash balance over a statement's month: what it was, what changed it by kind, what it is.

use indicia_domain::{
    ledger::{Kind, Transfer},
    money::MoneyMicros,
};
use indicia_store::ledger::DeductionToken;

use super::Period;
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::ConsoleError,
    format,
    pages::{
        transactions::{cash_change, signed},
        with_query,
    },
    session::viewer::AccountView,
    shell::TRANSACTIONS,
};

/// Lines listed on the sheet; the sums are of all.
const LINES_SHOWN: usize = 100;
const LINES_PER_READ: i64 = 1_000;

/// The kinds that change the cash balance, in the order of the sheet.
const KINDS: &[(Kind, &str)] = &[
    (Kind::TopUp, "Payments received"),
    (Kind::Credit, "Put on by the operator"),
    (Kind::Purchase, "Packages bought"),
    (Kind::Upgrade, "Packages upgraded"),
    (Kind::Refund, "Packages refunded"),
    (Kind::Settlement, "Bills collected"),
    (Kind::Adjustment, "Adjustments"),
];

/// The cash balance over the month.
pub struct CashMonth {
    pub opening: MoneyMicros,
    pub closing: MoneyMicros,
    /// Change and number of lines of each of [`KINDS`].
    sums: Vec<(i64, i64)>,
    /// Change of lines of any other kind; there are none.
    other: i64,
    /// The first lines, oldest first.
    pub lines: Vec<Transfer>,
    count: i64,
}

/// A line of the sheet: the sum of one kind.
pub struct MoneyRow {
    pub name: &'static str,
    pub href: String,
    pub count: String,
    pub amount: String,
}

impl CashMonth {
    /// Reads the lines that changed the cash balance: purchases, payments, collections; never those of mails.
    pub async fn load(
        state: &ConsoleState,
        view: &AccountView,
        period: &Period,
    ) -> Result<Self, ConsoleError> {
        let opening = state.store.cash_before(view.id(), period.start).await?;
        let closing = state.store.cash_before(view.id(), period.end).await?;
        let mut month =
            Self { opening, closing, sums: vec![(0, 0); KINDS.len()], other: 0, lines: Vec::new(), count: 0 };
        let mut after = None;
        loop {
            let read = state
                .store
                .money_lines(view.id(), period.start, period.end, after, LINES_PER_READ, false)
                .await?;
            let is_end = (read.len() as i64) < LINES_PER_READ;
            after = read.last().map(|line| DeductionToken { at: line.at.0, sequence: line.sequence });
            read.into_iter().for_each(|line| month.add(line));
            if is_end {
                return Ok(month);
            }
        }
    }

    fn add(&mut self, line: Transfer) {
        let change = cash_change(&line);
        match KINDS.iter().position(|(kind, _)| *kind == line.kind).and_then(|at| self.sums.get_mut(at)) {
            Some((sum, count)) => {
                *sum = sum.saturating_add(change);
                *count += 1;
            }
            None => self.other = self.other.saturating_add(change),
        }
        self.count += 1;
        if self.lines.len() < LINES_SHOWN {
            self.lines.push(line);
        }
    }

    /// One row for each kind that there is, and always those that a reader looks for.
    pub fn rows(&self, state: &ConsoleState, view: &AccountView, period: &Period) -> Vec<MoneyRow> {
        let path = view.href(TRANSACTIONS);
        let month = period.month.to_string();
        let each = KINDS.iter().zip(&self.sums);
        each.filter(|((kind, _), (_, count))| {
            *count > 0 || matches!(kind, Kind::TopUp | Kind::Purchase | Kind::Settlement)
        })
        .map(|((kind, name), (sum, count))| MoneyRow {
            name,
            href: with_query(&path, &[("month", &month), ("kind", kind.as_str())]),
            count: if *count == 0 { "none".into() } else { format::counted(*count, "line") },
            amount: signed(state, *sum),
        })
        .collect()
    }

    /// What is not listed on the sheet.
    pub fn more_text(&self) -> Option<String> {
        let more = self.count - self.lines.len() as i64;
        (more > 0).then(|| format!("and {} more", format::counted(more, "line")))
    }

    /// R25: opening and changes make the closing; said aloud if they ever do not.
    pub fn contradiction(&self, state: &ConsoleState) -> Option<Note> {
        let changes = self.sums.iter().fold(self.other, |sum, (change, _)| sum.saturating_add(*change));
        let expected = self.opening.0.saturating_add(changes);
        (expected != self.closing.0).then(|| {
            let text = format!(
                "The lines of this month make {} of the opening balance, but the ledger's closing balance is {}. Do not rely \
                 on this sheet, and tell the operator of this installation.",
                state.money(expected),
                state.money(self.closing.0)
            );
            Note::new(Tone::Bad, "This statement does not add up", text)
        })
    }
}
