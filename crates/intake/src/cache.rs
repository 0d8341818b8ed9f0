//! Answers of the database that are good for a moment, so that a busy connection does not ask for every mail.
//!
//! Whoever keeps answers here keeps good news only, or trusts the good ones only: what was refused is asked again, so
//! that whatever its owner does about it works at once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer is good to a submission: what an owner takes back (a deleted address, a changed password) takes
/// effect after so much time.
pub(crate) const TIME_TO_LIVE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    time_to_live: Duration,
    entries_max: usize,
    entries: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(time_to_live: Duration, entries_max: usize) -> Self {
        Cache { time_to_live, entries_max, entries: Mutex::default() }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .get(key)
            .filter(|(kept_at, _)| kept_at.elapsed() < self.time_to_live)
            .map(|(_, value)| value.clone())
    }

    pub(crate) fn put(&self, key: K, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= self.entries_max {
            entries.retain(|_, (kept_at, _)| kept_at.elapsed() < self.time_to_live);
            if entries.len() >= self.entries_max {
                entries.clear();
            }
        }
        entries.insert(key, (Instant::now(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_good_for_its_time_and_the_table_is_bounded() {
        let cache: Cache<String, u32> = Cache::new(Duration::from_secs(60), 2);
        cache.put("a".to_owned(), 1);
        assert_eq!((cache.get("a"), cache.get("b")), (Some(1), None));
        cache.put("b".to_owned(), 2);
        cache.put("c".to_owned(), 3);
        assert_eq!((cache.get("a"), cache.get("c")), (None, Some(3)));
        let lapsed: Cache<String, u32> = Cache::new(Duration::ZERO, 2);
        lapsed.put("a".to_owned(), 1);
        assert_eq!(lapsed.get("a"), None);
    }
}
