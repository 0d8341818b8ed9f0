//! One round of telling: what is due becomes messages, mails and texts.

use std::sync::Mutex;
use std::sync::PoisonError;

use indicia_domain::notice::{Channel, NoticeKind};
use indicia_store::notice::{Dispatch, Handover, SystemMail};
use indicia_store::package::{PackageFilter, PackageRow};
use indicia_store::{Result, Store};

use super::mail::submission_of;
use super::subject::subject_of;
use super::wording::{Recipient, word};
use crate::jobs::Jobs;

/// Accounts and channels of one round.
const HANDOVERS_MAX: i64 = 200;

const NO_SENDER: &str = "no sender address for notices is configured (notices.from)";
const NO_GATEWAY: &str = "no SMS gateway is configured (sms.gateway)";
const NO_ADDRESS: &str = "the contact's e-mail address is not one that mail can go to";
const NOTHING: &str = "there is nothing to say";

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoticeRound {
    /// Messages, mails and texts made.
    pub made: u64,
    /// Notices not worth saying any more, or without a way to say them.
    pub skipped: u64,
}

/// What one hand-over has made, to be counted once it is committed.
#[derive(Clone, Copy)]
struct Made {
    kind: NoticeKind,
    dispatch_id: i64,
}

impl Jobs {
    /// R14: hands over what is due. One account's failure does not hold up the others.
    pub async fn tell(&self) -> Result<NoticeRound> {
        let mut round = NoticeRound::default();
        let mut failure = None;
        let mut after = None;
        loop {
            let due = self.store.due_notices(after, HANDOVERS_MAX).await?;
            for &(account_id, channel) in &due {
                match self.tell_one(account_id, channel).await {
                    Ok(done) => {
                        round.made += done.made;
                        round.skipped += done.skipped;
                    }
                    Err(error) => {
                        tracing::warn!(%error, account_id, %channel, "notices could not be handed over; they stay due");
                        failure = Some(error);
                    }
                }
            }
            after = due.last().copied();
            if due.len() < HANDOVERS_MAX as usize {
                break;
            }
        }
        match failure {
            Some(error) if round == NoticeRound::default() => Err(error),
            _ => Ok(round),
        }
    }

    async fn tell_one(&self, account_id: i64, channel: Channel) -> Result<NoticeRound> {
        let packages = living_packages(&self.store, account_id).await?;
        let made = Mutex::new(Vec::new());
        let say = |handover: &Handover| {
            let dispatch = self.dispatch(handover, &packages);
            if !matches!(dispatch, Dispatch::Skip(_)) {
                let one = Made { kind: handover.kind, dispatch_id: handover.dispatch_id };
                made.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
            dispatch
        };
        let (messages, skipped) = self.store.hand_over_notices(account_id, channel, &say).await?;
        for Made { kind, dispatch_id } in made.into_inner().unwrap_or_else(PoisonError::into_inner) {
            self.metrics.count_notice(kind, channel);
            tracing::info!(account_id, %kind, %channel, message_id = dispatch_id.to_string(), "a notice was handed over");
        }
        self.metrics.notices_skipped.inc_by(skipped);
        Ok(NoticeRound { made: messages, skipped })
    }

    fn dispatch(&self, handover: &Handover, packages: &[PackageRow]) -> Dispatch {
        let missing = match handover.channel {
            Channel::Email if self.notices.sender.is_none() => Some(NO_SENDER),
            Channel::Sms if self.sms.is_none() => Some(NO_GATEWAY),
            _ => None,
        };
        if let Some(missing) = missing {
            return Dispatch::Skip(missing);
        }
        let spared = self.notices.overdue_spares_prepaid;
        let Some(subject) = subject_of(handover, packages, spared) else { return Dispatch::Skip(NOTHING) };
        let account = &handover.account;
        let recipient = Recipient {
            account_name: account.name.clone(),
            currency: self.notices.currency.clone(),
            console_url: format!(
                "{}/accounts/{}",
                self.notices.console_url.trim_end_matches('/'),
                account.account_id
            ),
            language: handover.contact.language,
        };
        let worded = word(&subject, &recipient);
        match (handover.channel, &self.notices.sender) {
            (Channel::Station, _) => Dispatch::Station { subject: worded.subject, body: worded.body },
            (Channel::Sms, _) => Dispatch::Sms { text: worded.sms },
            (Channel::Email, None) => Dispatch::Skip(NO_SENDER),
            (Channel::Email, Some(sender)) => {
                let (id, to) = (handover.dispatch_id, &handover.contact.email);
                submission_of(sender, to, id, handover.now, &worded)
                    .map_or(Dispatch::Skip(NO_ADDRESS), |submission| {
                        Dispatch::Email(Box::new(SystemMail { submission }))
                    })
            }
        }
    }

    /// Puts the age of the oldest notice that is due into the metrics.
    pub(crate) async fn measure_oldest_notice(&self) -> Result<()> {
        let oldest = self.store.oldest_due_notice().await?;
        let waits_micros = oldest.map_or(0, |due_at| self.store.now().0 - due_at.0);
        self.metrics.oldest_notice_seconds.set(waits_micros.max(0) / indicia_domain::time::SECOND_MICROS);
        Ok(())
    }
}

async fn living_packages(store: &Store, account_id: i64) -> Result<Vec<PackageRow>> {
    let filter = PackageFilter { ends_from: Some(store.now()), ..PackageFilter::default() };
    store.packages(account_id, &filter).await
}
