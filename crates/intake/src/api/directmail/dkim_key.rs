//! Makes the RSA key pairs that sign a domain's mail.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicia_domain::time::UnixMicros;
use indicia_store::directory::DkimKey;

/// Bits of every key. RFC 8301 3.2 asks for at least 1024 and recommends 2048; large providers treat less as weak,
/// and a longer key's record no longer fits the limits of many DNS panels.
pub const KEY_BITS: i64 = 2048;

/// The cryptography library could not make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no RSA key could be generated")]
pub struct GenerateError;

/// Makes a key. It takes some 50 to 500 ms of processor time, so call it off the async threads.
pub fn generate(selector: &str) -> Result<DkimKey, GenerateError> {
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| GenerateError)?;
    let private_key: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| GenerateError)?;
    let public_key: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| GenerateError)?;
    Ok(DkimKey {
        selector: selector.to_owned(),
        private_key: private_key.as_ref().to_vec(),
        public_key: STANDARD.encode(public_key.as_ref()),
    })
}

/// A selector for the key that follows `current`: its stem and the time, so that both records can stand in DNS.
pub fn next_selector(current: &str, now: UnixMicros) -> String {
    let is_stamp = |text: &str| text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit());
    let stem = match current.rsplit_once('-') {
        Some((stem, stamp)) if is_stamp(stamp) => stem,
        _ => current,
    };
    // A label has at most 63 octets; the stem's last label must leave room for the stamp.
    let stem: String = stem.chars().take(48).collect();
    let stem = stem.trim_end_matches(['-', '.']);
    format!("{stem}-{}", now.timestamp().strftime("%Y%m%d%H%M%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_2048_bits_and_reads_back() {
        let key = generate("s1").unwrap();
        let pair = KeyPair::from_pkcs8(&key.private_key).unwrap();
        assert_eq!(pair.public_modulus_len() * 8, KEY_BITS as usize);
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        assert_eq!(STANDARD.decode(&key.public_key).unwrap(), public.as_ref());
        assert_eq!(key.selector, "s1");
    }

    #[test]
    fn selectors_follow_each_other() {
        let now = UnixMicros(1_795_400_000_000_000);
        assert_eq!(next_selector("indicia", now), "indicia-20261123021320");
        assert_eq!(next_selector("indicia-20251123021320", now), "indicia-20261123021320");
        assert_eq!(next_selector("mail-1", now), "mail-1-20261123021320");
        assert!(next_selector(&"a".repeat(60), now).len() <= 63);
    }
}
