//! Suppression, block lists and IP protection: what is kept, and whom it refuses.

mod engines;
mod support;

use engines::Bench;
use indicia_domain::ip_filter::{ENTRIES_MAX, IpRange};
use indicia_domain::mail::State;
use indicia_domain::mail::suppression::{BlockReasons, BlockType, SuppressionLevel};
use indicia_domain::time::{DAY_MICROS, MINUTE_MICROS, SECOND_MICROS, UnixMicros};
use indicia_store::admission::{Admitted, SubmitError};
use indicia_store::block::{Block, BlockQuery};
use indicia_store::directory::{DkimKey, SendType};
use indicia_store::invalid::Listed;
use indicia_store::ip_filter::IpFilterError;
use indicia_store::message::LogQuery;
use indicia_store::queue::MailKey;
use indicia_store::suppression::{Suppression, SuppressionQuery};
use sqlx::{Connection, Executor};
use support::{Account, names, operator};

on_both_engines!(
    r03_an_entered_address_and_a_whole_domain_are_refused_uncharged,
    r03_what_owners_enter_counts_nothing_for_others,
    r03_the_level_spares_trigger_senders_from_the_shared_library,
    r03_a_blocked_recipient_is_refused_for_that_sender_address_only,
    r03_every_list_that_refused_is_named,
    r03_of_several_accounts_in_one_batch_each_has_its_own_lists,
    a_hit_moves_the_last_instant_at_most_once_a_minute,
    entries_of_the_system_lapse_and_those_of_owners_stay,
    entries_are_numbered_when_they_are_first_listed,
    entries_of_an_earlier_release_are_numbered_too,
    suppressions_are_filtered_and_paged,
    blocks_are_listed_newest_first_in_pages,
    a_block_stays_as_it_was_made_and_is_lifted_once,
    protection_is_never_on_with_an_empty_list,
    an_ip_filter_list_has_ten_entries_whoever_adds_at_once,
);

const SENDER: &str = "news@example.org";

async fn registered(account: &Account, send_type: SendType) -> (i64, i64) {
    let dkim = DkimKey { selector: "s".into(), private_key: vec![1], public_key: "k".into() };
    let domain_id = account.store.create_domain(account.id, "example.org", "token", &dkim, 10).await.unwrap();
    let sender_id =
        account.store.create_sender(account.id, domain_id, SENDER, send_type, "", 10).await.unwrap();
    (domain_id, sender_id)
}

/// What one request to `recipients` comes to: the refused by index, or all of them.
async fn send(
    account: &Account,
    sender_id: i64,
    recipients: &[&str],
) -> Result<Vec<(usize, Listed)>, SubmitError> {
    let mut mail = account.mail(recipients).await;
    mail.sender_id = sender_id;
    match account.admission(None).submit(mail).await? {
        Admitted::Accepted(acceptance) => Ok(acceptance.refused),
        Admitted::Replayed { .. } => panic!("no key was given"),
    }
}

async fn only_refusal(account: &Account, sender_id: i64, recipient: &str) -> Option<Listed> {
    let via_rcpt =
        account.store.listed(account.id, sender_id, SENDER, &recipient.to_lowercase()).await.unwrap();
    let via_admission = match send(account, sender_id, &[recipient]).await {
        Ok(refused) => refused.first().map(|(_, listed)| *listed),
        Err(SubmitError::Listed { refused }) => Some(refused[0].1),
        Err(error) => panic!("{error}"),
    };
    assert_eq!(via_rcpt, via_admission, "both looks say the same");
    via_admission
}

async fn used(account: &Account) -> i64 {
    account.store.account_numbers(account.id).await.unwrap().unwrap().quota_day_used
}

fn all(account: &Account) -> SuppressionQuery {
    SuppressionQuery {
        account_id: account.id,
        address_part: None,
        created: None,
        hit: None,
        offset: 0,
        limit: 100,
    }
}

async fn listed(account: &Account) -> Vec<Suppression> {
    account.store.suppressions(&all(account)).await.unwrap().0
}

