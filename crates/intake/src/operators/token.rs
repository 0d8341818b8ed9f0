//! Bearer tokens of operators: `iot-<operator id>-<64 hexadecimal digits>`.
//!
//! The digits are HMAC-SHA-256, under a key of the installation, over the operator's id and the hash of his console
//! password. So nothing is kept for a token, it names its operator in the audit log, and a new console password makes
//! it worthless. Nobody can guess it, so wrong ones need no counting.

use aws_lc_rs::hmac;
use indicia_store::account::Operator;
use indicia_store::{Result, Store};

const PREFIX: &str = "iot-";
/// The setting that keeps the key: 64 hexadecimal digits.
pub const KEY_SETTING: &str = "operator_token_key";

/// Makes and checks the tokens of one installation.
pub struct OperatorTokens {
    key: hmac::Key,
}

impl OperatorTokens {
    /// `key`: 32 secret octets.
    pub fn new(key: &[u8; 32]) -> OperatorTokens {
        OperatorTokens { key: hmac::Key::new(hmac::HMAC_SHA256, key) }
    }

    /// The operator's token, as long as he keeps his password.
    pub fn token(&self, operator: &Operator) -> String {
        let tag = hmac::sign(&self.key, &signed(operator));
        format!("{PREFIX}{}-{}", operator.operator_id, hex::encode(tag))
    }

    /// Whose token it is; `None` when it is nobody's.
    pub async fn operator(&self, store: &Store, token: &str) -> Result<Option<Operator>> {
        let Some((operator_id, tag)) = parts(token) else { return Ok(None) };
        let operator = store.operator(operator_id).await?;
        Ok(operator.filter(|operator| hmac::verify(&self.key, &signed(operator), &tag).is_ok()))
    }
}

fn parts(token: &str) -> Option<(i64, [u8; 32])> {
    let (id, tag) = token.strip_prefix(PREFIX)?.split_once('-')?;
    Some((id.parse().ok()?, hex::decode(tag).ok()?.try_into().ok()?))
}

fn signed(operator: &Operator) -> Vec<u8> {
    format!("operator token\n{}\n{}", operator.operator_id, operator.password_hash).into_bytes()
}
