//! What became of one recipient's mail: pure classification of remote replies, and the retry schedule.
//!
//! A delivery attempt ends in a remote server's [`Reply`] or in a [`Failure`] of our own (DNS, connection,
//! time). Both become a [`Verdict`]: delivered, temporary or permanent; DirectMail's delivery status; and
//! DirectMail's error classification. The decision reads, in this order: the phase of the dialogue, known
//! provider wording ([`wording`], data), the enhanced status code (RFC 3463, [`enhanced`], data), the
//! three-digit code (RFC 5321 4.2). Whatever stays unrecognised keeps the meaning of its first digit and is
//! never taken for an invalid address: a wrong entry in the invalid-address library silences a good
//! recipient, a missed one costs one more attempt.
//!
//! [`retry`] turns a temporary verdict into the next due instant or into giving up.

mod classify;
mod enhanced;
pub mod retry;
mod wording;

#[cfg(test)]
mod tests;

use std::fmt;

pub use classify::{classify_failure, classify_reply, expired};

/// The step of an SMTP transaction that a reply answers or in which a failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Finding the next hop.
    Dns,
    /// Opening the TCP connection.
    Connect,
    /// The server's first line.
    Greeting,
    /// EHLO or HELO.
    Hello,
    /// STARTTLS and the handshake.
    StartTls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, before the content.
    Data,
    /// The content, up to the final dot.
    Content,
    /// The reply to the final dot: the only one that can say "delivered".
    Final,
    /// RSET or QUIT between transactions.
    Between,
}

impl Phase {
    /// A stable lower-case name for timelines, logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Dns => "dns",
            Phase::Connect => "connect",
            Phase::Greeting => "greeting",
            Phase::Hello => "ehlo",
            Phase::StartTls => "starttls",
            Phase::Mail => "mail",
            Phase::Rcpt => "rcpt",
            Phase::Data => "data",
            Phase::Content => "content",
            Phase::Final => "final",
            Phase::Between => "between",
        }
    }

    /// Whether a refusal in this phase speaks of our host as a whole and not of one mail.
    pub fn is_about_the_host(self) -> bool {
        matches!(self, Phase::Dns | Phase::Connect | Phase::Greeting | Phase::Hello | Phase::StartTls)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An enhanced status code (RFC 3463): class.subject.detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedCode {
    pub class: u8,
    pub subject: u16,
    pub detail: u16,
}

impl EnhancedCode {
    /// Builds a code from its three numbers.
    pub const fn new(class: u8, subject: u16, detail: u16) -> EnhancedCode {
        EnhancedCode { class, subject, detail }
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A remote server's reply, as much of it as decides.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    pub phase: Phase,
    /// The three-digit code, 200 to 599.
    pub code: u16,
    /// The enhanced code, when one was given and its class fits the code.
    pub enhanced: Option<EnhancedCode>,
    /// The reply's words; several lines are joined by a space.
    pub text: &'a str,
}

/// A failure without a remote reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The recipient's domain does not exist (NXDOMAIN).
    DomainNotFound,
    /// The domain exists but has neither MX nor address.
    NoMailHost,
    /// The domain says that it accepts no mail (RFC 7505).
    NullMx,
    /// The recipient's address cannot be written as SMTP wants it.
    BadRecipient,
    /// DNS gave no answer or a server failure.
    DnsUnavailable,
    /// The connection was refused or the host is unreachable.
    ConnectFailed,
    /// A wire step took longer than its time.
    TimedOut(Phase),
    /// The connection broke in this phase.
    ConnectionLost(Phase),
    /// The peer broke the protocol in this phase.
    ProtocolError(Phase),
    /// The content has 8-bit octets and the peer offers no 8BITMIME.
    EightBitUnsupported,
    /// An address needs SMTPUTF8 and the peer does not offer it (RFC 6531 3.2).
    SmtpUtf8Unsupported,
    /// We could not send for a reason of our own (no key, unreadable body); never the recipient's fault.
    Internal,
}

/// What an attempt means for the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    Delivered,
    /// To be tried again until the maximum age.
    Temporary,
    /// Never to be tried again.
    Permanent,
}

impl Disposition {
    /// A stable lower-case name for timelines, logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Disposition::Delivered => "delivered",
            Disposition::Temporary => "temporary",
            Disposition::Permanent => "permanent",
        }
    }
}

/// DirectMail's delivery status (dossier 8.1); 1 is unused there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryStatus {
    Ok,
    InvalidAddress,
    Spam,
    Other,
}

impl DeliveryStatus {
    /// The number that DirectMail's API and events use.
    pub fn code(self) -> i64 {
        match self {
            DeliveryStatus::Ok => 0,
            DeliveryStatus::InvalidAddress => 2,
            DeliveryStatus::Spam => 3,
            DeliveryStatus::Other => 4,
        }
    }
}

