//! From which local address a connection is made.
//!
//! A mail that has a place at a dedicated address goes out by that and no other; every other goes out by one of the
//! shared addresses in turn, or, where none is configured for the family, by the one that the system chooses. An
//! address that is not on this machine, or not of the remote's family, is an operator's mistake and never the
//! mail's: what should have gone out by it goes out by a shared address at once.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

/// How long an address that could not be used is left alone, and between two warnings about it.
const SHUN_FOR: Duration = Duration::from_secs(60);
/// Addresses and destinations remembered before those whose time is over are dropped.
const SHUNNED_MAX: usize = 1_000;

/// Why a dedicated address could not be sent from.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("the local address {address} cannot be used on this machine: {reason}")]
    Unusable { address: IpAddr, reason: io::Error },
    #[error("the destination has no address of the family of {address}")]
    NoneOfItsFamily { address: IpAddr },
}

/// The shared addresses of a node. Clones share their turn.
#[derive(Debug, Clone, Default)]
pub struct LocalAddresses(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    next: AtomicUsize,
    failures: AtomicU64,
    unusable: Shunned,
}

impl LocalAddresses {
    /// With none of a family, the system chooses for it.
    pub fn new(addresses: impl IntoIterator<Item = IpAddr>) -> LocalAddresses {
        let (v4, v6) = addresses.into_iter().partition(IpAddr::is_ipv4);
        LocalAddresses(Arc::new(Shared { v4, v6, ..Shared::default() }))
    }

    /// A socket that connects to `remote` from the address whose turn it is; from another when that cannot be used.
    pub(crate) fn socket(&self, remote: SocketAddr) -> io::Result<TcpSocket> {
        let addresses = if remote.is_ipv4() { &self.0.v4 } else { &self.0.v6 };
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed);
        for offset in 0..addresses.len() {
            let address = addresses[(turn + offset) % addresses.len()];
            if self.0.unusable.has("", address) {
                continue;
            }
            match bound(remote, address) {
                Ok(socket) => return Ok(socket),
                Err(reason) => {
                    self.0.failures.fetch_add(1, Ordering::Relaxed);
                    self.0.unusable.add("", address);
                    let error = SourceError::Unusable { address, reason };
                    tracing::warn!(%error, "a shared address is left out for a minute");
                }
            }
        }
        unbound(remote)
    }

    /// How often an address could not be used since this was last asked.
    pub(crate) fn take_failures(&self) -> u64 {
        self.0.failures.swap(0, Ordering::Relaxed)
    }
}

/// A socket that connects to `remote` from `address`.
pub(crate) fn dedicated_socket(remote: SocketAddr, address: IpAddr) -> Result<TcpSocket, SourceError> {
    if remote.is_ipv4() != address.is_ipv4() {
        return Err(SourceError::NoneOfItsFamily { address });
    }
    bound(remote, address).map_err(|reason| SourceError::Unusable { address, reason })
}

fn unbound(remote: SocketAddr) -> io::Result<TcpSocket> {
    if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

fn bound(remote: SocketAddr, address: IpAddr) -> io::Result<TcpSocket> {
    let socket = unbound(remote)?;
    socket.bind(SocketAddr::new(address, 0))?;
    Ok(socket)
}

/// Addresses that are left alone for a while, each for one destination or (the empty name) for all.
#[derive(Debug, Default)]
pub(crate) struct Shunned(Mutex<HashMap<(Arc<str>, IpAddr), Instant>>);

impl Shunned {
    fn entries(&self) -> MutexGuard<'_, HashMap<(Arc<str>, IpAddr), Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, destination: &str, address: IpAddr) -> bool {
        let entries = self.entries();
        let is_in = |destination: &str| {
            entries.get(&(destination.into(), address)).is_some_and(|until| Instant::now() < *until)
        };
        // Nearly always nothing is shunned.
        !entries.is_empty() && (is_in("") || is_in(destination))
    }

    /// `false`: it was shunned already.
    pub(crate) fn add(&self, destination: &str, address: IpAddr) -> bool {
        let now = Instant::now();
        let mut entries = self.entries();
        if entries.len() >= SHUNNED_MAX {
            entries.retain(|_, until| now < *until);
        }
        let before = entries.insert((destination.into(), address), now + SHUN_FOR);
        before.is_none_or(|until| until <= now)
    }

    /// Remembers that a destination cannot be sent to from an address, and says whether that is news.
    pub(crate) fn note(&self, destination: &str, error: &SourceError) -> bool {
        match error {
            SourceError::Unusable { address, .. } => self.add("", *address),
            SourceError::NoneOfItsFamily { address } => self.add(destination, *address),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const REMOTE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 25);

    fn local(last: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    fn used(addresses: &LocalAddresses) -> IpAddr {
        addresses.socket(REMOTE).and_then(|socket| socket.local_addr()).expect("a socket").ip()
    }

    #[tokio::test]
    async fn shared_addresses_take_turns() {
        let addresses = LocalAddresses::new([local(2), local(3), "::1".parse().expect("IPv6")]);
        let turns: Vec<IpAddr> = (0..4).map(|_| used(&addresses)).collect();
        assert_eq!(turns, [local(2), local(3), local(2), local(3)]);
        assert!(used(&LocalAddresses::default()).is_unspecified(), "the system chooses");
    }

    #[tokio::test]
    async fn a_shared_address_of_another_machine_is_passed_over() {
        let foreign = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
        let addresses = LocalAddresses::new([foreign, local(2)]);
        assert_eq!([used(&addresses), used(&addresses), used(&addresses)], [local(2); 3]);
        assert_eq!((addresses.take_failures(), addresses.take_failures()), (1, 0));
        assert!(used(&LocalAddresses::new([foreign])).is_unspecified());
    }

    #[test]
    fn a_dedicated_address_has_to_fit_the_remote() {
        let error = dedicated_socket(REMOTE, "::1".parse().expect("IPv6")).expect_err("another family");
        assert!(matches!(error, SourceError::NoneOfItsFamily { .. }), "{error}");
    }

    #[test]
    fn what_is_shunned_for_one_destination_is_not_for_another() {
        let shunned = Shunned::default();
        let error = SourceError::NoneOfItsFamily { address: local(2) };
        assert!(shunned.note("a:25", &error) && !shunned.note("a:25", &error), "news once");
        assert!(shunned.has("a:25", local(2)) && !shunned.has("b:25", local(2)));
        let error =
            SourceError::Unusable { address: local(3), reason: io::ErrorKind::AddrNotAvailable.into() };
        assert!(shunned.note("a:25", &error));
        assert!(shunned.has("b:25", local(3)) && !shunned.has("b:25", local(4)));
    }
}
