//! The answers of one inbound connection: which return path, and what does the report say.

use std::net::IpAddr;
use std::sync::Arc;

use indicia_smtp::Reply;
use indicia_smtp::address::ForwardPath;
use indicia_smtp::server::{Event, Message, Session};
use indicia_store::StoreError;
use indicia_store::bounce::{Bounce, News, Recorded};
use indicia_store::queue::MailKey;

use super::Desk;
use super::report::{self, RecipientReport};
use crate::listener;

/// A larger message is read off the async threads.
const INLINE_BYTES_MAX: usize = 256 * 1_024;

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
            Event::Rcpt { to, .. } => match self.mail_of(&to) {
                Some(_) => session.accept(),
                None => session.reject(Reply::enhanced(
                    550,
                    (5, 1, 1),
                    "No such address here; only delivery reports to the return path of a mail are taken",
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
    fn mail_of(&self, to: &ForwardPath) -> Option<MailKey> {
        (self.desk.return_paths)(&to.mailbox()?.to_string())
    }

    async fn take(&self, message: Message) -> Result<(), Reply> {
        let mails: Vec<_> =
            message.recipients.iter().filter_map(|accepted| self.mail_of(&accepted.to)).collect();
        let data = message.data;
        let report = if data.len() > INLINE_BYTES_MAX {
            tokio::task::spawn_blocking(move || report::read(&data)).await.ok().flatten()
        } else {
            report::read(&data)
        };
        let Some(report) = report else {
            self.desk.count("no_report");
            tracing::debug!(peer = %self.peer, "a message to a return path is no delivery report; it was dropped");
            return Ok(());
        };
        for key in mails {
            self.record(key, &report).await?;
        }
        Ok(())
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
                Err(Reply::enhanced(
                    451,
                    (4, 3, 0),
                    "The report cannot be recorded now; try again in a moment",
                ))
            }
        }
    }
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
