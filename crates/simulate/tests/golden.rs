//! One seed's table, word for word: any change of the rules or of the simulated world shows here.
//!
//! Only where it was made: the last bit of a logarithm differs between mathematics libraries.
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]

use indicia_simulate::compare::{Comparison, compare, summaries};
use indicia_simulate::regime::Regime;
use indicia_simulate::table;
use indicia_simulate::vary::Assumptions;
use indicia_simulate::world::Operators;

#[test]
fn one_seed_is_one_table() {
    let comparison = Comparison {
        regimes: vec![Regime::standard(), Regime::Unlimited, Regime::Fixed(20_000)],
        seeds: 7..=7,
        weeks: 2,
        operators: Operators::AfterAWeek,
        assumptions: Assumptions::default(),
        threads: None,
    };
    let outcomes = compare(&comparison, &|_, _| {});
    let shown =
        format!("{}\n\n{}", table::comparison(&summaries(&outcomes), "7", 2), table::kinds(&outcomes[0]));
    insta::assert_snapshot!(shown);
}
