//! The ledger's lists, page by page, on both engines: no line is lost or shown twice at the seam of two pages, also
//! where many lines have one instant.

mod engines;
mod support;

use engines::{Bench, NOON};
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::time::{HOUR_MICROS, MINUTE_MICROS, UnixMicros};
use indicia_store::ledger::{DeductionQuery, DeductionToken};
use indicia_store::money::{Adjusted, Adjustment};
use support::money::Customer;
use support::operator;

on_both_engines!(
    r16_deductions_are_walked_both_ways_without_gap_or_repetition,
    r10_the_lines_behind_an_hours_bill_are_its_messages,
    r25_adjustments_of_mails_are_found_whatever_they_came_from,
);

fn all(customer: &Customer, instance: Option<&str>) -> DeductionQuery {
    DeductionQuery {
        account_id: customer.id,
        instance_id: instance.map(str::to_owned),
        from: UnixMicros(i64::MIN),
        before: UnixMicros(i64::MAX),
        after: None,
        limit: 1_000,
        newest_first: false,
    }
}

/// Walks a list of deductions, `limit` lines at a time.
async fn walk(customer: &Customer, query: DeductionQuery, limit: i64) -> Vec<Transfer> {
    let mut query = DeductionQuery { limit, ..query };
    let mut lines: Vec<Transfer> = Vec::new();
    for _ in 0..100 {
        let page = customer.store.deductions(&query).await.expect("a page");
        let is_end = (page.len() as i64) < limit;
        lines.extend(page);
        if is_end {
            return lines;
        }
        query.after = lines.last().map(|line| DeductionToken { at: line.at.0, sequence: line.sequence });
    }
    panic!("the list has no end");
}

async fn r16_deductions_are_walked_both_ways_without_gap_or_repetition(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Shanghai").await;
    customer.pays("p", 1_000_000).await;
    let (first, second) = (customer.buy(40).await, customer.buy(100).await);
    let mut last = 0;
    // Thrice at one instant, then on: the small package runs out in the middle of a message.
    for number in 0..11 {
        last = customer.send(5).await;
        if number % 3 == 2 {
            bench.clock.advance_micros(MINUTE_MICROS);
        }
    }
    customer.store.cancel(customer.id, last, "test").await.expect("cancelled");
    for instance in [Some(first.as_str()), Some(second.as_str()), None] {
        let whole = customer.store.deductions(&all(&customer, instance)).await.expect("read");
        let backwards: Vec<Transfer> = whole.iter().rev().cloned().collect();
        for limit in 1..=4 {
            assert_eq!(
                walk(&customer, all(&customer, instance), limit).await,
                whole,
                "{instance:?} by {limit}"
            );
            let newest = DeductionQuery { newest_first: true, ..all(&customer, instance) };
            assert_eq!(
                walk(&customer, newest, limit).await,
                backwards,
                "{instance:?} by {limit}, newest first"
            );
        }
        if instance.is_some() {
            assert!(whole.windows(2).all(|pair| pair[0].after == pair[1].before), "{whole:?}");
        }
    }
    let of_second = customer.store.deductions(&all(&customer, Some(&second))).await.expect("read");
    assert_eq!(of_second.last().map(|line| (line.kind, line.amount)), Some((Kind::Reversal, 5)));
    let between = DeductionQuery {
        from: NOON.plus_micros(1),
        before: NOON.plus_micros(2 * MINUTE_MICROS),
        ..all(&customer, None)
    };
    assert!(walk(&customer, between, 2).await.iter().all(|line| line.at == NOON.plus_micros(MINUTE_MICROS)));
}

async fn r10_the_lines_behind_an_hours_bill_are_its_messages(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Shanghai").await;
    let (start, end) = (NOON.plus_micros(HOUR_MICROS), NOON.plus_micros(2 * HOUR_MICROS));
    customer.go(start.plus_micros(-1));
    customer.send(2).await;
    customer.go(start);
    let messages = [customer.send(7).await, customer.send(3).await];
    customer.go(end);
    customer.send(1).await;
    customer.job().await;
    let hour = DeductionQuery { from: start, before: end, ..all(&customer, None) };
    let lines = customer.store.pay_as_you_go_lines(&hour).await.expect("read");
    let found: Vec<(i64, i64)> = lines.iter().map(|line| (line.transaction_id, line.amount)).collect();
    assert_eq!(found, [(messages[0], 7), (messages[1], 3)], "and not the bill's own line");
    let bill = customer.bills().await.into_iter().find(|bill| bill.hour_start == start).expect("a bill");
    assert_eq!(bill.mails, 10);
}

async fn r25_adjustments_of_mails_are_found_whatever_they_came_from(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Shanghai").await;
    customer.pays("p", 1_000_000).await;
    let (kept, given_back) = (customer.buy(100).await, customer.buy(40).await);
    customer.send(9).await;
    customer.refund(&given_back).await.expect("refunded");
    let package = |mails| Adjusted::PackageMails { instance_id: kept.clone(), mails };
    for what in [package(25), package(-4), Adjusted::FreeMails(3), Adjusted::FreeMails(-1)] {
        let adjustment = Adjustment { account_id: customer.id, what, reason: "a test".into() };
        customer.store.adjust(&adjustment, &operator(), None).await.expect("adjusted");
    }
    let lines = customer.store.mail_adjustments(customer.id).await.expect("read");
    assert!(lines.iter().all(|line| line.kind == Kind::Adjustment && line.unit == Unit::Mail));
    let of = LedgerAccount::Package(kept);
    let found: Vec<(LedgerAccount, LedgerAccount, i64)> =
        lines.into_iter().map(|line| (line.from, line.to, line.amount)).collect();
    assert_eq!(
        found,
        [
            (LedgerAccount::Granted, of.clone(), 25),
            (of, LedgerAccount::Granted, 4),
            (LedgerAccount::Granted, LedgerAccount::Free, 3),
            (LedgerAccount::Free, LedgerAccount::Granted, 1),
        ],
        "neither the purchases nor the refund"
    );
}
