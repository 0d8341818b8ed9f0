//! Accepting mail on both engines: quota, charge and spool in one commit.

mod engines;
mod support;

use engines::{Bench, NOON};
use indicia_domain::account::AccountStatus;
use indicia_domain::mail::admission::{Policy, Refusal};
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::admission::{Admission, Admitted, IdempotencyKey, SubmitError};
use indicia_store::package::PackageFilter;
use support::{Account, names};

on_both_engines!(
    r01_r02_accepted_means_durable_counted_and_charged,
    r03_a_refused_request_leaves_nothing_behind,
    r04_r05_a_request_is_split_over_its_sources,
    r09_the_end_instant_decides_not_a_job,
    r17_over_quota_is_refused_whole_and_resets_at_local_midnight,
    r18_the_largest_package_changes_no_quota,
    r26_an_idempotency_key_works_once,
    r26_a_nonce_works_once,
    r03_listed_recipients_are_refused_uncharged,
    r03_a_batch_of_several_accounts_refuses_to_each_its_own,
    r25_many_clients_one_hot_account,
    r25_two_nodes_never_overdraw_one_account,
);

async fn r01_r02_accepted_means_durable_counted_and_charged(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    let admitted =
        admission.submit(account.mail(&["a@example.net", "b@example.net"]).await).await.expect("accepted");
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, numbers.free_left, numbers.ledger_sequence), (2, 1_998, 2));
    let timeline = bench.store.timeline(account.id, admitted.message_id()).await.unwrap().expect("kept");
    assert_eq!((timeline.recipients.len(), timeline.ledger.len(), timeline.ledger[0].amount), (2, 1, 2));
    assert!(bench.store.content(account.id, admitted.message_id()).await.unwrap().is_some());
    assert_eq!(bench.store.queue_length().await.unwrap(), (2, 2));
    account.verify().await;
}

async fn r03_a_refused_request_leaves_nothing_behind(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    bench.store.change_status(account.id, AccountStatus::OVERDUE, AccountStatus::NORMAL).await.unwrap();
    let refused = admission.submit(account.mail(&["a@example.net"]).await).await.expect_err("refused");
    assert!(matches!(refused, SubmitError::Refused(Refusal::Overdue)), "{refused}");
    bench.store.change_status(account.id, AccountStatus::FROZEN, AccountStatus::OVERDUE).await.unwrap();
    let refused = admission.submit(account.mail(&["a@example.net"]).await).await.expect_err("refused");
    assert!(matches!(refused, SubmitError::Refused(Refusal::Unavailable(1))), "{refused}");
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!((numbers.quota_day_used, numbers.free_left, numbers.ledger_sequence), (0, 2_000, 1));
    assert_eq!(bench.store.queue_length().await.unwrap(), (0, 0));
    account.verify().await;
}

async fn r04_r05_a_request_is_split_over_its_sources(bench: Bench) {
    let policy = Policy { free_total_mails: 2, ..Policy::default() };
    let account = Account::with_policy(&bench.store, "UTC", &policy).await;
    let admission = account.admission(None);
    account.buy(3).await;
    bench.clock.advance_micros(DAY_MICROS);
    account.buy(3).await;
    let admitted = admission.submit(account.mail(&names(10)).await).await.expect("accepted");
    let timeline = bench.store.timeline(account.id, admitted.message_id()).await.unwrap().unwrap();
    let shares: Vec<_> = timeline
        .ledger
        .iter()
        .map(|line| (line.from.to_string(), line.amount, line.before, line.after))
        .collect();
    let packages = bench.store.packages(account.id, &PackageFilter::default()).await.unwrap();
    let name = |index: usize| format!("package:{}", packages[index].package.instance_id);
    let expected = vec![
        ("free".to_owned(), 2, 2, 0),
        (name(0), 3, 3, 0),
        (name(1), 3, 3, 0),
        ("pay-as-you-go".to_owned(), 2, 0, 2),
    ];
    assert_eq!(shares, expected);
    account.verify().await;
}

