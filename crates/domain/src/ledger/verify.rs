//! The ledger replayed against the rules of conservation (R25, R26).
//!
//! [`Replay`] takes the lines of one account in their order and then the account as it is stored, and names
//! everything that does not follow. It shares no code with charging: it adds and compares.

use std::collections::{BTreeMap, HashMap};

use super::package::Package;
use super::{Kind, LedgerAccount, Transfer, Unit};

/// What is stored of an account beside its ledger.
#[derive(Clone, Debug)]
pub struct Stored {
    pub free_left: i64,
    pub pay_as_you_go_mails: i64,
    pub cash_micros: i64,
    pub sequence: i64,
    pub packages: Vec<Package>,
}

/// Something that does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub account_id: i64,
    pub what: String,
}

/// The ledger of one account, line by line.
#[derive(Debug)]
pub struct Replay {
    account_id: i64,
    lines: i64,
    balances: BTreeMap<LedgerAccount, i128>,
    /// Net mails charged for each message.
    charged: HashMap<i64, i64>,
    /// First and last instant at which each package paid.
    paid_between: HashMap<String, (i64, i64)>,
    violations: Vec<Violation>,
}

impl Replay {
    pub fn new(account_id: i64) -> Self {
        Replay {
            account_id,
            lines: 0,
            balances: BTreeMap::new(),
            charged: HashMap::new(),
            paid_between: HashMap::new(),
            violations: Vec::new(),
        }
    }

    fn violation(&mut self, what: String) {
        self.violations.push(Violation { account_id: self.account_id, what });
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &Transfer) {
        self.lines += 1;
        let name = format!("line {}", line.sequence);
        if line.sequence != self.lines {
            self.violation(format!("{name}: line {} was expected; lines are missing or doubled", self.lines));
            self.lines = line.sequence;
        }
        if line.amount <= 0 {
            self.violation(format!("{name}: amount {} is not positive", line.amount));
        }
        self.check_sides(line, &name);
        let (own, sign) = line.own_side();
        if line.after != line.before + sign * line.amount {
            self.violation(format!(
                "{name}: {} before, {} after does not fit an amount of {}",
                line.before, line.after, line.amount
            ));
        }
        let balance = self.balance(own);
        let before = if *own == LedgerAccount::PayAsYouGo { -balance } else { balance };
        if i128::from(line.before) != before {
            self.violation(format!(
                "{name}: says {own} was {} before, the lines before it say {before}",
                line.before
            ));
        }
        *self.balances.entry(line.from.clone()).or_default() -= i128::from(line.amount);
        *self.balances.entry(line.to.clone()).or_default() += i128::from(line.amount);
        self.check_not_negative(line, &name);
        match line.kind {
            Kind::Send => *self.charged.entry(line.transaction_id).or_default() += line.amount,
            Kind::Reversal => *self.charged.entry(line.transaction_id).or_default() -= line.amount,
            _ => {}
        }
        if let (Kind::Send, LedgerAccount::Package(instance)) = (line.kind, &line.from) {
            let span = self.paid_between.entry(instance.clone()).or_insert((line.at.0, line.at.0));
            *span = (span.0.min(line.at.0), span.1.max(line.at.0));
        }
    }

    fn balance(&self, account: &LedgerAccount) -> i128 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    fn check_sides(&mut self, line: &Transfer, name: &str) {
        use LedgerAccount::{Cash, Consumed, Free, Granted, Outside, Package, PayAsYouGo, Sales};
        let fits = match (line.kind, line.unit) {
            (Kind::Opening, Unit::Mail) => matches!((&line.from, &line.to), (Granted, Free)),
            (Kind::Send, Unit::Mail) => {
                matches!((&line.from, &line.to), (Free | Package(_) | PayAsYouGo, Consumed))
            }
            (Kind::Reversal, Unit::Mail) => {
                matches!((&line.from, &line.to), (Consumed, Free | Package(_) | PayAsYouGo))
            }
            (Kind::Purchase, Unit::Mail) => matches!((&line.from, &line.to), (Granted, Package(_))),
            (Kind::Purchase, Unit::Money) => matches!((&line.from, &line.to), (Cash, Sales)),
            (Kind::Credit, Unit::Money) => {
                matches!((&line.from, &line.to), (Outside, Cash) | (Cash, Outside))
            }
            _ => false,
        };
        if !fits {
            let (kind, unit) = (line.kind.as_str(), line.unit.as_str());
            self.violation(format!("{name}: a {kind} of {unit} cannot go from {} to {}", line.from, line.to));
        }
    }

    fn check_not_negative(&mut self, line: &Transfer, name: &str) {
        for side in [&line.from, &line.to] {
            let balance = self.balance(side);
            let wrong = match side {
                LedgerAccount::Free
                | LedgerAccount::Package(_)
                | LedgerAccount::Consumed
                | LedgerAccount::Sales => balance < 0,
                LedgerAccount::PayAsYouGo | LedgerAccount::Granted => balance > 0,
                LedgerAccount::Cash | LedgerAccount::Outside => false,
            };
            if wrong {
                self.violation(format!("{name}: leaves {side} at {balance}"));
            }
        }
    }

    /// Net mails charged for a message so far, and forgets it: for comparing with the message's recipients.
    pub fn take_charged(&mut self, message_id: i64) -> i64 {
        self.charged.remove(&message_id).unwrap_or(0)
    }

