//! Mailbox providers: how big they are, whom they trust by what, and what becomes of a mail that is offered to them.
//!
//! For every attempt a provider weighs the reputation of the sending domain and that of the IP address, each with
//! a weight that differs by provider, and answers in this order: an outage or no room puts off; an IP address of
//! bad repute is put off, and refused when it stays so; greylisting puts off once; addresses that do not exist are
//! refused; a domain of bad repute is refused as spam; the rest is accepted, into the inbox or the spam folder.

use indicia_domain::mail::provider::Provider as Known;

use crate::constants::*;
use crate::random::{Purpose, Stream};
use crate::reputation::{Reputation, hill};
use crate::vary::Assumptions;

/// What is known, or assumed, of one provider.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    pub name: &'static str,
    /// What the service takes it for.
    pub known_as: Known,
    /// Of all recipients.
    pub share: f64,
    /// What the IP address counts for; the domain has the rest.
    pub address_weight: f64,
    /// Of complaints that come back as reports.
    pub feedback: f64,
    /// Half-life of the slow memory.
    pub half_life_days: f64,
    pub greylists: bool,
    pub source: &'static str,
}

pub const PROVIDERS_COUNT: usize = 8;

/// The providers, the largest first.
pub const PROVIDERS: [Traits; PROVIDERS_COUNT] = [
    Traits {
        name: "Gmail",
        known_as: Known::Gmail,
        share: 0.40,
        address_weight: 0.3,
        feedback: 0.0,
        half_life_days: 14.0,
        greylists: false,
        source: "39 to 50 % of consumers (daniel-lange.com, Mapp), 28 % of domains (mailtester.ninja 2026); the domain counts more than the address \
                 (docs.lettr.com); no report per mail, only statistics; 3 to 4 weeks to recover (wordtothewise.com 2018/03)",
    },
    Traits {
        name: "Outlook.com",
        known_as: Known::Outlook,
        share: 0.16,
        address_weight: 0.6,
        feedback: 0.9,
        half_life_days: 10.0,
        greylists: false,
        source: "12 to 35 % of consumers (Mapp, daniel-lange.com); the address counts more (docs.lettr.com); reports by JMRP; half-life: \
                 Gmail takes 47 % longer to forgive (warmysender.com, 150 domains)",
    },
    Traits {
        name: "Yahoo, AOL",
        known_as: Known::Yahoo,
        share: 0.12,
        address_weight: 0.5,
        feedback: 0.9,
        half_life_days: 10.0,
        greylists: false,
        source: "18 to 23 % of consumers (daniel-lange.com, Mapp); reports by its feedback loop; weights assumed",
    },
    Traits {
        name: "Microsoft 365",
        known_as: Known::Others,
        share: 0.12,
        address_weight: 0.6,
        feedback: 0.0,
        half_life_days: 10.0,
        greylists: false,
        source: "23 % of domains (mailtester.ninja 2026); no reports for companies' mail",
    },
    Traits {
        name: "regional portals",
        known_as: Known::Others,
        share: 0.08,
        address_weight: 0.5,
        feedback: 0.5,
        half_life_days: 7.0,
        greylists: false,
        source: "GMX, WEB.DE, WP and others lead in their countries (Mapp); some report (list of feedback loops, gist hluaces); rest assumed",
    },
    Traits {
        name: "iCloud",
        known_as: Known::Icloud,
        share: 0.05,
        address_weight: 0.5,
        feedback: 0.0,
        half_life_days: 7.0,
        greylists: false,
        source: "1.6 % in 2019 (Mapp), more since; no feedback loop; rest assumed",
    },
    Traits {
        name: "access providers",
        known_as: Known::Others,
        share: 0.04,
        address_weight: 0.7,
        feedback: 0.9,
        half_life_days: 7.0,
        greylists: false,
        source: "Comcast 2 % (Mapp) and the like; reports by Validity's loops (gist hluaces); rest assumed",
    },
    Traits {
        name: "own servers",
        known_as: Known::Others,
        share: 0.03,
        address_weight: 0.7,
        feedback: 0.0,
        half_life_days: 7.0,
        greylists: true,
        source: "32 % of domains but few mailboxes (mailtester.ninja 2026), where block lists of addresses and greylisting live; rest assumed",
    },
];

