//! Which key signs for a sending domain, remembered for a short while, so that a rotated key is used soon.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicia_store::StoreError;

use crate::dkim::{DkimError, Signer, Signers};
use crate::spool::Spool;

const REMEMBERED_FOR: Duration = Duration::from_secs(30);
/// Domains remembered; when full, all are read again on demand.
const DOMAINS_MAX: usize = 4096;

/// Why a mail has no signer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("the key of the sending domain could not be read: {0}")]
    Store(#[from] StoreError),
    #[error("the sending domain {domain_id} of account {account_id} is gone, and its key with it")]
    NoDomain { account_id: i64, domain_id: i64 },
    #[error(transparent)]
    Key(#[from] DkimError),
}

/// (account id, domain id).
type DomainKey = (i64, i64);

/// Signers by sending domain.
#[derive(Default)]
pub(crate) struct Identities {
    known: Mutex<HashMap<DomainKey, (Instant, Arc<Signer>)>>,
    pub signers: Signers,
}

impl Identities {
    /// The signer for a sending domain.
    pub(crate) async fn signer(
        &self,
        spool: &dyn Spool,
        account_id: i64,
        domain_id: i64,
    ) -> Result<Arc<Signer>, IdentityError> {
        let now = Instant::now();
        if let Some((until, signer)) = self.known().get(&(account_id, domain_id))
            && now < *until
        {
            return Ok(signer.clone());
        }
        let key = spool.signing_key(account_id, domain_id).await?;
        let key = key.ok_or(IdentityError::NoDomain { account_id, domain_id })?;
        let signer = self.signers.signer(&key.domain, &key.selector, &key.pkcs8_der)?;
        let mut known = self.known();
        if known.len() >= DOMAINS_MAX {
            known.clear();
        }
        known.insert((account_id, domain_id), (now + REMEMBERED_FOR, signer.clone()));
        Ok(signer)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<DomainKey, (Instant, Arc<Signer>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
