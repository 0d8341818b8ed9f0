//! The wiring of the jobs that time starts: billing, notices and their channels.

use std::sync::Arc;

use indicia_accounts::notice::NoticeSettings;
use indicia_accounts::notice::sender::{SenderError, ensure_system_sender};
use indicia_accounts::sms::SmsGateway;
use indicia_accounts::{Jobs, Metrics};
use indicia_intake::api::directmail::dkim_key;
use indicia_store::Store;
use indicia_store::notice::SystemSender;
use prometheus_client::registry::Registry;

use crate::cli::Failure;
use crate::config::Config;

/// What the jobs of this node need.
pub async fn jobs(
    config: &Config,
    store: &Store,
    sms: Option<Arc<dyn SmsGateway>>,
    registry: &mut Registry,
) -> Result<Jobs, Failure> {
    let sender = match &config.notices.from {
        Some(address) => Some(system_sender(store, address).await?),
        None => None,
    };
    Ok(Jobs {
        store: store.clone(),
        prices: config.price_list()?,
        collection: config.billing.collection()?,
        notices: NoticeSettings {
            sender,
            currency: config.billing.currency.clone(),
            console_url: config.console.public_url.trim_end_matches('/').to_owned(),
            collection_lead_days: config.notices.collection_days,
            overdue_spares_prepaid: config.billing.overdue_spares_prepaid,
        },
        sms,
        metrics: Metrics::register(registry.sub_registry_with_prefix("indicia")),
    })
}

/// The sender of notices by e-mail, with its key; made when it is not there yet.
pub async fn system_sender(store: &Store, address: &str) -> Result<SystemSender, Failure> {
    ensure_system_sender(store, address, dkim_key::generate).await.map_err(|error| match error {
        SenderError::Address { .. } => Failure::usage(error),
        SenderError::Key(_) | SenderError::Store(_) => Failure::failed(error),
    })
}
