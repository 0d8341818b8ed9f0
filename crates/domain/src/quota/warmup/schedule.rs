//! Warm-up schedules: how many mails a dedicated address may send to one mailbox provider on the first, second,
//! third … day of its warm-up.

/// Days of a schedule.
const DAYS_MAX: usize = 366;
/// Mails of one day; beyond it no limit means anything.
const DAILY_MAX: i64 = 1_000_000_000;
const NAME_CHARS_MAX: usize = 64;

/// SendGrid's automatic warm-up, in mails an *hour* for each address, day 0 to day 30 (its published API reference,
/// "IP warmup schedule"). Days 26, 27 and 29 are not in the published table; they follow its growth of 1.4 a day.
const SENDGRID_HOURLY: [i64; 31] = [
    20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1_000, 1_587, 2_222, 3_111, 4_356, 6_098, 8_583,
    11_953, 16_734, 23_427, 32_798, 45_917, 64_284, 89_998, 125_997, 176_396, 246_953, 345_735, 484_029,
];

/// SiteVibes on SendGrid: days 1 to 16 as published, then to a million a day by the end of week 3.
const SITEVIBES_DAILY: [i64; 21] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 40_000, 55_000, 70_000,
    100_000, 150_000, 250_000, 400_000, 650_000, 1_000_000,
];

/// Mails a day, from the first day of a warm-up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    name: String,
    daily: Vec<i64>,
}

/// Why a list is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("the name of a warm-up schedule has 1 to 64 letters, digits, '_', '-' or '.'; '{0}' is none")]
    Name(String),
    #[error("the warm-up schedule {name} has no days: give the mails of day 1, 2, … in `daily`")]
    Empty { name: String },
    #[error("the warm-up schedule {name} has {days} days; {DAYS_MAX} are the most")]
    TooLong { name: String, days: usize },
    #[error(
        "day {day} of the warm-up schedule {name} has {mails} mails: write a number from 1 to {DAILY_MAX}"
    )]
    Mails { name: String, day: usize, mails: i64 },
    #[error(
        "day {day} of the warm-up schedule {name} has {mails} mails, fewer than the day before: a schedule only rises"
    )]
    Falls { name: String, day: usize, mails: i64 },
}

impl Schedule {
    /// A schedule with `daily[0]` mails on its first day.
    pub fn new(name: impl Into<String>, daily: Vec<i64>) -> Result<Schedule, ScheduleError> {
        let name = name.into();
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(letter) {
            return Err(ScheduleError::Name(name));
        }
        if daily.is_empty() {
            return Err(ScheduleError::Empty { name });
        }
        if daily.len() > DAYS_MAX {
            return Err(ScheduleError::TooLong { name, days: daily.len() });
        }
        for (index, &mails) in daily.iter().enumerate() {
            let day = index + 1;
            if !(1..=DAILY_MAX).contains(&mails) {
                return Err(ScheduleError::Mails { name, day, mails });
            }
            if index > 0 && mails < daily[index - 1] {
                return Err(ScheduleError::Falls { name, day, mails });
            }
        }
        Ok(Schedule { name, daily })
    }

    /// `sendgrid`: SendGrid's own, by the day: 24 times what it allows in an hour. An allowance is counted by the day
    /// here (R24), since a newsletter goes out in an hour and not in 24; the sum of the day is what a provider
    /// sees grow.
    pub fn sendgrid() -> Schedule {
        let daily = SENDGRID_HOURLY.iter().map(|hourly| hourly * 24).collect();
        Schedule { name: "sendgrid".to_owned(), daily }
    }

    /// `sitevibes`: begins at a tenth of `sendgrid` and is through in three weeks.
    pub fn sitevibes() -> Schedule {
        Schedule { name: "sitevibes".to_owned(), daily: SITEVIBES_DAILY.to_vec() }
    }

    /// The schedules that need no configuration.
    pub fn shipped() -> [Schedule; 2] {
        [Schedule::sitevibes(), Schedule::sendgrid()]
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many days it has: its last step.
    pub fn days(&self) -> i64 {
        i64::try_from(self.daily.len()).unwrap_or(i64::MAX)
    }

    /// Mails of the day `step`, the first being 1; beyond either end that end's.
    pub fn mails(&self, step: i64) -> i64 {
        let index = usize::try_from(step.clamp(1, self.days()) - 1).unwrap_or(0);
        self.daily.get(index).copied().unwrap_or(0)
    }

    pub fn daily(&self) -> &[i64] {
        &self.daily
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r24_shipped_schedules_are_valid_and_have_their_published_numbers() {
        for schedule in Schedule::shipped() {
            let again = Schedule::new(schedule.name(), schedule.daily().to_vec());
            assert_eq!(again, Ok(schedule));
        }
        let sendgrid = Schedule::sendgrid();
        assert_eq!((sendgrid.mails(1), sendgrid.mails(8), sendgrid.mails(31)), (480, 5_064, 11_616_696));
        let sitevibes = Schedule::sitevibes();
        assert_eq!((sitevibes.mails(1), sitevibes.mails(16), sitevibes.mails(21)), (50, 100_000, 1_000_000));
    }

    #[test]
    fn r24_a_list_that_is_no_schedule_says_why() {
        let why = |name: &str, daily: Vec<i64>| Schedule::new(name, daily).unwrap_err().to_string();
        assert!(why("", vec![1]).contains("name"));
        assert!(why("a b", vec![1]).contains("a b"));
        assert!(why("a", vec![]).contains("no days"));
        assert!(why("a", vec![1; DAYS_MAX + 1]).contains("367 days"));
        assert!(why("a", vec![0]).contains("day 1"));
        assert!(why("a", vec![1, DAILY_MAX + 1]).contains("day 2"));
        assert!(why("a", vec![5, 4]).contains("day 2") && why("a", vec![5, 4]).contains("only rises"));
        assert!(Schedule::new("a", vec![5, 5, 6]).is_ok(), "a day may repeat the one before");
    }

    #[test]
    fn r24_beyond_its_ends_a_schedule_has_its_ends() {
        let schedule = Schedule::new("a", vec![5, 7]).unwrap();
        assert_eq!([-3, 0, 1, 2, 3].map(|step| schedule.mails(step)), [5, 5, 5, 7, 7]);
    }
}
