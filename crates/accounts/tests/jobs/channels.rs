//! R14: three channels that do not hold each other up.

use std::sync::atomic::Ordering;
use std::time::Duration;

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::time::{DAY_MICROS, SECOND_MICROS};
use indicia_store::notice::NoticeState;
use tokio_util::sync::CancellationToken;

use crate::engines::Bench;
use crate::world::{Mood, World, at};

on_both_engines!(
    r14_a_hanging_gateway_holds_up_neither_mail_nor_inbox,
    r14_r11_the_running_jobs_follow_the_clock_and_stop,
    r14_a_text_is_tried_again_until_the_gateway_takes_it,
    r14_a_text_is_not_sent_after_the_end_it_warns_of,
    r14_a_text_that_can_never_be_sent_is_given_up,
    r14_a_text_that_was_not_noted_is_sent_again_under_its_reference,
    r14_a_channel_that_is_off_or_not_there_is_skipped_with_its_reason,
);

/// 30 days before the end of a package bought at noon of 2026-11-22 for six months.
const DUE: &str = "2027-04-22T16:00:00Z";

async fn r14_a_hanging_gateway_holds_up_neither_mail_nor_inbox(bench: Bench) {
    let world = World::new(bench).await;
    world.gateway.set(Mood::Hangs);
    world.buy(1_000, 6).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(indicia_accounts::run(world.jobs.clone(), stop.clone()));
    for (told, due) in [DUE, "2027-05-15T16:00:00Z"].into_iter().enumerate() {
        world.bench.clock.set(at(due));
        let mut counts = (0, 0, 0);
        for _ in 0..500 {
            counts = world.counts().await;
            if counts == (told + 1, told + 1, 0) && world.gateway.tries.load(Ordering::SeqCst) > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(counts, (told + 1, told + 1, 0), "a text hangs all the while");
    }
    running.abort();
}

async fn r14_r11_the_running_jobs_follow_the_clock_and_stop(bench: Bench) {
    let mut world = World::new(bench).await;
    world.jobs.collection = CollectionPolicy { threshold: MoneyMicros(1) };
    world.buy(1_000, 6).await;
    world.send(1_100).await;
    world.buy(1_000, 6).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(indicia_accounts::run(world.jobs.clone(), stop.clone()));
    // A bill that cannot be paid, then the notices of two leads and the lapse, each a jump of the clock ahead.
    for (told, instant) in
        ["2026-11-22T05:00:00Z", DUE, "2027-05-15T16:00:00Z", "2027-05-22T16:00:00Z"].iter().enumerate()
    {
        world.bench.clock.set(at(instant));
        // Nothing was said of the first package but that it was used up.
        let wanted = (told + 2, told + 2, told + 2);
        for _ in 0..500 {
            if world.counts().await == wanted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(world.counts().await, wanted, "{instant}");
    }
    let kinds: Vec<_> = world.inbox().await.into_iter().map(|message| message.kind).collect();
    assert_eq!(kinds, ["used-up", "overdue", "expiry", "expiry", "lapsed"]);
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it stops").expect("without a panic");
    world.verify().await;
}

async fn r14_a_text_is_tried_again_until_the_gateway_takes_it(bench: Bench) {
    let world = World::new(bench).await;
    world.gateway.set(Mood::Later);
    world.buy(1_000, 6).await;
    world.run_at(at(DUE)).await;
    assert_eq!(world.counts().await, (1, 1, 0));
    world.run_at(at(DUE).plus_micros(30 * SECOND_MICROS - 1)).await;
    assert_eq!(world.gateway.tries.load(Ordering::SeqCst), 1, "not before the pause is over");
    world.run_at(at(DUE).plus_micros(30 * SECOND_MICROS)).await;
    assert_eq!(world.gateway.tries.load(Ordering::SeqCst), 2);
    let log = world.store().sms_log(Some(world.account.id), true, 10).await.expect("listed");
    assert!(log[0].state == 0 && log[0].attempts == 2 && log[0].error.contains("session"), "{log:?}");
    world.gateway.set(Mood::Takes);
    world.run_at(at(DUE).plus_micros(DAY_MICROS)).await;
    world.run_at(at(DUE).plus_micros(2 * DAY_MICROS)).await;
    assert_eq!(world.counts().await, (1, 1, 1), "taken, and then no more");
    let log = world.store().sms_log(Some(world.account.id), false, 10).await.expect("listed");
    assert_eq!((log[0].state, log[0].gateway_id.clone()), (1, format!("g{}", log[0].sms_id)));
    assert_eq!(world.gateway.taken()[0].reference, log[0].sms_id);
}

async fn r14_a_text_is_not_sent_after_the_end_it_warns_of(bench: Bench) {
    let world = World::new(bench).await;
    world.gateway.set(Mood::Later);
    world.buy(1_000, 6).await;
    world.run_at(at(DUE)).await;
    world.gateway.set(Mood::Takes);
    world.bench.clock.set(at("2027-05-22T16:00:00Z"));
    assert_eq!(world.jobs.send_texts().await.expect("looked").given_up, 1, "at the end itself");
    assert!(world.gateway.taken().is_empty());
}

async fn r14_a_text_that_can_never_be_sent_is_given_up(bench: Bench) {
    let world = World::new(bench).await;
    world.gateway.set(Mood::Never);
    world.buy(1_000, 6).await;
    world.run_at(at(DUE)).await;
    world.run_at(at(DUE).plus_micros(DAY_MICROS)).await;
    assert_eq!(world.gateway.tries.load(Ordering::SeqCst), 1);
    let log = world.store().sms_log(Some(world.account.id), true, 10).await.expect("listed");
    assert_eq!((log.len(), log[0].state), (1, 2));
}

/// At least once is the best there is between a gateway and a database: the window is one commit.
async fn r14_a_text_that_was_not_noted_is_sent_again_under_its_reference(bench: Bench) {
    let world = World::new(bench).await;
    world.buy(1_000, 6).await;
    world.bench.clock.set(at(DUE));
    world.jobs.tell().await.expect("told");
    // A node claims the text, hands it over, and dies.
    let claimed =
        world.store().claim_sms(at(DUE).plus_micros(120 * SECOND_MICROS), 16).await.expect("claimed");
    assert_eq!(claimed.len(), 1);
    assert_eq!(world.jobs.send_texts().await.expect("looked"), Default::default(), "it is the other's");
    world.run_at(at(DUE).plus_micros(120 * SECOND_MICROS)).await;
    world.run_at(at(DUE).plus_micros(240 * SECOND_MICROS)).await;
    let taken = world.gateway.taken();
    assert_eq!((taken.len(), taken[0].reference), (1, claimed[0].sms_id));
}

async fn r14_a_channel_that_is_off_or_not_there_is_skipped_with_its_reason(bench: Bench) {
    let mut world = World::new(bench).await;
    let instance = world.buy(1_000, 6).await;
    world.reachable_over(|contact| contact.by_email = false).await;
    world.jobs.sms = None;
    world.run_at(at(DUE)).await;
    world.jobs.notices.sender = None;
    world.reachable_over(|contact| contact.phone.clear()).await;
    world.run_at(at("2027-05-15T16:00:00Z")).await;
    assert_eq!(world.counts().await, (2, 0, 0));
    let mut reasons = Vec::new();
    for channel in [Channel::Email, Channel::Sms] {
        for row in &world.rows(&instance, channel).await[..2] {
            assert_eq!(row.state, NoticeState::Skipped);
            reasons.push(row.reason.clone());
        }
    }
    assert_eq!(
        reasons,
        [
            "e-mail notices are turned off",
            "no sender address for notices is configured (notices.from)",
            "no SMS gateway is configured (sms.gateway)",
            "the account has no telephone number",
        ]
    );
    assert_eq!(world.jobs.metrics.notices(NoticeKind::Expiry, Channel::Station), 2);
    assert_eq!(world.jobs.metrics.notices(NoticeKind::Expiry, Channel::Email), 0);
}
