//! Dedicated IP addresses: whose they are, in which pool, and how warm (R24).
//!
//! An operator assigns an address to one account, which groups its addresses in pools; a mail that names a pool
//! goes out by one of the pool's. Which one is decided when the mail is claimed for delivery ([`place`]), in
//! the transaction that leases it, so that a day's allowance is kept exactly however many nodes send.
//!
//! | file | what it does |
//! | --- | --- |
//! | [`mod@self`] | what there is, for the API, the console and the command line |
//! | `manage` | assign and release; pools; renewal; the type of warm-up |
//! | `place` | the address of each claimed mail, places given back, what attempts have shown |

mod manage;
mod place;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use indicia_domain::dedicated_ip::Term;
use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::warmup::{DayCounts, Warmup, WarmupPolicy, WarmupType, day_of};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row};

use crate::{Result, Store, StoreError};

pub use manage::{AssignError, Assigned, IpError, PoolError};
pub use place::Place;
pub(crate) use place::{count_outcomes, give_places_back, take_places};

/// A dedicated address that is an account's now.
#[derive(Clone, Debug)]
pub struct DedicatedIp {
    pub account_id: i64,
    pub ip_id: i64,
    pub address: IpAddr,
    pub pool: Option<PoolName>,
    pub term: Term,
    /// As far as is known now (see [`Term::ends_at`]).
    pub ends_at: UnixMicros,
    /// Whether it may be sent from: its term has not ended.
    pub is_running: bool,
    pub warmup_type: WarmupType,
    pub warmup_changed_at: UnixMicros,
    pub warmth: Warmth,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolName {
    pub pool_id: i64,
    pub name: String,
}

/// How warm an address is, over all providers that it has sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warmth {
    /// Nothing has been sent from it yet.
    Cold,
    Warming,
    Warm,
}

impl Warmth {
    /// DirectMail's `WarmupStatus`; only `finish` is documented there, the other names are ours.
    pub fn as_str(self) -> &'static str {
        match self {
            Warmth::Cold => "init",
            Warmth::Warming => "warming",
            Warmth::Warm => "finish",
        }
    }
}

/// A pool with its addresses.
#[derive(Clone, Debug)]
pub struct IpPool {
    pub pool_id: i64,
    pub name: String,
    pub created_at: UnixMicros,
    /// By id.
    pub ips: Vec<DedicatedIp>,
}

/// Where an address stands with a provider that it has sent to.
#[derive(Clone, Debug)]
pub struct WarmupState {
    pub ip_id: i64,
    pub address: IpAddr,
    pub provider: Provider,
    /// As of today.
    pub warmup: Warmup,
    /// Mails of today; `None`: no limit (warm, or managed by the customer).
    pub allowance: Option<i64>,
    pub today: DayCounts,
    /// Why it stands there: for people, a sentence without its full stop.
    pub reason: String,
}

/// What one UTC day brought an address at one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpDay {
    pub day: i64,
    pub provider: Provider,
    pub counts: DayCounts,
}

const IPS: &str = "SELECT i.account_id, i.ip_id, i.address, i.pool_id, i.starts_at, i.term_months, i.auto_renewal, \
     i.warmup_type, i.warmup_changed_at, COALESCE(p.name, ''), \
     (SELECT COUNT(*) FROM ip_warmup w WHERE w.account_id = i.account_id AND w.ip_id = i.ip_id), \
     (SELECT COUNT(*) FROM ip_warmup w WHERE w.account_id = i.account_id AND w.ip_id = i.ip_id AND w.finished = 1), \
     (SELECT COUNT(*) FROM (SELECT 1 FROM ip_day d WHERE d.account_id = i.account_id AND d.ip_id = i.ip_id \
                            AND d.sent > 0 LIMIT 1) used) \
     FROM dedicated_ip i LEFT JOIN ip_pool p ON p.account_id = i.account_id AND p.pool_id = i.pool_id \
     WHERE i.released_at IS NULL";

