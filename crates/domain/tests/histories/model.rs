//! A model so naive that it can be seen to be right: it knows single mails, single packages and single bills, looks for
//! each mail's payer from the start, and has no balance at all: every number is counted anew whenever it is asked for.

use indicia_domain::ledger::package::Closed;
use indicia_domain::time::TimeZone;
use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use crate::steps::{FREE_A_DAY, FREE_IN_ALL, PRICE_MICROS, QUOTA, THRESHOLD_MICROS, specification_price};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payer {
    Free,
    Bag(usize),
    PayAsYouGo,
}

/// One clock hour: date, hour and offset from UTC. An hour that daylight saving repeats has another offset.
pub type ClockHour = (Date, i8, i32);

#[derive(Clone, Debug)]
pub struct Mail {
    pub request: usize,
    pub at: i64,
    pub hour: ClockHour,
    pub payer: Payer,
    pub reversed: bool,
}

#[derive(Clone, Debug)]
pub struct Bag {
    pub specification: i64,
    pub granted: i64,
    pub bought: i64,
    pub starts: i64,
    pub ends: i64,
    pub closed: Option<Closed>,
    pub renewal_of: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Bill {
    pub hour: ClockHour,
    /// For the order of hours: the hour's first mail.
    pub first_at: i64,
    pub number: i64,
    pub mails: i64,
    pub micros: i64,
    pub called_in: bool,
    pub paid: bool,
}

/// Why the model refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    Overdue,
    Quota,
    Money,
    Used,
    Ended,
    Closed,
    NotLarger,
    Renewed,
    TooFew,
    Emptied,
}

impl No {
    pub const ALL: [No; 10] = [
        No::Overdue,
        No::Quota,
        No::Money,
        No::Used,
        No::Ended,
        No::Closed,
        No::NotLarger,
        No::Renewed,
        No::TooFew,
        No::Emptied,
    ];

    pub fn name(self) -> &'static str {
        match self {
            No::Overdue => "refused: overdue",
            No::Quota => "refused: quota",
            No::Money => "refused: money",
            No::Used => "refused: used",
            No::Ended => "refused: ended",
            No::Closed => "refused: given back",
            No::NotLarger => "refused: not larger",
            No::Renewed => "refused: renewed before",
            No::TooFew => "refused: too few mails",
            No::Emptied => "refused: emptied by an operator",
        }
    }
}

pub struct Model {
    zone: TimeZone,
    pub mails: Vec<Mail>,
    pub bags: Vec<Bag>,
    pub bills: Vec<Bill>,
    /// Everything that came in from outside, or (negative) went there.
    pub gifts: Vec<i64>,
    pub free_gifts: i64,
    pub credit_limit: i64,
}

fn month(date: Date) -> (i16, i8) {
    (date.year(), date.month())
}

/// R10 by schoolbook: millionths, then cents, half a cent up, at least one.
pub fn price_of(mails: i64) -> i64 {
    let exact = mails * PRICE_MICROS;
    let (cents, rest) = (exact / 10_000, exact % 10_000);
    let rounded = if rest >= 5_000 { cents + 1 } else { cents };
    if mails == 0 { 0 } else { rounded.max(1) * 10_000 }
}

impl Model {
    pub fn new(zone: TimeZone) -> Model {
        Model {
            zone,
            mails: vec![],
            bags: vec![],
            bills: vec![],
            gifts: vec![],
            free_gifts: 0,
            credit_limit: 0,
        }
    }

    fn civil(&self, at: i64) -> Zoned {
        Timestamp::from_microsecond(at).expect("an instant").to_zoned(self.zone.clone())
    }

    pub fn hour(&self, at: i64) -> ClockHour {
        let civil = self.civil(at);
        (civil.date(), civil.hour(), civil.offset().seconds())
    }

    /// R08: the midnight that closes the day so many months later, a missing day being the month's last.
    pub fn ends(&self, starts: i64, months: i8) -> i64 {
        let date = self.civil(starts).date();
        let (mut year, mut month) = (date.year(), date.month() + months);
        while month > 12 {
            (year, month) = (year + 1, month - 12);
        }
        let mut day = date.day();
        let last = loop {
            match Date::new(year, month, day) {
                Ok(date) => break date,
                Err(_) => day -= 1,
            }
        };
        let closing = last.tomorrow().expect("a day").to_zoned(self.zone.clone()).expect("a midnight");
        closing.start_of_day().expect("a midnight").timestamp().as_microsecond()
    }

    pub fn count(&self, is: impl Fn(&Mail) -> bool) -> i64 {
        self.mails.iter().filter(|mail| !mail.reversed && is(mail)).count() as i64
    }

    pub fn consumed(&self, bag: usize) -> i64 {
        self.count(|mail| mail.payer == Payer::Bag(bag))
    }

