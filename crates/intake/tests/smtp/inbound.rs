//! Delivery reports to our return paths.

use std::sync::Arc;

use indicia_domain::mail::State;
use indicia_domain::outcome::Verdict;
use indicia_intake::inbound::{self, InboundConfig, ReturnPaths};
use indicia_store::evidence::OutcomeFilter;
use indicia_store::invalid::Listed;
use indicia_store::queue::MailKey;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::support::{Bench, Client, HOSTNAME, loopback, mail, outcome, tls};

const BOB: &str = "bob@example.net";

struct Reception {
    bench: Bench,
    address: std::net::SocketAddr,
    registry: Registry,
}

impl Reception {
    /// Return paths here are `b-<account>-<message>-<number>@bounce.test`.
    async fn start() -> Reception {
        let bench = Bench::new().await;
        let return_paths: ReturnPaths = Arc::new(|address| {
            let local = address.strip_suffix("@bounce.test")?.strip_prefix("b-")?;
            let mut parts = local.split('-').map(|part| part.parse().ok());
            match (parts.next()?, parts.next()?, parts.next()?) {
                (Some(account_id), Some(message_id), Some(number)) => {
                    Some(MailKey { account_id, message_id, number })
                }
                _ => None,
            }
        });
        let config =
            InboundConfig { listen: vec![loopback()], tls: Some(tls()), ..InboundConfig::new(HOSTNAME) };
        let mut registry = Registry::default();
        let (store, shutdown) = (bench.store.clone(), CancellationToken::new());
        let running = inbound::start(config, store, return_paths, &mut registry, shutdown).await.unwrap();
        Reception { bench, address: running.addresses[0], registry }
    }

    /// A mail to Bob that was accepted by us, and by his server if `delivered`.
    async fn mail(&self, delivered: bool) -> MailKey {
        let store = &self.bench.store;
        let mail = mail(store, self.bench.account_id, BOB).await;
        let key = MailKey { account_id: mail.account_id, message_id: mail.message_id, number: 0 };
        self.bench.admission.submit(mail).await.unwrap();
        if delivered {
            for mail in store.claim(10, 1 << 20).await.unwrap() {
                store.commit_outcomes(&[outcome(&mail, Verdict::DELIVERED)]).await.unwrap();
            }
        }
        key
    }

    async fn connect(&self) -> Client {
        let mut client = Client::connect_silently(self.address, None).await;
        client.expect("220").await;
        client.ehlo().await;
        client
    }

    async fn report(&self, key: MailKey, content: &str, reply: &str) {
        let mut client = self.connect().await;
        client.submit("", &path_of(key), content, reply).await;
    }

    async fn state(&self, key: MailKey) -> State {
        self.timeline(key).await.recipients[0].state
    }

    async fn timeline(&self, key: MailKey) -> indicia_store::message::Timeline {
        self.bench.store.timeline(key.account_id, key.message_id).await.unwrap().expect("a mail")
    }

    /// Delivered, invalid, spam, failed, over all days.
    async fn counts(&self) -> (i64, i64, i64, i64) {
        let days = self
            .bench
            .store
            .outcomes_by_day(self.bench.account_id, 0, i64::MAX, &OutcomeFilter::default())
            .await
            .unwrap();
        days.iter().fold((0, 0, 0, 0), |sum, day| {
            let day = day.counts;
            (sum.0 + day.delivered, sum.1 + day.invalid, sum.2 + day.spam, sum.3 + day.failed)
        })
    }

    async fn listed(&self) -> Option<Listed> {
        self.bench.store.is_listed_invalid(self.bench.account_id, BOB).await.unwrap()
    }

    fn counted(&self, result: &str) -> bool {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.contains(&format!("indicia_inbound_messages_total{{result=\"{result}\"}} 1"))
    }
}

fn path_of(key: MailKey) -> String {
    format!("b-{}-{}-{}@bounce.test", key.account_id, key.message_id, key.number)
}

fn report(recipient: &str, action: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example.net\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=B\r\n\r\n\
         --B\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\
         --B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n\
         Diagnostic-Code: smtp; {diagnostic}\r\n\r\n--B--\r\n"
    )
}

const UNKNOWN: &str = "550 5.1.1 User unknown";

