//! An account that may send, the service that it sends through, and a client that reads like a dialogue.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indicia_domain::mail::admission::Policy;
use indicia_domain::outcome::{Disposition, Phase, Verdict};
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_intake::submission::{self, SubmissionConfig};
use indicia_intake::tls::{Identity, server_config};
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::Admission;
use indicia_store::directory::{DkimKey, SendType};
use indicia_store::outcome::Outcome;
use indicia_store::queue::{MailKey, QueuedMail};
use prometheus_client::registry::Registry;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// 2026-11-22T04:00:00Z.
pub const NOON: UnixMicros = UnixMicros(1_795_320_000_000_000);
pub const HOSTNAME: &str = "mail.indicia.test";
pub const ANN: &str = "ann@example.org";
pub const BEN: &str = "ben@example.org";
pub const ANNS_PASSWORD: &str = "Quiet47Harbor";
pub const DOMAIN_PASSWORD: &str = "Open88Meadow";
/// More than any test needs; a dialogue that hangs fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store with an account: domain example.org verified, ann@ with a password, ben@ without, the domain with one;
/// and unproved.org, not verified, with eve@unproved.org.
pub struct Bench {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub account_id: i64,
    pub domain_id: i64,
    pub ann_id: i64,
    pub dir: tempfile::TempDir,
    pub admission: Admission,
}

impl Bench {
    pub async fn new() -> Bench {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ManualClock::at(NOON));
        let ticking: Arc<dyn Clock> = clock.clone();
        let store = Store::open("sqlite", dir.path(), ticking).await.expect("the store opens");
        let account_id = account(&store, "owner").await;
        let domain_id = domain(&store, account_id, "example.org", true).await;
        let ann_id = sender(&store, account_id, domain_id, ANN).await;
        sender(&store, account_id, domain_id, BEN).await;
        store.modify_sender(account_id, ann_id, Some(&hash(ANNS_PASSWORD)), None).await.expect("set");
        store.set_domain_password(account_id, domain_id, &hash(DOMAIN_PASSWORD)).await.expect("set");
        let unproved = domain(&store, account_id, "unproved.org", false).await;
        sender(&store, account_id, unproved, "eve@unproved.org").await;
        let admission = Admission::start(store.clone(), Policy::default(), None).0;
        Bench { store, clock, account_id, domain_id, ann_id, dir, admission }
    }

    pub fn config(&self) -> SubmissionConfig {
        SubmissionConfig {
            listen: vec![loopback()],
            tls_listen: vec![loopback()],
            ..SubmissionConfig::new(HOSTNAME, tls())
        }
    }

    pub async fn start(&self) -> Server {
        self.start_with(self.config()).await
    }

    pub async fn start_with(&self, config: SubmissionConfig) -> Server {
        let mut registry = Registry::default();
        let shutdown = CancellationToken::new();
        let (store, admission) = (self.store.clone(), self.admission.clone());
        let running = submission::start(config, store, admission, &mut registry, shutdown.clone())
            .await
            .expect("the service starts");
        Server {
            smtp: running.addresses.first().copied(),
            smtps: running.tls_addresses.first().copied(),
            task: running.task,
            shutdown,
            registry,
        }
    }

    /// Nothing was accepted, counted or charged.
    pub async fn assert_nothing_written(&self) {
        assert_eq!(self.store.queue_length().await.expect("read"), (0, 0));
        let numbers = self.store.account_numbers(self.account_id).await.expect("read").expect("an account");
        assert_eq!((numbers.quota_day_used, numbers.free_left), (0, 2_000));
        let log = indicia_store::message::LogQuery::all(self.account_id, 10);
        assert!(self.store.mail_log(&log).await.expect("read").is_empty());
    }

    /// Enters an address in the library of each of the accounts, as a refused delivery does.
    pub async fn enter_invalid(&self, accounts: &[i64], address: &str) {
        for &account_id in accounts {
            let mut mail = mail(&self.store, account_id, address).await;
            mail.mail_from = ANN.to_owned();
            self.admission.submit(mail).await.expect("accepted");
        }
        for mail in self.store.claim(100, 1 << 20).await.expect("claimed") {
            let verdict = Verdict::permanent(indicia_domain::outcome::ErrorClassification::SmtpNxBox);
            self.store.commit_outcomes(&[outcome(&mail, verdict)]).await.expect("committed");
        }
    }
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub async fn account(store: &Store, name: &str) -> i64 {
    let new = NewAccount {
        name: name.to_owned(),
        email: format!("{name}@accounts.test"),
        phone: String::new(),
        zone: "UTC".to_owned(),
        password_hash: "$argon2id$none".to_owned(),
        access_key_id: format!("ak-{name}"),
        access_key_secret: "secret".to_owned(),
    };
    store.create_account(&new, &Policy::default()).await.expect("the account is made")
}

