//! R17 to R22: the quota's ladder, lines and brake.
//!
//! Shares are written in per cent and kept in millionths, so that what is decided by is exactly what was written:
//! `0.3`, `"0.3"` and `0.3000` are 3,000 millionths. A number with more decimals than that is refused, not rounded.
//!
//! The same section alone is a policy file for `indicia simulate`.

use std::fmt;
use std::path::Path;

use indicia_domain::mail::provider::Provider;
use indicia_domain::quota::policy::{Ladder, LowerLines, PauseLines, QuotaPolicy, RaiseLines};
use indicia_domain::quota::rate::{Confidence, Ppm};
use serde::{Deserialize, Deserializer, de};

use super::{Config, ConfigError, wrong};

/// A share, written in per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(pub Ppm);

/// Millionths in a per cent, as decimals.
const DECIMALS: usize = 4;
/// How far a float may be from the decimal number that was meant: far more than a float's own error, far less than
/// a fifth decimal.
const FLOAT_SLACK: f64 = 1e-6;

impl Percent {
    /// Reads `5`, `0.3`, `99.9`.
    fn parse(text: &str) -> Option<Percent> {
        let (whole, decimals) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let decimals = decimals.trim_end_matches('0');
        if whole.is_empty()
            || whole.len() > 3
            || !digits(whole)
            || !digits(decimals)
            || decimals.len() > DECIMALS
        {
            return None;
        }
        format!("{whole}{decimals:0<DECIMALS$}").parse().ok().map(|ppm| Percent(Ppm(ppm)))
    }

    fn of_float(value: f64) -> Option<Percent> {
        let ppm = value * 10_000.0;
        let near = (0.0..=9_990_000.0).contains(&ppm) && (ppm - ppm.round()).abs() < FLOAT_SLACK;
        near.then(|| Percent(Ppm(ppm.round() as i64)))
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PercentVisitor)
    }
}

struct PercentVisitor;

impl de::Visitor<'_> for PercentVisitor {
    type Value = Percent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a share in per cent with at most four decimals, such as 0.3")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Percent, E> {
        Percent::parse(&value.to_string())
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Percent, E> {
        Percent::of_float(value).ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Percent, E> {
        Percent::parse(value).ok_or_else(|| E::invalid_value(de::Unexpected::Str(value), &self))
    }
}

/// R17, R20 to R22.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaSection {
    /// The operator's name for these numbers; it stands in every review.
    pub version: String,
    /// Mails a day by level.
    pub ladder: Vec<i64>,
    pub initial_level: i64,
    /// By default what the ladder says of `initial_level`.
    pub initial_daily_mails: Option<i64>,
    pub pause: PauseSection,
    pub lower: LowerSection,
    pub raise: RaiseSection,
    /// Fewer unique recipients move nobody.
    pub recipients_min: i64,
    /// Fewer spam reports prove nothing.
    pub reports_min: i64,
    /// Mailbox providers that tell of every report of their users; spam reports are set against the mails to them.
    pub reporting: Vec<Provider>,
    /// How sure a bound is, in per cent.
    pub confidence: Percent,
    /// What the brake looks at, in minutes; the last is the whole day.
    pub brake_windows_minutes: Vec<i64>,
    /// The so-manieth pause within `pauses_weeks` waits for an operator; 0: none does.
    pub pauses_before_operator: i64,
    pub pauses_weeks: i64,
}

/// From here on sending is paused.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PauseSection {
    pub invalid: Percent,
    pub reported: Percent,
}

/// From here on the quota is lowered; below `arrival` too.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LowerSection {
    pub invalid: Percent,
    pub reported: Percent,
    pub arrival: Percent,
}

/// Below these, from `arrival` on, and with `full_days` of the seven used to `full_use`, it is raised.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaiseSection {
    pub invalid: Percent,
    pub reported: Percent,
    pub arrival: Percent,
    pub full_use: Percent,
    pub full_days: i64,
}

impl Default for PauseSection {
    fn default() -> Self {
        let PauseLines { invalid, reported } = QuotaPolicy::default().pause;
        PauseSection { invalid: Percent(invalid), reported: Percent(reported) }
    }
}

impl Default for LowerSection {
    fn default() -> Self {
        let LowerLines { invalid, reported, arrival } = QuotaPolicy::default().lower;
        LowerSection { invalid: Percent(invalid), reported: Percent(reported), arrival: Percent(arrival) }
    }
}

