//! Reviews, the brake and allowances over real rows, on both engines.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::account::{AccountStatus, SendingPause};
use indicia_domain::mail::admission::Refusal;
use indicia_domain::mail::provider::Provider;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Verdict};
use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::policy::{Ladder, QuotaPolicy};
use indicia_domain::quota::review::{Action, Subject};
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, UnixMicros};
use indicia_store::Store;
use indicia_store::admission::{Admitted, SubmitError};
use indicia_store::bounce::{Bounce, News};
use indicia_store::directory::{DkimKey, SendType};
use indicia_store::evidence::{OutcomeFilter, OutcomeGroup};
use indicia_store::queue::{Cancelled, MailKey};
use indicia_store::quota::{QuotaError, ReviewRound};
use indicia_store::reach::UniqueOf;
use indicia_store::report::{ReportSource, Reported, SpamReport};
use support::{Account, names, operator, outcome};

on_both_engines!(
    r26_outcomes_are_counted_once_where_they_belong,
    r03_our_own_failures_are_no_evidence,
    unique_recipients_are_counted_over_days_tags_and_providers,
    r19_a_week_of_full_days_raises,
    r26_a_week_is_reviewed_once_by_whoever_comes_first,
    r19_a_late_review_decides_what_a_timely_one_would_have,
    r23_reviews_replay_and_changed_lines_are_another_version,
    r22_the_brake_pauses_once_and_keeps_what_it_saw,
    r22_a_release_begins_with_fresh_evidence,
    r22_the_brake_sees_the_very_next_mails_after_a_release,
    r17_a_quota_that_falls_late_in_a_month_can_be_used_on_every_day_left,
    r24_a_quota_that_falls_to_an_allowance_does_not_end_it,
    r22_only_an_operator_ends_an_operators_pause,
    r22_a_pause_that_was_not_the_accounts_fault_is_taken_back,
    r24_a_later_domain_climbs_on_its_own_record,
    r24_a_deleted_domain_holds_nobody_back,
    r20_a_ceiling_is_not_below_the_level,
    r18_packages_change_no_review,
);

const INVALID: Verdict = Verdict {
    disposition: Disposition::Permanent,
    status: DeliveryStatus::InvalidAddress,
    classification: ErrorClassification::SmtpNxBox,
};

/// A ladder for small numbers: 20 mails a day at first, and ten recipients are enough.
fn policy() -> QuotaPolicy {
    QuotaPolicy {
        ladder: Ladder(vec![10, 20, 40, 80, 160]),
        initial_level: 1,
        initial_daily_mails: 20,
        recipients_min: 10,
        ..QuotaPolicy::default()
    }
}

/// 2026-11-23T00:00Z, a Monday.
const MONDAY: UnixMicros = UnixMicros(1_795_392_000_000_000);

async fn account(bench: &Bench) -> Account {
    bench.store.set_quota_policy(policy());
    bench.clock.set(MONDAY);
    let account = Account::new(&bench.store, "UTC").await;
    bench.store.set_daily_quota(account.id, 20, "the start of a test", &operator()).await.expect("set");
    account
}

/// Sends a mail to each address and commits what becomes of it.
async fn send(account: &Account, addresses: &[String], fate: impl Fn(usize) -> Verdict) -> i64 {
    send_as(account, addresses, "", (8, 7), fate).await.expect("accepted").message_id()
}

async fn send_as(
    account: &Account,
    addresses: &[String],
    tag: &str,
    (domain_id, sender_id): (i64, i64),
    fate: impl Fn(usize) -> Verdict,
) -> Result<Admitted, SubmitError> {
    let mut mail = account.mail(addresses).await;
    (mail.tag, mail.domain_id, mail.sender_id) = (tag.to_owned(), domain_id, sender_id);
    let admitted = account.admission(None).submit(mail).await?;
    for mail in account.store.claim(1_000, 1 << 20).await.expect("claimed") {
        let outcomes: Vec<_> =
            (0..mail.recipients.len()).map(|index| outcome(&mail, index, fate(index), None)).collect();
        account.store.commit_outcomes(&outcomes).await.expect("committed");
        account.store.commit_outcomes(&outcomes).await.expect("given again");
    }
    Ok(admitted)
}

fn addresses(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}@example.net")).collect()
}

