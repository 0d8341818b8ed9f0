//! Notices in simplified Chinese. A short message has room for 70 characters of it, so the one for a package names
//! its last day and leaves the zone to the body.

use indicia_domain::money::MoneyMicros;

use super::chinese_quota;
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
        Subject::QuotaPaused(pause) => chinese_quota::paused(pause, to),
        Subject::QuotaReleased { daily, by_operator } => chinese_quota::released(*daily, *by_operator, to),
        Subject::QuotaRaised { old_daily, new_daily } => chinese_quota::raised(*old_daily, *new_daily, to),
        Subject::QuotaLowered { old_daily, new_daily, reasons } => {
            chinese_quota::lowered(*old_daily, *new_daily, reasons, to)
        }
    }
}

pub(super) fn mails(count: i64) -> String {
    format!("{} 封", number(count))
}

pub(super) fn letter(to: &Recipient) -> Letter {
    Letter::new(&if to.account_name.is_empty() {
        "您好：".into()
    } else {
        format!("{}，您好：", to.account_name)
    })
}

pub(super) fn moment(moment: &Moment) -> String {
    format!("{}（{}）", moment.local, moment.zone)
}

const BUY: &str = "购买新的资源包：每封邮件的价格低于按量付费。";
const THEN_AS_YOU_GO: &str = "如不处理：资源包全部用完或到期后，超出免费额度的邮件将自动按量付费。";
const GOES_ON: &str = "不会因此停止发信：系统依次使用免费额度、其他资源包，最后按量付费。";

