//! Faults of our own: an outage, leases lost to another node, a look-up that panics, an outcome that the database
//! refuses. None of them fails a mail, and none stops the others.

mod support;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use indicia_delivery::dns::{DnsError, FixedResolver, Mx, Resolver};
use indicia_delivery::{DeliveryConfig, Metrics};
use indicia_domain::outcome::Disposition;
use indicia_domain::time::ManualClock;

use support::server::{Do, Server, closed_port, say};
use support::spool::MemorySpool;
use support::{Rig, SECOND, START, config, until};

/// An engine that starts three hours after so many mails were accepted; their maximum age is one hour.
fn start_after_an_outage(config: DeliveryConfig, mails: i64) -> Rig {
    let clock = Arc::new(ManualClock::at(START));
    let spool = Arc::new(MemorySpool::new(clock.clone()));
    for message in 0..mails {
        spool.accept(message, &["bob@example.net"]);
    }
    clock.advance_micros(3 * 3600 * SECOND);
    Rig::with_spool(config, FixedResolver::new(), Metrics::default(), clock, spool)
}

#[tokio::test]
async fn r03_mail_that_waited_through_our_outage_is_attempted() {
    let server = Server::friendly().await;
    let rig = start_after_an_outage(config(&[("*", server.address)]), 20);
    until(|| rig.spool.delivered() == 20).await;
    rig.delivery.stop().await;

    let server =
        Server::scripted(|step| if step.verb == "RCPT" { say("451 4.3.0 later") } else { Do::Usual }).await;
    let rig = start_after_an_outage(config(&[("*", server.address)]), 1);
    let outcome = rig.attempts(1).await.remove(0);
    assert_eq!(outcome.verdict.disposition, Disposition::Permanent, "the attempt was its last");
    assert_eq!((outcome.reply.as_str(), outcome.attempts), ("451 4.3.0 later", 1));
    rig.delivery.stop().await;
}

