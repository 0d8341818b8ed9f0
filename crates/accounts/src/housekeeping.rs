//! Forgets what has no more use: replayed-request nonces too old to be accepted anyway, invalid addresses that no
//! mail has hit for a year (dossier 8.3), evidence of weeks too old to be reviewed, and who was reached long ago. What a review saw is kept
//! with it (R27).

use indicia_domain::time::{DAY_MICROS, MINUTE_MICROS};
use indicia_store::quota::EVIDENCE_DAYS;
use indicia_store::{Result, Store};

/// Signed requests are accepted for 15 minutes around their date; older nonces protect nothing.
const NONCE_AGE_MAX_MICROS: i64 = 45 * MINUTE_MICROS;
const INVALID_ADDRESS_AGE_MAX_MICROS: i64 = 365 * DAY_MICROS;
/// Statistics go back about a quarter of a year; a tag for every mail must not fill the disk.
const REACH_DAYS: i64 = 100;
const EVIDENCE_AGE_MAX_MICROS: i64 = EVIDENCE_DAYS * DAY_MICROS;

/// What one round removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Housekeeping {
    pub nonces: u64,
    pub invalid_addresses: u64,
    pub evidence_rows: u64,
    pub reach_rows: u64,
}

impl Housekeeping {
    /// Does one round.
    pub async fn round(store: &Store) -> Result<Housekeeping> {
        let now = store.now();
        let done = Housekeeping {
            nonces: store.forget_nonces_before(now.plus_micros(-NONCE_AGE_MAX_MICROS)).await?,
            invalid_addresses: store
                .forget_invalid_before(now.plus_micros(-INVALID_ADDRESS_AGE_MAX_MICROS))
                .await?,
            evidence_rows: store.forget_evidence_before(now.plus_micros(-EVIDENCE_AGE_MAX_MICROS)).await?,
            reach_rows: store.forget_reach_before(now.0.div_euclid(DAY_MICROS) - REACH_DAYS).await?,
        };
        if done != Housekeeping::default() {
            let Housekeeping { nonces, invalid_addresses, evidence_rows, reach_rows } = done;
            tracing::info!(
                nonces,
                invalid_addresses,
                evidence_rows,
                reach_rows,
                "forgot what had no more use"
            );
        }
        Ok(done)
    }
}