macro_rules! classifications {
    ($($(#[doc = $doc:literal])+ $name:ident: $status:ident,)+) => {
        /// DirectMail's `ErrorClassification` (dossier 8.2); names marked *(ours)* fill its gaps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorClassification {
            $($(#[doc = $doc])+ $name,)+
        }

        impl ErrorClassification {
            /// Every classification, in the order of declaration.
            pub const ALL: &[ErrorClassification] = &[$(ErrorClassification::$name,)+];

            /// The name that the API, events and the database use.
            pub fn as_str(self) -> &'static str {
                match self { $(ErrorClassification::$name => stringify!($name),)+ }
            }

            /// The delivery status that a mail which ends with this classification has.
            pub fn status(self) -> DeliveryStatus {
                match self { $(ErrorClassification::$name => DeliveryStatus::$status,)+ }
            }

            /// Reads a name written by [`ErrorClassification::as_str`].
            pub fn parse(name: &str) -> Option<ErrorClassification> {
                ErrorClassification::ALL.iter().copied().find(|c| c.as_str() == name)
            }
        }
    };
}

classifications! {
    /// Accepted by the remote server.
    SendOk: Ok,
    /// The mailbox does not exist, or is closed for good.
    SmtpNxBox: InvalidAddress,
    /// The recipient's address cannot be delivered to at all (syntax, null MX).
    SysOutInvRcpt: InvalidAddress,
    /// The recipient's domain does not resolve.
    SysOutDnsResolveFail: InvalidAddress,
    /// The content was judged to be spam.
    SmtpContSpam: Spam,
    /// Refused as spam on other evidence: reputation, blocklist of addresses, local filter.
    SmtpMiscSpam: Spam,
    /// A domain or link in the mail is on a domain blocklist.
    SmtpDbl: Spam,
    /// The mail is not authenticated as the server wants it (DKIM, several checks).
    SmtpAuthFail: Other,
    /// SPF failed.
    SmtpSpfFail: Other,
    /// DMARC failed.
    SmtpDmaFail: Other,
    /// The sender address was refused.
    SmtpMfBad: Other,
    /// The sender address sends too often.
    SmtpMfFreq: Other,
    /// The sender domain sends too often.
    SmtpMfdFreq: Other,
    /// Our IP address sends too often.
    SmtpIPFreq: Other,
    /// The recipient receives too often.
    SmtpRcptFreq: Other,
    /// A quota for the sender at the remote server is used up.
    SmtpMfLimit: Other,
    /// The mailbox is full *(ours)*.
    SmtpBoxFull: Other,
    /// The mail is too large for the server or the mailbox *(ours)*.
    SmtpTooLarge: Other,
    /// Deferred by greylisting *(ours)*.
    SmtpGreylist: Other,
    /// Any other temporary refusal *(ours)*.
    SmtpZTempErr: Other,
    /// Any other permanent refusal.
    SmtpZPermErr: Other,
    /// DNS did not answer *(ours)*.
    SysOutDnsTempFail: Other,
    /// No connection could be made *(ours)*.
    SysOutConnFail: Other,
    /// A wire step timed out *(ours)*.
    SysOutConnTimeout: Other,
    /// The connection broke *(ours)*.
    SysOutConnLost: Other,
    /// The remote server broke the protocol *(ours)*.
    SysOutProtocol: Other,
    /// The remote server lacks an extension that the mail needs *(ours)*.
    SysOutUnsupported: Other,
    /// A failure of our own *(ours)*; what ends so is reversed (R03).
    SysOutInternal: Other,
}

impl fmt::Display for ErrorClassification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The meaning of one attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub disposition: Disposition,
    pub status: DeliveryStatus,
    pub classification: ErrorClassification,
}

impl Verdict {
    /// Delivered.
    pub const DELIVERED: Verdict = Verdict {
        disposition: Disposition::Delivered,
        status: DeliveryStatus::Ok,
        classification: ErrorClassification::SendOk,
    };

    /// A temporary failure. Its status is never "invalid address": only a permanent word is proof of that.
    pub fn temporary(classification: ErrorClassification) -> Verdict {
        let status = match classification.status() {
            DeliveryStatus::Spam => DeliveryStatus::Spam,
            _ => DeliveryStatus::Other,
        };
        Verdict { disposition: Disposition::Temporary, status, classification }
    }

    /// A permanent failure.
    pub fn permanent(classification: ErrorClassification) -> Verdict {
        Verdict { disposition: Disposition::Permanent, status: classification.status(), classification }
    }

    /// Whether the address belongs in the invalid-address library (dossier 8.3).
    pub fn enters_invalid_library(&self) -> bool {
        self.disposition == Disposition::Permanent && self.status == DeliveryStatus::InvalidAddress
    }
}