impl Default for RaiseSection {
    fn default() -> Self {
        let RaiseLines { invalid, reported, arrival, full_use, full_days } = QuotaPolicy::default().raise;
        RaiseSection {
            invalid: Percent(invalid),
            reported: Percent(reported),
            arrival: Percent(arrival),
            full_use: Percent(full_use),
            full_days,
        }
    }
}

impl Default for QuotaSection {
    fn default() -> Self {
        let policy = QuotaPolicy::default();
        QuotaSection {
            version: policy.version,
            ladder: policy.ladder.0,
            initial_level: policy.initial_level,
            initial_daily_mails: None,
            pause: PauseSection::default(),
            lower: LowerSection::default(),
            raise: RaiseSection::default(),
            recipients_min: policy.recipients_min,
            reports_min: policy.reports_min,
            reporting: policy.reporting,
            confidence: Percent(Ppm(policy.confidence.permille() * 1_000)),
            brake_windows_minutes: policy.brake_windows_minutes,
            pauses_before_operator: policy.pauses_before_operator,
            pauses_weeks: policy.pauses_weeks,
        }
    }
}

impl QuotaSection {
    /// The numbers that reviews and the brake decide by.
    pub fn policy(&self) -> Result<QuotaPolicy, ConfigError> {
        let (pause, lower, raise) = (&self.pause, &self.lower, &self.raise);
        let ladder = Ladder(self.ladder.clone());
        let of_ladder = ladder.daily(self.initial_level);
        let policy = QuotaPolicy {
            version: self.version.clone(),
            ladder,
            initial_level: self.initial_level,
            initial_daily_mails: self.initial_daily_mails.unwrap_or(of_ladder),
            pause: PauseLines { invalid: pause.invalid.0, reported: pause.reported.0 },
            lower: LowerLines {
                invalid: lower.invalid.0,
                reported: lower.reported.0,
                arrival: lower.arrival.0,
            },
            raise: RaiseLines {
                invalid: raise.invalid.0,
                reported: raise.reported.0,
                arrival: raise.arrival.0,
                full_use: raise.full_use.0,
                full_days: raise.full_days,
            },
            recipients_min: self.recipients_min,
            reports_min: self.reports_min,
            reporting: self.reporting.clone(),
            confidence: self.confidence()?,
            brake_windows_minutes: self.brake_windows_minutes.clone(),
            pauses_before_operator: self.pauses_before_operator,
            pauses_weeks: self.pauses_weeks,
        };
        policy.check().map_err(|error| wrong("quota", error))?;
        Ok(policy)
    }

    fn confidence(&self) -> Result<Confidence, ConfigError> {
        let Percent(asked) = self.confidence;
        let known = Confidence::ALL.into_iter().find(|known| known.permille() * 1_000 == asked.0);
        known.ok_or_else(|| {
            wrong("quota.confidence", format!("{asked} is not one of 90, 95, 97.5, 99 and 99.9 per cent"))
        })
    }

