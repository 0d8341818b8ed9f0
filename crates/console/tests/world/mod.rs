//! A small world to look at: two accounts and an operator on a store of their own, packages in every state,
//! and mails that were delivered, put off, refused and sent to nobody. Everything goes through the store's
//! own doors, under a clock that stands where it is put.

use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, password_hash::phc::PasswordHash};
use async_trait::async_trait;
use bytes::Bytes;
use indicia_console::{
    ConsoleConfig, ConsoleState, Demo,
    demo::{DemoClock, DemoError, DemoInbox, InboxEntry, InboxMail},
};
use indicia_domain::{
    ledger::price::PriceList,
    mail::{Via, admission::Policy, recipient::Recipient},
    money::MoneyMicros,
    notice::Channel,
    outcome::{ErrorClassification, Phase, Verdict},
    time::{Clock, DAY_MICROS, MINUTE_MICROS, ManualClock, SECOND_MICROS, UnixMicros},
};
use indicia_store::{
    Store,
    account::NewAccount,
    admission::{Admission, Submission},
    audit::{Actor, ActorKind},
    bill::BillingRound,
    directory::{DkimKey, SendType},
    money::TopUp,
    notice::{Dispatch, Handover},
    outcome::Outcome,
    package::{PurchaseRequest, Receipt, RefundRequest, RenewRequest, UpgradeRequest},
    queue::QueuedMail,
};
use sqlx::Connection;

mod reputation;
#[allow(unused_imports)]
pub use reputation::{CLIMBER_EMAIL, PAUSED_EMAIL};

pub const PASSWORD: &str = "lantern-orbit-velvet";
pub const EMAIL: &str = "ops@northwind.example";
pub const OTHER_EMAIL: &str = "post@fjord.example";
pub const OPERATOR_EMAIL: &str = "root@indicia.example";
/// 2026-11-22 14:33:20 in Shanghai.
pub const NOW: UnixMicros = UnixMicros(1_795_329_200 * SECOND_MICROS);

/// How old the world's accounts are.
const ACCOUNT_AGE_DAYS: i64 = 230;

pub struct World {
    pub state: ConsoleState,
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub account_id: i64,
    pub other_id: i64,
    pub sender: (i64, i64),
    pub other_sender: (i64, i64),
    admission: Admission,
    folder: tempfile::TempDir,
}

/// What is the same of several mails.
#[derive(Clone, Copy)]
pub struct Post<'a> {
    pub account_id: i64,
    /// Domain and sender address.
    pub sender: (i64, i64),
    pub mail_from: &'a str,
    pub subject: &'a str,
    pub tag: &'a str,
    pub ip_pool_id: Option<i64>,
}

/// How a mail of the world ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Waiting,
    Delivered,
    PutOff,
    NoMailbox,
    Spam,
}

impl World {
    /// Two accounts, an operator, a verified domain and a sender address each; no money, no mail.
    pub async fn empty() -> Self {
        Self::with(ConsoleConfig::default(), false).await
    }

    pub async fn with(config: ConsoleConfig, is_demo: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        // The accounts are older than anything that happens to them.
        let clock = Arc::new(ManualClock::at(NOW.plus_micros(-ACCOUNT_AGE_DAYS * DAY_MICROS)));
        let store = Store::open("sqlite", folder.path(), clock.clone()).await.expect("a fresh store");
        let account_id = account(&store, "Northwind Paper", EMAIL, "Asia/Shanghai").await;
        let other_id = account(&store, "Fjord & Sons <Ltd>", OTHER_EMAIL, "Europe/Berlin").await;
        store.create_operator(OPERATOR_EMAIL, &password_hash()).await.expect("an operator");
        let sender =
            sending(&store, account_id, "news.northwind.example", "hello@news.northwind.example").await;
        let other_sender = sending(&store, other_id, "fjord.example", "post@fjord.example").await;
        clock.set(NOW);
        let demo = is_demo.then(|| Demo { inbox: Arc::new(Inbox), clock: Arc::new(Hands(clock.clone())) });
        let (admission, _) = Admission::start(store.clone(), Policy::default(), None);
        let state = ConsoleState::new(config, store.clone(), PriceList::default(), Policy::default(), demo);
        Self { state, store, clock, account_id, other_id, sender, other_sender, admission, folder }
    }

