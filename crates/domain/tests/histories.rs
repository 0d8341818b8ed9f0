//! Random histories of one account, held against a model so naive that it can be seen to be right: it knows single
//! mails only, looks for each one's payer from the start, and adds up by counting.

use std::collections::BTreeMap;

use indicia_domain::account::{AccountState, AccountStatus};
use indicia_domain::ledger::LedgerAccount;
use indicia_domain::ledger::charge::{Charge, Purse, Source};
use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::ledger::package::Package;
use indicia_domain::mail::admission::{Policy, admit};
use indicia_domain::quota::Allowance;
use indicia_domain::time::{HOUR_MICROS, UnixMicros, local_day, local_month, validity_end, zone};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Send(i64),
    Buy {
        mails: i64,
        starts_in_hours: i64,
    },
    Wait {
        hours: i64,
    },
    /// To one microsecond before, or exactly to, the next end of a package.
    ToAnEnd {
        before: bool,
    },
    ToMidnight {
        before: bool,
    },
    /// Takes back so many mails of one of the last requests.
    Reverse {
        back: usize,
        mails: i64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1i64..60).prop_map(Step::Send),
        2 => (1i64..80, prop_oneof![3 => Just(0i64), 1 => 1i64..2_000]).prop_map(|(mails, starts_in_hours)| Step::Buy { mails, starts_in_hours }),
        2 => (1i64..900).prop_map(|hours| Step::Wait { hours }),
        1 => any::<bool>().prop_map(|before| Step::ToAnEnd { before }),
        1 => any::<bool>().prop_map(|before| Step::ToMidnight { before }),
        2 => (0usize..4, 1i64..60).prop_map(|(back, mails)| Step::Reverse { back, mails }),
    ]
}

const POLICY: Policy = Policy {
    free_total_mails: 70,
    free_daily_mails: 15,
    overdue_spares_prepaid: false,
    initial_daily_quota: 100,
    initial_level: 2,
};

/// One mail, as the model knows it.
#[derive(Clone, Debug)]
struct Mail {
    request: usize,
    at: i64,
    day: i64,
    month: i64,
    payer: String,
    reversed: bool,
}

/// A package, as the model knows it.
struct Bag {
    id: String,
    granted: i64,
    bought: i64,
    starts: i64,
    ends: i64,
}

/// The naive model.
#[derive(Default)]
struct Model {
    mails: Vec<Mail>,
    bags: Vec<Bag>,
}

impl Model {
    fn count(&self, is: impl Fn(&Mail) -> bool) -> i64 {
        self.mails.iter().filter(|mail| !mail.reversed && is(mail)).count() as i64
    }

    fn left(&self, id: &str) -> i64 {
        let granted = self.bags.iter().find(|bag| bag.id == id).map_or(0, |bag| bag.granted);
        granted - self.count(|mail| mail.payer == id)
    }

    fn payer(&self, at: i64, day: i64) -> String {
        let free_today = self.count(|mail| mail.payer == "free" && mail.day == day);
        let free_ever = self.count(|mail| mail.payer == "free");
        if free_today < POLICY.free_daily_mails && free_ever < POLICY.free_total_mails {
            return "free".to_owned();
        }
        let mut best: Option<&Bag> = None;
        for bag in &self.bags {
            if bag.starts > at || at >= bag.ends || self.left(&bag.id) == 0 {
                continue;
            }
            if best.is_none_or(|best| (bag.ends, bag.bought, &bag.id) < (best.ends, best.bought, &best.id)) {
                best = Some(bag);
            }
        }
        best.map_or("pay-as-you-go".to_owned(), |bag| bag.id.clone())
    }

    fn send(&mut self, request: usize, mails: i64, at: i64, day: i64, month: i64) -> bool {
        let over_day = self.count(|mail| mail.day == day) + mails > POLICY.initial_daily_quota;
        let over_month = self.count(|mail| mail.month == month) + mails > POLICY.initial_daily_quota * 30;
        if over_day || over_month {
            return false;
        }
        for _ in 0..mails {
            let payer = self.payer(at, day);
            self.mails.push(Mail { request, at, day, month, payer, reversed: false });
        }
        true
    }

    /// Last mails of the request first: they were paid by the last sources.
    fn reverse(&mut self, request: usize, mails: i64) -> i64 {
        let open = self.mails.iter_mut().rev().filter(|mail| mail.request == request && !mail.reversed);
        open.take(mails as usize).map(|mail| mail.reversed = true).count() as i64
    }
}

struct World {
    state: AccountState,
    model: Model,
    now: i64,
    /// Per request: when, and what is still charged to which source.
    requests: Vec<(UnixMicros, Vec<(Source, i64)>)>,
}

fn name(source: &Source) -> String {
    match source.ledger_account() {
        LedgerAccount::Package(instance) => instance,
        other => other.to_string(),
    }
}