#[tokio::test]
async fn a_report_of_failure_changes_the_mail_once() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    assert_eq!((reception.state(key).await, reception.counts().await), (State::Delivered, (1, 0, 0, 0)));
    for _ in 0..2 {
        reception.report(key, &report("Bob@Example.net", "failed", "5.1.1", UNKNOWN), "250 2.0.0").await;
        assert_eq!(reception.state(key).await, State::InvalidAddress);
        assert_eq!(reception.counts().await, (0, 1, 0, 0));
        assert_eq!(reception.listed().await, Some(Listed::Personal));
        let timeline = reception.timeline(key).await;
        let lines: Vec<_> =
            timeline.events.iter().map(|event| (event.kind.as_str(), event.detail.as_str())).collect();
        assert_eq!(
            lines,
            [("bounce", "bob@example.net: failed after it had been accepted: 550 5.1.1 User unknown")]
        );
        assert_eq!(timeline.recipients[0].reply, UNKNOWN);
    }
    assert!(reception.counted("failed") && reception.counted("repeated"));
}

#[tokio::test]
async fn r02_a_mail_that_comes_back_stays_charged() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    reception.report(key, &report(BOB, "failed", "5.2.2", "552 5.2.2 Mailbox full"), "250").await;
    assert_eq!((reception.state(key).await, reception.counts().await), (State::Failed, (0, 0, 0, 1)));
    assert_eq!(reception.listed().await, None);
    let numbers = reception.bench.store.account_numbers(key.account_id).await.unwrap().unwrap();
    assert_eq!((numbers.free_left, numbers.quota_day_used), (1_999, 1));
    assert!(reception.bench.store.verify_ledger().await.unwrap().violations.is_empty());
}

#[tokio::test]
async fn a_report_about_where_the_mail_was_forwarded_to_lists_nobody() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    reception.report(key, &report("bob@elsewhere.example", "failed", "5.1.1", UNKNOWN), "250").await;
    assert_eq!((reception.state(key).await, reception.listed().await), (State::InvalidAddress, None));
}

#[tokio::test]
async fn delay_adds_a_line_and_changes_nothing() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    for _ in 0..3 {
        reception.report(key, &report(BOB, "delayed", "4.4.1", "451 4.4.1 No answer"), "250").await;
    }
    assert_eq!((reception.state(key).await, reception.counts().await), (State::Delivered, (1, 0, 0, 0)));
    let timeline = reception.timeline(key).await;
    assert_eq!(timeline.events.len(), 1, "the same line once");
    assert_eq!(timeline.events[0].detail, "bob@example.net: delayed: 451 4.4.1 No answer");
    for number in 0..40 {
        reception.report(key, &report(BOB, "delayed", "4.4.1", &format!("451 {number}")), "250").await;
    }
    assert_eq!(
        reception.timeline(key).await.events.len(),
        20,
        "who knows a return path cannot fill the database"
    );
}

#[tokio::test]
async fn a_report_that_overtakes_the_delivery_is_to_come_again() {
    let reception = Reception::start().await;
    let key = reception.mail(false).await;
    let failed = report(BOB, "failed", "5.1.1", UNKNOWN);
    reception.report(key, &failed, "451 4.3.0").await;
    assert_eq!(reception.state(key).await, State::Waiting);
    let mail = reception.bench.store.claim(10, 1 << 20).await.unwrap().remove(0);
    reception.bench.store.commit_outcomes(&[outcome(&mail, Verdict::DELIVERED)]).await.unwrap();
    reception.report(key, &failed, "250").await;
    assert_eq!(reception.state(key).await, State::InvalidAddress);
}

#[tokio::test]
async fn only_return_paths_of_ours_are_known() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    let mut client = reception.connect().await;
    client.say("MAIL FROM:<>", "250").await;
    for to in ["bob@bounce.test", "b-1-x-0@bounce.test", "b-1-2-0@elsewhere.test", "postmaster@bounce.test"] {
        client.say(&format!("RCPT TO:<{to}>"), "550 5.1.1").await;
    }
    client.say("RCPT TO:<postmaster>", "550 5.1.1").await;
    client.say("DATA", "554").await;
    client.say("AUTH PLAIN AGEAYg==", "502").await;
    let unknown = MailKey { message_id: 5, ..key };
    reception.report(unknown, &report(BOB, "failed", "5.1.1", UNKNOWN), "250").await;
    assert_eq!((reception.state(key).await, reception.listed().await), (State::Delivered, None));
    assert!(reception.counted("unknown_mail"));
}

#[tokio::test]
async fn automatic_replies_are_taken_counted_and_dropped() {
    let reception = Reception::start().await;
    let key = reception.mail(true).await;
    let mut client = reception.connect().await.start_tls().await;
    client.ehlo().await;
    let away = "From: bob@example.net\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n";
    client.submit(BOB, &path_of(key), away, "250 2.0.0").await;
    assert!(reception.timeline(key).await.events.is_empty());
    assert!(reception.counted("no_report"));
}
