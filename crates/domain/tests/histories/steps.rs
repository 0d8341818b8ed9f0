//! What can happen to an account, and the small numbers that make every limit a near one.

use indicia_domain::ledger::bill::CollectionPolicy;
use indicia_domain::ledger::price::{Offer, PriceList};
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{HOUR_MICROS, STEP_BACK_MAX_MICROS};
use proptest::prelude::*;

pub const FREE_IN_ALL: i64 = 25;
pub const FREE_A_DAY: i64 = 4;
pub const QUOTA: i64 = 40;
/// A third of a cent a mail, so that a few mails round in every way.
pub const PRICE_MICROS: i64 = 3_333;
pub const THRESHOLD_MICROS: i64 = 90_000;
pub const MONTHS: u32 = 2;
pub const STEPS_MAX: usize = 100;

/// Mails and price of the packages on offer.
pub const OFFERS: [(i64, i64); 3] = [(6, 15_000), (15, 30_000), (60, 90_000)];

pub const POLICY: Policy = Policy {
    free_total_mails: FREE_IN_ALL,
    free_daily_mails: FREE_A_DAY,
    overdue_spares_prepaid: false,
    pay_as_you_go: MoneyMicros(PRICE_MICROS),
    initial_daily_quota: QUOTA,
    initial_level: 2,
};

pub const COLLECTION: CollectionPolicy = CollectionPolicy { threshold: MoneyMicros(THRESHOLD_MICROS) };

pub fn specification_price(mails: i64) -> i64 {
    OFFERS.iter().find(|offer| offer.0 == mails).expect("on offer").1
}

pub fn prices() -> PriceList {
    let offers = OFFERS.iter().map(|&(mails, price)| Offer { mails, price: MoneyMicros(price) });
    PriceList::new(offers.collect(), MoneyMicros(PRICE_MICROS), MONTHS).expect("a list that keeps R07")
}

/// An instant at which something begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    PackageStart,
    PackageEnd,
    Midnight,
    Hour,
    Month,
}

#[derive(Clone, Debug)]
pub enum Step {
    Send(i64),
    /// Of one of the last requests, so many mails (perhaps more than it has left).
    Reverse {
        back: usize,
        mails: i64,
    },
    Buy {
        offer: usize,
        quantity: i64,
        starts_in_micros: i64,
    },
    Renew(usize),
    Upgrade {
        pick: usize,
        offer: usize,
    },
    Refund(usize),
    TopUp(i64),
    Credit(i64),
    Limit(i64),
    AdjustFree(i64),
    AdjustPackage {
        pick: usize,
        mails: i64,
    },
    Job,
    Wait(i64),
    /// Another node's clock, or one that is set back.
    SetBack(i64),
    /// To the next such instant, or to one microsecond before it.
    To {
        edge: Edge,
        before: bool,
    },
}

fn edge() -> impl Strategy<Value = Edge> {
    prop_oneof![
        2 => Just(Edge::PackageStart),
        4 => Just(Edge::PackageEnd),
        3 => Just(Edge::Midnight),
        4 => Just(Edge::Hour),
        2 => Just(Edge::Month),
    ]
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1i64..14).prop_map(Step::Send),
        5 => (0usize..5, 1i64..14).prop_map(|(back, mails)| Step::Reverse { back, mails }),
        3 => (0usize..3, 1i64..3, prop_oneof![3 => Just(0i64), 1 => 1i64..1_000 * HOUR_MICROS])
            .prop_map(|(offer, quantity, starts_in_micros)| Step::Buy { offer, quantity, starts_in_micros }),
        2 => (0usize..4).prop_map(Step::Renew),
        3 => (0usize..4, 0usize..3).prop_map(|(pick, offer)| Step::Upgrade { pick, offer }),
        2 => (0usize..6).prop_map(Step::Refund),
        3 => (1i64..250_000).prop_map(Step::TopUp),
        1 => (-60_000i64..100_000).prop_map(Step::Credit),
        1 => (0i64..80_000).prop_map(Step::Limit),
        1 => (-12i64..12).prop_map(Step::AdjustFree),
        1 => (0usize..4, -12i64..12).prop_map(|(pick, mails)| Step::AdjustPackage { pick, mails }),
        6 => Just(Step::Job),
        4 => prop_oneof![(1i64..3 * HOUR_MICROS), (1i64..900 * HOUR_MICROS)].prop_map(Step::Wait),
        2 => (1i64..=STEP_BACK_MAX_MICROS).prop_map(Step::SetBack),
        6 => (edge(), any::<bool>()).prop_map(|(edge, before)| Step::To { edge, before }),
    ]
}

/// Zones with whole, half and quarter hours of offset, with daylight saving of an hour and of half an hour.
pub const ZONES: [&str; 8] = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "UTC",
];

/// Days before something in a calendar: the end of a month, of a year, of a February, a change of the clocks.
pub const BEGINNINGS: [&str; 8] = [
    "2026-02-26T03:17:08.123456Z",
    "2026-03-28T22:30:00Z",
    "2026-04-03T20:59:59.999999Z",
    "2026-08-30T23:00:00Z",
    "2026-10-24T12:00:00Z",
    "2026-12-30T15:59:59Z",
    "2027-12-29T01:02:03.000004Z",
    "2028-02-27T18:29:59.999999Z",
];
