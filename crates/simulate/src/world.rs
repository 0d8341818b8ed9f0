//! One run: senders, the service and the providers, in steps of five minutes.
//!
//! A step takes place in this order: what an hour, a day or a week ends (memories fade, reviews on Mondays, an
//! operator's look at pauses); mail that was put off is tried again; complaints and reports come in; each sender
//! sends what it wants and is allowed to, its mail is tried at once, and the brake looks at what came of it. A
//! sender that sends a lot within a step does so minute by minute, with the brake between; the server's looks
//! more often still.
//!
//! Mails are counted, never made one by one: a step's mails of one sender to one provider share one draw.

use indicia_domain::quota::evidence::Counts;
use indicia_domain::quota::review::Action;
use indicia_domain::time::TimeZone;

use crate::account::{Account, begins_day, begins_week};
use crate::book::LISTS;
use crate::constants::*;
use crate::demand::{Demand, Recipients, grow};
use crate::figures::{Figures, GROWTH_DAILY, Growth, Stop, Tally};
use crate::provider::{Audience, PROVIDERS_COUNT, Provider, SHARES};
use crate::queue::{Coming, Event, Group, Route, Waiting};
use crate::random::{Purpose, Stream};
use crate::regime::Regime;
use crate::reputation::Trace;
use crate::sender::{Kind, Profile, STEPS_PER_DAY, STEPS_PER_HOUR, STEPS_PER_WEEK, cast};
use crate::vary::Assumptions;

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Company {
    All,
    /// Nobody with a bought list, and no thief: what the others would have had.
    WithoutBad,
}

/// Whether an operator ever looks at pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operators {
    /// After [`OPERATOR_DAYS`] they release what only they can release, if the account is clean.
    #[default]
    AfterAWeek,
    Never,
}

/// One run's setting.
#[derive(Clone, Debug)]
pub struct Setting {
    pub seed: u64,
    pub weeks: i64,
    pub regime: Regime,
    pub company: Company,
    pub operators: Operators,
    pub assumptions: Assumptions,
}

/// More mails than this in a step are sent minute by minute.
const AT_ONCE_MAX: i64 = 200;
const MINUTES: i64 = 5;
/// Complaints later than this are never made.
const COMPLAINT_DAYS_MAX: f64 = 14.0;
/// Domains of each sender: its own, and one that it may add.
const DOMAINS: usize = 2;

struct Sender {
    profile: Profile,
    account: Account,
    recipients: [Recipients; LISTS],
    demand: [Option<Demand>; LISTS],
    fate: Stream,
    tally: Tally,
    has_second_domain: bool,
    /// Recovering senders stop, and clean their lists, until then.
    rests_until: Option<i64>,
    cleaned: bool,
    /// From when on the thief sends nothing any more.
    thief_out: Option<i64>,
    bad_mails: i64,
    first_bad_step: Option<i64>,
    stop: Option<Stop>,
    grown_after: Option<f64>,
    paused_this_week: bool,
}

impl Sender {
    fn addresses(&self) -> [f64; LISTS] {
        [0, 1].map(|list: usize| self.recipients[list].list.addresses)
    }

    /// The list whose mails do harm.
    fn bad_list(&self) -> Option<usize> {
        match self.profile.kind {
            kind if kind.is_bought() => Some(0),
            kind if kind.is_hijacked() => Some(1),
            _ => None,
        }
    }

    fn has_thief(&self, step: i64) -> bool {
        let turned = self.profile.turns.as_ref().is_some_and(|(at, ..)| step >= *at);
        turned && self.thief_out.is_none_or(|out| step < out)
    }

    /// Whether an operator who looks finds nothing wrong.
    fn is_clean(&self, step: i64) -> bool {
        match self.profile.kind {
            kind if kind.is_bought() => false,
            Kind::Sloppy => false,
            Kind::Recovering => self.cleaned,
            _ => !self.has_thief(step),
        }
    }
}

/// A run under way.
pub struct World {
    setting: Setting,
    zone: TimeZone,
    senders: Vec<Sender>,
    providers: Vec<Provider>,
    waiting: Waiting,
    coming: Coming,
    figures: Figures,
    last_arrival: (i64, i64),
}

