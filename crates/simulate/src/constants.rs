//! The numbers of the simulated world, each with where it comes from.
//!
//! One table: the code computes with it, `indicia simulate --constants` prints it, and docs/quota-simulation.md shows
//! it. "Assumed" is a number for which no source was found; the page says what rests on it. The policy's own
//! numbers are not here: those are what is being tested.

/// One number and where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    pub meaning: &'static str,
    pub source: &'static str,
}

macro_rules! constants {
    ($($name:ident = $value:expr, $unit:literal, $meaning:literal, $source:literal;)+) => {
        $(#[doc = $meaning] #[doc = ""] #[doc = concat!("Unit: ", $unit, ". Source: ", $source)] pub const $name: f64 = $value;)+

        /// All of them, in the order of the file.
        pub const TABLE: &[Constant] = &[$(Constant {
            name: stringify!($name), value: $name, unit: $unit, meaning: $meaning, source: $source,
        }),+];
    };
}

constants! {
    COMPLAINT_LINE = 0.003, "share of mails in the inbox",
        "complaints that alone make an entity as bad as 1: half of its mail goes to the spam folder",
        "Google, support.google.com/a/answer/81126: never reach 0.3 %";
    INVALID_LINE = 0.10, "share of recipients",
        "invalid addresses that alone make an entity as bad as 1",
        "Amazon SES FAQ on enforcement: from 10 % it may pause; that providers put mail of senders with many into the spam folder: wordtothewise.com 2019/04";
    TRAP_LINE = 0.001, "share of recipients",
        "spam traps that alone make an entity as bad as 1",
        "assumed; Microsoft's SNDS advice calls any trap hit a reason to act";
    PRIOR_MAILS = 3_000.0, "mails",
        "weight of what a provider presumes of an entity that it does not know",
        "assumed; Postmaster Tools shows nothing below some hundred mails a day";
    PRIOR_COMPLAINTS = 0.000_5, "share",
        "complaints presumed of the unknown",
        "Mailchimp 2015 to 2018: 0.01 to 0.05 % abuse by industry";
    PRIOR_INVALID = 0.01, "share",
        "invalid addresses presumed of the unknown",
        "Mailchimp 2016: hard bounces 0.1 to 1.2 % by industry";
    FAST_HALF_LIFE_DAYS = 1.0, "days",
        "how fast the quick memory of a provider fades: a burst is seen within hours",
        "wordtothewise.com 2018/03: Gmail's algorithm can adapt quickly";
    FOLDER_STEEPNESS = 3.0, "whole exponent",
        "spam folder: b^k / (1 + b^k) at badness b; 3.6 % at a third (0.1 % complaints), half at 1",
        "shape assumed; Google: stay below 0.1 %, never reach 0.3 %; Postmaster's High 'rarely' and Low 'likely' marked as spam";
    FOLDER_BY_MISTAKE = 0.005, "share",
        "wanted mail of good senders in the spam folder all the same",
        "assumed for 'rarely' (Postmaster's High)";
    CONTENT_REFUSED_AT = 6.0, "badness",
        "badness of the domain at which half of its mail is refused as spam (5.7.1)",
        "assumed; Postmaster's Bad: 'almost always rejected at SMTP level or marked as spam'";
    ADDRESS_REFUSED_AT = 2.5, "badness",
        "badness of the IP address at which half of its mail is put off, and refused if it stays so",
        "assumed; Gmail 421 4.7.28, Yahoo TSS04 are temporary first";
    REFUSED_STEEPNESS = 4.0, "whole exponent",
        "how sharply refusals begin",
        "assumed";
    TRIES_BEFORE_REFUSED = 4.0, "attempts",
        "attempts that an IP address of bad repute is put off before it is refused for good",
        "assumed; Yahoo asks to wait about 4 hours, which is our sixth attempt";
    ADDRESS_FLOOR = 1_000.0, "mails a day and provider",
        "taken from an IP address without history",
        "SiteVibes' warm-up reaches 1,000 on day 5 (support.sitevibes.com 47001271345); Amazon SES on dedicated addresses: about 1,000 a day and provider keep a reputation";
    DOMAIN_FLOOR = 5_000.0, "mails a day and provider",
        "taken from a domain without history",
        "Google's line of a bulk sender (support.google.com/a/answer/14229414), and Microsoft's";
    GROWTH_GOOD = 2.0, "times the usual day",
        "taken of a day's volume when badness is below a third",
        "SiteVibes doubles in its first days; SendGrid's automatic warm-up grows by 1.4";
    GROWTH_FAIR = 1.4, "times the usual day",
        "the same below 1",
        "SendGrid's automatic warm-up: 1.4 a day";
    GROWTH_POOR = 1.0, "times the usual day",
        "the same below 3",
        "assumed";
    GROWTH_BAD = 0.5, "times the usual day",
        "the same from 3 on",
        "assumed";
    HOUR_SHARE = 0.25, "share of the day's volume",
        "taken within one hour",
        "assumed";
    USUAL_FADE = 0.95, "a day",
        "what stays of the usual day's volume when less is sent",
        "SendGrid warms again after 30 idle days: 0.95^30 is a fifth";
    JUMP_BADNESS = 0.5, "badness",
        "added to a domain that tries twice as much as is taken of it or more",
        "assumed; Gmail 421 4.7.28 names the DKIM domain's unusual rate";
    WOBBLE_SIGMA = 0.15, "sigma of a log-normal",
        "daily mood of a provider's filter: a factor on all badness",
        "assumed";
    FALSE_ALARM_PER_DAY = 0.000_5, "a domain, provider and day",
        "days on which a filter is wrong about a domain",
        "assumed";
    FALSE_ALARM_FOLDER = 0.30, "share",
        "of the domain's mail in the spam folder on such a day",
        "assumed";
    OUTAGES_PER_DAY = 0.01, "a provider and day",
        "outages, of 1 to 6 hours, in which everything is put off",
        "assumed";
    BOX_FAILS = 0.002, "share",
        "full or closed mailboxes: failed for good, nobody's fault",
        "half of Mailchimp 2019's soft bounces of 0.3 to 0.6 %";
    CONTENT_SIGMA = 0.5, "sigma of a log-normal",
        "how much more or less than usual a day's content is complained about, by sender; median 1",
        "assumed";
    GREYLISTED = 0.12, "share of first attempts",
        "put off once by greylisting, where a provider greylists",
        "assumed: a quarter of such servers, half of the pairs unknown; delays of 5 minutes (postgrey, titanhq.com, danami.com)";
    READING_MEDIAN_HOURS = 2.2, "hours",
        "from delivery to complaint, median",
        "denis-test.com p=2949, 10 million mails: unsubscribes 79 % on the day, 93 % after one day, 98 % after seven";
    READING_SIGMA = 1.85, "sigma of a log-normal",
        "the same, spread",
        "the same fit; chimpmetrics.com: 21 % of opens in the first hour";
    RELAY_MEDIAN_HOURS = 0.5, "hours",
        "from complaint to feedback report, median",
        "assumed";
    RELAY_SIGMA = 1.0, "sigma of a log-normal",
        "the same, spread",
        "assumed";
    WARM_ADDRESS_DAILY = 10_000.0, "mails a day",
        "usual volume of each shared IP address when the simulation begins, of good mail",
        "assumed: a service that has run for a while";
    SHARED_ADDRESSES = 6.0, "IP addresses",
        "shared by everybody, in turn",
        "assumed";
    PUT_OFF_HOURS = 72.0, "hours",
        "after which a mail that is put off again and again has failed",
        "this service's default, as SendGrid's";
    OWNER_CLEANS_DAYS = 1.5, "days, median",
        "from the pause of a hijacked account to the thief's being locked out",
        "assumed";
    OWNER_NOTICES_DAYS = 7.0, "days, median",
        "from the take-over until the owner notices by himself and locks the thief out",
        "assumed";
    OWNER_SIGMA = 0.5, "sigma of a log-normal",
        "spread of the two before",
        "assumed";
    OPERATOR_DAYS = 7.0, "days",
        "after which an operator looks at a pause that only an operator releases, and releases it if the account is clean",
        "assumed: nobody does anything by hand in the first week";
    SECOND_DOMAIN_SHARE = 0.5, "share",
        "of a sender's mail that moves to a domain that it adds later",
        "assumed";
}
