//! R11, before it hurts: an account whose balance and credit limit would not cover what it owes is told before its
//! bills are collected.
//!
//! Owed is what is billed and open, and what the mails not yet billed will cost. It is told twice a month at most,
//! once for each cause: some days ahead of the 1st, and when open bills come near the threshold of a collection at
//! once. When both come at once, one message says it.
//!
//! The look reads all accounts that owe anything, in pages; the few that are short are then looked at again under
//! their lock, so that a payment which comes in between is seen.

use indicia_domain::ledger::bill::{CollectionPolicy, amount};
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{TimeZone, UnixMicros, days_before, local_month, zone};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{NewNotice, NoticeFacts, schedule};
use crate::{Result, Store, StoreError};

/// Open bills are near the threshold from this part of it on.
const NEAR_PERCENT: i128 = 80;
const ACCOUNTS_MAX: i64 = 500;
/// A bill is rounded up by less than this: what is cheap to ask for must not miss whom exactness would tell.
const ROUNDING_MICROS: i64 = 10_000;

/// What an account owes, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owed {
    open: MoneyMicros,
    unbilled_mails: i64,
    cash: MoneyMicros,
    credit_limit: MoneyMicros,
}

impl Owed {
    fn available(&self) -> i128 {
        i128::from(self.cash.0) + i128::from(self.credit_limit.0)
    }

    /// Whether what is there does not cover what is owed.
    fn is_short(&self, price: MoneyMicros) -> bool {
        let owed = i128::from(self.open.0) + i128::from(amount(price, self.unbilled_mails).0);
        owed > 0 && owed > self.available()
    }

    fn is_near(&self, policy: &CollectionPolicy) -> bool {
        i128::from(self.open.0) * 100 >= i128::from(policy.threshold.0) * NEAR_PERCENT
    }
}

/// Under which keys an account that is short is to be told, and when its bills are collected.
struct Causes {
    keys: Vec<String>,
    collect_at: UnixMicros,
}

fn causes(
    owed: &Owed,
    policy: &CollectionPolicy,
    lead_days: i64,
    zone: &TimeZone,
    now: UnixMicros,
) -> Causes {
    let (month, collect_at) = local_month(zone, now);
    let is_ahead = lead_days > 0 && now >= days_before(zone, collect_at, lead_days);
    let causes = [(is_ahead, "ahead"), (owed.is_near(policy), "near")];
    let keys =
        causes.iter().filter(|(holds, _)| *holds).map(|(_, cause)| format!("collection:{month}:{cause}"));
    Causes { keys: keys.collect(), collect_at }
}

impl Store {
    /// Tells accounts that are short before their bills are collected: `lead_days` days (0: not at all) before the 1st
    /// of their month, and near the threshold. `price` is that of a mail. Returns how many notices are new.
    pub async fn announce_collections(
        &self,
        price: MoneyMicros,
        policy: &CollectionPolicy,
        lead_days: i64,
    ) -> Result<u64> {
        let (mut last, mut told) = (i64::MIN, 0);
        loop {
            let sql = format!(
                "{OWED} WHERE s.account_id > $1 AND s.overdue_since IS NULL AND (s.open_micros > 0 OR s.payg_mails > 0) \
                 AND s.open_micros + s.payg_mails * $2 + $3 > s.cash_micros + s.credit_limit_micros \
                 ORDER BY s.account_id LIMIT $4"
            );
            let rows = sqlx::query(AssertSqlSafe(sql))
                .bind(last)
                .bind(price.0)
                .bind(ROUNDING_MICROS)
                .bind(ACCOUNTS_MAX)
                .fetch_all(self.read())
                .await?;
            for row in &rows {
                last = row.try_get(0)?;
                let (owed, zone) = match owed_of(row) {
                    Ok(owed) => owed,
                    // One account that cannot be read holds up no other.
                    Err(error) => {
                        tracing::error!(account_id = last, %error, "an account cannot be told of a coming collection");
                        continue;
                    }
                };
                let due = causes(&owed, policy, lead_days, &zone, self.now());
                if owed.is_short(price) && !self.are_told(last, &due.keys).await? {
                    told += self.announce_collection(last, price, policy, lead_days).await?;
                }
            }
            if rows.len() < ACCOUNTS_MAX as usize {
                return Ok(told);
            }
        }
    }

    async fn are_told(&self, account_id: i64, keys: &[String]) -> Result<bool> {
        Ok(new_keys(&mut *self.read().acquire().await?, account_id, keys).await?.is_empty())
    }

