//! The lines of every transaction that a row stands for: a bill, a settlement, a payment, an order. One entry for a
//! row, however many mails the account has.

use std::collections::BTreeMap;

use super::super::{Kind, LedgerAccount, Transfer, Unit};
use crate::time::UnixMicros;

/// What the lines of one transaction move together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    /// Mails billed (negative: unbilled) or granted (negative: given back).
    pub mails: i128,
    /// Money asked for, taken or come in; negative: the other way.
    pub micros: i128,
    pub first_at: UnixMicros,
    pub last_at: UnixMicros,
}

impl Moved {
    /// Whether all of it happened at `at`.
    pub fn is_all_at(&self, at: UnixMicros) -> bool {
        (self.first_at, self.last_at) == (at, at)
    }

    fn add(moved: &mut Option<Moved>, line: &Transfer) {
        let moved = moved.get_or_insert(Moved { mails: 0, micros: 0, first_at: line.at, last_at: line.at });
        let amount = if is_forward(line) { i128::from(line.amount) } else { -i128::from(line.amount) };
        match line.unit {
            Unit::Mail => moved.mails += amount,
            Unit::Money => moved.micros += amount,
        }
        moved.first_at = moved.first_at.min(line.at);
        moved.last_at = moved.last_at.max(line.at);
    }
}

/// Whether the line goes the way of a bill, a payment, a purchase; the other way are credit notes and refunds.
fn is_forward(line: &Transfer) -> bool {
    use LedgerAccount::{Billed, Cash, Granted, Outside, Receivable, Sales};
    matches!((&line.from, &line.to), (Granted | Billed | Cash | Outside, _) | (Receivable, Sales))
}

#[derive(Debug, Default)]
pub(super) struct OrderLines {
    pub moved: Option<Moved>,
    /// One kind, if the order is sound.
    pub kinds: Vec<Kind>,
    pub granted: Vec<String>,
    pub taken_back: Vec<String>,
}

/// The line that granted a package, or the one that took it back.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackageLine {
    pub order_id: i64,
    pub kind: Kind,
    pub mails: i64,
    pub at: UnixMicros,
}

#[derive(Debug, Default)]
pub(super) struct Deeds {
    pub bills: BTreeMap<i64, Option<Moved>>,
    pub settlements: BTreeMap<i64, Option<Moved>>,
    pub top_ups: BTreeMap<i64, Option<Moved>>,
    pub orders: BTreeMap<i64, OrderLines>,
    pub grants: BTreeMap<String, PackageLine>,
    pub returns: BTreeMap<String, PackageLine>,
}

impl Deeds {
    pub(super) fn count(&mut self, line: &Transfer) {
        let of = line.transaction_id;
        match line.kind {
            Kind::Bill => Moved::add(self.bills.entry(of).or_default(), line),
            Kind::Settlement => Moved::add(self.settlements.entry(of).or_default(), line),
            Kind::TopUp => Moved::add(self.top_ups.entry(of).or_default(), line),
            Kind::Purchase | Kind::Upgrade | Kind::Refund => self.count_order(line),
            Kind::Opening | Kind::Send | Kind::Reversal | Kind::Credit | Kind::Adjustment => {}
        }
    }

    fn count_order(&mut self, line: &Transfer) {
        let order = self.orders.entry(line.transaction_id).or_default();
        Moved::add(&mut order.moved, line);
        if !order.kinds.contains(&line.kind) {
            order.kinds.push(line.kind);
        }
        let package =
            PackageLine { order_id: line.transaction_id, kind: line.kind, mails: line.amount, at: line.at };
        if let LedgerAccount::Package(instance) = &line.to {
            order.granted.push(instance.clone());
            self.grants.insert(instance.clone(), package);
        }
        if let LedgerAccount::Package(instance) = &line.from {
            order.taken_back.push(instance.clone());
            self.returns.insert(instance.clone(), package);
        }
    }
}