    /// Compares with the stored account; the rest of `charged` belongs to no message.
    pub fn finish(mut self, stored: &Stored) -> Vec<Violation> {
        let expected = [
            (LedgerAccount::Free, i128::from(stored.free_left)),
            (LedgerAccount::PayAsYouGo, -i128::from(stored.pay_as_you_go_mails)),
            (LedgerAccount::Cash, i128::from(stored.cash_micros)),
        ];
        for (account, value) in expected {
            let replayed = self.balance(&account);
            if replayed != value {
                self.violation(format!("{account}: the lines add up to {replayed}, the account has {value}"));
            }
        }
        if self.lines != stored.sequence {
            self.violation(format!(
                "the ledger ends at line {}, the account counts {}",
                self.lines, stored.sequence
            ));
        }
        for package in &stored.packages {
            self.check_package(package);
        }
        let known = |name: &str| stored.packages.iter().any(|package| package.instance_id == name);
        let orphans: Vec<_> = self
            .balances
            .keys()
            .filter_map(|account| match account {
                LedgerAccount::Package(instance) if !known(instance) => Some(instance.clone()),
                _ => None,
            })
            .collect();
        for instance in orphans {
            self.violation(format!("{instance}: has ledger lines but no package"));
        }
        let uncharged: Vec<_> =
            self.charged.iter().filter(|(_, mails)| **mails != 0).map(|(id, mails)| (*id, *mails)).collect();
        for (message, mails) in uncharged {
            self.violation(format!("message {message}: {mails} mails charged, but there is no such message"));
        }
        if self.balances.values().sum::<i128>() != 0 {
            self.violation("the ledger does not sum to zero".to_owned());
        }
        self.violations
    }

    fn check_package(&mut self, package: &Package) {
        let instance = &package.instance_id;
        let remaining = self.balance(&LedgerAccount::Package(instance.clone()));
        if remaining != i128::from(package.remaining) {
            self.violation(format!(
                "{instance}: the lines leave {remaining} mails, the package has {}",
                package.remaining
            ));
        }
        if package.remaining < 0 || package.remaining > package.granted {
            self.violation(format!("{instance}: {} of {} mails remain", package.remaining, package.granted));
        }
        if let Some(&(first, last)) = self.paid_between.get(instance)
            && (first < package.starts_at.0 || last >= package.ends_at.0)
        {
            self.violation(format!("{instance}: paid outside its validity (R09)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMicros;

    fn line(
        sequence: i64,
        kind: Kind,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: i64,
        before: i64,
        after: i64,
    ) -> Transfer {
        let unit =
            if matches!(to, LedgerAccount::Cash | LedgerAccount::Sales) { Unit::Money } else { Unit::Mail };
        Transfer {
            account_id: 1,
            sequence,
            transaction_id: 7,
            at: UnixMicros(50),
            kind,
            unit,
            from,
            to,
            amount,
            before,
            after,
            memo: String::new(),
        }
    }

    fn history() -> (Vec<Transfer>, Stored) {
        let bag = || LedgerAccount::Package("DMBAG-1".into());
        let lines = vec![
            line(1, Kind::Opening, LedgerAccount::Granted, LedgerAccount::Free, 2_000, 0, 2_000),
            line(2, Kind::Credit, LedgerAccount::Outside, LedgerAccount::Cash, 20_000_000, 0, 20_000_000),
            line(
                3,
                Kind::Purchase,
                LedgerAccount::Cash,
                LedgerAccount::Sales,
                13_050_000,
                20_000_000,
                6_950_000,
            ),
            line(4, Kind::Purchase, LedgerAccount::Granted, bag(), 50_000, 0, 50_000),
            line(5, Kind::Send, LedgerAccount::Free, LedgerAccount::Consumed, 2, 2_000, 1_998),
            line(6, Kind::Send, bag(), LedgerAccount::Consumed, 3, 50_000, 49_997),
            line(7, Kind::Reversal, LedgerAccount::Consumed, bag(), 1, 49_997, 49_998),
        ];
        let package = Package {
            instance_id: "DMBAG-1".into(),
            granted: 50_000,
            remaining: 49_998,
            purchased_at: UnixMicros(10),
            starts_at: UnixMicros(10),
            ends_at: UnixMicros(100),
            refunded: false,
        };
        let stored = Stored {
            free_left: 1_998,
            pay_as_you_go_mails: 0,
            cash_micros: 6_950_000,
            sequence: 7,
            packages: vec![package],
        };
        (lines, stored)
    }

    fn replay(lines: &[Transfer], stored: &Stored) -> Vec<String> {
        let mut replay = Replay::new(1);
        lines.iter().for_each(|line| replay.line(line));
        assert_eq!(replay.take_charged(7), 4);
        replay.finish(stored).into_iter().map(|violation| violation.what).collect()
    }

    #[test]
    fn r25_a_true_ledger_has_no_violation() {
        let (lines, stored) = history();
        assert_eq!(replay(&lines, &stored), Vec::<String>::new());
    }

    #[test]
    fn r25_every_kind_of_damage_is_found() {
        let damaged: [fn(&mut Vec<Transfer>, &mut Stored); 8] = [
            |_, stored| stored.free_left += 1,
            |_, stored| stored.cash_micros -= 1,
            |_, stored| stored.packages[0].remaining -= 1,
            |_, stored| stored.packages.clear(),
            |_, stored| stored.packages[0].ends_at = UnixMicros(50),
            |_, stored| stored.sequence = 6,
            |lines, _| lines[5].after = 1,
            |lines, _| lines[6].sequence = 9,
        ];
        for (number, damage) in damaged.into_iter().enumerate() {
            let (mut lines, mut stored) = history();
            damage(&mut lines, &mut stored);
            assert!(!replay(&lines, &stored).is_empty(), "damage {number} went unnoticed");
        }
    }
}