async fn full_week(bench: &Bench, account: &Account, mails: usize) {
    for day in 0..7 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + HOUR_MICROS));
        send(account, &addresses(&format!("d{day}-"), mails), |_| Verdict::DELIVERED).await;
    }
}

async fn review_at(bench: &Bench, at: UnixMicros) -> ReviewRound {
    bench.clock.set(at);
    bench.store.review_quotas().await.expect("reviewed")
}

async fn all(account: &Account) -> Counts {
    let filter = OutcomeFilter::default();
    let days = account.store.outcomes_by_day(account.id, 0, i64::MAX, &filter).await.expect("counts");
    let mut counts = Counts::default();
    days.iter().for_each(|day| counts.add(&day.counts));
    counts
}

async fn r26_outcomes_are_counted_once_where_they_belong(bench: Bench) {
    let account = account(&bench).await;
    let mixed = ["a@gmail.com", "b@example.net", "c@hotmail.com", "d@example.net"].map(str::to_owned);
    let fate = |index| match index {
        0 => Verdict::DELIVERED,
        1 => INVALID,
        2 => Verdict::permanent(ErrorClassification::SmtpContSpam),
        _ => Verdict::DELIVERED,
    };
    let message_id = send_as(&account, &mixed, "news", (8, 7), fate).await.expect("accepted").message_id();
    let expected =
        Counts { accepted: 4, delivered: 2, invalid: 1, spam: 1, reported: 1, ..Counts::default() };
    assert_eq!(all(&account).await, expected, "a reply that calls the content spam is a report");
    let by = async |group| {
        let filter = OutcomeFilter { tag: Some("news".to_owned()), ..OutcomeFilter::default() };
        account.store.outcomes_by(account.id, 0, i64::MAX, &filter, group).await.expect("counts")
    };
    let providers: Vec<_> =
        by(OutcomeGroup::Provider).await.into_iter().map(|(name, counts)| (name, counts.accepted)).collect();
    assert_eq!(
        providers,
        [("others".to_owned(), 2), ("gmail.com".to_owned(), 1), ("outlook.com".to_owned(), 1)]
    );
    assert_eq!(by(OutcomeGroup::Sender).await, [("7".to_owned(), expected)]);
    assert_eq!(by(OutcomeGroup::Domain).await, [("8".to_owned(), expected)]);

    // A report, twice; a bounce of another; a cancel of a third.
    let key = |number| MailKey { account_id: account.id, message_id, number };
    let report = SpamReport {
        key: key(0),
        source: ReportSource::Feedback,
        feedback_type: "abuse".to_owned(),
        reporter: "test".to_owned(),
        detail: String::new(),
    };
    bench.clock.advance_micros(DAY_MICROS);
    assert_eq!(bench.store.record_report(&report).await.expect("recorded"), Reported::Counted);
    assert_eq!(bench.store.record_report(&report).await.expect("recorded"), Reported::Repeated);
    let bounce = Bounce {
        key: key(3),
        news: News::Failed(INVALID),
        final_recipient: mixed[3].clone(),
        words: "550 5.1.1 gone".to_owned(),
    };
    bench.store.record_bounce(&bounce).await.expect("recorded");
    let mut waiting = account.mail(&["late@example.net"]).await;
    waiting.tag = "news".to_owned();
    let waiting = account.admission(None).submit(waiting).await.expect("accepted").message_id();
    assert_eq!(
        bench.store.cancel(account.id, waiting, "test").await.expect("cancelled"),
        Cancelled::Mails(1)
    );
    assert_eq!(all(&account).await, Counts { delivered: 1, invalid: 2, reported: 2, ..expected });
    let days =
        account.store.outcomes_by_day(account.id, 0, i64::MAX, &OutcomeFilter::default()).await.unwrap();
    assert_eq!(days[0].counts.reported, 2, "under the day of the mail, not of the report");
    let outlook = bench.store.quota_outlook(account.id).await.unwrap().expect("an account").dossier.evidence;
    assert_eq!((outlook.counts.delivered, outlook.counts.invalid), (1, 2));
    assert_eq!(
        (outlook.counts.reported, outlook.counts.judged),
        (0, 2),
        "neither is of a provider that reports"
    );
    assert_eq!((outlook.recipients, outlook.days[0].used, outlook.days[1].used), (5, 4, 1));
    account.verify().await;
}

