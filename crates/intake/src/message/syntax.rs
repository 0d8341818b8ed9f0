//! What a sending domain and a sender address may look like (dossier 4.1, 4.2).

use indicia_smtp::address::{Domain, Mailbox};

/// Characters of a domain's name.
pub const DOMAIN_CHARS_MAX: usize = 50;
/// Characters of a sender address.
pub const SENDER_CHARS_MAX: usize = 60;
/// Characters of a DKIM selector.
pub const SELECTOR_CHARS_MAX: usize = 60;

/// Why a name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    #[error("it must have 1 to {0} characters")]
    Length(usize),
    #[error("only letters, digits, '.' and '-' may be in a domain name")]
    DomainCharacter,
    #[error(
        "a domain name needs at least two labels of 1 to 63 characters that neither begin nor end with '-', the last of them not a number"
    )]
    DomainLabels,
    #[error("it is not local-part@domain")]
    NoDomain,
    #[error(
        "the part before '@' may have only letters, digits, '.', '_', '+' and '-', and must begin and end with a letter or digit"
    )]
    LocalPart,
    #[error("a selector has labels of letters, digits and '-' (not first or last), joined by '.'")]
    Selector,
}

/// Checks a sending domain's name; returns it in lower case.
pub fn domain_name(name: &str) -> Result<String, SyntaxError> {
    if !(1..=DOMAIN_CHARS_MAX).contains(&name.chars().count()) {
        return Err(SyntaxError::Length(DOMAIN_CHARS_MAX));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
        return Err(SyntaxError::DomainCharacter);
    }
    let labels: Vec<&str> = name.split('.').collect();
    let numeric_last = labels.last().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if labels.len() < 2 || !labels.iter().all(|label| is_label(label)) || numeric_last {
        return Err(SyntaxError::DomainLabels);
    }
    match Domain::parse(name) {
        Ok(Domain::Name(name)) => Ok(name),
        _ => Err(SyntaxError::DomainLabels),
    }
}

/// Checks a sender address; returns it in lower case (its owner decides what it means, so case never does) with its
/// domain.
pub fn sender_address(address: &str) -> Result<(String, String), SyntaxError> {
    if !(1..=SENDER_CHARS_MAX).contains(&address.chars().count()) {
        return Err(SyntaxError::Length(SENDER_CHARS_MAX));
    }
    let (local, domain) = address.split_once('@').ok_or(SyntaxError::NoDomain)?;
    let domain = domain_name(domain)?;
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-');
    let bytes = local.as_bytes();
    if !ends(bytes.first()) || !ends(bytes.last()) || !local.bytes().all(allowed) {
        return Err(SyntaxError::LocalPart);
    }
    let address = format!("{}@{domain}", local.to_ascii_lowercase());
    Mailbox::parse(&address).map_err(|_| SyntaxError::LocalPart)?;
    Ok((address, domain))
}

/// Checks a DKIM selector; returns it in lower case.
pub fn selector(selector: &str) -> Result<String, SyntaxError> {
    if !(1..=SELECTOR_CHARS_MAX).contains(&selector.chars().count()) {
        return Err(SyntaxError::Length(SELECTOR_CHARS_MAX));
    }
    if !selector.split('.').all(is_label) {
        return Err(SyntaxError::Selector);
    }
    Ok(selector.to_ascii_lowercase())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_names() {
        assert_eq!(domain_name("Mail.Example.COM").unwrap(), "mail.example.com");
        for wrong in [
            "",
            "example",
            "-a.example",
            "a-.example",
            "a..example",
            ".example",
            "a.example.",
            "a_b.example",
            "a b.example",
            "bücher.example",
            "192.0.2.1",
            "a.example\r\n",
            "@a.example",
            "[127.0.0.1]",
        ] {
            assert!(domain_name(wrong).is_err(), "{wrong:?}");
        }
        assert!(domain_name(&format!("{}.example", "a".repeat(42))).is_ok());
        assert_eq!(domain_name(&format!("{}.example", "a".repeat(43))), Err(SyntaxError::Length(50)));
    }

    #[test]
    fn sender_addresses() {
        let (address, domain) = sender_address("No.Reply+x@Mail.Example.com").unwrap();
        assert_eq!((address.as_str(), domain.as_str()), ("no.reply+x@mail.example.com", "mail.example.com"));
        for wrong in [
            "",
            "x",
            "@example.com",
            "a@",
            "a@b",
            "a b@example.com",
            "\"a\"@example.com",
            ".a@example.com",
            "a..b@example.com",
            "a@b@example.com",
            "a@example.com\n",
            "ü@example.com",
            "a%b@example.com",
        ] {
            assert!(sender_address(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(sender_address(&format!("{}@example.com", "a".repeat(49))), Err(SyntaxError::Length(60)));
    }

    #[test]
    fn selectors() {
        assert_eq!(selector("S1.East").unwrap(), "s1.east");
        for wrong in ["", "-a", "a-", "a..b", "a_b", "a b", "ä"] {
            assert!(selector(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(selector(&"a".repeat(61)), Err(SyntaxError::Length(60)));
    }
}
