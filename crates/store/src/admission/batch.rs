//! One batch of submissions: load, decide, write, commit.

use std::collections::{BTreeSet, HashMap, HashSet};

use indicia_domain::account::{AccountState, AccountStatus, SendingPause};
use indicia_domain::ledger::alert::DISARMED;
use indicia_domain::ledger::charge::{Charge, Source};
use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::ledger::package::Package;
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer, Unit};
use indicia_domain::mail::admission::{Policy, Request, admit};
use indicia_domain::mail::provider::Provider;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::quota::Allowance;
use indicia_domain::time::{LocalHour, UnixMicros, local_day, local_hour, never_back, zone};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Row, Transaction};

use super::listed::{Addressee, ListSettings, Lists};
use super::write::{
    reached, write_accounts, write_counts, write_keys, write_messages, write_queue, write_recipients,
};
use super::{Acceptance, Admitted, Handoff, Nonce, Submission, SubmitError, queued_mail};
use crate::alert::{Crossing, low_balance, used_up};
use crate::bulk::{filled, in_dialect};
use crate::evidence::Counted;
use crate::invalid::Listed;
use crate::ledger::append;
use crate::notice::{NewNotice, schedule};
use crate::queue::MailKey;
use crate::quota::{load_warming, write_warming};
use crate::usage::UsageChange;
use crate::{Result, Store, StoreError};

/// A batch while it is being decided.
pub(super) struct Batch<'a> {
    policy: &'a Policy,
    accounts: HashMap<i64, Loaded>,
    lists: Lists,
    /// Keys and nonces known from before or from earlier in this batch.
    keys: HashMap<(i64, String), (String, i64)>,
    nonces: HashSet<Nonce>,
    lines: Vec<Transfer>,
    usage: UsageChange,
    notices: Vec<NewNotice>,
}

pub(super) struct Loaded {
    pub state: AccountState,
    /// R09: the instant of acceptance, taken once the row is locked, and never before the last change.
    pub now: UnixMicros,
    pub sequence: i64,
    /// Packages as loaded, to write back only what changed.
    pub before: HashMap<String, PackageBefore>,
    /// Over all packages (R15), and the mails of those in their validity.
    pub alert: Alert,
    granted: i64,
    lists: ListSettings,
    pub changed: bool,
}

/// A package as it was loaded, and its own alert.
pub(super) struct PackageBefore {
    pub remaining: i64,
    pub alert: Alert,
}

/// R15: a threshold, and the remaining mails at which it goes off; see [`indicia_domain::ledger::alert`].
#[derive(Clone, Copy)]
pub(super) struct Alert {
    pub percent: i64,
    pub floor: i64,
}

impl Alert {
    /// Whether it goes off at `remaining`; then it is silent until the total grows.
    fn goes_off(&mut self, remaining: i64) -> bool {
        let off = self.floor != DISARMED && remaining <= self.floor;
        if off {
            self.floor = DISARMED;
        }
        off
    }
}

/// An accepted submission and whether this node delivers it at once.
pub(super) struct Accepted<'a> {
    pub submission: &'a Submission,
    pub acceptance: Acceptance,
    pub day: i64,
    pub leased: bool,
}

/// A transaction that waits for its batch, and the node under which it leases.
pub(super) struct Begun {
    pub node: i64,
    transaction: Transaction<'static, Any>,
}

impl Loaded {
    fn remaining(&self) -> i64 {
        // Only packages that can pay now are loaded.
        self.state.packages.iter().map(|package| package.remaining).sum()
    }

    pub fn remaining_before(&self, instance: &str) -> Option<i64> {
        self.before.get(instance).map(|before| before.remaining)
    }

    fn hour(&self) -> LocalHour {
        local_hour(&self.state.zone, self.now)
    }

    fn day(&self) -> i64 {
        local_day(&self.state.zone, self.now).number
    }

