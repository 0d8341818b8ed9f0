//! An SMTP server that does what a test's script says at every step.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Where a dialogue is when the script is asked.
#[derive(Debug, Clone)]
pub struct Step {
    /// `GREETING`, the command's verb, or `.` after the content.
    pub verb: String,
    /// The whole command line.
    pub line: String,
    /// Number of the connection, from 0.
    pub connection: usize,
    /// Messages received by the server before this step.
    pub messages: usize,
    pub is_tls: bool,
}

/// What the server does.
#[derive(Debug, Clone)]
pub enum Do {
    /// Sends this; CRLF is added.
    Say(String),
    /// Sends this and hangs up.
    SayAndDrop(String),
    /// Hangs up.
    Drop,
    /// Never says anything more, and reads nothing.
    Hang,
    /// Answers 220 and does the handshake.
    StartTls,
    /// Answers 220, sends rubbish instead of a handshake, and hangs up.
    BreakTls,
    /// Does what a friendly server would do.
    Usual,
}

pub fn say(text: &str) -> Do {
    Do::Say(text.to_owned())
}

type Script = Arc<dyn Fn(&Step) -> Do + Send + Sync>;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    script: Script,
    connections: AtomicUsize,
    /// From which address each connection came.
    peers: Mutex<Vec<IpAddr>>,
    lines: Mutex<Vec<String>>,
    /// What single reads of the socket returned.
    reads: Mutex<Vec<String>>,
    messages: Mutex<Vec<String>>,
    offers: &'static str,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// A server that accepts everything.
    pub async fn friendly() -> Server {
        Server::scripted(|_| Do::Usual).await
    }

    pub async fn scripted(script: impl Fn(&Step) -> Do + Send + Sync + 'static) -> Server {
        Server::offering("PIPELINING\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES", script).await
    }

    /// `offers`: EHLO keywords, one a line.
    pub async fn offering(
        offers: &'static str,
        script: impl Fn(&Step) -> Do + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            script: Arc::new(script),
            connections: AtomicUsize::new(0),
            peers: Mutex::default(),
            lines: Mutex::default(),
            reads: Mutex::default(),
            messages: Mutex::default(),
            offers,
        });
        let served = shared.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                served.peers.lock().expect("unpoisoned").push(peer.ip());
                // Replies go out one by one: without this each would wait for the client's delayed acknowledgement.
                stream.set_nodelay(true).expect("TCP");
                let number = served.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(served.clone(), stream, number));
            }
        });
        Server { address, shared, task }
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// From which address a connection came.
    pub fn peer(&self, connection: usize) -> IpAddr {
        self.shared.peers.lock().expect("unpoisoned")[connection]
    }

    pub fn messages(&self) -> Vec<String> {
        self.shared.messages.lock().expect("unpoisoned").clone()
    }

    /// The report token on top of each message, and the message below it.
    pub fn copies(&self) -> Vec<(String, String)> {
        let of = |message: String| {
            let (field, rest) = message.split_once("\r\n").expect("a header field");
            let token = field.strip_prefix("X-Indicia-Report-Token: ").expect("the token on top");
            (token.to_owned(), rest.to_owned())
        };
        self.messages().into_iter().map(of).collect()
    }

    pub fn lines(&self) -> Vec<String> {
        self.shared.lines.lock().expect("unpoisoned").clone()
    }

    /// What single reads of the socket returned: what was written at once arrives at once on loopback.
    pub fn reads(&self) -> Vec<String> {
        self.shared.reads.lock().expect("unpoisoned").clone()
    }

    pub fn count(&self, verb: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(verb)).count()
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Notes what each read returns.
struct Noting {
    inner: Box<dyn Stream>,
    shared: Arc<Shared>,
}

impl AsyncRead for Noting {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::pin::Pin::new(&mut self.inner).poll_read(cx, buffer);
        if result.is_ready() {
            let text = String::from_utf8_lossy(&buffer.filled()[before..]).into_owned();
            self.shared.reads.lock().expect("unpoisoned").push(text);
        }
        result
    }
}

/// One connection's dialogue.
struct Dialogue {
    shared: Arc<Shared>,
    reader: BufReader<Noting>,
    connection: usize,
    is_tls: bool,
    has_sender: bool,
    has_recipient: bool,
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, connection: usize) {
    let reader = BufReader::new(Noting { inner: Box::new(stream), shared: shared.clone() });
    let mut dialogue =
        Dialogue { shared, reader, connection, is_tls: false, has_sender: false, has_recipient: false };
    let mut next = Some(("GREETING".to_owned(), String::new()));
    while let Some((verb, line)) = next {
        next = match dialogue.answer(&verb, line).await {
            Some(Do::StartTls) => match dialogue.start_tls().await {
                Some(secured) => {
                    dialogue = secured;
                    dialogue.command().await
                }
                None => return,
            },
            Some(Do::Say(text)) if verb == "DATA" && text.starts_with("354") => dialogue.receive().await,
            Some(_) => dialogue.command().await,
            None => None,
        };
    }
}