fn block_of(
    account: &Account,
    block_type: BlockType,
    sender: &str,
    recipient: &str,
    at: UnixMicros,
) -> Block {
    Block {
        account_id: account.id,
        block_type,
        sender_address: sender.to_owned(),
        address: recipient.to_owned(),
        address_key: recipient.to_lowercase(),
        blocked_at: at,
        sent_at: at.plus_micros(-SECOND_MICROS),
        reasons: BlockReasons::UNSPECIFIED,
    }
}

async fn r03_an_entered_address_and_a_whole_domain_are_refused_uncharged(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let store = &bench.store;
    let address_id = store.suppress(account.id, "Gone@one.example", "gone@one.example").await.unwrap();
    let domain_id = store.suppress(account.id, "two.example", "@two.example").await.unwrap();
    assert_ne!(address_id, domain_id);
    let refused = send(
        &account,
        7,
        &["gone@ONE.example", "here@one.example", "any@two.example", "any@sub.two.example"],
    )
    .await
    .expect("two are left");
    assert_eq!(refused, [(0, Listed::Entered), (2, Listed::EnteredDomain)]);
    assert_eq!(used(&account).await, 2);
    let rows = store.mail_log(&LogQuery::all(account.id, 10)).await.unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.state, row.classification.as_str())).collect();
    assert_eq!(shown[0], (State::InvalidAddress, "SysIncomingInvRcpt"));
    assert_eq!(shown[1], (State::Waiting, ""));
    assert!(
        rows[2].reply.contains("domain") && rows[2].reply.contains("RemoveUserSuppression"),
        "{}",
        rows[2].reply
    );
    let error = send(&account, 7, &["a@two.example", "b@two.example"]).await.expect_err("nobody is left");
    assert!(error.to_string().contains("2 on your suppression list"), "{error}");
    assert_eq!(used(&account).await, 2);
    assert!(store.unsuppress(account.id, &[address_id, domain_id]).await.unwrap().is_empty());
    assert_eq!(send(&account, 7, &["gone@one.example", "any@two.example"]).await.unwrap(), []);
    account.verify().await;
}

async fn r03_what_owners_enter_counts_nothing_for_others(bench: Bench) {
    let victim = Account::new(&bench.store, "UTC").await;
    for _ in 0..4 {
        let account = Account::new(&bench.store, "UTC").await;
        bench.store.suppress(account.id, "rival@example.net", "rival@example.net").await.unwrap();
        bench.store.suppress(account.id, "example.net", "@example.net").await.unwrap();
    }
    assert_eq!(only_refusal(&victim, 7, "rival@example.net").await, None);
    assert!(!bench.store.has_shared_invalid_addresses().await.unwrap());
    for _ in 0..3 {
        let account = Account::new(&bench.store, "UTC").await;
        account.bounce("gone@example.net").await;
        // Entering it too takes nothing from what a delivery found.
        bench.store.suppress(account.id, "gone@example.net", "gone@example.net").await.unwrap();
    }
    assert_eq!(only_refusal(&victim, 7, "gone@example.net").await, Some(Listed::Shared));
    assert!(bench.store.has_shared_invalid_addresses().await.unwrap());
}

async fn r03_the_level_spares_trigger_senders_from_the_shared_library(bench: Bench) {
    for _ in 0..3 {
        Account::new(&bench.store, "UTC").await.bounce("gone@example.net").await;
    }
    for (send_type, at_personal) in [(SendType::Trigger, None), (SendType::Batch, Some(Listed::Shared))] {
        let account = Account::new(&bench.store, "UTC").await;
        let (_, sender_id) = registered(&account, send_type).await;
        bench.store.suppress(account.id, "own@example.net", "own@example.net").await.unwrap();
        assert_eq!(bench.store.suppression_level(account.id).await.unwrap(), Some(SuppressionLevel::All));
        assert_eq!(only_refusal(&account, sender_id, "gone@example.net").await, Some(Listed::Shared));
        let level = SuppressionLevel::Personal;
        assert!(bench.store.set_suppression_level(account.id, level, &operator()).await.unwrap());
        assert_eq!(bench.store.suppression_level(account.id).await.unwrap(), Some(level));
        assert_eq!(only_refusal(&account, sender_id, "gone@example.net").await, at_personal, "{send_type:?}");
        assert_eq!(only_refusal(&account, sender_id, "own@example.net").await, Some(Listed::Entered));
    }
    assert!(!bench.store.set_suppression_level(1, SuppressionLevel::All, &operator()).await.unwrap());
}

