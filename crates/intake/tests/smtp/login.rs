//! AUTH: who gets in, who does not, and how often anyone may try.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicia_intake::submission::{LoginLimits, PlainTextAuth, SubmissionConfig};

use crate::support::{ANN, ANNS_PASSWORD, BEN, Bench, DOMAIN_PASSWORD, hash, message};

#[tokio::test]
async fn every_way_to_log_in() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    for (user, password) in [
        (ANN, ANNS_PASSWORD),
        ("Ann@Example.ORG", ANNS_PASSWORD),
        (ANN, DOMAIN_PASSWORD),
        (BEN, DOMAIN_PASSWORD),
        ("unregistered@example.org", DOMAIN_PASSWORD),
        ("example.org", DOMAIN_PASSWORD),
    ] {
        let mut client = server.connect().await;
        assert!(client.ehlo().await.contains("AUTH PLAIN LOGIN"));
        client.log_in(user, password, "235 2.7.0").await;
        let mut client = server.connect().await;
        client.ehlo().await;
        client.say("AUTH LOGIN", "334 VXNlcm5hbWU6").await;
        client.say(&STANDARD.encode(user), "334 UGFzc3dvcmQ6").await;
        client.say(&STANDARD.encode(password), "235").await;
    }
    assert!(
        server.metrics().contains(r#"indicia_submission_logins_total{result="right"} 12"#),
        "{}",
        server.metrics()
    );
}

#[tokio::test]
async fn what_does_not_log_in_is_535_and_told_what_would() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let long = "x".repeat(400);
    for (user, password) in [
        (ANN, "wrong"),
        (ANN, ""),
        (BEN, ANNS_PASSWORD),
        ("example.org", ANNS_PASSWORD),
        ("nobody@nowhere.test", ANNS_PASSWORD),
        ("nowhere.test", ANNS_PASSWORD),
        ("eve@unproved.org", DOMAIN_PASSWORD),
        ("unproved.org", DOMAIN_PASSWORD),
        ("' OR 1=1 --", "x"),
        (&long, "x"),
        (ANN, &long),
    ] {
        let mut client = server.connect().await;
        client.ehlo().await;
        let reply = client.log_in(user, password, "535 5.7.8 Authentication failure. ").await;
        assert!(reply.contains("sender address of a verified domain"), "{reply}");
        client.say(&format!("MAIL FROM:<{ANN}>"), "530 5.7.0").await;
    }
    let metrics = server.metrics();
    assert!(metrics.contains(r#"indicia_submission_logins_total{result="wrong"} 11"#), "{metrics}");
    assert!(metrics.contains(r#"indicia_submission_negative_replies_total{code="535"} 11"#), "{metrics}");
}

#[tokio::test]
async fn malformed_auth_is_refused_and_the_session_goes_on() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.say("AUTH PLAIN AGEAYg==", "503").await;
    client.ehlo().await;
    client.say("AUTH", "501").await;
    client.say("AUTH CRAM-MD5", "504").await;
    client.say("AUTH PLAIN !!!", "501").await;
    client.say("AUTH LOGIN", "334").await;
    client.say("*", "501").await;
    client.log_in(ANN, ANNS_PASSWORD, "235").await;
    client.say("AUTH LOGIN", "503").await;
}

#[tokio::test]
async fn no_password_in_clear_unless_configured() {
    let bench = Bench::new().await;
    let in_clear = |plain_text_auth| SubmissionConfig { plain_text_auth, ..bench.config() };
    let server = bench.start_with(in_clear(PlainTextAuth::Never)).await;
    let mut client = server.connect().await;
    assert!(!client.ehlo().await.contains("AUTH"));
    client.log_in(ANN, ANNS_PASSWORD, "538 5.7.11").await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "530").await;
    let mut client = client.start_tls().await;
    assert!(client.ehlo().await.contains("AUTH PLAIN LOGIN"));
    client.log_in(ANN, ANNS_PASSWORD, "235").await;
    let server = bench.start_with(in_clear(PlainTextAuth::Always)).await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in(ANN, ANNS_PASSWORD, "235").await;
}

#[tokio::test]
async fn a_login_in_clear_is_forgotten_by_starttls() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await.start_tls().await;
    client.ehlo().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "530").await;
}

#[tokio::test]
async fn a_changed_password_counts_at_once_and_the_old_one_a_moment_later_no_more() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    server.session().await;
    let changed = hash("Other29Window");
    bench.store.modify_sender(bench.account_id, bench.ann_id, Some(&changed), None).await.unwrap();
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in(ANN, "Other29Window", "235").await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let mut client = server.connect().await;
    client.ehlo().await;
    client.log_in(ANN, ANNS_PASSWORD, "535").await;
}

const QUICK: fn() -> LoginLimits = || LoginLimits {
    failures_of_user_from_peer_max: 3,
    failures_from_peer_max: 5,
    delay_first: Duration::from_millis(20),
    delay_max: Duration::from_millis(100),
    pause_first: Duration::from_secs(30),
    ..LoginLimits::default()
};

#[tokio::test]
async fn guessing_is_slowed_down_then_stopped_for_the_guesser_alone() {
    let bench = Bench::new().await;
    let server = bench.start_with(SubmissionConfig { logins: QUICK(), ..bench.config() }).await;
    let mut client = server.connect().await;
    client.ehlo().await;
    let started = Instant::now();
    for _ in 0..3 {
        let reply = client.log_in(ANN, "wrong", "535 5.7.8 Authentication failure.").await;
        assert!(!reply.contains("seconds"), "{reply}");
    }
    assert!(started.elapsed() >= Duration::from_millis(20 + 40 + 80), "answers are held back");
    let reply = client.log_in(ANN, ANNS_PASSWORD, "535 5.7.8 Authentication failure.").await;
    assert!(reply.contains("try again in 30 seconds"), "not even the right password is looked at: {reply}");
    let mut elsewhere = server.connect_from([127, 0, 0, 2]).await;
    elsewhere.ehlo().await;
    elsewhere.log_in(ANN, ANNS_PASSWORD, "235").await;
}

#[tokio::test]
async fn guessing_at_many_users_closes_the_door_to_the_peer() {
    let bench = Bench::new().await;
    let server = bench.start_with(SubmissionConfig { logins: QUICK(), ..bench.config() }).await;
    let mut client = server.connect().await;
    client.ehlo().await;
    for number in 0..5 {
        client.log_in(&format!("user{number}@example.org"), "wrong", "535").await;
    }
    let reply = client.log_in(ANN, ANNS_PASSWORD, "421 4.7.0 Too many failed logins").await;
    assert!(reply.contains("30 seconds"), "{reply}");
    client.expect_closed().await;
}

#[tokio::test]
async fn without_a_login_there_is_no_mail() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.connect().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "503").await;
    client.ehlo().await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "530 5.7.0").await;
    client.say("RCPT TO:<you@example.net>", "503").await;
    client.say("DATA", "503").await;
    client.send(format!("BDAT {} LAST\r\n{}", message(ANN, "").len(), message(ANN, ""))).await;
    client.expect("503").await;
    bench.assert_nothing_written().await;
}
