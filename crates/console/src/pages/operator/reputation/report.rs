//! A spam report that came another way than over a feedback loop: entered by an operator, for a mail that he names by
//! its EnvId and recipient. It counts as any other, once for a mail (R26), and stands in the audit log with its reason.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_store::{
    audit::{Actor, ActorKind},
    report::{OperatorReport, Reported, SPAM_TYPES},
};
use serde::Deserialize;

use crate::{
    ConsoleState,
    components::Link,
    components::{Note, Tone},
    error::{ConsoleError, page, with_cookie},
    pages::{SelectOption, operator::OperatorView, with_query},
    session::{cookie::Cookie, viewer::here},
    shell::{Flash, Place, Shell, account_href},
};

/// The form's address.
pub const HREF: &str = "/operator/reputation/report";
const TITLE: &str = "Enter a spam report";
const NOTE_LENGTH_MAX: usize = 500;
/// The longest address that SMTP takes (RFC 5321 4.5.3.1.3).
const ADDRESS_LENGTH_MAX: usize = 254;

const TYPES: &[(&str, &str)] =
    &[("abuse", "Unwanted mail"), ("fraud", "Fraud or phishing"), ("virus", "Malware")];

/// The form's address for one message.
pub fn href_of(message_id: i64) -> String {
    with_query(HREF, &[("message", &message_id.to_string())])
}

/// The form, as an address or as it is sent. Text all of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ReportForm {
    /// EnvId.
    #[serde(default)]
    message: String,
    #[serde(default)]
    recipient: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    reason: String,
}

#[derive(Template)]
#[template(path = "operator/report.html")]
struct ReportPage {
    shell: Shell,
    note: Option<Note>,
    action: &'static str,
    back_href: &'static str,
    form: ReportForm,
    kinds: Vec<SelectOption>,
    reason_length_max: usize,
}

/// `GET /operator/reputation/report`
pub async fn show(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Query(form): Query<ReportForm>,
) -> Result<Response, ConsoleError> {
    report_page(&state, &operator, form, None)
}

fn report_page(
    state: &ConsoleState,
    operator: &OperatorView,
    form: ReportForm,
    note: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let template = ReportPage {
        shell: operator
            .shell(state, Place::Reputations, TITLE)
            .with_crumbs(vec![Link::new(super::HREF, "Reputation"), here(TITLE)]),
        note,
        action: HREF,
        back_href: super::HREF,
        kinds: SelectOption::list(TYPES, &form.kind),
        reason_length_max: NOTE_LENGTH_MAX,
        form,
    };
    Ok((status, page(&template)?).into_response())
}

impl ReportForm {
    fn check(&self) -> Result<OperatorReport, Note> {
        let wrong = |title: &str, text: &str| Note::new(Tone::Bad, title, text);
        let message_id = self.message.trim().parse().ok().filter(|id: &i64| *id > 0).ok_or_else(|| {
            wrong(
                "This is no EnvId",
                "It is the number under which the mail log and the API know the message.",
            )
        })?;
        let address = self.recipient.trim();
        if !address.contains('@') || address.chars().count() > ADDRESS_LENGTH_MAX {
            return Err(wrong(
                "This is no recipient",
                "Write the address of the recipient whose mail was reported.",
            ));
        }
        if !SPAM_TYPES.contains(&self.kind.as_str()) {
            return Err(wrong("Choose what was reported", "Only what is unwanted or worse counts."));
        }
        let reason = self.reason.trim();
        let fits = reason.chars().count() <= NOTE_LENGTH_MAX && !reason.chars().any(char::is_control);
        if reason.is_empty() || !fits {
            let text = "Say on one line how it came and why it is believed: it is evidence against a sender, and stands in the \
                        audit log.";
            return Err(wrong("A reason is needed", text));
        }
        Ok(OperatorReport {
            message_id,
            address: address.to_owned(),
            feedback_type: self.kind.clone(),
            note: reason.to_owned(),
        })
    }
}

/// `POST /operator/reputation/report`
pub async fn enter(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Form(form): Form<ReportForm>,
) -> Result<Response, ConsoleError> {
    let report = match form.check() {
        Ok(report) => report,
        Err(note) => return report_page(&state, &operator, form, Some(note)),
    };
    let actor = Actor { kind: ActorKind::Operator, name: operator.viewer.email.clone() };
    let flash = match state.store.report_by_name(&report, &actor).await? {
        Reported::Counted => Flash::ReportCounted,
        Reported::Repeated => Flash::ReportRepeated,
        Reported::NotFound => {
            let text = "No message of this EnvId went to this recipient. Nothing was done.";
            let note = Note::new(Tone::Bad, "There is no such mail", text);
            return report_page(&state, &operator, form, Some(note));
        }
    };
    let account_id = state.store.account_of_message(report.message_id).await?;
    let back = account_id.map_or_else(
        || super::HREF.to_owned(),
        |account_id| account_href(account_id, &format!("/mails/{}", report.message_id)),
    );
    let cookie = state.cookies().set(Cookie::Flash, flash.name(), Some(30));
    Ok(with_cookie(Redirect::to(&back).into_response(), cookie))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_its_mail_and_says_why() {
        let form = |message: &str, recipient: &str, kind: &str, reason: &str| ReportForm {
            message: message.into(),
            recipient: recipient.into(),
            kind: kind.into(),
            reason: reason.into(),
        };
        let report = form(" 71 ", " bob@example.net ", "fraud", " by telephone ").check().expect("a report");
        assert_eq!((report.message_id, report.address.as_str()), (71, "bob@example.net"));
        assert_eq!((report.feedback_type.as_str(), report.note.as_str()), ("fraud", "by telephone"));
        for (message, recipient, kind, reason) in [
            ("", "bob@example.net", "abuse", "x"),
            ("0", "bob@example.net", "abuse", "x"),
            ("71", "bob", "abuse", "x"),
            ("71", "bob@example.net", "not-spam", "x"),
            ("71", "bob@example.net", "abuse", ""),
            ("71", "bob@example.net", "abuse", "two\nlines"),
        ] {
            assert!(form(message, recipient, kind, reason).check().is_err(), "{message} {recipient} {kind}");
        }
    }
}
