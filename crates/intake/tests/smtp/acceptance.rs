//! The answer to a message: accepted and durable, or refused and without a trace.

use indicia_domain::account::AccountStatus;
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::time::UnixMicros;

use crate::support::{ANN, ANNS_PASSWORD, Bench, env_id, hash, mail, message, sender};

#[tokio::test]
async fn r02_250_means_durable_counted_and_charged() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<one@example.net>", "250").await;
    client.say("RCPT TO:<two@example.net>", "250").await;
    let id = env_id(&client.data(&message(ANN, ""), "250 2.0.0 send mail ok ").await);
    assert_eq!(bench.store.queue_length().await.unwrap(), (2, 2));
    let numbers = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, numbers.free_left), (2, 1_998));
    assert!(bench.store.content(bench.account_id, id).await.unwrap().is_some());
    assert!(bench.store.verify_ledger().await.unwrap().violations.is_empty());
    let metrics = server.metrics();
    for line in ["indicia_submission_messages_total 1", "indicia_submission_recipients_total 2"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn r17_over_quota_is_552_with_quota_use_and_reset() {
    let bench = Bench::new().await;
    bench
        .store
        .set_daily_quota(bench.account_id, 2, "a test", &indicia_store::audit::Actor::system("test"))
        .await
        .unwrap();
    let server = bench.start().await;
    let mut client = server.session().await;
    client.submit(ANN, "one@example.net", &message(ANN, ""), "250").await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<two@example.net>", "250").await;
    client.say("RCPT TO:<three@example.net>", "250").await;
    let reply = client.data(&message(ANN, ""), "552 ").await;
    assert_eq!(
        reply,
        "552 5.4.5 Daily sending quota exceeded: quota 2, used 1, requested 2; it resets at 2026-11-23T00:00:00Z"
    );
    assert_eq!(bench.store.queue_length().await.unwrap().0, 1, "refused whole");
    client.submit(ANN, "two@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn r17_over_the_monthly_quota_is_552_too() {
    const DAY_MICROS: i64 = 24 * 3_600_000_000;
    let bench = Bench::new().await;
    let actor = indicia_store::audit::Actor::system("test");
    bench.store.set_daily_quota(bench.account_id, 2, "a test", &actor).await.unwrap();
    let server = bench.start().await;
    let mut client = server.session().await;
    // December has 31 days, a monthly quota 30.
    while bench.store.now() < UnixMicros::parse("2026-12-01T00:00:00Z").unwrap() {
        bench.clock.advance_micros(DAY_MICROS);
    }
    for day in 0..30 {
        for mail in 0..2 {
            client.submit(ANN, &format!("u{day}-{mail}@example.net"), &message(ANN, ""), "250").await;
        }
        bench.clock.advance_micros(DAY_MICROS);
    }
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<one@example.net>", "250").await;
    assert_eq!(
        client.data(&message(ANN, ""), "552 ").await,
        "552 5.4.5 Monthly sending quota exceeded: quota 60, used 60, requested 1; it resets at 2027-01-01T00:00:00Z"
    );
    assert_eq!(bench.store.queue_length().await.unwrap().0, 60, "refused whole");
    bench.clock.advance_micros(DAY_MICROS);
    client.submit(ANN, "one@example.net", &message(ANN, ""), "250").await;
}

/// The committer hangs at the store, which another writer holds; the line in front of it fills up.
#[tokio::test]
async fn a_full_line_is_452_and_nothing_is_kept_of_the_mail() {
    use sqlx::Connection;
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    let one = mail(&bench.store, bench.account_id, "you@example.net").await;
    let url = format!("sqlite://{}", bench.dir.path().join("indicia.db").display());
    let mut writer = sqlx::AnyConnection::connect(&url).await.expect("opened");
    sqlx::query("BEGIN IMMEDIATE").execute(&mut writer).await.expect("locked");
    let mut waiting: Vec<tokio::task::JoinHandle<_>> = Vec::new();
    // More than the line holds, again after the committer has taken its batch out of it; those that find the line full
    // come back at once.
    for _ in 0..3 {
        let before = waiting.len();
        waiting.extend((0..5_000).map(|_| {
            let (admission, mail) = (bench.admission.clone(), one.clone());
            tokio::spawn(async move { admission.submit(mail).await })
        }));
        let refused = async {
            while !waiting[before..].iter().any(tokio::task::JoinHandle::is_finished) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), refused).await.expect("the line is full");
    }
    let reply = client.data(&message(ANN, ""), "452 4.3.2").await;
    assert!(reply.ends_with("try again in a moment"), "{reply}");
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    assert_eq!(bench.store.queue_length().await.unwrap(), (0, 0));
    sqlx::query("ROLLBACK").execute(&mut writer).await.expect("unlocked");
}

#[tokio::test]
async fn r11_an_overdue_account_is_551_and_a_frozen_one_too() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    bench.store.change_status(bench.account_id, AccountStatus::OVERDUE, AccountStatus::NORMAL).await.unwrap();
    const OVERDUE: &str = "551 5.7.1 Main account unavailable: the account has unpaid bills";
    client.submit(ANN, "you@example.net", &message(ANN, ""), OVERDUE).await;
    bench.store.change_status(bench.account_id, AccountStatus::FROZEN, AccountStatus::OVERDUE).await.unwrap();
    const FROZEN: &str = "551 5.7.1 Main account unavailable: the account is frozen";
    client.submit(ANN, "you@example.net", &message(ANN, ""), FROZEN).await;
    bench.assert_nothing_written().await;
    bench.store.change_status(bench.account_id, AccountStatus::NORMAL, AccountStatus::FROZEN).await.unwrap();
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn r22_a_paused_account_is_551_with_since_and_why() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let actor = indicia_store::audit::Actor::system("test");
    bench.store.pause_sending(bench.account_id, "traps were hit", &actor).await.unwrap();
    const PAUSED: &str = "551 5.7.1 Main account unavailable: sending is paused since 2026-11-22T04:00:00Z: by an operator: traps \
                          were hit; the Reputation page of the console says what to do";
    client.submit(ANN, "you@example.net", &message(ANN, ""), PAUSED).await;
    bench.assert_nothing_written().await;
    bench.store.release_sending(bench.account_id, "cleaned", &actor).await.unwrap();
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn r24_over_an_allowance_is_552_with_its_name_use_and_reset() {
    let bench = Bench::new().await;
    let policy = QuotaPolicy { initial_daily_mails: 1, ..QuotaPolicy::default() };
    bench.store.set_quota_policy(policy);
    let actor = indicia_store::audit::Actor::system("test");
    bench.store.set_daily_quota(bench.account_id, 3_000, "a test", &actor).await.unwrap();
    const LATER: &str = "shop@example.org";
    let later_id = sender(&bench.store, bench.account_id, bench.domain_id, LATER).await;
    bench.store.modify_sender(bench.account_id, later_id, Some(&hash(ANNS_PASSWORD)), None).await.unwrap();
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in(LATER, ANNS_PASSWORD, "235 2.7.0").await;
    client.submit(LATER, "one@example.net", &message(LATER, ""), "250").await;
    const OVER: &str = "552 5.4.5 Not enough sending quota: the daily allowance of the sender address shop@example.org, which was \
                        added lately, is exceeded: 1 mails a day, used 1, requested 1; it resets at 2026-11-23T00:00:00Z";
    client.submit(LATER, "two@example.net", &message(LATER, ""), OVER).await;
    assert_eq!(bench.store.queue_length().await.unwrap().0, 1, "refused whole");
    server.session().await.submit(ANN, "two@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn r26_an_idempotency_key_is_good_for_one_mail() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let content = message(ANN, "X-Indicia-Idempotency-Key: order-17\r\n");
    let first = env_id(&client.submit(ANN, "you@example.net", &content, "250").await);
    let mut again = server.session().await;
    assert_eq!(env_id(&again.submit(ANN, "you@example.net", &content, "250").await), first);
    let relayed = format!("Received: from a by b;\r\n\tSun, 22 Nov 2026 04:00:01 +0000\r\n{content}");
    assert_eq!(env_id(&again.submit(ANN, "you@example.net", &relayed, "250").await), first);
    for (to, content) in
        [("you@example.net", content.replace("Body", "Other")), ("them@example.net", content.clone())]
    {
        client.submit(ANN, to, &content, "554 5.7.1 Not sent: the idempotency key was used before").await;
    }
    let numbers = bench.store.account_numbers(bench.account_id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, bench.store.queue_length().await.unwrap().0), (1, 1));
    let kept = bench.store.content(bench.account_id, first).await.unwrap().expect("kept");
    assert!(!String::from_utf8_lossy(&kept).contains("Idempotency"), "the key stays with us");
}

#[tokio::test]
async fn a_failure_of_the_store_is_451_and_never_250() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    bench.store.close().await;
    client.data(&message(ANN, ""), "451 4.3.0").await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in("new@example.org", "x", "451 4.3.0").await;
}
