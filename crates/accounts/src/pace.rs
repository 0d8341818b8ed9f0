//! How often a job looks, and how it goes on after a failure.
//!
//! The store's clock may jump (in tests, in the demo, after a pause of the machine), so no job sleeps until something
//! is due: each looks about once a second, which is cheap while nothing is due. What is not cheap to look for is
//! looked for when the clock enters another quarter of an hour, and now and then besides ([`Quarters`]).
//!
//! A round that fails or panics is tried again after a pause that grows up to a minute. Jobs do not wait for
//! each other.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::FutureExt;
use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use indicia_store::Result;
use tokio_util::sync::CancellationToken;

/// Between the end of a round and the next.
const PACE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Something that is done again and again.
#[async_trait]
pub(crate) trait Job: Send {
    /// As in logs: `billing`.
    fn name(&self) -> &'static str;

    /// Looks once, and does what is due.
    async fn look(&mut self) -> Result<()>;
}

/// Looks until `stop`. A round that has begun is finished.
pub(crate) async fn keep_looking(mut job: impl Job, stop: CancellationToken) {
    let mut pause = PACE;
    while !stop.is_cancelled() {
        let looked = AssertUnwindSafe(job.look()).catch_unwind().await;
        let failure = match looked {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("it panicked; this is a mistake in the program, please report it".to_owned()),
        };
        pause = match &failure {
            None => PACE,
            Some(_) => longer(pause),
        };
        if let Some(error) = failure {
            let next_in_ms = pause.as_millis() as u64;
            tracing::warn!(job = job.name(), error, next_in_ms, "a job failed; it is tried again");
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => {}
        }
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(PAUSE_MAX)
}

/// Says when a look that reads much is worth it. Every clock hour and every local midnight begins with a quarter of
/// an hour, in every zone of today.
pub(crate) struct Quarters {
    seen: Option<i64>,
    looked: Instant,
    at_least_every: Duration,
}

impl Quarters {
    pub fn new(at_least_every: Duration) -> Quarters {
        Quarters { seen: None, looked: Instant::now(), at_least_every }
    }

    /// Whether to look now.
    pub fn is_due(&self, now: UnixMicros) -> bool {
        self.seen != Some(quarter(now)) || self.looked.elapsed() >= self.at_least_every
    }

    /// A look that began at `now` has succeeded.
    pub fn looked(&mut self, now: UnixMicros) {
        self.seen = Some(quarter(now));
        self.looked = Instant::now();
    }
}

fn quarter(at: UnixMicros) -> i64 {
    at.0.div_euclid(15 * MINUTE_MICROS)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use indicia_store::StoreError;

    use super::*;

    #[test]
    fn a_look_is_due_when_the_clock_enters_another_quarter_of_an_hour() {
        let mut quarters = Quarters::new(Duration::from_secs(3_600));
        let start = UnixMicros(15 * MINUTE_MICROS * 1_000);
        assert!(quarters.is_due(start), "the first time");
        quarters.looked(start);
        assert!(!quarters.is_due(start.plus_micros(15 * MINUTE_MICROS - 1)));
        assert!(quarters.is_due(start.plus_micros(15 * MINUTE_MICROS)));
        assert!(quarters.is_due(start.plus_micros(-1)), "a clock may also be set back");
    }

    #[test]
    fn a_look_is_due_after_a_while_though_the_clock_stands() {
        let mut quarters = Quarters::new(Duration::ZERO);
        quarters.looked(UnixMicros(0));
        assert!(quarters.is_due(UnixMicros(0)));
    }

    /// Fails, panics, then succeeds.
    struct Moody(Arc<AtomicU32>);

    #[async_trait]
    impl Job for Moody {
        fn name(&self) -> &'static str {
            "moody"
        }

        async fn look(&mut self) -> Result<()> {
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err(StoreError::Closed),
                1 => panic!("as it may happen"),
                _ => Ok(()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_fails_or_panics_is_tried_again_after_a_growing_pause() {
        let (looks, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let task = tokio::spawn(keep_looking(Moody(looks.clone()), stop.clone()));
        let after = async |seconds: f32| {
            tokio::time::sleep(Duration::from_secs_f32(seconds)).await;
            looks.load(Ordering::SeqCst)
        };
        assert_eq!(after(1.9).await, 1, "the pause after the first failure is 2 s");
        assert_eq!(after(0.2).await, 2);
        assert_eq!(after(3.8).await, 2, "after the second 4 s");
        assert_eq!(after(0.2).await, 3);
        assert_eq!(after(1.1).await, 4, "then the usual pace");
        stop.cancel();
        task.await.expect("it ends");
        assert_eq!(longer(Duration::from_secs(59)), PAUSE_MAX);
    }
}