async fn r03_a_blocked_recipient_is_refused_for_that_sender_address_only(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let (domain_id, sender_id) = registered(&account, SendType::Trigger).await;
    let other_id = bench
        .store
        .create_sender(account.id, domain_id, "other@example.org", SendType::Trigger, "", 10)
        .await
        .unwrap();
    assert!(!bench.store.has_lists(account.id).await.unwrap());
    let mut mail = account.mail(&["Bob@Example.net", "ann@example.net"]).await;
    mail.sender_id = sender_id;
    // A random address of the domain, as AddressType 0 has it: the block is of the registered one.
    mail.mail_from = "0a1b2c3d4e5f@example.org".to_owned();
    let message_id = account.admission(None).submit(mail).await.unwrap().message_id();
    let key = MailKey { account_id: account.id, message_id, number: 0 };
    let reasons = BlockReasons::REPETITIVE;
    let store = &bench.store;
    assert_eq!(store.block_recipient_of(key, BlockType::Report, reasons).await.unwrap(), Some(true));
    assert_eq!(store.block_recipient_of(key, BlockType::Report, reasons).await.unwrap(), Some(false));
    let nobody = MailKey { number: 9, ..key };
    assert_eq!(store.block_recipient_of(nobody, BlockType::Report, reasons).await.unwrap(), None);
    assert!(store.has_lists(account.id).await.unwrap());

    let before = used(&account).await;
    let refused = send(&account, sender_id, &["bob@example.net", "ann@example.net"]).await.unwrap();
    assert_eq!(refused, [(0, Listed::Reported)]);
    assert_eq!(used(&account).await, before + 1, "the blocked one is neither counted nor charged");
    let row = &store.mail_log(&LogQuery::all(account.id, 1)).await.unwrap()[0];
    assert_eq!((row.state, row.classification.as_str()), (State::Failed, "SysOutRecipientReportedSpam"));
    assert!(row.reply.contains("UnblockSending REPORT"), "{}", row.reply);
    assert_eq!(only_refusal(&account, sender_id, "bob@example.net").await, Some(Listed::Reported));
    let mut mail = account.mail(&["bob@example.net"]).await;
    (mail.sender_id, mail.mail_from) = (other_id, "other@example.org".to_owned());
    account.admission(None).submit(mail).await.expect("another sender address may write");

    // Deleted and made anew the sender address is the same to the recipient.
    store.delete_sender(account.id, sender_id, UnixMicros(0), 10).await.unwrap();
    let again = store.create_sender(account.id, domain_id, SENDER, SendType::Trigger, "", 10).await.unwrap();
    assert_eq!(only_refusal(&account, again, "bob@example.net").await, Some(Listed::Reported));
    let lifted =
        store.unblock(account.id, BlockType::Report, SENDER, "bob@example.net", &operator()).await.unwrap();
    assert!(lifted);
    assert_eq!(only_refusal(&account, again, "bob@example.net").await, None);
    account.verify().await;
}

async fn r03_every_list_that_refused_is_named(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.bounce("gone@example.net").await;
    bench.store.suppress(account.id, "own@example.net", "own@example.net").await.unwrap();
    let now = bench.store.now();
    for (kind, recipient) in [
        (BlockType::Unsubscribe, "left@example.net"),
        (BlockType::Report, "angry@example.net"),
        (BlockType::Unsubscribe, "angry@example.net"),
        (BlockType::Report, "gone@example.net"),
    ] {
        bench.store.block(&block_of(&account, kind, "NEWS@example.org", recipient, now)).await.unwrap();
    }
    let before = used(&account).await;
    let recipients = ["gone@example.net", "own@example.net", "left@example.net", "angry@example.net"];
    let error = send(&account, 7, &recipients).await.expect_err("nobody is left");
    let SubmitError::Listed { refused } = &error else { panic!("{error}") };
    let by_index = [Listed::Personal, Listed::Entered, Listed::Unsubscribed, Listed::Reported];
    assert_eq!(refused[..], by_index.into_iter().enumerate().collect::<Vec<_>>()[..]);
    assert_eq!(
        error.to_string(),
        "no recipient is left: 1 in the invalid-address library, 1 on your suppression list, \
         1 who unsubscribed from the sender address, 1 who reported mail of the sender address as spam"
    );
    assert_eq!(used(&account).await, before);
}

