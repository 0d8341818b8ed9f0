//! Forgets what has no more use: replayed-request nonces too old to be accepted anyway, and invalid addresses
//! that no mail has hit for a year (dossier 8.3).

use std::time::Duration;

use indicia_domain::time::{DAY_MICROS, MINUTE_MICROS};
use indicia_store::{Result, Store};
use tokio_util::sync::CancellationToken;

/// Signed requests are accepted for 15 minutes around their date; older nonces protect nothing.
const NONCE_AGE_MAX_MICROS: i64 = 45 * MINUTE_MICROS;
const INVALID_ADDRESS_AGE_MAX_MICROS: i64 = 365 * DAY_MICROS;
const INTERVAL: Duration = Duration::from_secs(60);

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekeeping {
    pub nonces: u64,
    pub invalid_addresses: u64,
}

impl Housekeeping {
    /// Does one round.
    pub async fn round(store: &Store) -> Result<Housekeeping> {
        let now = store.now();
        Ok(Housekeeping {
            nonces: store.forget_nonces_before(now.plus_micros(-NONCE_AGE_MAX_MICROS)).await?,
            invalid_addresses: store
                .forget_invalid_before(now.plus_micros(-INVALID_ADDRESS_AGE_MAX_MICROS))
                .await?,
        })
    }
}

/// Does a round a minute until `stop`.
pub async fn run(store: Store, stop: CancellationToken) {
    loop {
        match Housekeeping::round(&store).await {
            Ok(done) if done != Housekeeping::default() => {
                tracing::info!(
                    nonces = done.nonces,
                    invalid_addresses = done.invalid_addresses,
                    "forgot what had no more use"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "housekeeping failed; it is tried again in a minute"),
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}
