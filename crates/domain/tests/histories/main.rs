//! Random histories of one account: the pure functions of the crate, booked as the store books them ([`world`]), held
//! against a model that counts single mails ([`model`]), after every step.
//!
//! Which test holds which of the fifteen invariants that a prepaid ledger needs:
//!
//! | invariant | where |
//! | --- | --- |
//! | 1 a package is granted = remaining + consumed + lapsed + refunded, none negative, at every instant | `check_packages`, at the step's instant and at another |
//! | 2 each mail is charged to one source; charges add up to what was accepted | `check_request`, `World::finish` |
//! | 3 no package pays outside its validity, none before one that ends earlier, pay-as-you-go only when nothing else can | `check_request`: the model finds each mail's payer alone |
//! | 4 free credit: so many a day, so many in all, net of reversals | `check_free` |
//! | 5 double entry: all accounts sum to zero | `Replay::finish` |
//! | 6 replay gives the live rows; a snapshot and the lines after it give the same as all lines | `Replay::finish`, `boundaries::use_survives_a_snapshot` |
//! | 7 a balance as of a passed instant never changes | `World::check_seals` |
//! | 8 duplicates change nothing | `Step::Job` twice, `Step::Reverse` of more than there is; keys, events and nonces: `crates/store/tests/billing.rs`, `crowd.rs` |
//! | 9 a charge is given back at most once, exactly, and lapses if its package has ended | `check_request`, `check_packages` |
//! | 10 a reversal leaves a beginning of the charge | `check_prefix` |
//! | 11 a bill is its hour's sum, rounded; hours add up to the month; no mail in two bills | `check_bills` |
//! | 12 the quota holds on every local day, and no purchase moves it | `check_quota` |
//! | 13 each notice once | `crates/accounts/tests`: notices are rows of the store |
//! | 14 concurrent charges find a serial order | `crates/store/tests/crowd.rs` |
//! | 15 no decision reads a clock; an account's lines never go back in time | `check_lines` |
//!
//! `PROPTEST_CASES` sets how many histories; a million take a quarter of an hour in a release build.

mod billing;
mod boundaries;
mod model;
mod rows;
mod steps;
mod world;

use std::collections::BTreeMap;

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::charge::Source;
use indicia_domain::ledger::package::Closed;
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::time::{
    HOUR_MICROS, STEP_BACK_MAX_MICROS, UnixMicros, local_day, local_hour, local_month, zone,
};
use model::{Model, No, Payer};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use steps::{BEGINNINGS, Edge, FREE_A_DAY, MONTHS, OFFERS, QUOTA, STEPS_MAX, Step, ZONES};
use world::{World, instance_id};

/// The world and the model, which take the same steps.
pub struct History {
    pub world: World,
    pub model: Model,
    /// Lines that were there before the last step.
    lines_before: usize,
    pub seen: Seen,
}

/// How often something happened that histories must reach.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<&'static str, u32>);

impl Seen {
    fn note(&mut self, what: &'static str, happened: bool) {
        *self.0.entry(what).or_default() += u32::from(happened);
    }
}

impl History {
    pub fn new(zone_name: &str, clock: UnixMicros) -> History {
        let zone = zone(zone_name).expect("a zone");
        History {
            world: World::new(zone.clone(), clock),
            model: Model::new(zone),
            lines_before: 0,
            seen: Seen::default(),
        }
    }

