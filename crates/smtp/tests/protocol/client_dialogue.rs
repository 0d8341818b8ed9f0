//! What a client writes and when: greeting, EHLO, STARTTLS, AUTH, transactions with and without PIPELINING.

use crate::support::{ClientDialogue, reply, transaction};
use bytes::Bytes;
use indicia_smtp::client::{Event, Outcome, Phase, RecipientResult};

fn outcomes(results: &[RecipientResult]) -> Vec<(&str, &Outcome)> {
    results.iter().map(|result| (result.address.as_str(), &result.outcome)).collect()
}

#[test]
fn greeting_ehlo_and_quit() {
    let mut d = ClientDialogue::new(true);
    assert_eq!((d.session.phase(), d.written().as_str()), (Phase::Greeting, ""));
    d.serve("220-mx.example.com ESMTP\r\n220 no spam");
    assert!(matches!(d.event(), Event::Greeted { reply } if reply.lines().len() == 2));
    assert_eq!(d.written(), "EHLO out.example.com\r\n");
    assert_eq!(d.session.phase(), Phase::Ehlo);
    d.serve("250-mx.example.com\r\n250 SIZE 1000");
    assert_eq!(d.event(), Event::Ready);
    assert_eq!(d.session.extensions().size_bytes_max(), Some(1_000));
    assert_eq!(d.session.phase(), Phase::Idle);
    d.session.quit().expect("idle");
    assert_eq!(d.written(), "QUIT\r\n");
    d.serve("221 2.0.0 bye");
    assert_eq!(d.event(), Event::Closed { reply: Some(reply("221 2.0.0 bye")) });
    assert_eq!(d.session.phase(), Phase::Closed);
}

#[test]
fn helo_when_ehlo_is_not_known() {
    let mut d = ClientDialogue::new(true);
    d.serve("220 old");
    d.written();
    d.serve("502 what?");
    assert_eq!(d.written(), "HELO out.example.com\r\n");
    d.serve("250 old");
    assert_eq!(d.events.last(), Some(&Event::Ready));
    assert_eq!(d.session.extensions(), &Default::default());
    d.session.send(transaction(&["bob@example.org"], "x")).expect("idle");
    assert_eq!(d.written(), "MAIL FROM:<bounce@example.com>\r\n", "no parameters, one by one");
}

#[test]
fn starttls_forgets_what_was_offered() {
    let mut d = ClientDialogue::ready(true, &["STARTTLS", "SIZE 5"]);
    d.session.starttls().expect("offered");
    assert_eq!((d.written().as_str(), d.session.phase()), ("STARTTLS\r\n", Phase::StartTls));
    d.serve("220 go");
    assert_eq!(d.event(), Event::TlsReady);
    d.session.tls_established();
    assert_eq!(d.written(), "EHLO out.example.com\r\n");
    assert_eq!(d.session.extensions().size, None);
    d.ehlo(&["PIPELINING"]);
    assert!(d.session.extensions().pipelining && !d.session.extensions().starttls);
    assert!(d.session.starttls().is_err());

    let mut d = ClientDialogue::ready(true, &["STARTTLS"]);
    d.session.starttls().expect("offered");
    d.serve("454 4.7.0 not now");
    assert_eq!(d.event(), Event::TlsRefused { reply: reply("454 4.7.0 not now") });
    assert!(d.session.is_idle());
}

