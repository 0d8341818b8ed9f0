//! What a client makes of refusals, lost connections and servers that break the protocol.

use crate::support::{ClientDialogue, reply, transaction};
use indicia_smtp::client::{CommandError, Event, Outcome, Phase, ProtocolError, Unsupported};

const PIPELINING: &[&str] = &["PIPELINING", "8BITMIME", "SMTPUTF8"];

fn sent(recipients: &[&str]) -> ClientDialogue {
    let mut d = ClientDialogue::ready(true, PIPELINING);
    d.session.send(transaction(recipients, "x\r\n")).expect("idle");
    d.written();
    d
}

#[test]
fn a_refused_sender_decides_for_all() {
    let mut d = sent(&["a@x.example", "b@x.example"]);
    d.serve("550 5.7.1 we know you\r\n503 MAIL first\r\n503 MAIL first\r\n503 MAIL first");
    let result = d.result();
    assert!(result.reusable);
    for recipient in &result.recipients {
        assert_eq!(
            recipient.outcome,
            Outcome::Refused { phase: Phase::Mail, reply: reply("550 5.7.1 we know you") }
        );
    }
}

#[test]
fn an_empty_message_is_never_a_delivery() {
    for (mail, rcpt) in [("250 ok", "550 5.1.1 no"), ("451 4.3.0 not now", "250 ok")] {
        for (end, reusable) in [("554 5.5.1 no recipients", true), ("250 thanks", false)] {
            let mut d = sent(&["a@x.example"]);
            d.serve(&format!("{mail}\r\n{rcpt}\r\n354 go"));
            assert_eq!(d.written(), ".\r\n");
            assert_eq!(d.session.phase(), Phase::DataEnd);
            d.serve(end);
            let result = d.result();
            assert!(!result.recipients[0].outcome.is_accepted(), "{mail} {rcpt} {end}");
            assert!(
                matches!(&result.recipients[0].outcome, Outcome::Refused { phase, .. } if *phase != Phase::DataEnd)
            );
            assert_eq!(result.reusable, reusable);
            assert_eq!(d.session.is_idle(), reusable);
        }
    }
}

#[test]
fn refusals_at_data_and_at_its_end_spare_the_recipients_already_refused() {
    let mut d = sent(&["a@x.example", "b@x.example"]);
    d.serve("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n451 4.3.0 disk");
    let result = d.result();
    assert_eq!(
        result.recipients[0].outcome,
        Outcome::Refused { phase: Phase::DataStart, reply: reply("451 4.3.0 disk") }
    );
    assert_eq!(
        result.recipients[1].outcome,
        Outcome::Refused { phase: Phase::Rcpt, reply: reply("550 5.1.1 no") }
    );

    let mut d = sent(&["a@x.example", "b@x.example"]);
    d.serve("250 ok\r\n250 ok\r\n452 4.2.2 full\r\n354 go");
    d.written();
    d.serve("554 5.7.1 spam");
    let result = d.result();
    assert!(result.reusable);
    assert_eq!(
        result.recipients[0].outcome,
        Outcome::Refused { phase: Phase::DataEnd, reply: reply("554 5.7.1 spam") }
    );
    assert!(result.recipients[1].outcome.is_transient());
}

#[test]
fn a_421_ends_everything_at_any_time() {
    let mut d = sent(&["a@x.example", "b@x.example"]);
    d.serve("250 ok\r\n550 5.1.1 no\r\n421 4.3.2 bye\r\n250 too late");
    let closing = reply("421 4.3.2 bye");
    let Some(Event::Finished(result)) = d.events.first() else { panic!("{:?}", d.events) };
    assert!(!result.reusable);
    assert_eq!(result.recipients[0].outcome.reply(), Some(&reply("550 5.1.1 no")));
    assert_eq!(result.recipients[1].outcome, Outcome::Refused { phase: Phase::Rcpt, reply: closing.clone() });
    assert_eq!(d.events[1..], [Event::Closed { reply: Some(closing.clone()) }]);
    assert_eq!(
        d.session.send(transaction(&["a@x.example"], "")),
        Err(CommandError::NotIdle { phase: Phase::Closed })
    );

    let mut d = ClientDialogue::ready(true, PIPELINING);
    d.serve("421 4.3.2 bye");
    assert_eq!(d.event(), Event::Closed { reply: Some(closing) });
}