    /// The database past the store, to do to it what a store never would.
    pub async fn database(&self) -> sqlx::AnyConnection {
        let file = self.folder.path().join("indicia.db");
        sqlx::AnyConnection::connect(&format!("sqlite://{}", file.display())).await.expect("connected")
    }

    pub async fn credit(&self, account_id: i64, units: i64) {
        let actor = Actor::new(ActorKind::CommandLine, "tests");
        self.store
            .credit(account_id, MoneyMicros(units * 1_000_000), "test", &actor, None)
            .await
            .expect("credit");
    }

    pub async fn buy(&self, account_id: i64, specification: i64) -> Receipt {
        let request = PurchaseRequest {
            account_id,
            specification,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: Actor::new(ActorKind::Account, EMAIL),
        };
        self.store.purchase(&request, &PriceList::default()).await.expect("a purchase")
    }

    /// A payment that a provider tells of, under a reference of its own.
    pub async fn pay(&self, account_id: i64, amount: MoneyMicros, reference: &str) -> bool {
        let top_up = TopUp {
            provider: "stripe".into(),
            event_id: format!("evt_{reference}"),
            payment_reference: reference.into(),
            account_id,
            amount,
            memo: format!("stripe payment {reference}"),
        };
        self.store.top_up(&top_up).await.expect("a top-up").booked
    }

    /// One round of the billing job.
    pub async fn bill(&self) -> BillingRound {
        self.store
            .make_bills(&PriceList::default(), &self.state.config.collection)
            .await
            .expect("a round of bills")
    }

    /// `count` mails at an instant, in messages of up to 90. Returns the messages.
    pub async fn send_many(&self, account_id: i64, at: UnixMicros, count: usize, fate: Fate) -> Vec<i64> {
        self.clock.set(at);
        let to: Vec<String> = (0..count).map(|n| format!("reader{n}@club.example")).collect();
        let mut messages = Vec::new();
        for part in to.chunks(90) {
            messages.push(self.send(account_id, "Your weekly paper digest", part, fate).await);
        }
        messages
    }

    /// Takes a mail that waits out of the queue, which gives its charge back (R03).
    pub async fn cancel(&self, account_id: i64, message_id: i64) {
        self.store.cancel(account_id, message_id, "test").await.expect("cancelled");
    }

    /// Accepts a mail and lets it come to its end. Returns its id.
    pub async fn send(&self, account_id: i64, subject: &str, to: &[String], fate: Fate) -> i64 {
        let sender = if account_id == self.account_id { self.sender } else { self.other_sender };
        let mail_from = "hello@news.northwind.example";
        let post = Post { account_id, sender, mail_from, subject, tag: "spring", ip_pool_id: None };
        self.send_as(&post, to, fate).await
    }

    /// The same of any sender.
    pub async fn send_as(&self, post: &Post<'_>, to: &[String], fate: Fate) -> i64 {
        let message_id = self.store.next_id().await.expect("an id");
        let recipient = |address: &String| {
            let (local, domain) = address.split_once('@').expect("an address");
            Recipient::new(local, domain, domain.to_lowercase())
        };
        let submission = Submission {
            message_id,
            account_id: post.account_id,
            sender_id: post.sender.1,
            domain_id: post.sender.0,
            via: Via::Api,
            mail_from: post.mail_from.into(),
            subject: post.subject.into(),
            tag: post.tag.into(),
            recipients: to.iter().map(recipient).collect(),
            content: Bytes::from_static(b"Subject: x\r\n\r\nx\r\n"),
            ip_pool_id: post.ip_pool_id,
            idempotency: None,
            nonce: None,
        };
        self.admission.submit(submission).await.expect("accepted");
        if fate != Fate::Waiting {
            self.end(message_id, fate).await;
        }
        message_id
    }

    async fn end(&self, message_id: i64, fate: Fate) {
        let mails = self.store.claim(10_000, 1 << 30).await.expect("a claim");
        let ours = mails.iter().filter(|mail| mail.message_id == message_id);
        let outcomes: Vec<Outcome> =
            ours.flat_map(|mail| mail.recipients.iter().map(|to| self.outcome(mail, to, fate))).collect();
        assert!(!outcomes.is_empty(), "the mail was due");
        self.store.commit_outcomes(&outcomes).await.expect("outcomes");
    }

