//! Leases, outcomes, hand-backs, cancels and dead nodes on both engines.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::mail::State;
use indicia_domain::mail::admission::Policy;
use indicia_domain::outcome::{ErrorClassification, Verdict};
use indicia_domain::time::{DAY_MICROS, SECOND_MICROS};
use indicia_store::evidence::OutcomeFilter;
use indicia_store::message::{LogQuery, LogToken};
use indicia_store::queue::{Cancelled, HandBack, MailKey};
use support::{Account, names, outcome};

on_both_engines!(
    a_lease_keeps_others_away_until_the_outcome,
    a_deferred_mail_comes_back_when_due,
    content_goes_with_its_last_recipient,
    handed_back_mail_is_free_with_its_reason,
    r03_a_cancel_reverses_the_charge,
    r03_a_mail_given_up_by_our_own_fault_is_paid_back,
    a_dead_nodes_leases_are_taken_over,
    a_node_that_slept_decides_nothing_but_delivery,
    r03_r26_outcomes_given_twice_count_once,
    what_a_dead_node_claimed_late_is_not_lost,
    claims_stop_at_the_bytes_asked_for,
    the_mail_log_pages_and_filters,
    the_days_counts_follow_the_outcomes,
);

async fn a_lease_keeps_others_away_until_the_outcome(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    admission.submit(account.mail(&names(3)).await).await.expect("accepted");
    let claimed = bench.store.claim(100, 1 << 20).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].recipients.len()), (1, 3));
    assert!(bench.second_node().await.claim(100, 1 << 20).await.unwrap().is_empty());
    let outcomes: Vec<_> =
        (0..3).map(|index| outcome(&claimed[0], index, Verdict::DELIVERED, None)).collect();
    bench.store.commit_outcomes(&outcomes).await.unwrap();
    let timeline = bench.store.timeline(account.id, claimed[0].message_id).await.unwrap().unwrap();
    assert!(timeline.recipients.iter().all(|recipient| recipient.state == State::Delivered));
    assert_eq!(timeline.attempts.len(), 3);
    assert_eq!(bench.store.queue_length().await.unwrap(), (0, 0));
    account.verify().await;
}

async fn a_deferred_mail_comes_back_when_due(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(1)).await).await.expect("accepted");
    let claimed = bench.store.claim(100, 1 << 20).await.unwrap();
    let due = bench.store.now().plus_micros(60 * SECOND_MICROS);
    let verdict = Verdict::temporary(ErrorClassification::SmtpGreylist);
    bench.store.commit_outcomes(&[outcome(&claimed[0], 0, verdict, Some(due))]).await.unwrap();
    assert_eq!(bench.store.next_due().await.unwrap(), Some(due));
    bench.clock.set(due.plus_micros(-1));
    assert!(bench.store.claim(100, 1 << 20).await.unwrap().is_empty());
    bench.clock.set(due);
    let again = bench.store.claim(100, 1 << 20).await.unwrap();
    assert_eq!(
        (again[0].recipients[0].attempts, again[0].recipients[0].address.as_str()),
        (1, "user0@example.net")
    );
    account.verify().await;
}

async fn content_goes_with_its_last_recipient(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(2)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    for (index, kept) in [(0, true), (1, false)] {
        bench.store.commit_outcomes(&[outcome(&mail, index, Verdict::DELIVERED, None)]).await.unwrap();
        assert_eq!(bench.store.content(account.id, mail.message_id).await.unwrap().is_some(), kept);
    }
}

async fn handed_back_mail_is_free_with_its_reason(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(2)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    let due = bench.store.now().plus_micros(5 * SECOND_MICROS);
    let back: Vec<_> = mail
        .recipients
        .iter()
        .map(|recipient| HandBack {
            key: MailKey { account_id: account.id, message_id: mail.message_id, number: recipient.number },
            due_at: due,
            reason: "mx.example.net does not answer".to_owned(),
            place: None,
        })
        .collect();
    bench.store.hand_back(&back).await.unwrap();
    let entries = bench.store.queue_entries(Some(account.id), None, 10).await.unwrap();
    assert!(
        entries
            .iter()
            .all(|entry| !entry.in_delivery && entry.due_at == due && entry.domain == "example.net")
    );
    assert_eq!((entries.len(), entries[0].reason.as_str()), (2, "mx.example.net does not answer"));
    assert_eq!(bench.store.retry_now(account.id, mail.message_id, "test").await.unwrap(), 2);
    assert_eq!(bench.store.claim(100, 1 << 20).await.unwrap()[0].recipients.len(), 2);
}

