//! R08, R09, R13: when a package pays, to the microsecond, and what becomes of the rest.

use indicia_domain::ledger::package::PackageStatus;
use indicia_domain::mail::admission::Policy;
use indicia_domain::time::{HOUR_MICROS, UnixMicros};
use indicia_store::package::{PurchaseError, PurchaseRequest};

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, at, policy, prices};

on_both_engines!(
    r08_the_seeds_own_example,
    r09_a_package_pays_from_its_start_to_its_end_and_not_a_microsecond_more,
    r05_the_earliest_end_pays_first_through_the_store,
    r06_free_credit_is_new_at_the_local_midnight_itself,
    r13_what_is_left_lapses_and_what_comes_back_lapses_too,
    r08_a_renewal_begins_at_the_very_end_of_the_old_one,
);

fn by(instance: &str, mails: i64) -> Vec<(String, i64)> {
    vec![(format!("package:{instance}"), mails)]
}

fn pay_as_you_go(mails: i64) -> Vec<(String, i64)> {
    vec![("pay-as-you-go".to_owned(), mails)]
}

async fn r08_the_seeds_own_example(bench: Bench) {
    bench.clock.set(at("2018-09-12T09:51:56Z"));
    let customer = Customer::new(&bench, "Asia/Shanghai").await;
    customer.pays("p1", 25_000).await;
    let instance = customer.buy(10).await;
    let package = customer.package(&instance).await.package;
    assert_eq!((package.starts_at, package.ends_at), (bench.store.now(), at("2019-03-12T16:00:00Z")));
    customer.account.verify().await;
}

async fn r09_a_package_pays_from_its_start_to_its_end_and_not_a_microsecond_more(bench: Bench) {
    for (zone, start, end) in [
        // 2027-03-31 + six months is 2027-09-30; in summer time.
        ("Europe/Berlin", "2027-03-31T06:30:00.000001Z", "2027-09-30T22:00:00Z"),
        // 2027-08-31 + six months is 2028-02-29.
        ("Asia/Kolkata", "2027-08-31T18:29:59.999999Z", "2028-02-29T18:30:00Z"),
    ] {
        bench.clock.set(at(start).plus_micros(-900 * HOUR_MICROS));
        let customer = Customer::new(&bench, zone).await;
        customer.pays(&format!("p{zone}"), 25_000).await;
        let wanted = PurchaseRequest { starts_at: Some(at(start)), ..customer.wants(10) };
        let receipt = customer.store.purchase(&wanted, &prices()).await.expect("bought");
        assert_eq!((receipt.starts_at, receipt.ends_at), (at(start).0, at(end).0), "{zone}");
        let instance = &receipt.instance_ids[0];
        for (instant, paid, status) in [
            (at(start).plus_micros(-1), pay_as_you_go(1), PackageStatus::Upcoming),
            (at(start), by(instance, 1), PackageStatus::Available),
            (at(end).plus_micros(-1), by(instance, 1), PackageStatus::Available),
            (at(end), pay_as_you_go(1), PackageStatus::Expired),
        ] {
            customer.go(instant);
            assert_eq!(customer.paid_by(1).await, paid, "{zone} at {instant}");
            assert_eq!(customer.package(instance).await.package.status_at(instant), status);
        }
        let now = customer.store.balances_as_of(customer.id, at(end)).await.unwrap().packages.remove(0);
        assert_eq!((now.granted, now.consumed, now.lapsed, now.remaining), (10, 2, 8, 0), "{zone}");
        let before = customer.store.balances_as_of(customer.id, at(end).plus_micros(-1)).await.unwrap();
        assert_eq!((before.packages[0].remaining, before.packages[0].lapsed), (8, 0), "no job has run");
        customer.account.verify().await;
    }
}

async fn r05_the_earliest_end_pays_first_through_the_store(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 1_000_000).await;
    let starts_at = Some(at("2027-01-15T00:00:00Z"));
    let later = PurchaseRequest { starts_at, ..customer.wants(10) };
    let later = customer.store.purchase(&later, &prices()).await.expect("bought").instance_ids[0].clone();
    customer.go(at("2026-11-25T00:00:00Z"));
    let earlier = customer.buy(10).await;
    customer.go(at("2026-11-26T00:00:00Z"));
    // The same end as the one before it: the earlier purchase goes first.
    let pair = PurchaseRequest { quantity: 2, ..customer.wants(10) };
    let pair = customer.store.purchase(&pair, &prices()).await.expect("bought").instance_ids;
    customer.go(at("2027-01-15T00:00:00Z"));
    let expected: Vec<_> = [(&earlier, 10), (&pair[0], 10), (&pair[1], 10), (&later, 10)]
        .iter()
        .map(|(instance, mails)| (format!("package:{instance}"), *mails))
        .chain(pay_as_you_go(2))
        .collect();
    assert_eq!(customer.paid_by(42).await, expected, "bought first, but it ends last");
    customer.account.verify().await;
}

