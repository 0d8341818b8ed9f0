//! Sending domains and sender addresses.

use indicia_domain::quota::review::Subject;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::quota::{add_warming, drop_warming};
use crate::setting::{Counted, next_counted_id};
use crate::{Result, Store, StoreError};

/// A DKIM key pair of a domain: RSA, the private key as PKCS#8 DER, the public one as base64 (the `p=` tag).
#[derive(Clone)]
pub struct DkimKey {
    pub selector: String,
    pub private_key: Vec<u8>,
    pub public_key: String,
}

impl std::fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DkimKey").field("selector", &self.selector).finish_non_exhaustive()
    }
}

/// A sending domain.
#[derive(Clone, Debug)]
pub struct Domain {
    pub account_id: i64,
    pub domain_id: i64,
    /// Lower case, A-labels.
    pub name: String,
    /// What the ownership TXT record must hold.
    pub ownership_token: String,
    /// The key that signs now.
    pub dkim: DkimKey,
    /// A new key that signs as soon as its record is found in DNS.
    pub next_dkim: Option<DkimKey>,
    pub checks: DomainChecks,
    /// May send: ownership proved by DNS, or an operator's word.
    pub verified: bool,
    pub operator_verified_at: Option<UnixMicros>,
    pub checked_at: Option<UnixMicros>,
    /// argon2id of the SMTP password for every address of the domain.
    pub password_hash: Option<String>,
    pub created_at: UnixMicros,
}

/// What DNS said when it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DomainChecks {
    pub ownership: bool,
    pub spf: bool,
    pub dkim: bool,
    pub dmarc: bool,
    pub mx: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendType {
    Batch,
    Trigger,
}

impl SendType {
    pub fn as_str(self) -> &'static str {
        match self {
            SendType::Batch => "batch",
            SendType::Trigger => "trigger",
        }
    }
}

/// A sender address.
#[derive(Clone, Debug)]
pub struct Sender {
    pub account_id: i64,
    pub sender_id: i64,
    pub domain_id: i64,
    /// Lower case.
    pub address: String,
    pub send_type: SendType,
    /// Empty: none.
    pub reply_address: String,
    pub password_hash: Option<String>,
    pub frozen: bool,
    pub created_at: UnixMicros,
    /// Of the domain.
    pub domain_name: String,
    pub domain_verified: bool,
    pub domain_password_hash: Option<String>,
}

