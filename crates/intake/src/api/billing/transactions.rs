//! QueryAccountTransactions and QueryAccountTransactionDetails: every ledger line that touches the cash balance, the
//! newest first, with the balance after it.
//!
//! TransactionNumber is the ledger transaction's: the order's number for packages, the settlement's for bills, which
//! QueryBill names in PaymentTransactionID. RecordID is the order's number; a settlement pays many bills, so it has
//! none, but asking for a bill's number finds the settlement that paid it.

use std::collections::HashMap;

use indicia_domain::ledger::{Kind, LedgerAccount, Transfer};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use indicia_store::ledger::DeductionToken;
use indicia_store::money::TopUpRow;
use jiff::Span;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::filter::{self, not_a_token};
use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::Page;

/// Lines that are read from the store at a time.
const LINES_AT_A_TIME: i64 = 1_000;

const CHANNELS: [&str; 10] = [
    ACCOUNT_BALANCE,
    "BankTransfer",
    "Alipay",
    "AntCreditPay",
    "OfflineRemittance",
    "RegularBankCreditRefund",
    "CreditCard",
    "MyBankCredit",
    "HuaxiaBankCInstallment",
    "ApplePay",
];
const ACCOUNT_BALANCE: &str = "AccountBalance";
const TYPES: [&str; 6] = ["Payment", "Withdraw", "Refund", "Consumption", "Transfer", "Adjust"];
const FLOWS: [&str; 2] = ["Income", "Expense"];

/// Which lines a call asks for.
struct Wanted<'a> {
    from: UnixMicros,
    before: UnixMicros,
    record: Option<Record>,
    number: Option<&'a str>,
    /// The ledger transactions that TransactionChannelSN stands for.
    serial: Option<Vec<i64>>,
    channel: Option<&'static str>,
    kind: Option<&'static str>,
    flow: Option<&'static str>,
}

impl<'a> Wanted<'a> {
    async fn of(call: &Call<'a>, zone: &TimeZone) -> Result<Wanted<'a>, ApiError> {
        let parameters = call.parameters;
        let (start, end) = filter::time_range(call, "CreateTimeStart", "CreateTimeEnd")?;
        let before = end.unwrap_or(call.now.plus_micros(1));
        let record = match parameters.text("RecordID") {
            Some(text) => Some(Record::of(call, text).await?),
            None => None,
        };
        let from = start.unwrap_or_else(|| month_before(zone, before));
        let serial = match parameters.text("TransactionChannelSN") {
            Some(reference) => {
                let paid = top_ups(call, from, before).await?;
                let paid = paid.into_iter().filter(|top_up| top_up.payment_reference == reference);
                Some(paid.map(|top_up| top_up.transaction_id).collect())
            }
            None => None,
        };
        Ok(Wanted {
            from,
            before,
            record,
            number: parameters.text("TransactionNumber"),
            serial,
            channel: filter::one_of(call, "TransactionChannel", &CHANNELS, |name| name)?,
            kind: filter::one_of(call, "TransactionType", &TYPES, |name| name)?,
            flow: filter::one_of(call, "TransactionFlow", &FLOWS, |name| name)?,
        })
    }

    fn includes(&self, line: &Transfer) -> bool {
        self.record.as_ref().is_none_or(|record| record.includes(line))
            && self.number.is_none_or(|number| number == line.transaction_id.to_string())
            && self.serial.as_ref().is_none_or(|ids| ids.contains(&line.transaction_id))
            && self.channel.is_none_or(|channel| channel_of(line) == Some(channel))
            && self.kind.is_none_or(|kind| kind == type_of(line))
            && self.flow.is_none_or(|flow| flow == flow_of(line))
    }
}

/// What a RecordID stands for.
enum Record {
    Order(i64),
    /// The collection that paid a bill.
    Settlement(i64),
    /// No number, or a bill that is not paid.
    None,
}

impl Record {
    async fn of(call: &Call<'_>, record_id: &str) -> Result<Record, ApiError> {
        let Ok(id) = record_id.parse() else { return Ok(Record::None) };
        Ok(match call.api.store.bill(call.account_id, id).await? {
            Some(bill) => bill.settlement_id.map_or(Record::None, Record::Settlement),
            None => Record::Order(id),
        })
    }

