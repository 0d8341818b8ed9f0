//! The ledger replayed against the rules of conservation and of paying (R03 to R06, R09, R10, R25, R26).
//!
//! [`Replay`] takes the lines of one account in their order and then the account as it is stored, and names
//! everything that does not follow. It shares no code with charging or billing: it adds and compares.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `mod` | the lines: order, form, running balances, the stored account and its packages |
//! | `payer` | whether the right source paid: R04, R05, R09 |
//! | `usage` | the kept totals by hour and by package and day, and the bills |

mod payer;
mod usage;

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use super::as_of::Sums;
use super::package::Package;
use super::{Kind, LedgerAccount, Transfer, Unit};
use crate::time::UnixMicros;

pub use usage::{StoredBill, StoredDay, StoredHour};

/// What is stored of an account beside its ledger.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub free_left: i64,
    pub pay_as_you_go_mails: i64,
    pub cash_micros: i64,
    /// Billed and not yet paid.
    pub open_micros: i64,
    pub sequence: i64,
    pub packages: Vec<Package>,
    pub hours: Vec<StoredHour>,
    pub days: Vec<StoredDay>,
    pub bills: Vec<StoredBill>,
}

/// Something that does not follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub account_id: i64,
    pub what: String,
}

/// What a message was charged, net.
#[derive(Clone, Copy, Debug)]
struct Charged {
    mails: i64,
    at: UnixMicros,
}

/// The ledger of one account, line by line.
#[derive(Debug)]
pub struct Replay {
    account_id: i64,
    lines: i64,
    balances: BTreeMap<LedgerAccount, i128>,
    sums: Sums,
    charged: HashMap<i64, Charged>,
    payer: payer::Payer,
    usage: usage::Usage,
    violations: Vec<Violation>,
}

