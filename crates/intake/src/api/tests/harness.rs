//! A server without sockets, an account with keys, and a client that signs as the SDK does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::BodyExt;
use indicia_domain::mail::admission::Policy;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::NewAccount;
use indicia_store::admission::Admission;
use indicia_store::audit::Actor;
use indicia_store::message::LogQuery;
use indicia_store::order::OrderQuery;
use indicia_store::oversight::AuditQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::api::directmail::dns::{DnsError, DomainDns};
use crate::api::metrics::ApiMetrics;
use crate::api::protocol::throttle::ThrottleLimits;
use crate::api::settings::ApiSettings;
use crate::api::{ApiState, router};

pub const DM: &str = "2015-11-23";
pub const BSS: &str = "2017-12-14";
/// 2026-11-23T02:13:20Z.
pub const NOW: UnixMicros = UnixMicros(1_795_400_000_000_000);
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// DNS records that a test publishes; `None` for a name whose servers do not answer.
#[derive(Default)]
pub struct FakeDns {
    pub txt: Mutex<HashMap<String, Option<Vec<String>>>>,
    pub mx: Mutex<HashMap<String, Option<Vec<String>>>>,
}

impl FakeDns {
    pub fn publish_txt(&self, name: &str, text: &str) {
        self.txt
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_insert(Some(vec![]))
            .as_mut()
            .unwrap()
            .push(text.to_owned());
    }

    pub fn publish_mx(&self, name: &str, host: &str) {
        self.mx.lock().unwrap().insert(name.to_owned(), Some(vec![host.to_owned()]));
    }

    pub fn silence(&self, name: &str) {
        self.txt.lock().unwrap().insert(name.to_owned(), None);
    }

    pub fn clear(&self) {
        self.txt.lock().unwrap().clear();
        self.mx.lock().unwrap().clear();
    }
}

fn found(
    records: &Mutex<HashMap<String, Option<Vec<String>>>>,
    name: &str,
    kind: &str,
) -> Result<Vec<String>, DnsError> {
    records.lock().unwrap().get(name).cloned().unwrap_or(Some(Vec::new())).ok_or(DnsError {
        name: name.to_owned(),
        kind: kind.to_owned(),
        reason: "timed out".to_owned(),
    })
}

#[async_trait]
impl DomainDns for FakeDns {
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError> {
        found(&self.txt, name, "TXT")
    }

    async fn mx(&self, name: &str) -> Result<Vec<String>, DnsError> {
        found(&self.mx, name, "MX")
    }
}

pub struct Server {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub dns: Arc<FakeDns>,
    pub metrics: ApiMetrics,
    router: Router,
    _dir: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Server {
        let throttle = ThrottleLimits { default_calls_per_second: 0, calls_per_second: Default::default() };
        Server::with(ApiSettings { throttle, ..ApiSettings::for_host("mail.host.example") }).await
    }

    pub async fn with(settings: ApiSettings) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let store = Store::open("sqlite", dir.path(), clock.clone() as Arc<dyn Clock>).await.unwrap();
        let (admission, _committer) = Admission::start(store.clone(), settings.policy, None);
        let (dns, metrics) = (Arc::new(FakeDns::default()), ApiMetrics::default());
        let state = ApiState::new(store.clone(), admission, dns.clone(), settings, metrics.clone());
        Server { store, clock, dns, metrics, router: router(state), _dir: dir }
    }

    /// Serves on a real socket until the test's runtime ends.
    pub async fn listen(&self) -> std::net::SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = self.router.clone();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    pub async fn account(&self, name: &str) -> Client<'_> {
        let new = NewAccount {
            name: name.to_owned(),
            email: format!("{name}@example.com"),
            phone: String::new(),
            zone: "Asia/Shanghai".to_owned(),
            password_hash: String::new(),
            access_key_id: format!("ak-{name}"),
            access_key_secret: format!("secret-{name}"),
        };
        let account_id = self.store.create_account(&new, &Policy::default()).await.unwrap();
        Client { server: self, account_id, key: new.access_key_id, secret: new.access_key_secret }
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, headers, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: axum::http::HeaderMap,
    pub json: Value,
    pub text: String,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.json["Code"].as_str().unwrap_or_default()
    }

    pub fn message(&self) -> &str {
        self.json["Message"].as_str().unwrap_or_default()
    }

    /// The fields of a success.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        assert_ne!(self.json["Success"], Value::Bool(false), "{}", self.text);
        self.json
    }
}

/// An account's caller.
pub struct Client<'a> {
    pub server: &'a Server,
    pub account_id: i64,
    pub key: String,
    pub secret: String,
}

pub fn encode(pairs: &[(&str, &str)]) -> String {
    let enc = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    pairs.iter().map(|(name, value)| format!("{}={}", enc(name), enc(value))).collect::<Vec<_>>().join("&")
}

