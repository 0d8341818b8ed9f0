//! The rule for SMTP passwords (dossier 4.1: ModifyMailAddress, ModifyPWByDomain).

/// Why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    #[error("it must have 10 to 20 characters")]
    Length,
    #[error("it may have only printable ASCII characters without spaces")]
    Character,
    #[error("it must have at least 2 digits, 2 upper-case and 2 lower-case letters")]
    TooFewKinds,
    #[error("neither its digits nor its letters may be one repeated character")]
    Repeated,
}

/// Checks a new password.
pub fn check(password: &str) -> Result<(), PasswordError> {
    if !(10..=20).contains(&password.chars().count()) {
        return Err(PasswordError::Length);
    }
    if !password.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PasswordError::Character);
    }
    let count = |kind: fn(&u8) -> bool| password.as_bytes().iter().filter(|byte| kind(byte)).count();
    if [u8::is_ascii_digit, u8::is_ascii_uppercase, u8::is_ascii_lowercase]
        .iter()
        .any(|kind| count(*kind) < 2)
    {
        return Err(PasswordError::TooFewKinds);
    }
    let one_only = |kind: fn(&u8) -> bool| {
        let mut kept = password.bytes().filter(kind).map(|byte| byte.to_ascii_lowercase());
        let first = kept.next();
        kept.all(|byte| Some(byte) == first)
    };
    if one_only(u8::is_ascii_digit) || one_only(u8::is_ascii_alphabetic) {
        return Err(PasswordError::Repeated);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for good in ["DM1mail1234", "aB1dE2fgh!", "Ab12Ab12Ab12Ab12Ab12"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (wrong, why) in [
            ("", PasswordError::Length),
            ("DM1mail12", PasswordError::Length),
            ("Ab12Ab12Ab12Ab12Ab12x", PasswordError::Length),
            ("DM1 mail1234", PasswordError::Character),
            ("DM1mäil1234", PasswordError::Character),
            ("DMdmailabcd1", PasswordError::TooFewKinds),
            ("Dmail12345", PasswordError::TooFewKinds),
            ("DMAILq12345", PasswordError::TooFewKinds),
            ("DM11mail111", PasswordError::Repeated),
            ("AAaa123456", PasswordError::Repeated),
        ] {
            assert_eq!(check(wrong), Err(why), "{wrong}");
        }
    }
}
