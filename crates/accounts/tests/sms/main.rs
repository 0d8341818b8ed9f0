//! The gateways against message centres and HTTP servers that behave well and badly.

mod http;
mod smpp;
mod smpp34;
mod smsc;

use std::time::Duration;

use indicia_accounts::sms::TextMessage;
use indicia_domain::phone::PhoneNumber;

const NUMBER: &str = "+8613800001234";

fn text_message(reference: i64, text: impl Into<String>) -> TextMessage {
    TextMessage { reference, to: PhoneNumber::parse(NUMBER).expect("a number"), text: text.into() }
}

/// Waits, for at most ten seconds, until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("after ten seconds still not: {what}");
}
