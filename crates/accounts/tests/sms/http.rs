//! The HTTP gateway against a receiver that checks signatures on its own and answers as told.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response};
use futures::StreamExt;
use hmac::{Hmac, KeyInit, Mac};
use indicia_accounts::sms::{
    HttpConfig, HttpGateway, SmsConfigError, SmsError, SmsFailure, SmsGateway, Submitted, TextMessage,
};
use indicia_domain::time::{ManualClock, UnixMicros};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::{NUMBER, text_message};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const NOW_SECONDS: i64 = 1_795_320_000;
const REFERENCE: i64 = 7_401_234_567_890_123_456;

/// What the receiver does with the next request.
#[derive(Clone)]
enum Reply {
    Status(u16, &'static str),
    Redirect,
    /// No answer within any time-out.
    Hang,
    /// 200 and then octets without end.
    Endless,
}

struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().expect("ASCII")
    }

    /// Checks as a receiver would, from the header's own text.
    fn signature_holds(&self, secret: &str) -> bool {
        let (time, digest) = self.header("x-indicia-signature").split_once(",v1=").expect("two fields");
        let time = time.strip_prefix("t=").expect("a time");
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        time == NOW_SECONDS.to_string()
            && mac.verify_slice(&hex::decode(digest).expect("hexadecimal")).is_ok()
    }
}

struct Shared {
    reply: Reply,
    requests: Mutex<Vec<Request>>,
}

struct Receiver {
    url: String,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    async fn start(reply: Reply) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/sms?tenant=7", listener.local_addr().expect("its address"));
        let shared = Arc::new(Shared { reply, requests: Mutex::default() });
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Receiver { url, shared, serving }
    }

    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.shared.requests.lock().expect("unpoisoned")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: axum::http::Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.to_string();
    shared.requests.lock().expect("unpoisoned").push(Request { method, path, headers, body });
    let response = Response::builder();
    match shared.reply.clone() {
        Reply::Status(status, body) => response.status(status).body(body.into()),
        Reply::Redirect => response.status(307).header("location", "/elsewhere").body(Body::empty()),
        Reply::Hang => std::future::pending().await,
        Reply::Endless => {
            let zeros =
                futures::stream::repeat(Bytes::from_static(&[b'0'; 8192])).map(Ok::<_, std::io::Error>);
            response.status(200).body(Body::from_stream(zeros))
        }
    }
    .expect("a response")
}

fn config(url: &str) -> HttpConfig {
    HttpConfig { timeout: Duration::from_secs(2), ..HttpConfig::new(url, "key-1", SECRET) }
}

fn gateway(config: HttpConfig) -> Result<HttpGateway, SmsConfigError> {
    HttpGateway::new(config, Arc::new(ManualClock::at(UnixMicros::from_seconds(NOW_SECONDS))))
}

async fn sent(receiver: &Receiver, message: &TextMessage) -> Result<Submitted, SmsError> {
    gateway(config(&receiver.url)).expect("settings that work").send(message).await
}

