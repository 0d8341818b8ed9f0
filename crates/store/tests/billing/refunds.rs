//! R12: what can be given back or exchanged; R26: and that once.

use indicia_domain::ledger::package::{Closed, PackageStatus};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::order::{OrderKind, OrderQuery};
use indicia_store::package::{PurchaseError, PurchaseRequest};

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, at, dump, prices};

on_both_engines!(
    r12_an_untouched_package_is_refunded_in_full_and_once,
    r12_one_mail_is_enough_to_refuse,
    r12_a_package_can_be_given_back_until_its_end_and_not_at_it,
    r12_an_upcoming_package_can_be_given_back,
    r12_an_exchange_costs_the_difference,
    r26_every_order_happens_once_under_its_key,
    r26_a_refund_asked_of_two_nodes_at_once_happens_once,
);

async fn r12_an_untouched_package_is_refunded_in_full_and_once(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 80_000).await;
    let instance = customer.buy(40).await;
    assert_eq!(customer.numbers().await.cash, MoneyMicros::ZERO);
    assert_eq!(customer.refund(&instance).await.expect("refunded"), 80_000);
    let row = customer.package(&instance).await;
    assert_eq!((row.package.closed, row.closed_at), (Some(Closed::Refund), Some(bench.store.now())));
    assert_eq!(customer.numbers().await.cash, MoneyMicros(80_000));
    let before = dump(&bench).await;
    let refused = customer.refund(&instance).await.expect_err("refused");
    assert!(refused.to_string().contains("refunded before"), "{refused}");
    let refused = customer.store.renew(&customer.renewal(&instance), &prices()).await.expect_err("refused");
    assert!(matches!(refused, PurchaseError::NotRenewable { .. }), "{refused}");
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
    assert_eq!(customer.paid_by(1).await, [("pay-as-you-go".to_owned(), 1)], "it pays for nothing");
    let balance = customer.store.balances_as_of(customer.id, UnixMicros(i64::MAX)).await.unwrap();
    assert_eq!((balance.packages[0].refunded, balance.packages[0].lapsed), (40, 0));
    customer.account.verify().await;
}

async fn r12_one_mail_is_enough_to_refuse(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 80_000).await;
    let instance = customer.buy(40).await;
    let message = customer.send(1).await;
    let before = dump(&bench).await;
    let refused = customer.refund(&instance).await.expect_err("refused");
    assert!(refused.to_string().contains("1 of its mails are used"), "{refused}");
    let refused = customer.store.upgrade(&customer.exchange(&instance, 100), &prices()).await;
    assert!(matches!(refused, Err(PurchaseError::NotUpgradable { .. })), "{refused:?}");
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
    customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
    assert_eq!(customer.refund(&instance).await.expect("untouched again"), 80_000);
    customer.account.verify().await;
}

async fn r12_a_package_can_be_given_back_until_its_end_and_not_at_it(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Kolkata").await;
    customer.pays("p1", 100_000).await;
    let (one, two) = (customer.buy(10).await, customer.buy(10).await);
    let end = customer.package(&one).await.package.ends_at;
    customer.go(end.plus_micros(-1));
    assert_eq!(customer.refund(&one).await.expect("the last microsecond"), 25_000);
    customer.go(end);
    let refused = customer.refund(&two).await.expect_err("refused");
    assert!(refused.to_string().contains("validity ended"), "{refused}");
    customer.account.verify().await;
}

async fn r12_an_upcoming_package_can_be_given_back(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 100_000).await;
    let starts_at = Some(at("2027-01-01T00:00:00Z"));
    let wanted = PurchaseRequest { starts_at, quantity: 2, ..customer.wants(10) };
    let receipt = customer.store.purchase(&wanted, &prices()).await.expect("bought");
    assert_eq!(customer.refund(&receipt.instance_ids[0]).await.expect("refunded"), 25_000);
    let exchanged = customer.store.upgrade(&customer.exchange(&receipt.instance_ids[1], 40), &prices()).await;
    assert_eq!(exchanged.expect("exchanged").starts_at, at("2027-01-01T00:00:00Z").0, "the same beginning");
    customer.account.verify().await;
}

