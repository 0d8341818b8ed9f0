//! Who sends: kinds of senders, and the cast of one run.
//!
//! Everything about a sender that does not depend on the policy is drawn before the run from its own stream. So it is
//! the same sender under every policy.

use crate::constants::{OWNER_CLEANS_DAYS, OWNER_NOTICES_DAYS, OWNER_SIGMA};
use crate::random::{Purpose, Stream};
use crate::vary::Assumptions;

/// A kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Shop,
    Newsletter,
    /// Uses all the quota it gets, with wanted mail.
    Grower,
    Seasonal,
    Tiny,
    /// Old lists, kept badly.
    Sloppy,
    /// Sloppy and worse at first; cleans its list when it is told.
    Recovering,
    /// A bought list.
    Bought,
    /// A bought list from which somebody has removed the invalid addresses.
    Verified,
    /// A good account that somebody else takes over to send a bought list.
    Hijacked,
    /// The same with a list from which the invalid addresses were removed.
    HijackedVerified,
}

pub const KINDS_COUNT: usize = 11;

impl Kind {
    pub const ALL: [Kind; KINDS_COUNT] = [
        Kind::Shop,
        Kind::Newsletter,
        Kind::Grower,
        Kind::Seasonal,
        Kind::Tiny,
        Kind::Sloppy,
        Kind::Recovering,
        Kind::Bought,
        Kind::Verified,
        Kind::Hijacked,
        Kind::HijackedVerified,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Shop => "steady shop",
            Kind::Newsletter => "growing newsletter",
            Kind::Grower => "uses all its quota",
            Kind::Seasonal => "seasonal",
            Kind::Tiny => "tiny",
            Kind::Sloppy => "sloppy",
            Kind::Recovering => "recovering",
            Kind::Bought => "bought list",
            Kind::Verified => "bought list, verified",
            Kind::Hijacked => "hijacked",
            Kind::HijackedVerified => "hijacked, verified list",
        }
    }

    /// What is drawn for it, for the documentation.
    pub fn described(self) -> &'static str {
        match self {
            Kind::Shop => "300 to 1,800 mails a day, 0.2 to 0.4 % invalid, 0.005 to 0.02 % complaints",
            Kind::Newsletter => {
                "two mailings a week to 3,000 to 15,000 subscribers, 3 to 8 % more each week; 0.5 to 1 % invalid on the first mailing, \
                 then 0.2 to 0.5 %; 0.01 to 0.04 % complaints; three of the six move half of their mail to a second domain in the course of the run"
            }
            Kind::Grower => {
                "wants 150,000 a day from the first day on; 0.2 to 0.5 % invalid, 0.01 to 0.03 % complaints"
            }
            Kind::Seasonal => {
                "200 to 600 a day, 8 to 15 times as many from mid-November to Christmas; else as a newsletter"
            }
            Kind::Tiny => "5 to 40 a day, as a shop",
            Kind::Sloppy => {
                "two mailings a week to 5,000 to 40,000; 3 to 6 % invalid on every one, 0.08 to 0.25 % complaints, 1 to 3 traps in 10,000"
            }
            Kind::Recovering => {
                "two mailings a week to 5,000 to 20,000; 9 to 14 % invalid, 0.2 to 0.5 % complaints; when lowered or paused it stops for a \
                 week and comes back with a clean list"
            }
            Kind::Bought => {
                "100,000 to 1,000,000 addresses, wants 10,000 to 150,000 a day; 15 to 30 % invalid on the first pass, 0.2 to 1 % traps, \
                 complaints from 1 to 3 % of those who see it; new accounts of this kind come all through the run"
            }
            Kind::Verified => "the same with 1 to 3 % invalid and 0.1 to 0.5 % traps",
            Kind::Hijacked => {
                "500 to 40,000 good mails a day; between 40 and 85 % of the run a thief sends a bought list at 50 to 1,000 mails a minute, \
                 day and night, until he is locked out"
            }
            Kind::HijackedVerified => "the same with a verified bought list",
        }
    }

    /// Whose arrival and growth are to be protected.
    pub fn is_good(self) -> bool {
        matches!(self, Kind::Shop | Kind::Newsletter | Kind::Grower | Kind::Seasonal | Kind::Tiny)
    }

    /// Bad from the first mail on.
    pub fn is_bought(self) -> bool {
        matches!(self, Kind::Bought | Kind::Verified)
    }

    pub fn is_hijacked(self) -> bool {
        matches!(self, Kind::Hijacked | Kind::HijackedVerified)
    }

    /// How many of it there are in a run.
    pub fn count(self) -> usize {
        match self {
            Kind::Shop | Kind::Tiny => 8,
            Kind::Newsletter | Kind::Bought => 6,
            Kind::Grower | Kind::Sloppy => 4,
            Kind::Seasonal => 3,
            Kind::Recovering | Kind::Verified | Kind::Hijacked => 2,
            Kind::HijackedVerified => 1,
        }
    }
}

