//! Changes of dedicated addresses: by operators, who assign and release them, and by their owner.
//!
//! Every change locks the account's addresses first, in the order of their ids, as a claim does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use indicia_domain::dedicated_ip::{MONTHS_MAX, Term};
use indicia_domain::quota::warmup::WarmupType;
use indicia_domain::time::UnixMicros;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::audit::{Actor, Deed};
use crate::{Result, Store, StoreError};

/// Pools of one account.
const POOLS_MAX: i64 = 100;

/// What an assignment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    pub ip_id: i64,
    pub ends_at: UnixMicros,
    /// The address was the account's already: its term was extended, or, where it had ended, begun anew.
    pub was_its_own: bool,
}

/// Why an address was not assigned.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("{address} belongs to account {account_id}; release it there first")]
    Taken { address: IpAddr, account_id: i64 },
    #[error("a term has 1 to {MONTHS_MAX} months, not {0}")]
    Months(i64),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an address was not changed.
#[derive(Debug, thiserror::Error)]
pub enum IpError {
    #[error("the account has no dedicated IP address with the id {0}")]
    NotFound(i64),
    #[error(
        "the term of the dedicated IP address {0} has ended; ask the operator of this service to extend it"
    )]
    Ended(IpAddr),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a pool was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    #[error("the account has no IP pool with the id {0}")]
    NotFound(i64),
    #[error("the account already has an IP pool named {0}")]
    NameTaken(String),
    #[error("an account may have {0} IP pools at most")]
    TooMany(i64),
    #[error("the account has no dedicated IP address with the id {0}")]
    NoIp(i64),
    #[error("the dedicated IP address {address} is in the pool {pool}; take it out there first")]
    InAnotherPool { address: IpAddr, pool: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AssignError {
    fn from(error: sqlx::Error) -> Self {
        AssignError::Store(error.into())
    }
}

impl From<sqlx::Error> for IpError {
    fn from(error: sqlx::Error) -> Self {
        IpError::Store(error.into())
    }
}

impl From<sqlx::Error> for PoolError {
    fn from(error: sqlx::Error) -> Self {
        PoolError::Store(error.into())
    }
}

/// An address as a change sees it: locked.
struct Held {
    ip_id: i64,
    address: IpAddr,
    pool_id: i64,
    term: Term,
}

impl Store {
    async fn locked_ips(&self, connection: &mut AnyConnection, account_id: i64) -> Result<Vec<Held>> {
        let sql = format!(
            "SELECT ip_id, address, pool_id, starts_at, term_months, auto_renewal FROM dedicated_ip \
             WHERE account_id = $1 AND released_at IS NULL ORDER BY ip_id{}",
            self.engine().for_update()
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_all(connection).await?;
        rows.iter()
            .map(|row| {
                let address: String = row.try_get(1)?;
                Ok(Held {
                    ip_id: row.try_get(0)?,
                    address: super::address_of(&address)?,
                    pool_id: row.try_get(2)?,
                    term: Term {
                        starts_at: UnixMicros(row.try_get(3)?),
                        months: row.try_get(4)?,
                        auto_renewal: row.try_get::<i64, _>(5)? != 0,
                    },
                })
            })
            .collect()
    }

    /// Makes `address` the account's for so many months. Where it is already, the term grows by them; one that has
    /// ended begins anew.
    pub async fn assign_ip(
        &self,
        account_id: i64,
        address: IpAddr,
        months: i64,
        by: &Actor,
    ) -> Result<Assigned, AssignError> {
        if !(1..=MONTHS_MAX).contains(&months) {
            return Err(AssignError::Months(months));
        }
        let (new_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let now = self.now();
        let mut transaction = self.begin().await?;
        let account = sqlx::query("SELECT 1 FROM account WHERE account_id = $1").bind(account_id);
        if account.fetch_optional(&mut *transaction).await?.is_none() {
            return Err(AssignError::NoAccount(account_id));
        }
        let owned = self.locked_ips(&mut transaction, account_id).await?;
        let own = owned.into_iter().find(|held| held.address == address);
        let was_its_own = own.is_some();
        let (ip_id, term) = match own {
            Some(held) => (held.ip_id, longer(held.term, months, now)?),
            None => (new_id, Term { starts_at: now, months, auto_renewal: false }),
        };
        if was_its_own {
            sqlx::query("UPDATE dedicated_ip SET starts_at = $1, term_months = $2 WHERE account_id = $3 AND ip_id = $4")
                .bind(term.starts_at.0)
                .bind(term.months)
                .bind(account_id)
                .bind(ip_id)
                .execute(&mut *transaction)
                .await?;
        } else {
            insert(&mut transaction, account_id, ip_id, address, &term).await?;
        }
        let ends_at = term.ends_at(now);
        let detail = format!("{address} until {}", ends_at.rfc3339_seconds());
        let deed = Deed { audit_id, actor: by, account_id: Some(account_id), action: "assign-ip", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(Assigned { ip_id, ends_at, was_its_own })
    }

    /// Takes an address from the account. Mail that waits for its pool goes by the pool's others or by shared ones.
    /// `false`: the account does not have it.
    pub async fn release_ip(&self, account_id: i64, address: IpAddr, by: &Actor) -> Result<bool> {
        let audit_id = self.next_id().await?;
        let now = self.now();
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "UPDATE dedicated_ip SET released_at = $1, pool_id = 0 \
             WHERE account_id = $2 AND address = $3 AND released_at IS NULL",
        )
        .bind(now.0)
        .bind(account_id)
        .bind(address.to_string())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let (account_id, detail) = (Some(account_id), address.to_string());
        Deed { audit_id, actor: by, account_id, action: "release-ip", detail }
            .note(&mut transaction, now)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Makes a pool of addresses that are in none. Returns its id.
    pub async fn create_ip_pool(
        &self,
        account_id: i64,
        name: &str,
        ip_ids: &BTreeSet<i64>,
    ) -> Result<i64, PoolError> {
        let pool_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let owned = self.locked_ips(&mut transaction, account_id).await?;
        let pools = pool_names(&mut transaction, account_id).await?;
        if pools.iter().any(|(_, taken)| taken == name) {
            return Err(PoolError::NameTaken(name.to_owned()));
        }
        if pools.len() as i64 >= POOLS_MAX {
            return Err(PoolError::TooMany(POOLS_MAX));
        }
        check_free(&owned, &pools, ip_ids, pool_id)?;
        let sql = "INSERT INTO ip_pool (account_id, pool_id, name, created_at) VALUES ($1, $2, $3, $4)";
        let made = sqlx::query(sql)
            .bind(account_id)
            .bind(pool_id)
            .bind(name.to_owned())
            .bind(self.now().0)
            .execute(&mut *transaction)
            .await;
        if let Err(error) = made.map_err(StoreError::from) {
            let taken = error.is_unique_violation();
            return Err(if taken { PoolError::NameTaken(name.to_owned()) } else { error.into() });
        }
        put_into_pool(&mut transaction, account_id, ip_ids, pool_id).await?;
        transaction.commit().await?;
        Ok(pool_id)
    }

    /// Replaces a pool's addresses by these, each of which is in it already or in none.
    pub async fn update_ip_pool(
        &self,
        account_id: i64,
        pool_id: i64,
        ip_ids: &BTreeSet<i64>,
    ) -> Result<(), PoolError> {
        let mut transaction = self.begin().await?;
        let owned = self.locked_ips(&mut transaction, account_id).await?;
        let pools = pool_names(&mut transaction, account_id).await?;
        if !pools.iter().any(|(id, _)| *id == pool_id) {
            return Err(PoolError::NotFound(pool_id));
        }
        check_free(&owned, &pools, ip_ids, pool_id)?;
        empty_pool(&mut transaction, account_id, pool_id).await?;
        put_into_pool(&mut transaction, account_id, ip_ids, pool_id).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Deletes a pool; its addresses are in none then. Mail that waits for it goes by shared addresses.
    pub async fn delete_ip_pool(&self, account_id: i64, pool_id: i64) -> Result<(), PoolError> {
        let mut transaction = self.begin().await?;
        self.locked_ips(&mut transaction, account_id).await?;
        empty_pool(&mut transaction, account_id, pool_id).await?;
        let done = sqlx::query("DELETE FROM ip_pool WHERE account_id = $1 AND pool_id = $2")
            .bind(account_id)
            .bind(pool_id)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(PoolError::NotFound(pool_id));
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Switches automatic renewal of addresses, all or none. Months that it has added stay added.
    pub async fn set_ip_auto_renewal(
        &self,
        account_id: i64,
        ip_ids: &BTreeSet<i64>,
        auto_renewal: bool,
    ) -> Result<(), IpError> {
        let now = self.now();
        let mut transaction = self.begin().await?;
        let owned = self.locked_ips(&mut transaction, account_id).await?;
        for ip_id in ip_ids {
            let held = owned.iter().find(|held| held.ip_id == *ip_id).ok_or(IpError::NotFound(*ip_id))?;
            if auto_renewal && !held.term.is_running(now) {
                return Err(IpError::Ended(held.address));
            }
            sqlx::query("UPDATE dedicated_ip SET auto_renewal = $1, term_months = $2 WHERE account_id = $3 AND ip_id = $4")
                .bind(i64::from(auto_renewal))
                .bind(held.term.months_at(now))
                .bind(account_id)
                .bind(*ip_id)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Says who decides how much an address sends.
    pub async fn set_ip_warmup_type(
        &self,
        account_id: i64,
        ip_id: i64,
        kind: WarmupType,
    ) -> Result<(), IpError> {
        let mut transaction = self.begin().await?;
        let owned = self.locked_ips(&mut transaction, account_id).await?;
        if !owned.iter().any(|held| held.ip_id == ip_id) {
            return Err(IpError::NotFound(ip_id));
        }
        sqlx::query(
            "UPDATE dedicated_ip SET warmup_type = $1, warmup_changed_at = $2 \
             WHERE account_id = $3 AND ip_id = $4 AND warmup_type <> $5",
        )
        .bind(kind.as_str())
        .bind(self.now().0)
        .bind(account_id)
        .bind(ip_id)
        .bind(kind.as_str())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// A term with so many months more.
fn longer(term: Term, months: i64, now: UnixMicros) -> Result<Term, AssignError> {
    if !term.is_running(now) {
        return Ok(Term { starts_at: now, months, ..term });
    }
    match term.months_at(now) + months {
        sum if sum > MONTHS_MAX => Err(AssignError::Months(sum)),
        sum => Ok(Term { months: sum, ..term }),
    }
}

async fn insert(
    connection: &mut AnyConnection,
    account_id: i64,
    ip_id: i64,
    address: IpAddr,
    term: &Term,
) -> Result<(), AssignError> {
    let text = address.to_string();
    let made = sqlx::query(
        "INSERT INTO dedicated_ip (account_id, ip_id, address, pool_id, starts_at, term_months, auto_renewal, \
         warmup_type, warmup_changed_at) VALUES ($1, $2, $3, 0, $4, $5, 0, $6, $7) ON CONFLICT DO NOTHING",
    )
    .bind(account_id)
    .bind(ip_id)
    .bind(text.clone())
    .bind(term.starts_at.0)
    .bind(term.months)
    .bind(WarmupType::System.as_str())
    .bind(term.starts_at.0)
    .execute(&mut *connection)
    .await?;
    if made.rows_affected() == 1 {
        return Ok(());
    }
    let holder =
        sqlx::query("SELECT account_id FROM dedicated_ip WHERE address = $1 AND released_at IS NULL")
            .bind(text)
            .fetch_one(connection)
            .await?;
    Err(AssignError::Taken { address, account_id: holder.try_get(0)? })
}

async fn pool_names(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<(i64, String)>> {
    let sql = "SELECT pool_id, name FROM ip_pool WHERE account_id = $1";
    let rows = sqlx::query(sql).bind(account_id).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Every one of `ip_ids` is the account's, and in no pool other than `pool_id`.
fn check_free(
    owned: &[Held],
    pools: &[(i64, String)],
    ip_ids: &BTreeSet<i64>,
    pool_id: i64,
) -> Result<(), PoolError> {
    for ip_id in ip_ids {
        let held = owned.iter().find(|held| held.ip_id == *ip_id).ok_or(PoolError::NoIp(*ip_id))?;
        if held.pool_id != 0 && held.pool_id != pool_id {
            let pool = pools.iter().find(|(id, _)| *id == held.pool_id).map(|(_, name)| name.clone());
            return Err(PoolError::InAnotherPool { address: held.address, pool: pool.unwrap_or_default() });
        }
    }
    Ok(())
}

async fn empty_pool(connection: &mut AnyConnection, account_id: i64, pool_id: i64) -> Result<()> {
    sqlx::query("UPDATE dedicated_ip SET pool_id = 0 WHERE account_id = $1 AND pool_id = $2")
        .bind(account_id)
        .bind(pool_id)
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_into_pool(
    connection: &mut AnyConnection,
    account_id: i64,
    ip_ids: &BTreeSet<i64>,
    pool_id: i64,
) -> Result<()> {
    for ip_id in ip_ids {
        sqlx::query("UPDATE dedicated_ip SET pool_id = $1 WHERE account_id = $2 AND ip_id = $3")
            .bind(pool_id)
            .bind(account_id)
            .bind(*ip_id)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