async fn r03_our_own_failures_are_no_evidence(bench: Bench) {
    let account = account(&bench).await;
    send(&account, &names(3), |index| match index {
        0 => Verdict::permanent(ErrorClassification::SysOutInternal),
        _ => Verdict::DELIVERED,
    })
    .await;
    assert_eq!(all(&account).await.failed, 1, "people see it");
    let outlook = bench.store.quota_outlook(account.id).await.unwrap().expect("an account");
    assert_eq!(outlook.dossier.evidence.counts.decided(), 2);
}

async fn unique_recipients_are_counted_over_days_tags_and_providers(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 100_000, "room", &operator()).await.expect("set");
    let day = MONDAY.0 / DAY_MICROS;
    let count = async |store: &Store, days, of| {
        store.unique_recipients(account.id, day, day + days, of).await.expect("counted")
    };
    let people = addresses("p", 150);
    for (at, range) in [(0, 0..100), (0, 50..150), (1, 0..150)] {
        bench.clock.set(MONDAY.plus_micros(at * DAY_MICROS));
        send_as(&account, &people[range], "a", (8, 7), |_| Verdict::DELIVERED).await.expect("accepted");
    }
    send_as(&account, &["x@gmail.com".to_owned()], "b", (8, 9), |_| Verdict::DELIVERED).await.unwrap();
    // Another process, which remembers nothing of what this one has seen.
    let other = bench.second_node().await;
    for store in [&bench.store, &other] {
        assert_eq!(count(store, 1, UniqueOf::Account).await, 150);
        assert_eq!(count(store, 7, UniqueOf::Account).await, 151);
        assert_eq!(count(store, 7, UniqueOf::Sender(7)).await, 150);
        assert_eq!(count(store, 7, UniqueOf::Tag("b")).await, 1);
        assert_eq!(count(store, 7, UniqueOf::Provider(Provider::Gmail.as_str())).await, 1);
    }
    let other = Account { store: other, ..account.clone() };
    // The first process's heart does not beat here, so its number goes to the second: ids must not be those of one instant.
    bench.clock.advance_micros(HOUR_MICROS);
    send_as(&other, &addresses("q", 100), "a", (8, 7), |_| Verdict::DELIVERED).await.expect("accepted");
    assert_eq!(count(&bench.store, 7, UniqueOf::Sender(7)).await, 250, "what another process has added");
    bench.clock.advance_micros(HOUR_MICROS);
    for round in 0..5 {
        send(&account, &addresses(&format!("r{round}-"), 200), |_| Verdict::DELIVERED).await;
    }
    let many = count(&bench.store, 7, UniqueOf::Account).await;
    assert!((1_160..=1_340).contains(&many), "about 1,251, not {many}");
}

async fn r19_a_week_of_full_days_raises(bench: Bench) {
    let account = account(&bench).await;
    full_week(&bench, &account, 16).await;
    let outlook = bench.store.quota_outlook(account.id).await.unwrap().expect("an account");
    assert_eq!(
        (outlook.decision.action, outlook.decision.daily_mails),
        (Action::Raise, 40),
        "R23: shown before"
    );
    let end = MONDAY.plus_micros(7 * DAY_MICROS);
    assert_eq!(
        review_at(&bench, end.plus_micros(4 * MINUTE_MICROS)).await.reviews,
        0,
        "not before it is counted"
    );
    let round = review_at(&bench, end.plus_micros(5 * MINUTE_MICROS)).await;
    assert_eq!((round.reviews, round.raised), (1, 1));
    let standing = bench.store.quota_standing(account.id).await.unwrap().expect("an account");
    assert_eq!((standing.level, standing.daily_mails), (2, 40));
    let review = bench.store.quota_reviews(account.id, 10).await.unwrap().remove(0);
    assert_eq!((review.old_daily, review.new_daily, review.week), (20, 40, MONDAY.0 / DAY_MICROS));
    assert_eq!(
        review.dossier.evidence.days.iter().map(|day| (day.used, day.quota)).collect::<Vec<_>>(),
        [(16, 20); 7]
    );
    let events = bench.store.quota_events(account.id, 10).await.unwrap();
    assert_eq!((events[0].kind.as_str(), events[0].new_daily), ("review", 40));
    assert!(events[0].reason.contains("of the quota was used on 7 of 7 days"), "{}", events[0].reason);
    let notices = bench.store.notices(account.id, 10).await.unwrap();
    assert_eq!(
        notices.iter().filter(|notice| notice.kind.as_str() == "quota-raised").count(),
        2,
        "no text message"
    );
}

