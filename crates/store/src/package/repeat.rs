//! R26: a request under an idempotency key happens once, and its answer is given again.

use indicia_domain::time::UnixMicros;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, Row};

use super::PurchaseError;
use crate::admission::Nonce;
use crate::{Result, StoreError};

/// What makes a request the same again, and the protection of a signed one against replay.
pub(super) struct Repeat<'a> {
    pub account_id: i64,
    pub key: Option<&'a str>,
    pub nonce: Option<&'a Nonce>,
    /// What the request asks for.
    pub fingerprint: String,
}

impl Repeat<'_> {
    /// The answer of the first time; else keeps the nonce, so that the request can be carried out.
    pub async fn earlier<T: DeserializeOwned>(
        &self,
        connection: &mut AnyConnection,
        now: UnixMicros,
    ) -> Result<Option<T>, PurchaseError> {
        if let Some(answer) = self.answer(connection).await? {
            return Ok(Some(answer));
        }
        match self.nonce {
            Some(nonce) if !nonce.keep(connection, now).await? => Err(PurchaseError::NonceReplayed),
            _ => Ok(None),
        }
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<Option<T>, PurchaseError> {
        let Some(key) = self.key else { return Ok(None) };
        let sql = "SELECT content_hash, answer FROM idempotency WHERE account_id = $1 AND idem_key = $2";
        let row =
            sqlx::query(sql).bind(self.account_id).bind(key.to_owned()).fetch_optional(connection).await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<String, _>(0)? != self.fingerprint {
            return Err(PurchaseError::IdempotencyConflict);
        }
        let answer: String = row.try_get(1)?;
        let receipt = serde_json::from_str(&answer)
            .map_err(|_| StoreError::Corrupt(format!("receipt under key '{key}'")))?;
        Ok(Some(receipt))
    }

    pub async fn keep<T: Serialize>(
        &self,
        connection: &mut AnyConnection,
        receipt: &T,
        now: UnixMicros,
    ) -> Result<()> {
        let Some(key) = self.key else { return Ok(()) };
        let answer =
            serde_json::to_string(receipt).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        sqlx::query("INSERT INTO idempotency (account_id, idem_key, content_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(self.account_id)
            .bind(key.to_owned())
            .bind(self.fingerprint.clone())
            .bind(answer)
            .bind(now.0)
            .execute(connection)
            .await?;
        Ok(())
    }
}
