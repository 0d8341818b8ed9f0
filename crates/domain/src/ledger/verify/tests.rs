use super::*;
use crate::ledger::Validity;
use crate::ledger::package::{Closed, Package};
use crate::time::zone;

/// Ten o'clock to eleven of 1970-01-01, and instants in it.
const HOUR: UnixMicros = UnixMicros(36_000_000_000);
const END: UnixMicros = UnixMicros(39_600_000_000);

fn bag(number: i64) -> LedgerAccount {
    LedgerAccount::Package(format!("DMBAG-{number}"))
}

/// Lines that are told as (transaction, minute after ten, kind, from, to, amount), with everything else that follows.
#[derive(Default)]
struct Book {
    lines: Vec<Transfer>,
    balances: BTreeMap<LedgerAccount, i64>,
}

impl Book {
    fn enter(
        &mut self,
        of: i64,
        minute: i64,
        kind: Kind,
        from: LedgerAccount,
        to: LedgerAccount,
        amount: i64,
    ) {
        use LedgerAccount::{Cash, Outside, Receivable, Sales};
        let money = matches!(from, Cash | Outside | Receivable | Sales);
        let mut line = Transfer {
            account_id: 1,
            sequence: self.lines.len() as i64 + 1,
            transaction_id: of,
            at: minutes(minute),
            kind,
            unit: if money { Unit::Money } else { Unit::Mail },
            from,
            to,
            amount,
            before: 0,
            after: 0,
            memo: String::new(),
            validity: None,
        };
        let grants =
            matches!(kind, Kind::Purchase | Kind::Upgrade) && matches!(line.to, LedgerAccount::Package(_));
        line.validity = grants.then(|| Validity { from: line.at, until: minutes(1_000) });
        line.before = self.shown(&line);
        *self.balances.entry(line.from.clone()).or_default() -= amount;
        *self.balances.entry(line.to.clone()).or_default() += amount;
        line.after = self.shown(&line);
        self.lines.push(line);
    }

    fn shown(&self, line: &Transfer) -> i64 {
        let (side, _) = line.own_side();
        let balance = self.balances.get(side).copied().unwrap_or(0);
        if side.is_owed() { -balance } else { balance }
    }
}

fn minutes(minute: i64) -> UnixMicros {
    HOUR.plus_micros(minute * crate::time::MINUTE_MICROS)
}

fn package(number: i64, bought: i64, mails: i64, price: i64, order_id: i64) -> StoredPackage {
    StoredPackage {
        package: Package {
            instance_id: format!("DMBAG-{number}"),
            granted: mails,
            remaining: mails,
            purchased_at: minutes(bought),
            starts_at: minutes(bought),
            ends_at: minutes(1_000),
            closed: None,
        },
        specification: mails,
        price_micros: price,
        order_id,
        closed_at: None,
        replaced_by: None,
        renewal_of: None,
    }
}

fn order(order_id: i64, kind: &str, minute: i64, specification: i64, amount_micros: i64) -> StoredOrder {
    StoredOrder {
        order_id,
        kind: kind.to_owned(),
        at: minutes(minute),
        specification,
        quantity: 1,
        amount_micros,
        related_instance: None,
    }
}

