//! A telephone number as the world writes it: ITU-T E.164.
//!
//! A plus sign, a country code and a subscriber number, 7 to 15 digits in all. People write separators into
//! numbers; they are dropped, everything else is refused. National forms (`0171…`, `0086…`) are refused rather
//! than guessed at: which country they belong to is not in them.

use std::fmt;

/// Fewest digits of a number that is in use anywhere: a three-digit country code and four digits (Niue).
const DIGITS_MIN: usize = 7;
/// Most digits of a number, country code included: E.164 section 6.2.1.
const DIGITS_MAX: usize = 15;
/// How many digits at the end remain readable in logs.
const DIGITS_SHOWN: usize = 4;

/// A telephone number in international form: `+8613800000000`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// Why a text is not a telephone number. Does not repeat the text: it may be somebody's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PhoneNumberError {
    #[error("a telephone number begins with + and the country code, as +8613800000000 does; add them")]
    NotInternational,
    #[error(
        "a telephone number has digits only, besides spaces, hyphens, dots and parentheses; remove '{0}' from it"
    )]
    NotADigit(char),
    #[error("no country code begins with 0; write the number as one dials it from abroad, after the +")]
    LeadingZero,
    #[error("a telephone number with its country code has 7 to 15 digits, this one has {digits}")]
    Length { digits: usize },
}

impl PhoneNumber {
    /// Reads a number in international form; separators between the digits are dropped.
    pub fn parse(text: &str) -> Result<Self, PhoneNumberError> {
        let Some(after_plus) = text.trim().strip_prefix('+') else {
            return Err(PhoneNumberError::NotInternational);
        };
        let mut number = String::from("+");
        for letter in after_plus.chars() {
            match letter {
                '0'..='9' => number.push(letter),
                ' ' | '-' | '.' | '(' | ')' => {}
                other => return Err(PhoneNumberError::NotADigit(other)),
            }
        }
        let digits = number.len() - 1;
        if number[1..].starts_with('0') {
            return Err(PhoneNumberError::LeadingZero);
        }
        if !(DIGITS_MIN..=DIGITS_MAX).contains(&digits) {
            return Err(PhoneNumberError::Length { digits });
        }
        Ok(PhoneNumber(number))
    }

    /// The number with its plus sign.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number without its plus sign, as an address of TON "international" has it (SMPP 3.4 section 5.2.5).
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }

    /// The last four digits, the others hidden: for logs and errors.
    pub fn masked(&self) -> String {
        let hidden = self.digits().len() - DIGITS_SHOWN;
        format!("+{}{}", "*".repeat(hidden), &self.digits()[hidden..])
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Masked, so that a number does not get into a log by way of a struct that holds it.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({})", self.masked())
    }
}

impl std::str::FromStr for PhoneNumber {
    type Err = PhoneNumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PhoneNumber::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_dropped() {
        for text in ["+8613800000000", " +86 138 0000 0000 ", "+86-138-0000-0000", "+86 (138) 0000.0000"] {
            assert_eq!(PhoneNumber::parse(text).unwrap().to_string(), "+8613800000000", "{text}");
        }
    }

    #[test]
    fn national_forms_and_other_things_are_refused() {
        use PhoneNumberError::*;
        for (text, why) in [
            ("", NotInternational),
            ("+", Length { digits: 0 }),
            ("13800000000", NotInternational),
            ("008613800000000", NotInternational),
            ("+08613800000000", LeadingZero),
            ("++8613800000000", NotADigit('+')),
            ("+86138x0000000", NotADigit('x')),
            ("+86１3800000000", NotADigit('１')),
            ("+123456", Length { digits: 6 }),
            ("+1234567890123456", Length { digits: 16 }),
            ("+86138\n0000000", NotADigit('\n')),
        ] {
            assert_eq!(PhoneNumber::parse(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn the_bounds_of_its_length() {
        assert_eq!(PhoneNumber::parse("+1234567").unwrap().digits(), "1234567");
        assert_eq!(PhoneNumber::parse("+123456789012345").unwrap().digits(), "123456789012345");
    }

    #[test]
    fn a_log_shows_the_last_four_digits() {
        let number = PhoneNumber::parse("+8613800001234").unwrap();
        assert_eq!(number.masked(), "+*********1234");
        assert_eq!(format!("{number:?}"), "PhoneNumber(+*********1234)");
    }

    proptest::proptest! {
        #[test]
        fn what_is_accepted_reads_back_the_same(text in "[+0-9 ().a-]{0,24}") {
            if let Ok(number) = PhoneNumber::parse(&text) {
                proptest::prop_assert_eq!(PhoneNumber::parse(number.as_str()), Ok(number.clone()));
                proptest::prop_assert!(number.digits().bytes().all(|digit| digit.is_ascii_digit()));
            }
        }
    }
}
