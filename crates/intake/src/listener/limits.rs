//! How many connections there may be, in all and from one peer, and how much content they may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bounds on connections and on the time they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at once, over all listeners of the service.
    pub connections_max: usize,
    /// Connections at once from one peer: an IPv4 address or an IPv6 /64.
    pub connections_per_peer_max: usize,
    /// Octets of unfinished messages over all connections: what a flood of large messages may take of the memory.
    pub content_bytes_max: usize,
    /// Silence after which a connection is closed (RFC 5321 4.5.3.2.7: at least 5 minutes).
    pub idle_timeout: Duration,
    /// Time within which a connection must begin a message, and a message that was begun be there: what ends a
    /// sender that trickles octets, or keeps a connection busy with nothing.
    pub message_timeout: Duration,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// At a stop: time for messages in flight before their connections are cut.
    pub grace: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            connections_max: 2_000,
            connections_per_peer_max: 200,
            content_bytes_max: 256 * 1_024 * 1_024,
            idle_timeout: Duration::from_secs(5 * 60),
            message_timeout: Duration::from_secs(20 * 60),
            handshake_timeout: Duration::from_secs(30),
            grace: Duration::from_secs(20),
        }
    }
}

/// Why a connection is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    Server,
    Peer,
}

impl Full {
    /// For metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Full::Server => "server_full",
            Full::Peer => "peer_full",
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Peers without a connection are not kept, so this is never larger than `all`.
    by_peer: HashMap<IpAddr, usize>,
}

/// The connections that there are.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    counts: Arc<Mutex<Counts>>,
    limits: ConnectionLimits,
}

/// One connection's place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    counts: Arc<Mutex<Counts>>,
    network: IpAddr,
}

impl Slots {
    pub(crate) fn new(limits: ConnectionLimits) -> Slots {
        Slots { counts: Arc::default(), limits }
    }

    pub(crate) fn take(&self, peer: IpAddr) -> Result<Slot, Full> {
        let network = network_of(peer);
        let mut counts = lock(&self.counts);
        if counts.all >= self.limits.connections_max {
            return Err(Full::Server);
        }
        let from_peer = counts.by_peer.get(&network).copied().unwrap_or(0);
        if from_peer >= self.limits.connections_per_peer_max {
            return Err(Full::Peer);
        }
        counts.all += 1;
        counts.by_peer.insert(network, from_peer + 1);
        Ok(Slot { counts: self.counts.clone(), network })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = lock(&self.counts);
        counts.all -= 1;
        if let Some(from_peer) = counts.by_peer.get_mut(&self.network) {
            *from_peer -= 1;
            if *from_peer == 0 {
                counts.by_peer.remove(&self.network);
            }
        }
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The octets of unfinished messages that all connections hold together.
#[derive(Clone, Debug)]
pub(crate) struct ContentBudget {
    held_bytes: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// One connection's part of it; given back when dropped.
#[derive(Debug)]
pub(crate) struct HeldContent {
    budget: ContentBudget,
    bytes: usize,
    /// What is beyond the largest message is read but not kept.
    message_bytes_max: usize,
}

impl ContentBudget {
    pub(crate) fn new(bytes_max: usize) -> ContentBudget {
        ContentBudget { held_bytes: Arc::default(), bytes_max }
    }

    pub(crate) fn share(&self, message_bytes_max: u64) -> HeldContent {
        let message_bytes_max = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
        HeldContent { budget: self.clone(), bytes: 0, message_bytes_max }
    }
}

impl HeldContent {
    /// Holds so many octets more; `false` when that is more than there may be.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let bytes = bytes.min(self.message_bytes_max.saturating_sub(self.bytes));
        self.bytes += bytes;
        // Only the sum matters, and nothing else is read by its help.
        let before = self.budget.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        before + bytes <= self.budget.bytes_max
    }

    pub(crate) fn release(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes > 0 {
            self.budget.held_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for HeldContent {
    fn drop(&mut self) {
        self.release();
    }
}

/// What counts as one peer: an IPv4 address, or the /64 that one IPv6 host or household is given.
pub(crate) fn network_of(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_per_peer_and_in_all_and_come_back() {
        let limits =
            ConnectionLimits { connections_max: 3, connections_per_peer_max: 2, ..Default::default() };
        let slots = Slots::new(limits);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let first = slots.take(one).unwrap();
        let _second = slots.take(one).unwrap();
        assert_eq!(slots.take(one).unwrap_err(), Full::Peer);
        let _third = slots.take(other).unwrap();
        assert_eq!(slots.take(other).unwrap_err(), Full::Server);
        drop(first);
        let again = slots.take(one).unwrap();
        drop(again);
        assert_eq!(lock(&slots.counts).by_peer.len(), 2);
    }

    #[test]
    fn held_content_is_bounded_and_given_back() {
        let budget = ContentBudget::new(100);
        let (mut one, mut other) = (budget.share(1_000), budget.share(1_000));
        assert!(one.grow(60) && other.grow(40));
        assert!(!one.grow(1));
        drop(other);
        assert!(one.grow(39));
        one.release();
        one.release();
        assert!(one.grow(100));
        drop(one);
        let mut small = budget.share(30);
        assert!(small.grow(20) && small.grow(500) && small.grow(500));
        assert_eq!(budget.held_bytes.load(Ordering::Relaxed), 30);
        drop(small);
        assert_eq!(budget.held_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn an_ipv6_peer_is_its_64_and_a_mapped_one_its_ipv4() {
        let of = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
