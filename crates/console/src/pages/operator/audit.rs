//! The audit log: who did what, when, to which account. Newest first, walked by entry.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_store::{audit::AuditEntry, oversight::AuditQuery};
use serde::Deserialize;

use super::{OperatorView, account_link};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Link, Pager},
    error::{ConsoleError, page},
    format::{Moment, Zone},
    pages::{
        asked::{A_PLACE, number},
        with_query,
    },
    shell::{Place, Shell},
};

const ENTRIES_PER_PAGE: usize = 50;
/// The page's address.
pub const HREF: &str = "/operator/audit";

/// A line of the log.
pub struct AuditRow {
    pub at: Moment,
    pub actor: String,
    pub actor_href: String,
    pub account: Option<Link>,
    pub action: String,
    pub detail: String,
}

impl AuditRow {
    pub fn of(zone: &Zone, entry: &AuditEntry) -> Self {
        Self {
            at: zone.moment(entry.at),
            actor: entry.actor.clone(),
            actor_href: with_query(HREF, &[("actor", &entry.actor)]),
            account: entry.account_id.map(account_link),
            action: entry.action.clone(),
            detail: entry.detail.clone(),
        }
    }
}

#[derive(Deserialize)]
pub struct AuditForm {
    #[serde(default)]
    account: String,
    #[serde(default)]
    actor: String,
    /// The last entry of the page before.
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "operator/audit.html")]
struct AuditPage {
    shell: Shell,
    account: String,
    actor: String,
    is_filtered: bool,
    rows: Vec<AuditRow>,
    pager: Pager,
    empty: Option<Empty>,
}

/// `GET /operator/audit`
pub async fn list(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Query(form): Query<AuditForm>,
) -> Result<Response, ConsoleError> {
    let (account, actor) = (form.account.trim(), form.actor.trim());
    let account_id =
        number(account, "an account's id, which has digits only; the list of accounts shows it")?;
    let query = AuditQuery {
        account_id,
        actor: Some(actor.to_owned()).filter(|actor| !actor.is_empty()),
        after: number(&form.after, A_PLACE)?,
        limit: ENTRIES_PER_PAGE as i64 + 1,
    };
    let mut entries = state.store.audit_entries(&query).await?;
    let has_more = entries.len() > ENTRIES_PER_PAGE;
    entries.truncate(ENTRIES_PER_PAGE);
    let address = |after: &str| with_query(HREF, &[("account", account), ("actor", actor), ("after", after)]);
    let next = entries.last().filter(|_| has_more).map(|last| address(&last.audit_id.to_string()));
    let is_filtered = account_id.is_some() || query.actor.is_some();
    page(&AuditPage {
        shell: operator.shell(&state, Place::Audit, "Audit log"),
        pager: Pager::newest_first(query.after.map(|_| address("")), next),
        empty: entries.is_empty().then(|| nothing(is_filtered)),
        rows: entries.iter().map(|entry| AuditRow::of(&operator.zone, entry)).collect(),
        account: account.to_owned(),
        actor: actor.to_owned(),
        is_filtered,
    })
}

fn nothing(is_filtered: bool) -> Empty {
    if is_filtered {
        let text =
            "The actor has to be written in full: an e-mail address, an access key's id, a user's name.";
        return Empty::new(Icon::Inbox, "No entry fits the filter", text)
            .with_link(HREF, "Show the whole log");
    }
    let text = "Credits, adjustments, limits, purchases, refunds and changes of settings appear here as they happen.";
    Empty::new(Icon::Inbox, "Nothing has been done yet", text)
}
