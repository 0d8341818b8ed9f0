//! The engine on the real store (SQLite): accepted, handed over, delivered, recorded; and what was left in
//! the queue by another server.

mod support;

use std::sync::Arc;

use bytes::Bytes;
use indicia_delivery::dns::FixedResolver;
use indicia_delivery::{Delivery, DeliveryConfig, Metrics};
use indicia_domain::ledger::price::PriceList;
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::Channel;
use indicia_domain::time::{Clock, DAY_MICROS, ManualClock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::{NewAccount, SYSTEM_ACCOUNT_ID};
use indicia_store::admission::{Admission, Admitted, Submission};
use indicia_store::audit::Actor;
use indicia_store::directory::DkimKey;
use indicia_store::evidence::OutcomeFilter;
use indicia_store::notice::{Dispatch, Handover, SystemMail};
use indicia_store::package::PurchaseRequest;

use support::server::{Do, Server, say};
use support::{START, config, until};

struct Bench {
    store: Store,
    clock: Arc<ManualClock>,
    account_id: i64,
    domain_id: i64,
    _folder: tempfile::TempDir,
}

fn dkim_key() -> DkimKey {
    use aws_lc_rs::encoding::AsDer as _;
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).expect("a key");
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = key.as_der().expect("PKCS#8");
    DkimKey { selector: "s1".into(), private_key: der.as_ref().to_vec(), public_key: String::new() }
}

impl Bench {
    async fn new() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Arc::new(ManualClock::at(START));
        let store = Store::open("sqlite", folder.path(), clock.clone()).await.expect("a store");
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
        let domain_id =
            store.create_domain(account_id, "sender.test", "token", &dkim_key(), 5).await.expect("a domain");
        Bench { store, clock, account_id, domain_id, _folder: folder }
    }

    fn start(&self, config: DeliveryConfig) -> Delivery {
        let resolver = Arc::new(FixedResolver::new());
        Delivery::start(
            config,
            Arc::new(self.store.clone()),
            self.clock.clone(),
            resolver,
            Metrics::default(),
        )
        .expect("TLS")
    }

    async fn submit(&self, admission: &Admission, recipients: &[&str]) -> i64 {
        let message_id = self.store.next_id().await.expect("an id");
        let recipients = recipients.iter().map(|address| {
            let (local, domain) = address.split_once('@').expect("an address");
            Recipient::new(local, domain, domain)
        });
        let submission = Submission {
            message_id,
            account_id: self.account_id,
            sender_id: 1,
            domain_id: self.domain_id,
            via: Via::Smtp,
            mail_from: "a@sender.test".into(),
            subject: "x".into(),
            tag: String::new(),
            recipients: recipients.collect(),
            content: Bytes::from_static(support::spool::BODY.as_bytes()),
            ip_pool_id: None,
            idempotency: None,
            nonce: None,
        };
        let admitted = admission.submit(submission).await.expect("accepted");
        assert!(matches!(admitted, Admitted::Accepted(_)));
        message_id
    }

    async fn queue_is_empty(&self) -> bool {
        self.store.queue_length().await.expect("a count").0 == 0
    }
}