pub async fn domain(store: &Store, account_id: i64, name: &str, verified: bool) -> i64 {
    let dkim = DkimKey { selector: "s1".to_owned(), private_key: vec![1], public_key: "k".to_owned() };
    let id = store.create_domain(account_id, name, "token", &dkim, 100).await.expect("registered");
    if verified {
        store.verify_domain_by_operator(account_id, name).await.expect("verified");
    }
    id
}

pub async fn sender(store: &Store, account_id: i64, domain_id: i64, address: &str) -> i64 {
    sender_of_type(store, account_id, domain_id, address, SendType::Trigger).await
}

pub async fn sender_of_type(
    store: &Store,
    account_id: i64,
    domain_id: i64,
    address: &str,
    send_type: SendType,
) -> i64 {
    store.create_sender(account_id, domain_id, address, send_type, "", 100).await.expect("registered")
}

/// A hash that is as quick to check as argon2id can be.
pub fn hash(password: &str) -> String {
    let quick = Params::new(8, 1, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, quick);
    argon2.hash_password(password.as_bytes()).expect("hashed").to_string()
}

pub async fn mail(store: &Store, account_id: i64, to: &str) -> indicia_store::admission::Submission {
    let (local, domain) = to.split_once('@').expect("an address");
    indicia_store::admission::Submission {
        message_id: store.next_id().await.expect("an id"),
        account_id,
        sender_id: 1,
        domain_id: 1,
        via: indicia_domain::mail::Via::Api,
        mail_from: ANN.to_owned(),
        subject: String::new(),
        tag: String::new(),
        recipients: vec![indicia_domain::mail::recipient::Recipient::new(local, domain, domain)],
        content: bytes::Bytes::from_static(b"Subject: x\r\n\r\nx\r\n"),
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    }
}

/// One attempt at the first recipient of a claimed mail.
pub fn outcome(mail: &QueuedMail, verdict: Verdict) -> Outcome {
    let delivered = verdict.disposition == Disposition::Delivered;
    Outcome {
        key: MailKey {
            account_id: mail.account_id,
            message_id: mail.message_id,
            number: mail.recipients[0].number,
        },
        address: mail.recipients[0].address.clone(),
        sender_id: mail.sender_id,
        domain_id: mail.domain_id,
        tag: mail.tag.clone(),
        day: mail.day,
        accepted_at: mail.accepted_at,
        recipient_count: mail.recipient_count,
        attempts: 1,
        started_at: mail.accepted_at,
        finished_at: mail.accepted_at,
        remote_host: "mx.example.net".to_owned(),
        remote_address: "127.0.0.1:25".to_owned(),
        local_address: "127.0.0.1".to_owned(),
        tls: String::new(),
        phase: Phase::Final,
        verdict,
        code: Some(if delivered { 250 } else { 550 }),
        reply: if delivered { "250 2.0.0 OK" } else { "550 5.1.1 unknown" }.to_owned(),
        next_due_at: None,
        place: None,
    }
}

pub struct Server {
    smtp: Option<SocketAddr>,
    smtps: Option<SocketAddr>,
    pub task: JoinHandle<()>,
    pub shutdown: CancellationToken,
    pub registry: Registry,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.smtp.expect("listens")
    }

    pub fn tls_address(&self) -> SocketAddr {
        self.smtps.expect("listens")
    }

    /// A connection that was greeted.
    pub async fn connect(&self) -> Client {
        Client::connect(self.address(), None).await
    }

    pub async fn connect_from(&self, source: [u8; 4]) -> Client {
        Client::connect(self.address(), Some(IpAddr::from(source))).await
    }

    pub async fn connect_tls(&self) -> Client {
        let stream = TcpStream::connect(self.tls_address()).await.expect("connected");
        let mut client = Client::over(handshake(stream).await);
        client.expect("220").await;
        client
    }

    /// A connection that said EHLO and logged in as ann@example.org.
    pub async fn session(&self) -> Client {
        let mut client = self.connect().await;
        client.ehlo().await;
        client.log_in(ANN, ANNS_PASSWORD, "235 2.7.0").await;
        client
    }

    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).expect("encoded");
        text
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One end of a dialogue. Methods panic when the other end does not answer as expected.
pub struct Client {
    stream: Box<dyn Stream>,
    /// Kept for STARTTLS, which needs the bare socket.
    plain: Option<TcpStream>,
    input: Vec<u8>,
}