/// Runs one setting to its end.
pub fn run(setting: Setting) -> Figures {
    let mut world = World::new(setting);
    for step in 0..world.setting.weeks * STEPS_PER_WEEK {
        world.step(step);
    }
    world.finish()
}

impl World {
    pub fn new(setting: Setting) -> World {
        let profiles = cast(setting.seed, setting.weeks, &setting.assumptions);
        let days = (setting.weeks * 7) as usize;
        let figures = Figures {
            kinds: profiles.iter().map(|profile| profile.kind).collect(),
            quota_by_week: vec![Vec::new(); profiles.len()],
            ..Figures::default()
        };
        let domains = profiles.len() * DOMAINS;
        let senders = profiles.into_iter().enumerate();
        World {
            senders: senders.map(|(place, profile)| sender(&setting, place, profile, days)).collect(),
            providers: (0..PROVIDERS_COUNT)
                .map(|place| Provider::new(setting.seed, place, domains, &setting.assumptions))
                .collect(),
            setting,
            zone: TimeZone::UTC,
            waiting: Waiting::default(),
            coming: Coming::default(),
            figures,
            last_arrival: (0, 0),
        }
    }

    /// One step of five minutes; steps are taken in their order, from 0.
    pub fn step(&mut self, step: i64) {
        if step > 0 && step % STEPS_PER_HOUR == 0 {
            self.providers.iter_mut().for_each(Provider::settle_hour);
        }
        if step > 0 && begins_day(step) {
            self.end_day(step);
        }
        for sender in &mut self.senders {
            sender.account.begin_step(step);
        }
        for group in self.waiting.take_due(step) {
            let address = address_of(group.route.sender, step);
            self.attempt(step, group, address);
        }
        for event in self.coming.take_due(step) {
            self.happen(event);
        }
        for place in 0..self.senders.len() {
            self.send(step, place);
            self.look_at_brake(step, place, 0);
        }
    }

    fn end_day(&mut self, step: i64) {
        self.providers.iter_mut().for_each(Provider::turn_day);
        for sender in self.senders.iter_mut() {
            sender.demand.iter_mut().flatten().for_each(Demand::begin_day);
            if sender.profile.from_step < step {
                sender.account.end_day(step - 1);
            }
        }
        if begins_week(step) {
            self.end_week(step);
        }
        for sender in &mut self.senders {
            if let Some(pause) = sender.account.pause()
                && pause.needs_operator
                && self.setting.operators == Operators::AfterAWeek
                && step - pause.since_step >= (OPERATOR_DAYS * STEPS_PER_DAY as f64) as i64
                && sender.is_clean(step)
            {
                sender.account.release();
            }
        }
    }