async fn r03_a_cancel_reverses_the_charge(bench: Bench) {
    let policy = Policy { free_total_mails: 1, ..Policy::default() };
    let account = Account::with_policy(&bench.store, "UTC", &policy).await;
    account.buy(2).await;
    let admitted = account.admission(None).submit(account.mail(&names(5)).await).await.expect("accepted");
    assert_eq!(
        bench.store.cancel(account.id, admitted.message_id(), "test").await.unwrap(),
        Cancelled::Mails(5)
    );
    assert_eq!(
        bench.store.cancel(account.id, admitted.message_id(), "test").await.unwrap(),
        Cancelled::NothingToCancel
    );
    assert_eq!(bench.store.cancel(account.id, 42, "test").await.unwrap(), Cancelled::NotFound);
    let timeline = bench.store.timeline(account.id, admitted.message_id()).await.unwrap().unwrap();
    let back: Vec<_> = timeline.ledger[3..].iter().map(|line| (line.to.to_string(), line.amount)).collect();
    assert_eq!(
        (back[0].clone(), back[1].1, back[2].clone()),
        (("pay-as-you-go".to_owned(), 2), 2, ("free".to_owned(), 1))
    );
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!((numbers.free_left, numbers.pay_as_you_go_mails, numbers.quota_day_used), (1, 0, 0));
    assert!(bench.store.content(account.id, admitted.message_id()).await.unwrap().is_none());
    account.verify().await;
}

async fn r03_a_mail_given_up_by_our_own_fault_is_paid_back(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(2)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    let own_fault = Verdict::permanent(ErrorClassification::SysOutInternal);
    let outcomes = [outcome(&mail, 0, own_fault, None), outcome(&mail, 1, Verdict::DELIVERED, None)];
    bench.store.commit_outcomes(&outcomes).await.unwrap();
    assert_eq!(bench.store.account_numbers(account.id).await.unwrap().unwrap().free_left, 1_999);
    account.verify().await;
}

async fn a_dead_nodes_leases_are_taken_over(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(4)).await).await.expect("accepted");
    let other = bench.second_node().await;
    assert!(other.heartbeat().await.unwrap());
    bench.store.claim(100, 1 << 20).await.unwrap();
    assert_eq!(other.reclaim_dead_leases().await.unwrap(), 0, "it lives");
    bench.clock.advance_micros(31 * SECOND_MICROS);
    assert!(other.heartbeat().await.unwrap());
    for freed in [0, 0, 4] {
        assert_eq!(
            other.reclaim_dead_leases().await.unwrap(),
            freed,
            "only an unchanged heartbeat is a dead node's"
        );
    }
    assert!(!bench.store.heartbeat().await.unwrap(), "the sleeper is told");
    assert_eq!(other.claim(100, 1 << 20).await.unwrap()[0].recipients.len(), 4);
}

async fn a_node_that_slept_decides_nothing_but_delivery(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(2)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    let other = bench.second_node().await;
    bench.clock.advance_micros(31 * SECOND_MICROS);
    other.heartbeat().await.unwrap();
    for _ in 0..3 {
        other.reclaim_dead_leases().await.unwrap();
    }
    other.claim(100, 1 << 20).await.unwrap();
    assert!(!bench.store.heartbeat().await.unwrap());
    bench.store.rejoin().await.unwrap();
    assert!(bench.store.heartbeat().await.unwrap(), "under a new identity");
    let failed = Verdict::permanent(ErrorClassification::SmtpZPermErr);
    let late = [outcome(&mail, 0, failed, None), outcome(&mail, 1, Verdict::DELIVERED, None)];
    bench.store.commit_outcomes(&late).await.unwrap();
    let timeline = bench.store.timeline(account.id, mail.message_id).await.unwrap().unwrap();
    let states: Vec<_> = timeline.recipients.iter().map(|recipient| recipient.state).collect();
    assert_eq!((states, timeline.attempts.len()), (vec![State::Waiting, State::Delivered], 2));
    account.verify().await;
}

