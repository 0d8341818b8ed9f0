//! Enhanced status codes (RFC 3463, RFC 5248's registry, RFC 7372, RFC 7505) as data.

use super::{Disposition, EnhancedCode, ErrorClassification as Class, Phase};

/// Which replies a line of the table is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Permanent,
    Transient,
    Both,
}

/// (subject, detail, which replies, meaning). The first line that fits decides.
const TABLE: &[(u16, u16, For, Class)] = &[
    (1, 1, For::Permanent, Class::SmtpNxBox),
    (1, 2, For::Permanent, Class::SmtpNxBox),
    (1, 3, For::Permanent, Class::SmtpNxBox),
    (1, 6, For::Permanent, Class::SmtpNxBox),
    (1, 7, For::Both, Class::SmtpMfBad),
    (1, 8, For::Both, Class::SmtpMfBad),
    (1, 10, For::Permanent, Class::SmtpNxBox),
    (2, 1, For::Permanent, Class::SmtpNxBox),
    (2, 1, For::Transient, Class::SmtpRcptFreq),
    (2, 2, For::Both, Class::SmtpBoxFull),
    (2, 3, For::Both, Class::SmtpTooLarge),
    (3, 4, For::Both, Class::SmtpTooLarge),
    // Greylisting's usual answer where the words do not say so.
    (7, 1, For::Transient, Class::SmtpGreylist),
    (7, 20, For::Both, Class::SmtpAuthFail),
    (7, 21, For::Both, Class::SmtpAuthFail),
    (7, 22, For::Both, Class::SmtpAuthFail),
    (7, 23, For::Both, Class::SmtpSpfFail),
    (7, 24, For::Both, Class::SmtpSpfFail),
    (7, 25, For::Both, Class::SmtpAuthFail),
    (7, 26, For::Both, Class::SmtpAuthFail),
    (7, 27, For::Both, Class::SmtpMfBad),
    (7, 28, For::Both, Class::SmtpIPFreq),
];

/// The meaning of `code` in a reply of `phase`. X.1.1 and its kin are about the recipient only once the
/// recipient has been named: the same code in the reply to MAIL complains of the sender.
pub(super) fn find(code: Option<EnhancedCode>, phase: Phase, is_permanent: bool) -> Option<Class> {
    let code = code?;
    if phase.is_about_the_host() && code.subject != 7 {
        return None;
    }
    if phase == Phase::Mail && code.subject == 1 && is_permanent {
        return Some(Class::SmtpMfBad);
    }
    let fits = |which: For| match which {
        For::Both => true,
        For::Permanent => is_permanent,
        For::Transient => !is_permanent,
    };
    TABLE
        .iter()
        .find(|(subject, detail, which, _)| {
            *subject == code.subject && *detail == code.detail && fits(*which)
        })
        .map(|(.., class)| *class)
}

/// X.5.3 "too many recipients" may pass whatever its first digit says (RFC 5321 4.5.3.1.10).
pub(super) fn disposition(code: EnhancedCode) -> Option<Disposition> {
    (code.subject == 5 && code.detail == 3).then_some(Disposition::Temporary)
}