    /// R15: what the deductions of one request set off.
    fn alerts(&mut self, charges: &[Charge], had: i64) -> Vec<NewNotice> {
        let crossing = Crossing { account_id: self.state.account_id, now: self.now, sequence: self.sequence };
        let has = self.remaining();
        let mut notices = Vec::new();
        if has == had {
            return notices;
        }
        if has == 0 {
            notices.push(used_up(crossing));
        }
        // "Used up" says it already that nothing is left.
        if self.alert.goes_off(has) && has > 0 {
            notices.push(low_balance(crossing, None, self.alert.percent, (has, self.granted)));
        }
        for charge in charges {
            let Source::Package(instance) = &charge.source else { continue };
            let Some(before) = self.before.get_mut(instance) else { continue };
            if before.alert.goes_off(charge.after) {
                let granted = self
                    .state
                    .packages
                    .iter()
                    .find(|package| package.instance_id == *instance)
                    .map_or(0, |package| package.granted);
                let (percent, left) = (before.alert.percent, (charge.after, granted));
                notices.push(low_balance(crossing, Some(instance), percent, left));
            }
        }
        notices
    }
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
        if accepted.is_empty() && !batch.lists.has_hits() {
            transaction.rollback().await?;
            return Ok(results);
        }
        reserve(handoff, &mut accepted);
        let written = async {
            batch.write(&mut transaction, &accepted, node).await?;
            let seen = reached(&accepted).write(store, &mut transaction).await?;
            transaction.commit().await.map_err(StoreError::from)?;
            store.reach().keep(seen);
            Ok(())
        };
        if let Err(error) = written.await {
            release(handoff, &accepted);
            return Err(error);
        }
        hand_over(handoff, &accepted);
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
        load_packages(connection, &ids, &mut accounts).await?;
        let settings = accounts.iter().map(|(account_id, loaded)| (*account_id, loaded.lists)).collect();
        let wanted: Vec<Addressee<'_>> = submissions.iter().flat_map(Addressee::of).collect();
        let lists = Lists::load(connection, settings, &wanted).await?;
        let keys = load_keys(connection, submissions).await?;
        let nonces = load_nonces(connection, submissions).await?;
        Ok(Batch {
            policy,
            accounts,
            lists,
            keys,
            nonces,
            lines: Vec::new(),
            usage: UsageChange::default(),
            notices: Vec::new(),
        })
    }

    fn day_of(&self, account_id: i64) -> i64 {
        self.accounts.get(&account_id).map_or(0, Loaded::day)
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
        let refused = self.lists.refused(submission, loaded.now);
        let mails = (submission.recipients.len() - refused.len()) as i64;
        if mails == 0 {
            return Err(SubmitError::Listed { refused });
        }
        let had = loaded.remaining();
        let request = Request { mails, domain_id: submission.domain_id, sender_id: submission.sender_id };
        let charges = admit(&mut loaded.state, self.policy, loaded.now, request)?;
        loaded.changed = true;
        let (hour, day) = (loaded.hour(), loaded.day());
        for charge in &charges {
            self.usage.add_at(submission.account_id, hour, day, &charge.source, charge.mails);
        }
        self.usage.price(submission.account_id, hour, self.policy.pay_as_you_go);
        self.notices.extend(loaded.alerts(&charges, had));
        for charge in &charges {
            loaded.sequence += 1;
            self.lines.push(line_of(submission, charge, loaded.sequence, loaded.now));
        }
        if let Some(idempotency) = &submission.idempotency {
            let known = (idempotency.content_hash.clone(), submission.message_id);
            self.keys.insert((submission.account_id, idempotency.key.clone()), known);
        }
        self.nonces.extend(submission.nonce.clone());
        Ok(Admitted::Accepted(Acceptance {
            message_id: submission.message_id,
            accepted_at: loaded.now,
            charges,
            refused,
        }))
    }

    async fn write(
        &mut self,
        connection: &mut AnyConnection,
        accepted: &[Accepted<'_>],
        node: i64,
    ) -> Result<()> {
        write_messages(connection, accepted).await?;
        write_recipients(connection, accepted).await?;
        write_queue(connection, accepted, node).await?;
        append(connection, &self.lines).await?;
        write_accounts(connection, &self.accounts).await?;
        std::mem::take(&mut self.usage).write(connection).await?;
        schedule(connection, &self.notices).await?;
        let changed = self.accounts.values().filter(|loaded| loaded.changed);
        let used = changed
            .flat_map(|loaded| loaded.state.warming.iter().map(|warming| (loaded.state.account_id, warming)));
        write_warming(connection, &used.collect::<Vec<_>>()).await?;
        write_counts(connection, accepted).await?;
        write_keys(connection, accepted).await?;
        // Last, as deliveries enter addresses last: the two never wait for each other in a circle.
        self.lists.write_hits(connection).await?;
        Ok(())
    }
}

