//! Delivery reports: the `message/delivery-status` part of a multipart/report (RFC 3464, RFC 6533).
//!
//! The part holds groups of fields: one about the message, then one for each recipient. What the last system said
//! is judged by the same rules as a reply in a dialogue of our own, so that a mailbox that does not exist has the
//! same name in the log whether its server said so at RCPT or an hour later.

use indicia_domain::outcome::{Disposition, EnhancedCode, Phase, Reply, Verdict, classify_reply};
use indicia_store::bounce::News;
use mail_parser::{Message, MimeHeaders};

/// Recipients of one report that are looked at.
const GROUPS_MAX: usize = 100;

/// What a report says of one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecipientReport {
    pub(super) news: News,
    /// Empty when the report names none.
    pub(super) final_recipient: String,
    /// The last system's words, with the status when they do not have it.
    pub(super) words: String,
}

/// Reads a delivery report. `None`: it is none.
///
/// Where a report speaks of several recipients (the mail was forwarded or expanded on its way), the worst news
/// count: our return path stands for one recipient, and it is for that one that not everything went well.
pub(super) fn of(message: &Message<'_>) -> Option<RecipientReport> {
    let part = message.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("message")
                && kind.subtype().is_some_and(|subtype| {
                    ["delivery-status", "global-delivery-status"]
                        .iter()
                        .any(|known| subtype.eq_ignore_ascii_case(known))
                })
        })
    })?;
    let text = String::from_utf8_lossy(part.contents());
    let groups = Groups::of(&text).take(GROUPS_MAX);
    groups.filter_map(|group| of_group(&group)).max_by_key(|report| gravity(report.news))
}

fn gravity(news: News) -> u8 {
    match news {
        News::Failed(_) => 2,
        News::Progress("delayed") => 1,
        News::Progress(_) => 0,
    }
}

/// Fields of one group, names in lower case, values unfolded.
pub(super) type Group = Vec<(String, String)>;

/// The groups of fields of a text, which empty lines part.
pub(super) struct Groups<'a> {
    lines: std::str::Lines<'a>,
}

impl<'a> Groups<'a> {
    pub(super) fn of(text: &'a str) -> Groups<'a> {
        Groups { lines: text.lines() }
    }

    /// The first group, which is empty when there is none.
    pub(super) fn first(mut self) -> Group {
        self.next().unwrap_or_default()
    }
}

impl Iterator for Groups<'_> {
    type Item = Group;

    fn next(&mut self) -> Option<Group> {
        let mut group = Group::new();
        for line in self.lines.by_ref() {
            if line.trim().is_empty() {
                if !group.is_empty() {
                    return Some(group);
                }
            } else if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = group.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        (!group.is_empty()).then_some(group)
    }
}

/// `None`: the group is the one about the message, or says nothing that can be used.
fn of_group(group: &Group) -> Option<RecipientReport> {
    let field = |name: &str| group.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let action = field("action")?;
    let action = action.split([' ', '(', ';']).next().unwrap_or_default().to_ascii_lowercase();
    let status = field("status").and_then(status);
    let diagnostic = field("diagnostic-code").map(untyped).unwrap_or_default();
    let news = match action.as_str() {
        "failed" => News::Failed(verdict(status, diagnostic)),
        "delayed" => News::Progress("delayed"),
        "delivered" => News::Progress("delivered further on"),
        "relayed" => News::Progress("relayed"),
        "expanded" => News::Progress("expanded"),
        _ => return None,
    };
    let final_recipient = field("final-recipient").map(untyped).unwrap_or_default();
    let final_recipient = final_recipient.trim_start_matches('<').trim_end_matches('>').to_owned();
    let words = match (diagnostic, field("status")) {
        ("", Some(status)) => format!("status {status}"),
        ("", None) => "the report gives no reason".to_owned(),
        (diagnostic, _) => diagnostic.to_owned(),
    };
    Some(RecipientReport { news, final_recipient, words: without_controls(&words) })
}

/// The value behind `type;`.
fn untyped(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, value)| value).trim()
}

fn status(value: &str) -> Option<EnhancedCode> {
    let code: indicia_smtp::EnhancedCode = value.split([' ', '\t', '(']).next()?.parse().ok()?;
    Some(EnhancedCode::new(code.class(), code.subject(), code.detail()))
}

