//! The timeline of one recipient's mail: accepted and paid, each attempt with the remote server's words, what
//! people did to it, what it waits for, how it ended.
//!
//! The steps come from four tables (message, ledger, attempt, event) and the recipient's row, and are put in
//! the order of time; what happens at one instant stays in the order accepted, attempts, events, state.

use indicia_domain::{
    ledger::{Kind, LedgerAccount},
    mail::State as MailState,
    time::UnixMicros,
};
use indicia_store::message::{AttemptRow, EventRow, RecipientRow, Timeline};

use super::{charge_lines, door, source_name, source_of, tone_of};
use crate::{
    components::Tone,
    format::{self, Moment},
    session::viewer::AccountView,
};

/// One step, ready for the template.
pub struct Step {
    pub at: Moment,
    /// How long it took; empty where that means nothing.
    pub took: String,
    pub tone: Tone,
    pub title: String,
    pub lines: Vec<String>,
    /// The remote server's own words.
    pub words: String,
}

impl Step {
    fn new(view: &AccountView, at: UnixMicros, tone: Tone, title: impl Into<String>) -> Self {
        Self {
            at: view.zone.moment(at),
            took: String::new(),
            tone,
            title: title.into(),
            lines: Vec::new(),
            words: String::new(),
        }
    }
}

/// How admission begins what it says of a recipient that it did not accept.
const REFUSED_AT_INTAKE: &str = "refused at intake: ";

/// The steps of `recipient`'s mail in the order of time.
pub fn of(view: &AccountView, story: &Timeline, recipient: &RecipientRow) -> Vec<Step> {
    if was_refused(recipient) {
        return present(view, story, recipient).into_iter().collect();
    }
    let mut steps = vec![(story.message.accepted_at, accepted(view, story))];
    let attempts = story.attempts.iter().filter(|attempt| attempt.number == recipient.number);
    for (index, row) in attempts.enumerate() {
        steps.push((row.finished_at, attempt(view, row, index + 1)));
    }
    steps.extend(story.events.iter().map(|row| (row.at, event(view, row))));
    steps.sort_by_key(|(at, _)| *at);
    let mut steps: Vec<Step> = steps.into_iter().map(|(_, step)| step).collect();
    steps.extend(present(view, story, recipient));
    steps
}

fn accepted(view: &AccountView, story: &Timeline) -> Step {
    let message = &story.message;
    let title = format!("Accepted over {}", door(&message.via));
    let mut step = Step::new(view, message.accepted_at, Tone::Good, title);
    step.lines.push("Stored, counted against the daily quota and paid, in one commit.".into());
    for line in charge_lines(&story.ledger).filter(|line| line.kind == Kind::Send) {
        let text = charge_text(source_of(line), line.amount, line.before, line.after);
        step.lines.push(match message.recipient_count {
            1 => format!("Charged {text}."),
            count if message.refused_count == 0 => {
                format!("Charged for all {} recipients: {text}.", format::mails(count))
            }
            count => {
                let accepted = format::mails(count - message.refused_count);
                format!("Charged for the {accepted} recipients that were not refused: {text}.")
            }
        });
    }
    step
}

fn charge_text(source: &LedgerAccount, amount: i64, before: i64, after: i64) -> String {
    let counts = format!("{} → {}", format::mails(before), format::mails(after));
    match source {
        LedgerAccount::PayAsYouGo => {
            format!("{} to pay-as-you-go ({counts} so far)", format::mails_noun(amount))
        }
        other => format!("{} to {} ({counts} left)", format::mails_noun(amount), source_name(other)),
    }
}

fn attempt(view: &AccountView, row: &AttemptRow, count: usize) -> Step {
    let host = if row.remote_host.is_empty() { "the recipient's mail server" } else { &row.remote_host };
    let (tone, title) = match row.disposition.as_str() {
        "delivered" => (Tone::Good, format!("Attempt {count}: delivered to {host}")),
        "temporary" => (Tone::Warn, format!("Attempt {count}: put off")),
        _ => (Tone::Bad, format!("Attempt {count}: failed for good")),
    };
    let mut step = Step::new(view, row.finished_at, tone, title);
    step.took = span(row.finished_at.0 - row.started_at.0);
    step.lines.extend(route(row));
    if row.disposition != "delivered" {
        step.lines.push(format!(
            "{} ({}), {}.",
            meaning(&row.classification),
            row.classification,
            phase(&row.phase)
        ));
    }
    if let Some(due) = row.next_due_at {
        step.lines.push(format!("Next try: {}.", view.zone.moment(due).full()));
    }
    step.words = words(row);
    step
}

