//! The inbox of the demo's mailbox provider: a list, newest first.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use serde::Deserialize;

use super::{DemoFrame, InboxEntry};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment, Zone},
    pages::{A_PLACE, number},
    session::viewer::{Viewer, here},
    shell::{Place, Shell},
};

const ROWS_PER_PAGE: usize = 50;

struct Row {
    href: String,
    received_at: Moment,
    subject: String,
    from: String,
    to: String,
    size: String,
}

#[derive(Template)]
#[template(path = "demo/inbox.html")]
struct InboxPage {
    shell: Shell,
    rows: Vec<Row>,
    pager: Pager,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct InboxQuery {
    #[serde(default)]
    before: String,
}

/// `GET /demo/inbox`
pub async fn list(
    State(state): State<ConsoleState>,
    viewer: Viewer,
    Query(query): Query<InboxQuery>,
) -> Result<Response, ConsoleError> {
    let demo = state.demo.as_ref().ok_or(ConsoleError::NotFound { what: "page" })?;
    let before = number(&query.before, A_PLACE)?;
    let found = demo.inbox.list(before, ROWS_PER_PAGE + 1).await;
    let mut found = found.map_err(|error| ConsoleError::Demo(error.0))?;
    let has_more = found.len() > ROWS_PER_PAGE;
    found.truncate(ROWS_PER_PAGE);
    let frame = DemoFrame::load(&state, &viewer).await?;
    let next = found.last().filter(|_| has_more).map(|last| format!("/demo/inbox?before={}", last.id));
    page(&InboxPage {
        shell: frame.shell(&state, &viewer, Place::Inbox, "Demo inbox").with_crumbs(vec![here("Demo inbox")]),
        empty: found.is_empty().then(|| {
            let text = "Send a mail to any address with the API or SMTP call that the demo printed when it started. It arrives here.";
            Empty::new(Icon::Inbox, "Nothing has arrived yet", text)
        }),
        rows: found.iter().map(|entry| row(&frame.zone, entry)).collect(),
        pager: Pager::newest_first(before.map(|_| "/demo/inbox".to_owned()), next),
    })
}

fn row(zone: &Zone, entry: &InboxEntry) -> Row {
    Row {
        href: format!("/demo/inbox/{}", entry.id),
        received_at: zone.moment(entry.received_at),
        subject: crate::pages::subject_or_none(&entry.subject),
        from: sender(entry),
        to: entry.recipients.join(", "),
        size: size_text(entry.size_bytes),
    }
}

/// The address of the From header; the return path only where there is none, since it is the service's own and made for
/// bounces.
fn sender(entry: &InboxEntry) -> String {
    match (entry.from.is_empty(), entry.mail_from.is_empty()) {
        (false, _) => entry.from.clone(),
        (true, false) => entry.mail_from.clone(),
        (true, true) => "<> (a bounce)".into(),
    }
}

pub(super) fn size_text(size_bytes: u64) -> String {
    format!("{} bytes", format::mails(i64::try_from(size_bytes).unwrap_or(i64::MAX)))
}
