//! R11: what is called in when, paid how, and what being overdue means.

use indicia_domain::account::AccountStatus;
use indicia_domain::mail::admission::{Policy, Refusal};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{HOUR_MICROS, UnixMicros};
use indicia_store::admission::SubmitError;
use indicia_store::bill::BillingRound;
use indicia_store::collection::SettlementCause;

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, at, policy};
use crate::support::operator;

on_both_engines!(
    r11_open_bills_are_collected_at_the_threshold_and_not_a_cent_before,
    r11_the_first_of_the_month_collects_and_not_a_microsecond_before,
    r11_the_first_is_that_of_the_accounts_zone,
    r11_overdue_refuses_the_very_next_submit_and_paying_restores_the_very_next,
    r11_a_payment_that_does_not_suffice_pays_the_oldest_whole_bills,
    r11_the_credit_limit_is_spent_before_the_account_is_overdue,
    r11_raising_the_credit_limit_restores_at_once,
    r11_a_refund_pays_what_is_due,
    r11_overdue_may_spare_what_is_prepaid,
    r11_credit_notes_are_paid_out_with_the_collection,
);

/// An account that owes ten cents and has nothing; its bills are called in.
async fn overdue(bench: &Bench) -> Customer {
    let customer = Customer::new(bench, "UTC").await;
    for _ in 0..2 {
        customer.send(15).await;
        bench.clock.advance_micros(HOUR_MICROS);
        customer.job().await;
    }
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open.0, numbers.due.0), (100_000, 100_000));
    assert_eq!(numbers.overdue_since, Some(bench.store.now()));
    customer
}

async fn is_overdue(customer: &Customer) -> bool {
    match customer.submit(1).await {
        Ok(_) => false,
        Err(SubmitError::Refused(Refusal::Overdue)) => true,
        Err(error) => panic!("{error}"),
    }
}

async fn r11_open_bills_are_collected_at_the_threshold_and_not_a_cent_before(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 1_000_000).await;
    customer.send(27).await;
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.job().await, BillingRound { bills: 1, settlements: 0, overdue: 0 });
    assert_eq!(customer.numbers().await.open, MoneyMicros(90_000), "a cent below the threshold");
    customer.send(1).await;
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.job().await, BillingRound { bills: 1, settlements: 1, overdue: 0 });
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open.0, numbers.due.0, numbers.cash.0), (0, 0, 900_000));
    let all = customer.store.settlements(customer.id, UnixMicros(0), UnixMicros(i64::MAX)).await.unwrap();
    assert_eq!(
        (all.len(), all[0].cause, all[0].bills, all[0].amount.0),
        (1, SettlementCause::Threshold, 2, 100_000)
    );
    let paid = customer.store.bills_of_settlement(customer.id, all[0].settlement_id).await.unwrap();
    assert_eq!(paid.iter().map(|bill| bill.amount.0).sum::<i64>(), 100_000);
    assert!(paid.iter().all(|bill| bill.settled_at == Some(all[0].at) && bill.outstanding().0 == 0));
    customer.account.verify().await;
}

async fn r11_the_first_of_the_month_collects_and_not_a_microsecond_before(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 50_000).await;
    customer.send(4).await;
    customer.go(at("2026-11-30T23:59:59.999999Z"));
    customer.send(4).await;
    assert_eq!(customer.job().await, BillingRound { bills: 1, settlements: 0, overdue: 0 });
    customer.go(at("2026-12-01T00:00:00Z"));
    customer.send(4).await;
    assert_eq!(customer.job().await, BillingRound { bills: 1, settlements: 1, overdue: 0 });
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open.0, numbers.cash.0, numbers.pay_as_you_go_mails), (0, 30_000, 4));
    customer.go(at("2026-12-01T01:00:00Z"));
    assert_eq!(
        customer.job().await,
        BillingRound { bills: 1, settlements: 0, overdue: 0 },
        "waits for January"
    );
    customer.go(at("2026-12-31T23:00:00Z"));
    assert_eq!(customer.job().await, BillingRound::default());
    customer.go(at("2027-01-01T00:00:00Z"));
    assert_eq!(customer.job().await, BillingRound { bills: 0, settlements: 1, overdue: 0 });
    assert_eq!(customer.job().await, BillingRound::default(), "once a month");
    let causes = customer.store.settlements(customer.id, UnixMicros(0), UnixMicros(i64::MAX)).await.unwrap();
    assert!(causes.iter().all(|settlement| settlement.cause == SettlementCause::Month));
    customer.account.verify().await;
}

async fn r11_the_first_is_that_of_the_accounts_zone(bench: Bench) {
    // The 1st of December begins in Chatham at 2026-11-30T10:15Z, in New York at 2026-12-01T05:00Z.
    let east = Customer::new(&bench, "Pacific/Chatham").await;
    let west = Customer::new(&bench, "America/New_York").await;
    for customer in [&east, &west] {
        customer.pays(&format!("p{}", customer.id), 50_000).await;
        customer.send(4).await;
    }
    for (instant, paid) in [
        ("2026-11-30T10:14:59.999999Z", (false, false)),
        ("2026-11-30T10:15:00Z", (true, false)),
        ("2026-12-01T04:59:59.999999Z", (true, false)),
        ("2026-12-01T05:00:00Z", (true, true)),
    ] {
        bench.clock.set(at(instant));
        east.job().await;
        let settled = async |customer: &Customer| customer.bills().await[0].settled_at.is_some();
        assert_eq!((settled(&east).await, settled(&west).await), paid, "{instant}");
    }
    east.account.verify().await;
}

