//! Reports in the shapes that the large feedback loops give them.

use mail_parser::MessageParser;
use proptest::prelude::*;

use super::feedback::{Feedback, of};

const TOKEN: &str = "b-ours";
const ORIGINAL: &str = "Return-Path: <b-path@bounce.indicia.test>\r\nReceived: from out.indicia.test ([192.0.2.7])\r\n\
    \tby mx.provider.example; Sun, 22 Nov 2026 10:00:00 +0000\r\nX-Indicia-Report-Token: b-ours\r\n\
    From: News <news@shop.example>\r\nTo: redacted@provider.example\r\nSubject: Sale\r\n";

fn read_at(octets: &str, is_loop: bool) -> Option<Feedback> {
    of(&MessageParser::default().parse(octets.as_bytes())?, is_loop)
}

fn read(octets: &str) -> Option<Feedback> {
    read_at(octets, true)
}

/// An ARF message whose last part has this type and content.
fn arf(fields: &str, kind: &str, original: &str) -> String {
    format!(
        "From: Feedback <feedback@arf.provider.example>\r\nTo: feedback@bounce.indicia.test\r\nSubject: FW: Sale\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"B\"\r\n\r\n\
         --B\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is an e-mail abuse report.\r\n\r\n\
         --B\r\nContent-Type: message/feedback-report\r\n\r\n{fields}\r\n\
         --B\r\nContent-Type: {kind}\r\nContent-Disposition: inline\r\n\r\n{original}\r\n--B--\r\n"
    )
}

fn abuse(original: &str) -> Option<Feedback> {
    read(&arf("Feedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n", "message/rfc822", original))
}

#[test]
fn a_whole_mail_with_every_field() {
    let fields = "Feedback-Type: abuse\r\nUser-Agent: Provider!-Mail-Feedback/2.0\r\nVersion: 1\r\n\
        Original-Mail-From: <b-envelope@bounce.indicia.test>\r\nOriginal-Rcpt-To: <redacted@provider.example>\r\n\
        Original-Rcpt-To: second@provider.example\r\nReceived-Date: Sun, 22 Nov 2026\r\n 10:00:00 +0000\r\n\
        Reported-Domain: shop.example\r\nSource-IP: 192.0.2.7\r\nIncidents: 12\r\n";
    let whole = format!("{ORIGINAL}\r\nBuy now.\r\nX-Indicia-Report-Token: b-in-the-body\r\n");
    let feedback = read(&arf(fields, "message/rfc822", &whole)).expect("feedback");
    assert_eq!((feedback.feedback_type, feedback.is_spam()), ("abuse", true));
    assert_eq!(feedback.reporter, "feedback@arf.provider.example");
    assert_eq!(
        feedback.claims,
        [TOKEN, "b-envelope@bounce.indicia.test", "b-path@bounce.indicia.test"],
        "the token first, and nothing out of the body"
    );
    assert_eq!(
        feedback.detail,
        "by Provider!-Mail-Feedback/2.0; domain shop.example; sent from 192.0.2.7; \
         arrived Sun, 22 Nov 2026 10:00:00 +0000; incidents 12"
    );
}

#[test]
fn the_header_alone_and_every_address_blacked_out() {
    let redacted = ORIGINAL.replace("Return-Path: <b-path@bounce.indicia.test>\r\n", "Return-Path: <>\r\n");
    for kind in ["text/rfc822-headers", "text/rfc822-headers; charset=utf-8", "Message/RFC822"] {
        let feedback =
            read(&arf("Feedback-Type: abuse\r\nVersion: 0.1\r\n", kind, &redacted)).expect("feedback");
        assert_eq!(feedback.claims, [TOKEN], "{kind}");
        assert_eq!(feedback.detail, "the report says no more");
    }
}

#[test]
fn a_mail_that_is_merely_attached_counts_at_the_loops_address() {
    let attached = |more: &str| {
        format!(
            "From: staff@provider.example\r\nSubject: complaint about message from 192.0.2.7\r\n{more}MIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=M\r\n\r\n--M\r\nContent-Type: message/rfc822\r\n\r\n\
             X-HmXmrOriginalRecipient: redacted@provider.example\r\n{ORIGINAL}\r\nBuy now.\r\n--M--\r\n"
        )
    };
    let feedback = read(&attached("")).expect("feedback");
    assert_eq!((feedback.feedback_type, feedback.claims[0].as_str()), ("abuse", TOKEN));
    assert_eq!(read_at(&attached(""), false), None, "somebody's answer to a mail");
    assert_eq!(read(&attached("Auto-Submitted: auto-replied (vacation)\r\n")), None);
    let receipt =
        attached("").replace("multipart/mixed;", "multipart/report; report-type=disposition-notification;");
    assert_eq!(read(&receipt), None, "a report of another kind");
}

#[test]
fn an_encoded_original_is_read() {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{ORIGINAL}\r\nBuy now.\r\n"));
    let kind = "message/rfc822\r\nContent-Transfer-Encoding: base64";
    let feedback = read(&arf("Feedback-Type: abuse\r\n", kind, &encoded)).expect("feedback");
    assert_eq!(feedback.claims[0], TOKEN);
}

#[test]
fn which_types_count() {
    for (value, known, counts) in [
        ("abuse", "abuse", true),
        ("ABUSE (spam button)", "abuse", true),
        ("fraud", "fraud", true),
        ("virus", "virus", true),
        ("not-spam", "not-spam", false),
        ("opt-out", "opt-out", false),
        ("auth-failure", "auth-failure", false),
        ("other", "other", false),
        ("miscategorized", "other", false),
        ("", "other", false),
    ] {
        let report = arf(&format!("Feedback-Type: {value}\r\nVersion: 1\r\n"), "message/rfc822", ORIGINAL);
        let feedback = read(&report).expect("feedback");
        assert_eq!((feedback.feedback_type, feedback.is_spam()), (known, counts), "{value}");
    }
}

#[test]
fn of_two_tokens_the_topmost_is_asked_first() {
    let forged = format!("{ORIGINAL}X-Indicia-Report-Token: b-put-in-by-the-sender\r\n");
    let claims = abuse(&forged).expect("feedback").claims;
    assert_eq!(claims[..2], [TOKEN, "b-put-in-by-the-sender"]);
}

#[test]
fn what_is_no_feedback() {
    for octets in [
        "",
        "\r\n",
        "From: bob@provider.example\r\nSubject: hi\r\n\r\nX-Indicia-Report-Token: b-ours\r\n",
        &arf("", "text/plain", "nothing"),
        &arf("User-Agent: x/1\r\nVersion: 1\r\n", "message/rfc822", ORIGINAL),
    ] {
        assert_eq!(read(octets), None, "{octets}");
    }
    let without_original = read(&arf("Feedback-Type: abuse\r\n", "text/plain", "gone")).expect("feedback");
    assert!(without_original.claims.is_empty());
}

proptest! {
    #[test]
    fn any_fields_and_any_original_are_survived(fields in "(?s).{0,200}", original in "(?s).{0,200}") {
        for kind in ["message/rfc822", "text/rfc822-headers", "message/rfc822\r\nContent-Transfer-Encoding: base64"] {
            if let Some(feedback) = read(&arf(&fields, kind, &original)) {
                prop_assert!(feedback.claims.len() <= 8);
            }
        }
    }

    #[test]
    fn any_octets_are_survived(octets: Vec<u8>) {
        if let Some(message) = MessageParser::default().parse(&octets) {
            of(&message, true);
        }
    }
}
