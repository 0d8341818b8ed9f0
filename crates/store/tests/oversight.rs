//! What operators see of all accounts, on both engines.

mod engines;
mod support;

use engines::{Bench, NOON};
use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::PriceList;
use indicia_domain::ledger::{Kind, Unit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::Channel;
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, UnixMicros, local_day, zone};
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::contact::Contact;
use indicia_store::money::{Adjusted, Adjustment, TopUp};
use indicia_store::notice::Dispatch;
use indicia_store::oversight::{AccountMoneyQuery, AccountOrder, AuditQuery, LineQuery};
use indicia_store::package::RefundRequest;
use support::{Account, names, operator};

on_both_engines!(
    accounts_are_walked_in_every_order_without_gap_or_repetition,
    r11_who_owes_most_comes_first_and_only_overdue_ones_on_request,
    packages_that_run_out_first_come_first,
    r10_the_months_bills_are_those_of_each_accounts_own_calendar,
    settlements_orders_and_payments_are_summed_by_kind,
    the_audit_log_is_filtered_by_account_and_by_actor,
    r27_lines_come_in_order_page_by_page,
    r27_lines_by_hand_are_credits_and_adjustments_either_way,
    r14_only_notices_with_something_to_tell_count_as_untold,
);

/// Bills are collected as soon as there are any.
const AT_ONCE: CollectionPolicy = CollectionPolicy { threshold: MoneyMicros(1) };

fn all(order: AccountOrder) -> AccountMoneyQuery {
    AccountMoneyQuery { order, only_overdue: false, after: None, limit: 100 }
}

/// Walks a list of accounts, `limit` at a time.
async fn walk(bench: &Bench, order: AccountOrder, limit: i64) -> Vec<i64> {
    let mut query = AccountMoneyQuery { limit, ..all(order) };
    let mut ids = Vec::new();
    for _ in 0..100 {
        let page = bench.store.account_money(&query).await.expect("a page");
        ids.extend(page.iter().map(|account| account.account_id));
        match page.last() {
            Some(last) if page.len() as i64 == limit => query.after = Some((last.sort_key, last.account_id)),
            _ => return ids,
        }
    }
    panic!("the list has no end");
}

/// Sends `mails` mails beyond the free ones of the day.
async fn send(account: &Account, mails: usize) {
    account
        .store
        .set_daily_quota(account.id, 1_000_000, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .expect("a quota");
    let admission = account.admission(None);
    for part in names(mails).chunks(500) {
        admission.submit(account.mail(part).await).await.expect("accepted");
    }
}

/// Bills every hour so far.
async fn bill(bench: &Bench, policy: &CollectionPolicy) {
    bench.clock.advance_micros(HOUR_MICROS);
    bench.store.make_bills(&PriceList::default(), policy).await.expect("billed");
}

async fn accounts_are_walked_in_every_order_without_gap_or_repetition(bench: Bench) {
    let mut ids = Vec::new();
    for number in 0..7 {
        let account = Account::new(&bench.store, "Asia/Shanghai").await;
        // Two owe the same: ties are walked too.
        send(&account, 300 + 500 * (number / 2)).await;
        account.buy(1_000).await;
        ids.push(account.id);
    }
    bill(&bench, &CollectionPolicy::default()).await;
    for order in [AccountOrder::Created, AccountOrder::OwesMost, AccountOrder::RunsOutFirst] {
        let whole: Vec<i64> = bench
            .store
            .account_money(&all(order))
            .await
            .expect("all")
            .iter()
            .map(|account| account.account_id)
            .collect();
        for limit in [1, 2, 3, 7] {
            assert_eq!(walk(&bench, order, limit).await, whole, "{order:?} by {limit}");
        }
        let mut sorted = whole.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, ids, "{order:?}");
    }
}

