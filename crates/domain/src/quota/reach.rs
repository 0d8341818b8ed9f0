//! How many different recipients: a sketch of a set that can be united with others.
//!
//! Up to [`EXACT_MAX`] members the set itself is kept (64-bit hashes), so small numbers, R21's 200 recipients above
//! all, are exact. Beyond, it is a HyperLogLog of 2,048 registers with a standard error of 2.3 %, estimated as Ertl
//! does (New cardinality estimation algorithms for HyperLogLog sketches, 2017), which needs no table of corrections.
//! Adding a member twice changes nothing, so neither a crash nor a repeated batch can miscount; uniting the sketches
//! of days, senders or providers gives the count of all of them together, which no sum of counts could.

/// Members up to which the count is exact.
pub const EXACT_MAX: usize = 256;
const INDEX_BITS: u32 = 11;
const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits that are left for a register's run of zeros.
const RUN_BITS: u32 = 64 - INDEX_BITS;

const EXACT: u8 = 0;
const ESTIMATED: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Ascending.
    Exact(Vec<u64>),
    Estimated(Box<[u8]>),
}

/// A stored sketch that this version cannot read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sketch of recipients of {0} octets is damaged")]
pub struct DamagedSketch(pub usize);

impl Default for Sketch {
    fn default() -> Self {
        Sketch(Kind::Exact(Vec::new()))
    }
}

/// The same on every node and for ever: what is stored was made with it. (FNV-1a, then MurmurHash3's finaliser,
/// since FNV alone leaves the high bits of short texts alike.)
pub fn hash_of(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

impl Sketch {
    /// Adds a member by its [`hash_of`]. `false`: nothing changed; it was there, or counts the same.
    pub fn insert(&mut self, hash: u64) -> bool {
        match &mut self.0 {
            Kind::Exact(members) => match members.binary_search(&hash) {
                Ok(_) => return false,
                Err(place) => members.insert(place, hash),
            },
            Kind::Estimated(registers) => return raise(registers, hash),
        }
        self.give_up_exactness();
        true
    }

    /// Whether [`insert`](Sketch::insert) would change nothing.
    pub fn covers(&self, hash: u64) -> bool {
        match &self.0 {
            Kind::Exact(members) => members.binary_search(&hash).is_ok(),
            Kind::Estimated(registers) => {
                let (register, run) = place_of(hash);
                registers[register] >= run
            }
        }
    }

    /// Adds all members of another.
    pub fn unite(&mut self, other: &Sketch) {
        match (&mut self.0, &other.0) {
            (_, Kind::Exact(members)) => {
                for hash in members {
                    self.insert(*hash);
                }
            }
            (Kind::Exact(members), Kind::Estimated(registers)) => {
                let mut registers = registers.clone();
                for hash in members.iter() {
                    raise(&mut registers, *hash);
                }
                self.0 = Kind::Estimated(registers);
            }
            (Kind::Estimated(registers), Kind::Estimated(others)) => {
                for (register, other) in registers.iter_mut().zip(others) {
                    *register = (*register).max(*other);
                }
            }
        }
    }

    fn give_up_exactness(&mut self) {
        let Kind::Exact(members) = &self.0 else { return };
        if members.len() <= EXACT_MAX {
            return;
        }
        let mut registers = vec![0; REGISTERS].into_boxed_slice();
        for hash in members {
            raise(&mut registers, *hash);
        }
        self.0 = Kind::Estimated(registers);
    }

    /// How many members.
    pub fn count(&self) -> i64 {
        match &self.0 {
            Kind::Exact(members) => members.len() as i64,
            // One that has become inexact has more than fit exactly.
            Kind::Estimated(registers) => estimate(registers).max(EXACT_MAX as i64 + 1),
        }
    }

    /// Whether [`count`](Sketch::count) is exact.
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Kind::Exact(_))
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Kind::Exact(members) => {
                std::iter::once(EXACT).chain(members.iter().flat_map(|hash| hash.to_be_bytes())).collect()
            }
            Kind::Estimated(registers) => {
                std::iter::once(ESTIMATED).chain(registers.iter().copied()).collect()
            }
        }
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Sketch, DamagedSketch> {
        let damaged = || DamagedSketch(bytes.len());
        let (kind, rest) = bytes.split_first().ok_or_else(damaged)?;
        match *kind {
            EXACT if rest.len() % 8 == 0 && rest.len() / 8 <= EXACT_MAX => {
                let mut members: Vec<u64> = rest
                    .chunks_exact(8)
                    .map(|chunk| chunk.iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte)))
                    .collect();
                members.sort_unstable();
                members.dedup();
                Ok(Sketch(Kind::Exact(members)))
            }
            ESTIMATED
                if rest.len() == REGISTERS && rest.iter().all(|run| u32::from(*run) <= RUN_BITS + 1) =>
            {
                Ok(Sketch(Kind::Estimated(rest.into())))
            }
            _ => Err(damaged()),
        }
    }
}

