//! Both sides in one process, over every combination of what they may agree on.

use crate::support::{HOST, Server};
use bytes::Bytes;
use indicia_smtp::client::{self, Event, Outcome, Transaction, TransactionResult};
use indicia_smtp::server::{AuthOffer, Config};

/// Carries bytes both ways until both are quiet, in pieces of `piece_bytes`; returns the client's events.
pub fn carry(client: &mut client::Session, server: &mut Server, piece_bytes: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..1_000_000 {
        let mut quiet = true;
        while let Some(event) = client.next_event() {
            quiet = false;
            if event == Event::TlsReady {
                client.tls_established();
            }
            events.push(event);
        }
        let to_server = client.output().to_vec();
        for piece in to_server.chunks(piece_bytes) {
            quiet = false;
            let to_client = server.play(piece);
            client.consume_output(piece.len());
            to_client.chunks(piece_bytes).for_each(|piece| client.receive(piece));
        }
        let to_client = server.play(b"");
        quiet &= to_client.is_empty();
        client.receive(&to_client);
        if quiet {
            return events;
        }
    }
    panic!("the two never came to rest: {events:?}");
}

pub fn connect(config: Config, pipelining: bool) -> (client::Session, Server) {
    let client =
        client::Session::new(client::Config { hello_name: "out.example.com".to_owned(), pipelining });
    (client, Server::new(config))
}

pub fn result(events: &[Event]) -> &TransactionResult {
    match events.last() {
        Some(Event::Finished(result)) => result,
        other => panic!("not finished but {other:?}"),
    }
}

fn run(bits: u32) {
    let [starttls, auth, utf8_offered, pipelining, eight_bit, utf8_address, small_pieces, two_parts] =
        std::array::from_fn(|bit| bits >> bit & 1 == 1);
    let config = Config {
        starttls,
        auth: if auth { AuthOffer::Required } else { AuthOffer::Off },
        auth_needs_tls: starttls,
        smtputf8: utf8_offered,
        ..Config::new(HOST)
    };
    let (mut client, mut server) = connect(config, pipelining);
    let piece_bytes = if small_pieces { 3 } else { 4_096 };
    let events = carry(&mut client, &mut server, piece_bytes);
    assert_eq!(events.last(), Some(&Event::Ready), "{bits:08b}");
    if starttls {
        client.starttls().expect("offered");
        let events = carry(&mut client, &mut server, piece_bytes);
        assert_eq!(events, [Event::TlsReady, Event::Ready], "{bits:08b}");
    }
    if auth {
        client.auth_plain("ann@example.com", "secret").expect("offered");
        let events = carry(&mut client, &mut server, piece_bytes);
        assert!(matches!(events[..], [Event::Authenticated { .. }]), "{bits:08b}");
    }
    let body = if eight_bit { "caf\u{e9}\r\n..\r\n.\r\nend" } else { ".\r\n.x\r\nend" };
    let header = Bytes::from_static(b"Subject: x\r\n\r\n");
    let content = if two_parts {
        vec![header.clone(), Bytes::copy_from_slice(body.as_bytes())]
    } else {
        vec![Bytes::from([&header[..], body.as_bytes()].concat())]
    };
    let utf8_recipient = if utf8_address { "b\u{f6}b@example.org" } else { "bob@example.org" };
    let recipients = ["refused@example.org", utf8_recipient, "later@example.org", "carol@example.org"];
    for round in 1..=2 {
        let transaction = Transaction {
            reverse_path: "ann@example.com".to_owned(),
            recipients: recipients.map(str::to_owned).to_vec(),
            smtputf8: false,
            content: content.clone(),
        };
        client.send(transaction).expect("idle");
        let events = carry(&mut client, &mut server, piece_bytes);
        let result = result(&events);
        assert!(result.reusable, "{bits:08b}");
        let accepted: Vec<_> = result.recipients.iter().map(|r| r.outcome.is_accepted()).collect();
        let utf8_goes = !utf8_address || utf8_offered;
        assert_eq!(accepted, [false, utf8_goes, false, true], "{bits:08b}");
        assert!(utf8_goes || matches!(result.recipients[1].outcome, Outcome::Unsupported(_)));
        assert_eq!(server.messages.len(), round, "{bits:08b}");
        let message = server.messages.last().expect("a message");
        assert_eq!(message.data, format!("Subject: x\r\n\r\n{body}\r\n").as_bytes(), "{bits:08b}");
        assert_eq!(message.eight_bit, eight_bit);
        assert_eq!(message.recipients.len(), 1 + usize::from(utf8_goes));
    }
    client.quit().expect("idle");
    let events = carry(&mut client, &mut server, piece_bytes);
    assert!(matches!(events[..], [Event::Closed { reply: Some(_) }]), "{bits:08b}");
    assert!(server.closed);
}

#[test]
fn both_sides_agree_over_all_features() {
    for bits in 0..256 {
        run(bits);
    }
}

#[test]
fn a_transaction_follows_one_that_nobody_got() {
    for pipelining in [true, false] {
        let (mut client, mut server) = connect(Config::new(HOST), pipelining);
        carry(&mut client, &mut server, 4_096);
        for recipient in ["refused@example.org", "bob@example.org", "later@example.org", "carol@example.org"]
        {
            client.send(crate::support::transaction(&[recipient], "x\r\n")).expect("idle");
            let events = carry(&mut client, &mut server, 4_096);
            let accepted = result(&events).recipients[0].outcome.is_accepted();
            assert_eq!(accepted, recipient.starts_with(['b', 'c']), "{recipient}");
        }
        assert_eq!(server.messages.len(), 2);
    }
}
