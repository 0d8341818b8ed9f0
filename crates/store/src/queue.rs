//! What waits for delivery: claims, hand-backs, and what operators do to it.
//!
//! A row with `lease_node = 0` is free from its `due_at` on. Claiming sets the node; the lease lasts while the
//! node lives (see [`crate::node`]). Delivery ends it by committing an outcome or by giving the row back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use indicia_domain::mail::State;
use indicia_domain::quota::evidence::Counts;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::{Bulk, filled, in_dialect};
use crate::dedicated_ip::{Place, give_places_back, take_places};
use crate::evidence::{Counted, Tally, provider_of};
use crate::reversal::Reversing;
use crate::{Engine, Result, Store};

/// A message with the recipients that one claim (or one acceptance) hands to this node.
#[derive(Clone, Debug)]
pub struct QueuedMail {
    pub account_id: i64,
    pub message_id: i64,
    pub sender_id: i64,
    pub domain_id: i64,
    /// Empty: none.
    pub tag: Arc<str>,
    /// The local day of acceptance, under which outcomes are counted.
    pub day: i64,
    pub accepted_at: UnixMicros,
    pub size_bytes: usize,
    /// Recipients of the whole message.
    pub recipient_count: usize,
    /// Present when it was just accepted; else load it with [`Store::content`] when it is about to be sent.
    pub content: Option<Bytes>,
    pub recipients: Vec<QueuedRecipient>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedRecipient {
    pub number: i64,
    pub address: String,
    /// In the form that DNS takes.
    pub domain: String,
    /// Attempts made before.
    pub attempts: i64,
    /// The dedicated address that it goes out by; without one, a shared address.
    pub place: Option<Place>,
}

/// Names one recipient's mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MailKey {
    pub account_id: i64,
    pub message_id: i64,
    pub number: i64,
}

/// A leased mail given back without an attempt.
#[derive(Clone, Debug)]
pub struct HandBack {
    pub key: MailKey,
    pub due_at: UnixMicros,
    /// For people: why it waits ("the connections to mx1.example.net failed; next try …").
    pub reason: String,
    /// The place at a dedicated address that is given back with it.
    pub place: Option<Place>,
}

/// One row of the queue, for people.
#[derive(Clone, Debug)]
pub struct QueueEntry {
    pub key: MailKey,
    pub address: String,
    pub domain: String,
    pub accepted_at: UnixMicros,
    pub due_at: UnixMicros,
    pub attempts: i64,
    pub in_delivery: bool,
    pub reason: String,
}

/// What came of a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// So many mails were withdrawn and their charges reversed.
    Mails(i64),
    /// No mail of the message waits untried: each was attempted, is being delivered, or is done.
    NothingToCancel,
    NotFound,
}

static HAND_BACK: Bulk = Bulk::new(
    "INSERT INTO queue (account_id, message_id, number, due_at, reason, domain, lease_node, attempts, accepted_at, size_bytes) VALUES",
    "($, $, $, $, $, '', 0, 0, 0, 0)",
    "ON CONFLICT (account_id, message_id, number) DO UPDATE SET lease_node = 0, due_at = excluded.due_at, reason = excluded.reason",
);

static LEASE: Bulk = Bulk::new(
    "INSERT INTO queue (account_id, message_id, number, lease_node, due_at, reason, domain, attempts, accepted_at, size_bytes) VALUES",
    "($, $, $, $, 0, '', '', 0, 0, 0)",
    "ON CONFLICT (account_id, message_id, number) DO UPDATE SET lease_node = excluded.lease_node",
);

