//! The answers of one submission connection: who is it, whom does it speak for, to whom, and is the mail accepted.

use std::net::IpAddr;
use std::sync::Arc;

use indicia_domain::mail::Via;
use indicia_domain::mail::recipient::unique;
use indicia_smtp::Reply;
use indicia_smtp::address::{Domain, ForwardPath, ReversePath};
use indicia_smtp::server::{Event, Message, Secret, Session};
use indicia_store::admission::{Admitted, Submission};

use super::content::{ContentError, Finished, Incoming, Trace, finish};
use super::login::{Grant, LoginError};
use super::senders::Originator;
use super::{Desk, TrustedRelay, reply};
use crate::listener;
use crate::message::recipients::recipient;

/// Content of more octets is prepared off the async threads, which it would hold up for milliseconds.
const INLINE_BYTES_MAX: usize = 512 * 1_024;

pub(crate) struct Conversation {
    desk: Arc<Desk>,
    peer: IpAddr,
    relay: Option<Arc<TrustedRelay>>,
    grant: Option<Grant>,
    /// Whom the transaction under way speaks for.
    originator: Option<Originator>,
}

impl Conversation {
    pub(super) fn new(desk: Arc<Desk>, peer: IpAddr, relay: Option<Arc<TrustedRelay>>) -> Conversation {
        Conversation { desk, peer, relay, grant: None, originator: None }
    }
}

impl listener::Conversation for Conversation {
    async fn answer(&mut self, session: &mut Session, event: Event) {
        let answer = match event {
            Event::Auth { username, password, .. } => self.log_in(&username, &password).await,
            Event::Mail { from, .. } => self.begin(&from).await,
            Event::Rcpt { to, .. } => self.check_recipient(&to).await,
            Event::Message(message) => {
                match self.submit(session, *message).await {
                    Ok(reply) => session.accept_message(reply),
                    Err(reply) => session.reject(reply),
                }
                return;
            }
            Event::StartTls | Event::Close => return,
        };
        match answer {
            Ok(()) => session.accept(),
            Err(reply) => session.reject(reply),
        }
    }

    fn forget(&mut self) {
        self.grant = None;
        self.originator = None;
    }
}

impl Conversation {
    async fn log_in(&mut self, username: &str, password: &Secret) -> Result<(), Reply> {
        let checked = self.desk.logins.check(username, password, self.peer).await;
        let metrics = &self.desk.metrics;
        match checked {
            Ok(grant) => {
                if let Err(refused) = self.check_peer(grant.account_id, reply::login_from_elsewhere).await {
                    metrics.login("elsewhere");
                    return Err(refused);
                }
                metrics.login("right");
                self.grant = Some(grant);
                Ok(())
            }
            Err(error) => {
                match &error {
                    LoginError::Wrong => metrics.login("wrong"),
                    LoginError::Paused { .. } => metrics.login("paused"),
                    LoginError::Store(_) => metrics.login("failed"),
                }
                // Users type passwords into the wrong field: what was given as user name is not logged.
                tracing::info!(peer = %self.peer, %error, "a login was refused");
                Err(reply::login_failed(&error))
            }
        }
    }