    pub fn left(&self, bag: usize) -> i64 {
        self.bags[bag].granted - self.consumed(bag)
    }

    pub fn free_left(&self) -> i64 {
        FREE_IN_ALL + self.free_gifts - self.count(|mail| mail.payer == Payer::Free)
    }

    /// The money: all that came in, less what open packages cost, less the bills that are paid.
    pub fn cash(&self) -> i64 {
        let packages = self.bags.iter().filter(|bag| bag.closed.is_none());
        self.gifts.iter().sum::<i64>()
            - packages.map(|bag| specification_price(bag.specification)).sum::<i64>()
            - self.bills.iter().filter(|bill| bill.paid).map(|bill| bill.micros).sum::<i64>()
    }

    pub fn open(&self) -> i64 {
        self.bills.iter().filter(|bill| !bill.paid).map(|bill| bill.micros).sum()
    }

    pub fn due(&self) -> i64 {
        self.bills.iter().filter(|bill| !bill.paid && bill.called_in).map(|bill| bill.micros).sum()
    }

    fn can_pay(&self, bag: usize, at: i64) -> bool {
        let it = &self.bags[bag];
        it.closed.is_none() && it.starts <= at && at < it.ends && self.left(bag) > 0
    }

    /// R04, R05, R06, R09: who pays for one more mail.
    fn payer(&self, at: i64) -> Payer {
        let today = self.hour(at).0;
        let free_today = self.count(|mail| mail.payer == Payer::Free && mail.hour.0 == today);
        if free_today < FREE_A_DAY && self.free_left() > 0 {
            return Payer::Free;
        }
        let candidates = (0..self.bags.len()).filter(|bag| self.can_pay(*bag, at));
        let first = candidates.min_by_key(|bag| (self.bags[*bag].ends, self.bags[*bag].bought, *bag));
        first.map_or(Payer::PayAsYouGo, Payer::Bag)
    }

    pub fn send(&mut self, request: usize, mails: i64, at: i64) -> Result<(), No> {
        let hour = self.hour(at);
        if self.due() > 0 {
            return Err(No::Overdue);
        }
        if self.count(|mail| mail.hour.0 == hour.0) + mails > QUOTA
            || self.count(|mail| month(mail.hour.0) == month(hour.0)) + mails > QUOTA * 30
        {
            return Err(No::Quota);
        }
        for _ in 0..mails {
            let payer = self.payer(at);
            self.mails.push(Mail { request, at, hour, payer, reversed: false });
        }
        Ok(())
    }

    /// R03: the last mails of the request, which are those of the last source; returns how many.
    pub fn reverse(&mut self, request: usize, mails: i64) -> i64 {
        let own = self.mails.iter_mut().rev().filter(|mail| mail.request == request && !mail.reversed);
        own.take(mails as usize).map(|mail| mail.reversed = true).count() as i64
    }

    pub fn buy(
        &mut self,
        specification: i64,
        quantity: i64,
        at: i64,
        starts: i64,
        months: i8,
    ) -> Result<(), No> {
        if self.due() > 0 {
            return Err(No::Overdue);
        }
        if self.cash() < specification_price(specification) * quantity {
            return Err(No::Money);
        }
        for _ in 0..quantity {
            self.add_bag(specification, at, starts, months);
        }
        Ok(())
    }

    fn add_bag(&mut self, specification: i64, at: i64, starts: i64, months: i8) {
        let ends = self.ends(starts, months);
        let bought = at;
        let (granted, closed, renewal_of) = (specification, None, None);
        self.bags.push(Bag { specification, granted, bought, starts, ends, closed, renewal_of });
    }

    pub fn renew(&mut self, bag: usize, at: i64, months: i8) -> Result<(), No> {
        let old = self.bags[bag].clone();
        match (old.closed, at >= old.ends) {
            (Some(_), _) => return Err(No::Closed),
            (None, true) => return Err(No::Ended),
            _ => {}
        }
        if self.bags.iter().any(|other| other.renewal_of == Some(bag) && other.closed.is_none()) {
            return Err(No::Renewed);
        }
        self.buy(old.specification, 1, at, old.ends, months)?;
        self.bags.last_mut().expect("just bought").renewal_of = Some(bag);
        Ok(())
    }

    /// R12: whether it can be given back.
    fn untouched(&self, bag: usize, at: i64) -> Result<(), No> {
        match (self.bags[bag].closed, at >= self.bags[bag].ends, self.consumed(bag)) {
            (Some(_), _, _) => Err(No::Closed),
            (None, true, _) => Err(No::Ended),
            (None, false, 0) if self.bags[bag].granted < self.bags[bag].specification => Err(No::Emptied),
            (None, false, 0) => Ok(()),
            _ => Err(No::Used),
        }
    }

