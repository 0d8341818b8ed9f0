//! Who is calling: the two request signatures of the original API.
//!
//! [`read`] finds which of the two a request uses and takes out what it claims: key, date, nonce, signature. The
//! caller then looks the key up and asks [`Claim::verify`]. Every refusal says which part failed: form, date,
//! key, match (with the StringToSign this server computed, and for ACS3 the canonical request whose hash is in it, so
//! that a client's author can lay the two side by side) or a nonce already used.

pub mod acs3;
pub mod rpc;

#[cfg(test)]
mod tests;

use axum::http::{HeaderMap, StatusCode, header};
use indicia_domain::time::UnixMicros;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::ApiError;
use super::parameters::{Parameters, parse_utc_instant, shown};
use super::replay::TOLERANCE_MICROS;

/// RFC 3986 2.3: what percent-encoding leaves alone.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// How much of a StringToSign is shown: signature 1.0 has the whole body in it.
const SHOWN_CHARS_MAX: usize = 4_000;

/// A request as it came, before anything of it is believed.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub parameters: &'a Parameters,
}

/// What a signature claims, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub access_key_id: String,
    pub nonce: String,
    pub dated: UnixMicros,
    scheme: Scheme,
    string_to_sign: String,
    /// What `string_to_sign` has only the hash of.
    canonical_request: Option<String>,
    signature: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Acs3,
    Rpc,
}

impl Claim {
    /// Refuses a request whose date is more than 15 minutes from `now`.
    pub fn check_date(&self, now: UnixMicros) -> Result<(), ApiError> {
        if (now.0 - self.dated.0).abs() <= TOLERANCE_MICROS {
            return Ok(());
        }
        Err(ApiError::bad_request(
            "InvalidTimeStamp.Expired",
            format!(
                "Specified time stamp or date value is expired: the request is dated {}, the server's time is {}, and at most 15 minutes may lie between them.",
                self.dated.rfc3339_seconds(),
                now.rfc3339_seconds()
            ),
            "Set the client's clock (UTC) and sign the request anew.",
        ))
    }

    /// Compares the signature, in constant time, with the one that `secret` gives.
    pub fn verify(&self, secret: &str) -> Result<(), ApiError> {
        let matches = match self.scheme {
            Scheme::Acs3 => acs3::matches(secret, &self.string_to_sign, &self.signature),
            Scheme::Rpc => rpc::matches(secret, &self.string_to_sign, &self.signature),
        };
        if matches {
            return Ok(());
        }
        let mut message = format!(
            "Specified signature is not matched with our calculation. server string to sign is:{}",
            shown_without_passwords(&self.string_to_sign)
        );
        if let Some(canonical) = &self.canonical_request {
            message.push_str("\nserver canonical request is:");
            message.push_str(&shown_without_passwords(canonical));
        }
        Err(ApiError::bad_request(
            "SignatureDoesNotMatch",
            message,
            "Check the AccessKey secret and compare what the client signed with what the message shows.",
        ))
    }
}

/// The beginning of what was signed, the value of a parameter Password replaced by `***`: clients write what they are
/// told into their logs.
fn shown_without_passwords(signed: &str) -> String {
    // In a canonical query, and in one that is encoded once more (signature 1.0).
    const FORMS: [(&str, &str); 2] = [("Password=", "&"), ("Password%3D", "%26")];
    let mut shown: String = signed.chars().take(SHOWN_CHARS_MAX).collect();
    for (name, end) in FORMS {
        if let Some(at) = shown.find(name) {
            let start = at + name.len();
            let rest = &shown[start..];
            let length = [rest.find(end), rest.find('\n')].into_iter().flatten().min().unwrap_or(rest.len());
            shown.replace_range(start..start + length, "***");
        }
    }
    shown
}

/// Takes the claim out of a request.
pub fn read(request: &Incoming<'_>) -> Result<Claim, ApiError> {
    if let Some(value) = request.headers.get(header::AUTHORIZATION) {
        let authorization = value
            .to_str()
            .map_err(|_| incomplete("the Authorization header has characters outside ASCII"))?;
        return acs3::read(request, authorization);
    }
    if request.parameters.raw("Signature").is_some() {
        return rpc::read(request);
    }
    Err(incomplete("the request has neither an Authorization header nor a parameter Signature"))
}

/// No access key has this id (or it has been switched off).
pub fn unknown_access_key(access_key_id: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "InvalidAccessKeyId.NotFound",
        format!("Specified access key is not found: '{}'.", shown(access_key_id)),
        "Use an AccessKey id of this server; an account's keys are shown when it is created.",
    )
}

/// The nonce has been seen.
pub fn replayed_nonce() -> ApiError {
    ApiError::bad_request(
        "SignatureNonceUsed",
        "Specified signature nonce was used already.",
        "Sign each request, and each retry, with a new nonce.",
    )
}

fn incomplete(why: impl std::fmt::Display) -> ApiError {
    ApiError::bad_request(
        "IncompleteSignature",
        format!("The request signature does not conform to the standards: {why}."),
        "Sign with ACS3-HMAC-SHA256 or with signature version 1.0 (HMAC-SHA1).",
    )
}

/// Percent-encodes as both signatures demand.
fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// `enc(name)=enc(value)` joined by `&`, in the order given.
fn canonical_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut canonical = String::new();
    for (name, value) in pairs {
        if !canonical.is_empty() {
            canonical.push('&');
        }
        canonical.extend(utf8_percent_encode(name, RESERVED));
        canonical.push('=');
        canonical.extend(utf8_percent_encode(value, RESERVED));
    }
    canonical
}

fn read_date(what: &str, text: &str) -> Result<UnixMicros, ApiError> {
    parse_utc_instant(text).map(|at: Timestamp| UnixMicros::from_timestamp(at)).ok_or_else(|| {
        ApiError::bad_request(
            "InvalidTimeStamp.Format",
            format!("Specified time stamp or date value is not well formatted: {what} is '{}'.", shown(text)),
            "Write UTC as yyyy-MM-ddTHH:mm:ssZ.",
        )
    })
}

fn read_nonce(nonce: &str) -> Result<String, ApiError> {
    match nonce.len() {
        1..=256 => Ok(nonce.to_owned()),
        0 => Err(incomplete("the signature nonce is empty")),
        length => Err(incomplete(format!("the signature nonce has {length} bytes, more than 256"))),
    }
}
