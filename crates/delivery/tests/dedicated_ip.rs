//! From which address mail leaves: a pool's, within its warm-up (R24), and shared ones for the rest; on the real store
//! (SQLite), against a server that sees where connections come from.

mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use indicia_delivery::dns::FixedResolver;
use indicia_delivery::{Delivery, DeliveryConfig, LocalAddresses, Metrics};
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::provider::Provider;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::quota::warmup::{DayCounts, Schedule, WarmupPolicy, day_of};
use indicia_domain::time::ManualClock;
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::{Admission, Submission};
use indicia_store::audit::Actor;

use support::server::{Do, Server, Step};
use support::{START, config};

const SHARED: [u8; 4] = [127, 0, 0, 9];

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

struct Bench {
    store: Store,
    clock: Arc<ManualClock>,
    metrics: Metrics,
    account_id: i64,
    pool_id: i64,
    ips: Vec<i64>,
    _folder: tempfile::TempDir,
}

impl Bench {
    /// An account with a pool of these addresses, each of which may send two mails today.
    async fn new(addresses: &[IpAddr]) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(START));
        let store = Store::open("sqlite", folder.path(), clock.clone()).await.expect("a store");
        let schedule = Schedule::new("test", vec![2]).expect("a schedule");
        store.set_warmup_policy(WarmupPolicy { schedule, ..WarmupPolicy::default() });
        let account = NewAccount {
            name: "A".into(),
            email: "a@sender.test".into(),
            phone: String::new(),
            zone: "UTC".into(),
            password_hash: "none".into(),
            access_key_id: "ak".into(),
            access_key_secret: "secret".into(),
        };
        let account_id = store.create_account(&account, &Policy::default()).await.expect("an account");
        let mut ips = Vec::new();
        for address in addresses {
            let assigned = store.assign_ip(account_id, *address, 1, &Actor::system("test")).await;
            ips.push(assigned.expect("assigned").ip_id);
        }
        let of: BTreeSet<i64> = ips.iter().copied().collect();
        let pool_id = store.create_ip_pool(account_id, "news", &of).await.expect("a pool");
        Bench { store, clock, metrics: Metrics::default(), account_id, pool_id, ips, _folder: folder }
    }

    fn start(&self, server: &Server) -> (Delivery, Admission) {
        let mut config: DeliveryConfig = config(&[("*", server.address)]);
        config.wire.local_addresses = LocalAddresses::new([IpAddr::from(SHARED)]);
        // A mail with a pool must not wait for the next look at the queue.
        config.poll_interval = Duration::from_secs(3_600);
        let spool = Arc::new(self.store.clone());
        let resolver = Arc::new(FixedResolver::new());
        let delivery = Delivery::start(config, spool, self.clock.clone(), resolver, self.metrics.clone());
        let delivery = delivery.expect("TLS");
        let handoff = Arc::new(delivery.fast_path());
        let (admission, _) = Admission::start(self.store.clone(), Policy::default(), Some(handoff));
        (delivery, admission)
    }

    async fn submit(&self, admission: &Admission, addresses: &[&str]) -> i64 {
        let message_id = self.store.next_id().await.expect("an id");
        let recipients = addresses.iter().map(|address| {
            let (local, domain) = address.split_once('@').expect("an address");
            Recipient::new(local, domain, domain)
        });
        let submission = Submission {
            message_id,
            account_id: self.account_id,
            sender_id: 1,
            domain_id: 1,
            via: Via::Smtp,
            mail_from: "a@sender.test".into(),
            subject: "x".into(),
            tag: String::new(),
            recipients: recipients.collect(),
            content: Bytes::from_static(support::spool::BODY.as_bytes()),
            ip_pool_id: Some(self.pool_id),
            idempotency: None,
            nonce: None,
        };
        admission.submit(submission).await.expect("accepted");
        message_id
    }

    /// Waits until each of the message's recipients has been attempted; says from which addresses, in order.
    async fn sources(&self, message_id: i64, count: usize) -> Vec<String> {
        for _ in 0..1_000 {
            let timeline = self.store.timeline(self.account_id, message_id).await.expect("a query");
            let attempts = timeline.expect("the message").attempts;
            if attempts.len() >= count {
                let ip = |address: &str| address.rsplit_once(':').map_or("", |(ip, _)| ip).to_owned();
                let mut from: Vec<_> = attempts.iter().map(|attempt| ip(&attempt.local_address)).collect();
                from.sort();
                return from;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", self.store.queue_entries(None, None, 5).await);
    }

    async fn counts(&self, ip: usize) -> DayCounts {
        let today = day_of(START);
        let gmail = Some(Provider::Gmail);
        let days = self.store.ip_days(self.account_id, self.ips[ip], gmail, today, today + 1).await;
        days.expect("a query").first().map(|day| day.counts).unwrap_or_default()
    }
}

const FIVE: [&str; 5] = ["a@gmail.com", "b@gmail.com", "c@gmail.com", "d@gmail.com", "e@gmail.com"];

/// A server that notes over which connection each recipient came.
async fn noting(script: impl Fn(&Step) -> Do + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<usize>>>) {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = noted.clone();
    let server = Server::scripted(move |step| {
        let done = script(step);
        if step.verb == "RCPT" {
            notes.lock().expect("unpoisoned").push(step.connection);
        }
        done
    });
    (server.await, noted)
}

fn peers(server: &Server, noted: &Mutex<Vec<usize>>) -> Vec<IpAddr> {
    let mut peers: Vec<_> =
        noted.lock().expect("unpoisoned").iter().map(|connection| server.peer(*connection)).collect();
    peers.sort();
    peers
}

#[tokio::test]
async fn r24_mail_of_a_pool_goes_out_by_its_addresses_and_the_rest_by_shared_ones() {
    let bench = Bench::new(&[local(2), local(3)]).await;
    let (server, noted) = noting(|_| Do::Usual).await;
    let (delivery, admission) = bench.start(&server);
    let message_id = bench.submit(&admission, &FIVE).await;
    let from = bench.sources(message_id, 5).await;
    assert_eq!(
        from,
        ["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.9"],
        "the timeline shows it"
    );
    assert_eq!(peers(&server, &noted), [local(2), local(2), local(3), local(3), local(9)]);
    for ip in 0..2 {
        let full = DayCounts { sent: 2, delivered: 2, ..DayCounts::default() };
        assert_eq!(bench.counts(ip).await, full);
    }
    assert_eq!(bench.metrics.local_address_failures(), 0);
    delivery.stop().await;
}

#[tokio::test]
async fn r24_an_address_of_another_machine_neither_loses_nor_delays_mail() {
    let bench = Bench::new(&[IpAddr::from([192, 0, 2, 77])]).await;
    let (server, noted) = noting(|_| Do::Usual).await;
    let (delivery, admission) = bench.start(&server);
    let message_id = bench.submit(&admission, &FIVE).await;
    assert_eq!(bench.sources(message_id, 5).await, ["127.0.0.9"; 5]);
    assert_eq!(peers(&server, &noted), [local(9); 5]);
    assert_eq!(bench.counts(0).await, DayCounts::default(), "nothing was sent from it");
    assert!(bench.metrics.local_address_failures() >= 1, "and the operator can see why");
    delivery.stop().await;
}

#[tokio::test]
async fn r24_an_address_of_another_family_leaves_the_mail_to_shared_ones() {
    let bench = Bench::new(&["::1".parse().expect("IPv6")]).await;
    let (server, noted) = noting(|_| Do::Usual).await;
    let (delivery, admission) = bench.start(&server);
    let message_id = bench.submit(&admission, &FIVE[..2]).await;
    assert_eq!(bench.sources(message_id, 2).await, ["127.0.0.9"; 2]);
    assert_eq!(peers(&server, &noted), [local(9); 2]);
    assert_eq!(bench.counts(0).await, DayCounts::default());
    delivery.stop().await;
}

#[tokio::test]
async fn r24_what_a_provider_does_to_one_address_holds_up_no_other() {
    let bench = Bench::new(&[local(2)]).await;
    // One mail alone connects first, from the dedicated address.
    let server = Server::scripted(|step| match step.connection {
        0 => Do::SayAndDrop("421 4.7.0 your IP address sends too much".into()),
        _ => Do::Usual,
    })
    .await;
    let (delivery, admission) = bench.start(&server);
    let one = bench.submit(&admission, &FIVE[..1]).await;
    assert_eq!(bench.sources(one, 1).await, ["127.0.0.2"]);
    assert_eq!(bench.counts(0).await, DayCounts { sent: 1, deferred: 1, ..DayCounts::default() });
    // The address has one place left, and is being left alone; what does not fit goes on.
    let more = bench.submit(&admission, &FIVE[1..]).await;
    assert_eq!(bench.sources(more, 3).await, ["127.0.0.9"; 3]);
    // It is given back in a commit of its own.
    let mut waiting = Vec::new();
    for _ in 0..200 {
        waiting = bench.store.queue_entries(None, Some(more), 5).await.expect("entries");
        if waiting.iter().all(|entry| !entry.in_delivery) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    assert!(waiting[0].reason.contains("sends too much"), "{}", waiting[0].reason);
    delivery.stop().await;
}
