//! Every command of a session, in and out of sequence, well-formed and not.

use crate::support::{HOST, Server, server_dialogue, submission};
use indicia_smtp::parameter::{BodyType, Notify, ReturnContent};
use indicia_smtp::server::Config;

fn plain() -> Server {
    Server::new(Config::new(HOST))
}

#[test]
fn a_message_goes_through() {
    let server = server_dialogue(
        plain(),
        r"
        S: 220 mx.example.com ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.com
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 15728640
        C: MAIL FROM:<ann@example.com> SIZE=20 BODY=8BITMIME
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: Subject: hello
        C:
        C: ..two dots
        C: ...
        C: .
        S: 250 2.0.0 Ok, message 1
        C: QUIT
        S: 221 2.0.0 Closing connection
        --",
    );
    let message = &server.messages[0];
    assert_eq!(message.data, b"Subject: hello\r\n\r\n.two dots\r\n..\r\n");
    assert_eq!(message.from.to_string(), "ann@example.com");
    assert_eq!(message.recipients.len(), 1);
    assert_eq!(message.recipients[0].to.to_string(), "bob@example.org");
    assert_eq!((message.parameters.size_bytes, message.parameters.body), (Some(20), BodyType::EightBitMime));
    assert!(!message.eight_bit);
}

#[test]
fn a_pipelined_group_survives_one_bad_recipient() {
    let server = server_dialogue(
        plain(),
        r"
        S: 220 mx.example.com ESMTP
        C: HELO c
        S: 250 mx.example.com
        C: MAIL FROM:<>
        C: RCPT TO:<refused@example.org>
        C: RCPT TO:<bob@example.org>
        C: RCPT TO:<later@example.org>
        C: RCPT TO:<postmaster>
        C: RCPT TO:<broken>
        C: DATA
        S: 250 2.1.0 Sender OK
        S: 550 5.1.1 No such user
        S: 250 2.1.5 Recipient OK
        S: 450 4.2.1 Try again later
        S: 250 2.1.5 Recipient OK
        S: 501 5.1.3 Recipient: the address has no @ and domain
        S: 354 End data with <CR><LF>.<CR><LF>
        C: x
        C: .
        C: MAIL FROM:<ann@example.com>
        C: RCPT TO:<refused@example.org>
        C: DATA
        C: RSET
        C: NOOP with words
        S: 250 2.0.0 Ok, message 1
        S: 250 2.1.0 Sender OK
        S: 550 5.1.1 No such user
        S: 554 5.5.1 No valid recipients
        S: 250 2.0.0 OK
        S: 250 2.0.0 OK",
    );
    let recipients: Vec<_> = server.messages[0].recipients.iter().map(|r| r.to.to_string()).collect();
    assert_eq!(recipients, ["bob@example.org", "Postmaster"]);
    assert_eq!(server.session.protocol(), "SMTP");
    assert_eq!(server.session.hello_name(), Some("c"));
}

#[test]
fn commands_out_of_sequence() {
    server_dialogue(
        Server::new(Config { bad_commands_max: 100, ..Config::new(HOST) }),
        r"
        S: 220 mx.example.com ESMTP
        C: MAIL FROM:<ann@example.com>
        S: 503 5.5.1 Send EHLO first
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 Send MAIL first
        C: DATA
        S: 503 5.5.1 Send MAIL first
        C: STARTTLS
        S: 502 5.5.1 STARTTLS is not offered
        C: AUTH PLAIN
        S: 502 5.5.1 AUTH is not offered
        C: BDAT 4 LAST
        C+ NOOP
        S: 503 5.5.1 Send MAIL first
        C: HELO c
        S: 250 mx.example.com
        C: MAIL FROM:<ann@example.com>
        S: 250 2.1.0 Sender OK
        C: MAIL FROM:<ann@example.com>
        S: 503 5.5.1 MAIL was already given; finish the message or send RSET
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: RCPT TO:<bob@example.org>
        S: 250 2.1.5 Recipient OK
        C: HELO c
        S: 250 mx.example.com
        C: DATA
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<refused@example.com>
        S: 550 5.7.1 Sender refused
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 Send MAIL first",
    );
}

