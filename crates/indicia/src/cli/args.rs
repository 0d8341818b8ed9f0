//! What the arguments of several commands are read with: instants, months, switches, idempotency keys.

use std::fmt;

use clap::Args;
use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{self, TimeZone, UnixMicros};
use indicia_intake::message::{IDEMPOTENCY_KEY_BYTES_MAX, is_idempotency_key};

/// Reads an instant as RFC 3339 has it.
pub fn instant(text: &str) -> Result<UnixMicros, String> {
    UnixMicros::parse(text).ok_or_else(|| {
        format!(
            "'{text}' is not an instant; write it as 2026-11-22T04:00:00Z, at the latest 9999-12-30T22:00:00Z"
        )
    })
}

/// A calendar month, which becomes a span of time in an account's zone. As `Display`: `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Month(i64);

impl Month {
    /// Its first instant in `zone`, and the first after it.
    pub fn span(self, zone: &TimeZone) -> (UnixMicros, UnixMicros) {
        time::local_month_numbered(zone, self.0)
    }

    /// The number of its first local day, and of the first after it.
    pub fn days(self, zone: &TimeZone) -> (i64, i64) {
        let (start, end) = self.span(zone);
        (time::local_day(zone, start).number, time::local_day(zone, end).number)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&time::month_text(self.0))
    }
}

/// Reads `2026-11`.
pub fn month(text: &str) -> Result<Month, String> {
    let number =
        time::month_number(text).ok_or_else(|| format!("'{text}' is not a month; write it as 2026-11"))?;
    if !(1970 * 12..9_999 * 12).contains(&number) {
        return Err(format!("{text} is out of range; months go from 1970-01 to 9998-12"));
    }
    Ok(Month(number))
}

/// Reads `on` or `off`.
pub fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("'{text}' is neither on nor off")),
    }
}

/// Reads an amount of money that can be paid.
pub fn amount(text: &str) -> Result<MoneyMicros, String> {
    MoneyMicros::parse_payable(text).map_err(|error| error.to_string())
}

/// Reads an amount of money that is not negative.
pub fn amount_from_zero(text: &str) -> Result<MoneyMicros, String> {
    let amount = amount(text)?;
    if amount.0 < 0 { Err(format!("{text} is below zero; write 0 or more")) } else { Ok(amount) }
}

/// Reads how many of something are to be listed.
pub fn limit(text: &str) -> Result<i64, String> {
    const LIMIT_MAX: i64 = 1_000_000;
    match text.parse() {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        _ => Err(format!("write a number from 1 to {LIMIT_MAX}")),
    }
}

/// Reads an idempotency key: what the API takes as one.
pub fn idempotency_key(text: &str) -> Result<String, String> {
    if is_idempotency_key(text) {
        Ok(text.to_owned())
    } else {
        Err(format!("a key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} printable characters of ASCII"))
    }
}

/// Reads a reason: some words, and not a book.
pub fn reason(text: &str) -> Result<String, String> {
    const LENGTH_MAX: usize = 500;
    let text = text.trim();
    if text.is_empty() {
        return Err("it must say why; auditors and the account's owner will read it".to_owned());
    }
    if text.chars().count() > LENGTH_MAX {
        return Err(format!("it is longer than {LENGTH_MAX} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("it must be one line without control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The key of a command that must not be carried out twice (R26).
#[derive(Args)]
pub struct Key {
    /// Under the same key the same is done once, however often the command is given (R26).
    #[arg(long = "idempotency-key", id = "idempotency_key", value_name = "KEY", value_parser = idempotency_key)]
    key: Option<String>,
}

impl Key {
    /// As the store keeps it. Clients' keys are printable, so that with a control character in it a key of the command
    /// line never meets one of theirs.
    pub fn kept(&self) -> Option<String> {
        self.key.as_ref().map(|key| format!("command-line\u{1f}{key}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_a_span_of_the_zone() {
        let november = month("2026-11").unwrap();
        let shanghai = time::zone("Asia/Shanghai").unwrap();
        let (start, end) = november.span(&shanghai);
        assert_eq!(
            (start.to_string(), end.to_string()),
            ("2026-10-31T16:00:00Z".into(), "2026-11-30T16:00:00Z".into())
        );
        assert_eq!(november.to_string(), "2026-11");
        let (first, next) = november.days(&shanghai);
        assert_eq!((next - first, time::civil_date(first).to_string().as_str()), (30, "2026-11-01"));
        let (december, january) = (month("2026-12").unwrap(), month("2027-01").unwrap());
        assert_eq!(december.days(&shanghai).1, january.days(&shanghai).0);
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in [
            "",
            "2026",
            "2026-00",
            "2026-13",
            "26-11",
            "2026-1",
            "2026-11-01",
            "1969-12",
            "9999-01",
            "-026-11",
            "abcd-ef",
        ] {
            assert!(month(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reason_has_words() {
        assert_eq!(reason(" goodwill "), Ok("goodwill".to_owned()));
        for text in ["", "   ", "two\nlines", &"x".repeat(501)] {
            assert!(reason(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_instant_out_of_range_is_told_the_range() {
        assert_eq!(
            instant("9999-12-30T22:00:00Z").map(|at| at.to_string()),
            Ok("9999-12-30T22:00:00Z".into())
        );
        for text in ["9999-12-31T00:00:00Z", "2026-02-30T00:00:00Z", "now", ""] {
            assert!(instant(text).unwrap_err().contains("at the latest 9999-12-30T22:00:00Z"), "{text}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        assert_eq!(limit("1000000"), Ok(1_000_000));
        for text in ["0", "-1", "1000001", "ten", ""] {
            assert_eq!(limit(text).unwrap_err(), "write a number from 1 to 1000000", "{text}");
        }
    }

    #[test]
    fn r26_a_key_is_what_the_api_takes() {
        assert!(idempotency_key(&"k".repeat(256)).is_ok());
        assert!(idempotency_key("order 4711").is_ok());
        for text in ["", "two\nlines", "größe", &"k".repeat(257)] {
            assert!(idempotency_key(text).is_err(), "{text:?}");
        }
        let kept = Key { key: Some("a".into()) }.kept().expect("a key");
        assert!(!is_idempotency_key(&kept), "no client can have it: {kept:?}");
        assert_eq!(Key { key: None }.kept(), None);
    }

    #[test]
    fn a_limit_is_not_negative() {
        assert_eq!(amount_from_zero("0"), Ok(MoneyMicros::ZERO));
        assert!(amount_from_zero("-0.01").is_err());
    }
}
