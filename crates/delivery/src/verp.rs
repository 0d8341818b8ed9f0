//! The return path of each recipient's copy: signed, so that a bounce can be believed.
//!
//! The local part is `b-<token>-<tag>`. The token is 20 octets (account id, message id, recipient number,
//! big-endian) in base32, 32 letters; the tag is the first 10 octets of HMAC-SHA-256 over the token, 16
//! letters. Together 51 octets, under RFC 5321's 64, in lower-case letters and digits only: mail systems
//! on the way may change the case of a local part. Who forges a bounce must guess 80 bits (a forged bounce
//! that suppresses an address is a known attack on senders). The tag is compared in constant time.
//!
//! The same signed name stands in a header field of the copy, [`REPORT_TOKEN_HEADER`]: feedback loops black out
//! addresses, the return path among them, before they pass a complaint on. It names one recipient's mail, so that who
//! received one can report that one and no other. The field is not under the DKIM signature, which all recipients
//! share; it needs no second proof, since a token that was changed is no token, and one put in from another mail says
//! what its owner could have reported anyway.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
const PREFIX: &str = "b-";
const TOKEN_BYTES: usize = 20;
const TOKEN_LETTERS: usize = 32;
const TAG_BYTES: usize = 10;
const TAG_LETTERS: usize = 16;

/// The header field that names a copy in reports about it: the local part of its return path.
pub const REPORT_TOKEN_HEADER: &str = "X-Indicia-Report-Token";

/// The field, with its final CRLF, of the copy that has this return path.
pub(crate) fn report_field(return_path: &str) -> String {
    let token = return_path.split_once('@').map_or(return_path, |(local, _)| local);
    format!("{REPORT_TOKEN_HEADER}: {token}\r\n")
}

/// Which copy of which mail a return path belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BounceToken {
    pub account_id: i64,
    pub message_id: i64,
    /// The recipient's number within the message, from 0.
    pub recipient_number: u32,
}

/// Why an address is not one of our return paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerpError {
    #[error("the address is not of the form of our return paths")]
    NotOurs,
    #[error("the return path's signature is wrong: it was forged, damaged, or made with another key")]
    BadSignature,
}

/// Makes and checks return paths under one domain with one key.
pub struct Verp {
    key: hmac::Key,
    domain: String,
}

impl Verp {
    /// `key`: 32 secret octets, kept for as long as bounces may come; `domain`: where bounces are received.
    pub fn new(key: &[u8; 32], domain: &str) -> Verp {
        Verp { key: hmac::Key::new(hmac::HMAC_SHA256, key), domain: domain.to_ascii_lowercase() }
    }

    /// The domain of every return path.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The return path for a recipient's copy, without angle brackets.
    pub fn address(&self, token: BounceToken) -> String {
        let bytes = pack(token);
        let tag = hmac::sign(&self.key, &bytes);
        let mut address =
            String::with_capacity(PREFIX.len() + TOKEN_LETTERS + 2 + TAG_LETTERS + self.domain.len());
        address.push_str(PREFIX);
        encode(&bytes, &mut address);
        address.push('-');
        encode(&tag.as_ref()[..TAG_BYTES], &mut address);
        address.push('@');
        address.push_str(&self.domain);
        address
    }

    /// Reads a return path back. Accepts any case, and the local part alone.
    pub fn verify(&self, address: &str) -> Result<BounceToken, VerpError> {
        let lower = address.to_ascii_lowercase();
        let local = match lower.split_once('@') {
            Some((local, domain)) if domain == self.domain => local,
            Some(_) => return Err(VerpError::NotOurs),
            None => lower.as_str(),
        };
        let (token, tag) =
            local.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).ok_or(VerpError::NotOurs)?;
        let token: [u8; TOKEN_BYTES] = decode(token).ok_or(VerpError::NotOurs)?;
        let tag: [u8; TAG_BYTES] = decode(tag).ok_or(VerpError::NotOurs)?;
        let expected = hmac::sign(&self.key, &token);
        verify_slices_are_equal(&expected.as_ref()[..TAG_BYTES], &tag)
            .map_err(|_| VerpError::BadSignature)?;
        Ok(unpack(&token))
    }
}

