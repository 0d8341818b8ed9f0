//! One connection against a scripted server: every time limit, TLS, reuse, what breaks and how it is told.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use indicia_delivery::LocalAddresses;
use indicia_delivery::connection::{Connection, Envelope, OpenError, WireSettings};
use indicia_delivery::ending::Ending;
use indicia_delivery::route::Candidate;
use indicia_delivery::source::SourceError;
use indicia_delivery::tls::Tls;
use indicia_domain::outcome::{Disposition, ErrorClassification, Phase};

use support::server::{Do, Server, Step, closed_port, say};

fn settings() -> Arc<WireSettings> {
    Arc::new(WireSettings {
        hello_name: "mail.example.net".into(),
        timeout_permille: 3,
        ..WireSettings::default()
    })
}

fn candidate(server: &Server) -> Candidate {
    Candidate { host: "127.0.0.1".into(), address: server.address }
}

fn envelope(content: &[&'static str]) -> Envelope {
    Envelope {
        reverse_path: "b-x@bounce.test".into(),
        recipient: "user@example.net".into(),
        content: content.iter().map(|chunk| Bytes::from_static(chunk.as_bytes())).collect(),
        smtputf8: false,
    }
}

async fn open(server: &Server) -> Result<Connection, Ending> {
    open_with(&candidate(server), &settings(), &Tls::opportunistic().expect("TLS")).await
}

/// Opened from a shared address.
async fn open_with(
    candidate: &Candidate,
    settings: &Arc<WireSettings>,
    tls: &Tls,
) -> Result<Connection, Ending> {
    Connection::open(candidate, settings, tls, None).await.map_err(|error| match error {
        OpenError::Failed(ending, _) => ending,
        OpenError::Source(error) => panic!("no dedicated address was asked for: {error}"),
    })
}

#[tokio::test]
async fn every_step_has_its_time_limit_and_names_it() {
    let table = [
        ("GREETING", Phase::Greeting),
        ("EHLO", Phase::Hello),
        ("MAIL", Phase::Mail),
        ("RCPT", Phase::Rcpt),
        ("DATA", Phase::Data),
        (".", Phase::Final),
    ];
    let checks = table.map(async |(verb, phase)| {
        let script = move |step: &Step| if step.verb == verb { Do::Hang } else { Do::Usual };
        let server = Server::offering("8BITMIME", script).await;
        let ending = match open(&server).await {
            Err(ending) => ending,
            Ok(mut connection) => {
                let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
                assert!(!reusable);
                ending
            }
        };
        assert_eq!(ending.phase, phase, "{verb}: {}", ending.words);
        assert_eq!(ending.verdict.classification, ErrorClassification::SysOutConnTimeout, "{verb}");
        assert_eq!(ending.verdict.disposition, Disposition::Temporary, "{verb}");
        assert!(ending.words.contains("did not answer in time"), "{}", ending.words);
    });
    futures::future::join_all(checks).await;
}

#[tokio::test]
async fn content_that_is_not_taken_times_out() {
    let server = Server::scripted(|step| if step.verb == "CONTENT" { Do::Hang } else { Do::Usual }).await;
    let settings = Arc::new(WireSettings { starttls: false, ..(*settings()).clone() });
    let tls = Tls::opportunistic().expect("TLS");
    let mut connection = open_with(&candidate(&server), &settings, &tls).await.expect("a connection");
    let mut mail = envelope(&["Subject: x\r\n\r\n"]);
    mail.content.push(Bytes::from("0123456789abcdef\r\n".repeat(2 << 20)));
    let (ending, _) = connection.deliver(mail).await;
    assert_eq!(ending.phase, Phase::Content, "{}", ending.words);
    assert_eq!(ending.verdict.classification, ErrorClassification::SysOutConnTimeout);
}

#[tokio::test]
async fn a_peer_that_drips_octets_is_given_up_all_the_same() {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        for octet in b"220-".iter().chain(std::iter::repeat(&b'x')) {
            if stream.write_all(&[*octet]).await.is_err() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    let candidate = Candidate { host: "127.0.0.1".into(), address };
    let opened = open_with(&candidate, &settings(), &Tls::opportunistic().expect("TLS")).await;
    let ending = opened.expect_err("no greeting ever ends");
    assert_eq!(
        (ending.phase, ending.verdict.classification),
        (Phase::Greeting, ErrorClassification::SysOutConnTimeout)
    );
}

#[tokio::test]
async fn pipelined_commands_leave_in_one_write() {
    let server = Server::offering("PIPELINING", |_| Do::Usual).await;
    let mut connection = open(&server).await.expect("a connection");
    let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\n", ".x\r\n"])).await;
    assert_eq!((ending.verdict.disposition, reusable), (Disposition::Delivered, true), "{}", ending.words);
    assert!(
        server
            .reads()
            .iter()
            .any(|read| read.starts_with("MAIL FROM:<b-x@bounce.test>") && read.contains("DATA\r\n")),
        "{:?}",
        server.reads()
    );
    assert_eq!(server.messages(), ["Subject: x\r\n\r\n.x\r\n"]);
}

#[tokio::test]
async fn without_pipelining_one_command_at_a_time() {
    let server = Server::offering("8BITMIME", |_| Do::Usual).await;
    let mut connection = open(&server).await.expect("a connection");
    for _ in 0..3 {
        let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\nx"])).await;
        assert_eq!(
            (ending.verdict.disposition, reusable),
            (Disposition::Delivered, true),
            "{}",
            ending.words
        );
    }
    assert!(server.reads().iter().all(|read| !(read.contains("MAIL") && read.contains("RCPT"))));
    assert_eq!((server.connections(), server.messages().len()), (1, 3));
    connection.close().await;
    assert_eq!(server.count("QUIT"), 1);
}

#[tokio::test]
async fn starttls_without_verification_and_told_so() {
    let server = Server::friendly().await;
    let mut connection = open(&server).await.expect("a connection");
    let tls = connection.ends().tls.clone().expect("TLS");
    assert_eq!((tls.version.as_str(), tls.verified), ("TLSv1.3", false));
    assert!(tls.cipher.starts_with("TLS13_"), "{tls}");
    let (ending, _) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
    assert_eq!(ending.verdict.disposition, Disposition::Delivered, "{}", ending.words);
    assert_eq!(server.count("EHLO"), 2, "EHLO is said again after TLS");
}

#[tokio::test]
async fn a_broken_handshake_means_plain_text_on_a_new_connection_and_is_remembered() {
    let server =
        Server::scripted(|step| if step.verb == "STARTTLS" { Do::BreakTls } else { Do::Usual }).await;
    let tls = Tls::opportunistic().expect("TLS");
    for connections in [2, 3] {
        let mut connection = open_with(&candidate(&server), &settings(), &tls).await.expect("a connection");
        assert_eq!(connection.ends().tls, None);
        let (ending, _) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
        assert_eq!(ending.verdict.disposition, Disposition::Delivered, "{}", ending.words);
        assert_eq!(server.connections(), connections);
    }
    assert_eq!(server.count("STARTTLS"), 1, "the host is not asked again for a while");
}

#[tokio::test]
async fn a_refused_starttls_goes_on_in_plain_text() {
    let server =
        Server::scripted(|step| if step.verb == "STARTTLS" { say("454 4.7.0 not now") } else { Do::Usual })
            .await;
    let mut connection = open(&server).await.expect("a connection");
    let (ending, _) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
    assert_eq!(ending.verdict.disposition, Disposition::Delivered);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn replies_decide_and_say_where() {
    let table = [
        ("MAIL", "550 5.7.1 blocked using zen.spamhaus.org", Phase::Mail, ErrorClassification::SmtpMiscSpam),
        ("RCPT", "550 5.1.1 user unknown", Phase::Rcpt, ErrorClassification::SmtpNxBox),
        ("RCPT", "451 4.7.1 greylisted", Phase::Rcpt, ErrorClassification::SmtpGreylist),
        ("DATA", "451 4.3.0 no", Phase::Data, ErrorClassification::SmtpZTempErr),
        (".", "554 5.7.1 spam message rejected", Phase::Final, ErrorClassification::SmtpContSpam),
    ];
    for (verb, reply, phase, class) in table {
        let server =
            Server::scripted(move |step| if step.verb == verb { say(reply) } else { Do::Usual }).await;
        let mut connection = open(&server).await.expect("a connection");
        let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
        assert_eq!((ending.phase, ending.verdict.classification), (phase, class), "{verb} {reply}");
        assert_eq!(ending.words, reply);
        assert!(reusable, "a refused mail leaves the connection usable: {verb} {reply}");
        let (second, _) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
        assert_eq!(second.words, reply, "the dialogue is still in step");
    }
}

#[tokio::test]
async fn a_lost_connection_says_where_and_what_is_uncertain() {
    let server = Server::scripted(|step| if step.verb == "." { Do::Drop } else { Do::Usual }).await;
    let mut connection = open(&server).await.expect("a connection");
    let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\nx\r\n"])).await;
    assert_eq!((ending.phase, reusable), (Phase::Final, false));
    assert_eq!(ending.verdict.disposition, Disposition::Temporary, "an unknown outcome is tried again");
    assert!(ending.words.contains("sent again"), "{}", ending.words);
}

#[tokio::test]
async fn refusals_at_the_door() {
    let busy = Server::scripted(|_| Do::SayAndDrop("421 4.3.2 too busy".into())).await;
    let ending = open(&busy).await.expect_err("refused");
    assert_eq!(
        (ending.code, ending.verdict.disposition),
        (Some(421), Disposition::Temporary),
        "{}",
        ending.words
    );
    let blocked = Server::scripted(|_| say("554 5.7.1 blocked")).await;
    let ending = open(&blocked).await.expect_err("refused");
    assert_eq!((ending.code, ending.phase), (Some(554), Phase::Greeting));
    assert_eq!(ending.verdict.disposition, Disposition::Temporary, "it speaks of the host, not of the mail");
    let nobody = Candidate { host: "127.0.0.1".into(), address: closed_port().await };
    let tls = Tls::opportunistic().expect("TLS");
    let ending = open_with(&nobody, &settings(), &tls).await.expect_err("refused");
    assert_eq!(
        (ending.phase, ending.verdict.classification),
        (Phase::Connect, ErrorClassification::SysOutConnFail)
    );
}

#[tokio::test]
async fn the_next_host_is_tried_when_the_first_fails() {
    let (busy, good) = (Server::scripted(|_| say("421 4.3.2 no")).await, Server::friendly().await);
    let dead = Candidate { host: "127.0.0.1".into(), address: closed_port().await };
    let candidates = [dead, candidate(&busy), candidate(&good)];
    let tls = Tls::opportunistic().expect("TLS");
    let opened = Connection::open_any(&candidates, &settings(), &tls, None).await;
    assert_eq!(opened.expect("a connection").ends().remote, good.address);
}

#[tokio::test]
async fn the_local_address_can_be_chosen() {
    let server = Server::friendly().await;
    let tls = Tls::opportunistic().expect("TLS");
    let local = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    let shared = WireSettings { local_addresses: LocalAddresses::new([local(9)]), ..(*settings()).clone() };
    let shared = Arc::new(shared);
    let from = async |source| {
        let opened = Connection::open_any(&[candidate(&server)], &shared, &tls, source).await;
        opened.map(|connection| connection.ends().local.map(|local| local.ip()))
    };
    assert_eq!(from(None).await.expect("a connection"), Some(local(9)));
    assert_eq!(from(Some(local(8))).await.expect("a connection"), Some(local(8)));
    let foreign = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 77));
    let refused = from(Some(foreign)).await.expect_err("not on this machine");
    assert!(
        matches!(refused, OpenError::Source(SourceError::Unusable { address, .. }) if address == foreign)
    );
    let refused = from(Some("::1".parse().expect("IPv6"))).await.expect_err("the server has IPv4 only");
    assert!(matches!(refused, OpenError::Source(SourceError::NoneOfItsFamily { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_the_peer_lacks_is_a_permanent_failure_found_without_asking() {
    let server = Server::offering("PIPELINING", |_| Do::Usual).await;
    let mut connection = open(&server).await.expect("a connection");
    let (ending, reusable) = connection.deliver(envelope(&["Subject: x\r\n\r\n\u{e9}\r\n"])).await;
    assert_eq!(ending.verdict.classification, ErrorClassification::SysOutUnsupported);
    assert!(ending.words.starts_with("554 5.6.3 ") && reusable, "{}", ending.words);
    let mut utf8 = envelope(&["Subject: x\r\n\r\nx\r\n"]);
    utf8.smtputf8 = true;
    let (ending, _) = connection.deliver(utf8).await;
    assert!(ending.words.starts_with("554 5.6.7 "), "{}", ending.words);
    let mut bad = envelope(&["Subject: x\r\n\r\nx\r\n"]);
    bad.recipient = "no at sign".into();
    let (ending, _) = connection.deliver(bad).await;
    assert_eq!(ending.verdict.disposition, Disposition::Permanent, "{}", ending.words);
    assert_eq!(server.messages().len(), 0);
}
