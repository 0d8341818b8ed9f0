//! What the lists say of the recipients of a batch: which are refused, and which entries they hit.
//!
//! One query finds the entries of the account's own library and what the shared one says; the domains of the
//! recipients are asked for in the same query, and only for accounts that have ever entered a domain. Block list
//! and sender addresses are read only for accounts that have ever had a block or have changed their level, so
//! that all others pay nothing for them. The rules are [`indicia_domain::mail::suppression`]'s.
//!
//! A hit moves the entry's last instant, at most once a minute for each entry: entries of the system that no mail
//! hits for a year are forgotten.

use std::collections::{BTreeMap, HashMap, HashSet};

use indicia_domain::mail::suppression::{
    BlockType, Listed, Listings, Personal, SuppressionLevel, domain_key_of,
};
use indicia_domain::time::{MINUTE_MICROS, UnixMicros};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::Submission;
use crate::bulk::{filled, in_dialect};
use crate::invalid::SHARED_ACCOUNTS_MIN;
use crate::{Result, Store, StoreError};

/// Keys or rows that one query asks for.
const CHUNK: usize = 32;
/// An entry that was hit is not written again for so long.
const HIT_NOTED_EVERY_MICROS: i64 = MINUTE_MICROS;

/// What an account's row says about its lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListSettings {
    pub level: SuppressionLevel,
    /// Whether it has ever entered a whole domain.
    pub suppresses_domains: bool,
    /// Whether any recipient has ever been on its block list.
    pub blocks_recipients: bool,
}

impl ListSettings {
    /// The columns of `account` that [`ListSettings::of`] reads.
    pub const COLUMNS: &str = "a.suppression_level, a.suppresses_domains, a.blocks_recipients";

    pub fn of(row: &AnyRow) -> Result<ListSettings> {
        let level: String = row.try_get("suppression_level")?;
        let level = level
            .parse()
            .map_err(|error| StoreError::Corrupt(format!("suppression level '{level}': {error}")))?;
        Ok(ListSettings {
            level,
            suppresses_domains: row.try_get::<i64, _>("suppresses_domains")? == 1,
            blocks_recipients: row.try_get::<i64, _>("blocks_recipients")? == 1,
        })
    }

    fn needs_senders(&self) -> bool {
        self.blocks_recipients || self.level != SuppressionLevel::All
    }
}

/// A recipient to be looked up, and who writes to it.
#[derive(Clone, Debug)]
pub(crate) struct Addressee<'a> {
    pub account_id: i64,
    pub sender_id: i64,
    /// As the mail shows it, in lower case.
    pub mail_from: &'a str,
    pub key: String,
}

impl<'a> Addressee<'a> {
    /// The recipients of a mail, in order.
    pub fn of(mail: &'a Submission) -> impl Iterator<Item = Addressee<'a>> {
        mail.recipients.iter().map(|recipient| Addressee {
            account_id: mail.account_id,
            sender_id: mail.sender_id,
            mail_from: &mail.mail_from,
            key: recipient.key(),
        })
    }
}

/// An entry of an account's own library.
#[derive(Clone, Copy, Debug)]
struct Entry {
    entered_by_owner: bool,
    last_at: i64,
}

struct SenderFacts {
    address: String,
    is_batch: bool,
}

/// Everything that the lists say of some recipients.
#[derive(Default)]
pub(crate) struct Lists {
    settings: HashMap<i64, ListSettings>,
    entries: HashMap<i64, HashMap<String, Entry>>,
    shared: HashSet<String>,
    senders: HashMap<(i64, i64), SenderFacts>,
    /// By account and recipient: from which sender addresses it is blocked.
    blocks: HashMap<(i64, String), Vec<(String, BlockType)>>,
    hits: BTreeMap<(i64, String), UnixMicros>,
}

impl Lists {
    /// Reads what concerns `wanted`. Accounts without settings have no lists.
    pub async fn load(
        connection: &mut AnyConnection,
        settings: HashMap<i64, ListSettings>,
        wanted: &[Addressee<'_>],
    ) -> Result<Lists> {
        let mut lists = Lists { settings, ..Lists::default() };
        match lists.settings.keys().copied().collect::<Vec<_>>()[..] {
            [] => return Ok(lists),
            [account_id] => lists.load_of_one(connection, account_id, wanted).await?,
            _ => lists.load_of_many(connection, wanted).await?,
        }
        lists.load_senders(connection, wanted).await?;
        lists.load_blocks(connection, wanted).await?;
        Ok(lists)
    }

    fn suppresses_domains(&self, account_id: i64) -> bool {
        self.settings.get(&account_id).is_some_and(|settings| settings.suppresses_domains)
    }

    /// The keys under which an addressee can stand in the library.
    fn keys_of<'a>(&self, addressee: &'a Addressee<'_>) -> impl Iterator<Item = &'a str> + use<'a> {
        let domain = self.suppresses_domains(addressee.account_id).then(|| domain_key_of(&addressee.key));
        std::iter::once(addressee.key.as_str()).chain(domain)
    }