async fn r26_a_week_is_reviewed_once_by_whoever_comes_first(bench: Bench) {
    let account = account(&bench).await;
    full_week(&bench, &account, 18).await;
    let other = bench.second_node().await;
    other.set_quota_policy(policy());
    bench.clock.set(MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS));
    let rounds = tokio::join!(
        bench.store.review_quotas(),
        other.review_quotas(),
        bench.store.review_quotas(),
        other.review_quotas()
    );
    let rounds = [rounds.0, rounds.1, rounds.2, rounds.3].map(|round| round.expect("a round"));
    assert_eq!(
        rounds.iter().map(|round| (round.reviews, round.failed)).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)),
        (1, 0)
    );
    assert_eq!(bench.store.quota_standing(account.id).await.unwrap().unwrap().daily_mails, 40);
    assert_eq!(bench.store.quota_reviews(account.id, 10).await.unwrap().len(), 1);
}

/// Two weeks of mail: a good one, then one in which things come to light.
async fn two_weeks(bench: &Bench, review_between: bool) -> Account {
    let account = account(bench).await;
    full_week(bench, &account, 16).await;
    let second = MONDAY.plus_micros(7 * DAY_MICROS);
    if review_between {
        assert_eq!(review_at(bench, second.plus_micros(5 * MINUTE_MICROS)).await.reviews, 1);
    }
    for day in 0..3 {
        bench.clock.set(second.plus_micros(day * DAY_MICROS + HOUR_MICROS));
        let fate = |index| if index < 3 { INVALID } else { Verdict::DELIVERED };
        send(&account, &addresses(&format!("e{day}-"), 10), fate).await;
    }
    account
}

async fn r19_a_late_review_decides_what_a_timely_one_would_have(bench: Bench) {
    let late_bench = match bench.url.as_str() {
        "sqlite" => Bench::sqlite().await,
        _ => Bench::postgres().await,
    };
    let timely = two_weeks(&bench, true).await;
    let late = two_weeks(&late_bench, false).await;
    assert_eq!(review_at(&bench, MONDAY.plus_micros(14 * DAY_MICROS + HOUR_MICROS)).await.reviews, 1);
    let round = review_at(&late_bench, MONDAY.plus_micros(17 * DAY_MICROS + 5 * HOUR_MICROS)).await;
    assert_eq!(round.reviews, 2, "each week for itself");
    let (timely, late) = (
        bench.store.quota_reviews(timely.id, 10).await.unwrap(),
        late_bench.store.quota_reviews(late.id, 10).await.unwrap(),
    );
    for (timely, late) in timely.iter().zip(&late) {
        assert_eq!((&timely.decision, timely.week), (&late.decision, late.week));
        assert_eq!(timely.dossier.evidence.counts, late.dossier.evidence.counts);
        assert_eq!(timely.dossier.evidence.recipients, late.dossier.evidence.recipients);
    }
    assert_eq!(timely.len(), 2);
    assert_eq!(timely[0].decision.action, Action::Pause, "nine of thirty addresses are invalid");
}

async fn r23_reviews_replay_and_changed_lines_are_another_version(bench: Bench) {
    let account = account(&bench).await;
    full_week(&bench, &account, 16).await;
    review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    let mut stricter = policy();
    stricter.raise.full_days = 7;
    bench.store.set_quota_policy(stricter);
    review_at(&bench, MONDAY.plus_micros(14 * DAY_MICROS + HOUR_MICROS)).await;
    let replayed = bench.store.replay_reviews(account.id, 10).await.unwrap();
    assert_eq!(replayed.len(), 2);
    assert!(replayed.iter().all(|replayed| replayed.is_same()), "{replayed:#?}");
    assert_ne!(
        replayed[0].review.policy, replayed[1].review.policy,
        "the name is the same, the numbers are not"
    );
    let kept = bench.store.quota_policy_of(&replayed[0].review.policy).await.unwrap().expect("kept");
    assert_eq!(kept.raise.full_days, 7);
}

