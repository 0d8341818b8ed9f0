//! The machine's own clock, for programs that open a store.

use std::time::{SystemTime, UNIX_EPOCH};

use indicia_domain::time::{Clock, UnixMicros};

pub struct MachineClock;

impl Clock for MachineClock {
    fn now(&self) -> UnixMicros {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMicros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
