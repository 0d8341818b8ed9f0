//! Spam reports: that a recipient, or a mailbox provider for him, called a mail spam.
//!
//! One mail has one report at most. The row of `spam_report`, whose key is the mail's, is what happens once (R26): who
//! inserts it counts the report as evidence (R19), writes the line in the mail's timeline and stops the sender
//! address from writing to that recipient, all in one transaction. Every other report about the same mail, over
//! whichever way it comes, finds the row and does nothing.
//!
//! Nobody is believed here: that a report carries our signed token, or comes from an operator, is for the callers
//! to see to. Reports that say something else than spam (not-spam, opt-out …) only add a line, and a message takes
//! at most [`NOTES_MAX`] of those, since whoever has received it can send more.

use indicia_domain::mail::suppression::{BlockReasons, BlockType};
use indicia_domain::outcome::{Disposition, ErrorClassification, Verdict};
use indicia_domain::time::UnixMicros;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::account::SYSTEM_ACCOUNT_ID;
use crate::audit::{Actor, Deed};
use crate::block;
use crate::bulk::Bulk;
use crate::evidence::{Counted, count_reports, provider_of};
use crate::outcome::Outcome;
use crate::queue::MailKey;
use crate::{Result, Store, StoreError};

/// The kind of timeline line that a report makes.
pub const EVENT_KIND: &str = "spam-report";
/// The kind of line that feedback makes which is no report of spam.
pub const NOTE_KIND: &str = "feedback";
/// Lines that such feedback may add to one message's timeline.
pub const NOTES_MAX: i64 = 20;
/// Feedback types (RFC 5965 7.3) that say that a mail was unwanted or worse, and count: `abuse` is the spam button,
/// `fraud` phishing, `virus` malware. The rest does not: `not-spam` is the opposite (RFC 6430), `auth-failure` is about
/// signatures (RFC 6591), `opt-out` is a recipient who unsubscribes, and `other` is what its sender could not name.
pub const SPAM_TYPES: [&str; 3] = ["abuse", "fraud", "virus"];
/// The audit log's word for a report that an operator entered.
pub const ACTION: &str = "report-spam";
const NAME_CHARS_MAX: usize = 200;
const DETAIL_CHARS_MAX: usize = 1_000;

/// Whether feedback of this type counts as a report of spam; letter case does not matter.
pub fn is_spam(feedback_type: &str) -> bool {
    SPAM_TYPES.iter().any(|spam| spam.eq_ignore_ascii_case(feedback_type))
}

/// Which way a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportSource {
    /// Feedback-loop mail (RFC 5965).
    Feedback,
    /// A provider's final reply, which says that the content is spam.
    Reply,
    /// An operator, for a report that came another way.
    Operator,
}

impl ReportSource {
    pub const ALL: [ReportSource; 3] = [ReportSource::Feedback, ReportSource::Reply, ReportSource::Operator];

    /// As the database has it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReportSource::Feedback => "feedback",
            ReportSource::Reply => "reply",
            ReportSource::Operator => "operator",
        }
    }
}

/// A report about one recipient's mail.
#[derive(Clone, Debug)]
pub struct SpamReport {
    pub key: MailKey,
    pub source: ReportSource,
    /// RFC 5965's word, in lower case; for what counts one of [`SPAM_TYPES`].
    pub feedback_type: String,
    /// Who passed it on, as they name themselves.
    pub reporter: String,
    /// What else it says; may be empty.
    pub detail: String,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    Counted,
    /// The mail had been reported before: nothing was done.
    Repeated,
    /// There is no such mail.
    NotFound,
}

/// What came of feedback that is no report of spam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// A line was added to the timeline.
    Added,
    /// The line is there already, or there are enough of them.
    Nothing,
    /// There is no such mail.
    NotFound,
}

/// A report that an operator enters for a mail that he names himself.
#[derive(Clone, Debug)]
pub struct OperatorReport {
    /// The EnvId.
    pub message_id: i64,
    /// The recipient's address; letter case does not matter.
    pub address: String,
    /// One of [`SPAM_TYPES`].
    pub feedback_type: String,
    /// How it came and why it is believed, for the audit log.
    pub note: String,
}

/// A final reply that calls the content spam, or a delivery report that says so later.
#[derive(Clone, Debug)]
pub(crate) struct SpamReply {
    pub key: MailKey,
    pub at: UnixMicros,
    /// The server that said it.
    pub remote_host: String,
    pub reply: String,
}

