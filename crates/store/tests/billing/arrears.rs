//! What an audit of the billing asked: arrears that end, months that are not lost, and packages that are what was paid for.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::change::{NotReturnable, NotUpgradable};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::HOUR_MICROS;
use indicia_store::alert::{AlertError, AlertScope};
use indicia_store::money::{Adjusted, Adjustment};
use indicia_store::package::{PurchaseError, Receipt};

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, at, prices};
use crate::support::operator;

on_both_engines!(
    r11_a_credit_note_ends_arrears,
    r11_a_month_is_collected_though_a_clock_was_ahead,
    r11_nothing_is_bought_while_bills_are_due,
    r11_a_backlog_makes_the_account_overdue_once_and_is_paid_whole,
    r12_an_emptied_package_is_neither_refunded_nor_exchanged,
    r08_a_renewal_that_was_exchanged_is_still_the_renewal,
    r15_an_alert_goes_off_by_crossing_only,
);

async fn bought(customer: &Customer) -> Result<Receipt, PurchaseError> {
    customer.store.purchase(&customer.wants(10), &prices()).await
}

async fn renewed(customer: &Customer, instance: &str) -> Result<Receipt, PurchaseError> {
    customer.store.renew(&customer.renewal(instance), &prices()).await
}

/// For the package of 40.
async fn exchanged(customer: &Customer, instance: &str) -> Result<Receipt, PurchaseError> {
    customer.store.upgrade(&customer.exchange(instance, 40), &prices()).await
}

async fn adjusted(customer: &Customer, adjustment: &Adjustment) {
    customer.store.adjust(adjustment, &operator(), None).await.expect("adjusted");
}

async fn is_overdue(customer: &Customer) -> bool {
    customer.numbers().await.status.has(AccountStatus::OVERDUE)
}

/// Owes 20 mails of November, cannot pay on the 1st, and then the mails are given back: nothing is owed any more.
async fn r11_a_credit_note_ends_arrears(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.go(at("2026-11-30T22:10:00Z"));
    let message = customer.send(20).await;
    customer.go(at("2026-12-01T00:00:00Z"));
    customer.job().await;
    assert!(is_overdue(&customer).await);
    customer.submit(1).await.expect_err("overdue");
    customer.store.cancel(customer.id, message, "test").await.expect("cancelled");
    customer.job().await;
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open, numbers.due), (MoneyMicros::ZERO, MoneyMicros::ZERO));
    assert!(!is_overdue(&customer).await);
    customer.submit(1).await.expect("sends again, without having paid");
    customer.account.verify().await;
}

/// One node's clock is in December for a moment, on 29 November: the 1st of December collects all the same.
async fn r11_a_month_is_collected_though_a_clock_was_ahead(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p", 10_000_000).await;
    customer.go(at("2026-11-29T10:10:00Z"));
    customer.send(5).await;
    customer.go(at("2026-12-01T10:20:00Z"));
    customer.job().await;
    customer.go(at("2026-11-30T10:30:00Z"));
    customer.send(20).await;
    customer.go(at("2026-12-01T00:00:01Z"));
    customer.job().await;
    assert_eq!(customer.numbers().await.open, MoneyMicros::ZERO, "nothing of November is left");
    customer.account.verify().await;
}

async fn r11_nothing_is_bought_while_bills_are_due(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p", 60_000).await;
    customer.go(at("2026-11-30T22:10:00Z"));
    customer.send(20).await;
    customer.go(at("2026-12-01T00:00:00Z"));
    customer.job().await;
    let before = customer.numbers().await;
    assert!(before.due.0 > 0 && before.cash.0 >= 25_000, "it could pay for a package, but not for its bill");
    let refused = bought(&customer).await.expect_err("overdue");
    assert!(matches!(refused, PurchaseError::Overdue(due) if due == before.due), "{refused}");
    assert_eq!(customer.numbers().await.cash, before.cash);
    customer.pays("q", 1_000_000).await;
    bought(&customer).await.expect("bought once the bill is paid");
    customer.account.verify().await;
}

