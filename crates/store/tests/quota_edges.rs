//! Quota where weeks, pauses and deletions meet: what is late, what is entered again, and what happens at once.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::mail::admission::Refusal;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Verdict};
use indicia_domain::quota::evidence::Reason;
use indicia_domain::quota::policy::{Ladder, QuotaPolicy};
use indicia_domain::quota::review::{Action, Decision};
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, UnixMicros};
use indicia_store::admission::SubmitError;
use indicia_store::bounce::{Bounce, News, Recorded};
use indicia_store::directory::{DkimKey, DomainDeletion, SendType};
use indicia_store::queue::MailKey;
use indicia_store::quota::PausedBy;
use indicia_store::suspension::Held;
use support::{Account, operator, outcome};

on_both_engines!(
    r22_the_review_of_the_week_before_ends_no_pause,
    r22_an_operator_makes_the_brakes_pause_his_own,
    r22_late_bounces_are_held_against_the_mail_that_they_are_of,
    r21_recipients_of_before_a_release_are_no_evidence,
    r24_who_deletes_a_domain_and_enters_it_again_gains_nothing,
    r24_domains_are_deleted_while_their_account_sends,
    r22_what_is_held_is_put_off_at_once_while_it_is_held,
);

const INVALID: Verdict = Verdict {
    disposition: Disposition::Permanent,
    status: DeliveryStatus::InvalidAddress,
    classification: ErrorClassification::SmtpNxBox,
};

/// 2026-11-23T00:00Z, a Monday.
const MONDAY: UnixMicros = UnixMicros(1_795_392_000_000_000);

/// A ladder for small numbers: 20 mails a day at first, and ten recipients are enough.
async fn account(bench: &Bench, daily_mails: i64) -> Account {
    bench.store.set_quota_policy(QuotaPolicy {
        ladder: Ladder(vec![10, 20, 40, 80, 160]),
        initial_level: 1,
        initial_daily_mails: 20,
        recipients_min: 10,
        ..QuotaPolicy::default()
    });
    bench.clock.set(MONDAY);
    let account = Account::new(&bench.store, "UTC").await;
    bench
        .store
        .set_daily_quota(account.id, daily_mails, "the start of a test", &operator())
        .await
        .expect("set");
    // From now on the weeks are reviewed.
    bench.store.review_quotas().await.expect("seen");
    account
}

fn addresses(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}@example.net")).collect()
}

/// Sends a mail from a domain and sender address, and commits what becomes of it.
async fn send(
    account: &Account,
    addresses: &[String],
    (domain_id, sender_id): (i64, i64),
    fate: impl Fn(usize) -> Verdict,
) -> Result<i64, SubmitError> {
    let mut mail = account.mail(addresses).await;
    (mail.domain_id, mail.sender_id) = (domain_id, sender_id);
    let admitted = account.admission(None).submit(mail).await?;
    for mail in account.store.claim(1_000, 1 << 20).await.expect("claimed") {
        let ended = (0..mail.recipients.len()).map(|index| outcome(&mail, index, fate(index), None));
        account.store.commit_outcomes(&ended.collect::<Vec<_>>()).await.expect("committed");
    }
    Ok(admitted.message_id())
}

const FIRST: (i64, i64) = (8, 7);

async fn bad_day(account: &Account, prefix: &str) -> u64 {
    send(account, &addresses(prefix, 15), FIRST, |_| INVALID).await.expect("accepted");
    account.store.brake().await.expect("looked").paused
}

async fn last_decision(account: &Account) -> Decision {
    account.store.quota_reviews(account.id, 1).await.expect("reviews").remove(0).decision
}

async fn paused_by(account: &Account) -> Option<PausedBy> {
    account.store.quota_standing(account.id).await.expect("read").expect("an account").paused_by
}

