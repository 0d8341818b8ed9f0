//! The answer to a message: accepted and durable, or refused and without a trace.

use indicia_domain::account::AccountStatus;

use crate::support::{ANN, Bench, env_id, message};

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
    bench.store.set_daily_quota(bench.account_id, 2, None, "a test").await.unwrap();
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
