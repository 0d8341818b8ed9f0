//! Which parts of which texts the message centre has.
//!
//! Kept in memory, over retries and over sessions, for the last [`TEXTS_MAX`] texts: a retry sends only what is missing,
//! and a text that was taken whole is not sent again when its caller asks once more (because it could not write the
//! outcome down, say). A part is *in flight* from before it is written until its answer, or the end of the
//! session that carried it; while it is, nobody sends it a second time.
//!
//! What is lost with the process is this memory, and with it the knowledge of parts taken but not yet noted by the
//! caller. So a text whose submission was cut off by a crash is sent again whole.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Texts remembered; the oldest are forgotten first.
pub(super) const TEXTS_MAX: usize = 4096;

/// One part's place: the text's reference, and the part's index from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartKey {
    pub reference: i64,
    pub index: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Missing,
    InFlight,
    Taken(String),
}

struct Entry {
    fingerprint: u64,
    parts: Vec<Part>,
}

#[derive(Default)]
struct Texts {
    entries: HashMap<i64, Entry>,
    oldest_first: VecDeque<i64>,
}

#[derive(Default)]
pub(super) struct Progress(Mutex<Texts>);

/// What may be done about a part now.
pub(super) enum Claim {
    /// The message centre has it, under this id.
    Taken(String),
    /// It is on its way; its answer is not known yet.
    InFlight,
    /// It is the claimant's to send.
    Send(Flight),
}

/// A part on its way. Dropped without [`Flight::taken`], the part is missing again.
pub(super) struct Flight {
    progress: Arc<Progress>,
    key: PartKey,
}

impl Progress {
    fn texts(&self) -> MutexGuard<'_, Texts> {
        // No code under this lock can leave the map half changed, so a panic elsewhere spoils nothing.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for a text, if it is not known yet. A reference that comes with another text than before
    /// starts anew.
    pub fn begin(&self, reference: i64, fingerprint: u64, parts: usize) {
        let mut texts = self.texts();
        let known = texts.entries.get(&reference).map(|entry| (entry.fingerprint, entry.parts.len()));
        if known == Some((fingerprint, parts)) {
            return;
        }
        texts.entries.insert(reference, Entry { fingerprint, parts: vec![Part::Missing; parts] });
        if known.is_none() {
            texts.oldest_first.push_back(reference);
        }
        if texts.oldest_first.len() > TEXTS_MAX
            && let Some(oldest) = texts.oldest_first.pop_front()
        {
            texts.entries.remove(&oldest);
        }
    }

    pub fn claim(self: &Arc<Self>, key: PartKey) -> Claim {
        let mut texts = self.texts();
        if let Some(part) = texts.part(key) {
            match part {
                Part::Taken(id) => return Claim::Taken(id.clone()),
                Part::InFlight => return Claim::InFlight,
                Part::Missing => *part = Part::InFlight,
            }
        }
        Claim::Send(Flight { progress: self.clone(), key })
    }

    fn set(&self, key: PartKey, to: Part) {
        if let Some(part) = self.texts().part(key)
            && *part == Part::InFlight
        {
            *part = to;
        }
    }
}

impl Texts {
    fn part(&mut self, key: PartKey) -> Option<&mut Part> {
        self.entries.get_mut(&key.reference)?.parts.get_mut(key.index)
    }
}

impl Flight {
    pub fn key(&self) -> PartKey {
        self.key
    }

    /// The message centre has the part.
    pub fn taken(self, id: &str) {
        self.progress.set(self.key, Part::Taken(id.to_owned()));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.progress.set(self.key, Part::Missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(index: usize) -> PartKey {
        PartKey { reference: 7, index }
    }

    fn flight(claim: Claim) -> Flight {
        match claim {
            Claim::Send(flight) => flight,
            Claim::Taken(_) | Claim::InFlight => panic!("the part is not to be sent"),
        }
    }

    #[test]
    fn a_part_is_sent_by_one_at_a_time_and_not_after_it_was_taken() {
        let progress = Arc::new(Progress::default());
        progress.begin(7, 1, 2);
        let first = flight(progress.claim(key(0)));
        assert!(matches!(progress.claim(key(0)), Claim::InFlight));
        drop(first);
        flight(progress.claim(key(0))).taken("a");
        progress.begin(7, 1, 2);
        assert!(matches!(progress.claim(key(0)), Claim::Taken(id) if id == "a"));
        drop(flight(progress.claim(key(1))));
    }

    #[test]
    fn another_text_under_the_same_reference_starts_anew() {
        let progress = Arc::new(Progress::default());
        progress.begin(7, 1, 1);
        flight(progress.claim(key(0))).taken("a");
        progress.begin(7, 2, 1);
        drop(flight(progress.claim(key(0))));
    }

    #[test]
    fn the_memory_is_bounded_and_forgets_the_oldest() {
        let progress = Arc::new(Progress::default());
        for reference in 0..=(TEXTS_MAX as i64) {
            progress.begin(reference, 1, 1);
            flight(progress.claim(PartKey { reference, index: 0 })).taken("a");
        }
        let texts = progress.texts();
        assert_eq!((texts.entries.len(), texts.oldest_first.len()), (TEXTS_MAX, TEXTS_MAX));
        assert!(!texts.entries.contains_key(&0) && texts.entries.contains_key(&1));
    }
}
