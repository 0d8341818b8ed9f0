//! One mail's page: what it was, who paid for it, and for each recipient one timeline that answers where it
//! is, and why.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use indicia_domain::{
    ledger::{Kind, LedgerAccount, Transfer, Unit},
    mail::State as MailState,
};
use indicia_store::message::{Message, RecipientRow, Timeline};

use super::{
    Fact,
    mails::{state_badge, subject_or_none},
    operator::reputation::report,
};
use crate::{
    ConsoleState,
    components::{Badge, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, Place, Shell},
};

mod steps;
use steps::Step;

struct ChargeRow {
    source: String,
    href: Option<String>,
    before: String,
    amount: String,
    after: String,
    is_reversal: bool,
}

struct RecipientView {
    number: i64,
    address: String,
    badge: Badge,
    summary: String,
    steps: Vec<Step>,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct MessagePage {
    shell: Shell,
    id: i64,
    subject: String,
    accepted_at: Moment,
    badges: Vec<Badge>,
    facts: Vec<Fact>,
    charged_text: String,
    charges: Vec<ChargeRow>,
    recipients: Vec<RecipientView>,
    /// For operators: to a report of this mail by hand.
    report_href: Option<String>,
}

/// `GET /accounts/{account_id}/mails/{message_id}`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, message_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "message" };
    let message_id: i64 = message_id.parse().map_err(|_| missing())?;
    let story = state.store.timeline(view.id(), message_id).await?.ok_or_else(missing)?;
    let subject = subject_or_none(&story.message.subject);
    let crumbs = vec![view.crumb("Mail log", "/mails"), here(message_id.to_string())];
    page(&MessagePage {
        shell: view.shell(&state, Place::MailLog, &subject).with_crumbs(crumbs),
        id: message_id,
        report_href: view.viewer.is_operator().then(|| report::href_of(message_id)),
        accepted_at: view.zone.moment(story.message.accepted_at),
        badges: badges(&story.recipients),
        facts: facts(&view, &story.message),
        charged_text: charged_text(&story.ledger),
        charges: charge_lines(&story.ledger).map(|line| charge_row(&view, line)).collect(),
        recipients: story
            .recipients
            .iter()
            .map(|recipient| recipient_view(&view, &story, recipient))
            .collect(),
        subject,
    })
}

/// One badge for each state that occurs, with its count where there are several recipients.
fn badges(recipients: &[RecipientRow]) -> Vec<Badge> {
    let states = [
        MailState::Delivered,
        MailState::Waiting,
        MailState::InvalidAddress,
        MailState::Spam,
        MailState::Failed,
        MailState::Cancelled,
    ];
    let count = |state| recipients.iter().filter(|recipient| recipient.state == state).count();
    let badge = |(state, count): (MailState, usize)| {
        let badge = state_badge(state);
        if recipients.len() == 1 { badge } else { Badge::new(badge.tone, format!("{count} {}", badge.label)) }
    };
    states.into_iter().map(|state| (state, count(state))).filter(|(_, count)| *count > 0).map(badge).collect()
}

fn facts(view: &AccountView, message: &Message) -> Vec<Fact> {
    let mut facts = vec![
        Fact::mono("EnvId", message.message_id.to_string()),
        Fact::text("From", message.mail_from.clone()),
        Fact::text("Accepted", view.zone.moment(message.accepted_at).full()),
        Fact::text("Over", door(&message.via)),
        Fact::text("Recipients", format::mails(message.recipient_count)),
        Fact::text("Size", format!("{} bytes", format::mails(message.size_bytes))),
    ];
    if message.refused_count > 0 {
        let text = format!(
            "{} on a list of invalid or blocked addresses; neither counted nor charged",
            format::counted(message.refused_count, "recipient")
        );
        facts.push(Fact::text("Refused at intake", text));
    }
    if !message.tag.is_empty() {
        facts.push(Fact::text("Tag", message.tag.clone()));
    }
    facts
}

fn door(via: &str) -> &'static str {
    match via {
        "api" => "the API",
        "smtp" => "SMTP",
        "relay" => "SMTP from a trusted relay",
        _ => "another door",
    }
}

fn charge_lines(ledger: &[Transfer]) -> impl Iterator<Item = &Transfer> {
    ledger.iter().filter(|line| line.unit == Unit::Mail && matches!(line.kind, Kind::Send | Kind::Reversal))
}

fn charged_text(ledger: &[Transfer]) -> String {
    let sum =
        |kind| charge_lines(ledger).filter(|line| line.kind == kind).map(|line| line.amount).sum::<i64>();
    let (charged, returned) = (sum(Kind::Send), sum(Kind::Reversal));
    if returned == 0 {
        return format::mails_noun(charged);
    }
    format!("{}, {} given back", format::mails_noun(charged), format::mails(returned))
}

/// The source of a charge, which a reversal gives back to.
fn source_of(line: &Transfer) -> &LedgerAccount {
    if line.kind == Kind::Reversal { &line.to } else { &line.from }
}

/// A source of mails, by its name for readers.
fn source_name(source: &LedgerAccount) -> String {
    match source {
        LedgerAccount::Free => "Free credit".into(),
        LedgerAccount::Package(instance) => instance.clone(),
        LedgerAccount::PayAsYouGo => "Pay-as-you-go".into(),
        other => other.to_string(),
    }
}

fn charge_row(view: &AccountView, line: &Transfer) -> ChargeRow {
    let source = source_of(line);
    let href = match source {
        LedgerAccount::Package(instance) => Some(view.href(&format!("{DIRECTMAIL}/{instance}"))),
        _ => None,
    };
    ChargeRow {
        source: source_name(source),
        href,
        before: format::mails(line.before),
        amount: format::mails(line.amount),
        after: format::mails(line.after),
        is_reversal: line.kind == Kind::Reversal,
    }
}

fn recipient_view(view: &AccountView, story: &Timeline, recipient: &RecipientRow) -> RecipientView {
    let badge = state_badge(recipient.state);
    let attempts = format::counted(recipient.attempts, "attempt");
    let summary = match recipient.state {
        MailState::Delivered => format!("{attempts}, in {}", took(story, recipient)),
        MailState::Waiting if recipient.attempts == 0 => "not tried yet".into(),
        MailState::Waiting => format!("{attempts} so far"),
        _ => attempts,
    };
    RecipientView {
        number: recipient.number,
        address: recipient.address.clone(),
        summary,
        steps: steps::of(view, story, recipient),
        badge,
    }
}

fn took(story: &Timeline, recipient: &RecipientRow) -> String {
    steps::span(recipient.updated_at.0 - story.message.accepted_at.0)
}

/// How a step is marked.
fn tone_of(state: MailState) -> Tone {
    state_badge(state).tone
}
