//! Notices in words: what happens, to what, when, how many mails, and what to do about it.
//!
//! [`word`] is a pure function: the same subject and recipient always give the same words, so a notice that is
//! worded again after a crash is the same notice. It takes no clock either: a date is always the stored end in
//! the stored zone (R14), never "in three days", which a late delivery would make untrue.
//!
//! One subject becomes three texts: a subject line and a plain-text body for e-mail and the console's inbox, and a
//! short message. Packages that are due together share one notice, as a list in the order of their ends. The body
//! names every package and breaks its lines at 78 columns. The short message names as many as three messages can
//! carry, three at most, and says how many more there are. `english` and `chinese` hold the words (those about quota
//! in files of their own), `figures` numbers and instants, `layout` lines and lengths.

mod chinese;
mod chinese_quota;
mod english;
mod english_quota;
mod figures;
mod layout;
#[cfg(test)]
mod tests;

use indicia_domain::money::MoneyMicros;
use indicia_domain::notice::{Language, NoticeKind};
use indicia_domain::quota::evidence::{Measure, Reason};
use indicia_domain::quota::rate::Ppm;
use indicia_domain::time::UnixMicros;

/// The name that short messages open with, since a telephone shows only a number.
const PRODUCT: &str = "Indicia";

/// A package that ends soon with mails left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringPackage {
    pub instance_id: String,
    pub granted: i64,
    pub remaining: i64,
    pub ends_at: UnixMicros,
    /// IANA name of the zone in which the end was computed (R08).
    pub zone: String,
    /// Which of the configured leads this notice is of; 0 is not mentioned.
    pub lead_days: i64,
}

/// A package that ended with mails left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LapsedPackage {
    pub instance_id: String,
    pub granted: i64,
    /// Mails left at the end (R13).
    pub lapsed: i64,
    pub ended_at: UnixMicros,
    /// IANA name of the zone in which the end was computed (R08).
    pub zone: String,
}

/// A pause of sending (R22).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// The operator's own words; `None`: the brake or a review made it.
    pub operator_says: Option<String>,
    pub reasons: Vec<Reason>,
    /// The last so many minutes showed it; `None`: the week did.
    pub minutes: Option<i64>,
    /// Mails a day after it.
    pub daily_after: i64,
    /// When a review releases it; `None`: only an operator does.
    pub released_at: Option<UnixMicros>,
    /// IANA name of the account's zone.
    pub zone: String,
}

/// What a notice is about, with all that its words need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// R14. At least one package, in any order.
    Expiry(Vec<ExpiringPackage>),
    /// R15.
    LowBalance {
        /// One package; `None` is all of them together.
        scope: Option<String>,
        /// The threshold that the user set.
        percent: i64,
        remaining: i64,
        granted: i64,
    },
    /// R15.
    UsedUp {
        /// One package; `None` is all of them together.
        scope: Option<String>,
        /// The packages that are used up.
        instance_ids: Vec<String>,
    },
    /// R13. At least one package, in any order.
    Lapsed(Vec<LapsedPackage>),
    /// R11.
    CollectionAhead {
        /// Bills made and not yet paid.
        open: MoneyMicros,
        /// Pay-as-you-go mails that will be on bills to come.
        unbilled_mails: i64,
        /// Cash balance and credit limit together.
        available: MoneyMicros,
        collect_at: UnixMicros,
        /// IANA name of the account's zone.
        zone: String,
    },
    /// R11.
    Overdue {
        /// Collected and not paid.
        due: MoneyMicros,
        /// Cash balance and credit limit together.
        available: MoneyMicros,
        /// What free credit and packages pay goes on (R11, *(config)*).
        prepaid_goes_on: bool,
    },
    /// R11.
    Restored {
        /// What was due and is now paid.
        paid: MoneyMicros,
    },
    /// R22.
    QuotaPaused(Pause),
    /// R22.
    QuotaReleased { daily: i64, by_operator: bool },
    /// R19. Mails a day.
    QuotaRaised { old_daily: i64, new_daily: i64 },
    /// R19. Mails a day, and why.
    QuotaLowered { old_daily: i64, new_daily: i64, reasons: Vec<Reason> },
}