#[tokio::test]
async fn a_text_is_posted_signed_and_named() {
    let receiver = Receiver::start(Reply::Status(200, r#"{"id": "abc-1", "more": [1]}"#)).await;
    let taken = sent(&receiver, &text_message(REFERENCE, "余额不足 \"5\"")).await.expect("taken");
    assert_eq!(taken.gateway_ids, ["abc-1"]);
    let requests = receiver.requests();
    let request = &requests[0];
    assert_eq!((&request.method, request.path.as_str()), (&Method::POST, "/sms?tenant=7"));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!(body, json!({"id": REFERENCE.to_string(), "to": NUMBER, "text": "余额不足 \"5\""}));
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("idempotency-key"), REFERENCE.to_string());
    assert_eq!(request.header("x-indicia-key-id"), "key-1");
    assert!(request.signature_holds(SECRET));
    assert!(!request.signature_holds("another secret of 16 octets"));
    // Made with Python's hmac over this text's body: pins the scheme, whatever both sides here agree upon.
    assert_eq!(
        request.header("x-indicia-signature"),
        "t=1795320000,v1=b31ca43a2c20caf482a506b00e4a985b682d0499f15c96aec1b597f2d63edb46"
    );
}

#[tokio::test]
async fn a_retry_is_the_same_request() {
    let receiver = Receiver::start(Reply::Status(503, "")).await;
    for _ in 0..2 {
        sent(&receiver, &text_message(5, "Hi")).await.expect_err("later");
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "one attempt for each call");
    assert_eq!(requests[0].header("idempotency-key"), requests[1].header("idempotency-key"));
    assert_eq!(requests[0].body, requests[1].body);
}

#[tokio::test]
async fn the_id_is_taken_from_whatever_answers_2xx() {
    for (status, body, ids) in [
        (200, r#"{"id": 42}"#, vec!["42"]),
        (201, r#"{"id": "x"}"#, vec!["x"]),
        (202, "", vec![]),
        (204, "", vec![]),
        (200, "queued", vec![]),
        (200, r#"{"id": null}"#, vec![]),
        (200, r#"{"id": {"deep": 1}}"#, vec![]),
        (200, r#"["id"]"#, vec![]),
    ] {
        let receiver = Receiver::start(Reply::Status(status, body)).await;
        let taken = sent(&receiver, &text_message(6, "Hi")).await.expect("taken");
        assert_eq!(taken.gateway_ids, ids, "{status} {body}");
    }
}

#[tokio::test]
async fn each_status_is_never_later_or_ours_to_mend() {
    for (status, is_transient, is_settings) in [
        (400, false, false),
        (409, false, false),
        (410, false, false),
        (422, false, false),
        (408, true, false),
        (425, true, false),
        (429, true, false),
        (500, true, false),
        (502, true, false),
        (503, true, false),
        (304, true, true),
        (401, true, true),
        (403, true, true),
        (404, true, true),
        (405, true, true),
    ] {
        let receiver = Receiver::start(Reply::Status(status, "")).await;
        let error = sent(&receiver, &text_message(7, "Hi")).await.expect_err("refused");
        assert_eq!(error.is_transient(), is_transient, "{error}");
        match error.cause() {
            SmsFailure::HttpSettings { status: seen, .. } if is_settings => assert_eq!(*seen, status),
            SmsFailure::HttpStatus { status: seen, .. } if !is_settings => assert_eq!(*seen, status),
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let receiver = Receiver::start(Reply::Redirect).await;
    let error = sent(&receiver, &text_message(8, "Hi")).await.expect_err("refused");
    assert!(
        error.is_transient() && matches!(error.cause(), SmsFailure::HttpSettings { status: 307, .. }),
        "{error}"
    );
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn silence_is_transient_and_tells_neither_the_url_nor_the_number() {
    let receiver = Receiver::start(Reply::Hang).await;
    let settings = HttpConfig { timeout: Duration::from_millis(200), ..config(&receiver.url) };
    let gateway = gateway(settings).expect("settings that work");
    let error = gateway.send(&text_message(9, "Hi")).await.expect_err("no answer");
    assert!(error.is_transient(), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("timed out") && !said.contains("tenant") && !said.contains("13800001234"),
        "{said}"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_taken_and_not_read_to_it() {
    let receiver = Receiver::start(Reply::Endless).await;
    let started = std::time::Instant::now();
    let settings = HttpConfig { timeout: Duration::from_secs(60), ..config(&receiver.url) };
    let gateway = gateway(settings).expect("settings that work");
    let taken = gateway.send(&text_message(10, "Hi")).await.expect("taken");
    assert!(taken.gateway_ids.is_empty());
    assert!(started.elapsed() < Duration::from_secs(30), "the bound ended it, not the time-out");
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("its address"));
    drop(listener);
    let error =
        gateway(config(&url)).expect("settings").send(&text_message(11, "Hi")).await.expect_err("nobody");
    assert!(error.is_transient() && matches!(error.cause(), SmsFailure::Http { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_text_is_refused_and_closing_ends_what_is_under_way() {
    let receiver = Receiver::start(Reply::Hang).await;
    let gateway = gateway(config(&receiver.url)).expect("settings that work");
    assert!(!gateway.send(&text_message(12, "")).await.expect_err("empty").is_transient());
    let message = text_message(13, "Hi");
    let (sent, ()) = tokio::join!(gateway.send(&message), async {
        crate::until("the request", || receiver.requests().len() == 1).await;
        gateway.close().await;
    });
    assert!(matches!(sent.expect_err("closed").cause(), SmsFailure::Closed));
    assert!(matches!(gateway.send(&message).await.expect_err("closed").cause(), SmsFailure::Closed));
    assert_eq!(receiver.requests().len(), 1);
}

/// One HTTPS answer with a certificate of a CA of its own; gives the CA in PEM form, and the URL.
async fn private_https() -> (String, String) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use tokio_rustls::rustls::{ServerConfig, pki_types::PrivatePkcs8KeyDer};
    let mut ca = CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().expect("a key");
    let ca_pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate with its key");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://localhost:{}/", listener.local_addr().expect("its address").port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut seen = Vec::new();
            while !seen.ends_with(b"\"}") && stream.read_buf(&mut seen).await.is_ok_and(|count| count > 0) {}
            let answer =
                b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"id\": \"tls-1\"}";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    (ca_pem, url)
}

#[tokio::test]
async fn https_is_verified_against_the_authorities_that_are_trusted() {
    let (ca_pem, url) = private_https().await;
    let untrusted = gateway(config(&url)).expect("settings").send(&text_message(14, "Hi")).await;
    let error = untrusted.expect_err("a CA that nobody knows");
    assert!(error.is_transient() && error.to_string().contains("certificate"), "{error}");
    let trusting =
        gateway(HttpConfig { ca_certificate_pem: Some(ca_pem), ..config(&url) }).expect("settings");
    let taken = trusting.send(&text_message(14, "Hi")).await.expect("taken");
    assert_eq!(taken.gateway_ids, ["tls-1"]);
}

#[test]
fn settings_that_can_not_work_are_refused_at_once() {
    let good = || config("https://sms.example.net/send");
    assert!(gateway(good()).is_ok());
    for (wrong, named) in [
        (HttpConfig { url: "sms.example.net".into(), ..good() }, "sms.http.url"),
        (HttpConfig { url: "ftp://sms.example.net".into(), ..good() }, "sms.http.url"),
        (HttpConfig { url: "https://".into(), ..good() }, "sms.http.url"),
        (HttpConfig { key_id: String::new(), ..good() }, "sms.http.key_id"),
        (HttpConfig { key_id: "a\nb".into(), ..good() }, "sms.http.key_id"),
        (HttpConfig { secret: "too short".into(), ..good() }, "sms.http.secret"),
        (HttpConfig { timeout: Duration::ZERO, ..good() }, "sms.http.timeout"),
        (HttpConfig { ca_certificate_pem: Some("no PEM".into()), ..good() }, "sms.http.ca_certificate_pem"),
    ] {
        let said = gateway(wrong).err().expect("refused").to_string();
        assert!(said.contains(named) && !said.contains("too short"), "{said}");
    }
    let shown = format!("{:?}", config("https://sms.example.net/send?token=hidden"));
    assert!(
        shown.contains("sms.example.net") && !shown.contains("hidden") && !shown.contains(SECRET),
        "{shown}"
    );
}
