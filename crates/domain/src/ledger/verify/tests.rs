use super::*;
use crate::ledger::Validity;
use crate::time::zone;

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
        validity: None,
    }
}

fn history() -> (Vec<Transfer>, Stored) {
    let bag = || LedgerAccount::Package("DMBAG-1".into());
    let lines = vec![
        line(1, Kind::Opening, LedgerAccount::Granted, LedgerAccount::Free, 2_000, 0, 2_000),
        line(2, Kind::Credit, LedgerAccount::Outside, LedgerAccount::Cash, 20_000_000, 0, 20_000_000),
        line(3, Kind::Purchase, LedgerAccount::Cash, LedgerAccount::Sales, 13_050_000, 20_000_000, 6_950_000),
        Transfer {
            validity: Some(Validity { from: UnixMicros(10), until: UnixMicros(100) }),
            ..line(4, Kind::Purchase, LedgerAccount::Granted, bag(), 50_000, 0, 50_000)
        },
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
        closed: None,
    };
    let stored = Stored {
        free_left: 1_998,
        pay_as_you_go_mails: 0,
        cash_micros: 6_950_000,
        sequence: 7,
        packages: vec![package],
        hours: vec![StoredHour { free_mails: 2, package_mails: 2, ..StoredHour::default() }],
        days: vec![StoredDay { instance_id: "DMBAG-1".into(), day: 0, mails: 2 }],
        ..Stored::default()
    };
    (lines, stored)
}

fn replay(lines: &[Transfer], stored: &Stored) -> Vec<String> {
    let mut replay = Replay::new(1, zone("UTC").unwrap());
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
    let damaged: [fn(&mut Vec<Transfer>, &mut Stored); 15] = [
        |_, stored| stored.free_left += 1,
        |_, stored| stored.cash_micros -= 1,
        |_, stored| stored.packages[0].remaining -= 1,
        |_, stored| stored.packages.clear(),
        |_, stored| stored.packages[0].ends_at = UnixMicros(50),
        |_, stored| stored.sequence = 6,
        |lines, _| lines[5].after = 1,
        |lines, _| lines[6].sequence = 9,
        |lines, _| lines[3].validity = None,
        |_, stored| stored.hours[0].package_mails += 1,
        |_, stored| stored.days[0].mails -= 1,
        |_, stored| stored.open_micros = 1,
        |_, stored| stored.bills.push(StoredBill { number: 1, mails: 3, ..StoredBill::default() }),
        |_, stored| stored.packages[0].granted += 1,
        |lines, _| lines[5].from = LedgerAccount::PayAsYouGo,
    ];
    for (number, damage) in damaged.into_iter().enumerate() {
        let (mut lines, mut stored) = history();
        damage(&mut lines, &mut stored);
        assert!(!replay(&lines, &stored).is_empty(), "damage {number} went unnoticed");
    }
}
