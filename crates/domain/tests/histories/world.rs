//! One account, booked by the pure functions of the crate as the store books it: state rows beside lines, every line
//! with its balance before and after, totals by hour and by package and day kept with every charge.

use std::collections::BTreeMap;

use indicia_domain::account::{AccountState, AccountStatus};
use indicia_domain::ledger::as_of::{Balances, Sums};
use indicia_domain::ledger::change::{NotRenewable, NotReturnable, NotUpgradable};
use indicia_domain::ledger::charge::{Charge, Purse, Source};
use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::ledger::package::{Closed, Package};
use indicia_domain::ledger::price::PriceList;
use indicia_domain::ledger::verify::{
    FreeCreditRule, Replay, StoredOrder, StoredSettlement, StoredTopUp, Violation,
};
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit, Validity, change};
use indicia_domain::mail::admission::{self, Refusal, admit};
use indicia_domain::money::MoneyMicros;
use indicia_domain::quota::Allowance;
use indicia_domain::time::{TimeZone, UnixMicros, local_day, local_hour, never_back, validity_end};

use crate::model::No;
use crate::steps::{FREE_IN_ALL, MONTHS, POLICY, QUOTA, prices};

/// The usage of one hour as it is kept.
#[derive(Clone, Debug, Default)]
pub struct Hour {
    pub end: i64,
    pub free: i64,
    pub package: i64,
    pub payg: i64,
    pub billed_mails: i64,
    pub billed_micros: i64,
    pub price: i64,
    pub bills: i64,
}

#[derive(Clone, Debug)]
pub struct Bill {
    pub bill_id: i64,
    pub hour_start: i64,
    pub number: i64,
    pub mails: i64,
    pub micros: i64,
    pub made_at: UnixMicros,
    pub called_in: bool,
    pub paid: bool,
    pub settlement_id: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub message_id: i64,
    pub at: UnixMicros,
    /// As charged, in the order of charging.
    pub charged: Vec<(Source, i64)>,
    /// What of it still is.
    pub still: Vec<(Source, i64)>,
}

/// What a package's row has beside the package.
#[derive(Clone, Debug)]
pub struct Meta {
    pub specification: i64,
    pub price: MoneyMicros,
    pub renewal_of: Option<String>,
    pub order_id: i64,
    pub closed_at: Option<UnixMicros>,
    pub replaced_by: Option<String>,
}

/// A balance that was read, and must be read again for ever once the account's time has passed it.
struct Seal {
    at: UnixMicros,
    balances: Balances,
    sealed: bool,
}

pub struct World {
    pub zone: TimeZone,
    pub prices: PriceList,
    pub clock: UnixMicros,
    pub latest_clock: UnixMicros,
    changed_at: UnixMicros,
    pub state: AccountState,
    pub cash: i64,
    pub credit_limit: i64,
    pub open: i64,
    pub due: i64,
    pub hours: BTreeMap<i64, Hour>,
    pub days: BTreeMap<(String, i64), i64>,
    pub bills: Vec<Bill>,
    pub requests: Vec<Request>,
    pub meta: BTreeMap<String, Meta>,
    pub orders: Vec<StoredOrder>,
    pub settlements: Vec<StoredSettlement>,
    pub top_ups: Vec<StoredTopUp>,
    pub lines: Vec<Transfer>,
    pub sums: Sums,
    replay: Replay,
    next_transaction: i64,
    seals: Vec<Seal>,
}

/// Balances that one history keeps in mind.
const SEALS_MAX: usize = 4;

pub fn instance_id(number: usize) -> String {
    format!("DMBAG-{}", 1_000 + number)
}

impl World {
    pub fn new(zone: TimeZone, clock: UnixMicros) -> World {
        let mut world = World {
            prices: prices(),
            clock,
            latest_clock: clock,
            changed_at: UnixMicros(0),
            state: AccountState {
                account_id: 1,
                status: AccountStatus::NORMAL,
                zone: zone.clone(),
                allowance: Allowance::new(QUOTA),
                free: FreeCredit { total_left: 0, day: 0, day_used: 0 },
                packages: vec![],
                pay_as_you_go_mails: 0,
                warming: vec![],
                pause: None,
            },
            cash: 0,
            credit_limit: 0,
            open: 0,
            due: 0,
            hours: BTreeMap::new(),
            days: BTreeMap::new(),
            bills: vec![],
            requests: vec![],
            meta: BTreeMap::new(),
            orders: vec![],
            settlements: vec![],
            top_ups: vec![],
            lines: vec![],
            sums: Sums::default(),
            replay: Replay::new(1, zone.clone()),
            next_transaction: 0,
            seals: vec![],
            zone,
        };
        let free = FreeCreditRule { daily_mails: POLICY.free_daily_mails, since: UnixMicros(i64::MIN) };
        world.replay.judge_free_credit(free);
        let of = world.transaction();
        world.mails(Kind::Opening, LedgerAccount::Granted, LedgerAccount::Free, FREE_IN_ALL, of);
        world
    }

