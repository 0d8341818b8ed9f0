//! R19 to R23: reviews and the brake as jobs: when they act, once, and what the account is told.

use indicia_accounts::{Housekeeping, Jobs};
use indicia_domain::account::AccountStatus;
use indicia_domain::mail::admission::Refusal;
use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Verdict};
use indicia_domain::quota::evidence::Reason;
use indicia_domain::quota::review::Action;
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::admission::SubmitError;
use indicia_store::audit::Actor;
use indicia_store::quota::{BrakeMemory, ReviewRound};

use crate::engines::{Bench, NOON};
use crate::support::{operator, outcome};
use crate::world::World;

on_both_engines!(
    r19_a_week_with_three_full_days_raises_and_two_do_not,
    r19_a_bad_week_lowers_one_level,
    r20_a_review_stops_at_the_users_ceiling,
    r21_a_bad_week_pauses_and_the_next_review_releases,
    r22_the_second_pause_within_eight_weeks_waits_for_an_operator,
    r26_two_nodes_review_a_week_once,
    r19_reviews_that_are_three_weeks_late_decide_as_on_time,
    r22_the_brake_pauses_within_one_round,
    r22_a_small_account_is_not_braked,
    r22_the_brake_looks_again_only_at_what_has_changed,
    r22_two_nodes_brake_an_account_once,
    r22_what_was_before_the_release_pauses_nobody_again,
    evidence_is_forgotten_when_no_review_can_want_it,
);

const NO_SUCH_BOX: Verdict = Verdict {
    disposition: Disposition::Permanent,
    status: DeliveryStatus::InvalidAddress,
    classification: ErrorClassification::SmtpNxBox,
};
/// Refused for good, for a reason that is neither the address nor spam.
fn refused() -> Verdict {
    Verdict::permanent(ErrorClassification::SmtpZPermErr)
}

/// The local midnight of Monday 2026-11-23 in Shanghai.
const MONDAY: UnixMicros = UnixMicros(NOON.0 + 12 * HOUR_MICROS);
const WEEK_MICROS: i64 = 7 * DAY_MICROS;

/// When the review of the week that begins so many weeks after [`MONDAY`] is due.
fn review_of(week: i64) -> UnixMicros {
    MONDAY.plus_micros((week + 1) * WEEK_MICROS + 5 * MINUTE_MICROS)
}

/// 1,000 mails a day, at the beginning of a week.
async fn world(bench: Bench) -> World {
    let world = World::new(bench).await;
    set_quota(&world, 1_000).await;
    world.pay_in(1_000_000_000).await;
    // The half week in which the account was made.
    assert_eq!(review_at(&world, review_of(-1)).await.reviews, 1);
    world
}

async fn set_quota(world: &World, daily: i64) {
    world.store().set_daily_quota(world.account.id, daily, "a test", &operator()).await.expect("set");
}

async fn daily(world: &World) -> i64 {
    standing(world).await.daily_mails
}

async fn standing(world: &World) -> indicia_store::quota::Standing {
    world.store().quota_standing(world.account.id).await.expect("read").expect("an account")
}

async fn status(world: &World) -> AccountStatus {
    world.store().account_numbers(world.account.id).await.expect("read").expect("an account").status
}

/// Sends to `mails` new recipients, of which the first `bad` end with `verdict`, and the rest are delivered.
async fn send(world: &World, name: &str, mails: usize, bad: usize, fate: Verdict) {
    let addresses: Vec<String> = (0..mails).map(|number| format!("{name}{number:04}@example.net")).collect();
    let mail = world.account.mail(&addresses).await;
    world.account.admission(None).submit(mail).await.expect("accepted");
    loop {
        let claimed = world.store().claim(5_000, 1 << 24).await.expect("claimed");
        if claimed.is_empty() {
            break;
        }
        for mail in claimed.iter().filter(|mail| mail.account_id == world.account.id) {
            let ended_with = |index: usize| {
                let number = mail.recipients[index].number;
                if number < bad as i64 { fate } else { Verdict::DELIVERED }
            };
            let ended: Vec<_> = (0..mail.recipients.len())
                .map(|index| outcome(mail, index, ended_with(index), None))
                .collect();
            world.store().commit_outcomes(&ended).await.expect("committed");
        }
    }
}

/// Full days of a week, each with so many bad mails of `mails`.
async fn week(world: &World, number: i64, days: i64, mails: usize, bad: usize, fate: Verdict) {
    for day in 0..days {
        let at = MONDAY.plus_micros(number * WEEK_MICROS + day * DAY_MICROS + 9 * HOUR_MICROS);
        world.bench.clock.set(at);
        send(world, &format!("w{number}d{day}-"), mails, bad, fate).await;
    }
}

