//! The decision itself: phase, then wording, then enhanced code, then the code's first digit.

use super::{Disposition, ErrorClassification as Class, Failure, Phase, Reply, Verdict, enhanced, wording};

/// The host accepts no mail at all (RFC 7504): final even as a greeting.
const HOST_ACCEPTS_NO_MAIL: u16 = 521;
/// The server is closing the channel (RFC 5321 3.8): says nothing final about any mail.
const CLOSING: u16 = 421;

/// Judges a remote reply (RFC 5321 4.2, RFC 3463). A 2yz counts as delivery only in [`Phase::Final`];
/// anywhere else it cannot be what ended an attempt, and is taken for a protocol fault that may pass.
pub fn classify_reply(reply: &Reply<'_>) -> Verdict {
    match reply.code / 100 {
        2 if reply.phase == Phase::Final => return Verdict::DELIVERED,
        4 | 5 => {}
        _ => return Verdict::temporary(Class::SysOutProtocol),
    }
    let text = reply.text.to_ascii_lowercase();
    let is_permanent = reply.code / 100 == 5;
    let worded = wording::find(&text, reply.phase, is_permanent);
    let class = worded
        .map(|rule| rule.class)
        .or_else(|| enhanced::find(reply.enhanced, reply.phase, is_permanent))
        .unwrap_or_else(|| by_code(reply.code, reply.phase));
    match disposition(reply, worded.and_then(|rule| rule.disposition)) {
        Disposition::Permanent => Verdict::permanent(class),
        _ => Verdict::temporary(class),
    }
}

fn disposition(reply: &Reply<'_>, worded: Option<Disposition>) -> Disposition {
    if reply.code == HOST_ACCEPTS_NO_MAIL {
        return Disposition::Permanent;
    }
    // A 5yz before MAIL refuses our host, perhaps only this hour or by one of several MX hosts. To fail
    // every waiting mail for it would turn one blocklist entry into a flood of bounces.
    if reply.code == CLOSING || reply.phase.is_about_the_host() {
        return Disposition::Temporary;
    }
    let by_digit = if reply.code / 100 == 5 { Disposition::Permanent } else { Disposition::Temporary };
    let by_enhanced = reply.enhanced.and_then(enhanced::disposition);
    worded.or(by_enhanced).unwrap_or(by_digit)
}

fn by_code(code: u16, phase: Phase) -> Class {
    match (code, phase) {
        (553 | 501, Phase::Mail) => Class::SmtpMfBad,
        (552, Phase::Mail | Phase::Data | Phase::Content | Phase::Final) => Class::SmtpTooLarge,
        (552, Phase::Rcpt) => Class::SmtpBoxFull,
        (551, Phase::Rcpt) => Class::SmtpNxBox,
        (500.., _) => Class::SmtpZPermErr,
        _ => Class::SmtpZTempErr,
    }
}

/// Judges a failure that came without a remote reply. After the final dot nobody knows what the remote did,
/// so a connection lost there is temporary too: a second copy is better than a lost mail.
pub fn classify_failure(failure: Failure) -> Verdict {
    match failure {
        Failure::DomainNotFound | Failure::NoMailHost => Verdict::permanent(Class::SysOutDnsResolveFail),
        Failure::NullMx | Failure::BadRecipient => Verdict::permanent(Class::SysOutInvRcpt),
        Failure::DnsUnavailable => Verdict::temporary(Class::SysOutDnsTempFail),
        Failure::ConnectFailed => Verdict::temporary(Class::SysOutConnFail),
        Failure::TimedOut(_) => Verdict::temporary(Class::SysOutConnTimeout),
        Failure::ConnectionLost(_) => Verdict::temporary(Class::SysOutConnLost),
        Failure::ProtocolError(_) => Verdict::temporary(Class::SysOutProtocol),
        Failure::EightBitUnsupported | Failure::SmtpUtf8Unsupported => {
            Verdict::permanent(Class::SysOutUnsupported)
        }
        Failure::Internal => Verdict::temporary(Class::SysOutInternal),
    }
}

/// The verdict of a mail that is given up at its maximum age: the last temporary verdict made permanent.
/// An address is not called invalid by age.
pub fn expired(last: Verdict) -> Verdict {
    Verdict { disposition: Disposition::Permanent, ..Verdict::temporary(last.classification) }
}
