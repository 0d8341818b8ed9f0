//! `POST /operator/spam-reports`: a list of reports, answered one by one.
//!
//! A report names its mail by our signed token (the header field of the copy, or its return path), which proves that
//! it is about a mail of ours. Where a report lost that, the operator may name EnvId and recipient himself, with a note
//! that says how he knows; like every report that an operator hands in and that counts, it is in the audit log under
//! his name. A mail counts once, so a list can be sent again as a whole after an error.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indicia_store::StoreError;
use indicia_store::audit::{Actor, ActorKind};
use indicia_store::report::{self, OperatorReport, ReportSource, Reported, SPAM_TYPES, SpamReport};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{BODY_TIMEOUT, Office, OperatorState};

/// The largest list that is read.
pub(super) const BODY_BYTES_MAX: usize = 1_024 * 1_024;
/// Reports in one list.
pub(super) const REPORTS_MAX: usize = 1_000;
const NOTE_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    reports: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Item {
    /// The value of the header field, or the return path.
    token: Option<String>,
    env_id: Option<String>,
    recipient: Option<String>,
    #[serde(rename = "type")]
    feedback_type: Option<String>,
    #[serde(default)]
    note: String,
}

/// What came of one report.
enum Outcome {
    Done(Reported),
    /// The token is not one of ours.
    NotOurs,
    /// Not understood, and why.
    Malformed(String),
}

/// A request that is refused as a whole.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

pub(super) async fn receive(State(state): State<OperatorState>, request: Request) -> Response {
    let office = &state.inner;
    match office.run(request).await {
        Ok(results) => Json(json!({ "results": results })).into_response(),
        Err(refusal) => {
            office.metrics.count(refusal.code);
            refusal.into_response()
        }
    }
}

impl Office {
    async fn run(&self, request: Request) -> Result<Vec<Value>, Refusal> {
        let (parts, body) = request.into_parts();
        let actor = self.authenticated(&parts.headers).await?;
        let entering = tokio::time::timeout(BODY_TIMEOUT, self.in_flight.acquire()).await;
        let Ok(Ok(_room)) = entering else {
            let message = "Too many lists are being received at once; send it again later.";
            return Err(refusal(StatusCode::SERVICE_UNAVAILABLE, "TooManyRequests", message));
        };
        let list = list_of(&octets_of(body).await?)?;
        let mut results = Vec::with_capacity(list.len());
        for item in list {
            results.push(self.enter(&item, &actor).await.map_err(|error| {
                tracing::error!(%error, operator = actor.name, "an operator's spam report could not be recorded");
                let message = "The store failed. Send the whole list again later: each mail counts once.";
                refusal(StatusCode::SERVICE_UNAVAILABLE, "StoreUnavailable", message)
            })?);
        }
        Ok(results)
    }

