//! Texts over a signed HTTP POST, for gateways that an operator writes or puts in front of a provider's API.
//!
//! ```text
//! POST <url>
//! Content-Type: application/json
//! Idempotency-Key: 7401234567890123456
//! X-Indicia-Key-Id: <key id>
//! X-Indicia-Signature: t=1795320000,v1=<64 hexadecimal digits>
//!
//! {"id":"7401234567890123456","to":"+8613800000000","text":"…"}
//! ```
//!
//! `v1` is HMAC-SHA256 with the secret over `<t>.<body>`, the octets of the body as they came. A receiver checks
//! it in constant time, refuses a `t` more than some minutes off, and answers a known `Idempotency-Key` as it
//! did before without sending again: with that, a text is sent once whatever breaks. A receiver that ignores the key
//! sends a text twice when its answer is lost, or when our process is killed before the caller noted it.
//!
//! 2xx is "taken", whatever the body; a JSON object's `id` in it (string or number) becomes the gateway id. 400 and
//! most of 4xx is "never". 408, 425, 429, 5xx and silence is "later", and so are redirects, which are not followed,
//! and 401, 403, 404, 405, 407: they speak of our key and URL, which the operator can mend, not of the text.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use indicia_domain::time::Clock;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Response, Url};
use serde::Serialize;
use serde_json::Value;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use super::text::TextError;
use super::{SmsConfigError, SmsError, SmsFailure, SmsGateway, Submitted, TextMessage};

/// Most octets of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest gateway id that is kept; a longer one is cut.
const GATEWAY_ID_CHARS_MAX: usize = 256;

/// Where texts are posted and how they are signed.
#[derive(Clone)]
pub struct HttpConfig {
    /// `https://…`; plain `http://` is for gateways on the same machine and is warned about elsewhere.
    pub url: String,
    /// Tells the receiver which secret was used; visible ASCII.
    pub key_id: String,
    /// At least 16 octets.
    pub secret: String,
    /// For a whole request, connecting included.
    pub timeout: Duration,
    /// Certificates in PEM form that are trusted besides the system's: for a gateway with a private CA.
    pub ca_certificate_pem: Option<String>,
}

impl HttpConfig {
    pub fn new(url: &str, key_id: &str, secret: &str) -> Self {
        HttpConfig {
            url: url.to_owned(),
            key_id: key_id.to_owned(),
            secret: secret.to_owned(),
            timeout: Duration::from_secs(10),
            ca_certificate_pem: None,
        }
    }
}

/// Leaves the secret out, and of the URL all but the host: a query may hold a token.
impl std::fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = Url::parse(&self.url).ok().and_then(|url| url.host_str().map(str::to_owned));
        f.debug_struct("HttpConfig")
            .field("host", &host)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// A URL that takes signed JSON.
pub struct HttpGateway {
    client: Client,
    url: Url,
    host: String,
    key_id: HeaderValue,
    secret: String,
    clock: Arc<dyn Clock>,
    closed: CancellationToken,
}

#[derive(Serialize)]
struct Body<'a> {
    /// Decimal in a string: a JSON reader with IEEE numbers would round an id of 63 bits.
    id: String,
    to: &'a str,
    text: &'a str,
}

