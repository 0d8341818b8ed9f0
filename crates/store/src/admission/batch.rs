//! One batch of submissions: load, decide, write, commit.

use std::collections::{BTreeSet, HashMap, HashSet};

use indicia_domain::account::{AccountState, AccountStatus};
use indicia_domain::ledger::charge::{Charge, Source};
use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::ledger::package::Package;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::mail::State;
use indicia_domain::mail::admission::{Policy, Refusal, admit};
use indicia_domain::quota::Allowance;
use indicia_domain::time::{UnixMicros, local_day, zone};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};

use super::{Acceptance, Admitted, Handoff, Nonce, Submission, SubmitError, queued_mail};
use crate::bulk::{Bulk, filled, in_dialect};
use crate::invalid::{self, Listed};
use crate::ledger::append;
use crate::queue::MailKey;
use crate::{Result, Store, StoreError};

/// A batch while it is being decided.
pub(super) struct Batch<'a> {
    policy: &'a Policy,
    now: UnixMicros,
    accounts: HashMap<i64, Loaded>,
    invalid: HashMap<i64, HashMap<String, Listed>>,
    /// Keys and nonces known from before or from earlier in this batch.
    keys: HashMap<(i64, String), (String, i64)>,
    nonces: HashSet<Nonce>,
    lines: Vec<Transfer>,
}

struct Loaded {
    state: AccountState,
    sequence: i64,
    /// Packages as loaded, to write back only what changed.
    remaining_before: HashMap<String, i64>,
    changed: bool,
}

/// An accepted submission and whether this node delivers it at once.
struct Accepted<'a> {
    submission: &'a Submission,
    acceptance: Acceptance,
    day: i64,
    leased: bool,
}

/// A transaction that waits for its batch, and the node under which it leases.
pub(super) struct Begun {
    pub node: i64,
    transaction: Transaction<'static, Any>,
}

impl Store {
    pub(super) async fn begin_batch(&self) -> Result<Begun> {
        // The node first: joining writes, and SQLite has one writer.
        let node = self.node_id().await?;
        Ok(Begun { node, transaction: self.begin().await? })
    }
}

/// Which of `part` are in the database; they are freed for delivery if they are still leased to `node`.
pub(super) async fn kept_after_all(store: &Store, part: &[Submission], node: i64) -> Result<Vec<i64>> {
    let mut kept = Vec::new();
    for submission in part {
        if store.message(submission.account_id, submission.message_id).await?.is_none() {
            continue;
        }
        let keys: Vec<MailKey> = (0..submission.recipients.len())
            .map(|index| MailKey {
                account_id: submission.account_id,
                message_id: submission.message_id,
                number: index as i64,
            })
            .collect();
        store.free_own_leases(&keys, node).await?;
        kept.push(submission.message_id);
    }
    Ok(kept)
}

impl<'a> Batch<'a> {
    /// Decides over `submissions` and commits what is accepted. An error means that nothing was kept.
    pub async fn run(
        store: &Store,
        policy: &'a Policy,
        handoff: Option<&dyn Handoff>,
        begun: Begun,
        submissions: &'a [Submission],
    ) -> Result<Vec<Result<Admitted, SubmitError>>> {
        let Begun { node, mut transaction } = begun;
        let mut batch = Batch::load(store, policy, &mut transaction, submissions).await?;
        let mut results = Vec::with_capacity(submissions.len());
        let mut accepted = Vec::new();
        for submission in submissions {
            let decided = batch.decide(submission);
            if let Ok(Admitted::Accepted(acceptance)) = &decided {
                let day = batch.day_of(submission.account_id);
                accepted.push(Accepted { submission, acceptance: acceptance.clone(), day, leased: false });
            }
            results.push(decided);
        }
        if accepted.is_empty() {
            transaction.rollback().await?;
            return Ok(results);
        }
        reserve(handoff, &mut accepted);
        let written = async {
            batch.write(&mut transaction, &accepted, node).await?;
            transaction.commit().await.map_err(StoreError::from)
        };
        if let Err(error) = written.await {
            release(handoff, &accepted);
            return Err(error);
        }
        hand_over(handoff, &accepted, batch.now);
        Ok(results)
    }

