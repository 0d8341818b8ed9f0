//! What accounts are told about their packages and their money (R14, R15, R11).
//!
//! The store schedules notices as rows, each with the instant at which it is due. [`tell`] hands over what is due:
//! for one account and channel at a time, it gathers what one message shall say ([`subject`]), words it in the
//! contact's language ([`wording`]), and the store commits the message together with the rows' new state. So a
//! notice is handed over exactly once, however often a node dies, and on however many nodes the job runs.
//!
//! * in-station: the message is in the inbox with that commit.
//! * e-mail: the mail ([`mail`]) is in our own queue with that commit; from there it is delivered as any other mail
//!   is, at least once, from the installation's own [`sender`] and charged to nobody.
//! * SMS: the text waits for the gateway with that commit; see `crate::texts`.

mod mail;
pub mod sender;
mod subject;
pub(crate) mod tell;
pub mod wording;

use indicia_store::notice::SystemSender;

/// What notices need besides the store.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// Without one there are no notices by e-mail.
    pub sender: Option<SystemSender>,
    /// Code of the site's currency.
    pub currency: String,
    /// Where the console is seen from: `https://console.example.net`.
    pub console_url: String,
    /// R11: days before the 1st at which an account that is short is told; 0: not.
    pub collection_lead_days: i64,
    /// R11: an overdue account may still send what free credit and packages pay.
    pub overdue_spares_prepaid: bool,
}

/// *(config)*
pub const COLLECTION_LEAD_DAYS: i64 = 3;