    fn end_week(&mut self, step: i64) {
        for (place, sender) in self.senders.iter_mut().enumerate() {
            let quotas = &mut self.figures.quota_by_week[place];
            if sender.profile.from_step >= step {
                quotas.push(-1);
                continue;
            }
            let was_paused = sender.paused_this_week || sender.account.pause().is_some();
            let action = sender.account.review_week(step, sender.addresses());
            sender.paused_this_week = false;
            if sender.profile.kind.is_good() {
                self.figures.weeks.count(action, was_paused);
            }
            if matches!(action, Some(Action::Lower | Action::Pause)) {
                told_off(sender, step);
            }
            if action == Some(Action::Pause) {
                stopped(sender, step, 0);
            }
            note_growth(sender, step);
            grow(&sender.profile, &mut sender.recipients[0], step);
            quotas.push(sender.account.in_force());
        }
        let good = good_arrival(&self.senders);
        self.figures.arrival_by_week.push((good.0 - self.last_arrival.0, good.1 - self.last_arrival.1));
        self.last_arrival = good;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Complaint { route, address } => {
                let trace = Trace { complaints: 1.0, ..Trace::default() };
                let provider = &mut self.providers[route.provider];
                provider.domains[route.domain].note(&trace);
                provider.addresses[address].note(&trace);
            }
            Event::Report { route, accepted_step } => {
                let sender = &mut self.senders[route.sender];
                sender.tally.reported += 1;
                let provider = self.providers[route.provider].traits.known_as;
                sender.account.report(accepted_step, 1, provider, is_second(route.domain));
            }
        }
    }

    fn send(&mut self, step: i64, place: usize) {
        let sender = &mut self.senders[place];
        if step < sender.profile.from_step {
            return;
        }
        prepare(sender, step);
        for list in 0..LISTS {
            let sender = &mut self.senders[place];
            if !sends(sender, list, step, self.setting.company) {
                continue;
            }
            let left = sender.account.left_today(step);
            let addresses = sender.recipients[list].list.addresses;
            let Some(demand) = &mut sender.demand[list] else { continue };
            let wanted = demand.wanted(step, addresses, left);
            let mut accepted = 0;
            let parts = if wanted > AT_ONCE_MAX { MINUTES } else { 1 };
            for part in 0..parts {
                // Evenly, the rest in the last minute.
                let mails = wanted / parts + if part == parts - 1 { wanted % parts } else { 0 };
                accepted += self.send_part(step, place, list, part, mails);
                if parts > 1 {
                    self.look_at_brake(step, place, part);
                }
            }
            if let Some(demand) = &mut self.senders[place].demand[list] {
                demand.done(wanted, accepted);
            }
        }
    }

    fn send_part(&mut self, step: i64, place: usize, list: usize, part: i64, mails: i64) -> i64 {
        let by_second = if self.senders[place].has_second_domain && list == 0 {
            (mails as f64 * SECOND_DOMAIN_SHARE) as i64
        } else {
            0
        };
        let second = self.accept_and_try(step, place, list, part, by_second, true);
        // What the second domain has no room for goes out by the first.
        second + self.accept_and_try(step, place, list, part, mails - second, false)
    }

    fn accept_and_try(
        &mut self,
        step: i64,
        place: usize,
        list: usize,
        part: i64,
        mails: i64,
        by_second: bool,
    ) -> i64 {
        let sender = &mut self.senders[place];
        let per_request = if list == 0 { sender.profile.per_request } else { 1 };
        let accepted = sender.account.accept(&self.zone, step, list, mails, per_request, by_second);
        if accepted == 0 {
            return 0;
        }
        sender.tally.accepted += accepted;
        sender.recipients[list].mailed(accepted);
        if sender.bad_list() == Some(list) {
            sender.first_bad_step.get_or_insert(step);
            sender.bad_mails += accepted;
        }
        let dealt = sender.fate.deal(accepted, &SHARES);
        let domain = place * DOMAINS + usize::from(by_second);
        let address = address_of(place, step + part);
        for (provider, mails) in dealt.into_iter().enumerate().filter(|(_, mails)| *mails > 0) {
            let route = Route { sender: place, domain, list, provider };
            self.attempt(step, Group { route, accepted_step: step, tries: 0, mails }, address);
        }
        accepted
    }

    /// One attempt for each mail of a group.
    fn attempt(&mut self, step: i64, group: Group, address: usize) {
        let route = group.route;
        let sender = &mut self.senders[route.sender];
        let provider = &mut self.providers[route.provider];
        if group.tries == 0 {
            provider.domains[route.domain].tried(group.mails);
        }
        let room = provider.domains[route.domain].room().min(provider.addresses[address].room());
        let taken = if provider.is_out() { 0 } else { group.mails.min(room) };
        let recipients = &sender.recipients[route.list];
        let audience = Audience { invalid: recipients.invalid(), traps: recipients.list.traps };
        let odds = provider.odds(route.domain, address, group.tries, audience);
        let [put_off, address_refused, greylisted, invalid, failed, content_refused, trapped, folder] =
            sender.fate.deal_rare(taken, &odds.all());
        let seen = taken - put_off - address_refused - greylisted;
        let inbox = seen - invalid - failed - content_refused - trapped - folder;
        let trace = Trace {
            recipients: seen as f64,
            invalid: invalid as f64,
            traps: trapped as f64,
            shown: inbox as f64,
            complaints: 0.0,
        };
        for entity in [&mut provider.domains[route.domain], &mut provider.addresses[address]] {
            entity.taken(taken);
            entity.note(&trace);
        }
        let again = group.mails - taken + put_off + greylisted;
        let given_up = put_off_or_give_up(&mut self.waiting, step, group, again);
        let tally = &mut sender.tally;
        tally.inbox_expected += taken as f64 * odds.inbox();
        tally.inbox += inbox;
        tally.folder += folder;
        tally.trapped += trapped;
        tally.invalid += invalid;
        tally.spam += address_refused + content_refused;
        tally.failed += failed + given_up;
        let deferred = if group.tries == 0 { again } else { 0 };
        tally.deferred += deferred;
        let change = Counts {
            delivered: inbox + folder + trapped,
            invalid,
            spam: address_refused + content_refused,
            failed: failed + given_up,
            deferred,
            ..Counts::default()
        };
        sender.account.count(&change, provider.traits.known_as, is_second(route.domain));
        sender.account.judge(group.accepted_step, content_refused, is_second(route.domain));
        let mood = sender.demand[route.list].as_ref().map_or(1.0, Demand::mood);
        let complaints = sender.fate.binomial(inbox, recipients.list.complaints * mood);
        for _ in 0..complaints {
            let after = complaint(&mut sender.fate, provider, &self.setting.assumptions);
            expect(&mut self.coming, after, step, group, address);
        }
    }

    fn look_at_brake(&mut self, step: i64, place: usize, part: i64) {
        let sender = &mut self.senders[place];
        let addresses = sender.addresses();
        if sender.account.look_at_brake(step, addresses) {
            sender.paused_this_week = true;
            told_off(sender, step);
            stopped(sender, step, part);
        }
    }

    /// What is waiting is counted, and everything is handed over.
    pub fn finish(mut self) -> Figures {
        for (place, sender) in self.senders.iter_mut().enumerate() {
            sender.tally.waiting = self.waiting.mails_of(place);
            sender.tally.given_up = sender.demand[0].as_ref().map_or(0, Demand::given_up);
            if sender.profile.kind == Kind::Grower {
                self.figures.growths.push(Growth { days: sender.grown_after });
            }
            if let (Some(_), Some(_)) = (sender.bad_list(), sender.first_bad_step) {
                let (kind, mails) = (sender.profile.kind, sender.bad_mails);
                self.figures.stops.push(sender.stop.unwrap_or(Stop { kind, mails, minutes: None }));
            }
            self.figures.bad_mails += sender.bad_mails;
            self.figures.tallies.push(sender.tally);
        }
        self.figures
    }
}