    async fn load(
        store: &Store,
        policy: &'a Policy,
        connection: &mut AnyConnection,
        submissions: &[Submission],
    ) -> Result<Batch<'a>> {
        let ids: BTreeSet<i64> = submissions.iter().map(|submission| submission.account_id).collect();
        // Ascending, so that two nodes that lock several accounts never wait for each other in a circle.
        let ids: Vec<i64> = ids.into_iter().collect();
        let mut accounts = load_states(store, connection, &ids).await?;
        // R09: the instant of acceptance is taken once the rows are locked.
        let now = store.now();
        load_packages(connection, &ids, now, &mut accounts).await?;
        let mut invalid = HashMap::new();
        for &account_id in &ids {
            let own = submissions.iter().filter(|submission| submission.account_id == account_id);
            let keys: Vec<_> = own
                .flat_map(|submission| submission.recipients.iter().map(|recipient| recipient.key()))
                .collect();
            invalid.insert(account_id, invalid::listed(connection, account_id, &keys).await?);
        }
        let keys = load_keys(connection, submissions).await?;
        let nonces = load_nonces(connection, submissions).await?;
        Ok(Batch { policy, now, accounts, invalid, keys, nonces, lines: Vec::new() })
    }

    fn day_of(&self, account_id: i64) -> i64 {
        self.accounts.get(&account_id).map_or(0, |loaded| local_day(&loaded.state.zone, self.now).number)
    }

    fn decide(&mut self, submission: &Submission) -> Result<Admitted, SubmitError> {
        if let Some(idempotency) = &submission.idempotency
            && let Some((hash, message_id)) = self.keys.get(&(submission.account_id, idempotency.key.clone()))
        {
            return match *hash == idempotency.content_hash {
                true => Ok(Admitted::Replayed { message_id: *message_id }),
                false => Err(SubmitError::IdempotencyConflict),
            };
        }
        if submission.nonce.as_ref().is_some_and(|nonce| self.nonces.contains(nonce)) {
            return Err(SubmitError::NonceReplayed);
        }
        let Some(loaded) = self.accounts.get_mut(&submission.account_id) else {
            return Err(SubmitError::NoAccount(submission.account_id));
        };
        let listed = self.invalid.get(&submission.account_id);
        let refused: Vec<(usize, Listed)> = submission
            .recipients
            .iter()
            .enumerate()
            .filter_map(|(index, recipient)| Some((index, *listed?.get(&recipient.key())?)))
            .collect();
        let mails = (submission.recipients.len() - refused.len()) as i64;
        if mails == 0 {
            return Err(Refusal::NoRecipients.into());
        }
        let charges = admit(&mut loaded.state, self.policy, self.now, mails)?;
        loaded.changed = true;
        for charge in &charges {
            loaded.sequence += 1;
            self.lines.push(line_of(submission, charge, loaded.sequence, self.now));
        }
        if let Some(idempotency) = &submission.idempotency {
            let known = (idempotency.content_hash.clone(), submission.message_id);
            self.keys.insert((submission.account_id, idempotency.key.clone()), known);
        }
        self.nonces.extend(submission.nonce.clone());
        Ok(Admitted::Accepted(Acceptance {
            message_id: submission.message_id,
            accepted_at: self.now,
            charges,
            refused,
        }))
    }

    async fn write(
        &self,
        connection: &mut AnyConnection,
        accepted: &[Accepted<'_>],
        node: i64,
    ) -> Result<()> {
        write_messages(connection, accepted, self.now).await?;
        write_recipients(connection, accepted, self.now).await?;
        write_queue(connection, accepted, self.now, node).await?;
        append(connection, &self.lines).await?;
        write_accounts(connection, &self.accounts).await?;
        write_usage(connection, accepted).await?;
        write_keys(connection, accepted, self.now).await?;
        Ok(())
    }
}

