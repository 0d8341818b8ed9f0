//! No line ending but CRLF ends anything. Each case hides a second transaction behind a false end of data;
//! a receiver that falls for it sees two messages.

use crate::support::{HOST, Server};
use indicia_smtp::server::Config;

const HIDDEN: &str = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nevil\r\n.\r\n";

fn within_data() -> Server {
    let mut server = Server::new(Config::new(HOST));
    server.play(b"EHLO c\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n");
    server
}

#[test]
fn no_false_end_of_data() {
    let breaks = [
        "", "\r", "\n", "\r\n", "\n\r", "\r\r", "\n\n", "\r\r\n", "\r\n\r", "\r\n\n", "\0\r\n", "\x0b",
        "\u{85}",
    ];
    let mut cases = 0;
    for before in breaks {
        for dot in [".", "..", ".\0"] {
            for after in breaks {
                let end = format!("x{before}{dot}{after}");
                // What really ends the content, by the letter of RFC 5321: CRLF "." CRLF.
                let true_end = end.ends_with("\r\n.\r\n") || end.contains("\r\n.\r\n");
                let mut server = within_data();
                let output = server.play(format!("{end}{HIDDEN}").as_bytes());
                let output = String::from_utf8(output).expect("text");
                let bare = end.replace("\r\n", "").contains(['\r', '\n'])
                    || end.replace("\r\n", "\u{1}").contains(['\r', '\n']);
                let froms: Vec<_> = server.messages.iter().map(|message| message.from.to_string()).collect();
                if true_end {
                    assert!(!froms.is_empty() || bare, "{end:?} is an end: {output}");
                } else if bare {
                    assert!(froms.is_empty(), "{end:?} let through {froms:?}");
                    assert_eq!(output.lines().count(), 1, "{end:?}: one reply, not {output}");
                    assert!(output.starts_with("554 5.6.0 "), "{end:?}: {output}");
                } else {
                    assert_eq!(froms, ["ann@example.com"], "{end:?} split the message");
                    let data = String::from_utf8_lossy(&server.messages[0].data);
                    assert!(data.contains("MAIL FROM:<evil@example.com>"), "{end:?}: all of it is content");
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 13 * 3 * 13);
}

#[test]
fn the_classic_false_ends_by_name() {
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r.\r",
        "\r.\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\n.\r",
        "\r\r\n.\r",
        "\r\n.\r\r\n",
        "\r\n.\0\r\n",
    ] {
        let mut server = within_data();
        let output = server.play(format!("x{end}{HIDDEN}").as_bytes());
        let lines = output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).count();
        assert_eq!(lines, 1, "{end:?}: {}", output.escape_ascii());
        let senders: Vec<_> = server.messages.iter().map(|message| message.from.to_string()).collect();
        assert!(senders.is_empty() || senders == ["ann@example.com"], "{end:?}: {senders:?}");
    }
}

#[test]
fn a_session_goes_on_after_refused_content() {
    let mut server = within_data();
    assert_eq!(server.play(b"a\nb\r\n.\r"), b"", "nothing is said before the real end");
    let output = server.play(format!("\n{HIDDEN}").as_bytes());
    let output = String::from_utf8(output).expect("text");
    assert!(output.starts_with("554 5.6.0 Message has a bare CR or a bare LF"), "{output}");
    assert_eq!(server.messages.len(), 1, "what follows the real end is an ordinary transaction");
}

#[test]
fn chunks_with_bare_breaks_are_refused_and_stay_content() {
    for content in
        ["a\nb\r\n", "a\rb\r\n", "a\n", "a\r", "\n", "\r", "a\r\r\n", "a\n\r", "a\n.\r\n", "\r\n.\n", "\n.\n"]
    {
        let mut server = Server::new(Config::new(HOST));
        server.play(b"EHLO c\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\n");
        let chunk = format!("{content}{HIDDEN}");
        let output = server.play(format!("BDAT {} LAST\r\n{chunk}NOOP\r\n", chunk.len()).as_bytes());
        let output = String::from_utf8(output).expect("text");
        assert!(output.starts_with("554 5.6.0 "), "{content:?}: {output}");
        assert!(output.ends_with("\r\n250 2.0.0 OK\r\n"), "{content:?}: {output}");
        assert_eq!(output.lines().count(), 2, "{content:?}: {output}");
        assert!(server.messages.is_empty());
    }
    let mut server = Server::new(Config::new(HOST));
    server.play(b"EHLO c\r\nMAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\n");
    let chunk = format!("x\r\n.\r\n{HIDDEN}");
    server.play(format!("BDAT {} LAST\r\n{chunk}", chunk.len()).as_bytes());
    assert_eq!(server.messages.len(), 1, "an end of DATA means nothing in a chunk");
    assert_eq!(server.messages[0].data, chunk.as_bytes());
}

#[test]
fn bare_breaks_in_commands_end_the_connection() {
    for line in [
        "NOOP\n",
        "NOOP\nNOOP\r\n",
        "NOOP\rNOOP\r\n",
        "NOOP\r\r\n",
        "\n",
        "\r\r",
        "MAIL FROM:<a@b\nRCPT TO:<c@d>\r\n",
    ] {
        let mut server = Server::new(Config::new(HOST));
        let output = server.play(format!("EHLO c\r\n{line}{HIDDEN}").as_bytes());
        let output = String::from_utf8(output).expect("text");
        let last = output.lines().last().expect("a line");
        assert!(last.starts_with("500 5.5.2 Bare CR or LF in a command"), "{line:?}: {output}");
        assert_eq!(server.events, ["Close"], "{line:?}");
        assert!(server.closed);
    }
}