fn expiry(packages: &[Ended<'_>], to: &Recipient) -> Worded {
    let left = left_in_all(packages);
    let (subject, opening) = match packages {
        [only] => (
            format!("资源包 {} 将于 {} 后到期，剩余 {}", only.instance_id, only.moment.last_day, mails(left)),
            format!(
                "资源包 {} 即将到期。剩余的 {}邮件将在到期时失效，失效后不能使用，也不能退款。",
                only.instance_id,
                mails(left)
            ),
        ),
        _ => (
            format!("{} 个资源包即将到期，剩余共 {}", packages.len(), mails(left)),
            format!(
                "您有 {} 个资源包即将到期。剩余的共 {}邮件将在各自到期时失效，失效后不能使用，也不能退款。",
                packages.len(),
                mails(left)
            ),
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    for package in packages {
        let mut facts = end_facts(package, "剩余", "到期时间");
        if package.lead_days > 0 {
            facts.push(("提醒", format!("到期前 {} 天", number(package.lead_days))));
        }
        body = body.facts(Some(package.instance_id), &facts);
    }
    let body = body
        .points(
            "您可以：",
            &[
                "在最后可用日结束前用完剩余邮件。系统自动优先扣减最先到期的资源包，无需选择。",
                "续订资源包：新的资源包在原资源包到期时生效，原资源包的剩余邮件不会转入新的资源包。",
                THEN_AS_YOU_GO,
            ],
        )
        .page(page_name(packages), &to.page_of(packages.iter().map(|package| package.instance_id)));
    Worded { subject, body: body.finish(), sms: expiry_sms(packages, left) }
}

fn end_facts(package: &Ended<'_>, left: &'static str, end: &'static str) -> Vec<(&'static str, String)> {
    vec![
        (left, format!("{}（共 {}）", mails(package.left), mails(package.granted))),
        ("最后可用日", package.moment.last_day.clone()),
        (end, moment(&package.moment)),
    ]
}

fn page_name(packages: &[Ended<'_>]) -> &'static str {
    if packages.len() == 1 { "在控制台查看该资源包：" } else { "在控制台查看资源包：" }
}

fn expiry_sms(packages: &[Ended<'_>], left: i64) -> String {
    fitting_sms(packages.len(), |named| match packages {
        [only] if named == 1 => format!(
            "【{PRODUCT}】资源包{}剩{}封，{}后失效，请及时使用。",
            only.instance_id,
            number(left),
            only.moment.last_day
        ),
        _ => format!(
            "【{PRODUCT}】{}个资源包即将到期，共剩{}封{}详见控制台。",
            packages.len(),
            number(left),
            sms_list(packages, named, "剩", "后失效")
        ),
    })
}

/// `：A剩5,000封，2027-02-28后失效；B…；另有3个。`
fn sms_list(packages: &[Ended<'_>], named: usize, left: &str, end: &str) -> String {
    let one = |package: &Ended<'_>| {
        format!("{}{left}{}封，{}{end}", package.instance_id, number(package.left), package.moment.last_day)
    };
    list_with_more(packages.iter().take(named).map(one), packages.len() - named, "；")
}

/// A list behind a colon, what it leaves out, and a full stop.
fn list_with_more(named: impl Iterator<Item = String>, more: usize, separator: &str) -> String {
    let mut parts: Vec<String> = named.collect();
    if parts.is_empty() {
        return "。".into();
    }
    if more > 0 {
        parts.push(format!("另有{more}个"));
    }
    format!("：{}。", parts.join(separator))
}

fn lapse(packages: &[Ended<'_>], to: &Recipient) -> Worded {
    let left = left_in_all(packages);
    let (subject, opening) = match packages {
        [only] => (
            format!("资源包 {} 已到期，{}邮件已失效", only.instance_id, mails(left)),
            format!(
                "资源包 {} 已到期。剩余的 {}邮件已失效，不能使用，也不能退款。",
                only.instance_id,
                mails(left)
            ),
        ),
        _ => (
            format!("{} 个资源包已到期，共 {}邮件已失效", packages.len(), mails(left)),
            format!(
                "您有 {} 个资源包已到期。剩余的共 {}邮件已失效，不能使用，也不能退款。",
                packages.len(),
                mails(left)
            ),
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    for package in packages {
        body = body.facts(Some(package.instance_id), &end_facts(package, "失效", "到期时间"));
    }
    let body = body
        .points("说明：", &[GOES_ON, BUY])
        .page(page_name(packages), &to.page_of(packages.iter().map(|package| package.instance_id)));
    let sms = fitting_sms(packages.len(), |named| match packages {
        [only] if named == 1 => format!(
            "【{PRODUCT}】资源包{}已于{}后到期，剩余{}封已失效。",
            only.instance_id,
            only.moment.last_day,
            number(left)
        ),
        _ => format!(
            "【{PRODUCT}】{}个资源包已到期，共{}封已失效{}详见控制台。",
            packages.len(),
            number(left),
            sms_list(packages, named, "失效", "后到期")
        ),
    });
    Worded { subject, body: body.finish(), sms }
}

fn low_balance(scope: Option<&str>, percent: i64, remaining: i64, granted: i64, to: &Recipient) -> Worded {
    let percent = format!("{}%", number(percent));
    let which = scope.map_or_else(|| "您的资源包".to_owned(), |id| format!("资源包 {id} "));
    let body = letter(to)
        .paragraph(&format!("{which}余量不足，已降至您设置的预警值 {percent} 或以下。"))
        .facts(
            scope,
            &[
                ("剩余", format!("{}（共 {}）", mails(remaining), mails(granted))),
                ("预警值", percent.clone()),
            ],
        )
        .points("您可以：", &[BUY, THEN_AS_YOU_GO])
        .page(
            if scope.is_some() {
                "在控制台查看该资源包："
            } else {
                "在控制台查看资源包："
            },
            &scope.map_or_else(|| to.packages_page(), |id| to.page_of([id])),
        )
        .page("修改或关闭余量预警：", &format!("{}/billing/alerts", to.console_url));
    let left = format!("{}封（共{}封）", number(remaining), number(granted));
    Worded {
        subject: format!("余量预警：{which}仅剩 {}（共 {}）", mails(remaining), mails(granted)),
        body: body.finish(),
        sms: fitting_sms(1, |named| match scope {
            Some(id) if named == 1 => {
                format!("【{PRODUCT}】资源包{id}仅剩{left}，已达{percent}预警值。")
            }
            Some(_) => format!("【{PRODUCT}】一个资源包仅剩{left}，已达{percent}预警值，详见控制台。"),
            None => format!("【{PRODUCT}】资源包仅剩{left}，已达{percent}预警值，用完后按量付费。"),
        }),
    }
}

fn used_up(scope: Option<&str>, instance_ids: &[String], to: &Recipient) -> Worded {
    let others = instance_ids.iter().map(String::as_str).filter(|id| Some(*id) != scope);
    let ids: Vec<&str> = scope.into_iter().chain(others).collect();
    let (subject, opening, next) = match scope {
        Some(id) => (format!("资源包 {id} 已用完"), format!("资源包 {id} 的邮件已全部用完。"), GOES_ON),
        None => (
            "您的资源包已全部用完".to_owned(),
            "您所有资源包的邮件已全部用完。".to_owned(),
            "不会因此停止发信：超出免费额度的邮件现已自动按量付费。",
        ),
    };
    let mut body = letter(to).paragraph(&opening);
    if ids.len() > usize::from(scope.is_some()) {
        body = body.points("已用完的资源包：", &ids);
    }
    let body = body.points("说明：", &[next, BUY]).page("在控制台查看资源包：", &to.packages_page());
    let sms = match scope {
        Some(id) => fitting_sms(1, |named| {
            let which = if named == 1 { format!("资源包{id}") } else { "一个资源包".into() };
            format!("【{PRODUCT}】{which}已用完，将使用其他资源包或按量付费。")
        }),
        None => fitting_sms(ids.len(), |named| {
            let list =
                list_with_more(ids.iter().take(named).map(|id| (*id).to_owned()), ids.len() - named, "、");
            format!("【{PRODUCT}】您的资源包已全部用完{list}邮件现已按量付费。")
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
    let is_short = short > MoneyMicros::ZERO;
    let verdict = if is_short {
        format!(
            "还差 {}。请在扣款前至少充值该金额，并为尚未出账的邮件留出余额；否则账号将欠费，发信将停止，直至付清。",
            amount(short)
        )
    } else {
        "可用金额足以支付已出的账单。尚未出账的邮件另计。".to_owned()
    };
    let body = letter(to)
        .paragraph("您的按量付费未付账单即将从余额中扣款。")
        .facts(
            None,
            &[
                ("未付账单", amount(bills.open)),
                ("尚未出账", mails(bills.unbilled_mails)),
                ("可用金额", format!("{}（余额与信用额度之和）", amount(bills.available))),
                ("扣款时间", moment(at)),
            ],
        )
        .paragraph(&verdict)
        .page("在控制台查看未付账单：", &to.unpaid_page())
        .page("在控制台查看余额：", &to.balance_page());
    let open = amount(bills.open);
    let subject = if is_short {
        format!("账单将于 {} 扣款，还差 {}", at.local, amount(short))
    } else {
        format!("账单 {open} 将于 {} 扣款", at.local)
    };
    let verdict =
        if is_short { format!("还差{}，请及时充值", amount(short)) } else { "余额充足".into() };
    let sms = format!("【{PRODUCT}】账单{open}将于{}扣款，{verdict}。", at.local);
    Worded { subject, body: body.finish(), sms }
}

fn overdue(due: MoneyMicros, available: MoneyMicros, prepaid_goes_on: bool, to: &Recipient) -> Worded {
    let amount = |amount| money(&to.currency, amount);
    let short = amount(missing(due, available));
    let (stopped, what) = match prepaid_goes_on {
        false => ("发信已停止", "发信已停止，包括 API、SMTP 和批量发信。"),
        true => {
            ("按量付费已停止", "按量付费已停止，API、SMTP 和批量发信只接收免费额度和资源包足以支付的邮件。")
        }
    };
    let body = letter(to)
        .paragraph(&format!("您的账号已欠费：可用金额不足以支付到期账单。{what}控制台仍可使用。"))
        .facts(
            None,
            &[
                ("应付", amount(due)),
                ("可用金额", format!("{}（余额与信用额度之和）", amount(available))),
                ("还差", short.clone()),
            ],
        )
        .paragraph(&format!(
            "请至少充值 {short}。充值后系统自动付清到期账单，发信立即恢复。在此之前被拒绝的邮件不会保留，请重新发送。"
        ))
        .page("在控制台查看未付账单：", &to.unpaid_page())
        .page("在控制台查看余额：", &to.balance_page());
    Worded {
        subject: format!("账号已欠费，{stopped}，还差 {short}"),
        body: body.finish(),
        sms: format!(
            "【{PRODUCT}】账号已欠费，{stopped}。应付{}，还差{short}，充值后立即恢复。",
            amount(due)
        ),
    }
}

fn restored(paid: MoneyMicros, to: &Recipient) -> Worded {
    let paid = money(&to.currency, paid);
    let body = letter(to)
        .paragraph(&format!("到期账单 {paid} 已付清，账号不再欠费，现在可以继续发信。"))
        .paragraph("欠费期间被拒绝的邮件没有保留，请重新发送。")
        .page("在控制台查看余额：", &to.balance_page());
    Worded {
        subject: format!("已付清 {paid}，发信已恢复"),
        body: body.finish(),
        sms: format!("【{PRODUCT}】到期账单{paid}已付清，发信已恢复。期间被拒绝的邮件请重新发送。"),
    }
}
