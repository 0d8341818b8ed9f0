//! What an address asks for: empty is "not asked", and what cannot be read is refused in words (400), so that nobody
//! takes everything for the part that was meant.

use crate::{error::ConsoleError, period::Month};

/// Reads a field of an address or a filter; `None` where it is empty. `what` is what it should be, for the sentence
/// that refuses it: `a month: write YYYY-MM, as 2026-11`.
pub fn asked<T>(
    text: &str,
    what: &str,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, ConsoleError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some).ok_or_else(|| {
        let shown: String = text.chars().take(SHOWN_MAX).collect();
        ConsoleError::BadInput(format!("“{shown}” is not {what}."))
    })
}

/// As much of what was written as is repeated.
const SHOWN_MAX: usize = 40;

/// A number of the address.
pub fn number(text: &str, what: &str) -> Result<Option<i64>, ConsoleError> {
    asked(text, what, |text| text.parse().ok())
}

/// A month of the address.
pub fn month(text: &str) -> Result<Option<Month>, ConsoleError> {
    asked(text, "a month: write YYYY-MM, as 2026-11", Month::parse)
}

/// The number of a page, from 1; the first where none is named. One beyond the last shows the last.
pub fn page_number(text: &str) -> Result<u32, ConsoleError> {
    let read = |text: &str| text.parse().ok().filter(|page| *page > 0);
    Ok(asked(text, "the number of a page: write a whole number from 1", read)?.unwrap_or(1))
}

/// A choice of a list: its value, if it is one of `choices`.
pub fn choice(text: &str, what: &str, choices: &[(&str, &str)]) -> Result<(), ConsoleError> {
    asked(text, what, |text| choices.iter().find(|(value, _)| *value == text)).map(|_| ())
}

/// The place in a list at which it goes on.
pub const A_PLACE: &str = "a place in this list: take the addresses that its pages give";

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<T>(answer: Result<T, ConsoleError>) -> String {
        match answer {
            Err(ConsoleError::BadInput(text)) => text,
            _ => panic!("it was not refused"),
        }
    }

    #[test]
    fn what_is_not_asked_is_none_and_what_cannot_be_read_is_refused_in_words() {
        assert_eq!(month(" ").unwrap(), None);
        assert_eq!(month("2026-11").unwrap(), Month::parse("2026-11"));
        assert_eq!(refusal(month("2026-13")), "“2026-13” is not a month: write YYYY-MM, as 2026-11.");
        assert_eq!(page_number("").unwrap(), 1);
        assert_eq!(page_number("7").unwrap(), 7);
        for text in ["0", "-1", "x", "1.5", "4294967296"] {
            assert!(refusal(page_number(text)).contains("the number of a page"), "{text}");
        }
        let long = "x".repeat(100);
        assert_eq!(refusal(number(&long, "a number")).chars().filter(|letter| *letter == 'x').count(), 40);
    }

    #[test]
    fn a_choice_is_one_of_the_list() {
        let choices = [("", "All"), ("overdue", "Overdue")];
        assert!(choice("", "a status", &choices).is_ok() && choice("overdue", "a status", &choices).is_ok());
        assert_eq!(refusal(choice("odd", "a status", &choices)), "“odd” is not a status.");
    }
}