/// Between which hosts, and how protected.
fn route(row: &AttemptRow) -> Option<String> {
    if row.remote_host.is_empty() && row.remote_address.is_empty() {
        return None;
    }
    let mut text = row.remote_host.clone();
    if !row.remote_address.is_empty() {
        text.push_str(&format!(" [{}]", row.remote_address));
    }
    if !row.local_address.is_empty() {
        text.push_str(&format!(", from {}", row.local_address));
    }
    let protection =
        if row.tls.is_empty() { "not encrypted".to_owned() } else { format!("encrypted with {}", row.tls) };
    Some(format!("{}, {protection}.", text.trim_start()))
}

/// The reply as the remote server gave it, its code once.
fn words(row: &AttemptRow) -> String {
    match row.code {
        Some(code) if !row.reply.starts_with(&code.to_string()) => format!("{code} {}", row.reply),
        _ => row.reply.clone(),
    }
}

fn phase(name: &str) -> &str {
    match name {
        "dns" => "while looking up where to deliver",
        "connect" => "while connecting",
        "greeting" => "at the server's greeting",
        "ehlo" => "at EHLO",
        "starttls" => "at STARTTLS",
        "mail" => "at MAIL FROM",
        "rcpt" => "at RCPT TO",
        "data" => "at DATA",
        "content" => "while sending the content",
        "final" => "after the content",
        _ => "between two mails",
    }
}

/// DirectMail's error classification in words.
fn meaning(classification: &str) -> &'static str {
    match classification {
        "SmtpNxBox" => "The mailbox does not exist",
        "SysOutInvRcpt" => "The address cannot receive mail",
        "SysOutDnsResolveFail" => "The recipient's domain does not exist",
        "SmtpContSpam" => "The content was taken for spam",
        "SmtpMiscSpam" => "Refused as spam, or for reputation",
        "SmtpDbl" => "A domain in the mail is on a blocklist",
        "SmtpAuthFail" => "The server found the mail not authenticated",
        "SmtpSpfFail" => "SPF failed",
        "SmtpDmaFail" => "DMARC failed",
        "SmtpMfBad" => "The sender address was refused",
        "SmtpMfFreq" | "SmtpMfdFreq" | "SmtpIPFreq" | "SmtpMfLimit" => "Too much mail for the server's taste",
        "SmtpRcptFreq" => "The recipient receives too much mail",
        "SmtpBoxFull" => "The mailbox is full",
        "SmtpTooLarge" => "The mail is too large for the server",
        "SmtpGreylist" => "Greylisted: the server wants to be asked again",
        "SmtpZTempErr" => "A temporary refusal",
        "SmtpZPermErr" => "A permanent refusal",
        "SysOutDnsTempFail" => "DNS did not answer",
        "SysOutConnFail" => "No connection could be made",
        "SysOutConnTimeout" => "The server did not answer in time",
        "SysOutConnLost" => "The connection broke",
        "SysOutProtocol" => "The server broke the protocol",
        "SysOutUnsupported" => "The server lacks what this mail needs",
        "SysOutInternal" => "A failure of our own",
        _ => "Not delivered",
    }
}

fn event(view: &AccountView, row: &EventRow) -> Step {
    let title = match row.kind.as_str() {
        "cancel" => "Cancelled, and its charge given back",
        "retry" => "Made due at once by hand",
        "suspend" => "Held by hand",
        other => other,
    };
    let mut step = Step::new(view, row.at, Tone::Neutral, title);
    if !row.detail.is_empty() {
        step.lines.push(format!("By {}.", row.detail));
    }
    step
}

