//! R10: bills by the clock hour, made late, twice and by two nodes at once.

use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{HOUR_MICROS, UnixMicros, local_month_numbered, month_number, zone};
use indicia_store::admission::Admission;
use indicia_store::bill::{BillQuery, BillingRound};
use indicia_store::queue::Cancelled;

use crate::engines::Bench;
use crate::on_both_engines;
use crate::support::money::{Customer, PRICE, at, collection, policy, prices, raw};
use crate::support::names;

on_both_engines!(
    r10_an_hour_is_billed_when_it_is_over_and_not_a_microsecond_before,
    r10_the_hour_is_that_of_the_accounts_zone,
    r10_late_and_repeated_jobs_change_nothing,
    r10_more_hours_than_one_transaction_takes_are_billed_in_one_round,
    r10_mails_given_back_after_their_bill_make_a_credit_note,
    r10_an_hour_keeps_the_price_of_its_first_mail,
    r10_the_hours_add_up_to_the_month,
    r26_two_nodes_make_each_bill_once,
    r10_accounts_that_cannot_be_billed_keep_no_other_from_it,
);

async fn r10_an_hour_is_billed_when_it_is_over_and_not_a_microsecond_before(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Shanghai").await;
    customer.go(at("2026-11-22T04:59:59.999999Z"));
    assert_eq!(customer.paid_by(5).await, [("pay-as-you-go".to_owned(), 5)]);
    assert_eq!(customer.job().await, BillingRound::default(), "the hour is not over");
    customer.go(at("2026-11-22T05:00:00Z"));
    customer.send(2).await;
    assert_eq!(customer.job().await.bills, 1);
    let bills = customer.bills().await;
    let bill = &bills[0];
    // 5 x 0.003333 = 0.016665: two cents.
    assert_eq!((bills.len(), bill.mails, bill.amount, bill.number), (1, 5, MoneyMicros(20_000), 1));
    assert_eq!((bill.hour_start, bill.hour_end), (at("2026-11-22T04:00:00Z"), at("2026-11-22T05:00:00Z")));
    assert_eq!((bill.price, bill.made_at, bill.due_at), (MoneyMicros(PRICE), bill.hour_end, None));
    let numbers = customer.numbers().await;
    assert_eq!((numbers.pay_as_you_go_mails, numbers.open), (2, MoneyMicros(20_000)));
    customer.account.verify().await;
}

async fn r10_the_hour_is_that_of_the_accounts_zone(bench: Bench) {
    // 2026-04-04T15:00Z: Lord Howe goes back from 02:00 to 01:30; that hour of the clock comes in two pieces.
    for (zone, hours) in [
        ("Asia/Kolkata", vec![("2026-04-04T14:30:00Z", "2026-04-04T15:30:00Z")]),
        (
            "Australia/Lord_Howe",
            vec![
                ("2026-04-04T14:00:00Z", "2026-04-04T15:00:00Z"),
                ("2026-04-04T15:00:00Z", "2026-04-04T15:30:00Z"),
            ],
        ),
    ] {
        bench.clock.set(at("2026-04-04T12:00:00Z"));
        let customer = Customer::new(&bench, zone).await;
        for instant in ["2026-04-04T14:59:59.999999Z", "2026-04-04T15:00:00Z", "2026-04-04T15:29:59.999999Z"]
        {
            customer.go(at(instant));
            customer.send(1).await;
        }
        customer.go(at("2026-04-04T15:30:00Z"));
        customer.job().await;
        let bills = customer.bills().await;
        let expected: Vec<_> = hours.iter().map(|(start, end)| (at(start), at(end))).collect();
        let billed: Vec<_> = bills.iter().map(|bill| (bill.hour_start, bill.hour_end)).collect();
        assert_eq!(billed, expected, "{zone}");
        assert_eq!(bills.iter().map(|bill| bill.mails).sum::<i64>(), 3);
        customer.account.verify().await;
    }
}

