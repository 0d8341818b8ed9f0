//! Money that comes in: once, in every case; corrections by lines of their own; who did what; and refusals that leave
//! nothing behind.

use indicia_domain::ledger::{Kind, LedgerAccount, Unit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{HOUR_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::money::{AdjustError, Adjusted, Adjustment, CreditError, TopUpDone};
use indicia_store::oversight::AuditQuery;
use indicia_store::package::{PurchaseError, PurchaseRequest};

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, dump, prices};
use crate::support::operator;

on_both_engines!(
    r26_a_payment_counts_once_by_its_event_and_by_itself,
    r26_a_payment_told_to_two_nodes_at_once_counts_once,
    r26_a_payment_told_for_many_accounts_at_once_is_booked_to_one,
    r27_a_payment_and_its_line_have_one_instant,
    r27_adjustments_are_lines_with_a_reason,
    r27_who_did_what_is_noted,
    r07_r12_bad_requests_leave_nothing_behind,
);

async fn r26_a_payment_counts_once_by_its_event_and_by_itself(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let first = customer.payment("pi_1", "evt_1", 500_000);
    let balance = MoneyMicros(500_000);
    assert_eq!(customer.store.top_up(&first).await.unwrap(), TopUpDone { balance, booked: true });
    let before = dump(&bench).await;
    let again = TopUpDone { balance, booked: false };
    assert_eq!(customer.store.top_up(&first).await.unwrap(), again, "the same event again");
    let other_event = customer.payment("pi_1", "evt_2", 500_000);
    assert_eq!(
        customer.store.top_up(&other_event).await.unwrap(),
        again,
        "another event of the same payment"
    );
    let refused =
        customer.store.top_up(&customer.payment("pi_1", "evt_3", 900_000)).await.expect_err("refused");
    assert!(matches!(refused, CreditError::BookedOtherwise { amount, .. } if amount == balance), "{refused}");
    let stranger = Customer::new(&bench, "UTC").await;
    let refused = bench.store.top_up(&stranger.payment("pi_1", "evt_1", 500_000)).await.expect_err("refused");
    assert!(matches!(refused, CreditError::BookedOtherwise { account_id, .. } if account_id == customer.id));
    let after: Vec<_> = dump(&bench).await.into_iter().filter(|row| row.starts_with("top_up ")).collect();
    assert_eq!(after, before.into_iter().filter(|row| row.starts_with("top_up ")).collect::<Vec<_>>());
    let other = customer.store.top_up(&customer.payment("pi_2", "evt_4", 1)).await.unwrap();
    assert_eq!((other.booked, other.balance.0), (true, 500_001));
    customer.account.verify().await;
}

async fn r26_a_payment_told_to_two_nodes_at_once_counts_once(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let other = bench.second_node().await;
    for round in 0..10 {
        let same = format!("pi_{round}");
        let one = customer.payment(&same, &format!("evt_{round}"), 1_000);
        let two = customer.payment(&same, &format!("evt_{round}_again"), 1_000);
        let (one, two) = tokio::join!(bench.store.top_up(&one), other.top_up(&two));
        let booked = [one, two].map(|done| done.expect("answered").booked);
        assert_eq!(booked.iter().filter(|booked| **booked).count(), 1);
    }
    assert_eq!(customer.numbers().await.cash, MoneyMicros(10_000));
    customer.account.verify().await;
    other.close().await;
}

async fn r26_a_payment_told_for_many_accounts_at_once_is_booked_to_one(bench: Bench) {
    let other = bench.second_node().await;
    let mut customers = Vec::new();
    for _ in 0..8 {
        customers.push(Customer::new(&bench, "UTC").await);
    }
    for round in 0..12 {
        let mut told = Vec::new();
        for (number, customer) in customers.iter().enumerate() {
            // By turns the event differs, the payment does, and neither.
            let (own, same) = (format!("{round}-{number}"), format!("{round}"));
            let (payment, event) = match round % 3 {
                0 => (&same, &own),
                1 => (&own, &same),
                _ => (&same, &same),
            };
            let (payment, event) = (format!("pi_{payment}"), format!("evt_{event}"));
            let payment = customer.payment(&payment, &event, 1_000);
            let store = if number % 2 == 0 { bench.store.clone() } else { other.clone() };
            told.push(tokio::spawn(async move { store.top_up(&payment).await }));
        }
        let mut booked = 0;
        for answer in told {
            match answer.await.expect("no panic") {
                Ok(done) => booked += usize::from(done.booked),
                Err(CreditError::BookedOtherwise { amount, .. }) => assert_eq!(amount.0, 1_000),
                Err(CreditError::OtherPayment { .. }) => {
                    assert_eq!(round % 3, 1, "the event is of another payment")
                }
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        assert_eq!(booked, 1, "round {round}");
    }
    let mut cash = 0;
    for customer in &customers {
        cash += customer.numbers().await.cash.0;
        customer.account.verify().await;
    }
    assert_eq!(cash, 12_000);
    other.close().await;
}

async fn r27_a_payment_and_its_line_have_one_instant(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 1).await;
    bench.clock.advance_micros(-SECOND_MICROS);
    customer.pays("p2", 1).await;
    let rows = customer.store.top_ups(Some(customer.id), UnixMicros(0), UnixMicros(i64::MAX), 10).await;
    for row in rows.expect("read") {
        let lines = customer.store.transaction_lines(customer.id, row.transaction_id).await.expect("read");
        assert_eq!(
            lines[0].at, row.at,
            "{}: the account's time, however slow the clock",
            row.payment_reference
        );
    }
}

fn adjustment(customer: &Customer, what: Adjusted) -> Adjustment {
    Adjustment { account_id: customer.id, what, reason: "ticket 4711".to_owned() }
}

async fn r27_adjustments_are_lines_with_a_reason(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 100_000).await;
    let instance = customer.buy(10).await;
    customer.send(4).await;
    let by = operator();
    let package = |mails| Adjusted::PackageMails { instance_id: instance.clone(), mails };
    for (what, from, to, amount, after) in [
        (Adjusted::Money(MoneyMicros(5_000)), LedgerAccount::Outside, LedgerAccount::Cash, 5_000, 80_000),
        (Adjusted::Money(MoneyMicros(-80_000)), LedgerAccount::Cash, LedgerAccount::Outside, 80_000, 0),
        (Adjusted::FreeMails(7), LedgerAccount::Granted, LedgerAccount::Free, 7, 7),
        (Adjusted::FreeMails(-7), LedgerAccount::Free, LedgerAccount::Granted, 7, 0),
        (package(5), LedgerAccount::Granted, LedgerAccount::Package(instance.clone()), 5, 11),
        (package(-11), LedgerAccount::Package(instance.clone()), LedgerAccount::Granted, 11, 0),
    ] {
        let done = customer.store.adjust(&adjustment(&customer, what), &by, None).await.expect("adjusted");
        let lines = customer.store.transaction_lines(customer.id, done.transaction_id).await.unwrap();
        let line = &lines[0];
        assert_eq!((lines.len(), line.kind, &line.memo[..]), (1, Kind::Adjustment, "ticket 4711"));
        assert_eq!((&line.from, &line.to, line.amount, line.after), (&from, &to, amount, after));
    }
    let row = customer.package(&instance).await.package;
    assert_eq!((row.granted, row.remaining, row.consumed()), (4, 0, 4));
    customer.account.verify().await;
    let before = dump(&bench).await;
    for (what, expected) in [
        (Adjusted::Money(MoneyMicros(-1)), "cannot be taken off"),
        (Adjusted::Money(MoneyMicros::ZERO), "changes nothing"),
        (Adjusted::Money(MoneyMicros(i64::MAX)), "larger than can be booked"),
        (Adjusted::Money(MoneyMicros(i64::MIN)), "larger than can be booked"),
        (Adjusted::FreeMails(0), "changes nothing"),
        (Adjusted::FreeMails(-1), "only 0 mails are left"),
        (Adjusted::FreeMails(i64::MIN), "at most"),
        (package(-1), "only 0 mails are left"),
        (package(i64::MAX), "at most"),
        (Adjusted::PackageMails { instance_id: "DMBAG-1".into(), mails: 1 }, "has no package"),
    ] {
        let refused =
            customer.store.adjust(&adjustment(&customer, what), &by, None).await.expect_err("refused");
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    let nameless = Adjustment { reason: "  ".into(), ..adjustment(&customer, Adjusted::FreeMails(1)) };
    assert!(matches!(customer.store.adjust(&nameless, &by, None).await, Err(AdjustError::NoReason)));
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
}

async fn r27_who_did_what_is_noted(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let by = operator();
    customer.pays("p1", 100_000).await;
    customer.store.credit(customer.id, MoneyMicros(200_000), "cheque", &by, None).await.unwrap();
    let instance = customer.buy(10).await;
    customer.store.upgrade(&customer.exchange(&instance, 40), &prices()).await.expect("upgraded");
    let larger =
        customer.packages().await.into_iter().find(|row| row.closed_at.is_none()).expect("one is open");
    customer.store.renew(&customer.renewal(&larger.package.instance_id), &prices()).await.expect("renewed");
    customer.refund(&larger.package.instance_id).await.expect("refunded");
    customer.store.set_credit_limit(customer.id, MoneyMicros(1), "trust", &by, None).await.unwrap();
    customer.store.adjust(&adjustment(&customer, Adjusted::FreeMails(1)), &by, None).await.unwrap();
    let log = customer
        .store
        .audit_entries(&AuditQuery { account_id: Some(customer.id), limit: 100, ..AuditQuery::default() })
        .await
        .unwrap();
    let seen: Vec<_> = log.iter().rev().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    let operator = "operator ann@example.org";
    assert_eq!(
        seen,
        [
            ("system stripe", "top-up"),
            (operator, "credit"),
            (operator, "purchase"),
            (operator, "upgrade"),
            (operator, "renew"),
            (operator, "refund"),
            (operator, "credit-limit"),
            (operator, "adjust-mails"),
        ]
    );
    assert!(log[0].detail.contains("ticket 4711") && log[1].detail.contains("trust"), "{log:?}");
    customer.account.verify().await;
}

async fn r07_r12_bad_requests_leave_nothing_behind(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let stranger = Customer::new(&bench, "UTC").await;
    for one in [&customer, &stranger] {
        one.pays(&format!("p{}", one.id), 60_000).await;
    }
    let (own, theirs) = (customer.buy(10).await, stranger.buy(10).await);
    let used = customer.buy(10).await;
    bench.clock.advance_micros(HOUR_MICROS);
    assert_eq!(customer.paid_by(11).await.len(), 2, "one is used up, the other begun");
    let (own, used) =
        if customer.package(&own).await.package.remaining == 0 { (used, own) } else { (own, used) };
    let before = dump(&bench).await;
    let (prices, base) = (prices(), customer.wants(10));
    for (request, expected) in [
        (customer.wants(11), "11 mails is not a package on offer"),
        (customer.wants(0), "not a package on offer"),
        (customer.wants(-10), "not a package on offer"),
        (customer.wants(i64::MAX), "not a package on offer"),
        (customer.wants(100), "put money on the account first"),
        (PurchaseRequest { quantity: 0, ..base.clone() }, "1 to 100 packages"),
        (PurchaseRequest { quantity: -1, ..base.clone() }, "1 to 100 packages"),
        (PurchaseRequest { quantity: 101, ..base.clone() }, "1 to 100 packages"),
        (PurchaseRequest { quantity: 100, ..base.clone() }, "put money on the account first"),
        (PurchaseRequest { starts_at: Some(UnixMicros(0)), ..base.clone() }, "from now to six months ahead"),
        (
            PurchaseRequest { starts_at: Some(UnixMicros(i64::MAX)), ..base.clone() },
            "from now to six months ahead",
        ),
        (PurchaseRequest { account_id: 4, ..base.clone() }, "no account 4"),
    ] {
        let refused = customer.store.purchase(&request, &prices).await.expect_err("refused");
        assert!(refused.to_string().contains(expected), "{refused}");
    }
    for instance in [&theirs, "DMBAG-1", "", "'; DROP TABLE package; --"] {
        let refused = customer.refund(instance).await.expect_err("refused");
        assert!(matches!(refused, PurchaseError::NoInstance(_)), "{refused}");
        let refused = customer.store.renew(&customer.renewal(instance), &prices).await.expect_err("refused");
        assert!(matches!(refused, PurchaseError::NoInstance(_)), "{refused}");
        let refused = customer.store.upgrade(&customer.exchange(instance, 40), &prices).await;
        assert!(matches!(refused, Err(PurchaseError::NoInstance(_))), "{refused:?}");
    }
    for instance in [&own, &used] {
        let refused = customer.refund(instance).await.expect_err("refused");
        assert!(matches!(refused, PurchaseError::NotReturnable { .. }), "{refused}");
        let refused = customer.store.upgrade(&customer.exchange(instance, 40), &prices).await;
        assert!(matches!(refused, Err(PurchaseError::NotUpgradable { .. })), "{refused:?}");
    }
    let refused = customer.store.renew(&customer.renewal(&own), &prices).await.expect_err("refused");
    assert!(matches!(refused, PurchaseError::InsufficientBalance { .. }), "{refused}");
    for micros in [0, -1, i64::MIN] {
        let refused =
            customer.store.top_up(&customer.payment("p9", "e9", micros)).await.expect_err("refused");
        assert!(matches!(refused, CreditError::NotPositive(_)), "{refused}");
    }
    let refused = customer.store.top_up(&customer.payment("p9", "e9", i64::MAX)).await.expect_err("refused");
    assert!(matches!(refused, CreditError::TooLarge), "{refused}");
    let by = operator();
    for (micros, expected) in
        [(0, "changes nothing"), (-10_001, "cannot be taken"), (i64::MIN, "larger than")]
    {
        let refused = customer.store.credit(customer.id, MoneyMicros(micros), "test", &by, None).await;
        assert!(refused.as_ref().is_err_and(|refused| refused.to_string().contains(expected)), "{refused:?}");
    }
    for micros in [-1, i64::MIN, i64::MAX] {
        customer
            .store
            .set_credit_limit(customer.id, MoneyMicros(micros), "test", &by, None)
            .await
            .expect_err("refused");
    }
    assert_eq!(dump(&bench).await, before, "nothing is written on an error");
    let lines = customer.store.ledger_lines(customer.id, None, Some(Unit::Money), 100).await.unwrap();
    assert!(lines.iter().all(|line| line.amount > 0));
    customer.account.verify().await;
}
