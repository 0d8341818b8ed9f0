//! Contents in memory: room for a content before it is read, and which contents can be let go of.
//!
//! A prepared content stays with its message while recipients of it wait, so that it is read and signed once. A
//! fast destination would so fill the memory with contents that wait only for a slow one. Hence each prepared
//! content is listed here; when room is wanted, those that nobody is sending just now are let go of, the
//! youngest first (a queue gets to them last), and made anew when their turn comes. Room is given in the
//! order of asking, so that a large content is not overtaken for ever by small ones, and never waited for
//! longer than a given instant: whoever waits holds a mail and a connection.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use crate::mail::Mail;
use crate::window::{Room, Window};

/// Entries of the list before those of messages that are gone are dropped.
const TIDY_MIN: usize = 256;
/// Contents come out of use without a notice, when a recipient is given back for example.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The prepared contents.
#[derive(Default)]
pub(crate) struct Contents {
    kept: Mutex<Kept>,
    /// Held by the one whose turn it is to get room.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Kept {
    mails: Vec<Weak<Mail>>,
    tidy_at: usize,
}

impl Contents {
    /// Lists a message whose content has been prepared.
    pub(crate) fn keep(&self, mail: &Arc<Mail>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.mails.len() >= kept.tidy_at.max(TIDY_MIN) {
            kept.mails.retain(|mail| mail.strong_count() > 0);
            kept.tidy_at = 2 * kept.mails.len();
        }
        kept.mails.push(Arc::downgrade(mail));
    }

    /// Room for so many octets; `None` when there is none until `deadline`.
    pub(crate) async fn room(&self, window: &Arc<Window>, bytes: usize, deadline: Instant) -> Option<Room> {
        let Ok(_turn) = timeout_at(deadline, self.turn.lock()).await else {
            // Whoever has the turn waits for more than is free; less may fit.
            return self.try_room(window, bytes);
        };
        loop {
            if let Some(room) = self.try_room(window, bytes) {
                return Some(room);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            // Either end is a reason to look again.
            let _ = timeout(left.min(LOOK_AGAIN), window.bytes_freed()).await;
        }
    }

    fn try_room(&self, window: &Arc<Window>, bytes: usize) -> Option<Room> {
        window.try_room(bytes).or_else(|| {
            self.let_go(bytes);
            window.try_room(bytes)
        })
    }

    /// Lets go of about so many octets that only wait.
    fn let_go(&self, bytes: usize) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut freed = 0;
        let mut at = kept.mails.len();
        while at > 0 && freed < bytes {
            at -= 1;
            let mail = kept.mails[at].upgrade();
            freed += mail.as_ref().map_or(0, |mail| mail.let_go());
            if mail.is_none_or(|mail| !mail.is_prepared()) {
                kept.mails.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::time::UnixMicros;
    use indicia_store::queue::{QueuedMail, QueuedRecipient};

    use super::*;
    use crate::mail::{Item, Prepared, items_of};

    const MEGABYTE: usize = 1 << 20;

    async fn prepared(contents: &Contents, window: &Arc<Window>, bytes: usize) -> Item {
        let recipient = QueuedRecipient {
            number: 0,
            address: "u@example.net".into(),
            domain: "example.net".into(),
            attempts: 0,
            place: None,
        };
        let mail = QueuedMail {
            account_id: 1,
            message_id: 1,
            sender_id: 1,
            domain_id: 1,
            day: 1,
            accepted_at: UnixMicros(0),
            size_bytes: bytes,
            recipient_count: 1,
            tag: "".into(),
            content: None,
            recipients: vec![recipient],
        };
        window.enter(1);
        let item = items_of(mail, window, 0).next().expect("one recipient");
        let room = window.try_room(bytes).expect("room");
        *item.mail.prepared.lock().await = Some(Arc::new(Prepared { chunks: vec![], smtputf8: false, room }));
        contents.keep(&item.mail);
        item
    }

    #[tokio::test]
    async fn what_only_waits_makes_room_and_what_is_being_sent_does_not() {
        let (contents, window) = (Contents::default(), Arc::new(Window::new(100, MEGABYTE)));
        let item = prepared(&contents, &window, MEGABYTE).await;
        let sending = item.mail.prepared.lock().await.clone();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(contents.room(&window, 10, soon()).await.is_none(), "the wait has an end");
        drop(sending);
        let room = contents.room(&window, 10, soon()).await.expect("nobody is sending it");
        assert_eq!(window.bytes(), 10);
        assert!(!item.mail.is_prepared());
        drop(room);
    }

    #[tokio::test]
    async fn a_large_content_is_not_overtaken_by_small_ones() {
        let (contents, window) = (Arc::new(Contents::default()), Arc::new(Window::new(100, MEGABYTE)));
        let first = window.try_room(MEGABYTE / 2).expect("room");
        let far = Instant::now() + Duration::from_secs(5);
        let large = tokio::spawn({
            let (contents, window) = (contents.clone(), window.clone());
            async move { contents.room(&window, MEGABYTE, far).await }
        });
        tokio::task::yield_now().await;
        let small = tokio::spawn({
            let (contents, window) = (contents.clone(), window.clone());
            async move { contents.room(&window, 10, far).await }
        });
        tokio::task::yield_now().await;
        assert!(!small.is_finished());
        drop(first);
        let large = large.await.expect("no panic").expect("room");
        assert_eq!(window.bytes(), MEGABYTE);
        drop(large);
        assert!(small.await.expect("no panic").is_some());
    }
}
