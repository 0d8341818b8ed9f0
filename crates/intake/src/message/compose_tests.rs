//! Content from parameters, composed and read back.

use indicia_domain::time::UnixMicros;
use indicia_smtp::address::Mailbox;
use mail_parser::{Message, MessageParser, MimeHeaders};
use proptest::prelude::*;

use super::compose::{Letterhead, compose};
use super::content::{Content, ContentError, Given};
use super::mailbox::{NamedMailbox, parse_list};

const NOW: UnixMicros = UnixMicros(1_795_400_000_000_000);

fn given<'a>(subject: &'a str, text: Option<&'a str>, html: Option<&'a str>) -> Given<'a> {
    Given { subject, text, html, text_bytes_max: 1_000, html_bytes_max: 2_000, ..Given::default() }
}

fn mailboxes(text: &str) -> Vec<NamedMailbox> {
    parse_list(text).into_iter().collect::<Result<_, _>>().unwrap()
}

fn composed(given: Given<'_>, to: &str, cc: &str) -> Vec<u8> {
    let content = Content::check(given).unwrap();
    let from = Mailbox::parse("news@x.example").unwrap();
    let (to, cc) = (mailboxes(to), if cc.is_empty() { vec![] } else { mailboxes(cc) });
    compose(&Letterhead { message_id: 42, date: NOW, from: &from, to: &to, cc: &cc }, &content)
}

fn parsed(message: &[u8]) -> Message<'_> {
    MessageParser::default().parse(message).unwrap()
}

/// What every message must hold, whatever went in.
fn check_shape(message: &[u8]) {
    let text = std::str::from_utf8(message).expect("ASCII");
    assert!(text.is_ascii(), "7-bit");
    assert!(text.ends_with("\r\n"));
    for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
    }
    let header = text.split("\r\n\r\n").next().unwrap();
    assert!(header.lines().all(|line| !line.trim().is_empty()), "a blank line within the header: {header:?}");
    let starts = |name: &str| {
        header.lines().filter(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:"))).count()
    };
    for (name, count) in [
        ("from", 1),
        ("to", 1),
        ("subject", 1),
        ("date", 1),
        ("message-id", 1),
        ("x-indicia-env-id", 1),
        ("bcc", 0),
    ] {
        assert_eq!(starts(name), count, "{name} in {header}");
    }
}

#[test]
fn a_plain_mail() {
    let message = composed(given("Hello", Some("Hi\nthere"), None), "bob@y.example", "");
    assert_eq!(
        std::str::from_utf8(&message).unwrap(),
        "From: <news@x.example>\r\nTo: <bob@y.example>\r\nSubject: Hello\r\nDate: Mon, 23 Nov 2026 02:13:20 +0000\r\nMessage-ID: <42@x.example>\r\nX-Indicia-Env-Id: 42\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\nHi\r\nthere\r\n"
    );
}

