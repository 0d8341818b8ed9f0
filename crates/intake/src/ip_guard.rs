//! Who may act for an account from where: IP protection at the API and at submission.
//!
//! An account's protection is remembered for [`TIME_TO_LIVE`], so that the hot path asks the database once in that time
//! and not for every call. A change made by this very process counts at once; one made by another node or by the
//! command line counts when the time is over. Only a remembered "yes" is believed: before anybody is refused the
//! database is asked, so that switching protection off or adding an address works at once everywhere.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use indicia_domain::ip_filter::IpProtection;
use indicia_store::{Store, StoreError};

use crate::cache::Cache;

/// For so long a node may still admit what another has just forbidden.
const TIME_TO_LIVE: Duration = Duration::from_secs(3);
const ACCOUNTS_KEPT_MAX: usize = 20_000;

pub(crate) struct IpGuard {
    store: Store,
    /// With the version of the protections that this process has changed.
    known: Cache<i64, (u64, Arc<IpProtection>)>,
}

impl IpGuard {
    pub(crate) fn new(store: Store) -> IpGuard {
        IpGuard { store, known: Cache::new(TIME_TO_LIVE, ACCOUNTS_KEPT_MAX) }
    }

    /// Whether a peer may act for the account. One whose address is not known may not while protection is on.
    pub(crate) async fn admits(&self, account_id: i64, peer: Option<IpAddr>) -> Result<bool, StoreError> {
        // Taken before the query: a change made meanwhile makes its answer void.
        let version = self.store.ip_protection_version();
        if let Some((of_version, protection)) = self.known.get(&account_id)
            && of_version == version
            && protection.admits(peer)
        {
            return Ok(true);
        }
        let protection = Arc::new(self.store.ip_protection(account_id).await?);
        let admits = protection.admits(peer);
        self.known.put(account_id, (version, protection));
        Ok(admits)
    }
}

#[cfg(test)]
mod tests {
    use indicia_domain::time::{Clock, ManualClock, UnixMicros};
    use indicia_store::account::NewAccount;
    use indicia_store::audit::Actor;

    use super::*;

    #[tokio::test]
    async fn what_this_process_changes_counts_at_once_and_a_refusal_is_never_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(UnixMicros(1_795_320_000_000_000)));
        let open = async || Store::open("sqlite", dir.path(), clock.clone() as Arc<dyn Clock>).await.unwrap();
        let (store, elsewhere) = (open().await, open().await);
        let new = NewAccount {
            name: "A".into(),
            email: "a@example.org".into(),
            phone: String::new(),
            zone: "UTC".into(),
            password_hash: String::new(),
            access_key_id: "ak".into(),
            access_key_secret: "secret".into(),
        };
        let account_id = store.create_account(&new, &Default::default()).await.unwrap();
        let guard = IpGuard::new(store.clone());
        let (home, away) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([198, 51, 100, 1])));
        let actor = Actor::system("test");
        assert!(guard.admits(account_id, away).await.unwrap());
        store.add_ip_filter(account_id, "192.0.2.0/24".parse().unwrap(), &actor).await.unwrap();
        store.set_ip_protection(account_id, true, &actor).await.unwrap();
        assert!(!guard.admits(account_id, away).await.unwrap(), "our own change");
        assert!(!guard.admits(account_id, None).await.unwrap(), "nobody knows from where");
        assert!(guard.admits(account_id, home).await.unwrap());
        elsewhere.set_ip_protection(account_id, false, &actor).await.unwrap();
        assert!(guard.admits(account_id, away).await.unwrap(), "the way back in is open at once");
        elsewhere.set_ip_protection(account_id, true, &actor).await.unwrap();
        assert!(guard.admits(account_id, away).await.unwrap(), "another node's change counts a little later");
        tokio::time::sleep(TIME_TO_LIVE + Duration::from_millis(100)).await;
        assert!(!guard.admits(account_id, away).await.unwrap());
    }
}
