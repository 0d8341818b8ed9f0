//! Slows down who guesses passwords.
//!
//! Failures are counted for the user as that peer, for the peer whatever the user, and for the user whatever the
//! peer, with less patience in this order. A failed answer is held back a little longer each time; with patience
//! gone, no password is looked at for a while that doubles with every further failure.
//!
//! The third count stops those who guess from many addresses, but it must not lock the owner out: a peer that has
//! logged in as the user before is not measured by it. A right password clears the first count only, or one known
//! password would buy endless guesses at others.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::listener::limits::network_of;

/// The patience with failed logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimits {
    /// Failures of one user from one peer before a pause.
    pub failures_of_user_from_peer_max: u32,
    /// Failures of one peer, whatever the user, before a pause.
    pub failures_from_peer_max: u32,
    /// Failures of one user, whatever the peer, before a pause.
    pub failures_of_user_max: u32,
    /// How long the answer to a first failure is held back; doubled for each further one.
    pub delay_first: Duration,
    pub delay_max: Duration,
    /// The first pause; doubled by each further failure.
    pub pause_first: Duration,
    pub pause_max: Duration,
    /// Failures older than this count no more.
    pub forget_after: Duration,
    /// Users, peers and pairs remembered.
    pub entries_max: usize,
}

impl Default for LoginLimits {
    fn default() -> Self {
        LoginLimits {
            failures_of_user_from_peer_max: 5,
            failures_from_peer_max: 20,
            failures_of_user_max: 50,
            delay_first: Duration::from_millis(100),
            delay_max: Duration::from_secs(3),
            pause_first: Duration::from_secs(2),
            pause_max: Duration::from_secs(15 * 60),
            forget_after: Duration::from_secs(60 * 60),
            entries_max: 50_000,
        }
    }
}

/// A pause that still lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) left: Duration,
    /// It is for everything from this peer, not for the user alone.
    pub(super) is_for_peer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    UserFromPeer(String, IpAddr),
    Peer(IpAddr),
    User(String),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last_at: Instant,
    paused_until: Instant,
}

#[derive(Debug, Default)]
struct Table {
    failures: HashMap<Key, Failures>,
    /// Who has logged in as whom.
    familiar: HashSet<(String, IpAddr)>,
}

#[derive(Debug)]
pub(super) struct Throttle {
    limits: LoginLimits,
    table: Mutex<Table>,
}

impl Throttle {
    pub(super) fn new(limits: LoginLimits) -> Throttle {
        Throttle { limits, table: Mutex::default() }
    }

    /// The pause that a login of `user` from `peer` falls into, if it does.
    pub(super) fn pause(&self, user: &str, peer: IpAddr, now: Instant) -> Option<Pause> {
        let peer = network_of(peer);
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let familiar = table.familiar.contains(&(user.to_owned(), peer));
        let mut longest: Option<Pause> = None;
        for key in keys(user, peer) {
            if familiar && matches!(key, Key::User(_)) {
                continue;
            }
            let Some(failures) = table.failures.get(&key) else { continue };
            let left = failures.paused_until.saturating_duration_since(now);
            if !left.is_zero() && longest.is_none_or(|pause| left > pause.left) {
                longest = Some(Pause { left, is_for_peer: matches!(key, Key::Peer(_)) });
            }
        }
        longest
    }