fn sender(setting: &Setting, place: usize, profile: Profile, days: usize) -> Sender {
    let demand = |list: usize, rhythm| {
        let stream = Stream::new(setting.seed, Purpose::Demand, place * LISTS + list);
        Demand::new(rhythm, stream)
    };
    let thief = profile.turns.as_ref().map(|(_, rhythm, list)| (*rhythm, *list));
    let other_list = thief.map_or(profile.list, |(_, list)| list);
    Sender {
        account: Account::new(&setting.regime, days),
        recipients: [Recipients::new(profile.list), Recipients::new(other_list)],
        demand: [Some(demand(0, profile.rhythm)), thief.map(|(rhythm, _)| demand(1, rhythm))],
        fate: Stream::new(setting.seed, Purpose::Fate, place),
        tally: Tally::default(),
        has_second_domain: false,
        rests_until: None,
        cleaned: false,
        thief_out: None,
        bad_mails: 0,
        first_bad_step: None,
        stop: None,
        grown_after: None,
        paused_this_week: false,
        profile,
    }
}

/// The shared addresses take turns.
fn address_of(sender: usize, turn: i64) -> usize {
    (sender * 7 + turn as usize) % SHARED_ADDRESSES as usize
}

fn is_second(domain: usize) -> bool {
    domain % DOMAINS == 1
}