async fn review_at(world: &World, at: UnixMicros) -> ReviewRound {
    world.bench.clock.set(at);
    let round = world.jobs.review().await.expect("reviewed");
    world.run().await;
    round
}

/// What the kept reviews did, the oldest first.
async fn actions(world: &World) -> Vec<(Action, i64)> {
    let mut reviews = world.store().quota_reviews(world.account.id, 100).await.expect("kept");
    reviews.retain(|review| review.dossier.from >= MONDAY);
    reviews.reverse();
    reviews.iter().map(|review| (review.decision.action, review.new_daily)).collect()
}

async fn r19_a_week_with_three_full_days_raises_and_two_do_not(bench: Bench) {
    let world = world(bench).await;
    week(&world, 0, 2, 800, 4, NO_SUCH_BOX).await;
    let due = review_of(0);
    assert_eq!(
        review_at(&world, due.plus_micros(-1)).await,
        ReviewRound::default(),
        "the week is not over yet"
    );
    assert_eq!(review_at(&world, due).await.reviews, 1);
    assert_eq!((daily(&world).await, world.told("quota-raised").await.len()), (1_000, 0));
    week(&world, 1, 3, 800, 4, NO_SUCH_BOX).await;
    assert_eq!(review_at(&world, review_of(1)).await.raised, 1);
    assert_eq!(daily(&world).await, 2_000, "one level");
    assert_eq!(review_at(&world, review_of(1)).await, ReviewRound::default(), "once for a week");
    assert_eq!(world.told("quota-raised").await, ["Your quota is raised to 2,000 mails a day"]);
    let notices = |channel| world.jobs.metrics.notices(NoticeKind::QuotaRaised, channel);
    assert_eq!((notices(Channel::Email), notices(Channel::Sms)), (1, 0), "no text message for it");
    let metrics = &world.jobs.metrics;
    assert_eq!((metrics.reviews(Action::Raise), metrics.reviews(Action::Keep)), (1, 2));
}

async fn r19_a_bad_week_lowers_one_level(bench: Bench) {
    let world = world(bench).await;
    set_quota(&world, 3_000).await;
    week(&world, 0, 1, 1_000, 200, refused()).await;
    assert_eq!(review_at(&world, review_of(0)).await.lowered, 1);
    assert_eq!(daily(&world).await, 2_000);
    let inbox = world.inbox().await;
    let told = inbox.iter().find(|message| message.kind == "quota-lowered").expect("told");
    assert!(told.body.contains("did not arrive: 20 % (200 of 1,000)"), "{}", told.body);
    assert!(told.body.contains("/reputation"), "{}", told.body);
}

async fn r20_a_review_stops_at_the_users_ceiling(bench: Bench) {
    let world = world(bench).await;
    let by = Actor::new(indicia_store::audit::ActorKind::Account, "ann");
    world
        .store()
        .set_quota_ceiling(world.account.id, Some(1), &by)
        .await
        .expect("level 1 is where it stands");
    week(&world, 0, 3, 800, 0, refused()).await;
    assert_eq!(review_at(&world, review_of(0)).await.raised, 0);
    let reviews = world.store().quota_reviews(world.account.id, 1).await.expect("kept");
    assert!(reviews[0].decision.reasons.contains(&Reason::AtCeiling { level: 1 }), "{reviews:?}");
    assert_eq!(daily(&world).await, 1_000);
}

async fn r21_a_bad_week_pauses_and_the_next_review_releases(bench: Bench) {
    let world = world(bench).await;
    week(&world, 0, 1, 1_000, 150, NO_SUCH_BOX).await;
    assert_eq!(review_at(&world, review_of(0)).await.paused, 1);
    assert!(status(&world).await.has(AccountStatus::RESTRICTED), "UserStatus 4");
    let answer = world.account.admission(None).submit(world.account.mail(&["x@example.net"]).await).await;
    assert!(matches!(answer, Err(SubmitError::Refused(Refusal::Paused(_)))), "{answer:?}");
    let told = world.inbox().await;
    let pause = told.iter().find(|message| message.kind == "quota-paused").expect("told");
    assert!(pause.body.contains("2026-12-07 00:00 (Asia/Shanghai), by the weekly review"), "{}", pause.body);
    assert!(pause.body.contains("15 % (150 of 1,000)"), "{}", pause.body);
    assert_eq!(world.counts().await, (1, 1, 1), "over every channel");
    assert_eq!(review_at(&world, review_of(1).plus_micros(-SECOND_MICROS)).await, ReviewRound::default());
    assert_eq!(review_at(&world, review_of(1)).await.released, 1);
    assert!(!status(&world).await.has(AccountStatus::RESTRICTED));
    assert_eq!(daily(&world).await, 200, "one level below");
    assert_eq!(world.told("quota-released").await, ["You can send again: 200 mails a day"]);
    week(&world, 2, 1, 200, 0, refused()).await;
}