fn pack(token: BounceToken) -> [u8; TOKEN_BYTES] {
    let mut bytes = [0; TOKEN_BYTES];
    bytes[..8].copy_from_slice(&token.account_id.to_be_bytes());
    bytes[8..16].copy_from_slice(&token.message_id.to_be_bytes());
    bytes[16..].copy_from_slice(&token.recipient_number.to_be_bytes());
    bytes
}

fn unpack(bytes: &[u8; TOKEN_BYTES]) -> BounceToken {
    let number = |range: std::ops::Range<usize>| {
        bytes[range].iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte))
    };
    BounceToken {
        account_id: number(0..8) as i64,
        message_id: number(8..16) as i64,
        recipient_number: number(16..20) as u32,
    }
}

/// RFC 4648 base32 in lower case; `bytes` is a multiple of 5 long here, so that there is never padding.
fn encode(bytes: &[u8], out: &mut String) {
    for group in bytes.chunks(5) {
        let bits = group.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        for index in (0..8).rev() {
            out.push(char::from(ALPHABET[(bits >> (index * 5)) as usize & 31]));
        }
    }
}

fn decode<const N: usize>(letters: &str) -> Option<[u8; N]> {
    if letters.len() != N / 5 * 8 {
        return None;
    }
    let mut bytes = [0; N];
    for (group, out) in letters.as_bytes().chunks(8).zip(bytes.chunks_mut(5)) {
        let mut bits = 0u64;
        for letter in group {
            let value = match letter {
                b'a'..=b'z' => letter - b'a',
                b'2'..=b'7' => letter - b'2' + 26,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        out.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verp() -> Verp {
        Verp::new(&[7; 32], "Bounce.Example.NET")
    }

    const TOKEN: BounceToken =
        BounceToken { account_id: 1001, message_id: 7_300_000_000_000_000_001, recipient_number: 99 };

    #[test]
    fn a_return_path_fits_rfc_5321_and_survives_a_change_of_case() {
        let address = verp().address(TOKEN);
        let (local, domain) = address.split_once('@').expect("an address");
        assert!(local.len() <= 64, "{local}");
        assert_eq!(domain, "bounce.example.net");
        assert_eq!(verp().verify(&address.to_ascii_uppercase()), Ok(TOKEN));
        assert_eq!(verp().verify(local), Ok(TOKEN));
    }

    #[test]
    fn the_field_of_a_copy_reads_back_as_its_return_path() {
        let field = report_field(&verp().address(TOKEN));
        let token = field.strip_prefix("X-Indicia-Report-Token: ").and_then(|rest| rest.strip_suffix("\r\n"));
        assert_eq!(token.map(|token| verp().verify(token)), Some(Ok(TOKEN)));
        assert!(field.len() < 78, "{field}");
    }

    #[test]
    fn what_we_did_not_make_is_refused() {
        let address = verp().address(TOKEN);
        assert_eq!(Verp::new(&[8; 32], "bounce.example.net").verify(&address), Err(VerpError::BadSignature));
        assert_eq!(verp().verify(&address.replace("bounce.", "other.")), Err(VerpError::NotOurs));
        for text in ["", "b-", "b--", "user@bounce.example.net", "b-aa-aa@bounce.example.net", "é-x-y"] {
            assert_eq!(verp().verify(text), Err(VerpError::NotOurs), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_token_reads_back(account_id: i64, message_id: i64, recipient_number: u32) {
            let token = BounceToken { account_id, message_id, recipient_number };
            prop_assert_eq!(verp().verify(&verp().address(token)), Ok(token));
        }

        #[test]
        fn no_single_changed_letter_passes(at in 2usize..50, letter in "[a-z2-7]") {
            let address = verp().address(TOKEN);
            let mut changed = address.clone();
            changed.replace_range(at..=at, &letter);
            if changed != address {
                prop_assert!(verp().verify(&changed).is_err(), "{}", changed);
            }
        }

        #[test]
        fn any_text_is_survived(text in ".{0,100}") {
            let _ = verp().verify(&text);
            let prefixed = format!("b-{text}");
            prop_assert!(verp().verify(&prefixed).is_err(), "{}", prefixed);
        }
    }
}