    /// The account's own time.
    pub fn now(&self) -> UnixMicros {
        never_back(self.clock, self.changed_at)
    }

    pub fn set_clock(&mut self, clock: i64) {
        self.clock = UnixMicros(clock);
        self.latest_clock = self.latest_clock.max(self.clock);
    }

    /// The account's row was written.
    pub fn touch(&mut self) {
        self.changed_at = self.now();
    }

    pub fn transaction(&mut self) -> i64 {
        self.next_transaction += 1;
        self.next_transaction
    }

    pub fn package(&self, instance: &str) -> Option<&Package> {
        self.state.packages.iter().find(|package| package.instance_id == instance)
    }

    fn package_mut(&mut self, instance: &str) -> Option<&mut Package> {
        self.state.packages.iter_mut().find(|package| package.instance_id == instance)
    }

    fn shown(&self, side: &LedgerAccount) -> i64 {
        match side {
            LedgerAccount::Cash => self.cash,
            LedgerAccount::Receivable => self.open,
            LedgerAccount::PayAsYouGo => self.state.pay_as_you_go_mails,
            LedgerAccount::Free => self.state.free.total_left,
            LedgerAccount::Package(instance) => self.package(instance).map_or(0, |package| package.remaining),
            _ => 0,
        }
    }

    fn shift(&mut self, side: &LedgerAccount, amount: i64) {
        match side {
            LedgerAccount::Cash => self.cash += amount,
            LedgerAccount::Receivable => self.open -= amount,
            LedgerAccount::PayAsYouGo => self.state.pay_as_you_go_mails -= amount,
            LedgerAccount::Free => self.state.free.total_left += amount,
            LedgerAccount::Package(instance) => {
                if let Some(package) = self.package_mut(instance) {
                    package.remaining += amount;
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, line: Transfer) {
        self.changed_at = line.at;
        self.seals.retain(|seal| seal.sealed || seal.at < line.at);
        self.seals.iter_mut().for_each(|seal| seal.sealed = true);
        self.replay.line(&line);
        self.sums.add_line(&line);
        self.lines.push(line);
    }

    fn line(
        &self,
        kind: Kind,
        unit: Unit,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: i64,
        of: i64,
    ) -> Transfer {
        Transfer {
            account_id: 1,
            sequence: self.lines.len() as i64 + 1,
            transaction_id: of,
            at: self.now(),
            kind,
            unit,
            from,
            to,
            amount,
            before: 0,
            after: 0,
            memo: String::new(),
            validity: None,
        }
    }

    fn enter(&mut self, mut line: Transfer) {
        if line.amount == 0 {
            return;
        }
        line.before = self.shown(line.own_side().0);
        self.shift(&line.from, -line.amount);
        self.shift(&line.to, line.amount);
        line.after = self.shown(line.own_side().0);
        self.append(line);
    }

    pub fn money(&mut self, kind: Kind, from: LedgerAccount, to: LedgerAccount, micros: i64, of: i64) {
        self.enter(self.line(kind, Unit::Money, from, to, micros, of));
    }

    pub fn mails(&mut self, kind: Kind, from: LedgerAccount, to: LedgerAccount, mails: i64, of: i64) {
        self.enter(self.line(kind, Unit::Mail, from, to, mails, of));
    }

    pub fn send(&mut self, mails: i64) -> Result<(), No> {
        let at = self.now();
        let request = admission::Request { mails, domain_id: 1, sender_id: 1 };
        let charges = admit(&mut self.state, &POLICY, at, request).map_err(|refusal| match refusal {
            Refusal::Overdue => No::Overdue,
            Refusal::OverQuota(_) => No::Quota,
            other => panic!("{other}"),
        })?;
        let message_id = self.transaction();
        self.book_charges(&charges, Kind::Send, message_id, at);
        let charged: Vec<_> = charges.into_iter().map(|charge| (charge.source, charge.mails)).collect();
        self.requests.push(Request { message_id, at, still: charged.clone(), charged });
        Ok(())
    }

    /// Lines and kept totals of charges that the purse has made already.
    fn book_charges(&mut self, charges: &[Charge], kind: Kind, message_id: i64, accepted_at: UnixMicros) {
        let (hour, day) = (local_hour(&self.zone, accepted_at), local_day(&self.zone, accepted_at).number);
        for charge in charges {
            let (own, consumed) = (charge.source.ledger_account(), LedgerAccount::Consumed);
            let (from, to, sign) = if kind == Kind::Send { (own, consumed, 1) } else { (consumed, own, -1) };
            let mut line = self.line(kind, Unit::Mail, from, to, charge.mails, message_id);
            (line.before, line.after) = (charge.before, charge.after);
            self.append(line);
            let kept = self.hours.entry(hour.start.0).or_default();
            kept.end = hour.end.0;
            match &charge.source {
                Source::Free => kept.free += sign * charge.mails,
                Source::PayAsYouGo => kept.payg += sign * charge.mails,
                Source::Package(instance) => {
                    kept.package += sign * charge.mails;
                    *self.days.entry((instance.clone(), day)).or_default() += sign * charge.mails;
                }
            }
        }
    }

    /// R03; returns the mails given back.
    pub fn reverse(&mut self, request: usize, mails: i64) -> i64 {
        let Request { message_id, at, still, .. } = self.requests[request].clone();
        let day = local_day(&self.zone, at).number;
        let mut purse = Purse {
            free: &mut self.state.free,
            packages: &mut self.state.packages,
            pay_as_you_go_mails: &mut self.state.pay_as_you_go_mails,
        };
        let back = purse.reverse(&still, day, mails);
        let sum = back.iter().map(|charge| charge.mails).sum();
        self.state.allowance.give_back(&self.zone, at, sum);
        self.book_charges(&back, Kind::Reversal, message_id, at);
        for charge in &back {
            let still = &mut self.requests[request].still;
            let entry = still.iter_mut().rev().find(|(source, _)| *source == charge.source);
            entry.expect("it was charged").1 -= charge.mails;
        }
        sum
    }

    pub fn buy(
        &mut self,
        specification: i64,
        quantity: i64,
        starts: UnixMicros,
        renewal_of: Option<String>,
    ) -> Result<(), No> {
        let price = self.prices.offer(specification).expect("on offer").price;
        if self.due > 0 {
            return Err(No::Overdue);
        }
        if self.cash < price.0 * quantity {
            return Err(No::Money);
        }
        let order = self.transaction();
        let kind = if renewal_of.is_some() { "Renew" } else { "New" };
        self.order(order, kind, (specification, quantity, price.0 * quantity), renewal_of.as_deref());
        for _ in 0..quantity {
            self.grant(Kind::Purchase, specification, price, price.0, starts, order);
            if let Some(renewed) = &renewal_of {
                let newest = instance_id(self.state.packages.len() - 1);
                self.meta.get_mut(&newest).expect("just granted").renewal_of = Some(renewed.clone());
            }
        }
        Ok(())
    }

    fn grant(
        &mut self,
        kind: Kind,
        mails: i64,
        price: MoneyMicros,
        pays: i64,
        starts: UnixMicros,
        order: i64,
    ) {
        let instance = instance_id(self.state.packages.len());
        let ends_at = validity_end(&self.zone, starts, MONTHS);
        self.money(kind, LedgerAccount::Cash, LedgerAccount::Sales, pays, order);
        self.state.packages.push(Package {
            instance_id: instance.clone(),
            granted: mails,
            remaining: 0,
            purchased_at: self.now(),
            starts_at: starts,
            ends_at,
            closed: None,
        });
        let meta = Meta {
            specification: mails,
            price,
            renewal_of: None,
            order_id: order,
            closed_at: None,
            replaced_by: None,
        };
        self.meta.insert(instance.clone(), meta);
        let to = LedgerAccount::Package(instance);
        let mut line = self.line(kind, Unit::Mail, LedgerAccount::Granted, to, mails, order);
        line.validity = Some(Validity { from: starts, until: ends_at });
        self.enter(line);
    }

    fn order(&mut self, order_id: i64, kind: &str, what: (i64, i64, i64), related: Option<&str>) {
        let (specification, quantity, amount_micros) = what;
        self.orders.push(StoredOrder {
            order_id,
            kind: kind.to_owned(),
            at: self.now(),
            specification,
            quantity,
            amount_micros,
            related_instance: related.map(str::to_owned),
        });
    }

    pub fn renew(&mut self, instance: &str) -> Result<(), No> {
        let package = self.package(instance).expect("known").clone();
        let starts = change::renewal_start(&package, self.now()).map_err(|why| match why {
            NotRenewable::Ended(_) => No::Ended,
            NotRenewable::Refunded | NotRenewable::Upgraded => No::Closed,
        })?;
        let is_live = |other: &str| self.package(other).is_some_and(|package| package.closed.is_none());
        if self
            .meta
            .iter()
            .any(|(other, meta)| meta.renewal_of.as_deref() == Some(instance) && is_live(other))
        {
            return Err(No::Renewed);
        }
        self.buy(self.meta[instance].specification, 1, starts, Some(instance.to_owned()))
    }

    pub fn upgrade(&mut self, instance: &str, to: i64) -> Result<(), No> {
        let (package, now) = (self.package(instance).expect("known").clone(), self.now());
        let offer = self.prices.offer(to).expect("on offer");
        let total = change::upgrade_price(
            &package,
            self.meta[instance].specification,
            self.meta[instance].price,
            offer,
            now,
        )
        .map_err(|why| match why {
            NotUpgradable::NotReturnable(why) => refusal_of(why),
            NotUpgradable::NotLarger(..) | NotUpgradable::Cheaper { .. } => No::NotLarger,
        })?;
        if self.due > 0 {
            return Err(No::Overdue);
        }
        if self.cash < total.0 {
            return Err(No::Money);
        }
        let order = self.transaction();
        self.order(order, "Upgrade", (to, 1, total.0), Some(instance));
        self.take_back(Kind::Upgrade, instance, Closed::Upgrade, order);
        let larger = instance_id(self.state.packages.len());
        self.meta.get_mut(instance).expect("known").replaced_by = Some(larger);
        self.grant(Kind::Upgrade, to, offer.price, total.0, package.starts_at.max(now), order);
        Ok(())
    }

    pub fn refund(&mut self, instance: &str) -> Result<(), No> {
        let package = self.package(instance).expect("known").clone();
        change::returnable(&package, self.meta[instance].specification, self.now()).map_err(refusal_of)?;
        let order = self.transaction();
        let (specification, price) = (self.meta[instance].specification, self.meta[instance].price);
        self.order(order, "Refund", (specification, 1, -price.0), Some(instance));
        self.take_back(Kind::Refund, instance, Closed::Refund, order);
        self.money(Kind::Refund, LedgerAccount::Sales, LedgerAccount::Cash, price.0, order);
        if self.due > 0 {
            self.settle();
        }
        Ok(())
    }

    fn take_back(&mut self, kind: Kind, instance: &str, how: Closed, order: i64) {
        let left = self.package(instance).map_or(0, |package| package.remaining);
        self.mails(kind, LedgerAccount::Package(instance.to_owned()), LedgerAccount::Granted, left, order);
        if let Some(package) = self.package_mut(instance) {
            package.closed = Some(how);
        }
        let now = self.now();
        self.meta.get_mut(instance).expect("known").closed_at = Some(now);
    }

    pub fn adjust(&mut self, instance: Option<&str>, mails: i64) -> Result<(), No> {
        let side = match instance {
            None => LedgerAccount::Free,
            Some(instance) => {
                let package = self.package(instance).expect("known");
                match (package.closed, self.now() >= package.ends_at) {
                    (Some(_), _) => return Err(No::Closed),
                    (None, true) => return Err(No::Ended),
                    _ => LedgerAccount::Package(instance.to_owned()),
                }
            }
        };
        if self.shown(&side) + mails < 0 {
            return Err(No::TooFew);
        }
        let of = self.transaction();
        let (from, to) =
            if mails > 0 { (LedgerAccount::Granted, side) } else { (side, LedgerAccount::Granted) };
        self.mails(Kind::Adjustment, from, to, mails.abs(), of);
        if let Some(package) = instance.and_then(|instance| self.package_mut(instance)) {
            package.granted += mails;
        }
        Ok(())
    }

    /// Reads the balances of this instant, to read them again at the end.
    pub fn seal(&mut self) {
        if self.seals.len() < SEALS_MAX {
            let at = self.now();
            self.seals.push(Seal { at, balances: self.sums.balances(at), sealed: false });
        }
    }

    /// R27: from the lines alone, the balances that were read are there again. Returns how many.
    pub fn check_seals(&self) -> usize {
        let sealed = || self.seals.iter().filter(|seal| seal.sealed);
        for seal in sealed() {
            let mut sums = Sums::default();
            self.lines.iter().filter(|line| line.at <= seal.at).for_each(|line| sums.add_line(line));
            assert_eq!(sums.balances(seal.at), seal.balances, "as of {}", seal.at);
        }
        sealed().count()
    }

    /// The replay of all lines against the rows.
    pub fn finish(mut self) -> Vec<Violation> {
        for request in &self.requests {
            let still: i64 = request.still.iter().map(|(_, mails)| mails).sum();
            assert_eq!(self.replay.take_charged(request.message_id), still, "R25: charges of a message");
        }
        let stored = self.stored();
        self.replay.finish(&stored)
    }
}

fn refusal_of(why: NotReturnable) -> No {
    match why {
        NotReturnable::Used(_) => No::Used,
        NotReturnable::Ended(_) => No::Ended,
        NotReturnable::Refunded | NotReturnable::Upgraded => No::Closed,
        NotReturnable::Emptied(_) => No::Emptied,
    }
}
