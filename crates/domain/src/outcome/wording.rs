//! What large providers really say, as data.
//!
//! Providers reuse one code for many things (`550 5.7.1` alone is spam, policy, a full mailbox or a closed
//! list), so their words are looked at before the code. Lines are tried from top to bottom and the first
//! that fits decides; narrow wording stands above wide wording.

use super::{Disposition, ErrorClassification as Class, Phase};

/// Which replies a line is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// 4yz and 5yz.
    Any,
    /// 5yz only: the same words with a 4yz prove nothing.
    Permanent,
    /// 4yz only.
    Transient,
}

/// One line of the table.
pub(super) struct Wording {
    on: On,
    /// Any of these, in lower case, somewhere in the reply's text.
    words: &'static [&'static str],
    pub(super) class: Class,
    /// Where the provider's first digit is known to mislead.
    pub(super) disposition: Option<Disposition>,
}

const fn line(on: On, class: Class, words: &'static [&'static str]) -> Wording {
    Wording { on, words, class, disposition: None }
}

const fn retried(on: On, class: Class, words: &'static [&'static str]) -> Wording {
    Wording { on, words, class, disposition: Some(Disposition::Temporary) }
}

const TABLE: &[Wording] = &[
    // Tencent answers its rate limits with 550; its own help tells senders to try again later.
    retried(On::Any, Class::SmtpIPFreq, &["ip frequency limited", "connection frequency limited"]),
    retried(On::Any, Class::SmtpMfdFreq, &["domain frequency limited"]),
    retried(On::Any, Class::SmtpMfFreq, &["sender frequency limited", "mail from frequency limited"]),
    retried(On::Any, Class::SmtpZPermErr, &["too many recipients", "too many rcpt"]),
    line(
        On::Any,
        Class::SmtpBoxFull,
        &[
            "over quota",
            "overquota",
            "over its quota",
            "quota exceeded",
            "exceeded storage",
            "exceeded its storage",
            "mailbox full",
            "mailbox is full",
            "mailbox size limit",
            "mailbox quota",
            "insufficient storage",
            "out of storage space",
            "not enough disk space",
            "inbox is full",
            "quotaexceeded",
        ],
    ),
    line(
        On::Transient,
        Class::SmtpGreylist,
        &[
            "greylist",
            "graylist",
            "grey-list",
            "gray-list",
            "grey listed",
            "gray listed",
            "postgrey",
            "retry your request after",
        ],
    ),
    line(On::Any, Class::SmtpDmaFail, &["dmarc"]),
    line(
        On::Any,
        Class::SmtpSpfFail,
        &["spf check", "spf fail", "spf record", "spf validation", "spf:", "mi:spf"],
    ),
    line(
        On::Any,
        Class::SmtpAuthFail,
        &[
            "dkim",
            "unauthenticated",
            "cannot find your hostname",
            "cannot find your reverse hostname",
            "authentication checks failed",
            "not accepted due to domain's",
            "message failed authentication",
            "reverse dns",
            "ptr record",
        ],
    ),
    line(
        On::Any,
        Class::SmtpRcptFreq,
        &[
            "receiving mail at a rate",
            "receiving mail too quickly",
            "recipient's rate limit",
            "recipient rate limit",
            "recipient has exceeded their limit",
            "mailbox is receiving",
        ],
    ),
    line(
        On::Any,
        Class::SmtpIPFreq,
        &[
            "unusual rate of",
            "rate limited",
            "rate limit",
            "ratelimit",
            "too many connections",
            "too many concurrent",
            "too many messages",
            "too many mails",
            "[tss0",
            "temporarily deferred due to",
            "unexpected volume",
            "sending too fast",
            "server busy",
            "throttl",
            "mi:dmc",
            "mi:ccl",
            "mi:cel",
        ],
    ),
    line(
        On::Any,
        Class::SmtpMfLimit,
        &["sender's sending limit", "daily sending limit", "sending quota", "mi:lim"],
    ),
    line(
        On::Any,
        Class::SmtpDbl,
        &[
            "dbl.spamhaus",
            "surbl",
            "uribl",
            "domain is listed",
            "domain blocklist",
            "blacklisted url",
            "blocked url",
            "listed domain",
        ],
    ),
    line(
        On::Any,
        Class::SmtpContSpam,
        &[
            "mail content denied",
            "content spam",
            "content rejected",
            "message content",
            "suspected spam",
            "suspicion of spam",
            "considered spam",
            "considered as spam",
            "classified as spam",
            "identified as spam",
            "detected as spam",
            "looks like spam",
            "spam message",
            "spam content",
            "message is spam",
            "high probability of spam",
            "likely unsolicited",
            "unsolicited mail",
            "unsolicited message",
            "bulk mail",
            "spamassassin",
            "dt:spm",
            "virus",
            "malware",
            "phishing",
        ],
    ),
    line(
        On::Permanent,
        Class::SmtpNxBox,
        &[
            "mailbox is blocked",
            "mailbox blocked",
            "account is blocked",
            "user is blocked",
            "account has been blocked",
        ],
    ),
    line(
        On::Any,
        Class::SmtpMiscSpam,
        &[
            "spamhaus",
            "spamcop",
            "barracuda",
            "sorbs",
            "blocklist",
            "block list",
            "blacklist",
            "black list",
            "dnsbl",
            " rbl",
            "rbl:",
            "blocked using",
            "is blocked",
            "are blocked",
            "been blocked",
            "ip reputation",
            "low reputation",
            "poor reputation",
            "reputation of",
            "very low reputation",
            "bad reputation",
            "s3140",
            "s3150",
            "weren't sent",
            "banned sending ip",
            "banned sender",
            "mi:spb",
            "[cs01]",
            "[hm08]",
            "user complaints",
            "spam",
        ],
    ),
    line(
        On::Permanent,
        Class::SmtpMfBad,
        &[
            "sender address rejected",
            "sender rejected",
            "sender verify failed",
            "sender address is invalid",
            "sender domain",
            "envelope sender",
            "return-path",
            "domain of sender",
            "mail from domain",
        ],
    ),
    line(
        On::Permanent,
        Class::SmtpZPermErr,
        &[
            "relay access denied",
            "relaying denied",
            "relay not permitted",
            "unable to relay",
            "restricted",
            "not authorized",
            "authrequired",
            "only accepts mail from",
            "rejected by recipients",
        ],
    ),
    line(
        On::Permanent,
        Class::SmtpNxBox,
        &[
            "user unknown",
            "unknown user",
            "unknown recipient",
            "recipient unknown",
            "unknown mailbox",
            "unknown address",
            "unknown or illegal alias",
            "unknown local part",
            "user not found",
            "user not exist",
            "user not known",
            "user doesn't exist",
            "user does not exist",
            "user doesn't have",
            "user does not have",
            "no such user",
            "no such recipient",
            "no such mailbox",
            "no such account",
            "no such address",
            "no such person",
            "no mailbox",
            "no account",
            "no longer available",
            "no longer valid",
            "no longer in use",
            "account does not exist",
            "account that you tried to reach does not exist",
            "account that you tried to reach is disabled",
            "account is disabled",
            "account disabled",
            "account has been disabled",
            "account is inactive",
            "account closed",
            "address does not exist",
            "address doesn't exist",
            "address not found",
            "address unknown",
            "address rejected: access denied",
            "mailbox not found",
            "mailbox does not exist",
            "mailbox doesn't exist",
            "mailbox is disabled",
            "mailbox disabled",
            "mailbox unavailable",
            "mailbox is inactive",
            "mailbox is unavailable",
            "mailbox no longer",
            "recipient not found",
            "recipient does not exist",
            "recipientnotfound",
            "recipient notfound",
            "recipient address rejected: user",
            "recipient address rejected: undeliverable",
            "invalid mailbox",
            "invalid recipient",
            "invalid user",
            "invalid address",
            "not our customer",
            "not a valid mailbox",
            "not a valid recipient",
            "not a valid user",
            "bad destination mailbox",
            "bad address syntax",
            "user suspended",
            "email account that you tried to reach",
            "unrouteable address",
            "undeliverable address",
        ],
    ),
];

/// The first line that fits. The text must be in lower case. Words about the recipient count only after
/// the recipient has been named.
pub(super) fn find(text: &str, phase: Phase, is_permanent: bool) -> Option<&'static Wording> {
    let names_recipient = matches!(phase, Phase::Rcpt | Phase::Data | Phase::Content | Phase::Final);
    TABLE.iter().find(|wording| {
        let fits = match wording.on {
            On::Any => true,
            On::Permanent => is_permanent,
            On::Transient => !is_permanent,
        };
        fits && (names_recipient || wording.class != Class::SmtpNxBox)
            && wording.words.iter().any(|words| text.contains(words))
    })
}
