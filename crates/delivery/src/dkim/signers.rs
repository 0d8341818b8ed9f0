//! Parsed keys, kept for reuse, and signing off the reactor's threads.
//!
//! At most as many signatures are computed at once as the machine has cores, on tokio's blocking pool: the
//! reactor's threads stay free to serve sockets however long the queue of unsigned mails is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use indicia_domain::time::UnixMicros;

use super::{DkimError, Signer};

/// Keys kept parsed. When full, all are dropped and read again on demand: rare enough to need no ordering.
const KEYS_MAX: usize = 1024;

type Identity = (String, String);

/// A bounded cache of [`Signer`]s, and the place where signatures are computed.
pub struct Signers {
    parsed: Mutex<HashMap<Identity, (Bytes, Arc<Signer>)>>,
    cores: Arc<Semaphore>,
}

impl Default for Signers {
    fn default() -> Signers {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Signers { parsed: Mutex::default(), cores: Arc::new(Semaphore::new(cores)) }
    }
}

impl Signers {
    /// The signer for a domain, selector and key; parsed only when it is new or the key has changed.
    pub fn signer(&self, domain: &str, selector: &str, pkcs8_der: &Bytes) -> Result<Arc<Signer>, DkimError> {
        let identity = (domain.to_owned(), selector.to_owned());
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((key, signer)) = parsed.get(&identity) {
            // Shared bytes compare by address first; equal octets are the same key too.
            if (key.as_ptr() == pkcs8_der.as_ptr() && key.len() == pkcs8_der.len()) || key == pkcs8_der {
                return Ok(signer.clone());
            }
        }
        let signer = Arc::new(Signer::new(domain, selector, pkcs8_der)?);
        if parsed.len() >= KEYS_MAX {
            parsed.clear();
        }
        parsed.insert(identity, (pkcs8_der.clone(), signer.clone()));
        Ok(signer)
    }

    /// Signs a message off the reactor. `content` is consecutive chunks, shared and not copied.
    pub async fn sign(
        &self,
        signer: Arc<Signer>,
        content: Vec<Bytes>,
        at: UnixMicros,
    ) -> Result<Bytes, DkimError> {
        let _core = self.cores.acquire().await.map_err(|_| DkimError::Stopped)?;
        let work = move || {
            let chunks: Vec<&[u8]> = content.iter().map(|chunk| &chunk[..]).collect();
            signer.sign(&chunks, at)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| DkimError::Stopped)?
    }
}
