//! What the engine asks of the store, as a trait: the tests run it against a spool in memory that can fail,
//! production against the database.

use async_trait::async_trait;
use bytes::Bytes;

use indicia_domain::time::UnixMicros;
use indicia_store::outcome::Outcome;
use indicia_store::queue::{HandBack, QueuedMail};
use indicia_store::suspension::Suspension;
use indicia_store::{Store, StoreError};

/// The key that signs the mails of a domain.
#[derive(Clone)]
pub struct SigningKey {
    /// In A-labels.
    pub domain: String,
    pub selector: String,
    pub pkcs8_der: Bytes,
}

/// The queue and its surroundings. Every mail that `claim` returns is leased to this node until an attempt
/// of it is committed or it is handed back.
#[async_trait]
pub trait Spool: Send + Sync + 'static {
    /// Leases due mails: at most so many recipients, about so many octets of content.
    async fn claim(&self, recipients: usize, bytes: usize) -> Result<Vec<QueuedMail>, StoreError>;

    /// When the next free mail is due.
    async fn next_due(&self) -> Result<Option<UnixMicros>, StoreError>;

    /// A message's content; `None` when nothing waits for it any more.
    async fn content(&self, account_id: i64, message_id: i64) -> Result<Option<Bytes>, StoreError>;

    /// The key that signs for a sending domain; `None` when the domain is gone.
    async fn signing_key(&self, account_id: i64, domain_id: i64) -> Result<Option<SigningKey>, StoreError>;

    /// Commits finished attempts, all or none.
    async fn commit(&self, attempts: &[Outcome]) -> Result<(), StoreError>;

    /// Gives leased mails back untried, all or none.
    async fn hand_back(&self, mails: &[HandBack]) -> Result<(), StoreError>;

    /// What is held in the queue now, and why.
    async fn suspensions(&self) -> Result<Vec<Suspension>, StoreError>;

    /// Puts off what is due and held by a suspension, if that is still in force. Returns how many mails.
    async fn put_off_held(&self, suspension: &Suspension, until: UnixMicros) -> Result<u64, StoreError>;

    /// Makes due what waits for a suspension that has ended. Returns how many mails.
    async fn wake_after(&self, suspension: &Suspension) -> Result<u64, StoreError>;
}

#[async_trait]
impl Spool for Store {
    async fn claim(&self, recipients: usize, bytes: usize) -> Result<Vec<QueuedMail>, StoreError> {
        Store::claim(self, clamped(recipients), clamped(bytes)).await
    }

    async fn next_due(&self) -> Result<Option<UnixMicros>, StoreError> {
        Store::next_due(self).await
    }

    async fn content(&self, account_id: i64, message_id: i64) -> Result<Option<Bytes>, StoreError> {
        Store::content(self, account_id, message_id).await
    }

    async fn signing_key(&self, account_id: i64, domain_id: i64) -> Result<Option<SigningKey>, StoreError> {
        let domain = self.domain(account_id, domain_id).await?;
        Ok(domain.map(|domain| SigningKey {
            domain: domain.name,
            selector: domain.dkim.selector,
            pkcs8_der: Bytes::from(domain.dkim.private_key),
        }))
    }

    async fn commit(&self, attempts: &[Outcome]) -> Result<(), StoreError> {
        self.commit_outcomes(attempts).await
    }

    async fn hand_back(&self, mails: &[HandBack]) -> Result<(), StoreError> {
        Store::hand_back(self, mails).await
    }

    async fn suspensions(&self) -> Result<Vec<Suspension>, StoreError> {
        Store::suspensions(self).await
    }

    async fn put_off_held(&self, suspension: &Suspension, until: UnixMicros) -> Result<u64, StoreError> {
        Store::put_off_held(self, suspension, until).await
    }

    async fn wake_after(&self, suspension: &Suspension) -> Result<u64, StoreError> {
        Store::wake_after(self, suspension).await
    }
}

fn clamped(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
