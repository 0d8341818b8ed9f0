//! A spool in memory that behaves like the store: leases, due instants, all-or-none commits that can fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use indicia_delivery::spool::{SigningKey, Spool};
use indicia_domain::outcome::Disposition;
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::StoreError;
use indicia_store::outcome::Outcome;
use indicia_store::queue::{HandBack, MailKey, QueuedMail, QueuedRecipient};
use indicia_store::suspension::{Held, Suspension};

pub const ACCOUNT: i64 = 7;
pub const BODY: &str = "From: a@sender.test\r\nTo: b@example.net\r\nSubject: x\r\n\r\nHello\r\n.dot\r\n";

#[derive(Clone, Debug)]
pub struct Row {
    pub address: String,
    pub domain: String,
    pub due_at: UnixMicros,
    pub leased: bool,
    pub attempts: i64,
    pub accepted_at: UnixMicros,
    pub reason: String,
}

#[derive(Default)]
struct State {
    queue: BTreeMap<MailKey, Row>,
    outcomes: Vec<Outcome>,
    backs: Vec<HandBack>,
    key: Option<SigningKey>,
    held: Vec<Suspension>,
}

pub struct MemorySpool {
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    /// So many commits fail from now on.
    pub failing_commits: AtomicUsize,
    /// Commits that have this message in them are refused, though not for a transient reason.
    pub refused_message: AtomicI64,
    /// Contents are filled up to this size.
    pub content_bytes: AtomicUsize,
    pub commits: AtomicUsize,
    pub leased_max: AtomicUsize,
}

impl MemorySpool {
    pub fn new(clock: Arc<ManualClock>) -> MemorySpool {
        MemorySpool {
            clock,
            state: Mutex::default(),
            failing_commits: AtomicUsize::new(0),
            refused_message: AtomicI64::new(i64::MIN),
            content_bytes: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            leased_max: AtomicUsize::new(0),
        }
    }

    /// Holds mail to this domain, or nothing.
    pub fn hold(&self, domain: Option<&str>) {
        let held = domain.map(|domain| Suspension {
            held: Held { account_id: None, domain: Some(domain.to_owned()) },
            since: self.clock.now(),
            by: "a test".to_owned(),
            reason: "their servers move".to_owned(),
            is_pause: false,
        });
        self.state().held = held.into_iter().collect();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }

    /// Accepts a message for these recipients, due now.
    pub fn accept(&self, message_id: i64, recipients: &[&str]) {
        let now = self.clock.now();
        let mut state = self.state();
        for (number, address) in recipients.iter().enumerate() {
            let domain = address.rsplit_once('@').expect("an address").1.to_owned();
            let row = Row {
                address: (*address).to_owned(),
                domain,
                due_at: now,
                leased: false,
                attempts: 0,
                accepted_at: now,
                reason: String::new(),
            };
            state.queue.insert(MailKey { account_id: ACCOUNT, message_id, number: number as i64 }, row);
        }
    }

    /// A mail as admission hands it over: leased, with its content.
    pub fn accept_leased(&self, message_id: i64, recipients: &[&str]) -> QueuedMail {
        self.accept(message_id, recipients);
        let mut state = self.state();
        let rows: Vec<(MailKey, Row)> = state
            .queue
            .iter_mut()
            .filter(|(key, _)| key.message_id == message_id)
            .map(|(key, row)| {
                row.leased = true;
                (*key, row.clone())
            })
            .collect();
        let mut mail = mail_of(&rows[0]);
        mail.content = Some(Bytes::from_static(BODY.as_bytes()));
        mail.recipients = rows.iter().map(recipient_of).collect();
        mail
    }

    pub fn set_signing_key(&self, key: SigningKey) {
        self.state().key = Some(key);
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.state().outcomes.clone()
    }

    pub fn hand_backs(&self) -> Vec<HandBack> {
        self.state().backs.clone()
    }

    pub fn queued(&self) -> usize {
        self.state().queue.len()
    }

    pub fn leased(&self) -> usize {
        self.state().queue.values().filter(|row| row.leased).count()
    }

    pub fn row(&self, message_id: i64, number: i64) -> Option<Row> {
        self.state().queue.get(&MailKey { account_id: ACCOUNT, message_id, number }).cloned()
    }

    pub fn delivered(&self) -> usize {
        let state = self.state();
        state.outcomes.iter().filter(|outcome| outcome.verdict.disposition == Disposition::Delivered).count()
    }

    /// Ends every lease, as another node does that takes this one for dead.
    pub fn end_leases(&self) {
        self.state().queue.values_mut().for_each(|row| row.leased = false);
    }

    fn may_commit(&self, messages: impl IntoIterator<Item = i64>) -> Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let refused = self.refused_message.load(Ordering::SeqCst);
        if messages.into_iter().any(|message| message == refused) {
            return Err(StoreError::Corrupt(format!("message {refused}")));
        }
        let failing = |left: usize| left.checked_sub(1);
        match self.failing_commits.fetch_update(Ordering::SeqCst, Ordering::SeqCst, failing) {
            Ok(_) => Err(StoreError::Closed),
            Err(_) => Ok(()),
        }
    }
}

