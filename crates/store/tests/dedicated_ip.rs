//! Dedicated IP addresses, pools and warm-up on both engines (R24).

mod engines;
mod support;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use engines::Bench;
use indicia_domain::mail::provider::Provider;
use indicia_domain::outcome::{ErrorClassification, Verdict};
use indicia_domain::quota::warmup::{DayCounts, Schedule, WarmupPolicy, WarmupType, day_of};
use indicia_domain::time::{DAY_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::Store;
use indicia_store::admission::{Handoff, Submission};
use indicia_store::dedicated_ip::{AssignError, IpError, Place, PoolError, Warmth};
use indicia_store::oversight::AuditQuery;
use indicia_store::queue::{HandBack, MailKey, QueuedMail};
use support::{Account, operator, outcome};

on_both_engines!(
    an_address_is_one_accounts_at_most,
    a_term_is_extended_renewed_and_ends,
    an_address_is_in_one_pool_at_most,
    r24_the_allowance_is_kept_and_the_rest_goes_out_by_shared_addresses,
    r24_two_nodes_never_take_the_same_place,
    r24_the_room_of_a_pool_is_used_evenly_and_warm_addresses_take_the_overflow,
    r24_a_place_that_was_not_used_is_free_again,
    r24_what_attempts_show_is_counted_once,
    r24_good_days_raise_the_step_and_deferrals_hold_it,
    r24_a_manual_warm_up_limits_nothing,
    mail_with_a_pool_waits_for_the_claim_which_is_woken,
    what_has_ended_or_was_released_is_not_sent_from,
);

const ROOM: i64 = 1 << 30;

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

fn ids(of: &[i64]) -> BTreeSet<i64> {
    of.iter().copied().collect()
}

fn schedule(store: &Store, daily: &[i64]) {
    let schedule = Schedule::new("test", daily.to_vec()).expect("a schedule");
    store.set_warmup_policy(WarmupPolicy { schedule, evidence_min: 1, ..WarmupPolicy::default() });
}

/// An account with a pool of so many addresses, 127.0.0.2 the first.
struct Pooled {
    account: Account,
    pool_id: i64,
    ips: Vec<i64>,
}

impl Pooled {
    async fn new(bench: &Bench, addresses: u8, daily: &[i64]) -> Pooled {
        schedule(&bench.store, daily);
        let account = Account::new(&bench.store, "Asia/Shanghai").await;
        let mut ips = Vec::new();
        for last in 2..2 + addresses {
            let assigned = bench.store.assign_ip(account.id, local(last), 12, &operator()).await;
            ips.push(assigned.expect("assigned").ip_id);
        }
        let pool_id = bench.store.create_ip_pool(account.id, "news", &ids(&ips)).await.expect("a pool");
        Pooled { account, pool_id, ips }
    }

    /// Accepts one mail to so many recipients of a domain, by the pool.
    async fn send(&self, count: usize, domain: &str) {
        self.submit(count, domain, None).await;
    }

    async fn submit(&self, count: usize, domain: &str, handoff: Option<Arc<dyn Handoff>>) {
        let recipients: Vec<String> = (0..count).map(|number| format!("u{number}@{domain}")).collect();
        let mail = self.account.mail(&recipients).await;
        let pooled = Submission { ip_pool_id: Some(self.pool_id), ..mail };
        self.account.admission(handoff).submit(pooled).await.expect("accepted");
    }

    async fn counts(&self, ip: usize, provider: Provider, day: i64) -> DayCounts {
        let store = &self.account.store;
        let days = store.ip_days(self.account.id, self.ips[ip], Some(provider), day, day + 1).await;
        days.expect("the days").first().map_or(DayCounts::default(), |day| day.counts)
    }
}

async fn claim(store: &Store) -> Vec<QueuedMail> {
    store.claim(1_000, ROOM).await.expect("claimed")
}

fn places(mails: &[QueuedMail]) -> Vec<Option<Place>> {
    mails.iter().flat_map(|mail| mail.recipients.iter().map(|recipient| recipient.place)).collect()
}

fn addresses(mails: &[QueuedMail]) -> Vec<IpAddr> {
    places(mails).into_iter().flatten().map(|place| place.address).collect()
}

/// Commits an outcome of every claimed recipient, sent from its place's address.
async fn answer(store: &Store, mails: &[QueuedMail], verdict: impl Fn(usize) -> Verdict) {
    let due = store.now().plus_micros(30 * DAY_MICROS);
    let mut outcomes = Vec::new();
    for mail in mails {
        for index in 0..mail.recipients.len() {
            let verdict = verdict(outcomes.len());
            let mut attempt = outcome(mail, index, verdict, Some(due));
            attempt.place = mail.recipients[index].place;
            attempt.local_address =
                attempt.place.map_or(String::new(), |place| format!("{}:4321", place.address));
            outcomes.push(attempt);
        }
    }
    store.commit_outcomes(&outcomes).await.expect("committed");
}

async fn an_address_is_one_accounts_at_most(bench: Bench) {
    let store = &bench.store;
    let (ann, bob) = (Account::new(store, "UTC").await, Account::new(store, "UTC").await);
    let assigned = store.assign_ip(ann.id, local(2), 3, &operator()).await.expect("assigned");
    assert_eq!(assigned.ends_at, UnixMicros::parse("2027-02-22T04:00:00Z").unwrap());
    let taken = store.assign_ip(bob.id, local(2), 1, &operator()).await.unwrap_err();
    assert!(matches!(taken, AssignError::Taken { account_id, .. } if account_id == ann.id), "{taken}");
    let nobody = store.assign_ip(1, local(3), 1, &operator()).await.unwrap_err();
    assert!(matches!(nobody, AssignError::NoAccount(1)), "{nobody}");
    assert!(matches!(store.assign_ip(ann.id, local(3), 0, &operator()).await, Err(AssignError::Months(0))));
    assert!(!store.release_ip(bob.id, local(2), &operator()).await.unwrap(), "it is ann's");
    assert!(store.release_ip(ann.id, local(2), &operator()).await.unwrap());
    assert!(store.dedicated_ips(ann.id).await.unwrap().is_empty());
    store.assign_ip(bob.id, local(2), 1, &operator()).await.expect("free again");
    let all = store.all_dedicated_ips().await.unwrap();
    assert_eq!(all.iter().map(|ip| (ip.account_id, ip.address)).collect::<Vec<_>>(), [(bob.id, local(2))]);
    let noted = store.audit_entries(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    let deeds: Vec<_> = noted.iter().map(|entry| (entry.account_id, entry.action.as_str())).collect();
    assert_eq!(
        deeds,
        [(Some(bob.id), "assign-ip"), (Some(ann.id), "release-ip"), (Some(ann.id), "assign-ip")],
        "the latest first"
    );
}

async fn a_term_is_extended_renewed_and_ends(bench: Bench) {
    let (store, clock) = (&bench.store, &bench.clock);
    let account = Account::new(store, "UTC").await;
    let assign = async |months| store.assign_ip(account.id, local(2), months, &operator()).await.unwrap();
    let ip_id = assign(1).await.ip_id;
    let longer = assign(2).await;
    assert_eq!((longer.ip_id, longer.was_its_own), (ip_id, true));
    assert_eq!(longer.ends_at, UnixMicros::parse("2027-02-22T04:00:00Z").unwrap());
    store.set_ip_auto_renewal(account.id, &ids(&[ip_id]), true).await.expect("switched on");
    clock.set(UnixMicros::parse("2027-04-01T00:00:00Z").unwrap());
    let ip = store.dedicated_ips(account.id).await.unwrap().remove(0);
    let renewed = UnixMicros::parse("2027-04-22T04:00:00Z").unwrap();
    assert_eq!((ip.is_running, ip.ends_at), (true, renewed));
    store.set_ip_auto_renewal(account.id, &ids(&[ip_id]), false).await.expect("switched off");
    assert_eq!(store.dedicated_ips(account.id).await.unwrap()[0].ends_at, renewed, "what was added stays");
    clock.set(renewed);
    assert!(!store.dedicated_ips(account.id).await.unwrap()[0].is_running);
    let late = store.set_ip_auto_renewal(account.id, &ids(&[ip_id]), true).await.unwrap_err();
    assert!(matches!(late, IpError::Ended(_)), "{late}");
    let again = assign(1).await;
    assert_eq!(again.ends_at, UnixMicros::parse("2027-05-22T04:00:00Z").unwrap(), "begun anew");
    let foreign = store.set_ip_auto_renewal(account.id, &ids(&[ip_id, 7]), true).await.unwrap_err();
    assert!(matches!(foreign, IpError::NotFound(7)), "{foreign}");
    assert!(!store.dedicated_ips(account.id).await.unwrap()[0].term.auto_renewal, "all or none");
}

async fn an_address_is_in_one_pool_at_most(bench: Bench) {
    let store = &bench.store;
    let (ann, bob) = (Account::new(store, "UTC").await, Account::new(store, "UTC").await);
    let mut ips = Vec::new();
    for last in 2..5 {
        ips.push(store.assign_ip(ann.id, local(last), 1, &operator()).await.unwrap().ip_id);
    }
    let news = store.create_ip_pool(ann.id, "news", &ids(&ips[..2])).await.expect("a pool");
    let create = async |account: i64, name: &str, of: &[i64]| {
        store.create_ip_pool(account, name, &ids(of)).await.unwrap_err()
    };
    assert!(matches!(create(ann.id, "news", &[]).await, PoolError::NameTaken(_)));
    assert!(
        matches!(create(ann.id, "more", &ips[1..]).await, PoolError::InAnotherPool { pool, .. } if pool == "news")
    );
    assert!(matches!(create(bob.id, "mine", &ips[2..]).await, PoolError::NoIp(id) if id == ips[2]));
    assert_eq!(store.ip_pools(ann.id).await.unwrap().len(), 1, "nothing of a refused pool is kept");
    store.update_ip_pool(ann.id, news, &ids(&ips[1..])).await.expect("replaced");
    let pools = store.ip_pools(ann.id).await.unwrap();
    assert_eq!(pools[0].ips.iter().map(|ip| ip.ip_id).collect::<Vec<_>>(), ips[1..]);
    assert!(
        store.has_ip_pool(ann.id, news).await.unwrap() && !store.has_ip_pool(bob.id, news).await.unwrap()
    );
    assert!(matches!(store.update_ip_pool(bob.id, news, &ids(&[])).await, Err(PoolError::NotFound(_))));
    assert!(matches!(store.delete_ip_pool(bob.id, news).await, Err(PoolError::NotFound(_))));
    store.delete_ip_pool(ann.id, news).await.expect("deleted");
    assert!(store.dedicated_ips(ann.id).await.unwrap().iter().all(|ip| ip.pool.is_none()));
    store.create_ip_pool(ann.id, "news", &ids(&ips)).await.expect("name and addresses are free");
}

async fn r24_the_allowance_is_kept_and_the_rest_goes_out_by_shared_addresses(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[2, 4]).await;
    pooled.send(5, "gmail.com").await;
    pooled.send(1, "yahoo.co.uk").await;
    let mails = claim(&bench.store).await;
    let gmail = places(&mails[..1]);
    assert_eq!(gmail.iter().flatten().count(), 2, "two of five");
    assert_eq!(gmail.len(), 5, "and none of them waits");
    let place = places(&mails[1..])[0].expect("another provider has an allowance of its own");
    assert_eq!((place.address, place.provider), (local(2), Provider::Yahoo));
    let today = day_of(bench.store.now());
    assert_eq!(pooled.counts(0, Provider::Gmail, today).await.sent, 2);
    pooled.send(1, "gmail.com").await;
    assert_eq!(places(&claim(&bench.store).await), [None], "the day is full");
    pooled.account.admission(None).submit(pooled.account.mail(&["x@gmail.com"]).await).await.unwrap();
    assert_eq!(places(&claim(&bench.store).await), [None], "no pool was asked for");
}

async fn r24_two_nodes_never_take_the_same_place(bench: Bench) {
    let pooled = Pooled::new(&bench, 2, &[10]).await;
    for _ in 0..40 {
        pooled.send(1, "gmail.com").await;
    }
    let second = bench.second_node().await;
    schedule(&second, &[10]);
    let all = async |store: Store| {
        let mut taken = Vec::new();
        for _ in 0..60 {
            taken.extend(places(&store.claim(3, ROOM).await.expect("claimed")));
        }
        taken
    };
    let (first, second) = tokio::join!(tokio::spawn(all(bench.store.clone())), tokio::spawn(all(second)));
    let taken: Vec<_> = first.unwrap().into_iter().chain(second.unwrap()).collect();
    assert_eq!(
        (taken.len(), taken.iter().flatten().count()),
        (40, 20),
        "every mail once, and ten by each address"
    );
    let today = day_of(bench.store.now());
    for ip in 0..2 {
        assert_eq!(pooled.counts(ip, Provider::Gmail, today).await.sent, 10);
    }
}

async fn r24_the_room_of_a_pool_is_used_evenly_and_warm_addresses_take_the_overflow(bench: Bench) {
    let pooled = Pooled::new(&bench, 3, &[4]).await;
    let account_id = pooled.account.id;
    bench.store.set_ip_warmup_type(account_id, pooled.ips[2], WarmupType::Manual).await.expect("changed");
    pooled.send(11, "gmail.com").await;
    let sent = addresses(&claim(&bench.store).await);
    assert_eq!(sent[..4], [local(2), local(3), local(2), local(3)], "the one with the most room left");
    let by = |address| sent.iter().filter(|sent| **sent == address).count();
    assert_eq!([by(local(2)), by(local(3)), by(local(4))], [4, 4, 3]);
}

async fn r24_a_place_that_was_not_used_is_free_again(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[2]).await;
    pooled.send(2, "gmail.com").await;
    let mail = claim(&bench.store).await.remove(0);
    let back: Vec<HandBack> = mail
        .recipients
        .iter()
        .map(|recipient| HandBack {
            key: MailKey {
                account_id: mail.account_id,
                message_id: mail.message_id,
                number: recipient.number,
            },
            due_at: bench.store.now(),
            reason: "no room".to_owned(),
            place: recipient.place,
        })
        .collect();
    bench.store.hand_back(&back).await.expect("given back");
    bench.store.hand_back(&back).await.expect("nothing is held any more");
    let today = day_of(bench.store.now());
    assert_eq!(pooled.counts(0, Provider::Gmail, today).await.sent, 0);
    let again = claim(&bench.store).await;
    assert_eq!(addresses(&again), [local(2), local(2)]);
    // The first went out by a shared address, the second found no way at all.
    let mut outcomes: Vec<_> =
        (0..2).map(|index| outcome(&again[0], index, Verdict::DELIVERED, None)).collect();
    outcomes[0].local_address = "127.0.0.1:4321".to_owned();
    outcomes[1].local_address = String::new();
    for (index, attempt) in outcomes.iter_mut().enumerate() {
        attempt.place = again[0].recipients[index].place;
    }
    bench.store.commit_outcomes(&outcomes).await.expect("committed");
    assert_eq!(pooled.counts(0, Provider::Gmail, today).await, DayCounts::default());
}