#[test]
fn an_unfriendly_greeting_or_ehlo() {
    let mut d = ClientDialogue::new(true);
    d.serve("554 5.7.1 go away");
    assert_eq!(d.event(), Event::Refused { phase: Phase::Greeting, reply: reply("554 5.7.1 go away") });
    assert!(!d.session.is_idle());
    d.session.quit().expect("still polite");
    assert_eq!(d.written(), "QUIT\r\n");

    let mut d = ClientDialogue::new(true);
    d.serve("220 hello\r\n451 4.3.0 not now");
    assert_eq!(d.events[1], Event::Refused { phase: Phase::Ehlo, reply: reply("451 4.3.0 not now") });
    let mut d = ClientDialogue::new(true);
    d.serve("220 hello\r\n550 no\r\n550 and no");
    assert_eq!(d.events[1], Event::Refused { phase: Phase::Ehlo, reply: reply("550 and no") });
}

#[test]
fn what_the_server_lacks_is_not_tried() {
    let table = [
        (&["8BITMIME"][..], true, "x\r\n", Unsupported::SmtpUtf8),
        (&["SMTPUTF8"][..], false, "\u{e4}\r\n", Unsupported::EightBit),
        (&["SIZE 2"][..], false, "x\r\n", Unsupported::TooLarge { size_bytes: 3, size_bytes_max: 2 }),
        (&[][..], false, "a\nb\r\n", Unsupported::BareLineBreak),
        (&[][..], false, "a\r", Unsupported::BareLineBreak),
    ];
    for (keywords, smtputf8, content, unsupported) in table {
        let mut d = ClientDialogue::ready(true, keywords);
        let mut tx = transaction(&["a@x.example"], content);
        tx.smtputf8 = smtputf8;
        d.session.send(tx).expect("idle");
        d.collect();
        assert_eq!(d.written(), "");
        let result = d.result();
        assert_eq!(result.recipients[0].outcome, Outcome::Unsupported(unsupported));
        assert!(result.reusable && result.recipients[0].outcome.is_permanent() && d.session.is_idle());
    }
    assert_eq!(Unsupported::SmtpUtf8.enhanced_code().to_string(), "5.6.7");

    // One address beyond ASCII does not keep the message from the others.
    let mut d = ClientDialogue::ready(true, &["PIPELINING"]);
    d.session.send(transaction(&["b\u{f6}b@x.example", "a@x.example"], "x\r\n")).expect("idle");
    assert_eq!(d.written(), "MAIL FROM:<bounce@example.com>\r\nRCPT TO:<a@x.example>\r\nDATA\r\n");
    d.serve("250 ok\r\n250 ok\r\n354 go");
    d.written();
    d.serve("250 ok");
    let result = d.result();
    assert_eq!(result.recipients[0].outcome, Outcome::Unsupported(Unsupported::SmtpUtf8));
    assert!(result.recipients[1].outcome.is_accepted());
}

#[test]
fn bad_transactions_are_not_sent() {
    let mut d = ClientDialogue::ready(true, PIPELINING);
    assert_eq!(d.session.send(transaction(&[], "")), Err(CommandError::NoRecipients));
    for address in ["", "a", "a@x.example>\r\nDATA", "a@x.example\r\n", "<a@x.example>", "a b@x.example"] {
        let error = d.session.send(transaction(&[address], "")).expect_err(address);
        assert!(matches!(error, CommandError::Address { .. }), "{address:?}");
        let mut tx = transaction(&["a@x.example"], "");
        tx.reverse_path = address.to_owned();
        assert_eq!(d.session.send(tx).is_err(), !address.is_empty(), "{address:?}");
        d = ClientDialogue::ready(true, PIPELINING);
    }
    d.session.send(transaction(&["a@x.example"], "")).expect("idle");
    assert!(matches!(d.session.send(transaction(&["a@x.example"], "")), Err(CommandError::NotIdle { .. })));
    assert!(d.session.quit().is_err() && d.session.rset().is_err());
}