impl SpamReply {
    /// `None`: the attempt's end says nothing of the content.
    pub fn of(outcome: &Outcome) -> Option<SpamReply> {
        let Verdict { disposition, classification, .. } = outcome.verdict;
        let is_spam =
            disposition == Disposition::Permanent && classification == ErrorClassification::SmtpContSpam;
        is_spam.then(|| SpamReply {
            key: outcome.key,
            at: outcome.finished_at,
            remote_host: outcome.remote_host.clone(),
            reply: outcome.reply.clone(),
        })
    }
}

/// A report as a page shows it.
#[derive(Clone, Debug)]
pub struct ReportRow {
    pub message_id: i64,
    /// The recipient's number within the message, from 0.
    pub number: i64,
    pub at: UnixMicros,
    pub source: ReportSource,
    pub feedback_type: String,
    pub reporter: String,
    pub detail: String,
    /// The recipient.
    pub address: String,
    pub mail_from: String,
    pub subject: String,
    pub tag: String,
}

/// A place in the list of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportPlace {
    pub at: UnixMicros,
    pub message_id: i64,
    pub number: i64,
}

impl ReportRow {
    /// Where the list goes on after this one.
    pub fn place(&self) -> ReportPlace {
        ReportPlace { at: self.at, message_id: self.message_id, number: self.number }
    }
}

impl Store {
    /// Records a report that carries our signed token.
    pub async fn record_report(&self, report: &SpamReport) -> Result<Reported> {
        self.enter_report(report, None).await
    }

    /// Records a report that `by` enters, with an entry in the audit log when it counts.
    pub async fn record_report_by(&self, report: &SpamReport, by: &Actor) -> Result<Reported> {
        self.enter_report(report, Some(by)).await
    }

    /// Records a report about a mail that an operator names by EnvId and recipient, without our token: his word stands
    /// for it, in the audit log.
    pub async fn report_by_name(&self, report: &OperatorReport, by: &Actor) -> Result<Reported> {
        let Some(account_id) = self.account_of_message(report.message_id).await? else {
            return Ok(Reported::NotFound);
        };
        let Some(number) = self.recipient_number(account_id, report.message_id, &report.address).await?
        else {
            return Ok(Reported::NotFound);
        };
        let report = SpamReport {
            key: MailKey { account_id, message_id: report.message_id, number },
            source: ReportSource::Operator,
            feedback_type: report.feedback_type.clone(),
            reporter: by.to_string(),
            detail: report.note.clone(),
        };
        self.enter_report(&report, Some(by)).await
    }

    async fn recipient_number(&self, account_id: i64, message_id: i64, address: &str) -> Result<Option<i64>> {
        let Some((local, domain)) = address.trim().rsplit_once('@') else { return Ok(None) };
        let row = sqlx::query(
            "SELECT MIN(number) FROM recipient WHERE account_id = $1 AND message_id = $2 AND address_key = $3",
        )
        .bind(account_id)
        .bind(message_id)
        .bind(indicia_domain::mail::recipient::key_of(local, domain))
        .fetch_one(self.read())
        .await?;
        Ok(row.try_get(0)?)
    }

    async fn enter_report(&self, report: &SpamReport, by: Option<&Actor>) -> Result<Reported> {
        let (event_id, audit_id) = (self.next_id().await?, self.next_id().await?);
        let now = self.now();
        let mut transaction = self.begin().await?;
        let Some(mail) = reported_mail(&mut transaction, report.key).await? else {
            return Ok(Reported::NotFound);
        };
        let entry = Entry::of(report, now);
        if ENTER.run(&mut transaction, &[entry], bind_entry).await? == 0 {
            return Ok(Reported::Repeated);
        }
        // A notice of the installation's own is unwelcome only because of what it says; the next must still arrive.
        let blocks = report.key.account_id != SYSTEM_ACCOUNT_ID;
        if blocks {
            let reasons = BlockReasons::UNSPECIFIED;
            let wanted =
                block::block_for_mail(&mut transaction, report.key, BlockType::Report, reasons, now).await?;
            if let Some(wanted) = wanted {
                block::block(&mut transaction, &wanted).await?;
            }
        }
        count_reports(&mut transaction, &self.quota_policy(), &[mail.counted(report.key)], now).await?;
        let line = format!("{}: reported as spam ({}): {}", mail.address, said_by(report), detail(report));
        note(&mut transaction, report.key, event_id, now, EVENT_KIND, line).await?;
        if let Some(actor) = by {
            let detail = format!(
                "message {}, recipient {}: {}: {}",
                report.key.message_id,
                mail.address,
                report.feedback_type,
                detail(report)
            );
            let account_id = Some(report.key.account_id);
            Deed { audit_id, actor, account_id, action: ACTION, detail }.note(&mut transaction, now).await?;
        }
        transaction.commit().await?;
        if blocks {
            self.invalid_library_changed();
        }
        Ok(Reported::Counted)
    }