    /// Notes a wrong password; returns how long the answer is to be held back.
    pub(super) fn failed(&self, user: &str, peer: IpAddr, now: Instant) -> Duration {
        let peer = network_of(peer);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut delay = Duration::ZERO;
        for key in keys(user, peer) {
            self.make_room(&mut table.failures, &key, now);
            let patience = self.patience(&key);
            let decides_delay = matches!(key, Key::UserFromPeer(..));
            let fresh = Failures { count: 0, last_at: now, paused_until: now };
            let failures = table.failures.entry(key).or_insert(fresh);
            if now.saturating_duration_since(failures.last_at) >= self.limits.forget_after {
                *failures = fresh;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last_at = now;
            if failures.count >= patience {
                let pause =
                    doubled(self.limits.pause_first, failures.count - patience, self.limits.pause_max);
                failures.paused_until = now + pause;
            }
            if decides_delay {
                delay = doubled(self.limits.delay_first, failures.count - 1, self.limits.delay_max);
            }
        }
        delay
    }

    /// Notes a right password.
    pub(super) fn succeeded(&self, user: &str, peer: IpAddr) {
        let peer = network_of(peer);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.failures.remove(&Key::UserFromPeer(user.to_owned(), peer));
        if table.familiar.len() >= self.limits.entries_max {
            table.familiar.clear();
        }
        table.familiar.insert((user.to_owned(), peer));
    }

    fn patience(&self, key: &Key) -> u32 {
        match key {
            Key::UserFromPeer(..) => self.limits.failures_of_user_from_peer_max,
            Key::Peer(_) => self.limits.failures_from_peer_max,
            Key::User(_) => self.limits.failures_of_user_max,
        }
        .max(1)
    }

    /// Drops what counts no more and, if that is not enough, whoever failed longest ago.
    fn make_room(&self, failures: &mut HashMap<Key, Failures>, key: &Key, now: Instant) {
        if failures.contains_key(key) || failures.len() < self.limits.entries_max {
            return;
        }
        failures.retain(|_, entry| now.saturating_duration_since(entry.last_at) < self.limits.forget_after);
        if failures.len() >= self.limits.entries_max {
            let oldest = failures.iter().min_by_key(|(_, entry)| entry.last_at).map(|(key, _)| key.clone());
            oldest.map(|oldest| failures.remove(&oldest));
        }
    }
}

fn keys(user: &str, peer: IpAddr) -> [Key; 3] {
    [Key::UserFromPeer(user.to_owned(), peer), Key::Peer(peer), Key::User(user.to_owned())]
}

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(31))).min(max)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: LoginLimits = LoginLimits {
        failures_of_user_from_peer_max: 3,
        failures_from_peer_max: 5,
        failures_of_user_max: 7,
        delay_first: Duration::from_millis(100),
        delay_max: Duration::from_millis(300),
        pause_first: Duration::from_secs(2),
        pause_max: Duration::from_secs(10),
        forget_after: Duration::from_secs(100),
        entries_max: 40,
    };
    const SECOND: Duration = Duration::from_secs(1);

    fn peer(number: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, number])
    }

    #[test]
    fn pauses_and_delays_grow_to_their_bounds() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        let mut delays = Vec::new();
        let mut pauses = Vec::new();
        for _ in 0..7 {
            delays.push(throttle.failed("a", peer(1), now).as_millis());
            pauses.push(throttle.pause("a", peer(1), now).map_or(0, |pause| pause.left.as_secs()));
        }
        assert_eq!(delays, [100, 200, 300, 300, 300, 300, 300]);
        assert_eq!(pauses, [0, 0, 2, 4, 8, 10, 10]);
        let later = now + 10 * SECOND;
        assert_eq!(throttle.pause("a", peer(1), later), None);
        throttle.failed("a", peer(1), later + 100 * SECOND);
        assert_eq!(throttle.pause("a", peer(1), later + 100 * SECOND), None, "old failures are forgotten");
    }

    #[test]
    fn a_right_password_elsewhere_is_not_kept_out() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for _ in 0..4 {
            throttle.failed("a", peer(1), now);
        }
        assert!(throttle.pause("a", peer(1), now).is_some());
        assert_eq!(throttle.pause("a", peer(2), now), None);
        assert_eq!(throttle.pause("b", peer(1), now), None);
    }

    #[test]
    fn a_peer_that_tries_many_users_is_paused_for_all_and_one_known_password_does_not_help() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for user in ["a", "b", "c", "d", "e"] {
            throttle.failed(user, peer(1), now);
        }
        throttle.succeeded("mine", peer(1));
        let pause = throttle.pause("mine", peer(1), now).expect("paused");
        assert!(pause.is_for_peer && pause.left == 2 * SECOND);
    }

    #[test]
    fn guessing_from_many_peers_pauses_the_user_but_not_for_a_familiar_peer() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        throttle.succeeded("a", peer(99));
        for number in 0..7 {
            throttle.failed("a", peer(number), now);
        }
        let pause = throttle.pause("a", peer(50), now).expect("paused");
        assert!(!pause.is_for_peer);
        assert_eq!(throttle.pause("a", peer(99), now), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let (throttle, now) = (Throttle::new(LIMITS), Instant::now());
        for number in 0..200 {
            throttle.failed(&number.to_string(), peer(number), now);
            throttle.succeeded(&number.to_string(), peer(number));
        }
        let table = throttle.table.lock().unwrap();
        assert!(table.failures.len() <= 40 && table.familiar.len() <= 40);
    }
}