async fn r10_late_and_repeated_jobs_change_nothing(bench: Bench) {
    let (prompt, late) = (Customer::new(&bench, "UTC").await, Customer::new(&bench, "UTC").await);
    for mails in [3, 1, 7] {
        prompt.send(mails).await;
        late.send(mails).await;
        bench.clock.advance_micros(HOUR_MICROS);
        // The job is the installation's; it bills both. The one is "late" because it is looked at only after the third.
        if mails != 7 {
            prompt.job().await;
            let before = (prompt.bills().await, late.bills().await);
            assert_eq!(prompt.job().await, BillingRound::default());
            assert_eq!((prompt.bills().await, late.bills().await), before);
        }
    }
    bench.clock.advance_micros(90 * HOUR_MICROS);
    let customer = Customer::new(&bench, "UTC").await;
    let hours = [9, 4, 12];
    for mails in hours {
        customer.send(mails).await;
        bench.clock.advance_micros(HOUR_MICROS);
    }
    bench.clock.advance_micros(200 * HOUR_MICROS);
    assert_eq!(customer.job().await.bills, 3 + 2, "days later, all at once");
    let amounts = |mails: &[i64]| -> Vec<i64> {
        mails.iter().map(|mails| ((mails * PRICE + 5_000) / 10_000).max(1) * 10_000).collect()
    };
    let billed = |bills: Vec<indicia_store::bill::Bill>| -> Vec<i64> {
        bills.iter().map(|bill| bill.amount.0).collect()
    };
    assert_eq!(billed(customer.bills().await), amounts(&[9, 4, 12]));
    assert_eq!(billed(prompt.bills().await), amounts(&[3, 1, 7]), "as if each had been billed in its time");
    assert_eq!(billed(late.bills().await), amounts(&[3, 1, 7]));
    customer.account.verify().await;
}

async fn r10_more_hours_than_one_transaction_takes_are_billed_in_one_round(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    for _ in 0..230 {
        customer.send(1).await;
        bench.clock.advance_micros(HOUR_MICROS);
    }
    assert_eq!(customer.job().await.bills, 230);
    assert_eq!(customer.bills().await.len(), 230);
    assert_eq!(customer.job().await, BillingRound::default());
    customer.account.verify().await;
}

async fn r10_mails_given_back_after_their_bill_make_a_credit_note(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    let (first, second) = (customer.send(5).await, customer.send(3).await);
    bench.clock.advance_micros(HOUR_MICROS);
    customer.job().await;
    let cancelled = customer.store.cancel(customer.id, first, "test").await.expect("cancelled");
    assert!(matches!(cancelled, Cancelled::Mails(5)));
    assert_eq!(customer.numbers().await.pay_as_you_go_mails, -5, "billed, and given back since");
    customer.job().await;
    let bills = customer.bills().await;
    let seen: Vec<_> = bills.iter().map(|bill| (bill.number, bill.mails, bill.amount.0)).collect();
    // 8 x 0.003333 = 0.026664: three cents; 3 x 0.003333 = 0.009999: one.
    assert_eq!(seen, [(1, 8, 30_000), (2, -5, -20_000)]);
    assert!(bills[1].is_adjustment());
    customer.store.cancel(customer.id, second, "test").await.expect("cancelled");
    customer.job().await;
    let total = customer.store.bill_total(customer.id, UnixMicros(0), UnixMicros(i64::MAX)).await.unwrap();
    assert_eq!(
        (total.bills, total.mails, total.amount),
        (3, 0, MoneyMicros::ZERO),
        "nothing sent, nothing owed"
    );
    let numbers = customer.numbers().await;
    assert_eq!((numbers.open, numbers.pay_as_you_go_mails), (MoneyMicros::ZERO, 0));
    assert_eq!(customer.job().await, BillingRound::default());
    customer.account.verify().await;
}

async fn r10_an_hour_keeps_the_price_of_its_first_mail(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.pays("p1", 10_000_000).await;
    let first = customer.send(300).await;
    customer.send(300).await;
    bench.clock.advance_micros(HOUR_MICROS);
    customer.job().await;
    customer.store.cancel(customer.id, first, "test").await.expect("cancelled");
    let offers = prices().offers().to_vec();
    let dearer =
        indicia_domain::ledger::price::PriceList::new(offers, MoneyMicros(9_999), 6).expect("a list");
    customer.send(300).await;
    bench.clock.advance_micros(HOUR_MICROS);
    customer.store.make_bills(&dearer, &collection()).await.expect("billed");
    let seen: Vec<_> =
        customer.bills().await.iter().map(|bill| (bill.number, bill.price.0, bill.amount.0)).collect();
    let then = [(1, PRICE, 2_000_000), (2, PRICE, -1_000_000), (1, PRICE, 1_000_000)];
    assert_eq!(seen, then, "what was accepted under the old list is billed by it");

    // A node with the new list accepts from now on.
    let policy = Policy { pay_as_you_go: MoneyMicros(9_999), ..policy() };
    let (admission, _) = Admission::start(customer.store.clone(), policy, None);
    admission.submit(customer.account.mail(&names(300)).await).await.expect("accepted");
    customer.send(300).await;
    bench.clock.advance_micros(HOUR_MICROS);
    customer.store.make_bills(&prices(), &collection()).await.expect("billed");
    let last = customer.bills().await.pop().expect("a bill");
    assert_eq!((last.price.0, last.amount.0), (9_999, 6_000_000), "an hour has one price: its first mail's");
    customer.account.verify().await;
}

