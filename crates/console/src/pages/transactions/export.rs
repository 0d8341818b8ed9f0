//! The lines of the cash balance as CSV, oldest first, of a month or all, of one kind or all.

use axum::{
    extract::{Query, State},
    response::Response,
};
use futures::{FutureExt, future::BoxFuture};
use indicia_domain::{
    ledger::{Kind, Transfer},
    money::MoneyMicros,
    time::UnixMicros,
};
use indicia_store::ledger::DeductionToken;

use super::{ListQuery, cash_change, kind_text};
use crate::{
    ConsoleState,
    csv::{self, Piece, Pieces},
    error::ConsoleError,
    format::Zone,
    session::viewer::AccountView,
};

const LINES_PER_PIECE: i64 = 1_000;

struct CashLines {
    state: ConsoleState,
    account_id: i64,
    zone: Zone,
    from: UnixMicros,
    before: UnixMicros,
    kind: Option<Kind>,
    after: Option<DeductionToken>,
    is_first: bool,
}

/// `GET …/billing/transactions/export.csv`
pub async fn export(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<ListQuery>,
) -> Result<Response, ConsoleError> {
    let asked = query.read()?;
    let (from, before) = asked.bounds(&view);
    let period = asked.month.map_or_else(|| "all".to_owned(), |month| month.to_string());
    let lines = CashLines {
        account_id: view.id(),
        kind: asked.kind,
        after: None,
        is_first: true,
        state,
        from,
        before,
        zone: view.zone,
    };
    Ok(csv::answer(&format!("transactions-{}-{period}.csv", lines.account_id), lines))
}

impl CashLines {
    async fn piece(&mut self) -> Result<Piece, ConsoleError> {
        let store = &self.state.store;
        let lines = store
            .money_lines(self.account_id, self.from, self.before, self.after, LINES_PER_PIECE, false)
            .await?;
        self.after = lines.last().map(|line| DeductionToken { at: line.at.0, sequence: line.sequence });
        let mut text = String::with_capacity(lines.len() * 128 + 160);
        if std::mem::take(&mut self.is_first) {
            text.push_str("Time (UTC),Time (local),Time zone,Kind,What,Currency,Before,Change,After,Transaction,Ledger line\r\n");
        }
        let kind = self.kind;
        for line in lines.iter().filter(|line| kind.is_none_or(|kind| line.kind == kind)) {
            text.push_str(&self.record(line));
        }
        Ok(Piece { text, is_last: (lines.len() as i64) < LINES_PER_PIECE })
    }

    fn record(&self, line: &Transfer) -> String {
        let at = self.zone.moment(line.at);
        format!(
            "{},{},{},{},{},{},{},{},{},{},{}\r\n",
            at.utc,
            at.local,
            self.zone.name(),
            kind_text(line.kind),
            csv::field(&line.memo),
            csv::field(&self.state.config.currency),
            MoneyMicros(line.before),
            MoneyMicros(cash_change(line)),
            MoneyMicros(line.after),
            line.transaction_id,
            line.sequence
        )
    }
}

impl Pieces for CashLines {
    fn next(&mut self) -> BoxFuture<'_, Result<Piece, ConsoleError>> {
        self.piece().boxed()
    }
}