    pub fn take(&mut self, step: &Step) {
        self.lines_before = self.world.lines.len();
        let at = self.world.now().0;
        match *step {
            Step::Send(mails) => self.send(mails),
            Step::Reverse { back, mails } => self.reverse(back, mails),
            Step::Buy { offer, quantity, starts_in_micros } => {
                let (mails, starts) = (OFFERS[offer].0, at + starts_in_micros);
                let expected = self.model.buy(mails, quantity, at, starts, MONTHS as i8);
                let done = self.world.buy(mails, quantity, UnixMicros(starts), None);
                self.same(done, expected);
            }
            Step::Renew(pick) => self.with_package(pick, |history, bag, instance| {
                (history.world.renew(&instance), history.model.renew(bag, at, MONTHS as i8))
            }),
            Step::Upgrade { pick, offer } => self.with_package(pick, |history, bag, instance| {
                let mails = OFFERS[offer].0;
                (history.world.upgrade(&instance, mails), history.model.upgrade(bag, mails, at, MONTHS as i8))
            }),
            Step::Refund(pick) => self.with_package(pick, |history, bag, instance| {
                (history.world.refund(&instance), history.model.refund(bag, at))
            }),
            Step::AdjustPackage { mails: 0, .. } | Step::AdjustFree(0) | Step::Credit(0) => {}
            Step::AdjustPackage { pick, mails } => self.with_package(pick, |history, bag, instance| {
                (history.world.adjust(Some(&instance), mails), history.model.adjust_bag(bag, mails, at))
            }),
            Step::AdjustFree(mails) => {
                let (done, expected) = (self.world.adjust(None, mails), self.model.adjust_free(mails));
                self.same(done, expected);
            }
            Step::TopUp(micros) => self.gift(Kind::TopUp, micros),
            Step::Credit(micros) => self.gift(Kind::Credit, micros),
            Step::Limit(micros) => {
                self.world.limit(micros);
                self.model.limit(micros);
            }
            Step::Job => self.job(),
            Step::Wait(micros) => self.move_clock(self.world.clock.0 + micros),
            Step::SetBack(micros) => {
                let earliest = self.world.latest_clock.0 - STEP_BACK_MAX_MICROS;
                self.world.set_clock((self.world.clock.0 - micros).max(earliest));
            }
            Step::To { edge, before } => {
                if let Some(instant) = self.next(edge) {
                    self.move_clock(instant - i64::from(before));
                }
            }
        }
    }

    fn gift(&mut self, kind: Kind, micros: i64) {
        let overdue = self.model.due() > 0;
        let (done, expected) = (self.world.gift(kind, micros), self.model.gift(micros));
        self.same(done, expected);
        self.seen.note("restored by a payment", overdue && self.model.due() == 0);
        self.seen.note("a payment that does not suffice", overdue && self.model.due() > 0);
    }

    fn move_clock(&mut self, to: i64) {
        self.world.seal();
        self.world.set_clock(to);
    }

    fn same(&mut self, done: Result<(), No>, expected: Result<(), No>) {
        assert_eq!(done, expected, "done or refused");
        if let Err(no) = done {
            self.seen.note(no.name(), true);
        }
        if done.is_err() {
            assert_eq!(self.world.lines.len(), self.lines_before, "a refusal writes nothing");
        }
    }

    fn with_package(
        &mut self,
        pick: usize,
        act: impl FnOnce(&mut History, usize, String) -> (Result<(), No>, Result<(), No>),
    ) {
        let count = self.model.bags.len();
        if count > 0 {
            // The newest first: those are the ones of which something can still become.
            let bag = count - 1 - pick % count;
            let (done, expected) = act(self, bag, instance_id(bag));
            self.same(done, expected);
        }
    }

    fn send(&mut self, mails: i64) {
        let request = self.world.requests.len();
        let quota_before = self.world.state.allowance;
        let expected = self.model.send(request, mails, self.world.now().0);
        let done = self.world.send(mails);
        self.same(done, expected);
        match done {
            Ok(()) => {
                let sources = self.world.requests[request].charged.len();
                self.seen.note("a request over three sources or more", sources >= 3);
                self.check_request(request);
            }
            Err(_) => assert_eq!(self.world.state.allowance, quota_before, "R03: a refusal counts nothing"),
        }
    }

    fn reverse(&mut self, back: usize, mails: i64) {
        let Some(request) = self.world.requests.len().checked_sub(back + 1) else { return };
        let expected = self.model.reverse(request, mails);
        let pending = self.world.state.pay_as_you_go_mails;
        assert_eq!(self.world.reverse(request, mails), expected, "mails given back");
        self.see_reversal(pending);
        self.check_request(request);
        self.check_prefix(request);
    }

