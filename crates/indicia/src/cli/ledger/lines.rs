//! `indicia ledger lines`: a page of lines at a time is read and printed, so that any length needs the memory of
//! one page.

use indicia_domain::ledger::{Transfer, Unit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::oversight::LineQuery;
use serde_json::json;

use crate::cli::output::Out;
use crate::cli::{Done, Opened, named_account};

/// Lines read at a time.
const LINES_PER_PAGE: i64 = 2_000;

/// How a line is written.
#[derive(Clone, Copy)]
pub enum Form {
    Text,
    Csv,
    Json,
}

impl Form {
    pub fn chosen(csv: bool, json: bool) -> Self {
        match (csv, json) {
            (true, _) => Form::Csv,
            (_, true) => Form::Json,
            _ => Form::Text,
        }
    }
}

/// Which lines.
pub struct Wanted {
    pub account_id: i64,
    pub unit: Option<Unit>,
    pub from: UnixMicros,
    pub before: UnixMicros,
    pub form: Form,
}

const CSV_HEADER: &str =
    "sequence,time,transaction,kind,unit,from,to,amount,before,after,valid_from,valid_until,memo";

pub async fn print(opened: &Opened, wanted: &Wanted) -> Done {
    named_account(opened, wanted.account_id).await?;
    let mut out = Out::open();
    if matches!(wanted.form, Form::Csv) {
        out.line(CSV_HEADER)?;
    }
    let mut query = LineQuery {
        account_id: wanted.account_id,
        unit: wanted.unit,
        from: wanted.from,
        before: wanted.before,
        after_sequence: 0,
        limit: LINES_PER_PAGE,
    };
    loop {
        let lines = opened.store.lines_in_order(&query).await?;
        for line in &lines {
            match wanted.form {
                Form::Text => out.line(text_of(line))?,
                Form::Csv => out.line(csv_of(line))?,
                Form::Json => out.line(json_of(line))?,
            }
        }
        match lines.last() {
            Some(last) if lines.len() as i64 == LINES_PER_PAGE => query.after_sequence = last.sequence,
            _ => return out.close(),
        }
    }
}

/// Mails are whole; money is shown with its decimals.
fn quantity(unit: Unit, amount: i64) -> String {
    match unit {
        Unit::Mail => amount.to_string(),
        Unit::Money => MoneyMicros(amount).to_string(),
    }
}

fn text_of(line: &Transfer) -> String {
    let shown = |amount| quantity(line.unit, amount);
    format!(
        "{:>8}  {}  {:<10}  {} {} -> {}  {} ({} -> {})  {}  {}",
        line.sequence,
        line.at,
        line.kind.as_str(),
        line.unit.as_str(),
        line.from,
        line.to,
        shown(line.amount),
        shown(line.before),
        shown(line.after),
        line.transaction_id,
        line.memo
    )
}

fn csv_of(line: &Transfer) -> String {
    let shown = |amount| quantity(line.unit, amount);
    let validity = |at: Option<UnixMicros>| at.map(|at| at.to_string()).unwrap_or_default();
    format!(
        "{},{},{},{},{},{},{},{},{},{},{},{},{}",
        line.sequence,
        line.at,
        line.transaction_id,
        line.kind.as_str(),
        line.unit.as_str(),
        line.from,
        line.to,
        shown(line.amount),
        shown(line.before),
        shown(line.after),
        validity(line.validity.map(|validity| validity.from)),
        validity(line.validity.map(|validity| validity.until)),
        csv_field(&line.memo)
    )
}

/// A text that people wrote, quoted for CSV. One that a spreadsheet would take for a formula gets an apostrophe,
/// which spreadsheets show as text.
fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guarded = if formula { format!("'{text}") } else { text.to_owned() };
    format!("\"{}\"", guarded.replace('"', "\"\""))
}

fn json_of(line: &Transfer) -> serde_json::Value {
    json!({
        "sequence": line.sequence,
        "at": line.at.to_string(),
        "transaction_id": line.transaction_id.to_string(),
        "kind": line.kind.as_str(),
        "unit": line.unit.as_str(),
        "from": line.from.to_string(),
        "to": line.to.to_string(),
        "amount": line.amount,
        "before": line.before,
        "after": line.after,
        "valid_from": line.validity.map(|validity| validity.from.to_string()),
        "valid_until": line.validity.map(|validity| validity.until.to_string()),
        "memo": line.memo,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_is_quoted_and_no_spreadsheet_computes_it() {
        assert_eq!(csv_field("goodwill, again"), "\"goodwill, again\"");
        assert_eq!(csv_field("a \"gift\""), "\"a \"\"gift\"\"\"");
        assert_eq!(csv_field("=HYPERLINK(1)"), "\"'=HYPERLINK(1)\"");
    }

    #[test]
    fn mails_are_whole_and_money_has_its_decimals() {
        assert_eq!(quantity(Unit::Mail, 50_000), "50000");
        assert_eq!(quantity(Unit::Money, 13_050_000), "13.05");
    }
}
