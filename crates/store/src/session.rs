//! Console log-ins. Only a hash of the token is kept: a copy of the database opens no console.

use indicia_domain::time::UnixMicros;
use sqlx::Row;

use crate::{Result, Store, StoreError};

/// Who is logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Account(i64),
    Operator(i64),
}

#[derive(Clone, Debug)]
pub struct Session {
    pub subject: Subject,
    pub csrf_token: String,
    pub created_at: UnixMicros,
    pub last_seen_at: UnixMicros,
    pub expires_at: UnixMicros,
}

impl Store {
    pub async fn create_session(&self, token_hash: &str, session: &Session) -> Result<()> {
        let (kind, id) = match session.subject {
            Subject::Account(id) => ("account", id),
            Subject::Operator(id) => ("operator", id),
        };
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE expires_at < $1")
            .bind(self.now().0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO session (token_hash, subject_kind, subject_id, csrf_token, created_at, last_seen_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(token_hash.to_owned())
        .bind(kind)
        .bind(id)
        .bind(session.csrf_token.clone())
        .bind(session.created_at.0)
        .bind(session.last_seen_at.0)
        .bind(session.expires_at.0)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The session, if it has not expired. Whether it was idle too long is the console's to say.
    pub async fn session(&self, token_hash: &str) -> Result<Option<Session>> {
        let row = sqlx::query(
            "SELECT subject_kind, subject_id, csrf_token, created_at, last_seen_at, expires_at FROM session \
             WHERE token_hash = $1 AND expires_at > $2",
        )
        .bind(token_hash.to_owned())
        .bind(self.now().0)
        .fetch_optional(self.read())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id = row.try_get(1)?;
        let subject = match row.try_get::<String, _>(0)?.as_str() {
            "account" => Subject::Account(id),
            "operator" => Subject::Operator(id),
            other => return Err(StoreError::Corrupt(format!("session of a '{other}'"))),
        };
        Ok(Some(Session {
            subject,
            csrf_token: row.try_get(2)?,
            created_at: UnixMicros(row.try_get(3)?),
            last_seen_at: UnixMicros(row.try_get(4)?),
            expires_at: UnixMicros(row.try_get(5)?),
        }))
    }

    pub async fn touch_session(&self, token_hash: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("UPDATE session SET last_seen_at = $1 WHERE token_hash = $2")
            .bind(self.now().0)
            .bind(token_hash.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    pub async fn delete_session(&self, token_hash: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query("DELETE FROM session WHERE token_hash = $1")
            .bind(token_hash.to_owned())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
