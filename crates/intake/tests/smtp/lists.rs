//! Suppression, block lists and IP protection, as SMTP clients meet them.

use indicia_domain::mail::suppression::{BlockReasons, BlockType};
use indicia_intake::submission::{SubmissionConfig, TrustedRelay};
use indicia_store::audit::Actor;
use indicia_store::queue::MailKey;

use crate::support::{ANN, ANNS_PASSWORD, BEN, Bench, DOMAIN_PASSWORD, env_id, message};

async fn used(bench: &Bench) -> i64 {
    bench.store.account_numbers(bench.account_id).await.unwrap().unwrap().quota_day_used
}

async fn protect(bench: &Bench, range: &str) {
    let by = Actor::system("test");
    bench.store.add_ip_filter(bench.account_id, range.parse().unwrap(), &by).await.unwrap();
    bench.store.set_ip_protection(bench.account_id, true, &by).await.unwrap();
}

async fn switch_off(bench: &Bench) {
    bench.store.set_ip_protection(bench.account_id, false, &Actor::system("test")).await.unwrap();
}

#[tokio::test]
async fn r03_suppressed_addresses_and_domains_are_563_and_the_others_go() {
    let bench = Bench::new().await;
    bench.store.suppress(bench.account_id, "gone@example.net", "gone@example.net").await.unwrap();
    bench.store.suppress(bench.account_id, "example.com", "@example.com").await.unwrap();
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    let reply = client.say("RCPT TO:<Gone@Example.net>", "563 5.1.1 Invalid rcptto Gone@example.net").await;
    assert!(reply.contains("RemoveUserSuppression"), "{reply}");
    let reply =
        client.say("RCPT TO:<anyone@EXAMPLE.com>", "563 5.1.1 Invalid rcptto anyone@example.com").await;
    assert!(reply.contains("domain"), "{reply}");
    client.say("RCPT TO:<anyone@sub.example.com>", "250").await;
    client.data(&message(ANN, ""), "250").await;
    assert_eq!(used(&bench).await, 1);
}

#[tokio::test]
async fn r03_a_blocked_recipient_is_550_for_that_sender_address_until_the_block_is_lifted() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    let reply = client.data(&message(ANN, ""), "250").await;
    let key = MailKey { account_id: bench.account_id, message_id: env_id(&reply), number: 0 };
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    client.say("RCPT TO:<here@example.net>", "250").await;
    bench.store.block_recipient_of(key, BlockType::Unsubscribe, BlockReasons::UNSPECIFIED).await.unwrap();
    let reply = client.data(&message(ANN, ""), "250 2.0.0 send mail ok").await;
    assert!(reply.contains("(less 1 who unsubscribed from the sender address, not charged)"), "{reply}");
    assert_eq!(used(&bench).await, 2);

    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    let reply = client.say("RCPT TO:<You@example.net>", "550 5.7.1 Blocked rcptto You@example.net").await;
    assert!(reply.contains("unsubscribed") && reply.contains("UnblockSending UNSUB"), "{reply}");
    client.say("DATA", "554 5.5.1").await;
    assert_eq!(used(&bench).await, 2);

    let mut ben = server.connect().await;
    ben.ehlo().await;
    ben.log_in(BEN, DOMAIN_PASSWORD, "235").await;
    ben.submit(BEN, "you@example.net", &message(BEN, ""), "250").await;
    let by = Actor::system("test");
    let key = "you@example.net";
    assert!(bench.store.unblock(bench.account_id, BlockType::Unsubscribe, ANN, key, &by).await.unwrap());
    client.say("RSET", "250").await;
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn r03_when_all_are_refused_at_the_end_the_reply_says_by_which_list() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    for to in ["one@example.net", "two@example.net"] {
        client.say(&format!("RCPT TO:<{to}>"), "250").await;
    }
    bench.store.suppress(bench.account_id, "example.net", "@example.net").await.unwrap();
    let reply = client.data(&message(ANN, ""), "563 5.1.1 Invalid rcptto: every recipient is refused").await;
    assert!(reply.contains("2 on your suppression list"), "{reply}");
    bench.assert_nothing_written().await;
}

#[tokio::test]
async fn protection_refuses_a_login_from_elsewhere() {
    let bench = Bench::new().await;
    protect(&bench, "192.0.2.0/24").await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.ehlo().await;
    let reply = client.log_in(ANN, ANNS_PASSWORD, "535 5.7.8 Authentication failure").await;
    assert!(reply.contains("IP protection") && reply.contains("127.0.0.1"), "{reply}");
    client.say(&format!("MAIL FROM:<{ANN}>"), "530").await;
    let reply = client.log_in(ANN, "wrong", "535 5.7.8 Authentication failure").await;
    assert!(!reply.contains("IP protection"), "only who knows the password is told: {reply}");
    assert!(server.metrics().contains(r#"indicia_submission_logins_total{result="elsewhere"} 1"#));
    switch_off(&bench).await;
    client.log_in(ANN, ANNS_PASSWORD, "235").await;
    protect(&bench, "127.0.0.2").await;
    let mut listed = server.connect_from([127, 0, 0, 2]).await;
    listed.ehlo().await;
    listed.log_in(ANN, ANNS_PASSWORD, "235").await;
    listed.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn protection_is_looked_at_again_for_each_mail_of_a_connection() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
    protect(&bench, "192.0.2.0/24").await;
    let reply = client.say(&format!("MAIL FROM:<{ANN}>"), "550 5.7.1").await;
    assert!(reply.contains("IP protection") && reply.contains("127.0.0.1"), "{reply}");
    client.say("RCPT TO:<you@example.net>", "503").await;
    switch_off(&bench).await;
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
    assert_eq!(used(&bench).await, 2);
}

#[tokio::test]
async fn protection_holds_for_trusted_relays_too() {
    let bench = Bench::new().await;
    let relay = TrustedRelay {
        network: "127.0.0.0/8".parse().unwrap(),
        account_id: bench.account_id,
        sender_address: None,
    };
    let server = bench.start_with(SubmissionConfig { trusted: vec![relay], ..bench.config() }).await;
    protect(&bench, "127.0.0.2").await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "550 5.7.1 The account's IP protection").await;
    let mut listed = server.connect_from([127, 0, 0, 2]).await;
    listed.ehlo().await;
    listed.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}
