//! Texts on their way to the SMS gateway.
//!
//! A text is claimed by moving the instant of its next try ahead, in one statement, so that of several nodes one
//! sends it; it is noted as done when the gateway has taken it. Its id is its reference at the gateway and stays
//! the same over retries.

use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::{Result, Store};

/// A text that this node has claimed.
#[derive(Clone, Debug)]
pub struct OutboundSms {
    pub account_id: i64,
    /// The reference, stable over retries.
    pub sms_id: i64,
    /// E.164.
    pub phone: String,
    pub text: String,
    /// Tries before this one.
    pub attempts: i64,
    /// No longer worth sending from then on.
    pub until_at: UnixMicros,
}

/// A text, for people who look after it.
#[derive(Clone, Debug)]
pub struct SmsRow {
    pub account_id: i64,
    pub sms_id: i64,
    pub phone: String,
    pub text: String,
    pub created_at: UnixMicros,
    /// 0 waits, 1 taken by the gateway, 2 given up.
    pub state: i64,
    pub attempts: i64,
    /// What the gateway calls it.
    pub gateway_id: String,
    /// The last failure.
    pub error: String,
    pub done_at: Option<UnixMicros>,
}

pub(super) async fn insert(connection: &mut AnyConnection, sms: &OutboundSms, now: UnixMicros) -> Result<()> {
    sqlx::query(
        "INSERT INTO sms (account_id, sms_id, phone, text, created_at, until_at, state, next_at, attempts, gateway_id, error) \
         VALUES ($1, $2, $3, $4, $5, $6, 0, $7, 0, '', '')",
    )
    .bind(sms.account_id)
    .bind(sms.sms_id)
    .bind(sms.phone.clone())
    .bind(sms.text.clone())
    .bind(now.0)
    .bind(sms.until_at.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

impl Store {
    /// Claims texts that are due: nobody else gets them before `claimed_until`. What is not true any more is given up.
    pub async fn claim_sms(&self, claimed_until: UnixMicros, limit: i64) -> Result<Vec<OutboundSms>> {
        let now = self.now();
        let due = sqlx::query("SELECT 1 FROM sms WHERE state = 0 AND next_at <= $1 LIMIT 1")
            .bind(now.0)
            .fetch_optional(self.read())
            .await?;
        if due.is_none() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin().await?;
        let sql = format!(
            "SELECT account_id, sms_id, phone, text, attempts, until_at FROM sms WHERE state = 0 AND next_at <= $1 \
             ORDER BY next_at LIMIT $2{}",
            self.engine().for_update()
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(limit).fetch_all(&mut *transaction).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for row in &rows {
            let sms = OutboundSms {
                account_id: row.try_get(0)?,
                sms_id: row.try_get(1)?,
                phone: row.try_get(2)?,
                text: row.try_get(3)?,
                attempts: row.try_get(4)?,
                until_at: UnixMicros(row.try_get(5)?),
            };
            if is_overtaken(&mut transaction, sms.account_id, sms.sms_id).await? {
                sqlx::query("UPDATE sms SET state = 2, done_at = $1, error = $2 WHERE account_id = $3 AND sms_id = $4")
                    .bind(now.0)
                    .bind("what it says was paid before it was said")
                    .bind(sms.account_id)
                    .bind(sms.sms_id)
                    .execute(&mut *transaction)
                    .await?;
                continue;
            }
            sqlx::query(
                "UPDATE sms SET next_at = $1, attempts = attempts + 1 WHERE account_id = $2 AND sms_id = $3",
            )
            .bind(claimed_until.0)
            .bind(sms.account_id)
            .bind(sms.sms_id)
            .execute(&mut *transaction)
            .await?;
            claimed.push(sms);
        }
        transaction.commit().await?;
        Ok(claimed)
    }

    /// The gateway has taken the text.
    pub async fn sms_taken(&self, sms: &OutboundSms, gateway_id: &str) -> Result<()> {
        self.end_sms(sms, 1, gateway_id, "").await
    }

    /// The text is given up.
    pub async fn sms_given_up(&self, sms: &OutboundSms, error: &str) -> Result<()> {
        self.end_sms(sms, 2, "", error).await
    }

    async fn end_sms(&self, sms: &OutboundSms, state: i64, gateway_id: &str, error: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE sms SET state = $1, done_at = $2, gateway_id = $3, error = $4 WHERE account_id = $5 AND sms_id = $6",
        )
        .bind(state)
        .bind(self.now().0)
        .bind(gateway_id.to_owned())
        .bind(error.to_owned())
        .bind(sms.account_id)
        .bind(sms.sms_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The text is tried again at `next_at`.
    pub async fn sms_deferred(&self, sms: &OutboundSms, next_at: UnixMicros, error: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "UPDATE sms SET next_at = $1, error = $2 WHERE account_id = $3 AND sms_id = $4 AND state = 0",
        )
        .bind(next_at.0)
        .bind(error.to_owned())
        .bind(sms.account_id)
        .bind(sms.sms_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Texts of one account or of all, the newest first; only those that failed or wait after a failure.
    pub async fn sms_log(
        &self,
        account_id: Option<i64>,
        troubled_only: bool,
        limit: i64,
    ) -> Result<Vec<SmsRow>> {
        let troubled = if troubled_only { " AND error <> ''" } else { "" };
        let sql = format!(
            "SELECT account_id, sms_id, phone, text, created_at, state, attempts, gateway_id, error, done_at FROM sms \
             WHERE (account_id = $1 OR $2 = 1){troubled} ORDER BY sms_id DESC LIMIT $3"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id.unwrap_or(0))
            .bind(i64::from(account_id.is_none()))
            .bind(limit)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(sms_of).collect()
    }
}

/// Whether a text says that the account is overdue while it is not any more: a gateway that was away must not bring it
/// after "restored".
async fn is_overtaken(connection: &mut AnyConnection, account_id: i64, sms_id: i64) -> Result<bool> {
    let row = sqlx::query(
        "SELECT 1 FROM notice n JOIN account_state s ON s.account_id = n.account_id \
         WHERE n.account_id = $1 AND n.dispatch_id = $2 AND n.channel = 'sms' AND n.kind = 'overdue' AND s.overdue_since IS NULL",
    )
    .bind(account_id)
    .bind(sms_id)
    .fetch_optional(connection)
    .await?;
    Ok(row.is_some())
}

fn sms_of(row: &AnyRow) -> Result<SmsRow> {
    Ok(SmsRow {
        account_id: row.try_get(0)?,
        sms_id: row.try_get(1)?,
        phone: row.try_get(2)?,
        text: row.try_get(3)?,
        created_at: UnixMicros(row.try_get(4)?),
        state: row.try_get(5)?,
        attempts: row.try_get(6)?,
        gateway_id: row.try_get(7)?,
        error: row.try_get(8)?,
        done_at: row.try_get::<Option<i64>, _>(9)?.map(UnixMicros),
    })
}