/// Why a name could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("it already exists")]
    Exists,
    #[error("the limit of {0} is reached")]
    Limit(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RegisterError {
    fn from(error: sqlx::Error) -> Self {
        let error = StoreError::from(error);
        if error.is_unique_violation() { RegisterError::Exists } else { RegisterError::Store(error) }
    }
}

/// Why a domain could not be marked as verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("the account has no such domain; register it first")]
    NotFound,
    #[error("another account has already proved that the domain is theirs")]
    ElsewhereVerified,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for VerifyError {
    fn from(error: sqlx::Error) -> Self {
        let error = StoreError::from(error);
        if error.is_unique_violation() { VerifyError::ElsewhereVerified } else { VerifyError::Store(error) }
    }
}

const DOMAIN: &str = "SELECT account_id, domain_id, name, ownership_token, dkim_selector, dkim_private_key, dkim_public_key, \
    next_dkim_selector, next_dkim_private_key, next_dkim_public_key, ownership_ok, spf_ok, dkim_ok, dmarc_ok, mx_ok, \
    verified, operator_verified_at, checked_at, password_hash, created_at FROM domain";

const SENDER: &str = "SELECT s.account_id, s.sender_id, s.domain_id, s.address, s.send_type, s.reply_address, s.password_hash, \
    s.frozen, s.created_at, d.name, d.verified, d.password_hash AS domain_password_hash \
    FROM sender s JOIN domain d ON d.account_id = s.account_id AND d.domain_id = s.domain_id";

impl Store {
    /// Registers a domain, not yet verified. At most `limit` for an account.
    pub async fn create_domain(
        &self,
        account_id: i64,
        name: &str,
        token: &str,
        dkim: &DkimKey,
        limit: i64,
    ) -> Result<i64, RegisterError> {
        let mut transaction = self.begin().await?;
        let domain_id = next_counted_id(&mut transaction, Counted::Directory).await?;
        let row = sqlx::query("SELECT COUNT(*) FROM domain WHERE account_id = $1")
            .bind(account_id)
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<i64, _>(0)? >= limit {
            return Err(RegisterError::Limit(limit));
        }
        sqlx::query(
            "INSERT INTO domain (account_id, domain_id, name, ownership_token, dkim_selector, dkim_private_key, dkim_public_key, \
             ownership_ok, spf_ok, dkim_ok, dmarc_ok, mx_ok, verified, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, 0, 0, $8)",
        )
        .bind(account_id)
        .bind(domain_id)
        .bind(name.to_owned())
        .bind(token.to_owned())
        .bind(dkim.selector.clone())
        .bind(dkim.private_key.clone())
        .bind(dkim.public_key.clone())
        .bind(self.now().0)
        .execute(&mut *transaction)
        .await?;
        let subject = Subject::Domain(domain_id);
        add_warming(self, &mut transaction, account_id, subject, name, self.now()).await?;
        transaction.commit().await?;
        Ok(domain_id)
    }

    pub async fn domain(&self, account_id: i64, domain_id: i64) -> Result<Option<Domain>> {
        let row = sqlx::query(AssertSqlSafe(format!("{DOMAIN} WHERE account_id = $1 AND domain_id = $2")))
            .bind(account_id)
            .bind(domain_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(domain_of).transpose()
    }

    pub async fn domain_by_name(&self, account_id: i64, name: &str) -> Result<Option<Domain>> {
        let row = sqlx::query(AssertSqlSafe(format!("{DOMAIN} WHERE account_id = $1 AND name = $2")))
            .bind(account_id)
            .bind(name.to_owned())
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(domain_of).transpose()
    }

    /// The one verified domain of this name, whoever's it is: for SMTP log-ins by domain.
    pub async fn verified_domain(&self, name: &str) -> Result<Option<Domain>> {
        let row = sqlx::query(AssertSqlSafe(format!("{DOMAIN} WHERE name = $1 AND verified = 1")))
            .bind(name.to_owned())
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(domain_of).transpose()
    }

    /// All domains of an account, oldest first. There are few: the limit is part of the product.
    pub async fn domains(&self, account_id: i64) -> Result<Vec<Domain>> {
        let rows = sqlx::query(AssertSqlSafe(format!("{DOMAIN} WHERE account_id = $1 ORDER BY domain_id")))
            .bind(account_id)
            .fetch_all(self.read())
            .await?;
        rows.iter().map(domain_of).collect()
    }

    /// Records what DNS said. The domain becomes verified when `verified`, and stays so on an operator's word.
    /// A `next_dkim` whose record was found (`promote_dkim`) becomes the signing key.
    pub async fn record_domain_checks(
        &self,
        account_id: i64,
        domain_id: i64,
        checks: DomainChecks,
        verified: bool,
        promote_dkim: bool,
    ) -> Result<(), VerifyError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE domain SET ownership_ok = $1, spf_ok = $2, dkim_ok = $3, dmarc_ok = $4, mx_ok = $5, checked_at = $6, \
             verified = CASE WHEN operator_verified_at IS NULL THEN $7 ELSE 1 END \
             WHERE account_id = $8 AND domain_id = $9",
        )
        .bind(i64::from(checks.ownership))
        .bind(i64::from(checks.spf))
        .bind(i64::from(checks.dkim))
        .bind(i64::from(checks.dmarc))
        .bind(i64::from(checks.mx))
        .bind(self.now().0)
        .bind(i64::from(verified))
        .bind(account_id)
        .bind(domain_id)
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Err(VerifyError::NotFound);
        }
        if promote_dkim {
            sqlx::query(
                "UPDATE domain SET dkim_selector = next_dkim_selector, dkim_private_key = next_dkim_private_key, \
                 dkim_public_key = next_dkim_public_key, next_dkim_selector = NULL, next_dkim_private_key = NULL, \
                 next_dkim_public_key = NULL WHERE account_id = $1 AND domain_id = $2 AND next_dkim_selector IS NOT NULL",
            )
            .bind(account_id)
            .bind(domain_id)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The operator's word that a domain is the account's, without DNS.
    pub async fn verify_domain_by_operator(&self, account_id: i64, name: &str) -> Result<(), VerifyError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE domain SET verified = 1, operator_verified_at = $1 WHERE account_id = $2 AND name = $3",
        )
        .bind(self.now().0)
        .bind(account_id)
        .bind(name.to_owned())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Err(VerifyError::NotFound);
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Keeps a new DKIM key until its record is in DNS. `false`: no such domain.
    pub async fn set_next_dkim(&self, account_id: i64, domain_id: i64, key: &DkimKey) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE domain SET next_dkim_selector = $1, next_dkim_private_key = $2, next_dkim_public_key = $3 \
             WHERE account_id = $4 AND domain_id = $5",
        )
        .bind(key.selector.clone())
        .bind(key.private_key.clone())
        .bind(key.public_key.clone())
        .bind(account_id)
        .bind(domain_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Sets the SMTP password of a whole domain. `false`: no such domain.
    pub async fn set_domain_password(&self, account_id: i64, domain_id: i64, hash: &str) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done =
            sqlx::query("UPDATE domain SET password_hash = $1 WHERE account_id = $2 AND domain_id = $3")
                .bind(hash.to_owned())
                .bind(account_id)
                .bind(domain_id)
                .execute(&mut *transaction)
                .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a domain and its sender addresses. Mail that waits is signed with the domain's key when it goes
    /// out, so a domain with waiting mail is not deleted.
    pub async fn delete_domain(&self, account_id: i64, domain_id: i64) -> Result<DomainDeletion> {
        let mut transaction = self.begin().await?;
        self.lock_account(&mut transaction, account_id).await?;
        let waiting = sqlx::query(
            "SELECT COUNT(*) FROM queue q JOIN message m ON m.account_id = q.account_id AND m.message_id = q.message_id \
             WHERE q.account_id = $1 AND m.domain_id = $2",
        )
        .bind(account_id)
        .bind(domain_id)
        .fetch_one(&mut *transaction)
        .await?
        .try_get::<i64, _>(0)?;
        if waiting > 0 {
            return Ok(DomainDeletion::MailWaits(waiting));
        }
        sqlx::query("UPDATE sender SET deleted_at = $1 WHERE account_id = $2 AND domain_id = $3 AND deleted_at IS NULL")
            .bind(self.now().0)
            .bind(account_id)
            .bind(domain_id)
            .execute(&mut *transaction)
            .await?;
        let senders = sqlx::query("SELECT sender_id FROM sender WHERE account_id = $1 AND domain_id = $2")
            .bind(account_id)
            .bind(domain_id)
            .fetch_all(&mut *transaction)
            .await?;
        for sender in &senders {
            let subject = Subject::Sender(sender.try_get(0)?);
            drop_warming(&mut transaction, account_id, subject, self.now()).await?;
        }
        let done = sqlx::query("DELETE FROM domain WHERE account_id = $1 AND domain_id = $2")
            .bind(account_id)
            .bind(domain_id)
            .execute(&mut *transaction)
            .await?;
        drop_warming(&mut transaction, account_id, Subject::Domain(domain_id), self.now()).await?;
        transaction.commit().await?;
        Ok(if done.rows_affected() == 1 { DomainDeletion::Deleted } else { DomainDeletion::NotFound })
    }

    /// Locks the account, as admission does before it counts the account's allowances.
    async fn lock_account(&self, connection: &mut AnyConnection, account_id: i64) -> Result<()> {
        let for_update = self.engine().for_update();
        let sql = format!("SELECT 1 FROM account_state WHERE account_id = $1{for_update}");
        sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(connection).await?;
        Ok(())
    }

    /// Registers a sender address. At most `limit` live ones for an account.
    pub async fn create_sender(
        &self,
        account_id: i64,
        domain_id: i64,
        address: &str,
        send_type: SendType,
        reply_address: &str,
        limit: i64,
    ) -> Result<i64, RegisterError> {
        let mut transaction = self.begin().await?;
        let sender_id = next_counted_id(&mut transaction, Counted::Directory).await?;
        let row = sqlx::query("SELECT COUNT(*) FROM sender WHERE account_id = $1 AND deleted_at IS NULL")
            .bind(account_id)
            .fetch_one(&mut *transaction)
            .await?;
        if row.try_get::<i64, _>(0)? >= limit {
            return Err(RegisterError::Limit(limit));
        }
        sqlx::query(
            "INSERT INTO sender (account_id, sender_id, domain_id, address, send_type, reply_address, frozen, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, 0, $7)",
        )
        .bind(account_id)
        .bind(sender_id)
        .bind(domain_id)
        .bind(address.to_lowercase())
        .bind(send_type.as_str().to_owned())
        .bind(reply_address.to_owned())
        .bind(self.now().0)
        .execute(&mut *transaction)
        .await?;
        let subject = Subject::Sender(sender_id);
        add_warming(self, &mut transaction, account_id, subject, &address.to_lowercase(), self.now()).await?;
        transaction.commit().await?;
        Ok(sender_id)
    }

    pub async fn sender(&self, account_id: i64, sender_id: i64) -> Result<Option<Sender>> {
        let sql = format!("{SENDER} WHERE s.account_id = $1 AND s.sender_id = $2 AND s.deleted_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(sender_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(sender_of).transpose()
    }

    pub async fn sender_by_address(&self, account_id: i64, address: &str) -> Result<Option<Sender>> {
        let sql = format!("{SENDER} WHERE s.account_id = $1 AND s.address = $2 AND s.deleted_at IS NULL");
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(account_id)
            .bind(address.to_lowercase())
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(sender_of).transpose()
    }

    /// The one sender address of a verified domain, whoever's it is: for SMTP log-ins.
    pub async fn verified_sender(&self, address: &str) -> Result<Option<Sender>> {
        let sql = format!("{SENDER} WHERE s.address = $1 AND s.deleted_at IS NULL AND d.verified = 1");
        let row =
            sqlx::query(AssertSqlSafe(sql)).bind(address.to_lowercase()).fetch_optional(self.read()).await?;
        row.as_ref().map(sender_of).transpose()
    }

    /// All live sender addresses, oldest first (at most the product's limit).
    pub async fn senders(&self, account_id: i64) -> Result<Vec<Sender>> {
        let sql = format!("{SENDER} WHERE s.account_id = $1 AND s.deleted_at IS NULL ORDER BY s.sender_id");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_all(self.read()).await?;
        rows.iter().map(sender_of).collect()
    }

    /// Changes what is `Some`. `false`: no such sender.
    pub async fn modify_sender(
        &self,
        account_id: i64,
        sender_id: i64,
        password_hash: Option<&str>,
        reply_address: Option<&str>,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE sender SET password_hash = COALESCE($1, password_hash), reply_address = COALESCE($2, reply_address) \
             WHERE account_id = $3 AND sender_id = $4 AND deleted_at IS NULL",
        )
        .bind(password_hash.map(str::to_owned))
        .bind(reply_address.map(str::to_owned))
        .bind(account_id)
        .bind(sender_id)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a sender address; at most `monthly_limit` deletions since `month_start`. What went with its domain does
    /// not count.
    pub async fn delete_sender(
        &self,
        account_id: i64,
        sender_id: i64,
        month_start: UnixMicros,
        monthly_limit: i64,
    ) -> Result<bool, RegisterError> {
        let mut transaction = self.begin().await?;
        // Two deletions at once must see each other's count.
        self.lock_account(&mut transaction, account_id).await?;
        let row = sqlx::query(
            "SELECT COUNT(*) FROM sender s WHERE account_id = $1 AND deleted_at >= $2 AND EXISTS \
             (SELECT 1 FROM domain d WHERE d.account_id = s.account_id AND d.domain_id = s.domain_id)",
        )
        .bind(account_id)
        .bind(month_start.0)
        .fetch_one(&mut *transaction)
        .await?;
        let deleted = row.try_get::<i64, _>(0)?;
        let done = sqlx::query("UPDATE sender SET deleted_at = $1 WHERE account_id = $2 AND sender_id = $3 AND deleted_at IS NULL")
            .bind(self.now().0)
            .bind(account_id)
            .bind(sender_id)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 1 && deleted >= monthly_limit {
            return Err(RegisterError::Limit(monthly_limit));
        }
        drop_warming(&mut transaction, account_id, Subject::Sender(sender_id), self.now()).await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// What came of deleting a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainDeletion {
    Deleted,
    NotFound,
    /// So many mails of it still wait for delivery and need its key.
    MailWaits(i64),
}

fn domain_of(row: &AnyRow) -> Result<Domain> {
    let yes = |column: usize| -> Result<bool> { Ok(row.try_get::<i64, _>(column)? != 0) };
    let next_dkim = match row.try_get::<Option<String>, _>(7)? {
        Some(selector) => {
            Some(DkimKey { selector, private_key: row.try_get(8)?, public_key: row.try_get(9)? })
        }
        None => None,
    };
    Ok(Domain {
        account_id: row.try_get(0)?,
        domain_id: row.try_get(1)?,
        name: row.try_get(2)?,
        ownership_token: row.try_get(3)?,
        dkim: DkimKey {
            selector: row.try_get(4)?,
            private_key: row.try_get(5)?,
            public_key: row.try_get(6)?,
        },
        next_dkim,
        checks: DomainChecks {
            ownership: yes(10)?,
            spf: yes(11)?,
            dkim: yes(12)?,
            dmarc: yes(13)?,
            mx: yes(14)?,
        },
        verified: yes(15)?,
        operator_verified_at: row.try_get::<Option<i64>, _>(16)?.map(UnixMicros),
        checked_at: row.try_get::<Option<i64>, _>(17)?.map(UnixMicros),
        password_hash: row.try_get(18)?,
        created_at: UnixMicros(row.try_get(19)?),
    })
}

fn sender_of(row: &AnyRow) -> Result<Sender> {
    let send_type = match row.try_get::<String, _>(4)?.as_str() {
        "batch" => SendType::Batch,
        "trigger" => SendType::Trigger,
        other => return Err(StoreError::Corrupt(format!("send type '{other}'"))),
    };
    Ok(Sender {
        account_id: row.try_get(0)?,
        sender_id: row.try_get(1)?,
        domain_id: row.try_get(2)?,
        address: row.try_get(3)?,
        send_type,
        reply_address: row.try_get(5)?,
        password_hash: row.try_get(6)?,
        frozen: row.try_get::<i64, _>(7)? != 0,
        created_at: UnixMicros(row.try_get(8)?),
        domain_name: row.try_get(9)?,
        domain_verified: row.try_get::<i64, _>(10)? != 0,
        domain_password_hash: row.try_get(11)?,
    })
}
