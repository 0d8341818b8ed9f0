//! A request's recipients: lists read, checked one by one, and each address counted once (R01).

use indicia_domain::mail::recipient::{Recipient, unique};
use indicia_smtp::address::{Domain, Mailbox};

use super::mailbox::{MailboxError, NamedMailbox, parse_list};

/// Addresses in ToAddress (dossier 4.1).
pub const TO_MAX: usize = 100;
/// Addresses in CcAddress alone.
pub const CC_MAX: usize = 100;
/// Addresses in ToAddress and CcAddress together: a call has at most 100 (dossier 9), and To and Cc differ only in what
/// is shown.
pub const TO_AND_CC_MAX: usize = 100;
/// Addresses in BccAddress (dossier 4.1).
pub const BCC_MAX: usize = 2;
/// Characters of a display name.
const NAME_CHARS_MAX: usize = 256;

/// Why a list of recipients is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecipientsError {
    #[error("address {position} of {parameter}, '{text}', is wrongly formed: {reason}")]
    Malformed { parameter: &'static str, position: usize, text: String, reason: MailboxError },
    #[error(
        "address {position} of {parameter}, '{text}', needs SMTPUTF8, which an API call cannot ask for; send it over SMTP"
    )]
    NeedsSmtpUtf8 { parameter: &'static str, position: usize, text: String },
    #[error(
        "address {position} of {parameter}, '{text}', has an address literal for a domain; mail is sent to domain names only"
    )]
    Literal { parameter: &'static str, position: usize, text: String },
    #[error("the display name of address {position} of {parameter} has more than 256 characters")]
    NameTooLong { parameter: &'static str, position: usize },
    #[error("{parameter} has {given} addresses, more than {limit}")]
    TooMany { parameter: &'static str, given: usize, limit: usize },
    #[error("ToAddress and CcAddress have {given} addresses together, more than {TO_AND_CC_MAX}")]
    TooManyTogether { given: usize },
}

impl RecipientsError {
    /// Which parameter is at fault.
    pub fn parameter(&self) -> &'static str {
        match self {
            RecipientsError::Malformed { parameter, .. }
            | RecipientsError::NeedsSmtpUtf8 { parameter, .. }
            | RecipientsError::Literal { parameter, .. }
            | RecipientsError::NameTooLong { parameter, .. }
            | RecipientsError::TooMany { parameter, .. } => parameter,
            RecipientsError::TooManyTogether { .. } => "CcAddress",
        }
    }

    /// Whether there are too many addresses, rather than a wrong one.
    pub fn is_too_many(&self) -> bool {
        matches!(self, RecipientsError::TooMany { .. } | RecipientsError::TooManyTogether { .. })
    }
}

/// Refuses more than [`TO_AND_CC_MAX`] shown addresses.
pub fn check_together(to: &[NamedMailbox], cc: &[NamedMailbox]) -> Result<(), RecipientsError> {
    match to.len() + cc.len() {
        given if given > TO_AND_CC_MAX => Err(RecipientsError::TooManyTogether { given }),
        _ => Ok(()),
    }
}

/// Reads one parameter's list. An absent or empty one has no addresses.
pub fn read_list(
    parameter: &'static str,
    text: Option<&str>,
    limit: usize,
) -> Result<Vec<NamedMailbox>, RecipientsError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let entries = parse_list(text);
    if entries.len() > limit {
        return Err(RecipientsError::TooMany { parameter, given: entries.len(), limit });
    }
    entries.into_iter().enumerate().map(|(index, entry)| check(parameter, index + 1, entry, text)).collect()
}

fn check(
    parameter: &'static str,
    position: usize,
    entry: Result<NamedMailbox, MailboxError>,
    list: &str,
) -> Result<NamedMailbox, RecipientsError> {
    let text = || {
        let entry = list.split(',').nth(position - 1).unwrap_or(list);
        entry.chars().take(100).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>()
    };
    let named =
        entry.map_err(|reason| RecipientsError::Malformed { parameter, position, text: text(), reason })?;
    if !named.mailbox.is_ascii() {
        return Err(RecipientsError::NeedsSmtpUtf8 { parameter, position, text: named.mailbox.to_string() });
    }
    if matches!(named.mailbox.domain(), Domain::Literal(_)) {
        return Err(RecipientsError::Literal { parameter, position, text: named.mailbox.to_string() });
    }
    if named.display_name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS_MAX) {
        return Err(RecipientsError::NameTooLong { parameter, position });
    }
    Ok(named)
}

/// R01: all recipients of a request, To, Cc and Bcc alike, each address once, in order.
pub fn envelope<'a>(lists: impl IntoIterator<Item = &'a [NamedMailbox]>) -> Vec<Recipient> {
    unique(lists.into_iter().flatten().map(|named| recipient(&named.mailbox)).collect())
}

/// The domain crate's recipient for an address.
pub fn recipient(mailbox: &Mailbox) -> Recipient {
    let domain = mailbox.domain().to_string();
    Recipient::new(mailbox.local_part(), &domain, domain.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> Result<Vec<NamedMailbox>, RecipientsError> {
        read_list("ToAddress", Some(text), TO_MAX)
    }

    #[test]
    fn r01_each_address_counts_once_over_to_cc_and_bcc() {
        let to = to("a@x.example, \"A\" <a@X.EXAMPLE>, A@x.example").unwrap();
        let bcc = read_list("BccAddress", Some("a@x.example,b@x.example"), BCC_MAX).unwrap();
        let all: Vec<String> =
            envelope([&to[..], &bcc[..]]).into_iter().map(|recipient| recipient.address).collect();
        assert_eq!(all, ["a@x.example", "A@x.example", "b@x.example"]);
    }

    #[test]
    fn limits_hold() {
        let list = |n: usize| (0..n).map(|i| format!("u{i}@x.example")).collect::<Vec<_>>().join(",");
        assert_eq!(to(&list(100)).unwrap().len(), 100);
        let refused = to(&list(101)).unwrap_err();
        assert_eq!(refused, RecipientsError::TooMany { parameter: "ToAddress", given: 101, limit: 100 });
        assert!(read_list("BccAddress", Some(&list(3)), BCC_MAX).is_err());
        assert!(read_list("CcAddress", None, CC_MAX).unwrap().is_empty());
        let (to, cc) = (to(&list(60)).unwrap(), read_list("CcAddress", Some(&list(41)), CC_MAX).unwrap());
        assert_eq!(check_together(&to, &cc[..40]), Ok(()));
        assert_eq!(check_together(&to, &cc), Err(RecipientsError::TooManyTogether { given: 101 }));
    }

    #[test]
    fn errors_name_parameter_place_and_reason() {
        for (text, says) in [
            ("a@x.example,b", "address 2 of ToAddress, 'b', is wrongly formed"),
            ("a@x.example,", "address 2 of ToAddress, '', is wrongly formed: it is empty"),
            ("a@x.example\r\nBcc: b@x.example", "control character"),
            ("用户@x.example", "SMTPUTF8"),
            ("a@[127.0.0.1]", "address literal"),
            ("a@x..example", "domain"),
        ] {
            let refused = to(text).unwrap_err();
            assert!(refused.to_string().contains(says), "{text:?}: {refused}");
            assert_eq!(refused.parameter(), "ToAddress");
        }
    }

    #[test]
    fn an_international_domain_goes_by_its_a_label() {
        let named = to("a@bücher.example").unwrap();
        assert_eq!(named[0].mailbox.to_string(), "a@xn--bcher-kva.example");
    }
}