/// Promises room in this node's delivery. Whoever finds none waits in the queue until some node claims it.
fn reserve(handoff: Option<&dyn Handoff>, accepted: &mut [Accepted<'_>]) {
    let Some(handoff) = handoff else { return };
    for mail in accepted {
        // The claim chooses a pool's address: such a mail has to be claimed.
        let is_pooled = mail.submission.ip_pool_id.is_some();
        mail.leased = !is_pooled && handoff.reserve(mail.mails(), mail.submission.content.len());
    }
}

fn release(handoff: Option<&dyn Handoff>, accepted: &[Accepted<'_>]) {
    let Some(handoff) = handoff else { return };
    for mail in accepted.iter().filter(|mail| mail.leased) {
        handoff.release(mail.mails(), mail.submission.content.len());
    }
}

fn hand_over(handoff: Option<&dyn Handoff>, accepted: &[Accepted<'_>]) {
    let Some(handoff) = handoff else { return };
    for mail in accepted.iter().filter(|mail| mail.leased) {
        handoff.deliver(queued_mail(mail.submission, &mail.acceptance, mail.day));
    }
    if accepted.iter().any(|mail| mail.submission.ip_pool_id.is_some()) {
        handoff.look_at_queue();
    }
}

impl Accepted<'_> {
    /// The recipients that were not refused.
    pub(super) fn taken(&self) -> impl Iterator<Item = &Recipient> {
        let recipients = self.submission.recipients.iter().enumerate();
        recipients.filter(|(index, _)| self.refused(*index).is_none()).map(|(_, recipient)| recipient)
    }

    /// Under what a mail to a provider is counted.
    pub(super) fn counted(&self, provider: Provider) -> Counted<'_> {
        Counted {
            account_id: self.submission.account_id,
            domain_id: self.submission.domain_id,
            sender_id: self.submission.sender_id,
            tag: &self.submission.tag,
            provider,
            day: self.day,
            accepted_at: self.acceptance.accepted_at,
        }
    }

    pub(super) fn mails(&self) -> usize {
        self.submission.recipients.len() - self.acceptance.refused.len()
    }

    pub(super) fn refused(&self, index: usize) -> Option<Listed> {
        self.acceptance.refused.iter().find(|(refused, _)| *refused == index).map(|(_, listed)| *listed)
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
        validity: None,
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
         s.free_left, s.free_day, s.free_day_used, s.payg_mails, s.ledger_sequence, a.zone, s.alert_percent, s.alert_floor, s.changed_at, s.paused_at, s.pause_reason, s.warming, {} \
         FROM account_state s JOIN account a ON a.account_id = s.account_id \
         WHERE s.account_id IN ({}) ORDER BY s.account_id{}",
        ListSettings::COLUMNS,
        places(1, size),
        if store.engine().for_update().is_empty() { "" } else { " FOR UPDATE OF s" }
    );
    let mut rows = Vec::with_capacity(ids.len());
    for chunk in filled(ids, size) {
        let query =
            chunk.into_iter().fold(sqlx::query(AssertSqlSafe(sql.clone())), |query, id| query.bind(id));
        rows.extend(query.fetch_all(&mut *connection).await?);
    }
    let clock = store.now();
    let (mut loaded, mut warming) = (HashMap::new(), Vec::new());
    for row in &rows {
        let state = state_of(row)?;
        let account = Loaded {
            now: never_back(clock, UnixMicros(row.try_get(15)?)),
            sequence: row.try_get(11)?,
            before: HashMap::new(),
            alert: Alert { percent: row.try_get(13)?, floor: row.try_get(14)? },
            granted: 0,
            lists: ListSettings::of(row)?,
            changed: false,
            state,
        };
        if row.try_get::<i64, _>(18)? > 0 {
            warming.push(account.state.account_id);
        }
        loaded.insert(account.state.account_id, account);
    }
    for (account_id, row) in load_warming(connection, &warming).await? {
        loaded.entry(account_id).and_modify(|account: &mut Loaded| account.state.warming.push(row));
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
        warming: Vec::new(),
        pause: match row.try_get::<Option<i64>, _>(16)? {
            Some(since) => Some(SendingPause { since: UnixMicros(since), reason: row.try_get(17)? }),
            None => None,
        },
    })
}

/// Packages that can pay now; of those that are used up only what they were (R15). The account's row is locked, and
/// whoever changes a package locks it first.
async fn load_packages(
    connection: &mut AnyConnection,
    ids: &[i64],
    accounts: &mut HashMap<i64, Loaded>,
) -> Result<()> {
    let instants = || accounts.values().map(|loaded| loaded.now.0);
    let (earliest, latest) = (instants().min().unwrap_or(0), instants().max().unwrap_or(0));
    let size = id_chunk(ids.len());
    let sql = format!(
        "SELECT account_id, instance_id, granted, remaining, purchased_at, starts_at, ends_at, alert_percent, alert_floor FROM package \
         WHERE refunded_at IS NULL AND starts_at <= $1 AND ends_at > $2 AND account_id IN ({})",
        places(3, size)
    );
    for chunk in filled(ids, size) {
        let query = sqlx::query(AssertSqlSafe(sql.clone())).bind(latest).bind(earliest);
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
                closed: None,
            };
            if !package.is_valid_at(loaded.now) {
                continue;
            }
            loaded.granted += package.granted;
            if package.remaining == 0 {
                continue;
            }
            let alert = Alert { percent: row.try_get(7)?, floor: row.try_get(8)? };
            loaded
                .before
                .insert(package.instance_id.clone(), PackageBefore { remaining: package.remaining, alert });
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
