//! Numbers, money and instants as notices write them: as the console does, in ASCII digits in every language, so
//! that a figure in a notice is found again on the page it leads to.

use indicia_domain::money::MoneyMicros;
use indicia_domain::time::{TimeZone, UnixMicros, zone};

/// A whole number with thousands separators: `1,234,567`.
pub fn number(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(&value.unsigned_abs().to_string()))
}

/// An amount, exact: `USD 1,123.75`.
pub fn money(currency: &str, amount: MoneyMicros) -> String {
    let exact = amount.to_string();
    let (sign, digits) = exact.strip_prefix('-').map_or(("", exact.as_str()), |digits| ("-", digits));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "00"));
    format!("{currency} {sign}{}.{decimals}", grouped(whole))
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An end instant in its zone.
pub struct Moment {
    /// `2027-03-01 00:00`; with seconds where they are not zero.
    pub local: String,
    /// The zone's IANA name.
    pub zone: String,
    /// The local day of the last microsecond before it, `2027-02-28`: the last day that still counts.
    pub last_day: String,
}

impl Moment {
    /// A zone that this machine does not know is shown as UTC, and called so.
    pub fn new(at: UnixMicros, zone_name: &str) -> Self {
        let tz = zone(zone_name).unwrap_or(TimeZone::UTC);
        let name = tz.iana_name().unwrap_or("UTC").to_owned();
        let civil = at.civil(&tz);
        let format = if civil.second() == 0 { "%Y-%m-%d %H:%M" } else { "%Y-%m-%d %H:%M:%S" };
        Moment {
            local: civil.strftime(format).to_string(),
            zone: name,
            last_day: at.plus_micros(-1).civil(&tz).strftime("%Y-%m-%d").to_string(),
        }
    }
}
