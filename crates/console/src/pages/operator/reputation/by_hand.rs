//! R17, R22: what operators do to one account's sending: pause it, release it, set its quota; each with a reason that the
//! audit log and the account's own history keep.
//!
//! Each deed can be taken back by another, and one that is done already is refused and not repeated, so there is
//! no step in between: at three in the morning a pause is one form.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_store::{
    oversight::AuditQuery,
    quota::{Pause, QuotaError, Standing},
};
use serde::Deserialize;

use super::paused_by;
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::{ConsoleError, page, with_cookie},
    format::{self, mails, mails_noun},
    pages::{
        Fact,
        operator::audit::{AuditRow, HREF as AUDIT},
        with_query,
    },
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{Flash, Place, REPUTATION, REPUTATION_BY_HAND, Shell},
};

const TITLE: &str = "Sending by hand";
/// The longest reason, in characters.
const REASON_LENGTH_MAX: usize = 500;
/// The largest quota that can be set: what a level of the ladder may be at most.
const DAILY_MAX: i64 = 1_000_000_000;
const ENTRIES_SHOWN: i64 = 10;

/// A form as it is sent. Text all of it, so that what is wrong with one can be said on the page.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct DeedForm {
    /// `pause`, `release` or `quota`.
    #[serde(default)]
    deed: String,
    /// Mails a day.
    #[serde(default)]
    daily: String,
    #[serde(default)]
    reason: String,
}

#[derive(Template)]
#[template(path = "operator/reputation_by_hand.html")]
struct DeedPage {
    shell: Shell,
    note: Option<Note>,
    action: String,
    reputation_href: String,
    report_href: &'static str,
    facts: Vec<Fact>,
    is_paused: bool,
    daily: String,
    top: String,
    form: DeedForm,
    reason_length_max: usize,
    entries: Vec<AuditRow>,
    audit_href: String,
}

fn only_operators(view: &AccountView) -> Result<(), ConsoleError> {
    if view.viewer.is_operator() { Ok(()) } else { Err(ConsoleError::NotFound { what: "page" }) }
}

/// `GET /accounts/{account_id}/operator/reputation`
pub async fn show(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    deed_page(&state, &view, DeedForm::default(), None).await
}

async fn deed_page(
    state: &ConsoleState,
    view: &AccountView,
    form: DeedForm,
    note: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let missing = ConsoleError::NotFound { what: "account" };
    let standing = state.store.quota_standing(view.id()).await?.ok_or(missing)?;
    let pause = state.store.pause_of(view.id()).await?;
    let query = AuditQuery { account_id: Some(view.id()), actor: None, after: None, limit: ENTRIES_SHOWN };
    let entries = state.store.audit_entries(&query).await?;
    let template = DeedPage {
        shell: view.shell(state, Place::ReputationByHand, TITLE).with_crumbs(vec![
            view.crumb("Overview", ""),
            view.crumb("Reputation", REPUTATION),
            here(TITLE),
        ]),
        note,
        action: view.href(REPUTATION_BY_HAND),
        reputation_href: view.href(REPUTATION),
        report_href: super::report::HREF,
        facts: facts(state, view, &standing, pause.as_ref()),
        is_paused: pause.is_some(),
        daily: standing.daily_mails.to_string(),
        top: mails(DAILY_MAX),
        form,
        reason_length_max: REASON_LENGTH_MAX,
        entries: entries.iter().map(|entry| AuditRow::of(&view.zone, entry)).collect(),
        audit_href: with_query(AUDIT, &[("account", &view.id().to_string())]),
    };
    Ok((status, page(&template)?).into_response())
}

fn facts(state: &ConsoleState, view: &AccountView, standing: &Standing, pause: Option<&Pause>) -> Vec<Fact> {
    let policy = state.store.quota_policy();
    let mut facts = vec![
        Fact::text("Quota", format!("{} a day", mails_noun(standing.daily_mails))),
        Fact::text("Level", format!("{} of {}", standing.level, policy.ladder.top())),
        Fact::text(
            "Own ceiling",
            match standing.ceiling_level {
                Some(level) => format!("level {level}"),
                None => "none".to_owned(),
            },
        ),
        Fact::text(
            "Evidence counts from",
            match standing.evidence_from.0 {
                0 => "the beginning".to_owned(),
                _ => view.zone.moment(standing.evidence_from).full(),
            },
        ),
    ];
    match pause {
        None => facts.push(Fact::text("Sending", "allowed")),
        Some(pause) => {
            let since = view.zone.moment(pause.since);
            facts.push(Fact::text(
                "Sending",
                format!("paused since {}, {}", since.full(), paused_by(pause.by)),
            ));
            facts.push(Fact::text("Why", format::grouped_mails(&pause.reason)));
            facts.push(Fact::text(
                "How it ends",
                crate::pause::what_next(pause, &policy, &view.zone, view.now),
            ));
        }
    }
    facts
}

