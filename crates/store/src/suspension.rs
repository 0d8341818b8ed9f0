//! Mail that is held in the queue: of an account, to a domain, or both. Operators hold it, and a pause of an account's
//! sending does (R22): what it has in the queue must not go on spoiling the addresses that others share.
//!
//! Held mail is neither attempted nor failed for its age; it waits with its reason. Delivery reads the list once a
//! second and gives back what it holds in memory. Where a claim brings much that is held, the rest is put off with one
//! statement: a hundred thousand held mails, claimed and given back by the hundred, would keep everybody else's
//! waiting for a minute. When a suspension ends, what waited for it is due at once.

use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::{Actor, Deed};
use crate::bulk::AnyQuery;
use crate::{Result, Store, StoreError};

/// What is held.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// `None`: of every account.
    pub account_id: Option<i64>,
    /// In the form that DNS takes; `None`: to every domain.
    pub domain: Option<String>,
}

impl Held {
    pub fn covers(&self, account_id: i64, domain: &str) -> bool {
        self.account_id.is_none_or(|held| held == account_id)
            && self.domain.as_deref().is_none_or(|held| held == domain)
    }
}

/// `account 5's mail to example.net`
impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.account_id {
            Some(account_id) => write!(f, "mail of account {account_id}")?,
            None => f.write_str("mail of every account")?,
        }
        match &self.domain {
            Some(domain) => write!(f, " to {domain}"),
            None => Ok(()),
        }
    }
}

/// A suspension, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    pub held: Held,
    pub since: UnixMicros,
    /// As [`Actor`] prints itself.
    pub by: String,
    pub reason: String,
    /// R22: it is there because the account's sending is paused, and ends with the pause.
    pub is_pause: bool,
}

impl Suspension {
    /// What the queue shows as the reason of mail that waits for it.
    pub fn queue_reason(&self) -> String {
        format!("{HELD}{}: {}", self.held, self.reason)
    }
}

/// Why nothing was held.
#[derive(Debug, thiserror::Error)]
pub enum SuspendError {
    #[error("name an account or a domain: to hold all mail, stop the server")]
    Everything,
    #[error("{0} is not suspended")]
    NotSuspended(Held),
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SuspendError {
    fn from(error: sqlx::Error) -> Self {
        SuspendError::Store(error.into())
    }
}

/// What the reason of a held row of the queue begins with.
pub const HELD: &str = "held: ";

impl Store {
    /// What is held now: by operators, and of paused accounts.
    pub async fn suspensions(&self) -> Result<Vec<Suspension>> {
        let rows = sqlx::query(
            "SELECT account_id, domain, at, actor, reason FROM suspension ORDER BY at, account_id, domain",
        )
        .fetch_all(self.read())
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let (account_id, domain): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
            found.push(Suspension {
                held: Held {
                    account_id: (account_id != 0).then_some(account_id),
                    domain: (!domain.is_empty()).then_some(domain),
                },
                since: UnixMicros(row.try_get(2)?),
                by: row.try_get(3)?,
                reason: row.try_get(4)?,
                is_pause: false,
            });
        }
        let rows = sqlx::query(
            "SELECT account_id, paused_at, pause_by, pause_reason FROM account_state WHERE paused_at IS NOT NULL ORDER BY account_id",
        )
        .fetch_all(self.read())
        .await?;
        for row in &rows {
            let reason: String = row.try_get(3)?;
            found.push(Suspension {
                held: Held { account_id: Some(row.try_get(0)?), domain: None },
                since: UnixMicros(row.try_get(1)?),
                by: row.try_get(2)?,
                reason: format!("the account's sending is paused: {reason}"),
                is_pause: true,
            });
        }
        Ok(found)
    }

    /// Holds mail in the queue from now on. `false`: it was held already; the reason is the new one.
    pub async fn suspend(&self, held: &Held, reason: &str, actor: &Actor) -> Result<bool, SuspendError> {
        if held.account_id.is_none() && held.domain.is_none() {
            return Err(SuspendError::Everything);
        }
        if let Some(account_id) = held.account_id
            && self.account(account_id).await?.is_none()
        {
            return Err(SuspendError::NoAccount(account_id));
        }
        let audit_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let known = sqlx::query("SELECT 1 FROM suspension WHERE account_id = $1 AND domain = $2")
            .bind(held.account_id.unwrap_or(0))
            .bind(held.domain.clone().unwrap_or_default())
            .fetch_optional(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO suspension (account_id, domain, at, actor, reason) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account_id, domain) DO UPDATE SET reason = excluded.reason, actor = excluded.actor",
        )
        .bind(held.account_id.unwrap_or(0))
        .bind(held.domain.clone().unwrap_or_default())
        .bind(now.0)
        .bind(actor.to_string())
        .bind(reason.to_owned())
        .execute(&mut *transaction)
        .await?;
        let detail = format!("{held}: {reason}");
        let deed = Deed { audit_id, actor, account_id: held.account_id, action: "suspend-queue", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(known.is_none())
    }

