//! The instants at which other ledgers went wrong, each as a history of its own. The numbers are OpenMeter's issues.

use indicia_domain::ledger::alert::{DISARMED, floor, rearmed};
use indicia_domain::ledger::as_of::Sums;
use indicia_domain::time::{
    DAY_MICROS, HOUR_MICROS, UnixMicros, local_day, local_hour, local_month_numbered,
};

use crate::History;
use crate::model::price_of;
use crate::steps::{FREE_A_DAY, FREE_IN_ALL, Step, THRESHOLD_MICROS};

/// A history in which each step is looked at, at its own instant and at others.
struct Told(History);

impl Told {
    fn at(zone: &str, instant: &str) -> Told {
        Told(History::new(zone, UnixMicros::parse(instant).expect("an instant")))
    }

    fn step(&mut self, step: Step) -> &mut Told {
        self.0.take(&step);
        let now = self.0.world.now().0;
        for elsewhere in [now - 1, now + 1, now + 90 * DAY_MICROS] {
            self.0.check(elsewhere);
        }
        self
    }

    fn go(&mut self, instant: UnixMicros) -> &mut Told {
        let by = instant.0 - self.0.world.clock.0;
        self.step(Step::Wait(by))
    }

    /// Sends, and tells who paid: free, packages, pay-as-you-go.
    fn send(&mut self, mails: i64) -> [i64; 3] {
        let lines = self.0.world.lines.len();
        self.step(Step::Send(mails));
        let mut paid = [0; 3];
        for line in &self.0.world.lines[lines..] {
            let place = match line.from.to_string().as_str() {
                "free" => 0,
                "pay-as-you-go" => 2,
                _ => 1,
            };
            paid[place] += line.amount;
        }
        paid
    }

    fn small_package(&mut self) -> &mut Told {
        self.step(Step::TopUp(500_000)).step(Step::Buy { offer: 0, quantity: 1, starts_in_micros: 0 })
    }

    fn tell(self) {
        assert!(!self.0.finish().0.is_empty());
    }
}

/// #1071: a grant issued exactly at the reset. The package works from that very instant, in that very day.
#[test]
fn r08_r09_a_package_bought_exactly_at_midnight() {
    let mut told = Told::at("Asia/Shanghai", "2026-08-31T15:59:59.999999Z");
    assert_eq!(told.send(FREE_A_DAY + 1), [FREE_A_DAY, 0, 1], "the last microsecond of the day before");
    told.step(Step::Wait(1)).small_package();
    let day = local_day(&told.0.world.zone, told.0.world.now());
    let package = told.0.world.state.packages[0].clone();
    assert_eq!((package.starts_at, package.purchased_at), (day.start, day.start));
    assert_eq!(package.ends_at, UnixMicros::parse("2026-11-01T16:00:00Z").expect("an instant"));
    assert_eq!(told.send(FREE_A_DAY + 2), [FREE_A_DAY, 2, 0], "a new day's free credit, then the package");
    told.tell();
}

/// #1127: a grant that expires exactly at the reset, as every package here does: it ends at a local midnight.
#[test]
fn r09_r13_a_package_that_ends_exactly_at_the_reset() {
    let mut told = Told::at("Europe/Berlin", "2026-08-27T10:00:00Z");
    told.small_package();
    let ends = told.0.world.state.packages[0].ends_at;
    assert_eq!(ends, UnixMicros::parse("2026-10-27T23:00:00Z").expect("an instant"), "in winter time");
    told.go(ends.plus_micros(-1));
    assert_eq!(told.send(FREE_A_DAY + 1), [FREE_A_DAY, 1, 0], "one microsecond before");
    told.step(Step::Wait(1));
    assert_eq!(told.send(FREE_A_DAY + 1), [FREE_A_DAY, 0, 1], "at the end itself");
    let lapsed = told.0.world.sums.balances(ends).packages[0].lapsed;
    assert_eq!((lapsed, told.0.world.sums.balances(ends.plus_micros(-1)).packages[0].lapsed), (5, 0));
    // What comes back to it after its end lapses in the same breath (R03).
    told.step(Step::Reverse { back: 1, mails: 1 });
    assert_eq!(told.0.world.sums.balances(ends).packages[0].lapsed, 6);
    told.tell();
}

/// #1132: usage asked for another period than the balance. Both are cut at the same local midnight.
#[test]
fn r25_usage_and_balance_are_of_the_same_period() {
    let mut told = Told::at("Asia/Kolkata", "2026-08-31T18:29:59.999999Z");
    told.small_package();
    let first = UnixMicros::parse("2026-08-31T18:30:00Z").expect("the 1st of September");
    assert_eq!(told.send(FREE_A_DAY + 3), [FREE_A_DAY, 3, 0]);
    told.go(first);
    assert_eq!(told.send(FREE_A_DAY + 2), [FREE_A_DAY, 2, 0]);
    told.step(Step::Reverse { back: 1, mails: 1 });
    let world = &told.0.world;
    let (month, _) = indicia_domain::time::local_month(&world.zone, first);
    assert_eq!(local_month_numbered(&world.zone, month).0, first);
    let used = |from: i64, before: i64| -> i64 {
        world.hours.range(from..before).map(|(_, hour)| hour.free + hour.package + hour.payg).sum()
    };
    assert_eq!((used(i64::MIN, first.0), used(first.0, i64::MAX)), (FREE_A_DAY + 2, FREE_A_DAY + 2));
    let first_day = local_day(&world.zone, first).number;
    let drawn = |is_before: bool| -> i64 {
        world
            .days
            .iter()
            .filter(|((_, day), _)| (*day < first_day) == is_before)
            .map(|(_, mails)| mails)
            .sum()
    };
    assert_eq!((drawn(true), drawn(false)), (2, 2));
    assert_eq!(world.sums.balances(world.now()).packages[0].consumed, 4, "as many as the days say");
    told.tell();
}

