//! One request's way through the API.
//!
//! Body (bounded in size, time and in what all bodies together may take), parameters, signature, date, nonce, IP
//! protection, version, action, throttle, the action itself, the answer. Whatever goes wrong on the way is answered in the protocol's
//! own form, in the format that the caller asked for as far as it could be read.

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use indicia_store::admission::Nonce;
use tracing::Instrument;

use super::actions::{self, Version};
use super::body::read_body;
use super::call::Call;
use super::peer;
use super::protocol::answer::{Answerer, Envelope, Format, new_request_id};
use super::protocol::parameters::shown;
use super::protocol::replay::Verdict;
use super::protocol::signature::{self, Incoming};
use super::protocol::throttle::too_often;
use super::protocol::{ApiError, Parameters};
use super::{Api, ApiState};
use crate::message::is_idempotency_key;

const IDEMPOTENCY_HEADER: &str = "x-indicia-idempotency-key";

/// Answers any request to `/`.
pub async fn serve(State(state): State<ApiState>, request: Request) -> Response<Body> {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let mut answerer = Answerer {
        format: Format::Json,
        envelope: Envelope::DirectMail,
        action: header_text(&parts.headers, "x-acs-action").unwrap_or_default().to_owned(),
        request_id: new_request_id(),
        host_id: host_id(&parts.headers),
    };
    let span = tracing::info_span!("api", request_id = %answerer.request_id);
    let outcome = run(&state.inner, &parts, body, &mut answerer).instrument(span.clone()).await;
    let code = outcome.as_ref().err().map_or("OK", |error| error.code.as_ref()).to_owned();
    let action = if actions::is_known(&answerer.action) { answerer.action.as_str() } else { "unknown" };
    let seconds = started.elapsed().as_secs_f64();
    state.inner.metrics.finished(action, &code, seconds);
    span.in_scope(|| tracing::debug!(action, code, seconds, "API call"));
    let error = match outcome {
        Ok(fields) => return answerer.success(fields),
        Err(error) => error,
    };
    let mut response = answerer.failure(&error);
    if error.status == StatusCode::PAYLOAD_TOO_LARGE {
        // Not all of the body need have been read, so what comes next on this connection is no request.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers a path other than `/`.
pub async fn no_such_path(request: Request) -> Response<Body> {
    let answerer = Answerer {
        format: Format::Json,
        envelope: Envelope::DirectMail,
        action: String::new(),
        request_id: new_request_id(),
        host_id: host_id(request.headers()),
    };
    answerer.failure(&ApiError::not_found(
        "InvalidPath.NotFound",
        format!("There is nothing at '{}'.", shown(request.uri().path())),
        "Send API calls to the path '/'.",
    ))
}

async fn run(
    api: &Api,
    parts: &Parts,
    body: Body,
    answerer: &mut Answerer,
) -> Result<serde_json::Value, ApiError> {
    if !matches!(parts.method, Method::GET | Method::POST) {
        return Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "UnsupportedHTTPMethod",
            format!("The method {} is not supported.", parts.method),
            "Use GET or POST.",
        ));
    }
    let (body, _room) = read_body(api, &parts.headers, body).await?;
    let parameters = Parameters::parse(parts.uri.query().unwrap_or(""), form_of(&parts.headers, &body)?)?;
    if parameters.text("Format").is_some_and(|format| format.eq_ignore_ascii_case("xml")) {
        answerer.format = Format::Xml;
    }
    answerer.action =
        header_or_parameter(&parts.headers, &parameters, "x-acs-action", "Action")?.unwrap_or_default();
    let version =
        header_or_parameter(&parts.headers, &parameters, "x-acs-version", "Version")?.unwrap_or_default();
    if version == Version::Billing.as_str() {
        answerer.envelope = Envelope::Billing;
    }
    let incoming = Incoming {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        headers: &parts.headers,
        body: &body,
        parameters: &parameters,
    };
    let (account_id, nonce) = authenticate(api, &incoming).await?;
    peer::check(api, account_id, parts).await?;
    let version = Version::of(&version).ok_or_else(|| no_such_version(&version))?;
    let action = actions::find(version, &answerer.action)?;
    api.throttle.check(account_id, &answerer.action)?;
    let call = Call {
        api,
        account_id,
        parameters: &parameters,
        now: api.store.now(),
        nonce: &nonce,
        idempotency_key: idempotency_key(&parts.headers)?,
    };
    actions::run(action, &call).await
}