fn verdict(status: Option<EnhancedCode>, diagnostic: &str) -> Verdict {
    let from_words = diagnostic.get(..3).and_then(|digits| digits.parse().ok());
    let from_status = match status {
        Some(code) if code.class == 4 => 450,
        _ => 550,
    };
    let code = from_words.filter(|code| (400..600).contains(code)).unwrap_or(from_status);
    let judged = classify_reply(&Reply { phase: Phase::Rcpt, code, enhanced: status, text: diagnostic });
    // "failed" is the end, even when the last reply was one that might have passed.
    Verdict { disposition: Disposition::Permanent, ..judged }
}

fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use indicia_domain::outcome::{DeliveryStatus, ErrorClassification};

    use mail_parser::MessageParser;

    use super::*;

    fn read(octets: &[u8]) -> Option<RecipientReport> {
        of(&MessageParser::default().parse(octets)?)
    }

    /// A report as Postfix makes it.
    fn report(status: &str) -> Vec<u8> {
        format!(
            "From: MAILER-DAEMON@mx.example.net\r\nTo: b-x@bounce.example.org\r\nSubject: Undelivered Mail Returned to Sender\r\n\
             MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"B\"\r\n\r\n\
             --B\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\r\n\
             --B\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n\
             --B\r\nContent-Type: message/rfc822\r\n\r\nSubject: Hello\r\n\r\nHi.\r\n\r\n--B--\r\n"
        )
        .into_bytes()
    }

    const ABOUT_MESSAGE: &str =
        "Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n\r\n";

    #[test]
    fn a_failure_is_judged_as_a_reply_would_be() {
        let text = format!(
            "{ABOUT_MESSAGE}Final-Recipient: rfc822; bob@example.net\r\nOriginal-Recipient: rfc822;bob@example.net\r\n\
             Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>:\r\n    Recipient address rejected: User unknown\r\n"
        );
        let read = read(&report(&text)).expect("a report");
        assert_eq!(read.final_recipient, "bob@example.net");
        assert_eq!(read.words, "550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown");
        let News::Failed(verdict) = read.news else { panic!("{read:?}") };
        assert_eq!(verdict, Verdict::permanent(ErrorClassification::SmtpNxBox));
    }

    #[test]
    fn other_failures_never_call_the_address_invalid() {
        for (fields, classification) in [
            (
                "Action: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 Mailbox full\r\n",
                "SmtpBoxFull",
            ),
            ("Action: FAILED (expired)\r\nStatus: 4.4.7 (too old)\r\n", "SmtpZTempErr"),
            ("Action: failed\r\nStatus: 5.0.0\r\n", "SmtpZPermErr"),
            ("Action: failed\r\n", "SmtpZPermErr"),
        ] {
            let read = read(&report(&format!("{ABOUT_MESSAGE}{fields}"))).expect("a report");
            let News::Failed(verdict) = read.news else { panic!("{read:?}") };
            assert_eq!(verdict.classification.as_str(), classification, "{fields}");
            assert_eq!(
                (verdict.disposition, verdict.status),
                (Disposition::Permanent, DeliveryStatus::Other)
            );
        }
    }

    #[test]
    fn of_several_recipients_the_worst_news_count() {
        let text = format!(
            "{ABOUT_MESSAGE}Final-Recipient: rfc822; a@x.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n\r\n\
             Final-Recipient: rfc822; <b@x.example>\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n\
             Final-Recipient: rfc822; c@x.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n"
        );
        let read = read(&report(&text)).expect("a report");
        assert_eq!((read.final_recipient.as_str(), read.words.as_str()), ("b@x.example", "status 5.1.1"));
        let delayed = "Final-Recipient: rfc822; a@x.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n";
        assert_eq!(self::read(&report(delayed)).map(|read| read.news), Some(News::Progress("delayed")));
    }

    #[test]
    fn what_is_no_report() {
        let reply = b"From: bob@example.net\r\nSubject: Out of office\r\n\r\nBack on Monday.\r\n";
        for message in [reply.as_slice(), b"", b"\r\n", &report(""), &report("Action: frobnicated\r\n")] {
            assert_eq!(read(message), None, "{}", message.escape_ascii());
        }
        let nested = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n--A\r\n\
            Content-Type: text/plain\r\n\r\nSee what I got\r\n--A\r\nContent-Type: message/rfc822\r\n\r\n";
        let forwarded =
            [nested.as_slice(), &report("Action: failed\r\nStatus: 5.1.1\r\n"), b"\r\n--A--\r\n"].concat();
        assert_eq!(read(&forwarded), None, "a report that somebody forwards is not one about our mail");
    }

    proptest::proptest! {
        #[test]
        fn any_status_part_is_survived(status in "(?s).{0,300}") {
            read(&report(&status));
        }

        #[test]
        fn any_octets_are_survived(octets: Vec<u8>) {
            read(&octets);
        }
    }
}
