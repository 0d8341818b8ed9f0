//! Delivery reports on both engines: one report, one change.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::mail::State;
use indicia_domain::outcome::{ErrorClassification, Verdict};
use indicia_store::bounce::{Bounce, NOTES_MAX, News, Recorded};
use indicia_store::evidence::OutcomeFilter;
use indicia_store::queue::MailKey;
use support::{Account, outcome};

on_both_engines!(
    a_failure_moves_the_mail_and_the_counts_once,
    r02_charges_stay_when_a_mail_comes_back,
    reports_at_once_are_one_change,
    only_the_address_that_was_written_to_is_listed,
    lines_are_bounded,
    what_was_not_delivered_cannot_come_back,
);

const BOB: &str = "bob@example.net";

/// A mail to Bob that his server has accepted.
async fn delivered(account: &Account) -> MailKey {
    let key = waiting(account).await;
    let mail = account.store.claim(10, 1 << 20).await.unwrap().remove(0);
    account.store.commit_outcomes(&[outcome(&mail, 0, Verdict::DELIVERED, None)]).await.unwrap();
    key
}

async fn waiting(account: &Account) -> MailKey {
    let mail = account.mail(&[BOB]).await;
    let key = MailKey { account_id: account.id, message_id: mail.message_id, number: 0 };
    account.admission(None).submit(mail).await.unwrap();
    key
}

fn failed(key: MailKey, classification: ErrorClassification) -> Bounce {
    Bounce {
        key,
        news: News::Failed(Verdict::permanent(classification)),
        final_recipient: BOB.to_owned(),
        words: "550 5.1.1 User unknown".to_owned(),
    }
}

async fn counts(account: &Account) -> [i64; 5] {
    let days =
        account.store.outcomes_by_day(account.id, 0, i64::MAX, &OutcomeFilter::default()).await.unwrap();
    days.iter().fold([0; 5], |[a, d, i, s, f], day| {
        let day = day.counts;
        [a + day.accepted, d + day.delivered, i + day.invalid, s + day.spam, f + day.failed]
    })
}

async fn is_listed(account: &Account) -> bool {
    account.store.is_listed_invalid(account.id, BOB).await.unwrap().is_some()
}

async fn a_failure_moves_the_mail_and_the_counts_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    for (classification, state, counted) in [
        (ErrorClassification::SmtpNxBox, State::InvalidAddress, [1, 0, 1, 0, 0]),
        (ErrorClassification::SmtpContSpam, State::Spam, [2, 0, 1, 1, 0]),
        (ErrorClassification::SmtpBoxFull, State::Failed, [3, 0, 1, 1, 1]),
    ] {
        account.store.delete_invalid_address(account.id, BOB).await.unwrap();
        let version = account.store.invalid_library_version();
        let key = delivered(&account).await;
        let bounce = failed(key, classification);
        assert_eq!(bench.store.record_bounce(&bounce).await.unwrap(), Recorded::Changed(state));
        let library_grew = account.store.invalid_library_version() > version;
        assert_eq!(library_grew, state == State::InvalidAddress);
        assert_eq!(bench.store.record_bounce(&bounce).await.unwrap(), Recorded::Nothing);
        assert_eq!(counts(&account).await, counted);
        assert_eq!(is_listed(&account).await, state == State::InvalidAddress);
        let timeline = bench.store.timeline(account.id, key.message_id).await.unwrap().unwrap();
        let recipient = &timeline.recipients[0];
        assert_eq!((recipient.state, recipient.classification.as_str()), (state, classification.as_str()));
        assert_eq!((recipient.reply.as_str(), timeline.events.len()), ("550 5.1.1 User unknown", 1));
    }
}

async fn r02_charges_stay_when_a_mail_comes_back(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = delivered(&account).await;
    bench.store.record_bounce(&failed(key, ErrorClassification::SmtpNxBox)).await.unwrap();
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, numbers.free_left), (1, 1_999));
    account.verify().await;
}

async fn reports_at_once_are_one_change(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = delivered(&account).await;
    let reports: Vec<_> = (0..8)
        .map(|_| {
            let store = bench.store.clone();
            tokio::spawn(async move {
                store.record_bounce(&failed(key, ErrorClassification::SmtpNxBox)).await.unwrap()
            })
        })
        .collect();
    let mut changes = 0;
    for report in reports {
        changes += usize::from(report.await.unwrap() != Recorded::Nothing);
    }
    assert_eq!((changes, counts(&account).await), (1, [1, 0, 1, 0, 0]));
}

async fn only_the_address_that_was_written_to_is_listed(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    for elsewhere in ["bob@forwarded.example", ""] {
        let key = delivered(&account).await;
        let bounce =
            Bounce { final_recipient: elsewhere.to_owned(), ..failed(key, ErrorClassification::SmtpNxBox) };
        bench.store.record_bounce(&bounce).await.unwrap();
        assert!(!is_listed(&account).await, "{elsewhere}");
    }
}

async fn lines_are_bounded(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = delivered(&account).await;
    let delayed = |words: String| Bounce {
        news: News::Progress("delayed"),
        words,
        ..failed(key, ErrorClassification::SmtpNxBox)
    };
    assert_eq!(bench.store.record_bounce(&delayed("x".repeat(5_000))).await.unwrap(), Recorded::Noted);
    assert_eq!(bench.store.record_bounce(&delayed("x".repeat(5_000))).await.unwrap(), Recorded::Nothing);
    for number in 0..NOTES_MAX + 5 {
        bench.store.record_bounce(&delayed(number.to_string())).await.unwrap();
    }
    let timeline = bench.store.timeline(account.id, key.message_id).await.unwrap().unwrap();
    assert_eq!((timeline.events.len() as i64, timeline.recipients[0].state), (NOTES_MAX, State::Delivered));
    assert!(timeline.events.iter().all(|event| event.detail.len() < 1_100));
}

async fn what_was_not_delivered_cannot_come_back(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = waiting(&account).await;
    let bounce = failed(key, ErrorClassification::SmtpNxBox);
    assert_eq!(bench.store.record_bounce(&bounce).await.unwrap(), Recorded::TooEarly);
    let mail = account.store.claim(10, 1 << 20).await.unwrap().remove(0);
    let verdict = Verdict::permanent(ErrorClassification::SmtpBoxFull);
    account.store.commit_outcomes(&[outcome(&mail, 0, verdict, None)]).await.unwrap();
    assert_eq!(bench.store.record_bounce(&bounce).await.unwrap(), Recorded::Nothing);
    for key in
        [MailKey { number: 5, ..key }, MailKey { message_id: 5, ..key }, MailKey { account_id: 5, ..key }]
    {
        assert_eq!(
            bench.store.record_bounce(&Bounce { key, ..bounce.clone() }).await.unwrap(),
            Recorded::NotFound
        );
    }
    assert_eq!((counts(&account).await, is_listed(&account).await), ([1, 0, 0, 0, 1], false));
}
