//! One signing identity: domain, selector and key.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use mail_auth::common::crypto::{HashContext as _, HashImpl, Sha256};
use mail_auth::dkim::Canonicalization;
use mail_auth::dkim::canonicalize::BodyHasher;

use indicia_domain::time::UnixMicros;

use super::header;

/// Header fields that are signed when present, in the order of the `h=` tag.
const SIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];
/// RFC 8301 3.2: signers use at least 2048 bits.
const KEY_BITS_MIN: usize = 2048;
/// Lines of the signature header stay under this many octets (RFC 5322 2.1.1 recommends 78).
const LINE_OCTETS: usize = 76;

/// Why a mail could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum DkimError {
    #[error("the DKIM key of {domain} (selector {selector}) is not a usable RSA key in PKCS#8 DER: {reason}")]
    BadKey { domain: String, selector: String, reason: String },
    #[error(
        "the DKIM key of {domain} (selector {selector}) has {bits} bits; RFC 8301 wants at least 2048: rotate the key"
    )]
    WeakKey { domain: String, selector: String, bits: usize },
    #[error("the mail has no From header field, so it cannot be signed for {domain}")]
    NoFrom { domain: String },
    #[error("signing for {domain} failed in the cryptographic library")]
    Crypto { domain: String },
    #[error("the signing thread stopped before it answered")]
    Stopped,
}

/// Signs mails of one domain with one key.
pub struct Signer {
    domain: String,
    selector: String,
    key: KeyPair,
    random: SystemRandom,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .finish_non_exhaustive()
    }
}

impl Signer {
    /// `domain` in A-labels, `selector` as published, `pkcs8_der` the RSA private key.
    pub fn new(domain: &str, selector: &str, pkcs8_der: &[u8]) -> Result<Signer, DkimError> {
        let (domain, selector) = (domain.to_ascii_lowercase(), selector.to_ascii_lowercase());
        let key = match KeyPair::from_pkcs8(pkcs8_der) {
            Ok(key) => key,
            Err(rejected) => {
                return Err(DkimError::BadKey { domain, selector, reason: rejected.to_string() });
            }
        };
        let bits = key.public_modulus_len() * 8;
        if bits < KEY_BITS_MIN {
            return Err(DkimError::WeakKey { domain, selector, bits });
        }
        Ok(Signer { domain, selector, key, random: SystemRandom::new() })
    }

    /// The signing domain, the `d=` tag.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The `DKIM-Signature` header field, with its final CRLF, for a message given as consecutive chunks
    /// (CRLF lines, header section first), signed at `at`.
    pub fn sign(&self, chunks: &[&[u8]], at: UnixMicros) -> Result<Bytes, DkimError> {
        let (header, body) = header::split(chunks);
        let mut hasher = BodyHasher::new(Sha256::hasher(), Canonicalization::Relaxed, 0);
        for chunk in body {
            hasher.write(chunk);
        }
        let body_hash = BASE64.encode(hasher.finish().0.complete());

        let mut signed = Vec::with_capacity(2048);
        let names = canonical_header(&header, &mut signed)
            .ok_or_else(|| DkimError::NoFrom { domain: self.domain.clone() })?;
        let mut field = self.unsigned_field(&names, &body_hash, at);
        let value = &field["DKIM-Signature:".len()..];
        Canonicalization::Relaxed
            .canonicalize_headers(std::iter::once((&b"DKIM-Signature"[..], value.as_bytes())), &mut signed);

        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, &signed, &mut signature)
            .map_err(|_| DkimError::Crypto { domain: self.domain.clone() })?;
        fold_base64(&BASE64.encode(&signature), &mut field);
        field.push_str("\r\n");
        Ok(Bytes::from(field))
    }

    /// The field up to and with `b=`.
    fn unsigned_field(&self, names: &[&str], body_hash: &str, at: UnixMicros) -> String {
        let mut field = String::with_capacity(1024);
        field.push_str("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=");
        field.push_str(&self.domain);
        field.push_str(";\r\n\ts=");
        field.push_str(&self.selector);
        field.push_str("; t=");
        field.push_str(&at.seconds().max(0).to_string());
        field.push_str(";\r\n\th=");
        let mut line = 4;
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                field.push(':');
                line += 1;
            }
            if line + name.len() > LINE_OCTETS {
                field.push_str("\r\n\t");
                line = 1;
            }
            field.push_str(name);
            line += name.len();
        }
        field.push_str(";\r\n\tbh=");
        field.push_str(body_hash);
        field.push_str(";\r\n\tb=");
        field
    }
}

/// Writes the relaxed form of the signed fields and returns the names for `h=`. Fields of one name are
/// taken from the bottom up (RFC 6376 5.4.2). `None` without a From.
fn canonical_header(header: &[u8], out: &mut Vec<u8>) -> Option<Vec<&'static str>> {
    let fields: Vec<header::Field<'_>> = header::fields(header).collect();
    let mut names = Vec::with_capacity(SIGNED.len() + 1);
    let mut chosen = Vec::with_capacity(SIGNED.len());
    for name in SIGNED {
        let wanted =
            |field: &&header::Field<'_>| field.0.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes());
        for (field_name, value) in fields.iter().rev().filter(wanted) {
            names.push(*name);
            chosen.push((*field_name, *value));
        }
        if *name == "From" {
            if names.is_empty() {
                return None;
            }
            names.push("From");
        }
    }
    Canonicalization::Relaxed.canonicalize_headers(chosen.into_iter(), out);
    Some(names)
}

fn fold_base64(text: &str, field: &mut String) {
    let mut room = LINE_OCTETS - "\tb=".len();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(room.min(rest.len()));
        field.push_str(line);
        if !tail.is_empty() {
            field.push_str("\r\n\t");
        }
        rest = tail;
        room = LINE_OCTETS - 1;
    }
}
