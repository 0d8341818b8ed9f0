//! What is due, handed over: for one account and channel at a time, in one transaction with the notices' state.

use indicia_domain::ledger::package::PackageStatus;
use indicia_domain::notice::{Channel, NoticeKind};
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{NoticeFacts, OutboundSms, StationMessage, sms, station};
use crate::account::Account;
use crate::admission::{Submission, enqueue_unpaid};
use crate::contact::{Contact, contact_of};
use crate::package::{PackageRow, one_package};
use crate::{Result, Store, StoreError};

/// From whom notices by e-mail come: a sender of the installation itself, whose mail nobody is charged for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemSender {
    pub domain_id: i64,
    pub sender_id: i64,
    /// As in the From header.
    pub address: String,
}

/// A mail of the installation itself.
#[derive(Clone, Debug)]
pub struct SystemMail {
    pub submission: Submission,
}

/// A notice that is due and still worth saying.
#[derive(Clone, Debug)]
pub struct DueNotice {
    pub key: String,
    pub lead_days: i64,
    pub due_at: UnixMicros,
    /// No longer worth saying from then on.
    pub until_at: UnixMicros,
    pub facts: NoticeFacts,
    /// The package it is about, as it is now.
    pub package: Option<PackageRow>,
}

/// Notices that share one message: of one account, channel and kind.
#[derive(Clone, Debug)]
pub struct Handover {
    pub account: Account,
    pub contact: Contact,
    pub channel: Channel,
    pub kind: NoticeKind,
    /// Not empty.
    pub notices: Vec<DueNotice>,
    /// The id of the message that carries them.
    pub dispatch_id: i64,
    pub now: UnixMicros,
}

/// What is handed over.
#[derive(Clone, Debug)]
pub enum Dispatch {
    Station {
        subject: String,
        body: String,
    },
    Email(Box<SystemMail>),
    Sms {
        text: String,
    },
    /// The channel is not there; nothing will be sent, for this reason.
    Skip(&'static str),
}

/// Notices of one account and channel that one transaction hands over at most.
const NOTICES_MAX: i64 = 500;

impl Store {
    /// Accounts and channels that have notices due, those after `after` in their order.
    pub async fn due_notices(
        &self,
        after: Option<(i64, Channel)>,
        limit: i64,
    ) -> Result<Vec<(i64, Channel)>> {
        let (account_id, channel) =
            after.map_or((i64::MIN, ""), |(account_id, channel)| (account_id, channel.as_str()));
        let rows = sqlx::query(
            "SELECT DISTINCT account_id, channel FROM notice WHERE state = 0 AND next_at <= $1 \
             AND (account_id > $2 OR (account_id = $3 AND channel > $4)) ORDER BY account_id, channel LIMIT $5",
        )
        .bind(self.now().0)
        .bind(account_id)
        .bind(account_id)
        .bind(channel)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let channel: String = row.try_get(1)?;
                let channel = channel
                    .parse()
                    .map_err(|_| StoreError::Corrupt(format!("channel of a notice '{channel}'")))?;
                Ok((row.try_get(0)?, channel))
            })
            .collect()
    }

    /// Since when the notice that has been due for longest waits; `None`: none is due.
    pub async fn oldest_due_notice(&self) -> Result<Option<UnixMicros>> {
        let row = sqlx::query("SELECT MIN(next_at) FROM notice WHERE state = 0 AND next_at <= $1")
            .bind(self.now().0)
            .fetch_one(self.read())
            .await?;
        Ok(row.try_get::<Option<i64>, _>(0)?.map(UnixMicros))
    }

    /// Hands over what is due of one account on one channel; `word` says it. Returns the messages made and the
    /// notices skipped.
    pub async fn hand_over_notices(
        &self,
        account_id: i64,
        channel: Channel,
        word: &(dyn Fn(&Handover) -> Dispatch + Send + Sync),
    ) -> Result<(u64, u64)> {
        // Ids inside the transaction come from memory: joining as a node writes, and SQLite has one writer.
        let node = self.node().await?;
        let Some(account) = self.account(account_id).await? else { return Ok((0, 0)) };
        let mut transaction = self.begin().await?;
        lock(self, &mut transaction, account_id).await?;
        let now = self.now();
        let Some(contact) = contact_of(&mut transaction, account_id).await? else { return Ok((0, 0)) };
        let (due, mut skipped) = take_due(&mut transaction, account_id, channel, now).await?;
        if let Err(reason) = contact.address(channel) {
            skipped.extend(due.into_iter().map(|notice| (notice.key, reason)));
            let count = skipped.len() as u64;
            skip(&mut transaction, account_id, channel, skipped, now).await?;
            transaction.commit().await?;
            return Ok((0, count));
        }
        let mut made = 0;
        for (kind, notices) in groups(due) {
            let (account, dispatch_id) = (account.clone(), node.ids.next(now));
            let handover =
                Handover { account, contact: contact.clone(), channel, kind, notices, dispatch_id, now };
            let dispatch = word(&handover);
            if let Dispatch::Skip(reason) = dispatch {
                skipped.extend(handover.notices.into_iter().map(|notice| (notice.key, reason)));
                continue;
            }
            hand_over(&mut transaction, &handover, dispatch).await?;
            made += 1;
        }
        let count = skipped.len() as u64;
        skip(&mut transaction, account_id, channel, skipped, now).await?;
        transaction.commit().await?;
        Ok((made, count))
    }
}