/// The shares alone, for dealing mails out.
pub const SHARES: [f64; PROVIDERS_COUNT] = {
    let mut shares = [0.0; PROVIDERS_COUNT];
    let mut place = 0;
    while place < PROVIDERS_COUNT {
        shares[place] = PROVIDERS[place].share;
        place += 1;
    }
    shares
};

/// What the recipients of an attempt are like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audience {
    pub invalid: f64,
    pub traps: f64,
}

/// How likely each answer is, for a mail that an IP address and a domain of some repute offer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Odds {
    /// Put off for the address's bad repute.
    pub put_off: f64,
    /// Refused for good for the same.
    pub address_refused: f64,
    pub greylisted: f64,
    pub invalid: f64,
    /// Full and closed mailboxes.
    pub failed: f64,
    /// Refused as spam for the domain's bad repute.
    pub content_refused: f64,
    pub trapped: f64,
    pub folder: f64,
}

impl Odds {
    pub fn all(&self) -> [f64; 8] {
        [
            self.put_off,
            self.address_refused,
            self.greylisted,
            self.invalid,
            self.failed,
            self.content_refused,
            self.trapped,
            self.folder,
        ]
    }

    /// The rest: the inbox.
    pub fn inbox(&self) -> f64 {
        (1.0 - self.all().iter().sum::<f64>()).max(0.0)
    }
}

/// One provider in the course of a run.
#[derive(Clone, Debug)]
pub struct Provider {
    pub traits: &'static Traits,
    pub domains: Vec<Reputation>,
    pub addresses: Vec<Reputation>,
    half_life_days: f64,
    address_weight: f64,
    weather: Stream,
    mood: f64,
    /// Hours from now on in which nothing is taken.
    outage_hours: i64,
    outage_in_hours: i64,
    /// Domains about which the filter is wrong today.
    mistaken: Vec<bool>,
}

impl Provider {
    pub fn new(seed: u64, place: usize, domains: usize, world: &Assumptions) -> Provider {
        let traits = &PROVIDERS[place];
        let half_life_days = traits.half_life_days * world.memory;
        let daily = WARM_ADDRESS_DAILY * traits.share;
        let address = Reputation::known(ADDRESS_FLOOR, daily, half_life_days, world.growth);
        Provider {
            traits,
            half_life_days,
            address_weight: (traits.address_weight * world.address_weight).min(1.0),
            domains: vec![Reputation::unknown(DOMAIN_FLOOR, true, world.growth); domains],
            addresses: vec![address; SHARED_ADDRESSES as usize],
            weather: Stream::new(seed, Purpose::Weather, place),
            mood: 1.0,
            outage_hours: 0,
            outage_in_hours: 0,
            mistaken: vec![false; domains],
        }
    }

    /// At the end of an hour.
    pub fn settle_hour(&mut self) {
        let factor = |days: f64| 0.5_f64.powf(1.0 / (24.0 * days));
        let (fast, slow) = (factor(FAST_HALF_LIFE_DAYS), factor(self.half_life_days));
        for entity in self.domains.iter_mut().chain(&mut self.addresses) {
            entity.settle(fast, slow);
        }
        match self.outage_in_hours > 0 {
            true => self.outage_in_hours -= 1,
            false => self.outage_hours = (self.outage_hours - 1).max(0),
        }
    }

    /// At the end of a day, after its last hour. Draws the same numbers whatever was sent.
    pub fn turn_day(&mut self) {
        for entity in self.domains.iter_mut().chain(&mut self.addresses) {
            entity.turn_day();
        }
        self.mood = self.weather.log_normal(1.0, WOBBLE_SIGMA);
        let (is_out, from, hours) =
            (self.weather.happens(OUTAGES_PER_DAY), self.weather.unit(), self.weather.between(1.0, 7.0));
        if is_out {
            self.outage_in_hours = (from * 24.0) as i64;
            self.outage_hours = hours as i64;
        }
        for mistaken in &mut self.mistaken {
            *mistaken = self.weather.happens(FALSE_ALARM_PER_DAY);
        }
    }

    pub fn is_out(&self) -> bool {
        self.outage_in_hours == 0 && self.outage_hours > 0
    }