async fn r10_the_hours_add_up_to_the_month(bench: Bench) {
    let customer = Customer::new(&bench, "Asia/Kolkata").await;
    let month = month_number("2026-11").expect("a month");
    let (from, before) = local_month_numbered(&zone("Asia/Kolkata").unwrap(), month);
    customer.go(before.plus_micros(-3 * HOUR_MICROS));
    for mails in [7, 2, 11, 5, 1] {
        customer.send(mails).await;
        bench.clock.advance_micros(HOUR_MICROS);
    }
    customer.job().await;
    let total = customer.store.bill_total(customer.id, from, before).await.unwrap();
    let hours = customer.store.usage_hours(customer.id, from, before).await.unwrap();
    let days = customer.store.usage_days(customer.id, from, before).await.unwrap();
    let usage = customer.store.usage_total(customer.id, from, before).await.unwrap();
    assert_eq!((total.bills, total.mails, usage.payg_mails, usage.billed_mails), (3, 20, 20, 20));
    assert_eq!(hours.iter().map(|hour| hour.billed_micros).sum::<i64>(), total.amount.0);
    assert_eq!(days.iter().map(|(_, day)| day.billed_micros).sum::<i64>(), total.amount.0);
    let query = BillQuery {
        account_id: customer.id,
        from,
        before,
        only_open: false,
        after: None,
        limit: 2,
        newest_first: true,
    };
    let page = customer.store.bills(&query).await.unwrap();
    let last = page.last().map(|bill| (bill.hour_start.0, bill.number));
    let rest = customer.store.bills(&BillQuery { after: last, ..query }).await.unwrap();
    let paged: i64 = page.iter().chain(&rest).map(|bill| bill.amount.0).sum();
    assert_eq!((page.len(), rest.len(), paged), (2, 1, total.amount.0), "pages are the whole");
    customer.account.verify().await;
}

async fn r26_two_nodes_make_each_bill_once(bench: Bench) {
    let other = bench.second_node().await;
    let mut customers = Vec::new();
    for _ in 0..8 {
        customers.push(Customer::new(&bench, "UTC").await);
    }
    for _ in 0..3 {
        for customer in &customers {
            customer.send(4).await;
        }
        bench.clock.advance_micros(HOUR_MICROS);
    }
    let (prices, collection) = (prices(), collection());
    let (one, two) =
        tokio::join!(bench.store.make_bills(&prices, &collection), other.make_bills(&prices, &collection));
    assert_eq!(one.expect("billed").bills + two.expect("billed").bills, 24);
    for customer in &customers {
        let numbers: Vec<_> = customer.bills().await.iter().map(|bill| (bill.number, bill.mails)).collect();
        assert_eq!(numbers, [(1, 4); 3]);
    }
    customers[0].account.verify().await;
    other.close().await;
}

/// More of them than one look takes, all before the one that can be billed.
async fn r10_accounts_that_cannot_be_billed_keep_no_other_from_it(bench: Bench) {
    let customer = Customer::new(&bench, "UTC").await;
    customer.send(100).await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 460)";
    let mut raw = raw(&bench).await;
    for sql in [
        format!(
            "INSERT INTO account (account_id, name, email, phone, zone, password_hash, created_at) {many} \
             SELECT i, 'Lost', CAST(i AS TEXT), '', 'Nowhere/Lost', '', 0 FROM n"
        ),
        format!(
            "INSERT INTO account_state (account_id, status, quota_level, daily_quota, quota_day, quota_day_used, quota_month, \
             quota_month_used, free_left, free_day, free_day_used, payg_mails, cash_micros, ledger_sequence) {many} \
             SELECT i, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0 FROM n"
        ),
        format!(
            "INSERT INTO usage_hour (account_id, hour_start, hour_end, day, free_mails, package_mails, payg_mails, billed_mails, \
             billed_micros, price_micros, bills) {many} SELECT i, 0, 1, 0, 0, 0, 1, 0, 0, 290, 0 FROM n"
        ),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await.expect("inserted");
    }
    bench.clock.advance_micros(HOUR_MICROS);
    let failed =
        customer.store.make_bills(&prices(), &collection()).await.expect_err("most could not be billed");
    assert!(failed.to_string().contains("Nowhere/Lost"), "{failed}");
    assert_eq!(customer.bills().await.len(), 1);
}
