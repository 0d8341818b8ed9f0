//! Texts over SMPP 3.4.
//!
//! One session at a time, opened by the first text and again by the first text after it broke. A text's parts go one
//! after the other; different texts share the window. A text is [`Submitted`] when the message centre has answered
//! every part with ESME_ROK.
//!
//! # What can be sent twice
//!
//! SMPP has no idempotency: user_message_reference goes with every part and is the same in every attempt, but a
//! message centre is free to ignore it, and most do. While the process lives, its memory of the parts sees to it
//! that a part is sent again only after it was refused, or after the session that carried it ended without an answer.
//! In that case the message centre may have taken it: this is the window, at most the parts unanswered when a
//! connection breaks. The memory is this process's own. When the process is killed between a text's first part and
//! the caller's note that the text is sent, or when another node takes the text over, all of it is sent again.

mod config;
mod frame;
mod pdu;
mod progress;
mod session;
mod status;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;

pub use config::{BindMode, SmppConfig};

use self::config::WireConfig;
use self::progress::{Claim, PartKey, Progress};
use self::session::{Answer, Session, Unanswered};
use self::status::{Verdict, describe, verdict};
use super::text::{EncodedText, TextError, encode};
use super::{SmsConfigError, SmsError, SmsFailure, SmsGateway, Submitted, TextMessage};

/// A message centre spoken to in SMPP 3.4.
pub struct SmppGateway {
    config: SmppConfig,
    wire: WireConfig,
    progress: Arc<Progress>,
    slot: Mutex<Slot>,
    closed: AtomicBool,
}

/// The session, and how it went with getting one.
#[derive(Default)]
struct Slot {
    session: Option<Arc<Session>>,
    failures: u32,
    /// After a failure: what it was, and when the next attempt is due.
    pause: Option<(String, Instant)>,
}

impl SmppGateway {
    /// Checks the settings; nothing is connected before the first text.
    pub fn new(config: SmppConfig) -> Result<Self, SmsConfigError> {
        let wire = config.validated()?;
        Ok(SmppGateway {
            config,
            wire,
            progress: Arc::new(Progress::default()),
            slot: Mutex::new(Slot::default()),
            closed: AtomicBool::new(false),
        })
    }

    /// The session in use, or a new one. One caller opens it, the others wait for the outcome.
    async fn session(&self) -> Result<Arc<Session>, SmsFailure> {
        let mut slot = self.slot.lock().await;
        if self.closed.load(Ordering::SeqCst) {
            return Err(SmsFailure::Closed);
        }
        if let Some(session) = slot.session.as_ref().filter(|session| session.is_open()) {
            return Ok(session.clone());
        }
        slot.session = None;
        let address = self.config.address;
        if let Some((last, until)) = &slot.pause
            && let Some(pause) = until.checked_duration_since(Instant::now())
            && !pause.is_zero()
        {
            return Err(SmsFailure::Paused { address, last: last.clone(), pause });
        }
        match Session::open(&self.config, &self.wire).await {
            Ok(session) => {
                let session = Arc::new(session);
                *slot = Slot { session: Some(session.clone()), ..Slot::default() };
                Ok(session)
            }
            Err(failure) => {
                let pause = self.pause_after(slot.failures);
                slot.failures = slot.failures.saturating_add(1);
                slot.pause = Some((brief(&failure), Instant::now() + pause));
                // A refused bind mends itself by nobody but the operator, so it is said loudly.
                if matches!(failure, SmsFailure::Bind { .. }) {
                    tracing::error!(%address, ?pause, "no texts can be sent: {failure}");
                } else {
                    tracing::warn!(%address, ?pause, "no session with the message centre: {failure}");
                }
                Err(failure)
            }
        }
    }

    fn pause_after(&self, failures: u32) -> Duration {
        let doubled = self.config.reconnect_pause_min.saturating_mul(1 << failures.min(20));
        doubled.min(self.config.reconnect_pause_max)
    }

