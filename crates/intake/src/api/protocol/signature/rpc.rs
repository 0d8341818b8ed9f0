//! RPC signature 1.0: HMAC-SHA1 over all parameters, those in the form body included (dossier 5.3).
//!
//! HMAC-SHA1 is not broken as a message authentication code, and the older SDKs know nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{Claim, Incoming, Scheme, canonical_query, encode, incomplete, read_date, read_nonce};
use crate::api::protocol::error::ApiError;
use crate::api::protocol::parameters::{Parameters, shown};

/// Takes the claim out of the parameters.
pub fn read(request: &Incoming<'_>) -> Result<Claim, ApiError> {
    let parameters = request.parameters;
    for (header, parameter) in [("x-acs-action", "Action"), ("x-acs-version", "Version")] {
        if request.headers.contains_key(header) && parameters.text(parameter).is_none() {
            return Err(incomplete(format!(
                "signature version 1.0 does not cover the header {header}, so it cannot be believed; send the parameter {parameter}"
            )));
        }
    }
    expect(parameters, "SignatureVersion", "1.0")?;
    expect(parameters, "SignatureMethod", "HMAC-SHA1")?;
    let signature = STANDARD
        .decode(parameters.required("Signature")?)
        .map_err(|_| incomplete("the parameter Signature is not Base64"))?;
    let signed = canonical_query(parameters.iter().filter(|(name, _)| *name != "Signature"));
    Ok(Claim {
        access_key_id: parameters.required("AccessKeyId")?.to_owned(),
        nonce: read_nonce(parameters.required("SignatureNonce")?)?,
        dated: read_date("Timestamp", parameters.required("Timestamp")?)?,
        scheme: Scheme::Rpc,
        string_to_sign: format!("{}&%2F&{}", request.method, encode(&signed)),
        canonical_request: None,
        signature,
    })
}

/// Whether `signature` is the HMAC of `string_to_sign` under `secret` and a trailing `&`.
pub fn matches(secret: &str, string_to_sign: &str, signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(format!("{secret}&").as_bytes()) else { return false };
    mac.update(string_to_sign.as_bytes());
    mac.verify_slice(signature).is_ok()
}

fn expect(parameters: &Parameters, name: &str, only: &str) -> Result<(), ApiError> {
    match parameters.required(name)? {
        value if value.eq_ignore_ascii_case(only) => Ok(()),
        value => Err(incomplete(format!("{name} is '{}'; only {only} is served", shown(value)))),
    }
}
