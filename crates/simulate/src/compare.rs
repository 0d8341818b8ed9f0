//! Regimes over many seeds: runs spread over threads, figures put together, targets judged.
//!
//! For every seed and regime two runs are made, one with everybody and one without the bad ones; the difference is the
//! harm. A run is the same on whatever thread it is made, and results are put together in the order of the seeds, so
//! the outcome does not depend on how many threads there are.

use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use crate::figures::{Figures, GROWTH_DAYS, Stop, Tally, share};
use crate::regime::Regime;
use crate::sender::Kind;
use crate::vary::Assumptions;
use crate::world::{Company, Operators, Setting, run};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub regimes: Vec<Regime>,
    pub seeds: RangeInclusive<u64>,
    pub weeks: i64,
    pub operators: Operators,
    pub assumptions: Assumptions,
    /// `None`: as many as there are processors.
    pub threads: Option<NonZeroUsize>,
}

/// One seed under one regime.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub all: Figures,
    pub without_bad: Figures,
}

/// One regime over all seeds.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub regime: Regime,
    pub pairs: Vec<Pair>,
}

/// Mean and 5 % and 95 % quantiles over the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    pub low: f64,
    pub high: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Spread {
        if values.is_empty() {
            return Spread::default();
        }
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Spread { mean, low: quantile(&sorted, 0.05), high: quantile(&sorted, 0.95) }
    }
}

/// Of ascending values, the smallest that at least `part` of them do not exceed.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(place.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0.0)
}

/// How those who harm others fared.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stopping {
    pub senders: usize,
    /// Share of them that was paused within the run.
    pub stopped: f64,
    /// Bad mails accepted until the first pause; of those never stopped, until the end.
    pub mails: Spread,
    /// Of those that were stopped.
    pub minutes: Spread,
    /// Share within the target.
    pub within: f64,
}

/// One regime's figures over all seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub regime: String,
    pub runs: usize,
    /// Of good senders: inbox among the decided.
    pub arrival: Spread,
    /// The same without the bad ones: what the providers allow at best.
    pub arrival_without_bad: Spread,
    /// Good mails that arrived, of all in a run.
    pub arrived_mails: Spread,
    /// Wanted good mails that were not sent for want of quota, among those wanted.
    pub held_back: Spread,
    /// Share of those who use all their quota that had 50,000 a day within 8 weeks.
    pub grown: f64,
    /// Days until then.
    pub growth_days: Spread,
    /// Share of good senders' account-weeks in which they were lowered or paused.
    pub wronged: f64,
    pub bought: Stopping,
    pub verified: Stopping,
    pub hijacked: Stopping,
    pub hijacked_verified: Stopping,
    /// Bad mails accepted in a run.
    pub bad_mails: Spread,
    /// Good mails that did not arrive because of the bad ones.
    pub harm: Spread,
    /// Without this regime / with it; `None` where no unlimited regime was run.
    pub harm_ratio: Option<f64>,
}

/// Bad mails of a bought list before its pause at most.
pub const BOUGHT_MAILS_MAX: i64 = 3_000;
/// Of a hijacked account, or so many minutes.
pub const HIJACKED_MAILS_MAX: i64 = 2_000;
pub const HIJACKED_MINUTES_MAX: i64 = 60;

/// Makes all runs. `progress` is told now and then how many of how many are done.
pub fn compare(comparison: &Comparison, progress: &(dyn Fn(usize, usize) + Sync)) -> Vec<Outcome> {
    let jobs: Vec<(usize, u64)> = (0..comparison.regimes.len())
        .flat_map(|regime| comparison.seeds.clone().map(move |seed| (regime, seed)))
        .collect();
    let finished = AtomicUsize::new(0);
    let pairs = spread_over_threads(comparison.threads, jobs.len(), |place| {
        let (regime, seed) = jobs[place];
        let pair = pair(comparison, &comparison.regimes[regime], seed);
        progress(finished.fetch_add(1, Ordering::Relaxed) + 1, jobs.len());
        pair
    });
    let mut pairs = pairs.into_iter();
    let seeds = comparison.seeds.clone().count();
    comparison
        .regimes
        .iter()
        .map(|regime| Outcome { regime: regime.clone(), pairs: pairs.by_ref().take(seeds).collect() })
        .collect()
}

fn pair(comparison: &Comparison, regime: &Regime, seed: u64) -> Pair {
    let of = |company| {
        run(Setting {
            seed,
            weeks: comparison.weeks,
            regime: regime.clone(),
            company,
            operators: comparison.operators,
            assumptions: comparison.assumptions,
        })
    };
    Pair { all: of(Company::All), without_bad: of(Company::WithoutBad) }
}

