//! The ledger replayed against the rules of conservation and of paying (R03 to R06, R09 to R13, R25, R26).
//!
//! [`Replay`] takes the lines of one account in their order and then the account as it is stored, and names
//! everything that does not follow. It shares no code with charging or billing: it adds and compares. What it keeps
//! grows with hours, bills, orders and messages, not with lines.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `mod` | the lines: order, form, running balances; the stored balances |
//! | `payer` | whether the right source paid: R04, R05, R06, R09 |
//! | `packages` | what packages have by the lines: R08, R13, R25 |
//! | `usage` | the kept totals by hour and by package and day |
//! | `deeds` | the lines of each bill, settlement, payment and order |
//! | `bills` | bills, settlements, arrears, payments: R10, R11 |
//! | `orders` | orders, prices, what became of packages: R12 |
//! | `stored` | the rows, as the replay is given them |

mod bills;
mod deeds;
mod orders;
mod packages;
mod payer;
mod stored;
mod usage;

use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;

use super::{Kind, LedgerAccount, Transfer, Unit};
use crate::time::UnixMicros;

pub use payer::FreeCreditRule;
pub use stored::{
    Stored, StoredBill, StoredDay, StoredHour, StoredOrder, StoredPackage, StoredSettlement, StoredTopUp,
};

/// Violations of one account that are named; the rest is counted.
const NAMED_MAX: usize = 1_000;

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
    packages: packages::Packages,
    charged: HashMap<i64, Charged>,
    payer: payer::Payer,
    usage: usage::Usage,
    deeds: deeds::Deeds,
    violations: Vec<Violation>,
    unnamed: u64,
}

impl Replay {
    /// `zone` is the account's: hours and days are counted in it.
    pub fn new(account_id: i64, zone: TimeZone) -> Self {
        Replay {
            account_id,
            lines: 0,
            balances: BTreeMap::new(),
            packages: packages::Packages::default(),
            charged: HashMap::new(),
            payer: payer::Payer::default(),
            usage: usage::Usage::new(zone),
            deeds: deeds::Deeds::default(),
            violations: Vec::new(),
            unnamed: 0,
        }
    }

    /// Judges the daily maximum of the free credit too (R04, R06), which is configuration and in no line.
    pub fn judge_free_credit(&mut self, rule: FreeCreditRule) {
        self.payer.judge_free_credit(rule);
    }

    /// Names a violation of this account.
    pub fn violation(&mut self, what: String) {
        if self.violations.len() < NAMED_MAX {
            self.violations.push(Violation { account_id: self.account_id, what });
        } else {
            self.unnamed += 1;
        }
    }

    /// Takes the next line.
    pub fn line(&mut self, line: &Transfer) {
        self.lines = self.lines.saturating_add(1);
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
        self.payer.grant(line);
        if matches!(line.kind, Kind::Send | Kind::Reversal) {
            self.count_charge(line, &name);
        }
        *self.balances.entry(line.from.clone()).or_default() -= i128::from(line.amount);
        *self.balances.entry(line.to.clone()).or_default() += i128::from(line.amount);
        self.packages.count(line);
        self.deeds.count(line);
        self.check_not_negative(line, &name);
    }

    /// A charge counts for the hour and day at which its message was accepted, also when it is given back.
    fn count_charge(&mut self, line: &Transfer, name: &str) {
        let is_send = line.kind == Kind::Send;
        let mails = if is_send { line.amount } else { line.amount.saturating_neg() };
        let charged = self.charged.entry(line.transaction_id).or_insert(Charged { mails: 0, at: line.at });
        charged.mails = charged.mails.saturating_add(mails);
        let accepted_at = charged.at;
        if is_send {
            let (_, day) = self.usage.place(line.at);
            if let Some(wrong) = self.payer.send(line, day, &self.balances) {
                self.violation(format!("{name}: {wrong}"));
            }
        }
        let (hour, day) = self.usage.place(accepted_at);
        let source = if is_send { &line.from } else { &line.to };
        if !is_send {
            self.payer.give_back(source, day, line.amount);
        }
        self.usage.count(source, (hour, day), mails);
    }

    fn check_running_balance(&mut self, line: &Transfer, name: &str) {
        let (own, sign) = line.own_side();
        let (before, after) = (i128::from(line.before), i128::from(line.after));
        if after != before + i128::from(sign) * i128::from(line.amount) {
            self.violation(format!(
                "{name}: {before} before, {after} after does not fit an amount of {}",
                line.amount
            ));
        }
        let balance = self.balance(own);
        let replayed = if own.is_owed() { -balance } else { balance };
        if before != replayed {
            self.violation(format!(
                "{name}: says {own} was {before} before, the lines before it say {replayed}"
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

    /// Compares with the stored account; what was charged and not taken belongs to no message.
    pub fn finish(mut self, stored: &Stored) -> Vec<Violation> {
        self.compare_balances(stored);
        let mut wrong = self.packages.compare(stored, &self.balances);
        wrong.extend(self.usage.compare(stored));
        wrong.extend(bills::compare(stored, &self.deeds, &self.balances));
        wrong.extend(orders::compare(stored, &self.deeds));
        let mut left: Vec<_> = self.charged.iter().filter(|(_, charged)| charged.mails != 0).collect();
        left.sort_unstable_by_key(|(message, _)| **message);
        wrong.extend(left.into_iter().map(|(message, charged)| {
            format!("message {message}: {} mails charged, but there is no such message", charged.mails)
        }));
        wrong.into_iter().for_each(|what| self.violation(what));
        self.abandon()
    }

    /// The violations so far, of an account that cannot be read any further.
    pub fn abandon(mut self) -> Vec<Violation> {
        if self.unnamed > 0 {
            let what = format!("and {} violations more of this account", self.unnamed);
            self.violations.push(Violation { account_id: self.account_id, what });
        }
        self.violations
    }

    fn compare_balances(&mut self, stored: &Stored) {
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
        let (day, used) = (self.payer.free.day, self.payer.free.used);
        if (day, used) != (stored.free_day, stored.free_day_used) {
            self.violation(format!(
                "free: by the lines {used} mails count for day {day}, by the account {} for day {} (R06)",
                stored.free_day_used, stored.free_day
            ));
        }
        if self.lines != stored.sequence {
            self.violation(format!(
                "the ledger ends at line {}, the account counts {}",
                self.lines, stored.sequence
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
