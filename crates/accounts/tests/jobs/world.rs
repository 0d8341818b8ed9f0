//! An installation to test with: an account that can be reached over every channel, a gateway that takes note.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use indicia_accounts::notice::sender::ensure_system_sender;
use indicia_accounts::notice::{COLLECTION_LEAD_DAYS, NoticeSettings};
use indicia_accounts::sms::{SmsError, SmsFailure, SmsGateway, Submitted, TextMessage};
use indicia_accounts::{Jobs, Metrics, NoticeRound, TextRound};
use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::{Channel, Language};
use indicia_domain::time::UnixMicros;
use indicia_store::Store;
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::contact::Contact;
use indicia_store::directory::DkimKey;
use indicia_store::notice::{NoticeRow, NoticeState, StationMessage};
use indicia_store::package::PurchaseRequest;
use mail_parser::MessageParser;

use crate::engines::Bench;
use crate::support::{Account, names, operator};

pub const FROM: &str = "notices@mail.example.org";
pub const PHONE: &str = "+8613800001234";

pub fn at(text: &str) -> UnixMicros {
    UnixMicros::parse(text).expect("an instant")
}

/// What the gateway does with every text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Takes,
    Later,
    Never,
    Hangs,
}

pub struct Gateway {
    mood: Mutex<Mood>,
    taken: Mutex<Vec<TextMessage>>,
    pub tries: AtomicU32,
}

impl Gateway {
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }

    pub fn taken(&self) -> Vec<TextMessage> {
        self.taken.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl SmsGateway for Gateway {
    async fn send(&self, message: &TextMessage) -> Result<Submitted, SmsError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        let mood = *self.mood.lock().expect("not poisoned");
        let (reference, to, cause) = (
            message.reference,
            message.to.as_str().to_owned(),
            SmsFailure::SessionLost { part: 1, parts: 1 },
        );
        match mood {
            Mood::Takes => {
                self.taken.lock().expect("not poisoned").push(message.clone());
                Ok(Submitted { gateway_ids: vec![format!("g{reference}")] })
            }
            Mood::Later => Err(SmsError::Transient { reference, to, cause }),
            Mood::Never => Err(SmsError::Permanent { reference, to, cause }),
            Mood::Hangs => std::future::pending().await,
        }
    }

    async fn close(&self) {}
}

pub struct World {
    pub bench: Bench,
    pub account: Account,
    pub gateway: Arc<Gateway>,
    pub jobs: Jobs,
}

/// A mail with a notice, as it waits in the queue.
#[derive(Debug)]
pub struct Mail {
    pub message_id: i64,
    pub to: String,
    pub subject: String,
    pub body: String,
}

impl World {
    /// An account in Shanghai without free credit, on 2026-11-22 at noon.
    pub async fn new(bench: Bench) -> World {
        let policy = Policy { free_total_mails: 0, initial_daily_quota: 1_000_000, ..Policy::default() };
        let account = Account::with_policy(&bench.store, "Asia/Shanghai", &policy).await;
        let gateway = Arc::new(Gateway {
            mood: Mutex::new(Mood::Takes),
            taken: Mutex::default(),
            tries: AtomicU32::new(0),
        });
        let sender = ensure_system_sender(&bench.store, FROM, key).await.expect("a sender");
        let jobs = Jobs {
            store: bench.store.clone(),
            prices: PriceList::default(),
            collection: CollectionPolicy::default(),
            notices: NoticeSettings {
                sender: Some(sender),
                currency: "USD".to_owned(),
                console_url: "https://console.example.org/".to_owned(),
                collection_lead_days: COLLECTION_LEAD_DAYS,
                overdue_spares_prepaid: false,
            },
            sms: Some(gateway.clone()),
            metrics: Metrics::default(),
        };
        let world = World { bench, account, gateway, jobs };
        world.reachable_over(|_| {}).await;
        world
    }

    pub fn store(&self) -> &Store {
        &self.bench.store
    }

    /// Changes the contact, which otherwise has every channel on.
    pub async fn reachable_over(&self, change: impl FnOnce(&mut Contact)) {
        let mut contact = Contact {
            language: Language::English,
            email: "ann@example.net".to_owned(),
            phone: PHONE.to_owned(),
            by_email: true,
            by_sms: true,
        };
        change(&mut contact);
        assert!(self.store().set_contact(self.account.id, &contact, &operator()).await.expect("kept"));
    }

