//! AUTH and STARTTLS: who may log in when, and what must be forgotten.

use crate::support::{HOST, Server, server_dialogue, submission};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicia_smtp::server::{AuthOffer, Config, Secret};

fn extended(config: Config) -> Server {
    let mut server = Server::new(Config { bad_commands_max: 100, ..config });
    server.play(b"EHLO client\r\n");
    server
}

#[test]
fn plain_and_login_with_and_without_initial_response() {
    let plain = STANDARD.encode("\0ann@example.com\0secret");
    let own = STANDARD.encode("ann@example.com\0ann@example.com\0secret");
    let user = STANDARD.encode("ann@example.com");
    let password = STANDARD.encode("secret");
    let unpadded = password.trim_end_matches('=');
    for exchange in [
        format!("C: AUTH PLAIN {plain}"),
        format!("C: auth plain {own}"),
        format!("C: AUTH PLAIN\nS: 334\nC: {plain}"),
        format!("C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {user}\nS: 334 UGFzc3dvcmQ6\nC: {password}"),
        format!("C: AUTH LOGIN {user}\nS: 334 UGFzc3dvcmQ6\nC: {unpadded}"),
    ] {
        let server = server_dialogue(
            extended(submission()),
            &format!(
                "C: MAIL FROM:<ann@example.com>
                S: 530 5.7.0 Authentication required
                {exchange}
                S: 235 2.7.0 Authentication succeeded
                C: AUTH PLAIN {plain}
                S: 503 5.5.1 Already authenticated
                C: MAIL FROM:<ann@example.com> AUTH=<>
                S: 250 2.1.0 Sender OK"
            ),
        );
        assert_eq!(server.session.protocol(), "ESMTPA");
        assert!(!format!("{:?}", server.events).contains("secret\""), "the password is not shown");
    }
    assert_eq!(format!("{:?}", Secret::new("secret".to_owned())), "Secret(..)");
}

#[test]
fn refused_logins() {
    let b64 = |text: &str| STANDARD.encode(text);
    let wrong = b64("\0ann@example.com\0wrong");
    let foreign = b64("bob@example.com\0ann@example.com\0secret");
    let (two, four) = (b64("ann\0secret"), b64("\0ann\0secret\0more"));
    let no_user = b64("\0\0secret");
    server_dialogue(
        extended(submission()),
        &format!(
            r"
            C: AUTH
            S: 501 5.5.4 Syntax: AUTH mechanism [initial-response]
            C: AUTH PLAIN a b
            S: 501 5.5.4 Syntax: AUTH mechanism [initial-response]
            C: AUTH CRAM-MD5
            S: 504 5.5.4 Mechanism not recognised; use PLAIN or LOGIN
            C: AUTH PLAIN {wrong}
            S: 535 5.7.8 Authentication failure.
            C: AUTH PLAIN {foreign}
            S: 535 5.7.8 Acting as another identity is not allowed
            C: AUTH PLAIN {two}
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN {four}
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN {no_user}
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN !!!!
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN =
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN /w==
            S: 501 5.5.2 Malformed authentication response
            C: AUTH PLAIN
            S: 334
            C: *
            S: 501 5.7.0 Authentication cancelled
            C: AUTH LOGIN
            S: 334 VXNlcm5hbWU6
            C: *
            S: 501 5.7.0 Authentication cancelled
            C: AUTH LOGIN =
            S: 334 UGFzc3dvcmQ6
            C:
            S: 535 5.7.8 Authentication failure.
            C: MAIL FROM:<ann@example.com>
            S: 530 5.7.0 Authentication required"
        ),
    );
}

#[test]
fn auth_has_its_place() {
    let plain = STANDARD.encode("\0ann@example.com\0secret");
    let config = Config { auth: AuthOffer::Optional, auth_needs_tls: false, ..Config::new(HOST) };
    let server = Server::new(config);
    server_dialogue(
        server,
        &format!(
            r"
            S: 220 mx.example.com ESMTP
            C: AUTH PLAIN {plain}
            S: 503 5.5.1 Send EHLO first
            C: HELO c
            S: 250 mx.example.com
            C: AUTH PLAIN {plain}
            S: 503 5.5.1 Send EHLO first
            C: EHLO c
            S: 250-mx.example.com
            S: 250-PIPELINING
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-AUTH PLAIN LOGIN
            S: 250 SIZE 15728640
            C: MAIL FROM:<ann@example.com>
            S: 250 2.1.0 Sender OK
            C: AUTH PLAIN {plain}
            S: 503 5.5.1 AUTH is not allowed during a mail transaction"
        ),
    );
}

#[test]
fn no_login_in_clear_when_tls_is_needed() {
    let plain = STANDARD.encode("\0ann@example.com\0secret");
    let config = || Config { auth: AuthOffer::Required, starttls: true, ..Config::new(HOST) };
    let server = server_dialogue(
        Server::new(config()),
        &format!(
            r"
            S: 220 mx.example.com ESMTP
            C: STARTTLS
            S: 503 5.5.1 Send EHLO first
            C: EHLO c
            S: 250-mx.example.com
            S: 250-PIPELINING
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-STARTTLS
            S: 250 SIZE 15728640
            C: AUTH PLAIN {plain}
            S: 538 5.7.11 Encryption required for authentication; use STARTTLS
            C: MAIL FROM:<ann@example.com>
            S: 530 5.7.0 Must issue a STARTTLS command first
            C: STARTTLS now
            S: 501 5.5.4 Syntax: STARTTLS
            C: STARTTLS
            S: 220 2.0.0 Ready to start TLS
            C: MAIL FROM:<ann@example.com>
            S: 503 5.5.1 Send EHLO first
            C: EHLO c
            S: 250-mx.example.com
            S: 250-PIPELINING
            S: 250-8BITMIME
            S: 250-SMTPUTF8
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-AUTH PLAIN LOGIN
            S: 250 SIZE 15728640
            C: STARTTLS
            S: 503 5.5.1 TLS is already active
            C: AUTH PLAIN {plain}
            S: 235 2.7.0 Authentication succeeded"
        ),
    );
    assert_eq!(server.session.protocol(), "ESMTPSA");
    assert!(Server::with_tls(config(), true).session.is_tls_active());
}

#[test]
fn what_is_injected_behind_starttls_is_never_a_command() {
    let config = Config { starttls: true, ..Config::new(HOST) };
    let mut server = Server::new(config);
    server.hold_tls = true;
    server.play(b"EHLO c\r\nMAIL FROM:<ann@example.com>\r\n");
    let output = server.play(b"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.com>\r\n");
    assert_eq!(output, b"220 2.0.0 Ready to start TLS\r\n");
    assert_eq!(server.play(b"RSET\r\n"), b"", "nor is what follows in the next packet");
    assert_eq!(server.session.tls_established(), 11 + 30 + 6, "and the caller is told");
    assert!(!server.session.is_in_transaction() && server.session.hello_name().is_none());
    assert_eq!(server.play(b"RCPT TO:<bob@example.org>\r\n"), b"503 5.5.1 Send MAIL first\r\n");
    assert_eq!(server.events.len(), 2, "{:?}", server.events);
}
