//! What a refused API call is told.
//!
//! One type for every refusal: HTTP status, code, a message that names what was wrong with what, and a
//! recommendation that says what to do. Codes are the original service's where it has one (dossier 4.2), so that
//! clients that branch on them go on working. A [`Kind::Business`] refusal of the billing API (2017-12-14) is
//! answered with HTTP 200 and `Success=false`, as its SDK expects; everything else is a 4xx or 5xx.
//!
//! Order of precedence: size, parameters that cannot be read, signature (form, date, key, match, nonce), IP protection,
//! version, action, throttle, then the action's own checks in the order of its parameters.

use std::borrow::Cow;

use axum::http::StatusCode;

/// Whether the gateway or the business behind it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Signature, parameters, limits, faults of our own: always an HTTP error status.
    Protocol,
    /// The request is well-formed but cannot be granted: HTTP 200 with `Success=false` in the billing API.
    Business,
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} ({status}): {message}")]
pub struct ApiError {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub message: String,
    /// What the caller can do about it.
    pub recommend: Cow<'static, str>,
    pub kind: Kind,
    /// When set, the answer carries `x-acs-retry-after`, from which the SDKs make their ThrottlingException.
    pub retry_after_ms: Option<u64>,
}

impl ApiError {
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        recommend: impl Into<Cow<'static, str>>,
    ) -> Self {
        ApiError {
            status,
            code: code.into(),
            message: message.into(),
            recommend: recommend.into(),
            kind: Kind::Protocol,
            retry_after_ms: None,
        }
    }

    /// HTTP 400 with this code.
    pub fn bad_request(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        recommend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, recommend)
    }

    /// HTTP 404 with this code.
    pub fn not_found(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        recommend: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message, recommend)
    }

    /// A well-formed request that the business rules do not grant.
    pub fn business(
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
        recommend: impl Into<Cow<'static, str>>,
    ) -> Self {
        ApiError { kind: Kind::Business, ..Self::bad_request(code, message, recommend) }
    }

    pub fn missing_parameter(name: &str) -> Self {
        Self::bad_request(
            "MissingParameter",
            format!("The parameter {name} is mandatory for this action and was not given."),
            "Send the parameter in the query or in the form body.",
        )
    }

    pub fn invalid_parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_request(
            "InvalidParameter",
            format!("The specified value of parameter {name} is not valid: {why}."),
            "Correct the parameter's value.",
        )
    }

    /// A parameter of the protocol that exists but that this server does not serve yet.
    pub fn unsupported_parameter(name: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_request(
            "UnsupportedOperation",
            format!("The parameter {name} is not supported with this value: {why}."),
            "Leave the parameter out.",
        )
    }

    /// A fault of our own. The cause goes to the log, not to the caller.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "The request processing has failed due to a fault of the server; nothing was changed.",
            "Try again; if it persists, give the RequestId to the operator.",
        )
    }

    /// We cannot serve now but expect to shortly.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
            "Try again after a short pause.",
        )
    }
}
