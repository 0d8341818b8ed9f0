//! The block list: recipients who unsubscribed from a sender address or reported its mail as spam (dossier 3).
//!
//! A block is of one recipient by one sender address of one account, for one of the two reasons. It stays as it was
//! made: when the recipient says the same again only the reasons given grow. Admission refuses blocked recipients
//! (R03: neither counted nor charged) until the block is lifted.

use indicia_domain::mail::suppression::{BlockReasons, BlockType};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::{Actor, Deed};
use crate::queue::MailKey;
use crate::{Result, Store};

/// The sender address that stands for every address of a domain (dossier 6). Mail that it accounts for shows
/// another, which is the one that a recipient knows and means.
const DOMAIN_WIDE_LOCAL_PART: &str = "domain-auth-created-by-system@";

/// One block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub account_id: i64,
    pub block_type: BlockType,
    /// In lower case.
    pub sender_address: String,
    /// The recipient.
    pub address: String,
    /// Of the recipient, as `Recipient::key` makes it.
    pub address_key: String,
    pub blocked_at: UnixMicros,
    /// When the mail was accepted that made the recipient say so.
    pub sent_at: UnixMicros,
    pub reasons: BlockReasons,
}

/// Which blocks to list, newest first.
#[derive(Clone, Debug)]
pub struct BlockQuery {
    pub account_id: i64,
    pub block_type: BlockType,
    pub sender_address: Option<String>,
    pub address_key: Option<String>,
    pub from: UnixMicros,
    pub before: UnixMicros,
    /// What [`Store::blocks`] returned with the page before.
    pub after: Option<BlockToken>,
    pub limit: i64,
}

/// Where a page ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockToken {
    pub blocked_at: UnixMicros,
    pub address_key: String,
    pub sender_address: String,
}

/// Blocks a recipient, in the caller's transaction; `false` when the block was there already. After the commit the
/// caller says [`Store::invalid_library_changed`].
pub(crate) async fn block(connection: &mut AnyConnection, block: &Block) -> Result<bool> {
    // The account first: its row says that admission has to look.
    sqlx::query("UPDATE account SET blocks_recipients = 1 WHERE account_id = $1 AND blocks_recipients = 0")
        .bind(block.account_id)
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query(
        "INSERT INTO recipient_block (account_id, address_key, sender_address, block_type, address, blocked_at, sent_at, reasons) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
    )
    .bind(block.account_id)
    .bind(block.address_key.clone())
    .bind(block.sender_address.to_lowercase())
    .bind(block.block_type.as_str())
    .bind(block.address.clone())
    .bind(block.blocked_at.0)
    .bind(block.sent_at.0)
    .bind(block.reasons.0)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    sqlx::query(
        "UPDATE recipient_block SET reasons = reasons | $1 \
         WHERE account_id = $2 AND address_key = $3 AND sender_address = $4 AND block_type = $5",
    )
    .bind(block.reasons.0)
    .bind(block.account_id)
    .bind(block.address_key.clone())
    .bind(block.sender_address.to_lowercase())
    .bind(block.block_type.as_str())
    .execute(&mut *connection)
    .await?;
    Ok(false)
}

/// The block that follows from what the recipient of a mail says of it; `None`: there is no such mail. The sender
/// address is the registered one, also where the mail showed a random address of its domain.
pub(crate) async fn block_for_mail(
    connection: &mut AnyConnection,
    key: MailKey,
    block_type: BlockType,
    reasons: BlockReasons,
    now: UnixMicros,
) -> Result<Option<Block>> {
    let row = sqlx::query(
        "SELECT r.address, r.address_key, m.mail_from, m.accepted_at, s.address FROM recipient r \
         JOIN message m ON m.account_id = r.account_id AND m.message_id = r.message_id \
         LEFT JOIN sender s ON s.account_id = m.account_id AND s.sender_id = m.sender_id \
         WHERE r.account_id = $1 AND r.message_id = $2 AND r.number = $3",
    )
    .bind(key.account_id)
    .bind(key.message_id)
    .bind(key.number)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let registered = row.try_get::<Option<String>, _>(4)?;
    let sender_address = match registered {
        Some(address) if !address.starts_with(DOMAIN_WIDE_LOCAL_PART) => address,
        _ => row.try_get(2)?,
    };
    Ok(Some(Block {
        account_id: key.account_id,
        block_type,
        sender_address: sender_address.to_lowercase(),
        address: row.try_get(0)?,
        address_key: row.try_get(1)?,
        blocked_at: now,
        sent_at: UnixMicros(row.try_get(3)?),
        reasons,
    }))
}

