//! The demo's own parts: the inbox of its built-in mailbox provider, and its clock.
//!
//! The console knows them only by these traits; `indicia demo` implements them, `indicia serve` has neither
//! and then none of their pages exists.

pub mod clock;
pub mod inbox;
pub mod mail;

use async_trait::async_trait;
use indicia_domain::time::UnixMicros;

use crate::{
    ConsoleState, arrears,
    components::Note,
    error::ConsoleError,
    format::Zone,
    session::viewer::Viewer,
    shell::{Place, Shell, ShellAccount},
};

/// A mail in the list of the inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntry {
    /// Grows with every mail received.
    pub id: i64,
    pub received_at: UnixMicros,
    /// The return path as the sender of the SMTP transaction gave it; empty for a bounce.
    pub mail_from: String,
    /// The address of the From header; empty when there is none.
    pub from: String,
    pub recipients: Vec<String>,
    /// The decoded Subject, empty when there is none.
    pub subject: String,
    pub size_bytes: u64,
}

/// A mail that was received, with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxMail {
    pub entry: InboxEntry,
    /// The message as it came over the wire.
    pub raw: Vec<u8>,
}

/// The demo could not do what was asked; the text is for the reader.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DemoError(pub String);

/// What the built-in mailbox provider has received.
#[async_trait]
pub trait DemoInbox: Send + Sync + 'static {
    /// The newest mails with an id below `before` (all when `None`), newest first, at most `limit`.
    async fn list(&self, before: Option<i64>, limit: usize) -> Result<Vec<InboxEntry>, DemoError>;
    /// One mail, `None` when there is none of that id.
    async fn read(&self, id: i64) -> Result<Option<InboxMail>, DemoError>;
}

/// The demo's clock, which can be moved forward.
#[async_trait]
pub trait DemoClock: Send + Sync + 'static {
    /// Moves the clock forward by `by_us` microseconds (above zero) and returns the new time.
    async fn advance(&self, by_us: i64) -> Result<UnixMicros, DemoError>;
}

/// The frame of the demo's pages: the viewer's own account and its zone; an operator has none and sees UTC.
struct DemoFrame {
    account: Option<ShellAccount>,
    zone: Zone,
    /// R11, R22: said here too when the account is overdue or paused.
    banners: Vec<Note>,
}

impl DemoFrame {
    async fn load(state: &ConsoleState, viewer: &Viewer) -> Result<Self, ConsoleError> {
        let account = match viewer.own_account() {
            Some(id) => state.store.account(id).await?,
            None => None,
        };
        let Some(account) = account else {
            return Ok(Self { account: None, zone: Zone::named("UTC"), banners: Vec::new() });
        };
        let unread_messages = state.store.unread_messages(account.account_id).await?;
        let numbers = state.store.account_numbers(account.account_id).await?;
        let zone = Zone::named(&account.zone);
        let banners = match &numbers {
            Some(numbers) => arrears::banners(state, account.account_id, numbers, &zone).await?,
            None => Vec::new(),
        };
        let account = ShellAccount { id: account.account_id, name: account.name, unread_messages };
        Ok(Self { account: Some(account), zone, banners })
    }

    fn shell(&self, state: &ConsoleState, viewer: &Viewer, place: Place, title: &str) -> Shell {
        let account = self.account.clone().map(|account| (account, &self.zone));
        let banners = self.banners.clone();
        Shell { banners, ..Shell::new(state, viewer, account, place, title) }
    }
}
