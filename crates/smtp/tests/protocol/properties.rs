//! Properties over arbitrary input: how input is cut does not matter, content survives the wire, nothing
//! panics, output stays in proportion.

use crate::loopback::{carry, connect, result};
use crate::support::{ClientDialogue, HOST, Server, submission, transaction};
use bytes::Bytes;
use indicia_smtp::Mailbox;
use indicia_smtp::reply::{Reply, ReplyParser};
use indicia_smtp::server::Config;
use proptest::collection::vec;
use proptest::prelude::*;

/// Pieces that a session of commands, content and nonsense is made of.
fn client_piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"EHLO c\r\n",
        b"HELO c\r\n",
        b"MAIL FROM:<a@b.example>\r\n",
        b"MAIL FROM:<> SIZE=3\r\n",
        b"MAIL FROM:<a@b.example> SIZE=70\r\n",
        b"RCPT TO:<c@d.example>\r\n",
        b"RCPT TO:<refused@d.example>\r\n",
        b"DATA\r\n",
        b".\r\n",
        b"..\r\n",
        b"line\r\n",
        b"BDAT 5\r\n",
        b"BDAT 3 LAST\r\n",
        b"BDAT 0 LAST\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"VRFY x\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"AUTH PLAIN AGEAYg==\r\n",
        b"AGFubkBleGFtcGxlLmNvbQBzZWNyZXQ=\r\n",
        b"*\r\n",
        b"STARTTLS\r\n",
        b"QUIT\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b".",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];
    prop_oneof![
        20 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..8),
        1 => (2_000usize..13_000).prop_map(|length| vec![b'y'; length]),
    ]
}

fn configs() -> impl Strategy<Value = Config> {
    (any::<bool>(), any::<bool>(), any::<bool>(), 1u32..12).prop_map(
        |(login, starttls, chunking, bad_commands_max)| {
            let base = if login { submission() } else { Config::new(HOST) };
            Config {
                starttls,
                chunking,
                bad_commands_max,
                size_bytes_max: 64,
                discard_bytes_max: 20_000,
                ..base
            }
        },
    )
}

/// What a server said and asked, with the input cut at the given places.
fn observe(config: &Config, input: &[u8], cuts: &[prop::sample::Index]) -> (String, Vec<String>, bool) {
    let mut server = Server::new(config.clone());
    server.hold_tls = true;
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.push(input.len());
    places.sort_unstable();
    let mut output = Vec::new();
    let mut start = 0;
    for place in places {
        output.extend(server.play(&input[start..place]));
        start = place;
    }
    (String::from_utf8_lossy(&output).into_owned(), server.events, server.closed)
}

fn canonical_line() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        3 => Just(b'.'),
        6 => any::<u8>().prop_filter("no line break", |byte| !matches!(byte, b'\r' | b'\n')),
    ];
    vec(octet, 0..12)
}

fn server_piece() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"220 mx\r\n",
        b"250 ok\r\n",
        b"250-mx\r\n",
        b"250 PIPELINING\r\n",
        b"250-STARTTLS\r\n",
        b"250-8BITMIME\r\n",
        b"354 go\r\n",
        b"421 bye\r\n",
        b"450 4.2.0 later\r\n",
        b"550 5.1.1 no\r\n",
        b"550-5.1.1 no\r\n",
        b"250",
        b"\r\n",
        b"\n",
        b"\r",
    ];
    prop_oneof![
        20 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..8),
        1 => (2_000usize..3_000).prop_map(|length| vec![b'z'; length]),
    ]
}