/// A payment; DMBAG-1 is bought and exchanged for DMBAG-2; 13 mails, of them one is given back; the hour is billed and
/// paid.
fn history() -> (Vec<Transfer>, Stored) {
    use LedgerAccount::{Billed, Cash, Consumed, Free, Granted, Outside, PayAsYouGo, Receivable, Sales};
    let mut book = Book::default();
    book.enter(1, 0, Kind::Opening, Granted, Free, 2_000);
    book.enter(2, 0, Kind::TopUp, Outside, Cash, 100_000);
    book.enter(3, 1, Kind::Purchase, Cash, Sales, 25_000);
    book.enter(3, 1, Kind::Purchase, Granted, bag(1), 5);
    book.enter(4, 2, Kind::Upgrade, bag(1), Granted, 5);
    book.enter(4, 2, Kind::Upgrade, Cash, Sales, 15_000);
    book.enter(4, 2, Kind::Upgrade, Granted, bag(2), 8);
    book.enter(7, 3, Kind::Send, Free, Consumed, 2);
    book.enter(7, 3, Kind::Send, bag(2), Consumed, 8);
    book.enter(7, 3, Kind::Send, PayAsYouGo, Consumed, 3);
    book.enter(7, 4, Kind::Reversal, Consumed, PayAsYouGo, 1);
    book.enter(8, 60, Kind::Bill, Billed, PayAsYouGo, 2);
    book.enter(8, 60, Kind::Bill, Receivable, Sales, 10_000);
    book.enter(9, 60, Kind::Settlement, Cash, Receivable, 10_000);
    let mut packages = vec![package(1, 1, 5, 25_000, 3), package(2, 2, 8, 40_000, 4)];
    packages[0].package.remaining = 0;
    packages[0].package.closed = Some(Closed::Upgrade);
    packages[0].closed_at = Some(minutes(2));
    packages[0].replaced_by = Some("DMBAG-2".to_owned());
    packages[1].package.remaining = 0;
    let exchange =
        StoredOrder { related_instance: Some("DMBAG-1".to_owned()), ..order(4, "Upgrade", 2, 8, 15_000) };
    let stored = Stored {
        free_left: 1_998,
        free_day: 0,
        free_day_used: 2,
        cash_micros: 50_000,
        sequence: book.lines.len() as i64,
        packages,
        orders: vec![order(3, "New", 1, 5, 25_000), exchange],
        hours: vec![StoredHour {
            hour_start: HOUR,
            hour_end: END,
            day: 0,
            free_mails: 2,
            package_mails: 8,
            payg_mails: 2,
            billed_mails: 2,
            billed_micros: 10_000,
            price_micros: 290,
            bills: 1,
        }],
        days: vec![StoredDay { instance_id: "DMBAG-2".into(), day: 0, mails: 8 }],
        bills: vec![StoredBill {
            bill_id: 8,
            hour_start: HOUR,
            hour_end: END,
            day: 0,
            number: 1,
            mails: 2,
            amount_micros: 10_000,
            price_micros: 290,
            made_at: minutes(60),
            due_at: Some(minutes(60)),
            settled_at: Some(minutes(60)),
            settlement_id: Some(9),
        }],
        settlements: vec![StoredSettlement {
            settlement_id: 9,
            at: minutes(60),
            cause: "month".to_owned(),
            bills: 1,
            amount_micros: 10_000,
        }],
        top_ups: vec![StoredTopUp {
            provider: "stripe".to_owned(),
            payment_reference: "pi_1".to_owned(),
            amount_micros: 100_000,
            at: HOUR,
            transaction_id: 2,
        }],
        ..Stored::default()
    };
    (book.lines, stored)
}

fn replay(lines: &[Transfer], stored: &Stored) -> Vec<String> {
    let mut replay = Replay::new(1, zone("UTC").unwrap());
    replay.judge_free_credit(FreeCreditRule { daily_mails: 2, since: UnixMicros(0) });
    lines.iter().for_each(|line| replay.line(line));
    replay.take_charged(7);
    replay.finish(stored).into_iter().map(|violation| violation.what).collect()
}

#[test]
fn r25_a_true_ledger_has_no_violation() {
    let (lines, stored) = history();
    assert_eq!(replay(&lines, &stored), Vec::<String>::new());
}

type Damage = fn(&mut Vec<Transfer>, &mut Stored);

/// Each damage is named by words of its own.
#[test]
fn r25_every_kind_of_damage_is_named() {
    let damages: [(&str, Damage); 30] = [
        ("free: the lines add up to", |_, stored| stored.free_left += 1),
        ("count for day 0", |_, stored| stored.free_day_used = 0),
        ("cash: the lines", |_, stored| stored.cash_micros -= 1),
        ("the lines leave 0 mails", |_, stored| stored.packages[1].package.remaining = 1),
        ("has ledger lines but no package", |_, stored| stored.packages.truncate(1)),
        ("its validity is not", |_, stored| stored.packages[0].package.ends_at = minutes(50)),
        ("the account counts 6", |_, stored| stored.sequence = 6),
        ("does not fit an amount", |lines, _| lines[5].after = 1),
        ("lines are missing or doubled", |lines, _| lines[6].sequence = 9),
        ("pays before any line grants", |lines, _| lines[6].validity = None),
        ("are kept", |_, stored| stored.hours[0].package_mails += 1),
        ("DMBAG-2 on day 0", |_, stored| stored.days[0].mails -= 1),
        ("unpaid bills add up", |_, stored| stored.open_micros = 1),
        ("(R25)", |_, stored| stored.packages[0].package.granted += 1),
        ("cannot go from", |lines, _| lines[9].kind = Kind::Bill),
        ("free mails left (R04, R06)", |lines, _| lines[7].amount = 1),
        ("where the day had 2 left (R06)", |lines, _| lines[7].amount = 3),
        ("pays while DMBAG-2 has mails left (R04, R05)", |lines, _| lines[8].amount = 7),
        ("its price is 580 millionths", |_, stored| stored.bills[0].price_micros = 580),
        ("were billed as 20000", |_, stored| stored.hours[0].billed_micros = 20_000),
        ("order 3: its amount is", |_, stored| stored.packages[0].price_micros = 26_000),
        ("its order 3 does not exist", |_, stored| drop(stored.orders.remove(0))),
        ("exchanged for none", |_, stored| stored.packages[0].replaced_by = None),
        ("taken back as refund", |_, stored| stored.packages[0].package.closed = Some(Closed::Refund)),
        ("no such top-up", |_, stored| stored.top_ups.clear()),
        ("settlement 9, which paid it, is missing", |_, stored| stored.settlements.clear()),
        ("its lines are of 0 mails", |lines, _| lines[11].transaction_id = 10),
        ("settlement 10: has a ledger line", |lines, _| lines[13].transaction_id = 10),
        ("the account is overdue", |_, stored| stored.is_overdue = true),
        ("the account has 5 due", |_, stored| stored.due_micros = 5),
    ];
    for (words, damage) in damages {
        let (mut lines, mut stored) = history();
        damage(&mut lines, &mut stored);
        let named = replay(&lines, &stored);
        assert!(named.iter().any(|what| what.contains(words)), "'{words}' is not in {named:#?}");
    }
}

