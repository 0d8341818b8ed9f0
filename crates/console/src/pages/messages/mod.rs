//! In-station messages: what the account was told, newest first (R14, R15, R11).
//!
//! A message is read when its owner has opened it or says so. An operator who looks at an account reads its
//! messages and leaves them unread: they are not the operator's.

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::notice::NoticeKind;
use indicia_store::notice::StationMessage;
use serde::Deserialize;

use super::{
    asked::{A_PLACE, choice, number},
    with_query,
};
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Link, Pager, Tone},
    error::{ConsoleError, page, with_cookie},
    format::{self, Moment},
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{Flash, MESSAGES, Place, Shell},
};

const MESSAGES_PER_PAGE: usize = 30;

struct Row {
    href: String,
    id: i64,
    at: Moment,
    subject: String,
    badge: Badge,
    is_unread: bool,
}

#[derive(Template)]
#[template(path = "messages/list.html")]
struct ListPage {
    shell: Shell,
    lede: String,
    all_href: String,
    unread_href: String,
    only_unread: bool,
    read_href: String,
    may_mark: bool,
    rows: Vec<Row>,
    pager: Pager,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct ListQuery {
    /// `unread`, or nothing for all.
    #[serde(default)]
    show: String,
    /// The last message of the page before.
    #[serde(default)]
    after: String,
}

/// What a message is about, as a badge.
pub fn kind_badge(kind: &str) -> Badge {
    let (tone, label) = match kind.parse() {
        Ok(NoticeKind::Expiry) => (Tone::Warn, "Package ends"),
        Ok(NoticeKind::LowBalance) => (Tone::Warn, "Low balance"),
        Ok(NoticeKind::UsedUp) => (Tone::Warn, "Used up"),
        Ok(NoticeKind::Lapsed) => (Tone::Neutral, "Lapsed"),
        Ok(NoticeKind::CollectionAhead) => (Tone::Warn, "Bills to be paid"),
        Ok(NoticeKind::Overdue) => (Tone::Bad, "Overdue"),
        Ok(NoticeKind::Restored) => (Tone::Good, "Sending again"),
        Ok(NoticeKind::QuotaPaused) => (Tone::Bad, "Sending paused"),
        Ok(NoticeKind::QuotaReleased) => (Tone::Good, "Pause is over"),
        Ok(NoticeKind::QuotaRaised) => (Tone::Good, "Quota raised"),
        Ok(NoticeKind::QuotaLowered) => (Tone::Warn, "Quota lowered"),
        Err(_) => (Tone::Info, kind),
    };
    Badge::new(tone, label)
}

/// `GET /accounts/{account_id}/messages`
pub async fn list(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<ListQuery>,
) -> Result<Response, ConsoleError> {
    choice(&query.show, "a choice of messages: leave it out, or write unread", &[("unread", "Not read")])?;
    let only_unread = query.show.trim() == "unread";
    let after = number(&query.after, A_PLACE)?;
    let limit = MESSAGES_PER_PAGE as i64 + 1;
    let mut messages = state.store.station_messages(view.id(), only_unread, after, limit).await?;
    let has_more = messages.len() > MESSAGES_PER_PAGE;
    messages.truncate(MESSAGES_PER_PAGE);
    let action = view.href(MESSAGES);
    let address = |after: &str| with_query(&action, &[("show", &query.show), ("after", after)]);
    let next = messages.last().filter(|_| has_more).map(|last| address(&last.message_id.to_string()));
    page(&ListPage {
        shell: view.shell(&state, Place::Messages, "Messages").with_crumbs(vec![here("Messages")]),
        lede: match view.unread_messages {
            0 => "All read. What packages and bills need you to know is told here, and by e-mail and SMS as set in the contacts.".into(),
            unread => format!("{} not read yet.", format::counted(unread, "message")),
        },
        all_href: action.clone(),
        unread_href: with_query(&action, &[("show", "unread")]),
        only_unread,
        read_href: view.href(&format!("{MESSAGES}/read")),
        may_mark: may_mark(&view) && view.unread_messages > 0,
        pager: Pager::newest_first(after.map(|_| address("")), next),
        empty: messages.is_empty().then(|| nothing(&view, only_unread)),
        rows: messages.iter().map(|message| row(&view, message)).collect(),
    })
}

/// Only the account itself reads its messages; an operator looks over its shoulder.
fn may_mark(view: &AccountView) -> bool {
    !view.viewer.is_operator()
}

fn nothing(view: &AccountView, only_unread: bool) -> Empty {
    if only_unread {
        return Empty::new(Icon::Check, "Everything is read", "New messages are counted in the navigation.")
            .with_link(view.href(MESSAGES), "Show all messages");
    }
    let text = "You will be told here before a package ends with mails left, when little is left, and before bills \
                have to be paid.";
    Empty::new(Icon::Inbox, "No message yet", text)
        .with_link(view.href("/contacts"), "See who else is told, and how")
}

fn row(view: &AccountView, message: &StationMessage) -> Row {
    Row {
        href: view.href(&format!("{MESSAGES}/{}", message.message_id)),
        id: message.message_id,
        at: view.zone.moment(message.at),
        subject: message.subject.clone(),
        badge: kind_badge(&message.kind),
        is_unread: message.read_at.is_none(),
    }
}

/// A line of a message's text; one that is a page of this console is a link.
struct TextLine {
    text: String,
    link: Option<Link>,
}

fn text_lines(body: &str, public_url: &str) -> Vec<TextLine> {
    let base = format!("{}/", public_url.trim_end_matches('/'));
    body.lines()
        .map(|line| {
            let trimmed = line.trim();
            let is_ours = trimmed.starts_with(&base) && !trimmed.contains(char::is_whitespace);
            TextLine { text: line.to_owned(), link: is_ours.then(|| Link::new(trimmed, trimmed)) }
        })
        .collect()
}

#[derive(Template)]
#[template(path = "messages/show.html")]
struct MessagePage {
    shell: Shell,
    subject: String,
    badge: Badge,
    at: Moment,
    read_at: Option<Moment>,
    lines: Vec<TextLine>,
    back_href: String,
}

/// `GET /accounts/{account_id}/messages/{message_id}`
pub async fn show(
    State(state): State<ConsoleState>,
    mut view: AccountView,
    Path((_, message_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "message" };
    let message_id: i64 = message_id.parse().map_err(|_| missing())?;
    let message = state.store.station_message(view.id(), message_id).await?.ok_or_else(missing)?;
    if message.read_at.is_none() && may_mark(&view) {
        state.store.mark_read(view.id(), &[message_id]).await?;
        view.unread_messages = state.store.unread_messages(view.id()).await?;
    }
    let crumbs = vec![view.crumb("Messages", MESSAGES), here(message.subject.clone())];
    page(&MessagePage {
        shell: view.shell(&state, Place::Messages, &message.subject).with_crumbs(crumbs),
        badge: kind_badge(&message.kind),
        at: view.zone.moment(message.at),
        read_at: message.read_at.map(|at| view.zone.moment(at)),
        lines: text_lines(&message.body, &state.config.public_url),
        back_href: view.href(MESSAGES),
        subject: message.subject,
    })
}

/// The form: the messages that were ticked, or all.
#[derive(Deserialize)]
pub struct ReadForm {
    /// The id of one message; empty: all of them.
    #[serde(default)]
    message: String,
}

/// `POST /accounts/{account_id}/messages/read`
pub async fn mark_read(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<ReadForm>,
) -> Result<Response, ConsoleError> {
    if !may_mark(&view) {
        return Err(ConsoleError::Forbidden(
            "Only the account itself can say that it has read its messages.",
        ));
    }
    let ids = match form.message.trim() {
        "" => Vec::new(),
        id => vec![id.parse().map_err(|_| ConsoleError::NotFound { what: "message" })?],
    };
    state.store.mark_read(view.id(), &ids).await?;
    let cookie = state.cookies().set(Cookie::Flash, Flash::MessagesRead.name(), Some(30));
    Ok(with_cookie(Redirect::to(&view.href(MESSAGES)).into_response(), cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_this_console_becomes_a_link() {
        let url = "https://mail.example.com";
        let lines = text_lines(
            "See:\n  https://mail.example.com/accounts/1/billing\nhttps://mail.example.com.evil.test/\nhttps://mail.example.com/ x",
            url,
        );
        let links: Vec<bool> = lines.iter().map(|line| line.link.is_some()).collect();
        assert_eq!(links, [false, true, false, false]);
    }

    #[test]
    fn every_kind_of_notice_has_words_of_its_own() {
        for kind in NoticeKind::ALL {
            assert_ne!(kind_badge(kind.as_str()).label, kind.as_str());
        }
    }
}