#[test]
fn everything_that_can_be_given_comes_back() {
    let all = Given {
        from_alias: Some("世界, \"Inc\""),
        reply_address: Some("help@x.example"),
        reply_alias: Some("Help"),
        headers: Some(r#"{"Message-ID":"<own@x.example>","X-User-Id":"7","X-User-Name":"世界"}"#),
        ..given("Grüße & <mehr>", Some("text ü\r\n"), Some("<p>html ü</p>"))
    };
    let message = composed(all, "\"B, C\" <bob@y.example>, d@z.example", "e@z.example");
    check_shape(&message);
    let read = parsed(&message);
    assert_eq!(read.subject(), Some("Grüße & <mehr>"));
    assert_eq!(read.from().unwrap().first().unwrap().name(), Some("世界, \"Inc\""));
    assert_eq!(read.reply_to().unwrap().first().unwrap().address(), Some("help@x.example"));
    let to: Vec<_> = read.to().unwrap().iter().map(|one| (one.name(), one.address())).collect();
    assert_eq!(to, [(Some("B, C"), Some("bob@y.example")), (None, Some("d@z.example"))]);
    assert_eq!(read.cc().unwrap().first().unwrap().address(), Some("e@z.example"));
    assert_eq!(read.message_id(), Some("own@x.example"));
    assert_eq!(read.header("X-User-Name").unwrap().as_text(), Some("=?utf-8?B?5LiW55WM?="));
    assert_eq!(read.body_text(0).unwrap().trim_end(), "text ü");
    assert_eq!(read.body_html(0).unwrap(), "<p>html ü</p>");
    assert_eq!(read.content_type().unwrap().ctype(), "multipart");
    assert!(read.bcc().is_none());
}

#[test]
fn every_kind_of_line_end_becomes_crlf() {
    for (given_text, body) in [
        ("a\nb", "a\r\nb\r\n"),
        ("a\rb", "a\r\nb\r\n"),
        ("a\r\nb\r\n", "a\r\nb\r\n"),
        ("\n\ra\r\r\n\n", "\r\n\r\na\r\n\r\n\r\n"),
    ] {
        let message = composed(given("Hello", Some(given_text), None), "bob@y.example", "");
        let message = String::from_utf8(message).unwrap();
        assert_eq!(message.split_once("\r\n\r\n").unwrap().1, body, "{given_text:?}");
    }
}

#[test]
fn injection_is_refused_with_the_parameter_named() {
    let base = given("Hello", Some("x"), None);
    for hostile in ["a\r\nBcc: v@y.example", "a\nb", "a\rb", "a\0b", "a\u{85}b", "a\u{2028}b", "a\tb"] {
        for (given, parameter) in [
            (Given { subject: hostile, ..base }, "Subject"),
            (Given { from_alias: Some(hostile), ..base }, "FromAlias"),
            (
                Given { reply_address: Some("x@y.example"), reply_alias: Some(hostile), ..base },
                "ReplyAddressAlias",
            ),
            (Given { reply_address: Some(hostile), ..base }, "ReplyAddress"),
        ] {
            let refused = Content::check(given).unwrap_err();
            assert_eq!(refused.parameter(), parameter, "{hostile:?}");
            assert!(refused.to_string().contains(parameter), "{refused}");
        }
    }
}

#[test]
fn limits_and_what_must_be_there() {
    let base = given("Hello", Some("x"), None);
    let long = "ü".repeat(257);
    let alias = "ü".repeat(16);
    let body = "x".repeat(2_001);
    for (given, why) in [
        (Given { subject: "", ..base }, ContentError::Empty { parameter: "Subject" }),
        (Given { subject: "  ", ..base }, ContentError::Empty { parameter: "Subject" }),
        (
            Given { subject: &long, ..base },
            ContentError::TooLong { parameter: "Subject", chars: 257, limit: 256 },
        ),
        (
            Given { from_alias: Some(&alias), ..base },
            ContentError::TooLong { parameter: "FromAlias", chars: 16, limit: 15 },
        ),
        (Given { text: None, ..base }, ContentError::NoBody),
        (Given { text: Some(""), html: Some(""), ..base }, ContentError::NoBody),
        (
            Given { text: Some(&body), ..base },
            ContentError::BodyTooLarge { parameter: "TextBody", bytes: 2_001, limit: 1_000 },
        ),
        (
            Given { html: Some(&body), ..base },
            ContentError::BodyTooLarge { parameter: "HtmlBody", bytes: 2_001, limit: 2_000 },
        ),
        (Given { text: Some("a\0"), ..base }, ContentError::Nul { parameter: "TextBody" }),
    ] {
        assert_eq!(Content::check(given), Err(why));
    }
    for reply in ["x", "a@b.example, c@d.example", "A <a@b.example>"] {
        let refused = Content::check(Given { reply_address: Some(reply), ..base }).unwrap_err();
        assert_eq!(refused.parameter(), "ReplyAddress", "{reply}");
    }
    assert!(Content::check(Given { subject: &"ü".repeat(256), ..base }).is_ok());
}

#[test]
fn a_hundred_recipients_are_folded() {
    let to: Vec<String> =
        (0..100).map(|n| format!("recipient-number-{n}@some-longer-domain.example")).collect();
    let message = composed(given("Hello", Some("x"), None), &to.join(","), "");
    check_shape(&message);
    assert_eq!(parsed(&message).to().unwrap().iter().count(), 100);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_content_makes_a_well_formed_message(
        subject in "[^\\p{Cc}\u{2028}\u{2029}]{1,256}",
        alias in "[^\\p{Cc}\u{2028}\u{2029}]{0,15}",
        text in prop::option::of("(?s).{1,300}"),
        html in prop::option::of("(?s)[a<>/ü=\\. \r\n]{1,600}"),
        value in "[^\\p{Cc}]{1,200}",
    ) {
        prop_assume!(!subject.trim().is_empty() && (text.is_some() || html.is_some()));
        let headers = serde_json::json!({"X-User-Value": value}).to_string();
        let headers = if value.trim().is_empty() { None } else { Some(headers.as_str()) };
        let given = Given {
            from_alias: Some(&alias),
            headers,
            ..Given { text_bytes_max: 10_000, html_bytes_max: 10_000, ..given(&subject, text.as_deref(), html.as_deref()) }
        };
        let message = match Content::check(given) {
            Ok(_) => composed(given, "bob@y.example", ""),
            Err(ContentError::Nul { .. }) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        check_shape(&message);
        let read = parsed(&message);
        if subject.is_ascii() || !subject.contains("=?") {
            prop_assert_eq!(
                read.subject().unwrap_or_default().split_whitespace().collect::<Vec<_>>(),
                subject.split_whitespace().collect::<Vec<_>>()
            );
        }
    }
}
