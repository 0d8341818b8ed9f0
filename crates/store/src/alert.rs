//! R15: low-balance alerts. The arithmetic is [`indicia_domain::ledger::alert`]'s; here it is looked at whenever the
//! total changes other than by a deduction. Deductions look by themselves ([`crate::admission`]): they compare with
//! the floor that is kept with the account and with each package.

use indicia_domain::ledger::alert::{DISARMED, PERCENTS, rearmed, total};
use indicia_domain::time::UnixMicros;
use sqlx::AnyConnection;

use crate::audit::{Actor, Deed};
use crate::books::Books;
use crate::notice::{NewNotice, NoticeFacts, schedule};
use crate::package::all_packages;
use crate::{Result, Store, StoreError};

/// What an alert watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertScope {
    /// All packages together.
    All,
    /// One package, by instance id.
    Package(String),
}

/// Why an alert was not set.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    #[error("an alert is at 5, 10, 20 or 30 per cent, or 0 for off, not {0}")]
    Percent(i64),
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the account has no package {0}")]
    NoInstance(String),
    #[error("the package {0} has ended or was given back; there is nothing left to watch")]
    NotLive(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AlertError {
    fn from(error: sqlx::Error) -> Self {
        AlertError::Store(error.into())
    }
}

/// When something was crossed: the instant, and the last line before it. Together they are one crossing's alone: two
/// of one instant have a line between them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing {
    pub account_id: i64,
    pub now: UnixMicros,
    pub sequence: i64,
}

/// The notice of an alert that goes off.
pub(crate) fn low_balance(
    crossing: Crossing,
    scope: Option<&str>,
    percent: i64,
    left: (i64, i64),
) -> NewNotice {
    let Crossing { account_id, now, sequence } = crossing;
    let (remaining, granted) = left;
    let facts = NoticeFacts::LowBalance { percent, remaining, granted };
    let key = format!("low:{}:{}:{sequence}", scope.unwrap_or("all"), now.0);
    NewNotice::now(account_id, key, facts, scope.unwrap_or(""), now)
}

/// The notice that nothing is left of all packages.
pub(crate) fn used_up(crossing: Crossing) -> NewNotice {
    let Crossing { account_id, now, sequence } = crossing;
    NewNotice::now(account_id, format!("used-up:{}:{sequence}", now.0), NoticeFacts::UsedUp, "", now)
}

/// Looks at the alert over all packages after the total has changed. `grew`: a package was bought or has begun, or
/// was enlarged, which arms it again.
pub(crate) async fn look(connection: &mut AnyConnection, books: &mut Books, grew: bool) -> Result<()> {
    if books.alert_percent == 0 {
        return Ok(());
    }
    let rows = all_packages(connection, books.account_id).await?;
    let sum = total(rows.iter().map(|row| &row.package), books.now);
    let before = books.alert_floor;
    books.alert_floor = rearmed(books.alert_percent, before, sum.granted, grew);
    // What has gone off is armed again by growth, but goes off again only after it was above the threshold.
    if before == DISARMED && sum.remaining <= books.alert_floor {
        books.alert_floor = DISARMED;
        return Ok(());
    }
    if books.alert_floor != DISARMED && sum.remaining <= books.alert_floor {
        books.alert_floor = DISARMED;
        let left = (sum.remaining, sum.granted);
        let notice = low_balance(books.crossing(), None, books.alert_percent, left);
        schedule(connection, &[notice]).await?;
    }
    Ok(())
}

impl Store {
    /// Turns an alert on at `percent` or (0) off. Setting it arms it.
    pub async fn set_alert(
        &self,
        account_id: i64,
        scope: &AlertScope,
        percent: i64,
        actor: &Actor,
    ) -> Result<(), AlertError> {
        if percent != 0 && !PERCENTS.contains(&percent) {
            return Err(AlertError::Percent(percent));
        }
        let audit_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let mut books = Books::open(self, &mut transaction, account_id)
            .await?
            .ok_or(AlertError::NoAccount(account_id))?;
        let rows = all_packages(&mut transaction, account_id).await?;
        let what = match scope {
            AlertScope::All => {
                let sum = total(rows.iter().map(|row| &row.package), books.now);
                books.alert_percent = percent;
                books.alert_floor = rearmed(percent, DISARMED, sum.granted, true);
                "all packages"
            }
            AlertScope::Package(instance) => {
                let row = rows.iter().find(|row| row.package.instance_id == *instance);
                let row = row.ok_or_else(|| AlertError::NoInstance(instance.clone()))?;
                let live = row.package.closed.is_none() && books.now < row.package.ends_at;
                if percent != 0 && !live {
                    return Err(AlertError::NotLive(instance.clone()));
                }
                let floor = rearmed(percent, DISARMED, row.package.granted, true);
                sqlx::query("UPDATE package SET alert_percent = $1, alert_floor = $2 WHERE account_id = $3 AND instance_id = $4")
                    .bind(percent)
                    .bind(floor)
                    .bind(account_id)
                    .bind(instance.clone())
                    .execute(&mut *transaction)
                    .await?;
                instance
            }
        };
        let now = books.now;
        books.close(&mut transaction).await?;
        let detail = format!("{what}: {percent} %");
        let deed = Deed { audit_id, actor, account_id: Some(account_id), action: "set-alert", detail };
        deed.note(&mut transaction, now).await?;
        transaction.commit().await?;
        Ok(())
    }
}
