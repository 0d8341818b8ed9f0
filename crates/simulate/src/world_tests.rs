use super::*;

fn setting(seed: u64, weeks: i64) -> Setting {
    Setting {
        seed,
        weeks,
        regime: Regime::standard(),
        company: Company::All,
        operators: Operators::AfterAWeek,
        assumptions: Assumptions::default(),
    }
}

#[test]
fn r25_every_accepted_mail_has_one_fate() {
    for regime in [Regime::standard(), Regime::Unlimited, Regime::Fixed(20_000)] {
        let figures = run(Setting { regime: regime.clone(), ..setting(5, 2) });
        for (kind, tally) in figures.kinds.iter().zip(&figures.tallies) {
            assert_eq!(tally.accepted, tally.decided() + tally.waiting, "{regime} {kind:?} {tally:?}");
        }
        assert!(figures.total(|_| true).accepted > 100_000, "{regime}");
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let digest = |seed| run(setting(seed, 1)).digest();
    assert_eq!(digest(11), digest(11));
    assert_ne!(digest(11), digest(12));
}

#[test]
fn the_other_company_has_the_same_good_senders() {
    let all = run(setting(3, 2));
    let without = run(Setting { company: Company::WithoutBad, ..setting(3, 2) });
    assert_eq!(all.kinds, without.kinds);
    assert_eq!(without.total(Kind::is_bought).accepted, 0);
    assert!(all.total(Kind::is_bought).accepted > 0);
    for (place, kind) in all.kinds.iter().enumerate() {
        if *kind == Kind::Tiny {
            assert_eq!(all.tallies[place].accepted, without.tallies[place].accepted, "the same wishes");
        }
    }
}

#[test]
fn r17_nobody_sends_more_than_a_fixed_quota() {
    let figures = run(Setting { regime: Regime::Fixed(100), ..setting(2, 1) });
    for tally in &figures.tallies {
        assert!(tally.accepted <= 7 * 100, "{tally:?}");
    }
}

#[test]
fn r22_a_pause_stops_a_bought_list() {
    let paused = run(setting(4, 3)).total(|kind| kind == Kind::Bought).accepted;
    let free = run(Setting { regime: Regime::Unlimited, ..setting(4, 3) });
    let free = free.total(|kind| kind == Kind::Bought).accepted;
    assert!(paused * 20 < free, "{paused} and {free}");
}