async fn r12_an_exchange_costs_the_difference(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 80_000).await;
    let small = customer.buy(10).await;
    customer.go(at("2026-12-05T00:00:00Z"));
    let receipt = customer.store.upgrade(&customer.exchange(&small, 40), &prices()).await.expect("exchanged");
    let large = &receipt.instance_ids[0];
    assert_eq!((receipt.total_micros, customer.numbers().await.cash.0), (55_000, 0));
    let (old, new) = (customer.package(&small).await, customer.package(large).await);
    assert_eq!(old.package.status_at(bench.store.now()), PackageStatus::Upgraded);
    assert_eq!((old.replaced_by.as_ref(), new.price.0), (Some(large), 80_000));
    assert_eq!((new.package.starts_at, new.package.ends_at), (bench.store.now(), at("2027-06-06T00:00:00Z")));
    let before = dump(&bench).await;
    for (instance, specification) in [(&small, 100), (large, 40), (large, 10), (large, 41), (large, 100)] {
        let request = customer.exchange(instance, specification);
        customer
            .store
            .upgrade(&request, &prices())
            .await
            .expect_err("given back, not larger, unknown, no money");
    }
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
    assert_eq!(customer.refund(large).await.expect("refunded"), 80_000, "all that was paid for it");
    let query = OrderQuery {
        account_id: customer.id,
        from: UnixMicros(0),
        before: UnixMicros(i64::MAX),
        kind: None,
        limit: 10,
        offset: 0,
    };
    let (orders, count) = customer.store.orders(&query).await.unwrap();
    let seen: Vec<_> = orders.iter().rev().map(|order| (order.kind, order.amount.0)).collect();
    assert_eq!(count, 3);
    assert_eq!(seen, [(OrderKind::New, 25_000), (OrderKind::Upgrade, 55_000), (OrderKind::Refund, -80_000)]);
    customer.account.verify().await;
}

async fn r26_every_order_happens_once_under_its_key(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let other = bench.second_node().await;
    customer.pays("p1", 1_000_000).await;
    let key = |name: &str| Some(name.to_owned());
    let purchase = PurchaseRequest { idempotency_key: key("k1"), ..customer.wants(10) };
    let prices = prices();
    let (one, two) =
        tokio::join!(customer.store.purchase(&purchase, &prices), other.purchase(&purchase, &prices));
    let (one, two) = (one.expect("bought"), two.expect("the same answer"));
    assert_eq!(one, two);
    let instance = one.instance_ids[0].clone();
    let renewal =
        indicia_store::package::RenewRequest { idempotency_key: key("k2"), ..customer.renewal(&instance) };
    let renewed = customer.store.renew(&renewal, &prices).await.expect("renewed");
    let exchange = indicia_store::package::UpgradeRequest {
        idempotency_key: key("k3"),
        ..customer.exchange(&instance, 40)
    };
    let exchanged = customer.store.upgrade(&exchange, &prices).await.expect("exchanged");
    let back = indicia_store::package::RefundRequest {
        idempotency_key: key("k4"),
        ..customer.giving_back(&exchanged.instance_ids[0])
    };
    let refunded = customer.store.refund(&back).await.expect("refunded");
    let before = dump(&bench).await;
    assert_eq!(other.purchase(&purchase, &prices).await.expect("again"), one);
    assert_eq!(other.renew(&renewal, &prices).await.expect("again"), renewed);
    assert_eq!(other.upgrade(&exchange, &prices).await.expect("again"), exchanged);
    assert_eq!(other.refund(&back).await.expect("again"), refunded);
    let conflict = PurchaseRequest { idempotency_key: key("k4"), ..customer.wants(10) };
    let refused = customer.store.purchase(&conflict, &prices).await.expect_err("refused");
    assert!(matches!(refused, PurchaseError::IdempotencyConflict), "{refused}");
    assert_eq!(dump(&bench).await, before, "R26: once");
    customer.account.verify().await;
    other.close().await;
}

async fn r26_a_refund_asked_of_two_nodes_at_once_happens_once(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let other = bench.second_node().await;
    customer.pays("p1", 250_000).await;
    for _ in 0..10 {
        let instance = customer.buy(10).await;
        let request = customer.giving_back(&instance);
        let (one, two) = tokio::join!(customer.store.refund(&request), other.refund(&request));
        assert_eq!([&one, &two].iter().filter(|done| done.is_ok()).count(), 1, "{one:?} {two:?}");
    }
    assert_eq!(customer.numbers().await.cash, MoneyMicros(250_000));
    customer.account.verify().await;
    other.close().await;
}