    fn see_reversal(&mut self, pending: i64) {
        let (world, now) = (&self.world, self.world.now());
        let back = &world.lines[self.lines_before..];
        let ended = back.iter().filter_map(|line| match &line.to {
            LedgerAccount::Package(instance) => world.package(instance),
            _ => None,
        });
        let ended = ended.filter(|package| package.lapsed_at(now) > 0).count() > 0;
        let billed = world.state.pay_as_you_go_mails < 0 && world.state.pay_as_you_go_mails < pending;
        self.seen.note("given back to an ended package", ended);
        self.seen.note("given back after its bill", billed);
    }

    /// A job that runs twice has nothing to do the second time.
    fn job(&mut self) {
        let (before, overdue) = (self.world.bills.len(), self.model.due() > 0);
        self.world.job();
        self.model.job(self.world.now().0);
        let new = &self.world.bills[before..];
        self.seen.note("a late job with several hours", new.len() > 1);
        self.seen.note("a bill", !new.is_empty());
        self.seen.note("a correction of a bill", new.iter().any(|bill| bill.number > 1));
        self.seen.note("a credit note", new.iter().any(|bill| bill.micros < 0));
        self.seen.note("overdue", !overdue && self.model.due() > 0);
        let (lines, bills) = (self.world.lines.len(), self.world.bills.len());
        self.world.job();
        assert_eq!((self.world.lines.len(), self.world.bills.len()), (lines, bills), "R26: the job again");
    }

    fn next(&self, edge: Edge) -> Option<i64> {
        let after = UnixMicros(self.world.clock.0 + 1);
        let packages = &self.world.state.packages;
        let first = |instants: &mut dyn Iterator<Item = UnixMicros>| {
            instants.filter(|instant| *instant > after).min().map(|instant| instant.0)
        };
        match edge {
            Edge::PackageStart => first(&mut packages.iter().map(|package| package.starts_at)),
            Edge::PackageEnd => first(&mut packages.iter().map(|package| package.ends_at)),
            Edge::Midnight => Some(local_day(&self.world.zone, after).end.0),
            Edge::Hour => Some(local_hour(&self.world.zone, after).end.0),
            Edge::Month => Some(local_month(&self.world.zone, after).1.0),
        }
    }

    /// Everything that must hold now; `elsewhere` is another instant to look at packages from.
    pub fn check(&self, elsewhere: i64) {
        self.check_lines();
        self.check_packages(elsewhere);
        self.check_free();
        self.check_quota();
        self.check_money();
        self.check_bills();
    }

    /// Invariant 15, and the form of the new lines.
    fn check_lines(&self) {
        let lines = &self.world.lines;
        for pair in lines[self.lines_before.saturating_sub(1)..].windows(2) {
            assert!(pair[0].at <= pair[1].at, "an account's time never goes back");
            assert!(pair[1].amount > 0 && pair[1].sequence == pair[0].sequence + 1);
        }
    }

    fn check_packages(&self, elsewhere: i64) {
        let now = self.world.now();
        for (bag, it) in self.model.bags.iter().enumerate() {
            let package = self.world.package(&instance_id(bag)).expect("bought");
            let open = it.closed.is_none();
            assert_eq!(package.granted, it.granted);
            assert_eq!(package.remaining, if open { self.model.left(bag) } else { 0 });
            assert_eq!((package.starts_at.0, package.ends_at.0), (it.starts, it.ends), "R08");
            let parts =
                package.usable_at(now) + package.consumed() + package.lapsed_at(now) + package.refunded();
            assert_eq!(parts, package.granted, "R25 of the row");
        }
        for at in [now.0, elsewhere] {
            let balances = self.world.sums.balances(UnixMicros(at));
            assert_eq!(balances.packages.len(), self.model.bags.len());
            for lines in &balances.packages {
                let package = self.world.package(&lines.instance_id).expect("bought");
                let parts = [lines.remaining, lines.upcoming, lines.consumed, lines.lapsed, lines.refunded];
                assert!(parts.iter().all(|part| *part >= 0), "R25 {lines:?}");
                assert_eq!(parts.iter().sum::<i64>(), lines.granted, "R25 as of {at}");
                assert_eq!(lines.granted, package.granted);
                assert_eq!(lines.lapsed, package.lapsed_at(UnixMicros(at)), "R13 as of {at}");
                assert_eq!(lines.remaining + lines.upcoming, package.usable_at(UnixMicros(at)));
            }
        }
    }

