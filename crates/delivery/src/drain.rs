//! How fast a destination takes mail, and when mail beyond its share of the memory is to come back.
//!
//! What overflows is lined up behind what waits in memory, one after the other at the measured rate: it comes
//! back when the destination is about to be ready for it. So a long backlog is written once and out of the
//! way of other mail, instead of being claimed and given back over and over.

use indicia_domain::time::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, UnixMicros};

/// The rate assumed of a destination that has not shown its own yet.
const GUESS_PER_SECOND: f64 = 100.0;
/// A mail an hour: slower than that is not told apart.
const PER_SECOND_MIN: f64 = 1.0 / 3600.0;
/// How long one measurement takes at least.
const SAMPLE_MICROS: i64 = 2 * SECOND_MICROS;
/// The first that overflows comes back when what is in memory is expected to be gone, within these bounds.
const FIRST_MIN_MICROS: i64 = 5 * SECOND_MICROS;
const FIRST_MAX_MICROS: i64 = MINUTE_MICROS;
/// Nothing is put off for longer.
const PUT_OFF_MAX_MICROS: i64 = HOUR_MICROS;

/// One destination's measured rate and the end of its line.
#[derive(Debug)]
pub(crate) struct Drain {
    per_second: Option<f64>,
    since: UnixMicros,
    count: u32,
    /// When the last that overflowed comes back.
    tail: UnixMicros,
}

impl Drain {
    pub(crate) fn new(now: UnixMicros) -> Drain {
        Drain { per_second: None, since: now, count: 0, tail: UnixMicros(0) }
    }

    /// Work begins after a time without: that time does not count.
    pub(crate) fn restart(&mut self, now: UnixMicros) {
        self.since = now;
        self.count = 0;
    }

    /// The destination has dealt with one mail.
    pub(crate) fn ended(&mut self, now: UnixMicros) {
        self.count += 1;
        let elapsed = now.0 - self.since.0;
        if elapsed >= SAMPLE_MICROS {
            let latest = rate(self.count, elapsed);
            self.per_second = Some(self.per_second.map_or(latest, |known| (known + latest) / 2.0));
            self.restart(now);
        }
    }

    /// Mails a second. One that has stalled is slower by now than when it was last measured.
    fn per_second(&self, now: UnixMicros) -> f64 {
        let elapsed = now.0 - self.since.0;
        if elapsed < SAMPLE_MICROS {
            return self.per_second.unwrap_or(GUESS_PER_SECOND);
        }
        let at_most = rate(self.count + 1, elapsed);
        self.per_second.map_or(at_most, |known| known.min(at_most))
    }

    /// When a mail that does not fit comes back, while so many wait in memory. Beyond the longest wait, mails
    /// are spread by `random` over its second half.
    pub(crate) fn put_off(&mut self, now: UnixMicros, waiting: usize, random: u32) -> UnixMicros {
        let each = 1e6 / self.per_second(now).max(PER_SECOND_MIN);
        let first = ((waiting as f64 * each) as i64).clamp(FIRST_MIN_MICROS, FIRST_MAX_MICROS);
        let tail = self.tail.max(now.plus_micros(first)).plus_micros((each as i64).max(1));
        let latest = now.plus_micros(PUT_OFF_MAX_MICROS);
        self.tail = tail.min(latest);
        if tail <= latest {
            return tail;
        }
        let half = PUT_OFF_MAX_MICROS / 2;
        now.plus_micros(half + half / 1000 * i64::from(random % 1001))
    }
}

fn rate(count: u32, elapsed_micros: i64) -> f64 {
    f64::from(count) * 1e6 / elapsed_micros.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_000 * HOUR_MICROS);

    fn seconds_after(now: UnixMicros, due: UnixMicros) -> i64 {
        (due.0 - now.0) / SECOND_MICROS
    }

    #[test]
    fn a_backlog_lines_up_at_the_measured_rate() {
        let mut drain = Drain::new(NOW);
        for second in 1..=10 {
            for _ in 0..20 {
                drain.ended(NOW.plus_micros(second * SECOND_MICROS));
            }
        }
        let now = NOW.plus_micros(10 * SECOND_MICROS);
        let dues: Vec<i64> = (0..2_000).map(|_| seconds_after(now, drain.put_off(now, 10_000, 0))).collect();
        assert_eq!(dues[0], 60, "what is in memory takes longer than the longest first wait");
        assert!((150..=175).contains(&dues[1_999]), "2,000 at about 20 a second: {}", dues[1_999]);
        let later = now.plus_micros(400 * SECOND_MICROS);
        drain.restart(later);
        assert_eq!(
            seconds_after(later, drain.put_off(later, 10, 0)),
            5,
            "a line that has passed is forgotten"
        );
    }

    #[test]
    fn a_stalled_destination_is_put_off_for_an_hour_at_most_and_spread() {
        let mut drain = Drain::new(NOW);
        let now = NOW.plus_micros(60 * SECOND_MICROS);
        for mail in 0..10_000u32 {
            let seconds = seconds_after(now, drain.put_off(now, 100, mail));
            assert!((60..=3_600).contains(&seconds), "{seconds}");
            assert!(mail < 60 || seconds >= 1_800, "{mail}: {seconds}");
        }
    }
}