async fn r22_the_brake_pauses_once_and_keeps_what_it_saw(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 160, "grown", &operator()).await.expect("set");
    send(&account, &addresses("good", 9), |_| INVALID).await;
    assert_eq!(bench.store.brake().await.unwrap().paused, 0, "too few to move anybody");
    send(&account, &addresses("more", 40), |index| if index % 3 == 0 { INVALID } else { Verdict::DELIVERED })
        .await;
    let other = bench.second_node().await;
    other.set_quota_policy(policy());
    let rounds = tokio::join!(bench.store.brake(), other.brake(), bench.store.brake());
    let paused: u64 = [rounds.0, rounds.1, rounds.2].map(|round| round.unwrap().paused).iter().sum();
    assert_eq!(paused, 1);
    let standing = bench.store.quota_standing(account.id).await.unwrap().unwrap();
    assert_eq!((standing.level, standing.daily_mails), (1, 20), "trust begins anew");
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert!(numbers.status.has(AccountStatus::RESTRICTED));
    let refused = send_as(&account, &names(1), "", (8, 7), |_| Verdict::DELIVERED).await.unwrap_err();
    let SubmitError::Refused(Refusal::Paused(SendingPause { reason, .. })) = refused else {
        panic!("{refused}")
    };
    assert!(reason.starts_with("in the last 10 minutes: invalid addresses: "), "{reason}");
    let (_, record) = bench.store.brake_records(account.id, 10).await.unwrap().remove(0);
    let kept = bench.store.quota_policy_of(&record.policy).await.unwrap().expect("kept");
    assert_eq!(
        indicia_domain::quota::brake::brake(&kept, &record.readings),
        Some(record.trip),
        "R23: it replays"
    );
    let notices = bench.store.notices(account.id, 20).await.unwrap();
    assert_eq!(notices.iter().filter(|notice| notice.kind.as_str() == "quota-paused").count(), 3);
}

async fn r22_a_release_begins_with_fresh_evidence(bench: Bench) {
    let account = account(&bench).await;
    let bad = async |prefix: &str| {
        send(&account, &addresses(prefix, 18), |index| if index < 9 { INVALID } else { Verdict::DELIVERED })
            .await;
        bench.store.brake().await.unwrap().paused
    };
    assert_eq!(bad("first").await, 1);
    let round = review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!((round.reviews, round.released, round.paused), (1, 1, 0), "the next review releases");
    assert_eq!(bench.store.brake().await.unwrap().paused, 0);
    let outlook = bench.store.quota_outlook(account.id).await.unwrap().unwrap();
    assert_eq!(outlook.dossier.evidence.counts, Counts::default(), "what was before counts for nothing");
    // The second time within eight weeks only an operator releases.
    bench.clock.advance_micros(DAY_MICROS);
    bench.store.set_daily_quota(account.id, 20, "room for the test", &operator()).await.expect("set");
    assert_eq!(bad("second").await, 1);
    let round = review_at(&bench, MONDAY.plus_micros(14 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!((round.reviews, round.released), (1, 0));
    bench.store.release_sending(account.id, "list cleaned", &operator()).await.expect("released");
    send(&account, &names(1), |_| Verdict::DELIVERED).await;
    let released = bench.store.release_sending(account.id, "again", &operator()).await;
    assert!(matches!(released, Err(QuotaError::NotPaused(_))));
}

async fn r22_the_brake_sees_the_very_next_mails_after_a_release(bench: Bench) {
    let account = account(&bench).await;
    bench.clock.set(MONDAY.plus_micros(10 * HOUR_MICROS + 15_000_000));
    let bad = |index| if index < 9 { INVALID } else { Verdict::DELIVERED };
    send(&account, &addresses("first", 18), bad).await;
    assert_eq!(bench.store.brake().await.unwrap().paused, 1);
    bench.store.release_sending(account.id, "a promise", &operator()).await.expect("released");
    assert_eq!(bench.store.brake().await.unwrap().paused, 0, "what was before counts for nothing");
    bench.store.set_daily_quota(account.id, 160, "a promise", &operator()).await.expect("set");
    bench.clock.advance_micros(9_000_000);
    send(&account, &addresses("second", 18), bad).await;
    assert_eq!(bench.store.brake().await.unwrap().paused, 1, "in the same five minutes");
}

async fn r17_a_quota_that_falls_late_in_a_month_can_be_used_on_every_day_left(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 160, "grown", &operator()).await.expect("set");
    for day in 0..7 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + HOUR_MICROS));
        send(&account, &addresses(&format!("d{day}-"), 150), |_| Verdict::DELIVERED).await;
    }
    let used = async || bench.store.account_numbers(account.id).await.unwrap().unwrap().quota_month_used;
    assert_eq!(used().await, 1_050);
    // Sunday, 29 November: two days of November are left, and 30 times 20 is less than what was sent.
    bench.store.set_daily_quota(account.id, 20, "slower", &operator()).await.expect("set");
    assert_eq!(used().await, 580, "two days' worth is left, less what was sent today");
    for day in 7..8 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + HOUR_MICROS));
        send(&account, &addresses("late", 20), |_| Verdict::DELIVERED).await;
    }
    bench.store.set_daily_quota(account.id, 160, "faster", &operator()).await.expect("set");
    assert_eq!(used().await, 600, "a quota that rises changes no count");
}