#[test]
fn malformed_commands() {
    server_dialogue(
        Server::new(Config { bad_commands_max: 100, ..Config::new(HOST) }),
        r"
        S: 220 mx.example.com ESMTP
        C: EHLO
        S: 501 5.5.4 Syntax: EHLO hostname
        C: EHLO two words
        S: 501 5.5.4 Syntax: EHLO hostname
        C: HELO
        S: 501 5.5.4 Syntax: HELO hostname
        C: helo c
        S: 250 mx.example.com
        C: MAIL
        S: 501 5.5.4 Syntax: MAIL FROM:<address>
        C: MAIL TO:<ann@example.com>
        S: 501 5.5.4 Syntax: MAIL FROM:<address>
        C: MAIL FROM:ann@example.com
        S: 501 5.1.7 Sender: the path must be enclosed in < and >
        C: MAIL FROM:<ann@example..com>
        S: 501 5.1.7 Sender: the domain is malformed
        C: MAIL FROM:<ann@example.com>SIZE=1
        S: 501 5.5.4 the parameters are malformed
        C: MAIL FROM:<ann@example.com> SIZE=1
        S: 555 5.5.4 the parameter SIZE is not recognised here
        C: mail from: <ann@example.com>
        S: 250 2.1.0 Sender OK
        C: RCPT
        S: 501 5.5.4 Syntax: RCPT TO:<address>
        C: RCPT TO:<>
        S: 501 5.1.3 Recipient: the address is empty
        C: RCPT TO:<bob@example.org> FOO=bar
        S: 555 5.5.4 the parameter FOO is not recognised here
        C: RCPT TO:<bob@example.org> NOTIFY=NEVER
        S: 555 5.5.4 the parameter NOTIFY is not recognised here
        C: rcpt to:<bob@example.org>
        S: 250 2.1.5 Recipient OK
        C: DATA now
        S: 501 5.5.4 Syntax: DATA
        C: RSET now
        S: 501 5.5.4 Syntax: RSET
        C: QUIT now
        S: 501 5.5.4 Syntax: QUIT
        C: VRFY
        S: 501 5.5.4 Syntax: VRFY address
        C: VRFY bob
        S: 252 2.5.0 Cannot VRFY; try RCPT to attempt delivery
        C: HELP me
        S: 214 2.0.0 See RFC 5321
        C: EXPN list
        S: 502 5.5.1 Command not implemented
        C: ETRN example.org
        S: 502 5.5.1 Command not implemented
        C:
        S: 500 5.5.1 Command not recognised
        C: XYZZY
        S: 500 5.5.1 Command not recognised
        C: VERYLONGCOMMAND
        S: 500 5.5.1 Command not recognised
        C: NOOP \0
        S: 500 5.5.2 Control character or malformed UTF-8
        C: NOOP \xff
        S: 500 5.5.2 Control character or malformed UTF-8
        C: quit\x20\x20
        S: 221 2.0.0 Closing connection
        --",
    );
}

fn extended(config: Config, transcript: &str) -> Server {
    let mut server = Server::new(Config { bad_commands_max: 100, ..config });
    server.play(b"EHLO client\r\n");
    server_dialogue(server, transcript)
}

