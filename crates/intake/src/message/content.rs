//! What an API caller wants to say, checked before anything is made of it.
//!
//! Each check names the parameter at fault; [`ContentError::parameter`] gives it to whoever words the answer.

use indicia_smtp::address::Mailbox;

use super::headers::{self, ExtraHeader, HeadersError};
use super::mailbox::{MailboxError, parse_one};

/// Characters of Subject, FromAlias and ReplyAddressAlias (dossier 4.1).
pub const SUBJECT_CHARS_MAX: usize = 256;
pub const ALIAS_CHARS_MAX: usize = 15;
/// Bytes of one body, by where it was given (dossier 4.1).
pub const BODY_BYTES_MAX_IN_QUERY: usize = 80 * 1024;
pub const BODY_BYTES_MAX_IN_FORM: usize = 8 * 1024 * 1024;

/// Why a content is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    #[error("{parameter} has a line break or another control character")]
    Control { parameter: &'static str },
    #[error("{parameter} has {chars} characters, more than {limit}")]
    TooLong { parameter: &'static str, chars: usize, limit: usize },
    #[error("{parameter} is empty")]
    Empty { parameter: &'static str },
    #[error("one of HtmlBody and TextBody must be given")]
    NoBody,
    #[error("{parameter} has {bytes} bytes, more than {limit}")]
    BodyTooLarge { parameter: &'static str, bytes: usize, limit: usize },
    #[error("{parameter} has a NUL character")]
    Nul { parameter: &'static str },
    #[error("{parameter} is no address: {reason}")]
    Address { parameter: &'static str, reason: MailboxError },
    #[error("{parameter} has characters outside ASCII in front of the '@'; the API cannot ask for SMTPUTF8")]
    NeedsSmtpUtf8 { parameter: &'static str },
    #[error("Headers is wrongly formed: {0}")]
    Headers(#[from] HeadersError),
}

impl ContentError {
    /// Which parameter is at fault.
    pub fn parameter(&self) -> &'static str {
        match self {
            ContentError::Control { parameter }
            | ContentError::TooLong { parameter, .. }
            | ContentError::Empty { parameter }
            | ContentError::BodyTooLarge { parameter, .. }
            | ContentError::Nul { parameter }
            | ContentError::Address { parameter, .. }
            | ContentError::NeedsSmtpUtf8 { parameter } => parameter,
            ContentError::NoBody => "HtmlBody",
            ContentError::Headers(_) => "Headers",
        }
    }
}

/// The parameters as they came. Absent and empty are the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given<'a> {
    pub subject: &'a str,
    pub from_alias: Option<&'a str>,
    pub reply_address: Option<&'a str>,
    pub reply_alias: Option<&'a str>,
    pub text: Option<&'a str>,
    pub html: Option<&'a str>,
    /// The most bytes that each body may have.
    pub text_bytes_max: usize,
    pub html_bytes_max: usize,
    pub headers: Option<&'a str>,
}

/// Checked content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content<'a> {
    pub subject: &'a str,
    pub from_alias: Option<&'a str>,
    pub reply_to: Option<(Option<&'a str>, Mailbox)>,
    pub text: Option<&'a str>,
    pub html: Option<&'a str>,
    pub headers: Vec<ExtraHeader>,
}

impl<'a> Content<'a> {
    /// Checks everything, in the order of the fields.
    pub fn check(given: Given<'a>) -> Result<Content<'a>, ContentError> {
        let filled = |value: Option<&'a str>| value.filter(|value| !value.is_empty());
        let subject = line("Subject", given.subject, SUBJECT_CHARS_MAX)?;
        if subject.trim().is_empty() {
            return Err(ContentError::Empty { parameter: "Subject" });
        }
        let from_alias =
            filled(given.from_alias).map(|alias| line("FromAlias", alias, ALIAS_CHARS_MAX)).transpose()?;
        let reply_alias = filled(given.reply_alias)
            .map(|alias| line("ReplyAddressAlias", alias, ALIAS_CHARS_MAX))
            .transpose()?;
        let reply_to = filled(given.reply_address)
            .map(|address| reply_address(address).map(|mailbox| (reply_alias, mailbox)))
            .transpose()?;
        let text = filled(given.text).map(|text| body("TextBody", text, given.text_bytes_max)).transpose()?;
        let html = filled(given.html).map(|html| body("HtmlBody", html, given.html_bytes_max)).transpose()?;
        if text.is_none() && html.is_none() {
            return Err(ContentError::NoBody);
        }
        Ok(Content { subject, from_alias, reply_to, text, html, headers: headers::read(given.headers)? })
    }
}

/// A text that becomes part of one header line.
fn line<'a>(parameter: &'static str, text: &'a str, limit: usize) -> Result<&'a str, ContentError> {
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(ContentError::Control { parameter });
    }
    match text.chars().count() {
        chars if chars > limit => Err(ContentError::TooLong { parameter, chars, limit }),
        _ => Ok(text),
    }
}

/// A single address without a display name.
pub fn reply_address(text: &str) -> Result<Mailbox, ContentError> {
    const PARAMETER: &str = "ReplyAddress";
    let named = parse_one(text).map_err(|reason| ContentError::Address { parameter: PARAMETER, reason })?;
    if named.display_name.is_some() {
        return Err(ContentError::Address { parameter: PARAMETER, reason: MailboxError::TrailingText });
    }
    if !named.mailbox.is_ascii() {
        return Err(ContentError::NeedsSmtpUtf8 { parameter: PARAMETER });
    }
    Ok(named.mailbox)
}

fn body<'a>(parameter: &'static str, text: &'a str, limit: usize) -> Result<&'a str, ContentError> {
    if text.len() > limit {
        return Err(ContentError::BodyTooLarge { parameter, bytes: text.len(), limit });
    }
    if text.contains('\0') {
        return Err(ContentError::Nul { parameter });
    }
    Ok(text)
}