impl World {
    fn new(zone_name: &str) -> World {
        World {
            state: AccountState {
                account_id: 1,
                status: AccountStatus::NORMAL,
                zone: zone(zone_name).unwrap(),
                allowance: Allowance::new(POLICY.initial_daily_quota),
                free: FreeCredit { total_left: POLICY.free_total_mails, day: 0, day_used: 0 },
                packages: vec![],
                pay_as_you_go_mails: 0,
            },
            model: Model::default(),
            now: 1_772_000_000_000_000,
            requests: vec![],
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Send(mails) => self.send(*mails),
            Step::Buy { mails, starts_in_hours } => {
                self.buy(*mails, self.now + starts_in_hours * HOUR_MICROS)
            }
            Step::Wait { hours } => self.now += hours * HOUR_MICROS + 1,
            Step::ToAnEnd { before } => {
                let ends = self.state.packages.iter().map(|package| package.ends_at.0);
                let next = ends.filter(|end| *end > self.now + 1).min();
                self.now = next.map_or(self.now, |end| end - i64::from(*before));
            }
            Step::ToMidnight { before } => {
                let end = local_day(&self.state.zone, UnixMicros(self.now + 1)).end.0;
                self.now = (end - i64::from(*before)).max(self.now);
            }
            Step::Reverse { back, mails } => self.reverse(*back, *mails),
        }
    }

    fn buy(&mut self, mails: i64, starts_at: i64) {
        let instance_id = format!("DMBAG-{}", 1_000 + self.state.packages.len());
        let ends_at = validity_end(&self.state.zone, UnixMicros(starts_at), 6);
        self.model.bags.push(Bag {
            id: instance_id.clone(),
            granted: mails,
            bought: self.now,
            starts: starts_at,
            ends: ends_at.0,
        });
        self.state.packages.push(Package {
            instance_id,
            granted: mails,
            remaining: mails,
            purchased_at: UnixMicros(self.now),
            starts_at: UnixMicros(starts_at),
            ends_at,
            closed: None,
        });
    }

    fn send(&mut self, mails: i64) {
        let at = UnixMicros(self.now);
        let (day, month) = (local_day(&self.state.zone, at).number, local_month(&self.state.zone, at).0);
        let expected = self.model.send(self.requests.len(), mails, self.now, day, month);
        let admitted = admit(&mut self.state, &POLICY, at, mails);
        assert_eq!(admitted.is_ok(), expected, "accepted or refused");
        let charges = admitted.unwrap_or_default();
        let mut paid = BTreeMap::new();
        for mail in self.model.mails.iter().filter(|mail| mail.request == self.requests.len()) {
            *paid.entry(mail.payer.clone()).or_insert(0) += 1;
        }
        let charged: BTreeMap<String, i64> =
            charges.iter().map(|charge| (name(&charge.source), charge.mails)).collect();
        assert_eq!(charged, paid, "who pays");
        check_chain(&charges);
        self.requests.push((at, charges.into_iter().map(|charge| (charge.source, charge.mails)).collect()));
    }

    fn reverse(&mut self, back: usize, mails: i64) {
        let Some(request) = self.requests.len().checked_sub(back + 1) else { return };
        let expected = self.model.reverse(request, mails);
        let (at, charged) = self.requests[request].clone();
        let day = local_day(&self.state.zone, at).number;
        let mut purse = Purse {
            free: &mut self.state.free,
            packages: &mut self.state.packages,
            pay_as_you_go_mails: &mut self.state.pay_as_you_go_mails,
        };
        let reversed = purse.reverse(&charged, day, mails);
        assert_eq!(reversed.iter().map(|charge| charge.mails).sum::<i64>(), expected);
        self.state.allowance.give_back(&self.state.zone, at, expected);
        for charge in &reversed {
            let entry =
                self.requests[request].1.iter_mut().find(|(source, _)| *source == charge.source).unwrap();
            entry.1 -= charge.mails;
        }
    }

    /// R25 at this instant, and the model's numbers.
    fn check(&self) {
        let at = UnixMicros(self.now);
        for package in &self.state.packages {
            assert_eq!(package.remaining, self.model.left(&package.instance_id), "{}", package.instance_id);
            assert_eq!(package.granted, package.usable_at(at) + package.consumed() + package.lapsed_at(at));
            assert!(package.remaining >= 0 && package.lapsed_at(at) >= 0);
        }
        let free_used = self.model.count(|mail| mail.payer == "free");
        assert_eq!(self.state.free.total_left, POLICY.free_total_mails - free_used);
        assert_eq!(self.state.pay_as_you_go_mails, self.model.count(|mail| mail.payer == "pay-as-you-go"));
        let (day, month) = (local_day(&self.state.zone, at).number, local_month(&self.state.zone, at).0);
        assert_eq!(self.state.allowance.used_on(day), self.model.count(|mail| mail.day == day));
        assert_eq!(self.state.allowance.used_in(month), self.model.count(|mail| mail.month == month));
        for mail in self.model.mails.iter().filter(|mail| mail.payer.starts_with("DMBAG")) {
            let package =
                self.state.packages.iter().find(|package| package.instance_id == mail.payer).unwrap();
            assert!(package.is_valid_at(UnixMicros(mail.at)), "R09");
        }
    }
}

fn check_chain(charges: &[Charge]) {
    for charge in charges {
        let grows = charge.source == Source::PayAsYouGo;
        let after = if grows { charge.before + charge.mails } else { charge.before - charge.mails };
        assert_eq!(charge.after, after);
        assert!(charge.mails > 0 && charge.after >= 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000), ..ProptestConfig::default() })]

    #[test]
    fn r04_r05_r06_r09_r17_r25_random_histories_agree_with_the_naive_model(
        steps in proptest::collection::vec(step(), 1..40),
        zone_pick in 0usize..4,
    ) {
        let mut world = World::new(["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Pacific/Chatham"][zone_pick]);
        for step in &steps {
            world.take(step);
            world.check();
        }
    }
}
