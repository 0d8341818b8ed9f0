//! Accounts, operators and access keys.

use indicia_domain::account::AccountStatus;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::quota::week::{WEEK_DAYS, Week};
use indicia_domain::time::{UnixMicros, zone};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::ledger::append;
use crate::setting::{Counted, next_counted_id};
use crate::{Result, Store, StoreError};

/// Under which the installation's own domain, sender and mail are kept. There is no account row of this number, so
/// nobody is charged; accounts count from 1,000,000,000,000,001.
pub const SYSTEM_ACCOUNT_ID: i64 = 1;

/// An account as it was registered.
#[derive(Clone, Debug)]
pub struct Account {
    pub account_id: i64,
    pub name: String,
    pub email: String,
    pub phone: String,
    /// IANA name of the billing zone.
    pub zone: String,
    /// argon2id, PHC string.
    pub password_hash: String,
    pub created_at: UnixMicros,
}

/// The numbers of an account that change with every mail.
#[derive(Clone, Debug)]
pub struct AccountNumbers {
    pub status: AccountStatus,
    pub quota_level: i64,
    pub daily_quota: i64,
    pub quota_day: i64,
    pub quota_day_used: i64,
    pub quota_month: i64,
    pub quota_month_used: i64,
    pub free_left: i64,
    pub free_day: i64,
    pub free_day_used: i64,
    /// Charged to pay-as-you-go and not yet billed.
    pub pay_as_you_go_mails: i64,
    pub cash: MoneyMicros,
    /// How far the cash balance may go below zero when bills are collected.
    pub credit_limit: MoneyMicros,
    /// Billed and not yet paid.
    pub open: MoneyMicros,
    /// Of it, called in and not covered (R11).
    pub due: MoneyMicros,
    pub overdue_since: Option<UnixMicros>,
    /// R15: the threshold over all packages in per cent, 0 for off.
    pub alert_percent: i64,
    pub ledger_sequence: i64,
}

#[derive(Clone, Debug)]
pub struct NewAccount {
    pub name: String,
    pub email: String,
    pub phone: String,
    pub zone: String,
    pub password_hash: String,
    pub access_key_id: String,
    pub access_key_secret: String,
}

#[derive(Clone, Debug)]
pub struct Operator {
    pub operator_id: i64,
    pub email: String,
    pub password_hash: String,
    pub created_at: UnixMicros,
}

#[derive(Clone, Debug)]
pub struct AccessKey {
    pub access_key_id: String,
    pub account_id: i64,
    pub secret: String,
    pub created_at: UnixMicros,
    pub disabled: bool,
}