async fn r03_of_several_accounts_in_one_batch_each_has_its_own_lists(bench: Bench) {
    let mut accounts = Vec::new();
    for number in 0..6 {
        let account = Account::new(&bench.store, "UTC").await;
        match number % 3 {
            0 => {
                bench.store.suppress(account.id, "example.net", "@example.net").await.unwrap();
            }
            1 => {
                let block =
                    block_of(&account, BlockType::Report, SENDER, "bob@example.net", bench.store.now());
                bench.store.block(&block).await.unwrap();
            }
            _ => {}
        }
        accounts.push(account);
    }
    let admission = accounts[0].admission(None);
    // While the first is flushed the others gather in one batch.
    let mut requests = Vec::new();
    for _ in 0..4 {
        for account in &accounts {
            requests.push(account.mail(&["bob@example.net"]).await);
        }
    }
    let answers = futures_of(requests.into_iter().map(|mail| admission.submit(mail)).collect()).await;
    for (number, answer) in answers.into_iter().enumerate() {
        let listed = match answer {
            Err(SubmitError::Listed { refused }) => Some(refused[0].1),
            Err(error) => panic!("{error}"),
            Ok(_) => None,
        };
        let expected = [Some(Listed::EnteredDomain), Some(Listed::Reported), None][number % 3];
        assert_eq!(listed, expected, "request {number}");
    }
}

async fn futures_of<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, done) in pending.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

async fn a_hit_moves_the_last_instant_at_most_once_a_minute(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    bench.store.suppress(account.id, "example.net", "@example.net").await.unwrap();
    bench.store.suppress(account.id, "own@example.com", "own@example.com").await.unwrap();
    let hit_of = async |address: &str| {
        let all = listed(&account).await;
        all.iter().find(|entry| entry.address == address).unwrap().last_hit_at
    };
    assert_eq!((hit_of("example.net").await, hit_of("own@example.com").await), (None, None));
    let first = bench.store.now();
    send(&account, 7, &["a@example.net"]).await.expect_err("refused whole");
    assert_eq!((hit_of("example.net").await, hit_of("own@example.com").await), (Some(first), None));
    bench.clock.advance_micros(MINUTE_MICROS - 1);
    send(&account, 7, &["b@example.net", "here@example.com"]).await.expect("one is left");
    assert_eq!(hit_of("example.net").await, Some(first));
    bench.clock.advance_micros(1);
    send(&account, 7, &["c@example.net", "here@example.com"]).await.expect("one is left");
    assert_eq!(hit_of("example.net").await, Some(first.plus_micros(MINUTE_MICROS)));
    // The look at RCPT is a hit too: what it refuses never comes to admission.
    bench.store.listed(account.id, 7, SENDER, "own@example.com").await.unwrap();
    assert_eq!(hit_of("own@example.com").await, Some(bench.store.now()));
}

async fn entries_of_the_system_lapse_and_those_of_owners_stay(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    for address in ["silent@example.net", "hit@example.net", "kept@example.net"] {
        account.bounce(address).await;
    }
    bench.store.suppress(account.id, "kept@example.net", "kept@example.net").await.unwrap();
    bench.store.suppress(account.id, "example.com", "@example.com").await.unwrap();
    bench.clock.advance_micros(300 * DAY_MICROS);
    send(&account, 7, &["hit@example.net"]).await.expect_err("refused");
    bench.clock.advance_micros(100 * DAY_MICROS);
    let before = bench.store.now().plus_micros(-365 * DAY_MICROS);
    assert_eq!(bench.store.forget_invalid_before(before).await.unwrap(), 1);
    let mut left: Vec<_> = listed(&account).await.into_iter().map(|entry| entry.address).collect();
    left.sort();
    assert_eq!(left, ["example.com", "hit@example.net", "kept@example.net"]);
}

