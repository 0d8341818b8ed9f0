//! Notices in English. Short messages stay within the GSM alphabet, which has room for 160 characters.

use indicia_domain::money::MoneyMicros;

use super::english_quota;
use super::figures::{Moment, money, number};
use super::layout::{Letter, fitting_sms};
use super::{Ended, PRODUCT, Recipient, Subject, Worded, expiring, lapsed, left_in_all, missing};

pub fn word(subject: &Subject, to: &Recipient) -> Worded {
    match subject {
        Subject::Expiry(packages) => expiry(&expiring(packages), to),
        Subject::LowBalance { scope, percent, remaining, granted } => {
            low_balance(scope.as_deref(), *percent, *remaining, *granted, to)
        }
        Subject::UsedUp { scope, instance_ids } => used_up(scope.as_deref(), instance_ids, to),
        Subject::Lapsed(packages) => lapse(&lapsed(packages), to),
        Subject::CollectionAhead { open, unbilled_mails, available, collect_at, zone } => {
            let bills = Bills { open: *open, unbilled_mails: *unbilled_mails, available: *available };
            collection_ahead(&bills, &Moment::new(*collect_at, zone), to)
        }
        Subject::Overdue { due, available, prepaid_goes_on } => {
            overdue(*due, *available, *prepaid_goes_on, to)
        }
        Subject::Restored { paid } => restored(*paid, to),
        Subject::QuotaPaused(pause) => english_quota::paused(pause, to),
        Subject::QuotaReleased { daily, by_operator } => english_quota::released(*daily, *by_operator, to),
        Subject::QuotaRaised { old_daily, new_daily } => english_quota::raised(*old_daily, *new_daily, to),
        Subject::QuotaLowered { old_daily, new_daily, reasons } => {
            english_quota::lowered(*old_daily, *new_daily, reasons, to)
        }
    }
}

/// A count with its noun: `1 mail`, `2,000 mails`.
fn counted(count: i64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", number(count))
}

pub(super) fn mails(count: i64) -> String {
    counted(count, "mail")
}

