//! The demo's SMS gateway: texts land in the built-in inbox, beside the mails.

use std::sync::Arc;

use async_trait::async_trait;
use indicia_accounts::sms::{SmsError, SmsFailure, SmsGateway, Submitted, TextMessage};
use indicia_domain::time::Clock;

use super::inbox::Inbox;

pub struct InboxTexts {
    pub inbox: Arc<Inbox>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl SmsGateway for InboxTexts {
    async fn send(&self, message: &TextMessage) -> Result<Submitted, SmsError> {
        let to = message.to.to_string();
        let content = format!(
            "From: Indicia (SMS)\r\nTo: {to}\r\nSubject: SMS to {to}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
            message.text
        );
        self.inbox.receive(self.clock.now(), "sms", vec![to], content.as_bytes()).map_err(|error| {
            SmsError::Transient {
                reference: message.reference,
                to: message.to.masked(),
                cause: SmsFailure::Http { host: "of the demo".to_owned(), detail: error.to_string() },
            }
        })?;
        Ok(Submitted { gateway_ids: vec![message.reference.to_string()] })
    }

    async fn close(&self) {}
}
