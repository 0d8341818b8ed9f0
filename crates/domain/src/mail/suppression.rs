//! Which recipients are refused at intake because a list names them (dossier 3, 8.3).
//!
//! Three lists. The *personal* library of invalid addresses belongs to one account: what its own mail found not to
//! exist, and the addresses and whole domains that its owner entered. The *shared* library is for all: addresses
//! that several accounts' mail found not to exist; what owners typed in counts nothing there, so that nobody can
//! silence a stranger's address by entering it under three accounts. The *block list* has recipients who
//! unsubscribed from one sender address or reported its mail as spam.
//!
//! The account's level says whether mail of trigger senders minds the shared library as well as the personal
//! one; mail of batch senders minds both whatever the level, and nothing lifts the block list but the lifting
//! of the block itself. A recipient so refused is neither counted nor charged (R03).

use std::fmt;
use std::str::FromStr;

use super::State;

/// Which libraries of invalid addresses are applied to mail of trigger senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SuppressionLevel {
    /// The personal library and the shared one.
    #[default]
    All,
    /// The personal library only.
    Personal,
}

/// A level of another name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither 'all' (the personal and the shared library) nor 'personal' (the personal one only)")]
pub struct UnknownLevel;

impl SuppressionLevel {
    pub fn as_str(self) -> &'static str {
        match self {
            SuppressionLevel::All => "all",
            SuppressionLevel::Personal => "personal",
        }
    }
}

impl FromStr for SuppressionLevel {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<SuppressionLevel, UnknownLevel> {
        [SuppressionLevel::All, SuppressionLevel::Personal]
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or(UnknownLevel)
    }
}

/// Why a recipient is on the block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockType {
    /// The recipient unsubscribed.
    Unsubscribe,
    /// The recipient reported a mail as spam.
    Report,
}

/// A block type of another name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is neither UNSUB (unsubscribed) nor REPORT (spam report)")]
pub struct UnknownBlockType;

impl BlockType {
    /// DirectMail's word.
    pub fn as_str(self) -> &'static str {
        match self {
            BlockType::Unsubscribe => "UNSUB",
            BlockType::Report => "REPORT",
        }
    }
}

impl FromStr for BlockType {
    type Err = UnknownBlockType;

    fn from_str(text: &str) -> Result<BlockType, UnknownBlockType> {
        [BlockType::Unsubscribe, BlockType::Report]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownBlockType)
    }
}

/// What the recipient gave as reasons: DirectMail's set of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockReasons(pub i64);

impl BlockReasons {
    pub const UNSPECIFIED: BlockReasons = BlockReasons(1);
    pub const NOT_INTERESTED: BlockReasons = BlockReasons(1 << 1);
    pub const REPETITIVE: BlockReasons = BlockReasons(1 << 2);
    pub const TOO_FREQUENT: BlockReasons = BlockReasons(1 << 3);

    pub fn and(self, other: BlockReasons) -> BlockReasons {
        BlockReasons(self.0 | other.0)
    }
}

/// What the personal library says of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Personal {
    /// A delivery was refused: there is no such address.
    Found,
    /// The owner entered the address.
    Entered,
    /// The owner entered its whole domain.
    EnteredDomain,
}

/// What all lists say of one recipient of one sender address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listings {
    pub personal: Option<Personal>,
    pub is_shared: bool,
    pub has_unsubscribed: bool,
    pub has_reported: bool,
}

/// Why a recipient is refused at intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Listed {
    /// This account's own mail to it was refused as invalid.
    Personal,
    /// The account entered the address in its library.
    Entered,
    /// The account entered the address's domain in its library.
    EnteredDomain,
    /// Several accounts' mail to it was refused as invalid.
    Shared,
    /// The recipient unsubscribed from the sender address.
    Unsubscribed,
    /// The recipient reported mail of the sender address as spam.
    Reported,
}

impl Listings {
    /// Which list refuses the recipient, if one does. Of several the first in this order is named: personal library,
    /// spam report, unsubscription, shared library.
    pub fn refusal(&self, level: SuppressionLevel, is_batch_sender: bool) -> Option<Listed> {
        let minds_shared = is_batch_sender || level == SuppressionLevel::All;
        match self.personal {
            Some(Personal::Found) => Some(Listed::Personal),
            Some(Personal::Entered) => Some(Listed::Entered),
            Some(Personal::EnteredDomain) => Some(Listed::EnteredDomain),
            None if self.has_reported => Some(Listed::Reported),
            None if self.has_unsubscribed => Some(Listed::Unsubscribed),
            None if self.is_shared && minds_shared => Some(Listed::Shared),
            None => None,
        }
    }
}