async fn claims_stop_at_the_bytes_asked_for(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    for _ in 0..3 {
        admission.submit(account.mail(&names(2)).await).await.expect("accepted");
    }
    let size = account.mail(&names(1)).await.content.len() as i64;
    let claimed = bench.store.claim(100, size * 2).await.unwrap();
    assert_eq!(claimed.iter().map(|mail| mail.recipients.len()).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(bench.store.claim(100, 0).await.unwrap().len(), 1, "one is always let through");
}

async fn the_mail_log_pages_and_filters(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    for day in 0..3 {
        bench.clock.advance_micros(day * DAY_MICROS);
        admission.submit(account.mail(&names(2)).await).await.expect("accepted");
    }
    let all = bench.store.mail_log(&LogQuery::all(account.id, 10)).await.unwrap();
    assert_eq!(all.len(), 6);
    let mut query = LogQuery::all(account.id, 4);
    let first = bench.store.mail_log(&query).await.unwrap();
    query.after = first.last().map(|row| LogToken { message_id: row.message_id, number: row.number });
    let second = bench.store.mail_log(&query).await.unwrap();
    let paged: Vec<_> = first.iter().chain(&second).map(|row| (row.message_id, row.number)).collect();
    assert_eq!(paged, all.iter().map(|row| (row.message_id, row.number)).collect::<Vec<_>>());
    let one = LogQuery {
        address_key: Some("user1@example.net".into()),
        from: all[0].accepted_at,
        ..LogQuery::all(account.id, 10)
    };
    assert_eq!(bench.store.mail_log(&one).await.unwrap().len(), 1);
    let none = LogQuery { state: Some(State::Spam), ..LogQuery::all(account.id, 10) };
    assert!(bench.store.mail_log(&none).await.unwrap().is_empty());
    let part = LogQuery { address_part: Some("R1@EX".into()), ..LogQuery::all(account.id, 10) };
    assert_eq!(bench.store.mail_log(&part).await.unwrap().len(), 3);
    assert_eq!(bench.store.account_of_message(all[0].message_id).await.unwrap(), Some(account.id));
}

async fn the_days_counts_follow_the_outcomes(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(4)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    let verdicts = [
        Verdict::DELIVERED,
        Verdict::permanent(ErrorClassification::SmtpNxBox),
        Verdict::permanent(ErrorClassification::SmtpContSpam),
        Verdict::permanent(ErrorClassification::SmtpZPermErr),
    ];
    let outcomes: Vec<_> =
        verdicts.iter().enumerate().map(|(index, verdict)| outcome(&mail, index, *verdict, None)).collect();
    bench.store.commit_outcomes(&outcomes).await.unwrap();
    let days = bench
        .store
        .outcomes_by_day(account.id, mail.day, mail.day + 1, &OutcomeFilter::default())
        .await
        .unwrap();
    let day = days[0].counts;
    assert_eq!((day.accepted, day.delivered, day.invalid, day.spam, day.failed), (4, 1, 1, 1, 1));
    assert!(bench.store.is_listed_invalid(account.id, "user1@example.net").await.unwrap().is_some());
}

async fn r03_r26_outcomes_given_twice_count_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(3)).await).await.expect("accepted");
    let mail = bench.store.claim(100, 1 << 20).await.unwrap().remove(0);
    let own_fault = Verdict::permanent(ErrorClassification::SysOutInternal);
    let later = bench.store.now().plus_micros(SECOND_MICROS);
    let batch = [
        outcome(&mail, 0, own_fault, None),
        outcome(&mail, 1, Verdict::DELIVERED, None),
        outcome(&mail, 2, Verdict::temporary(ErrorClassification::SmtpGreylist), Some(later)),
    ];
    for _ in 0..2 {
        bench.store.commit_outcomes(&batch).await.unwrap();
    }
    assert_eq!(bench.store.account_numbers(account.id).await.unwrap().unwrap().free_left, 1_998);
    let day = bench
        .store
        .outcomes_by_day(account.id, mail.day, mail.day + 1, &OutcomeFilter::default())
        .await
        .unwrap()[0]
        .counts;
    assert_eq!((day.accepted, day.delivered, day.failed), (3, 1, 1));
    let timeline = bench.store.timeline(account.id, mail.message_id).await.unwrap().unwrap();
    assert_eq!(timeline.attempts.len(), 3);
    account.verify().await;
}

async fn what_a_dead_node_claimed_late_is_not_lost(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.admission(None).submit(account.mail(&names(2)).await).await.expect("accepted");
    let other = bench.second_node().await;
    bench.clock.advance_micros(31 * SECOND_MICROS);
    other.heartbeat().await.unwrap();
    for _ in 0..3 {
        other.reclaim_dead_leases().await.unwrap();
    }
    assert_eq!(bench.store.claim(100, 1 << 20).await.unwrap()[0].recipients.len(), 2, "it does not know yet");
    bench.store.rejoin().await.unwrap();
    assert_eq!(other.reclaim_dead_leases().await.unwrap(), 2);
    assert_eq!(other.claim(100, 1 << 20).await.unwrap()[0].recipients.len(), 2);
}
