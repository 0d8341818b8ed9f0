//! Under what rules a run takes place: a policy, or one of the two alternatives that it is compared with.

use std::fmt;

use indicia_domain::quota::policy::QuotaPolicy;

/// What holds senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Ladder, reviews and brake, under the name by which it was asked for.
    Policy { name: String, policy: Box<QuotaPolicy> },
    /// `none`: everybody sends what he wants.
    Unlimited,
    /// `fixed:N`: N mails a day for everybody; no review, no brake.
    Fixed(i64),
}

/// What cannot be a regime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a fixed quota: write fixed:N with N from 1 to 1000000000 mails a day, such as fixed:50000"
)]
pub struct NoFixedQuota(pub String);

const FIXED_MAX: i64 = 1_000_000_000;

impl Regime {
    pub fn policy(name: impl Into<String>, policy: QuotaPolicy) -> Regime {
        Regime::Policy { name: name.into(), policy: Box::new(policy) }
    }

    /// The policy that the service has without configuration.
    pub fn standard() -> Regime {
        Regime::policy("default", QuotaPolicy::default())
    }

    /// Reads `none` and `fixed:N`; `Ok(None)`: it is something else, the name of a file.
    pub fn parse(text: &str) -> Result<Option<Regime>, NoFixedQuota> {
        if text == "none" {
            return Ok(Some(Regime::Unlimited));
        }
        let Some(number) = text.strip_prefix("fixed:") else { return Ok(None) };
        match number.parse::<i64>() {
            Ok(daily) if (1..=FIXED_MAX).contains(&daily) => Ok(Some(Regime::Fixed(daily))),
            _ => Err(NoFixedQuota(text.to_owned())),
        }
    }
}

/// As tables and pictures name it.
impl fmt::Display for Regime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Regime::Policy { name, .. } => f.write_str(name),
            Regime::Unlimited => f.write_str("none"),
            Regime::Fixed(daily) => write!(f, "fixed:{daily}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_compared() {
        assert_eq!(Regime::parse("none"), Ok(Some(Regime::Unlimited)));
        assert_eq!(Regime::parse("fixed:50000"), Ok(Some(Regime::Fixed(50_000))));
        assert_eq!(Regime::parse("other.toml"), Ok(None));
        for wrong in ["fixed:", "fixed:0", "fixed:-5", "fixed:many", "fixed:1000000001"] {
            let told = Regime::parse(wrong).unwrap_err().to_string();
            assert!(told.contains(wrong) && told.contains("fixed:50000"), "{told}");
        }
        assert_eq!(Regime::Fixed(7).to_string(), "fixed:7");
    }
}
