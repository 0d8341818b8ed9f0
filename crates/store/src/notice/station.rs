//! The inbox of an account in the console.

use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::{Result, Store};

#[derive(Clone, Debug)]
pub struct StationMessage {
    pub message_id: i64,
    pub at: UnixMicros,
    /// As [`indicia_domain::notice::NoticeKind`] prints itself.
    pub kind: String,
    pub subject: String,
    pub body: String,
    pub read_at: Option<UnixMicros>,
}

const MESSAGE: &str = "SELECT message_id, at, kind, subject, body, read_at FROM station_message";

pub(super) async fn insert(
    connection: &mut AnyConnection,
    account_id: i64,
    message: &StationMessage,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO station_message (account_id, message_id, at, kind, subject, body) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(account_id)
    .bind(message.message_id)
    .bind(message.at.0)
    .bind(message.kind.clone())
    .bind(message.subject.clone())
    .bind(message.body.clone())
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// The newest first, from before message `after` on.
    pub async fn station_messages(
        &self,
        account_id: i64,
        unread_only: bool,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<StationMessage>> {
        let unread = if unread_only { " AND read_at IS NULL" } else { "" };
        let sql = format!(
            "{MESSAGE} WHERE account_id = $1 AND message_id < $2{unread} ORDER BY message_id DESC LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(after.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(message_of).collect()
    }

    pub async fn station_message(&self, account_id: i64, message_id: i64) -> Result<Option<StationMessage>> {
        let row = sqlx::query(AssertSqlSafe(format!("{MESSAGE} WHERE account_id = $1 AND message_id = $2")))
            .bind(account_id)
            .bind(message_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(message_of).transpose()
    }

    pub async fn unread_messages(&self, account_id: i64) -> Result<i64> {
        let row =
            sqlx::query("SELECT COUNT(*) FROM station_message WHERE account_id = $1 AND read_at IS NULL")
                .bind(account_id)
                .fetch_one(self.read())
                .await?;
        Ok(row.try_get(0)?)
    }

    /// Marks messages as read; with no ids, all. Returns how many were unread.
    pub async fn mark_read(&self, account_id: i64, ids: &[i64]) -> Result<u64> {
        let now = self.now().0;
        let mut transaction = self.begin().await?;
        let mut marked = 0;
        if ids.is_empty() {
            let all = "UPDATE station_message SET read_at = $1 WHERE account_id = $2 AND read_at IS NULL";
            let done = sqlx::query(all).bind(now).bind(account_id).execute(&mut *transaction).await?;
            marked += done.rows_affected();
        }
        for id in ids {
            let one = "UPDATE station_message SET read_at = $1 WHERE account_id = $2 AND message_id = $3 AND read_at IS NULL";
            let done =
                sqlx::query(one).bind(now).bind(account_id).bind(*id).execute(&mut *transaction).await?;
            marked += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(marked)
    }
}

fn message_of(row: &AnyRow) -> Result<StationMessage> {
    Ok(StationMessage {
        message_id: row.try_get(0)?,
        at: UnixMicros(row.try_get(1)?),
        kind: row.try_get(2)?,
        subject: row.try_get(3)?,
        body: row.try_get(4)?,
        read_at: row.try_get::<Option<i64>, _>(5)?.map(UnixMicros),
    })
}
