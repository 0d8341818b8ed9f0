//! Messages as SMTP brings them.

use indicia_domain::time::UnixMicros;
use proptest::prelude::*;

use super::control::ControlError;
use super::mime::MimeError;
use super::prepare::*;

const NOW: UnixMicros = UnixMicros(1_795_400_000_000_000);

fn submission(author: Author<'_>) -> Submission<'_> {
    Submission { message_id: 42, now: NOW, author, smtputf8: false, is_batch_sender: false, trace: "" }
}

fn prepared(content: &str) -> Result<Prepared, PrepareError> {
    prepare(content.as_bytes(), &submission(Author::Address("ann@x.example")))
}

fn text(prepared: &Prepared) -> &str {
    std::str::from_utf8(&prepared.content).unwrap()
}

#[test]
fn what_is_missing_is_added_and_the_body_is_not_touched() {
    let body = "  odd body\r\n\r\nFrom: nobody\r\nBcc: stays@body.example\r\n.\r\n";
    let done = prepared(&format!("From: Ann <ann@x.example>\r\nSubject: hi\r\n\r\n{body}")).unwrap();
    assert_eq!(
        text(&done),
        format!(
            "X-Indicia-Env-Id: 42\r\nFrom: Ann <ann@x.example>\r\nSubject: hi\r\nDate: Mon, 23 Nov 2026 02:13:20 +0000\r\nMessage-ID: <42@x.example>\r\n\r\n{body}"
        )
    );
    assert_eq!((done.subject.as_str(), done.idempotency_key, done.tag), ("hi", None, None));
    assert!(!done.eight_bit_body && !done.eight_bit_header);
}

#[test]
fn trace_fields_go_on_top() {
    let traced = Submission { trace: "Received: by mx.example;\r\n\tnow\r\n", ..submission(Author::Anyone) };
    let done = prepare(b"From: ann@x.example\r\n\r\n", &traced).unwrap();
    assert!(text(&done).starts_with("Received: by mx.example;\r\n\tnow\r\nX-Indicia-Env-Id: 42\r\nFrom:"));
}

#[test]
fn what_is_there_stays_as_it_is() {
    let header = "DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\nReceived: from a by b;\r\n date\r\nfrom : ann@X.example\r\nDATE: Mon, 1 Jan 2024 00:00:00 +0000\r\nmessage-id: <1@y.example>\r\nX-Odd:\r\n";
    let done = prepared(&format!("{header}\r\nbody\r\n")).unwrap();
    assert_eq!(text(&done), format!("X-Indicia-Env-Id: 42\r\n{header}\r\nbody\r\n"));
}

#[test]
fn what_is_for_us_alone_is_taken_out() {
    let trace = "eyJUYWdOYW1lIjoidDEiLCJPcGVuVHJhY2UiOiIwIn0=";
    let done = prepared(&format!(
        "Bcc: a@b.example,\r\n c@d.example\r\nFrom: ann@x.example\r\nreturn-path: <x@y.example>\r\nX-Indicia-Env-Id: 7\r\nX-Indicia-Report-Token: b-another-mails\r\nTo: b@y.example\r\nX-Indicia-Idempotency-Key:  key 1 \r\nX-AliDM-Trace: {trace}\r\nResent-Bcc: z@z.example\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n"
    ))
    .unwrap();
    assert_eq!(
        text(&done),
        "X-Indicia-Env-Id: 42\r\nFrom: ann@x.example\r\nTo: b@y.example\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n"
    );
    assert_eq!((done.idempotency_key.as_deref(), done.tag.as_deref()), (Some("key 1"), Some("t1")));
}

#[test]
fn the_author_must_be_the_login() {
    let of = |from: &str, author| prepare(format!("From: {from}\r\n\r\n").as_bytes(), &submission(author));
    assert!(of("Ann <ANN@X.Example>", Author::Address("ann@x.example")).is_ok());
    assert!(of("Bob <bob@x.example>", Author::Domain("x.example")).is_ok());
    assert_eq!(of("z@z.example", Author::Anyone).unwrap().from.to_string(), "z@z.example");
    for (from, author) in [
        ("bob@x.example", Author::Address("ann@x.example")),
        ("bob@sub.x.example", Author::Domain("x.example")),
        ("\"ann@x.example\" <bob@y.example>", Author::Address("ann@x.example")),
        ("ann@x.example (<bob@y.example>", Author::Address("ann@x.example")),
    ] {
        assert!(of(from, author).is_err(), "{from}");
    }
    let refused = of("bob@x.example", Author::Address("ann@x.example")).unwrap_err();
    assert_eq!(refused.to_string(), "the From address bob@x.example is not the authenticated ann@x.example");
}

#[test]
fn malformed_headers_are_refused() {
    let long = format!("X: {}", "a".repeat(996));
    for (content, why) in [
        ("", PrepareError::NoFrom),
        ("\r\nbody\r\n", PrepareError::NoFrom),
        ("Subject: x\r\n\r\n", PrepareError::NoFrom),
        ("From: ann@x.example\r\nno field\r\n\r\n", PrepareError::Malformed(2)),
        ("From ann@x.example Mon Jan 1\r\nFrom: ann@x.example\r\n\r\n", PrepareError::Malformed(1)),
        (" folded\r\nFrom: ann@x.example\r\n\r\n", PrepareError::Malformed(1)),
        (": x\r\nFrom: ann@x.example\r\n\r\n", PrepareError::Malformed(1)),
        ("a b: x\r\nFrom: ann@x.example\r\n\r\n", PrepareError::Malformed(1)),
        ("From: ann@x.example\r\nX: unfinished", PrepareError::Malformed(2)),
        ("From: ann@x.example\nX: y\r\n\r\n", PrepareError::Malformed(1)),
        ("From: ann@x.example\r\nX: a\rb\r\n\r\n", PrepareError::Control(2)),
        ("From: ann@x.example\r\nX: a\0b\r\n\r\n", PrepareError::Control(2)),
        (&format!("From: ann@x.example\r\n{long}\r\n\r\n"), PrepareError::LineTooLong(2)),
        ("From: ann@x.example\r\nX: ü\r\n\r\n", PrepareError::EightBitHeader),
        ("From: ann@x.example\r\nFROM: bob@x.example\r\n\r\n", PrepareError::Twice("From")),
        ("From: ann@x.example\r\nSubject: a\r\nSubject: b\r\n\r\n", PrepareError::Twice("Subject")),
        ("From: ann@x.example\r\nTo: a\r\nto: b\r\n\r\n", PrepareError::Twice("To")),
        ("From: ann@x.example\r\nDate: a\r\nDate: b\r\n\r\n", PrepareError::Twice("Date")),
        ("From: ann@x.example\r\nX-Indicia-Idempotency-Key:\r\n\r\n", PrepareError::IdempotencyKey),
        (
            "From: ann@x.example\r\nX-Indicia-Ip-Pool: 17\r\nx-indicia-ip-pool: 17\r\n\r\n",
            PrepareError::Twice("X-Indicia-Ip-Pool"),
        ),
        (
            "From: ann@x.example\r\nX-Indicia-Ip-Pool: news\r\n\r\n",
            PrepareError::Setting(ControlError::IpPool),
        ),
    ] {
        assert_eq!(prepared(content), Err(why), "{content:?}");
    }
    for two in ["ann@x.example, bob@x.example", "x: ann@x.example;", ""] {
        assert!(matches!(prepared(&format!("From: {two}\r\n\r\n")), Err(PrepareError::From(_))), "{two}");
    }
    let huge = format!("From: ann@x.example\r\n{}\r\n", "X-Fill: y\r\n".repeat(30_000));
    assert_eq!(prepared(&huge), Err(PrepareError::HeaderTooLarge));
}

#[test]
fn a_pool_is_named_by_either_field_and_neither_stays() {
    // {"OutboundIp":{"IpPoolId":"17"}}
    let settings = "X-AliDM-Settings: eyJPdXRib3VuZElwIjp7IklwUG9vbElkIjoiMTcifX0=\r\n";
    let of = |fields: &str| prepared(&format!("From: ann@x.example\r\n{fields}\r\n"));
    for fields in ["X-Indicia-Ip-Pool: 17\r\n", settings, &format!("{settings}X-Indicia-Ip-Pool:17\r\n")] {
        let done = of(fields).unwrap();
        assert_eq!(done.ip_pool_id, Some(17), "{fields}");
        assert!(!text(&done).contains("Pool") && !text(&done).contains("AliDM"), "{}", text(&done));
    }
    assert_eq!(of("").unwrap().ip_pool_id, None);
    for order in
        [format!("{settings}X-Indicia-Ip-Pool: 18\r\n"), format!("X-Indicia-Ip-Pool: 18\r\n{settings}")]
    {
        assert_eq!(of(&order), Err(PrepareError::IpPools));
    }
}

#[test]
fn a_body_has_no_nul_and_no_line_over_998_octets() {
    let of = |body: &str| prepared(&format!("From: ann@x.example\r\n\r\n{body}")).map(|_| ());
    let (longest, longer) = ("x".repeat(998), "x".repeat(999));
    for good in [
        String::new(),
        longest.clone(),
        format!("{longest}\r\n"),
        format!("{longest}\r\n\r\na\r\n{longest}\r\n{longest}"),
        "short\r\n".repeat(3_000),
        format!("{longest}\r\n").repeat(10),
    ] {
        assert_eq!(of(&good), Ok(()), "{} octets", good.len());
    }
    let (short, many) = ("a\r\n".repeat(4_000), format!("{longest}\r\n").repeat(9));
    for (body, line) in [
        (longer.clone(), 1),
        (format!("{longer}\r\n"), 1),
        (format!("a\r\n{longer}\r\nb\r\n"), 2),
        (format!("{many}{longer}x\r\n"), 10),
        (format!("{short}{longer}"), 4_001),
        (format!("{short}{}\r\n{short}", "x".repeat(100_000)), 4_001),
    ] {
        assert_eq!(of(&body), Err(PrepareError::BodyLineTooLong(line)), "{} octets", body.len());
    }
    for (body, line) in
        [("\0".to_owned(), 1), ("a\r\n\r\nb\0c\r\n".to_owned(), 3), (format!("{short}\0\0"), 4_001)]
    {
        assert_eq!(of(&body), Err(PrepareError::BodyNul(line)), "line {line}");
    }
    let words = PrepareError::BodyLineTooLong(7).to_string();
    assert!(words.starts_with("line 7 of the body has more than 998 octets"), "{words}");
}

#[test]
fn mime_that_readers_would_guess_at_is_refused() {
    let of = |fields: &str, body: &str| {
        prepared(&format!("From: ann@x.example\r\n{fields}\r\n{body}")).map(|_| ())
    };
    let mixed = "Content-Type: multipart/mixed;\r\n\tboundary=\"b1\"\r\n";
    let parts = "--b1\r\n\r\ntext\r\n--b1--\r\n";
    assert_eq!(of(mixed, parts), Ok(()));
    assert_eq!(
        of("Content-Type: text/html (x)\r\nContent-Transfer-Encoding: BASE64\r\n", "eA==\r\n"),
        Ok(())
    );
    let encoded = format!("{mixed}Content-Transfer-Encoding: quoted-printable\r\n");
    for (fields, body, why) in [
        ("Content-Type: multipart/mixed\r\n", parts, MimeError::NoBoundary),
        ("Content-Type: nonsense\r\n", "", MimeError::ContentType),
        ("Content-Type:\r\n", "", MimeError::ContentType),
        ("Content-Transfer-Encoding: uuencode\r\n", "", MimeError::TransferEncoding),
        (&encoded, parts, MimeError::EncodedMultipart),
        (mixed, "no parts\r\n", MimeError::BoundaryUnused),
    ] {
        assert_eq!(of(fields, body), Err(PrepareError::Mime(why)), "{fields}");
    }
    for (name, field) in [
        ("Content-Type", "Content-Type: text/plain\r\nContent-type: text/html\r\n"),
        (
            "Content-Transfer-Encoding",
            "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: 8bit\r\n",
        ),
        ("Message-ID", "Message-ID: <a@b>\r\nMessage-Id: <c@d>\r\n"),
        ("X-AliDM-Trace", "X-AliDM-Trace: e30=\r\nX-AliDM-Trace: e30=\r\n"),
        ("X-AliDM-Settings", "X-AliDM-Settings: e30=\r\nX-AliDM-Settings: e30=\r\n"),
    ] {
        assert_eq!(of(field, ""), Err(PrepareError::Twice(name)));
    }
}

#[test]
fn a_message_of_header_only_gets_its_blank_line() {
    let done = prepared("From: ann@x.example\r\nDate: d\r\nMessage-ID: <m>\r\n").unwrap();
    assert_eq!(
        text(&done),
        "X-Indicia-Env-Id: 42\r\nFrom: ann@x.example\r\nDate: d\r\nMessage-ID: <m>\r\n\r\n"
    );
}

#[test]
fn eight_bits_are_noticed_where_they_are() {
    let utf8 = Submission { smtputf8: true, ..submission(Author::Anyone) };
    let done =
        prepare("From: 张 <用户@x.example>\r\nSubject: 世界\r\n\r\nbody\r\n".as_bytes(), &utf8).unwrap();
    assert!(done.eight_bit_header && !done.eight_bit_body);
    assert_eq!(done.subject, "世界");
    assert_eq!(prepare(b"From: a@x.example\r\nX: \xff\r\n\r\n", &utf8), Err(PrepareError::NotUtf8));
    let done = prepare(b"From: ann@x.example\r\n\r\n\xff\r\n", &submission(Author::Anyone)).unwrap();
    assert!(done.eight_bit_body && !done.eight_bit_header);
}

#[test]
fn subjects_are_decoded_for_the_log() {
    for (raw, decoded) in [
        (" plain", "plain"),
        ("\r\n folded\r\n twice", "folded twice"),
        (" =?utf-8?B?5LiW55WM?=", "世界"),
        (" =?utf-8?Q?caf=C3=A9?=\r\n =?utf-8?Q?_au_lait?=", "café au lait"),
        (" =?broken", "=?broken"),
        ("", ""),
    ] {
        let done = prepared(&format!("From: ann@x.example\r\nSubject:{raw}\r\n\r\n")).unwrap();
        assert_eq!(done.subject, decoded, "{raw:?}");
    }
}

#[test]
fn what_is_composed_is_shown_decoded() {
    let shown = super::display::displayed(
        b"From: =?utf-8?B?5LiW55WM?= <a@x.example>\r\nTo: B <b@x.example>, c@x.example\r\nSubject: =?utf-8?Q?caf=C3=A9?=\r\n\r\nbody\r\n",
    );
    assert_eq!((shown.from.as_str(), shown.subject.as_str()), ("世界 <a@x.example>", "café"));
    assert_eq!((shown.to.as_str(), shown.cc.as_str()), ("B <b@x.example>, c@x.example", ""));
    assert_eq!(super::display::displayed(b""), super::display::Displayed::default());
}

proptest! {
    #[test]
    fn no_input_panics(content in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = prepare(&content, &submission(Author::Anyone));
    }

    #[test]
    fn the_body_and_the_fields_that_stay_are_unchanged(
        fields in prop::collection::vec("X-[A-Za-z]{1,10}: ?[ -~]{0,60}", 0..10),
        body in "([ -~]{0,80}\r\n){0,8}",
    ) {
        let header: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let content = format!("From: ann@x.example\r\n{header}Date: d\r\nMessage-ID: <m>\r\n\r\n{body}");
        let done = prepared(&content).unwrap();
        prop_assert_eq!(text(&done), format!("X-Indicia-Env-Id: 42\r\n{content}"));
    }
}
