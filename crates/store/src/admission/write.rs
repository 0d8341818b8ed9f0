//! The rows of an accepted batch, written with few statements.

use std::collections::HashMap;

use indicia_domain::ledger::alert;
use indicia_domain::mail::State;
use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::evidence::Counts;
use indicia_domain::time::UnixMicros;
use sqlx::AnyConnection;

use super::batch::{Accepted, Loaded};
use super::{Acceptance, Submission};
use crate::Result;
use crate::bulk::Bulk;
use crate::evidence::Tally;
use crate::reach::{ReachKey, ReachKind, Reached};

static MESSAGES: Bulk = Bulk::new(
    "INSERT INTO message (account_id, message_id, accepted_at, day, via, sender_id, domain_id, mail_from, subject, tag, \
     size_bytes, recipient_count, refused_count, ip_pool_id) VALUES",
    "($, $, $, $, $, $, $, $, $, $, $, $, $, $)",
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
// The rows are there, and locked: it is always the conflict that happens. The zeros are for columns that must not be
// empty.
static ACCOUNTS: Bulk = Bulk::new(
    "INSERT INTO account_state (account_id, status, quota_level, daily_quota, cash_micros, quota_day, quota_day_used, quota_month, \
     quota_month_used, free_left, free_day, free_day_used, payg_mails, ledger_sequence, alert_floor, changed_at) VALUES",
    "($, 0, 0, 0, 0, $, $, $, $, $, $, $, $, $, $, $)",
    "ON CONFLICT (account_id) DO UPDATE SET quota_day = excluded.quota_day, quota_day_used = excluded.quota_day_used, \
     quota_month = excluded.quota_month, quota_month_used = excluded.quota_month_used, free_left = excluded.free_left, \
     free_day = excluded.free_day, free_day_used = excluded.free_day_used, payg_mails = excluded.payg_mails, \
     ledger_sequence = excluded.ledger_sequence, alert_floor = excluded.alert_floor, changed_at = excluded.changed_at",
);
static PACKAGES: Bulk = Bulk::new(
    "INSERT INTO package (account_id, instance_id, remaining, alert_floor, specification, granted, price_micros, order_id, \
     purchased_at, starts_at, ends_at, zone) VALUES",
    "($, $, $, $, 0, 0, 0, 0, 0, 0, 0, '')",
    "ON CONFLICT (account_id, instance_id) DO UPDATE SET remaining = excluded.remaining, alert_floor = excluded.alert_floor",
);
static KEYS: Bulk = Bulk::new(
    "INSERT INTO idempotency (account_id, idem_key, content_hash, answer, created_at) VALUES",
    "($, $, $, $, $)",
    "",
);
static NONCES: Bulk =
    Bulk::new("INSERT INTO api_nonce (access_key_id, nonce, seen_at) VALUES", "($, $, $)", "");

pub(super) async fn write_messages(connection: &mut AnyConnection, accepted: &[Accepted<'_>]) -> Result<()> {
    MESSAGES
        .run(connection, accepted, |query, mail| {
            let submission = mail.submission;
            query
                .bind(submission.account_id)
                .bind(submission.message_id)
                .bind(mail.acceptance.accepted_at.0)
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
                .bind(submission.ip_pool_id.unwrap_or(0))
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

pub(super) async fn write_recipients(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
) -> Result<()> {
    let rows: Vec<_> = accepted
        .iter()
        .flat_map(|mail| (0..mail.submission.recipients.len()).map(move |index| (mail, index)))
        .collect();
    RECIPIENTS
        .run(connection, &rows, |query, (mail, index)| {
            let recipient = &mail.submission.recipients[*index];
            let (state, classification, reply) = match mail.refused(*index) {
                None => (State::Waiting, "", String::new()),
                Some(listed) => (listed.state(), listed.classification(), listed.log_line()),
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
                .bind(mail.acceptance.accepted_at.0)
        })
        .await?;
    Ok(())
}

pub(super) async fn write_queue(
    connection: &mut AnyConnection,
    accepted: &[Accepted<'_>],
    node: i64,
) -> Result<()> {
    let rows: Vec<_> = accepted
        .iter()
        .flat_map(|mail| (0..mail.submission.recipients.len()).map(move |index| (mail, index)))
        .filter(|(mail, index)| mail.refused(*index).is_none())
        .collect();
    QUEUE
        .run(connection, &rows, |query, (mail, index)| {
            query
                .bind(mail.submission.account_id)
                .bind(mail.submission.message_id)
                .bind(*index as i64)
                .bind(mail.submission.recipients[*index].domain.clone())
                .bind(mail.acceptance.accepted_at.0)
                .bind(if mail.leased { node } else { 0 })
                .bind(mail.acceptance.accepted_at.0)
                .bind(mail.submission.content.len() as i64)
        })
        .await?;
    Ok(())
}

/// Writes back what the batch has changed of accounts and packages: two statements for many rows.
pub(super) async fn write_accounts(
    connection: &mut AnyConnection,
    accounts: &HashMap<i64, Loaded>,
) -> Result<()> {
    let changed: Vec<&Loaded> = accounts.values().filter(|loaded| loaded.changed).collect();
    ACCOUNTS
        .run(connection, &changed, |query, loaded| {
            let state = &loaded.state;
            query
                .bind(state.account_id)
                .bind(state.allowance.day)
                .bind(state.allowance.day_used)
                .bind(state.allowance.month)
                .bind(state.allowance.month_used)
                .bind(state.free.total_left)
                .bind(state.free.day)
                .bind(state.free.day_used)
                .bind(state.pay_as_you_go_mails)
                .bind(loaded.sequence)
                .bind(loaded.alert.floor)
                .bind(loaded.now.0)
        })
        .await?;
    let packages =
        changed.iter().flat_map(|loaded| loaded.state.packages.iter().map(move |package| (*loaded, package)));
    let packages: Vec<_> = packages
        .filter(|(loaded, package)| loaded.remaining_before(&package.instance_id) != Some(package.remaining))
        .collect();
    PACKAGES
        .run(connection, &packages, |query, (loaded, package)| {
            let floor = loaded.before.get(&package.instance_id).map(|before| before.alert.floor);
            query
                .bind(loaded.state.account_id)
                .bind(package.instance_id.clone())
                .bind(package.remaining)
                .bind(floor.unwrap_or(alert::DISARMED))
        })
        .await?;
    Ok(())
}

/// Counts what is accepted, for people and as evidence.
pub(super) async fn write_counts(connection: &mut AnyConnection, accepted: &[Accepted<'_>]) -> Result<()> {
    let mut tally = Tally::default();
    let one = Counts { accepted: 1, ..Counts::default() };
    for mail in accepted {
        for recipient in mail.taken() {
            let counted = mail.counted(Provider::of_domain(&recipient.domain));
            tally.add_to_day(&counted, &one);
            tally.add_to_evidence(&counted, mail.acceptance.accepted_at, &one);
        }
    }
    tally.write(connection).await
}

/// Who was reached: by sender address, tag and provider.
pub(super) fn reached(accepted: &[Accepted<'_>]) -> Reached {
    let mut reached = Reached::default();
    for mail in accepted {
        let (submission, day) = (mail.submission, mail.day);
        let key = |kind, name: &str| ReachKey {
            account_id: submission.account_id,
            day,
            kind,
            name: name.to_owned(),
        };
        for recipient in mail.taken() {
            let address = recipient.key();
            let sender = key(ReachKind::Sender, &submission.sender_id.to_string());
            reached.add(sender, submission.domain_id, &address);
            if !submission.tag.is_empty() {
                reached.add(key(ReachKind::Tag, &submission.tag), 0, &address);
            }
            let provider = Provider::of_domain(&recipient.domain);
            reached.add(key(ReachKind::Provider, provider.as_str()), 0, &address);
        }
    }
    reached
}

pub(super) async fn write_keys(connection: &mut AnyConnection, accepted: &[Accepted<'_>]) -> Result<()> {
    let keys: Vec<_> =
        accepted.iter().filter_map(|mail| Some((mail, mail.submission.idempotency.as_ref()?))).collect();
    KEYS.run(connection, &keys, |query, (mail, key)| {
        query
            .bind(mail.submission.account_id)
            .bind(key.key.clone())
            .bind(key.content_hash.clone())
            .bind(mail.submission.message_id.to_string())
            .bind(mail.acceptance.accepted_at.0)
    })
    .await?;
    let nonces: Vec<_> =
        accepted.iter().filter_map(|mail| Some((mail, mail.submission.nonce.as_ref()?))).collect();
    NONCES
        .run(connection, &nonces, |query, (mail, nonce)| {
            let seen_at = mail.acceptance.accepted_at;
            query.bind(nonce.access_key_id.clone()).bind(nonce.nonce.clone()).bind(seen_at.0)
        })
        .await?;
    Ok(())
}

/// Puts a mail of the installation itself into the queue: nobody is charged, and no quota is used. The caller's
/// transaction makes it durable.
pub(crate) async fn enqueue_unpaid(
    connection: &mut AnyConnection,
    submission: &Submission,
    now: UnixMicros,
) -> Result<()> {
    let acceptance = Acceptance {
        message_id: submission.message_id,
        accepted_at: now,
        charges: Vec::new(),
        refused: Vec::new(),
    };
    // The installation's own days are UTC's.
    let day = now.0.div_euclid(indicia_domain::time::DAY_MICROS);
    let accepted = [Accepted { submission, acceptance, day, leased: false }];
    write_messages(connection, &accepted).await?;
    write_recipients(connection, &accepted).await?;
    write_queue(connection, &accepted, 0).await?;
    write_counts(connection, &accepted).await
}
