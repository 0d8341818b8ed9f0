//! The list of all accounts by their reputation, on both engines: held against a naive model over a crowd of accounts,
//! and walked page by page.

mod engines;
mod support;

use std::collections::BTreeMap;

use engines::{Bench, NOON};
use indicia_domain::quota::policy::QuotaPolicy;
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, UnixMicros};
use indicia_store::quota::{
    AccountReputation, PausedBy, RANKED_DAYS, ReputationOrder, ReputationQuery, ReputationScope,
};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use support::{Account, operator};

on_both_engines!(
    r21_the_ranking_is_that_of_a_naive_model,
    r22_a_paused_account_comes_first_and_a_released_one_begins_anew,
    r23_all_allowances_are_read_with_the_account,
);

const ACCOUNTS: i64 = 400;
/// Days of history; the list looks at the last seven.
const DAYS: i64 = 20;
const FIRST_ID: i64 = 5_000_000_000_000_000;
const PROVIDERS: [&str; 3] = ["outlook.com", "gmail.com", "others"];

async fn database(bench: &Bench) -> sqlx::AnyConnection {
    let url = match bench.url.as_str() {
        "sqlite" => format!("sqlite://{}", bench.dir.path().join("indicia.db").display()),
        url => url.to_owned(),
    };
    sqlx::AnyConnection::connect(&url).await.expect("connected")
}

fn today() -> i64 {
    NOON.0.div_euclid(DAY_MICROS)
}

/// Accounts of which every third has sent nothing for a week, some are paused and some were released lately.
async fn crowd(bench: &Bench) {
    let mut database = database(bench).await;
    let numbers = |count| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})"
        )
    };
    let (today, released) = (today(), NOON.0 - 3 * DAY_MICROS);
    let mut statements = vec![
        format!(
            "INSERT INTO account (account_id, name, email, phone, zone, password_hash, created_at) {} \
             SELECT {FIRST_ID} + i, 'Account', 'crowd' || i || '@example.org', '', 'UTC', '', 0 FROM n",
            numbers(ACCOUNTS)
        ),
        format!(
            "INSERT INTO account_state (account_id, status, quota_level, daily_quota, quota_day, quota_day_used, quota_month, \
             quota_month_used, free_left, free_day, free_day_used, payg_mails, cash_micros, ledger_sequence, paused_at, pause_by, \
             evidence_from) {} SELECT {FIRST_ID} + i, 0, 2, 2000, {today} - CASE WHEN i % 3 = 0 THEN 9 ELSE 0 END, 0, 0, 0, 0, 0, 0, \
             0, 0, 0, CASE WHEN i % 50 = 7 THEN {} END, CASE WHEN i % 50 = 7 THEN 'brake' ELSE '' END, \
             CASE WHEN i % 11 = 4 THEN {released} ELSE 0 END FROM n",
            numbers(ACCOUNTS),
            NOON.0
        ),
    ];
    for (place, provider) in PROVIDERS.iter().enumerate() {
        let place = place as i64;
        statements.push(format!(
            "INSERT INTO outcome_day (account_id, day, sender_id, tag, provider, domain_id, accepted, delivered, invalid, spam, failed, \
             reported, deferred) {} SELECT {FIRST_ID} + i / {DAYS}, {today} - i % {DAYS}, 7, 'tag', '{provider}', 8, \
             2000, 900 + i * 7919 % 400, i * 31 % 13 * (i / {DAYS} % 7), i * 17 % 3 * {place}, i * 13 % 29, \
             i * 17 % 3 * {place} + CASE WHEN i / {DAYS} % 4 = 1 THEN i % 2 ELSE 0 END, i % 5 \
             FROM n WHERE i / {DAYS} % 3 <> 0 OR i % {DAYS} > 8",
            numbers(ACCOUNTS * DAYS)
        ));
    }
    for statement in statements {
        database.execute(AssertSqlSafe(statement)).await.expect("inserted");
    }
    database.close().await.expect("closed");
}

#[derive(Default)]
struct Model {
    paused: bool,
    accepted: i64,
    delivered: i64,
    invalid: i64,
    decided: i64,
    reported: i64,
    reporting: i64,
    judged: i64,
}