/// Promises room in this node's delivery. Whoever finds none waits in the queue until some node claims it.
fn reserve(handoff: Option<&dyn Handoff>, accepted: &mut [Accepted<'_>]) {
    let Some(handoff) = handoff else { return };
    for mail in accepted {
        mail.leased = handoff.reserve(mail.mails(), mail.submission.content.len());
    }
}

fn release(handoff: Option<&dyn Handoff>, accepted: &[Accepted<'_>]) {
    let Some(handoff) = handoff else { return };
    for mail in accepted.iter().filter(|mail| mail.leased) {
        handoff.release(mail.mails(), mail.submission.content.len());
    }
}

fn hand_over(handoff: Option<&dyn Handoff>, accepted: &[Accepted<'_>], now: UnixMicros) {
    let Some(handoff) = handoff else { return };
    for mail in accepted.iter().filter(|mail| mail.leased) {
        handoff.deliver(queued_mail(mail.submission, &mail.acceptance, mail.day, now));
    }
}

impl Accepted<'_> {
    fn mails(&self) -> usize {
        self.submission.recipients.len() - self.acceptance.refused.len()
    }

    fn is_refused(&self, index: usize) -> bool {
        self.acceptance.refused.iter().any(|(refused, _)| *refused == index)
    }
}

fn line_of(submission: &Submission, charge: &Charge, sequence: i64, at: UnixMicros) -> Transfer {
    Transfer {
        account_id: submission.account_id,
        sequence,
        transaction_id: submission.message_id,
        at,
        kind: Kind::Send,
        unit: Unit::Mail,
        from: charge.source.ledger_account(),
        to: LedgerAccount::Consumed,
        amount: charge.mails,
        before: charge.before,
        after: charge.after,
        memo: String::new(),
    }
}

/// `$from..` placeholders for `count` values.
fn places(from: usize, count: usize) -> String {
    (from..from + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

fn id_chunk(count: usize) -> usize {
    if count == 1 { 1 } else { 32 }
}

async fn load_states(
    store: &Store,
    connection: &mut AnyConnection,
    ids: &[i64],
) -> Result<HashMap<i64, Loaded>> {
    let size = id_chunk(ids.len());
    let sql = format!(
        "SELECT s.account_id, s.status, s.daily_quota, s.quota_day, s.quota_day_used, s.quota_month, s.quota_month_used, \
         s.free_left, s.free_day, s.free_day_used, s.payg_mails, s.ledger_sequence, a.zone \
         FROM account_state s JOIN account a ON a.account_id = s.account_id \
         WHERE s.account_id IN ({}) ORDER BY s.account_id{}",
        places(1, size),
        if store.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" }
    );
    let mut loaded = HashMap::new();
    for chunk in filled(ids, size) {
        let query =
            chunk.into_iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, id| query.bind(id));
        for row in query.fetch_all(&mut *connection).await? {
            let state = state_of(&row)?;
            loaded.insert(
                state.account_id,
                Loaded {
                    state,
                    sequence: row.try_get(11)?,
                    remaining_before: HashMap::new(),
                    changed: false,
                },
            );
        }
    }
    Ok(loaded)
}

fn state_of(row: &AnyRow) -> Result<AccountState> {
    let name: String = row.try_get(12)?;
    Ok(AccountState {
        account_id: row.try_get(0)?,
        status: AccountStatus(row.try_get(1)?),
        zone: zone(&name).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        allowance: Allowance {
            daily_mails: row.try_get(2)?,
            day: row.try_get(3)?,
            day_used: row.try_get(4)?,
            month: row.try_get(5)?,
            month_used: row.try_get(6)?,
        },
        free: FreeCredit { total_left: row.try_get(7)?, day: row.try_get(8)?, day_used: row.try_get(9)? },
        packages: Vec::new(),
        pay_as_you_go_mails: row.try_get(10)?,
    })
}

/// Packages that can pay at `now`. The account's row is locked, and whoever changes a package locks it first.
async fn load_packages(
    connection: &mut AnyConnection,
    ids: &[i64],
    now: UnixMicros,
    accounts: &mut HashMap<i64, Loaded>,
) -> Result<()> {
    let size = id_chunk(ids.len());
    let sql = format!(
        "SELECT account_id, instance_id, granted, remaining, purchased_at, starts_at, ends_at FROM package \
         WHERE remaining > 0 AND refunded_at IS NULL AND starts_at <= $1 AND ends_at > $2 AND account_id IN ({})",
        places(3, size)
    );
    for chunk in filled(ids, size) {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(now.0).bind(now.0);
        let query = chunk.into_iter().fold(query, |query, id| query.bind(id));
        for row in query.fetch_all(&mut *connection).await? {
            let Some(loaded) = accounts.get_mut(&row.try_get(0)?) else { continue };
            let package = Package {
                instance_id: row.try_get(1)?,
                granted: row.try_get(2)?,
                remaining: row.try_get(3)?,
                purchased_at: UnixMicros(row.try_get(4)?),
                starts_at: UnixMicros(row.try_get(5)?),
                ends_at: UnixMicros(row.try_get(6)?),
                refunded: false,
            };
            loaded.remaining_before.insert(package.instance_id.clone(), package.remaining);
            loaded.state.packages.push(package);
        }
    }
    Ok(())
}

async fn load_keys(
    connection: &mut AnyConnection,
    submissions: &[Submission],
) -> Result<HashMap<(i64, String), (String, i64)>> {
    let mut known = HashMap::new();
    for submission in submissions {
        let Some(idempotency) = &submission.idempotency else { continue };
        let row = sqlx::query(
            "SELECT content_hash, answer FROM idempotency WHERE account_id = $1 AND idem_key = $2",
        )
        .bind(submission.account_id)
        .bind(idempotency.key.clone())
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(row) = row {
            // A key of something that is no mail (a purchase) has no message; its hash differs, so it conflicts.
            let message_id = row.try_get::<String, _>(1)?.parse().unwrap_or(0);
            known.insert((submission.account_id, idempotency.key.clone()), (row.try_get(0)?, message_id));
        }
    }
    Ok(known)
}

async fn load_nonces(connection: &mut AnyConnection, submissions: &[Submission]) -> Result<HashSet<Nonce>> {
    const SIZE: usize = 16;
    let wanted: Vec<Nonce> = submissions.iter().filter_map(|submission| submission.nonce.clone()).collect();
    let mut known = HashSet::new();
    let rows: Vec<_> = (0..SIZE)
        .map(|row| format!("(access_key_id = ${} AND nonce = ${})", row * 2 + 1, row * 2 + 2))
        .collect();
    let sql = format!("SELECT access_key_id, nonce FROM api_nonce WHERE {}", rows.join(" OR "));
    let sql = in_dialect(connection.backend_name(), sql);
    for chunk in filled(&wanted, SIZE) {
        let query = chunk.into_iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, nonce| {
            query.bind(nonce.access_key_id).bind(nonce.nonce)
        });
        for row in query.fetch_all(&mut *connection).await? {
            known.insert(Nonce { access_key_id: row.try_get(0)?, nonce: row.try_get(1)? });
        }
    }
    Ok(known)
}

static MESSAGES: Bulk = Bulk::new(
    "INSERT INTO message (account_id, message_id, accepted_at, day, via, sender_id, domain_id, mail_from, subject, tag, \
     size_bytes, recipient_count, refused_count) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $)",
    "",
);
static CONTENTS: Bulk =
    Bulk::new("INSERT INTO content (account_id, message_id, bytes) VALUES", "($, $, $)", "");
static RECIPIENTS: Bulk = Bulk::new(
    "INSERT INTO recipient (account_id, message_id, number, address, address_key, state, classification, reply, attempts, updated_at) VALUES",
    "($, $, $, $, $, $, $, $, 0, $)",
    "",
);
static QUEUE: Bulk = Bulk::new(
    "INSERT INTO queue (account_id, message_id, number, domain, due_at, lease_node, attempts, accepted_at, size_bytes, reason) VALUES",
    "($, $, $, $, $, $, 0, $, $, '')",
    "",
);
static USAGE: Bulk = Bulk::new(
    "INSERT INTO usage_day (account_id, day, sender_id, accepted, delivered, invalid, spam, failed) VALUES",
    "($, $, $, $, 0, 0, 0, 0)",
    "ON CONFLICT (account_id, day, sender_id) DO UPDATE SET accepted = usage_day.accepted + excluded.accepted",
);
static KEYS: Bulk = Bulk::new(
    "INSERT INTO idempotency (account_id, idem_key, content_hash, answer, created_at) VALUES",
    "($, $, $, $, $)",
    "",
);
static NONCES: Bulk =
    Bulk::new("INSERT INTO api_nonce (access_key_id, nonce, seen_at) VALUES", "($, $, $)", "");

async fn write_messages(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
    now: UnixMicros,
) -> Result<()> {
    MESSAGES
        .run(connection, accepted, |query, mail| {
            let submission = mail.submission;
            query
                .bind(submission.account_id)
                .bind(submission.message_id)
                .bind(now.0)
                .bind(mail.day)
                .bind(submission.via.as_str())
                .bind(submission.sender_id)
                .bind(submission.domain_id)
                .bind(submission.mail_from.clone())
                .bind(submission.subject.clone())
                .bind(submission.tag.clone())
                .bind(submission.content.len() as i64)
                .bind(submission.recipients.len() as i64)
                .bind(mail.acceptance.refused.len() as i64)
        })
        .await?;
    CONTENTS
        .run(connection, accepted, |query, mail| {
            query
                .bind(mail.submission.account_id)
                .bind(mail.submission.message_id)
                .bind(mail.submission.content.to_vec())
        })
        .await?;
    Ok(())
}

async fn write_recipients(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
    now: UnixMicros,
) -> Result<()> {
    let rows: Vec<_> = accepted
        .iter()
        .flat_map(|mail| (0..mail.submission.recipients.len()).map(move |index| (mail, index)))
        .collect();
    RECIPIENTS
        .run(connection, &rows, |query, (mail, index)| {
            let recipient = &mail.submission.recipients[*index];
            let (state, classification, reply) = match mail.is_refused(*index) {
                false => (State::Waiting, "", ""),
                true => (
                    State::InvalidAddress,
                    "SysIncomingInvRcpt",
                    "refused at intake: the address is in the invalid-address library; not counted, not charged",
                ),
            };
            query
                .bind(mail.submission.account_id)
                .bind(mail.submission.message_id)
                .bind(*index as i64)
                .bind(recipient.address.clone())
                .bind(recipient.key())
                .bind(state as i64)
                .bind(classification)
                .bind(reply)
                .bind(now.0)
        })
        .await?;
    Ok(())
}

async fn write_queue(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
    now: UnixMicros,
    node: i64,
) -> Result<()> {
    let rows: Vec<_> = accepted
        .iter()
        .flat_map(|mail| (0..mail.submission.recipients.len()).map(move |index| (mail, index)))
        .filter(|(mail, index)| !mail.is_refused(*index))
        .collect();
    QUEUE
        .run(connection, &rows, |query, (mail, index)| {
            query
                .bind(mail.submission.account_id)
                .bind(mail.submission.message_id)
                .bind(*index as i64)
                .bind(mail.submission.recipients[*index].domain.clone())
                .bind(now.0)
                .bind(if mail.leased { node } else { 0 })
                .bind(now.0)
                .bind(mail.submission.content.len() as i64)
        })
        .await?;
    Ok(())
}

async fn write_accounts(connection: &mut AnyConnection, accounts: &HashMap<i64, Loaded>) -> Result<()> {
    for loaded in accounts.values().filter(|loaded| loaded.changed) {
        let state = &loaded.state;
        sqlx::query(
            "UPDATE account_state SET quota_day = $1, quota_day_used = $2, quota_month = $3, quota_month_used = $4, \
             free_left = $5, free_day = $6, free_day_used = $7, payg_mails = $8, ledger_sequence = $9 WHERE account_id = $10",
        )
        .bind(state.allowance.day)
        .bind(state.allowance.day_used)
        .bind(state.allowance.month)
        .bind(state.allowance.month_used)
        .bind(state.free.total_left)
        .bind(state.free.day)
        .bind(state.free.day_used)
        .bind(state.pay_as_you_go_mails)
        .bind(loaded.sequence)
        .bind(state.account_id)
        .execute(&mut *connection)
        .await?;
        for package in &state.packages {
            if loaded.remaining_before.get(&package.instance_id) != Some(&package.remaining) {
                sqlx::query("UPDATE package SET remaining = $1 WHERE account_id = $2 AND instance_id = $3")
                    .bind(package.remaining)
                    .bind(state.account_id)
                    .bind(package.instance_id.clone())
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(())
}

async fn write_usage(connection: &mut AnyConnection, accepted: &[Accepted<'_>]) -> Result<()> {
    let mut usage: HashMap<(i64, i64, i64), i64> = HashMap::new();
    for mail in accepted {
        let key = (mail.submission.account_id, mail.day, mail.submission.sender_id);
        *usage.entry(key).or_default() += mail.mails() as i64;
    }
    let mut usage: Vec<_> = usage.into_iter().collect();
    usage.sort_unstable();
    USAGE
        .run(connection, &usage, |query, ((account_id, day, sender_id), mails)| {
            query.bind(*account_id).bind(*day).bind(*sender_id).bind(*mails)
        })
        .await?;
    Ok(())
}

async fn write_keys(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
    now: UnixMicros,
) -> Result<()> {
    let keys: Vec<_> = accepted
        .iter()
        .filter_map(|mail| Some((mail.submission, mail.submission.idempotency.as_ref()?)))
        .collect();
    KEYS.run(connection, &keys, |query, (submission, key)| {
        query
            .bind(submission.account_id)
            .bind(key.key.clone())
            .bind(key.content_hash.clone())
            .bind(submission.message_id.to_string())
            .bind(now.0)
    })
    .await?;
    let nonces: Vec<_> = accepted.iter().filter_map(|mail| mail.submission.nonce.as_ref()).collect();
    NONCES
        .run(connection, &nonces, |query, nonce| {
            query.bind(nonce.access_key_id.clone()).bind(nonce.nonce.clone()).bind(now.0)
        })
        .await?;
    Ok(())
}

/// The sources a message is still charged to, in the order of charging, from its ledger lines.
pub(crate) fn still_charged(lines: &[Transfer]) -> Vec<(Source, i64)> {
    let mut charged: Vec<(Source, i64)> = Vec::new();
    for line in lines {
        match line.kind {
            Kind::Send => {
                charged.extend(Source::from_ledger_account(&line.from).map(|source| (source, line.amount)))
            }
            Kind::Reversal => {
                let back = Source::from_ledger_account(&line.to);
                if let Some(entry) =
                    charged.iter_mut().rev().find(|(source, _)| Some(source) == back.as_ref())
                {
                    entry.1 -= line.amount;
                }
            }
            _ => {}
        }
    }
    charged
}
