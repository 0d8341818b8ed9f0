//! Identities: 63-bit numbers that grow with time and are unique without asking anyone.
//!
//! ```text
//!   62            22 21       12 11        0
//!  | milliseconds   | node       | sequence |     41 bits from 2020-01-01, 10 bits, 12 bits
//! ```
//! A node's number is its own while it lives (the store hands it out); the sequence never goes back within a
//! process, even when the clock does. Because ids grow with time, a range of instants is a range of ids.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::UnixMicros;

/// 2020-01-01T00:00:00Z in milliseconds since the Unix epoch.
const EPOCH_MILLIS: i64 = 1_577_836_800_000;
const NODE_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
/// How many nodes can have a number at one time.
pub const NODES_MAX: i64 = 1 << NODE_BITS;

/// Makes ids for one node.
#[derive(Debug)]
pub struct IdSource {
    node: i64,
    /// Milliseconds and sequence of the last id, as one number.
    last: AtomicI64,
}

impl IdSource {
    /// `node` is taken modulo [`NODES_MAX`].
    pub fn new(node: i64) -> Self {
        IdSource { node: node.rem_euclid(NODES_MAX), last: AtomicI64::new(0) }
    }

    /// The next id: later than all before it, and not before `now`.
    pub fn next(&self, now: UnixMicros) -> i64 {
        let fresh = (now.millis() - EPOCH_MILLIS).max(0) << SEQUENCE_BITS;
        let mut seen = self.last.load(Ordering::Relaxed);
        loop {
            let next = fresh.max(seen + 1);
            match self.last.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return compose(next, self.node),
                Err(other) => seen = other,
            }
        }
    }
}

fn compose(ticks: i64, node: i64) -> i64 {
    let millis = ticks >> SEQUENCE_BITS;
    let sequence = ticks & ((1 << SEQUENCE_BITS) - 1);
    (millis << (NODE_BITS + SEQUENCE_BITS)) | (node << SEQUENCE_BITS) | sequence
}

/// The smallest id that can have been made at or after `at`: the bound for a range of instants.
pub fn first_id_at(at: UnixMicros) -> i64 {
    (at.millis() - EPOCH_MILLIS).clamp(0, (1 << 41) - 1) << (NODE_BITS + SEQUENCE_BITS)
}

/// When an id was made, to the millisecond.
pub fn made_at(id: i64) -> UnixMicros {
    UnixMicros(((id >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MILLIS) * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_even_when_the_clock_goes_back() {
        let ids = IdSource::new(3);
        let now = UnixMicros(1_795_000_000_000_000);
        let first = ids.next(now);
        let second = ids.next(now.plus_micros(-5_000_000));
        assert!(second > first);
        assert_eq!(made_at(first), now);
    }

    #[test]
    fn two_nodes_never_share_an_id() {
        let (a, b) = (IdSource::new(1), IdSource::new(2));
        let now = UnixMicros(1_795_000_000_000_000);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(a.next(now)) && seen.insert(b.next(now)));
        }
    }

    #[test]
    fn a_range_of_instants_is_a_range_of_ids() {
        let ids = IdSource::new(NODES_MAX - 1);
        let now = UnixMicros(1_795_000_000_123_000);
        let id = ids.next(now);
        assert!(first_id_at(now) <= id && id < first_id_at(now.plus_micros(1_000)));
    }

    #[test]
    fn ids_are_positive_before_their_epoch_and_far_after() {
        assert!(IdSource::new(0).next(UnixMicros(0)) > 0);
        assert!(first_id_at(UnixMicros(i64::MAX)) > 0);
    }
}