    /// How a mail of `domain` from `address` fares at the `tries`th attempt, counted from 0.
    pub fn odds(&self, domain: usize, address: usize, tries: u32, audience: Audience) -> Odds {
        let address_badness = self.addresses[address].badness() * self.mood;
        let domain_badness = self.domains[domain].badness() * self.mood;
        let weight = self.address_weight;
        let badness = weight * address_badness + (1.0 - weight) * domain_badness;
        let mut left = 1.0;
        let mut take = |share: f64| {
            let part = left * share.clamp(0.0, 1.0);
            left -= part;
            part
        };
        let shunned = take(hill(address_badness, ADDRESS_REFUSED_AT, REFUSED_STEEPNESS));
        let is_patient = f64::from(tries) < TRIES_BEFORE_REFUSED;
        let greylisted = take(if self.traits.greylists && tries == 0 { GREYLISTED } else { 0.0 });
        let invalid = take(audience.invalid);
        let failed = take(BOX_FAILS);
        let content_refused = take(hill(domain_badness, CONTENT_REFUSED_AT, REFUSED_STEEPNESS));
        let trapped = take(audience.traps);
        let by_mistake = if self.mistaken[domain] { FALSE_ALARM_FOLDER } else { FOLDER_BY_MISTAKE };
        let folder = take(by_mistake + (1.0 - by_mistake) * hill(badness, 1.0, FOLDER_STEEPNESS));
        Odds {
            put_off: if is_patient { shunned } else { 0.0 },
            address_refused: if is_patient { 0.0 } else { shunned },
            greylisted,
            invalid,
            failed,
            content_refused,
            trapped,
            folder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reputation::Trace;

    fn provider(place: usize) -> Provider {
        Provider::new(1, place, 2, &Assumptions::default())
    }

    fn spoil(reputation: &mut Reputation, complaints: f64) {
        let shown = 1e7;
        reputation.note(&Trace {
            recipients: shown,
            shown,
            complaints: shown * complaints,
            ..Trace::default()
        });
        reputation.settle(1.0, 1.0);
    }

    #[test]
    fn everybody_has_a_provider() {
        assert!((SHARES.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn good_mail_of_a_known_address_arrives() {
        for place in 0..PROVIDERS_COUNT {
            let mut provider = provider(place);
            spoil(&mut provider.domains[0], 0.000_2);
            let odds = provider.odds(0, 0, 1, Audience { invalid: 0.003, traps: 0.0 });
            assert!(odds.inbox() > 0.985, "{}: {odds:?}", provider.traits.name);
            assert!((odds.all().iter().sum::<f64>() + odds.inbox() - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn others_on_the_address_are_felt_more_where_the_address_counts_more() {
        let folder = |place: usize| {
            let mut provider = provider(place);
            spoil(&mut provider.domains[0], 0.000_2);
            spoil(&mut provider.addresses[0], 0.004);
            provider.odds(0, 0, 1, Audience::default()).folder
        };
        assert!(folder(1) > 2.0 * folder(0), "Outlook.com {} and Gmail {}", folder(1), folder(0));
    }

    #[test]
    fn a_bad_domain_is_refused_as_spam_and_a_bad_address_put_off_first() {
        let mut provider = provider(0);
        spoil(&mut provider.domains[0], 0.03);
        assert!(provider.odds(0, 0, 0, Audience::default()).content_refused > 0.8);
        assert!(provider.odds(1, 0, 0, Audience::default()).content_refused < 0.01, "another's domain");
        spoil(&mut provider.addresses[0], 0.03);
        let (first, fifth) =
            (provider.odds(1, 0, 0, Audience::default()), provider.odds(1, 0, 4, Audience::default()));
        assert!(first.put_off > 0.9 && first.address_refused == 0.0);
        assert!(fifth.address_refused > 0.9 && fifth.put_off == 0.0);
    }

    #[test]
    fn the_weather_is_the_same_whatever_is_sent() {
        let (mut busy, mut idle) = (provider(2), provider(2));
        for day in 0..400 {
            busy.domains[0].tried(1_000 * day);
            for _ in 0..24 {
                assert_eq!(busy.is_out(), idle.is_out());
                busy.settle_hour();
                idle.settle_hour();
            }
            busy.turn_day();
            idle.turn_day();
            assert_eq!((busy.mood, &busy.mistaken), (idle.mood, &idle.mistaken));
        }
    }
}
