//! Chance, the same for the same seed and for any number of threads. (On another kind of machine, whose mathematics
//! library rounds a logarithm otherwise, a draw may now and then fall on the other side.)
//!
//! Each purpose (what a sender wants to send, what becomes of its mail, a provider's weather) has a stream of its own,
//! made from the run's seed. So two runs of one seed under different policies meet the same senders, the same
//! wishes and the same weather, and what differs between them is the policy's doing (common random numbers).

use rand_distr::{Binomial, Distribution, LogNormal, Poisson};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Who the senders are.
    Cast = 1,
    /// What they want to send.
    Demand = 2,
    /// What becomes of their mail.
    Fate = 3,
    /// Outages, moods and false alarms of a provider.
    Weather = 4,
}

/// One stream of chance.
#[derive(Clone, Debug)]
pub struct Stream(Pcg64Mcg);

/// Below this mean, counting upwards is faster than rejection.
const INVERSION_MEAN_MAX: f64 = 10.0;

impl Stream {
    /// The stream of a purpose and of its `index`th owner.
    pub fn new(seed: u64, purpose: Purpose, index: usize) -> Stream {
        let label = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((purpose as u64) << 56) ^ index as u64;
        Stream(Pcg64Mcg::seed_from_u64(label))
    }

    /// Even in [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Even in [`low`, `high`).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Even in the logarithm: as often between 1 and 10 as between 10 and 100.
    pub fn log_between(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high.ln() - low.ln()) * self.unit()).exp()
    }

    pub fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// How many of `trials` happen.
    pub fn binomial(&mut self, trials: i64, probability: f64) -> i64 {
        if trials <= 0 || probability <= 0.0 {
            return 0;
        }
        if probability >= 1.0 {
            return trials;
        }
        if probability > 0.5 {
            return trials - self.binomial(trials, 1.0 - probability);
        }
        if trials as f64 * probability < INVERSION_MEAN_MAX {
            return self.binomial_by_inversion(trials, probability);
        }
        let drawn = Binomial::new(trials as u64, probability).map(|law| law.sample(&mut self.0) as i64);
        drawn.unwrap_or((trials as f64 * probability) as i64).clamp(0, trials)
    }

    fn binomial_by_inversion(&mut self, trials: i64, probability: f64) -> i64 {
        let odds = probability / (1.0 - probability);
        let mut left = self.unit();
        let mut chance = (1.0 - probability).powi(trials.min(i64::from(i32::MAX)) as i32);
        let mut count = 0;
        while left > chance && count < trials {
            left -= chance;
            count += 1;
            chance *= (trials - count + 1) as f64 / count as f64 * odds;
        }
        count
    }

    /// How many of many rare things happen.
    pub fn poisson(&mut self, mean: f64) -> i64 {
        if mean <= 0.0 {
            return 0;
        }
        Poisson::new(mean).map(|law| law.sample(&mut self.0) as i64).unwrap_or(mean as i64)
    }

    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        LogNormal::new(median.ln(), sigma).map(|law| law.sample(&mut self.0)).unwrap_or(median)
    }

    /// Deals `mails` out by `shares`, which need not add up to 1: what is over stays undealt.
    pub fn deal<const N: usize>(&mut self, mails: i64, shares: &[f64; N]) -> [i64; N] {
        let mut dealt = [0; N];
        let (mut left, mut rest) = (mails, 1.0);
        for (place, share) in dealt.iter_mut().zip(shares) {
            if left == 0 {
                break;
            }
            *place = self.binomial(left, if rest > 0.0 { (share / rest).min(1.0) } else { 0.0 });
            left -= *place;
            rest -= share;
        }
        dealt
    }

    /// The same for shares that together are small: mostly one draw says that nothing is dealt.
    pub fn deal_rare<const N: usize>(&mut self, mails: i64, shares: &[f64; N]) -> [i64; N] {
        let together: f64 = shares.iter().sum();
        let hit = self.binomial(mails, together.min(1.0));
        if hit == 0 {
            return [0; N];
        }
        let scaled = shares.map(|share| share / together);
        let mut dealt = self.deal(hit, &scaled);
        // Rounding in the shares must lose no mail.
        let missing = hit - dealt.iter().sum::<i64>();
        let last = shares.iter().rposition(|share| *share > 0.0).unwrap_or(0);
        dealt[last] += missing;
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(index: usize) -> Stream {
        Stream::new(7, Purpose::Fate, index)
    }

    #[test]
    fn the_same_seed_gives_the_same_and_another_owner_something_else() {
        let draw = |mut stream: Stream| (0..8).map(|_| stream.unit()).collect::<Vec<_>>();
        assert_eq!(draw(stream(1)), draw(stream(1)));
        assert_ne!(draw(stream(1)), draw(stream(2)));
        assert_ne!(draw(stream(1)), draw(Stream::new(7, Purpose::Demand, 1)));
        assert_ne!(draw(stream(1)), draw(Stream::new(8, Purpose::Fate, 1)));
    }

    #[test]
    fn binomial_draws_have_the_mean_and_the_spread() {
        for (trials, probability) in [(20, 0.03), (1_000, 0.002), (500, 0.2), (40, 0.9), (100_000, 0.001)] {
            let mut stream = stream(3);
            let draws: Vec<f64> = (0..20_000).map(|_| stream.binomial(trials, probability) as f64).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let variance = draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / draws.len() as f64;
            let (expected, spread) =
                (trials as f64 * probability, trials as f64 * probability * (1.0 - probability));
            assert!(
                (mean - expected).abs() < 5.0 * (spread / 20_000.0).sqrt(),
                "{trials} {probability}: {mean}"
            );
            assert!(
                (variance / spread - 1.0).abs() < 0.06,
                "{trials} {probability}: {variance} and not {spread}"
            );
        }
    }

    #[test]
    fn dealing_loses_nothing() {
        let mut stream = stream(4);
        for mails in [0, 1, 7, 300, 50_000] {
            let dealt = stream.deal(mails, &[0.5, 0.25, 0.125, 0.125]);
            assert_eq!(dealt.iter().sum::<i64>(), mails);
            let rare = stream.deal_rare(mails, &[0.001, 0.0, 0.002]);
            assert!(rare.iter().sum::<i64>() <= mails && rare[1] == 0);
        }
        let all = stream.deal_rare(1_000, &[0.6, 0.4]);
        assert_eq!(all.iter().sum::<i64>(), 1_000);
    }
}