async fn entries_are_numbered_when_they_are_first_listed(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let other = Account::new(&bench.store, "UTC").await;
    for address in ["a@example.net", "b@example.net"] {
        account.bounce(address).await;
        bench.clock.advance_micros(SECOND_MICROS);
    }
    let entered = bench.store.suppress(account.id, "c@example.net", "c@example.net").await.unwrap();
    let first = listed(&account).await;
    let addresses: Vec<_> = first.iter().map(|entry| entry.address.as_str()).collect();
    assert_eq!(addresses, ["c@example.net", "b@example.net", "a@example.net"], "newest first");
    assert_eq!(first.iter().map(|entry| entry.entered_by_owner).collect::<Vec<_>>(), [true, false, false]);
    let mut ids: Vec<_> = first.iter().map(|entry| entry.suppression_id).collect();
    assert_eq!(ids[0], entered);
    assert!(ids.iter().all(|id| (1..=i64::from(i32::MAX)).contains(id)));
    assert_eq!(listed(&account).await, first, "numbers stay");
    let again = bench.store.suppress(account.id, "b@example.net", "b@example.net").await.unwrap();
    assert_eq!(again, ids[1], "and an entry has one, whoever entered it");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(bench.store.unsuppress(other.id, &ids).await.unwrap(), ids, "others cannot name them");
    assert_eq!(bench.store.unsuppress(account.id, &[ids[0], 1]).await.unwrap(), [1]);
    assert_eq!(listed(&account).await.len(), 3, "nothing is removed unless all are known");
    assert!(bench.store.unsuppress(account.id, &[ids[0], ids[2], ids[0]]).await.unwrap().is_empty());
    assert_eq!(listed(&account).await.len(), 1);
}

/// What migration 4 brought is taken away; opening the store again must bring it back, and keep what was there.
async fn entries_of_an_earlier_release_are_numbered_too(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    account.bounce("Old@example.net").await;
    let bounced_at = bench.store.now().plus_micros(1_000);
    sqlx::any::install_default_drivers();
    let url = match bench.url.as_str() {
        "sqlite" => format!("sqlite://{}", bench.dir.path().join("indicia.db").display()),
        url => url.to_owned(),
    };
    let mut raw = sqlx::AnyConnection::connect(&url).await.expect("connected");
    for sql in [
        "DROP TABLE recipient_block",
        "DROP TABLE ip_filter",
        "DROP INDEX invalid_address_number",
        "ALTER TABLE invalid_address DROP COLUMN kind",
        "ALTER TABLE invalid_address DROP COLUMN suppression_id",
        "ALTER TABLE account DROP COLUMN suppression_level",
        "ALTER TABLE account DROP COLUMN suppresses_domains",
        "ALTER TABLE account DROP COLUMN blocks_recipients",
        "ALTER TABLE account DROP COLUMN ip_protection",
        "DELETE FROM _sqlx_migrations WHERE version = 4",
    ] {
        raw.execute(sql).await.expect(sql);
    }
    raw.close().await.expect("closed");

    let account = Account { store: bench.second_node().await, ..account };
    let all = listed(&account).await;
    assert_eq!((all.len(), all[0].entered_by_owner, all[0].address.as_str()), (1, false, "Old@example.net"));
    assert_eq!((all[0].created_at, all[0].last_hit_at), (bounced_at, Some(bounced_at)));
    assert_eq!(only_refusal(&account, 7, "old@example.net").await, Some(Listed::Personal));
    assert!(account.store.unsuppress(account.id, &[all[0].suppression_id]).await.unwrap().is_empty());
    assert_eq!(only_refusal(&account, 7, "old@example.net").await, None);
    assert!(!account.store.ip_protection(account.id).await.unwrap().is_on);
}

