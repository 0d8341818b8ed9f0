//! The answers of one inbound connection: which address, and what does the report say.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use indicia_smtp::Reply;
use indicia_smtp::address::ForwardPath;
use indicia_smtp::server::{Event, Message, Session};
use indicia_store::StoreError;
use indicia_store::bounce::{Bounce, News, Recorded};
use indicia_store::queue::MailKey;
use indicia_store::report::{Noted, ReportSource, Reported, SpamReport};
use mail_parser::MessageParser;

use super::Desk;
use super::feedback::{self, Feedback};
use super::report::{self, RecipientReport};
use crate::listener;

/// A larger message is read off the async threads.
const INLINE_BYTES_MAX: usize = 256 * 1_024;

/// What an address of ours is for.
enum Address {
    ReturnPath(MailKey),
    FeedbackLoops,
}

/// What a message turns out to be.
enum Content {
    Delivery(RecipientReport),
    Feedback(Feedback),
    Neither,
}

pub(crate) struct Conversation {
    desk: Arc<Desk>,
    peer: IpAddr,
}

impl Conversation {
    pub(super) fn new(desk: Arc<Desk>, peer: IpAddr) -> Conversation {
        Conversation { desk, peer }
    }
}

impl listener::Conversation for Conversation {
    async fn answer(&mut self, session: &mut Session, event: Event) {
        match event {
            // Reports come from the null path or, from some systems, from an address: either way nothing is ever
            // sent back, so it does not matter.
            Event::Mail { .. } => session.accept(),
            Event::Rcpt { to, .. } => match self.address(&to) {
                Some(_) => session.accept(),
                None => session.reject(Reply::enhanced(
                    550,
                    (5, 1, 1),
                    "No such address here; only reports are taken, to the return path of a mail or from feedback loops",
                )),
            },
            Event::Message(message) => match self.take(*message).await {
                Ok(()) => session.accept_message(Reply::enhanced(250, (2, 0, 0), "Taken")),
                Err(reply) => session.reject(reply),
            },
            Event::Auth { .. } => {
                session.reject(Reply::enhanced(535, (5, 7, 8), "Nobody logs in here"));
            }
            Event::StartTls | Event::Close => {}
        }
    }

    fn forget(&mut self) {}
}