/// Finds out who is calling: signature, date, nonce.
async fn authenticate(api: &Api, incoming: &Incoming<'_>) -> Result<(i64, Nonce), ApiError> {
    let claim = signature::read(incoming)?;
    let now = api.settings.request_clock.as_ref().map_or_else(|| api.store.now(), |clock| clock.now());
    claim.check_date(now)?;
    let key = match api.store.access_key(&claim.access_key_id).await? {
        Some(key) if !key.disabled => key,
        _ => return Err(signature::unknown_access_key(&claim.access_key_id)),
    };
    claim.verify(&key.secret)?;
    match api.replay.admit(&claim.access_key_id, &claim.nonce, claim.dated, now) {
        Verdict::Fresh => {}
        Verdict::Replayed => return Err(signature::replayed_nonce()),
        Verdict::Full { retry_after_ms } => return Err(too_often("the API", retry_after_ms)),
    }
    Ok((key.account_id, Nonce { access_key_id: claim.access_key_id, nonce: claim.nonce }))
}

/// The body, if it is a form.
fn form_of<'a>(headers: &HeaderMap, body: &'a Bytes) -> Result<&'a [u8], ApiError> {
    let kind = header_text(headers, "content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if body.is_empty() || kind.is_empty() || kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(body);
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UnsupportedContentType",
        format!("A body of type '{}' is not supported.", shown(kind)),
        "Send parameters as application/x-www-form-urlencoded.",
    ))
}

/// What header and parameter say; they may not differ, since only one of them might be signed.
fn header_or_parameter(
    headers: &HeaderMap,
    parameters: &Parameters,
    header: &str,
    parameter: &str,
) -> Result<Option<String>, ApiError> {
    match (header_text(headers, header), parameters.text(parameter)) {
        (Some(header), Some(value)) if header != value => Err(ApiError::invalid_parameter(
            parameter,
            format!("the header says '{}', the parameter '{}'", shown(header), shown(value)),
        )),
        (Some(text), _) | (None, Some(text)) => Ok(Some(text.to_owned())),
        (None, None) => Ok(None),
    }
}

fn no_such_version(version: &str) -> ApiError {
    if version.is_empty() {
        return ApiError::missing_parameter("Version");
    }
    ApiError::bad_request(
        "NoSuchVersion",
        format!("The specified version '{}' does not exist.", shown(version)),
        "Use 2015-11-23 (DirectMail) or 2017-12-14 (BSS OpenAPI).",
    )
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    match headers
        .get(IDEMPOTENCY_HEADER)
        .map(|value| value.to_str().ok().filter(|key| is_idempotency_key(key)))
    {
        None => Ok(None),
        Some(Some(key)) => Ok(Some(key)),
        Some(None) => Err(ApiError::bad_request(
            "InvalidIdempotencyKey.Malformed",
            format!("The header {IDEMPOTENCY_HEADER} must have 1 to 256 printable ASCII characters."),
            "Use for example a UUID that is kept for the retries of one request.",
        )),
    }
}

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|text| !text.is_empty())
}

/// The address that the caller spoke to. Some SDKs send their endpoint with its scheme.
fn host_id(headers: &HeaderMap) -> String {
    let host = header_text(headers, "host").unwrap_or_default();
    host.rsplit("//").next().unwrap_or_default().to_owned()
}