async fn suppressions_are_filtered_and_paged(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let start = bench.store.now();
    for address in names(5) {
        bench.store.suppress(account.id, &address, &address).await.unwrap();
        bench.clock.advance_micros(SECOND_MICROS);
    }
    send(&account, 7, &["user1@example.net"]).await.expect_err("refused");
    let hit_at = bench.store.now();
    let found = async |query: SuppressionQuery| {
        let (entries, total) = bench.store.suppressions(&query).await.unwrap();
        (entries.into_iter().map(|entry| entry.address).collect::<Vec<_>>(), total)
    };
    let page = SuppressionQuery { offset: 3, limit: 3, ..all(&account) };
    assert_eq!(found(page).await, (vec!["user1@example.net".to_owned(), "user0@example.net".to_owned()], 5));
    let part = SuppressionQuery { address_part: Some("USER3@".into()), ..all(&account) };
    assert_eq!(found(part).await, (vec!["user3@example.net".to_owned()], 1));
    let wild = SuppressionQuery { address_part: Some("user_@%".into()), ..all(&account) };
    assert_eq!(found(wild).await.1, 0, "no wildcard of SQL is one here");
    let second = (start.plus_micros(SECOND_MICROS), start.plus_micros(2 * SECOND_MICROS));
    let created = SuppressionQuery { created: Some(second), ..all(&account) };
    assert_eq!(found(created).await, (vec!["user1@example.net".to_owned()], 1));
    let hit = SuppressionQuery { hit: Some((start, hit_at.plus_micros(1))), ..all(&account) };
    assert_eq!(found(hit).await, (vec!["user1@example.net".to_owned()], 1));
    let hit = SuppressionQuery { hit: Some((start, hit_at)), ..all(&account) };
    assert_eq!(found(hit).await.1, 0);
}

fn blocks_of(account: &Account, block_type: BlockType, limit: i64) -> BlockQuery {
    BlockQuery {
        account_id: account.id,
        block_type,
        sender_address: None,
        address_key: None,
        from: UnixMicros(0),
        before: UnixMicros(i64::MAX),
        after: None,
        limit,
    }
}

