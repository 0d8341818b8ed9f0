//! Notices about the quota in simplified Chinese (R19, R22).

use indicia_domain::quota::evidence::{Measure, Reason};
use indicia_domain::quota::rate::{Ppm, Rate};
use indicia_domain::quota::words::short;

use super::chinese::{letter, mails, moment};
use super::figures::{Moment, number};
use super::layout::one_sentence;
use super::{PRODUCT, Pause, Recipient, Worded, first_past};

const WHAT_WAITS: &str = "此前已接收但尚未送出的邮件会被扣留，待暂停结束后再发出；如不应发出，请联系本服务的运营人员取消。在暂停结束之前，新邮件一律被拒绝，包括 API、SMTP 和批量发信。被拒绝的邮件不会保留，\
                               请在恢复后重新发送。";
const YOUR_REPUTATION: &str = "在控制台查看信誉、各项数据与界限：";

fn a_day(daily: i64) -> String {
    format!("每天 {}", mails(daily))
}

/// Shares as Chinese writes them: no space before the sign.
fn share(share: Ppm) -> String {
    short(share).replace("under ", "不足 ").replace(" %", "%")
}

fn measured(measure: Measure) -> &'static str {
    match measure {
        Measure::Invalid => "无效地址",
        Measure::Reported => "垃圾邮件投诉",
        Measure::Judged => "被服务商判为垃圾邮件",
        Measure::NotArrived => "未送达邮件",
    }
}

fn counted(rate: &Rate) -> String {
    format!("{}（{} 封中 {} 封）", share(rate.share()), number(rate.out_of), number(rate.events))
}

/// What makes more of it possible: on the line itself, arrival is good and the others are not.
fn wanted(measure: Measure) -> &'static str {
    match measure {
        Measure::NotArrived => "不超过",
        Measure::Invalid | Measure::Reported | Measure::Judged => "低于",
    }
}

fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::TooFewRecipients { recipients, needed } => {
            format!("数据不足：不重复收件人 {} 个，至少需要 {} 个。", number(*recipients), number(*needed))
        }
        Reason::Past { measure, rate, line, bound } => format!(
            "{}：{}，可以确定高于 {}，界限为 {}。",
            measured(*measure),
            counted(rate),
            share(*bound),
            share(*line)
        ),
        Reason::Unproven { measure, rate, line, .. } => format!(
            "{}：{}，高于界限 {}，但数量太少，可能出于偶然。",
            measured(*measure),
            counted(rate),
            share(*line)
        ),
        Reason::Barred { measure, rate, line } => format!(
            "{}：{}，须{} {} 才能提高额度。",
            measured(*measure),
            counted(rate),
            wanted(*measure),
            share(*line)
        ),
        Reason::Good { measure, rate, line } => {
            format!("{}：{}，符合要求（界限 {}）。", measured(*measure), counted(rate), share(*line))
        }
        Reason::LittleUsed { full_days, needed, full_use } => format!(
            "7 天中有 {full_days} 天用到额度的 {} 或以上，须有 {needed} 天才能提高额度。",
            share(*full_use)
        ),
        Reason::WellUsed { full_days, full_use, .. } => {
            format!("7 天中有 {full_days} 天用到额度的 {} 或以上。", share(*full_use))
        }
        Reason::AtCeiling { level } => format!("您自己设置的上限为 {level} 级，调高后才能继续提高额度。"),
        Reason::AtTop => "已是最高等级。".to_owned(),
        Reason::AtBottom => "已是最低等级。".to_owned(),
        Reason::Released => "暂停已结束，此后的数据重新开始统计。".to_owned(),
        Reason::PausedLater => "本周结束之后才暂停发信，由暂停所在周的评审解除。".to_owned(),
        Reason::PausedByOperator => "由本服务的管理员暂停，只能由管理员恢复。".to_owned(),
        Reason::WaitsForOperator { pauses, weeks } => {
            format!("{weeks} 周内已暂停 {pauses} 次，只能由本服务的管理员恢复。")
        }
    }
}

fn stretch(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, _) => format!("最近 {minutes} 分钟"),
        (hours, 0) => format!("最近 {hours} 小时"),
        _ => format!("最近 {minutes} 分钟"),
    }
}