impl HttpGateway {
    /// Checks the settings; nothing is connected before the first text. `clock` dates the signatures.
    pub fn new(config: HttpConfig, clock: Arc<dyn Clock>) -> Result<Self, SmsConfigError> {
        const SECRET_BYTES_MIN: usize = 16;
        let url = parse_url(&config.url)?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let key_id =
            HeaderValue::from_str(&config.key_id).ok().filter(|id| !id.is_empty() && id.to_str().is_ok());
        let Some(key_id) = key_id else {
            return Err(SmsConfigError::Value { key: "sms.http.key_id", expected: "visible ASCII" });
        };
        if config.secret.len() < SECRET_BYTES_MIN {
            return Err(SmsConfigError::Value { key: "sms.http.secret", expected: "at least 16 octets" });
        }
        if config.timeout.is_zero() {
            return Err(SmsConfigError::Value { key: "sms.http.timeout", expected: "longer than nothing" });
        }
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(config.timeout)
            .user_agent(concat!("indicia/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &config.ca_certificate_pem {
            client = client.tls_certs_merge(certificates(pem)?);
        }
        let client = client.build().map_err(|error| SmsConfigError::Client { detail: chain(&error) })?;
        let closed = CancellationToken::new();
        Ok(HttpGateway { client, url, host, key_id, secret: config.secret, clock, closed })
    }

    fn headers(&self, message: &TextMessage, body: &[u8]) -> Result<HeaderMap, SmsFailure> {
        let unusable = |detail: &str| SmsFailure::Http { host: self.host.clone(), detail: detail.to_owned() };
        let seconds = self.clock.now().seconds();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes())
            .map_err(|_| unusable("the secret can not be a key"))?;
        mac.update(format!("{seconds}.").as_bytes());
        mac.update(body);
        let signature = format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()));
        let value =
            |text: String| HeaderValue::try_from(text).map_err(|_| unusable("a header can not be written"));
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("idempotency-key", value(message.reference.to_string())?);
        headers.insert("x-indicia-key-id", self.key_id.clone());
        headers.insert("x-indicia-signature", value(signature)?);
        Ok(headers)
    }

    /// The request and its answer's head and body, or why there is none.
    async fn post(&self, message: &TextMessage) -> Result<Response, SmsFailure> {
        let failed = |detail: String| SmsFailure::Http { host: self.host.clone(), detail };
        let body = Body { id: message.reference.to_string(), to: message.to.as_str(), text: &message.text };
        let body = serde_json::to_vec(&body).map_err(|error| failed(error.to_string()))?;
        let headers = self.headers(message, &body)?;
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        // The URL stays out of the text: a query may hold a token.
        request.send().await.map_err(|error| failed(chain(&error.without_url())))
    }
}

#[async_trait]
impl SmsGateway for HttpGateway {
    async fn send(&self, message: &TextMessage) -> Result<Submitted, SmsError> {
        let (reference, to) = (message.reference, message.to.masked());
        if message.text.is_empty() {
            return Err(SmsError::Permanent { reference, to, cause: TextError::Empty.into() });
        }
        let transient = |cause| SmsError::Transient { reference, to: to.clone(), cause };
        let answer = tokio::select! {
            biased;
            () = self.closed.cancelled() => return Err(transient(SmsFailure::Closed)),
            answer = self.post(message) => answer.map_err(transient)?,
        };
        let status = answer.status().as_u16();
        let host = self.host.clone();
        match status {
            200..=299 => {
                let gateway_ids: Vec<String> = gateway_id(answer).await.into_iter().collect();
                tracing::info!(reference, to, "the HTTP gateway took a text");
                Ok(Submitted { gateway_ids })
            }
            401 | 403 | 404 | 405 | 407 | 300..=399 => {
                let cause = SmsFailure::HttpSettings { host, status };
                tracing::error!(reference, to, "{cause}");
                Err(transient(cause))
            }
            408 | 425 | 429 => Err(transient(SmsFailure::HttpStatus { host, status })),
            400..=499 => {
                Err(SmsError::Permanent { reference, to, cause: SmsFailure::HttpStatus { host, status } })
            }
            _ => Err(transient(SmsFailure::HttpStatus { host, status })),
        }
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}

/// What the gateway calls the text. The text is taken by then, so nothing about the body is an error.
async fn gateway_id(mut answer: Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice::<Value>(&body).ok()?.get("id")? {
        Value::String(id) => Some(id.chars().take(GATEWAY_ID_CHARS_MAX).collect()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn parse_url(text: &str) -> Result<Url, SmsConfigError> {
    let wrong = |detail: String| SmsConfigError::Url { detail };
    let url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
        return Err(wrong("it has no host".to_owned()));
    };
    match url.scheme() {
        "https" => {}
        "http" => {
            let local = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
            if !local {
                tracing::warn!(host, "texts and numbers go to the HTTP gateway unencrypted; use https");
            }
        }
        other => return Err(wrong(format!("its scheme is {other}"))),
    }
    Ok(url)
}

fn certificates(pem: &str) -> Result<Vec<Certificate>, SmsConfigError> {
    let wrong = |detail: String| SmsConfigError::Certificate { detail };
    let certificates =
        Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("it has none".to_owned()));
    }
    Ok(certificates)
}

/// An error with its causes: the client's own text says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    const CAUSES_MAX: usize = 8;
    std::iter::successors(Some(error), |error| error.source())
        .take(CAUSES_MAX)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
