//! Spam reports on both engines: each mail's once, counted, blocking, and told.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::mail::suppression::BlockType;
use indicia_domain::outcome::{ErrorClassification, Verdict};
use indicia_domain::time::UnixMicros;
use indicia_store::block::BlockQuery;
use indicia_store::evidence::OutcomeFilter;
use indicia_store::oversight::AuditQuery;
use indicia_store::queue::MailKey;
use indicia_store::report::{
    NOTES_MAX, Noted, OperatorReport, ReportPlace, ReportRow, ReportSource, Reported, SpamReport,
};
use support::{Account, operator, outcome};

on_both_engines!(
    r26_reports_at_once_count_once,
    a_report_is_told_counted_and_blocks,
    r19_a_reply_that_says_spam_is_a_report_and_only_one,
    other_feedback_is_noted_within_bounds,
    what_an_operator_names_is_in_the_audit_log,
    pages_follow_each_other,
    texts_are_kept_within_bounds,
);

const BOB: &str = "bob@example.net";

async fn mail(account: &Account, recipients: &[&str]) -> MailKey {
    let mail = account.mail(recipients).await;
    let key = MailKey { account_id: account.id, message_id: mail.message_id, number: 0 };
    account.admission(None).submit(mail).await.unwrap();
    key
}

fn abuse(key: MailKey) -> SpamReport {
    SpamReport {
        key,
        source: ReportSource::Feedback,
        feedback_type: "abuse".to_owned(),
        reporter: "fbl@example.net".to_owned(),
        detail: "by Loop/1.0".to_owned(),
    }
}

async fn reports(account: &Account) -> Vec<ReportRow> {
    account.store.spam_reports(account.id, UnixMicros(0), UnixMicros(i64::MAX), None, 1_000).await.unwrap()
}

/// How many reports people are shown for the account.
async fn counted(account: &Account) -> i64 {
    let filter = OutcomeFilter::default();
    let days = account.store.outcomes_by_day(account.id, 0, i64::MAX, &filter).await.unwrap();
    days.iter().map(|day| day.counts.reported).sum()
}

async fn lines(account: &Account, key: MailKey) -> Vec<(String, String)> {
    let timeline = account.store.timeline(key.account_id, key.message_id).await.unwrap().unwrap();
    timeline.events.into_iter().map(|event| (event.kind, event.detail)).collect()
}

