//! The targets of the quota policy, on a few short runs: enough to notice a change of the rules that spoils them.
//! The real measurement has a hundred seeds and 26 weeks (docs/quota-simulation.md).

use indicia_simulate::compare::{Comparison, Summary, compare, summaries};
use indicia_simulate::regime::Regime;
use indicia_simulate::vary::Assumptions;
use indicia_simulate::world::Operators;

fn run(regimes: Vec<Regime>, seeds: std::ops::RangeInclusive<u64>, weeks: i64) -> Vec<Summary> {
    let comparison = Comparison {
        regimes,
        seeds,
        weeks,
        operators: Operators::AfterAWeek,
        assumptions: Assumptions::default(),
        threads: None,
    };
    summaries(&compare(&comparison, &|_, _| {}))
}

#[test]
fn r20_r21_good_senders_grow_and_are_not_wronged() {
    let policy = &run(vec![Regime::standard()], 101..=101, 11)[0];
    assert!(policy.arrival.mean >= 0.98, "{:?}", policy.arrival);
    assert!(policy.grown >= 0.95, "{} {:?}", policy.grown, policy.growth_days);
    assert!(policy.wronged < 0.02, "{}", policy.wronged);
    assert!(policy.held_back.mean < 0.02, "{:?}", policy.held_back);
}

#[test]
fn r22_bad_senders_are_stopped_before_they_do_harm() {
    let both = run(vec![Regime::standard(), Regime::Unlimited], 103..=104, 4);
    let (policy, none) = (&both[0], &both[1]);
    assert!(policy.bought.senders >= 8 && policy.bought.within == 1.0, "{:?}", policy.bought);
    assert!(policy.hijacked.senders >= 2 && policy.hijacked.within == 1.0, "{:?}", policy.hijacked);
    assert!(none.bought.stopped == 0.0 && none.arrival.mean < policy.arrival.mean);
    assert!(policy.harm_ratio.is_some_and(|ratio| ratio >= 10.0), "{:?}", policy.harm_ratio);
}
