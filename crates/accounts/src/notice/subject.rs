//! What one message shall say: the notices that share it, with the packages as they are now.

use std::collections::BTreeMap;

use indicia_domain::ledger::package::PackageStatus;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::UnixMicros;
use indicia_store::notice::{DueNotice, Handover, NoticeFacts};
use indicia_store::package::PackageRow;

use super::wording::{ExpiringPackage, LapsedPackage, Pause, Subject};

/// `packages`: the account's; only a notice that everything is used up needs them.
///
/// A package that several notices are about (after an outage over two leads) is named once, with the nearest lead.
pub fn subject_of(
    handover: &Handover,
    packages: &[PackageRow],
    overdue_spares_prepaid: bool,
) -> Option<Subject> {
    let first = handover.notices.first()?;
    let scope = || first.package.as_ref().map(|row| row.package.instance_id.clone());
    Some(match first.facts.clone() {
        NoticeFacts::Expiry => Subject::Expiry(expiring(&handover.notices)),
        NoticeFacts::Lapsed { .. } => Subject::Lapsed(lapsed(&handover.notices)),
        NoticeFacts::LowBalance { percent, remaining, granted } => {
            Subject::LowBalance { scope: scope(), percent, remaining, granted }
        }
        NoticeFacts::UsedUp => {
            Subject::UsedUp { scope: scope(), instance_ids: used_up(packages, handover.now) }
        }
        NoticeFacts::CollectionAhead { open_micros, unbilled_mails, available_micros, collect_at } => {
            Subject::CollectionAhead {
                open: MoneyMicros(open_micros),
                unbilled_mails,
                available: MoneyMicros(available_micros),
                collect_at: UnixMicros(collect_at),
                zone: handover.account.zone.clone(),
            }
        }
        NoticeFacts::Overdue { due_micros, available_micros } => Subject::Overdue {
            due: MoneyMicros(due_micros),
            available: MoneyMicros(available_micros),
            prepaid_goes_on: overdue_spares_prepaid,
        },
        NoticeFacts::Restored { paid_micros } => Subject::Restored { paid: MoneyMicros(paid_micros) },
        NoticeFacts::QuotaPaused { because, reasons, minutes, daily_after, by_operator, released_at } => {
            Subject::QuotaPaused(Pause {
                operator_says: by_operator.then_some(because),
                reasons,
                minutes,
                daily_after,
                released_at: released_at.map(UnixMicros),
                zone: handover.account.zone.clone(),
            })
        }
        NoticeFacts::QuotaReleased { daily, by_operator } => Subject::QuotaReleased { daily, by_operator },
        NoticeFacts::QuotaRaised { old_daily, new_daily } => Subject::QuotaRaised { old_daily, new_daily },
        NoticeFacts::QuotaLowered { old_daily, new_daily, reasons } => {
            Subject::QuotaLowered { old_daily, new_daily, reasons }
        }
    })
}

fn expiring(notices: &[DueNotice]) -> Vec<ExpiringPackage> {
    let mut packages: BTreeMap<&str, ExpiringPackage> = BTreeMap::new();
    for notice in notices {
        let Some(row) = &notice.package else { continue };
        let package = &row.package;
        let named = packages.entry(&package.instance_id).or_insert_with(|| ExpiringPackage {
            instance_id: package.instance_id.clone(),
            granted: package.granted,
            remaining: package.remaining,
            ends_at: package.ends_at,
            zone: row.zone.clone(),
            lead_days: notice.lead_days,
        });
        named.lead_days = named.lead_days.min(notice.lead_days);
    }
    packages.into_values().collect()
}

fn lapsed(notices: &[DueNotice]) -> Vec<LapsedPackage> {
    let one = |notice: &DueNotice| {
        let (NoticeFacts::Lapsed { mails }, Some(row)) = (&notice.facts, &notice.package) else {
            return None;
        };
        Some(LapsedPackage {
            instance_id: row.package.instance_id.clone(),
            granted: row.package.granted,
            lapsed: *mails,
            ended_at: row.package.ends_at,
            zone: row.zone.clone(),
        })
    };
    notices.iter().filter_map(one).collect()
}

/// Packages in their validity with nothing left.
fn used_up(packages: &[PackageRow], now: UnixMicros) -> Vec<String> {
    let used_up = packages.iter().map(|row| &row.package).filter(|package| {
        package.status_at(now) == PackageStatus::UsedUp && package.starts_at <= now && now < package.ends_at
    });
    used_up.map(|package| package.instance_id.clone()).collect()
}
