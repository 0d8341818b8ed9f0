//! The mail log: what was accepted, what became of each recipient, and one timeline for each mail.

use indicia_domain::id::first_id_at;
use indicia_domain::ledger::Transfer;
use indicia_domain::mail::State;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::account::SYSTEM_ACCOUNT_ID;
use crate::invalid::escape_like;
use crate::{Result, Store, StoreError};

/// A message as accepted.
#[derive(Clone, Debug)]
pub struct Message {
    pub account_id: i64,
    pub message_id: i64,
    pub accepted_at: UnixMicros,
    /// As [`indicia_domain::mail::Via`] is written.
    pub via: String,
    pub sender_id: i64,
    pub domain_id: i64,
    pub mail_from: String,
    pub subject: String,
    pub tag: String,
    pub size_bytes: i64,
    pub recipient_count: i64,
    pub refused_count: i64,
}

/// One recipient's mail.
#[derive(Clone, Debug)]
pub struct RecipientRow {
    pub number: i64,
    pub address: String,
    pub state: State,
    pub classification: String,
    /// The last words about it.
    pub reply: String,
    pub attempts: i64,
    pub updated_at: UnixMicros,
    /// When it is tried next, if it waits; and whether that is being done now.
    pub due_at: Option<UnixMicros>,
    pub in_delivery: bool,
    /// Why it waits, if no attempt said so.
    pub waiting_reason: String,
}

/// One attempt at one recipient's mail.
#[derive(Clone, Debug)]
pub struct AttemptRow {
    pub number: i64,
    pub started_at: UnixMicros,
    pub finished_at: UnixMicros,
    pub remote_host: String,
    pub remote_address: String,
    pub local_address: String,
    pub tls: String,
    pub phase: String,
    pub disposition: String,
    pub classification: String,
    pub code: Option<i64>,
    pub reply: String,
    pub next_due_at: Option<UnixMicros>,
}

/// What people did to a message.
#[derive(Clone, Debug)]
pub struct EventRow {
    pub at: UnixMicros,
    pub kind: String,
    pub detail: String,
}

/// Everything there is to say about a message: where it is, and why.
#[derive(Clone, Debug)]
pub struct Timeline {
    pub message: Message,
    pub recipients: Vec<RecipientRow>,
    /// In the order of time.
    pub attempts: Vec<AttemptRow>,
    pub events: Vec<EventRow>,
    /// Charges and reversals.
    pub ledger: Vec<Transfer>,
}

/// One line of the mail log: one recipient's mail.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub message_id: i64,
    pub number: i64,
    pub accepted_at: UnixMicros,
    pub mail_from: String,
    pub address: String,
    pub subject: String,
    pub tag: String,
    pub state: State,
    pub classification: String,
    pub reply: String,
    pub updated_at: UnixMicros,
}

/// Which mails to list, newest first. A filter that is `None` lets everything through.
#[derive(Clone, Debug)]
pub struct LogQuery {
    pub account_id: i64,
    /// Accepted in `[from, before)`.
    pub from: UnixMicros,
    pub before: UnixMicros,
    pub state: Option<State>,
    /// Exactly this sender address.
    pub mail_from: Option<String>,
    /// Exactly this recipient (see `Recipient::key`) ...
    pub address_key: Option<String>,
    /// ... or one that contains this.
    pub address_part: Option<String>,
    pub tag: Option<String>,
    /// Mails older than this one: where the page before ended.
    pub after: Option<LogToken>,
    pub limit: i64,
}

impl LogQuery {
    /// All mails of an account, newest first.
    pub fn all(account_id: i64, limit: i64) -> Self {
        LogQuery {
            account_id,
            from: UnixMicros(0),
            before: UnixMicros(i64::MAX),
            state: None,
            mail_from: None,
            address_key: None,
            address_part: None,
            tag: None,
            after: None,
            limit,
        }
    }
}

/// A place in the mail log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogToken {
    pub message_id: i64,
    pub number: i64,
}