async fn r06_free_credit_is_new_at_the_local_midnight_itself(bench: Bench) {
    let some_free = Policy { free_total_mails: 7, free_daily_mails: 3, ..policy() };
    let customer = Customer::with_policy(&bench, "Asia/Kathmandu", &some_free).await;
    let free = |mails: i64| ("free".to_owned(), mails);
    let midnight = at("2026-11-22T18:15:00Z");
    for (instant, mails, paid) in [
        (midnight.plus_micros(-1), 4, vec![free(3), ("pay-as-you-go".to_owned(), 1)]),
        (midnight, 4, vec![free(3), ("pay-as-you-go".to_owned(), 1)]),
        (midnight.plus_micros(24 * HOUR_MICROS), 4, vec![free(1), ("pay-as-you-go".to_owned(), 3)]),
    ] {
        customer.go(instant);
        assert_eq!(customer.paid_by(mails).await, paid, "{instant}");
    }
    customer.account.verify().await;
}

async fn r13_what_is_left_lapses_and_what_comes_back_lapses_too(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 25_000).await;
    let instance = customer.buy(10).await;
    let end = customer.package(&instance).await.package.ends_at;
    customer.go(end.plus_micros(-1));
    let message = customer.send(12).await;
    let sealed = customer.store.balances_as_of(customer.id, end.plus_micros(-1)).await.unwrap();
    customer.go(end.plus_micros(HOUR_MICROS));
    customer.job().await;
    customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
    let package =
        customer.store.balances_as_of(customer.id, bench.store.now()).await.unwrap().packages.remove(0);
    assert_eq!((package.consumed, package.lapsed, package.remaining), (0, 10, 0), "R03: in the same breath");
    let again = customer.store.balances_as_of(customer.id, end.plus_micros(-1)).await.unwrap();
    assert_eq!(again, sealed, "R27: what was read of a passed instant is read again");
    assert_eq!(customer.paid_by(1).await, pay_as_you_go(1), "it never comes back");
    let refused = customer.refund(&instance).await.expect_err("refused");
    assert!(refused.to_string().contains("lapsed"), "{refused}");
    customer.account.verify().await;
}

async fn r08_a_renewal_begins_at_the_very_end_of_the_old_one(bench: Bench) {
    let customer = Customer::new(&bench, "America/New_York").await;
    customer.pays("p1", 100_000).await;
    let old = customer.buy(10).await;
    let renewal = customer.store.renew(&customer.renewal(&old), &prices()).await.expect("renewed");
    let (old_end, new) = (customer.package(&old).await.package.ends_at, renewal.instance_ids[0].clone());
    // Bought on 2026-11-21 there; the old one ends with 2027-05-21, the new one with 2027-11-22.
    assert_eq!((old_end, renewal.starts_at), (at("2027-05-22T04:00:00Z"), old_end.0));
    assert_eq!(UnixMicros(renewal.ends_at), at("2027-11-23T05:00:00Z"));
    assert_eq!(customer.package(&new).await.renewal_of, Some(old.clone()));
    let refused = customer.store.renew(&customer.renewal(&old), &prices()).await.expect_err("refused");
    assert!(
        matches!(refused, PurchaseError::AlreadyRenewed { ref renewal, .. } if *renewal == new),
        "{refused}"
    );
    customer.go(old_end.plus_micros(-1));
    assert_eq!(customer.paid_by(1).await, by(&old, 1));
    customer.go(old_end);
    assert_eq!(customer.paid_by(1).await, by(&new, 1));
    let refused = customer.store.renew(&customer.renewal(&old), &prices()).await.expect_err("refused");
    assert!(matches!(refused, PurchaseError::NotRenewable { .. }), "{refused}");
    customer
        .store
        .renew(&customer.renewal(&new), &prices())
        .await
        .expect("the renewal itself can be renewed");
    customer.account.verify().await;
}
