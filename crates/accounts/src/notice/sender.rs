//! The installation's own sender: a domain with its key, and an address, of the account that nobody has
//! ([`SYSTEM_ACCOUNT_ID`]).

use std::fmt::Display;

use indicia_smtp::address::Mailbox;
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::directory::{DkimKey, Domain, RegisterError, SendType, VerifyError};
use indicia_store::notice::SystemSender;
use indicia_store::{Store, StoreError};

/// The selector of its key. An account may send from the same domain with a key of its own: both records can
/// stand in DNS.
pub const SELECTOR: &str = "indicia-notices";

/// Why there is no sender for notices.
#[derive(Debug, thiserror::Error)]
pub enum SenderError {
    #[error(
        "notices.from '{address}' is not an address that mail can come from ({detail}); write one such as billing@example.net"
    )]
    Address { address: String, detail: String },
    #[error("no key could be made to sign notices with: {0}")]
    Key(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes the domain and the address of `address` for the installation's own mail, if they are not there yet, and
/// returns them. `make_key` makes a DKIM key for a selector; it may take its time, and is only called when a key is
/// needed. Of two nodes that start at once, both get the same.
pub async fn ensure_system_sender<E: Display>(
    store: &Store,
    address: &str,
    make_key: impl FnOnce(&str) -> Result<DkimKey, E> + Send + 'static,
) -> Result<SystemSender, SenderError> {
    let refused = |detail: &dyn Display| SenderError::Address {
        address: address.to_owned(),
        detail: detail.to_string(),
    };
    let mailbox = Mailbox::parse(address.trim()).map_err(|error| refused(&error))?;
    let name = mailbox.domain().name().ok_or_else(|| refused(&"its domain is an address literal"))?;
    if !mailbox.is_ascii() {
        return Err(refused(&"its local part is not ASCII"));
    }
    let domain = match store.domain_by_name(SYSTEM_ACCOUNT_ID, name).await? {
        Some(domain) => domain,
        None => make_domain(store, name, make_key).await?,
    };
    if !domain.verified {
        match store.verify_domain_by_operator(SYSTEM_ACCOUNT_ID, name).await {
            Ok(()) => {}
            // The operator's own account may send from the same domain. Each signs with its own key.
            Err(VerifyError::ElsewhereVerified) => {
                tracing::info!(domain = name, "the domain of notices is an account's as well");
            }
            Err(VerifyError::NotFound) => return Err(StoreError::Corrupt(gone(name)).into()),
            Err(VerifyError::Store(error)) => return Err(error.into()),
        }
    }
    let address = mailbox.to_string().to_lowercase();
    let sender_id = match store.sender_by_address(SYSTEM_ACCOUNT_ID, &address).await? {
        Some(sender) => sender.sender_id,
        None => make_sender(store, domain.domain_id, &address).await?,
    };
    Ok(SystemSender { domain_id: domain.domain_id, sender_id, address })
}

async fn make_domain<E: Display>(
    store: &Store,
    name: &str,
    make_key: impl FnOnce(&str) -> Result<DkimKey, E> + Send + 'static,
) -> Result<Domain, SenderError> {
    let making = tokio::task::spawn_blocking(move || make_key(SELECTOR).map_err(|error| error.to_string()));
    let key = making.await.map_err(|error| SenderError::Key(error.to_string()))?.map_err(SenderError::Key)?;
    // Nobody looks for the ownership record of this domain: it is the operator's word in the configuration.
    match store.create_domain(SYSTEM_ACCOUNT_ID, name, "", &key, i64::MAX).await {
        Ok(_) => tracing::info!(
            domain = name,
            selector = SELECTOR,
            "a key was made for notices; publish its record"
        ),
        Err(RegisterError::Exists) => {}
        Err(error) => return Err(unregistered(error).into()),
    }
    let domain = store.domain_by_name(SYSTEM_ACCOUNT_ID, name).await?;
    domain.ok_or_else(|| StoreError::Corrupt(gone(name)).into())
}

async fn make_sender(store: &Store, domain_id: i64, address: &str) -> Result<i64, SenderError> {
    match store.create_sender(SYSTEM_ACCOUNT_ID, domain_id, address, SendType::Trigger, "", i64::MAX).await {
        Ok(sender_id) => return Ok(sender_id),
        Err(RegisterError::Exists) => {}
        Err(error) => return Err(unregistered(error).into()),
    }
    let sender = store.sender_by_address(SYSTEM_ACCOUNT_ID, address).await?;
    Ok(sender.ok_or_else(|| StoreError::Corrupt(gone(address)))?.sender_id)
}

fn gone(name: &str) -> String {
    format!("'{name}', of the installation itself, was there and is gone")
}

fn unregistered(error: RegisterError) -> StoreError {
    match error {
        RegisterError::Store(error) => error,
        other => StoreError::Corrupt(other.to_string()),
    }
}