#[test]
fn mail_parameters() {
    let server = extended(
        Config { size_bytes_max: 1_000, ..Config::new(HOST) },
        r"
        C: MAIL FROM:<ann@example.com> SIZE=1001
        S: 552 5.3.4 Message is larger than this server takes
        C: MAIL FROM:<ann@example.com> SIZE=99999999999999999999
        S: 552 5.3.4 Message is larger than this server takes
        C: MAIL FROM:<ann@example.com> SIZE
        S: 501 5.5.4 the value of the parameter SIZE is malformed
        C: MAIL FROM:<ann@example.com> SIZE=
        S: 501 5.5.4 the parameters are malformed
        C: MAIL FROM:<ann@example.com> SIZE=-1
        S: 501 5.5.4 the value of the parameter SIZE is malformed
        C: MAIL FROM:<ann@example.com> SIZE=1 SIZE=1
        S: 501 5.5.4 the parameter SIZE is given twice
        C: MAIL FROM:<ann@example.com> BODY=BINARYMIME
        S: 501 5.5.4 the value of the parameter BODY is malformed
        C: MAIL FROM:<ann@example.com> SMTPUTF8=yes
        S: 501 5.5.4 the value of the parameter SMTPUTF8 is malformed
        C: MAIL FROM:<ann@example.com> RET=FULL
        S: 555 5.5.4 the parameter RET is not recognised here
        C: MAIL FROM:<ann@example.com> AUTH=<>
        S: 555 5.5.4 the parameter AUTH is not recognised here
        C: MAIL FROM:<ann@example.com> \xc3\xa4=1
        S: 501 5.5.4 the parameters are malformed
        C: MAIL FROM:<\xc3\xa4nn@example.com>
        S: 553 5.6.7 Sender: address beyond ASCII needs SMTPUTF8
        C: MAIL FROM:<ann@b\xc3\xbccher.example>
        S: 553 5.6.7 Sender: address beyond ASCII needs SMTPUTF8
        C: MAIL FROM:<ann@example.com>
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<b\xc3\xb6b@example.com>
        S: 553 5.6.7 Recipient: address beyond ASCII needs SMTPUTF8
        C: RSET
        S: 250 2.0.0 OK
        C: MAIL FROM:<\xc3\xa4nn@b\xc3\xbccher.example> smtputf8 size=1000  body=7bit
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<b\xc3\xb6b@example.com>
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: \xc3\xa4
        C: .
        S: 250 2.0.0 Ok, message 1",
    );
    let message = &server.messages[0];
    assert!(message.parameters.smtputf8 && message.eight_bit);
    assert_eq!(message.from.to_string(), "änn@xn--bcher-kva.example");
    assert_eq!(message.parameters.body, BodyType::SevenBit);

    extended(
        Config { smtputf8: false, ..Config::new(HOST) },
        r"
        C: MAIL FROM:<ann@example.com> SMTPUTF8
        S: 555 5.5.4 the parameter SMTPUTF8 is not recognised here",
    );
}

