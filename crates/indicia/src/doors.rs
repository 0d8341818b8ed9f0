//! The SMTP listeners, as the configuration wants them: submission for senders, inbound for reports.

use std::sync::Arc;

use indicia_delivery::verp::Verp;
use indicia_intake::inbound::{self, FEEDBACK_LOCAL_PART, InboundConfig, ReturnPaths};
use indicia_intake::submission::{
    self, ConnectionLimits, PlainTextAuth, Running, SubmissionConfig, TrustedRelay,
};
use indicia_intake::tls::{self, Identity};
use indicia_store::Store;
use indicia_store::admission::Admission;
use indicia_store::queue::MailKey;
use prometheus_client::registry::Registry;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::cli::Failure;
use crate::config::Config;

/// Starts the submission listeners.
pub async fn submission(
    config: &Config,
    store: &Store,
    admission: &Admission,
    stop: &CancellationToken,
    registry: &mut Registry,
) -> Result<Running, Failure> {
    let section = &config.submission;
    let mut trusted = Vec::new();
    for relay in &section.trusted {
        trusted.push(TrustedRelay {
            network: relay.network,
            account_id: relay.account()?,
            sender_address: relay.sender_address.as_ref().map(|address| address.to_lowercase()),
        });
    }
    let wanted = SubmissionConfig {
        listen: section.listen.clone(),
        tls_listen: section.tls_listen.clone(),
        size_bytes_max: section.message_bytes_max as u64,
        recipients_max: section.recipients_max,
        trusted,
        plain_text_auth: if section.auth_without_tls {
            PlainTextAuth::Always
        } else {
            PlainTextAuth::Loopback
        },
        connections: ConnectionLimits {
            connections_max: section.connections_max,
            connections_per_peer_max: section.connections_per_peer_max,
            ..ConnectionLimits::default()
        },
        ..SubmissionConfig::new(config.delivery.hostname.clone(), server_tls(config)?)
    };
    submission::start(wanted, store.clone(), admission.clone(), registry, stop.clone())
        .await
        .map_err(|error| Failure::failed(format!("submission: {error}")))
}

/// Starts the listeners for bounces to our own return paths and for reports from feedback loops.
pub async fn inbound(
    config: &Config,
    store: &Store,
    verp: Arc<Verp>,
    stop: &CancellationToken,
    registry: &mut Registry,
) -> Result<Running, Failure> {
    let wanted = InboundConfig {
        listen: config.inbound.listen.clone(),
        tls: Some(server_tls(config)?),
        feedback_address: Some(format!("{FEEDBACK_LOCAL_PART}@{}", verp.domain())),
        ..InboundConfig::new(config.delivery.hostname.clone())
    };
    inbound::start(wanted, store.clone(), return_paths(verp), registry, stop.clone())
        .await
        .map_err(|error| Failure::failed(format!("inbound: {error}")))
}

/// What reads the return paths, and the tokens in header fields, that `verp` made.
pub fn return_paths(verp: Arc<Verp>) -> ReturnPaths {
    Arc::new(move |address| {
        let token = verp.verify(address).ok()?;
        Some(MailKey {
            account_id: token.account_id,
            message_id: token.message_id,
            number: i64::from(token.recipient_number),
        })
    })
}

fn server_tls(config: &Config) -> Result<Arc<ServerConfig>, Failure> {
    let section = &config.submission;
    let identity = match (&section.certificate, &section.key) {
        (Some(certificate), Some(key)) => Identity::Files { certificate, key },
        _ => Identity::SelfSigned { data_dir: &config.data_dir, hostname: &config.delivery.hostname },
    };
    tls::server_config(identity).map_err(|error| Failure::usage(format!("submission.certificate: {error}")))
}
