//! The header fields of a stored message, decoded for people.

use mail_parser::{Address, MessageParser};

/// What the mail log shows of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Displayed {
    pub from: String,
    pub to: String,
    pub cc: String,
    pub subject: String,
}

/// Reads the header section of `content`; what is missing or unreadable is empty.
pub fn displayed(content: &[u8]) -> Displayed {
    let Some(message) = MessageParser::new().with_minimal_headers().parse_headers(content) else {
        return Displayed::default();
    };
    Displayed {
        from: list(message.from()),
        to: list(message.to()),
        cc: list(message.cc()),
        subject: message.subject().unwrap_or_default().to_owned(),
    }
}

fn list(addresses: Option<&Address<'_>>) -> String {
    let shown = addresses.into_iter().flat_map(Address::iter).map(|one| match (one.name(), one.address()) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (None, Some(address)) => address.to_owned(),
        (name, None) => name.unwrap_or_default().to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}
