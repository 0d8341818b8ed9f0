//! ESMTP parameters of MAIL and RCPT (RFC 5321 section 4.1.2 `esmtp-param`): read only where the extension
//! that defines them was offered, because a server must refuse what it did not offer.

use crate::address::Mailbox;
use crate::extension::Extensions;

/// Octets of an ENVID, RFC 3461 section 5.1.
const ENVELOPE_ID_BYTES_MAX: usize = 100;
/// Octets of an ORCPT, RFC 3461 section 5.1.
const ORIGINAL_RECIPIENT_BYTES_MAX: usize = 500;

/// What is wrong with a parameter. The keyword is only the peer's own when it has the grammar of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Answered 555 5.5.4.
    #[error("the parameter {keyword} is not recognised here")]
    Unknown { keyword: String },
    /// Answered 501 5.5.4.
    #[error("the value of the parameter {keyword} is malformed")]
    Value { keyword: &'static str },
    /// Answered 501 5.5.4.
    #[error("the parameter {keyword} is given twice")]
    Repeated { keyword: &'static str },
    /// Answered 501 5.5.4.
    #[error("the parameters are malformed")]
    Syntax,
}

/// BODY, RFC 6152.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyType {
    #[default]
    SevenBit,
    EightBitMime,
}

/// RET, RFC 3461 section 4.3: what a failure report returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReturnContent {
    Full,
    Headers,
}

/// NOTIFY, RFC 3461 section 4.1. All false means NEVER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    pub success: bool,
    pub failure: bool,
    pub delay: bool,
}

/// ORCPT, RFC 3461 section 4.2, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient {
    pub address_type: String,
    pub address: String,
}

/// The parameters of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE, octets. A number over `u64` is `u64::MAX`.
    pub size_bytes: Option<u64>,
    pub body: BodyType,
    pub smtputf8: bool,
    /// AUTH, RFC 4954 section 5: who submitted it first, decoded; `<>` when that is unknown.
    pub submitter: Option<String>,
    pub return_content: Option<ReturnContent>,
    /// ENVID, decoded.
    pub envelope_id: Option<String>,
}

/// The parameters of RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters {
    pub notify: Option<Notify>,
    pub original_recipient: Option<OriginalRecipient>,
}

impl MailParameters {
    /// Reads what follows the path of MAIL. `offered` is what the EHLO reply named; `auth_offered` whether
    /// AUTH is spoken here at all (the keyword goes away once the client is authenticated).
    pub fn parse(
        text: &str,
        offered: &Extensions,
        auth_offered: bool,
    ) -> Result<MailParameters, ParameterError> {
        let mut parameters = MailParameters::default();
        let mut body = None;
        let mut smtputf8 = None;
        for word in words(text) {
            let (keyword, value) = split(word)?;
            let upper = keyword.to_ascii_uppercase();
            match upper.as_str() {
                "SIZE" if offered.size.is_some() => {
                    set("SIZE", &mut parameters.size_bytes, value.and_then(parse_size))?
                }
                "BODY" if offered.eight_bit_mime => set("BODY", &mut body, value.and_then(parse_body))?,
                "SMTPUTF8" if offered.smtputf8 => {
                    set("SMTPUTF8", &mut smtputf8, value.is_none().then_some(()))?
                }
                "AUTH" if auth_offered => {
                    set("AUTH", &mut parameters.submitter, value.and_then(parse_submitter))?
                }
                "RET" if offered.dsn => {
                    set("RET", &mut parameters.return_content, value.and_then(parse_ret))?
                }
                "ENVID" if offered.dsn => {
                    set("ENVID", &mut parameters.envelope_id, value.and_then(parse_envelope_id))?
                }
                _ => return Err(ParameterError::Unknown { keyword: upper }),
            }
        }
        parameters.body = body.unwrap_or_default();
        parameters.smtputf8 = smtputf8.is_some();
        Ok(parameters)
    }
}