async fn r24_a_quota_that_falls_to_an_allowance_does_not_end_it(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 80, "grown", &operator()).await.expect("set");
    domain(&account, "new.example").await;
    bench.store.set_daily_quota(account.id, 20, "slower", &operator()).await.expect("set");
    review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    bench.store.set_daily_quota(account.id, 160, "faster", &operator()).await.expect("set");
    let rows = bench.store.warming(account.id).await.unwrap();
    assert!(rows.iter().all(|row| row.met_at.is_none() && row.warming.daily_mails == 20), "{rows:?}");
}

async fn r22_a_pause_that_was_not_the_accounts_fault_is_taken_back(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 80, "grown", &operator()).await.expect("set");
    let disorder = async |prefix: &str| {
        send(&account, &addresses(prefix, 20), |_| INVALID).await;
        assert_eq!(bench.store.brake().await.unwrap().paused, 1);
    };
    let began = bench.store.now();
    disorder("first").await;
    assert_eq!(bench.store.braked_since(began).await.unwrap(), [account.id]);
    assert!(bench.store.braked_since(began.plus_micros(1)).await.unwrap().is_empty());
    bench.store.release_and_restore(account.id, "their servers", &operator()).await.expect("released");
    let standing = bench.store.quota_standing(account.id).await.unwrap().unwrap();
    assert_eq!((standing.daily_mails, standing.level), (80, 3));
    assert!(bench.store.braked_since(began).await.unwrap().is_empty());
    bench.clock.advance_micros(DAY_MICROS);
    disorder("second").await;
    let round = review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!((round.reviews, round.released), (1, 1), "it is not the second pause");
}

async fn r22_only_an_operator_ends_an_operators_pause(bench: Bench) {
    let account = account(&bench).await;
    bench.store.pause_sending(account.id, "a complaint by telephone", &operator()).await.expect("paused");
    let again = bench.store.pause_sending(account.id, "twice", &operator()).await.unwrap_err();
    assert!(again.to_string().contains("a complaint by telephone"), "{again}");
    let round = review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!((round.reviews, round.released), (1, 0));
    let review = bench.store.quota_reviews(account.id, 1).await.unwrap().remove(0);
    assert!(review.decision.because().contains("by an operator"), "{}", review.decision.because());
}

async fn domain(account: &Account, name: &str) -> (i64, i64) {
    let dkim = DkimKey { selector: "s".to_owned(), private_key: vec![1], public_key: "p".to_owned() };
    let domain_id =
        account.store.create_domain(account.id, name, "token", &dkim, 100).await.expect("a domain");
    let address = format!("news@{name}");
    let sender =
        account.store.create_sender(account.id, domain_id, &address, SendType::Trigger, "", 100).await;
    (domain_id, sender.expect("a sender address"))
}

