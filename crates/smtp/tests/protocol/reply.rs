//! Replies: what is one, what is kept of it, and what is not taken for one.

use indicia_smtp::Extensions;
use indicia_smtp::reply::{EnhancedCode, Reply, ReplyError, ReplyParser};

fn parse(text: &str) -> Result<Option<Reply>, ReplyError> {
    ReplyParser::default().parse(text.as_bytes()).map(|(_, reply)| reply)
}

fn parsed(text: &str) -> Reply {
    parse(text).expect("well-formed").expect("complete")
}

fn lines(reply: &Reply) -> Vec<&str> {
    reply.lines().collect()
}

#[test]
fn a_multi_line_refusal_keeps_its_words() {
    let reply = parsed(
        "550-5.1.1 The email account that you tried to reach does not exist.\r\n\
         550-5.1.1 Please try double-checking\r\n550 5.1.1 the address. - gsmtp\r\n",
    );
    assert_eq!(reply.code(), 550);
    assert_eq!(reply.enhanced_code(), Some(EnhancedCode::new(5, 1, 1)));
    assert_eq!(
        lines(&reply),
        [
            "The email account that you tried to reach does not exist.",
            "Please try double-checking",
            "the address. - gsmtp"
        ]
    );
    assert!(reply.is_permanent() && !reply.is_transient() && !reply.is_positive());
    assert_eq!(
        reply.to_string(),
        "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the address. - gsmtp"
    );
}

#[test]
fn enhanced_codes_count_only_in_their_own_class() {
    let table = [
        ("250 2.1.0 ok\r\n", Some(EnhancedCode::new(2, 1, 0)), "ok"),
        ("250 5.1.1 is our release\r\n", None, "5.1.1 is our release"),
        ("550 4.1.1 odd\r\n", None, "4.1.1 odd"),
        ("354 2.0.0 go\r\n", None, "2.0.0 go"),
        ("550 5.1\r\n", None, "5.1"),
        ("550 5.1.1111 x\r\n", None, "5.1.1111 x"),
        ("550 5.1.1.1 x\r\n", None, "5.1.1.1 x"),
        ("550 5.1.1\r\n", Some(EnhancedCode::new(5, 1, 1)), ""),
        ("550 #5.1.0 Address rejected\r\n", None, "#5.1.0 Address rejected"),
        ("550 5.+1.1 x\r\n", None, "5.+1.1 x"),
    ];
    for (text, enhanced, line) in table {
        let reply = parsed(text);
        assert_eq!(reply.enhanced_code(), enhanced, "{text:?}");
        assert_eq!(lines(&reply), [line], "{text:?}");
    }
}

#[test]
fn short_forms_and_foreign_octets_are_read() {
    assert_eq!(lines(&parsed("250\r\n")), [""]);
    assert_eq!(lines(&parsed("250 \r\n")), [""]);
    assert_eq!(lines(&parsed("250-\r\n250\r\n")), ["", ""]);
    assert_eq!(parsed("563 Rcptto refused\r\n").code(), 563);
    let (read, reply) = ReplyParser::default().parse(b"550 caf\xe9\t!\r\n250 next\r\n").expect("a reply");
    assert_eq!(read, 12);
    assert_eq!(lines(&reply.expect("complete")), ["caf\u{fffd} !"]);
}