async fn r11_who_owes_most_comes_first_and_only_overdue_ones_on_request(bench: Bench) {
    let little = Account::new(&bench.store, "Asia/Shanghai").await;
    let much = Account::new(&bench.store, "Europe/Berlin").await;
    let nothing = Account::new(&bench.store, "UTC").await;
    bench.store.credit(little.id, MoneyMicros(5_000_000), "paid", &operator(), None).await.expect("credited");
    send(&little, 400).await;
    send(&much, 5_200).await;
    bill(&bench, &AT_ONCE).await;
    let listed = bench.store.account_money(&all(AccountOrder::OwesMost)).await.expect("listed");
    let ids: Vec<i64> = listed.iter().map(|account| account.account_id).collect();
    assert_eq!(ids, [much.id, little.id, nothing.id]);
    assert_eq!(listed[0].open, MoneyMicros(1_450_000), "5,000 mails beyond the free ones");
    assert_eq!((listed[0].due, listed[1].due), (MoneyMicros(1_450_000), MoneyMicros::ZERO));
    assert!(listed[0].overdue_since.is_some() && listed[1].overdue_since.is_none());
    let query = AccountMoneyQuery { only_overdue: true, ..all(AccountOrder::Created) };
    let overdue = bench.store.account_money(&query).await.expect("listed");
    assert_eq!(overdue.iter().map(|account| account.account_id).collect::<Vec<_>>(), [much.id]);
}

async fn packages_that_run_out_first_come_first(bench: Bench) {
    let slow = Account::new(&bench.store, "Asia/Shanghai").await;
    let fast = Account::new(&bench.store, "Asia/Shanghai").await;
    let idle = Account::new(&bench.store, "Asia/Shanghai").await;
    let without = Account::new(&bench.store, "Asia/Shanghai").await;
    for account in [&slow, &fast, &idle] {
        account.buy(10_000).await;
    }
    send(&slow, 300).await;
    send(&fast, 2_200).await;
    send(&without, 300).await;
    let listed = bench.store.account_money(&all(AccountOrder::RunsOutFirst)).await.expect("listed");
    let ids: Vec<i64> = listed.iter().map(|account| account.account_id).collect();
    assert_eq!(ids, [fast.id, slow.id, idle.id], "one without packages has nothing to run out of");
    assert_eq!(listed[0].package_mails_left, 8_000);
    assert_eq!([listed[0].pace_mails, listed[2].pace_mails], [2_000, 0]);
    bench.clock.advance_micros(31 * DAY_MICROS);
    let later = bench.store.account_money(&all(AccountOrder::RunsOutFirst)).await.expect("listed");
    assert!(later.iter().all(|account| account.pace_mails == 0), "the pace is of the last days only");
}

async fn r10_the_months_bills_are_those_of_each_accounts_own_calendar(bench: Bench) {
    let shanghai = Account::new(&bench.store, "Asia/Shanghai").await;
    let utc = Account::new(&bench.store, "UTC").await;
    // 2026-11-30T17:30Z is December in Shanghai and November in UTC.
    bench.clock.set(UnixMicros::parse("2026-11-30T17:30:00Z").expect("an instant"));
    send(&shanghai, 300).await;
    send(&utc, 1_200).await;
    bill(&bench, &CollectionPolicy::default()).await;
    let month = |first: &str, after: &str| {
        let day = |text: &str| {
            let at = UnixMicros::parse(&format!("{text}T12:00:00Z")).expect("an instant");
            local_day(&zone("UTC").expect("a zone"), at).number
        };
        (day(first), day(after))
    };
    let (november, december) = (month("2026-11-01", "2026-12-01"), month("2026-12-01", "2027-01-01"));
    let in_november = bench.store.month_bills(november.0, november.1).await.expect("summed");
    let in_december = bench.store.month_bills(december.0, december.1).await.expect("summed");
    assert_eq!(
        (in_november.accounts, in_november.mails, in_november.amount),
        (1, 1_000, MoneyMicros(290_000))
    );
    assert_eq!((in_december.accounts, in_december.mails, in_december.amount), (1, 100, MoneyMicros(30_000)));
    assert_eq!(
        (in_november.paid, in_november.due, in_november.bills),
        (MoneyMicros::ZERO, MoneyMicros::ZERO, 1)
    );
    let largest = bench.store.largest_bills(november.0, november.1, 5).await.expect("listed");
    assert_eq!(
        (largest.len(), largest[0].account_id, largest[0].outstanding),
        (1, utc.id, MoneyMicros(290_000))
    );
}