    /// One part, sent unless the message centre has it: its id there.
    async fn send_part(
        &self,
        message: &TextMessage,
        encoded: &EncodedText,
        index: usize,
    ) -> Result<String, SmsError> {
        let (part, parts) = (index + 1, encoded.parts.len());
        let response_timeout = self.config.response_timeout;
        let key = PartKey { reference: message.reference, index };
        // Twice: a session found closed before anything was written is replaced by a fresh one.
        for _ in 0..2 {
            let flight = match self.progress.claim(key) {
                Claim::Taken(id) => return Ok(id),
                Claim::InFlight => {
                    let cause = SmsFailure::NoAnswer { part, parts, timeout: response_timeout };
                    return Err(transient(message, cause));
                }
                Claim::Send(flight) => flight,
            };
            let session = self.session().await.map_err(|cause| transient(message, cause))?;
            let Some(pdu) = pdu::submit(&self.wire, message, encoded, index) else {
                return Err(permanent(message, TextError::TooLong { parts }.into()));
            };
            match session.submit(pdu, flight).await {
                Ok(Answer::Taken(id)) => return Ok(id),
                Ok(Answer::Refused(status)) => {
                    return Err(refusal(message, verdict(status), describe(status), (part, parts)));
                }
                Err(Unanswered::NotSent) => {}
                Err(Unanswered::TimedOut) => {
                    let cause = SmsFailure::NoAnswer { part, parts, timeout: response_timeout };
                    return Err(transient(message, cause));
                }
                Err(Unanswered::SessionLost) => break,
            }
        }
        Err(transient(message, SmsFailure::SessionLost { part, parts }))
    }
}

#[async_trait]
impl SmsGateway for SmppGateway {
    async fn send(&self, message: &TextMessage) -> Result<Submitted, SmsError> {
        let encoded = encode(&message.text).map_err(|error| permanent(message, error.into()))?;
        self.progress.begin(message.reference, fingerprint(message), encoded.parts.len());
        let mut gateway_ids = Vec::with_capacity(encoded.parts.len());
        for index in 0..encoded.parts.len() {
            gateway_ids.push(self.send_part(message, &encoded, index).await?);
        }
        tracing::info!(
            reference = message.reference,
            to = message.to.masked(),
            parts = gateway_ids.len(),
            "the message centre took a text"
        );
        Ok(Submitted { gateway_ids })
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let session = self.slot.lock().await.session.take();
        if let Some(session) = session {
            session.close().await;
        }
    }
}

fn transient(message: &TextMessage, cause: SmsFailure) -> SmsError {
    SmsError::Transient { reference: message.reference, to: message.to.masked(), cause }
}

fn permanent(message: &TextMessage, cause: SmsFailure) -> SmsError {
    SmsError::Permanent { reference: message.reference, to: message.to.masked(), cause }
}

fn refusal(
    message: &TextMessage,
    verdict: Verdict,
    status: String,
    (part, parts): (usize, usize),
) -> SmsError {
    match verdict {
        Verdict::Permanent => permanent(message, SmsFailure::Refused { status, part, parts }),
        Verdict::Transient => transient(message, SmsFailure::Refused { status, part, parts }),
        Verdict::Settings => {
            let cause = SmsFailure::RefusedSettings { status, part, parts };
            tracing::error!(reference = message.reference, to = message.to.masked(), "{cause}");
            transient(message, cause)
        }
    }
}

/// What a failed opening is called while its pause lasts: without the advice, which the pause's own text has not
/// room for.
fn brief(failure: &SmsFailure) -> String {
    match failure {
        SmsFailure::Bind { status, .. } => status.clone(),
        SmsFailure::Connect { source, .. } => source.to_string(),
        SmsFailure::ConnectTimeout { timeout, .. } => format!("no answer within {timeout:?}"),
        other => other.to_string(),
    }
}

/// Tells one text from another under the same reference. Lives no longer than the process.
fn fingerprint(message: &TextMessage) -> u64 {
    let mut hasher = DefaultHasher::new();
    (message.to.as_str(), &message.text).hash(&mut hasher);
    hasher.finish()
}