async fn r22_the_review_of_the_week_before_ends_no_pause(bench: Bench) {
    let account = account(&bench, 20).await;
    // The week is over, but its review waits for what is committed in its last moments.
    bench.clock.set(MONDAY.plus_micros(7 * DAY_MICROS + 2 * MINUTE_MICROS));
    assert_eq!(bad_day(&account, "a").await, 1);
    bench.clock.set(MONDAY.plus_micros(7 * DAY_MICROS + 6 * MINUTE_MICROS));
    let round = bench.store.review_quotas().await.expect("reviewed");
    assert_eq!((round.reviews, round.released), (1, 0), "four minutes after it was paused");
    let decision = last_decision(&account).await;
    assert_eq!((decision.action, decision.reasons), (Action::Keep, vec![Reason::PausedLater]));
    assert_eq!(paused_by(&account).await, Some(PausedBy::Brake));
    bench.clock.set(MONDAY.plus_micros(14 * DAY_MICROS + 6 * MINUTE_MICROS));
    let round = bench.store.review_quotas().await.expect("reviewed");
    assert_eq!((round.reviews, round.released), (1, 1), "the review of its own week");
}

async fn r22_an_operator_makes_the_brakes_pause_his_own(bench: Bench) {
    let account = account(&bench, 80).await;
    assert_eq!(bad_day(&account, "a").await, 1);
    bench.clock.advance_micros(HOUR_MICROS);
    account.store.pause_sending(account.id, "until Tuesday at least", &operator()).await.expect("his now");
    bench.clock.set(MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS));
    assert_eq!(bench.store.review_quotas().await.expect("reviewed").released, 0);
    assert_eq!(paused_by(&account).await, Some(PausedBy::Operator));
    account.store.release_and_restore(account.id, "our mistake", &operator()).await.expect("released");
    let standing = account.store.quota_standing(account.id).await.unwrap().unwrap();
    assert_eq!((standing.daily_mails, standing.paused_at), (80, None), "as before the brake");
}

async fn r22_late_bounces_are_held_against_the_mail_that_they_are_of(bench: Bench) {
    let account = account(&bench, 160).await;
    let message_id =
        send(&account, &addresses("a", 150), FIRST, |_| Verdict::DELIVERED).await.expect("accepted");
    bench.clock.advance_micros(30 * MINUTE_MICROS);
    for number in 0..12 {
        let key = MailKey { account_id: account.id, message_id, number };
        let words = "550 5.1.1 unknown".to_owned();
        let bounce = Bounce { key, news: News::Failed(INVALID), final_recipient: String::new(), words };
        let recorded = bench.store.record_bounce(&bounce).await.expect("recorded");
        assert!(matches!(recorded, Recorded::Changed(_)), "{recorded:?}");
    }
    let (readings, trip) = bench.store.brake_readings(account.id).await.unwrap().expect("an account");
    assert_eq!(trip, None, "12 of 150, and not 12 of the 12 that came in the last minutes");
    let day = readings.windows.last().expect("the whole day").counts;
    assert_eq!((day.delivered, day.invalid, day.decided()), (138, 12, 150));
    assert_eq!(bench.store.brake().await.expect("looked").paused, 0);
}

async fn r21_recipients_of_before_a_release_are_no_evidence(bench: Bench) {
    let account = account(&bench, 80).await;
    send(&account, &addresses("a", 40), FIRST, |_| Verdict::DELIVERED).await.expect("accepted");
    bench.clock.advance_micros(DAY_MICROS);
    bench.store.pause_sending(account.id, "a question", &operator()).await.expect("paused");
    bench.store.release_sending(account.id, "answered", &operator()).await.expect("released");
    bench.clock.advance_micros(DAY_MICROS);
    let fate = |index| if index < 4 { INVALID } else { Verdict::DELIVERED };
    send(&account, &addresses("b", 5), FIRST, fate).await.expect("accepted");
    bench.clock.set(MONDAY.plus_micros(7 * DAY_MICROS + HOUR_MICROS));
    bench.store.review_quotas().await.expect("reviewed");
    let decision = last_decision(&account).await;
    let too_few = Reason::TooFewRecipients { recipients: 5, needed: 10 };
    assert_eq!((decision.action, decision.reasons), (Action::Keep, vec![too_few]));
}