/// The register of a member, and the run of zeros that it shows there.
fn place_of(hash: u64) -> (usize, u8) {
    let run = (hash << INDEX_BITS).leading_zeros().min(RUN_BITS) + 1;
    ((hash >> RUN_BITS) as usize, run as u8)
}

fn raise(registers: &mut [u8], hash: u64) -> bool {
    let (register, run) = place_of(hash);
    let longer = run > registers[register];
    registers[register] = registers[register].max(run);
    longer
}

fn estimate(registers: &[u8]) -> i64 {
    let mut runs = [0u32; RUN_BITS as usize + 2];
    for register in registers {
        runs[usize::from(*register)] += 1;
    }
    let all = REGISTERS as f64;
    let mut sum = all * tau(1.0 - f64::from(runs[RUN_BITS as usize + 1]) / all);
    for count in runs[1..=RUN_BITS as usize].iter().rev() {
        sum = 0.5 * (sum + f64::from(*count));
    }
    sum += all * sigma(f64::from(runs[0]) / all);
    (all * all / (2.0 * std::f64::consts::LN_2 * sum)).round() as i64
}

/// Ertl's sigma: what the empty registers add.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * power;
        power += power;
        if sum == before {
            return sum;
        }
    }
}

/// Ertl's tau: what the full ones add.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut power, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        power *= 0.5;
        sum -= (1.0 - x).powi(2) * power;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(range: std::ops::Range<u64>) -> Sketch {
        let mut sketch = Sketch::default();
        for number in range {
            sketch.insert(hash_of(&format!("user{number}@example.com")));
        }
        sketch
    }

    #[test]
    fn r21_small_numbers_are_exact() {
        for count in [0, 1, 199, 200, 256] {
            let sketch = of(0..count);
            assert_eq!((sketch.count(), sketch.is_exact()), (count as i64, true));
        }
        assert!(!of(0..257).is_exact());
    }

    #[test]
    fn large_numbers_are_within_their_error() {
        for count in [257, 1_000, 5_000, 50_000, 1_000_000] {
            let error = of(0..count).count() as f64 / count as f64 - 1.0;
            assert!(error.abs() < 0.07, "{count}: {error:+.3}, three standard errors are 0.069");
        }
    }

    #[test]
    fn the_hash_is_for_ever() {
        assert_eq!(hash_of("ann@example.com"), 0xd3a1_a0e7_11f0_d522);
        assert_eq!(hash_of(""), 0xefd0_1f60_ba99_2926);
    }

    #[test]
    fn a_damaged_sketch_is_told() {
        for bytes in [&b""[..], b"\x02", b"\x00abc", b"\x01abc", &[0; 1 + 8 * 257]] {
            assert_eq!(Sketch::from_bytes(bytes), Err(DamagedSketch(bytes.len())));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn uniting_is_adding_all(a in 0u64..900, b in 0u64..900, c in 0u64..900) {
            let (mut left, right) = (of(a..a + b), of(c..c + b));
            left.unite(&right);
            let mut all = of(a..a + b);
            for number in c..c + b {
                all.insert(hash_of(&format!("user{number}@example.com")));
            }
            prop_assert_eq!(&left, &all);
            let mut again = left.clone();
            again.unite(&right);
            prop_assert_eq!(&again, &left, "twice changes nothing");
            for number in a..a + b {
                let hash = hash_of(&format!("user{number}@example.com"));
                prop_assert!(left.covers(hash));
            }
            prop_assert_eq!(Sketch::from_bytes(&left.to_bytes()), Ok(left));
        }

        #[test]
        fn any_octets_are_survived(octets: Vec<u8>) {
            let _ = Sketch::from_bytes(&octets).map(|sketch| sketch.count());
        }
    }
}
