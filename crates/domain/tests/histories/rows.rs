//! The world's rows as the replay is given them.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::package::Package;
use indicia_domain::ledger::verify::{Stored, StoredBill, StoredDay, StoredHour, StoredPackage};
use indicia_domain::time::{UnixMicros, local_day};

use crate::world::{Bill, Hour, World};

impl World {
    pub fn stored(&self) -> Stored {
        let is_overdue = self.state.status.has(AccountStatus::OVERDUE);
        let day = |((instance_id, day), mails): (&(String, i64), &i64)| StoredDay {
            instance_id: instance_id.clone(),
            day: *day,
            mails: *mails,
        };
        Stored {
            free_left: self.state.free.total_left,
            free_day: self.state.free.day,
            free_day_used: self.state.free.day_used,
            pay_as_you_go_mails: self.state.pay_as_you_go_mails,
            cash_micros: self.cash,
            open_micros: self.open,
            due_micros: self.due,
            is_overdue,
            overdue_since: is_overdue.then_some(self.clock),
            sequence: self.lines.len() as i64,
            packages: self.state.packages.iter().map(|package| self.stored_package(package)).collect(),
            orders: self.orders.clone(),
            hours: self.hours.iter().map(|(start, hour)| self.stored_hour(*start, hour)).collect(),
            days: self.days.iter().map(day).collect(),
            bills: self.bills.iter().map(|bill| self.stored_bill(bill)).collect(),
            settlements: self.settlements.clone(),
            top_ups: self.top_ups.clone(),
        }
    }

    fn stored_package(&self, package: &Package) -> StoredPackage {
        let meta = &self.meta[&package.instance_id];
        StoredPackage {
            package: package.clone(),
            specification: meta.specification,
            price_micros: meta.price.0,
            order_id: meta.order_id,
            closed_at: meta.closed_at,
            replaced_by: meta.replaced_by.clone(),
            renewal_of: meta.renewal_of.clone(),
        }
    }

    fn stored_hour(&self, start: i64, hour: &Hour) -> StoredHour {
        StoredHour {
            hour_start: UnixMicros(start),
            hour_end: UnixMicros(hour.end),
            day: local_day(&self.zone, UnixMicros(start)).number,
            free_mails: hour.free,
            package_mails: hour.package,
            payg_mails: hour.payg,
            billed_mails: hour.billed_mails,
            billed_micros: hour.billed_micros,
            price_micros: hour.price,
            bills: hour.bills,
        }
    }

    fn stored_bill(&self, bill: &Bill) -> StoredBill {
        let hour = self.stored_hour(bill.hour_start, &self.hours[&bill.hour_start]);
        let paid_by = |id| self.settlements.iter().find(|settlement| settlement.settlement_id == id);
        StoredBill {
            bill_id: bill.bill_id,
            hour_start: hour.hour_start,
            hour_end: hour.hour_end,
            day: hour.day,
            number: bill.number,
            mails: bill.mails,
            amount_micros: bill.micros,
            price_micros: hour.price_micros,
            made_at: bill.made_at,
            due_at: bill.called_in.then_some(bill.made_at),
            settled_at: bill.settlement_id.and_then(paid_by).map(|settlement| settlement.at),
            settlement_id: bill.settlement_id,
        }
    }
}