impl Model {
    fn pressures(&self, policy: &QuotaPolicy) -> (i64, i64, i64) {
        let of = |events: i64, out_of: i64, line: i64| {
            events * 1_000_000_000 / ((out_of + policy.recipients_min) * line)
        };
        let proven = |events: i64| if events < policy.reports_min { 0 } else { events };
        let lower = &policy.lower;
        let spam = of(proven(self.reported), self.reporting, lower.reported.0).max(of(
            proven(self.judged),
            self.decided,
            lower.reported.0,
        ));
        let arrival = of(self.decided - self.delivered, self.decided, lower.arrival.rest().0);
        (of(self.invalid, self.decided, lower.invalid.0), spam, arrival)
    }
}

/// Every row looked at one by one.
async fn model(bench: &Bench, policy: &QuotaPolicy) -> BTreeMap<i64, Model> {
    let mut database = database(bench).await;
    let mut models = BTreeMap::new();
    let mut from = BTreeMap::new();
    let first = today() - RANKED_DAYS + 1;
    let states = sqlx::query(
        "SELECT account_id, CASE WHEN paused_at IS NULL THEN 0 ELSE 1 END, evidence_from FROM account_state",
    )
    .fetch_all(&mut database)
    .await
    .expect("states");
    for row in &states {
        let (id, fresh): (i64, i64) = (row.get(0), row.get(2));
        models.insert(id, Model { paused: row.get::<i64, _>(1) == 1, ..Model::default() });
        from.insert(id, if fresh == 0 { first } else { first.max(fresh / DAY_MICROS) });
    }
    let sql = "SELECT account_id, day, provider, accepted, delivered, invalid, spam, failed, reported FROM outcome_day";
    for row in &sqlx::query(sql).fetch_all(&mut database).await.expect("outcomes") {
        let (id, day): (i64, i64) = (row.get(0), row.get(1));
        let (Some(model), true) = (models.get_mut(&id), from.get(&id).is_some_and(|from| day >= *from))
        else {
            continue;
        };
        let [accepted, delivered, invalid, spam, failed, reported] =
            [3, 4, 5, 6, 7, 8].map(|place| row.get::<i64, _>(place));
        let provider: String = row.get(2);
        let reports = policy.reporting.iter().any(|reporting| reporting.as_str() == provider);
        let by_users = if reports { (reported - spam).max(0) } else { 0 };
        model.accepted += accepted;
        model.delivered += delivered;
        model.invalid += invalid;
        model.decided += delivered + invalid + spam + failed;
        model.reported += by_users;
        model.reporting += if reports { delivered } else { 0 };
        model.judged += reported - by_users;
    }
    database.close().await.expect("closed");
    models
}

fn query(order: ReputationOrder) -> ReputationQuery {
    ReputationQuery { order, scope: ReputationScope::All, after: None, limit: i64::MAX }
}

async fn walked(bench: &Bench, order: ReputationOrder, limit: i64) -> Vec<AccountReputation> {
    let mut rows: Vec<AccountReputation> = Vec::new();
    for _ in 0..=ACCOUNTS {
        let after = rows.last().map(|row| (row.sort_key, row.account_id));
        let page = bench.store.reputations(&ReputationQuery { after, limit, ..query(order) }).await.unwrap();
        if page.is_empty() {
            return rows;
        }
        rows.extend(page);
    }
    panic!("the list has no end");
}

async fn r21_the_ranking_is_that_of_a_naive_model(bench: Bench) {
    crowd(&bench).await;
    let policy = bench.store.quota_policy();
    let models = model(&bench, &policy).await;
    assert_eq!(models.len() as i64, ACCOUNTS);
    assert!(models.values().any(|model| model.reported > 0 && model.judged > 0));
    for order in [
        ReputationOrder::WorstFirst,
        ReputationOrder::Invalid,
        ReputationOrder::Spam,
        ReputationOrder::NotArrived,
        ReputationOrder::MostMails,
    ] {
        let mut expected: Vec<(i64, i64)> = models
            .iter()
            .map(|(id, model)| {
                let (invalid, spam, arrival) = model.pressures(&policy);
                let paused = if model.paused { 1_000_000_000_000 } else { 0 };
                let key = match order {
                    ReputationOrder::WorstFirst => paused + invalid.max(spam).max(arrival),
                    ReputationOrder::Invalid => invalid,
                    ReputationOrder::Spam => spam,
                    ReputationOrder::NotArrived => arrival,
                    ReputationOrder::MostMails => model.accepted,
                };
                (-key, *id)
            })
            .collect();
        expected.sort_unstable();
        let rows = walked(&bench, order, 37).await;
        let seen: Vec<(i64, i64)> = rows.iter().map(|row| (-row.sort_key, row.account_id)).collect();
        assert_eq!(seen, expected, "{order:?}");
        for row in &rows {
            let model = &models[&row.account_id];
            let counts = &row.counts;
            assert_eq!(
                (counts.accepted, counts.decided(), counts.reported, counts.judged, counts.reporting),
                (model.accepted, model.decided, model.reported, model.judged, model.reporting)
            );
        }
    }
    let totals = bench.store.reputation_totals().await.unwrap();
    let paused = models.values().filter(|model| model.paused).count() as i64;
    assert_eq!((totals.accounts, totals.paused), (ACCOUNTS, paused));
    assert_eq!(totals.sending, (0..ACCOUNTS).filter(|number| number % 3 != 0).count() as i64);
    let only = |scope| ReputationQuery { scope, ..query(ReputationOrder::WorstFirst) };
    let rows = bench.store.reputations(&only(ReputationScope::Paused)).await.unwrap();
    assert!(rows.len() as i64 == paused && rows.iter().all(|row| row.paused_by == Some(PausedBy::Brake)));
    let rows = bench.store.reputations(&only(ReputationScope::Sending)).await.unwrap();
    assert_eq!(rows.len(), models.values().filter(|model| model.accepted > 0).count());
}