    /// Own and shared entries in one query.
    async fn load_of_one(
        &mut self,
        connection: &mut AnyConnection,
        account_id: i64,
        wanted: &[Addressee<'_>],
    ) -> Result<()> {
        let keys = once(wanted.iter().flat_map(|addressee| self.keys_of(addressee)));
        let sql = format!(
            "SELECT address_key, CAST(SUM(CASE WHEN message_id <> 0 THEN 1 ELSE 0 END) AS BIGINT), \
             MAX(CASE WHEN account_id <> $1 THEN 0 WHEN kind = 'user' THEN 2 ELSE 1 END), \
             MAX(CASE WHEN account_id = $2 THEN last_at ELSE 0 END) \
             FROM invalid_address WHERE address_key IN ({}) GROUP BY address_key",
            places(3)
        );
        let sql = in_dialect(connection.backend_name(), sql);
        let own = self.entries.entry(account_id).or_default();
        for chunk in filled(&keys, CHUNK) {
            let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(account_id).bind(account_id);
            let query = chunk.into_iter().fold(query, |query, key| query.bind(key));
            for row in query.fetch_all(&mut *connection).await? {
                let (key, owned): (String, i64) = (row.try_get(0)?, row.try_get(2)?);
                if owned > 0 {
                    let entry = Entry { entered_by_owner: owned == 2, last_at: row.try_get(3)? };
                    own.insert(key.clone(), entry);
                }
                if row.try_get::<i64, _>(1)? >= SHARED_ACCOUNTS_MIN {
                    self.shared.insert(key);
                }
            }
        }
        Ok(())
    }

    async fn load_of_many(&mut self, connection: &mut AnyConnection, wanted: &[Addressee<'_>]) -> Result<()> {
        let keys = once(wanted.iter().map(|addressee| addressee.key.as_str()));
        let sql = format!(
            "SELECT address_key FROM invalid_address WHERE message_id <> 0 AND address_key IN ({}) \
             GROUP BY address_key HAVING COUNT(*) >= {SHARED_ACCOUNTS_MIN}",
            places(1)
        );
        let sql = in_dialect(connection.backend_name(), sql);
        for chunk in filled(&keys, CHUNK) {
            let query =
                chunk.into_iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, key| query.bind(key));
            for row in query.fetch_all(&mut *connection).await? {
                self.shared.insert(row.try_get(0)?);
            }
        }
        let pairs: Vec<(i64, String)> = wanted
            .iter()
            .flat_map(|addressee| self.keys_of(addressee).map(|key| (addressee.account_id, key.to_owned())))
            .collect();
        let sql = format!(
            "SELECT account_id, address_key, kind, last_at FROM invalid_address WHERE {}",
            pairs_of("account_id", "address_key")
        );
        let sql = in_dialect(connection.backend_name(), sql);
        for chunk in filled(&pairs, CHUNK) {
            let query = chunk
                .into_iter()
                .fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, (account_id, key)| {
                    query.bind(account_id).bind(key)
                });
            for row in query.fetch_all(&mut *connection).await? {
                let entry = Entry {
                    entered_by_owner: row.try_get::<String, _>(2)? == "user",
                    last_at: row.try_get(3)?,
                };
                self.entries.entry(row.try_get(0)?).or_default().insert(row.try_get(1)?, entry);
            }
        }
        Ok(())
    }