async fn r22_the_second_pause_within_eight_weeks_waits_for_an_operator(bench: Bench) {
    let world = world(bench).await;
    week(&world, 0, 1, 1_000, 150, NO_SUCH_BOX).await;
    review_at(&world, review_of(0)).await;
    review_at(&world, review_of(1)).await;
    set_quota(&world, 1_000).await;
    week(&world, 2, 1, 1_000, 150, NO_SUCH_BOX).await;
    assert_eq!(review_at(&world, review_of(2)).await.paused, 1);
    let inbox = world.inbox().await;
    let pause = inbox.iter().rfind(|message| message.kind == "quota-paused").expect("told");
    assert!(pause.body.contains("when an operator of this service releases it"), "{}", pause.body);
    for week in 3..10 {
        assert_eq!(review_at(&world, review_of(week)).await.released, 0, "week {week}");
    }
    assert!(standing(&world).await.paused_at.is_some());
    world.store().release_sending(world.account.id, "cleaned", &operator()).await.expect("released");
    world.run().await;
    assert_eq!(world.told("quota-released").await.len(), 2);
    send(&world, "after", 10, 0, refused()).await;
}

async fn r26_two_nodes_review_a_week_once(bench: Bench) {
    let world = world(bench).await;
    week(&world, 0, 3, 800, 0, refused()).await;
    world.bench.clock.set(review_of(0));
    let other = world.second_node().await;
    let (one, two) = tokio::join!(world.jobs.review(), other.review());
    let reviews = [one, two].map(|round| round.map_or(0, |round| round.reviews));
    assert_eq!(reviews.iter().sum::<u64>(), 1, "{reviews:?}");
    for jobs in [&world.jobs, &other] {
        assert_eq!(jobs.review().await.expect("reviewed"), ReviewRound::default());
    }
    assert_eq!((daily(&world).await, actions(&world).await), (2_000, vec![(Action::Raise, 2_000)]));
    world.run().await;
    assert_eq!(world.told("quota-raised").await.len(), 1);
}

/// Three weeks of sending, a good one, a bad one, a good one, reviewed as they end or all of them at last.
async fn three_weeks(world: &World, on_time: bool) -> Vec<(Action, i64)> {
    for (number, (bad, verdict)) in
        [(0, refused()), (200, refused()), (2, NO_SUCH_BOX)].into_iter().enumerate()
    {
        let number = number as i64;
        week(world, number, 3, 1_000, bad, verdict).await;
        if on_time {
            // As the review that is on time has done: what is sent next week does not tell the two apart.
            review_at(world, review_of(number)).await;
        }
    }
    review_at(world, review_of(2).plus_micros(2 * DAY_MICROS)).await;
    actions(world).await
}

async fn r19_reviews_that_are_three_weeks_late_decide_as_on_time(bench: Bench) {
    let world = world(bench).await;
    let late = three_weeks(&world, false).await;
    let other = {
        let mut other = World { bench: world.bench, ..world };
        other.bench.clock.set(MONDAY);
        other.account =
            crate::support::Account::with_policy(other.store(), "Asia/Shanghai", &other.account.policy).await;
        other
    };
    set_quota(&other, 1_000).await;
    other.pay_in(1_000_000_000).await;
    let on_time = three_weeks(&other, true).await;
    let expected = vec![(Action::Raise, 2_000), (Action::Lower, 1_000), (Action::Raise, 2_000)];
    assert_eq!((late, on_time), (expected.clone(), expected));
}

/// The brake's round, as the job does it each second.
async fn brake(jobs: &Jobs) -> u64 {
    jobs.brake(&mut BrakeMemory::default()).await.expect("looked").paused
}

