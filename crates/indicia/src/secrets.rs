//! Keys and passwords that we make for others.

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use indicia_intake::operators::token::{KEY_SETTING, OperatorTokens};
use indicia_store::Store;
use rand::RngExt;

use crate::cli::Failure;

/// Without the characters that are mistaken for others when read aloud.
const READABLE: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789";

/// `length` random readable characters: 5.8 bits each.
pub fn random_text(length: usize) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(READABLE[random.random_range(0..READABLE.len())])).collect()
}

/// An access key's public part.
pub fn access_key_id() -> String {
    format!("IAK{}", random_text(17))
}

/// An access key's secret part.
pub fn access_key_secret() -> String {
    random_text(30)
}

/// A console password: 16 characters, 93 bits.
pub fn console_password() -> String {
    random_text(16)
}

/// An SMTP password that keeps DirectMail's own rule: at least two digits, two upper and two lower case letters.
pub fn smtp_password() -> String {
    format!("Dm{}Mx{}", random_text(8), rand::rng().random_range(10_000..100_000))
}

/// argon2id, as a PHC string.
pub fn hash(password: &str) -> Result<String, String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(|error| format!("the password could not be hashed: {error}"))
}

/// 32 random bytes as 64 hexadecimal digits.
pub fn key_text() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    hex::encode(bytes)
}

/// Reads [`key_text`] back.
pub fn key_of(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

/// What makes and checks operators' tokens: one key for the whole installation, made when it is first wanted.
pub async fn operator_tokens(store: &Store) -> Result<OperatorTokens, Failure> {
    let text = store.setting_or_insert(KEY_SETTING, key_text).await?;
    let damaged = || Failure::failed(format!("the setting {KEY_SETTING} in the database is damaged"));
    Ok(OperatorTokens::new(&key_of(&text).ok_or_else(damaged)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_and_differ() {
        let (one, two) = (key_text(), key_text());
        assert_ne!(one, two);
        assert_eq!(hex::encode(key_of(&one).unwrap()), one);
        assert_eq!(key_of("short"), None);
    }

    #[test]
    fn a_made_smtp_password_keeps_the_rule() {
        for _ in 0..200 {
            indicia_intake::message::password::check(&smtp_password()).unwrap();
        }
    }
}