impl Store {
    /// Leases due mails to this node: at most `recipients` of them, and about `bytes` of content. They come
    /// grouped by message and without content.
    pub async fn claim(&self, recipients: i64, bytes: i64) -> Result<Vec<QueuedMail>> {
        let node = self.node_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let sql = format!(
            "SELECT q.account_id, q.message_id, q.number, q.domain, q.attempts, q.accepted_at, q.size_bytes, \
             r.address, m.sender_id, m.domain_id, m.day, m.recipient_count, m.ip_pool_id, m.tag \
             FROM queue q \
             JOIN recipient r ON r.account_id = q.account_id AND r.message_id = q.message_id AND r.number = q.number \
             JOIN message m ON m.account_id = q.account_id AND m.message_id = q.message_id \
             WHERE q.lease_node = 0 AND q.due_at <= $1 ORDER BY q.due_at LIMIT $2{}",
            self.engine().for_update_skip_locked()
        );
        let rows =
            sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(recipients).fetch_all(&mut *transaction).await?;
        let mut mails: Vec<QueuedMail> = Vec::new();
        let mut places: HashMap<(i64, i64), usize> = HashMap::new();
        let (mut keys, mut pools) = (Vec::new(), Vec::new());
        let mut taken = 0;
        for row in &rows {
            let claimed = Claimed::read(row)?;
            let place = places.get(&(claimed.key.account_id, claimed.key.message_id)).copied();
            if place.is_none() {
                if taken > 0 && taken + claimed.size_bytes > bytes {
                    break;
                }
                taken += claimed.size_bytes;
            }
            keys.push(claimed.key);
            let place = place.unwrap_or_else(|| {
                places.insert((claimed.key.account_id, claimed.key.message_id), mails.len());
                mails.push(claimed.mail);
                pools.push(claimed.pool_id);
                mails.len() - 1
            });
            mails[place].recipients.push(claimed.recipient);
        }
        take_places(self, &mut transaction, now, &mut mails, &pools).await?;
        lease(&mut transaction, &keys, node).await?;
        if let Err(error) = transaction.commit().await {
            // The commit may have happened though its answer was lost: what nobody holds must not stay leased.
            if let Err(error) = self.free_own_leases(&keys, node).await {
                tracing::error!(%error, mails = keys.len(), "mails may stay leased to this node until it restarts");
            }
            return Err(error.into());
        }
        Ok(mails)
    }