/// Why an account or an operator could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error("the e-mail address {0} already belongs to an account or an operator; use another")]
    EmailTaken(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CreateError {
    fn from(error: sqlx::Error) -> Self {
        CreateError::Store(error.into())
    }
}

const ACCOUNT: &str = "SELECT account_id, name, email, phone, zone, password_hash, created_at FROM account";

impl Store {
    /// Registers an account with its first access key and its free credit (R06).
    pub async fn create_account(&self, new: &NewAccount, policy: &Policy) -> Result<i64, CreateError> {
        let now = self.now();
        let email = new.email.to_lowercase();
        let mut transaction = self.begin().await?;
        let account_id = next_counted_id(&mut transaction, Counted::Account).await?;
        check_email_free(&mut transaction, &email).await?;
        sqlx::query("INSERT INTO account (account_id, name, email, phone, zone, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)")
            .bind(account_id)
            .bind(new.name.clone())
            .bind(email.clone())
            .bind(new.phone.clone())
            .bind(new.zone.clone())
            .bind(new.password_hash.clone())
            .bind(now.0)
            .execute(&mut *transaction)
            .await
            .map_err(|error| email_taken(error, &email))?;
        let week = first_week(&new.zone, now)?;
        insert_state(&mut transaction, account_id, policy, week, now).await?;
        if policy.free_total_mails > 0 {
            let opening = Transfer {
                account_id,
                sequence: 1,
                transaction_id: account_id,
                at: now,
                kind: Kind::Opening,
                unit: Unit::Mail,
                from: LedgerAccount::Granted,
                to: LedgerAccount::Free,
                amount: policy.free_total_mails,
                before: 0,
                after: policy.free_total_mails,
                memo: "free credit of a new account".to_owned(),
                validity: None,
            };
            append(&mut transaction, &[opening]).await?;
        }
        insert_key(&mut transaction, account_id, &new.access_key_id, &new.access_key_secret, now).await?;
        transaction.commit().await?;
        Ok(account_id)
    }

    pub async fn create_operator(&self, email: &str, password_hash: &str) -> Result<i64, CreateError> {
        let (operator_id, email) = (self.next_id().await?, email.to_lowercase());
        let mut transaction = self.begin().await?;
        check_email_free(&mut transaction, &email).await?;
        sqlx::query(
            "INSERT INTO operator (operator_id, email, password_hash, created_at) VALUES ($1, $2, $3, $4)",
        )
        .bind(operator_id)
        .bind(email.clone())
        .bind(password_hash.to_owned())
        .bind(self.now().0)
        .execute(&mut *transaction)
        .await
        .map_err(|error| email_taken(error, &email))?;
        transaction.commit().await?;
        Ok(operator_id)
    }

    pub async fn account(&self, account_id: i64) -> Result<Option<Account>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ACCOUNT} WHERE account_id = $1")))
            .bind(account_id)
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(account_of).transpose()
    }

    pub async fn account_by_email(&self, email: &str) -> Result<Option<Account>> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("{ACCOUNT} WHERE email = $1")))
            .bind(email.to_lowercase())
            .fetch_optional(self.read())
            .await?;
        row.as_ref().map(account_of).transpose()
    }

    /// Accounts in the order of their ids, after `after`, at most `limit`.
    pub async fn accounts(&self, after: i64, limit: i64) -> Result<Vec<Account>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{ACCOUNT} WHERE account_id > $1 ORDER BY account_id LIMIT $2"
        )))
        .bind(after)
        .bind(limit)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(account_of).collect()
    }

    pub async fn account_numbers(&self, account_id: i64) -> Result<Option<AccountNumbers>> {
        let row = sqlx::query(
            "SELECT status, quota_level, daily_quota, quota_day, quota_day_used, quota_month, quota_month_used, \
             free_left, free_day, free_day_used, payg_mails, cash_micros, ledger_sequence, credit_limit_micros, open_micros, \
             due_micros, overdue_since, alert_percent \
             FROM account_state WHERE account_id = $1",
        )
        .bind(account_id)
        .fetch_optional(self.read())
        .await?;
        row.as_ref().map(numbers_of).transpose()
    }

    pub async fn operator(&self, operator_id: i64) -> Result<Option<Operator>> {
        let row = sqlx::query(
            "SELECT operator_id, email, password_hash, created_at FROM operator WHERE operator_id = $1",
        )
        .bind(operator_id)
        .fetch_optional(self.read())
        .await?;
        row.as_ref().map(operator_of).transpose()
    }

    pub async fn operator_by_email(&self, email: &str) -> Result<Option<Operator>> {
        let row = sqlx::query(
            "SELECT operator_id, email, password_hash, created_at FROM operator WHERE email = $1",
        )
        .bind(email.to_lowercase())
        .fetch_optional(self.read())
        .await?;
        row.as_ref().map(operator_of).transpose()
    }

    pub async fn access_key(&self, access_key_id: &str) -> Result<Option<AccessKey>> {
        let row = sqlx::query(
            "SELECT access_key_id, account_id, secret, created_at, disabled_at FROM access_key WHERE access_key_id = $1",
        )
        .bind(access_key_id.to_owned())
        .fetch_optional(self.read())
        .await?;
        row.as_ref().map(access_key_of).transpose()
    }

    pub async fn access_keys(&self, account_id: i64) -> Result<Vec<AccessKey>> {
        let rows = sqlx::query(
            "SELECT access_key_id, account_id, secret, created_at, disabled_at FROM access_key \
             WHERE account_id = $1 ORDER BY access_key_id",
        )
        .bind(account_id)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(access_key_of).collect()
    }

    /// Sets and clears status bits (frozen, overdue, restricted). `false`: no such account.
    pub async fn change_status(
        &self,
        account_id: i64,
        set: AccountStatus,
        clear: AccountStatus,
    ) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("UPDATE account_state SET status = (status & $1) | $2 WHERE account_id = $3")
            .bind(!clear.0)
            .bind(set.0)
            .bind(account_id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

/// E-mail addresses log in to one console, so an account and an operator cannot share one.
async fn check_email_free(connection: &mut AnyConnection, email: &str) -> Result<(), CreateError> {
    let taken = sqlx::query(
        "SELECT 1 FROM account WHERE email = $1 UNION ALL SELECT 1 FROM operator WHERE email = $2",
    )
    .bind(email.to_owned())
    .bind(email.to_owned())
    .fetch_optional(connection)
    .await?;
    match taken {
        Some(_) => Err(CreateError::EmailTaken(email.to_owned())),
        None => Ok(()),
    }
}

fn email_taken(error: sqlx::Error, email: &str) -> CreateError {
    let error = StoreError::from(error);
    if error.is_unique_violation() {
        CreateError::EmailTaken(email.to_owned())
    } else {
        CreateError::Store(error)
    }
}

/// The week before the first that will be reviewed (R19): that of the account's creation.
fn first_week(zone_name: &str, now: UnixMicros) -> Result<i64> {
    let zone = zone(zone_name).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(Week::containing(&zone, now).number - WEEK_DAYS)
}

async fn insert_state(
    connection: &mut AnyConnection,
    account_id: i64,
    policy: &Policy,
    reviewed_week: i64,
    now: UnixMicros,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO account_state (account_id, status, quota_level, daily_quota, quota_day, quota_day_used, quota_month, \
         quota_month_used, free_left, free_day, free_day_used, payg_mails, cash_micros, ledger_sequence, changed_at, reviewed_week) \
         VALUES ($1, 0, $2, $3, 0, 0, 0, 0, $4, 0, 0, 0, 0, $5, $6, $7)",
    )
    .bind(account_id)
    .bind(policy.initial_level)
    .bind(policy.initial_daily_quota)
    .bind(policy.free_total_mails)
    .bind(i64::from(policy.free_total_mails > 0))
    .bind(now.0)
    .bind(reviewed_week)
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_key(
    connection: &mut AnyConnection,
    account_id: i64,
    id: &str,
    secret: &str,
    now: UnixMicros,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO access_key (access_key_id, account_id, secret, created_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(id.to_owned())
    .bind(account_id)
    .bind(secret.to_owned())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

fn account_of(row: &AnyRow) -> Result<Account> {
    Ok(Account {
        account_id: row.try_get(0)?,
        name: row.try_get(1)?,
        email: row.try_get(2)?,
        phone: row.try_get(3)?,
        zone: row.try_get(4)?,
        password_hash: row.try_get(5)?,
        created_at: UnixMicros(row.try_get(6)?),
    })
}

fn numbers_of(row: &AnyRow) -> Result<AccountNumbers> {
    Ok(AccountNumbers {
        status: AccountStatus(row.try_get(0)?),
        quota_level: row.try_get(1)?,
        daily_quota: row.try_get(2)?,
        quota_day: row.try_get(3)?,
        quota_day_used: row.try_get(4)?,
        quota_month: row.try_get(5)?,
        quota_month_used: row.try_get(6)?,
        free_left: row.try_get(7)?,
        free_day: row.try_get(8)?,
        free_day_used: row.try_get(9)?,
        pay_as_you_go_mails: row.try_get(10)?,
        cash: MoneyMicros(row.try_get(11)?),
        ledger_sequence: row.try_get(12)?,
        credit_limit: MoneyMicros(row.try_get(13)?),
        open: MoneyMicros(row.try_get(14)?),
        due: MoneyMicros(row.try_get(15)?),
        overdue_since: row.try_get::<Option<i64>, _>(16)?.map(UnixMicros),
        alert_percent: row.try_get(17)?,
    })
}

fn operator_of(row: &AnyRow) -> Result<Operator> {
    Ok(Operator {
        operator_id: row.try_get(0)?,
        email: row.try_get(1)?,
        password_hash: row.try_get(2)?,
        created_at: UnixMicros(row.try_get(3)?),
    })
}

fn access_key_of(row: &AnyRow) -> Result<AccessKey> {
    Ok(AccessKey {
        access_key_id: row.try_get(0)?,
        account_id: row.try_get(1)?,
        secret: row.try_get(2)?,
        created_at: UnixMicros(row.try_get(3)?),
        disabled: row.try_get::<Option<i64>, _>(4)?.is_some(),
    })
}
