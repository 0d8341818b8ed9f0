//! How much is in memory: recipients and octets of content, both bounded whatever the queue's length.
//!
//! Mails handed over right after acceptance may fill three quarters of either bound; claims from the queue
//! may use the rest, so that a destination which fills the window cannot keep others out of it. What is
//! taken is given back by dropping the [`Slot`] or [`Room`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Recipients that one claim asks for.
const CLAIM_MAX: usize = 512;

/// The bounds and what of them is used.
#[derive(Debug)]
pub(crate) struct Window {
    recipients_max: usize,
    bytes_max: usize,
    recipients: AtomicUsize,
    bytes: AtomicUsize,
    freed: Notify,
    bytes_freed: Notify,
}

/// One recipient's place.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Window>);

/// A message's octets.
#[derive(Debug)]
pub(crate) struct Room(Arc<Window>, usize);

impl Room {
    pub(crate) fn bytes(&self) -> usize {
        self.1
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.leave(1);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.free(self.1);
    }
}

impl Window {
    pub(crate) fn new(recipients_max: usize, bytes_max: usize) -> Window {
        Window {
            recipients_max: recipients_max.max(64),
            bytes_max: bytes_max.max(1 << 20),
            recipients: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            freed: Notify::new(),
            bytes_freed: Notify::new(),
        }
    }

    pub(crate) fn recipients(&self) -> usize {
        self.recipients.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn recipients_max(&self) -> usize {
        self.recipients_max
    }

    /// Promises room for a mail that is about to be accepted; `false` when three quarters are taken.
    pub(crate) fn reserve(&self, recipients: usize, bytes: usize) -> bool {
        let fits = |used: &AtomicUsize, more: usize, max: usize| {
            let added = |now: usize| now.checked_add(more).filter(|sum| *sum <= max / 4 * 3);
            used.fetch_update(Ordering::AcqRel, Ordering::Relaxed, added).is_ok()
        };
        if !fits(&self.recipients, recipients, self.recipients_max) {
            return false;
        }
        if !fits(&self.bytes, bytes, self.bytes_max) {
            self.leave(recipients);
            return false;
        }
        true
    }

    /// Gives promised room back.
    pub(crate) fn release(&self, recipients: usize, bytes: usize) {
        self.leave(recipients);
        self.free(bytes);
    }

    /// The guard of a place that was promised or is part of a claim counted by [`Window::enter`].
    pub(crate) fn slot(self: &Arc<Window>) -> Slot {
        Slot(self.clone())
    }

    /// The guard of octets that were promised.
    pub(crate) fn room(self: &Arc<Window>, bytes: usize) -> Room {
        Room(self.clone(), bytes)
    }

    /// Counts recipients that were claimed. A claim may overshoot by what was promised meanwhile.
    pub(crate) fn enter(&self, recipients: usize) {
        self.recipients.fetch_add(recipients, Ordering::AcqRel);
    }

    /// Room for a content of so many octets, if it fits. Content larger than the whole bound is let in alone.
    pub(crate) fn try_room(self: &Arc<Window>, bytes: usize) -> Option<Room> {
        let added = |now: usize| (now == 0 || now + bytes <= self.bytes_max).then_some(now + bytes);
        self.bytes.fetch_update(Ordering::AcqRel, Ordering::Relaxed, added).ok().map(|_| self.room(bytes))
    }

    /// Completes when octets have become free, or could be by letting go of content ([`Window::content_unused`]).
    pub(crate) async fn bytes_freed(&self) {
        self.bytes_freed.notified().await;
    }

    /// A content is not being sent any more.
    pub(crate) fn content_unused(&self) {
        self.bytes_freed.notify_one();
    }

    /// How many recipients the next claim may ask for, and whether it may come at once (the window is less
    /// than half full) or only at the next look at the queue.
    pub(crate) fn claimable(&self) -> (usize, bool) {
        let used = self.recipients();
        let half = self.recipients_max / 2;
        if used < half && self.bytes() < self.bytes_max / 2 {
            ((self.recipients_max / 4 * 3 - used).min(CLAIM_MAX), true)
        } else {
            (self.recipients_max.saturating_sub(used).min(CLAIM_MAX / 2), false)
        }
    }

    /// Completes when places have become free.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn leave(&self, recipients: usize) {
        let before = self.recipients.fetch_sub(recipients, Ordering::AcqRel);
        let half = self.recipients_max / 2;
        if before >= half && before - recipients < half {
            self.freed.notify_one();
        }
    }

    fn free(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.bytes_freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acceptance_may_fill_three_quarters() {
        let window = Arc::new(Window::new(100, 4 << 20));
        assert!(window.reserve(75, 1));
        assert!(!window.reserve(1, 1));
        assert_eq!((window.recipients(), window.bytes()), (75, 1), "a refusal takes nothing");
        assert_eq!(window.claimable(), (25, false));
        window.release(75, 1);
        assert!(!window.reserve(1, 4 << 20), "octets are bounded too");
        assert_eq!((window.recipients(), window.bytes()), (0, 0));
        assert_eq!(window.claimable(), (75, true));
    }

    #[test]
    fn guards_give_back() {
        let window = Arc::new(Window::new(100, 4 << 20));
        assert!(window.reserve(2, 10));
        let (first, second, room) = (window.slot(), window.slot(), window.room(10));
        drop(first);
        assert_eq!(window.recipients(), 1);
        drop((second, room));
        assert_eq!((window.recipients(), window.bytes()), (0, 0));
    }

    #[test]
    fn content_larger_than_the_bound_is_let_in_alone() {
        let window = Arc::new(Window::new(100, 1 << 20));
        let first = window.try_room(2 << 20).expect("nothing else is there");
        assert!(window.try_room(10).is_none());
        drop(first);
        drop(window.try_room(10).expect("room"));
        assert_eq!(window.bytes(), 0);
    }
}