/// The verb for so many: `1 lapses`, `2 lapse`.
fn verb(count: i64, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

pub(super) fn letter(to: &Recipient) -> Letter {
    Letter::new(&if to.account_name.is_empty() {
        "Hello,".into()
    } else {
        format!("Hello {},", to.account_name)
    })
}

pub(super) fn moment(moment: &Moment) -> String {
    format!("{} ({})", moment.local, moment.zone)
}

const GOES_ON: &str = "This does not stop your sending: free credit pays first, then your other packages, then mails \
                       are charged as you go.";
const BUY: &str = "Buy a package: each mail costs less than when it is charged as you go.";

fn expiry(packages: &[Ended<'_>], to: &Recipient) -> Worded {
    let left = left_in_all(packages);
    let lapse = verb(left, "lapses", "lapse");
    let (subject, opening) = match packages {
        [only] => (
            format!("{} {lapse} after {}: package {}", mails(left), only.moment.last_day, only.instance_id),
            format!(
                "Resource package {} ends soon. The {} left in it {lapse} at its end and can then be neither used nor \
                 refunded.",
                only.instance_id,
                mails(left)
            ),
        ),
        _ => (
            format!("{} {lapse} soon: {}", mails(left), packages_ending(packages)),
            format!(
                "{} end soon. What is left in a package lapses at its end ({} in all) and can then be neither used \
                 nor refunded.",
                counted(packages.len() as i64, "resource package"),
                mails(left)
            ),
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    for package in packages {
        let mut facts = end_facts(package, "Left", "Last day", "Ends");
        if package.lead_days > 0 {
            facts.push(("Notice", format!("{} before the end", counted(package.lead_days, "day"))));
        }
        body = body.facts(Some(package.instance_id), &facts);
    }
    let body = body
        .points(
            "What you can do:",
            &[
                "Send the mails by the end of the last day. The package that ends first pays first; there is \
                 nothing to set.",
                "Renew a package, and another one follows when it ends. Mails left in the old one do not go over \
                 to it.",
                "Do nothing: when no package is left, mails beyond the free credit are charged as you go.",
            ],
        )
        .page(page_name(packages), &to.page_of(packages.iter().map(|package| package.instance_id)));
    Worded { subject, body: body.finish(), sms: expiry_sms(packages, left) }
}

fn packages_ending(packages: &[Ended<'_>]) -> String {
    let count = counted(packages.len() as i64, "package");
    match (packages.first(), packages.last()) {
        (Some(first), Some(last)) if first.moment.last_day != last.moment.last_day => {
            format!("{count}, last days {} to {}", first.moment.last_day, last.moment.last_day)
        }
        (Some(first), _) => format!("{count}, last day {}", first.moment.last_day),
        (None, _) => count,
    }
}

fn end_facts(
    package: &Ended<'_>,
    left: &'static str,
    last_day: &'static str,
    end: &'static str,
) -> Vec<(&'static str, String)> {
    vec![
        (left, format!("{} of {}", number(package.left), mails(package.granted))),
        (last_day, package.moment.last_day.clone()),
        (end, moment(&package.moment)),
    ]
}

fn page_name(packages: &[Ended<'_>]) -> &'static str {
    if packages.len() == 1 { "This package in the console:" } else { "Your packages in the console:" }
}

fn expiry_sms(packages: &[Ended<'_>], left: i64) -> String {
    let lapse = verb(left, "lapses", "lapse");
    fitting_sms(packages.len(), |named| match packages {
        [only] if named == 1 => format!(
            "{PRODUCT}: {} of package {} {lapse} at {}; last day {}. Use or renew: see console.",
            mails(left),
            only.instance_id,
            moment(&only.moment),
            only.moment.last_day
        ),
        _ => format!(
            "{PRODUCT}: {} in {} {lapse} soon{} Use or renew: see console.",
            mails(left),
            counted(packages.len() as i64, "package"),
            sms_list(packages, named, "ends")
        ),
    })
}

/// `: A (5,000 mails) ends 2027-03-01 00:00; B …; and 3 more. Times are Asia/Shanghai.`
fn sms_list(packages: &[Ended<'_>], named: usize, ends: &str) -> String {
    let zone = packages.first().map(|package| package.moment.zone.as_str());
    let shares_zone = packages.iter().all(|package| Some(package.moment.zone.as_str()) == zone);
    let one = |package: &Ended<'_>| {
        let when = if shares_zone { package.moment.local.clone() } else { moment(&package.moment) };
        format!("{} ({}) {ends} {when}", package.instance_id, mails(package.left))
    };
    let list = list_with_more(packages.iter().take(named).map(one), packages.len() - named, "; ");
    match zone.filter(|_| shares_zone && named > 0) {
        Some(zone) => format!("{list} Times are {zone}."),
        None => list,
    }
}

/// A list behind a colon, what it leaves out, and a full stop.
fn list_with_more(named: impl Iterator<Item = String>, more: usize, separator: &str) -> String {
    let mut parts: Vec<String> = named.collect();
    if parts.is_empty() {
        return ".".into();
    }
    if more > 0 {
        parts.push(format!("and {more} more"));
    }
    format!(": {}.", parts.join(separator))
}

fn lapse(packages: &[Ended<'_>], to: &Recipient) -> Worded {
    let left = left_in_all(packages);
    let (subject, opening) = match packages {
        [only] => (
            format!("{} lapsed: package {} has ended", mails(left), only.instance_id),
            format!(
                "Resource package {} has ended. {} left in it lapsed and can be neither used nor refunded.",
                only.instance_id,
                mails(left)
            ),
        ),
        _ => (
            format!("{} lapsed: {} have ended", mails(left), counted(packages.len() as i64, "package")),
            format!(
                "{} have ended. What was left in them lapsed, {} in all, and can be neither used nor refunded.",
                counted(packages.len() as i64, "resource package"),
                mails(left)
            ),
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    for package in packages {
        body = body.facts(Some(package.instance_id), &end_facts(package, "Lapsed", "Last day", "Ended"));
    }
    let body = body
        .points("What this means:", &[GOES_ON, BUY])
        .page(page_name(packages), &to.page_of(packages.iter().map(|package| package.instance_id)));
    let sms = fitting_sms(packages.len(), |named| match packages {
        [only] if named == 1 => format!(
            "{PRODUCT}: package {} ended {}. {} left in it lapsed.",
            only.instance_id,
            moment(&only.moment),
            mails(left)
        ),
        _ => format!(
            "{PRODUCT}: {} lapsed, {} have ended{} See console.",
            mails(left),
            counted(packages.len() as i64, "package"),
            sms_list(packages, named, "ended")
        ),
    });
    Worded { subject, body: body.finish(), sms }
}

fn low_balance(scope: Option<&str>, percent: i64, remaining: i64, granted: i64, to: &Recipient) -> Worded {
    let left = format!("{} of {}", number(remaining), mails(granted));
    let (where_, opening) = match scope {
        Some(id) => (format!("package {id}"), format!("Little is left in resource package {id}.")),
        None => ("your packages".to_owned(), "Little is left in your resource packages.".to_owned()),
    };
    let body = letter(to)
        .paragraph(&format!("{opening} You asked to be told when {} % or less is left.", number(percent)))
        .facts(scope, &[("Left", left.clone()), ("Alert at", format!("{} %", number(percent)))])
        .points(
            "What you can do:",
            &[
                BUY,
                "Do nothing: when no package is left, mails beyond the free credit are charged as you go.",
            ],
        )
        .page(
            if scope.is_some() { "This package in the console:" } else { "Your packages in the console:" },
            &scope.map_or_else(|| to.packages_page(), |id| to.page_of([id])),
        )
        .page("To change or switch off this alert:", &format!("{}/billing/alerts", to.console_url));
    Worded {
        subject: format!("Only {left} left in {where_}"),
        body: body.finish(),
        sms: fitting_sms(1, |named| {
            let where_ = if named == 1 { where_.as_str() } else { "a package" };
            format!(
                "{PRODUCT}: only {left} left in {where_} (alert at {} %). Without packages, mails \
                 are charged as you go.",
                number(percent)
            )
        }),
    }
}

fn used_up(scope: Option<&str>, instance_ids: &[String], to: &Recipient) -> Worded {
    let others = instance_ids.iter().map(String::as_str).filter(|id| Some(*id) != scope);
    let ids: Vec<&str> = scope.into_iter().chain(others).collect();
    let (subject, opening, next) = match scope {
        Some(id) => (
            format!("Package {id} is used up"),
            format!("No mail is left in resource package {id}."),
            GOES_ON,
        ),
        None => (
            "All your packages are used up".to_owned(),
            "No mail is left in any of your resource packages.".to_owned(),
            "This does not stop your sending: mails beyond the free credit are now charged as you go.",
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    if ids.len() > usize::from(scope.is_some()) {
        body = body.points("Used up:", &ids);
    }
    let body = body
        .points("What this means:", &[next, BUY])
        .page("Your packages in the console:", &to.packages_page());
    let sms = match scope {
        Some(id) => fitting_sms(1, |named| {
            let which = if named == 1 { format!("package {id}") } else { "a package".into() };
            format!(
                "{PRODUCT}: {which} is used up. Your other packages pay on, then mails are charged as you go."
            )
        }),
        None => fitting_sms(ids.len(), |named| {
            let list =
                list_with_more(ids.iter().take(named).map(|id| (*id).to_owned()), ids.len() - named, ", ");
            format!("{PRODUCT}: all your packages are used up{list} Mails are now charged as you go.")
        }),
    };
    Worded { subject, body: body.finish(), sms }
}

struct Bills {
    open: MoneyMicros,
    unbilled_mails: i64,
    available: MoneyMicros,
}

fn collection_ahead(bills: &Bills, at: &Moment, to: &Recipient) -> Worded {
    let amount = |amount| money(&to.currency, amount);
    let short = missing(bills.open, bills.available);
    let (subject, verdict) = if short > MoneyMicros::ZERO {
        (
            format!("{} missing for the bills collected on {}", amount(short), at.local),
            format!(
                "{} is missing. Top up at least that much before then, and more for the mails not yet billed. Otherwise \
                 the account becomes overdue and sending stops until it is paid.",
                amount(short)
            ),
        )
    } else {
        (
            format!("Bills of {} will be collected on {}", amount(bills.open), at.local),
            "What is available covers the bills made so far. Mails not yet billed come on top of them."
                .to_owned(),
        )
    };
    let body = letter(to)
        .paragraph("Your open pay-as-you-go bills will soon be collected from your balance.")
        .facts(
            None,
            &[
                ("Open bills", amount(bills.open)),
                ("Not yet billed", mails(bills.unbilled_mails)),
                ("Available", format!("{} (balance and credit limit)", amount(bills.available))),
                ("Collected at", moment(at)),
            ],
        )
        .paragraph(&verdict)
        .page("Your open bills in the console:", &to.unpaid_page())
        .page("Your balance in the console:", &to.balance_page());
    let advice = if short > MoneyMicros::ZERO {
        format!("top up {} or sending stops", amount(short))
    } else {
        "it is covered".to_owned()
    };
    let sms = format!(
        "{PRODUCT}: bills of {} will be collected on {}. Available: {}; {advice}.",
        amount(bills.open),
        moment(at),
        amount(bills.available)
    );
    Worded { subject, body: body.finish(), sms }
}

fn overdue(due: MoneyMicros, available: MoneyMicros, prepaid_goes_on: bool, to: &Recipient) -> Worded {
    let amount = |amount| money(&to.currency, amount);
    let short = amount(missing(due, available));
    let (stopped, what) = match prepaid_goes_on {
        false => ("Sending has stopped", "Sending has stopped, over the API, SMTP and in batches."),
        true => (
            "Pay-as-you-go has stopped",
            "Mails are accepted only as far as free credit and packages pay for them, over the API, SMTP and in batches.",
        ),
    };
    let body = letter(to)
        .paragraph(&format!(
            "Your account is overdue: its balance does not cover the bills that are due. {what} The console stays open \
             to you."
        ))
        .facts(
            None,
            &[
                ("Due", amount(due)),
                ("Available", format!("{} (balance and credit limit)", amount(available))),
                ("Missing", short.clone()),
            ],
        )
        .paragraph(&format!(
            "Top up at least {short}. What is due is then paid from it and sending is restored at once. Mails refused \
             until then are not kept: send them again."
        ))
        .page("Your unpaid bills in the console:", &to.unpaid_page())
        .page("Your balance in the console:", &to.balance_page());
    Worded {
        subject: format!("{stopped}: {short} missing"),
        body: body.finish(),
        sms: format!(
            "{PRODUCT}: {}, your account is overdue. Due: {}, missing: {short}. Top up and sending is \
             restored at once.",
            stopped.to_lowercase(),
            amount(due)
        ),
    }
}

fn restored(paid: MoneyMicros, to: &Recipient) -> Worded {
    let paid = money(&to.currency, paid);
    let body = letter(to)
        .paragraph(&format!(
            "What was due is paid, {paid}, and your account is no longer overdue. You can send again from now on."
        ))
        .paragraph("Mails refused in the meantime were not kept: send them again.")
        .page("Your balance in the console:", &to.balance_page());
    Worded {
        subject: format!("You can send again: {paid} paid"),
        body: body.finish(),
        sms: format!(
            "{PRODUCT}: you can send again. {paid} that was due is paid. Mails refused meanwhile were not kept."
        ),
    }
}
