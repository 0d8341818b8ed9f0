//! What an account is told about its packages and its money, over which channel and in which language (R14, R15,
//! R11). The names are those in the database, the API and the configuration.

use std::fmt;
use std::str::FromStr;

/// A name that is none of a closed list's.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' is not a {what}; use one of: {known}")]
pub struct UnknownName {
    pub name: String,
    pub what: &'static str,
    pub known: String,
}

/// Gives a closed list of variants its names: `ALL`, `as_str`, `Display` and `FromStr`.
macro_rules! named {
    ($type:ident, $what:literal, { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            pub const ALL: &'static [$type] = &[$($type::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $($type::$variant => $name),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| UnknownName {
                    name: text.to_owned(),
                    what: $what,
                    known: [$($name),+].join(", "),
                })
            }
        }
    };
}

/// The language in which an account is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

named!(Language, "language", { English => "en", Chinese => "zh" });

/// What a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeKind {
    /// A package with mails left ends soon (R14).
    Expiry,
    /// The remaining mails fell to the threshold that the user set (R15).
    LowBalance,
    /// Nothing is left of what was watched (R15).
    UsedUp,
    /// A package ended with mails left (R13).
    Lapsed,
    /// Open bills will be collected soon (R11).
    CollectionAhead,
    /// The balance did not cover what was collected: sending is stopped (R11).
    Overdue,
    /// What was overdue is paid: sending goes on (R11).
    Restored,
    /// Sending is paused by the brake, a review or an operator (R22).
    QuotaPaused,
    /// Sending goes on after a pause (R22).
    QuotaReleased,
    /// A review has raised the quota (R19).
    QuotaRaised,
    /// A review has lowered the quota (R19).
    QuotaLowered,
}

named!(NoticeKind, "kind of notice", {
    Expiry => "expiry",
    LowBalance => "low-balance",
    UsedUp => "used-up",
    Lapsed => "lapsed",
    CollectionAhead => "collection-ahead",
    Overdue => "overdue",
    Restored => "restored",
    QuotaPaused => "quota-paused",
    QuotaReleased => "quota-released",
    QuotaRaised => "quota-raised",
    QuotaLowered => "quota-lowered",
});

impl NoticeKind {
    /// The channels it goes out on. What changes nothing at once is no text message in the night.
    pub fn channels(self) -> &'static [Channel] {
        match self {
            NoticeKind::QuotaRaised | NoticeKind::QuotaLowered => &[Channel::Station, Channel::Email],
            _ => Channel::ALL,
        }
    }
}

/// The way a notice takes (R14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// The inbox in the console.
    Station,
    Email,
    Sms,
}

named!(Channel, "channel", { Station => "station", Email => "email", Sms => "sms" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_names_read_back_as_written() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse(), Ok(*language));
        }
        for kind in NoticeKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(*kind));
        }
        for channel in Channel::ALL {
            assert_eq!(channel.to_string().parse(), Ok(*channel));
        }
        assert_eq!((Language::ALL.len(), NoticeKind::ALL.len(), Channel::ALL.len()), (2, 11, 3));
    }

    #[test]
    fn an_unknown_name_says_what_would_be_known() {
        let error = "pigeon".parse::<Channel>().unwrap_err().to_string();
        assert_eq!(error, "'pigeon' is not a channel; use one of: station, email, sms");
        assert!("EN".parse::<Language>().is_err());
    }
}