    fn outcome(&self, mail: &QueuedMail, to: &indicia_store::queue::QueuedRecipient, fate: Fate) -> Outcome {
        let now = self.clock.now();
        let (verdict, phase, code, reply) = match fate {
            Fate::Delivered | Fate::Waiting => {
                (Verdict::DELIVERED, Phase::Final, 250, "2.0.0 Ok: queued as 4C1B2A99F0")
            }
            Fate::PutOff => (
                Verdict::temporary(ErrorClassification::SmtpGreylist),
                Phase::Rcpt,
                451,
                "4.7.1 Greylisting in action, please come back later",
            ),
            Fate::NoMailbox => {
                (Verdict::permanent(ErrorClassification::SmtpNxBox), Phase::Rcpt, 550, "5.1.1 User unknown")
            }
            Fate::Spam => (
                Verdict::permanent(ErrorClassification::SmtpContSpam),
                Phase::Final,
                554,
                "5.7.1 Message looks like spam: <b>score 9.1</b>",
            ),
        };
        Outcome {
            key: indicia_store::queue::MailKey {
                account_id: mail.account_id,
                message_id: mail.message_id,
                number: to.number,
            },
            address: to.address.clone(),
            sender_id: mail.sender_id,
            domain_id: mail.domain_id,
            tag: mail.tag.clone(),
            day: mail.day,
            accepted_at: mail.accepted_at,
            recipient_count: mail.recipient_count,
            attempts: to.attempts + 1,
            started_at: now.plus_micros(120_000),
            finished_at: now.plus_micros(484_000),
            remote_host: format!("mx1.{}", to.domain),
            remote_address: "192.0.2.25:25".into(),
            local_address: to.place.map_or_else(|| "198.51.100.7".into(), |place| place.address.to_string()),
            tls: "TLSv1.3 TLS_AES_256_GCM_SHA384".into(),
            phase,
            verdict,
            code: Some(code),
            reply: reply.into(),
            next_due_at: (fate == Fate::PutOff).then(|| now.plus_micros(5 * MINUTE_MICROS)),
            place: to.place,
        }
    }

    /// Half a year of business: packages bought at different times, mails of a fortnight.
    pub async fn furnish(&self) {
        let id = self.account_id;
        self.clock.set(NOW.plus_micros(-200 * DAY_MICROS));
        self.credit(id, 600).await;
        self.buy(id, 50_000).await;
        self.clock.set(NOW.plus_micros(-170 * DAY_MICROS));
        self.buy(id, 50_000).await;
        self.clock.set(NOW.plus_micros(-40 * DAY_MICROS));
        self.buy(id, 500_000).await;
        self.store
            .set_daily_quota(id, 5_000, "a good fortnight", &indicia_store::audit::Actor::system("test"))
            .await
            .expect("a quota");
        for day in (0..13).rev() {
            self.clock.set(NOW.plus_micros(-day * DAY_MICROS - 60 * MINUTE_MICROS));
            let count = 900 + (day * 37 % 11) * 260;
            let to: Vec<String> = (0..count).map(|n| format!("reader{n}.{day}@club.example")).collect();
            for part in to.chunks(90) {
                self.send(id, "Your weekly paper digest", part, Fate::Delivered).await;
            }
            let lost: Vec<String> = (0..day % 4).map(|n| format!("gone{n}.{day}@club.example")).collect();
            if !lost.is_empty() {
                self.send(id, "Your weekly paper digest", &lost, Fate::NoMailbox).await;
            }
        }
        self.clock.set(NOW.plus_micros(-11 * MINUTE_MICROS));
        self.send(
            id,
            "Grüße & \"quotes\" <script>alert(1)</script>",
            &["ada@example.org".into()],
            Fate::Delivered,
        )
        .await;
        self.send(
            id,
            "Invoice 2026-1187 for your November order",
            &["billing@example.com".into()],
            Fate::NoMailbox,
        )
        .await;
        self.send(id, "Win a year of free paper!!!", &["postmaster@example.net".into()], Fate::Spam).await;
        self.clock.set(NOW.plus_micros(-2 * MINUTE_MICROS));
        let both: Vec<String> = vec!["grace@navy.example".into(), "alan@bletchley.example".into()];
        self.send(id, "Your parcel is on its way", &both, Fate::PutOff).await;
        self.clock.set(NOW);
        self.send(id, "Confirm your subscription", &["new.reader@example.org".into()], Fate::Waiting).await;
        self.send(self.other_id, "Nobody else's business", &["secret@example.org".into()], Fate::Delivered)
            .await;
    }
}