/// Bills of many hours at once, over the threshold from the third on: due, and paid when the money comes.
async fn r11_a_backlog_makes_the_account_overdue_once_and_is_paid_whole(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.go(at("2026-11-10T00:10:00Z"));
    for hour in 0..120 {
        customer.go(at("2026-11-10T00:10:00Z").plus_micros(hour * HOUR_MICROS));
        customer.send(12).await;
    }
    customer.go(at("2026-11-15T00:30:00Z"));
    let round = customer.job().await;
    assert_eq!((round.bills, round.overdue), (120, 1));
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open, numbers.due), (MoneyMicros(4_800_000), MoneyMicros(4_800_000)), "0.04 an hour");
    customer.pays("p", 5_000_000).await;
    let numbers = customer.numbers().await;
    assert_eq!(
        (numbers.open, numbers.due, numbers.cash),
        (MoneyMicros::ZERO, MoneyMicros::ZERO, MoneyMicros(200_000))
    );
    assert!(!is_overdue(&customer).await);
    customer.account.verify().await;
}

async fn r12_an_emptied_package_is_neither_refunded_nor_exchanged(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p", 1_000_000).await;
    let instance = customer.buy(10).await;
    let taken = Adjusted::PackageMails { instance_id: instance.clone(), mails: -4 };
    let adjustment =
        Adjustment { account_id: customer.id, what: taken, reason: "given by mistake".to_owned() };
    adjusted(&customer, &adjustment).await;
    let refused = customer.refund(&instance).await.expect_err("not worth its price");
    let emptied = |why: &NotReturnable| *why == NotReturnable::Emptied(4);
    assert!(matches!(&refused, PurchaseError::NotReturnable { why, .. } if emptied(why)), "{refused}");
    let refused = exchanged(&customer, &instance).await.expect_err("not worth its price");
    assert!(
        matches!(&refused, PurchaseError::NotUpgradable { why: NotUpgradable::NotReturnable(why), .. } if emptied(why)),
        "{refused}"
    );
    customer.account.verify().await;
}

async fn r08_a_renewal_that_was_exchanged_is_still_the_renewal(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p", 1_000_000).await;
    let old = customer.buy(10).await;
    let renewal = renewed(&customer, &old).await.expect("renewed").instance_ids.remove(0);
    let larger = exchanged(&customer, &renewal).await.expect("exchanged").instance_ids.remove(0);
    let refused = renewed(&customer, &old).await.expect_err("renewed already");
    assert!(
        matches!(&refused, PurchaseError::AlreadyRenewed { renewal, .. } if *renewal == larger),
        "{refused}"
    );
    customer.refund(&larger).await.expect("refunded");
    renewed(&customer, &old).await.expect("nothing renews it any more");
    customer.account.verify().await;
}

async fn r15_an_alert_goes_off_by_crossing_only(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p", 1_000_000).await;
    let instance = customer.buy(10).await;
    customer.store.set_alert(customer.id, &AlertScope::All, 30, &operator()).await.expect("set");
    customer.send(8).await;
    let told = async || {
        let notices = customer.store.notices(customer.id, 1_000).await.expect("read");
        notices.iter().filter(|notice| notice.key.starts_with("low:all")).count() / 3
    };
    assert_eq!(told().await, 1, "2 of 10 left");
    // A mail more is growth, but 3 of 11 is still not above 30 %: no other crossing, and none by the next deduction.
    let gift = Adjusted::PackageMails { instance_id: instance.clone(), mails: 1 };
    let adjustment = Adjustment { account_id: customer.id, what: gift, reason: "a gift".to_owned() };
    adjusted(&customer, &adjustment).await;
    customer.send(1).await;
    assert_eq!(told().await, 1);
    customer.buy(100).await;
    customer.send(90).await;
    assert_eq!(told().await, 2, "above by the purchase, and below again");

    let spare = customer.buy(10).await;
    customer.refund(&spare).await.expect("refunded");
    let refused =
        customer.store.set_alert(customer.id, &AlertScope::Package(spare.clone()), 10, &operator()).await;
    assert!(matches!(refused, Err(AlertError::NotLive(named)) if named == spare));
}