fn mail_of((key, row): &(MailKey, Row)) -> QueuedMail {
    QueuedMail {
        account_id: key.account_id,
        message_id: key.message_id,
        sender_id: 1,
        domain_id: 2,
        day: 3,
        accepted_at: row.accepted_at,
        size_bytes: BODY.len(),
        recipient_count: 1,
        tag: "".into(),
        content: None,
        recipients: vec![],
    }
}

fn recipient_of((key, row): &(MailKey, Row)) -> QueuedRecipient {
    QueuedRecipient {
        number: key.number,
        address: row.address.clone(),
        domain: row.domain.clone(),
        attempts: row.attempts,
        place: None,
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn claim(&self, recipients: usize, _bytes: usize) -> Result<Vec<QueuedMail>, StoreError> {
        let now = self.clock.now();
        let mut state = self.state();
        let mut due: Vec<(MailKey, Row)> = state
            .queue
            .iter()
            .filter(|(_, row)| !row.leased && row.due_at <= now)
            .map(|(key, row)| (*key, row.clone()))
            .collect();
        due.sort_by_key(|(key, row)| (row.due_at, *key));
        due.truncate(recipients);
        let size_bytes = self.content_bytes.load(Ordering::SeqCst).max(BODY.len());
        let mut mails: Vec<QueuedMail> = vec![];
        for entry in &due {
            if let Some(row) = state.queue.get_mut(&entry.0) {
                row.leased = true;
            }
            if mails.last().is_none_or(|mail| mail.message_id != entry.0.message_id) {
                mails.push(QueuedMail { size_bytes, ..mail_of(entry) });
            }
            if let Some(mail) = mails.last_mut() {
                mail.recipients.push(recipient_of(entry));
            }
        }
        let leased = state.queue.values().filter(|row| row.leased).count();
        self.leased_max.fetch_max(leased, Ordering::SeqCst);
        Ok(mails)
    }

    async fn next_due(&self) -> Result<Option<UnixMicros>, StoreError> {
        Ok(self.state().queue.values().filter(|row| !row.leased).map(|row| row.due_at).min())
    }

    async fn content(&self, _: i64, message_id: i64) -> Result<Option<Bytes>, StoreError> {
        // A database answers later, and others go on meanwhile.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let waits = self.state().queue.keys().any(|key| key.message_id == message_id);
        let size_bytes = self.content_bytes.load(Ordering::SeqCst).max(BODY.len());
        let mut content = BODY.as_bytes().to_vec();
        while content.len() < size_bytes {
            content
                .extend_from_slice(b"0123456789012345678901234567890123456789012345678901234567890123\r\n");
        }
        content.truncate(size_bytes);
        Ok(waits.then_some(content.into()))
    }

    async fn signing_key(&self, _: i64, _: i64) -> Result<Option<SigningKey>, StoreError> {
        Ok(self.state().key.clone())
    }

    async fn commit(&self, attempts: &[Outcome]) -> Result<(), StoreError> {
        self.may_commit(attempts.iter().map(|outcome| outcome.key.message_id))?;
        let mut state = self.state();
        for outcome in attempts {
            let row = state.queue.get_mut(&outcome.key).expect("an outcome of a mail that is in the queue");
            assert!(row.leased, "an outcome of a mail that is not leased: {outcome:?}");
            match outcome.next_due_at {
                Some(due_at) => {
                    assert_eq!(outcome.verdict.disposition, Disposition::Temporary);
                    row.due_at = due_at;
                    row.attempts = outcome.attempts;
                    row.leased = false;
                }
                None => {
                    assert_ne!(outcome.verdict.disposition, Disposition::Temporary);
                    state.queue.remove(&outcome.key);
                }
            }
            state.outcomes.push(outcome.clone());
        }
        Ok(())
    }

    async fn suspensions(&self) -> Result<Vec<Suspension>, StoreError> {
        Ok(self.state().held.clone())
    }

    async fn wake_after(&self, suspension: &Suspension) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut state = self.state();
        if state.held.contains(suspension) {
            return Ok(0);
        }
        let mut mails = 0;
        for row in state.queue.values_mut().filter(|row| !row.leased && row.reason.starts_with("held: ")) {
            row.due_at = now;
            mails += 1;
        }
        Ok(mails)
    }

    async fn put_off_held(&self, suspension: &Suspension, until: UnixMicros) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut put_off = 0;
        for (key, row) in &mut self.state().queue {
            if !row.leased && row.due_at <= now && suspension.held.covers(key.account_id, &row.domain) {
                row.due_at = until;
                row.reason = suspension.queue_reason();
                put_off += 1;
            }
        }
        Ok(put_off)
    }

    async fn hand_back(&self, mails: &[HandBack]) -> Result<(), StoreError> {
        self.may_commit(mails.iter().map(|back| back.key.message_id))?;
        let mut state = self.state();
        for back in mails {
            let row = state.queue.get_mut(&back.key).expect("a mail that is in the queue");
            assert!(row.leased, "given back but not leased: {back:?}");
            row.leased = false;
            row.due_at = back.due_at;
            row.reason = back.reason.clone();
            state.backs.push(back.clone());
        }
        Ok(())
    }
}