impl Subject {
    pub fn kind(&self) -> NoticeKind {
        match self {
            Subject::Expiry(_) => NoticeKind::Expiry,
            Subject::LowBalance { .. } => NoticeKind::LowBalance,
            Subject::UsedUp { .. } => NoticeKind::UsedUp,
            Subject::Lapsed(_) => NoticeKind::Lapsed,
            Subject::CollectionAhead { .. } => NoticeKind::CollectionAhead,
            Subject::Overdue { .. } => NoticeKind::Overdue,
            Subject::Restored { .. } => NoticeKind::Restored,
            Subject::QuotaPaused(_) => NoticeKind::QuotaPaused,
            Subject::QuotaReleased { .. } => NoticeKind::QuotaReleased,
            Subject::QuotaRaised { .. } => NoticeKind::QuotaRaised,
            Subject::QuotaLowered { .. } => NoticeKind::QuotaLowered,
        }
    }
}

/// Who is told, and where the account's pages are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    pub account_name: String,
    /// Code of the site's currency.
    pub currency: String,
    /// The account's own pages in the console: `https://console.example.net/accounts/7`.
    pub console_url: String,
    pub language: Language,
}

/// A notice in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worded {
    /// One line.
    pub subject: String,
    /// Plain text, for e-mail and the console's inbox. Lines end with a line feed.
    pub body: String,
    /// At most three short messages long; one, for one package or for money, with names of usual length.
    pub sms: String,
}

/// Words a notice for a recipient.
pub fn word(subject: &Subject, to: &Recipient) -> Worded {
    let to = Recipient {
        account_name: layout::one_line(&to.account_name),
        currency: layout::one_line(&to.currency),
        console_url: to.console_url.trim_end_matches('/').to_owned(),
        language: to.language,
    };
    match to.language {
        Language::English => english::word(subject, &to),
        Language::Chinese => chinese::word(subject, &to),
    }
}

/// The console's pages that notices lead to. The paths are those of the console's own routes, below an account.
impl Recipient {
    fn packages_page(&self) -> String {
        format!("{}/billing/reserved-instances/resource-packages/directmail", self.console_url)
    }

    /// The page of the only package, or the list of all.
    fn page_of<'a>(&self, instance_ids: impl IntoIterator<Item = &'a str>) -> String {
        let mut ids = instance_ids.into_iter();
        match (ids.next(), ids.next()) {
            (Some(only), None) => format!("{}/{only}", self.packages_page()),
            _ => self.packages_page(),
        }
    }

    fn unpaid_page(&self) -> String {
        format!("{}/billing/bills/unpaid", self.console_url)
    }

    fn reputation_page(&self) -> String {
        format!("{}/reputation", self.console_url)
    }

    fn balance_page(&self) -> String {
        format!("{}/billing/transactions", self.console_url)
    }
}

/// The packages of a notice about ends, whether to come or past: what both share.
struct Ended<'a> {
    instance_id: &'a str,
    granted: i64,
    left: i64,
    moment: figures::Moment,
    lead_days: i64,
}

fn expiring(packages: &[ExpiringPackage]) -> Vec<Ended<'_>> {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by_key(|package| (package.ends_at, &package.instance_id));
    let view = |package: &'_ ExpiringPackage| figures::Moment::new(package.ends_at, &package.zone);
    let ended = sorted.into_iter().map(|package| Ended {
        instance_id: &package.instance_id,
        granted: package.granted,
        left: package.remaining,
        moment: view(package),
        lead_days: package.lead_days,
    });
    ended.collect()
}

fn lapsed(packages: &[LapsedPackage]) -> Vec<Ended<'_>> {
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by_key(|package| (package.ended_at, &package.instance_id));
    let ended = sorted.into_iter().map(|package| Ended {
        instance_id: &package.instance_id,
        granted: package.granted,
        left: package.lapsed,
        moment: figures::Moment::new(package.ended_at, &package.zone),
        lead_days: 0,
    });
    ended.collect()
}

fn left_in_all(packages: &[Ended<'_>]) -> i64 {
    packages.iter().fold(0, |sum, package| sum.saturating_add(package.left))
}

/// What a short message has room for: the first line that was passed.
fn first_past(reasons: &[Reason]) -> Option<(Measure, Ppm, Ppm)> {
    reasons.iter().find_map(|reason| match reason {
        Reason::Past { measure, rate, line, .. } => Some((*measure, rate.share(), *line)),
        _ => None,
    })
}

/// What is missing to pay `wanted`; nothing when enough is there.
fn missing(wanted: MoneyMicros, available: MoneyMicros) -> MoneyMicros {
    MoneyMicros(wanted.0.saturating_sub(available.0).max(0))
}
