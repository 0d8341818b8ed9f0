//! Texts that wait go to the SMS gateway.
//!
//! A round claims as many texts as go out at once, so that the round takes no longer than the gateway's time-out for
//! one, and long before the claim ends. What the gateway took is noted at once; a crash between the two sends that
//! text again, with the same reference: that is as small as the window can be made from here, for the gateway's
//! answer and our commit are not one transaction.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use indicia_domain::phone::PhoneNumber;
use indicia_domain::time::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::notice::OutboundSms;
use indicia_store::{Result, Store};

use crate::jobs::Jobs;
use crate::sms::{SmsGateway, TextMessage};

/// Texts that are with the gateway at once.
const TEXTS_MAX: i64 = 16;
/// For so long nobody else tries a text that is claimed.
const CLAIM_MICROS: i64 = 2 * MINUTE_MICROS;
/// A gateway has time-outs of its own; should it break its word, the text is tried again later.
const SEND_MAX: Duration = Duration::from_secs(90);
const BACKOFF_MIN_MICROS: i64 = 30 * SECOND_MICROS;
const BACKOFF_MAX_MICROS: i64 = HOUR_MICROS;
/// Tries to note what became of a text, and the first pause between them.
const NOTE_TRIES: u32 = 5;
const NOTE_PAUSE: Duration = Duration::from_millis(100);

/// What one round did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextRound {
    pub taken: u64,
    /// Tried again later.
    pub deferred: u64,
    pub given_up: u64,
}

/// What becomes of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Taken { gateway_id: String },
    Deferred { next_at: UnixMicros, error: String },
    GivenUp { error: String },
}

impl Jobs {
    /// Hands waiting texts over to the gateway: one batch, together.
    pub async fn send_texts(&self) -> Result<TextRound> {
        let Some(gateway) = &self.sms else { return Ok(TextRound::default()) };
        let claimed_until = self.store.now().plus_micros(CLAIM_MICROS);
        let claimed = self.store.claim_sms(claimed_until, TEXTS_MAX).await?;
        // Those to one telephone one after another, in the order in which they were made: "restored" not before "overdue".
        let mut telephones: BTreeMap<&str, Vec<&OutboundSms>> = BTreeMap::new();
        for sms in &claimed {
            telephones.entry(&sms.phone).or_default().push(sms);
        }
        let sent = telephones.into_values().map(|mut texts| async move {
            texts.sort_by_key(|sms| sms.sms_id);
            let mut fates = Vec::new();
            for sms in texts {
                // What is left when the claim runs out is claimed again, by whoever comes first.
                if self.store.now().plus_micros(SEND_MAX.as_micros() as i64) >= claimed_until {
                    break;
                }
                let fate = send(&self.store, gateway.as_ref(), sms).await;
                fates.push(note(&self.store, sms, &fate).await.map(|()| fate));
            }
            fates
        });
        let mut round = TextRound::default();
        let mut failure = None;
        for fate in join_all(sent).await.into_iter().flatten() {
            match fate {
                Ok(Fate::Taken { .. }) => round.taken += 1,
                Ok(Fate::Deferred { .. }) => round.deferred += 1,
                Ok(Fate::GivenUp { .. }) => round.given_up += 1,
                Err(error) => failure = Some(error),
            }
        }
        self.metrics.sms_taken.inc_by(round.taken);
        self.metrics.sms_deferred.inc_by(round.deferred);
        self.metrics.sms_given_up.inc_by(round.given_up);
        failure.map_or(Ok(round), Err)
    }
}

async fn send(store: &Store, gateway: &dyn SmsGateway, sms: &OutboundSms) -> Fate {
    if store.now() >= sms.until_at {
        return Fate::GivenUp { error: "it was not worth sending any more when its turn came".to_owned() };
    }
    let to = match PhoneNumber::parse(&sms.phone) {
        Ok(to) => to,
        Err(error) => return Fate::GivenUp { error: error.to_string() },
    };
    let message = TextMessage { reference: sms.sms_id, to, text: sms.text.clone() };
    let error = match tokio::time::timeout(SEND_MAX, gateway.send(&message)).await {
        Ok(Ok(submitted)) => return Fate::Taken { gateway_id: submitted.gateway_ids.join(" ") },
        Ok(Err(error)) if !error.is_transient() => return Fate::GivenUp { error: error.to_string() },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("the gateway did not answer within {} s", SEND_MAX.as_secs()),
    };
    let next_at = store.now().plus_micros(backoff_micros(sms.attempts));
    if next_at >= sms.until_at {
        return Fate::GivenUp { error: format!("{error}; later it is not worth sending any more") };
    }
    Fate::Deferred { next_at, error }
}

/// The pause after a try, `attempts` having gone before it: 30 seconds, doubled each time, at most an hour.
fn backoff_micros(attempts: i64) -> i64 {
    let doublings = attempts.clamp(0, 7) as u32;
    (BACKOFF_MIN_MICROS << doublings).min(BACKOFF_MAX_MICROS)
}

/// Notes what became of a text; more than once if it must be, for a text that was sent and not noted is sent again.
async fn note(store: &Store, sms: &OutboundSms, fate: &Fate) -> Result<()> {
    let (account_id, sms_id, attempts) = (sms.account_id, sms.sms_id.to_string(), sms.attempts + 1);
    match fate {
        Fate::Taken { gateway_id } => {
            tracing::info!(account_id, sms_id, attempts, gateway_id, "the gateway has taken a text");
        }
        Fate::Deferred { next_at, error } => {
            tracing::warn!(account_id, sms_id, attempts, %next_at, error, "a text is tried again");
        }
        Fate::GivenUp { error } => tracing::warn!(account_id, sms_id, attempts, error, "a text is given up"),
    }
    let mut tries = 1;
    loop {
        let noted = match fate {
            Fate::Taken { gateway_id } => store.sms_taken(sms, gateway_id).await,
            Fate::Deferred { next_at, error } => store.sms_deferred(sms, *next_at, error).await,
            Fate::GivenUp { error } => store.sms_given_up(sms, error).await,
        };
        match noted {
            Err(error) if tries < NOTE_TRIES => {
                tracing::warn!(%error, sms_id, tries, "what became of a text could not be noted yet");
            }
            done => return done,
        }
        tokio::time::sleep(NOTE_PAUSE * 2_u32.pow(tries - 1)).await;
        tries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_texts_are_tried_after_30_seconds_and_at_last_every_hour() {
        let seconds: Vec<_> =
            [0, 1, 2, 6, 7, 1_000].map(|tries| backoff_micros(tries) / SECOND_MICROS).into();
        assert_eq!(seconds, [30, 60, 120, 1_920, 3_600, 3_600]);
    }
}