const WARMUPS: &str = "SELECT w.ip_id, w.provider, w.step, w.day, w.finished, w.reason, \
     COALESCE(d.sent, 0), COALESCE(d.delivered, 0), COALESCE(d.deferred, 0), COALESCE(d.failed, 0) \
     FROM ip_warmup w LEFT JOIN ip_day d \
     ON d.account_id = w.account_id AND d.ip_id = w.ip_id AND d.provider = w.provider AND d.day = w.day \
     WHERE w.account_id = $1 ORDER BY w.ip_id, w.provider";

/// A row of `ip_warmup` with the counts of its day.
struct Kept {
    ip_id: i64,
    provider: Provider,
    warmup: Warmup,
    counts: DayCounts,
    reason: String,
}

impl Kept {
    fn read(row: &AnyRow) -> Result<Kept> {
        let provider: String = row.try_get(1)?;
        Ok(Kept {
            ip_id: row.try_get(0)?,
            provider: provider_of(&provider)?,
            warmup: Warmup {
                step: row.try_get(2)?,
                day: row.try_get(3)?,
                finished: row.try_get::<i64, _>(4)? != 0,
            },
            reason: row.try_get(5)?,
            counts: DayCounts {
                sent: row.try_get(6)?,
                delivered: row.try_get(7)?,
                deferred: row.try_get(8)?,
                failed: row.try_get(9)?,
            },
        })
    }

    /// As of `today`.
    fn on(mut self, policy: &WarmupPolicy, today: i64) -> Kept {
        if let Some((warmup, decision)) = self.warmup.advance(policy, &self.counts, today) {
            self.warmup = warmup;
            self.counts = DayCounts::default();
            self.reason = decision.to_string();
        }
        self
    }
}

fn provider_of(name: &str) -> Result<Provider> {
    Provider::parse(name).ok_or_else(|| StoreError::Corrupt(format!("the mailbox provider '{name}'")))
}

fn address_of(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| StoreError::Corrupt(format!("the IP address '{text}'")))
}

fn warmup_type_of(name: &str) -> Result<WarmupType> {
    WarmupType::parse(name).ok_or_else(|| StoreError::Corrupt(format!("the type of warm-up '{name}'")))
}

fn ip_of(row: &AnyRow, now: UnixMicros) -> Result<DedicatedIp> {
    let (address, kind): (String, String) = (row.try_get(2)?, row.try_get(7)?);
    let term = Term {
        starts_at: UnixMicros(row.try_get(4)?),
        months: row.try_get(5)?,
        auto_renewal: row.try_get::<i64, _>(6)? != 0,
    };
    let pool_id: i64 = row.try_get(3)?;
    let pool = match pool_id {
        0 => None,
        _ => Some(PoolName { pool_id, name: row.try_get(9)? }),
    };
    let (providers, finished): (i64, i64) = (row.try_get(10)?, row.try_get(11)?);
    Ok(DedicatedIp {
        account_id: row.try_get(0)?,
        ip_id: row.try_get(1)?,
        address: address_of(&address)?,
        pool,
        ends_at: term.ends_at(now),
        is_running: term.is_running(now),
        term,
        warmup_type: warmup_type_of(&kind)?,
        warmup_changed_at: UnixMicros(row.try_get(8)?),
        warmth: match (row.try_get::<i64, _>(12)? != 0, finished == providers) {
            (false, _) => Warmth::Cold,
            (true, true) => Warmth::Warm,
            (true, false) => Warmth::Warming,
        },
    })
}