#[tokio::test]
async fn r03_mail_that_waited_through_our_outage_does_not_fail_with_another_s_attempt() {
    let rig = start_after_an_outage(config(&[("*", closed_port().await)]), 6);
    until(|| rig.spool.outcomes().len() + rig.spool.hand_backs().len() == 6).await;
    assert_eq!(rig.spool.outcomes().len(), 1, "one was attempted");
    assert!(rig.spool.outcomes()[0].reply.contains("cannot connect"), "{}", rig.spool.outcomes()[0].reply);
    assert_eq!(rig.spool.queued(), 5, "the others are as yet untried");
    // A destination that is down again and again ends them all, one attempt each or not.
    for _ in 0..2 {
        rig.advance(500);
        let before = rig.spool.outcomes().len();
        until(|| rig.spool.outcomes().len() > before && rig.spool.leased() == 0).await;
    }
    until(|| rig.spool.queued() == 0).await;
    let outcomes = rig.spool.outcomes();
    assert!(outcomes.iter().all(|outcome| outcome.reply.contains("cannot connect")), "{outcomes:?}");
    let untried = outcomes.iter().filter(|outcome| outcome.reply.contains("maximum age")).count();
    assert_eq!((outcomes.len(), untried), (6, 3), "one attempt at each of three failures");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn r03_mail_that_overflows_after_our_outage_is_not_failed() {
    let server = Server::scripted(|step| if step.verb == "." { Do::Hang } else { Do::Usual }).await;
    let mut config = config(&[("*", server.address)]);
    config.recipients_in_memory_max = 256;
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = start_after_an_outage(config, 600);
    until(|| rig.spool.hand_backs().len() >= 300).await;
    assert_eq!((rig.spool.outcomes().len(), rig.spool.queued()), (0, 600));
    rig.delivery.stop().await;
}

/// Answers when it is told to, or panics the first time.
struct Gate {
    open: Arc<AtomicBool>,
    panics: AtomicUsize,
    address: IpAddr,
}

#[async_trait::async_trait]
impl Resolver for Gate {
    async fn mx(&self, _: &str) -> Result<Vec<Mx>, DnsError> {
        let left = self.panics.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        assert!(left.is_err(), "the look-up panics");
        while !self.open.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(vec![Mx { preference: 1, exchange: "mx.test".into() }])
    }

    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, DnsError> {
        Ok(vec![self.address])
    }
}

#[tokio::test]
async fn forgotten_leases_include_those_whose_domain_is_being_looked_up() {
    let server = Server::friendly().await;
    let open = Arc::new(AtomicBool::new(false));
    let mut config = config(&[]);
    config.port = server.address.port();
    let gate = Gate { open: open.clone(), panics: AtomicUsize::new(0), address: server.address.ip() };
    let rig = Rig::with_resolver(config, gate);
    rig.spool.accept(1, &["a@example.net", "b@example.net", "c@example.net"]);
    until(|| rig.spool.leased() == 3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(rig.delivery.forget_leases(), 3);
    open.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(server.messages().len(), 0, "they are another node's");
    rig.spool.end_leases();
    rig.delivery.wake();
    until(|| rig.spool.delivered() == 3).await;
    assert_eq!(server.messages().len(), 3);
    rig.delivery.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mail_in_hand_when_its_lease_is_lost_is_not_given_back() {
    let first = Arc::new(AtomicBool::new(true));
    let released = Arc::new(AtomicBool::new(false));
    let server = Server::scripted({
        let released = released.clone();
        move |step| match (step.verb.as_str(), step.connection) {
            (".", 0) if first.swap(false, Ordering::SeqCst) => {
                tokio::task::block_in_place(|| {
                    for _ in 0..2_000 {
                        if released.load(Ordering::SeqCst) {
                            break;
                        }
                        std::thread::sleep(Duration::from_millis(5));
                    }
                });
                say("451 4.3.0 later")
            }
            (".", 1) => Do::Hang,
            _ => Do::Usual,
        }
    })
    .await;
    let mut config = config(&[("*", server.address)]);
    config.wire.timeout_permille = 1_000;
    config.stop_grace = Duration::from_millis(50);
    let rig = Rig::start(config);
    rig.spool.accept(1, &["bob@example.net"]);
    until(|| server.count("DATA") == 1).await;
    rig.delivery.forget_leases();
    // This very node takes it again, and is at it on another connection when the first attempt ends.
    rig.spool.end_leases();
    rig.delivery.wake();
    until(|| server.count("DATA") == 2).await;
    released.store(true, Ordering::SeqCst);
    until(|| rig.metrics.attempts_ended() == 1).await;
    rig.spool.accept(2, &["carol@example.net"]);
    until(|| rig.spool.delivered() == 1).await;
    assert!(rig.spool.row(1, 0).expect("queued").leased, "the second attempt's lease stands");
    rig.delivery.stop().await;
    assert_eq!(rig.spool.hand_backs().len(), 1, "the second gives back what is its own");
}

#[tokio::test]
async fn a_panic_in_a_look_up_costs_the_domain_nothing() {
    let server = Server::friendly().await;
    let mut config = config(&[]);
    config.port = server.address.port();
    let open = Arc::new(AtomicBool::new(true));
    let rig =
        Rig::with_resolver(config, Gate { open, panics: AtomicUsize::new(1), address: server.address.ip() });
    rig.spool.accept(1, &["a@example.net", "b@example.net"]);
    until(|| rig.spool.hand_backs().len() + rig.spool.delivered() == 2).await;
    assert!(rig.spool.hand_backs()[0].reason.contains("internal error"));
    rig.advance(67);
    until(|| rig.spool.delivered() == 2).await;
    rig.delivery.stop().await;
}

#[tokio::test]
async fn an_outcome_that_the_database_refuses_does_not_halt_the_others() {
    let server = Server::friendly().await;
    let rig = Rig::start(config(&[("*", server.address)]));
    rig.spool.refused_message.store(13, Ordering::SeqCst);
    for message in 0..50 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.delivered() == 49).await;
    rig.spool.accept(100, &["late@example.net"]);
    until(|| rig.spool.delivered() == 50).await;
    assert!(rig.spool.row(13, 0).expect("still there").leased, "nobody sends it again meanwhile");
    rig.spool.refused_message.store(i64::MIN, Ordering::SeqCst);
    until(|| rig.spool.delivered() == 51).await;
    assert_eq!(server.messages().len(), 51, "no mail was sent twice");
    rig.delivery.stop().await;
}

#[tokio::test]
async fn a_refused_hand_back_does_not_halt_the_others() {
    let rig = Rig::start(config(&[("*", closed_port().await)]));
    rig.spool.refused_message.store(3, Ordering::SeqCst);
    for message in 0..6 {
        rig.spool.accept(message, &["bob@example.net"]);
    }
    until(|| rig.spool.leased() == 1).await;
    rig.spool.refused_message.store(i64::MIN, Ordering::SeqCst);
    rig.delivery.stop().await;
    assert_eq!(rig.spool.leased(), 0, "a last try is made at the stop");
}
