//! Extra header fields that an API caller may set: the parameter `Headers`, a JSON object of names and texts.
//!
//! Meant for Message-ID, List-Unsubscribe, List-Unsubscribe-Post and X-User-* (dossier 4.1); other names are passed
//! on as well, except those this server writes itself or that tell of a mail's way and authenticity.

use serde_json::Value;

use super::LINE_BYTES_MAX;

/// Header fields in one call (dossier 9).
pub const HEADERS_MAX: usize = 10;

/// Fields that a caller may not set: written by us, set by a parameter of their own, or trusted by receivers as
/// the word of the servers on the way. In lower case.
const OWNED: [&str; 27] = [
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "return-path",
    "received",
    "received-spf",
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "mime-version",
    "dkim-signature",
    "domainkey-signature",
    "authentication-results",
    "errors-to",
    "return-receipt-to",
    "disposition-notification-to",
    "x-alidm-trace",
    "x-alidm-settings",
    "feedback-id",
    "apparently-to",
    "lines",
    "status",
];
/// The same by prefix.
const OWNED_PREFIXES: [&str; 4] = ["content-", "resent-", "arc-", "x-indicia-"];

/// One field, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHeader {
    pub name: String,
    pub value: String,
}

/// Why `Headers` is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadersError {
    #[error("it is not a JSON object whose values are strings")]
    NotAnObject,
    #[error("it has {0} fields, more than 10")]
    TooMany(usize),
    #[error("'{0}' is not a header field's name")]
    Name(String),
    #[error("{0} may not be set by the caller")]
    Owned(String),
    #[error("{0} is given twice")]
    Twice(String),
    #[error("the value of {0} has a line break or another control character")]
    Control(String),
    #[error("{0} is longer than a line of 998 octets")]
    TooLong(String),
    #[error("the value of {0} is empty")]
    Empty(String),
    #[error("Message-ID must look like <left@right>, in ASCII without spaces")]
    MessageId,
}

/// Reads and checks the parameter. An absent or empty one gives no fields.
pub fn read(json: Option<&str>) -> Result<Vec<ExtraHeader>, HeadersError> {
    let Some(json) = json.filter(|json| !json.is_empty()) else { return Ok(Vec::new()) };
    let Ok(Value::Object(object)) = serde_json::from_str(json) else { return Err(HeadersError::NotAnObject) };
    if object.len() > HEADERS_MAX {
        return Err(HeadersError::TooMany(object.len()));
    }
    let mut headers: Vec<ExtraHeader> = Vec::with_capacity(object.len());
    for (name, value) in &object {
        let Value::String(value) = value else { return Err(HeadersError::NotAnObject) };
        let header = check(name, value)?;
        if headers.iter().any(|other| other.name.eq_ignore_ascii_case(&header.name)) {
            return Err(HeadersError::Twice(header.name));
        }
        headers.push(header);
    }
    Ok(headers)
}

fn check(name: &str, value: &str) -> Result<ExtraHeader, HeadersError> {
    let is_name = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if name.is_empty() || name.len() > 76 || !name.bytes().all(is_name) {
        let shown = name.chars().take(76).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        return Err(HeadersError::Name(shown));
    }
    let lower = name.to_ascii_lowercase();
    if OWNED.contains(&lower.as_str()) || OWNED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(HeadersError::Owned(name.to_owned()));
    }
    if value.chars().any(char::is_control) {
        return Err(HeadersError::Control(name.to_owned()));
    }
    let value = value.trim();
    if value.is_empty() {
        return Err(HeadersError::Empty(name.to_owned()));
    }
    if name.len() + 2 + value.len() > LINE_BYTES_MAX {
        return Err(HeadersError::TooLong(name.to_owned()));
    }
    if lower == "message-id" {
        return match is_message_id(value) {
            true => Ok(ExtraHeader { name: "Message-ID".to_owned(), value: value.to_owned() }),
            false => Err(HeadersError::MessageId),
        };
    }
    Ok(ExtraHeader { name: name.to_owned(), value: value.to_owned() })
}

