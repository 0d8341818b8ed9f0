//! Notices that did not arrive, and the SMS outbox: what an operator can still mend (R14).

use std::collections::BTreeMap;

use askama::Template;
use axum::{extract::State, response::Response};
use indicia_domain::phone::PhoneNumber;
use indicia_store::{notice::SmsRow, oversight::UntoldNotice};

use super::{OperatorView, account_link};
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Link, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::messages::kind_badge,
    shell::{Place, Shell, account_href},
};

const ROWS_SHOWN: i64 = 200;

struct NoticeLine {
    due_at: Moment,
    account: Link,
    contacts_href: String,
    channel: String,
    what: String,
    instance: String,
    badge: Badge,
    next_at: Option<Moment>,
    reason: String,
}

/// How often the notices that are shown have one reason.
struct Cause {
    channel: String,
    reason: String,
    count: String,
}

struct SmsLine {
    created_at: Moment,
    account: Link,
    phone: String,
    badge: Badge,
    attempts: String,
    error: String,
}

#[derive(Template)]
#[template(path = "operator/notices.html")]
struct NoticesPage {
    shell: Shell,
    waiting: String,
    taken: String,
    given_up: String,
    rows_shown: i64,
    causes: Vec<Cause>,
    notices: Vec<NoticeLine>,
    notices_empty: Option<Empty>,
    texts: Vec<SmsLine>,
    texts_empty: Option<Empty>,
}

/// `GET /operator/notices`
pub async fn list(
    State(state): State<ConsoleState>,
    operator: OperatorView,
) -> Result<Response, ConsoleError> {
    let counts = state.store.sms_counts().await?;
    let notices = state.store.untold_notices(ROWS_SHOWN).await?;
    let texts = state.store.sms_log(None, true, ROWS_SHOWN).await?;
    page(&NoticesPage {
        shell: operator.shell(&state, Place::Notices, "Notices"),
        waiting: format::mails(counts.waiting),
        taken: format::mails(counts.taken),
        given_up: format::mails(counts.given_up),
        rows_shown: ROWS_SHOWN,
        notices_empty: notices.is_empty().then(|| {
            Empty::new(Icon::Check, "Every notice that was due was told", "What fails or is put off appears here with its reason.")
        }),
        causes: causes(&notices),
        notices: notices.iter().map(|notice| notice_line(&operator, notice)).collect(),
        texts_empty: texts.is_empty().then(|| {
            Empty::new(Icon::Check, "No text is in trouble", "Texts that the SMS gateway refuses, or cannot be reached for, appear here with what it said.")
        }),
        texts: texts.iter().map(|text| sms_line(&operator, text)).collect(),
    })
}

/// Whether a notice that was not told is tried again.
fn state_badge(is_skipped: bool) -> Badge {
    if is_skipped { Badge::new(Tone::Bad, "Not told") } else { Badge::new(Tone::Warn, "Tried again") }
}

/// The channels as people call them.
fn channel_name(channel: &str) -> &str {
    match channel {
        "station" => "In-station",
        "email" => "E-mail",
        "sms" => "SMS",
        other => other,
    }
}

/// The reasons by channel, the most frequent first: one that is common is the installation's own.
fn causes(notices: &[UntoldNotice]) -> Vec<Cause> {
    let mut counts: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for notice in notices {
        *counts.entry((&notice.channel, &notice.reason)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let cause = |((channel, reason), count): ((&str, &str), i64)| Cause {
        channel: channel_name(channel).to_owned(),
        reason: reason.to_owned(),
        count: format::mails(count),
    };
    counts.into_iter().map(cause).collect()
}

fn notice_line(operator: &OperatorView, notice: &UntoldNotice) -> NoticeLine {
    NoticeLine {
        due_at: operator.zone.moment(notice.due_at),
        account: account_link(notice.account_id),
        contacts_href: account_href(notice.account_id, "/contacts"),
        channel: channel_name(&notice.channel).to_owned(),
        what: kind_badge(&notice.kind).label,
        instance: notice.instance_id.clone(),
        badge: state_badge(notice.is_skipped),
        next_at: (!notice.is_skipped).then(|| operator.zone.moment(notice.next_at)),
        reason: notice.reason.clone(),
    }
}

fn sms_line(operator: &OperatorView, text: &SmsRow) -> SmsLine {
    SmsLine {
        created_at: operator.zone.moment(text.created_at),
        account: account_link(text.account_id),
        // The whole number is on the account's contacts page, for whoever has reason to call it.
        phone: PhoneNumber::parse(&text.phone)
            .map_or_else(|_| "no valid number".into(), |phone| phone.masked()),
        badge: match text.state {
            0 => Badge::new(Tone::Warn, "Tried again"),
            1 => Badge::new(Tone::Good, "Taken"),
            _ => Badge::new(Tone::Bad, "Given up"),
        },
        attempts: format::mails(text.attempts),
        error: text.error.clone(),
    }
}
