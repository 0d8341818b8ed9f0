//! The replies of the submission service, in DirectMail's words and codes where it has some (dossier 6).
//!
//! Every refusal says what was refused and what to do about it. Clients' own octets come back only as addresses
//! that have passed the grammar.

use std::net::IpAddr;

use indicia_domain::mail::admission::Refusal;
use indicia_domain::mail::suppression::ListedCounts;
use indicia_smtp::Reply;
use indicia_smtp::server::Replies;
use indicia_store::admission::{Acceptance, SubmitError};
use indicia_store::invalid::Listed;

use super::login::LoginError;
use crate::message::control::{ControlError, UNSUBSCRIBE_LATER};
use crate::message::prepare::PrepareError;

/// What the protocol itself says in our words.
pub(super) fn protocol_replies(size_bytes_max: u64) -> Replies {
    Replies {
        too_many_recipients: Reply::enhanced(556, (5, 5, 3), "The number of RCPTs is over size"),
        too_large: Reply::enhanced(
            557,
            (5, 3, 4),
            format!(
                "The length of DATA content is achieved the maximum threshold ({size_bytes_max} octets); send less"
            ),
        ),
        ..Replies::default()
    }
}

pub(super) fn login_failed(error: &LoginError) -> Reply {
    match error {
        LoginError::Wrong => Reply::enhanced(
            535,
            (5, 7, 8),
            "Authentication failure. The user is a sender address of a verified domain, or that domain; the password is \
             its SMTP password",
        ),
        LoginError::Paused { left, is_for_peer } => {
            let seconds = left.as_secs() + 1;
            match is_for_peer {
                true => Reply::enhanced(
                    421,
                    (4, 7, 0),
                    format!("Too many failed logins from your address; try again in {seconds} seconds"),
                ),
                false => Reply::enhanced(
                    535,
                    (5, 7, 8),
                    format!(
                        "Authentication failure. Too many failed logins of this user; try again in {seconds} seconds"
                    ),
                ),
            }
        }
        LoginError::Store(_) => try_again("The login cannot be checked now"),
    }
}

/// IP protection at AUTH: told only to who has the right password.
pub(super) fn login_from_elsewhere(peer: IpAddr) -> Reply {
    let text = format!("Authentication failure. {}", protected(peer));
    Reply::enhanced(535, (5, 7, 8), text)
}

/// IP protection at MAIL: of a relay, or of a login that was right when the connection began.
pub(super) fn mail_from_elsewhere(peer: IpAddr) -> Reply {
    Reply::enhanced(550, (5, 7, 1), protected(peer))
}

fn protected(peer: IpAddr) -> String {
    format!(
        "The account's IP protection does not list your address {peer}; add it (AddIpfilter), or have protection \
         switched off (UpdateIpProtection)"
    )
}

/// A failure of our own.
pub(super) fn try_again(what: &str) -> Reply {
    Reply::enhanced(451, (4, 3, 0), format!("{what}; try again in a moment"))
}

pub(super) fn foreign_mail_from(user: &str, mail_from: &str) -> Reply {
    let text = format!(
        "\"MAIL FROM\" doesn't conform with authentication [@sm060104] (Auth Account:{user}|Mail Account:{mail_from})"
    );
    Reply::enhanced(436, (4, 7, 1), text)
}

pub(super) fn no_sender_address() -> Reply {
    let text = "A relay without a sender_address of its own must give one of the account's in MAIL FROM";
    Reply::enhanced(550, (5, 7, 1), text)
}

pub(super) fn unknown_sender(address: &str) -> Reply {
    let text = format!("{address} is not a sender address of the account; register it (CreateMailAddress)");
    Reply::enhanced(553, (5, 7, 1), text)
}

pub(super) fn unverified_domain(domain: &str) -> Reply {
    let text =
        format!("The domain {domain} is not verified; set its DNS records and check them (CheckDomain)");
    Reply::enhanced(553, (5, 7, 1), text)
}

pub(super) fn frozen_sender(address: &str) -> Reply {
    let text = format!(
        "Main account unavailable: the sender address {address} is frozen; ask the operator of this service"
    );
    Reply::enhanced(551, (5, 7, 1), text)
}

pub(super) fn bare_postmaster() -> Reply {
    Reply::enhanced(550, (5, 1, 1), "Mail is taken for addresses with a domain only; write postmaster@domain")
}

pub(super) fn address_literal(address: &str) -> Reply {
    let text = format!("{address}: mail is sent to domain names only, not to address literals");
    Reply::enhanced(553, (5, 1, 3), text)
}

