//! How many different recipients, kept with every acceptance as sketches ([`indicia_domain::quota::reach`]).
//!
//! A sketch is read and written only when a recipient changes it, which for a large one is seldom: what this
//! process has seen in it is remembered, and what is remembered can only be less than what is stored. Changes are
//! remembered after their commit. Two nodes do not write one sketch at once: the account's row is locked.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use indicia_domain::quota::reach::{Sketch, hash_of};
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use crate::bulk::{Bulk, filled, in_dialect};
use crate::{Result, Store, StoreError};

/// Sketches remembered; each has up to 2 KiB, most have some hundred octets.
const REMEMBERED_MAX: usize = 16_384;

/// Of what a sketch holds the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ReachKind {
    Sender,
    Tag,
    Provider,
}

impl ReachKind {
    fn as_str(self) -> &'static str {
        match self {
            ReachKind::Sender => "sender",
            ReachKind::Tag => "tag",
            ReachKind::Provider => "provider",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ReachKey {
    pub account_id: i64,
    pub day: i64,
    pub kind: ReachKind,
    pub name: String,
}

/// What this process has seen in sketches.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<ReachKey, Sketch>>);

impl Remembered {
    /// Whether a sketch is known to count these already.
    fn has_all(&self, key: &ReachKey, hashes: &[u64]) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).is_some_and(|sketch| hashes.iter().all(|hash| sketch.covers(*hash)))
    }

    /// After the commit.
    pub fn keep(&self, changed: Vec<(ReachKey, Sketch)>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + changed.len() > REMEMBERED_MAX {
            let newest = changed.iter().map(|(key, _)| key.day).max().unwrap_or(0);
            known.retain(|key, _| key.day >= newest);
            if known.len() + changed.len() > REMEMBERED_MAX {
                known.clear();
            }
        }
        known.extend(changed);
    }
}

/// Recipients of one transaction.
#[derive(Default)]
pub(crate) struct Reached(BTreeMap<ReachKey, (i64, Vec<u64>)>);

static SKETCHES: Bulk = Bulk::new(
    "INSERT INTO reach (account_id, day, kind, name, domain_id, sketch) VALUES",
    "($, $, $, $, $, $)",
    "ON CONFLICT (account_id, day, kind, name) DO UPDATE SET sketch = excluded.sketch",
);

impl Reached {
    pub fn add(&mut self, key: ReachKey, domain_id: i64, address_key: &str) {
        self.0.entry(key).or_insert_with(|| (domain_id, Vec::new())).1.push(hash_of(address_key));
    }

    /// Writes what changes; the caller holds the accounts' locks. The result is for [`Remembered::keep`].
    pub async fn write(
        self,
        store: &Store,
        connection: &mut AnyConnection,
    ) -> Result<Vec<(ReachKey, Sketch)>> {
        let news: Vec<(ReachKey, i64, Vec<u64>)> = self
            .0
            .into_iter()
            .filter(|(key, (_, hashes))| !store.reach().has_all(key, hashes))
            .map(|(key, (domain_id, hashes))| (key, domain_id, hashes))
            .collect();
        if news.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<ReachKey> = news.iter().map(|(key, ..)| key.clone()).collect();
        let mut stored = load(connection, &keys).await?;
        let mut seen = Vec::with_capacity(news.len());
        let mut changed = Vec::new();
        for (key, domain_id, hashes) in news {
            let mut sketch = stored.remove(&key).unwrap_or_default();
            let mut grew = false;
            for hash in hashes {
                grew |= sketch.insert(hash);
            }
            if grew {
                changed.push((key.clone(), domain_id, sketch.to_bytes()));
            }
            seen.push((key, sketch));
        }
        SKETCHES
            .run(connection, &changed, |query, (key, domain_id, bytes)| {
                let query = query.bind(key.account_id).bind(key.day).bind(key.kind.as_str());
                query.bind(key.name.clone()).bind(*domain_id).bind(bytes.clone())
            })
            .await?;
        Ok(seen)
    }
}