    /// The same jobs on another node.
    pub async fn second_node(&self) -> Jobs {
        Jobs { store: self.bench.second_node().await, ..self.jobs.clone() }
    }

    /// Moves the clock and does everything that is due then.
    pub async fn run_at(&self, instant: UnixMicros) {
        self.bench.clock.set(instant);
        self.run().await;
    }

    pub async fn run(&self) {
        self.jobs.bill().await.expect("billed");
        self.jobs.pass_phases().await.expect("passed");
        self.jobs.look_ahead().await.expect("looked");
        while self.jobs.tell().await.expect("told") != NoticeRound::default() {}
        while self.jobs.send_texts().await.expect("sent") != TextRound::default() {}
    }

    /// Buys a package of `mails` mails, valid for `months` months; returns its instance id.
    pub async fn buy(&self, mails: i64, months: u32) -> String {
        let offer = Offer { mails, price: MoneyMicros(mails * 100) };
        let prices = PriceList::new(vec![offer], MoneyMicros(290), months).expect("a price list");
        let prices = prices.with_expiry_leads(self.jobs.prices.expiry_leads().to_vec()).expect("leads");
        self.pay_in(mails * 100).await;
        let request = PurchaseRequest {
            account_id: self.account.id,
            specification: mails,
            quantity: 1,
            starts_at: None,
            idempotency_key: None,
            nonce: None,
            by: operator(),
        };
        let receipt = self.store().purchase(&request, &prices).await.expect("bought");
        receipt.instance_ids.into_iter().next().expect("one instance")
    }

    pub async fn pay_in(&self, micros: i64) {
        let amount = MoneyMicros(micros);
        self.store()
            .credit(self.account.id, amount, "test money", &operator(), None)
            .await
            .expect("credited");
    }

    /// Sends to so many recipients.
    pub async fn send(&self, mails: usize) {
        let mail = self.account.mail(&names(mails)).await;
        self.account.admission(None).submit(mail).await.expect("accepted");
    }

    /// The inbox, oldest first.
    pub async fn inbox(&self) -> Vec<StationMessage> {
        let mut messages =
            self.store().station_messages(self.account.id, false, None, 1_000).await.expect("read");
        messages.reverse();
        messages
    }

    /// Subjects of the inbox of one kind, oldest first.
    pub async fn told(&self, kind: &str) -> Vec<String> {
        let inbox = self.inbox().await.into_iter();
        inbox.filter(|message| message.kind == kind).map(|message| message.subject).collect()
    }

    /// The mails of the installation that wait, oldest first.
    pub async fn mails(&self) -> Vec<Mail> {
        let entries = self.store().queue_entries(Some(SYSTEM_ACCOUNT_ID), None, 1_000).await.expect("listed");
        let mut mails = Vec::new();
        for entry in entries {
            let message_id = entry.key.message_id;
            let content =
                self.store().content(SYSTEM_ACCOUNT_ID, message_id).await.expect("read").expect("kept");
            let parsed = MessageParser::default().parse(&content[..]).expect("a message");
            mails.push(Mail {
                message_id,
                to: entry.address,
                subject: parsed.subject().unwrap_or_default().to_owned(),
                body: parsed.body_text(0).unwrap_or_default().into_owned(),
            });
        }
        mails
    }

    /// How many messages there are over (station, e-mail, SMS).
    pub async fn counts(&self) -> (usize, usize, usize) {
        (self.inbox().await.len(), self.mails().await.len(), self.gateway.taken().len())
    }

    /// The rows of expiry notices of a package over one channel, by lead, the longest first.
    pub async fn rows(&self, instance_id: &str, channel: Channel) -> Vec<NoticeRow> {
        let rows = self.store().package_notices(self.account.id, instance_id).await.expect("listed");
        rows.into_iter().filter(|row| row.channel == channel && row.key.starts_with("expiry:")).collect()
    }

    pub async fn states(&self, instance_id: &str, channel: Channel) -> Vec<NoticeState> {
        self.rows(instance_id, channel).await.into_iter().map(|row| row.state).collect()
    }

    /// The ledger has no fault.
    pub async fn verify(&self) {
        self.account.verify().await;
    }
}

/// Signing is tested where mail is delivered.
pub fn key(selector: &str) -> Result<DkimKey, Infallible> {
    Ok(DkimKey { selector: selector.to_owned(), private_key: vec![1, 2, 3], public_key: "AQID".to_owned() })
}