async fn r24_what_attempts_show_is_counted_once(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[10]).await;
    pooled.send(4, "gmail.com").await;
    let mails = claim(&bench.store).await;
    let verdict = |index: usize| match index {
        0 => Verdict::DELIVERED,
        1 => Verdict::temporary(ErrorClassification::SmtpIPFreq),
        2 => Verdict::permanent(ErrorClassification::SmtpNxBox),
        _ => Verdict::temporary(ErrorClassification::SmtpGreylist),
    };
    for _ in 0..2 {
        answer(&bench.store, &mails, verdict).await;
    }
    let today = day_of(bench.store.now());
    let counts = pooled.counts(0, Provider::Gmail, today).await;
    assert_eq!(
        counts,
        DayCounts { sent: 4, delivered: 1, deferred: 1, failed: 1 },
        "greylisting judges nobody"
    );
    let state = bench.store.warmups(pooled.account.id).await.unwrap().remove(0);
    assert_eq!((state.today, state.allowance), (counts, Some(10)));
    assert_eq!(bench.store.dedicated_ips(pooled.account.id).await.unwrap()[0].warmth, Warmth::Warming);
}

async fn r24_good_days_raise_the_step_and_deferrals_hold_it(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[2, 4, 6]).await;
    let temporary = Verdict::temporary(ErrorClassification::SmtpIPFreq);
    let mut seen = Vec::new();
    for bad in [0, 1, 0, 0, 0] {
        pooled.send(8, "gmail.com").await;
        let mails = claim(&bench.store).await;
        answer(&bench.store, &mails, |index| if index < bad { temporary } else { Verdict::DELIVERED }).await;
        let state = bench.store.warmups(pooled.account.id).await.unwrap().remove(0);
        seen.push((addresses(&mails).len(), state.warmup.finished, state.reason));
        bench.clock.advance_micros(DAY_MICROS);
    }
    let sent: Vec<usize> = seen.iter().map(|(sent, ..)| *sent).collect();
    assert_eq!(sent, [2, 4, 4, 6, 8], "held after the second day, warm on the fifth");
    assert!(seen[2].2.starts_with("held: 1 of 4 answers were deferrals"), "{}", seen[2].2);
    assert!(seen[4].1, "{}", seen[4].2);
    let ip = bench.store.dedicated_ips(pooled.account.id).await.unwrap().remove(0);
    assert_eq!(ip.warmth, Warmth::Warm);
    bench.clock.advance_micros(31 * DAY_MICROS);
    let idle = bench.store.warmups(pooled.account.id).await.unwrap().remove(0);
    assert_eq!((idle.warmup.step, idle.allowance), (1, Some(2)), "{}", idle.reason);
    let days = bench.store.ip_days(pooled.account.id, pooled.ips[0], None, 0, i64::MAX).await.unwrap();
    assert_eq!(days.iter().map(|day| day.counts.sent).collect::<Vec<_>>(), [2, 4, 4, 6, 8]);
}

