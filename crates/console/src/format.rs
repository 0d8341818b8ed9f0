//! How numbers, money and instants are written on every page.
//!
//! Mails are whole and grouped by thousands; money is the currency code and at least two decimals, more
//! only where the amount has them; an instant is always shown in the account's own zone, and the zone is
//! always named. Nothing here rounds: a figure on a page can be found again in the ledger digit by digit.

use std::fmt;

use indicia_domain::quota::rate::{Ppm, Rate};
use indicia_domain::time::{DAY_MICROS, SECOND_MICROS, UnixMicros, local_day, zone};
use jiff::{civil::Date, tz::TimeZone};

/// Millionths of the currency unit in one unit.
const MICROS_PER_UNIT: u64 = 1_000_000;

/// A whole number with thousands separators: `1,234,567`.
pub fn mails(count: i64) -> String {
    let grouped = group_thousands(count.unsigned_abs());
    if count < 0 { format!("\u{2212}{grouped}") } else { grouped }
}

/// A number of mails with its noun: `1 mail`, `2,000 mails`.
pub fn mails_noun(count: i64) -> String {
    counted(count, "mail")
}

/// A count with its noun, an `s` added for every count but one.
pub fn counted(count: i64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", mails(count))
}

/// A stored text with the numbers of mails in it grouped as everywhere: `package DMBAG-7 of 50,000 mails`.
pub fn grouped_mails(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for index in 1..words.len() {
        let is_mails = words[index].trim_end_matches([',', '.', ';', ':']) == "mails";
        let count = &words[index - 1];
        let is_plain = count.len() > 3 && count.len() < 19 && count.bytes().all(|byte| byte.is_ascii_digit());
        if is_mails && is_plain && !count.starts_with('0') {
            words[index - 1] = count.parse().map_or_else(|_| count.clone(), mails);
        }
    }
    words.join(" ")
}

fn group_thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// An amount in millionths of the currency unit as `USD 13.05`; further decimals only when they are not zero.
pub fn money(currency: &str, amount_micros: i64) -> String {
    let magnitude = amount_micros.unsigned_abs();
    let mut decimals = format!("{:06}", magnitude % MICROS_PER_UNIT);
    while decimals.len() > 2 && decimals.ends_with('0') {
        decimals.pop();
    }
    let sign = if amount_micros < 0 { "\u{2212}" } else { "" };
    format!("{currency} {sign}{}.{decimals}", group_thousands(magnitude / MICROS_PER_UNIT))
}

/// A share in tenths of a percent, by integers: `12.5 %`. `None` when the whole is zero.
///
/// A part that is neither nothing nor everything is never shown as 0 % or 100 %.
pub fn percent(part: i64, whole: i64) -> Option<String> {
    if whole <= 0 {
        return None;
    }
    let per_mille = i128::from(part.max(0)) * 1_000 / i128::from(whole);
    if per_mille == 0 && part > 0 {
        return Some("< 0.1 %".into());
    }
    if per_mille % 10 == 0 {
        return Some(format!("{} %", per_mille / 10));
    }
    Some(format!("{}.{} %", per_mille / 10, per_mille % 10))
}

/// A share as pages show it: two decimals, rounded down, and never nothing where there is something.
pub fn share(share: Ppm) -> String {
    match share.0 {
        1..=99 => "under 0.01 %".to_owned(),
        parts => Ppm(parts / 100 * 100).to_string(),
    }
}

/// A share with what it is made of: `0.5 % (10 of 2,000)`; without mails, that there are none.
pub fn share_of(rate: Rate) -> String {
    match rate.out_of {
        0 => "none yet".to_owned(),
        out_of => format!("{} ({} of {})", share(rate.share()), mails(rate.events), mails(out_of)),
    }
}

/// How long something is, in its largest sensible unit: `3 days`, `5 hours`, `40 seconds`.
pub fn duration(length_us: i64) -> String {
    let seconds = length_us.max(0) / SECOND_MICROS;
    match seconds {
        0..60 => counted(seconds, "second"),
        60..3_600 => counted(seconds / 60, "minute"),
        3_600..172_800 => counted(seconds / 3_600, "hour"),
        _ => counted(seconds / 86_400, "day"),
    }
}

/// Whole days from `now` to `end`, rounded up, so that a package that ends tonight has 1 day left.
pub fn days_left(now: UnixMicros, end: UnixMicros) -> i64 {
    let left_us = end.0.saturating_sub(now.0).max(0);
    left_us / DAY_MICROS + i64::from(left_us % DAY_MICROS != 0)
}