/// Does `count` pieces of work; the results are in the order of the pieces.
fn spread_over_threads<T: Send>(
    threads: Option<NonZeroUsize>,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let threads = threads.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.min(count.max(1)) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    let result = work(place);
                    done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((place, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

impl Outcome {
    /// The figures over all seeds; `unlimited` is the harm of the unlimited regime, if it was run.
    pub fn summary(&self, unlimited: Option<f64>) -> Summary {
        let over = |of: &dyn Fn(&Pair) -> f64| Spread::of(&self.pairs.iter().map(of).collect::<Vec<_>>());
        let good = |figures: &Figures| figures.total(Kind::is_good);
        let harm = over(&|pair| pair.all.harm(&pair.without_bad));
        let (grown, growth_days) = self.growth();
        Summary {
            regime: self.regime.to_string(),
            runs: self.pairs.len(),
            arrival: over(&|pair| good(&pair.all).arrival()),
            arrival_without_bad: over(&|pair| good(&pair.without_bad).arrival()),
            arrived_mails: over(&|pair| good(&pair.all).inbox as f64),
            held_back: over(&|pair| held_back(&good(&pair.all))),
            grown,
            growth_days,
            wronged: self.wronged(),
            bought: self.stopping(Kind::Bought),
            verified: self.stopping(Kind::Verified),
            hijacked: self.stopping(Kind::Hijacked),
            hijacked_verified: self.stopping(Kind::HijackedVerified),
            bad_mails: over(&|pair| pair.all.bad_mails as f64),
            harm_ratio: unlimited.filter(|_| self.regime != Regime::Unlimited).map(|none| none / harm.mean),
            harm,
        }
    }

    fn growth(&self) -> (f64, Spread) {
        let days: Vec<Option<f64>> =
            self.pairs.iter().flat_map(|pair| &pair.all.growths).map(|growth| growth.days).collect();
        let within = days.iter().filter(|days| days.is_some_and(|days| days <= GROWTH_DAYS)).count();
        let reached: Vec<f64> = days.iter().flatten().copied().collect();
        (share(within as f64, days.len() as f64), Spread::of(&reached))
    }

    fn wronged(&self) -> f64 {
        let mut weeks = crate::figures::AccountWeeks::default();
        self.pairs.iter().for_each(|pair| weeks.add(&pair.all.weeks));
        weeks.wronged()
    }

    /// All stops of a kind, over all seeds.
    pub fn stops(&self, kind: Kind) -> Vec<Stop> {
        let stops = self.pairs.iter().flat_map(|pair| &pair.all.stops);
        stops.filter(|stop| stop.kind == kind).copied().collect()
    }

    fn stopping(&self, kind: Kind) -> Stopping {
        let stops = self.stops(kind);
        let within = stops.iter().filter(|stop| is_within(stop)).count();
        let minutes: Vec<f64> =
            stops.iter().filter_map(|stop| stop.minutes).map(|minutes| minutes as f64).collect();
        let mails: Vec<f64> = stops.iter().map(|stop| stop.mails as f64).collect();
        Stopping {
            senders: stops.len(),
            stopped: share(minutes.len() as f64, stops.len() as f64),
            mails: Spread::of(&mails),
            minutes: Spread::of(&minutes),
            within: share(within as f64, stops.len() as f64),
        }
    }
}

/// Whether one who harms others was stopped within the issue's target for its kind.
fn is_within(stop: &Stop) -> bool {
    let Some(minutes) = stop.minutes else { return false };
    match stop.kind.is_hijacked() {
        true => stop.mails <= HIJACKED_MAILS_MAX || minutes <= HIJACKED_MINUTES_MAX,
        false => stop.mails < BOUGHT_MAILS_MAX,
    }
}

fn held_back(tally: &Tally) -> f64 {
    share(tally.given_up as f64, (tally.given_up + tally.accepted) as f64)
}

/// The summaries of all regimes, in their order.
pub fn summaries(outcomes: &[Outcome]) -> Vec<Summary> {
    let unlimited = outcomes.iter().find(|outcome| outcome.regime == Regime::Unlimited);
    let unlimited = unlimited.map(|outcome| outcome.summary(None).harm.mean);
    outcomes.iter().map(|outcome| outcome.summary(unlimited)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(threads: usize) -> Comparison {
        Comparison {
            regimes: vec![Regime::standard(), Regime::Fixed(3_000)],
            seeds: 1..=2,
            weeks: 1,
            operators: Operators::AfterAWeek,
            assumptions: Assumptions::default(),
            threads: NonZeroUsize::new(threads),
        }
    }

    #[test]
    fn threads_change_nothing() {
        let digests = |threads| -> Vec<u64> {
            let outcomes = compare(&comparison(threads), &|_, _| {});
            let pairs = outcomes.iter().flat_map(|outcome| &outcome.pairs);
            pairs.flat_map(|pair| [pair.all.digest(), pair.without_bad.digest()]).collect()
        };
        let one = digests(1);
        assert_eq!(one.len(), 8);
        assert_eq!(one, digests(3));
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((quantile(&values, 0.05), quantile(&values, 0.95)), (5.0, 95.0));
        assert_eq!(Spread::of(&[3.0]), Spread { mean: 3.0, low: 3.0, high: 3.0 });
        assert_eq!(Spread::of(&[]), Spread::default());
    }

    #[test]
    fn targets_are_those_of_the_issue() {
        let stop = |kind, mails, minutes| is_within(&Stop { kind, mails, minutes });
        assert!(stop(Kind::Bought, 2_999, Some(100_000)) && !stop(Kind::Bought, 3_000, Some(1)));
        assert!(stop(Kind::Hijacked, 60_000, Some(60)) && stop(Kind::Hijacked, 2_000, Some(999)));
        assert!(!stop(Kind::Hijacked, 2_001, Some(61)) && !stop(Kind::Bought, 10, None));
    }
}
