//! An account to test with, made through the store's own calls.
#![allow(dead_code)]

pub mod money;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::ledger::verify::FreeCreditRule;
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::money::MoneyMicros;
use indicia_domain::outcome::{DeliveryStatus, Disposition, ErrorClassification, Phase, Verdict};
use indicia_domain::time::UnixMicros;
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::{Admission, Handoff, Submission};
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::outcome::Outcome;
use indicia_store::package::{PurchaseRequest, Receipt};
use indicia_store::queue::{MailKey, QueuedMail};

#[derive(Clone)]
pub struct Account {
    pub id: i64,
    pub store: Store,
    pub policy: Policy,
}

pub fn operator() -> Actor {
    Actor::new(ActorKind::Operator, "ann@example.org")
}

/// `count` different addresses.
pub fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user{number}@example.net")).collect()
}

impl Account {
    pub async fn new(store: &Store, zone: &str) -> Account {
        Account::with_policy(store, zone, &Policy::default()).await
    }

    pub async fn with_policy(store: &Store, zone: &str, policy: &Policy) -> Account {
        static NUMBER: AtomicI64 = AtomicI64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let new = NewAccount {
            name: format!("Account {number}"),
            email: format!("owner{number}@example.org"),
            phone: String::new(),
            zone: zone.to_owned(),
            password_hash: "$argon2id$none".to_owned(),
            access_key_id: format!("ak{number}"),
            access_key_secret: "secret".to_owned(),
        };
        let id = store.create_account(&new, policy).await.expect("the account is made");
        Account { id, store: store.clone(), policy: *policy }
    }

    pub fn admission(&self, handoff: Option<Arc<dyn Handoff>>) -> Admission {
        Admission::start(self.store.clone(), self.policy, handoff).0
    }

    pub async fn mail<S: AsRef<str>>(&self, recipients: &[S]) -> Submission {
        let recipients = recipients.iter().map(|address| {
            let (local, domain) = address.as_ref().split_once('@').expect("an address");
            Recipient::new(local, domain, domain.to_lowercase())
        });
        Submission {
            message_id: self.store.next_id().await.expect("an id"),
            account_id: self.id,
            sender_id: 7,
            domain_id: 8,
            via: Via::Api,
            mail_from: "news@example.org".to_owned(),
            subject: "Hello".to_owned(),
            tag: String::new(),
            recipients: recipients.collect(),
            content: Bytes::from_static(b"Subject: Hello\r\n\r\nHi.\r\n"),
            ip_pool_id: None,
            idempotency: None,
            nonce: None,
        }
    }

    /// Buys one package of exactly `mails` mails.
    pub async fn buy(&self, mails: i64) -> Receipt {
        self.store
            .credit(self.id, MoneyMicros(1_000_000_000_000), "test money", &operator(), None)
            .await
            .expect("credited");
        let prices =
            PriceList::new(vec![Offer { mails, price: MoneyMicros(mails * 100) }], MoneyMicros(290), 6)
                .expect("a price list");
        let request = PurchaseRequest {
            account_id: self.id,
            specification: mails,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: operator(),
        };
        self.store.purchase(&request, &prices).await.expect("bought")
    }

    /// Sends one mail to `address`, which its server refuses as unknown.
    pub async fn bounce(&self, address: &str) {
        self.admission(None).submit(self.mail(&[address]).await).await.expect("accepted");
        for mail in self.store.claim(100, 1 << 20).await.expect("claimed") {
            let verdict = Verdict {
                disposition: Disposition::Permanent,
                status: DeliveryStatus::InvalidAddress,
                classification: ErrorClassification::SmtpNxBox,
            };
            self.store.commit_outcomes(&[outcome(&mail, 0, verdict, None)]).await.expect("committed");
        }
    }

    /// The ledger replayed finds nothing wrong.
    pub async fn verify(&self) {
        let free = FreeCreditRule { daily_mails: self.policy.free_daily_mails, since: UnixMicros(i64::MIN) };
        let verification = self.store.verify_ledger_by(free).await.expect("verified");
        assert!(verification.violations.is_empty(), "{:#?}", verification.violations);
        assert!(verification.accounts >= 1);
    }
}

/// The outcome of one attempt at recipient `index` of a claimed mail.
pub fn outcome(
    mail: &QueuedMail,
    index: usize,
    verdict: Verdict,
    next_due_at: Option<UnixMicros>,
) -> Outcome {
    let recipient = &mail.recipients[index];
    Outcome {
        key: MailKey { account_id: mail.account_id, message_id: mail.message_id, number: recipient.number },
        address: recipient.address.clone(),
        sender_id: mail.sender_id,
        domain_id: mail.domain_id,
        tag: mail.tag.clone(),
        day: mail.day,
        accepted_at: mail.accepted_at,
        recipient_count: mail.recipient_count,
        attempts: recipient.attempts + 1,
        started_at: mail.accepted_at,
        finished_at: mail.accepted_at.plus_micros(1_000),
        remote_host: "mx.example.net".to_owned(),
        remote_address: "127.0.0.1:25".to_owned(),
        local_address: "127.0.0.1".to_owned(),
        tls: String::new(),
        phase: Phase::Final,
        verdict,
        code: Some(250),
        reply: "250 2.0.0 OK".to_owned(),
        next_due_at,
        place: None,
    }
}