impl Store {
    /// Sets the numbers of warm-up for this process; until then they are the defaults.
    pub fn set_warmup_policy(&self, policy: WarmupPolicy) {
        *self.inner.warmup.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// The numbers of warm-up.
    pub fn warmup_policy(&self) -> Arc<WarmupPolicy> {
        self.inner.warmup.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An account's addresses, by id; also those whose term has ended, until an operator releases them.
    pub async fn dedicated_ips(&self, account_id: i64) -> Result<Vec<DedicatedIp>> {
        let sql = format!("{IPS} AND i.account_id = $1 ORDER BY i.ip_id");
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_all(self.read()).await?;
        rows.iter().map(|row| ip_of(row, self.now())).collect()
    }

    /// Every account's addresses, by account and id; for operators.
    pub async fn all_dedicated_ips(&self) -> Result<Vec<DedicatedIp>> {
        let sql = format!("{IPS} ORDER BY i.account_id, i.ip_id");
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(self.read()).await?;
        rows.iter().map(|row| ip_of(row, self.now())).collect()
    }

    /// An account's pools, by id, with their addresses.
    pub async fn ip_pools(&self, account_id: i64) -> Result<Vec<IpPool>> {
        let sql = "SELECT pool_id, name, created_at FROM ip_pool WHERE account_id = $1 ORDER BY pool_id";
        let rows = sqlx::query(sql).bind(account_id).fetch_all(self.read()).await?;
        let mut by_pool: BTreeMap<i64, Vec<DedicatedIp>> = BTreeMap::new();
        for ip in self.dedicated_ips(account_id).await? {
            if let Some(pool) = &ip.pool {
                by_pool.entry(pool.pool_id).or_default().push(ip);
            }
        }
        rows.iter()
            .map(|row| {
                let pool_id: i64 = row.try_get(0)?;
                Ok(IpPool {
                    pool_id,
                    name: row.try_get(1)?,
                    created_at: UnixMicros(row.try_get(2)?),
                    ips: by_pool.remove(&pool_id).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// Whether the account has this pool.
    pub async fn has_ip_pool(&self, account_id: i64, pool_id: i64) -> Result<bool> {
        let row = sqlx::query("SELECT 1 FROM ip_pool WHERE account_id = $1 AND pool_id = $2")
            .bind(account_id)
            .bind(pool_id)
            .fetch_optional(self.read())
            .await?;
        Ok(row.is_some())
    }

    /// Where an account's addresses stand today with every provider that they have sent to, by id and provider.
    pub async fn warmups(&self, account_id: i64) -> Result<Vec<WarmupState>> {
        let policy = self.warmup_policy();
        let ips: BTreeMap<i64, DedicatedIp> =
            self.dedicated_ips(account_id).await?.into_iter().map(|ip| (ip.ip_id, ip)).collect();
        let today = day_of(self.now());
        let rows = sqlx::query(WARMUPS).bind(account_id).fetch_all(self.read()).await?;
        let mut states = Vec::with_capacity(rows.len());
        for row in &rows {
            let kept = Kept::read(row)?.on(&policy, today);
            let Some(ip) = ips.get(&kept.ip_id) else { continue };
            states.push(WarmupState {
                ip_id: ip.ip_id,
                address: ip.address,
                provider: kept.provider,
                allowance: kept.warmup.allowance(&policy, ip.warmup_type),
                warmup: kept.warmup,
                today: kept.counts,
                reason: kept.reason,
            });
        }
        Ok(states)
    }

    /// What the UTC days `[from_day, before_day)` brought an address, by day; at one provider or at all.
    pub async fn ip_days(
        &self,
        account_id: i64,
        ip_id: i64,
        provider: Option<Provider>,
        from_day: i64,
        before_day: i64,
    ) -> Result<Vec<IpDay>> {
        let wanted = provider.map_or("", Provider::as_str);
        let rows = sqlx::query(
            "SELECT day, provider, sent, delivered, deferred, failed FROM ip_day \
             WHERE account_id = $1 AND ip_id = $2 AND day >= $3 AND day < $4 AND (provider = $5 OR $6 = '') \
             ORDER BY day, provider",
        )
        .bind(account_id)
        .bind(ip_id)
        .bind(from_day)
        .bind(before_day)
        .bind(wanted)
        .bind(wanted)
        .fetch_all(self.read())
        .await?;
        rows.iter()
            .map(|row| {
                let name: String = row.try_get(1)?;
                Ok(IpDay {
                    day: row.try_get(0)?,
                    provider: provider_of(&name)?,
                    counts: DayCounts {
                        sent: row.try_get(2)?,
                        delivered: row.try_get(3)?,
                        deferred: row.try_get(4)?,
                        failed: row.try_get(5)?,
                    },
                })
            })
            .collect()
    }
}
