//! What a message centre's command status (SMPP 3.4 section 5.1.3) means for a text.

use rusmpp::CommandStatus;

/// What to do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The text or the number is at fault: never again.
    Permanent,
    /// The message centre is at fault, busy, or says what we do not understand: later.
    Transient,
    /// Our settings are at fault. The text is as good as ever: later, and the operator has to hear of it.
    Settings,
}

pub(super) fn verdict(status: CommandStatus) -> Verdict {
    use CommandStatus::*;
    match status {
        EsmeRinvmsglen | EsmeRinvdstadr | EsmeRinvdstton | EsmeRinvdstnpi => Verdict::Permanent,
        EsmeRinvsrcadr | EsmeRinvsrcton | EsmeRinvsrcnpi | EsmeRbindfail | EsmeRinvpaswd | EsmeRinvsysid
        | EsmeRinvsystyp | EsmeRinvsertyp | EsmeRsertypunauth | EsmeRsertypdenied | EsmeRprohibited
        | EsmeRinvesmclass | EsmeRinvdcs | EsmeRinvcmdid | EsmeRtlvnotallwd | EsmeRinvtlvstream => {
            Verdict::Settings
        }
        _ => Verdict::Transient,
    }
}

/// The status by name and number, as an operator looks it up.
pub(super) fn describe(status: CommandStatus) -> String {
    let number = u32::from(status);
    match status {
        CommandStatus::Other(_) => format!("status 0x{number:08X}"),
        known => {
            format!("{} (0x{number:08X})", format!("{known:?}").to_uppercase().replacen("ESMER", "ESME_R", 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_in_the_text_or_the_number_is_permanent() {
        for (number, expected) in [
            (0x01, Verdict::Permanent),
            (0x0B, Verdict::Permanent),
            (0x50, Verdict::Permanent),
            (0x51, Verdict::Permanent),
            (0x08, Verdict::Transient),
            (0x14, Verdict::Transient),
            (0x45, Verdict::Transient),
            (0x58, Verdict::Transient),
            (0xFF, Verdict::Transient),
            (0x0A, Verdict::Settings),
            (0x0D, Verdict::Settings),
            (0x0E, Verdict::Settings),
            (0x0F, Verdict::Settings),
            (0x0000_0400, Verdict::Transient),
            (0x7FFF_FFFF, Verdict::Transient),
        ] {
            assert_eq!(verdict(CommandStatus::from(number)), expected, "{number:#x}");
        }
    }

    #[test]
    fn a_status_is_named_as_the_standard_names_it() {
        assert_eq!(describe(CommandStatus::EsmeRthrottled), "ESME_RTHROTTLED (0x00000058)");
        assert_eq!(describe(CommandStatus::from(0x0411)), "status 0x00000411");
    }
}