/// What is to be done.
enum Deed {
    Pause,
    Release,
    Quota(i64),
}

impl DeedForm {
    /// What is asked for with its reason, or what is wrong with it for the reader.
    fn check(&self) -> Result<(Deed, &str), Note> {
        let wrong = |title: &str, text: String| Note::new(Tone::Bad, title, text);
        let deed = match self.deed.as_str() {
            "pause" => Deed::Pause,
            "release" => Deed::Release,
            "quota" => {
                let daily = self.daily.trim().replace(',', "").parse().ok();
                let daily = daily.filter(|daily| (0..=DAILY_MAX).contains(daily)).ok_or_else(|| {
                    let text = format!("Write a whole number from 0 to {}.", mails(DAILY_MAX));
                    wrong("This is no daily quota", text)
                })?;
                Deed::Quota(daily)
            }
            _ => {
                return Err(wrong(
                    "Choose what is to be done",
                    "The forms below are all there is.".to_owned(),
                ));
            }
        };
        let reason = self.reason.trim();
        if reason.is_empty() {
            let text = "It stands in the audit log for good, and the account's owner reads it.";
            return Err(wrong("A reason is needed", text.to_owned()));
        }
        if reason.chars().count() > REASON_LENGTH_MAX || reason.chars().any(char::is_control) {
            let text = format!("It must be one line of at most {REASON_LENGTH_MAX} characters.");
            return Err(wrong("This reason cannot be kept", text));
        }
        Ok((deed, reason))
    }
}

/// `POST /accounts/{account_id}/operator/reputation`
pub async fn carry_out(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<DeedForm>,
) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    let (deed, reason) = match form.check() {
        Ok(asked) => asked,
        Err(note) => return deed_page(&state, &view, form.clone(), Some(note)).await,
    };
    let (store, id, actor) = (&state.store, view.id(), view.actor());
    let done = match deed {
        Deed::Pause => store.pause_sending(id, reason, &actor).await.map(|()| Flash::SendingPaused),
        Deed::Release => store.release_sending(id, reason, &actor).await.map(|()| Flash::SendingReleased),
        Deed::Quota(daily) => store.set_daily_quota(id, daily, reason, &actor).await.map(|_| Flash::QuotaSet),
    };
    match done {
        Ok(flash) => {
            let cookie = state.cookies().set(Cookie::Flash, flash.name(), Some(30));
            Ok(with_cookie(Redirect::to(&view.href(REPUTATION_BY_HAND)).into_response(), cookie))
        }
        Err(QuotaError::Store(error)) => Err(error.into()),
        Err(refused) => {
            let note = Note::new(Tone::Bad, "Nothing was done", format!("It cannot be: {refused}."));
            deed_page(&state, &view, form.clone(), Some(note)).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(deed: &str, daily: &str, reason: &str) -> DeedForm {
        DeedForm { deed: deed.into(), daily: daily.into(), reason: reason.into() }
    }

    #[test]
    fn r22_every_deed_has_a_reason() {
        assert!(matches!(form("pause", "", " spam trap ").check(), Ok((Deed::Pause, "spam trap"))));
        assert!(matches!(form("quota", "12,000", "x").check(), Ok((Deed::Quota(12_000), "x"))));
        let long = "x".repeat(REASON_LENGTH_MAX + 1);
        for (deed, daily, reason) in [
            ("pause", "", ""),
            ("release", "", " "),
            ("release", "", "two\nlines"),
            ("pause", "", long.as_str()),
            ("quota", "-1", "x"),
            ("quota", "1.5", "x"),
            ("quota", "1000000001", "x"),
            ("delete", "", "x"),
        ] {
            let note = form(deed, daily, reason).check().err().expect(deed);
            assert!(!note.title.is_empty() && !note.text.is_empty(), "{deed} {daily}");
        }
    }
}