async fn r26_reports_at_once_count_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = mail(&account, &[BOB]).await;
    let other_node = bench.second_node().await;
    let running: Vec<_> = (0..8)
        .map(|number| {
            let store = if number % 2 == 0 { bench.store.clone() } else { other_node.clone() };
            tokio::spawn(async move { store.record_report(&abuse(key)).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for report in running {
        match report.await.unwrap() {
            Reported::Counted => new += 1,
            Reported::Repeated => {}
            Reported::NotFound => panic!("the mail is there"),
        }
    }
    assert_eq!((new, reports(&account).await.len(), counted(&account).await), (1, 1, 1));
    assert_eq!(lines(&account, key).await.len(), 1);
    for key in
        [MailKey { number: 5, ..key }, MailKey { message_id: 5, ..key }, MailKey { account_id: 5, ..key }]
    {
        assert_eq!(bench.store.record_report(&abuse(key)).await.unwrap(), Reported::NotFound);
        assert_eq!(bench.store.note_feedback(&abuse(key)).await.unwrap(), Noted::NotFound);
    }
    assert_eq!(counted(&account).await, 1);
    other_node.close().await;
}

async fn a_report_is_told_counted_and_blocks(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = mail(&account, &["ann@example.net", "Bob@example.net"]).await;
    let bobs = MailKey { number: 1, ..key };
    bench.clock.advance_micros(60_000_000);
    assert_eq!(bench.store.record_report(&abuse(bobs)).await.unwrap(), Reported::Counted);
    let report = reports(&account).await.remove(0);
    assert_eq!((report.message_id, report.number, report.at), (key.message_id, 1, bench.store.now()));
    assert_eq!((report.address.as_str(), report.source), ("Bob@example.net", ReportSource::Feedback));
    assert_eq!((report.mail_from.as_str(), report.subject.as_str()), ("news@example.org", "Hello"));
    let line = "Bob@example.net: reported as spam (abuse, by fbl@example.net): by Loop/1.0";
    assert_eq!(lines(&account, key).await, [("spam-report".to_owned(), line.to_owned())]);
    let query = BlockQuery {
        account_id: account.id,
        block_type: BlockType::Report,
        sender_address: None,
        address_key: None,
        from: UnixMicros(0),
        before: UnixMicros(i64::MAX),
        after: None,
        limit: 10,
    };
    let (blocks, _) = bench.store.blocks(&query).await.unwrap();
    let blocks: Vec<_> =
        blocks.iter().map(|block| (block.sender_address.as_str(), block.address_key.as_str())).collect();
    assert_eq!(blocks, [("news@example.org", BOB)]);
    account.verify().await;
}

async fn r19_a_reply_that_says_spam_is_a_report_and_only_one(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let refusals = [
        (BOB, ErrorClassification::SmtpContSpam),
        ("ann@example.net", ErrorClassification::SmtpContSpam),
        ("eve@example.net", ErrorClassification::SmtpBoxFull),
    ];
    let key = mail(&account, &refusals.map(|(address, _)| address)).await;
    assert_eq!(bench.store.record_report(&abuse(key)).await.unwrap(), Reported::Counted);
    let claimed = bench.store.claim(10, 1 << 20).await.unwrap().remove(0);
    let outcomes: Vec<_> = (0..claimed.recipients.len())
        .map(|index| {
            let address = claimed.recipients[index].address.as_str();
            let (_, said) = refusals.iter().find(|(known, _)| *known == address).unwrap();
            outcome(&claimed, index, Verdict::permanent(*said), None)
        })
        .collect();
    for _ in 0..2 {
        bench.store.commit_outcomes(&outcomes).await.unwrap();
    }
    let mut rows = reports(&account).await;
    rows.sort_by_key(|row| row.number);
    let rows: Vec<_> =
        rows.iter().map(|row| (row.address.as_str(), row.source, row.feedback_type.as_str())).collect();
    assert_eq!(
        rows,
        [(BOB, ReportSource::Feedback, "abuse"), ("ann@example.net", ReportSource::Reply, "abuse")]
    );
    assert_eq!(counted(&account).await, 2);
    let anns = MailKey { number: 1, ..key };
    assert_eq!(bench.store.record_report(&abuse(anns)).await.unwrap(), Reported::Repeated);
    assert_eq!(counted(&account).await, 2);
}

async fn other_feedback_is_noted_within_bounds(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = mail(&account, &[BOB]).await;
    let not_spam = |detail: String| SpamReport { feedback_type: "not-spam".into(), detail, ..abuse(key) };
    assert_eq!(bench.store.note_feedback(&not_spam("once".into())).await.unwrap(), Noted::Added);
    assert_eq!(bench.store.note_feedback(&not_spam("once".into())).await.unwrap(), Noted::Nothing);
    for number in 0..NOTES_MAX + 5 {
        bench.store.note_feedback(&not_spam(number.to_string())).await.unwrap();
    }
    let noted = lines(&account, key).await;
    assert_eq!(noted.len() as i64, NOTES_MAX);
    assert_eq!(noted[0], ("feedback".into(), "bob@example.net: not-spam, by fbl@example.net: once".into()));
    assert_eq!((reports(&account).await.len(), counted(&account).await), (0, 0));
    assert_eq!(bench.store.record_report(&abuse(key)).await.unwrap(), Reported::Counted);
}

async fn what_an_operator_names_is_in_the_audit_log(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = mail(&account, &["ann@example.net", BOB]).await;
    let named = |address: &str| OperatorReport {
        message_id: key.message_id,
        address: address.to_owned(),
        feedback_type: "fraud".to_owned(),
        note: "by letter".to_owned(),
    };
    let by = operator();
    for (address, came_of_it) in [
        ("carl@example.net", Reported::NotFound),
        ("no address", Reported::NotFound),
        ("BOB@Example.NET", Reported::Counted),
        (BOB, Reported::Repeated),
    ] {
        let reported = bench.store.report_by_name(&named(address), &by).await.unwrap();
        assert_eq!(reported, came_of_it, "{address}");
    }
    let elsewhere = OperatorReport { message_id: 5, ..named(BOB) };
    assert_eq!(bench.store.report_by_name(&elsewhere, &by).await.unwrap(), Reported::NotFound);
    let query = AuditQuery { account_id: Some(account.id), actor: None, after: None, limit: 100 };
    let entries = bench.store.audit_entries(&query).await.unwrap();
    let deeds: Vec<_> = entries.iter().filter(|entry| entry.action == "report-spam").collect();
    assert_eq!(deeds.len(), 1);
    let detail = format!("message {}, recipient bob@example.net: fraud: by letter", key.message_id);
    assert_eq!((deeds[0].actor.clone(), &deeds[0].detail), (by.to_string(), &detail));
    let report = reports(&account).await.remove(0);
    assert_eq!((report.source, report.number, report.reporter), (ReportSource::Operator, 1, by.to_string()));
}

async fn pages_follow_each_other(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let stranger = Account::new(&bench.store, "UTC").await;
    let start = bench.store.now();
    // Who has reported is written to no more, so each message has recipients of its own.
    let recipients = support::names(12);
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    for recipients in recipients.chunks(3) {
        let key = mail(&account, recipients).await;
        // Two of each message come in the same instant.
        for number in 0..3 {
            bench.store.record_report(&abuse(MailKey { number, ..key })).await.unwrap();
            bench.clock.advance_micros(if number == 1 { 1_000_000 } else { 0 });
        }
    }
    let strange = mail(&stranger, &[BOB]).await;
    bench.store.record_report(&abuse(strange)).await.unwrap();
    let all: Vec<ReportPlace> = reports(&account).await.iter().map(ReportRow::place).collect();
    assert_eq!(all.len(), 12);
    assert!(all.windows(2).all(|pair| {
        let key = |place: &ReportPlace| (place.at, place.message_id, place.number);
        key(&pair[0]) > key(&pair[1])
    }));
    let (mut paged, mut after) = (Vec::new(), None);
    for _ in 0..3 {
        let page = bench.store.spam_reports(account.id, start, UnixMicros(i64::MAX), after, 5).await.unwrap();
        after = page.last().map(ReportRow::place);
        paged.extend(page.iter().map(ReportRow::place));
    }
    assert_eq!(paged, all);
    let second = start.plus_micros(1_000_000);
    let early = bench.store.spam_reports(account.id, start, second, None, 100).await.unwrap();
    assert_eq!(early.len(), all.iter().filter(|place| place.at < second).count());
    assert!(!early.is_empty() && early.len() < all.len());
}

async fn texts_are_kept_within_bounds(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let key = mail(&account, &[BOB]).await;
    let long = SpamReport {
        reporter: format!("a\0b\r\n{}", "r".repeat(5_000)),
        detail: format!("\u{1f4a3}\0{}", "d".repeat(50_000)),
        ..abuse(key)
    };
    assert_eq!(bench.store.record_report(&long).await.unwrap(), Reported::Counted);
    let report = reports(&account).await.remove(0);
    assert_eq!((report.reporter.chars().count(), report.detail.chars().count()), (200, 1_000));
    assert!(report.reporter.starts_with("a b  r") && report.detail.starts_with("\u{1f4a3} d"));
}
