//! R24: how dedicated IP addresses are warmed up.

use indicia_domain::quota::warmup::{Schedule, WarmupPolicy};
use serde::Deserialize;

use super::{ConfigError, wrong};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WarmupSection {
    /// The name of a shipped schedule (`sitevibes`, `sendgrid`) or of one in `schedules`.
    pub schedule: String,
    pub schedules: Vec<ScheduleSection>,
    /// The share of the allowance that a day must have used for the next step.
    pub used_percent: i64,
    /// Above this share of deferrals the step is held.
    pub hold_deferred_percent: i64,
    /// From this share of deferrals on, it goes back by one.
    pub back_deferred_percent: i64,
    /// Above this share of failures for good the step is held.
    pub hold_failed_percent: i64,
    /// Deferrals, or failures, without which a share is taken for chance.
    pub evidence_min: i64,
    /// Days without mail after which a warm-up begins again.
    pub idle_days: i64,
}

/// A schedule of the operator's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSection {
    pub name: String,
    /// Mails of day 1, 2, …
    pub daily: Vec<i64>,
}

impl Default for WarmupSection {
    fn default() -> Self {
        let policy = WarmupPolicy::default();
        WarmupSection {
            schedule: policy.schedule.name().to_owned(),
            schedules: Vec::new(),
            used_percent: policy.used_percent,
            hold_deferred_percent: policy.hold_deferred_percent,
            back_deferred_percent: policy.back_deferred_percent,
            hold_failed_percent: policy.hold_failed_percent,
            evidence_min: policy.evidence_min,
            idle_days: policy.idle_days,
        }
    }
}

impl WarmupSection {
    /// The numbers that the store decides by. Every schedule is looked at, not only the one that is chosen.
    pub fn policy(&self) -> Result<WarmupPolicy, ConfigError> {
        let mut known: Vec<Schedule> = Schedule::shipped().into();
        for section in &self.schedules {
            let own = Schedule::new(section.name.clone(), section.daily.clone());
            let own = own.map_err(|error| wrong("warmup.schedules", error))?;
            if known.iter().any(|schedule| schedule.name() == own.name()) {
                return Err(wrong(
                    "warmup.schedules",
                    format!("there are two schedules named {}", own.name()),
                ));
            }
            known.push(own);
        }
        let names: Vec<&str> = known.iter().map(Schedule::name).collect();
        let none = format!("'{}' is none of the schedules {}", self.schedule, names.join(", "));
        let chosen = known.iter().find(|schedule| schedule.name() == self.schedule);
        let policy = WarmupPolicy {
            schedule: chosen.cloned().ok_or_else(|| wrong("warmup.schedule", none))?,
            used_percent: self.used_percent,
            hold_deferred_percent: self.hold_deferred_percent,
            back_deferred_percent: self.back_deferred_percent,
            hold_failed_percent: self.hold_failed_percent,
            evidence_min: self.evidence_min,
            idle_days: self.idle_days,
        };
        policy.check().map_err(|error| wrong("warmup", error))?;
        Ok(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<WarmupPolicy, String> {
        let section: WarmupSection = toml::from_str(text).map_err(|error| error.to_string())?;
        section.policy().map_err(|error| error.to_string())
    }

    #[test]
    fn r24_the_defaults_are_the_domains() {
        assert_eq!(policy(""), Ok(WarmupPolicy::default()));
        assert_eq!(policy("schedule = \"sendgrid\"").unwrap().schedule, Schedule::sendgrid());
    }

    #[test]
    fn r24_an_operator_may_write_his_own_schedule() {
        let own = policy("schedule = \"slow\"\n[[schedules]]\nname = \"slow\"\ndaily = [10, 20]").unwrap();
        assert_eq!(own.schedule.daily(), [10, 20]);
    }

    #[test]
    fn r24_what_is_wrong_is_named() {
        for (text, word) in [
            ("schedule = \"slow\"", "sitevibes, sendgrid"),
            ("[[schedules]]\nname = \"sendgrid\"\ndaily = [1]", "two schedules named sendgrid"),
            ("[[schedules]]\nname = \"slow\"\ndaily = [2, 1]", "only rises"),
            ("[[schedules]]\nname = \"slow\"\ndaily = []", "no days"),
            ("used_percent = 101", "used_percent"),
            ("back_deferred_percent = 5", "back_deferred_percent"),
            ("idle_days = 0", "idle_days"),
        ] {
            let error = policy(text).unwrap_err();
            assert!(error.contains(word) && error.contains("warmup"), "{text}: {error}");
        }
    }
}