    /// The policy in a file: a whole configuration, or one with nothing but `[quota]` in it. The environment is not
    /// laid over it: two files are to be compared as they stand.
    pub fn policy_of_file(path: &Path) -> Result<QuotaPolicy, ConfigError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: shown(), source })?;
        let malformed = |message| ConfigError::Malformed { path: shown(), message };
        let config: Config = toml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
        config.quota.policy().map_err(|error| malformed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<QuotaPolicy, String> {
        let section: QuotaSection = toml::from_str(text).map_err(|error| error.to_string())?;
        section.policy().map_err(|error| error.to_string())
    }

    #[test]
    fn r20_the_defaults_are_the_domains() {
        assert_eq!(policy(""), Ok(QuotaPolicy::default()));
    }

    #[test]
    fn r21_shares_are_exact_however_they_are_written() {
        for (written, ppm) in [
            ("0.3", 3_000),
            ("\"0.3\"", 3_000),
            ("0.2999", 2_999),
            ("0.1", 1_000),
            ("\"0.0001\"", 1),
            ("1.1", 11_000),
            ("4.35", 43_500),
            ("2", 20_000),
            ("2.50", 25_000),
        ] {
            let text =
                format!("[lower]\nreported = {written}\n[raise]\nreported = 0.0001\n[pause]\nreported = 50");
            assert_eq!(policy(&text).map(|policy| policy.lower.reported), Ok(Ppm(ppm)), "{written}");
        }
        for written in
            ["0.00001", "-1", "\"\"", "\"1,5\"", "\"0x1\"", "nan", "1e9", "\"1.2.3\"", "1000", "true"]
        {
            let error = policy(&format!("[lower]\nreported = {written}")).unwrap_err();
            assert!(error.contains("per cent"), "{written}: {error}");
        }
    }

    #[test]
    fn r21_every_share_can_be_written() {
        for ppm in (0..=1_000_000).step_by(37) {
            let written = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
            assert_eq!(Percent::parse(&written), Some(Percent(Ppm(ppm))), "{written}");
            let float = written.parse().expect("a float");
            assert_eq!(Percent::of_float(float), Some(Percent(Ppm(ppm))), "{written}");
        }
    }

    #[test]
    fn r20_the_initial_quota_is_the_ladders_unless_it_is_given() {
        let ladder = policy("ladder = [10, 20, 30, 50]\ninitial_level = 1").unwrap();
        assert_eq!((ladder.initial_daily_mails, ladder.ladder.top()), (20, 3));
        assert_eq!(policy("initial_daily_mails = 7").unwrap().initial_daily_mails, 7);
    }

    #[test]
    fn r21_every_key_of_a_section_is_read() {
        let text = "version = \"strict-2\"\nrecipients_min = 100\nreports_min = 5\nreporting = [\"yahoo.com\"]\nconfidence = 97.5\n\
                    brake_windows_minutes = [5, 1440]\npauses_before_operator = 1\npauses_weeks = 4\n\
                    [pause]\ninvalid = 8\nreported = 0.4\n[lower]\ninvalid = 4\nreported = 0.2\narrival = 90\n\
                    [raise]\ninvalid = 1\nreported = 0.05\narrival = 97\nfull_use = 70\nfull_days = 4";
        let expected = QuotaPolicy {
            version: "strict-2".into(),
            pause: PauseLines { invalid: Ppm(80_000), reported: Ppm(4_000) },
            lower: LowerLines { invalid: Ppm(40_000), reported: Ppm(2_000), arrival: Ppm(900_000) },
            raise: RaiseLines {
                invalid: Ppm(10_000),
                reported: Ppm(500),
                arrival: Ppm(970_000),
                full_use: Ppm(700_000),
                full_days: 4,
            },
            recipients_min: 100,
            reports_min: 5,
            reporting: vec![Provider::Yahoo],
            confidence: Confidence::Percent97_5,
            brake_windows_minutes: vec![5, 1_440],
            pauses_before_operator: 1,
            pauses_weeks: 4,
            ..QuotaPolicy::default()
        };
        assert_eq!(policy(text), Ok(expected));
    }

    #[test]
    fn r21_what_is_wrong_is_named() {
        for (text, word) in [
            ("version = \" \"", "version"),
            ("ladder = [5, 5]", "ladder"),
            ("initial_level = 11", "initial_level"),
            ("confidence = 96", "96 % is not one of 90, 95"),
            ("[lower]\ninvalid = 11", "invalid"),
            ("[raise]\narrival = 50", "arrival"),
            ("[raise]\nfull_days = 8", "full_days"),
            ("brake_windows_minutes = [7, 1440]", "brake_windows_minutes"),
            ("pauses_weeks = 0", "pauses_weeks"),
            ("initial_daily_mails = -1", "initial_daily_mails"),
            ("[pause]\nspam = 1", "spam"),
            ("reporting = [\"example.net\"]", "outlook.com"),
        ] {
            let error = policy(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_file_with_nothing_but_the_quota_is_a_policy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("strict.toml");
        std::fs::write(&path, "[quota]\nversion = \"strict\"\n[quota.pause]\ninvalid = 5\n")
            .expect("written");
        let strict = QuotaSection::policy_of_file(&path).expect("a policy");
        assert_eq!((strict.version.as_str(), strict.pause.invalid), ("strict", Ppm(50_000)));
        std::fs::write(&path, "[quota.pause]\ninvalid = 500\n").expect("written");
        let error = QuotaSection::policy_of_file(&path).unwrap_err().to_string();
        assert!(error.contains("strict.toml") && error.contains("pause.invalid"), "{error}");
        let missing = QuotaSection::policy_of_file(&folder.path().join("none.toml")).unwrap_err().to_string();
        assert!(missing.contains("none.toml"), "{missing}");
    }
}