/// A time zone by its IANA name, as the account stores it.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    tz: TimeZone,
}

impl Zone {
    /// The zone of that name, as the books have it; UTC, and named so, when they do not know it.
    pub fn named(name: &str) -> Self {
        match zone(name) {
            // The database's own spelling, so that what a page shows never depends on how it was typed in.
            Ok(tz) => Self { name: tz.iana_name().unwrap_or("UTC").to_owned(), tz },
            Err(_) => Self { name: "UTC".to_owned(), tz: TimeZone::UTC },
        }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name with the offset in force at `at`: `Asia/Shanghai (UTC+08:00)`.
    pub fn label(&self, at: UnixMicros) -> String {
        format!("{} ({})", self.name, self.offset(at))
    }

    /// The offset in force at `at`: `UTC+08:00`.
    pub fn offset(&self, at: UnixMicros) -> String {
        let offset_seconds = self.tz.to_offset(at.timestamp()).seconds();
        let sign = if offset_seconds < 0 { '-' } else { '+' };
        let minutes = offset_seconds.unsigned_abs() / 60;
        format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// The zone as the calendar library has it.
    pub fn time_zone(&self) -> &TimeZone {
        &self.tz
    }

    /// The name with the offsets in force at the beginning and the end of a period, where they differ:
    /// `Europe/Berlin (UTC+02:00, then UTC+01:00)`.
    pub fn label_between(&self, start: UnixMicros, end: UnixMicros) -> String {
        let (first, last) = (self.offset(start), self.offset(end.plus_micros(-1)));
        if first == last {
            return self.label(start);
        }
        format!("{} ({first}, then {last})", self.name)
    }

    /// The first instant of a local day and the first after it.
    pub fn day(&self, date: Date) -> (UnixMicros, UnixMicros) {
        let noon = date.at(12, 0, 0, 0).to_zoned(self.tz.clone());
        let inside = noon.map_or(UnixMicros(i64::MAX), |zoned| UnixMicros::from_timestamp(zoned.timestamp()));
        let day = local_day(&self.tz, inside);
        (day.start, day.end)
    }

    /// `at` as a page shows it.
    pub fn moment(&self, at: UnixMicros) -> Moment {
        let instant = at.timestamp();
        let local = instant.to_zoned(self.tz.clone());
        Moment {
            utc: instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            local: local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            zone: self.label(at),
        }
    }
}

/// One instant, ready to be shown: the local time, machine-readable UTC, and the zone's name.
///
/// As `Display` it is an HTML `<time>` element of the local time whose title names the zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339 in UTC.
    pub utc: String,
    /// `YYYY-MM-DD HH:MM:SS` in the account's zone.
    pub local: String,
    /// The zone with its offset at that instant.
    pub zone: String,
}

impl Moment {
    /// Local time and zone in one plain text: `2019-03-13 00:00:00 Asia/Shanghai (UTC+08:00)`.
    pub fn full(&self) -> String {
        format!("{} {}", self.local, self.zone)
    }

    /// The local date alone.
    pub fn date(&self) -> &str {
        self.local.get(..10).unwrap_or(&self.local)
    }

    /// The local time of day alone: `14:33:20`.
    pub fn time(&self) -> &str {
        self.local.get(11..).unwrap_or_default()
    }

    /// The `<time>` element with the date alone to be seen, where the time of day stands beside it.
    pub fn as_date(&self) -> DateElement<'_> {
        DateElement(self)
    }

    /// The local hour and minute alone: `14:33`.
    pub fn clock(&self) -> &str {
        self.local.get(11..16).unwrap_or(&self.local)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing in these three needs escaping: digits, and an IANA name of letters, digits, `/_+-`.
        write!(
            out,
            r#"<time datetime="{}" title="{} {}">{}</time>"#,
            self.utc, self.local, self.zone, self.local
        )
    }
}

impl askama::filters::HtmlSafe for Moment {}

/// A [`Moment`] of which the date is shown.
pub struct DateElement<'a>(&'a Moment);

impl fmt::Display for DateElement<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { utc, local, zone } = self.0;
        write!(out, r#"<time datetime="{utc}" title="{local} {zone}">{}</time>"#, self.0.date())
    }
}

