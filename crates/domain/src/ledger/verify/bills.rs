//! Bills, settlements, arrears and payments (R10, R11, R26): each row against its lines, its hour and its like.

use std::collections::{BTreeMap, BTreeSet};

use super::super::LedgerAccount;
use super::deeds::{Deeds, Moved};
use super::{Stored, StoredBill, StoredHour, StoredSettlement};
use crate::time::UnixMicros;

/// Why bills can have been collected.
const CAUSES: [&str; 3] = ["threshold", "month", "payment"];

/// Everything in which bills, settlements, arrears and payments differ from the lines or from each other.
pub(super) fn compare(
    stored: &Stored,
    deeds: &Deeds,
    balances: &BTreeMap<LedgerAccount, i128>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    compare_hours(stored, &mut wrong);
    compare_bills(stored, deeds, balances, &mut wrong);
    compare_settlements(stored, deeds, &mut wrong);
    compare_arrears(stored, &mut wrong);
    compare_top_ups(stored, deeds, &mut wrong);
    wrong
}

/// R10: half-up to the cent, at least a cent when there is any mail.
fn priced(price_micros: i64, mails: i64) -> i128 {
    if mails <= 0 {
        return 0;
    }
    let twice = i128::from(price_micros).saturating_mul(i128::from(mails)).saturating_mul(2);
    (twice.saturating_add(10_000) / 20_000).max(1) * 10_000
}

/// Each hour's bills are numbered from one on, are as many and as much as the hour says, and bear its price and place.
fn compare_hours(stored: &Stored, wrong: &mut Vec<String>) {
    let mut bills: BTreeMap<UnixMicros, Vec<&StoredBill>> = BTreeMap::new();
    for bill in &stored.bills {
        bills.entry(bill.hour_start).or_default().push(bill);
    }
    for hour in &stored.hours {
        let own = bills.remove(&hour.hour_start).unwrap_or_default();
        compare_hour(hour, &own, wrong);
    }
    for (start, _) in bills {
        wrong.push(format!("hour {start}: has bills but no usage"));
    }
}

fn compare_hour(hour: &StoredHour, bills: &[&StoredBill], wrong: &mut Vec<String>) {
    let start = hour.hour_start;
    let mails: i128 = bills.iter().map(|bill| i128::from(bill.mails)).sum();
    let micros: i128 = bills.iter().map(|bill| i128::from(bill.amount_micros)).sum();
    if (mails, micros) != (i128::from(hour.billed_mails), i128::from(hour.billed_micros)) {
        wrong.push(format!(
            "hour {start}: its bills are {mails} mails and {micros} millionths, it says {} and {}",
            hour.billed_mails, hour.billed_micros
        ));
    }
    if i128::from(hour.billed_micros) != priced(hour.price_micros, hour.billed_mails) {
        wrong.push(format!(
            "hour {start}: {} mails at {} millionths were billed as {} (R10)",
            hour.billed_mails, hour.price_micros, hour.billed_micros
        ));
    }
    if hour.bills != bills.len() as i64 {
        wrong.push(format!("hour {start}: has {} bills, it counts {}", bills.len(), hour.bills));
    }
    let mut numbers: Vec<i64> = bills.iter().map(|bill| bill.number).collect();
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(1..=numbers.len() as i64) {
        wrong.push(format!("hour {start}: its bills are numbered {numbers:?}, not 1, 2, 3 …"));
    }
    for bill in bills {
        if bill.price_micros != hour.price_micros {
            wrong.push(format!(
                "bill {}: its price is {} millionths, its hour's {}",
                bill.bill_id, bill.price_micros, hour.price_micros
            ));
        }
        if (bill.day, bill.hour_end) != (hour.day, hour.hour_end) {
            wrong.push(format!(
                "bill {}: is of day {} and an hour to {}, its hour is of day {} and to {}",
                bill.bill_id, bill.day, bill.hour_end, hour.day, hour.hour_end
            ));
        }
    }
}

fn compare_bills(
    stored: &Stored,
    deeds: &Deeds,
    balances: &BTreeMap<LedgerAccount, i128>,
    wrong: &mut Vec<String>,
) {
    let mails: i128 = stored.bills.iter().map(|bill| i128::from(bill.mails)).sum();
    let billed = -balances.get(&LedgerAccount::Billed).copied().unwrap_or(0);
    if mails != billed {
        wrong.push(format!("the bills are of {mails} mails, the lines bill {billed}"));
    }
    let settlements: BTreeMap<i64, &StoredSettlement> =
        stored.settlements.iter().map(|settlement| (settlement.settlement_id, settlement)).collect();
    for bill in &stored.bills {
        let name = format!("bill {}", bill.bill_id);
        let moved = deeds.bills.get(&bill.bill_id).copied().flatten();
        let (mails, micros) = moved.map_or((0, 0), |moved| (moved.mails, moved.micros));
        if (mails, micros) != (i128::from(bill.mails), i128::from(bill.amount_micros)) {
            wrong.push(format!(
                "{name}: its lines are of {mails} mails and {micros} millionths, it says {} and {}",
                bill.mails, bill.amount_micros
            ));
        }
        check_instant(&name, "made", bill.made_at, moved, wrong);
        let settlement = bill.settlement_id.map(|id| (id, settlements.get(&id)));
        match (bill.settled_at, settlement) {
            (None, None) => {}
            (Some(at), Some((_, Some(settlement)))) if at == settlement.at => {}
            (_, Some((id, None))) => {
                wrong.push(format!("{name}: settlement {id}, which paid it, is missing"))
            }
            (settled_at, settlement) => wrong.push(format!(
                "{name}: paid at {}, by settlement {}: one of them is wrong or missing",
                shown(settled_at),
                settlement.map_or("none".to_owned(), |(id, _)| id.to_string())
            )),
        }
        if bill.settled_at.is_some() && bill.due_at.is_none() {
            wrong.push(format!("{name}: was paid without being called in (R11)"));
        }
    }
    let known: BTreeSet<i64> = stored.bills.iter().map(|bill| bill.bill_id).collect();
    for id in deeds.bills.keys().filter(|id| !known.contains(*id)) {
        wrong.push(format!("bill {id}: has ledger lines, but there is no such bill"));
    }
}