    async fn authenticated(&self, headers: &HeaderMap) -> Result<Actor, Refusal> {
        let value =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        };
        let operator = self.tokens.operator(&self.store, token).await.map_err(|error| {
            tracing::error!(%error, "an operator's token could not be looked up");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "StoreUnavailable", "The store failed; try again later.")
        })?;
        let operator = operator.ok_or_else(|| {
            let message = "Send an operator's token as `Authorization: Bearer …`; `indicia operator token` prints \
                           it, and a new console password makes a new one.";
            refusal(StatusCode::UNAUTHORIZED, "Unauthorized", message)
        })?;
        Ok(Actor::new(ActorKind::Operator, operator.email))
    }

    async fn enter(&self, item: &Item, actor: &Actor) -> Result<Value, StoreError> {
        let outcome = match checked(item) {
            Ok(()) => self.report(item, actor).await?,
            Err(reason) => Outcome::Malformed(reason),
        };
        let (name, message) = match outcome {
            Outcome::Done(Reported::Counted) => ("counted", None),
            Outcome::Done(Reported::Repeated) => ("repeated", None),
            Outcome::Done(Reported::NotFound) => {
                ("not_found", Some("There is no such mail to that recipient.".to_owned()))
            }
            Outcome::NotOurs => {
                ("not_ours", Some("The token was not made by this installation, or was changed.".to_owned()))
            }
            Outcome::Malformed(reason) => ("malformed", Some(reason)),
        };
        self.metrics.count(name);
        Ok(match message {
            None => json!({ "outcome": name }),
            Some(message) => json!({ "outcome": name, "message": message }),
        })
    }

    async fn report(&self, item: &Item, actor: &Actor) -> Result<Outcome, StoreError> {
        let feedback_type = item.feedback_type.as_deref().unwrap_or(SPAM_TYPES[0]).to_ascii_lowercase();
        let note = item.note.trim().to_owned();
        let Some(token) = &item.token else {
            let message_id = item.env_id.as_deref().and_then(|id| id.parse().ok()).unwrap_or(0);
            let address = item.recipient.clone().unwrap_or_default();
            let report = OperatorReport { message_id, address, feedback_type, note };
            return Ok(Outcome::Done(self.store.report_by_name(&report, actor).await?));
        };
        let Some(key) = (self.return_paths)(token.trim().trim_matches(['<', '>'])) else {
            return Ok(Outcome::NotOurs);
        };
        let source = ReportSource::Operator;
        let report = SpamReport { key, source, feedback_type, reporter: actor.to_string(), detail: note };
        Ok(Outcome::Done(self.store.record_report_by(&report, actor).await?))
    }
}

/// Whether it says which mail, what kind, and, where it must, why.
fn checked(item: &Item) -> Result<(), String> {
    if let Some(kind) = &item.feedback_type
        && !report::is_spam(kind)
    {
        return Err(format!("type must be one of {}; other feedback does not count.", SPAM_TYPES.join(", ")));
    }
    if item.note.chars().count() > NOTE_CHARS_MAX || item.note.chars().any(char::is_control) {
        return Err(format!("note must be one line of at most {NOTE_CHARS_MAX} characters."));
    }
    match (&item.token, &item.env_id, &item.recipient) {
        (Some(_), None, None) => Ok(()),
        (None, Some(env_id), Some(_)) => {
            if env_id.parse::<i64>().is_err() {
                return Err(
                    "env_id must be the number that the API answered as EnvId, as a string.".to_owned()
                );
            }
            if item.note.trim().is_empty() {
                return Err(
                    "Without our token, note must say how the report came and why it is believed.".to_owned()
                );
            }
            Ok(())
        }
        _ => Err("Name the mail by token, or by env_id and recipient.".to_owned()),
    }
}

fn list_of(octets: &[u8]) -> Result<Vec<Item>, Refusal> {
    let list: List = serde_json::from_slice(octets).map_err(|error| {
        let message =
            format!("The body must be JSON like {{\"reports\": [{{\"token\": \"b-…\"}}]}}: {error}.");
        refusal(StatusCode::BAD_REQUEST, "Malformed", message)
    })?;
    if list.reports.len() > REPORTS_MAX {
        let message = format!("At most {REPORTS_MAX} reports at once; send them in several lists.");
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message));
    }
    Ok(list.reports)
}

async fn octets_of(body: Body) -> Result<Bytes, Refusal> {
    let reading = tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_BYTES_MAX)).await;
    let Ok(read) = reading else {
        let message = "The list did not arrive in time; send it again.";
        return Err(refusal(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message));
    };
    read.map_err(|_| {
        let message =
            format!("The list could not be read to its end, or has more than {BODY_BYTES_MAX} bytes.");
        refusal(StatusCode::PAYLOAD_TOO_LARGE, "TooLarge", message)
    })
}

fn refusal(status: StatusCode, code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { status, code, message: message.into() }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            // Not all of the body need have been read, so what comes next on this connection is no request.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