impl askama::filters::HtmlSafe for DateElement<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let cases =
            [(0, "0"), (999, "999"), (1_000, "1,000"), (5_000_000, "5,000,000"), (-1_234, "\u{2212}1,234")];
        for (count, text) in cases {
            assert_eq!(mails(count), text);
        }
        assert_eq!(mails_noun(1), "1 mail");
        assert_eq!(mails_noun(2_000), "2,000 mails");
    }

    #[test]
    fn numbers_of_mails_in_a_stored_text_are_grouped_and_nothing_else() {
        for (text, shown) in [
            ("package DMBAG-7 of 50000 mails", "package DMBAG-7 of 50,000 mails"),
            ("5000000 mails, as agreed", "5,000,000 mails, as agreed"),
            ("invoice 20261187  mails", "invoice 20261187  mails"),
            ("invoice 20261187", "invoice 20261187"),
            ("0123 mails 99999999999999999999 mails", "0123 mails 99999999999999999999 mails"),
            ("999 mails", "999 mails"),
            ("", ""),
        ] {
            assert_eq!(grouped_mails(text), shown);
        }
    }

    #[test]
    fn money_keeps_every_digit_and_at_least_two_decimals() {
        let cases = [
            (13_050_000, "USD 13.05"),
            (121_800_000, "USD 121.80"),
            (1_123_750_000, "USD 1,123.75"),
            (290, "USD 0.00029"),
            (0, "USD 0.00"),
            (-2_500_000, "USD \u{2212}2.50"),
        ];
        for (micros, text) in cases {
            assert_eq!(money("USD", micros), text);
        }
    }

    #[test]
    fn a_share_is_never_rounded_to_nothing_or_everything() {
        assert_eq!(percent(1, 1_000_000).as_deref(), Some("< 0.1 %"));
        assert_eq!(percent(999_999, 1_000_000).as_deref(), Some("99.9 %"));
        assert_eq!(percent(500, 1_000).as_deref(), Some("50 %"));
        assert_eq!(percent(1, 0), None);
    }

    #[test]
    fn r21_a_share_has_two_decimals_and_is_never_rounded_to_nothing() {
        let texts = [Ppm(0), Ppm(7), Ppm(1_234), Ppm(12_399), Ppm::ALL].map(share);
        assert_eq!(texts, ["0 %", "under 0.01 %", "0.12 %", "1.23 %", "100 %"]);
        assert_eq!(share_of(Rate::new(10, 2_000)), "0.5 % (10 of 2,000)");
        assert_eq!(share_of(Rate::new(999_999, 1_000_000)), "99.99 % (999,999 of 1,000,000)");
        assert_eq!(share_of(Rate::new(0, 0)), "none yet");
    }

    #[test]
    fn r08_the_end_is_shown_in_the_accounts_zone() {
        let end = UnixMicros(1_552_406_400 * SECOND_MICROS);
        let moment = Zone::named("Asia/Shanghai").moment(end);
        assert_eq!(moment.full(), "2019-03-13 00:00:00 Asia/Shanghai (UTC+08:00)");
        assert_eq!(moment.utc, "2019-03-12T16:00:00Z");
        assert_eq!(moment.date(), "2019-03-13");
    }

    #[test]
    fn a_period_over_a_clock_change_names_both_offsets() {
        let at = |text: &str| UnixMicros::parse(text).expect("an instant");
        let (start, end) = (at("2026-09-30T22:00:00Z"), at("2026-10-31T23:00:00Z"));
        let berlin = Zone::named("Europe/Berlin");
        assert_eq!(berlin.label_between(start, end), "Europe/Berlin (UTC+02:00, then UTC+01:00)");
        assert_eq!(berlin.label_between(start, at("2026-10-01T22:00:00Z")), "Europe/Berlin (UTC+02:00)");
    }

    #[test]
    fn a_zone_is_shown_in_the_databases_spelling() {
        assert_eq!(Zone::named("europe/BERLIN").name(), "Europe/Berlin");
        assert_eq!(Zone::named("UTC").name(), "UTC");
    }

    #[test]
    fn an_unknown_zone_is_shown_as_utc_and_says_so() {
        let moment = Zone::named("Mars/Olympus").moment(UnixMicros(0));
        assert_eq!(moment.full(), "1970-01-01 00:00:00 UTC (UTC+00:00)");
    }

    #[test]
    fn days_left_are_rounded_up() {
        let now = UnixMicros(0);
        assert_eq!(days_left(now, UnixMicros(0)), 0);
        assert_eq!(days_left(now, UnixMicros(1)), 1);
        assert_eq!(days_left(now, UnixMicros(DAY_MICROS)), 1);
        assert_eq!(days_left(now, UnixMicros(DAY_MICROS + 1)), 2);
        assert_eq!(days_left(now, UnixMicros(-5)), 0);
    }
}