/// #4252: a recurrence applied again by any change within its period. Nothing that happens within a day gives its free
/// credit again, and nothing within a month collects again.
#[test]
fn r06_r11_a_change_within_the_period_starts_nothing_anew() {
    let mut told = Told::at("UTC", "2026-09-01T00:00:00Z");
    assert_eq!(told.send(FREE_A_DAY + 1), [FREE_A_DAY, 0, 1]);
    told.step(Step::Limit(70_000))
        .step(Step::TopUp(10_000))
        .step(Step::AdjustFree(3))
        .step(Step::Credit(5_000));
    told.step(Step::SetBack(200_000_000)).step(Step::Wait(2 * HOUR_MICROS)).step(Step::Job);
    assert_eq!(told.send(3), [0, 0, 3], "the day's free credit is used");
    told.step(Step::Wait(HOUR_MICROS)).step(Step::Job).step(Step::Limit(80_000)).step(Step::Job);
    assert!(
        told.0.world.bills.iter().all(|bill| !bill.called_in),
        "bills of this month wait for the next 1st"
    );
    told.go(UnixMicros::parse("2026-09-30T23:59:59.999999Z").expect("an instant")).step(Step::Job);
    assert!(told.0.world.bills.iter().all(|bill| !bill.called_in), "one microsecond before the 1st");
    told.step(Step::Wait(1)).step(Step::Job);
    assert!(told.0.world.bills.iter().all(|bill| bill.called_in && bill.paid), "the 1st");
    assert_eq!(told.0.world.cash, 15_000 - price_of(1) - price_of(3));
    told.tell();
}

/// #4846: per-grant use lost across snapshots. Sums kept at any line and the lines after it are the sums of all.
#[test]
fn r27_use_survives_a_snapshot() {
    let mut told = Told::at("UTC", "2026-09-30T23:00:00Z");
    told.step(Step::TopUp(500_000));
    for offer in [0, 1, 0] {
        told.step(Step::Buy { offer, quantity: 1, starts_in_micros: 0 });
    }
    told.send(9);
    told.send(8);
    told.step(Step::Reverse { back: 1, mails: 3 });
    told.step(Step::Upgrade { pick: 0, offer: 1 }).step(Step::Wait(2 * HOUR_MICROS));
    told.send(12);
    let world = &told.0.world;
    let all = world.sums.balances(world.now());
    assert!(all.packages.iter().filter(|package| package.consumed > 0).count() >= 2, "{all:?}");
    for cut in 0..=world.lines.len() {
        let mut snapshot = Sums::default();
        world.lines[..cut].iter().for_each(|line| snapshot.add_line(line));
        let mut resumed = snapshot.clone();
        world.lines[cut..].iter().for_each(|line| resumed.add_line(line));
        assert_eq!(resumed.balances(world.now()), all, "snapshot after line {cut}");
    }
    told.tell();
}

/// #4162: percentage thresholds at a balance of zero.
#[test]
fn r15_a_percentage_of_nothing() {
    for percent in [0, 5, 10, 20, 30] {
        assert_eq!(floor(percent, 0), DISARMED, "without packages nothing can run low");
        assert_eq!(rearmed(percent, DISARMED, 0, true), DISARMED);
    }
    let armed = floor(5, 10);
    assert_eq!(armed, 0, "5 % of ten mails are none: it goes off when nothing is left");
    assert_eq!(rearmed(5, DISARMED, 10, false), DISARMED, "and not again while nothing is bought");
}

/// The hour: a mail of its last microsecond is in its bill, a mail of the next instant in the next, and no bill is made
/// before its hour is over.
#[test]
fn r10_the_hour_to_the_microsecond() {
    for zone in ["Asia/Kolkata", "Australia/Lord_Howe", "UTC"] {
        let mut told = Told::at(zone, "2026-04-04T14:10:00Z");
        told.send(FREE_A_DAY);
        let end = local_hour(&told.0.world.zone, told.0.world.now()).end;
        told.go(end.plus_micros(-1));
        assert_eq!(told.send(2), [0, 0, 2]);
        told.step(Step::Job);
        assert!(told.0.world.bills.is_empty(), "{zone}: one microsecond before the hour is over");
        told.step(Step::Wait(1));
        assert_eq!(told.send(5), [0, 0, 5]);
        told.step(Step::Job);
        let bill = told.0.world.bills[0].clone();
        assert_eq!((told.0.world.bills.len(), bill.mails, bill.micros), (1, 2, price_of(2)), "{zone}");
        told.step(Step::Wait(HOUR_MICROS)).step(Step::Job);
        assert_eq!(told.0.world.bills[1].mails, 5);
        told.tell();
    }
}

/// R11: the threshold itself collects, a cent less does not.
#[test]
fn r11_the_threshold_to_the_cent() {
    let mut told = Told::at("UTC", "2026-09-02T00:00:00Z");
    told.step(Step::TopUp(THRESHOLD_MICROS)).step(Step::AdjustFree(-12)).step(Step::AdjustFree(-12));
    assert_eq!(FREE_IN_ALL - 24, 1);
    assert_eq!(told.send(25), [1, 0, 24]);
    told.step(Step::Wait(HOUR_MICROS)).step(Step::Job);
    assert_eq!(
        (told.0.world.open, told.0.world.cash),
        (80_000, THRESHOLD_MICROS),
        "24 mails are eight cents"
    );
    told.send(3);
    told.step(Step::Wait(HOUR_MICROS)).step(Step::Job);
    assert_eq!((told.0.world.open, told.0.world.cash), (0, 0), "nine cents are the threshold");
    told.tell();
}