#[test]
fn protocol_errors_name_the_phase_and_the_bytes() {
    let cases = [
        ("Hello?", Phase::Mail),
        ("354 already", Phase::Mail),
        ("250 ok\r\n354 already", Phase::Rcpt),
        ("250 ok\r\n250 ok\r\n250 no need", Phase::DataStart),
        ("250 ok\r\n25\u{e9}", Phase::Rcpt),
        ("250 ok\n250 ok", Phase::Mail),
        ("250-ok\r\n251 ok", Phase::Mail),
    ];
    for (replies, expected) in cases {
        let mut d = sent(&["a@x.example"]);
        d.serve(replies);
        let Some(Event::Finished(result)) = d.events.first() else { panic!("{replies}: {:?}", d.events) };
        assert!(!result.reusable);
        let Outcome::Interrupted { phase, error: Some(error) } = &result.recipients[0].outcome else {
            panic!("{replies}: {result:?}")
        };
        assert_eq!(*phase, expected, "{replies}: {error}");
        assert_eq!(d.events[1], Event::ProtocolError(error.clone()));
        assert!(result.recipients[0].outcome.is_transient());
    }
    let mut d = sent(&["a@x.example"]);
    d.serve("<html>\x01");
    let Some(Event::ProtocolError(error)) = d.events.get(1) else { panic!("{:?}", d.events) };
    assert_eq!(error.to_string(), "malformed reply in phase MAIL: not a reply line: \"<html>\\x01\"");

    let mut d = ClientDialogue::ready(true, PIPELINING);
    d.serve("250 nobody asked");
    assert!(matches!(
        d.event(),
        Event::ProtocolError(ProtocolError::UnexpectedReply { phase: Phase::Idle, .. })
    ));
}

#[test]
fn replies_injected_behind_starttls_end_the_session() {
    for late in [false, true] {
        let mut d = ClientDialogue::ready(true, &["STARTTLS"]);
        d.session.starttls().expect("offered");
        let injected = "250-evil\r\n250 AUTH PLAIN";
        if late {
            d.serve("220 go");
            d.serve(injected);
        } else {
            d.serve(&format!("220 go\r\n{injected}"));
        }
        assert_eq!(d.event(), Event::TlsReady);
        d.session.tls_established();
        d.collect();
        let count = injected.len() + 2;
        assert_eq!(d.event(), Event::ProtocolError(ProtocolError::PlaintextBehindStartTls { count }));
        assert_eq!(d.written(), "");
    }
}

#[test]
fn a_lost_connection_interrupts_only_the_undecided() {
    let mut d = sent(&["a@x.example", "b@x.example"]);
    d.session.receive(b"250 ok\r\n550 5.1.1 no\r\n250 o");
    d.session.connection_lost();
    d.collect();
    let Some(Event::Finished(result)) = d.events.first() else { panic!("{:?}", d.events) };
    assert!(!result.reusable);
    assert_eq!(result.recipients[0].outcome.reply(), Some(&reply("550 5.1.1 no")));
    assert_eq!(result.recipients[1].outcome, Outcome::Interrupted { phase: Phase::Rcpt, error: None });
    assert_eq!(d.events[1], Event::Closed { reply: None });

    let mut d = sent(&["a@x.example"]);
    d.serve("250 ok\r\n250 ok\r\n354 go");
    d.written();
    d.session.connection_lost();
    d.collect();
    let Some(Event::Finished(result)) = d.events.first() else { panic!("{:?}", d.events) };
    assert_eq!(result.recipients[0].outcome, Outcome::Interrupted { phase: Phase::DataEnd, error: None });

    let mut d = ClientDialogue::new(true);
    d.session.connection_lost();
    d.collect();
    assert_eq!(d.event(), Event::Closed { reply: None });
}

#[test]
fn a_refusal_before_the_content_was_written_counts_when_the_connection_is_lost() {
    for (early, refused) in [("552 5.3.4 too large", true), ("250 thanks already", false)] {
        let mut d = sent(&["a@x.example"]);
        d.serve(&format!("250 ok\r\n250 ok\r\n354 go\r\n{early}"));
        assert!(d.events.is_empty(), "held until the content is written: {:?}", d.events);
        d.session.connection_lost();
        d.collect();
        let Some(Event::Finished(result)) = d.events.first() else { panic!("{:?}", d.events) };
        let expected = if refused {
            Outcome::Refused { phase: Phase::DataBlock, reply: reply(early) }
        } else {
            Outcome::Interrupted { phase: Phase::DataBlock, error: None }
        };
        assert_eq!(result.recipients[0].outcome, expected);
        assert!(!result.reusable);
    }
}

#[test]
fn replies_held_while_writing_are_bounded() {
    let mut d = sent(&["a@x.example"]);
    d.serve("250 ok\r\n250 ok\r\n354 go");
    for _ in 0..70 {
        d.session.receive(&[b'x'; 1_000]);
        d.collect();
    }
    assert_eq!(d.events[1], Event::ProtocolError(ProtocolError::TooMuchInput));
}
