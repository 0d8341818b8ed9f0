//! One webhook's way: its body within bounds, the adapter's word on it, the booking, the answer.
//!
//! The answer is written for two readers: the provider's machine, which sends an event again for days unless the status
//! is 2xx, and the operator who reads the body in the provider's dashboard. So anything that needs a hand or another
//! try is no 2xx, and everything else is, whether or not it was booked. Neither balance nor names go into an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tracing::Instrument;

use super::Payments;
use super::adapter::{EventContent, Payment, PaymentEvent, PaymentProvider, Refusal, shown};
use super::booking::BookingError;

/// The largest body that is read. Stripe's events have a few KiB.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// How long a webhook may wait for room, and then take to arrive.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// One provider's entrance.
#[derive(Clone)]
pub(super) struct Door {
    pub payments: Arc<Payments>,
    pub provider: Arc<dyn PaymentProvider>,
}

/// How a webhook ended, told in the answer.
struct Answer {
    status: StatusCode,
    /// The error's code, or for status 200 what became of the event: a label of the metrics.
    outcome: &'static str,
    /// Empty when the event was booked.
    message: String,
}

impl Answer {
    fn received(outcome: &'static str, reason: impl Into<String>) -> Self {
        Answer { status: StatusCode::OK, outcome, message: reason.into() }
    }

    fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Answer { status, outcome: code, message: message.into() }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = match (self.status, self.message.as_str()) {
            (StatusCode::OK, "") => json!({ "received": true, "booked": true }),
            (StatusCode::OK, reason) => json!({ "received": true, "booked": false, "reason": reason }),
            (_, message) => json!({ "error": { "code": self.outcome, "message": message } }),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self.status {
            StatusCode::METHOD_NOT_ALLOWED => {
                headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
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

/// Answers `POST /webhooks/{provider}`.
pub(super) async fn receive(State(door): State<Door>, request: Request) -> Response {
    let provider = door.provider.name();
    let span = tracing::info_span!("payment", provider);
    let answer = door.run(request).instrument(span).await;
    door.payments.metrics.answered(provider, answer.outcome);
    answer.into_response()
}

/// Answers any other method.
pub(super) async fn not_post(State(door): State<Door>) -> Response {
    let provider = door.provider.name();
    let answer = Answer::error(
        StatusCode::METHOD_NOT_ALLOWED,
        "MethodNotAllowed",
        format!("This address takes the webhooks of {provider}, which are sent with POST."),
    );
    door.payments.metrics.answered(provider, answer.outcome);
    answer.into_response()
}

impl Door {
    async fn run(&self, request: Request) -> Answer {
        let name = self.provider.name();
        if !self.provider.is_configured() {
            return Answer::error(
                StatusCode::NOT_FOUND,
                "PaymentNotConfigured",
                format!(
                    "Payments by {name} are not received here: no signing secret is configured. The operator sets it \
                     as docs/payment.md says."
                ),
            );
        }
        let (parts, body) = request.into_parts();
        let (body, _room) = match self.read_body(&parts.headers, body).await {
            Ok(read) => read,
            Err(answer) => return answer,
        };
        let event = match self.provider.event(&parts.headers, &body, self.payments.clock.now()) {
            Ok(event) => event,
            Err(error) => {
                tracing::info!(code = error.code(), %error, "webhook refused");
                return Answer::error(StatusCode::BAD_REQUEST, error.code(), error.to_string());
            }
        };
        self.take(event).await
    }

    async fn take(&self, event: PaymentEvent) -> Answer {
        match &event.content {
            EventContent::Paid(payment) => self.book(&event, payment).await,
            EventContent::Unbookable { payment_reference, account_id, refusal } => {
                self.refuse(&event, payment_reference.as_deref(), *account_id, refusal).await
            }
            EventContent::Noted { action, account_id, reason } => {
                let detail = format!("{reason} (event {}, {})", event.event_id, event.kind);
                match self.note(&event.event_id, *account_id, action.as_str(), &detail).await {
                    Ok(()) => Answer::received("noted", reason.clone()),
                    Err(answer) => answer,
                }
            }
            EventContent::Ignored { reason } => {
                tracing::debug!(event_id = event.event_id, kind = event.kind, reason, "event ignored");
                Answer::received("ignored", reason.clone())
            }
        }
    }

    async fn book(&self, event: &PaymentEvent, payment: &Payment) -> Answer {
        let (event_id, kind) = (event.event_id.as_str(), event.kind.as_str());
        let Payment { payment_reference, account_id, amount, .. } = payment;
        let refusal = match self.payments.top_ups.book(self.provider.name(), event_id, payment).await {
            Ok(true) => {
                tracing::info!(event_id, kind, payment_reference, account_id, %amount, "payment booked");
                return Answer::received("booked", "");
            }
            Ok(false) => {
                tracing::info!(event_id, kind, payment_reference, account_id, "payment was booked before");
                return Answer::received("repeated", "This payment was booked before.");
            }
            Err(BookingError::Store(error)) => {
                tracing::error!(
                    event_id,
                    payment_reference,
                    account_id,
                    error,
                    "payment not booked: store failed"
                );
                return store_unavailable();
            }
            Err(BookingError::NoAccount(account_id)) => Refusal::AccountUnknown(account_id),
            Err(BookingError::TooLarge) => Refusal::AmountTooLarge { stated: amount.to_string() },
            Err(BookingError::Refused(sentence)) => Refusal::ByStore(sentence),
        };
        // An account that does not exist cannot have entries of its own.
        let owner = (!matches!(refusal, Refusal::AccountUnknown(_))).then_some(*account_id);
        self.refuse(event, Some(payment_reference), owner, &refusal).await
    }

    /// Money was paid and is not booked: said to the provider, the log and the operator.
    async fn refuse(
        &self,
        event: &PaymentEvent,
        payment_reference: Option<&str>,
        account_id: Option<i64>,
        refusal: &Refusal,
    ) -> Answer {
        let PaymentEvent { event_id, kind, .. } = event;
        let payment =
            payment_reference.map_or("A payment without an id".to_owned(), |id| format!("Payment {id}"));
        let message = format!("{payment} of event {event_id} ({kind}) was not booked: {refusal}.");
        tracing::error!(event_id, kind, payment_reference, account_id, code = refusal.code(), "{message}");
        match self.note(event_id, account_id, "payment.refused", &message).await {
            Ok(()) => Answer::error(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), message),
            Err(answer) => answer,
        }
    }

    /// Tells the operator, once for each event.
    async fn note(
        &self,
        event_id: &str,
        account_id: Option<i64>,
        action: &str,
        detail: &str,
    ) -> Result<(), Answer> {
        if self.payments.noted.contains(event_id) {
            return Ok(());
        }
        tracing::warn!(event_id, account_id, action, "{detail}");
        match self.payments.top_ups.note(self.provider.name(), account_id, action, detail).await {
            Ok(()) => {
                self.payments.noted.remember(event_id);
                Ok(())
            }
            Err(error) => {
                tracing::error!(event_id, %error, "the audit log could not be written");
                Err(store_unavailable())
            }
        }
    }

    async fn read_body(
        &self,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Answer> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        if length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64)
        {
            return Err(too_large());
        }
        let timeout = self.payments.body_timeout;
        let entering = self.payments.in_flight.clone().acquire_owned();
        let Ok(Ok(room)) = tokio::time::timeout(timeout, entering).await else {
            return Err(Answer::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "TooManyEvents",
                "Too many events are being received at once. Send it again later.",
            ));
        };
        match tokio::time::timeout(timeout, read_to_end(body)).await {
            Ok(read) => Ok((read?, room)),
            Err(_) => Err(Answer::error(
                StatusCode::REQUEST_TIMEOUT,
                "RequestTimeout",
                format!("The event did not arrive within {} seconds. Send it again.", timeout.as_secs_f32()),
            )),
        }
    }
}

async fn read_to_end(mut body: Body) -> Result<Bytes, Answer> {
    let mut taken = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Answer::error(
                StatusCode::BAD_REQUEST,
                "BodyIncomplete",
                format!(
                    "The event could not be read to its end ({}). Send it again.",
                    shown(&error.to_string())
                ),
            )
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if taken.len() + data.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        taken.extend_from_slice(&data);
    }
    Ok(taken.into())
}

fn too_large() -> Answer {
    Answer::error(
        StatusCode::PAYLOAD_TOO_LARGE,
        "RequestTooLarge",
        format!(
            "The event has more than {BODY_BYTES_MAX} bytes. Send single events in the provider's own format."
        ),
    )
}

fn store_unavailable() -> Answer {
    Answer::error(
        StatusCode::SERVICE_UNAVAILABLE,
        "StoreUnavailable",
        "The event could not be stored now. Send it again later: it counts once, however often it is sent.",
    )
}
