//! What reputation does to accounts: the weekly review (R19) and the brake between reviews (R22).
//!
//! The decisions and their rows are the store's. Here is when they are looked for, and what is counted of it. A
//! review is looked for when the clock enters another quarter of an hour, where every local Monday begins, and each
//! minute besides; the brake every second, since each second is mail that should not have gone out.

use std::time::{Duration, Instant};

use indicia_store::Result;
use indicia_store::quota::{BrakeMemory, BrakeRound, ReviewRound};

use crate::jobs::Jobs;

pub(crate) const REVIEW_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// A round of the brake that takes longer than this delays the next; an operator should know before a minute is reached.
const BRAKE_SLOW: Duration = Duration::from_secs(30);

impl Jobs {
    /// R19: reviews every account whose week is over.
    pub async fn review(&self) -> Result<ReviewRound> {
        let began = Instant::now();
        let round = self.store.review_quotas().await?;
        self.metrics.count_reviews(&round, began.elapsed());
        if round != ReviewRound::default() {
            let ReviewRound { reviews, raised, lowered, paused, released, failed } = round;
            tracing::info!(reviews, raised, lowered, paused, released, failed, "quotas were reviewed");
        }
        Ok(round)
    }

    /// R22: looks at accounts of which something bad became known just now.
    pub async fn brake(&self, memory: &mut BrakeMemory) -> Result<BrakeRound> {
        let began = Instant::now();
        let round = self.store.brake_again(memory).await?;
        let took = began.elapsed();
        self.metrics.count_brake(&round, took);
        if took >= BRAKE_SLOW {
            let took_ms = took.as_millis() as u64;
            tracing::warn!(
                accounts = round.looked_at,
                took_ms,
                "a round of the brake was slow: the database does not keep up"
            );
        }
        Ok(round)
    }
}