    /// Ends a suspension. Returns how many mails are due at once by it.
    pub async fn resume(&self, held: &Held, actor: &Actor) -> Result<u64, SuspendError> {
        let audit_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM suspension WHERE account_id = $1 AND domain = $2")
            .bind(held.account_id.unwrap_or(0))
            .bind(held.domain.clone().unwrap_or_default())
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(SuspendError::NotSuspended(held.clone()));
        }
        let mails = wake_held(&mut transaction, held, now).await?;
        let detail = format!("{held}: {mails} mails are due at once");
        let deed = Deed { audit_id, actor, account_id: held.account_id, action: "resume-queue", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(mails)
    }
}

impl Store {
    /// Puts off until `until` all mail in the queue that is due and covered by a suspension, if that is still in force.
    /// Returns how many mails.
    pub async fn put_off_held(&self, suspension: &Suspension, until: UnixMicros) -> Result<u64> {
        let now = self.now();
        let mut transaction = self.begin().await?;
        if !self.is_in_force(&mut transaction, suspension).await? {
            return Ok(0);
        }
        let (condition, held) = (covered("$4", "$5", &suspension.held), &suspension.held);
        let sql = format!(
            "UPDATE queue SET due_at = $1, reason = $2 WHERE lease_node = 0 AND due_at <= $3{condition}"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(until.0).bind(suspension.queue_reason()).bind(now.0);
        let done = bind_covered(query, held).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }

    /// Makes due what still waits for a suspension, if that has ended meanwhile: mail that a node gave back while it did
    /// not know of the end yet.
    pub async fn wake_after(&self, suspension: &Suspension) -> Result<u64> {
        let now = self.now();
        let mut transaction = self.begin().await?;
        if self.is_in_force(&mut transaction, suspension).await? {
            return Ok(0);
        }
        let mails = wake_held(&mut transaction, &suspension.held, now).await?;
        transaction.commit().await?;
        Ok(mails)
    }

    /// Locks what says that it is, so that who ends the suspension makes due afterwards what is put off now.
    async fn is_in_force(&self, connection: &mut AnyConnection, suspension: &Suspension) -> Result<bool> {
        let (held, for_update) = (&suspension.held, self.engine().for_update());
        let row = if suspension.is_pause {
            let sql = format!(
                "SELECT 1 FROM account_state WHERE account_id = $1 AND paused_at IS NOT NULL{for_update}"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(held.account_id.unwrap_or(0));
            query.fetch_optional(connection).await?
        } else {
            let sql = format!("SELECT 1 FROM suspension WHERE account_id = $1 AND domain = $2{for_update}");
            let query = sqlx::query(AssertSqlSafe(sql)).bind(held.account_id.unwrap_or(0));
            query.bind(held.domain.clone().unwrap_or_default()).fetch_optional(connection).await?
        };
        Ok(row.is_some())
    }
}

/// The condition that a row of the queue is covered, with the next two placeholders. A text for each case: with "any
/// account or this one" no engine would look the account's rows up by their key.
fn covered(first: &str, second: &str, held: &Held) -> String {
    match (held.account_id.is_some(), held.domain.is_some()) {
        (true, true) => format!(" AND account_id = {first} AND domain = {second}"),
        (true, false) => format!(" AND account_id = {first}"),
        (false, true) => format!(" AND domain = {first}"),
        (false, false) => String::new(),
    }
}

/// Binds the values of [`covered`].
fn bind_covered<'q>(query: AnyQuery<'q>, held: &Held) -> AnyQuery<'q> {
    let query = held.account_id.into_iter().fold(query, |query, account_id| query.bind(account_id));
    held.domain.clone().into_iter().fold(query, |query, domain| query.bind(domain))
}

/// Makes due what waits only because it was held. What another suspension still holds goes back again.
pub(crate) async fn wake_held(connection: &mut AnyConnection, held: &Held, now: UnixMicros) -> Result<u64> {
    let sql = format!(
        "UPDATE queue SET due_at = $1 WHERE lease_node = 0 AND due_at > $2 AND reason LIKE 'held: %'{}",
        covered("$3", "$4", held)
    );
    let query = sqlx::query(AssertSqlSafe(sql)).bind(now.0).bind(now.0);
    Ok(bind_covered(query, held).execute(connection).await?.rows_affected())
}