#[test]
fn r06_days_before_the_maximum_was_configured_are_not_judged() {
    let (mut lines, stored) = history();
    lines[7].amount = 1;
    let mut replay = Replay::new(1, zone("UTC").unwrap());
    replay.judge_free_credit(FreeCreditRule { daily_mails: 2, since: minutes(4) });
    lines.iter().for_each(|line| replay.line(line));
    let named = replay.finish(&stored);
    assert!(!named.iter().any(|violation| violation.what.contains("R04")), "{named:#?}");
}

/// What the lines alone say, with two free mails a day.
fn judged(book: &Book) -> Vec<String> {
    let mut replay = Replay::new(1, zone("UTC").unwrap());
    replay.judge_free_credit(FreeCreditRule { daily_mails: 2, since: UnixMicros(0) });
    book.lines.iter().for_each(|line| replay.line(line));
    replay.abandon().into_iter().map(|violation| violation.what).collect()
}

const DAY: i64 = 24 * 60;

#[test]
fn r03_free_mails_that_return_on_their_own_day_can_be_used_again() {
    use LedgerAccount::{Consumed, Free, Granted, PayAsYouGo};
    let mut book = Book::default();
    book.enter(1, 0, Kind::Opening, Granted, Free, 2_000);
    book.enter(7, 0, Kind::Send, Free, Consumed, 2);
    book.enter(7, 1, Kind::Reversal, Consumed, Free, 2);
    book.enter(8, 2, Kind::Send, Free, Consumed, 2);
    book.enter(9, 3, Kind::Send, PayAsYouGo, Consumed, 1);
    assert_eq!(judged(&book), Vec::<String>::new());
    book.enter(8, 4, Kind::Reversal, Consumed, Free, 1);
    book.enter(10, 5, Kind::Send, PayAsYouGo, Consumed, 1);
    assert_eq!(judged(&book), ["line 7: pay-as-you-go pays while the day has 1 free mails left (R04, R06)"]);
}

#[test]
fn r03_free_mails_of_a_day_that_has_passed_return_to_the_lifetime_only() {
    use LedgerAccount::{Consumed, Free, Granted, PayAsYouGo};
    let mut book = Book::default();
    book.enter(1, 0, Kind::Opening, Granted, Free, 2_000);
    book.enter(7, 0, Kind::Send, Free, Consumed, 2);
    book.enter(8, DAY, Kind::Send, Free, Consumed, 2);
    book.enter(7, DAY + 1, Kind::Reversal, Consumed, Free, 2);
    book.enter(9, DAY + 2, Kind::Send, PayAsYouGo, Consumed, 1);
    // A clock that is a moment behind midnight does not bring the day before back.
    book.enter(10, DAY - 1, Kind::Send, PayAsYouGo, Consumed, 1);
    assert_eq!(judged(&book), Vec::<String>::new());
    book.enter(11, DAY + 3, Kind::Send, Free, Consumed, 1);
    assert_eq!(judged(&book), ["line 7: takes 1 free mails where the day had 0 left (R06)"]);
}

#[test]
fn numbers_beyond_what_a_sum_can_hold_are_named_not_panicked_over() {
    let (mut lines, mut stored) = history();
    for line in &mut lines {
        (line.amount, line.before, line.after) = (i64::MAX, i64::MIN, i64::MAX);
    }
    lines[2].amount = i64::MIN;
    stored.free_left = i64::MIN;
    stored.hours[0].billed_mails = i64::MAX;
    stored.hours[0].price_micros = i64::MAX;
    stored.bills[0].amount_micros = i64::MIN;
    assert!(replay(&lines, &stored).len() > 20);
}

#[test]
fn a_badly_damaged_account_is_named_in_bounded_memory() {
    let (lines, stored) = history();
    let mut replay = Replay::new(1, zone("UTC").unwrap());
    for _ in 0..1_500 {
        replay.line(&lines[0]);
    }
    let named = replay.finish(&stored);
    assert_eq!(named.len(), NAMED_MAX + 1);
    assert!(named[NAMED_MAX].what.ends_with("violations more of this account"), "{}", named[NAMED_MAX].what);
}