async fn settlements_orders_and_payments_are_summed_by_kind(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    for number in 0..3 {
        let top_up = TopUp {
            provider: if number < 2 { "stripe".into() } else { "other".into() },
            event_id: format!("evt_{number}"),
            payment_reference: format!("pi_{number}"),
            account_id: account.id,
            amount: MoneyMicros(10_000_000),
            memo: "paid".into(),
        };
        bench.store.top_up(&top_up).await.expect("booked");
    }
    send(&account, 300).await;
    bill(&bench, &AT_ONCE).await;
    let receipt = account.buy(1_000).await;
    let request = RefundRequest {
        account_id: account.id,
        instance_id: receipt.instance_ids[0].clone(),
        idempotency_key: None,
        nonce: None,
        by: operator(),
    };
    bench.store.refund(&request).await.expect("refunded");
    let (from, before) = (NOON, bench.clock_now().plus_micros(1));
    let named = |sums: Vec<indicia_store::oversight::Sum>| -> Vec<(String, i64, i64)> {
        sums.into_iter().map(|sum| (sum.name, sum.count, sum.amount.0)).collect()
    };
    let payments = named(bench.store.top_up_sums(from, before).await.expect("summed"));
    assert_eq!(payments, [("other".into(), 1, 10_000_000), ("stripe".into(), 2, 20_000_000)]);
    let settlements = named(bench.store.settlement_sums(from, before).await.expect("summed"));
    assert_eq!(settlements, [("threshold".into(), 1, 30_000)]);
    let orders = named(bench.store.order_sums(from, before).await.expect("summed"));
    assert_eq!(orders, [("New".into(), 1, 100_000), ("Refund".into(), 1, -100_000)]);
    let none = bench.store.top_up_sums(before, before.plus_micros(DAY_MICROS)).await.expect("summed");
    assert!(none.is_empty(), "half-open");
}

async fn the_audit_log_is_filtered_by_account_and_by_actor(bench: Bench) {
    let (first, second) = (Account::new(&bench.store, "UTC").await, Account::new(&bench.store, "UTC").await);
    let bob = Actor::new(ActorKind::CommandLine, "bob");
    for (account, actor) in [(&first, operator()), (&second, operator()), (&first, bob)] {
        bench.store.credit(account.id, MoneyMicros(1_000_000), "x", &actor, None).await.expect("credited");
    }
    let query = |account_id, actor: Option<&str>| AuditQuery {
        account_id,
        actor: actor.map(str::to_owned),
        after: None,
        limit: 10,
    };
    let count = async |query: AuditQuery| bench.store.audit_entries(&query).await.expect("read").len();
    assert_eq!(count(query(None, None)).await, 3);
    assert_eq!(count(query(Some(first.id), None)).await, 2);
    assert_eq!(count(query(None, Some("bob"))).await, 1);
    assert_eq!(count(query(None, Some("command-line bob"))).await, 1);
    assert_eq!(count(query(None, Some("ann@example.org"))).await, 2);
    assert_eq!(count(query(Some(second.id), Some("bob"))).await, 0);
    assert_eq!(count(query(None, Some("b%"))).await, 0, "a name, not a pattern");
    let newest =
        bench.store.audit_entries(&AuditQuery { limit: 1, ..query(None, None) }).await.expect("read");
    assert_eq!((newest[0].actor.as_str(), newest[0].account_id), ("command-line bob", Some(first.id)));
    let rest = AuditQuery { after: Some(newest[0].audit_id), ..query(None, None) };
    assert_eq!(count(rest).await, 2);
}