#[test]
fn auth_plain() {
    let mut d = ClientDialogue::ready(true, &["AUTH PLAIN"]);
    assert!(d.session.auth_plain("a\0b", "c").is_err());
    d.session.auth_plain("tim", "tanstaaftanstaaf").expect("offered");
    assert_eq!(d.written(), "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
    assert_eq!(d.session.phase(), Phase::Auth);
    d.serve("535 5.7.8 no");
    assert_eq!(d.event(), Event::AuthRefused { reply: reply("535 5.7.8 no") });
    d.session.auth_plain("tim", "x").expect("again");
    d.serve("235 2.7.0 yes");
    assert_eq!(d.event(), Event::Authenticated { reply: reply("235 2.7.0 yes") });
    assert!(ClientDialogue::ready(true, &["AUTH LOGIN"]).session.auth_plain("a", "b").is_err());
}

#[test]
fn a_pipelined_transaction_is_one_write() {
    let mut d = ClientDialogue::ready(true, &["PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8"]);
    let recipients = ["bob@Example.ORG", "nobody@example.org", "later@example.org"];
    let mut tx = transaction(&recipients, "");
    tx.content = vec![
        Bytes::from_static(b"A: 1\r\n\r"),
        Bytes::new(),
        Bytes::from_static(b"\n.dot\r\n."),
        Bytes::from_static(b".x"),
    ];
    d.session.send(tx).expect("idle");
    assert_eq!(
        d.written(),
        "MAIL FROM:<bounce@example.com> SIZE=17\r\nRCPT TO:<bob@example.org>\r\n\
         RCPT TO:<nobody@example.org>\r\nRCPT TO:<later@example.org>\r\nDATA\r\n"
    );
    assert_eq!(d.session.phase(), Phase::Mail);
    d.serve("250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 no\r\n550 5.1.1 such user");
    assert_eq!(d.session.phase(), Phase::Rcpt);
    d.serve("450 4.2.1 later\r\n354 go");
    assert_eq!(d.session.phase(), Phase::DataBlock);
    assert_eq!(d.written(), "A: 1\r\n\r\n..dot\r\n...x\r\n.\r\n");
    assert_eq!(d.session.phase(), Phase::DataEnd);
    d.serve("250 2.0.0 queued as 7");
    let result = d.result();
    assert!(result.reusable);
    let nobody = Outcome::Refused { phase: Phase::Rcpt, reply: reply("550 5.1.1 no") };
    let outcomes = outcomes(&result.recipients);
    assert_eq!(
        outcomes[0],
        ("bob@Example.ORG", &Outcome::Accepted { reply: reply("250 2.0.0 queued as 7") })
    );
    assert_eq!(outcomes[1].1.reply().map(|reply| reply.lines().collect()), Some(vec!["no", "such user"]));
    assert!(outcomes[1].1.is_permanent() && !nobody.is_transient());
    assert!(outcomes[2].1.is_transient() && !outcomes[2].1.is_permanent());
    assert!(d.session.is_idle());
}

#[test]
fn without_pipelining_one_command_at_a_time() {
    for (wanted, keywords) in [(false, &["PIPELINING"][..]), (true, &[][..])] {
        let mut d = ClientDialogue::ready(wanted, keywords);
        d.session.send(transaction(&["a@x.example", "b@x.example"], "x\r\n")).expect("idle");
        assert_eq!(d.written(), "MAIL FROM:<bounce@example.com>\r\n");
        d.serve("250 ok");
        assert_eq!(d.written(), "RCPT TO:<a@x.example>\r\n");
        d.serve("550 no");
        assert_eq!(d.written(), "RCPT TO:<b@x.example>\r\n");
        d.serve("251 forwarded");
        assert_eq!((d.written().as_str(), d.session.phase()), ("DATA\r\n", Phase::DataStart));
        d.serve("354 go");
        assert_eq!(d.written(), "x\r\n.\r\n");
        d.serve("250 ok");
        let result = d.result();
        assert!(!result.recipients[0].outcome.is_accepted() && result.recipients[1].outcome.is_accepted());
    }
}

#[test]
fn the_null_path_and_parameters_only_when_needed() {
    let mut d = ClientDialogue::ready(true, &["PIPELINING", "SIZE 100", "8BITMIME", "SMTPUTF8"]);
    let mut tx = transaction(&["bob@bücher.example"], "\u{e4}\r\n");
    tx.reverse_path = String::new();
    d.session.send(tx).expect("idle");
    let written = d.written();
    assert!(
        written.starts_with("MAIL FROM:<> SIZE=4 BODY=8BITMIME\r\nRCPT TO:<bob@xn--bcher-kva.example>\r\n"),
        "{written}"
    );

    let mut d = ClientDialogue::ready(true, &["PIPELINING", "8BITMIME", "SMTPUTF8"]);
    d.session.send(transaction(&["b\u{f6}b@example.org"], "x\r\n")).expect("idle");
    let written = d.written();
    assert!(
        written.starts_with("MAIL FROM:<bounce@example.com> SMTPUTF8\r\nRCPT TO:<b\u{f6}b@example.org>\r\n"),
        "{written}"
    );
}

#[test]
fn a_needed_reset_goes_out_with_the_next_transaction() {
    for pipelining in [true, false] {
        let mut d = ClientDialogue::ready(pipelining, &["PIPELINING"]);
        d.session.send(transaction(&["a@x.example"], "x\r\n")).expect("idle");
        if pipelining {
            d.serve("250 ok\r\n550 no\r\n554 no recipients");
        } else {
            d.serve("250 ok\r\n550 no");
        }
        assert!(d.result().reusable);
        d.written();
        d.session.send(transaction(&["b@x.example"], "x\r\n")).expect("reusable");
        let written = d.written();
        if pipelining {
            assert!(written.starts_with("RSET\r\nMAIL FROM:<bounce@example.com>\r\nRCPT"), "{written}");
            d.serve("250 reset\r\n250 ok\r\n250 ok\r\n354 go");
        } else {
            assert_eq!((written.as_str(), d.session.phase()), ("RSET\r\n", Phase::Rset));
            d.serve("250 reset");
            assert_eq!(d.written(), "MAIL FROM:<bounce@example.com>\r\n");
            d.serve("250 ok\r\n250 ok\r\n354 go");
        }
        assert!(d.written().ends_with("x\r\n.\r\n"));
        d.serve("250 ok");
        assert!(d.result().recipients[0].outcome.is_accepted());
        d.session.send(transaction(&["c@x.example"], "x\r\n")).expect("reusable");
        assert!(d.written().starts_with("MAIL"), "no RSET after a message that was taken");
    }
}

#[test]
fn rset_asks_whether_the_connection_lives() {
    let mut d = ClientDialogue::ready(true, &[]);
    d.session.rset().expect("idle");
    assert_eq!(d.written(), "RSET\r\n");
    d.serve("250 2.0.0 ok");
    assert_eq!(d.event(), Event::Reset { reply: reply("250 2.0.0 ok") });
    assert!(d.session.is_idle());
}

#[test]
fn long_content_comes_in_blocks() {
    let mut d = ClientDialogue::ready(true, &["PIPELINING"]);
    let content = "0123456789\r\n".repeat(100_000);
    d.session.send(transaction(&["a@x.example"], &content)).expect("idle");
    d.written();
    d.serve("250 ok\r\n250 ok\r\n354 go");
    let block = d.session.output().len();
    assert!((1..=70_000).contains(&block), "a block, not the whole: {block}");
    d.session.consume_output(10);
    assert!(d.session.output().starts_with(b"\r\n0123"));
    assert_eq!(d.session.phase(), Phase::DataBlock);
    let rest = d.written();
    assert_eq!(rest.len() + 10, content.len() + 3);
    assert!(rest.ends_with("\r\n.\r\n") && d.session.phase() == Phase::DataEnd);
}

#[test]
fn timeouts_are_those_of_rfc_5321() {
    let minutes = |phase: Phase| phase.timeout().as_secs() / 60;
    assert_eq!([Phase::Greeting, Phase::Mail, Phase::Rcpt].map(minutes), [5, 5, 5]);
    assert_eq!([Phase::DataStart, Phase::DataBlock, Phase::DataEnd].map(minutes), [2, 3, 10]);
}
