//! The machine's clock, and the demo's, which can be moved forward.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use indicia_domain::time::{Clock, UnixMicros};

/// The machine's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMicros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The machine's clock plus what it was moved forward.
#[derive(Default)]
pub struct ShiftedClock {
    ahead_micros: AtomicI64,
}

impl ShiftedClock {
    pub fn ahead_micros(&self) -> i64 {
        self.ahead_micros.load(Ordering::SeqCst)
    }

    pub fn set_ahead_micros(&self, micros: i64) {
        self.ahead_micros.store(micros, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> UnixMicros {
        SystemClock.now().plus_micros(self.ahead_micros())
    }
}