impl Dialogue {
    async fn command(&mut self) -> Option<(String, String)> {
        let mut line = String::new();
        if self.reader.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        self.shared.lines.lock().expect("unpoisoned").push(line.clone());
        Some((line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase(), line))
    }

    /// Does what the script says; `None` when the connection is over.
    async fn answer(&mut self, verb: &str, line: String) -> Option<Do> {
        let messages = self.shared.messages.lock().expect("unpoisoned").len();
        let step =
            Step { verb: verb.to_owned(), line, connection: self.connection, messages, is_tls: self.is_tls };
        let action = match (self.shared.script)(&step) {
            Do::Usual if verb == "RCPT" && !self.has_sender => say("503 5.5.1 MAIL first"),
            Do::Usual if verb == "DATA" && !self.has_recipient => say("503 5.5.1 RCPT first"),
            Do::Usual => usual(&self.shared, verb, self.is_tls),
            other => other,
        };
        let text = match &action {
            Do::Say(text) => text,
            Do::SayAndDrop(text) => {
                self.write(text).await?;
                return None;
            }
            Do::Hang => return std::future::pending().await,
            Do::BreakTls => {
                self.write("220 go\r\nthis is no TLS record at all").await?;
                return None;
            }
            Do::StartTls => return Some(action),
            Do::Drop | Do::Usual => return None,
        };
        self.write(text).await?;
        match verb {
            "MAIL" => (self.has_sender, self.has_recipient) = (text.starts_with('2'), false),
            "RCPT" => self.has_recipient |= text.starts_with('2'),
            "." | "RSET" => (self.has_sender, self.has_recipient) = (false, false),
            "QUIT" => return None,
            _ => {}
        }
        Some(action)
    }

    async fn write(&mut self, text: &str) -> Option<()> {
        let stream = &mut self.reader.get_mut().inner;
        stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        stream.flush().await.ok()
    }

    async fn start_tls(mut self) -> Option<Dialogue> {
        self.write("220 2.0.0 go ahead").await?;
        let Noting { inner, shared } = self.reader.into_inner();
        let stream = acceptor().accept(inner).await.ok()?;
        let reader = BufReader::new(Noting { inner: Box::new(stream), shared });
        Some(Dialogue { reader, is_tls: true, ..self })
    }

    async fn receive(&mut self) -> Option<(String, String)> {
        let message = content(&mut self.reader, &self.shared, self.connection, self.is_tls).await?;
        self.shared.messages.lock().expect("unpoisoned").push(message);
        Some((".".to_owned(), ".".to_owned()))
    }
}

/// Reads to the final dot. The script is asked once, at `CONTENT`, whether to read at all.
async fn content(
    reader: &mut BufReader<Noting>,
    shared: &Shared,
    connection: usize,
    is_tls: bool,
) -> Option<String> {
    let step = Step { verb: "CONTENT".into(), line: String::new(), connection, messages: 0, is_tls };
    match (shared.script)(&step) {
        Do::Hang => std::future::pending().await,
        Do::Drop => return None,
        _ => {}
    }
    let mut message = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(String::from_utf8_lossy(&message).into_owned());
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn usual(shared: &Shared, verb: &str, is_tls: bool) -> Do {
    match verb {
        "GREETING" => say("220 mx.test ESMTP"),
        "EHLO" => {
            let offers = shared.offers.lines().filter(|offer| !(is_tls && *offer == "STARTTLS"));
            let mut lines: Vec<String> =
                std::iter::once("mx.test").chain(offers).map(|line| format!("250-{line}")).collect();
            if let Some(last) = lines.last_mut() {
                last.replace_range(3..4, " ");
            }
            Do::Say(lines.join("\r\n"))
        }
        "STARTTLS" => Do::StartTls,
        "MAIL" => say("250 2.1.0 sender ok"),
        "RCPT" => say("250 2.1.5 recipient ok"),
        "DATA" => say("354 go ahead"),
        "." => say("250 2.0.0 queued"),
        "QUIT" => say("221 2.0.0 bye"),
        _ => say("250 2.0.0 ok"),
    }
}

fn acceptor() -> TlsAcceptor {
    let certified = rcgen::generate_simple_self_signed(vec!["mx.test".into()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .expect("a certificate and its key");
    TlsAcceptor::from(Arc::new(config))
}

/// A port that nobody listens on.
pub async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address")
}

/// Reads what is left of a stream; for peers that talk raw.
pub async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}
