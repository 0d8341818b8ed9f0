//! DATA: what a message must be, and what is made of it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicia_intake::submission::SubmissionConfig;
use indicia_store::audit::Actor;
use indicia_store::directory::SendType;

use crate::support::{ANN, ANNS_PASSWORD, BEN, Bench, HOSTNAME, env_id, hash, message, sender_of_type};

#[tokio::test]
async fn what_is_missing_is_added_and_what_is_private_removed() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let trace = STANDARD.encode(r#"{"TagName":"newsletter","OpenTrace":"0","LinkTrace":"0"}"#);
    let settings =
        STANDARD.encode(r#"{"Version":"1.0","Unsubscribe":{"LinkType":"disabled","FilterLevel":"default"}}"#);
    let extra = format!(
        "Bcc: secret@example.net\r\nX-Indicia-Env-Id: 7\r\nX-AliDM-Trace: {trace}\r\nX-AliDM-Settings: {settings}\r\n"
    );
    let reply = client.submit(ANN, "you@example.net", &message(&format!("Ann <{ANN}>"), &extra), "250").await;
    let id = env_id(&reply);
    let content =
        bench.store.content(bench.account_id, id).await.unwrap().expect("durable before the answer");
    let content = String::from_utf8(content.to_vec()).unwrap();
    let (header, body) = content.split_once("\r\n\r\n").unwrap();
    let expected = format!(
        "Received: from client.test ([127.0.0.1])\r\n\tby {HOSTNAME} with ESMTPA id {id};\r\n\tSun, 22 Nov 2026 04:00:00 +0000\r\n"
    );
    assert!(header.starts_with(&expected), "{header}");
    for field in [
        format!("X-Indicia-Env-Id: {id}\r\n"),
        "\r\nDate: ".into(),
        format!("\r\nMessage-ID: <{id}@example.org>"),
    ] {
        assert_eq!(header.matches(&field).count(), 1, "{field} in {header}");
    }
    for private in ["secret", "AliDM", "Env-Id: 7"] {
        assert!(!content.contains(private), "{private} in {content}");
    }
    assert_eq!(body, "Body\r\n");
    let timeline = bench.store.timeline(bench.account_id, id).await.unwrap().expect("kept");
    let kept = &timeline.message;
    assert_eq!(
        (kept.via.as_str(), kept.subject.as_str(), kept.tag.as_str()),
        ("smtp", "Hello", "newsletter")
    );
    assert_eq!((kept.mail_from.as_str(), kept.sender_id), (ANN, bench.ann_id));
    assert_eq!((timeline.recipients.len(), timeline.ledger.len()), (1, 1));
}

#[tokio::test]
async fn content_that_cannot_be_sent() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let settings = |json: &str| format!("X-AliDM-Settings: {}\r\n", STANDARD.encode(json));
    let trace = |json: &str| format!("X-AliDM-Trace: {}\r\n", STANDARD.encode(json));
    for (content, reply) in [
        (
            message("boss@bank.test", ""),
            "554 5.7.1 Not sent: the From address boss@bank.test is not the authenticated",
        ),
        (message(BEN, ""), "554 5.7.1"),
        (
            message(ANN, &format!("From: {ANN}\r\n")),
            "554 5.6.0 Not sent: the header field From is given twice",
        ),
        ("Subject: x\r\n\r\nNo author\r\n".to_owned(), "554 5.6.0 Not sent: the header has no From field"),
        ("\r\nNo header\r\n".to_owned(), "554 5.6.0"),
        (message(ANN, "no field\r\n"), "554 5.6.0 Not sent: line 4 of the header is not a header field"),
        (message(ANN, "X-Nul: a\0b\r\n"), "554 5.6.0"),
        (message(ANN, &format!("X-Long: {}\r\n", "x".repeat(998))), "554 5.6.0"),
        (message(ANN, "X-Note: Grüße\r\n"), "554 5.6.7"),
        (message(ANN, "X-Indicia-Idempotency-Key:\r\n"), "554 5.6.0"),
        (message(ANN, &"Received: from a\r\n\tby b\r\n".repeat(100)), "554 5.4.6"),
        (message(ANN, "X-AliDM-Settings: ???\r\n"), "504 5.5.4 Invalid setting [@sm190210]"),
        (
            message(ANN, &settings(r#"{"Unsubscribe":{"LinkType":"zh-cn"}}"#)),
            "504 5.5.4 Invalid setting: Unsubscribe.LinkType [@sm190211]",
        ),
        (
            message(ANN, &settings(r#"{"Unsubscribe":{"FilterLevel":"edm_id"}}"#)),
            "504 5.5.4 Invalid setting: Unsubscribe.FilterLevel [@sm190212]",
        ),
        (
            message(ANN, &settings(r#"{"OutboundIp":{"IpPoolId":"p1"}}"#)),
            "504 5.5.4 Invalid setting: OutboundIp.IpPoolId",
        ),
        (
            message(ANN, &settings(r#"{"OutboundIp":{"IpPoolId":"17"}}"#)),
            "504 5.5.4 Invalid setting: the account has no IP pool 17",
        ),
        (
            message(ANN, "X-Indicia-Ip-Pool: 17\r\n"),
            "504 5.5.4 Invalid setting: the account has no IP pool 17",
        ),
        (message(ANN, "X-Indicia-Ip-Pool: news\r\n"), "504 5.5.4 Invalid setting: OutboundIp.IpPoolId"),
        (
            message(ANN, &trace(r#"{"TagName":"t","OpenTrace":"1"}"#)),
            "504 5.5.4 Invalid setting: X-AliDM-Trace asks for tracking",
        ),
        (
            message(ANN, &trace(r#"{"TagName":"t","OpenTrace":1}"#)),
            "504 5.5.4 Invalid setting: X-AliDM-Trace asks for tracking",
        ),
        (
            message(ANN, &trace(r#"{"OpenTrace":2}"#)),
            "504 5.5.4 Invalid setting: OpenTrace of X-AliDM-Trace must be \"0\" or \"1\"",
        ),
        (
            message(ANN, &settings("{")),
            "504 5.5.4 Invalid setting [@sm190210]: X-AliDM-Settings is Base64, but not",
        ),
        (
            message(ANN, &(trace("{}") + &trace("{}"))),
            "554 5.6.0 Not sent: the header field X-AliDM-Trace is given twice",
        ),
        (message(ANN, "") + "a\0b\r\n", "554 5.6.0 Not sent: line 2 of the body has a NUL octet"),
        (
            format!("{}a\r\n{}\r\n", message(ANN, ""), "x".repeat(999)),
            "554 5.6.0 Not sent: line 3 of the body has more than 998 octets",
        ),
        (
            message(ANN, "Content-Type: multipart/mixed\r\n"),
            "554 5.6.0 Not sent: the Content-Type is multipart without a boundary",
        ),
        (
            message(ANN, "Content-Type: multipart/mixed; boundary=b1\r\n"),
            "554 5.6.0 Not sent: the boundary that the Content-Type field declares does not occur in the body",
        ),
        (
            message(ANN, "Content-Transfer-Encoding: uuencode\r\n"),
            "554 5.6.0 Not sent: the Content-Transfer-Encoding is none of",
        ),
    ] {
        client.submit(ANN, "you@example.net", &content, reply).await;
    }
    client.say("RSET", "250").await;
    bench.assert_nothing_written().await;
    client.submit(ANN, "you@example.net", &message(ANN, ""), "250").await;
}

#[tokio::test]
async fn a_mail_goes_out_by_the_pool_that_its_header_names() {
    let bench = Bench::new().await;
    let (store, account_id) = (&bench.store, bench.account_id);
    let address = IpAddr::from([127, 0, 0, 2]);
    let ip_id = store.assign_ip(account_id, address, 1, &Actor::system("test")).await.unwrap().ip_id;
    let pool_id = store.create_ip_pool(account_id, "news", &BTreeSet::from([ip_id])).await.unwrap();
    let server = bench.start().await;
    let mut client = server.session().await;
    let named = message(ANN, &format!("X-Indicia-Ip-Pool: {pool_id}\r\n"));
    let id = env_id(&client.submit(ANN, "you@example.net", &named, "250").await);
    let content = store.content(account_id, id).await.unwrap().expect("kept");
    assert!(!String::from_utf8_lossy(&content).contains("Pool"), "the field is for this server");
    let claimed = store.claim(10, 1 << 20).await.unwrap();
    assert_eq!(claimed[0].recipients[0].place.map(|place| place.address), Some(address));
}

#[tokio::test]
async fn default_unsubscribe_policy_is_refused_for_batch_senders() {
    let bench = Bench::new().await;
    let batch = "weekly@example.org";
    let sender_id =
        sender_of_type(&bench.store, bench.account_id, bench.domain_id, batch, SendType::Batch).await;
    let password = hash(ANNS_PASSWORD);
    bench.store.modify_sender(bench.account_id, sender_id, Some(&password), None).await.unwrap();
    let server = bench.start().await;
    let (mut trigger, mut weekly) = (server.session().await, server.connect().await);
    weekly.ehlo().await;
    weekly.log_in(batch, ANNS_PASSWORD, "235").await;
    let with = |json: &str| format!("X-AliDM-Settings: {}\r\n", STANDARD.encode(json));
    for (name, code) in [("LinkType", "[@sm190211]"), ("FilterLevel", "[@sm190212]")] {
        let settings = with(&format!(r#"{{"Unsubscribe":{{"{name}":"default"}}}}"#));
        let start = format!("504 5.5.4 Invalid setting: Unsubscribe.{name} {code}");
        let reply = weekly.submit(batch, "you@example.net", &message(batch, &settings), &start).await;
        assert!(reply.contains("later version"), "{reply}");
        weekly.say("RSET", "250").await;
        trigger.submit(ANN, "you@example.net", &message(ANN, &settings), "250").await;
    }
    let disabled = with(r#"{"Unsubscribe":{"LinkType":"disabled","FilterLevel":"disabled"}}"#);
    weekly.submit(batch, "you@example.net", &message(batch, &disabled), "250").await;
    weekly.submit(batch, "you@example.net", &message(batch, ""), "250").await;
}

#[tokio::test]
async fn too_large_is_557_announced_or_not() {
    let bench = Bench::new().await;
    let server = bench.start_with(SubmissionConfig { size_bytes_max: 10_000, ..bench.config() }).await;
    let mut client = server.session().await;
    assert!(client.ehlo().await.contains("SIZE 10000"));
    const TOO_LARGE: &str = "557 5.3.4 The length of DATA content is achieved the maximum threshold";
    client.say(&format!("MAIL FROM:<{ANN}> SIZE=10001"), TOO_LARGE).await;
    let large = message(ANN, "") + &"0123456789abcde\r\n".repeat(1_000);
    client.submit(ANN, "you@example.net", &large, TOO_LARGE).await;
    client.say("NOOP", "250").await;
    client.say(&format!("MAIL FROM:<{ANN}>"), "250").await;
    client.say("RCPT TO:<you@example.net>", "250").await;
    client.send(format!("BDAT {} LAST\r\n{large}", large.len())).await;
    client.expect(TOO_LARGE).await;
    bench.assert_nothing_written().await;
}

#[tokio::test]
async fn large_content_is_kept_octet_for_octet() {
    let bench = Bench::new().await;
    let server = bench.start().await;
    let mut client = server.session().await;
    let body = "The quick brown fox jumps over the lazy dog, again and again and again.\r\n".repeat(40_000);
    let reply = client.submit(ANN, "you@example.net", &(message(ANN, "") + &body), "250").await;
    let content = bench.store.content(bench.account_id, env_id(&reply)).await.unwrap().expect("kept");
    assert!(content.ends_with(format!("\r\n\r\nBody\r\n{body}").as_bytes()));
}