    /// Adds a line to the timeline for feedback that is no report of spam.
    pub async fn note_feedback(&self, feedback: &SpamReport) -> Result<Noted> {
        let event_id = self.next_id().await?;
        let mut transaction = self.begin().await?;
        let Some(mail) = reported_mail(&mut transaction, feedback.key).await? else {
            return Ok(Noted::NotFound);
        };
        let line = format!("{}: {}: {}", mail.address, said_by(feedback), detail(feedback));
        if has_enough_notes(&mut transaction, feedback.key, &line).await? {
            return Ok(Noted::Nothing);
        }
        note(&mut transaction, feedback.key, event_id, self.now(), NOTE_KIND, line).await?;
        transaction.commit().await?;
        Ok(Noted::Added)
    }

    /// An account's reports that came in `[from, before)`, newest first; with `after`, those after that place.
    pub async fn spam_reports(
        &self,
        account_id: i64,
        from: UnixMicros,
        before: UnixMicros,
        after: Option<ReportPlace>,
        limit: i64,
    ) -> Result<Vec<ReportRow>> {
        let last = ReportPlace { at: UnixMicros(i64::MAX), message_id: i64::MAX, number: i64::MAX };
        let after = after.unwrap_or(last);
        let rows = sqlx::query(
            "SELECT s.message_id, s.number, s.at, s.source, s.feedback_type, s.reporter, s.detail, r.address, m.mail_from, \
             m.subject, m.tag FROM spam_report s \
             JOIN message m ON m.account_id = s.account_id AND m.message_id = s.message_id \
             JOIN recipient r ON r.account_id = s.account_id AND r.message_id = s.message_id AND r.number = s.number \
             WHERE s.account_id = $1 AND s.at >= $2 AND s.at < $3 AND (s.at < $4 OR (s.at = $5 AND \
             (s.message_id < $6 OR (s.message_id = $7 AND s.number < $8)))) \
             ORDER BY s.at DESC, s.message_id DESC, s.number DESC LIMIT $9",
        )
        .bind(account_id)
        .bind(from.0)
        .bind(before.0)
        .bind(after.at.0)
        .bind(after.at.0)
        .bind(after.message_id)
        .bind(after.message_id)
        .bind(after.number)
        .bind(limit.clamp(1, 1_000))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(row_of).collect()
    }
}

static ENTER: Bulk = Bulk::new(
    "INSERT INTO spam_report (account_id, message_id, number, at, source, feedback_type, reporter, detail) VALUES",
    "($, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING",
);
static ENTER_REPLIES: Bulk = Bulk::new(
    "INSERT INTO spam_report (account_id, message_id, number, at, source, feedback_type, reporter, detail) VALUES",
    "($, $, $, $, $, $, $, $)",
    "ON CONFLICT DO NOTHING RETURNING account_id, message_id, number",
);

/// Enters replies that call a mail spam as reports, in the transaction that commits the attempts; returns the mails
/// that had no report before, to be counted. The timeline has the attempt's own line already, and no recipient is
/// blocked, since none complained.
///
/// Call it before anything is counted as evidence: [`Store::record_report`] locks rows in that order too.
pub(crate) async fn of_reply(connection: &mut AnyConnection, replies: &[SpamReply]) -> Result<Vec<MailKey>> {
    let mut entries: Vec<Entry> = replies.iter().map(Entry::of_reply).collect();
    entries.sort_by_key(|entry| entry.key);
    let rows = ENTER_REPLIES.returning(connection, &entries, bind_entry).await?;
    rows.iter()
        .map(|row| {
            Ok(MailKey { account_id: row.try_get(0)?, message_id: row.try_get(1)?, number: row.try_get(2)? })
        })
        .collect()
}

/// A row of `spam_report`.
struct Entry {
    key: MailKey,
    at: UnixMicros,
    source: ReportSource,
    feedback_type: String,
    reporter: String,
    detail: String,
}

impl Entry {
    fn of(report: &SpamReport, at: UnixMicros) -> Entry {
        Entry {
            key: report.key,
            at,
            source: report.source,
            feedback_type: shortened(&report.feedback_type, NAME_CHARS_MAX),
            reporter: shortened(&report.reporter, NAME_CHARS_MAX),
            detail: detail(report),
        }
    }

    fn of_reply(reply: &SpamReply) -> Entry {
        Entry {
            key: reply.key,
            at: reply.at,
            source: ReportSource::Reply,
            feedback_type: SPAM_TYPES[0].to_owned(),
            reporter: shortened(&reply.remote_host, NAME_CHARS_MAX),
            detail: shortened(&reply.reply, DETAIL_CHARS_MAX),
        }
    }
}