/// What a client made of a server's words; it sends a message as soon as it can, twice.
fn observe_client(input: &[u8], cuts: &[prop::sample::Index], pipelining: bool) -> (String, Vec<String>) {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.push(input.len());
    places.sort_unstable();
    let mut client = ClientDialogue::new(pipelining);
    let (mut output, mut events) = (String::new(), Vec::new());
    let mut start = 0;
    for place in places {
        client.session.receive(&input[start..place]);
        start = place;
        // Until nothing moves: an event may allow a command, written content may uncover a held reply.
        for _ in 0..100 {
            let event = client.session.next_event();
            let idle = client.session.is_idle();
            if idle {
                let sent = client.session.send(transaction(&["a@x.example", "b@x.example"], ".x\r\n"));
                assert_eq!(sent, Ok(()), "idle sessions send");
            }
            let mut written = Vec::new();
            client.session.take_output(&mut written);
            let quiet = event.is_none() && written.is_empty() && !idle;
            output.push_str(&String::from_utf8_lossy(&written));
            events.extend(event.map(|event| format!("{event:?}")));
            if quiet {
                break;
            }
        }
    }
    (output, events)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cutting_the_input_changes_nothing_for_the_server(
        config in configs(),
        pieces in vec(client_piece(), 0..40),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
    ) {
        let input = [b"EHLO c\r\n".to_vec(), pieces.concat()].concat();
        let whole = observe(&config, &input, &[]);
        prop_assert_eq!(&observe(&config, &input, &cuts), &whole);
        if input.len() < 3_000 {
            let mut server = Server::new(config.clone());
            server.hold_tls = true;
            let output: Vec<u8> = input.iter().flat_map(|&byte| server.play(&[byte])).collect();
            prop_assert_eq!((String::from_utf8_lossy(&output).into_owned(), server.events, server.closed), whole);
        }
    }

    #[test]
    fn cutting_the_input_changes_nothing_for_the_client(
        pieces in vec(server_piece(), 0..40),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        pipelining in any::<bool>(),
    ) {
        let input = [b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n".to_vec(), pieces.concat()].concat();
        let whole = observe_client(&input, &[], pipelining);
        let cut = observe_client(&input, &cuts, pipelining);
        prop_assert_eq!(&cut.1, &whole.1);
        // A server that breaks off before it was asked keeps the last command from being written at all.
        prop_assert!(cut.0.starts_with(&whole.0), "{} and {}", cut.0, whole.0);
    }

    #[test]
    fn content_survives_the_wire(
        lines in vec(canonical_line(), 0..30),
        ends_with_break in any::<bool>(),
        cuts in vec(any::<prop::sample::Index>(), 0..6),
        piece_bytes in 1usize..40,
        pipelining in any::<bool>(),
    ) {
        let mut content = lines.join(&b"\r\n"[..]);
        if ends_with_break {
            content.extend_from_slice(b"\r\n");
        }
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(content.len() + 1)).collect();
        places.push(content.len());
        places.sort_unstable();
        let mut start = 0;
        let parts: Vec<Bytes> = places.into_iter().map(|place| {
            let part = Bytes::copy_from_slice(&content[start..place]);
            start = place;
            part
        }).collect();
        let (mut client, mut server) = connect(Config::new(HOST), pipelining);
        carry(&mut client, &mut server, piece_bytes);
        client.send(indicia_smtp::client::Transaction { content: parts, ..transaction(&["bob@example.org"], "") })
            .expect("idle");
        let events = carry(&mut client, &mut server, piece_bytes);
        prop_assert!(result(&events).recipients[0].outcome.is_accepted());
        if !content.is_empty() && !content.ends_with(b"\r\n") {
            content.extend_from_slice(b"\r\n");
        }
        prop_assert_eq!(server.messages[0].data.as_slice(), content.as_slice());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_output_stays_in_proportion(
        config in configs(),
        input in vec(any::<u8>(), 0..4_000),
        script in vec(client_piece(), 0..20),
    ) {
        let bytes = [script.concat(), input].concat();
        let mut server = Server::new(config);
        let output = server.play(&bytes);
        prop_assert!(output.len() <= 1_000 + 40 * bytes.len(), "{} for {}", output.len(), bytes.len());
        let mut client = ClientDialogue::new(true);
        client.session.receive(&bytes);
        client.collect();
        prop_assert!(client.session.output().len() <= 1_000);
        client.session.connection_lost();
        client.collect();
        prop_assert_eq!(client.session.phase(), indicia_smtp::client::Phase::Closed);
    }

    #[test]
    fn replies_survive_the_wire(
        code in 200u16..600,
        subject in 0u16..1_000,
        detail in 0u16..1_000,
        with_enhanced in any::<bool>(),
        text in vec("[^\\x00-\\x1f\\x7f-\\u{9f}0-9][^\\x00-\\x1f\\x7f-\\u{9f}]{0,300}|", 1..10),
    ) {
        let text = text.join("\n");
        let class = (code / 100) as u8;
        let reply = if with_enhanced && class != 3 {
            Reply::enhanced(code, (class, subject, detail), text)
        } else {
            Reply::new(code, text)
        };
        let mut wire = Vec::new();
        reply.write_to(&mut wire);
        let length = wire.len();
        wire.extend_from_slice(b"250 next\r\n");
        let mut parser = ReplyParser::default();
        prop_assert_eq!(parser.parse(&wire), Ok((length, Some(reply))));
        prop_assert!(!parser.is_within_reply());
    }

    #[test]
    fn addresses_are_stable_and_arbitrary_text_never_panics(text in "\\PC{0,80}", tail in "[a-z.@\"\\\\<>\\[\\]: ]{0,40}") {
        for candidate in [text.clone(), tail.clone(), format!("{text}@{tail}"), format!("\"{text}\"@example.com")] {
            if let Ok(mailbox) = Mailbox::parse(&candidate) {
                let normal = mailbox.to_string();
                prop_assert!(normal.len() <= 254 && !normal.contains(['\r', '\n']));
                prop_assert_eq!(Mailbox::parse(&normal), Ok(mailbox));
            }
        }
    }
}