/// Who receives: a list of addresses and how they take it.
#[derive(Clone, Copy, Debug)]
pub struct List {
    pub addresses: f64,
    /// Growth by the week.
    pub weekly_growth: f64,
    /// Invalid addresses that are always new: mistyped and abandoned ones.
    pub fresh_invalid: f64,
    /// Of those never mailed before, on top. What bounced once is in the library of invalid addresses and never sent again.
    pub first_pass_invalid: f64,
    pub traps: f64,
    /// Of the mails seen in the inbox.
    pub complaints: f64,
}

/// How a sender spreads its mails over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rhythm {
    /// One by one, by day and evening: `daily` on average.
    Steady { daily: f64 },
    /// The same, `peak` times as many in the season.
    Season { daily: f64, peak: f64 },
    /// The whole list on two days of the week, from one hour of the day on, spread over so many steps.
    Mailings { days: [i64; 2], hour: i64, steps: i64 },
    /// As much as it may, up to `daily`, in working hours; spread over them, or at once.
    All { daily: f64, spread: bool },
    /// As fast as it may, day and night.
    Flood { per_minute: f64 },
}

/// One sender, whatever the policy.
#[derive(Clone, Debug)]
pub struct Profile {
    pub kind: Kind,
    /// Step in which the account is made.
    pub from_step: i64,
    pub rhythm: Rhythm,
    pub list: List,
    /// When half of the mail moves to a second domain.
    pub second_domain_from: Option<i64>,
    /// When it is taken over, and by whom.
    pub turns: Option<(i64, Rhythm, List)>,
    /// From the pause of a hijacked account until the thief is out, in steps.
    pub cleaning_steps: i64,
    /// From its being taken over until the owner notices by himself.
    pub noticing_steps: i64,
    /// Mails of one request: it is admitted whole or not at all.
    pub per_request: i64,
}

/// Five minutes each.
pub const STEPS_PER_HOUR: i64 = 12;
pub const STEPS_PER_DAY: i64 = 24 * STEPS_PER_HOUR;
pub const STEPS_PER_WEEK: i64 = 7 * STEPS_PER_DAY;

/// Everybody of one run, in a fixed order.
pub fn cast(seed: u64, weeks: i64, world: &Assumptions) -> Vec<Profile> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let times = if kind.is_bought() || kind.is_hijacked() { world.bad_senders } else { 1 };
        for nth in 0..kind.count() * times {
            let mut stream = Stream::new(seed, Purpose::Cast, all.len());
            let mut profile = profile(kind, nth, weeks, &mut stream);
            adjust(&mut profile, world);
            all.push(profile);
        }
    }
    all
}

/// What another world has otherwise.
fn adjust(profile: &mut Profile, world: &Assumptions) {
    if profile.kind.is_good() {
        profile.list.complaints *= world.good_complaints;
    }
    let thief = profile.turns.as_mut().map(|(_, _, list)| list);
    let bought = if profile.kind.is_bought() { Some(&mut profile.list) } else { thief };
    if let Some(list) = bought {
        list.complaints *= world.bad_complaints;
        list.first_pass_invalid *= world.bad_invalid;
        list.traps *= world.bad_invalid;
    }
}

fn list(stream: &mut Stream, addresses: f64, invalid: (f64, f64), complaints: (f64, f64)) -> List {
    List {
        addresses,
        weekly_growth: 0.0,
        fresh_invalid: stream.between(invalid.0, invalid.1),
        first_pass_invalid: 0.0,
        traps: 0.0,
        complaints: stream.log_between(complaints.0, complaints.1),
    }
}

fn bought_list(stream: &mut Stream, verified: bool) -> List {
    let (invalid, traps) =
        if verified { ((0.01, 0.03), (0.001, 0.005)) } else { ((0.15, 0.30), (0.002, 0.01)) };
    List {
        addresses: stream.log_between(100_000.0, 1_000_000.0),
        weekly_growth: 0.0,
        fresh_invalid: 0.0,
        first_pass_invalid: stream.between(invalid.0, invalid.1),
        traps: stream.log_between(traps.0, traps.1),
        complaints: stream.log_between(0.01, 0.03),
    }
}

fn mailings(stream: &mut Stream) -> Rhythm {
    let first = stream.between(0.0, 3.0) as i64;
    let steps = stream.between(1.0, 6.0) as i64 * STEPS_PER_HOUR;
    Rhythm::Mailings { days: [first, first + 2], hour: stream.between(8.0, 14.0) as i64, steps }
}

