//! What packages have by the lines (R25): granted = remaining or lapsed + consumed + given back, none negative; and their
//! validity, which the granting line carries (R08).

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Kind, LedgerAccount, Transfer, Validity};
use super::{Stored, StoredPackage};

/// Mails of one package by what became of them.
#[derive(Debug, Default)]
struct Sums {
    validity: Option<Validity>,
    granted: i128,
    consumed: i128,
    given_back: i128,
}

#[derive(Debug, Default)]
pub(super) struct Packages {
    sums: BTreeMap<String, Sums>,
}

impl Packages {
    pub(super) fn count(&mut self, line: &Transfer) {
        let amount = i128::from(line.amount);
        if let LedgerAccount::Package(instance) = &line.to {
            let sums = self.sums.entry(instance.clone()).or_default();
            match line.kind {
                Kind::Reversal => sums.consumed -= amount,
                _ => sums.granted += amount,
            }
            sums.validity = line.validity.or(sums.validity);
        }
        if let LedgerAccount::Package(instance) = &line.from {
            let sums = self.sums.entry(instance.clone()).or_default();
            match line.kind {
                Kind::Send => sums.consumed += amount,
                Kind::Refund | Kind::Upgrade => sums.given_back += amount,
                _ => sums.granted -= amount,
            }
        }
    }

    pub(super) fn compare(&self, stored: &Stored, balances: &BTreeMap<LedgerAccount, i128>) -> Vec<String> {
        let mut wrong = Vec::new();
        let known: BTreeSet<&str> =
            stored.packages.iter().map(|row| row.package.instance_id.as_str()).collect();
        for row in &stored.packages {
            let account = LedgerAccount::Package(row.package.instance_id.clone());
            self.compare_one(row, balances.get(&account).copied().unwrap_or(0), &mut wrong);
        }
        for instance in self.sums.keys().filter(|instance| !known.contains(instance.as_str())) {
            wrong.push(format!("{instance}: has ledger lines but no package"));
        }
        wrong
    }

    fn compare_one(&self, row: &StoredPackage, balance: i128, wrong: &mut Vec<String>) {
        let package = &row.package;
        let instance = &package.instance_id;
        if balance != i128::from(package.remaining) {
            wrong.push(format!(
                "{instance}: the lines leave {balance} mails, the package has {}",
                package.remaining
            ));
        }
        if package.remaining < 0 || package.remaining > package.granted {
            wrong.push(format!("{instance}: {} of {} mails remain", package.remaining, package.granted));
        }
        let Some(sums) = self.sums.get(instance) else {
            wrong.push(format!("{instance}: no line grants its mails"));
            return;
        };
        let granted = i128::from(package.granted);
        let given_back = if package.closed.is_some() { granted } else { 0 };
        if sums.granted != granted || granted != balance + sums.consumed + sums.given_back {
            wrong.push(format!(
                "{instance}: {granted} granted is not {balance} remaining or lapsed + {} consumed + {} given back, \
                 of {} by the lines (R25)",
                sums.consumed, sums.given_back, sums.granted
            ));
        }
        if sums.consumed < 0 {
            wrong.push(format!("{instance}: got back {} mails more than it paid for", -sums.consumed));
        }
        if sums.given_back != given_back {
            wrong.push(format!(
                "{instance}: the lines take back {} mails, the package's row {given_back}",
                sums.given_back
            ));
        }
        let kept = Some(Validity { from: package.starts_at, until: package.ends_at });
        if sums.validity != kept {
            wrong.push(format!("{instance}: its validity is not the one that its granting line has (R08)"));
        }
    }
}