impl World {
    /// The other account's autumn without a package that pays: bills of hours, of the day that has 25 of them too, a
    /// correction, a collection on the 1st that the balance does not cover; then, on the first account, what
    /// can be done with packages.
    pub async fn furnish_billing(&self) {
        let id = self.other_id;
        let at = |text: &str| UnixMicros::parse(text).expect("an instant");
        self.clock.set(at("2026-10-02T08:00:00Z"));
        self.store
            .set_daily_quota(
                id,
                20_000,
                "a long history elsewhere",
                &indicia_store::audit::Actor::system("test"),
            )
            .await
            .expect("a quota");
        self.pay(id, MoneyMicros(1_500_000), "pi_3QK1").await;
        for (hour, count) in [
            ("2026-10-12T07:10:00Z", 1_420),
            ("2026-10-12T09:20:00Z", 1_017),
            ("2026-10-25T00:30:00Z", 900),
            ("2026-10-25T01:30:00Z", 640),
            ("2026-10-28T14:00:00Z", 2_300),
        ] {
            self.send_many(id, at(hour), count, Fate::Delivered).await;
        }
        let lost = self.send_many(id, at("2026-10-29T06:15:00Z"), 410, Fate::Waiting).await;
        self.clock.set(at("2026-10-29T08:00:00Z"));
        self.bill().await;
        if let Some(message) = lost.last() {
            self.cancel(id, *message).await;
        }
        self.clock.set(at("2026-11-01T00:00:00Z"));
        self.bill().await;
        self.clock.set(NOW.plus_micros(-MINUTE_MICROS));
        self.send_many(self.account_id, NOW.plus_micros(-MINUTE_MICROS), 1, Fate::Waiting).await;
        self.change_packages().await;
        self.clock.set(NOW);
    }

    /// A renewal, a refund, and an exchange of a package that is to start later.
    async fn change_packages(&self) {
        let (id, prices) = (self.account_id, PriceList::default());
        let by = Actor::new(ActorKind::Account, EMAIL);
        let rows = self.store.packages(id, &Default::default()).await.expect("packages");
        let live = rows.iter().find(|row| self.clock.now() < row.package.ends_at).expect("one that works");
        let instance_id = live.package.instance_id.clone();
        let renewal =
            RenewRequest { account_id: id, instance_id, idempotency_key: None, nonce: None, by: by.clone() };
        self.store.renew(&renewal, &prices).await.expect("a renewal");
        let instance_id = self.buy(id, 50_000).await.instance_ids.remove(0);
        let refund =
            RefundRequest { account_id: id, instance_id, idempotency_key: None, nonce: None, by: by.clone() };
        self.store.refund(&refund).await.expect("a refund");
        let later = PurchaseRequest {
            account_id: id,
            specification: 50_000,
            quantity: 1,
            starts_at: Some(NOW.plus_micros(20 * DAY_MICROS)),
            idempotency_key: None,
            nonce: None,
            by: by.clone(),
        };
        let instance_id =
            self.store.purchase(&later, &prices).await.expect("a purchase").instance_ids.remove(0);
        let exchange = UpgradeRequest {
            account_id: id,
            instance_id,
            specification: 500_000,
            idempotency_key: None,
            nonce: None,
            by,
        };
        self.store.upgrade(&exchange, &prices).await.expect("an exchange");
    }
}

impl World {
    /// Hands over every notice that is due: in-station with words of the test's own, by e-mail and SMS to nobody.
    pub async fn tell(&self) {
        let word = |handover: &Handover| match handover.channel {
            Channel::Station => Dispatch::Station {
                subject: format!("{} ({})", handover.account.name, handover.kind),
                body: format!(
                    "This is about {} of your account.\n\nLook at it here:\n{}/accounts/{}/billing\n",
                    handover.kind, self.state.config.public_url, handover.account.account_id
                ),
            },
            Channel::Email => Dispatch::Skip("no sender is configured for notices by e-mail"),
            Channel::Sms => Dispatch::Skip("no SMS gateway is configured"),
        };
        for (account_id, channel) in self.store.due_notices(None, 1_000).await.expect("what is due") {
            self.store.hand_over_notices(account_id, channel, &word).await.expect("handed over");
        }
    }
}

