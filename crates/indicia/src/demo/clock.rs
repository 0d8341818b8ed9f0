//! The demo's clock: the machine's, plus what people moved it forward. Only the demo has this.

use std::sync::Arc;

use async_trait::async_trait;
use indicia_console::demo::{DemoClock, DemoError};
use indicia_domain::time::{Clock, UnixMicros};
use indicia_store::{Result, Store};

use crate::clock::ShiftedClock;

const SETTING: &str = "demo_clock_ahead_micros";

/// How far ahead the demo that wrote this store is; `None` in any other store.
pub async fn stored_shift(store: &Store) -> Result<Option<i64>> {
    Ok(store.setting(SETTING).await?.and_then(|text| text.parse().ok()))
}

pub struct MovableClock {
    pub clock: Arc<ShiftedClock>,
    pub store: Store,
}

#[async_trait]
impl DemoClock for MovableClock {
    async fn advance(&self, by_us: i64) -> Result<UnixMicros, DemoError> {
        let ahead = self.clock.ahead_micros().saturating_add(by_us);
        // Kept first: a demo that is started again must not go back in time.
        self.store
            .set_setting(SETTING, &ahead.to_string())
            .await
            .map_err(|error| DemoError(error.to_string()))?;
        self.clock.set_ahead_micros(ahead);
        // To others the last heartbeat now lies far back.
        self.store.heartbeat().await.map_err(|error| DemoError(error.to_string()))?;
        Ok(self.clock.now())
    }
}