async fn r27_lines_come_in_order_page_by_page(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    for number in 1..=5 {
        bench.clock.advance_micros(1_000_000);
        bench.store.credit(account.id, MoneyMicros(number), "x", &operator(), None).await.expect("credited");
    }
    let all = LineQuery { limit: 100, ..LineQuery::all(account.id) };
    let lines = bench.store.lines_in_order(&all).await.expect("lines");
    let sequences: Vec<i64> = lines.iter().map(|line| line.sequence).collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5, 6]);
    assert_eq!((lines[0].kind, lines[1].kind), (Kind::Opening, Kind::Credit));
    let money = LineQuery { unit: Some(Unit::Money), after_sequence: 3, limit: 2, ..all.clone() };
    let lines = bench.store.lines_in_order(&money).await.expect("lines");
    assert_eq!(lines.iter().map(|line| line.sequence).collect::<Vec<_>>(), [4, 5]);
    let timed = LineQuery { from: NOON.plus_micros(2_000_000), before: NOON.plus_micros(4_000_000), ..all };
    let lines = bench.store.lines_in_order(&timed).await.expect("lines");
    assert_eq!(lines.iter().map(|line| line.amount).collect::<Vec<_>>(), [2, 3], "half-open");
}

async fn r27_lines_by_hand_are_credits_and_adjustments_either_way(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let instance_id = account.buy(1_000).await.instance_ids[0].clone();
    send(&account, 300).await;
    bill(&bench, &AT_ONCE).await;
    bench.store.credit(account.id, MoneyMicros(-7), "off", &operator(), None).await.expect("taken off");
    for (what, reason) in [
        (Adjusted::Money(MoneyMicros(5)), "money"),
        (Adjusted::FreeMails(-3), "free"),
        (Adjusted::PackageMails { instance_id: instance_id.clone(), mails: 2 }, "more"),
        (Adjusted::PackageMails { instance_id, mails: -1 }, "fewer"),
    ] {
        let adjustment = Adjustment { account_id: account.id, what, reason: reason.into() };
        bench.store.adjust(&adjustment, &operator(), None).await.expect("adjusted");
    }
    let by_hand = async |limit| -> Vec<String> {
        let lines = bench.store.lines_by_hand(account.id, limit).await.expect("lines");
        lines.into_iter().map(|line| line.memo).collect()
    };
    assert_eq!(by_hand(10).await, ["fewer", "more", "free", "money", "off", "test money"]);
    assert_eq!(by_hand(2).await, ["fewer", "more"]);
}

async fn r14_only_notices_with_something_to_tell_count_as_untold(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let contact = bench.store.contact(account.id).await.expect("read").expect("a contact");
    let contact = Contact { by_email: false, ..contact };
    assert!(bench.store.set_contact(account.id, &contact, &operator()).await.expect("set"));
    send(&account, 300).await;
    bill(&bench, &AT_ONCE).await;
    for channel in [Channel::Email, Channel::Sms, Channel::Station] {
        let word: &(dyn Fn(&indicia_store::notice::Handover) -> Dispatch + Send + Sync) =
            &|_| Dispatch::Station { subject: "Overdue".into(), body: "Pay.".into() };
        bench.store.hand_over_notices(account.id, channel, word).await.expect("handed over");
    }
    let untold = bench.store.untold_notices(10).await.expect("listed");
    let told: Vec<(&str, &str)> =
        untold.iter().map(|notice| (notice.channel.as_str(), notice.reason.as_str())).collect();
    assert_eq!(
        told,
        [("email", "e-mail notices are turned off"), ("sms", "the account has no telephone number")]
    );
    assert!(untold.iter().all(|notice| notice.is_skipped && notice.account_id == account.id));
    // A package that is given back takes its notices with it, and nobody has to be told.
    let receipt = account.buy(1_000).await;
    let request = RefundRequest {
        account_id: account.id,
        instance_id: receipt.instance_ids[0].clone(),
        idempotency_key: None,
        nonce: None,
        by: operator(),
    };
    bench.store.refund(&request).await.expect("refunded");
    let kinds: Vec<String> = bench
        .store
        .untold_notices(100)
        .await
        .expect("listed")
        .into_iter()
        .map(|notice| notice.kind)
        .collect();
    assert!(!kinds.contains(&"expiry".to_owned()), "{kinds:?}");
    assert_eq!(bench.store.sms_counts().await.expect("counted").waiting, 0);
}

impl Bench {
    fn clock_now(&self) -> UnixMicros {
        self.store.now()
    }
}