    async fn announce_collection(
        &self,
        account_id: i64,
        price: MoneyMicros,
        policy: &CollectionPolicy,
        lead_days: i64,
    ) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let lock = if self.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" };
        let sql = format!("{OWED} WHERE s.account_id = $1 AND s.overdue_since IS NULL{lock}");
        let row = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(&mut *transaction).await?;
        let Some(row) = row else { return Ok(0) };
        let (owed, zone) = owed_of(&row)?;
        let now = self.now();
        let due = causes(&owed, policy, lead_days, &zone, now);
        if !owed.is_short(price) {
            return Ok(0);
        }
        let facts = NoticeFacts::CollectionAhead {
            open_micros: owed.open.0,
            unbilled_mails: owed.unbilled_mails,
            available_micros: i64::try_from(owed.available()).unwrap_or(i64::MAX),
            collect_at: due.collect_at.0,
        };
        let keys = new_keys(&mut transaction, account_id, &due.keys).await?;
        let notices: Vec<NewNotice> = keys
            .into_iter()
            .map(|key| NewNotice {
                account_id,
                key,
                facts: facts.clone(),
                instance_id: String::new(),
                lead_days: 0,
                due_at: now,
                until_at: due.collect_at,
            })
            .collect();
        schedule(&mut transaction, &notices).await?;
        for said_by_the_first in notices.iter().skip(1) {
            sqlx::query(
                "UPDATE notice SET state = 2, done_at = $1, reason = $2 WHERE account_id = $3 AND notice_key = $4 AND state = 0",
            )
            .bind(now.0)
            .bind("another notice says the same at the same time")
            .bind(account_id)
            .bind(said_by_the_first.key.clone())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(notices.len().min(1) as u64)
    }
}

const OWED: &str = "SELECT s.account_id, a.zone, s.open_micros, s.payg_mails, s.cash_micros, s.credit_limit_micros \
    FROM account_state s JOIN account a ON a.account_id = s.account_id";

fn owed_of(row: &AnyRow) -> Result<(Owed, TimeZone)> {
    let name: String = row.try_get(1)?;
    let owed = Owed {
        open: MoneyMicros(row.try_get(2)?),
        unbilled_mails: row.try_get(3)?,
        cash: MoneyMicros(row.try_get(4)?),
        credit_limit: MoneyMicros(row.try_get(5)?),
    };
    Ok((owed, zone(&name).map_err(|error| StoreError::Corrupt(error.to_string()))?))
}

/// Those of `keys` under which the account has not been told yet.
async fn new_keys(connection: &mut AnyConnection, account_id: i64, keys: &[String]) -> Result<Vec<String>> {
    let mut new = Vec::new();
    for key in keys {
        let told = sqlx::query("SELECT 1 FROM notice WHERE account_id = $1 AND notice_key = $2 LIMIT 1")
            .bind(account_id)
            .bind(key.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if told.is_none() {
            new.push(key.clone());
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: MoneyMicros = MoneyMicros(290);

    fn owed(open: i64, unbilled_mails: i64, cash: i64) -> Owed {
        let (open, cash) = (MoneyMicros(open), MoneyMicros(cash));
        Owed { open, unbilled_mails, cash, credit_limit: MoneyMicros(500) }
    }

    #[test]
    fn r11_short_is_more_than_balance_and_credit_limit() {
        assert!(!owed(10_000, 0, 9_500).is_short(PRICE));
        assert!(owed(10_001, 0, 9_500).is_short(PRICE));
        assert!(owed(0, 1, 9_499).is_short(PRICE), "one mail is billed as a cent");
        assert!(!owed(0, 1, 9_500).is_short(PRICE));
        assert!(!owed(0, 0, -600).is_short(PRICE), "who owes nothing is not short");
    }

    #[test]
    fn r11_ahead_begins_at_the_local_midnight_and_near_at_80_percent() {
        let shanghai = zone("Asia/Shanghai").unwrap();
        let policy = CollectionPolicy { threshold: MoneyMicros(1_000) };
        let keys = |open, at: &str| {
            let now = UnixMicros::parse(at).unwrap();
            causes(&owed(open, 0, 0), &policy, 3, &shanghai, now).keys
        };
        let month = 2026 * 12 + 10;
        let (ahead, near) = (format!("collection:{month}:ahead"), format!("collection:{month}:near"));
        // November ends in Shanghai at 2026-11-30T16:00Z.
        assert!(keys(799, "2026-11-27T15:59:59.999999Z").is_empty());
        assert_eq!(keys(799, "2026-11-27T16:00:00Z"), [ahead.as_str()]);
        assert_eq!(keys(800, "2026-11-27T15:59:59.999999Z"), [near.as_str()]);
        assert_eq!(keys(800, "2026-11-27T16:00:00Z"), [ahead, near]);
        let without = causes(
            &owed(799, 0, 0),
            &policy,
            0,
            &shanghai,
            UnixMicros::parse("2026-11-30T15:00:00Z").unwrap(),
        );
        assert!(without.keys.is_empty(), "a lead of 0 days is off");
    }
}