impl Store {
    /// Blocks a recipient; `false` when the block was there already.
    pub async fn block(&self, new: &Block) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let is_new = block(&mut transaction, new).await?;
        transaction.commit().await?;
        self.invalid_library_changed();
        Ok(is_new)
    }

    /// Blocks the recipient of a mail by its sender address, because of what the recipient said of it. `None`: there
    /// is no such mail; else whether the block is new.
    pub async fn block_recipient_of(
        &self,
        key: MailKey,
        block_type: BlockType,
        reasons: BlockReasons,
    ) -> Result<Option<bool>> {
        let mut transaction = self.begin().await?;
        let wanted = block_for_mail(&mut transaction, key, block_type, reasons, self.now()).await?;
        let Some(new) = wanted else { return Ok(None) };
        let is_new = block(&mut transaction, &new).await?;
        transaction.commit().await?;
        self.invalid_library_changed();
        Ok(Some(is_new))
    }

    /// A page of blocks, newest first, and where the next page begins, if there is one.
    pub async fn blocks(&self, query: &BlockQuery) -> Result<(Vec<Block>, Option<BlockToken>)> {
        let mut sql =
            "SELECT sender_address, address, address_key, blocked_at, sent_at, reasons FROM recipient_block \
             WHERE account_id = $1 AND block_type = $2 AND blocked_at >= $3 AND blocked_at < $4"
                .to_owned();
        let mut texts = Vec::new();
        for (column, text) in [("sender_address", &query.sender_address), ("address_key", &query.address_key)]
        {
            if let Some(text) = text {
                texts.push(text.to_lowercase());
                sql.push_str(&format!(" AND {column} = ${}", texts.len() + 4));
            }
        }
        let next = texts.len() + 5;
        if let Some(after) = &query.after {
            // Spelled out: SQLite makes a scan of a comparison of rows with mixed order.
            sql.push_str(&format!(
                " AND (blocked_at < ${next} OR (blocked_at = ${} AND (address_key > ${} OR (address_key = ${} AND sender_address > ${}))))",
                next + 1,
                next + 2,
                next + 3,
                next + 4
            ));
            texts.extend([
                after.address_key.clone(),
                after.address_key.clone(),
                after.sender_address.clone(),
            ]);
        }
        let limit = query.limit.clamp(1, 1_000);
        sql.push_str(&format!(" ORDER BY blocked_at DESC, address_key, sender_address LIMIT {}", limit + 1));
        let mut bound = sqlx::query(AssertSqlSafe(sql))
            .bind(query.account_id)
            .bind(query.block_type.as_str())
            .bind(query.from.0)
            .bind(query.before.0);
        for (place, text) in texts.into_iter().enumerate() {
            if let (Some(after), true) = (&query.after, place + 5 == next) {
                bound = bound.bind(after.blocked_at.0).bind(after.blocked_at.0);
            }
            bound = bound.bind(text);
        }
        let rows = bound.fetch_all(self.read()).await?;
        let has_more = rows.len() as i64 > limit;
        let rows = rows.iter().take(limit as usize);
        let blocks: Vec<Block> = rows.map(|row| block_of(query, row)).collect::<Result<_>>()?;
        let next = blocks.last().filter(|_| has_more).map(|last| BlockToken {
            blocked_at: last.blocked_at,
            address_key: last.address_key.clone(),
            sender_address: last.sender_address.clone(),
        });
        Ok((blocks, next))
    }

    /// Lifts a block. `false`: there was none.
    pub async fn unblock(
        &self,
        account_id: i64,
        block_type: BlockType,
        sender_address: &str,
        address_key: &str,
        actor: &Actor,
    ) -> Result<bool> {
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "DELETE FROM recipient_block WHERE account_id = $1 AND address_key = $2 AND sender_address = $3 AND block_type = $4",
        )
        .bind(account_id)
        .bind(address_key.to_owned())
        .bind(sender_address.to_lowercase())
        .bind(block_type.as_str())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let detail = format!("{} of {address_key} by {sender_address}", block_type.as_str());
        let deed = Deed { audit_id, actor, account_id: Some(account_id), action: "unblock", detail };
        deed.note(&mut transaction, self.now()).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

fn block_of(query: &BlockQuery, row: &AnyRow) -> Result<Block> {
    Ok(Block {
        account_id: query.account_id,
        block_type: query.block_type,
        sender_address: row.try_get(0)?,
        address: row.try_get(1)?,
        address_key: row.try_get(2)?,
        blocked_at: UnixMicros(row.try_get(3)?),
        sent_at: UnixMicros(row.try_get(4)?),
        reasons: BlockReasons(row.try_get(5)?),
    })
}
