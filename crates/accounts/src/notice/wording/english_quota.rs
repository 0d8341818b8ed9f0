//! Notices about the quota in English (R19, R22).

use indicia_domain::quota::evidence::{Measure, Reason};
use indicia_domain::quota::words::short;

use super::english::{letter, mails, moment};
use super::figures::{Moment, number};
use super::layout::one_sentence;
use super::{PRODUCT, Pause, Recipient, Worded, first_past};

const WHAT_WAITS: &str = "Mail that was accepted and still waits is held and goes out when the pause is over; if it must not, ask the operators of this service to cancel it. New mail is refused, over the API, SMTP and in \
                               batches, until the pause is over; what was refused is not kept, so send it again then.";
const YOUR_REPUTATION: &str = "Your reputation in the console, with the figures and the lines:";

fn a_day(daily: i64) -> String {
    format!("{} a day", mails(daily))
}

/// A reason as a sentence of its own.
fn sentence(reason: &Reason) -> String {
    let text = reason.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

fn stretch(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (1, 0) => "the last hour".to_owned(),
        (hours, 0) => format!("the last {hours} hours"),
        _ => format!("the last {minutes} minutes"),
    }
}

pub fn paused(pause: &Pause, to: &Recipient) -> Worded {
    let mut body = letter(to).paragraph(match &pause.operator_says {
        Some(_) => "An operator of this service has paused your sending.",
        None => "Your sending is paused, so that it does no more harm to your own name and to other senders.",
    });
    if let Some(says) = pause.operator_says.as_deref().map(one_sentence).filter(|says| !says.is_empty()) {
        body = body.points("The operator's reason:", &[&says]);
    } else if !pause.reasons.is_empty() {
        let seen = pause.minutes.map_or_else(|| "the week that was reviewed".to_owned(), stretch);
        let reasons: Vec<String> = pause.reasons.iter().map(sentence).collect();
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        body = body.points(&format!("Why, from {seen}:"), &reasons);
    }
    let goes_on = match pause.released_at {
        Some(at) => format!(
            "{}, by the weekly review, or before by an operator",
            moment(&Moment::new(at, &pause.zone))
        ),
        None => "when an operator of this service releases it".to_owned(),
    };
    let body = body
        .paragraph(WHAT_WAITS)
        .facts(None, &[("Sending goes on", goes_on), ("Quota then", a_day(pause.daily_after))])
        .paragraph("What was counted until then counts for nothing afterwards: evidence begins anew.")
        .points("What you can do:", &advice(pause))
        .page(YOUR_REPUTATION, &to.reputation_page());
    let why = match first_past(&pause.reasons).filter(|_| pause.operator_says.is_none()) {
        Some((measure, share, line)) => format!("{measure} {} (line {line})", short(share)),
        None => "by an operator".to_owned(),
    };
    Worded {
        subject: format!("Sending is paused: {why}"),
        body: body.finish(),
        sms: format!(
            "{PRODUCT}: sending is paused: {why}. New mail is refused, waiting mail is held. Clean your list; see console."
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
                "Clean the list: take out every address that was refused as unknown, and every address that you did \
                 not get from its owner. Bought lists are never clean."
            }
            Measure::Reported | Measure::Judged => {
                "Write only to people who asked for it, take out those who did not open for months, and give every \
                 mail a link that unsubscribes at once."
            }
            Measure::NotArrived => {
                "See which providers refuse your mail and what they say, and mend that before you send more."
            }
        });
    }
    advice.push(
        "If you did not send this mail, change your passwords and access keys: somebody else may have them.",
    );
    if pause.released_at.is_none() {
        advice.push(
            "Tell the operators of this service what you have changed, and ask them to release the pause.",
        );
    }
    advice
}

pub fn released(daily: i64, by_operator: bool, to: &Recipient) -> Worded {
    let by = if by_operator { "An operator of this service" } else { "The weekly review" };
    let body = letter(to)
        .paragraph(&format!("{by} has ended the pause: you can send again from now on."))
        .facts(None, &[("Quota", a_day(daily))])
        .paragraph(
            "What was counted before counts for nothing any more: evidence begins anew. Mails refused in the meantime \
             were not kept: send them again, and only to addresses that are known to be good.",
        )
        .page(YOUR_REPUTATION, &to.reputation_page());
    Worded {
        subject: format!("You can send again: {}", a_day(daily)),
        body: body.finish(),
        sms: format!(
            "{PRODUCT}: you can send again, up to {}. Mails refused meanwhile were not kept.",
            a_day(daily)
        ),
    }
}

pub fn raised(old_daily: i64, new_daily: i64, to: &Recipient) -> Worded {
    let body = letter(to)
        .paragraph("The weekly review has raised your quota: last week's mail arrived, and you made use of what you had.")
        .facts(None, &[("Quota now", a_day(new_daily)), ("Before", a_day(old_daily))])
        .paragraph("There is nothing to do. If you do not want it to grow further, set a ceiling level.")
        .page(YOUR_REPUTATION, &to.reputation_page());
    Worded {
        subject: format!("Your quota is raised to {}", a_day(new_daily)),
        body: body.finish(),
        sms: format!("{PRODUCT}: your quota is raised from {} to {}.", number(old_daily), a_day(new_daily)),
    }
}

pub fn lowered(old_daily: i64, new_daily: i64, reasons: &[Reason], to: &Recipient) -> Worded {
    let sentences: Vec<String> = reasons.iter().map(sentence).collect();
    let sentences: Vec<&str> = sentences.iter().map(String::as_str).collect();
    let body = letter(to)
        .paragraph("The weekly review has lowered your quota. You can go on sending within it.")
        .facts(None, &[("Quota now", a_day(new_daily)), ("Before", a_day(old_daily))])
        .points("Why, from the week that was reviewed:", &sentences)
        .points(
            "What you can do:",
            &[
                "Take out addresses that were refused, and people who did not ask for your mail.",
                "A good week raises it again, one level at each review.",
                "From worse figures on, sending is paused: see the lines in the console.",
            ],
        )
        .page(YOUR_REPUTATION, &to.reputation_page());
    let why = first_past(reasons).map_or_else(String::new, |(measure, share, line)| {
        format!(": {measure} {} (line {line})", short(share))
    });
    Worded {
        subject: format!("Your quota is lowered to {}", a_day(new_daily)),
        body: body.finish(),
        sms: format!(
            "{PRODUCT}: your quota is lowered from {} to {}{why}.",
            number(old_daily),
            a_day(new_daily)
        ),
    }
}