    fn check_free(&self) {
        assert_eq!(self.world.state.free.total_left, self.model.free_left(), "R06");
        assert!(self.model.free_left() >= 0);
        let today = self.model.hour(self.world.now().0).0;
        let used = self.model.count(|mail| mail.payer == Payer::Free && mail.hour.0 == today);
        assert!(used <= FREE_A_DAY, "R06");
    }

    fn check_quota(&self) {
        let (now, allowance) = (self.world.now(), &self.world.state.allowance);
        let today = self.model.hour(now.0).0;
        let (day, month) = (local_day(&self.world.zone, now).number, local_month(&self.world.zone, now).0);
        let used = self.model.count(|mail| mail.hour.0 == today);
        assert_eq!(allowance.used_on(day), used, "R17");
        assert!(used <= allowance.daily_mails);
        let in_month = self.model.count(|mail| mail.hour.0.first_of_month() == today.first_of_month());
        assert_eq!(allowance.used_in(month), in_month, "R17");
        assert_eq!(allowance.daily_mails, QUOTA, "R18");
    }

    fn check_money(&self) {
        assert_eq!(self.world.cash, self.model.cash(), "the balance");
        assert_eq!(self.world.open, self.model.open(), "billed and not paid");
        assert_eq!(self.world.due, self.model.due(), "due");
        assert_eq!(self.world.state.status.has(AccountStatus::OVERDUE), self.model.due() > 0, "R11");
    }

    fn check_bills(&self) {
        let (world, model) = (&self.world, &self.model);
        assert_eq!(world.bills.len(), model.bills.len());
        for (bill, expected) in world.bills.iter().zip(&model.bills) {
            assert_eq!(
                (bill.number, bill.mails, bill.micros, bill.called_in, bill.paid),
                (expected.number, expected.mails, expected.micros, expected.called_in, expected.paid)
            );
            assert_eq!(model.hour(bill.hour_start), expected.hour, "R10: whose hour it is");
        }
        let mut month_sum = 0;
        for (start, hour) in &world.hours {
            let bills = || world.bills.iter().filter(|bill| bill.hour_start == *start);
            let (mails, micros) = bills().fold((0, 0), |sum, bill| (sum.0 + bill.mails, sum.1 + bill.micros));
            assert_eq!((mails, micros), (hour.billed_mails, hour.billed_micros), "R10");
            assert_eq!(micros, model::price_of(mails), "R10: the bills add up to one bill");
            month_sum += micros;
        }
        assert_eq!(month_sum, world.bills.iter().map(|bill| bill.micros).sum::<i64>(), "hours are the month");
        let payg = model.count(|mail| mail.payer == Payer::PayAsYouGo);
        let billed: i64 = world.bills.iter().map(|bill| bill.mails).sum();
        assert_eq!(
            world.state.pay_as_you_go_mails,
            payg - billed,
            "each mail is in one bill or waits for it"
        );
    }

