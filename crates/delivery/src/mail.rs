//! A mail in memory: the message once, its recipients each.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use indicia_domain::time::UnixMicros;
use indicia_store::dedicated_ip::Place;
use indicia_store::queue::{MailKey, QueuedMail};

use crate::window::{Room, Slot, Window};

/// A message, shared by those of its recipients that are in memory.
pub(crate) struct Mail {
    pub account_id: i64,
    pub message_id: i64,
    pub sender_id: i64,
    pub domain_id: i64,
    pub tag: Arc<str>,
    pub day: i64,
    pub accepted_at: UnixMicros,
    pub size_bytes: usize,
    pub recipient_count: usize,
    /// The node's identity under which its mails are leased (see [`crate::hub::Hub::forget_all`]).
    pub epoch: u64,
    /// Content that came along with the acceptance; taken by the first use.
    given: Mutex<Option<(Bytes, Room)>>,
    /// What goes on the wire, made once unless its room is wanted meanwhile. A worker holds the inner pointer as
    /// long as it sends.
    pub prepared: tokio::sync::Mutex<Option<Arc<Prepared>>>,
}

/// A message ready for the wire.
pub(crate) struct Prepared {
    /// The signature, when there is one, and the stored content.
    pub chunks: Vec<Bytes>,
    /// A header field has text beyond ASCII.
    pub smtputf8: bool,
    /// Counts the content while it is in memory.
    pub room: Room,
}

/// One recipient's mail on its way.
pub(crate) struct Item {
    pub mail: Arc<Mail>,
    pub number: i64,
    pub address: String,
    pub domain: String,
    /// Attempts made before.
    pub attempts: i64,
    /// The dedicated address that it goes out by, if that can be used.
    pub place: Option<Place>,
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

    /// Lets go of the prepared content, if nobody is sending or making it. Returns its octets.
    pub(crate) fn let_go(&self) -> usize {
        let Ok(mut prepared) = self.prepared.try_lock() else { return 0 };
        match &*prepared {
            // The pointer is cloned under the lock only.
            Some(content) if Arc::strong_count(content) == 1 => {
                let bytes = content.room.bytes();
                *prepared = None;
                bytes
            }
            _ => 0,
        }
    }

    /// Whether a prepared content is there, or somebody is at it.
    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.try_lock().map_or(true, |prepared| prepared.is_some())
    }
}

/// Makes items of a mail whose recipients are counted in `window`, and whose content is, if it has come along.
/// `epoch` is the one in which it was leased.
pub(crate) fn items_of(queued: QueuedMail, window: &Arc<Window>, epoch: u64) -> impl Iterator<Item = Item> {
    let given = queued.content.map(|content| {
        let room = window.room(content.len());
        (content, room)
    });
    let mail = Arc::new(Mail {
        account_id: queued.account_id,
        message_id: queued.message_id,
        sender_id: queued.sender_id,
        domain_id: queued.domain_id,
        tag: queued.tag,
        day: queued.day,
        accepted_at: queued.accepted_at,
        size_bytes: queued.size_bytes,
        recipient_count: queued.recipient_count,
        epoch,
        given: Mutex::new(given),
        prepared: tokio::sync::Mutex::default(),
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
            place: recipient.place,
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