async fn r09_the_end_instant_decides_not_a_job(bench: Bench) {
    let policy = Policy { free_total_mails: 0, ..Policy::default() };
    let account = Account::with_policy(&bench.store, "Asia/Shanghai", &policy).await;
    let admission = account.admission(None);
    account.buy(10).await;
    let end = bench.store.packages(account.id, &PackageFilter::default()).await.unwrap()[0].package.ends_at;
    for (at, source) in [(end.plus_micros(-1), "package"), (end, "pay-as-you-go")] {
        bench.clock.set(at);
        let admitted = admission.submit(account.mail(&["a@example.net"]).await).await.expect("accepted");
        let timeline = bench.store.timeline(account.id, admitted.message_id()).await.unwrap().unwrap();
        assert!(timeline.ledger[0].from.to_string().starts_with(source), "{at}: {:?}", timeline.ledger[0]);
    }
    let balances = bench.store.balances_as_of(account.id, end).await.unwrap();
    assert_eq!(
        (balances.packages[0].remaining, balances.packages[0].consumed, balances.packages[0].lapsed),
        (0, 1, 9)
    );
    account.verify().await;
}

async fn r17_over_quota_is_refused_whole_and_resets_at_local_midnight(bench: Bench) {
    let account = Account::new(&bench.store, "Asia/Shanghai").await;
    let admission = account.admission(None);
    bench
        .store
        .set_daily_quota(account.id, 3, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .expect("the account exists");
    admission.submit(account.mail(&names(2)).await).await.expect("accepted");
    let refused = admission.submit(account.mail(&names(2)).await).await.expect_err("refused whole");
    let SubmitError::Refused(Refusal::OverQuota(over)) = refused else { panic!("{refused}") };
    assert_eq!((over.quota, over.used, over.requested), (3, 2, 2));
    assert_eq!(over.resets_at, UnixMicros(NOON.0 + DAY_MICROS / 2));
    bench.clock.set(over.resets_at);
    admission.submit(account.mail(&names(3)).await).await.expect("a new day");
    account.verify().await;
}

async fn r18_the_largest_package_changes_no_quota(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let before = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    account.buy(5_000_000).await;
    let after = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!((after.daily_quota, after.quota_level), (before.daily_quota, before.quota_level));
    let refused =
        account.admission(None).submit(account.mail(&names(2_001)).await).await.expect_err("over quota");
    assert!(matches!(refused, SubmitError::Refused(Refusal::OverQuota(_))), "{refused}");
}

async fn r26_an_idempotency_key_works_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    let key = |hash: &str| Some(IdempotencyKey { key: "order-17".to_owned(), content_hash: hash.to_owned() });
    let mut first = account.mail(&["a@example.net"]).await;
    first.idempotency = key("x");
    let mut again = account.mail(&["a@example.net"]).await;
    again.idempotency = key("x");
    let (one, two) = tokio::join!(admission.submit(first), admission.submit(again));
    let (one, two) = (one.expect("accepted"), two.expect("answered the same"));
    assert_eq!(one.message_id(), two.message_id());
    assert!(matches!(two, Admitted::Replayed { .. }));
    let mut other = account.mail(&["b@example.net"]).await;
    other.idempotency = key("y");
    assert!(matches!(admission.submit(other).await, Err(SubmitError::IdempotencyConflict)));
    assert_eq!(bench.store.account_numbers(account.id).await.unwrap().unwrap().quota_day_used, 1);
    account.verify().await;
}

async fn r26_a_nonce_works_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    for expected in [true, false] {
        let mut mail = account.mail(&["a@example.net"]).await;
        mail.nonce = Some(indicia_store::admission::Nonce { access_key_id: "ak".into(), nonce: "n1".into() });
        let result = admission.submit(mail).await;
        assert_eq!(result.is_ok(), expected, "{result:?}");
    }
    assert_eq!(bench.store.forget_nonces_before(UnixMicros(NOON.0 + 1)).await.unwrap(), 1);
}