async fn until_empty(bench: &Bench) {
    for _ in 0..1000 {
        if bench.queue_is_empty().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!(
        "the queue did not become empty within 10 s: {:?}",
        bench.store.queue_entries(None, None, 5).await
    );
}

#[tokio::test]
async fn handed_over_delivered_signed_and_recorded() {
    let bench = Bench::new().await;
    let server = Server::scripted(|step| match step.line.contains("<gone@") {
        true => say("550 5.1.1 user unknown"),
        false => Do::Usual,
    })
    .await;
    let mut config = config(&[("*", server.address)]);
    config.sign = true;
    let delivery = bench.start(config);
    let (admission, committer) =
        Admission::start(bench.store.clone(), Policy::default(), Some(Arc::new(delivery.fast_path())));
    for _ in 0..10 {
        bench.submit(&admission, &["a@example.net", "b@example.org"]).await;
    }
    let last = bench.submit(&admission, &["gone@example.net", "c@example.net"]).await;
    until_empty(&bench).await;
    assert_eq!(server.messages().len(), 21);
    let (_, signed) = &server.copies()[0];
    assert!(signed.starts_with("DKIM-Signature: ") && signed.contains("d=sender.test;"), "{signed}");
    let entries = bench.store.queue_entries(None, None, 10).await.expect("entries");
    assert!(entries.is_empty());
    let left = bench.store.content(bench.account_id, last).await.expect("a query");
    assert!(left.is_none(), "content goes when nobody waits for it");
    let log = bench
        .store
        .outcomes_by_day(bench.account_id, 0, i64::MAX, &OutcomeFilter::default())
        .await
        .expect("counts");
    let (delivered, invalid) =
        log.iter().fold((0, 0), |sum, day| (sum.0 + day.counts.delivered, sum.1 + day.counts.invalid));
    assert_eq!((delivered, invalid), (21, 1));
    drop(admission);
    committer.await.expect("admission ends");
    delivery.stop().await;
}

#[tokio::test]
async fn what_waits_in_the_queue_is_claimed_and_what_fails_comes_back() {
    let bench = Bench::new().await;
    let (admission, _) = Admission::start(bench.store.clone(), Policy::default(), None);
    for _ in 0..5 {
        bench.submit(&admission, &["a@example.net", "b@example.org"]).await;
    }
    let server = Server::scripted(|step| match step.connection {
        0 => Do::SayAndDrop("421 4.3.2 not yet".into()),
        _ => Do::Usual,
    })
    .await;
    let delivery = bench.start(config(&[("*", server.address)]));
    until(|| server.connections() == 1).await;
    for _ in 0..1000 {
        let entries = bench.store.queue_entries(None, None, 100).await.expect("entries");
        if entries.iter().all(|entry| !entry.in_delivery && entry.due_at > bench.clock.now()) {
            assert!(entries.iter().all(|entry| entry.reason.contains("not yet")), "{entries:?}");
            assert_eq!(entries.iter().map(|entry| entry.attempts).sum::<i64>(), 1);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(server.connections(), 1);
    bench.clock.advance_micros(120 * support::SECOND);
    delivery.wake();
    until_empty(&bench).await;
    assert_eq!(server.messages().len(), 10);
    delivery.stop().await;
}

/// R14: notices by e-mail are mail of the installation itself: there is no account behind them.
#[tokio::test]
async fn r14_a_notice_is_signed_with_the_installations_own_key_and_delivered() {
    let bench = Bench::new().await;
    let (store, account_id) = (&bench.store, bench.account_id);
    let domain_id = store
        .create_domain(SYSTEM_ACCOUNT_ID, "notices.test", "", &dkim_key(), 5)
        .await
        .expect("a domain of the installation");
    let actor = Actor::system("test");
    store.credit(account_id, MoneyMicros(100_000_000), "test money", &actor, None).await.expect("credited");
    let request = PurchaseRequest {
        account_id,
        specification: 50_000,
        quantity: 1,
        starts_at: None,
        idempotency_key: None,
        nonce: None,
        by: actor,
    };
    let receipt = store.purchase(&request, &PriceList::default()).await.expect("bought");
    bench.clock.set(UnixMicros(receipt.ends_at).plus_micros(-DAY_MICROS));
    let say = |handover: &Handover| {
        Dispatch::Email(Box::new(SystemMail {
            submission: Submission {
                message_id: handover.dispatch_id,
                account_id: SYSTEM_ACCOUNT_ID,
                sender_id: 1,
                domain_id,
                via: Via::System,
                mail_from: "a@notices.test".into(),
                subject: "x".into(),
                tag: String::new(),
                recipients: vec![Recipient::new("a", "example.net", "example.net")],
                content: Bytes::from_static(support::spool::BODY.as_bytes()),
                ip_pool_id: None,
                idempotency: None,
                nonce: None,
            },
        }))
    };
    let (made, _) = store.hand_over_notices(account_id, Channel::Email, &say).await.expect("handed over");
    assert_eq!(made, 1);
    let server = Server::scripted(|_| Do::Usual).await;
    let mut config = config(&[("*", server.address)]);
    config.sign = true;
    let delivery = bench.start(config);
    until_empty(&bench).await;
    let (_, sent) = &server.copies()[0];
    assert!(sent.starts_with("DKIM-Signature: ") && sent.contains("d=notices.test;"), "{sent}");
    assert!(store.verify_ledger().await.expect("verified").violations.is_empty());
    delivery.stop().await;
}