async fn account(store: &Store, name: &str, email: &str, zone: &str) -> i64 {
    let new = NewAccount {
        name: name.into(),
        email: email.into(),
        phone: String::new(),
        zone: zone.into(),
        password_hash: password_hash(),
        access_key_id: format!("AK{}", &email[..4].to_uppercase()),
        access_key_secret: "never-to-be-shown".into(),
    };
    store.create_account(&new, &Policy::default()).await.expect("an account")
}

async fn sending(store: &Store, account_id: i64, domain: &str, address: &str) -> (i64, i64) {
    let dkim = DkimKey {
        selector: "indicia-2026".into(),
        private_key: b"not used here".to_vec(),
        public_key: "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtQy6k".repeat(8),
    };
    let domain_id =
        store.create_domain(account_id, domain, "0c40d5f125af4e42892a", &dkim, 5).await.expect("a domain");
    store.verify_domain_by_operator(account_id, domain).await.expect("verified");
    let sender = store.create_sender(account_id, domain_id, address, SendType::Trigger, "", 100).await;
    (domain_id, sender.expect("a sender"))
}

fn password_hash() -> String {
    // Cheap on purpose: what is tested is the console, not argon2.
    let params = argon2::Params::new(8, 1, 1, None).expect("parameters");
    let cheap = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash: PasswordHash = cheap.hash_password(PASSWORD.as_bytes()).expect("a hash");
    hash.to_string()
}

/// A mailbox provider with three mails.
struct Inbox;

const MAILS: &[(&str, &str)] = &[
    (
        "Welcome to the demo",
        "Content-Type: text/plain; charset=utf-8\r\n\r\nIt works: this mail went out over SMTP, signed.\r\n",
    ),
    (
        "<script>alert(1)</script>",
        "Content-Type: text/html; charset=utf-8\r\n\r\n<h1>Paper!</h1><p>All kinds.</p><script>document.title='owned'</script>\r\n",
    ),
    ("Your parcel", "Content-Type: text/plain\r\n\r\nOn its way.\r\n"),
];

fn mail(id: i64) -> Option<InboxMail> {
    let (subject, rest) = MAILS.get(usize::try_from(id - 1).ok()?)?;
    let raw = format!(
        "Return-Path: <b+1@mail.example>\r\nDKIM-Signature: v=1; a=rsa-sha256;\r\n d=news.northwind.example; s=indicia-2026;\r\n b=dGVzdA==\r\n\
         From: Northwind <hello@news.northwind.example>\r\nTo: ada@inbox.demo\r\nSubject: {subject}\r\n{rest}"
    );
    Some(InboxMail {
        entry: InboxEntry {
            id,
            received_at: NOW.plus_micros(id * MINUTE_MICROS),
            mail_from: "b+1@mail.example".into(),
            from: "hello@news.northwind.example".into(),
            recipients: vec!["ada@inbox.demo".into()],
            subject: (*subject).into(),
            size_bytes: raw.len() as u64,
        },
        raw: raw.into_bytes(),
    })
}

#[async_trait]
impl DemoInbox for Inbox {
    async fn list(&self, before: Option<i64>, limit: usize) -> Result<Vec<InboxEntry>, DemoError> {
        let last = MAILS.len() as i64;
        let from = before.map_or(last, |id| (id - 1).min(last));
        Ok((1..=from).rev().filter_map(mail).map(|mail| mail.entry).take(limit).collect())
    }

    async fn read(&self, id: i64) -> Result<Option<InboxMail>, DemoError> {
        Ok(mail(id))
    }
}

struct Hands(Arc<ManualClock>);

#[async_trait]
impl DemoClock for Hands {
    async fn advance(&self, by_us: i64) -> Result<UnixMicros, DemoError> {
        self.0.advance_micros(by_us);
        Ok(self.0.now())
    }
}
