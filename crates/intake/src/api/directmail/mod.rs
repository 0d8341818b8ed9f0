//! DirectMail, version 2015-11-23: one file for each resource.

pub mod account_summary;
pub mod block_sending;
pub mod dedicated_ip;
pub mod dkim_key;
pub mod dns;
pub mod domain;
pub mod domain_records;
pub mod invalid_address;
pub mod ip_filter;
pub mod ip_pool;
pub mod mail_address;
pub mod password;
pub mod single_send_mail;
pub mod statistics;
pub mod suppression;

use indicia_store::audit::{Actor, ActorKind};

use super::call::Call;

/// Who the audit log says it was.
fn actor(call: &Call<'_>) -> Actor {
    Actor::new(ActorKind::ApiKey, &call.nonce.access_key_id)
}

/// Status fields of the API: "0" for good, "1" for not.
fn status(good: bool) -> &'static str {
    if good { "0" } else { "1" }
}