fn profile(kind: Kind, nth: usize, weeks: i64, stream: &mut Stream) -> Profile {
    let total = weeks * STEPS_PER_WEEK;
    // At most the first tenth of the run: an installation that is being filled.
    let from_step = stream.between(0.0, total as f64 * 0.1).min((2 * STEPS_PER_WEEK) as f64) as i64;
    let plain = |(rhythm, list, per_request)| Profile {
        kind,
        from_step,
        rhythm,
        list,
        second_domain_from: None,
        turns: None,
        cleaning_steps: 0,
        noticing_steps: 0,
        per_request,
    };
    match kind {
        Kind::Newsletter => {
            let addresses = stream.log_between(3_000.0, 15_000.0);
            let mut list = list(stream, addresses, (0.002, 0.005), (0.000_1, 0.000_4));
            list.first_pass_invalid = stream.between(0.005, 0.01);
            list.weekly_growth = stream.between(0.03, 0.08);
            let second = (nth < 3).then(|| part(total, stream.between(0.3, 0.8)));
            Profile { second_domain_from: second, ..plain((mailings(stream), list, 100)) }
        }
        Kind::Bought | Kind::Verified => {
            let list = bought_list(stream, kind == Kind::Verified);
            let daily = stream.log_between(10_000.0, 150_000.0);
            // So early that most of the run shows what they do when nobody stops them.
            let from_step = part(total, stream.between(0.05, 0.6));
            Profile { from_step, ..plain((Rhythm::All { daily, spread: false }, list, 100)) }
        }
        Kind::Hijacked | Kind::HijackedVerified => hijacked(kind, total, stream, plain),
        _ => plain(unchanging(kind, stream)),
    }
}

/// A step in the course of the run.
fn part(total: i64, share: f64) -> i64 {
    (total as f64 * share) as i64
}

/// Rhythm, list and mails of a request of those who stay as they are.
fn unchanging(kind: Kind, stream: &mut Stream) -> (Rhythm, List, i64) {
    match kind {
        Kind::Grower => {
            let list = list(stream, 2_000_000.0, (0.002, 0.005), (0.000_1, 0.000_3));
            (Rhythm::All { daily: 150_000.0, spread: true }, list, 100)
        }
        Kind::Seasonal => {
            let (daily, peak) = (stream.log_between(200.0, 600.0), stream.between(8.0, 15.0));
            let list = list(stream, daily * 60.0, (0.002, 0.005), (0.000_1, 0.000_4));
            (Rhythm::Season { daily, peak }, list, 10)
        }
        Kind::Sloppy => {
            let addresses = stream.log_between(5_000.0, 40_000.0);
            let mut list = list(stream, addresses, (0.03, 0.06), (0.000_8, 0.002_5));
            list.traps = stream.between(0.000_1, 0.000_3);
            (mailings(stream), list, 100)
        }
        Kind::Recovering => {
            let addresses = stream.log_between(5_000.0, 20_000.0);
            let mut list = list(stream, addresses, (0.09, 0.14), (0.002, 0.005));
            list.traps = stream.between(0.000_1, 0.000_5);
            (mailings(stream), list, 100)
        }
        _ => {
            let range = if kind == Kind::Shop { (300.0, 1_800.0) } else { (5.0, 40.0) };
            let daily = stream.log_between(range.0, range.1);
            let list = list(stream, daily * 20.0, (0.002, 0.004), (0.000_05, 0.000_2));
            (Rhythm::Steady { daily }, list, 1)
        }
    }
}

fn hijacked(
    kind: Kind,
    total: i64,
    stream: &mut Stream,
    plain: impl Fn((Rhythm, List, i64)) -> Profile,
) -> Profile {
    let daily = stream.log_between(500.0, 40_000.0);
    let list = list(stream, daily * 20.0, (0.002, 0.004), (0.000_05, 0.000_2));
    let at = part(total, stream.between(0.4, 0.85));
    let thief = Rhythm::Flood { per_minute: stream.log_between(50.0, 1_000.0) };
    let loot = bought_list(stream, kind == Kind::HijackedVerified);
    let mut steps = |days| (stream.log_normal(days, OWNER_SIGMA) * STEPS_PER_DAY as f64) as i64;
    Profile {
        turns: Some((at, thief, loot)),
        cleaning_steps: steps(OWNER_CLEANS_DAYS),
        noticing_steps: steps(OWNER_NOTICES_DAYS),
        ..plain((Rhythm::Steady { daily }, list, 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_is_one_cast() {
        let text = |seed| format!("{:?}", cast(seed, 26, &Assumptions::default()));
        assert_eq!(text(3), text(3));
        assert_ne!(text(3), text(4));
        assert_eq!(
            cast(1, 26, &Assumptions::default()).len(),
            Kind::ALL.iter().map(|kind| kind.count()).sum::<usize>()
        );
    }

    #[test]
    fn senders_are_as_described() {
        for profile in (1..50).flat_map(|seed| cast(seed, 26, &Assumptions::default())) {
            let list = profile.list;
            assert!((0..16 * STEPS_PER_WEEK).contains(&profile.from_step), "{profile:?}");
            if profile.kind.is_good() {
                assert!(list.complaints <= 0.000_4 && list.fresh_invalid <= 0.005 && list.traps == 0.0);
            }
            if profile.kind == Kind::Bought {
                assert!(
                    (0.15..=0.30).contains(&list.first_pass_invalid)
                        && (0.01..=0.03).contains(&list.complaints)
                );
            }
            assert_eq!(profile.turns.is_some(), profile.kind.is_hijacked());
        }
    }
}
