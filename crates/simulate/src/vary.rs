//! What if the assumptions are wrong: the same policy in other worlds.
//!
//! Much about mailbox providers and senders is assumed ([`crate::constants`]). Each variation changes one of the
//! assumptions that the result may hang on, by more than it is likely to be wrong, and shows whether the targets
//! are still met.

use crate::compare::{Comparison, Summary, compare, summaries};

/// Factors on the world's numbers; 1 is the world as it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// On the share of complaints that are reported.
    pub feedback: f64,
    /// On the time from delivery to complaint.
    pub reading: f64,
    /// On complaints about good senders.
    pub good_complaints: f64,
    /// On complaints about bought lists.
    pub bad_complaints: f64,
    /// On invalid addresses and traps of bought lists.
    pub bad_invalid: f64,
    /// On the weight of the IP address; what is over 1 counts as 1.
    pub address_weight: f64,
    /// On the half-life of the providers' slow memory.
    pub memory: f64,
    /// On the volume that providers take of the day's usual.
    pub growth: f64,
    /// How many times as many bad senders there are.
    pub bad_senders: usize,
}

impl Default for Assumptions {
    fn default() -> Self {
        Assumptions {
            feedback: 1.0,
            reading: 1.0,
            good_complaints: 1.0,
            bad_complaints: 1.0,
            bad_invalid: 1.0,
            address_weight: 1.0,
            memory: 1.0,
            growth: 1.0,
            bad_senders: 1,
        }
    }
}

/// The worlds, with their names.
pub fn variations() -> Vec<(&'static str, Assumptions)> {
    let world = Assumptions::default();
    vec![
        ("as it is", world),
        ("half of the reports come", Assumptions { feedback: 0.5, ..world }),
        ("no report ever comes", Assumptions { feedback: 0.0, ..world }),
        ("complaints three times as late", Assumptions { reading: 3.0, ..world }),
        ("good mail complained about twice as much", Assumptions { good_complaints: 2.0, ..world }),
        ("bad mail complained about half as much", Assumptions { bad_complaints: 0.5, ..world }),
        ("bought lists half as dirty", Assumptions { bad_invalid: 0.5, ..world }),
        ("IP addresses count half as much again", Assumptions { address_weight: 1.5, ..world }),
        ("IP addresses count half as much", Assumptions { address_weight: 0.5, ..world }),
        ("providers remember three times as long", Assumptions { memory: 3.0, ..world }),
        ("providers let volume grow half as fast", Assumptions { growth: 0.7, ..world }),
        ("three times as many bad senders", Assumptions { bad_senders: 3, ..world }),
    ]
}

/// The comparison's regimes in each world: the name, and a summary of each.
pub fn vary(
    comparison: &Comparison,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Vec<(&'static str, Vec<Summary>)> {
    let worlds = variations();
    let count = worlds.len();
    let in_world = |(place, (name, assumptions)): (usize, (&'static str, Assumptions))| {
        let of_all = |done: usize, runs: usize| progress(place * runs + done, count * runs);
        let outcomes = compare(&Comparison { assumptions, ..comparison.clone() }, &of_all);
        (name, summaries(&outcomes))
    };
    worlds.into_iter().enumerate().map(in_world).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variation_changes_something() {
        let worlds = variations();
        assert_eq!(worlds[0].1, Assumptions::default());
        assert!(worlds.iter().skip(1).all(|(_, world)| *world != Assumptions::default()));
    }
}
