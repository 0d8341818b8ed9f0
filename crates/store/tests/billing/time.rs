//! R27: an account's time. Two nodes' clocks differ, and one may be set back.

use std::sync::Arc;

use indicia_domain::ledger::Transfer;
use indicia_domain::mail::admission::Policy;
use indicia_domain::time::{Clock, ManualClock, SECOND_MICROS, UnixMicros};
use indicia_store::Store;
use indicia_store::admission::Admission;
use indicia_store::ledger::DeductionQuery;
use indicia_store::oversight::LineQuery;

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, policy};
use crate::support::names;

on_both_engines!(
    r27_a_node_whose_clock_is_behind_books_no_line_before_the_last,
    r09_a_node_whose_clock_is_behind_does_not_bring_an_ended_package_back,
    r27_a_balance_of_a_passed_instant_is_the_same_for_ever,
);

async fn lines(customer: &Customer) -> Vec<Transfer> {
    let query = LineQuery { limit: 10_000, ..LineQuery::all(customer.id) };
    customer.store.lines_in_order(&query).await.expect("read")
}

/// The same database through a node whose clock is `behind` by so many microseconds.
async fn slow_node(bench: &Bench, behind: i64) -> (Store, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(bench.store.now().plus_micros(-behind)));
    let store = Store::open(&bench.url, bench.dir.path(), clock.clone() as Arc<dyn Clock>);
    (store.await.expect("the store opens"), clock)
}

async fn r27_a_node_whose_clock_is_behind_books_no_line_before_the_last(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let (slow, slow_clock) = slow_node(&bench, 2 * SECOND_MICROS).await;
    let (slow_admission, _) = Admission::start(slow.clone(), policy(), None);
    customer.pays("p1", 500_000).await;
    let instance = customer.buy(40).await;
    for round in 0..5 {
        let message = customer.send(3).await;
        slow_admission.submit(customer.account.mail(&names(2)).await).await.expect("accepted");
        slow.cancel(customer.id, message, "test").await.expect("cancelled");
        slow.top_up(&customer.payment(&format!("s{round}"), &format!("e{round}"), 1)).await.expect("booked");
        bench.clock.advance_micros(SECOND_MICROS);
        slow_clock.advance_micros(SECOND_MICROS);
    }
    let all = lines(&customer).await;
    assert!(all.windows(2).all(|pair| pair[0].at <= pair[1].at), "an account's time never goes back");
    let query = DeductionQuery {
        account_id: customer.id,
        instance_id: Some(instance),
        from: UnixMicros(0),
        before: UnixMicros(i64::MAX),
        after: None,
        limit: 100,
        newest_first: false,
    };
    let deductions = customer.store.deductions(&query).await.unwrap();
    assert_eq!(deductions.len(), 15);
    assert!(deductions.windows(2).all(|pair| pair[0].after == pair[1].before), "by time they join");
    for line in &all {
        let balances = customer.store.balances_as_of(customer.id, line.at).await.unwrap();
        let package = balances.packages.first();
        assert!(package.is_none_or(|package| package.consumed >= 0 && package.remaining >= 0), "R25");
    }
    customer.account.verify().await;
    slow.close().await;
}

async fn r09_a_node_whose_clock_is_behind_does_not_bring_an_ended_package_back(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 25_000).await;
    let instance = customer.buy(10).await;
    let end = customer.package(&instance).await.package.ends_at;
    customer.go(end);
    let (slow, _) = slow_node(&bench, 1).await;
    let (slow_admission, _) = Admission::start(slow.clone(), Policy { ..policy() }, None);
    assert_eq!(customer.paid_by(1).await, [("pay-as-you-go".to_owned(), 1)], "at the end");
    slow_admission.submit(customer.account.mail(&names(1)).await).await.expect("accepted");
    assert_eq!(
        customer.numbers().await.pay_as_you_go_mails,
        2,
        "though that node is a microsecond before it"
    );
    assert_eq!(customer.package(&instance).await.package.remaining, 10);
    customer.account.verify().await;
    slow.close().await;
}

async fn r27_a_balance_of_a_passed_instant_is_the_same_for_ever(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 500_000).await;
    let mut sealed = Vec::new();
    for round in 0..8 {
        let instance = customer.buy(10).await;
        let message = customer.send(6).await;
        if round % 2 == 0 {
            customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
        }
        if round % 3 == 0 {
            // Refused or not: what was read before stays.
            let _ = customer.refund(&instance).await;
        }
        let now = bench.store.now();
        sealed.push((now, customer.store.balances_as_of(customer.id, now).await.unwrap()));
        bench.clock.advance_micros(1);
        for (instant, balances) in &sealed {
            let again = customer.store.balances_as_of(customer.id, *instant).await.unwrap();
            assert_eq!(again, *balances, "as of {instant}");
        }
    }
    customer.account.verify().await;
}