async fn r24_a_manual_warm_up_limits_nothing(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[2]).await;
    bench.clock.advance_micros(SECOND_MICROS);
    let account_id = pooled.account.id;
    bench.store.set_ip_warmup_type(account_id, pooled.ips[0], WarmupType::Manual).await.expect("changed");
    pooled.send(9, "gmail.com").await;
    assert_eq!(addresses(&claim(&bench.store).await).len(), 9);
    let ip = bench.store.dedicated_ips(account_id).await.unwrap().remove(0);
    assert_eq!((ip.warmup_type, ip.warmup_changed_at), (WarmupType::Manual, bench.store.now()));
    let none = bench.store.set_ip_warmup_type(account_id, 7, WarmupType::System).await.unwrap_err();
    assert!(matches!(none, IpError::NotFound(7)), "{none}");
}

#[derive(Default)]
struct Door {
    delivered: AtomicUsize,
    woken: AtomicUsize,
}

impl Handoff for Door {
    fn reserve(&self, _recipients: usize, _bytes: usize) -> bool {
        true
    }

    fn deliver(&self, _mail: QueuedMail) {
        self.delivered.fetch_add(1, Ordering::Relaxed);
    }

    fn release(&self, _recipients: usize, _bytes: usize) {}

    fn look_at_queue(&self) {
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
}

async fn mail_with_a_pool_waits_for_the_claim_which_is_woken(bench: Bench) {
    let pooled = Pooled::new(&bench, 1, &[2]).await;
    let door = Arc::new(Door::default());
    let seen = || (door.delivered.load(Ordering::Relaxed), door.woken.load(Ordering::Relaxed));
    pooled.submit(1, "gmail.com", Some(door.clone())).await;
    assert_eq!(seen(), (0, 1));
    assert_eq!(addresses(&claim(&bench.store).await), [local(2)]);
    let admission = pooled.account.admission(Some(door.clone()));
    admission.submit(pooled.account.mail(&["x@gmail.com"]).await).await.expect("accepted");
    assert_eq!(seen(), (1, 1), "without a pool, the short way");
}

async fn what_has_ended_or_was_released_is_not_sent_from(bench: Bench) {
    let pooled = Pooled::new(&bench, 2, &[100]).await;
    bench.store.release_ip(pooled.account.id, local(2), &operator()).await.expect("released");
    pooled.send(2, "gmail.com").await;
    assert_eq!(addresses(&claim(&bench.store).await), [local(3), local(3)]);
    bench.clock.advance_micros(366 * DAY_MICROS);
    pooled.send(1, "gmail.com").await;
    assert_eq!(places(&claim(&bench.store).await), [None], "the term has ended");
    bench.store.delete_ip_pool(pooled.account.id, pooled.pool_id).await.expect("deleted");
    pooled.send(1, "gmail.com").await;
    assert_eq!(places(&claim(&bench.store).await), [None], "the pool is gone");
}