async fn r11_overdue_refuses_the_very_next_submit_and_paying_restores_the_very_next(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.send(30).await;
    assert!(!is_overdue(&customer).await);
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.job().await.overdue, 1);
    assert!(is_overdue(&customer).await, "the very next submit");
    let before = customer.numbers().await;
    assert_eq!(before.due, MoneyMicros(100_000));
    let lacking = customer.pays("p1", 99_999).await;
    assert!(lacking.booked && is_overdue(&customer).await, "a millionth is lacking");
    let done = customer.pays("p2", 1).await;
    assert_eq!(done.balance, MoneyMicros::ZERO);
    assert!(!is_overdue(&customer).await, "in the same instant");
    let numbers = customer.numbers().await;
    assert_eq!((numbers.due.0, numbers.open.0, numbers.overdue_since), (0, 0, None));
    assert_eq!(numbers.status, AccountStatus::NORMAL);
    customer.account.verify().await;
}

async fn r11_a_payment_that_does_not_suffice_pays_the_oldest_whole_bills(bench: Bench) {
    let customer = overdue(&bench).await;
    customer.pays("p1", 60_000).await;
    let bills = customer.bills().await;
    assert!(bills[0].settled_at.is_some() && bills[1].settled_at.is_none());
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.due.0, numbers.open.0), (10_000, 50_000, 50_000));
    assert!(is_overdue(&customer).await);
    let since = numbers.overdue_since;
    customer.pays("p2", 40_000).await;
    let all = customer.store.settlements(customer.id, UnixMicros(0), UnixMicros(i64::MAX)).await.unwrap();
    let seen: Vec<_> = all.iter().map(|settlement| (settlement.cause, settlement.amount.0)).collect();
    assert_eq!(seen, [(SettlementCause::Payment, 50_000), (SettlementCause::Payment, 50_000)]);
    assert!(since.is_some() && !is_overdue(&customer).await);
    customer.account.verify().await;
}

async fn r11_the_credit_limit_is_spent_before_the_account_is_overdue(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let by = operator();
    customer
        .store
        .set_credit_limit(customer.id, MoneyMicros(150_000), "known for years", &by, None)
        .await
        .unwrap();
    for (cash, overdue) in [(-100_000, false), (-100_000, true)] {
        customer.send(30).await;
        bench.clock.advance_micros(HOUR_MICROS);
        customer.job().await;
        let numbers = customer.numbers().await;
        assert_eq!((numbers.cash.0, numbers.due.0 > 0), (cash, overdue));
        assert_eq!(numbers.overdue_since.is_some(), overdue);
    }
    let refused = customer.store.purchase(&customer.wants(10), &crate::support::money::prices()).await;
    assert!(refused.is_err(), "the credit limit is for bills, not for packages");
    assert!(is_overdue(&customer).await);
    customer.account.verify().await;
}

async fn r11_raising_the_credit_limit_restores_at_once(bench: Bench) {
    let customer = overdue(&bench).await;
    let by = operator();
    customer.store.set_credit_limit(customer.id, MoneyMicros(99_999), "a little", &by, None).await.unwrap();
    assert!(is_overdue(&customer).await);
    customer.store.set_credit_limit(customer.id, MoneyMicros(100_000), "enough", &by, None).await.unwrap();
    assert!(!is_overdue(&customer).await);
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.credit_limit.0, numbers.due.0), (-100_000, 100_000, 0));
    customer.account.verify().await;
}

async fn r11_a_refund_pays_what_is_due(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.send(30).await;
    customer.pays("p1", 150_000).await;
    // Not yet in its validity when the mails are sent, so that it stays untouched.
    let instance = customer.buy(100).await;
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.job().await.overdue, 1);
    assert_eq!(customer.refund(&instance).await.expect("refunded"), 150_000);
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.due.0, numbers.status), (50_000, 0, AccountStatus::NORMAL));
    customer.account.verify().await;
}

async fn r11_overdue_may_spare_what_is_prepaid(bench: Bench) {
    let sparing = Policy { overdue_spares_prepaid: true, ..policy() };
    let customer = Customer::with_policy(&bench, "UTC", &sparing).await;
    customer.send(30).await;
    customer.pays("p1", 25_000).await;
    let instance = customer.buy(10).await;
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.job().await.overdue, 1);
    assert_eq!(customer.paid_by(9).await, [(format!("package:{instance}"), 9)]);
    assert!(matches!(customer.submit(2).await, Err(SubmitError::Refused(Refusal::Overdue))), "one is left");
    assert_eq!(customer.paid_by(1).await, [(format!("package:{instance}"), 1)]);
    assert!(is_overdue(&customer).await);
    customer.account.verify().await;
}

async fn r11_credit_notes_are_paid_out_with_the_collection(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 200_000).await;
    let message = customer.send(30).await;
    bench.clock.advance_micros(HOUR_MICROS);
    customer.job().await;
    assert_eq!(customer.numbers().await.cash, MoneyMicros(100_000));
    customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
    customer.job().await;
    assert_eq!(customer.numbers().await.open, MoneyMicros(-100_000), "owed to the customer");
    customer.go(at("2026-12-01T00:00:00Z"));
    customer.job().await;
    let numbers = customer.numbers().await;
    assert_eq!((numbers.cash.0, numbers.open.0, numbers.due.0), (200_000, 0, 0));
    customer.account.verify().await;
}