    /// Frees mails that are leased to `node` but that nobody holds.
    pub(crate) async fn free_own_leases(&self, keys: &[MailKey], node: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        for key in keys {
            sqlx::query(
                "UPDATE queue SET lease_node = 0 \
                 WHERE account_id = $1 AND message_id = $2 AND number = $3 AND lease_node = $4",
            )
            .bind(key.account_id)
            .bind(key.message_id)
            .bind(key.number)
            .bind(node)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// When the next free mail is due, if any waits.
    pub async fn next_due(&self) -> Result<Option<UnixMicros>> {
        let row =
            sqlx::query("SELECT MIN(due_at) FROM queue WHERE lease_node = 0").fetch_one(self.read()).await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(UnixMicros))
    }

    /// The content of a message that still waits for some recipient.
    pub async fn content(&self, account_id: i64, message_id: i64) -> Result<Option<Bytes>> {
        let row = sqlx::query("SELECT bytes FROM content WHERE account_id = $1 AND message_id = $2")
            .bind(account_id)
            .bind(message_id)
            .fetch_optional(self.read())
            .await?;
        Ok(row.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose()?.map(Bytes::from))
    }

    /// Gives leased mails back; no attempt is counted.
    pub async fn hand_back(&self, mails: &[HandBack]) -> Result<()> {
        if mails.is_empty() {
            return Ok(());
        }
        let node = self.node_id().await?;
        let mut transaction = self.begin().await?;
        // A mail whose lease another took is the other's now.
        let keys: Vec<_> = mails.iter().map(|mail| mail.key).collect();
        let held = held_leases(self.engine(), &mut transaction, &keys, node).await?;
        let held: Vec<_> = mails.iter().filter(|mail| held.contains(&mail.key)).collect();
        HAND_BACK
            .run(&mut transaction, &held, |query, mail| {
                query
                    .bind(mail.key.account_id)
                    .bind(mail.key.message_id)
                    .bind(mail.key.number)
                    .bind(mail.due_at.0)
                    .bind(mail.reason.clone())
            })
            .await?;
        give_places_back(&mut transaction, &held).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// How many recipients wait, and how many of them are due.
    pub async fn queue_length(&self) -> Result<(i64, i64)> {
        let row = sqlx::query(
            "SELECT COUNT(*), COUNT(CASE WHEN due_at <= $1 OR lease_node <> 0 THEN 1 END) FROM queue",
        )
        .bind(self.now().0)
        .fetch_one(self.read())
        .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// What waits, the longest waiting first; of one account, of one message, or all.
    pub async fn queue_entries(
        &self,
        account_id: Option<i64>,
        message_id: Option<i64>,
        limit: i64,
    ) -> Result<Vec<QueueEntry>> {
        let rows = sqlx::query(
            "SELECT q.account_id, q.message_id, q.number, r.address, q.domain, q.accepted_at, q.due_at, q.attempts, q.lease_node, q.reason \
             FROM queue q JOIN recipient r ON r.account_id = q.account_id AND r.message_id = q.message_id AND r.number = q.number \
             WHERE (q.account_id = $1 OR $2 = 0) AND (q.message_id = $3 OR $4 = 0) ORDER BY q.accepted_at, q.message_id, q.number LIMIT $5",
        )
        .bind(account_id.unwrap_or(0))
        .bind(account_id.unwrap_or(0))
        .bind(message_id.unwrap_or(0))
        .bind(message_id.unwrap_or(0))
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(QueueEntry {
                    key: MailKey {
                        account_id: row.try_get(0)?,
                        message_id: row.try_get(1)?,
                        number: row.try_get(2)?,
                    },
                    address: row.try_get(3)?,
                    domain: row.try_get(4)?,
                    accepted_at: UnixMicros(row.try_get(5)?),
                    due_at: UnixMicros(row.try_get(6)?),
                    attempts: row.try_get(7)?,
                    in_delivery: row.try_get::<i64, _>(8)? != 0,
                    reason: row.try_get(9)?,
                })
            })
            .collect()
    }

    /// Makes what waits of a message due now. Returns how many mails.
    pub async fn retry_now(&self, account_id: i64, message_id: i64, by: &str) -> Result<u64> {
        let event_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE queue SET due_at = $1, reason = 'made due by hand' WHERE account_id = $2 AND message_id = $3 AND lease_node = 0")
            .bind(self.now().0)
            .bind(account_id)
            .bind(message_id)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            record_event(&mut transaction, (account_id, message_id, event_id), self.now(), "retry", by)
                .await?;
        }
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// R03: withdraws what of a message has not been attempted, and reverses its charge, last source first.
    pub async fn cancel(&self, account_id: i64, message_id: i64, by: &str) -> Result<Cancelled> {
        let event_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        // Nobody paid for the installation's own mail: there is no account, and nothing to give back.
        let mut account = Reversing::load(self, &mut transaction, account_id).await?;
        let message = sqlx::query(
            "SELECT accepted_at, sender_id, day, domain_id, tag FROM message WHERE account_id = $1 AND message_id = $2",
        )
        .bind(account_id)
        .bind(message_id)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(message) = message else { return Ok(Cancelled::NotFound) };
        let accepted_at = UnixMicros(message.try_get(0)?);
        let sql = "DELETE FROM queue WHERE account_id = $1 AND message_id = $2 AND lease_node = 0 AND attempts = 0 RETURNING number";
        let rows = sqlx::query(sql).bind(account_id).bind(message_id).fetch_all(&mut *transaction).await?;
        if rows.is_empty() {
            return Ok(Cancelled::NothingToCancel);
        }
        let mails = rows.len() as i64;
        let reply = match &mut account {
            Some(account) => {
                let memo = "cancelled before the first attempt";
                account.reverse(&mut transaction, message_id, accepted_at, mails, memo).await?;
                "cancelled before its first attempt; its charge was reversed"
            }
            None => "cancelled before its first attempt; it was charged to nobody",
        };
        let mut tally = Tally::default();
        let (sender_id, day, domain_id): (i64, i64, i64) =
            (message.try_get(1)?, message.try_get(2)?, message.try_get(3)?);
        let tag: String = message.try_get(4)?;
        for row in &rows {
            let updated = sqlx::query(
                "UPDATE recipient SET state = $1, reply = $2, updated_at = $3 WHERE account_id = $4 AND message_id = $5 AND number = $6 \
                 RETURNING address",
            )
            .bind(State::Cancelled as i64)
            .bind(reply)
            .bind(self.now().0)
            .bind(account_id)
            .bind(message_id)
            .bind(row.try_get::<i64, _>(0)?)
            .fetch_one(&mut *transaction)
            .await?;
            let provider = provider_of(&updated.try_get::<String, _>(0)?);
            let counted = Counted { account_id, domain_id, sender_id, tag: &tag, provider, day, accepted_at };
            // Not as evidence: that a mail was accepted was known then, and does not change.
            tally.add_to_day(&counted, &Counts { accepted: -1, ..Counts::default() });
        }
        // Content before counts, as outcomes lock them, so that the two never wait in a circle.
        drop_content_without_queue(self.engine(), &mut transaction, &[(account_id, message_id)]).await?;
        tally.write(&mut transaction).await?;
        record_event(&mut transaction, (account_id, message_id, event_id), self.now(), "cancel", by).await?;
        transaction.commit().await?;
        Ok(Cancelled::Mails(mails))
    }
}

struct Claimed {
    key: MailKey,
    size_bytes: i64,
    pool_id: i64,
    mail: QueuedMail,
    recipient: QueuedRecipient,
}

impl Claimed {
    fn read(row: &AnyRow) -> Result<Claimed> {
        let key =
            MailKey { account_id: row.try_get(0)?, message_id: row.try_get(1)?, number: row.try_get(2)? };
        let size_bytes: i64 = row.try_get(6)?;
        Ok(Claimed {
            key,
            size_bytes,
            pool_id: row.try_get(12)?,
            recipient: QueuedRecipient {
                number: key.number,
                domain: row.try_get(3)?,
                attempts: row.try_get(4)?,
                address: row.try_get(7)?,
                place: None,
            },
            mail: QueuedMail {
                account_id: key.account_id,
                message_id: key.message_id,
                sender_id: row.try_get(8)?,
                domain_id: row.try_get(9)?,
                tag: row.try_get::<String, _>(13)?.into(),
                day: row.try_get(10)?,
                accepted_at: UnixMicros(row.try_get(5)?),
                size_bytes: usize::try_from(size_bytes).unwrap_or(0),
                recipient_count: usize::try_from(row.try_get::<i64, _>(11)?).unwrap_or(0),
                content: None,
                recipients: Vec::new(),
            },
        })
    }
}

async fn lease(connection: &mut AnyConnection, keys: &[MailKey], node: i64) -> Result<()> {
    LEASE
        .run(connection, keys, |query, key| {
            query.bind(key.account_id).bind(key.message_id).bind(key.number).bind(node)
        })
        .await?;
    Ok(())
}

/// Which of `keys` are still leased to this node, locked until the transaction ends: from others it may have been
/// taken while it slept, or its commit may have happened though its answer was lost.
pub(crate) async fn held_leases(
    engine: Engine,
    connection: &mut AnyConnection,
    keys: &[MailKey],
    node: i64,
) -> Result<HashSet<MailKey>> {
    const SIZE: usize = 32;
    let mut held = HashSet::with_capacity(keys.len());
    let rows: Vec<_> = (0..SIZE)
        .map(|row| {
            let first = row * 3 + 2;
            format!("(account_id = ${first} AND message_id = ${} AND number = ${})", first + 1, first + 2)
        })
        .collect();
    let sql = format!(
        "SELECT account_id, message_id, number FROM queue WHERE lease_node + 0 = $1 AND ({}) \
         ORDER BY account_id, message_id, number{}",
        rows.join(" OR "),
        engine.for_update()
    );
    let sql = in_dialect(connection.backend_name(), sql);
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    for chunk in filled(&sorted, SIZE) {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(node);
        let query = chunk
            .iter()
            .fold(query, |query, key| query.bind(key.account_id).bind(key.message_id).bind(key.number));
        for row in query.fetch_all(&mut *connection).await? {
            held.insert(MailKey {
                account_id: row.try_get(0)?,
                message_id: row.try_get(1)?,
                number: row.try_get(2)?,
            });
        }
    }
    Ok(held)
}

/// Drops the content of messages that no recipient waits for any more; `messages` in their order.
///
/// On PostgreSQL two nodes may end the last two recipients of a message at once, each still seeing the other's row.
/// Locking the content first makes the second wait, and its next statement sees what the first has done.
pub(crate) async fn drop_content_without_queue(
    engine: Engine,
    connection: &mut AnyConnection,
    messages: &[(i64, i64)],
) -> Result<()> {
    for (account_id, message_id) in messages {
        if engine == Engine::Postgres {
            sqlx::query("SELECT 1 FROM content WHERE account_id = $1 AND message_id = $2 FOR UPDATE")
                .bind(*account_id)
                .bind(*message_id)
                .fetch_optional(&mut *connection)
                .await?;
        }
        sqlx::query(
            "DELETE FROM content WHERE account_id = $1 AND message_id = $2 \
             AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.account_id = $3 AND q.message_id = $4)",
        )
        .bind(*account_id)
        .bind(*message_id)
        .bind(*account_id)
        .bind(*message_id)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn record_event(
    connection: &mut AnyConnection,
    key: (i64, i64, i64),
    at: UnixMicros,
    kind: &str,
    detail: &str,
) -> Result<()> {
    sqlx::query("INSERT INTO message_event (account_id, message_id, event_id, at, kind, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(key.0)
        .bind(key.1)
        .bind(key.2)
        .bind(at.0)
        .bind(kind.to_owned())
        .bind(detail.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}