#[test]
fn what_is_no_reply_is_an_error() {
    type Check = fn(&ReplyError) -> bool;
    let table: [(&str, Check); 12] = [
        ("hello\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("25\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("150 x\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("650 x\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("2500 x\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("250_x\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        (" 250 x\r\n", |e| matches!(e, ReplyError::NotAReply { .. })),
        ("250 x\n", |e| matches!(e, ReplyError::BareLineBreak { .. })),
        ("250-x\n250 y\r\n", |e| matches!(e, ReplyError::BareLineBreak { .. })),
        ("250 x\ry\r\n", |e| matches!(e, ReplyError::BareLineBreak { .. })),
        ("250-x\r\n550 y\r\n", |e| matches!(e, ReplyError::CodeChanged { first: 250, then: 550, .. })),
    ];
    for (text, check) in table {
        let error = parse(text).expect_err(text);
        assert!(check(&error), "{text:?}: {error}");
    }
    assert!(parse("nonsense\r\n").expect_err("no reply").to_string().contains("nonsense"), "names the bytes");
}

#[test]
fn replies_are_bounded() {
    let fits = format!("250 {}\r\n", "x".repeat(2_048 - 6));
    assert!(parse(&fits).expect("fits").is_some());
    let too_long = format!("250 {}\r\n", "x".repeat(2_048 - 5));
    assert!(matches!(parse(&too_long), Err(ReplyError::LineTooLong { .. })));
    assert!(
        matches!(parse(&"2".repeat(2_048)), Err(ReplyError::LineTooLong { .. })),
        "without waiting for its end"
    );
    assert!(parse(&format!("{}250 x\r\n", "250-x\r\n".repeat(127))).expect("128 lines").is_some());
    assert!(matches!(parse(&"250-x\r\n".repeat(129)), Err(ReplyError::TooManyLines { .. })));
}

#[test]
fn no_text_can_forge_a_reply() {
    let mut out = Vec::new();
    Reply::enhanced(550, (5, 0, 0), "no\r\n250 ok\rx\0y\n").write_to(&mut out);
    assert_eq!(out, b"550-5.0.0 no\r\n550-5.0.0 250 ok x y\r\n550 5.0.0\r\n");
    let mut out = Vec::new();
    Reply::new(250, "é".repeat(300)).write_to(&mut out);
    let text = String::from_utf8(out).expect("cut between characters");
    assert!(text.split_terminator("\r\n").all(|line| line.len() <= 510), "lines of 512 octets at most");
    assert_eq!(text.matches('é').count(), 300, "nothing is lost");
}

#[test]
fn replies_are_read_from_configurations() {
    let reply: Reply = "552 5.3.4 Too large".parse().expect("a reply");
    assert_eq!(reply, Reply::enhanced(552, (5, 3, 4), "Too large"));
    let reply: Reply = "556 The number of RCPTs is over size".parse().expect("a reply");
    assert_eq!((reply.code(), reply.enhanced_code()), (556, None));
    assert!("no reply".parse::<Reply>().is_err());
    assert!("250-x".parse::<Reply>().is_err());
    assert!("250 x\r\n250 y".parse::<Reply>().is_err());
}

#[test]
fn ehlo_keywords_are_read() {
    let reply = parsed(
        "250-mx.example.com at your service\r\n250-size 35882577\r\n250-8bitmime\r\n250-AUTH LOGIN XOAUTH2\r\n\
         250-AUTH=PLAIN\r\n250-LIMITS RCPTMAX=20 MAILMAX=5 FOO=1\r\n250-X-UNKNOWN\r\n250 PIPELINING\r\n",
    );
    let extensions = Extensions::from_ehlo(&reply);
    assert_eq!(extensions.size_bytes_max(), Some(35_882_577));
    assert!(extensions.eight_bit_mime && extensions.pipelining);
    assert!(!extensions.starttls && !extensions.smtputf8 && !extensions.chunking);
    let auth = extensions.auth.expect("AUTH");
    assert!(auth.plain && auth.login);
    assert_eq!((extensions.recipients_max, extensions.transactions_max), (Some(20), Some(5)));

    let unlimited = Extensions::from_ehlo(&parsed("250-x\r\n250 SIZE\r\n"));
    assert_eq!((unlimited.size, unlimited.size_bytes_max()), (Some(0), None));
    let nonsense = Extensions::from_ehlo(&parsed("250-x\r\n250 SIZE many\r\n"));
    assert_eq!(nonsense.size, None);
    // The first line is the server's name, whatever it looks like.
    assert!(!Extensions::from_ehlo(&parsed("250 PIPELINING\r\n")).pipelining);
}

#[test]
fn ehlo_keywords_survive_the_wire() {
    let offered = Extensions {
        pipelining: true,
        size: Some(1_000),
        eight_bit_mime: true,
        smtputf8: true,
        enhanced_status_codes: true,
        chunking: true,
        dsn: true,
        starttls: true,
        auth: Some(indicia_smtp::extension::AuthMechanisms { plain: true, login: true }),
        recipients_max: Some(100),
        transactions_max: None,
    };
    let mut out = Vec::new();
    offered.write_ehlo("mx.example.com", &mut out);
    let reply = parsed(std::str::from_utf8(&out).expect("text"));
    assert_eq!(Extensions::from_ehlo(&reply), offered);
}