/// A nonce that no other call of this process has.
pub fn nonce() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl Client<'_> {
    /// DirectMail, parameters in the query.
    pub async fn dm(&self, action: &str, query: &[(&str, &str)]) -> Answer {
        self.server.send(self.signed(action, DM, query, &[], &[])).await
    }

    /// DirectMail, parameters in the form.
    pub async fn form(&self, action: &str, form: &[(&str, &str)]) -> Answer {
        self.server.send(self.signed(action, DM, &[], form, &[])).await
    }

    pub async fn bss(&self, action: &str, query: &[(&str, &str)]) -> Answer {
        self.server.send(self.signed(action, BSS, query, &[], &[])).await
    }

    /// A request signed with ACS3-HMAC-SHA256 as the SDK does it. `extra` headers are not signed.
    pub fn signed(
        &self,
        action: &str,
        version: &str,
        query: &[(&str, &str)],
        form: &[(&str, &str)],
        extra: &[(&str, &str)],
    ) -> Request<Body> {
        let mut sorted = query.to_vec();
        sorted.sort_unstable();
        let (canonical_query, body) = (encode(&sorted), encode(form));
        let content_hash = hex::encode(Sha256::digest(body.as_bytes()));
        let (date, nonce) = (self.server.clock.now().rfc3339_seconds(), nonce());
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "dm.host.example"),
            ("x-acs-action", action),
            ("x-acs-content-sha256", &content_hash),
            ("x-acs-date", &date),
            ("x-acs-signature-nonce", &nonce),
            ("x-acs-version", version),
        ];
        let canonical_headers: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let canonical = format!("POST\n/\n{canonical_query}\n{canonical_headers}\n{names}\n{content_hash}");
        let to_sign = format!("ACS3-HMAC-SHA256\n{}", hex::encode(Sha256::digest(canonical.as_bytes())));
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(to_sign.as_bytes());
        let signature = hex::encode(mac.finalize().into_bytes());
        let authorization =
            format!("ACS3-HMAC-SHA256 Credential={},SignedHeaders={names},Signature={signature}", self.key);
        let mut request =
            Request::post(format!("/?{canonical_query}")).header("authorization", authorization);
        for (name, value) in headers.iter().chain(extra) {
            request = request.header(*name, *value);
        }
        request.body(Body::from(body)).unwrap()
    }

    /// A domain, verified by an operator's word, with one sender address; returns (DomainId, MailAddressId).
    pub async fn sender(&self, address: &str) -> (String, String) {
        let domain = address.split_once('@').unwrap().1;
        let domain_id = self.dm("CreateDomain", &[("DomainName", domain)]).await.ok()["DomainId"]
            .as_str()
            .unwrap()
            .to_owned();
        self.server.store.verify_domain_by_operator(self.account_id, domain).await.unwrap();
        let made =
            self.dm("CreateMailAddress", &[("AccountName", address), ("Sendtype", "trigger")]).await.ok();
        (domain_id, made["MailAddressId"].as_str().unwrap().to_owned())
    }

    pub async fn credit(&self, units: i64) {
        let (amount, actor) = (MoneyMicros(units * 1_000_000), Actor::system("test"));
        self.server.store.credit(self.account_id, amount, "test", &actor, None).await.unwrap();
    }

    /// Everything of the account that a refused call might have changed.
    pub async fn snapshot(&self) -> String {
        let store = &self.server.store;
        let numbers = store.account_numbers(self.account_id).await.unwrap();
        let domains = store.domains(self.account_id).await.unwrap();
        let senders = store.senders(self.account_id).await.unwrap();
        let mails = store.mail_log(&LogQuery::all(self.account_id, 1_000)).await.unwrap();
        let packages = store.packages(self.account_id, &Default::default()).await.unwrap();
        let orders = OrderQuery {
            account_id: self.account_id,
            from: UnixMicros(0),
            before: UnixMicros(i64::MAX),
            kind: None,
            limit: 1_000,
            offset: 0,
        };
        let orders = store.orders(&orders).await.unwrap();
        let notices = store.notices(self.account_id, 1_000).await.unwrap();
        let audit = store
            .audit_entries(&AuditQuery {
                account_id: Some(self.account_id),
                limit: 1_000,
                ..AuditQuery::default()
            })
            .await
            .unwrap();
        let secrets: Vec<_> = domains
            .iter()
            .map(|domain| domain.next_dkim.as_ref().map(|key| key.public_key.clone()))
            .collect();
        format!(
            "{numbers:?} {domains:?} {secrets:?} {senders:?} {mails:?} {packages:?} {orders:?} {notices:?} {audit:?}"
        )
    }
}
