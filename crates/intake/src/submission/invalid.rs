//! Recipients that a list refuses (the libraries of invalid addresses, the block list), told at RCPT so that the
//! client learns which.
//!
//! Admission looks again, in the transaction that accepts, and is what counts; this look is a courtesy. So it may
//! be skipped for an account that has no entries and while no address is refused for all, which saves the hot path
//! a query for each recipient. Both answers are remembered for a moment; entries made by this very process are seen
//! at once, those of other nodes when the moment is over.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicia_store::invalid::Listed;
use indicia_store::{Store, StoreError};

use super::senders::Originator;
use crate::cache::{Cache, TIME_TO_LIVE};

const ACCOUNTS_KEPT_MAX: usize = 10_000;
/// How long the answer for all accounts is good: it may read the whole library.
const SHARED_TIME_TO_LIVE: Duration = Duration::from_secs(30);

pub(super) struct RecipientLists {
    store: Store,
    /// Accounts without entries, as of a version of the lists.
    empty: Cache<i64, u64>,
    /// Whether anything is refused for all, and when that was asked.
    shared: Mutex<Option<(Instant, bool)>>,
}

impl RecipientLists {
    pub(super) fn new(store: Store) -> RecipientLists {
        RecipientLists { store, empty: Cache::new(TIME_TO_LIVE, ACCOUNTS_KEPT_MAX), shared: Mutex::default() }
    }

    /// Which list refuses mail of the originator to the address with this key (see `Recipient::key`), if one does.
    pub(super) async fn refusal(
        &self,
        originator: &Originator,
        key: impl FnOnce() -> String,
    ) -> Result<Option<Listed>, StoreError> {
        let sender = &originator.sender;
        if self.is_empty_for(sender.account_id).await? && !self.has_shared().await? {
            return Ok(None);
        }
        self.store.listed(sender.account_id, sender.sender_id, &originator.mail_from, &key()).await
    }

    async fn is_empty_for(&self, account_id: i64) -> Result<bool, StoreError> {
        // Taken before the query: an entry made meanwhile makes this answer void.
        let version = self.store.invalid_library_version();
        if self.empty.get(&account_id) == Some(version) {
            return Ok(true);
        }
        let is_empty = !self.store.has_lists(account_id).await?;
        if is_empty {
            self.empty.put(account_id, version);
        }
        Ok(is_empty)
    }

    async fn has_shared(&self) -> Result<bool, StoreError> {
        let known = *self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked_at, answer)) = known
            && asked_at.elapsed() < SHARED_TIME_TO_LIVE
        {
            return Ok(answer);
        }
        let answer = self.store.has_shared_invalid_addresses().await?;
        *self.shared.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer));
        Ok(answer)
    }
}