async fn r22_a_paused_account_comes_first_and_a_released_one_begins_anew(bench: Bench) {
    let (good, bad) = (Account::new(&bench.store, "UTC").await, Account::new(&bench.store, "UTC").await);
    for number in 0..3 {
        bad.bounce(&format!("nobody{number}@example.net")).await;
    }
    let ids = || async {
        let rows = bench.store.reputations(&query(ReputationOrder::WorstFirst)).await.unwrap();
        rows.iter().map(|row| (row.account_id, row.paused_at.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(ids().await, [(bad.id, false), (good.id, false)]);
    assert!(bench.store.pause_of(good.id).await.unwrap().is_none());
    bench.store.pause_sending(good.id, "a complaint", &operator()).await.unwrap();
    assert_eq!(ids().await, [(good.id, true), (bad.id, false)]);
    let pause = bench.store.pause_of(good.id).await.unwrap().expect("paused");
    assert_eq!((pause.by, pause.lately), (Some(PausedBy::Operator), 0));
    assert!(pause.waits_for_operator(&bench.store.quota_policy()));
    bench.store.release_sending(good.id, "settled", &operator()).await.unwrap();
    assert_eq!(ids().await, [(bad.id, false), (good.id, false)]);
    bench.clock.set(UnixMicros(NOON.0 + RANKED_DAYS * DAY_MICROS));
    let rows = bench.store.reputations(&query(ReputationOrder::WorstFirst)).await.unwrap();
    assert!(rows.iter().all(|row| row.counts.accepted == 0), "a week later nothing of it is looked at");
}

async fn r23_all_allowances_are_read_with_the_account(bench: Bench) {
    let account = Account::new(&bench.store, "Asia/Shanghai").await;
    assert!(bench.store.quota_outlooks(account.id + 1).await.unwrap().is_none());
    bench.store.set_daily_quota(account.id, 20_000, "grown", &operator()).await.unwrap();
    let dkim = indicia_store::directory::DkimKey {
        selector: "s".to_owned(),
        private_key: Vec::new(),
        public_key: String::new(),
    };
    let domain = bench.store.create_domain(account.id, "later.example", "token", &dkim, 10).await.unwrap();
    account.bounce("nobody@example.net").await;
    bench.clock.set(UnixMicros(NOON.0 + HOUR_MICROS));
    let outlooks = bench.store.quota_outlooks(account.id).await.unwrap().unwrap();
    assert_eq!(outlooks.standing.daily_mails, 20_000);
    assert_eq!(outlooks.account.dossier.evidence.counts.invalid, 1);
    let same = bench.store.quota_outlook(account.id).await.unwrap().unwrap();
    assert_eq!((&outlooks.account.dossier, &outlooks.account.decision), (&same.dossier, &same.decision));
    let subject = indicia_domain::quota::review::Subject::Domain(domain);
    let alone = bench.store.outlook_of(account.id, subject).await.unwrap().unwrap();
    let [(row, Some(outlook))] = outlooks.warming.as_slice() else { panic!("one allowance that holds") };
    assert_eq!((row.warming.subject, &outlook.dossier), (subject, &alone.dossier));
    bench.store.delete_domain(account.id, domain).await.unwrap();
    let outlooks = bench.store.quota_outlooks(account.id).await.unwrap().unwrap();
    assert!(outlooks.warming.is_empty(), "what is deleted has no allowance");
}
