//! Which sender address stands behind MAIL FROM.

use std::sync::Arc;

use indicia_smtp::Reply;
use indicia_smtp::address::ReversePath;
use indicia_store::directory::{SendType, Sender};
use indicia_store::{Store, StoreError};

use super::TrustedRelay;
use super::login::{Grant, Scope};
use super::reply;
use crate::cache::{Cache, TIME_TO_LIVE};

const SENDERS_KEPT_MAX: usize = 20_000;
/// Whoever logs in with a domain's password may use addresses of it that are not registered, if this one is
/// (dossier 6); they are accounted to it.
const DOMAIN_WIDE_LOCAL_PART: &str = "domain-auth-created-by-system";

/// What of a registered sender address matters to a mail.
#[derive(Debug)]
pub(super) struct SenderFacts {
    pub(super) account_id: i64,
    pub(super) sender_id: i64,
    pub(super) domain_id: i64,
    pub(super) domain: String,
    pub(super) send_type: SendType,
}

/// Whom a transaction speaks for.
#[derive(Clone, Debug)]
pub(super) struct Originator {
    pub(super) sender: Arc<SenderFacts>,
    /// The sender address of the mail: MAIL FROM, or the relay's fixed one.
    pub(super) mail_from: String,
    /// Whether From may show any address of the domain, not only `mail_from`.
    pub(super) any_of_domain: bool,
    pub(super) is_relay: bool,
}

pub(super) struct Senders {
    store: Store,
    known: Cache<(i64, String), Arc<SenderFacts>>,
}

impl Senders {
    pub(super) fn new(store: Store) -> Senders {
        Senders { store, known: Cache::new(TIME_TO_LIVE, SENDERS_KEPT_MAX) }
    }

    /// Whom MAIL FROM of a client that logged in speaks for. It must be the very address of the login, or one of
    /// the domain that logged in.
    pub(super) async fn of_login(&self, grant: &Grant, from: &ReversePath) -> Result<Originator, Reply> {
        let mail_from = from.to_string().to_lowercase();
        let domain = from.mailbox().and_then(|mailbox| mailbox.domain().name());
        let conforms = match grant.scope {
            Scope::Address | Scope::AddressOfDomain => mail_from == *grant.user,
            Scope::Domain => domain == Some(&*grant.domain),
        };
        if !conforms {
            return Err(reply::foreign_mail_from(&grant.user, &mail_from));
        }
        let any_of_domain = grant.scope != Scope::Address;
        let sender = match self.usable(grant.account_id, &mail_from).await {
            Err(Unusable::Unknown) if any_of_domain => {
                let address = format!("{DOMAIN_WIDE_LOCAL_PART}@{}", grant.domain);
                self.usable(grant.account_id, &address).await
            }
            found => found,
        };
        let sender = sender.map_err(|unusable| unusable.reply(&mail_from))?;
        Ok(Originator { sender, mail_from, any_of_domain, is_relay: false })
    }

    /// Whom MAIL FROM of a trusted relay speaks for.
    pub(super) async fn of_relay(
        &self,
        relay: &TrustedRelay,
        from: &ReversePath,
    ) -> Result<Originator, Reply> {
        let mail_from = match (&relay.sender_address, from) {
            (Some(address), _) => address.to_lowercase(),
            (None, ReversePath::Mailbox(mailbox)) => mailbox.to_string().to_lowercase(),
            (None, ReversePath::Null) => return Err(reply::no_sender_address()),
        };
        let sender = self.usable(relay.account_id, &mail_from).await;
        let sender = sender.map_err(|unusable| unusable.reply(&mail_from))?;
        Ok(Originator { sender, mail_from, any_of_domain: true, is_relay: true })
    }

    async fn usable(&self, account_id: i64, address: &str) -> Result<Arc<SenderFacts>, Unusable> {
        let key = (account_id, address.to_owned());
        if let Some(facts) = self.known.get(&key) {
            return Ok(facts);
        }
        let sender = self.store.sender_by_address(account_id, address).await.map_err(Unusable::Store)?;
        let facts = Arc::new(facts(sender.ok_or(Unusable::Unknown)?)?);
        self.known.put(key, facts.clone());
        Ok(facts)
    }
}

fn facts(sender: Sender) -> Result<SenderFacts, Unusable> {
    if !sender.domain_verified {
        return Err(Unusable::Unverified { domain: sender.domain_name });
    }
    if sender.frozen {
        return Err(Unusable::Frozen { address: sender.address });
    }
    Ok(SenderFacts {
        account_id: sender.account_id,
        sender_id: sender.sender_id,
        domain_id: sender.domain_id,
        domain: sender.domain_name,
        send_type: sender.send_type,
    })
}

/// Why no mail can be sent as an address.
#[derive(Debug)]
enum Unusable {
    Unknown,
    Unverified { domain: String },
    Frozen { address: String },
    Store(StoreError),
}

impl Unusable {
    fn reply(self, mail_from: &str) -> Reply {
        match self {
            Unusable::Unknown => reply::unknown_sender(mail_from),
            Unusable::Unverified { domain } => reply::unverified_domain(&domain),
            Unusable::Frozen { address } => reply::frozen_sender(&address),
            Unusable::Store(error) => {
                tracing::error!(%error, mail_from, "a sender address could not be looked up");
                reply::try_again("The sender address cannot be looked up now")
            }
        }
    }
}
