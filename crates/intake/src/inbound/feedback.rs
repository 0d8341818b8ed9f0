//! Feedback: what a mailbox provider passes on when its user calls a mail spam (ARF: RFC 5965, RFC 6449).
//!
//! A report has a part of fields, `message/feedback-report`, and the mail that it is about, whole or its header only.
//! Providers black out addresses in both, so a mail is known here by the signed token of ours alone, which stands in
//! a header field of every copy; the places where it may be are given in the order in which they are to be believed.
//! Some providers send the mail itself as an attachment and no fields at all; at the address that is registered with
//! feedback loops that means abuse.
//!
//! mail-auth has a parser of these fields too, but knows neither `opt-out` nor any type that was registered later,
//! which RFC 5965 3.1 wants read as `other`.

use std::borrow::Cow;

use indicia_store::report;
use mail_parser::{Message, MessagePart, MimeHeaders, PartType};

use super::report::{Group, Groups};
use crate::message::REPORT_TOKEN_HEADER;

/// Header fields of the reported mail that are looked at.
const FIELDS_MAX: usize = 500;
/// Places that one report may name as a token's.
const CLAIMS_MAX: usize = 8;
/// A token, as a word or an address, is never longer.
const CLAIM_BYTES_MAX: usize = 320;
/// Feedback types that are known besides those that count.
const OTHER_TYPES: [&str; 4] = ["not-spam", "auth-failure", "opt-out", "opt-out-list"];

/// What a report says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Feedback {
    /// In lower case; `other` for one that is not known.
    pub(super) feedback_type: &'static str,
    /// Where our token may stand, the most trustworthy first: words, or addresses without angle brackets.
    pub(super) claims: Vec<String>,
    /// Who sent it, by its own word.
    pub(super) reporter: String,
    pub(super) detail: String,
}

impl Feedback {
    pub(super) fn is_spam(&self) -> bool {
        report::is_spam(self.feedback_type)
    }
}

/// Reads a report. `None`: it is none. With `is_loop`, which says that it came to the feedback loops' own address, a
/// mail that is merely attached is one as well.
pub(super) fn of(message: &Message<'_>, is_loop: bool) -> Option<Feedback> {
    let fields = message.parts.iter().find(|part| is_kind(part, "message", "feedback-report"));
    let fields = fields.map(|part| Groups::of(&String::from_utf8_lossy(part.contents())).first());
    let original = message.parts.iter().find_map(original_header);
    let (feedback_type, fields, original) = match (fields, original) {
        // RFC 5965 3.1: without its type it is no report.
        (Some(fields), original) => {
            (known_type(field(&fields, "feedback-type")?), fields, original.unwrap_or_default())
        }
        (None, Some(original)) if is_loop && is_forwarded(message) => ("abuse", Group::new(), original),
        (None, _) => return None,
    };
    Some(Feedback {
        feedback_type,
        claims: claims(&fields, &original),
        reporter: reporter(message, &fields),
        detail: detail(&fields),
    })
}

fn is_kind(part: &MessagePart<'_>, kind: &str, subtype: &str) -> bool {
    part.content_type().is_some_and(|found| {
        found.ctype().eq_ignore_ascii_case(kind)
            && found.subtype().is_some_and(|found| found.eq_ignore_ascii_case(subtype))
    })
}

/// A mail that somebody's system forwards as it is, neither a report of another kind nor an answer made by a machine.
fn is_forwarded(message: &Message<'_>) -> bool {
    let is_report = message.root_part().content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
    });
    let is_reply = message
        .header_raw("Auto-Submitted")
        .is_some_and(|value| value.trim().to_ascii_lowercase().starts_with("auto-replied"));
    !is_report && !is_reply
}

/// The header of the reported mail, if that is what the part holds.
fn original_header(part: &MessagePart<'_>) -> Option<Group> {
    let octets: Cow<'_, [u8]> = match &part.body {
        PartType::Message(nested) => match &nested.raw_message {
            // The octets of the whole report, in which the nested mail has its place.
            Cow::Borrowed(whole) => {
                Cow::Borrowed(whole.get(part.offset_body as usize..part.offset_end as usize)?)
            }
            Cow::Owned(decoded) => Cow::Borrowed(decoded.as_slice()),
        },
        _ if is_kind(part, "text", "rfc822-headers") || is_kind(part, "message", "rfc822") => {
            Cow::Borrowed(part.contents())
        }
        _ => return None,
    };
    Some(Groups::of(&String::from_utf8_lossy(&octets)).first())
}

fn field<'a>(fields: &'a Group, name: &str) -> Option<&'a str> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

fn known_type(value: &str) -> &'static str {
    let word = value.split([' ', '\t', '(', ';']).next().unwrap_or_default();
    let mut known = report::SPAM_TYPES.into_iter().chain(OTHER_TYPES);
    known.find(|known| known.eq_ignore_ascii_case(word)).unwrap_or("other")
}

/// The token's own header field first: the topmost is ours, since we put it on last. Then what names the return path.
fn claims(fields: &Group, original: &Group) -> Vec<String> {
    let token_header = REPORT_TOKEN_HEADER.to_ascii_lowercase();
    let named = |group: &'_ Group, name: &str| -> Vec<String> {
        let values = group.iter().take(FIELDS_MAX).filter(|(known, _)| known == name);
        values.filter_map(|(_, value)| word(value)).take(2).collect()
    };
    let places = [
        named(original, &token_header),
        named(fields, "original-mail-from"),
        named(original, "return-path"),
        named(original, "x-original-return-path"),
    ];
    places.into_iter().flatten().take(CLAIMS_MAX).collect()
}

/// What stands between angle brackets, or the first word.
fn word(value: &str) -> Option<String> {
    let inner = value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(inner, _)| inner);
    let word = inner.or_else(|| value.split_whitespace().next())?.trim();
    (!word.is_empty() && word.len() <= CLAIM_BYTES_MAX).then(|| word.to_owned())
}

fn reporter(message: &Message<'_>, fields: &Group) -> String {
    let from = message.from().and_then(|from| from.first()).and_then(|from| from.address());
    let agent = field(fields, "user-agent");
    from.or(agent).unwrap_or_default().to_owned()
}

/// What an account is shown of the fields. How often it happened is shown and not counted: one mail is one report.
fn detail(fields: &Group) -> String {
    const SHOWN: [(&str, &str); 6] = [
        ("user-agent", "by "),
        ("reported-domain", "domain "),
        ("source-ip", "sent from "),
        ("arrival-date", "arrived "),
        ("received-date", "arrived "),
        ("incidents", "incidents "),
    ];
    let shown = SHOWN.iter().filter_map(|(name, label)| field(fields, name).map(|value| (label, value)));
    let shown: Vec<String> = shown
        .filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| format!("{label}{value}"))
        .collect();
    if shown.is_empty() { "the report says no more".to_owned() } else { shown.join("; ") }
}
