use std::collections::HashMap;

use indicia_domain::quota::policy::QuotaPolicy;
use indicia_simulate::compare::*;
use indicia_simulate::regime::Regime;
use indicia_simulate::{picture, sweep, table};

fn main() {
    let args: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|a| a.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())))
        .collect();
    let seeds: u64 = args.get("seeds").map_or(4, |s| s.parse().unwrap());
    let weeks: i64 = args.get("weeks").map_or(26, |s| s.parse().unwrap());
    let mut regimes = vec![Regime::standard()];
    if !args.contains_key("alone") {
        regimes.extend([Regime::Unlimited, Regime::Fixed(50_000)]);
    }
    let comparison = Comparison {
        regimes,
        seeds: 1..=seeds,
        weeks,
        operators: Default::default(),
        assumptions: Default::default(),
        threads: None,
    };
    let dir = args.get("svg");
    let save = |p: &picture::Picture| {
        if let Some(dir) = dir {
            std::fs::write(format!("{dir}/{}", p.file), &p.svg).unwrap();
        }
    };
    if args.contains_key("vary") {
        let comparison = Comparison { regimes: vec![Regime::standard(), Regime::Unlimited], ..comparison };
        println!("{}", table::variations(&indicia_simulate::vary::vary(&comparison, &|_, _| {})));
        return;
    }
    if let Some(text) = args.get("sweep") {
        let (name, values) = text.split_once(':').unwrap();
        let s = sweep::Sweep::parse(&format!("{name}={values}")).unwrap();
        let comparison = Comparison { regimes: vec![], ..comparison };
        let r = s.run(&QuotaPolicy::default(), &comparison, &|_, _| {}).unwrap();
        println!("{}", table::sweep(name, &r));
        save(&picture::of_sweep(name, &r));
        return;
    }
    let outcomes = compare(&comparison, &|_, _| {});
    println!("{}", table::comparison(&summaries(&outcomes), &format!("1 to {seeds}"), weeks));
    for o in &outcomes {
        println!("\n{}", table::kinds(o));
    }
    picture::of_comparison(&outcomes).iter().for_each(save);
}