#[test]
fn dsn_parameters_when_they_are_offered() {
    let server = extended(
        Config {
            dsn: true,
            auth: indicia_smtp::server::AuthOffer::Optional,
            auth_needs_tls: false,
            ..Config::new(HOST)
        },
        r"
        C: MAIL FROM:<ann@example.com> RET=all
        S: 501 5.5.4 the value of the parameter RET is malformed
        C: MAIL FROM:<ann@example.com> ENVID=a+4x
        S: 501 5.5.4 the value of the parameter ENVID is malformed
        C: MAIL FROM:<ann@example.com> AUTH=nobody
        S: 501 5.5.4 the value of the parameter AUTH is malformed
        C: MAIL FROM:<ann@example.com> RET=HDRS ENVID=a+2Bb AUTH=ann+2Bx@example.com
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<bob@example.org> NOTIFY=NEVER,DELAY
        S: 501 5.5.4 the value of the parameter NOTIFY is malformed
        C: RCPT TO:<bob@example.org> NOTIFY=DELAY,DELAY
        S: 501 5.5.4 the value of the parameter NOTIFY is malformed
        C: RCPT TO:<bob@example.org> ORCPT=bob@example.org
        S: 501 5.5.4 the value of the parameter ORCPT is malformed
        C: RCPT TO:<bob@example.org> NOTIFY=SUCCESS,delay ORCPT=rfc822;b+2Bob@example.org
        S: 250 2.1.5 Recipient OK
        C: DATA
        S: 354 End data with <CR><LF>.<CR><LF>
        C: .
        S: 250 2.0.0 Ok, message 1",
    );
    let message = &server.messages[0];
    assert_eq!(message.parameters.return_content, Some(ReturnContent::Headers));
    assert_eq!(message.parameters.envelope_id.as_deref(), Some("a+b"));
    assert_eq!(message.parameters.submitter.as_deref(), Some("ann+x@example.com"));
    let parameters = &message.recipients[0].parameters;
    assert_eq!(parameters.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(parameters.original_recipient.as_ref().map(|o| o.address.as_str()), Some("b+ob@example.org"));
    assert_eq!(message.data, b"", "an empty message is the caller's to judge");
}

#[test]
fn chunks_make_a_message() {
    let server = extended(
        Config::new(HOST),
        r"
        C: MAIL FROM:<ann@example.com>
        C: RCPT TO:<bob@example.org>
        C: BDAT 7
        C+ .\r\nab\r\nBDAT 3\r\n\n.\rBDAT 4 LAST\r\n\ncd.MAIL FROM:<ann@example.com>\r\n
        S: 250 2.1.0 Sender OK
        S: 250 2.1.5 Recipient OK
        S: 250 2.0.0 7 octets received
        S: 554 5.6.0 Message has a bare CR or a bare LF; every line must end in CRLF
        S: 503 5.5.1 An earlier chunk was refused; send RSET
        S: 250 2.1.0 Sender OK
        C: RCPT TO:<bob@example.org>
        C: BDAT 4
        C+ .\r\n.
        S: 250 2.1.5 Recipient OK
        S: 250 2.0.0 4 octets received
        C: RCPT TO:<bob@example.org>
        S: 503 5.5.1 RCPT is not allowed after BDAT
        C: DATA
        S: 503 5.5.1 DATA is not allowed after BDAT
        C: MAIL FROM:<ann@example.com>
        S: 503 5.5.1 MAIL was already given; finish the message or send RSET
        C: BDAT 1
        C+ \rBDAT 1\r\n\n
        S: 250 2.0.0 1 octets received
        S: 250 2.0.0 1 octets received
        C: BDAT 0 LAST
        S: 250 2.0.0 Ok, message 1
        C: BDAT 1 LAST
        C+ x
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<ann@example.com>
        C: BDAT 2 LAST
        C+ xy
        S: 250 2.1.0 Sender OK
        S: 554 5.5.1 No valid recipients",
    );
    assert_eq!(server.messages.len(), 1);
    assert_eq!(server.messages[0].data, b".\r\n.\r\n", "dots are not stuffed in chunks, CRLF may span two");
}

#[test]
fn a_chunk_of_unknown_length_ends_the_connection() {
    for argument in ["", "x", "-1", "1 FIRST", "99999999999999999999999", "1,5"] {
        let mut server = Server::new(Config::new(HOST));
        let output = server.play(format!("EHLO c\r\nBDAT {argument}\r\nMAIL FROM:<a@b>\r\n").as_bytes());
        let output = String::from_utf8(output).expect("text");
        assert!(output.contains("\r\n501 5.5.4 Syntax: BDAT"), "{output}");
        assert!(server.closed && server.events == ["Close"], "{argument}: nothing behind it is a command");
    }
}

#[test]
fn chunking_that_was_not_offered_is_refused_and_its_octets_are_not_commands() {
    extended(
        Config { chunking: false, ..Config::new(HOST) },
        r"
        C: MAIL FROM:<ann@example.com>
        C: BDAT 6 LAST
        C+ QUIT\r\nNOOP\r\n
        S: 250 2.1.0 Sender OK
        S: 502 5.5.1 BDAT is not offered
        S: 250 2.0.0 OK",
    );
}

#[test]
fn browsers_are_shown_the_door() {
    for request in ["GET / HTTP/1.1", "POST /x HTTP/1.1", "CONNECT mx.example.com:25 HTTP/1.1"] {
        let mut server = plain();
        let output = server.play(format!("{request}\r\nHELO c\r\nMAIL FROM:<a@b>\r\n").as_bytes());
        assert!(output.ends_with(b"554 5.7.0 This is an SMTP server; closing connection\r\n"));
        assert!(server.closed && server.events == ["Close"]);
    }
}

#[test]
fn the_caller_may_close_at_any_time() {
    use indicia_smtp::Reply;
    let mut server = Server::new(submission());
    server.session.close(Reply::enhanced(421, (4, 4, 2), "Timeout"));
    server.session.close(Reply::enhanced(421, (4, 3, 2), "A second reason is not told"));
    let output = server.play(b"EHLO c\r\n");
    assert_eq!(output, b"220 mx.example.com ESMTP\r\n421 4.4.2 Timeout\r\n");
    assert!(server.closed);
    assert_eq!(server.play(b"NOOP\r\n"), b"");

    server_dialogue(
        plain(),
        r"
        S: 220 mx.example.com ESMTP
        C: HELO c
        C: MAIL FROM:<ann@example.com>
        C: RCPT TO:<shutdown@example.org>
        C: NOOP
        S: 250 mx.example.com
        S: 250 2.1.0 Sender OK
        S: 421 4.3.2 Shutting down
        --",
    );
}