fn compare_settlements(stored: &Stored, deeds: &Deeds, wrong: &mut Vec<String>) {
    let mut paid: BTreeMap<i64, (i64, i128)> = BTreeMap::new();
    for bill in &stored.bills {
        if let Some(id) = bill.settlement_id {
            let sum = paid.entry(id).or_default();
            *sum = (sum.0 + 1, sum.1 + i128::from(bill.amount_micros));
        }
    }
    for settlement in &stored.settlements {
        let id = settlement.settlement_id;
        let name = format!("settlement {id}");
        let (bills, amount) = paid.get(&id).copied().unwrap_or_default();
        if (bills, amount) != (settlement.bills, i128::from(settlement.amount_micros)) {
            wrong.push(format!(
                "{name}: {bills} bills of {amount} millionths were paid by it, it says {} and {}",
                settlement.bills, settlement.amount_micros
            ));
        }
        // Credit notes may cancel the bills out: then no money moves, and there is no line.
        let moved = deeds.settlements.get(&id).copied().flatten();
        let micros = moved.map_or(0, |moved| moved.micros);
        if micros != i128::from(settlement.amount_micros) {
            wrong.push(format!(
                "{name}: its line moves {micros} millionths, it says {}",
                settlement.amount_micros
            ));
        }
        check_instant(&name, "made", settlement.at, moved, wrong);
        if !CAUSES.contains(&settlement.cause.as_str()) {
            wrong.push(format!("{name}: '{}' is no cause of a collection", settlement.cause));
        }
    }
    let known: BTreeSet<i64> = stored.settlements.iter().map(|settlement| settlement.settlement_id).collect();
    for id in deeds.settlements.keys().filter(|id| !known.contains(*id)) {
        wrong.push(format!("settlement {id}: has a ledger line, but there is no such settlement"));
    }
}

/// R11: what is due is overdue, and nothing else is. Credit notes that exceed the bills due leave nothing due.
fn compare_arrears(stored: &Stored, wrong: &mut Vec<String>) {
    let unpaid = || stored.bills.iter().filter(|bill| bill.settled_at.is_none());
    let open: i128 = unpaid().map(|bill| i128::from(bill.amount_micros)).sum();
    if open != i128::from(stored.open_micros) {
        wrong.push(format!(
            "unpaid bills add up to {open} millionths, the account has {}",
            stored.open_micros
        ));
    }
    let due: i128 =
        unpaid().filter(|bill| bill.due_at.is_some()).map(|bill| i128::from(bill.amount_micros)).sum();
    if due != i128::from(stored.due_micros) {
        wrong.push(format!(
            "bills that are due add up to {due} millionths, the account has {} due (R11)",
            stored.due_micros
        ));
    }
    let is = due > 0;
    if stored.is_overdue != is || stored.overdue_since.is_some() != is {
        wrong.push(format!(
            "{due} millionths are due, and the account is {} by its status and overdue since {} (R11)",
            if stored.is_overdue { "overdue" } else { "not overdue" },
            shown(stored.overdue_since)
        ));
    }
}

/// R26: each payment that came in has its row, by which it is known when a provider tells of it again.
fn compare_top_ups(stored: &Stored, deeds: &Deeds, wrong: &mut Vec<String>) {
    let mut known = BTreeSet::new();
    for top_up in &stored.top_ups {
        let name = format!("payment {} of {}", top_up.payment_reference, top_up.provider);
        if !known.insert(top_up.transaction_id) {
            wrong.push(format!("{name}: transaction {} has another payment", top_up.transaction_id));
        }
        let Some(moved) = deeds.top_ups.get(&top_up.transaction_id).copied().flatten() else {
            wrong.push(format!("{name}: has no ledger line {} of this account", top_up.transaction_id));
            continue;
        };
        if moved.micros != i128::from(top_up.amount_micros) {
            wrong.push(format!(
                "{name}: its line is of {} millionths, it says {}",
                moved.micros, top_up.amount_micros
            ));
        }
        check_instant(&name, "came", top_up.at, Some(moved), wrong);
    }
    for id in deeds.top_ups.keys().filter(|id| !known.contains(*id)) {
        wrong
            .push(format!("payment: transaction {id} put money on the balance, but there is no such top-up"));
    }
}

fn check_instant(name: &str, done: &str, at: UnixMicros, moved: Option<Moved>, wrong: &mut Vec<String>) {
    if let Some(moved) = moved.filter(|moved| !moved.is_all_at(at)) {
        wrong.push(format!(
            "{name}: {done} at {at}, its lines are of {} to {}",
            moved.first_at, moved.last_at
        ));
    }
}

fn shown(at: Option<UnixMicros>) -> String {
    at.map_or("never".to_owned(), |at| at.to_string())
}
