//! Spam reports from feedback loops: what counts, and that nobody can forge one.

use std::sync::Arc;

use indicia_intake::inbound::{self, InboundConfig, ReturnPaths};
use indicia_store::queue::MailKey;
use indicia_store::report::{ReportRow, ReportSource};
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::support::{ANN, Bench, Client, HOSTNAME, loopback, mail, tls};

const LOOP: &str = "feedback@bounce.test";

struct Reception {
    bench: Bench,
    address: std::net::SocketAddr,
    registry: Registry,
}

/// `b-<account>-<message>-<number>-<sum of them modulo 97>`: one that is changed is none.
fn token_of(key: MailKey) -> String {
    let sum = (key.account_id + key.message_id + key.number) % 97;
    format!("b-{}-{}-{}-{sum}", key.account_id, key.message_id, key.number)
}

impl Reception {
    async fn start() -> Reception {
        let bench = Bench::new().await;
        let return_paths: ReturnPaths = Arc::new(|address| {
            let local = match address.split_once('@') {
                Some((local, "bounce.test")) => local,
                Some(_) => return None,
                None => address,
            };
            let numbers: Vec<i64> =
                local.strip_prefix("b-")?.split('-').map_while(|part| part.parse().ok()).collect();
            let [account_id, message_id, number, _] = numbers[..] else { return None };
            let key = MailKey { account_id, message_id, number };
            (token_of(key) == local).then_some(key)
        });
        let config = InboundConfig {
            listen: vec![loopback()],
            tls: Some(tls()),
            feedback_address: Some("Feedback@Bounce.test".to_owned()),
            ..InboundConfig::new(HOSTNAME)
        };
        let mut registry = Registry::default();
        let (store, shutdown) = (bench.store.clone(), CancellationToken::new());
        let running = inbound::start(config, store, return_paths, &mut registry, shutdown).await.unwrap();
        Reception { bench, address: running.addresses[0], registry }
    }

    async fn mail(&self, to: &str) -> MailKey {
        let mail = mail(&self.bench.store, self.bench.account_id, to).await;
        let key = MailKey { account_id: mail.account_id, message_id: mail.message_id, number: 0 };
        self.bench.admission.submit(mail).await.unwrap();
        key
    }

    async fn send(&self, to: &str, content: &str) {
        let mut client = Client::connect_silently(self.address, None).await;
        client.expect("220").await;
        client.ehlo().await;
        client.submit("arf@provider.example", to, content, "250 2.0.0").await;
    }

    async fn reports(&self) -> Vec<ReportRow> {
        let (from, before) =
            (indicia_domain::time::UnixMicros(0), indicia_domain::time::UnixMicros(i64::MAX));
        self.bench.store.spam_reports(self.bench.account_id, from, before, None, 100).await.unwrap()
    }

    async fn lines(&self, key: MailKey) -> Vec<(String, String)> {
        let timeline =
            self.bench.store.timeline(key.account_id, key.message_id).await.unwrap().expect("a mail");
        timeline.events.into_iter().map(|event| (event.kind, event.detail)).collect()
    }

