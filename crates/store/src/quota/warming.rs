//! R24: allowances of domains and sender addresses that a grown account added later.

use indicia_domain::quota::review::Subject;
use indicia_domain::quota::warming::Warming;
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{Held, NewEvent, subject_of};
use crate::audit::Actor;
use crate::bulk::{Bulk, filled};
use crate::node::Node;
use crate::{Result, Store};

/// An allowance with its history.
#[derive(Clone, Debug)]
pub struct WarmingRow {
    pub warming: Warming,
    pub created_at: UnixMicros,
    /// When it met the account's quota; from then on it holds nobody back.
    pub met_at: Option<UnixMicros>,
}

const COLUMNS: &str =
    "subject, subject_id, name, level, daily_quota, day, day_used, created_at, met_at, account_id";

fn row_of(row: &AnyRow) -> Result<WarmingRow> {
    let kind: String = row.try_get(0)?;
    Ok(WarmingRow {
        warming: Warming {
            subject: subject_of(&kind, row.try_get(1)?)?,
            name: row.try_get(2)?,
            level: row.try_get(3)?,
            daily_mails: row.try_get(4)?,
            day: row.try_get(5)?,
            day_used: row.try_get(6)?,
        },
        created_at: UnixMicros(row.try_get(7)?),
        met_at: row.try_get::<Option<i64>, _>(8)?.map(UnixMicros),
    })
}

/// Every allowance of an account, also those that are over; not those of what was deleted.
pub(super) async fn warming_rows(connection: &mut AnyConnection, account_id: i64) -> Result<Vec<WarmingRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM warming WHERE account_id = $1 AND (met_at IS NULL OR met_at >= 0) ORDER BY created_at, subject_id"
    );
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_all(connection).await?;
    rows.iter().map(row_of).collect()
}

/// The allowances that hold, of many accounts; their rows are locked.
pub(crate) async fn load_warming(
    connection: &mut AnyConnection,
    accounts: &[i64],
) -> Result<Vec<(i64, Warming)>> {
    const SIZE: usize = 8;
    let places = (1..=SIZE).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let sql = format!("SELECT {COLUMNS} FROM warming WHERE met_at IS NULL AND account_id IN ({places})");
    let mut found = Vec::new();
    for chunk in filled(accounts, SIZE) {
        let query =
            chunk.into_iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, id| query.bind(id));
        for row in query.fetch_all(&mut *connection).await? {
            found.push((row.try_get(9)?, row_of(&row)?.warming));
        }
    }
    Ok(found)
}

static USED: Bulk = Bulk::new(
    "INSERT INTO warming (account_id, subject, subject_id, day, day_used, name, level, daily_quota, created_at) VALUES",
    "($, $, $, $, $, '', 0, 0, 0)",
    "ON CONFLICT (account_id, subject, subject_id) DO UPDATE SET day = excluded.day, day_used = excluded.day_used",
);

/// Writes back what admission has counted.
pub(crate) async fn write_warming(connection: &mut AnyConnection, used: &[(i64, &Warming)]) -> Result<()> {
    USED.run(connection, used, |query, (account_id, warming)| {
        let query = query.bind(*account_id).bind(warming.subject.kind()).bind(warming.subject.id());
        query.bind(warming.day).bind(warming.day_used)
    })
    .await?;
    Ok(())
}

/// Gives a domain or sender address that was just added its allowance, if the account has grown. The transaction
/// locks the account.
pub(crate) async fn add_warming(
    store: &Store,
    connection: &mut AnyConnection,
    account_id: i64,
    subject: Subject,
    name: &str,
    now: UnixMicros,
) -> Result<()> {
    let sql =
        format!("SELECT daily_quota FROM account_state WHERE account_id = $1{}", store.engine().for_update());
    let row = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(&mut *connection).await?;
    // The installation's own sender has no account, and no quota.
    let Some(row) = row else { return Ok(()) };
    let warming = match take_deleted(connection, account_id, subject, name).await? {
        // However the account stands by now: it ends as it would have without the deletion, by climbing.
        Some(deleted) => Some(deleted),
        None => Warming::of_new(&store.quota_policy(), subject, name, row.try_get(0)?),
    };
    let Some(warming) = warming else { return Ok(()) };
    let done = sqlx::query(
        "INSERT INTO warming (account_id, subject, subject_id, name, level, daily_quota, day, day_used, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
    )
    .bind(account_id)
    .bind(subject.kind())
    .bind(subject.id())
    .bind(warming.name)
    .bind(warming.level)
    .bind(warming.daily_mails)
    .bind(warming.day)
    .bind(warming.day_used)
    .bind(now.0)
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 1 {
        sqlx::query("UPDATE account_state SET warming = warming + 1 WHERE account_id = $1")
            .bind(account_id)
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Where an allowance stood when the domain or sender address of that name was deleted, if it had not met the account's
/// quota; it is `subject`'s from now on. Who deletes a name and enters it again gains nothing by it.
async fn take_deleted(
    connection: &mut AnyConnection,
    account_id: i64,
    subject: Subject,
    name: &str,
) -> Result<Option<Warming>> {
    let row = sqlx::query(
        "DELETE FROM warming WHERE account_id = $1 AND subject = $2 AND name = $3 AND met_at < 0 \
         RETURNING level, daily_quota, day, day_used",
    )
    .bind(account_id)
    .bind(subject.kind())
    .bind(name.to_owned())
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Warming {
        subject,
        name: name.to_owned(),
        level: row.try_get(0)?,
        daily_mails: row.try_get(1)?,
        day: row.try_get(2)?,
        day_used: row.try_get(3)?,
    }))
}

