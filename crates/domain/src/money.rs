//! Money: whole millionths of the currency unit. No float touches it.

use std::fmt;
use std::str::FromStr;

/// Millionths of one currency unit.
const UNIT_MICROS: i64 = 1_000_000;

/// An amount of money in millionths of the site's currency unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoneyMicros(pub i64);

/// Why a text is not an amount of money.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("'{0}' is not an amount: write digits with an optional point, such as 100 or 13.05")]
    Malformed(String),
    #[error("'{0}' has more than six decimals; money is counted in millionths")]
    TooFine(String),
    #[error(
        "'{0}' has a part of a hundredth, which nobody can pay; write at most two decimals, such as 13.05"
    )]
    NotPayable(String),
    #[error("'{0}' is larger than any amount that can be booked (9,000,000,000,000)")]
    TooLarge(String),
}

impl MoneyMicros {
    pub const ZERO: MoneyMicros = MoneyMicros(0);

    pub fn checked_add(self, other: MoneyMicros) -> Option<MoneyMicros> {
        self.0.checked_add(other.0).map(MoneyMicros)
    }

    pub fn checked_sub(self, other: MoneyMicros) -> Option<MoneyMicros> {
        self.0.checked_sub(other.0).map(MoneyMicros)
    }

    pub fn checked_mul(self, times: i64) -> Option<MoneyMicros> {
        self.0.checked_mul(times).map(MoneyMicros)
    }

    /// Reads an amount that people pay: in whole hundredths.
    pub fn parse_payable(text: &str) -> Result<MoneyMicros, AmountError> {
        let amount: MoneyMicros = text.parse()?;
        if amount.is_whole_cents() { Ok(amount) } else { Err(AmountError::NotPayable(text.to_owned())) }
    }

    /// Whether it is an amount that can be paid: a whole number of hundredths.
    pub fn is_whole_cents(self) -> bool {
        self.0 % 10_000 == 0
    }

    /// With exactly two decimals, rounded half up: how bills and balances are shown.
    pub fn to_cents(self) -> String {
        let cents = (self.0 + 5_000).div_euclid(10_000);
        format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
    }
}

/// Exact, with two to six decimals.
impl fmt::Display for MoneyMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let decimals = format!("{:06}", magnitude % UNIT_MICROS as u64);
        let kept = decimals.trim_end_matches('0').len().max(2);
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{}", magnitude / UNIT_MICROS as u64, &decimals[..kept])
    }
}

impl FromStr for MoneyMicros {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let malformed = || AmountError::Malformed(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return Err(malformed());
        }
        if fraction.len() > 6 {
            return Err(AmountError::TooFine(text.to_owned()));
        }
        let too_large = || AmountError::TooLarge(text.to_owned());
        let whole: i64 = whole.parse().map_err(|_| too_large())?;
        if whole > 9_000_000_000_000 {
            return Err(too_large());
        }
        let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| malformed())?;
        let micros = whole * UNIT_MICROS + fraction;
        Ok(MoneyMicros(if negative { -micros } else { micros }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_print_exactly() {
        for (text, micros, shown) in [
            ("13.05", 13_050_000, "13.05"),
            ("100", 100_000_000, "100.00"),
            ("0.000290", 290, "0.00029"),
            ("-1.5", -1_500_000, "-1.50"),
        ] {
            let amount: MoneyMicros = text.parse().unwrap();
            assert_eq!((amount.0, amount.to_string().as_str()), (micros, shown));
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.",
            ".5",
            "1e3",
            "1,000",
            "0.0000001",
            "99999999999999999999",
            "9000000000001",
            " 1",
            "+1",
            "NaN",
        ] {
            assert!(text.parse::<MoneyMicros>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_paid_is_whole_hundredths() {
        assert_eq!(MoneyMicros::parse_payable("-13.05"), Ok(MoneyMicros(-13_050_000)));
        assert_eq!(MoneyMicros::parse_payable("13.050"), Ok(MoneyMicros(13_050_000)));
        assert_eq!(MoneyMicros::parse_payable("13.055"), Err(AmountError::NotPayable("13.055".to_owned())));
    }

    #[test]
    fn cents_round_half_up() {
        for (micros, shown) in
            [(4_999, "0.00"), (5_000, "0.01"), (290, "0.00"), (13_054_999, "13.05"), (-13_050_000, "-13.05")]
        {
            assert_eq!(MoneyMicros(micros).to_cents(), shown);
        }
    }

    proptest::proptest! {
        #[test]
        fn printing_and_reading_is_the_identity(micros in -9_000_000_000_000_000_000i64..9_000_000_000_000_000_000) {
            proptest::prop_assert_eq!(MoneyMicros(micros).to_string().parse::<MoneyMicros>(), Ok(MoneyMicros(micros)));
        }
    }
}