async fn blocks_are_listed_newest_first_in_pages(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let now = bench.store.now();
    let mut expected = Vec::new();
    for number in 0..7_i64 {
        // Several of one instant, so that a page ends in the middle of them.
        let at = now.plus_micros(number / 4 * SECOND_MICROS);
        for sender in ["a@example.org", "b@example.org"] {
            let recipient = format!("r{number}@example.net");
            let block = block_of(&account, BlockType::Unsubscribe, sender, &recipient, at);
            assert!(bench.store.block(&block).await.unwrap());
            expected.push(block);
        }
    }
    let reported = block_of(&account, BlockType::Report, "a@example.org", "r0@example.net", now);
    bench.store.block(&reported).await.unwrap();
    expected.sort_by(|a, b| {
        let key =
            |block: &Block| (-block.blocked_at.0, block.address_key.clone(), block.sender_address.clone());
        key(a).cmp(&key(b))
    });
    for limit in [1, 3, 14, 50] {
        let (mut query, mut found) = (blocks_of(&account, BlockType::Unsubscribe, limit), Vec::new());
        for _ in 0..20 {
            let (page, next) = bench.store.blocks(&query).await.unwrap();
            assert!(page.len() as i64 <= limit);
            found.extend(page);
            query.after = next;
            if query.after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    let of = async |query: BlockQuery| bench.store.blocks(&query).await.unwrap().0;
    assert_eq!(of(blocks_of(&account, BlockType::Report, 50)).await, [reported]);
    let both = BlockQuery {
        sender_address: Some("B@example.org".into()),
        address_key: Some("r5@example.net".into()),
        ..blocks_of(&account, BlockType::Unsubscribe, 50)
    };
    assert_eq!(of(both.clone()).await.len(), 1);
    let (_, token) = bench.store.blocks(&blocks_of(&account, BlockType::Unsubscribe, 1)).await.unwrap();
    assert_eq!(of(BlockQuery { after: token, ..both }).await.len(), 1, "filters and token together");
    let late = BlockQuery {
        from: now.plus_micros(SECOND_MICROS),
        before: now.plus_micros(SECOND_MICROS + 1),
        ..blocks_of(&account, BlockType::Unsubscribe, 50)
    };
    assert_eq!(of(late).await.len(), 6);
}

async fn a_block_stays_as_it_was_made_and_is_lifted_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let now = bench.store.now();
    let first = block_of(&account, BlockType::Report, SENDER, "bob@example.net", now);
    assert!(bench.store.block(&first).await.unwrap());
    let later = Block {
        blocked_at: now.plus_micros(DAY_MICROS),
        reasons: BlockReasons::TOO_FREQUENT,
        ..first.clone()
    };
    assert!(!bench.store.block(&later).await.unwrap());
    let (kept, _) = bench.store.blocks(&blocks_of(&account, BlockType::Report, 10)).await.unwrap();
    assert_eq!(kept, [Block { reasons: BlockReasons(0b1001), ..first }]);
    let lift = async |kind, sender| {
        bench.store.unblock(account.id, kind, sender, "bob@example.net", &operator()).await.unwrap()
    };
    assert!(!lift(BlockType::Unsubscribe, SENDER).await);
    assert!(!lift(BlockType::Report, "other@example.org").await);
    assert!(lift(BlockType::Report, "News@Example.org").await);
    assert!(!lift(BlockType::Report, SENDER).await);
}

fn range(text: &str) -> IpRange {
    text.parse().unwrap()
}

async fn protection_is_never_on_with_an_empty_list(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let (store, by) = (&bench.store, operator());
    let switch = async |on: bool| store.set_ip_protection(account.id, on, &by).await;
    assert!(matches!(switch(true).await, Err(IpFilterError::Empty)));
    switch(false).await.expect("it is off");
    let version = store.ip_protection_version();
    let one = store.add_ip_filter(account.id, range("192.0.2.0/24"), &by).await.unwrap();
    assert!(store.ip_protection_version() > version);
    let same = store.add_ip_filter(account.id, range("192.0.2.9/24"), &by).await;
    assert!(matches!(same, Err(IpFilterError::Exists { filter_id, .. }) if filter_id == one), "{same:?}");
    switch(true).await.expect("there is an entry");
    let protection = store.ip_protection(account.id).await.unwrap();
    assert!(protection.is_on && protection.admits(Some("192.0.2.9".parse().unwrap())));
    assert!(matches!(store.delete_ip_filter(account.id, one, &by).await, Err(IpFilterError::Last)));
    let two = store.add_ip_filter(account.id, range("2001:db8::1-2001:db8::9"), &by).await.unwrap();
    store.delete_ip_filter(account.id, one, &by).await.expect("another is left");
    assert!(matches!(store.delete_ip_filter(account.id, one, &by).await, Err(IpFilterError::NotFound(_))));
    let listed = store.ip_filters(account.id).await.unwrap();
    assert_eq!((listed.len(), listed[0].filter_id), (1, two));
    assert_eq!(listed[0].range.to_string(), "2001:db8::1-2001:db8::9");
    assert!(!store.ip_protection(account.id).await.unwrap().admits(Some("192.0.2.9".parse().unwrap())));
    switch(false).await.expect("switched off");
    store.delete_ip_filter(account.id, two, &by).await.expect("off, the list may be empty");
    assert!(matches!(store.set_ip_protection(1, true, &by).await, Err(IpFilterError::NoAccount(1))));
    let audit = indicia_store::oversight::AuditQuery {
        account_id: Some(account.id),
        limit: 100,
        ..Default::default()
    };
    let entries = store.audit_entries(&audit).await.unwrap();
    let deeds = entries.iter().filter(|entry| entry.action == "set-ip-protection").count();
    assert_eq!(deeds, 2, "what changes nothing is no deed: {entries:?}");
}

async fn an_ip_filter_list_has_ten_entries_whoever_adds_at_once(bench: Bench) {
    let account = Account::new(&bench.store, "UTC").await;
    let (one, two) = (bench.store.clone(), bench.second_node().await);
    let by = operator();
    let adding = (0..24).map(|number| {
        let (store, by) = (if number % 2 == 0 { one.clone() } else { two.clone() }, by.clone());
        let range = range(&format!("192.0.2.{number}"));
        async move { store.add_ip_filter(account.id, range, &by).await }
    });
    let added = futures_of(adding.collect()).await;
    assert_eq!(added.iter().filter(|result| result.is_ok()).count(), ENTRIES_MAX);
    assert!(
        added
            .iter()
            .filter_map(|result| result.as_ref().err())
            .all(|error| matches!(error, IpFilterError::Full))
    );
    assert_eq!(bench.store.ip_filters(account.id).await.unwrap().len(), ENTRIES_MAX);
}
