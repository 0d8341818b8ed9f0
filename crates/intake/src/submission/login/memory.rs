//! Passwords that were found right, so that argon2id is paid for once and not at every connection.
//!
//! What is kept is an HMAC-SHA-256 under a key that lives and dies with the process, over user, password and the
//! stored hash. So memory holds nothing to guess passwords from once the process is gone, and an entry is void as
//! soon as the stored hash changes. Looking an HMAC up in a set need not be constant in time: without the key nobody
//! can choose what is looked up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;

/// Logins remembered; the oldest goes first.
const LOGINS_MAX: usize = 10_000;

type Mark = [u8; 32];

#[derive(Debug, Default)]
struct Marks {
    known: HashSet<Mark>,
    by_age: VecDeque<Mark>,
}

#[derive(Debug)]
pub(super) struct Memory {
    key: hmac::Key,
    marks: Mutex<Marks>,
}

impl Memory {
    pub(super) fn new() -> Result<Memory, Unspecified> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
        Ok(Memory { key, marks: Mutex::default() })
    }

    /// Whether this password of this user was found right against this stored hash.
    pub(super) fn knows(&self, user: &str, password: &str, stored_hash: &str) -> bool {
        let mark = self.mark(user, password, stored_hash);
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&mark)
    }

    pub(super) fn keep(&self, user: &str, password: &str, stored_hash: &str) {
        let mark = self.mark(user, password, stored_hash);
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        if !marks.known.insert(mark) {
            return;
        }
        marks.by_age.push_back(mark);
        if marks.by_age.len() > LOGINS_MAX
            && let Some(oldest) = marks.by_age.pop_front()
        {
            marks.known.remove(&oldest);
        }
    }

    fn mark(&self, user: &str, password: &str, stored_hash: &str) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, password, stored_hash] {
            // The lengths keep the parts apart whatever is in them.
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut mark = Mark::default();
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_login_is_known() {
        let memory = Memory::new().unwrap();
        memory.keep("a@b.example", "secret", "hash");
        assert!(memory.knows("a@b.example", "secret", "hash"));
        assert!(!memory.knows("a@b.example", "secret", "new hash"), "void when the stored hash changes");
        assert!(!memory.knows("a@b.example", "secre", "thash"), "parts do not run together");
        assert!(!memory.knows("c@b.example", "secret", "hash"));
        assert!(
            !Memory::new().unwrap().knows("a@b.example", "secret", "hash"),
            "another process, another key"
        );
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let memory = Memory::new().unwrap();
        for number in 0..=LOGINS_MAX {
            memory.keep(&number.to_string(), "p", "h");
            memory.keep(&number.to_string(), "p", "h");
        }
        assert!(!memory.knows("0", "p", "h"));
        assert!(memory.knows("1", "p", "h") && memory.knows(&LOGINS_MAX.to_string(), "p", "h"));
        assert_eq!(memory.marks.lock().unwrap().known.len(), LOGINS_MAX);
    }
}