/// Where the mail is now, unless the last attempt has said it all.
fn present(view: &AccountView, story: &Timeline, recipient: &RecipientRow) -> Option<Step> {
    let tone = tone_of(recipient.state);
    let at = recipient.updated_at.max(story.message.accepted_at);
    match recipient.state {
        MailState::Waiting => Some(waiting(view, recipient)),
        MailState::InvalidAddress | MailState::Failed if was_refused(recipient) => {
            let mut step = Step::new(view, at, tone, refusal(&recipient.classification));
            step.lines.push(sentence(&recipient.reply[REFUSED_AT_INTAKE.len()..]));
            Some(step)
        }
        MailState::InvalidAddress => {
            let mut step = Step::new(view, at, tone, "Given up: invalid address");
            let text = "The address is in the invalid-address library. The next mail to it is refused at intake, uncharged.";
            step.lines.push(text.into());
            Some(step)
        }
        MailState::Spam => Some(Step::new(view, at, tone, "Given up: refused as spam")),
        MailState::Failed => {
            let mut step = Step::new(view, at, tone, "Given up");
            let last = story.attempts.iter().rev().find(|attempt| attempt.number == recipient.number);
            let has_been_said = last.is_some_and(|attempt| attempt.reply == recipient.reply);
            if !recipient.reply.is_empty() && !has_been_said {
                step.lines.push(format!("{}: {}", meaning(&recipient.classification), recipient.reply));
            }
            Some(step)
        }
        MailState::Delivered | MailState::Cancelled => None,
    }
}

/// No remote server can have said so: there was no attempt.
fn was_refused(recipient: &RecipientRow) -> bool {
    recipient.attempts == 0 && recipient.reply.starts_with(REFUSED_AT_INTAKE)
}

fn refusal(classification: &str) -> &'static str {
    match classification {
        "SysOutRecipientUnsubscribed" => "Refused at intake: the recipient has unsubscribed",
        "SysOutRecipientReportedSpam" => "Refused at intake: the recipient has reported spam",
        _ => "Refused at intake: invalid address",
    }
}

fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn waiting(view: &AccountView, recipient: &RecipientRow) -> Step {
    let now = view.now;
    if recipient.in_delivery {
        return Step::new(view, now, Tone::Info, "Being delivered now");
    }
    let due = recipient.due_at.unwrap_or(now);
    let title = if due <= now { "Waiting: due now" } else { "Waiting for the next try" };
    let mut step = Step::new(view, due.max(now), Tone::Info, title);
    if due > now {
        step.lines.push(format!("In {}.", format::duration(due.0 - now.0)));
    }
    // After an attempt the reason is that attempt's reply, which stands right above.
    let has_been_said = recipient.attempts > 0 && recipient.reply.contains(&recipient.waiting_reason);
    if !recipient.waiting_reason.is_empty() && !has_been_said {
        step.lines.push(format!("Because: {}.", recipient.waiting_reason.trim_end_matches('.')));
    }
    step
}

/// A span of an attempt: milliseconds below ten seconds.
pub fn span(length_us: i64) -> String {
    let length_us = length_us.max(0);
    if length_us < 10_000_000 {
        format!("{} ms", format::mails(length_us / 1_000))
    } else {
        format::duration(length_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use indicia_domain::outcome::{ErrorClassification, Phase};

    #[test]
    fn every_classification_of_a_failure_has_words() {
        for classification in
            ErrorClassification::ALL.iter().filter(|one| **one != ErrorClassification::SendOk)
        {
            assert_ne!(meaning(classification.as_str()), "Not delivered", "{classification}");
        }
    }

    #[test]
    fn every_phase_has_words_of_its_own() {
        let phases = [
            Phase::Dns,
            Phase::Connect,
            Phase::Greeting,
            Phase::Hello,
            Phase::StartTls,
            Phase::Mail,
            Phase::Rcpt,
            Phase::Data,
            Phase::Content,
            Phase::Final,
        ];
        for name in phases {
            assert_ne!(phase(name.as_str()), "between two mails", "{name}");
        }
    }

    #[test]
    fn r04_each_source_says_what_its_counts_mean() {
        assert_eq!(
            charge_text(&LedgerAccount::Free, 1, 2_000, 1_999),
            "1 mail to Free credit (2,000 → 1,999 left)"
        );
        assert_eq!(
            charge_text(&LedgerAccount::PayAsYouGo, 2, 0, 2),
            "2 mails to pay-as-you-go (0 → 2 so far)"
        );
    }
}
