//! A mail in memory: the message once, its recipients each.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;

use indicia_domain::time::UnixMicros;
use indicia_store::queue::{MailKey, QueuedMail};

use crate::window::{Room, Slot, Window};

/// A message, shared by those of its recipients that are in memory.
pub(crate) struct Mail {
    pub account_id: i64,
    pub message_id: i64,
    pub sender_id: i64,
    pub domain_id: i64,
    pub day: i64,
    pub accepted_at: UnixMicros,
    pub recipient_count: usize,
    /// Content that came along with the acceptance; taken by the first use.
    given: Mutex<Option<(Bytes, Room)>>,
    /// What goes on the wire, made once.
    pub prepared: OnceCell<Prepared>,
}

/// A message ready for the wire.
pub(crate) struct Prepared {
    /// The signature, when there is one, and the stored content.
    pub chunks: Vec<Bytes>,
    /// A header field has text beyond ASCII.
    pub smtputf8: bool,
    /// Counts the content while it is in memory.
    pub _room: Room,
}

/// One recipient's mail on its way.
pub(crate) struct Item {
    pub mail: Arc<Mail>,
    pub number: i64,
    pub address: String,
    pub domain: String,
    /// Attempts made before.
    pub attempts: i64,
    pub slot: Slot,
}

impl Item {
    pub(crate) fn key(&self) -> MailKey {
        MailKey { account_id: self.mail.account_id, message_id: self.mail.message_id, number: self.number }
    }
}

impl Mail {
    /// The content that came along, if nobody has taken it yet.
    pub(crate) fn take_given(&self) -> Option<(Bytes, Room)> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes items of a mail whose recipients are counted in `window`, and whose content is, if it has come along.
pub(crate) fn items_of(queued: QueuedMail, window: &Arc<Window>) -> impl Iterator<Item = Item> {
    let given = queued.content.map(|content| {
        let room = window.room(content.len());
        (content, room)
    });
    let mail = Arc::new(Mail {
        account_id: queued.account_id,
        message_id: queued.message_id,
        sender_id: queued.sender_id,
        domain_id: queued.domain_id,
        day: queued.day,
        accepted_at: queued.accepted_at,
        recipient_count: queued.recipient_count,
        given: Mutex::new(given),
        prepared: OnceCell::new(),
    });
    // All guards are made before the first item leaves: dropping the iterator half-way must give back all.
    let items: Vec<Item> = queued
        .recipients
        .into_iter()
        .map(|recipient| Item {
            mail: mail.clone(),
            number: recipient.number,
            address: recipient.address,
            domain: recipient.domain,
            attempts: recipient.attempts,
            slot: window.slot(),
        })
        .collect();
    items.into_iter()
}

/// Whether the header section has octets beyond ASCII.
pub(crate) fn header_needs_utf8(content: &[u8]) -> bool {
    if content.is_ascii() {
        return false;
    }
    let end = content.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(content.len());
    !content[..end].is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_header_asks_for_smtputf8() {
        assert!(!header_needs_utf8(b"Subject: a\r\n\r\nplain"));
        assert!(!header_needs_utf8("Subject: a\r\n\r\n\u{e9}".as_bytes()));
        assert!(header_needs_utf8("Subject: \u{e9}\r\n\r\nplain".as_bytes()));
    }
}