impl Client {
    async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Client {
        let mut client = Client::connect_silently(address, source).await;
        client.expect("220").await;
        client
    }

    pub async fn connect_silently(address: SocketAddr, source: Option<IpAddr>) -> Client {
        let socket = TcpSocket::new_v4().expect("a socket");
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0)).expect("bound");
        }
        let stream = socket.connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("set");
        Client { stream: Box::new(tokio::io::empty()), plain: Some(stream), input: Vec::new() }
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        Client { stream: Box::new(stream), plain: None, input: Vec::new() }
    }

    fn wire(&mut self) -> &mut (dyn Stream + '_) {
        match &mut self.plain {
            Some(stream) => stream,
            None => &mut *self.stream,
        }
    }

    pub async fn send(&mut self, octets: impl AsRef<[u8]>) {
        let wire = self.wire();
        timeout(PATIENCE, wire.write_all(octets.as_ref())).await.expect("in time").expect("written");
        timeout(PATIENCE, wire.flush()).await.expect("in time").expect("written");
    }

    /// One whole reply, its lines joined by line feeds; empty when the server has closed.
    pub async fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            while let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8(self.input[..end].to_vec()).expect("text");
                self.input.drain(..end + 2);
                let last = line.as_bytes().get(3) != Some(&b'-');
                lines.push(line);
                if last {
                    return lines.join("\n");
                }
            }
            let mut more = [0; 4_096];
            let count = timeout(PATIENCE, self.wire().read(&mut more)).await.expect("an answer in time");
            match count {
                Ok(1..) => self.input.extend_from_slice(&more[..count.unwrap_or(0)]),
                _ => return lines.join("\n"),
            }
        }
    }

    pub async fn expect(&mut self, start: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "expected {start}, got {reply:?}");
        reply
    }

    pub async fn expect_closed(&mut self) {
        assert_eq!(self.reply().await, "");
    }

    /// C: `line`, S: something that begins with `start`.
    pub async fn say(&mut self, line: &str, start: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(start), "to {line:?} expected {start}, got {reply:?}");
        reply
    }

    pub async fn ehlo(&mut self) -> String {
        self.say("EHLO client.test", "250").await
    }

    pub async fn log_in(&mut self, user: &str, password: &str, start: &str) -> String {
        let response = STANDARD.encode(format!("\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {response}"), start).await
    }

    /// STARTTLS and the handshake.
    pub async fn start_tls(mut self) -> Client {
        self.say("STARTTLS", "220").await;
        self.handshake().await
    }

    pub async fn handshake(mut self) -> Client {
        let stream = self.plain.take().expect("a connection in clear");
        Client::over(handshake(stream).await)
    }

    /// MAIL, one RCPT, DATA and the content; the answer to it.
    pub async fn submit(&mut self, from: &str, to: &str, content: &str, start: &str) -> String {
        self.say(&format!("MAIL FROM:<{from}>"), "250 2.1.0").await;
        self.say(&format!("RCPT TO:<{to}>"), "250 2.1.5").await;
        self.data(content, start).await
    }

    pub async fn data(&mut self, content: &str, start: &str) -> String {
        self.say("DATA", "354").await;
        self.send(content).await;
        self.say(".", start).await
    }
}

/// A small message with line ends as they must be.
pub fn message(from: &str, extra: &str) -> String {
    format!("From: {from}\r\nTo: you@example.net\r\nSubject: Hello\r\n{extra}\r\nBody\r\n")
}

/// The id in `250 2.0.0 send mail ok <id>`.
pub fn env_id(reply: &str) -> i64 {
    let text = reply.strip_prefix("250 2.0.0 send mail ok ").expect("accepted");
    text.split(' ').next().and_then(|id| id.parse().ok()).expect("an EnvId")
}

/// Made once: what is tested is not the making.
pub fn tls() -> Arc<ServerConfig> {
    static CONFIG: OnceLock<Mutex<Arc<ServerConfig>>> = OnceLock::new();
    let made = CONFIG.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let identity = Identity::SelfSigned { data_dir: dir.path(), hostname: HOSTNAME };
        Mutex::new(server_config(identity).expect("a configuration"))
    });
    made.lock().expect("not poisoned").clone()
}

async fn handshake(stream: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from(HOSTNAME).expect("a name");
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    timeout(PATIENCE, connecting).await.expect("in time").expect("a handshake")
}

#[derive(Debug)]
struct AnyCertificate(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