async fn r22_what_is_held_is_put_off_at_once_while_it_is_held(bench: Bench) {
    let (paused, other) = (account(&bench, 80).await, account(&bench, 80).await);
    for account in [&paused, &other] {
        let mut mail = account.mail(&addresses("a", 3)).await;
        mail.recipients.push(Recipient::new("b", "example.com", "example.com"));
        account.admission(None).submit(mail).await.expect("accepted");
    }
    let store = &bench.store;
    store.pause_sending(paused.id, "looked at", &operator()).await.expect("paused");
    let until = store.now().plus_micros(HOUR_MICROS);
    let suspension = store.suspensions().await.unwrap().remove(0);
    let one = store.claim(1, 1).await.unwrap();
    assert_eq!(one[0].account_id, paused.id);
    assert_eq!(store.put_off_held(&suspension, until).await.unwrap(), 3, "what is leased is in hand");
    let claimed = store.claim(100, 1 << 20).await.unwrap();
    assert!(claimed.iter().all(|mail| mail.account_id == other.id) && claimed.len() == 1);
    let reasons = store.queue_entries(Some(paused.id), None, 10).await.unwrap();
    let reasons = reasons.into_iter().filter(|entry| !entry.in_delivery).map(|entry| entry.reason);
    assert!(reasons.eq(vec![suspension.queue_reason(); 3]));
    store.release_sending(paused.id, "seen", &operator()).await.expect("released");
    assert_eq!(store.put_off_held(&suspension, until).await.unwrap(), 0, "it is in force no more");
    assert_eq!(store.claim(100, 1 << 20).await.unwrap()[0].recipients.len(), 3, "due at once");
    let held = Held { account_id: Some(paused.id), domain: Some("example.com".to_owned()) };
    store.suspend(&held, "they move", &operator()).await.expect("held");
    let mut mail = paused.mail(&addresses("c", 2)).await;
    mail.recipients.push(Recipient::new("d", "example.com", "example.com"));
    paused.admission(None).submit(mail).await.expect("accepted");
    let suspension = store.suspensions().await.unwrap().remove(0);
    assert_eq!(store.put_off_held(&suspension, until).await.unwrap(), 1, "that domain's alone");
    assert_eq!(store.resume(&held, &operator()).await.expect("let go"), 1);
    assert_eq!(store.put_off_held(&suspension, until).await.unwrap(), 0);
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

async fn r24_who_deletes_a_domain_and_enters_it_again_gains_nothing(bench: Bench) {
    let account = account(&bench, 80).await;
    let first = domain(&account, "new.example").await;
    send(&account, &addresses("a", 15), first, |_| Verdict::DELIVERED).await.expect("within it");
    let deleted = account.store.delete_domain(account.id, first.0).await.expect("deleted");
    assert_eq!(deleted, DomainDeletion::Deleted);
    assert!(account.store.warming(account.id).await.unwrap().is_empty(), "it holds nobody");
    send(&account, &addresses("b", 30), FIRST, |_| Verdict::DELIVERED).await.expect("another domain");
    let second = domain(&account, "new.example").await;
    let refused = send(&account, &addresses("c", 6), second, |_| Verdict::DELIVERED).await.unwrap_err();
    let SubmitError::Refused(Refusal::OverAllowance { over, .. }) = &refused else { panic!("{refused}") };
    assert_eq!((over.quota, over.used), (20, 15), "the day's use goes with the name");
    let rows = account.store.warming(account.id).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.warming.subject.id()).collect::<Vec<_>>(), [second.0, second.1]);
    let third = domain(&account, "other.example").await;
    send(&account, &addresses("d", 20), third, |_| Verdict::DELIVERED).await.expect("a name of its own");
}

async fn r24_domains_are_deleted_while_their_account_sends(bench: Bench) {
    let account = account(&bench, 1_000_000).await;
    // Never sent from, so that nothing but the deletions changes them.
    domain(&account, "stays.example").await;
    let sending = async {
        let admission = account.admission(None);
        for number in 0..120 {
            let mail = account.mail(&addresses(&format!("s{number}-"), 1)).await;
            admission.submit(mail).await.expect("accepted");
        }
    };
    let deleting = async {
        for number in 0..25 {
            let (domain_id, _) = domain(&account, &format!("d{number}.example")).await;
            let deleted = account.store.delete_domain(account.id, domain_id).await;
            assert_eq!(deleted.expect("no circle of locks"), DomainDeletion::Deleted);
        }
    };
    tokio::join!(sending, deleting);
    let rows = account.store.warming(account.id).await.unwrap();
    assert_eq!(rows.len(), 2, "those of the domain that stays");
    account.verify().await;
}