fn bind_entry<'q>(query: crate::bulk::AnyQuery<'q>, entry: &Entry) -> crate::bulk::AnyQuery<'q> {
    query
        .bind(entry.key.account_id)
        .bind(entry.key.message_id)
        .bind(entry.key.number)
        .bind(entry.at.0)
        .bind(entry.source.as_str())
        .bind(entry.feedback_type.clone())
        .bind(entry.reporter.clone())
        .bind(entry.detail.clone())
}

/// The mail that a report is about, as far as counting needs it.
struct ReportedMail {
    address: String,
    domain_id: i64,
    sender_id: i64,
    tag: String,
    day: i64,
    accepted_at: UnixMicros,
}

impl ReportedMail {
    fn counted(&self, key: MailKey) -> Counted<'_> {
        Counted {
            account_id: key.account_id,
            domain_id: self.domain_id,
            sender_id: self.sender_id,
            tag: &self.tag,
            provider: provider_of(&self.address),
            day: self.day,
            accepted_at: self.accepted_at,
        }
    }
}

async fn reported_mail(connection: &mut AnyConnection, key: MailKey) -> Result<Option<ReportedMail>> {
    let row = sqlx::query(
        "SELECT r.address, m.domain_id, m.sender_id, m.tag, m.day, m.accepted_at FROM recipient r \
         JOIN message m ON m.account_id = r.account_id AND m.message_id = r.message_id \
         WHERE r.account_id = $1 AND r.message_id = $2 AND r.number = $3",
    )
    .bind(key.account_id)
    .bind(key.message_id)
    .bind(key.number)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(ReportedMail {
        address: row.try_get(0)?,
        domain_id: row.try_get(1)?,
        sender_id: row.try_get(2)?,
        tag: row.try_get(3)?,
        day: row.try_get(4)?,
        accepted_at: UnixMicros(row.try_get(5)?),
    }))
}

async fn has_enough_notes(connection: &mut AnyConnection, key: MailKey, line: &str) -> Result<bool> {
    let row = sqlx::query(
        "SELECT COUNT(*), CAST(COALESCE(SUM(CASE WHEN detail = $1 THEN 1 ELSE 0 END), 0) AS BIGINT) FROM message_event \
         WHERE account_id = $2 AND message_id = $3 AND kind = $4",
    )
    .bind(line.to_owned())
    .bind(key.account_id)
    .bind(key.message_id)
    .bind(NOTE_KIND)
    .fetch_one(connection)
    .await?;
    Ok(row.try_get::<i64, _>(0)? >= NOTES_MAX || row.try_get::<i64, _>(1)? > 0)
}

async fn note(
    connection: &mut AnyConnection,
    key: MailKey,
    event_id: i64,
    at: UnixMicros,
    kind: &'static str,
    line: String,
) -> Result<()> {
    sqlx::query("INSERT INTO message_event (account_id, message_id, event_id, at, kind, detail) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(key.account_id)
        .bind(key.message_id)
        .bind(event_id)
        .bind(at.0)
        .bind(kind)
        .bind(line)
        .execute(connection)
        .await?;
    Ok(())
}

/// `abuse, by feedback@provider.example`
fn said_by(report: &SpamReport) -> String {
    let kind = shortened(&report.feedback_type, NAME_CHARS_MAX);
    match shortened(&report.reporter, NAME_CHARS_MAX) {
        reporter if reporter.is_empty() => kind,
        reporter => format!("{kind}, by {reporter}"),
    }
}

fn detail(report: &SpamReport) -> String {
    shortened(&report.detail, DETAIL_CHARS_MAX)
}

/// One line of so many characters at most. PostgreSQL's texts have no NUL, and pages no line breaks.
fn shortened(text: &str, chars_max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(chars_max).collect()
}

fn row_of(row: &AnyRow) -> Result<ReportRow> {
    let source: String = row.try_get(3)?;
    let source = ReportSource::ALL.into_iter().find(|known| known.as_str() == source);
    Ok(ReportRow {
        message_id: row.try_get(0)?,
        number: row.try_get(1)?,
        at: UnixMicros(row.try_get(2)?),
        source: source.ok_or_else(|| StoreError::Corrupt("the source of a spam report".to_owned()))?,
        feedback_type: row.try_get(4)?,
        reporter: row.try_get(5)?,
        detail: row.try_get(6)?,
        address: row.try_get(7)?,
        mail_from: row.try_get(8)?,
        subject: row.try_get(9)?,
        tag: row.try_get(10)?,
    })
}
