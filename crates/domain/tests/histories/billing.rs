//! The world's money: what comes in, the billing job, and collection.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::bill::{DueBill, Hour as Usage, collect, next_bill};
use indicia_domain::ledger::verify::{StoredSettlement, StoredTopUp};
use indicia_domain::ledger::{Kind, LedgerAccount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{UnixMicros, local_month, local_month_numbered};

use crate::model::No;
use crate::steps::COLLECTION;
use crate::world::{Bill, World};

impl World {
    /// Money from outside, or (negative) to there.
    pub fn gift(&mut self, kind: Kind, micros: i64) -> Result<(), No> {
        if micros < 0 && self.cash + micros < 0 {
            return Err(No::Money);
        }
        let of = self.transaction();
        let sides = (LedgerAccount::Outside, LedgerAccount::Cash);
        let (from, to) = if micros > 0 { sides } else { (sides.1, sides.0) };
        self.money(kind, from, to, micros.abs(), of);
        if kind == Kind::TopUp {
            self.top_ups.push(StoredTopUp {
                provider: "stripe".to_owned(),
                payment_reference: format!("pi_{of}"),
                amount_micros: micros,
                at: self.now(),
                transaction_id: of,
            });
        }
        if micros > 0 && self.due > 0 {
            self.settle();
        }
        Ok(())
    }

    pub fn limit(&mut self, micros: i64) {
        self.credit_limit = micros;
        self.touch();
        if self.due > 0 {
            self.settle();
        }
    }

    pub fn settle(&mut self) {
        let due = self.bills.iter().filter(|bill| bill.called_in && !bill.paid).map(|bill| DueBill {
            bill_id: bill.bill_id,
            hour_start: UnixMicros(bill.hour_start),
            number: bill.number,
            amount: MoneyMicros(bill.micros),
        });
        let collected = collect(due.collect(), MoneyMicros(self.cash), MoneyMicros(self.credit_limit));
        let of = self.transaction();
        let sides = (LedgerAccount::Cash, LedgerAccount::Receivable);
        let (from, to) = if collected.amount.0 >= 0 { sides } else { (sides.1, sides.0) };
        self.money(Kind::Settlement, from, to, collected.amount.0.abs(), of);
        if !collected.paid.is_empty() {
            self.settlements.push(StoredSettlement {
                settlement_id: of,
                at: self.now(),
                cause: "payment".to_owned(),
                bills: collected.paid.len() as i64,
                amount_micros: collected.amount.0,
            });
        }
        for bill in self.bills.iter_mut().filter(|bill| collected.paid.contains(&bill.bill_id)) {
            assert!(!bill.paid, "a bill is paid once");
            (bill.paid, bill.settlement_id) = (true, Some(of));
        }
        self.due = collected.left.0;
        let without = self.state.status.0 & !AccountStatus::OVERDUE.0;
        let overdue = if self.due > 0 { AccountStatus::OVERDUE.0 } else { 0 };
        self.state.status = AccountStatus(without | overdue);
    }

    /// The amounts of the bills that became due.
    fn call_in(&mut self, is: impl Fn(&Bill) -> bool) -> Vec<i64> {
        let mut called = Vec::new();
        for bill in self.bills.iter_mut().filter(|bill| !bill.paid && !bill.called_in) {
            if is(bill) {
                bill.called_in = true;
                called.push(bill.micros);
            }
        }
        called
    }

    pub fn job(&mut self) {
        let now = self.now();
        let over: Vec<i64> = self
            .hours
            .iter()
            .filter(|(_, hour)| hour.end <= now.0 && hour.payg != hour.billed_mails)
            .map(|(start, _)| *start)
            .collect();
        for start in &over {
            self.bill_hour(*start);
            if self.open >= COLLECTION.threshold.0 {
                let called = self.call_in(|_| true);
                // Who could not pay the oldest bill cannot pay a newer one either.
                if self.due > 0 && called.iter().all(|micros| *micros > 0) {
                    self.due += called.iter().sum::<i64>();
                } else {
                    self.settle();
                }
            }
        }
        let month = local_month(&self.zone, now).0;
        let begins = local_month_numbered(&self.zone, month).0.0;
        let waiting = self.bills.iter().any(|bill| !bill.paid && !bill.called_in && bill.hour_start < begins);
        if !waiting && over.is_empty() {
            return;
        }
        self.touch();
        let overdue = self.due > 0;
        let mut called = self.call_in(|bill| bill.hour_start < begins);
        if overdue {
            called.extend(self.call_in(|bill| bill.micros < 0));
        }
        if !called.is_empty() {
            self.settle();
        }
    }

    fn bill_hour(&mut self, start: i64) {
        let hour = self.hours[&start].clone();
        let price = if hour.bills == 0 { self.prices.pay_as_you_go() } else { MoneyMicros(hour.price) };
        let usage = Usage {
            mails: hour.payg,
            billed_mails: hour.billed_mails,
            billed: MoneyMicros(hour.billed_micros),
        };
        let new = next_bill(price, usage).expect("the hour has changed");
        let bill_id = self.transaction();
        let mails = (LedgerAccount::Billed, LedgerAccount::PayAsYouGo);
        let (from, to) = if new.mails > 0 { mails } else { (mails.1, mails.0) };
        self.mails(Kind::Bill, from, to, new.mails.abs(), bill_id);
        let money = (LedgerAccount::Receivable, LedgerAccount::Sales);
        let (from, to) = if new.amount.0 > 0 { money } else { (money.1, money.0) };
        self.money(Kind::Bill, from, to, new.amount.0.abs(), bill_id);
        let kept = self.hours.get_mut(&start).expect("known");
        kept.billed_mails += new.mails;
        kept.billed_micros += new.amount.0;
        kept.price = price.0;
        kept.bills += 1;
        let (number, mails, micros) = (kept.bills, new.mails, new.amount.0);
        self.bills.push(Bill {
            bill_id,
            hour_start: start,
            number,
            mails,
            micros,
            made_at: self.now(),
            called_in: false,
            paid: false,
            settlement_id: None,
        });
    }
}
