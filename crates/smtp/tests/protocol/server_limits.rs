//! Limits of lines, errors, recipients and sizes.

use crate::support::{HOST, Server, reply, server_dialogue, submission};
use indicia_smtp::server::{Config, Replies};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

#[test]
fn a_line_too_long_is_read_to_its_end_and_refused_once() {
    for (length, fits) in [(2_048, true), (2_049, false), (100_000, false)] {
        let mut server = Server::new(Config::new(HOST));
        server.play(b"");
        let line = format!("NOOP {}\r\n", "x".repeat(length - 7));
        assert_eq!(line.len(), length);
        let expected = if fits { "250 2.0.0 OK\r\n" } else { "500 5.5.2 Line too long\r\n" };
        assert_eq!(
            text(server.play(format!("{line}NOOP\r\n").as_bytes())),
            format!("{expected}250 2.0.0 OK\r\n")
        );
    }
}

#[test]
fn lines_of_auth_may_be_longer() {
    for (length, expected) in [
        (12_288, "501 5.5.2 Malformed authentication response\r\n"),
        (12_289, "500 5.5.6 Authentication line too long\r\n"),
    ] {
        let mut server = Server::new(submission());
        server.play(b"EHLO c\r\nAUTH LOGIN\r\n");
        let line = format!("{}\r\n", "!".repeat(length - 2));
        assert_eq!(text(server.play(line.as_bytes())), expected);
        assert_eq!(text(server.play(b"NOOP\r\n")), "250 2.0.0 OK\r\n", "the exchange is over");
        let line = format!("AUTH PLAIN {}\r\n", "!".repeat(length - 13));
        let expected = expected.replace("5.5.6 Authentication line", "5.5.2 Line");
        assert_eq!(text(server.play(line.as_bytes())), expected);
    }
}

#[test]
fn too_many_errors_close_the_connection() {
    let mut server = Server::new(Config { bad_commands_max: 3, ..Config::new(HOST) });
    server.play(b"");
    let output = text(server.play(b"A\r\nNOOP\r\nB\r\nC\r\nNOOP\r\n"));
    let expected = "500 5.5.1 Command not recognised\r\n250 2.0.0 OK\r\n500 5.5.1 Command not recognised\r\n\
                    421 4.7.0 Too many errors; closing connection\r\n";
    assert_eq!(output, expected);
    assert!(server.closed);
}

#[test]
fn too_many_idle_commands_close_the_connection_but_mail_starts_the_count_again() {
    let mut server = Server::new(Config { idle_commands_max: 3, ..Config::new(HOST) });
    server.play(b"HELO c\r\nNOOP\r\nRSET\r\n");
    server.play(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n");
    assert_eq!(text(server.play(b"NOOP\r\nVRFY x\r\nHELP\r\n")).lines().count(), 3);
    assert!(!server.closed);
    assert_eq!(text(server.play(b"EHLO c\r\n")), "421 4.7.0 Too many commands without a message\r\n");
    assert!(server.closed);
}

#[test]
fn recipients_are_limited_and_the_reply_is_the_services() {
    let replies = Replies {
        too_many_recipients: reply("556 The number of RCPTs is over size"),
        too_large: reply("557 The length of DATA content is achieved the maximum threshold"),
        ..Replies::default()
    };
    let config = Config { recipients_max: 2, size_bytes_max: 5, replies, ..Config::new(HOST) };
    let server = server_dialogue(
        Server::new(config),
        r"
        S: 220 mx.example.com ESMTP
        C: HELO c
        S: 250 mx.example.com
        C: MAIL FROM:<ann@example.com>
        C: RCPT TO:<one@example.org>
        C: RCPT TO:<refused@example.org>
        C: RCPT TO:<two@example.org>
        C: RCPT TO:<three@example.org>
        C: DATA
        S: 250 2.1.0 Sender OK
        S: 250 2.1.5 Recipient OK
        S: 550 5.1.1 No such user
        S: 250 2.1.5 Recipient OK
        S: 556 The number of RCPTs is over size
        S: 354 End data with <CR><LF>.<CR><LF>
        C: abc
        C: .
        S: 250 2.0.0 Ok, message 1
        C: MAIL FROM:<ann@example.com>
        C: RCPT TO:<one@example.org>
        C: DATA
        S: 250 2.1.0 Sender OK
        S: 250 2.1.5 Recipient OK
        S: 354 End data with <CR><LF>.<CR><LF>
        C: abcd
        C: .
        C: NOOP
        S: 557 The length of DATA content is achieved the maximum threshold
        S: 250 2.0.0 OK",
    );
    assert_eq!(server.messages.len(), 1);
    assert_eq!(server.messages[0].recipients.len(), 2);
}

#[test]
fn oversize_chunks_are_refused_without_being_kept() {
    let mut server = Server::new(Config { size_bytes_max: 8, discard_bytes_max: 100, ..Config::new(HOST) });
    server.play(b"EHLO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
    assert_eq!(text(server.play(b"BDAT 6\r\nabcd\r\n")), "250 2.0.0 6 octets received\r\n");
    assert!(text(server.play(b"BDAT 4\r\nab\r\n")).starts_with("552 5.3.4"));
    assert!(text(server.play(b"BDAT 2 LAST\r\n\r\n")).starts_with("503 5.5.1"));
    assert!(!server.session.is_in_transaction());
    assert!(text(server.play(b"BDAT 109\r\n")).starts_with("552 5.3.4"), "not worth reading");
    assert!(server.closed && server.messages.is_empty());
}

#[test]
fn endless_content_ends_the_connection() {
    let mut server =
        Server::new(Config { size_bytes_max: 100, discard_bytes_max: 1_000, ..Config::new(HOST) });
    server.play(b"HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    for _ in 0..11 {
        assert_eq!(server.play(&[b'x'; 100]), b"");
    }
    assert!(text(server.play(b"x")).starts_with("552 5.3.4"));
    assert!(server.closed && server.messages.is_empty());
}
