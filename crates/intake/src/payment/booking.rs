//! What the webhooks do to the store, behind a trait so that they can be tested against a store that fails.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use indicia_store::Store;
use indicia_store::audit::Actor;
use indicia_store::money::{CreditError, TopUp};

use super::adapter::Payment;

/// Where payments are booked and events are noted for the operator.
#[async_trait]
pub trait TopUps: Send + Sync + 'static {
    /// Puts a payment on its account's cash balance, once: neither the same event nor another event about the same
    /// payment books it again. Says whether it was this call that booked it.
    async fn book(&self, provider: &str, event_id: &str, payment: &Payment) -> Result<bool, BookingError>;

    /// Keeps an entry in the audit log.
    async fn note(
        &self,
        provider: &str,
        account_id: Option<i64>,
        action: &str,
        detail: &str,
    ) -> Result<(), BookingError>;
}

/// Why nothing was booked.
#[derive(Debug, thiserror::Error)]
pub enum BookingError {
    #[error("there is no account {0}")]
    NoAccount(i64),
    #[error("the balance would be more than can be counted")]
    TooLarge,
    /// Anything else that trying again would not change, as a sentence.
    #[error("{0}")]
    Refused(String),
    /// The store did not do it, or did not say whether it did.
    #[error("the store failed: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[async_trait]
impl TopUps for Store {
    async fn book(&self, provider: &str, event_id: &str, payment: &Payment) -> Result<bool, BookingError> {
        let top_up = TopUp {
            provider: provider.to_owned(),
            event_id: event_id.to_owned(),
            payment_reference: payment.payment_reference.clone(),
            account_id: payment.account_id,
            amount: payment.amount,
            memo: payment.memo.clone(),
        };
        match self.top_up(&top_up).await {
            Ok(done) => Ok(done.booked),
            Err(CreditError::NoAccount(account_id)) => Err(BookingError::NoAccount(account_id)),
            Err(CreditError::TooLarge) => Err(BookingError::TooLarge),
            Err(CreditError::Store(error)) => Err(BookingError::Store(Box::new(error))),
            Err(other) => Err(BookingError::Refused(other.to_string())),
        }
    }

    async fn note(
        &self,
        provider: &str,
        account_id: Option<i64>,
        action: &str,
        detail: &str,
    ) -> Result<(), BookingError> {
        let noted = self.note_audit(&Actor::system(provider), account_id, action, detail).await;
        noted.map_err(|error| BookingError::Store(Box::new(error)))
    }
}

/// How many events are remembered as noted.
const NOTED_MAX: usize = 1_024;

/// Events that this process has put into the audit log. A provider sends an event that is not accepted again for days;
/// the operator need read of it once. After a restart it is noted once more.
#[derive(Debug, Default)]
pub struct NotedEvents {
    newest_last: Mutex<VecDeque<String>>,
}

impl NotedEvents {
    pub fn contains(&self, event_id: &str) -> bool {
        let noted = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        noted.iter().any(|known| known == event_id)
    }

    pub fn remember(&self, event_id: &str) {
        let mut noted = self.newest_last.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= NOTED_MAX {
            noted.pop_front();
        }
        noted.push_back(event_id.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_events_are_remembered_and_no_more() {
        let noted = NotedEvents::default();
        for number in 0..=NOTED_MAX {
            noted.remember(&format!("evt_{number}"));
        }
        assert!(!noted.contains("evt_0"));
        assert!(noted.contains("evt_1") && noted.contains(&format!("evt_{NOTED_MAX}")));
        assert_eq!(noted.newest_last.lock().unwrap().len(), NOTED_MAX);
    }
}
