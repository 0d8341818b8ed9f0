//! What happens when a package's validity begins or ends.
//!
//! Nothing that decides who pays: that follows from the instants alone (R09). But a total that grows arms the
//! low-balance alert again, one that falls may set it off (R15), and a package that ends with mails left is told
//! as lapsed (R13).

use indicia_domain::time::UnixMicros;
use sqlx::Row;

use super::one_package;
use super::purchase::expiry_notices;
use crate::books::Books;
use crate::notice::{NewNotice, NoticeFacts, schedule};
use crate::{Result, Store};

/// What one round has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    pub begun: u64,
    pub ended: u64,
}

const PACKAGES_MAX: i64 = 500;

impl Store {
    /// Looks at the packages whose validity has begun or ended since the last look. `expiry_leads`: days before the
    /// end (R14), for packages that were bought before there were notices.
    pub async fn pass_phases(&self, expiry_leads: &[i64]) -> Result<Phases> {
        let (mut seen, mut failure) = (Phases::default(), None);
        let mut after = (i64::MIN, String::new());
        loop {
            let rows = sqlx::query(
                "SELECT phase_at, account_id, instance_id FROM package \
                 WHERE phase_at <= $1 AND (phase_at > $2 OR (phase_at = $3 AND instance_id > $4)) \
                 ORDER BY phase_at, instance_id LIMIT $5",
            )
            .bind(self.now().0)
            .bind(after.0)
            .bind(after.0)
            .bind(after.1.clone())
            .bind(PACKAGES_MAX)
            .fetch_all(self.read())
            .await?;
            for row in &rows {
                let (account_id, instance_id): (i64, String) = (row.try_get(1)?, row.try_get(2)?);
                // One account that fails holds up no other.
                match self.pass_phase(account_id, &instance_id, expiry_leads).await {
                    Ok(Some(false)) => seen.begun += 1,
                    Ok(Some(true)) => seen.ended += 1,
                    Ok(None) => {}
                    Err(error) => {
                        tracing::error!(account_id, instance_id, %error, "what begins or ends for a package could not be seen");
                        failure = Some(error);
                    }
                }
                after = (row.try_get(0)?, instance_id);
            }
            if rows.len() < PACKAGES_MAX as usize {
                return failure.map_or(Ok(seen), Err);
            }
        }
    }

    /// `Some(true)`: it has ended; `Some(false)`: it has begun; `None`: another node was faster.
    async fn pass_phase(&self, account_id: i64, instance_id: &str, leads: &[i64]) -> Result<Option<bool>> {
        let mut transaction = self.begin().await?;
        let Some(mut books) = Books::open(self, &mut transaction, account_id).await? else { return Ok(None) };
        let phase = sqlx::query("SELECT phase_at FROM package WHERE account_id = $1 AND instance_id = $2")
            .bind(account_id)
            .bind(instance_id.to_owned())
            .fetch_optional(&mut *transaction)
            .await?;
        let phase_at: Option<i64> = phase.map(|row| row.try_get(0)).transpose()?.flatten();
        let Some(row) = one_package(&mut transaction, account_id, instance_id).await? else {
            return Ok(None);
        };
        if phase_at.is_none_or(|at| at > books.now.0) {
            return Ok(None);
        }
        let package = &row.package;
        let ended = books.now >= package.ends_at;
        let next = (!ended).then_some(package.ends_at.0);
        let began_unseen = phase_at == Some(package.starts_at.0);
        if ended && package.lapsed_at(books.now) > 0 {
            let facts = NoticeFacts::Lapsed { mails: package.remaining };
            let key = format!("lapsed:{instance_id}");
            let mut notice = NewNotice::now(account_id, key, facts, instance_id, package.ends_at);
            notice.due_at = books.now;
            schedule(&mut transaction, &[notice]).await?;
        }
        if !ended {
            schedule(&mut transaction, &expiry_notices(&row, &books.zone, leads, UnixMicros(0))).await?;
        }
        sqlx::query("UPDATE package SET phase_at = $1 WHERE account_id = $2 AND instance_id = $3")
            .bind(next)
            .bind(account_id)
            .bind(instance_id.to_owned())
            .execute(&mut *transaction)
            .await?;
        crate::alert::look(&mut transaction, &mut books, began_unseen && !ended).await?;
        books.close(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Some(ended))
    }
}