    /// IP protection of the account that a login or a relay stands for.
    async fn check_peer(&self, account_id: i64, refusal: impl FnOnce(IpAddr) -> Reply) -> Result<(), Reply> {
        match self.desk.ip_guard.admits(account_id, Some(self.peer)).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                tracing::info!(account_id, peer = %self.peer, "refused by the account's IP protection");
                Err(refusal(self.peer.to_canonical()))
            }
            Err(error) => {
                tracing::error!(account_id, %error, "an account's IP protection could not be asked");
                Err(reply::try_again("The account's IP protection cannot be checked now"))
            }
        }
    }

    async fn begin(&mut self, from: &ReversePath) -> Result<(), Reply> {
        self.originator = None;
        // Again for a login: a connection may outlive what was allowed when it began.
        let account_id = self
            .grant
            .as_ref()
            .map(|grant| grant.account_id)
            .or(self.relay.as_ref().map(|relay| relay.account_id));
        if let Some(account_id) = account_id {
            self.check_peer(account_id, reply::mail_from_elsewhere).await?;
        }
        let originator = match (&self.grant, &self.relay) {
            (Some(grant), _) => self.desk.senders.of_login(grant, from).await?,
            (None, Some(relay)) => self.desk.senders.of_relay(relay, from).await?,
            // The protocol has refused it already: AUTH is optional for relays only.
            (None, None) => return Err(self.desk.authentication_required()),
        };
        self.originator = Some(originator);
        Ok(())
    }

    async fn check_recipient(&self, to: &ForwardPath) -> Result<(), Reply> {
        let ForwardPath::Mailbox(mailbox) = to else { return Err(reply::bare_postmaster()) };
        if matches!(mailbox.domain(), Domain::Literal(_)) {
            return Err(reply::address_literal(&mailbox.to_string()));
        }
        let Some(originator) = &self.originator else { return Err(reply::no_sender_address()) };
        match self.desk.lists.refusal(originator, || recipient(mailbox).key()).await {
            Ok(None) => Ok(()),
            Ok(Some(listed)) => Err(reply::listed(&mailbox.to_string(), listed)),
            Err(error) => {
                tracing::error!(%error, "the lists of recipients could not be asked");
                Err(reply::try_again("The recipient cannot be checked now"))
            }
        }
    }

    async fn submit(&mut self, session: &Session, message: Message) -> Result<Reply, Reply> {
        let Some(originator) = self.originator.take() else { return Err(reply::no_sender_address()) };
        let message_id = self.desk.store.next_id().await.map_err(|error| {
            tracing::error!(%error, "a message got no id");
            reply::try_again("The mail could not be made durable, so it was not accepted")
        })?;
        let incoming = self.incoming(session, message, originator, message_id);
        let finished = if incoming.data.len() > INLINE_BYTES_MAX {
            tokio::task::spawn_blocking(move || finish(incoming)).await.map_err(|error| {
                tracing::error!(%message_id, %error, "content could not be prepared");
                reply::try_again("The mail could not be prepared, so it was not accepted")
            })?
        } else {
            finish(incoming)
        };
        match finished {
            Ok(finished) => self.admit(finished).await,
            Err(error) => {
                tracing::info!(%message_id, peer = %self.peer, %error, "content was refused");
                Err(match error {
                    ContentError::Unfit(error) => reply::unfit(&error),
                    ContentError::Loop => reply::routing_loop(),
                })
            }
        }
    }

    fn incoming(
        &self,
        session: &Session,
        message: Message,
        originator: Originator,
        message_id: i64,
    ) -> Incoming {
        let recipients =
            message.recipients.iter().filter_map(|accepted| accepted.to.mailbox()).map(recipient);
        let smtputf8 = message.parameters.smtputf8;
        let protocol = match (session.protocol().strip_prefix("ESMTP"), smtputf8) {
            (Some(suffix), true) => format!("UTF8SMTP{suffix}"),
            _ => session.protocol().to_owned(),
        };
        Incoming {
            message_id,
            now: self.desk.store.now(),
            originator,
            recipients: unique(recipients.collect()),
            data: message.data,
            smtputf8,
            trace: Trace {
                client_name: session.hello_name().unwrap_or_default().to_owned(),
                client_address: self.peer,
                hostname: self.desk.hostname.clone(),
                protocol,
            },
        }
    }

    /// The pool that a mail names must be the account's.
    async fn check_ip_pool(&self, account_id: i64, pool_id: i64) -> Result<(), Reply> {
        match self.desk.store.has_ip_pool(account_id, pool_id).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(reply::no_such_ip_pool(pool_id)),
            Err(error) => {
                tracing::error!(account_id, %error, "an account's IP pools could not be asked");
                Err(reply::try_again("The IP pool cannot be checked now"))
            }
        }
    }

    async fn admit(&self, finished: Finished) -> Result<Reply, Reply> {
        let Finished { incoming, content, subject, tag, ip_pool_id, idempotency } = finished;
        let Incoming { message_id, originator, recipients, .. } = incoming;
        let (account_id, size_bytes) = (originator.sender.account_id, content.len());
        if let Some(pool_id) = ip_pool_id {
            self.check_ip_pool(account_id, pool_id).await?;
        }
        let first = recipients.first().map(|recipient| recipient.address.clone()).unwrap_or_default();
        let recipient_count = recipients.len();
        let submission = Submission {
            message_id,
            account_id,
            sender_id: originator.sender.sender_id,
            domain_id: originator.sender.domain_id,
            via: if originator.is_relay { Via::Relay } else { Via::Smtp },
            mail_from: originator.mail_from,
            subject,
            tag,
            recipients,
            content,
            ip_pool_id,
            idempotency,
            nonce: None,
        };
        match self.desk.admission.submit(submission).await {
            Ok(Admitted::Accepted(acceptance)) => {
                self.desk.metrics.messages.inc();
                self.desk.metrics.recipients.inc_by((recipient_count - acceptance.refused.len()) as u64);
                self.desk.metrics.octets.inc_by(size_bytes as u64);
                tracing::info!(%message_id, account_id, size_bytes, recipient_count, "accepted over SMTP");
                Ok(reply::accepted(&acceptance))
            }
            Ok(Admitted::Replayed { message_id: first_id }) => {
                tracing::info!(
                    message_id = %first_id,
                    account_id,
                    "a message was given again with its idempotency key"
                );
                Ok(reply::sent(first_id))
            }
            Err(error) => {
                tracing::info!(%message_id, account_id, %error, "a message was not accepted");
                Err(reply::not_accepted(&error, &first))
            }
        }
    }
}