const MESSAGE: &str = "SELECT account_id, message_id, accepted_at, via, sender_id, domain_id, mail_from, subject, tag, size_bytes, \
    recipient_count, refused_count FROM message";

impl Store {
    pub async fn message(&self, account_id: i64, message_id: i64) -> Result<Option<Message>> {
        let row = sqlx::query(AssertSqlSafe(format!("{MESSAGE} WHERE account_id = $1 AND message_id = $2")))
            .bind(account_id)
            .bind(message_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(message_of).transpose()
    }

    /// Whose message it is: for operators, who know a message by its id alone.
    pub async fn account_of_message(&self, message_id: i64) -> Result<Option<i64>> {
        if self.message(SYSTEM_ACCOUNT_ID, message_id).await?.is_some() {
            return Ok(Some(SYSTEM_ACCOUNT_ID));
        }
        let mut last = i64::MIN;
        loop {
            // Every key leads with the account: asking each in turn stays cheap and works over several clusters.
            let accounts = self.accounts(last, 500).await?;
            let Some(end) = accounts.last() else { return Ok(None) };
            last = end.account_id;
            for account in accounts {
                if self.message(account.account_id, message_id).await?.is_some() {
                    return Ok(Some(account.account_id));
                }
            }
        }
    }

    /// The whole story of a message.
    pub async fn timeline(&self, account_id: i64, message_id: i64) -> Result<Option<Timeline>> {
        let Some(message) = self.message(account_id, message_id).await? else { return Ok(None) };
        let recipients = sqlx::query(
            "SELECT r.number, r.address, r.state, r.classification, r.reply, r.attempts, r.updated_at, q.due_at, q.lease_node, q.reason \
             FROM recipient r LEFT JOIN queue q ON q.account_id = r.account_id AND q.message_id = r.message_id AND q.number = r.number \
             WHERE r.account_id = $1 AND r.message_id = $2 ORDER BY r.number",
        )
        .bind(account_id)
        .bind(message_id)
        .fetch_all(self.read())
        .await?;
        let attempts = sqlx::query(
            "SELECT number, started_at, finished_at, remote_host, remote_address, local_address, tls, phase, disposition, \
             classification, code, reply, next_due_at FROM attempt WHERE account_id = $1 AND message_id = $2 \
             ORDER BY started_at, attempt_id",
        )
        .bind(account_id)
        .bind(message_id)
        .fetch_all(self.read())
        .await?;
        let events = sqlx::query("SELECT at, kind, detail FROM message_event WHERE account_id = $1 AND message_id = $2 ORDER BY event_id")
            .bind(account_id)
            .bind(message_id)
            .fetch_all(self.read())
            .await?;
        Ok(Some(Timeline {
            message,
            recipients: recipients.iter().map(recipient_of).collect::<Result<_>>()?,
            attempts: attempts.iter().map(attempt_of).collect::<Result<_>>()?,
            events: events.iter().map(event_of).collect::<Result<_>>()?,
            ledger: self.transaction_lines(account_id, message_id).await?,
        }))
    }

    /// A page of the mail log.
    pub async fn mail_log(&self, query: &LogQuery) -> Result<Vec<LogRow>> {
        let mut conditions = vec![
            "r.account_id = $1".to_owned(),
            "r.message_id >= $2".to_owned(),
            "r.message_id < $3".to_owned(),
            "(r.message_id < $4 OR (r.message_id = $5 AND r.number > $6))".to_owned(),
        ];
        let mut texts = Vec::new();
        let mut condition = |column: &str, text: Option<String>| {
            if let Some(text) = text {
                texts.push(text);
                conditions.push(column.replace('?', &format!("${}", texts.len() + 6)));
            }
        };
        condition("m.mail_from = ?", query.mail_from.as_ref().map(|address| address.to_lowercase()));
        condition("r.address_key = ?", query.address_key.clone());
        let part = query.address_part.as_ref().map(|part| format!("%{}%", escape_like(&part.to_lowercase())));
        condition("r.address_key LIKE ? ESCAPE '!'", part);
        condition("m.tag = ?", query.tag.clone());
        if let Some(state) = query.state {
            conditions.push(format!("r.state = {}", state as i64));
        }
        let sql = format!(
            "SELECT r.message_id, r.number, m.accepted_at, m.mail_from, r.address, m.subject, m.tag, r.state, r.classification, \
             r.reply, r.updated_at FROM recipient r \
             JOIN message m ON m.account_id = r.account_id AND m.message_id = r.message_id \
             WHERE {} ORDER BY r.message_id DESC, r.number LIMIT {}",
            conditions.join(" AND "),
            query.limit.clamp(1, 1_000)
        );
        let after = query.after.unwrap_or(LogToken { message_id: i64::MAX, number: 0 });
        let mut bound = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(first_id_at(query.from))
            .bind(if query.before.0 == i64::MAX { i64::MAX } else { first_id_at(query.before) })
            .bind(after.message_id)
            .bind(after.message_id)
            .bind(after.number);
        for text in texts {
            bound = bound.bind(text);
        }
        bound.fetch_all(self.read()).await?.iter().map(log_row_of).collect()
    }
}

fn state_of(number: i64) -> Result<State> {
    State::from_number(number).ok_or_else(|| StoreError::Corrupt(format!("recipient state {number}")))
}

fn message_of(row: &AnyRow) -> Result<Message> {
    Ok(Message {
        account_id: row.try_get(0)?,
        message_id: row.try_get(1)?,
        accepted_at: UnixMicros(row.try_get(2)?),
        via: row.try_get(3)?,
        sender_id: row.try_get(4)?,
        domain_id: row.try_get(5)?,
        mail_from: row.try_get(6)?,
        subject: row.try_get(7)?,
        tag: row.try_get(8)?,
        size_bytes: row.try_get(9)?,
        recipient_count: row.try_get(10)?,
        refused_count: row.try_get(11)?,
    })
}

fn recipient_of(row: &AnyRow) -> Result<RecipientRow> {
    Ok(RecipientRow {
        number: row.try_get(0)?,
        address: row.try_get(1)?,
        state: state_of(row.try_get(2)?)?,
        classification: row.try_get(3)?,
        reply: row.try_get(4)?,
        attempts: row.try_get(5)?,
        updated_at: UnixMicros(row.try_get(6)?),
        due_at: row.try_get::<Option<i64>, _>(7)?.map(UnixMicros),
        in_delivery: row.try_get::<Option<i64>, _>(8)?.unwrap_or(0) != 0,
        waiting_reason: row.try_get::<Option<String>, _>(9)?.unwrap_or_default(),
    })
}

fn attempt_of(row: &AnyRow) -> Result<AttemptRow> {
    Ok(AttemptRow {
        number: row.try_get(0)?,
        started_at: UnixMicros(row.try_get(1)?),
        finished_at: UnixMicros(row.try_get(2)?),
        remote_host: row.try_get(3)?,
        remote_address: row.try_get(4)?,
        local_address: row.try_get(5)?,
        tls: row.try_get(6)?,
        phase: row.try_get(7)?,
        disposition: row.try_get(8)?,
        classification: row.try_get(9)?,
        code: row.try_get(10)?,
        reply: row.try_get(11)?,
        next_due_at: row.try_get::<Option<i64>, _>(12)?.map(UnixMicros),
    })
}

fn event_of(row: &AnyRow) -> Result<EventRow> {
    Ok(EventRow { at: UnixMicros(row.try_get(0)?), kind: row.try_get(1)?, detail: row.try_get(2)? })
}

fn log_row_of(row: &AnyRow) -> Result<LogRow> {
    Ok(LogRow {
        message_id: row.try_get(0)?,
        number: row.try_get(1)?,
        accepted_at: UnixMicros(row.try_get(2)?),
        mail_from: row.try_get(3)?,
        address: row.try_get(4)?,
        subject: row.try_get(5)?,
        tag: row.try_get(6)?,
        state: state_of(row.try_get(7)?)?,
        classification: row.try_get(8)?,
        reply: row.try_get(9)?,
        updated_at: UnixMicros(row.try_get(10)?),
    })
}
