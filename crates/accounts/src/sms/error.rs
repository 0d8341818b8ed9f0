//! What can go wrong with a text, and whether trying again can help.
//!
//! Permanent is what lies in the text or the number: the same text will be refused tomorrow. Everything else is
//! transient, a wrong password included: it is the operator's to mend, and the texts wait for that. A message centre's
//! answer that we do not understand is transient too, for a notice must not be lost to a code unknown to us.

use std::net::SocketAddr;
use std::time::Duration;

use super::text::TextError;

/// Why a text was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// The next attempt may succeed.
    #[error("text {reference} to {to} is not handed over yet: {cause}")]
    Transient { reference: i64, to: String, cause: SmsFailure },
    /// No attempt will succeed.
    #[error("text {reference} to {to} can not be sent: {cause}")]
    Permanent { reference: i64, to: String, cause: SmsFailure },
}

impl SmsError {
    pub fn is_transient(&self) -> bool {
        matches!(self, SmsError::Transient { .. })
    }

    pub fn cause(&self) -> &SmsFailure {
        match self {
            SmsError::Transient { cause, .. } | SmsError::Permanent { cause, .. } => cause,
        }
    }
}

/// What happened, to what, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum SmsFailure {
    #[error("{0}")]
    Text(#[from] TextError),
    #[error(
        "no connection to the message centre {address} ({source}); check [sms.smpp] address and the network"
    )]
    Connect { address: SocketAddr, source: std::io::Error },
    #[error(
        "the message centre {address} did not accept a connection within {timeout:?}; check that it is up"
    )]
    ConnectTimeout { address: SocketAddr, timeout: Duration },
    #[error(
        "the message centre {address} refused the bind with {status}; check system_id, password, system_type and bind"
    )]
    Bind { address: SocketAddr, status: String },
    #[error("the last bind at the message centre {address} failed ({last}); the next is tried in {pause:?}")]
    Paused { address: SocketAddr, last: String, pause: Duration },
    #[error("the message centre refused part {part} of {parts} with {status}")]
    Refused { status: String, part: usize, parts: usize },
    #[error(
        "the message centre refused part {part} of {parts} with {status}, which speaks of our settings; check [sms.smpp]"
    )]
    RefusedSettings { status: String, part: usize, parts: usize },
    #[error(
        "the message centre did not answer part {part} of {parts} within {timeout:?}; it may have taken it"
    )]
    NoAnswer { part: usize, parts: usize, timeout: Duration },
    #[error(
        "the session with the message centre broke before part {part} of {parts} was answered; it may have taken it"
    )]
    SessionLost { part: usize, parts: usize },
    #[error("the gateway is closed; the service is stopping")]
    Closed,
    #[error("the HTTP gateway {host} did not answer ({detail}); check [sms.http] url and the network")]
    Http { host: String, detail: String },
    #[error("the HTTP gateway {host} answered {status}")]
    HttpStatus { host: String, status: u16 },
    #[error("the HTTP gateway {host} answered {status}, which speaks of our settings; check [sms.http]")]
    HttpSettings { host: String, status: u16 },
}

/// A gateway's settings that can not work.
#[derive(Debug, thiserror::Error)]
pub enum SmsConfigError {
    #[error(
        "{key} may have 1 to {octets_max} octets of ASCII without control characters; shorten or correct it"
    )]
    Field { key: &'static str, octets_max: usize },
    #[error("{key} must be {expected}")]
    Value { key: &'static str, expected: &'static str },
    #[error("sms.http.url is not an http or https URL with a host: {detail}")]
    Url { detail: String },
    #[error("sms.http.ca_certificate_pem holds no certificate in PEM form: {detail}")]
    Certificate { detail: String },
    #[error("the HTTPS client can not be set up ({detail}); check that the system has CA certificates")]
    Client { detail: String },
}