/// A recipient that a list refuses: of the account's own library 563, of the shared one 559 (dossier 6), of the
/// block list 550, for which the original has no number.
pub(super) fn listed(address: &str, listed: Listed) -> Reply {
    let (what, remedy) = (listed.what(), listed.remedy());
    match listed {
        Listed::Personal | Listed::Entered | Listed::EnteredDomain => {
            Reply::enhanced(563, (5, 1, 1), format!("Invalid rcptto {address}: {what}; {remedy}"))
        }
        Listed::Shared => {
            Reply::enhanced(559, (5, 1, 1), format!("Invalid rcptto {address}: {what}; {remedy}"))
        }
        Listed::Unsubscribed | Listed::Reported => {
            Reply::enhanced(550, (5, 7, 1), format!("Blocked rcptto {address}: {what}; {remedy}"))
        }
    }
}

/// Every recipient is on a list; `first` is the first of them.
fn all_listed(first: &str, refused: &[(usize, Listed)]) -> Reply {
    let counts: ListedCounts = refused.iter().map(|(_, listed)| *listed).collect();
    match refused {
        [(_, only)] => listed(first, *only),
        _ if counts.are_all_blocked() => {
            Reply::enhanced(550, (5, 7, 1), format!("Blocked rcptto: every recipient is refused, {counts}"))
        }
        _ => Reply::enhanced(563, (5, 1, 1), format!("Invalid rcptto: every recipient is refused, {counts}")),
    }
}

pub(super) fn routing_loop() -> Reply {
    Reply::enhanced(554, (5, 4, 6), "The message has 100 or more Received fields: it goes round in circles")
}

/// Why content was found unfit.
pub(super) fn unfit(error: &PrepareError) -> Reply {
    match error {
        PrepareError::Setting(setting) => invalid_setting(setting),
        PrepareError::Author { .. } => Reply::enhanced(554, (5, 7, 1), format!("Not sent: {error}")),
        PrepareError::EightBitHeader => Reply::enhanced(554, (5, 6, 7), format!("Not sent: {error}")),
        _ => Reply::enhanced(554, (5, 6, 0), format!("Not sent: {error}")),
    }
}

const ASK_FOR_POOLS: &str = "DedicatedIpPoolList lists the account's IP pools";

/// The account has no pool of this id.
pub(super) fn no_such_ip_pool(pool_id: i64) -> Reply {
    let text = format!("Invalid setting: the account has no IP pool {pool_id}; {ASK_FOR_POOLS}");
    Reply::enhanced(504, (5, 5, 4), text)
}

fn invalid_setting(error: &ControlError) -> Reply {
    let text = match error {
        ControlError::NotBase64("X-AliDM-Settings") | ControlError::NotJson("X-AliDM-Settings") => {
            format!("Invalid setting [@sm190210]: {error}")
        }
        ControlError::LinkType => format!("{error} [@sm190211]; {UNSUBSCRIBE_LATER}"),
        ControlError::FilterLevel => format!("{error} [@sm190212]; {UNSUBSCRIBE_LATER}"),
        ControlError::IpPool => format!("{error}; {ASK_FOR_POOLS}"),
        _ => format!("Invalid setting: {error}"),
    };
    Reply::enhanced(504, (5, 5, 4), text)
}

pub(super) fn accepted(acceptance: &Acceptance) -> Reply {
    if acceptance.refused.is_empty() {
        return sent(acceptance.message_id);
    }
    let counts: ListedCounts = acceptance.refused.iter().map(|(_, listed)| *listed).collect();
    let text = format!("send mail ok {} (less {counts}, not charged)", acceptance.message_id);
    Reply::enhanced(250, (2, 0, 0), text)
}

pub(super) fn sent(message_id: i64) -> Reply {
    Reply::enhanced(250, (2, 0, 0), format!("send mail ok {message_id}"))
}

/// Why a message was not accepted; `first` is its first recipient.
pub(super) fn not_accepted(error: &SubmitError, first: &str) -> Reply {
    match error {
        SubmitError::Refused(Refusal::OverQuota(over)) => Reply::enhanced(
            552,
            (5, 4, 5),
            format!(
                "{} sending quota exceeded: quota {}, used {}, requested {}; it resets at {}",
                over.period.name(),
                over.quota,
                over.used,
                over.requested,
                over.resets_at.rfc3339_seconds()
            ),
        ),
        SubmitError::Refused(refusal @ Refusal::OverAllowance { .. }) => {
            Reply::enhanced(552, (5, 4, 5), format!("Not enough sending quota: {refusal}"))
        }
        SubmitError::Listed { refused } => all_listed(first, refused),
        SubmitError::Refused(refusal) => {
            Reply::enhanced(551, (5, 7, 1), format!("Main account unavailable: {refusal}"))
        }
        SubmitError::NoAccount(_) => {
            Reply::enhanced(551, (5, 7, 1), "Main account unavailable: there is no such account any more")
        }
        SubmitError::IdempotencyConflict | SubmitError::NonceReplayed => {
            Reply::enhanced(554, (5, 7, 1), format!("Not sent: {error}"))
        }
        SubmitError::Overloaded => {
            Reply::enhanced(452, (4, 3, 2), "Too many messages wait to be accepted; try again in a moment")
        }
        SubmitError::Store(_) => try_again("The mail could not be made durable, so it was not accepted"),
    }
}
