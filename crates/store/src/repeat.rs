//! R26: what is asked for under an idempotency key happens once, and its answer is given again.
//!
//! Key and answer are kept in the transaction of the deed itself, and looked up under the account's lock. So there is
//! no moment at which one stands without the other: whoever lost the answer, or never learnt whether the commit
//! took place, asks again under the same key. A refusal keeps nothing; its key is free for another try.

use indicia_domain::time::UnixMicros;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{AnyConnection, Row};

use crate::{Result, StoreError};

/// What makes a request the same again.
pub(crate) struct Repeat {
    pub account_id: i64,
    pub key: Option<String>,
    /// What the request asks for.
    pub fingerprint: String,
}

/// Why a key does not lead to an answer.
pub(crate) enum KeyError {
    /// It was used for a request that asked for something else.
    Conflict,
    Store(StoreError),
}

impl From<StoreError> for KeyError {
    fn from(error: StoreError) -> Self {
        KeyError::Store(error)
    }
}

impl From<sqlx::Error> for KeyError {
    fn from(error: sqlx::Error) -> Self {
        KeyError::Store(error.into())
    }
}

impl Repeat {
    /// The answer of the first time; `None` when there was none, or there is no key.
    pub async fn answer<T: DeserializeOwned>(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<Option<T>, KeyError> {
        let Some(key) = &self.key else { return Ok(None) };
        let sql = "SELECT content_hash, answer FROM idempotency WHERE account_id = $1 AND idem_key = $2";
        let row = sqlx::query(sql).bind(self.account_id).bind(key.clone()).fetch_optional(connection).await?;
        let Some(row) = row else { return Ok(None) };
        if row.try_get::<String, _>(0)? != self.fingerprint {
            return Err(KeyError::Conflict);
        }
        let answer: String = row.try_get(1)?;
        let receipt = serde_json::from_str(&answer)
            .map_err(|_| StoreError::Corrupt(format!("receipt under key {key:?}")))?;
        Ok(Some(receipt))
    }

    /// Keeps the answer, if there is a key.
    pub async fn keep<T: Serialize>(
        &self,
        connection: &mut AnyConnection,
        receipt: &T,
        now: UnixMicros,
    ) -> Result<()> {
        let Some(key) = &self.key else { return Ok(()) };
        let answer =
            serde_json::to_string(receipt).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        sqlx::query("INSERT INTO idempotency (account_id, idem_key, content_hash, answer, created_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(self.account_id)
            .bind(key.clone())
            .bind(self.fingerprint.clone())
            .bind(answer)
            .bind(now.0)
            .execute(connection)
            .await?;
        Ok(())
    }
}