impl Replay {
    /// `zone` is the account's: hours and days are counted in it.
    pub fn new(account_id: i64, zone: TimeZone) -> Self {
        Replay {
            account_id,
            lines: 0,
            balances: BTreeMap::new(),
            sums: Sums::default(),
            charged: HashMap::new(),
            payer: payer::Payer::default(),
            usage: usage::Usage::new(zone),
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
        if !sides_fit(line) {
            let (kind, unit) = (line.kind.as_str(), line.unit.as_str());
            self.violation(format!("{name}: a {kind} of {unit} cannot go from {} to {}", line.from, line.to));
        }
        self.check_running_balance(line, &name);
        if let Some(wrong) = self.payer.check(line, &self.balances) {
            self.violation(format!("{name}: {wrong}"));
        }
        *self.balances.entry(line.from.clone()).or_default() -= i128::from(line.amount);
        *self.balances.entry(line.to.clone()).or_default() += i128::from(line.amount);
        self.sums.add_line(line);
        self.check_not_negative(line, &name);
        self.count_charge(line);
    }

    fn count_charge(&mut self, line: &Transfer) {
        let sign = match line.kind {
            Kind::Send => 1,
            Kind::Reversal => -1,
            _ => return,
        };
        let charged = self.charged.entry(line.transaction_id).or_insert(Charged { mails: 0, at: line.at });
        charged.mails += sign * line.amount;
        let source = if sign > 0 { &line.from } else { &line.to };
        self.usage.count(source, charged.at, sign * line.amount);
    }

    fn check_running_balance(&mut self, line: &Transfer, name: &str) {
        let (own, sign) = line.own_side();
        if line.after != line.before + sign * line.amount {
            self.violation(format!(
                "{name}: {} before, {} after does not fit an amount of {}",
                line.before, line.after, line.amount
            ));
        }
        let balance = self.balance(own);
        let before = if own.is_owed() { -balance } else { balance };
        if i128::from(line.before) != before {
            self.violation(format!(
                "{name}: says {own} was {} before, the lines before it say {before}",
                line.before
            ));
        }
    }

    fn balance(&self, account: &LedgerAccount) -> i128 {
        self.balances.get(account).copied().unwrap_or(0)
    }

    fn check_not_negative(&mut self, line: &Transfer, name: &str) {
        for side in [&line.from, &line.to] {
            let balance = self.balance(side);
            let wrong = match side {
                LedgerAccount::Free
                | LedgerAccount::Package(_)
                | LedgerAccount::Consumed
                | LedgerAccount::Sales => balance < 0,
                LedgerAccount::Granted | LedgerAccount::Billed => balance > 0,
                // Mails given back after their bill, credit notes and the credit limit can turn these.
                LedgerAccount::PayAsYouGo
                | LedgerAccount::Receivable
                | LedgerAccount::Cash
                | LedgerAccount::Outside => false,
            };
            if wrong {
                self.violation(format!("{name}: leaves {side} at {balance}"));
            }
        }
    }

    /// Net mails charged for a message so far, and forgets it: for comparing with the message's recipients.
    pub fn take_charged(&mut self, message_id: i64) -> i64 {
        self.charged.remove(&message_id).map_or(0, |charged| charged.mails)
    }

    /// Compares with the stored account; the rest of `charged` belongs to no message.
    pub fn finish(mut self, stored: &Stored) -> Vec<Violation> {
        let expected = [
            (LedgerAccount::Free, i128::from(stored.free_left)),
            (LedgerAccount::PayAsYouGo, -i128::from(stored.pay_as_you_go_mails)),
            (LedgerAccount::Cash, i128::from(stored.cash_micros)),
            (LedgerAccount::Receivable, -i128::from(stored.open_micros)),
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
        let left = self.charged.iter().filter(|(_, charged)| charged.mails != 0);
        let uncharged: Vec<_> = left.map(|(id, charged)| (*id, charged.mails)).collect();
        for (message, mails) in uncharged {
            self.violation(format!("message {message}: {mails} mails charged, but there is no such message"));
        }
        if self.balances.values().sum::<i128>() != 0 {
            self.violation("the ledger does not sum to zero".to_owned());
        }
        for what in self.usage.compare(stored, &self.balances) {
            self.violation(what);
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
        let balances = self.sums.balances(package.ends_at);
        let Some(lines) = balances.packages.iter().find(|balance| balance.instance_id == *instance) else {
            self.violation(format!("{instance}: no line grants its mails"));
            return;
        };
        let parts = lines.remaining + lines.upcoming + lines.consumed + lines.lapsed + lines.refunded;
        if lines.granted != package.granted || parts != lines.granted {
            self.violation(format!(
                "{instance}: {} granted is not {} consumed + {} lapsed or remaining + {} refunded (R25)",
                package.granted,
                lines.consumed,
                lines.lapsed + lines.remaining + lines.upcoming,
                lines.refunded
            ));
        }
        if lines.refunded != package.refunded() {
            self.violation(format!(
                "{instance}: the lines refund {} mails, the package {}",
                lines.refunded,
                package.refunded()
            ));
        }
        let kept = (package.starts_at, package.ends_at);
        if lines.validity.map(|validity| (validity.from, validity.until)) != Some(kept) {
            self.violation(format!(
                "{instance}: its validity is not the one that its granting line has (R08)"
            ));
        }
    }
}

/// Whether a line of this kind and unit may go from where it comes to where it goes.
fn sides_fit(line: &Transfer) -> bool {
    use LedgerAccount::{
        Billed, Cash, Consumed, Free, Granted, Outside, Package, PayAsYouGo, Receivable, Sales,
    };
    let sides = (&line.from, &line.to);
    match (line.kind, line.unit) {
        (Kind::Opening, Unit::Mail) => matches!(sides, (Granted, Free)),
        (Kind::Send, Unit::Mail) => matches!(sides, (Free | Package(_) | PayAsYouGo, Consumed)),
        (Kind::Reversal, Unit::Mail) => matches!(sides, (Consumed, Free | Package(_) | PayAsYouGo)),
        (Kind::Purchase, Unit::Mail) => matches!(sides, (Granted, Package(_))),
        (Kind::Purchase, Unit::Money) => matches!(sides, (Cash, Sales)),
        (Kind::Upgrade, Unit::Mail) => matches!(sides, (Granted, Package(_)) | (Package(_), Granted)),
        (Kind::Upgrade, Unit::Money) => matches!(sides, (Cash, Sales)),
        (Kind::Refund, Unit::Mail) => matches!(sides, (Package(_), Granted)),
        (Kind::Refund, Unit::Money) => matches!(sides, (Sales, Cash)),
        (Kind::Bill, Unit::Mail) => matches!(sides, (Billed, PayAsYouGo) | (PayAsYouGo, Billed)),
        (Kind::Bill, Unit::Money) => matches!(sides, (Receivable, Sales) | (Sales, Receivable)),
        (Kind::Settlement, Unit::Money) => matches!(sides, (Cash, Receivable) | (Receivable, Cash)),
        (Kind::Credit | Kind::Adjustment, Unit::Money) => {
            matches!(sides, (Outside, Cash) | (Cash, Outside))
        }
        (Kind::TopUp, Unit::Money) => matches!(sides, (Outside, Cash)),
        (Kind::Adjustment, Unit::Mail) => {
            matches!(sides, (Granted, Free | Package(_)) | (Free | Package(_), Granted))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