/// Whether a list's owner sends at all now.
fn sends(sender: &Sender, list: usize, step: i64, company: Company) -> bool {
    let is_bad = sender.bad_list() == Some(list);
    match list {
        _ if is_bad && company == Company::WithoutBad => false,
        0 => sender.rests_until.is_none_or(|until| step >= until),
        _ => sender.has_thief(step),
    }
}

/// What begins in a step for one sender.
fn prepare(sender: &mut Sender, step: i64) {
    if sender.profile.second_domain_from == Some(step) {
        sender.has_second_domain = true;
        sender.account.add_domain();
    }
    if let Some((at, ..)) = sender.profile.turns
        && step == at
    {
        sender.thief_out = Some(at + sender.profile.noticing_steps);
    }
}

/// A lowered or paused sender that can mend its ways begins to.
fn told_off(sender: &mut Sender, step: i64) {
    if sender.profile.kind == Kind::Recovering && !sender.cleaned {
        sender.cleaned = true;
        sender.rests_until = Some(step + STEPS_PER_WEEK);
        sender.recipients[0].clean();
    }
    if sender.has_thief(step) {
        let out = step + sender.profile.cleaning_steps;
        sender.thief_out = Some(sender.thief_out.map_or(out, |before| before.min(out)));
    }
}

/// The first pause of somebody who does harm.
fn stopped(sender: &mut Sender, step: i64, part: i64) {
    if sender.stop.is_none()
        && let Some(first) = sender.first_bad_step
    {
        let minutes = Some((step - first) * MINUTES + part);
        sender.stop = Some(Stop { kind: sender.profile.kind, mails: sender.bad_mails, minutes });
    }
}

fn note_growth(sender: &mut Sender, step: i64) {
    if sender.profile.kind == Kind::Grower
        && sender.grown_after.is_none()
        && sender.account.daily_mails() >= GROWTH_DAILY
    {
        sender.grown_after = Some((step - sender.profile.from_step) as f64 / STEPS_PER_DAY as f64);
    }
}

/// Inbox and decided mails of good senders so far.
fn good_arrival(senders: &[Sender]) -> (i64, i64) {
    let good = senders.iter().filter(|sender| sender.profile.kind.is_good());
    good.fold((0, 0), |(inbox, decided), sender| {
        (inbox + sender.tally.inbox, decided + sender.tally.decided())
    })
}

/// Puts mails off, or gives them up for their age. Returns how many were given up.
fn put_off_or_give_up(waiting: &mut Waiting, step: i64, group: Group, mails: i64) -> i64 {
    let age_hours = (step - group.accepted_step) as f64 / STEPS_PER_HOUR as f64;
    if age_hours >= PUT_OFF_HOURS {
        return mails;
    }
    waiting.put_off(step, Group { mails, tries: group.tries + 1, ..group });
    0
}

/// Hours until somebody complains, and until we are told, if we are. `None`: it is never made.
fn complaint(fate: &mut Stream, provider: &Provider, world: &Assumptions) -> Option<(f64, Option<f64>)> {
    let hours = fate.log_normal(READING_MEDIAN_HOURS, READING_SIGMA) * world.reading;
    let relay_hours = fate.log_normal(RELAY_MEDIAN_HOURS, RELAY_SIGMA);
    let is_reported = fate.happens(provider.traits.feedback * world.feedback);
    let in_time = hours <= COMPLAINT_DAYS_MAX * 24.0;
    in_time.then(|| (hours, is_reported.then_some(hours + relay_hours)))
}

fn expect(coming: &mut Coming, after: Option<(f64, Option<f64>)>, step: i64, group: Group, address: usize) {
    let Some((hours, reported_hours)) = after else { return };
    let at = |hours: f64| step + 1 + (hours * STEPS_PER_HOUR as f64) as i64;
    coming.expect(at(hours), Event::Complaint { route: group.route, address });
    if let Some(hours) = reported_hours {
        let report = Event::Report { route: group.route, accepted_step: group.accepted_step };
        coming.expect(at(hours), report);
    }
}

#[cfg(test)]
#[path = "world_tests.rs"]
mod tests;