async fn r22_the_brake_pauses_within_one_round(bench: Bench) {
    let world = world(bench).await;
    world.bench.clock.set(MONDAY.plus_micros(HOUR_MICROS));
    send(&world, "list", 300, 60, NO_SUCH_BOX).await;
    assert_eq!(brake(&world.jobs).await, 1);
    assert_eq!((brake(&world.jobs).await, world.jobs.metrics.brake_pauses()), (0, 1), "once");
    assert!(status(&world).await.has(AccountStatus::RESTRICTED));
    world.run().await;
    assert_eq!(world.counts().await, (1, 1, 1), "told once over each channel");
    let message = &world.inbox().await[0];
    assert_eq!(message.subject, "Sending is paused: invalid addresses 20 % (line 10 %)");
    assert!(message.body.contains("Why, from the last 10 minutes:"), "{}", message.body);
    assert!(message.body.contains("2026-11-30 00:00 (Asia/Shanghai)"), "{}", message.body);
    let kept = world.store().brake_records(world.account.id, 10).await.expect("kept");
    assert_eq!((kept.len(), kept[0].1.trip.minutes), (1, 10));
    assert_eq!(review_at(&world, review_of(0)).await.released, 1, "the next review releases");
}

async fn r22_a_small_account_is_not_braked(bench: Bench) {
    let world = world(bench).await;
    send(&world, "few", 150, 75, NO_SUCH_BOX).await;
    assert_eq!(brake(&world.jobs).await, 0, "150 recipients prove nothing");
    send(&world, "good", 300, 0, refused()).await;
    assert_eq!(brake(&world.jobs).await, 1, "of 450 it is 16.7 %");
}

async fn r22_the_brake_looks_again_only_at_what_has_changed(bench: Bench) {
    let world = world(bench).await;
    let mut memory = BrakeMemory::default();
    let mut looks = async |micros: i64| {
        world.bench.clock.advance_micros(micros);
        world.jobs.brake(&mut memory).await.expect("looked").looked_at
    };
    send(&world, "fine", 300, 3, NO_SUCH_BOX).await;
    assert_eq!((looks(SECOND_MICROS).await, looks(SECOND_MICROS).await), (1, 0), "nothing new");
    send(&world, "worse", 10, 1, NO_SUCH_BOX).await;
    assert_eq!((looks(SECOND_MICROS).await, looks(SECOND_MICROS).await), (1, 0), "one more");
    assert_eq!(looks(20 * SECOND_MICROS).await, 1, "now and then without news too");
    assert_eq!(looks(-HOUR_MICROS).await, 1, "a clock may also be set back");
    assert_eq!(looks(2 * HOUR_MICROS).await, 0, "by then it is no news");
}

async fn r22_two_nodes_brake_an_account_once(bench: Bench) {
    let world = world(bench).await;
    send(&world, "list", 300, 60, NO_SUCH_BOX).await;
    let other = world.second_node().await;
    let (one, two) = tokio::join!(brake(&world.jobs), brake(&other));
    assert_eq!(one + two + brake(&world.jobs).await, 1, "{one} and {two}");
    world.run().await;
    assert_eq!(world.told("quota-paused").await.len(), 1);
}

async fn r22_what_was_before_the_release_pauses_nobody_again(bench: Bench) {
    let world = world(bench).await;
    send(&world, "list", 300, 60, NO_SUCH_BOX).await;
    assert_eq!(brake(&world.jobs).await, 1);
    world.bench.clock.advance_micros(MINUTE_MICROS);
    world.store().release_sending(world.account.id, "cleaned", &operator()).await.expect("released");
    set_quota(&world, 1_000).await;
    assert_eq!(brake(&world.jobs).await, 0);
    world.bench.clock.advance_micros(5 * MINUTE_MICROS);
    send(&world, "clean", 150, 10, NO_SUCH_BOX).await;
    assert_eq!(brake(&world.jobs).await, 0, "of the new evidence it is 6.7 %, and too little");
    send(&world, "list2-", 100, 60, NO_SUCH_BOX).await;
    assert_eq!(brake(&world.jobs).await, 1, "a second time, on new evidence");
    world.run().await;
    assert_eq!(world.told("quota-paused").await.len(), 2);
}

async fn evidence_is_forgotten_when_no_review_can_want_it(bench: Bench) {
    let world = world(bench).await;
    send(&world, "a", 10, 1, NO_SUCH_BOX).await;
    world.bench.clock.set(MONDAY.plus_micros(35 * DAY_MICROS - MINUTE_MICROS));
    assert_eq!(Housekeeping::round(world.store()).await.expect("tidied").evidence_rows, 0);
    world.bench.clock.set(MONDAY.plus_micros(35 * DAY_MICROS + 10 * MINUTE_MICROS));
    assert_eq!(Housekeeping::round(world.store()).await.expect("tidied").evidence_rows, 1);
}