fn is_message_id(value: &str) -> bool {
    let inner = value.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'@'))
    };
    inner.and_then(|inner| inner.split_once('@')).is_some_and(|(left, right)| is_part(left) && is_part(right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_fields_are_taken() {
        let json = r#"{"message-id": "<1@x.example>", "List-Unsubscribe": "<https://x.example/u>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "X-User-Notify-Order": " 世界 "}"#;
        let headers = read(Some(json)).unwrap();
        assert_eq!(headers.len(), 4);
        assert!(headers.contains(&ExtraHeader { name: "Message-ID".into(), value: "<1@x.example>".into() }));
        assert!(headers.contains(&ExtraHeader { name: "X-User-Notify-Order".into(), value: "世界".into() }));
        assert!(read(None).unwrap().is_empty() && read(Some("")).unwrap().is_empty());
    }

    #[test]
    fn what_is_refused_and_why() {
        let control = |name: &str| HeadersError::Control(name.to_owned());
        let owned = |name: &str| HeadersError::Owned(name.to_owned());
        for (json, why) in [
            ("x", HeadersError::NotAnObject),
            ("[]", HeadersError::NotAnObject),
            (r#"{"X-A": 1}"#, HeadersError::NotAnObject),
            (r#"{"X-A": {"b": "c"}}"#, HeadersError::NotAnObject),
            (r#"{"X-A": "b\r\nBcc: x@y.example"}"#, control("X-A")),
            (r#"{"X-A": "b\nc"}"#, control("X-A")),
            (r#"{"X-A": "b\u0000c"}"#, control("X-A")),
            (r#"{"X-A": "  "}"#, HeadersError::Empty("X-A".into())),
            (r#"{"X A": "b"}"#, HeadersError::Name("X A".into())),
            (r#"{"": "b"}"#, HeadersError::Name(String::new())),
            (r#"{"X:A": "b"}"#, HeadersError::Name("X:A".into())),
            (r#"{"X-Ä": "b"}"#, HeadersError::Name("X-Ä".into())),
            (r#"{"X-A\r\nBcc": "b"}"#, HeadersError::Name("X-A\u{fffd}\u{fffd}Bcc".into())),
            (r#"{"X-A": "b", "x-a": "c"}"#, HeadersError::Twice("x-a".into())),
            (r#"{"from": "a@b.example"}"#, owned("from")),
            (r#"{"BCC": "a@b.example"}"#, owned("BCC")),
            (r#"{"DKIM-Signature": "v=1"}"#, owned("DKIM-Signature")),
            (r#"{"Return-Path": "a@b.example"}"#, owned("Return-Path")),
            (r#"{"Content-Type": "text/plain"}"#, owned("Content-Type")),
            (r#"{"X-Indicia-Env-Id": "1"}"#, owned("X-Indicia-Env-Id")),
            (r#"{"ARC-Seal": "1"}"#, owned("ARC-Seal")),
            (r#"{"Message-ID": "1@x.example"}"#, HeadersError::MessageId),
            (r#"{"Message-ID": "<1 2@x.example>"}"#, HeadersError::MessageId),
            (r#"{"Message-ID": "<1@x.example> <2@x.example>"}"#, HeadersError::MessageId),
        ] {
            assert_eq!(read(Some(json)), Err(why), "{json}");
        }
        let eleven: Vec<String> = (0..11).map(|n| format!("\"X-{n}\":\"v\"")).collect();
        assert_eq!(read(Some(&format!("{{{}}}", eleven.join(",")))), Err(HeadersError::TooMany(11)));
        let long = format!("{{\"X-A\":\"{}\"}}", "v".repeat(994));
        assert_eq!(read(Some(&long)), Err(HeadersError::TooLong("X-A".into())));
    }
}