async fn r03_listed_recipients_are_refused_uncharged(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    account.bounce("gone@example.net").await;
    let used = bench.store.account_numbers(account.id).await.unwrap().unwrap().quota_day_used;
    let refused =
        admission.submit(account.mail(&["Gone@Example.net"]).await).await.expect_err("nobody is left");
    let SubmitError::Listed { refused: listed } = &refused else { panic!("{refused}") };
    assert_eq!(listed[..], [(0, indicia_store::invalid::Listed::Personal)]);
    let admitted = admission
        .submit(account.mail(&["gone@example.net", "here@example.net"]).await)
        .await
        .expect("one is left");
    let Admitted::Accepted(acceptance) = admitted else { panic!("not a replay") };
    assert_eq!(acceptance.refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0]);
    assert_eq!(acceptance.charges.iter().map(|charge| charge.mails).sum::<i64>(), 1);
    let numbers = bench.store.account_numbers(account.id).await.unwrap().unwrap();
    assert_eq!(numbers.quota_day_used, used + 1);
    account.verify().await;
}

async fn r03_a_batch_of_several_accounts_refuses_to_each_its_own(bench: Bench) {
    let mut accounts = Vec::new();
    for _ in 0..4 {
        accounts.push(Account::new(&bench.store, "UTC").await);
    }
    accounts[0].bounce("gone@example.net").await;
    for account in &accounts[..3] {
        account.bounce("gone-for-all@example.net").await;
    }
    let addresses: Vec<String> = names(40)
        .into_iter()
        .chain(["Gone@example.net".to_owned(), "gone-for-all@example.net".to_owned()])
        .collect();
    let admission = accounts[0].admission(None);
    let mut mails = Vec::new();
    for account in &accounts {
        mails.push(account.mail(&addresses).await);
    }
    let answers = futures::future::join_all(mails.into_iter().map(|mail| admission.submit(mail))).await;
    for (number, answer) in answers.into_iter().enumerate() {
        let Ok(Admitted::Accepted(acceptance)) = answer else { panic!("account {number} is refused") };
        let refused: Vec<_> = acceptance.refused.iter().map(|(index, _)| *index).collect();
        assert_eq!(refused, if number == 0 { vec![40, 41] } else { vec![41] }, "account {number}");
        assert_eq!(
            acceptance.charges.iter().map(|charge| charge.mails).sum::<i64>(),
            42 - refused.len() as i64
        );
    }
    accounts[0].verify().await;
}

async fn r25_many_clients_one_hot_account(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let admission = account.admission(None);
    let accepted = storm(&account, &[admission], 64, 40).await;
    assert_eq!(accepted, 2_000, "exactly the quota, though 2,560 were asked for");
    account.verify().await;
}

async fn r25_two_nodes_never_overdraw_one_account(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    bench
        .store
        .set_daily_quota(account.id, 300, "test", &indicia_store::audit::Actor::system("test"))
        .await
        .expect("the account exists");
    let second = bench.second_node().await;
    let policy = Policy::default();
    let admissions =
        [Admission::start(bench.store.clone(), policy, None).0, Admission::start(second, policy, None).0];
    let accepted = storm(&account, &admissions, 32, 15).await;
    assert_eq!(accepted, 300, "never more, and never refused while mails were left");
    account.verify().await;
}

/// `clients` clients send `each` mails each, by turns over the nodes; returns how many were accepted.
async fn storm(account: &Account, admissions: &[Admission], clients: usize, each: usize) -> usize {
    let mut tasks = Vec::new();
    for client in 0..clients {
        let admission = admissions[client % admissions.len()].clone();
        let account = account.clone();
        tasks.push(tokio::spawn(async move {
            let mut accepted = 0;
            for _ in 0..each {
                match admission.submit(account.mail(&["a@example.net"]).await).await {
                    Ok(_) => accepted += 1,
                    Err(SubmitError::Refused(Refusal::OverQuota(_))) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            accepted
        }));
    }
    let mut accepted = 0;
    for task in tasks {
        accepted += task.await.expect("no client panics");
    }
    accepted
}