    fn counted(&self, result: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let start = format!("indicia_inbound_messages_total{{result=\"{result}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |value| value.parse().unwrap())
    }
}

/// A report about a mail with this header.
fn arf(kind: &str, fields: &str, header: &str) -> String {
    format!(
        "From: <fbl@provider.example>\r\nTo: <{LOOP}>\r\nSubject: FW: x\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=B\r\n\r\n\
         --B\r\nContent-Type: text/plain\r\n\r\nA report.\r\n\
         --B\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nVersion: 1\r\n\
         User-Agent: Loop/1.0\r\n{fields}\r\n\
         --B\r\nContent-Type: message/rfc822\r\n\r\n{header}Subject: x\r\n\r\nx\r\n--B--\r\n"
    )
}

fn header(token: &str) -> String {
    format!("X-Indicia-Report-Token: {token}\r\nTo: redacted@provider.example\r\n")
}

#[tokio::test]
async fn r26_a_report_counts_once_however_often_and_by_whichever_way_it_comes() {
    let reception = Reception::start().await;
    let key = reception.mail("bob@provider.example").await;
    let token = token_of(key);
    let by_header = arf("abuse", "Incidents: 7\r\nSource-IP: 192.0.2.7\r\n", &header(&token));
    let by_envelope =
        arf("abuse", &format!("Original-Mail-From: <{token}@bounce.test>\r\n"), "From: x@y.example\r\n");
    let by_path = arf("fraud", "", &format!("Return-Path: <{token}@bounce.test>\r\n"));
    let bare = arf("abuse", "", "");
    for content in [&by_header, &by_header, &by_envelope, &by_path] {
        reception.send(LOOP, content).await;
    }
    reception.send(&format!("{token}@bounce.test"), &bare).await;
    let reports = reception.reports().await;
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    assert_eq!(
        (report.message_id, report.number, report.source),
        (key.message_id, 0, ReportSource::Feedback)
    );
    assert_eq!((report.feedback_type.as_str(), report.reporter.as_str()), ("abuse", "fbl@provider.example"));
    assert_eq!((report.address.as_str(), report.mail_from.as_str()), ("bob@provider.example", ANN));
    let line = "bob@provider.example: reported as spam (abuse, by fbl@provider.example): \
                by Loop/1.0; sent from 192.0.2.7; incidents 7";
    assert_eq!(reception.lines(key).await, [("spam-report".to_owned(), line.to_owned())]);
    assert_eq!((reception.counted("spam"), reception.counted("spam_repeated")), (1, 4));
}

#[tokio::test]
async fn each_way_alone_is_enough() {
    let reception = Reception::start().await;
    let mut keys = Vec::new();
    for _ in 0..4 {
        keys.push(reception.mail("bob@provider.example").await);
    }
    let path = |key: MailKey| format!("{}@bounce.test", token_of(key));
    reception.send("FEEDBACK@bounce.test", &arf("virus", "", &header(&token_of(keys[0])))).await;
    let fields = format!("Original-Mail-From: {}\r\n", path(keys[1]));
    reception.send(LOOP, &arf("abuse", &fields, "")).await;
    reception.send(LOOP, &arf("abuse", "", &format!("Return-Path: <{}>\r\n", path(keys[2])))).await;
    reception.send(&path(keys[3]), &arf("fraud", "", "")).await;
    assert_eq!((reception.reports().await.len(), reception.counted("spam")), (4, 4));
}

#[tokio::test]
async fn a_report_without_a_token_of_ours_counts_for_nobody() {
    let reception = Reception::start().await;
    let key = reception.mail("bob@provider.example").await;
    let token = token_of(key);
    let raised = token.replacen(&key.account_id.to_string(), &(key.account_id + 1).to_string(), 1);
    let message =
        format!("Message-ID: <{}@example.org>\r\nX-Indicia-Env-Id: {}\r\n", key.message_id, key.message_id);
    for header in [
        String::new(),
        message,
        header(""),
        header("b-1-2-3-4"),
        header(&raised),
        header(&token.to_uppercase().replace("B-", "C-")),
        format!("Return-Path: <{token}@elsewhere.test>\r\n"),
    ] {
        reception.send(LOOP, &arf("abuse", "Original-Rcpt-To: <bob@provider.example>\r\n", &header)).await;
    }
    assert_eq!((reception.reports().await.len(), reception.counted("unproven")), (0, 7));
    assert!(reception.lines(key).await.is_empty());
}

#[tokio::test]
async fn a_token_tells_of_its_own_mail_only() {
    let reception = Reception::start().await;
    let (mine, theirs) =
        (reception.mail("bob@provider.example").await, reception.mail("ben@provider.example").await);
    // Whoever got one mail names another's recipient, sender and EnvId beside the token of his own.
    let header = format!(
        "{}Message-ID: <{}@example.org>\r\nX-Indicia-Report-Token: {}\r\n",
        header(&token_of(mine)),
        theirs.message_id,
        token_of(theirs)
    );
    let fields = "Original-Rcpt-To: <ben@provider.example>\r\nReported-Domain: example.org\r\n";
    reception.send(LOOP, &arf("abuse", fields, &header)).await;
    let reports = reception.reports().await;
    assert_eq!(reports.iter().map(|report| report.message_id).collect::<Vec<_>>(), [mine.message_id]);
    let nowhere = MailKey { message_id: 5, ..mine };
    reception.send(LOOP, &arf("abuse", "", &self::header(&token_of(nowhere)))).await;
    assert_eq!((reception.reports().await.len(), reception.counted("unknown_mail")), (1, 1));
}

#[tokio::test]
async fn other_feedback_adds_a_line_and_does_not_count() {
    let reception = Reception::start().await;
    let key = reception.mail("bob@provider.example").await;
    for kind in ["not-spam", "not-spam", "opt-out", "other", "auth-failure"] {
        reception.send(LOOP, &arf(kind, "", &header(&token_of(key)))).await;
    }
    assert!(reception.reports().await.is_empty());
    let lines = reception.lines(key).await;
    assert_eq!(lines.len(), 4, "the same once: {lines:?}");
    assert_eq!(lines[0].1, "bob@provider.example: not-spam, by fbl@provider.example: by Loop/1.0");
    for number in 0..30 {
        let fields = format!("Source-IP: 192.0.2.{number}\r\n");
        reception.send(LOOP, &arf("not-spam", &fields, &header(&token_of(key)))).await;
    }
    assert_eq!(reception.lines(key).await.len(), 20, "who has a token cannot fill the database");
}

#[tokio::test]
async fn people_are_not_swallowed_and_noise_is_dropped() {
    let reception = Reception::start().await;
    let mut client = Client::connect_silently(reception.address, None).await;
    client.expect("220").await;
    client.ehlo().await;
    client.say("MAIL FROM:<bob@provider.example>", "250").await;
    for to in
        ["abuse@bounce.test", "postmaster@bounce.test", "feedback@elsewhere.test", "feedback+x@bounce.test"]
    {
        client.say(&format!("RCPT TO:<{to}>"), "550 5.1.1").await;
    }
    client.say("RCPT TO:<feedback@bounce.test>", "250").await;
    client.data("Subject: hello\r\n\r\nIs anybody there?\r\n", "250 2.0.0").await;
    assert_eq!((reception.counted("no_report"), reception.reports().await.len()), (1, 0));
}