impl RcptParameters {
    /// Reads what follows the path of RCPT.
    pub fn parse(text: &str, offered: &Extensions) -> Result<RcptParameters, ParameterError> {
        let mut parameters = RcptParameters::default();
        for word in words(text) {
            let (keyword, value) = split(word)?;
            let upper = keyword.to_ascii_uppercase();
            match upper.as_str() {
                "NOTIFY" if offered.dsn => {
                    set("NOTIFY", &mut parameters.notify, value.and_then(parse_notify))?
                }
                "ORCPT" if offered.dsn => set(
                    "ORCPT",
                    &mut parameters.original_recipient,
                    value.and_then(parse_original_recipient),
                )?,
                _ => return Err(ParameterError::Unknown { keyword: upper }),
            }
        }
        Ok(parameters)
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn split(word: &str) -> Result<(&str, Option<&str>), ParameterError> {
    let (keyword, value) = match word.split_once('=') {
        Some((keyword, value)) => (keyword, Some(value)),
        None => (word, None),
    };
    let keyword_ok = keyword.starts_with(|c: char| c.is_ascii_alphanumeric())
        && keyword.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // RFC 6531 section 3.4 widens the value to UTF-8; ORCPT is the one that uses it.
    let value_ok = value.is_none_or(|value| !value.is_empty() && !value.contains(|c: char| c.is_control()));
    if keyword_ok && value_ok { Ok((keyword, value)) } else { Err(ParameterError::Syntax) }
}

fn set<T>(keyword: &'static str, slot: &mut Option<T>, value: Option<T>) -> Result<(), ParameterError> {
    if slot.is_some() {
        return Err(ParameterError::Repeated { keyword });
    }
    *slot = Some(value.ok_or(ParameterError::Value { keyword })?);
    Ok(())
}

fn parse_size(value: &str) -> Option<u64> {
    let digits = (1..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

fn parse_body(value: &str) -> Option<BodyType> {
    if value.eq_ignore_ascii_case("7BIT") {
        Some(BodyType::SevenBit)
    } else if value.eq_ignore_ascii_case("8BITMIME") {
        Some(BodyType::EightBitMime)
    } else {
        None
    }
}

fn parse_submitter(value: &str) -> Option<String> {
    if value == "<>" {
        return Some(value.to_owned());
    }
    decode_xtext(value).filter(|address| Mailbox::parse(address).is_ok())
}

fn parse_ret(value: &str) -> Option<ReturnContent> {
    if value.eq_ignore_ascii_case("FULL") {
        Some(ReturnContent::Full)
    } else if value.eq_ignore_ascii_case("HDRS") {
        Some(ReturnContent::Headers)
    } else {
        None
    }
}

fn parse_envelope_id(value: &str) -> Option<String> {
    (value.len() <= ENVELOPE_ID_BYTES_MAX).then(|| decode_xtext(value)).flatten()
}

fn parse_notify(value: &str) -> Option<Notify> {
    if value.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::default());
    }
    let mut notify = Notify::default();
    for word in value.split(',') {
        let flag = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut notify.success,
            "FAILURE" => &mut notify.failure,
            "DELAY" => &mut notify.delay,
            _ => return None,
        };
        if std::mem::replace(flag, true) {
            return None;
        }
    }
    Some(notify)
}

fn parse_original_recipient(value: &str) -> Option<OriginalRecipient> {
    if value.len() > ORIGINAL_RECIPIENT_BYTES_MAX {
        return None;
    }
    let (address_type, address) = value.split_once(';')?;
    let type_ok = !address_type.is_empty()
        && address_type.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let address =
        if address_type.eq_ignore_ascii_case("utf-8") { address.to_owned() } else { decode_xtext(address)? };
    (type_ok && !address.is_empty())
        .then(|| OriginalRecipient { address_type: address_type.to_owned(), address })
}

/// RFC 3461 section 4: printable ASCII, with `+` and two upper-case hex digits for anything else.
fn decode_xtext(value: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => {
                let (high, low) = (hex_digit(bytes.next()?)?, hex_digit(bytes.next()?)?);
                decoded.push(high << 4 | low);
            }
            b'!'..=b'~' if byte != b'=' => decoded.push(byte),
            _ => return None,
        }
    }
    let text = String::from_utf8(decoded).ok()?;
    (!text.contains(|c: char| c.is_control())).then_some(text)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