pub fn paused(pause: &Pause, to: &Recipient) -> Worded {
    let mut body = letter(to).paragraph(match &pause.operator_says {
        Some(_) => "本服务的管理员已暂停您的发信。",
        None => "您的发信已暂停，以免继续损害您自己以及其他发信人的信誉。",
    });
    if let Some(says) = pause.operator_says.as_deref().map(one_sentence).filter(|says| !says.is_empty()) {
        body = body.points("管理员说明的原因：", &[&says]);
    } else if !pause.reasons.is_empty() {
        let seen = pause.minutes.map_or_else(|| "所评估的一周".to_owned(), stretch);
        let reasons: Vec<String> = pause.reasons.iter().map(reason_text).collect();
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        body = body.points(&format!("原因（{seen}）："), &reasons);
    }
    let goes_on = match pause.released_at {
        Some(at) => {
            format!("{}，由每周评估恢复；管理员可提前恢复", moment(&Moment::new(at, &pause.zone)))
        }
        None => "由本服务的管理员恢复".to_owned(),
    };
    let body = body
        .paragraph(WHAT_WAITS)
        .facts(None, &[("恢复发信", goes_on), ("届时额度", a_day(pause.daily_after))])
        .paragraph("恢复之后，此前的统计不再计入，数据重新开始统计。")
        .points("您可以：", &advice(pause))
        .page(YOUR_REPUTATION, &to.reputation_page());
    let why = first_past(&pause.reasons).filter(|_| pause.operator_says.is_none());
    let (subject, sms_why) = match why {
        Some((measure, rate, line)) => {
            let (what, rate, line) = (measured(measure), share(rate), share(line));
            (format!("发信已暂停：{what} {rate}（界限 {line}）"), format!("{what}{rate}（界限{line}）"))
        }
        None => ("发信已由管理员暂停".to_owned(), "由管理员暂停".to_owned()),
    };
    Worded {
        subject,
        body: body.finish(),
        sms: format!(
            "【{PRODUCT}】发信已暂停：{sms_why}。新邮件被拒绝，待发邮件被扣留。请清理名单，详见控制台。"
        ),
    }
}

/// What mends what was measured.
fn advice(pause: &Pause) -> Vec<&'static str> {
    let mut advice = Vec::new();
    for reason in &pause.reasons {
        let Reason::Past { measure, .. } = reason else { continue };
        advice.push(match measure {
            Measure::Invalid => {
                "清理收件人名单：删除所有被退回的不存在的地址，以及并非由本人提供的地址。购买的名单不可能干净。"
            }
            Measure::Reported | Measure::Judged => {
                "只向主动订阅的人发信，删除数月未打开邮件的收件人，并在每封邮件中提供立即生效的退订链接。"
            }
            Measure::NotArrived => "查看哪些邮箱服务商拒收您的邮件以及原因，解决之后再继续发信。",
        });
    }
    advice.push("如果这些邮件不是您发送的，请立即更换密码和访问密钥：它们可能已泄露。");
    if pause.released_at.is_none() {
        advice.push("告诉本服务的管理员您做了哪些改进，并请其恢复发信。");
    }
    advice
}

pub fn released(daily: i64, by_operator: bool, to: &Recipient) -> Worded {
    let by = if by_operator { "本服务的管理员" } else { "每周评估" };
    let body = letter(to)
        .paragraph(&format!("{by}已结束暂停，现在可以继续发信。"))
        .facts(None, &[("额度", a_day(daily))])
        .paragraph(
            "此前的统计不再计入，数据重新开始统计。暂停期间被拒绝的邮件没有保留，请重新发送，并且只发往确认有效的地址。",
        )
        .page(YOUR_REPUTATION, &to.reputation_page());
    Worded {
        subject: format!("发信已恢复，额度{}", a_day(daily)),
        body: body.finish(),
        sms: format!(
            "【{PRODUCT}】发信已恢复，额度每天{}封。暂停期间被拒绝的邮件请重新发送。",
            number(daily)
        ),
    }
}

pub fn raised(old_daily: i64, new_daily: i64, to: &Recipient) -> Worded {
    let body = letter(to)
        .paragraph("每周评估已提高您的额度：上周的邮件送达良好，并且您用到了已有的额度。")
        .facts(None, &[("现在", a_day(new_daily)), ("此前", a_day(old_daily))])
        .paragraph("您无需操作。如果不希望额度继续提高，可以设置等级上限。")
        .page(YOUR_REPUTATION, &to.reputation_page());
    Worded {
        subject: format!("额度已提高到{}", a_day(new_daily)),
        body: body.finish(),
        sms: format!("【{PRODUCT}】额度已由每天{}封提高到{}封。", number(old_daily), number(new_daily)),
    }
}

pub fn lowered(old_daily: i64, new_daily: i64, reasons: &[Reason], to: &Recipient) -> Worded {
    let texts: Vec<String> = reasons.iter().map(reason_text).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let body = letter(to)
        .paragraph("每周评估已降低您的额度。您可以在新的额度内继续发信。")
        .facts(None, &[("现在", a_day(new_daily)), ("此前", a_day(old_daily))])
        .points("原因（所评估的一周）：", &texts)
        .points(
            "您可以：",
            &[
                "删除被拒收的地址，以及没有订阅的收件人。",
                "数据良好的一周之后，额度会重新提高，每次评估一级。",
                "数据继续变差时，发信将被暂停，界限见控制台。",
            ],
        )
        .page(YOUR_REPUTATION, &to.reputation_page());
    let why = first_past(reasons).map_or_else(String::new, |(measure, rate, line)| {
        format!("：{}{}（界限{}）", measured(measure), share(rate), share(line))
    });
    Worded {
        subject: format!("额度已降低到{}", a_day(new_daily)),
        body: body.finish(),
        sms: format!("【{PRODUCT}】额度已由每天{}封降低到{}封{why}。", number(old_daily), number(new_daily)),
    }
}