    /// Invariants 2, 3 and 9: a request's charges are the model's mails.
    fn check_request(&self, request: usize) {
        for (source, mails) in &self.world.requests[request].still {
            let payer = match source {
                Source::Free => Payer::Free,
                Source::PayAsYouGo => Payer::PayAsYouGo,
                Source::Package(instance) => {
                    let bag = (0..self.model.bags.len()).find(|bag| instance_id(*bag) == *instance);
                    Payer::Bag(bag.expect("a package of the account"))
                }
            };
            assert_eq!(
                self.model.count(|mail| mail.request == request && mail.payer == payer),
                *mails,
                "{source:?}"
            );
        }
        let still: i64 = self.world.requests[request].still.iter().map(|(_, mails)| mails).sum();
        assert_eq!(still, self.model.count(|mail| mail.request == request), "R25");
    }

    /// Invariant 10: what is still charged is the charge, cut off at some place.
    fn check_prefix(&self, request: usize) {
        let it = &self.world.requests[request];
        let cut = it.still.iter().zip(&it.charged).position(|(still, charged)| still.1 < charged.1);
        let after = cut.map_or(&[][..], |cut| &it.still[cut + 1..]);
        assert!(after.iter().all(|(_, mails)| *mails == 0), "R03: last source first");
    }

    pub fn finish(mut self) -> Seen {
        let (seals, bags) = (self.world.check_seals(), &self.model.bags);
        self.seen.note("a sealed balance", seals > 0);
        self.seen.note("refunded", bags.iter().any(|bag| bag.closed == Some(Closed::Refund)));
        self.seen.note("upgraded", bags.iter().any(|bag| bag.closed == Some(Closed::Upgrade)));
        self.seen.note("renewed", bags.iter().any(|bag| bag.renewal_of.is_some()));
        let now = self.world.now();
        self.seen.note("lapsed", self.world.state.packages.iter().any(|package| package.lapsed_at(now) > 0));
        self.seen.note("paid by the 1st or the threshold", self.model.bills.iter().any(|bill| bill.paid));
        let violations = self.world.finish();
        assert!(violations.is_empty(), "{violations:#?}");
        self.seen
    }
}

/// Steps with the hours from then at which packages are looked at too, a zone, a beginning and micros after it.
fn history() -> impl Strategy<Value = (Vec<(Step, i64)>, usize, (usize, i64))> {
    let steps = proptest::collection::vec((steps::step(), -5_000i64..5_000), 1..STEPS_MAX);
    (steps, 0..ZONES.len(), (0..BEGINNINGS.len(), 0i64..100_000_000_000))
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn r03_to_r13_r17_r25_r26_r27_random_histories_agree_with_the_naive_model(
        (steps, zone_pick, (beginning, offset)) in history()
    ) {
        live(&steps, zone_pick, beginning, offset);
    }
}

/// Takes the steps and looks at everything after each.
fn live(steps: &[(Step, i64)], zone_pick: usize, beginning: usize, offset: i64) -> Seen {
    let clock = UnixMicros::parse(BEGINNINGS[beginning]).expect("an instant").plus_micros(offset);
    let mut history = History::new(ZONES[zone_pick], clock);
    if offset % 2 == 0 {
        history.take(&Step::TopUp(120_000));
    }
    for (step, hours) in steps {
        history.take(step);
        history.check(history.world.now().0 + hours * HOUR_MICROS);
    }
    history.finish()
}

/// The histories are not so tame that nothing happens in them: of the first thousand, each thing that can happen
/// happens in some.
#[test]
fn histories_reach_what_they_are_meant_to_test() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut seen: BTreeMap<&'static str, u32> = BTreeMap::new();
    for _ in 0..1_000 {
        let (steps, zone_pick, (beginning, offset)) =
            history().new_tree(&mut runner).expect("a history").current();
        for (what, times) in live(&steps, zone_pick, beginning, offset).0 {
            *seen.entry(what).or_default() += u32::from(times > 0);
        }
    }
    println!("histories of 1,000 in which it happens: {seen:#?}");
    let rare: Vec<_> = seen.iter().filter(|(_, histories)| **histories < 10).collect();
    assert!(rare.is_empty(), "in fewer than 10 of 1,000 histories: {rare:?}");
    for no in No::ALL {
        assert!(seen.contains_key(no.name()), "{no:?} never happens");
    }
}