/// Packages that are due together share a message, those that lapsed too; anything else is said by itself.
fn groups(due: Vec<DueNotice>) -> Vec<(NoticeKind, Vec<DueNotice>)> {
    let mut groups: Vec<(NoticeKind, Vec<DueNotice>)> = Vec::new();
    for notice in due {
        let kind = notice.facts.kind();
        let shared = matches!(kind, NoticeKind::Expiry | NoticeKind::Lapsed);
        match groups.iter_mut().find(|(other, _)| shared && *other == kind) {
            Some((_, group)) => group.push(notice),
            None => groups.push((kind, vec![notice])),
        }
    }
    groups
}

async fn lock(store: &Store, connection: &mut AnyConnection, account_id: i64) -> Result<()> {
    let sql = format!("SELECT 1 FROM account_state WHERE account_id = $1{}", store.engine().for_update());
    sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(connection).await?;
    Ok(())
}

/// What is due and still worth saying, and what is not any more, with the reason.
async fn take_due(
    connection: &mut AnyConnection,
    account_id: i64,
    channel: Channel,
    now: UnixMicros,
) -> Result<(Vec<DueNotice>, Vec<(String, &'static str)>)> {
    let rows = sqlx::query(
        "SELECT notice_key, instance_id, lead_days, due_at, until_at, facts FROM notice \
         WHERE account_id = $1 AND channel = $2 AND state = 0 AND next_at <= $3 ORDER BY due_at, notice_key LIMIT $4",
    )
    .bind(account_id)
    .bind(channel.as_str())
    .bind(now.0)
    .bind(NOTICES_MAX)
    .fetch_all(&mut *connection)
    .await?;
    let money = Money::of(connection, account_id).await?;
    let (mut due, mut skipped) = (Vec::new(), Vec::new());
    for row in &rows {
        let (key, instance): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let facts = NoticeFacts::read(&row.try_get::<String, _>(5)?)?;
        let package = match instance.is_empty() {
            true => None,
            false => one_package(connection, account_id, &instance).await?,
        };
        let until: i64 = row.try_get(4)?;
        match moot(&facts, package.as_ref(), until, now).or_else(|| money.overtook(&facts)) {
            Some(reason) => skipped.push((key, reason)),
            None => due.push(DueNotice {
                key,
                lead_days: row.try_get(2)?,
                due_at: UnixMicros(row.try_get(3)?),
                until_at: UnixMicros(until),
                facts,
                package,
            }),
        }
    }
    Ok((due, skipped))
}

/// R14: why a notice is not worth saying any more.
fn moot(
    facts: &NoticeFacts,
    package: Option<&PackageRow>,
    until: i64,
    now: UnixMicros,
) -> Option<&'static str> {
    if *facts == NoticeFacts::Expiry {
        return match package.map(|row| row.package.status_at(now)) {
            None => Some("the package is gone"),
            Some(PackageStatus::Expired) => {
                Some("the service did not run between the due instant and the end")
            }
            Some(PackageStatus::Refunded | PackageStatus::Upgraded) => Some("the package was given back"),
            Some(PackageStatus::UsedUp) => Some("the package is used up"),
            Some(PackageStatus::Upcoming | PackageStatus::Available) => None,
        };
    }
    (now.0 >= until).then_some("the service did not run while it was worth saying")
}