    fn includes(&self, line: &Transfer) -> bool {
        match self {
            Record::Order(id) => is_of_order(line) && line.transaction_id == *id,
            Record::Settlement(id) => line.kind == Kind::Settlement && line.transaction_id == *id,
            Record::None => false,
        }
    }
}

fn is_of_order(line: &Transfer) -> bool {
    matches!(line.kind, Kind::Purchase | Kind::Upgrade | Kind::Refund)
}

/// Payments that providers told of in a range. Their ledger lines are booked a moment later.
async fn top_ups(call: &Call<'_>, from: UnixMicros, before: UnixMicros) -> Result<Vec<TopUpRow>, ApiError> {
    let from = from.plus_micros(-MINUTE_MICROS);
    Ok(call.api.store.top_ups(Some(call.account_id), from, before, i64::MAX).await?)
}

fn month_before(zone: &TimeZone, at: UnixMicros) -> UnixMicros {
    let earlier = at.civil(zone).checked_sub(Span::new().months(1)).ok();
    earlier.and_then(|civil| instant_of(zone, civil)).unwrap_or(UnixMicros(0))
}

/// A part of the lines that are wanted.
enum Part {
    Page(Page),
    After(Option<DeductionToken>, i64),
}

/// What was found.
struct Found {
    total: i64,
    lines: Vec<Transfer>,
    /// Whether the part is followed by others.
    more: bool,
}

/// Goes through the lines of the range, counts those wanted and keeps those of the part.
async fn find(call: &Call<'_>, wanted: &Wanted<'_>, part: &Part) -> Result<Found, ApiError> {
    let mut found = Found { total: 0, lines: Vec::new(), more: false };
    let mut after = None;
    loop {
        let store = &call.api.store;
        let lines = store
            .money_lines(call.account_id, wanted.from, wanted.before, after, LINES_AT_A_TIME, true)
            .await?;
        let done = (lines.len() as i64) < LINES_AT_A_TIME;
        after = lines.last().map(place);
        for line in lines.into_iter().filter(|line| wanted.includes(line)) {
            let number = found.total;
            found.total += 1;
            let (is_past, size) = match part {
                Part::Page(page) => (number >= page.offset(), page.size),
                Part::After(None, limit) => (true, *limit),
                Part::After(Some(token), limit) => {
                    ((line.at.0, line.sequence) < (token.at, token.sequence), *limit)
                }
            };
            match is_past {
                true if (found.lines.len() as i64) < size => found.lines.push(line),
                true => found.more = true,
                false => {}
            }
        }
        if done {
            return Ok(found);
        }
    }
}

/// QueryAccountTransactions
pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let (account, zone) = (call.account().await?, call.zone().await?);
    let page = filter::page(call)?;
    let wanted = Wanted::of(call, &zone).await?;
    let found = find(call, &wanted, &Part::Page(page)).await?;
    let rows = rows(call, &zone, &found.lines).await?;
    Ok(json!({"Data": {
        "AccountName": account.name,
        "PageNum": page.number,
        "PageSize": page.size,
        "TotalCount": found.total,
        "AccountTransactionsList": {"AccountTransactionsList": rows},
    }}))
}

/// QueryAccountTransactionDetails
pub async fn query_details(call: &Call<'_>) -> Result<Value, ApiError> {
    let (account, zone) = (call.account().await?, call.zone().await?);
    let limit = filter::max_results(call)?;
    let after = call.parameters.text("NextToken").map(read_token).transpose()?;
    let wanted = Wanted::of(call, &zone).await?;
    let found = find(call, &wanted, &Part::After(after, limit)).await?;
    let next = found.lines.last().filter(|_| found.more).map(|line| {
        let token = place(line);
        format!("{}-{}", token.at, token.sequence)
    });
    let rows = rows(call, &zone, &found.lines).await?;
    Ok(json!({"Data": {
        "AccountName": account.name,
        "MaxResults": limit,
        "NextToken": next,
        "TotalCount": found.total,
        "AccountTransactionsList": {"AccountTransactionsList": rows},
    }}))
}

async fn rows(call: &Call<'_>, zone: &TimeZone, lines: &[Transfer]) -> Result<Vec<Value>, ApiError> {
    let mut serials = HashMap::new();
    let paid = |line: &&Transfer| line.kind == Kind::TopUp;
    let (newest, oldest) = (lines.iter().find(paid), lines.iter().rev().find(paid));
    if let (Some(newest), Some(oldest)) = (newest, oldest) {
        for top_up in top_ups(call, oldest.at, newest.at.plus_micros(1)).await? {
            serials.insert(top_up.transaction_id, top_up.payment_reference);
        }
    }
    Ok(lines.iter().map(|line| row(zone, line, serials.get(&line.transaction_id))).collect())
}

fn row(zone: &TimeZone, line: &Transfer, serial: Option<&String>) -> Value {
    json!({
        "TransactionNumber": line.transaction_id.to_string(),
        "TransactionTime": line.at.rfc3339_seconds(),
        "TransactionType": type_of(line),
        "TransactionFlow": flow_of(line),
        "TransactionChannel": channel_of(line),
        "TransactionChannelSN": serial,
        "TransactionAccount": null,
        "FundType": "Cash",
        "Amount": MoneyMicros(line.amount).to_string(),
        "Balance": MoneyMicros(line.after).to_string(),
        "BillingCycle": line.at.civil(zone).strftime("%Y-%m").to_string(),
        "RecordID": is_of_order(line).then(|| line.transaction_id.to_string()),
        "Remarks": line.memo,
    })
}

fn flow_of(line: &Transfer) -> &'static str {
    if line.to == LedgerAccount::Cash { "Income" } else { "Expense" }
}

fn type_of(line: &Transfer) -> &'static str {
    let income = line.to == LedgerAccount::Cash;
    match line.kind {
        Kind::Credit | Kind::TopUp if income => "Payment",
        Kind::Credit | Kind::TopUp => "Withdraw",
        Kind::Adjustment => "Adjust",
        // Also a settlement in which credit notes exceeded the bills.
        _ if income => "Refund",
        _ => "Consumption",
    }
}

/// What is bought and billed is paid from the balance, and paid back to it. Which way money came from outside is not
/// known here.
fn channel_of(line: &Transfer) -> Option<&'static str> {
    match line.kind {
        Kind::Credit | Kind::TopUp | Kind::Adjustment => None,
        _ => Some(ACCOUNT_BALANCE),
    }
}

fn place(line: &Transfer) -> DeductionToken {
    DeductionToken { at: line.at.0, sequence: line.sequence }
}

fn read_token(text: &str) -> Result<DeductionToken, ApiError> {
    let parsed = text.split_once('-').and_then(|(at, sequence)| {
        Some(DeductionToken { at: at.parse().ok()?, sequence: sequence.parse().ok()? })
    });
    parsed.ok_or_else(|| not_a_token("NextToken", text))
}
