//! R11: before bills are collected, when they cannot be paid, and when they are.

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::time::{HOUR_MICROS, UnixMicros};
use indicia_store::notice::NoticeState;

use crate::engines::{Bench, NOON};
use crate::world::{World, at};

on_both_engines!(
    r11_overdue_is_told_and_restored_is,
    r11_an_account_that_is_short_is_told_days_ahead,
    r11_who_can_pay_is_not_warned,
    r11_open_bills_near_the_threshold_are_told,
    r11_two_causes_at_once_are_one_message,
    r11_a_payment_between_look_and_lock_is_seen,
);

const AHEAD: &str = "collection-ahead";
/// 1,000 mails at 0.00029.
const BILL_MICROS: i64 = 290_000;

const CENT_MICROS: i64 = 10_000;

/// The local midnight of the 1st of December in Shanghai, and three days before.
fn first() -> UnixMicros {
    at("2026-11-30T16:00:00Z")
}

fn three_days_ahead() -> UnixMicros {
    at("2026-11-27T16:00:00Z")
}

async fn r11_overdue_is_told_and_restored_is(bench: Bench) {
    let mut world = World::new(bench).await;
    world.jobs.collection = CollectionPolicy { threshold: MoneyMicros(BILL_MICROS) };
    world.send(1_000).await;
    world.run_at(NOON.plus_micros(HOUR_MICROS - 1)).await;
    assert!(world.told("overdue").await.is_empty(), "the hour is not over");
    world.run_at(NOON.plus_micros(HOUR_MICROS)).await;
    world.run().await;
    assert_eq!(world.told("overdue").await.len(), 1);
    world.pay_in(BILL_MICROS - CENT_MICROS).await;
    world.run().await;
    assert!(world.told("restored").await.is_empty(), "a cent is missing");
    world.pay_in(CENT_MICROS).await;
    world.run().await;
    assert_eq!((world.told("overdue").await.len(), world.told("restored").await.len()), (1, 1));
    assert!(world.inbox().await[1].body.contains("USD 0.29"), "{:?}", world.inbox().await);
    assert_eq!(world.counts().await, (2, 2, 2));
    assert_eq!(world.jobs.metrics.notices(NoticeKind::Overdue, Channel::Email), 1);
    world.verify().await;
}

async fn r11_an_account_that_is_short_is_told_days_ahead(bench: Bench) {
    let world = World::new(bench).await;
    world.send(1_000).await;
    world.run_at(three_days_ahead().plus_micros(-1)).await;
    assert!(world.told(AHEAD).await.is_empty());
    world.run_at(three_days_ahead()).await;
    world.run_at(first().plus_micros(-1)).await;
    let told = world.told(AHEAD).await;
    assert_eq!(told.len(), 1, "once a month: {told:?}");
    let body = &world.inbox().await[0].body;
    assert!(body.contains("2026-12-01 00:00") && body.contains("USD 0.29"), "{body}");
    world.run_at(first()).await;
    assert_eq!(world.told("overdue").await.len(), 1, "what was told came");
    world.pay_in(BILL_MICROS).await;
    world.send(10).await;
    world.run_at(at("2026-12-28T16:00:00Z")).await;
    assert_eq!(world.told(AHEAD).await.len(), 2, "the next month has its own");
}

async fn r11_who_can_pay_is_not_warned(bench: Bench) {
    let mut world = World::new(bench).await;
    world.jobs.collection = CollectionPolicy { threshold: MoneyMicros(BILL_MICROS + 1) };
    world.pay_in(BILL_MICROS).await;
    world.send(1_000).await;
    world.run_at(three_days_ahead()).await;
    assert!(world.told(AHEAD).await.is_empty());
    world.send(1).await;
    world.run().await;
    assert_eq!(world.told(AHEAD).await.len(), 1, "with the mail not yet billed a cent is missing");
}

async fn r11_open_bills_near_the_threshold_are_told(bench: Bench) {
    let mut world = World::new(bench).await;
    world.jobs.collection = CollectionPolicy { threshold: MoneyMicros(BILL_MICROS * 5 / 4) };
    world.send(900).await;
    world.run_at(NOON.plus_micros(HOUR_MICROS)).await;
    assert!(world.told(AHEAD).await.is_empty());
    world.send(100).await;
    world.run_at(NOON.plus_micros(2 * HOUR_MICROS)).await;
    world.run_at(NOON.plus_micros(3 * HOUR_MICROS)).await;
    assert_eq!(world.told(AHEAD).await.len(), 1, "80 % of the threshold, once");
    world.run_at(three_days_ahead()).await;
    assert_eq!(world.told(AHEAD).await.len(), 2, "days ahead of the 1st is another cause");
}

async fn r11_two_causes_at_once_are_one_message(bench: Bench) {
    let mut world = World::new(bench).await;
    world.jobs.collection = CollectionPolicy { threshold: MoneyMicros(BILL_MICROS * 5 / 4) };
    world.send(1_000).await;
    world.run_at(three_days_ahead()).await;
    world.run_at(three_days_ahead().plus_micros(HOUR_MICROS)).await;
    assert_eq!(world.counts().await, (1, 1, 1));
    let rows = world.store().notices(world.account.id, 100).await.expect("listed");
    let skipped: Vec<_> = rows.iter().filter(|row| row.state == NoticeState::Skipped).collect();
    assert!(skipped.len() == 3 && skipped.iter().all(|row| row.key.ends_with(":near")), "{rows:?}");
}

/// Payments race with the look: whoever has paid before the warning is said is not warned.
async fn r11_a_payment_between_look_and_lock_is_seen(bench: Bench) {
    let world = World::new(bench).await;
    world.send(1_000).await;
    world.bench.clock.set(three_days_ahead());
    world.jobs.bill().await.expect("billed");
    let (told, ()) = tokio::join!(world.jobs.look_ahead(), world.pay_in(BILL_MICROS));
    told.expect("looked");
    world.run().await;
    assert_eq!(world.told(AHEAD).await.len(), 0);
    assert_eq!(world.jobs.look_ahead().await.expect("looked"), 0);
}