impl Listed {
    pub const ALL: [Listed; 6] = [
        Listed::Personal,
        Listed::Entered,
        Listed::EnteredDomain,
        Listed::Shared,
        Listed::Unsubscribed,
        Listed::Reported,
    ];

    /// Whether the block list refuses it, not a library of invalid addresses.
    pub fn is_blocked(self) -> bool {
        matches!(self, Listed::Unsubscribed | Listed::Reported)
    }

    /// Whether it is an entry of the account's own library, which remembers when it was last hit.
    pub fn is_own_entry(self) -> bool {
        matches!(self, Listed::Personal | Listed::Entered | Listed::EnteredDomain)
    }

    /// What the recipient's row in the mail log shows.
    pub fn state(self) -> State {
        if self.is_blocked() { State::Failed } else { State::InvalidAddress }
    }

    /// DirectMail's name (dossier 8.2).
    pub fn classification(self) -> &'static str {
        match self {
            Listed::Unsubscribed => "SysOutRecipientUnsubscribed",
            Listed::Reported => "SysOutRecipientReportedSpam",
            _ => "SysIncomingInvRcpt",
        }
    }

    /// What it is, in the middle of a sentence about the recipient.
    pub fn what(self) -> &'static str {
        match self {
            Listed::Personal => {
                "the address is in the invalid-address library, because its server said that it does not exist"
            }
            Listed::Entered => "the account itself has put the address on its suppression list",
            Listed::EnteredDomain => {
                "the account itself has put the address's domain on its suppression list"
            }
            Listed::Shared => {
                "the address is in the invalid-address library of all, because its server told several accounts that it does not exist"
            }
            Listed::Unsubscribed => "the recipient has unsubscribed from this sender address",
            Listed::Reported => "the recipient has reported mail of this sender address as spam",
        }
    }

    /// How the owner of the account can lift it.
    pub fn remedy(self) -> &'static str {
        match self {
            Listed::Personal => "if it exists by now, remove it (DeleteInvalidAddress)",
            Listed::Entered | Listed::EnteredDomain => {
                "remove the entry (ListUserSuppression, RemoveUserSuppression)"
            }
            Listed::Shared => "do not write to it",
            Listed::Unsubscribed => {
                "if the recipient has asked for mail again, lift it (UnblockSending UNSUB)"
            }
            Listed::Reported => "if the recipient has asked for mail again, lift it (UnblockSending REPORT)",
        }
    }

    /// The line in the mail log.
    pub fn log_line(self) -> String {
        format!("refused at intake: {}; not counted, not charged; {}", self.what(), self.remedy())
    }
}

/// How many recipients each list refused, for people: `2 in the invalid-address library, 1 who unsubscribed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListedCounts {
    counts: [usize; Listed::ALL.len()],
}

impl FromIterator<Listed> for ListedCounts {
    fn from_iter<I: IntoIterator<Item = Listed>>(all: I) -> ListedCounts {
        let mut counts = ListedCounts::default();
        all.into_iter().for_each(|listed| counts.counts[listed as usize] += 1);
        counts
    }
}

impl ListedCounts {
    /// Whether every one of them is on the block list; `false` for none.
    pub fn are_all_blocked(&self) -> bool {
        let of = |blocked: bool| {
            Listed::ALL
                .iter()
                .filter(|listed| listed.is_blocked() == blocked)
                .map(|listed| self.counts[*listed as usize])
                .sum::<usize>()
        };
        of(true) > 0 && of(false) == 0
    }
}

impl fmt::Display for ListedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |listed: Listed| self.counts[listed as usize];
        let parts = [
            (of(Listed::Personal) + of(Listed::Shared), "in the invalid-address library"),
            (of(Listed::Entered) + of(Listed::EnteredDomain), "on your suppression list"),
            (of(Listed::Unsubscribed), "who unsubscribed from the sender address"),
            (of(Listed::Reported), "who reported mail of the sender address as spam"),
        ];
        let mut separator = "";
        for (count, words) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{separator}{count} {words}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The key under which a whole domain stands in the library, from the key of any address of it (or of none):
/// `@example.net`. No address has it: a local part is never empty.
pub fn domain_key_of(address_key: &str) -> &str {
    &address_key[address_key.rfind('@').unwrap_or(0)..]
}

#[cfg(test)]
#[path = "suppression_tests.rs"]
mod tests;
