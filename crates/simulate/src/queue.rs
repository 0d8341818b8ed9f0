//! What waits: mail that was put off, and complaints that are still to come.
//!
//! Mails are kept as groups of one sender, domain, list and provider with the same number of attempts. The pauses
//! between attempts are those of the service (outcome::retry: 1, 5, 15, 30, 60, 120, then every 240 minutes), rounded
//! up to steps; the long ones end at a full hour, so that groups which are alike become one.

use std::collections::BTreeMap;

use crate::sender::STEPS_PER_HOUR;

/// Whose mail it is and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    pub sender: usize,
    pub domain: usize,
    pub list: usize,
    pub provider: usize,
}

/// Mails that share their fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub route: Route,
    /// Of the oldest of them.
    pub accepted_step: i64,
    /// Attempts so far.
    pub tries: u32,
    pub mails: i64,
}

impl Group {
    /// The same for groups that become one when they wait for the same step.
    fn key(&self) -> u64 {
        let Route { sender, domain, list, provider } = self.route;
        let parts = [sender, domain, list, provider, self.tries as usize];
        parts.into_iter().fold(0, |key, part| key << 12 | (part as u64 & 0xfff))
    }
}

/// Five-minute steps to the next attempt after the first, second, … one.
const PAUSES: [i64; 7] = [1, 1, 3, 6, 12, 24, 48];
/// The longest pause, rounded up to the hour, and one.
const SLOTS: i64 = 48 + STEPS_PER_HOUR + 1;

/// Mail that was put off.
#[derive(Clone, Debug)]
pub struct Waiting {
    slots: Vec<BTreeMap<u64, Group>>,
    mails: i64,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting { slots: vec![BTreeMap::new(); SLOTS as usize], mails: 0 }
    }
}

/// When mail that has been tried `tries` times is tried again.
fn due(step: i64, tries: u32) -> i64 {
    let place = (tries.max(1) as usize - 1).min(PAUSES.len() - 1);
    let pause = PAUSES[place];
    let at = step + pause;
    if pause >= STEPS_PER_HOUR { (at + STEPS_PER_HOUR - 1) / STEPS_PER_HOUR * STEPS_PER_HOUR } else { at }
}

impl Waiting {
    /// Puts off mails that were tried once more in `step`; `tries` counts that attempt.
    pub fn put_off(&mut self, step: i64, group: Group) {
        if group.mails == 0 {
            return;
        }
        let slot = &mut self.slots[(due(step, group.tries) % SLOTS) as usize];
        self.mails += group.mails;
        slot.entry(group.key())
            .and_modify(|there| {
                there.mails += group.mails;
                there.accepted_step = there.accepted_step.min(group.accepted_step);
            })
            .or_insert(group);
    }

    /// What is to be tried again in `step`, in a fixed order.
    pub fn take_due(&mut self, step: i64) -> impl Iterator<Item = Group> + use<> {
        let due = std::mem::take(&mut self.slots[(step % SLOTS) as usize]);
        self.mails -= due.values().map(|group| group.mails).sum::<i64>();
        due.into_values()
    }

    /// Mails that wait.
    pub fn mails(&self) -> i64 {
        self.mails
    }

    /// Mails that wait, of one sender.
    pub fn mails_of(&self, sender: usize) -> i64 {
        let all = self.slots.iter().flat_map(BTreeMap::values);
        all.filter(|group| group.route.sender == sender).map(|group| group.mails).sum()
    }
}

/// Something that somebody will do about a mail in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// He calls it spam; the provider knows at once.
    Complaint { route: Route, address: usize },
    /// The provider's report about it reaches us.
    Report { route: Route, accepted_step: i64 },
}

/// Complaints and reports to come.
#[derive(Clone, Debug, Default)]
pub struct Coming(BTreeMap<i64, Vec<Event>>);

impl Coming {
    pub fn expect(&mut self, step: i64, event: Event) {
        self.0.entry(step).or_default().push(event);
    }

    pub fn take_due(&mut self, step: i64) -> Vec<Event> {
        self.0.remove(&step).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(sender: usize, mails: i64, tries: u32) -> Group {
        let route = Route { sender, domain: sender, list: 0, provider: 3 };
        Group { route, accepted_step: 0, tries, mails }
    }

    #[test]
    fn put_off_mail_comes_back_at_the_services_pauses() {
        let mut waiting = Waiting::default();
        let mut pauses = Vec::new();
        let (mut step, mut tries) = (5, 1);
        waiting.put_off(step, group(0, 9, tries));
        while tries < 9 {
            let mut now = step + 1;
            let back = loop {
                match waiting.take_due(now).next() {
                    Some(back) => break back,
                    None => now += 1,
                }
                assert!(now < step + 100, "lost");
            };
            assert_eq!((back.mails, back.tries), (9, tries));
            pauses.push(now - step);
            (step, tries) = (now, tries + 1);
            waiting.put_off(step, group(0, 9, tries));
        }
        assert_eq!(pauses, [1, 1, 3, 6, 20, 24, 48, 48], "from an hour on to the next full hour");
    }

    #[test]
    fn nothing_that_waits_is_lost() {
        let mut waiting = Waiting::default();
        for step in 0..200 {
            waiting.put_off(step, group(step as usize % 3, step, 1 + (step % 9) as u32));
        }
        assert_eq!(waiting.mails(), (0..200).sum::<i64>());
        assert_eq!((0..3).map(|sender| waiting.mails_of(sender)).sum::<i64>(), waiting.mails());
    }
}