    async fn load_senders(&mut self, connection: &mut AnyConnection, wanted: &[Addressee<'_>]) -> Result<()> {
        let of = |addressee: &Addressee<'_>| {
            let needed = self.settings.get(&addressee.account_id).is_some_and(ListSettings::needs_senders);
            needed.then_some((addressee.account_id, addressee.sender_id))
        };
        let pairs: HashSet<(i64, i64)> = wanted.iter().filter_map(of).collect();
        let pairs: Vec<_> = pairs.into_iter().collect();
        let sql = format!(
            "SELECT account_id, sender_id, address, send_type FROM sender WHERE {}",
            pairs_of("account_id", "sender_id")
        );
        let sql = in_dialect(connection.backend_name(), sql);
        for chunk in filled(&pairs, CHUNK) {
            let query = chunk
                .into_iter()
                .fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, (account_id, sender_id)| {
                    query.bind(account_id).bind(sender_id)
                });
            for row in query.fetch_all(&mut *connection).await? {
                let facts = SenderFacts {
                    address: row.try_get(2)?,
                    is_batch: row.try_get::<String, _>(3)? == "batch",
                };
                self.senders.insert((row.try_get(0)?, row.try_get(1)?), facts);
            }
        }
        Ok(())
    }

    async fn load_blocks(&mut self, connection: &mut AnyConnection, wanted: &[Addressee<'_>]) -> Result<()> {
        let of = |addressee: &Addressee<'_>| {
            let has_blocks =
                self.settings.get(&addressee.account_id).is_some_and(|settings| settings.blocks_recipients);
            has_blocks.then(|| (addressee.account_id, addressee.key.clone()))
        };
        let pairs: Vec<(i64, String)> = wanted.iter().filter_map(of).collect();
        let sql = format!(
            "SELECT account_id, address_key, sender_address, block_type FROM recipient_block WHERE {}",
            pairs_of("account_id", "address_key")
        );
        let sql = in_dialect(connection.backend_name(), sql);
        // The same recipient of two mails may be in two chunks.
        let mut seen = HashSet::new();
        for chunk in filled(&pairs, CHUNK) {
            let query = chunk
                .into_iter()
                .fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, (account_id, key)| {
                    query.bind(account_id).bind(key)
                });
            for row in query.fetch_all(&mut *connection).await? {
                let key: (i64, String) = (row.try_get(0)?, row.try_get(1)?);
                let kind: String = row.try_get(3)?;
                let kind = kind
                    .parse()
                    .map_err(|error| StoreError::Corrupt(format!("block type '{kind}': {error}")))?;
                let block: (String, BlockType) = (row.try_get(2)?, kind);
                if seen.insert((key.clone(), block.clone())) {
                    self.blocks.entry(key).or_default().push(block);
                }
            }
        }
        Ok(())
    }

    /// Which list refuses the addressee, if one does. A hit of the account's own library is remembered for
    /// [`Lists::write_hits`].
    pub fn refusal(&mut self, addressee: &Addressee<'_>, now: UnixMicros) -> Option<Listed> {
        let settings = *self.settings.get(&addressee.account_id)?;
        let own = self.entries.get(&addressee.account_id);
        let entry = |key: &str| own.and_then(|own| own.get(key)).map(|entry| (key.to_owned(), *entry));
        let by_address = entry(&addressee.key);
        let hit = by_address.clone().or_else(|| entry(domain_key_of(&addressee.key)));
        let personal = hit.as_ref().map(|(_, entry)| match (&by_address, entry.entered_by_owner) {
            (None, _) => Personal::EnteredDomain,
            (Some(_), true) => Personal::Entered,
            (Some(_), false) => Personal::Found,
        });
        let sender = self.senders.get(&(addressee.account_id, addressee.sender_id));
        let blocks = self.blocks.get(&(addressee.account_id, addressee.key.clone()));
        let is_blocked = |wanted: BlockType| {
            // By the registered address, or by the one that the mail shows where the login is for a whole domain.
            let of_sender = |address: &String| {
                address == addressee.mail_from || sender.is_some_and(|sender| sender.address == *address)
            };
            blocks.is_some_and(|all| all.iter().any(|(by, kind)| *kind == wanted && of_sender(by)))
        };
        let listings = Listings {
            personal,
            is_shared: self.shared.contains(&addressee.key),
            has_unsubscribed: is_blocked(BlockType::Unsubscribe),
            has_reported: is_blocked(BlockType::Report),
        };
        let refusal = listings.refusal(settings.level, sender.is_some_and(|sender| sender.is_batch));
        if let Some((key, entry)) = hit
            && now.0 - entry.last_at >= HIT_NOTED_EVERY_MICROS
        {
            self.hits.insert((addressee.account_id, key), now);
        }
        refusal
    }

    /// Which recipients of a mail are refused, by their index.
    pub fn refused(&mut self, mail: &Submission, now: UnixMicros) -> Vec<(usize, Listed)> {
        let listed = |(index, addressee)| Some((index, self.refusal(&addressee, now)?));
        Addressee::of(mail).enumerate().filter_map(listed).collect()
    }

    pub fn has_hits(&self) -> bool {
        !self.hits.is_empty()
    }

    /// Moves the last instants of the entries that were hit. Row by row, in the order of their keys: an upsert would
    /// bring back an entry that its owner removes in this moment.
    pub async fn write_hits(&mut self, connection: &mut AnyConnection) -> Result<()> {
        for ((account_id, key), at) in std::mem::take(&mut self.hits) {
            sqlx::query("UPDATE invalid_address SET last_at = $1 WHERE account_id = $2 AND address_key = $3")
                .bind(at.0)
                .bind(account_id)
                .bind(key)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

fn once<'a>(all: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen = HashSet::new();
    all.filter(|text| seen.insert(*text)).map(str::to_owned).collect()
}

/// [`CHUNK`] placeholders from `$from` on.
fn places(from: usize) -> String {
    (from..from + CHUNK).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// [`CHUNK`] times `(a = $ AND b = $)`.
fn pairs_of(a: &str, b: &str) -> String {
    let pair = |pair: usize| format!("({a} = ${} AND {b} = ${})", pair * 2 + 1, pair * 2 + 2);
    (0..CHUNK).map(pair).collect::<Vec<_>>().join(" OR ")
}

impl Store {
    /// Which list refuses mail of a sender address to the recipient with this key (see `Recipient::key`), as
    /// admission will decide. A hit of the account's own library is noted. `None` also for an account that does not exist.
    pub async fn listed(
        &self,
        account_id: i64,
        sender_id: i64,
        mail_from: &str,
        key: &str,
    ) -> Result<Option<Listed>> {
        let mut connection = self.read().acquire().await?;
        let sql = format!("SELECT {} FROM account a WHERE a.account_id = $1", ListSettings::COLUMNS);
        let row = sqlx::query(AssertSqlSafe(sql)).bind(account_id).fetch_optional(&mut *connection).await?;
        let Some(row) = row else { return Ok(None) };
        let settings = HashMap::from([(account_id, ListSettings::of(&row)?)]);
        let addressee = Addressee { account_id, sender_id, mail_from, key: key.to_owned() };
        let mut lists = Lists::load(&mut connection, settings, std::slice::from_ref(&addressee)).await?;
        drop(connection);
        let listed = lists.refusal(&addressee, self.now());
        if lists.has_hits() {
            let mut transaction = self.begin().await?;
            lists.write_hits(&mut transaction).await?;
            transaction.commit().await?;
        }
        Ok(listed)
    }

    /// Whether an address is in the account's own library or in the shared one, whoever writes to it.
    pub async fn is_listed_invalid(&self, account_id: i64, key: &str) -> Result<Option<Listed>> {
        let mut connection = self.read().acquire().await?;
        let settings =
            ListSettings { level: SuppressionLevel::All, suppresses_domains: true, blocks_recipients: false };
        let settings = HashMap::from([(account_id, settings)]);
        let addressee = Addressee { account_id, sender_id: 0, mail_from: "", key: key.to_owned() };
        let mut lists = Lists::load(&mut connection, settings, std::slice::from_ref(&addressee)).await?;
        Ok(lists.refusal(&addressee, self.now()))
    }

    /// Whether any list of the account has or ever had an entry.
    pub async fn has_lists(&self, account_id: i64) -> Result<bool> {
        let row = sqlx::query(
            "SELECT 1 FROM account WHERE account_id = $1 AND blocks_recipients = 1 \
             UNION ALL SELECT 1 FROM invalid_address WHERE account_id = $2 LIMIT 1",
        )
        .bind(account_id)
        .bind(account_id)
        .fetch_optional(self.read())
        .await?;
        Ok(row.is_some())
    }
}
