//! The mail log: one line for each recipient's mail, newest first, filtered and walked by token.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::{
    mail::State as MailState,
    time::{UnixMicros, local_day},
};
use indicia_store::message::{LogQuery, LogRow, LogToken};
use serde::Deserialize;

use super::{
    SelectOption,
    asked::{A_PLACE, asked},
    with_query,
};
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Pager, Tone},
    error::{ConsoleError, page},
    format::Moment,
    period::parse_day,
    session::viewer::{AccountView, here},
    shell::{Place, Shell},
};

const ROWS_PER_PAGE: usize = 50;
/// What the first and the last day are.
const A_DAY: &str = "a day: write YYYY-MM-DD, as 2026-11-22";

const STATUSES: &[(&str, &str)] = &[
    ("", "All"),
    ("delivered", "Delivered"),
    ("waiting", "Waiting"),
    ("invalid", "Invalid address"),
    ("spam", "Refused as spam"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];

/// What a mail's state means, in words and tone.
pub fn state_badge(state: MailState) -> Badge {
    let tone = match state {
        MailState::Delivered => Tone::Good,
        MailState::Waiting => Tone::Info,
        MailState::InvalidAddress | MailState::Spam => Tone::Warn,
        MailState::Failed => Tone::Bad,
        MailState::Cancelled => Tone::Neutral,
    };
    Badge::new(tone, state.name())
}

fn state_named(name: &str) -> Option<MailState> {
    Some(match name {
        "delivered" => MailState::Delivered,
        "waiting" => MailState::Waiting,
        "invalid" => MailState::InvalidAddress,
        "spam" => MailState::Spam,
        "failed" => MailState::Failed,
        "cancelled" => MailState::Cancelled,
        _ => return None,
    })
}

/// A line of the log.
pub struct MailRow {
    pub href: String,
    pub id: i64,
    pub accepted_at: Moment,
    pub subject: String,
    pub sender: String,
    pub recipient: String,
    pub badge: Badge,
}

impl MailRow {
    pub fn of(view: &AccountView, row: &LogRow) -> Self {
        Self {
            href: view.href(&format!("/mails/{}", row.message_id)),
            id: row.message_id,
            accepted_at: view.zone.moment(row.accepted_at),
            subject: subject_or_none(&row.subject),
            sender: row.mail_from.clone(),
            recipient: row.address.clone(),
            badge: state_badge(row.state),
        }
    }
}

/// A subject to click on, even where there is none.
pub fn subject_or_none(subject: &str) -> String {
    if subject.trim().is_empty() { "(no subject)".into() } else { subject.to_owned() }
}

/// What the log is asked with. Text all of it, so that what cannot be read is refused in words.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct LogForm {
    #[serde(default)]
    status: String,
    #[serde(default)]
    recipient: String,
    #[serde(default)]
    sender: String,
    /// First and last local day, both included.
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    /// The last mail of the page before.
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "mail/log.html")]
struct LogPage {
    shell: Shell,
    action: String,
    statuses: Vec<SelectOption>,
    recipient: String,
    sender: String,
    from: String,
    to: String,
    is_filtered: bool,
    rows: Vec<MailRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// `GET /accounts/{account_id}/mails`
pub async fn list(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(form): Query<LogForm>,
) -> Result<Response, ConsoleError> {
    let query = form.query(&view)?;
    let has_token = query.after.is_some();
    let mut found = state.store.mail_log(&query).await?;
    let has_more = found.len() > ROWS_PER_PAGE;
    found.truncate(ROWS_PER_PAGE);
    let action = view.href("/mails");
    let address = |after: &str| {
        let fields = [
            ("status", form.status.as_str()),
            ("recipient", &form.recipient),
            ("sender", &form.sender),
            ("from", &form.from),
            ("to", &form.to),
            ("after", after),
        ];
        with_query(&action, &fields)
    };
    let next = found.last().filter(|_| has_more);
    let next = next.map(|last| address(&format!("{}-{}", last.message_id, last.number)));
    let is_filtered = form.is_filtered();
    page(&LogPage {
        shell: view.shell(&state, Place::MailLog, "Mail log").with_crumbs(vec![here("Mail log")]),
        statuses: SelectOption::list(STATUSES, &form.status),
        is_filtered,
        pager: Pager::newest_first(has_token.then(|| address("")), next),
        empty: found.is_empty().then(|| nothing(&view, is_filtered, has_token)),
        rows: found.iter().map(|row| MailRow::of(&view, row)).collect(),
        recipient: form.recipient,
        sender: form.sender,
        from: form.from,
        to: form.to,
        action,
    })
}

fn nothing(view: &AccountView, is_filtered: bool, has_token: bool) -> Empty {
    let log = view.href("/mails");
    if has_token {
        return Empty::new(Icon::Mail, "Here the log ends", "There are no older mails.")
            .with_link(log, "Back to the newest");
    }
    if is_filtered {
        return Empty::new(Icon::Mail, "No mail fits the filter", "Widen the days, or leave a field empty.")
            .with_link(log, "Show all mails");
    }
    no_mail_yet(view)
}

/// What is said where no mail was ever sent.
pub fn no_mail_yet(view: &AccountView) -> Empty {
    let text = "Send one with SingleSendMail over the API, or over SMTP with a sender address and its password. It appears \
                here the moment it is accepted.";
    Empty::new(Icon::Mail, "No mail yet", text)
        .with_link(view.href("/sending/addresses"), "See the sender addresses")
}

impl LogForm {
    fn is_filtered(&self) -> bool {
        [&self.status, &self.recipient, &self.sender, &self.from, &self.to]
            .iter()
            .any(|field| !field.is_empty())
    }

    /// What to ask the store.
    fn query(&self, view: &AccountView) -> Result<LogQuery, ConsoleError> {
        let mut query = LogQuery::all(view.id(), ROWS_PER_PAGE as i64 + 1);
        query.state = asked(&self.status, "a status of a mail", state_named)?;
        let present = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        query.address_part = present(&self.recipient);
        query.mail_from = present(&self.sender);
        if let Some(date) = asked(&self.from, A_DAY, parse_day)? {
            query.from = view.zone.day(date).0;
        }
        if let Some(date) = asked(&self.to, A_DAY, parse_day)? {
            query.before = view.zone.day(date).1;
        }
        query.after = asked(&self.after, A_PLACE, parse_token)?;
        Ok(query)
    }
}

fn parse_token(text: &str) -> Option<LogToken> {
    let (message_id, number) = text.split_once('-')?;
    Some(LogToken { message_id: message_id.parse().ok()?, number: number.parse().ok()? })
}

/// The number of the local day on which an account's `at` falls, for counts kept by day.
pub fn day_number(view: &AccountView, at: UnixMicros) -> i64 {
    local_day(view.zone.time_zone(), at).number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_can_be_asked_for_and_has_a_badge() {
        for (name, text) in STATUSES.iter().filter(|(name, _)| !name.is_empty()) {
            let state = state_named(name).unwrap();
            assert_eq!(state_badge(state).label, *text);
        }
        assert_eq!(state_named("nonsense"), None);
    }

    #[test]
    fn a_token_is_two_numbers() {
        assert_eq!(parse_token("12-3"), Some(LogToken { message_id: 12, number: 3 }));
        for text in ["", "12", "-", "12-x", "12-3-4"] {
            assert_eq!(parse_token(text), None, "{text}");
        }
    }
}