impl Conversation {
    fn address(&self, to: &ForwardPath) -> Option<Address> {
        let address = to.mailbox()?.to_string();
        if self.desk.feedback_address.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(&address)) {
            return Some(Address::FeedbackLoops);
        }
        (self.desk.return_paths)(&address).map(Address::ReturnPath)
    }

    async fn take(&self, message: Message) -> Result<(), Reply> {
        let (mut mails, mut is_loop) = (BTreeSet::new(), false);
        for accepted in &message.recipients {
            match self.address(&accepted.to) {
                Some(Address::ReturnPath(key)) => {
                    mails.insert(key);
                }
                Some(Address::FeedbackLoops) => is_loop = true,
                None => {}
            }
        }
        let data = message.data;
        let content = if data.len() > INLINE_BYTES_MAX {
            let reading = tokio::task::spawn_blocking(move || read(&data, is_loop));
            reading.await.unwrap_or(Content::Neither)
        } else {
            read(&data, is_loop)
        };
        match content {
            Content::Delivery(report) if !mails.is_empty() => {
                for key in mails {
                    self.record(key, &report).await?;
                }
                Ok(())
            }
            Content::Feedback(feedback) => self.take_feedback(mails, &feedback).await,
            Content::Delivery(_) | Content::Neither => {
                self.desk.count("no_report");
                tracing::debug!(peer = %self.peer, "a message is no report; it was dropped");
                Ok(())
            }
        }
    }

    /// A return path that feedback comes to says which mail it is about; else our token does, which it must bring back.
    async fn take_feedback(&self, mut mails: BTreeSet<MailKey>, feedback: &Feedback) -> Result<(), Reply> {
        if mails.is_empty() {
            mails.extend(feedback.claims.iter().find_map(|claim| (self.desk.return_paths)(claim)));
        }
        if mails.is_empty() {
            self.desk.count("unproven");
            tracing::info!(
                peer = %self.peer, kind = feedback.feedback_type, reporter = %feedback.reporter.escape_debug(),
                "feedback without a token of ours was dropped"
            );
            return Ok(());
        }
        for key in mails {
            self.record_feedback(key, feedback).await?;
        }
        Ok(())
    }

    async fn record_feedback(&self, key: MailKey, feedback: &Feedback) -> Result<(), Reply> {
        let report = SpamReport {
            key,
            source: ReportSource::Feedback,
            feedback_type: feedback.feedback_type.to_owned(),
            reporter: feedback.reporter.clone(),
            detail: feedback.detail.clone(),
        };
        let store = &self.desk.store;
        let result = match feedback.is_spam() {
            true => store.record_report(&report).await.map(|reported| match reported {
                Reported::Counted => "spam",
                Reported::Repeated => "spam_repeated",
                Reported::NotFound => "unknown_mail",
            }),
            false => store.note_feedback(&report).await.map(|noted| match noted {
                Noted::Added => "feedback",
                Noted::Nothing => "feedback_repeated",
                Noted::NotFound => "unknown_mail",
            }),
        };
        let (message_id, account_id) = (key.message_id, key.account_id);
        self.desk.count(result.as_ref().unwrap_or(&"error"));
        match result {
            Ok(outcome) => {
                tracing::info!(
                    %message_id, account_id, number = key.number, peer = %self.peer, outcome,
                    kind = feedback.feedback_type, "feedback came"
                );
                Ok(())
            }
            Err(error) => {
                tracing::error!(%message_id, account_id, %error, "feedback could not be recorded");
                Err(unavailable())
            }
        }
    }

    async fn record(&self, key: MailKey, report: &RecipientReport) -> Result<(), Reply> {
        let message_id = key.message_id;
        let bounce = Bounce {
            key,
            news: report.news,
            final_recipient: report.final_recipient.clone(),
            words: report.words.clone(),
        };
        let recorded = self.desk.store.record_bounce(&bounce).await;
        self.desk.count(outcome(&recorded, report.news));
        match recorded {
            Ok(Recorded::TooEarly) => {
                tracing::info!(%message_id, "a report came before the delivery it is about was recorded");
                Err(Reply::enhanced(451, (4, 3, 0), "That mail is still under way; try again in a minute"))
            }
            Ok(recorded) => {
                tracing::info!(
                    %message_id, number = key.number, peer = %self.peer, ?recorded, words = %report.words,
                    "a delivery report came"
                );
                Ok(())
            }
            Err(error) => {
                tracing::error!(%message_id, %error, "a delivery report could not be recorded");
                Err(unavailable())
            }
        }
    }
}

fn read(octets: &[u8], is_loop: bool) -> Content {
    let Some(message) = MessageParser::default().parse(octets) else { return Content::Neither };
    match report::of(&message) {
        Some(report) => Content::Delivery(report),
        None => feedback::of(&message, is_loop).map_or(Content::Neither, Content::Feedback),
    }
}

fn unavailable() -> Reply {
    Reply::enhanced(451, (4, 3, 0), "The report cannot be recorded now; try again in a moment")
}

/// For metrics.
fn outcome(recorded: &Result<Recorded, StoreError>, news: News) -> &'static str {
    match (recorded, news) {
        (Ok(Recorded::Changed(_)), _) => "failed",
        (Ok(Recorded::Noted), News::Progress("delayed")) => "delayed",
        (Ok(Recorded::Noted), _) => "progress",
        (Ok(Recorded::Nothing), _) => "repeated",
        (Ok(Recorded::TooEarly), _) => "too_early",
        (Ok(Recorded::NotFound), _) => "unknown_mail",
        (Err(_), _) => "error",
    }
}