/// An account's money at the hand-over, under its lock.
struct Money {
    is_overdue: bool,
    open_micros: i64,
    available_micros: i64,
}

impl Money {
    async fn of(connection: &mut AnyConnection, account_id: i64) -> Result<Money> {
        let row = sqlx::query(
            "SELECT overdue_since, open_micros, cash_micros, credit_limit_micros FROM account_state WHERE account_id = $1",
        )
        .bind(account_id)
        .fetch_one(connection)
        .await?;
        let (cash, limit): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
        Ok(Money {
            is_overdue: row.try_get::<Option<i64>, _>(0)?.is_some(),
            open_micros: row.try_get(1)?,
            available_micros: cash.saturating_add(limit),
        })
    }

    /// Why what was true when the notice was made is not any more: somebody paid in between.
    fn overtook(&self, facts: &NoticeFacts) -> Option<&'static str> {
        match facts {
            NoticeFacts::Overdue { .. } if !self.is_overdue => Some("it was paid before it was said"),
            NoticeFacts::CollectionAhead { available_micros, .. }
                if self.available_micros > *available_micros && self.available_micros >= self.open_micros =>
            {
                Some("money came in before it was said")
            }
            _ => None,
        }
    }
}

async fn hand_over(connection: &mut AnyConnection, handover: &Handover, dispatch: Dispatch) -> Result<()> {
    let account_id = handover.account.account_id;
    match dispatch {
        Dispatch::Station { subject, body } => {
            let message = StationMessage {
                message_id: handover.dispatch_id,
                at: handover.now,
                kind: handover.kind.as_str().to_owned(),
                subject,
                body,
                read_at: None,
            };
            station::insert(connection, account_id, &message).await?;
        }
        Dispatch::Email(mail) => enqueue_unpaid(connection, &mail.submission, handover.now).await?,
        Dispatch::Sms { text } => {
            let until = handover.notices.iter().map(|notice| notice.until_at).max();
            let text = OutboundSms {
                account_id,
                sms_id: handover.dispatch_id,
                phone: handover.contact.phone.clone(),
                text,
                attempts: 0,
                until_at: until.unwrap_or(handover.now.plus_micros(super::NEWS_MICROS)),
            };
            sms::insert(connection, &text, handover.now).await?;
        }
        Dispatch::Skip(_) => {}
    }
    for notice in &handover.notices {
        sqlx::query(
            "UPDATE notice SET state = 1, dispatch_id = $1, done_at = $2 WHERE account_id = $3 AND notice_key = $4 AND channel = $5",
        )
        .bind(handover.dispatch_id)
        .bind(handover.now.0)
        .bind(account_id)
        .bind(notice.key.clone())
        .bind(handover.channel.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

async fn skip(
    connection: &mut AnyConnection,
    account_id: i64,
    channel: Channel,
    skipped: Vec<(String, &'static str)>,
    now: UnixMicros,
) -> Result<()> {
    for (key, reason) in skipped {
        sqlx::query(
            "UPDATE notice SET state = 2, reason = $1, done_at = $2 WHERE account_id = $3 AND notice_key = $4 AND channel = $5",
        )
        .bind(reason)
        .bind(now.0)
        .bind(account_id)
        .bind(key)
        .bind(channel.as_str())
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}