async fn load(connection: &mut AnyConnection, keys: &[ReachKey]) -> Result<HashMap<ReachKey, Sketch>> {
    let size = match keys.len() {
        0..=4 => 4,
        5..=16 => 16,
        _ => 64,
    };
    let rows: Vec<_> = (0..size)
        .map(|row| {
            let place = row * 4;
            let (account, day, kind, name) = (place + 1, place + 2, place + 3, place + 4);
            format!("(account_id = ${account} AND day = ${day} AND kind = ${kind} AND name = ${name})")
        })
        .collect();
    let sql = format!("SELECT account_id, day, kind, name, sketch FROM reach WHERE {}", rows.join(" OR "));
    let sql = in_dialect(connection.backend_name(), sql);
    let mut found = HashMap::new();
    for chunk in filled(keys, size) {
        let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, key| {
            query.bind(key.account_id).bind(key.day).bind(key.kind.as_str()).bind(key.name.clone())
        });
        for row in query.fetch_all(&mut *connection).await? {
            let kind: String = row.try_get(2)?;
            let kind = [ReachKind::Sender, ReachKind::Tag, ReachKind::Provider]
                .into_iter()
                .find(|known| known.as_str() == kind)
                .ok_or_else(|| StoreError::Corrupt(format!("kind of reach {kind}")))?;
            let key =
                ReachKey { account_id: row.try_get(0)?, day: row.try_get(1)?, kind, name: row.try_get(3)? };
            found.insert(key, sketch_of(&row.try_get::<Vec<u8>, _>(4)?)?);
        }
    }
    Ok(found)
}

fn sketch_of(bytes: &[u8]) -> Result<Sketch> {
    Sketch::from_bytes(bytes).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// The recipients of each sender address on local days `[from_day, before_day)`: its id, its domain's and the sketch.
pub(crate) async fn by_sender(
    connection: &mut AnyConnection,
    account_id: i64,
    from_day: i64,
    before_day: i64,
) -> Result<Vec<(i64, i64, Sketch)>> {
    let rows = sqlx::query(
        "SELECT name, domain_id, sketch FROM reach WHERE account_id = $1 AND day >= $2 AND day < $3 AND kind = 'sender' ORDER BY name",
    )
    .bind(account_id)
    .bind(from_day)
    .bind(before_day)
    .fetch_all(connection)
    .await?;
    let mut senders: BTreeMap<i64, (i64, Sketch)> = BTreeMap::new();
    for row in &rows {
        let name: String = row.try_get(0)?;
        let sender_id = name.parse().map_err(|_| StoreError::Corrupt(format!("sender {name} of a reach")))?;
        let entry = senders.entry(sender_id).or_insert((row.try_get(1)?, Sketch::default()));
        entry.1.unite(&sketch_of(&row.try_get::<Vec<u8>, _>(2)?)?);
    }
    Ok(senders.into_iter().map(|(sender, (domain, sketch))| (sender, domain, sketch)).collect())
}

impl Store {
    /// Different recipients on local days `[from_day, before_day)`: of the account, or of one tag or provider.
    pub async fn unique_recipients(
        &self,
        account_id: i64,
        from_day: i64,
        before_day: i64,
        of: UniqueOf<'_>,
    ) -> Result<i64> {
        let (kind, name) = match of {
            UniqueOf::Account => (ReachKind::Sender, None),
            UniqueOf::Sender(sender_id) => (ReachKind::Sender, Some(sender_id.to_string())),
            UniqueOf::Tag(tag) => (ReachKind::Tag, Some(tag.to_owned())),
            UniqueOf::Provider(provider) => (ReachKind::Provider, Some(provider.to_owned())),
        };
        let rows = sqlx::query(
            "SELECT sketch FROM reach WHERE account_id = $1 AND day >= $2 AND day < $3 AND kind = $4 AND ($5 = 0 OR name = $6)",
        )
        .bind(account_id)
        .bind(from_day)
        .bind(before_day)
        .bind(kind.as_str())
        .bind(i64::from(name.is_some()))
        .bind(name.unwrap_or_default())
        .fetch_all(self.read())
        .await?;
        let mut all = Sketch::default();
        for row in &rows {
            all.unite(&sketch_of(&row.try_get::<Vec<u8>, _>(0)?)?);
        }
        Ok(all.count())
    }
}

impl Store {
    /// Drops the sketches of local days before one.
    pub async fn forget_reach_before(&self, before_day: i64) -> Result<u64> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("DELETE FROM reach WHERE day < $1")
            .bind(before_day)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Whose recipients are counted.
#[derive(Clone, Copy, Debug)]
pub enum UniqueOf<'a> {
    Account,
    Sender(i64),
    Tag(&'a str),
    Provider(&'a str),
}
