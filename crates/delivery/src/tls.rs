//! Opportunistic STARTTLS to remote hosts (RFC 3207, RFC 7435).
//!
//! The connection is encrypted when the peer can, whoever the peer is: certificates are *not* verified.
//! Without a policy that was published beforehand (DANE, MTA-STS) a sender cannot know which certificate to
//! expect, most MX hosts would fail verification, and the only alternative to an unverified connection would
//! be none at all: plain text. Encryption without authentication stops the passive listener, which plain
//! text does not. It does not stop an active attacker.
//!
//! A host whose handshake fails is remembered for some minutes and spoken to in plain text meanwhile, on a
//! new connection: the old one is in an undefined state.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a host that failed its handshake is spoken to in plain text.
const PLAIN_FOR: Duration = Duration::from_secs(15 * 60);
/// Hosts remembered. When full, the lapsed ones are dropped; if none has lapsed, all are.
const HOSTS_MAX: usize = 10_000;

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("the TLS library could not be set up: {0}")]
pub struct TlsSetupError(#[from] rustls::Error);

/// What protects a connection, for the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.3`, `TLSv1.2`.
    pub version: String,
    /// The cipher suite's name.
    pub cipher: String,
    /// Whether the peer's certificate was verified; opportunistic TLS does not.
    pub verified: bool,
}

impl fmt::Display for TlsInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verified = if self.verified { "verified" } else { "unverified" };
        write!(f, "{} {} {verified}", self.version, self.cipher)
    }
}

/// The client side of STARTTLS, and the memory of hosts where it failed.
pub struct Tls {
    config: Arc<ClientConfig>,
    plain_until: Mutex<HashMap<Arc<str>, Instant>>,
}

impl Tls {
    /// TLS 1.2 and 1.3 with the library's safe suites.
    pub fn opportunistic() -> Result<Tls, TlsSetupError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        Ok(Tls { config: Arc::new(config), plain_until: Mutex::default() })
    }

    /// Whether STARTTLS is worth trying with `host`.
    pub fn is_worth_trying(&self, host: &str) -> bool {
        let plain = self.plain_until.lock().unwrap_or_else(PoisonError::into_inner);
        plain.get(host).is_none_or(|until| Instant::now() >= *until)
    }

    /// Remembers that the handshake with `host` failed.
    pub fn remember_failure(&self, host: &Arc<str>) {
        let mut plain = self.plain_until.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if plain.len() >= HOSTS_MAX {
            plain.retain(|_, until| *until > now);
            if plain.len() >= HOSTS_MAX {
                plain.clear();
            }
        }
        plain.insert(host.clone(), now + PLAIN_FOR);
    }

    /// The handshake, with the host's name as SNI (an address sends none). The caller bounds its time.
    pub async fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, TlsInfo)> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(self.config.clone()).connect(name, stream).await?;
        let session = stream.get_ref().1;
        let info = TlsInfo {
            version: session.protocol_version().map_or_else(String::new, version_name),
            cipher: session
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default()
                .to_owned(),
            verified: false,
        };
        Ok((stream, info))
    }
}

fn version_name(version: rustls::ProtocolVersion) -> String {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2".to_owned(),
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Accepts any certificate, but still checks that the peer holds its key: the handshake's signature proves
/// that both ends share the same session.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
