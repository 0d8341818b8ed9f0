//! One mail of the demo's inbox: HTML, text, headers, source.
//!
//! The HTML is a stranger's. It is served at an address of its own with a policy that lets nothing run and
//! nothing load, and is shown in a frame without any permission; either alone would do.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, header},
    response::{Html, IntoResponse, Response},
};
use mail_parser::MessageParser;

use super::{DemoFrame, InboxMail, inbox::size_text};
use crate::{
    ConsoleState,
    components::Link,
    error::{ConsoleError, page},
    format::Moment,
    pages::subject_or_none,
    session::viewer::{Viewer, here},
    shell::{Place, Shell},
};

/// As much of a message's source as is shown.
const SOURCE_SHOWN_BYTES: usize = 256 * 1024;
const HEADERS_SHOWN_MAX: usize = 100;

struct Header {
    name: String,
    value: String,
}

#[derive(Template)]
#[template(path = "demo/mail.html")]
struct MailPage {
    shell: Shell,
    subject: String,
    received_at: Moment,
    return_path: String,
    to: String,
    has_html: bool,
    html_href: String,
    text: Option<String>,
    headers: Vec<Header>,
    source: String,
    size: String,
    is_cut: bool,
}

/// `GET /demo/inbox/{id}`
pub async fn show(
    State(state): State<ConsoleState>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, ConsoleError> {
    let mail = find(&state, &id).await?;
    let frame = DemoFrame::load(&state, &viewer).await?;
    let parsed = MessageParser::default().parse(&mail.raw);
    let has_html = parsed.as_ref().is_some_and(|message| has_own_html(message));
    let text =
        parsed.as_ref().filter(|message| has_own_text(message)).and_then(|message| message.body_text(0));
    let subject = subject_or_none(&mail.entry.subject);
    let crumbs = vec![Link::new("/demo/inbox", "Demo inbox"), here(subject.clone())];
    let shell = frame.shell(&state, &viewer, Place::Inbox, &subject).with_crumbs(crumbs);
    let shown = &mail.raw[..mail.raw.len().min(SOURCE_SHOWN_BYTES)];
    page(&MailPage {
        shell,
        received_at: frame.zone.moment(mail.entry.received_at),
        return_path: if mail.entry.mail_from.is_empty() { "<>".into() } else { mail.entry.mail_from.clone() },
        to: mail.entry.recipients.join(", "),
        has_html,
        html_href: format!("/demo/inbox/{}/html", mail.entry.id),
        text: text.map(|text| text.into_owned()).filter(|text| !text.trim().is_empty()),
        headers: headers(&mail.raw),
        source: String::from_utf8_lossy(shown).into_owned(),
        size: size_text(mail.entry.size_bytes),
        is_cut: mail.raw.len() > SOURCE_SHOWN_BYTES,
        subject,
    })
}

/// `GET /demo/inbox/{id}/html`
pub async fn html(
    State(state): State<ConsoleState>,
    _: Viewer,
    Path(id): Path<String>,
) -> Result<Response, ConsoleError> {
    let mail = find(&state, &id).await?;
    let parsed = MessageParser::default().parse(&mail.raw);
    let body =
        parsed.as_ref().filter(|message| has_own_html(message)).and_then(|message| message.body_html(0));
    let body = body.ok_or(ConsoleError::NotFound { what: "HTML part" })?;
    let mut response = Html(body.into_owned()).into_response();
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; \
                  base-uri 'none'; frame-ancestors 'self'";
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(HeaderName::from_static("x-frame-options"), HeaderValue::from_static("SAMEORIGIN"));
    Ok(response)
}

async fn find(state: &ConsoleState, id: &str) -> Result<InboxMail, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "mail" };
    let demo = state.demo.as_ref().ok_or_else(missing)?;
    let id = id.parse().map_err(|_| missing())?;
    demo.inbox.read(id).await.map_err(|error| ConsoleError::Demo(error.0))?.ok_or_else(missing)
}

/// The parser makes HTML of a text-only mail on demand; only a part that really is HTML is shown as such.
fn has_own_html(message: &mail_parser::Message) -> bool {
    message.html_bodies().any(|part| matches!(part.body, mail_parser::PartType::Html(_)))
}

/// Likewise the parser makes text of an HTML-only mail.
fn has_own_text(message: &mail_parser::Message) -> bool {
    message.text_bodies().any(|part| matches!(part.body, mail_parser::PartType::Text(_)))
}

/// The header fields as they came, unfolded, each by the bytes before and after its first colon.
fn headers(raw: &[u8]) -> Vec<Header> {
    let head_end =
        raw.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or(raw.len().min(SOURCE_SHOWN_BYTES));
    let head = String::from_utf8_lossy(&raw[..head_end]);
    let mut headers: Vec<Header> = Vec::new();
    for line in head.split("\r\n") {
        if line.starts_with([' ', '\t']) {
            if let Some(last) = headers.last_mut() {
                last.value.push(' ');
                last.value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':')
            && headers.len() < HEADERS_SHOWN_MAX
        {
            headers.push(Header { name: name.trim().to_owned(), value: value.trim().to_owned() });
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_and_bounded() {
        let raw = b"Subject: one\r\n two\r\nX-A:b:c\r\nnonsense\r\n\r\nBody: no header\r\n";
        let found = headers(raw);
        let pairs: Vec<_> =
            found.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect();
        assert_eq!(pairs, [("Subject", "one two"), ("X-A", "b:c")]);
        let many = "A: b\r\n".repeat(500);
        assert_eq!(headers(many.as_bytes()).len(), HEADERS_SHOWN_MAX);
    }

    #[test]
    fn a_text_mail_has_no_html_of_its_own() {
        let parse = |raw: &'static str| MessageParser::default().parse(raw.as_bytes()).unwrap();
        assert!(!has_own_html(&parse("Content-Type: text/plain\r\n\r\nhello\r\n")));
        let html = parse("Content-Type: text/html\r\n\r\n<b>hello</b>\r\n");
        assert!(has_own_html(&html) && !has_own_text(&html));
    }
}
