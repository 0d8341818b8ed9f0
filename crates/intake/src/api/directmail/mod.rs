//! DirectMail, version 2015-11-23: one file for each resource.

pub mod account_summary;
pub mod dkim_key;
pub mod dns;
pub mod domain;
pub mod domain_records;
pub mod invalid_address;
pub mod mail_address;
pub mod password;
pub mod single_send_mail;
pub mod statistics;

/// Status fields of the API: "0" for good, "1" for not.
fn status(good: bool) -> &'static str {
    if good { "0" } else { "1" }
}
