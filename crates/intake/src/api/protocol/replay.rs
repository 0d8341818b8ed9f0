//! The replay guard: each nonce of an access key works once.
//!
//! A signed request is good for 15 minutes on either side of its own date, so its nonce is remembered until
//! that date plus 15 minutes: after this the date itself is refused. Nonces are kept as 128-bit digests in buckets
//! of one minute of expiry, so that forgetting costs one bucket and not one entry at a time. Both the number
//! for each key and the number in all are bounded; at the bound a request is told to come back later, because
//! accepting it unguarded would let whoever fills the guard replay at will.
//!
//! The guard lives in memory: requests signed before a restart, or sent to another node, are not known to it.
//! What must not happen twice across those is protected by the idempotency key (R26).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use sha2::{Digest, Sha256};

/// How far a request's date may be from ours, either way.
pub const TOLERANCE_MICROS: i64 = 15 * MINUTE_MICROS;

/// What the guard says to a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fresh,
    Replayed,
    /// No more can be remembered for this key (or in all) before `retry_after_ms` have passed.
    Full {
        retry_after_ms: u64,
    },
}

/// Remembers nonces.
#[derive(Debug)]
pub struct ReplayGuard {
    nonces_per_key_max: usize,
    nonces_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: HashMap<String, KeyNonces>,
    total: usize,
    swept_minute: i64,
}

#[derive(Debug, Default)]
struct KeyNonces {
    seen: HashSet<u128>,
    by_expiry_minute: BTreeMap<i64, Vec<u128>>,
}

impl Default for ReplayGuard {
    /// Room for a key that calls 200 times a second for the whole 30 minutes, and for several such keys.
    fn default() -> Self {
        ReplayGuard::new(400_000, 2_000_000)
    }
}

impl ReplayGuard {
    pub fn new(nonces_per_key_max: usize, nonces_max: usize) -> Self {
        ReplayGuard { nonces_per_key_max, nonces_max, state: Mutex::default() }
    }

    /// Notes the nonce of a request whose signature has been verified. `dated` is the request's own date.
    pub fn admit(&self, access_key_id: &str, nonce: &str, dated: UnixMicros, now: UnixMicros) -> Verdict {
        let digest = digest(nonce);
        let expiry_minute = dated.plus_micros(TOLERANCE_MICROS).0.div_euclid(MINUTE_MICROS) + 1;
        let now_minute = now.0.div_euclid(MINUTE_MICROS);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.sweep(now_minute);
        let total = state.total;
        let entry = state.keys.entry(access_key_id.to_owned()).or_default();
        if entry.seen.contains(&digest) {
            return Verdict::Replayed;
        }
        if entry.seen.len() >= self.nonces_per_key_max || total >= self.nonces_max {
            return Verdict::Full { retry_after_ms: 60_000 };
        }
        entry.seen.insert(digest);
        entry.by_expiry_minute.entry(expiry_minute).or_default().push(digest);
        state.total += 1;
        Verdict::Fresh
    }

    /// How many nonces are remembered.
    pub fn len(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn sweep(&mut self, now_minute: i64) {
        if self.swept_minute == now_minute {
            return;
        }
        self.swept_minute = now_minute;
        let mut forgotten = 0;
        self.keys.retain(|_, key| {
            let kept = key.by_expiry_minute.split_off(&now_minute);
            for digest in std::mem::replace(&mut key.by_expiry_minute, kept).into_values().flatten() {
                key.seen.remove(&digest);
                forgotten += 1;
            }
            !key.seen.is_empty()
        });
        self.total -= forgotten;
    }
}

fn digest(nonce: &str) -> u128 {
    let hash = Sha256::digest(nonce.as_bytes());
    let mut first = [0u8; 16];
    first.copy_from_slice(&hash[..16]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_795_000_000_000_000);

    #[test]
    fn a_nonce_works_once_for_each_key() {
        let guard = ReplayGuard::default();
        assert_eq!(guard.admit("a", "n", NOW, NOW), Verdict::Fresh);
        assert_eq!(guard.admit("a", "n", NOW, NOW), Verdict::Replayed);
        assert_eq!(guard.admit("b", "n", NOW, NOW), Verdict::Fresh);
    }

    #[test]
    fn a_nonce_is_kept_as_long_as_its_date_is_good() {
        let guard = ReplayGuard::default();
        let dated = NOW.plus_micros(TOLERANCE_MICROS);
        assert_eq!(guard.admit("a", "n", dated, NOW), Verdict::Fresh);
        let last = dated.plus_micros(TOLERANCE_MICROS);
        assert_eq!(guard.admit("a", "n", dated, last), Verdict::Replayed);
        guard.admit("b", "other", last, last.plus_micros(2 * MINUTE_MICROS));
        assert_eq!(guard.len(), 1, "the expired nonce is forgotten");
    }

    #[test]
    fn at_the_bound_it_refuses_and_does_not_forget() {
        let guard = ReplayGuard::new(2, 3);
        for (key, nonce) in [("a", "1"), ("a", "2"), ("b", "1")] {
            assert_eq!(guard.admit(key, nonce, NOW, NOW), Verdict::Fresh);
        }
        assert!(matches!(guard.admit("a", "3", NOW, NOW), Verdict::Full { .. }), "the key's bound");
        assert!(matches!(guard.admit("b", "2", NOW, NOW), Verdict::Full { .. }), "the bound of all");
        assert_eq!(guard.admit("a", "1", NOW, NOW), Verdict::Replayed);
    }
}
