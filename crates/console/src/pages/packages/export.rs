//! The deductions of a package as CSV, oldest first: mails that it paid for, and as negative lines those that were
//! given back to it (R03), and what the operator took out or added, so that before and after join from line to line.

use axum::{
    extract::{Path, State},
    response::Response,
};
use futures::{FutureExt, future::BoxFuture};
use indicia_domain::ledger::{Kind, Transfer};
use indicia_store::ledger::{DeductionQuery, DeductionToken};

use super::{all_deductions, deducted, deduction_text, find};
use crate::{
    ConsoleState,
    csv::{self, Piece, Pieces},
    error::ConsoleError,
    format::Zone,
    session::viewer::AccountView,
};

/// Lines read at a time.
const LINES_PER_PIECE: i64 = 1_000;

struct Deductions {
    state: ConsoleState,
    query: DeductionQuery,
    instance: String,
    zone: Zone,
    is_first: bool,
}

/// `GET …/resource-packages/directmail/{instance_id}/deductions.csv`
pub async fn export(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let instance = find(&state, &view, &instance_id).await?.package.instance_id;
    let query = DeductionQuery { limit: LINES_PER_PIECE, ..all_deductions(&view, &instance) };
    let name = format!("{instance}-deductions.csv");
    Ok(csv::answer(&name, Deductions { state, query, instance, zone: view.zone, is_first: true }))
}

impl Deductions {
    async fn piece(&mut self) -> Result<Piece, ConsoleError> {
        let lines = self.state.store.deductions(&self.query).await?;
        if let Some(last) = lines.last() {
            self.query.after = Some(DeductionToken { at: last.at.0, sequence: last.sequence });
        }
        let mut text = String::with_capacity(lines.len() * 96 + 128);
        if std::mem::take(&mut self.is_first) {
            text.push_str("Deduction time (UTC),Deduction time (local),Time zone,Instance,Before,Deducted,After,Message,What,Ledger line\r\n");
        }
        for line in &lines {
            text.push_str(&record(&self.zone, &self.instance, line));
        }
        Ok(Piece { text, is_last: (lines.len() as i64) < LINES_PER_PIECE })
    }
}

impl Pieces for Deductions {
    fn next(&mut self) -> BoxFuture<'_, Result<Piece, ConsoleError>> {
        self.piece().boxed()
    }
}

/// One record. Its fields are digits, instants, a zone's and an instance's name: nothing that CSV would have
/// to quote and nothing that a spreadsheet takes for a formula.
fn record(zone: &Zone, instance: &str, line: &Transfer) -> String {
    let at = zone.moment(line.at);
    let message = match line.kind {
        Kind::Adjustment => String::new(),
        _ => line.transaction_id.to_string(),
    };
    format!(
        "{},{},{},{instance},{},{},{},{message},{},{}\r\n",
        at.utc,
        at.local,
        zone.name(),
        line.before,
        deducted(line),
        line.after,
        deduction_text(line).unwrap_or("paid for mails"),
        line.sequence
    )
}