async fn r24_a_later_domain_climbs_on_its_own_record(bench: Bench) {
    let account = account(&bench).await;
    let old = domain(&account, "old.example").await;
    assert!(bench.store.warming(account.id).await.unwrap().is_empty(), "nothing else holds a new user back");
    bench.store.set_daily_quota(account.id, 80, "grown", &operator()).await.expect("set");
    let new = domain(&account, "new.example").await;
    let rows = bench.store.warming(account.id).await.unwrap();
    assert_eq!(rows.len(), 2, "the domain and its sender address");
    send_as(&account, &addresses("a", 15), "", new, |_| Verdict::DELIVERED).await.expect("within it");
    let refused = send_as(&account, &addresses("b", 6), "", new, |_| Verdict::DELIVERED).await.unwrap_err();
    let SubmitError::Refused(Refusal::OverAllowance { name, over, .. }) = &refused else {
        panic!("{refused}")
    };
    assert_eq!((name.as_str(), over.quota, over.used, over.requested), ("new.example", 20, 15, 6));
    send_as(&account, &addresses("c", 50), "", old, |_| Verdict::DELIVERED)
        .await
        .expect("the account's quota");
    for day in 0..7 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + 2 * HOUR_MICROS));
        let mails = if day == 0 { 5 } else { 20 };
        send_as(&account, &addresses(&format!("n{day}-"), mails), "", new, |_| Verdict::DELIVERED)
            .await
            .unwrap();
    }
    review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    let levels = async || {
        let rows = bench.store.warming(account.id).await.unwrap();
        rows.iter().map(|row| (row.warming.daily_mails, row.met_at.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(levels().await, [(40, false); 2], "R20: one level a week, on its own record");
    let reviews = bench.store.quota_reviews(account.id, 10).await.unwrap();
    assert_eq!(reviews.iter().filter(|review| review.subject == Subject::Domain(new.0)).count(), 1);
    assert_eq!(
        bench.store.quota_standing(account.id).await.unwrap().unwrap().daily_mails,
        80,
        "the account's stays"
    );
    for day in 7..14 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + 2 * HOUR_MICROS));
        send_as(&account, &addresses(&format!("n{day}-"), 40), "", new, |_| Verdict::DELIVERED)
            .await
            .unwrap();
    }
    review_at(&bench, MONDAY.plus_micros(14 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!(levels().await, [(80, true); 2], "met: the account's quota alone holds");
    send_as(&account, &addresses("z", 80), "", new, |_| Verdict::DELIVERED).await.expect("all of it");
    account.verify().await;
}

async fn r24_a_deleted_domain_holds_nobody_back(bench: Bench) {
    let account = account(&bench).await;
    bench.store.set_daily_quota(account.id, 80, "grown", &operator()).await.expect("set");
    let (domain_id, _) = domain(&account, "new.example").await;
    bench.store.delete_domain(account.id, domain_id).await.expect("deleted");
    assert!(bench.store.warming(account.id).await.unwrap().is_empty());
    let again = domain(&account, "new.example").await;
    let refused =
        send_as(&account, &addresses("a", 21), "", again, |_| Verdict::DELIVERED).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Refused(Refusal::OverAllowance { .. })), "it begins anew");
    let put_off = |_| Verdict::temporary(ErrorClassification::SmtpGreylist);
    send_as(&account, &addresses("a", 20), "", again, put_off).await.expect("within it");
    let used = bench
        .store
        .warming(account.id)
        .await
        .unwrap()
        .iter()
        .map(|row| row.warming.day_used)
        .collect::<Vec<_>>();
    assert_eq!(used, [20, 20]);
}

async fn r20_a_ceiling_is_not_below_the_level(bench: Bench) {
    let account = account(&bench).await;
    let refused = bench.store.set_quota_ceiling(account.id, Some(0), &operator()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the ceiling is a level from 1 (where the account stands) to 4, not 0");
    assert!(bench.store.set_quota_ceiling(account.id, Some(5), &operator()).await.is_err());
    bench.store.set_quota_ceiling(account.id, Some(1), &operator()).await.expect("where it stands");
    full_week(&bench, &account, 20).await;
    let round = review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    assert_eq!((round.reviews, round.raised), (1, 0));
    let review = bench.store.quota_reviews(account.id, 1).await.unwrap().remove(0);
    assert!(review.decision.because().ends_with("your own ceiling is level 1; move it to grow further"));
    bench.store.set_quota_ceiling(account.id, None, &operator()).await.expect("taken away");
    assert_eq!(bench.store.quota_standing(account.id).await.unwrap().unwrap().ceiling_level, None);
}

async fn r18_packages_change_no_review(bench: Bench) {
    let (poor, rich) = (account(&bench).await, account(&bench).await);
    rich.buy(5_000_000).await;
    for day in 0..7 {
        bench.clock.set(MONDAY.plus_micros(day * DAY_MICROS + HOUR_MICROS));
        for account in [&poor, &rich] {
            send(account, &addresses(&format!("d{day}-"), 16), |_| Verdict::DELIVERED).await;
        }
    }
    review_at(&bench, MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS)).await;
    let of = async |account: &Account| {
        let review = bench.store.quota_reviews(account.id, 1).await.unwrap().remove(0);
        (review.dossier, review.decision)
    };
    assert_eq!(of(&poor).await, of(&rich).await);
}
