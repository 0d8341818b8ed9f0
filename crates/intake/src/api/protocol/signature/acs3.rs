//! ACS3-HMAC-SHA256: the signature of the current SDKs.
//!
//! The request says in `SignedHeaders` what it signed, and the SDKs differ in that, so the list is followed, not
//! prescribed; but six headers must be in it, or someone in between could change what is called, when, or with
//! what content. `x-acs-content-sha256` is compared with the body itself: without this the signature would not
//! cover the parameters in the body. (Dossier 5.2.)

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Claim, Incoming, Scheme, canonical_query, incomplete, read_date, read_nonce};
use crate::api::protocol::error::ApiError;
use crate::api::protocol::parameters::{Origin, shown};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";
const MUST_BE_SIGNED: [&str; 6] =
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"];
const SIGNED_HEADERS_MAX: usize = 100;

/// Takes the claim out of the `Authorization` header and the headers it names.
pub fn read(request: &Incoming<'_>, authorization: &str) -> Result<Claim, ApiError> {
    let (algorithm, fields) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if algorithm != ALGORITHM {
        return Err(incomplete(format!("the algorithm '{}' is not served", shown(algorithm))));
    }
    let field = |name: &str| {
        fields
            .split(',')
            .find_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='))
            .ok_or_else(|| incomplete(format!("the Authorization header has no {name}")))
    };
    let access_key_id = field("Credential")?;
    let signed_headers = field("SignedHeaders")?;
    let signature = hex::decode(field("Signature")?)
        .map_err(|_| incomplete("the signature is not written in hexadecimal digits"))?;
    let names: Vec<&str> = signed_headers.split(';').collect();
    check_signed_headers(&names)?;
    let content_hash = header(request.headers, "x-acs-content-sha256")?;
    check_content(&content_hash, request.body)?;
    let canonical = canonical_request(request, &names, signed_headers, &content_hash)?;
    Ok(Claim {
        access_key_id: access_key_id.to_owned(),
        nonce: read_nonce(&header(request.headers, "x-acs-signature-nonce")?)?,
        dated: read_date("x-acs-date", &header(request.headers, "x-acs-date")?)?,
        scheme: Scheme::Acs3,
        string_to_sign: format!("{ALGORITHM}\n{}", hex::encode(Sha256::digest(canonical.as_bytes()))),
        canonical_request: Some(canonical),
        signature,
    })
}

/// Whether `signature` is the HMAC of `string_to_sign` under `secret`.
pub fn matches(secret: &str, string_to_sign: &str, signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(signature).is_ok()
}

fn check_signed_headers(names: &[&str]) -> Result<(), ApiError> {
    if names.len() > SIGNED_HEADERS_MAX {
        return Err(incomplete(format!("SignedHeaders names more than {SIGNED_HEADERS_MAX} headers")));
    }
    for required in MUST_BE_SIGNED {
        if !names.iter().any(|name| name.eq_ignore_ascii_case(required)) {
            return Err(incomplete(format!("the header {required} must be among SignedHeaders")));
        }
    }
    Ok(())
}

fn check_content(claimed: &str, body: &[u8]) -> Result<(), ApiError> {
    let computed = hex::encode(Sha256::digest(body));
    if bool::from(claimed.to_ascii_lowercase().as_bytes().ct_eq(computed.as_bytes())) {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "SignatureDoesNotMatch",
        format!(
            "The header x-acs-content-sha256 is '{}', but the body that arrived has the SHA-256 {computed}.",
            shown(claimed)
        ),
        "Hash exactly the bytes of the body that are sent.",
    ))
}

fn canonical_request(
    request: &Incoming<'_>,
    names: &[&str],
    signed_headers: &str,
    content_hash: &str,
) -> Result<String, ApiError> {
    let in_query = |name: &str| request.parameters.origin(name) == Some(Origin::Query);
    let query = canonical_query(request.parameters.iter().filter(|(name, _)| in_query(name)));
    let mut canonical = format!("{}\n{}\n{query}\n", request.method, request.path);
    for name in names {
        canonical.push_str(&name.to_ascii_lowercase());
        canonical.push(':');
        canonical.push_str(&header(request.headers, name)?);
        canonical.push('\n');
    }
    canonical.push('\n');
    canonical.push_str(signed_headers);
    canonical.push('\n');
    canonical.push_str(content_hash);
    Ok(canonical)
}

/// A header's value, trimmed; several of one name are joined by commas.
fn header(headers: &HeaderMap, name: &str) -> Result<String, ApiError> {
    let mut joined: Option<String> = None;
    for value in headers.get_all(name.trim()) {
        let text = std::str::from_utf8(value.as_bytes())
            .map_err(|_| incomplete(format!("the header {} is not UTF-8", shown(name))))?
            .trim();
        joined = Some(match joined {
            None => text.to_owned(),
            Some(before) => format!("{before},{text}"),
        });
    }
    joined.ok_or_else(|| incomplete(format!("the header {}, which must be signed, is missing", shown(name))))
}