    pub fn refund(&mut self, bag: usize, at: i64) -> Result<(), No> {
        self.untouched(bag, at)?;
        self.bags[bag].closed = Some(Closed::Refund);
        self.money_came();
        Ok(())
    }

    pub fn upgrade(&mut self, bag: usize, to: i64, at: i64, months: i8) -> Result<(), No> {
        self.untouched(bag, at)?;
        let old = self.bags[bag].clone();
        let (dearer, has) = (specification_price(to), specification_price(old.specification));
        if to <= old.specification || dearer < has {
            return Err(No::NotLarger);
        }
        if self.due() > 0 {
            return Err(No::Overdue);
        }
        if self.cash() < dearer - has {
            return Err(No::Money);
        }
        self.bags[bag].closed = Some(Closed::Upgrade);
        self.add_bag(to, at, old.starts.max(at), months);
        Ok(())
    }

    pub fn gift(&mut self, micros: i64) -> Result<(), No> {
        if micros < 0 && self.cash() + micros < 0 {
            return Err(No::Money);
        }
        self.gifts.push(micros);
        if micros > 0 {
            self.money_came();
        }
        Ok(())
    }

    pub fn limit(&mut self, micros: i64) {
        self.credit_limit = micros;
        self.money_came();
    }

    pub fn adjust_free(&mut self, mails: i64) -> Result<(), No> {
        if self.free_left() + mails < 0 {
            return Err(No::TooFew);
        }
        self.free_gifts += mails;
        Ok(())
    }

    pub fn adjust_bag(&mut self, bag: usize, mails: i64, at: i64) -> Result<(), No> {
        match (self.bags[bag].closed, at >= self.bags[bag].ends) {
            (Some(_), _) => return Err(No::Closed),
            (None, true) => return Err(No::Ended),
            _ => {}
        }
        if self.left(bag) + mails < 0 {
            return Err(No::TooFew);
        }
        self.bags[bag].granted += mails;
        Ok(())
    }

    fn money_came(&mut self) {
        if self.due() > 0 {
            self.settle();
        }
    }

    /// R11: credit notes, then whole bills, the oldest first, as long as the money lasts.
    fn settle(&mut self) {
        let mut waiting: Vec<usize> = (0..self.bills.len())
            .filter(|bill| self.bills[*bill].called_in && !self.bills[*bill].paid)
            .collect();
        waiting.sort_by_key(|bill| {
            let it = &self.bills[*bill];
            (it.micros > 0, it.first_at, it.number)
        });
        for bill in waiting {
            let micros = self.bills[bill].micros;
            if micros > 0 && self.cash() + self.credit_limit < micros {
                return;
            }
            self.bills[bill].paid = true;
        }
    }

    /// The billing job.
    pub fn job(&mut self, at: i64) {
        let now = self.hour(at);
        // Every hour that ever had a pay-as-you-go mail, by its first.
        let mut hours: Vec<(i64, ClockHour)> = vec![];
        for mail in self.mails.iter().filter(|mail| mail.payer == Payer::PayAsYouGo && mail.hour != now) {
            if !hours.iter().any(|(_, hour)| *hour == mail.hour) {
                hours.push((mail.at, mail.hour));
            }
        }
        hours.sort_unstable();
        let mut looked = false;
        for (first_at, hour) in hours {
            let own = || self.bills.iter().filter(|bill| bill.hour == hour);
            let used = self.count(|mail| mail.payer == Payer::PayAsYouGo && mail.hour == hour);
            let (number, billed) = (own().count() as i64 + 1, own().map(|bill| bill.mails).sum::<i64>());
            let micros = price_of(used) - own().map(|bill| bill.micros).sum::<i64>();
            let mails = used - billed;
            if mails == 0 {
                continue;
            }
            looked = true;
            self.bills.push(Bill { hour, first_at, number, mails, micros, called_in: false, paid: false });
            if self.open() >= THRESHOLD_MICROS {
                self.call_in(|_| true);
                self.settle();
            }
        }
        let this = month(now.0);
        looked |= self.bills.iter().any(|bill| !bill.paid && !bill.called_in && month(bill.hour.0) < this);
        if !looked {
            return;
        }
        let (overdue, waiting) = (self.due() > 0, self.waiting());
        self.call_in(|bill| month(bill.hour.0) < this);
        if overdue {
            self.call_in(|bill| bill.micros < 0);
        }
        if self.waiting() < waiting {
            self.settle();
        }
    }

    /// Bills that are not called in.
    fn waiting(&self) -> usize {
        self.bills.iter().filter(|bill| !bill.paid && !bill.called_in).count()
    }

    fn call_in(&mut self, is: impl Fn(&Bill) -> bool) {
        self.bills.iter_mut().filter(|bill| !bill.paid && is(bill)).for_each(|bill| bill.called_in = true);
    }
}