/// R03: uncounts mails of a message that were counted on `day`, where that day is the one that counts.
pub(crate) async fn give_back_warming(
    connection: &mut AnyConnection,
    message: (i64, i64),
    day: i64,
    mails: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE warming SET day_used = CASE WHEN day_used > $1 THEN day_used - $2 ELSE 0 END \
         WHERE account_id = $3 AND day = $4 AND met_at IS NULL AND EXISTS (SELECT 1 FROM message m WHERE m.account_id = $5 \
         AND m.message_id = $6 AND ((subject = 'domain' AND subject_id = m.domain_id) OR (subject = 'sender' AND subject_id = m.sender_id)))",
    )
    .bind(mails)
    .bind(mails)
    .bind(message.0)
    .bind(day)
    .bind(message.0)
    .bind(message.1)
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps a review's result for one allowance.
pub(super) async fn move_warming(
    connection: &mut AnyConnection,
    account_id: i64,
    subject: Subject,
    level: i64,
    daily_mails: i64,
) -> Result<()> {
    sqlx::query(
        "UPDATE warming SET level = $1, daily_quota = $2 WHERE account_id = $3 AND subject = $4 AND subject_id = $5",
    )
    .bind(level)
    .bind(daily_mails)
    .bind(account_id)
    .bind(subject.kind())
    .bind(subject.id())
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends the allowances that have climbed to the account's quota. One that an account's quota has fallen to has shown
/// nothing by that.
pub(super) async fn meet(
    connection: &mut AnyConnection,
    node: &Node,
    held: &Held,
    climbed: &[Subject],
    now: UnixMicros,
) -> Result<()> {
    let rows = warming_rows(connection, held.account_id).await?;
    let daily = held.standing.daily_mails;
    for row in rows.iter().filter(|row| {
        row.met_at.is_none() && row.warming.has_met(daily) && climbed.contains(&row.warming.subject)
    }) {
        let warming = &row.warming;
        let event_id = node.ids.next(now);
        sqlx::query(
            "UPDATE warming SET met_at = $1 WHERE account_id = $2 AND subject = $3 AND subject_id = $4",
        )
        .bind(now.0)
        .bind(held.account_id)
        .bind(warming.subject.kind())
        .bind(warming.subject.id())
        .execute(&mut *connection)
        .await?;
        sqlx::query("UPDATE account_state SET warming = warming - 1 WHERE account_id = $1")
            .bind(held.account_id)
            .execute(&mut *connection)
            .await?;
        let reason =
            format!("{} has met the account's quota; it has no allowance of its own any more", warming.name);
        let kept = (warming.daily_mails, warming.level);
        NewEvent {
            event_id,
            account_id: held.account_id,
            at: now,
            kind: "met",
            subject: warming.subject,
            old: kept,
            new: kept,
            reason: &reason,
            actor: &Actor::system("quota"),
            record: "",
        }
        .write(connection)
        .await?;
    }
    Ok(())
}

/// Takes away the allowance of what is deleted, and remembers where it stood: `met_at` is then the instant of the
/// deletion with a minus before it. The transaction locks the account.
pub(crate) async fn drop_warming(
    connection: &mut AnyConnection,
    account_id: i64,
    subject: Subject,
    now: UnixMicros,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE warming SET met_at = $1 WHERE account_id = $2 AND subject = $3 AND subject_id = $4 AND met_at IS NULL",
    )
    .bind(-now.0.max(1))
    .bind(account_id)
    .bind(subject.kind())
    .bind(subject.id())
    .execute(&mut *connection)
    .await?;
    if done.rows_affected() == 1 {
        sqlx::query("UPDATE account_state SET warming = warming - 1 WHERE account_id = $1")
            .bind(account_id)
            .execute(connection)
            .await?;
    }
    Ok(())
}

impl Store {
    /// R24: the allowances of an account's later domains and sender addresses, also those that are over, oldest first.
    pub async fn warming(&self, account_id: i64) -> Result<Vec<WarmingRow>> {
        let mut connection = self.read().acquire().await?;
        warming_rows(&mut connection, account_id).await
    }
}
