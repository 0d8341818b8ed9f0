//! What the pages show, to whom, and that nothing of it is taken for HTML.

use axum::http::{StatusCode, header};

use crate::{
    browser::Browser,
    world::{EMAIL, Fate, OPERATOR_EMAIL, OTHER_EMAIL, World},
};

const PACKAGES: &str = "/billing/reserved-instances/resource-packages";
const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

fn to(address: &str) -> Vec<String> {
    vec![address.to_owned()]
}

#[tokio::test]
async fn r16_the_packages_are_found_by_the_navigation() {
    let world = World::empty().await;
    world.furnish().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let mut page = browser.get("/").await;
    for name in ["Billing Management", "Manage Reserved Instances", "Resource Packages"] {
        let at =
            page.text.find(&format!("{name}</a>")).unwrap_or_else(|| panic!("{name} is in the navigation"));
        let href = page.text[..at].rsplit(r#"href=""#).next().unwrap().split('"').next().unwrap().to_owned();
        page = browser.get(&href).await;
        assert_eq!(page.status, StatusCode::OK);
        page.shows(&format!("<h1>{name}</h1>"));
    }
    page.shows("DirectMail");
    for status in ["Available", "Expired"] {
        page.shows(&format!("</svg>{status}</span>"));
    }
    page.shows("50,000 lapsed");
    page.shows("2026-12-06 00:00:00");
    page.shows("Asia/Shanghai (UTC+08:00)");
}

#[tokio::test]
async fn r16_packages_are_filtered_by_status() {
    let world = World::empty().await;
    world.furnish().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let all = browser.get(&format!("/accounts/{}{DIRECTMAIL}", world.account_id)).await;
    assert_eq!(all.links("/directmail/DMBAG-").len(), 3);
    for (status, count) in
        [("available", 2), ("expired", 1), ("used-up", 0), ("upcoming", 0), ("refunded", 0)]
    {
        let page = browser.get(&format!("/accounts/{}{DIRECTMAIL}?status={status}", world.account_id)).await;
        assert_eq!(page.links("/directmail/DMBAG-").len(), count, "{status}");
        if count == 0 {
            page.shows("No package is like this");
        }
    }
}

#[tokio::test]
async fn packages_are_sorted_and_paged() {
    let world = World::empty().await;
    world.credit(world.account_id, 1_000).await;
    for _ in 0..21 {
        world.buy(world.account_id, 50_000).await;
    }
    world.buy(world.account_id, 500_000).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let address = format!("/accounts/{}{DIRECTMAIL}?sort=specification-largest", world.account_id);
    let first = browser.get(&address).await;
    assert_eq!(first.links("/directmail/DMBAG-").len(), 20);
    first.shows("1 to 20 of 22 instances");
    let largest =
        first.text.find("<td class=\"num\" data-label=\"Specification\">500,000").expect("the largest");
    assert!(largest < first.text.find("data-label=\"Specification\">50,000").unwrap());
    let next = first.links("page=2").remove(0);
    assert_eq!(browser.get(&next).await.links("/directmail/DMBAG-").len(), 2);
}

#[tokio::test]
async fn r16_each_deduction_has_time_before_deducted_after_and_its_message() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let many: Vec<String> = (0..203).map(|n| format!("r{n}@club.example")).collect();
    let first = world.send(world.account_id, "one", &many, Fate::Delivered).await;
    let second = world.send(world.account_id, "two", &to("a@club.example"), Fate::Delivered).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{}{DIRECTMAIL}/{instance}", world.account_id)).await;
    // 200 of the first 203 are the day's free credit.
    for (before, deducted, after) in [("50,000", "3", "49,997"), ("49,997", "1", "49,996")] {
        page.shows(&format!(
            "data-label=\"Before\">{before}</td><td class=\"num\" data-label=\"Deducted\">{deducted}</td><td class=\"num\" \
             data-label=\"After\">{after}</td>"
        ));
    }
    assert_eq!(
        page.links("/mails/"),
        [second, first].map(|id| format!("/accounts/{}/mails/{id}", world.account_id))
    );
}

#[tokio::test]
async fn r16_the_export_is_csv_with_every_deduction_oldest_first() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let instance = world.buy(world.account_id, 50_000).await.instance_ids.remove(0);
    let many: Vec<String> = (0..200).map(|n| format!("r{n}@club.example")).collect();
    world.send(world.account_id, "free", &many, Fate::Delivered).await;
    let mut messages = Vec::new();
    for n in 0..1_005 {
        messages.push(
            world.send(world.account_id, "paid", &to(&format!("p{n}@club.example")), Fate::Waiting).await,
        );
    }
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let href = format!("/accounts/{}{DIRECTMAIL}/{instance}/deductions.csv", world.account_id);
    let answer = browser.get(&href).await;
    assert!(answer.headers[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/csv"));
    let expected = format!("attachment; filename=\"{instance}-deductions.csv\"");
    assert_eq!(answer.headers[header::CONTENT_DISPOSITION], expected);
    let lines: Vec<&str> = answer.text.split_terminator("\r\n").collect();
    assert_eq!(lines.len(), 1 + messages.len(), "more than one chunk of the stream");
    let first = format!(
        "2026-11-22T06:33:20Z,2026-11-22 14:33:20,Asia/Shanghai,{instance},50000,1,49999,{},paid for mails,",
        messages[0]
    );
    assert!(lines[1].starts_with(&first), "{}", lines[1]);
    let message_of = |line: &str| line.split(',').nth(7).unwrap().to_owned();
    let exported: Vec<String> = lines[1..].iter().map(|line| message_of(line)).collect();
    assert_eq!(exported, messages.iter().map(i64::to_string).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_belongs_to_another_account_does_not_exist() {
    let world = World::empty().await;
    world.credit(world.account_id, 20).await;
    let receipt = world.buy(world.account_id, 50_000).await;
    let message = world.send(world.account_id, "mine", &to("a@club.example"), Fate::Delivered).await;
    let (mine, instance, order) = (world.account_id, &receipt.instance_ids[0], receipt.order_id);
    let rest = [
        String::new(),
        "/mails".into(),
        format!("/mails/{message}"),
        "/billing".into(),
        PACKAGES.into(),
        DIRECTMAIL.into(),
        format!("{DIRECTMAIL}/{instance}"),
        format!("{DIRECTMAIL}/{instance}/deductions.csv"),
        format!("{DIRECTMAIL}/orders/{order}"),
        format!("{DIRECTMAIL}/buy"),
        format!("/sending/domains/{}", world.sender.0),
        "/sending/access-keys".into(),
    ];
    let mut owner = Browser::signed_in(&world, EMAIL).await;
    let mut other = Browser::signed_in(&world, OTHER_EMAIL).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    for rest in &rest {
        let path = format!("/accounts/{mine}{rest}");
        assert_eq!(owner.get(&path).await.status, StatusCode::OK, "{path}");
        assert_eq!(operator.get(&path).await.status, StatusCode::OK, "{path}");
        let refused = other.get(&path).await;
        assert_eq!(refused.status, StatusCode::NOT_FOUND, "{path}");
        refused.hides("Northwind");
    }
    // Under one's own account, another's ids lead nowhere either.
    for rest in [
        format!("/mails/{message}"),
        format!("{DIRECTMAIL}/{instance}"),
        format!("{DIRECTMAIL}/orders/{order}"),
    ] {
        let path = format!("/accounts/{}{rest}", world.other_id);
        assert_eq!(other.get(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(owner.get("/accounts").await.status, StatusCode::NOT_FOUND, "the list is the operator's");
}

#[tokio::test]
async fn an_operator_sees_all_accounts_and_always_whose_page_it_is() {
    let world = World::empty().await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let list = operator.get("/accounts").await;
    list.shows("Northwind Paper");
    list.shows("Fjord &#38; Sons &#60;Ltd&#62;");
    for rest in ["", "/mails", "/billing", DIRECTMAIL, "/sending/domains"] {
        let page = operator.get(&format!("/accounts/{}{rest}", world.other_id)).await;
        page.shows("who-account is-operator");
        page.shows("Fjord &#38; Sons &#60;Ltd&#62;</b>");
        page.shows(&format!("ID {}", world.other_id));
    }
}

#[tokio::test]
async fn the_mail_log_is_filtered() {
    let world = World::empty().await;
    let id = world.account_id;
    world.send(id, "Arrived", &to("ada@one.example"), Fate::Delivered).await;
    world.send(id, "Nobody there", &to("gone@two.example"), Fate::NoMailbox).await;
    world.send(id, "On its way", &to("bob@two.example"), Fate::Waiting).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let cases: &[(&str, &[&str])] = &[
        ("", &["Arrived", "Nobody there", "On its way"]),
        ("status=delivered", &["Arrived"]),
        ("status=invalid", &["Nobody there"]),
        ("status=waiting", &["On its way"]),
        ("recipient=two.example", &["Nobody there", "On its way"]),
        ("recipient=ADA%40one.example", &["Arrived"]),
        ("sender=hello%40news.northwind.example&status=delivered", &["Arrived"]),
        ("sender=other%40news.northwind.example", &[]),
        ("from=2026-11-22&to=2026-11-22", &["Arrived", "Nobody there", "On its way"]),
        ("from=2026-11-23", &[]),
        ("to=2026-11-21", &[]),
        ("recipient=%25", &[]),
    ];
    for (query, expected) in cases {
        let page = browser.get(&format!("/accounts/{id}/mails?{query}")).await;
        assert_eq!(page.status, StatusCode::OK);
        for subject in ["Arrived", "Nobody there", "On its way"] {
            let is_shown = page.text.contains(&format!("\">{subject}</a>"));
            assert_eq!(is_shown, expected.contains(&subject), "{query}: {subject}");
        }
        if expected.is_empty() {
            page.shows("No mail fits the filter");
        }
    }
    for query in ["from=yesterday", "to=2026-02-30", "status=odd", "after=x"] {
        let page = browser.get(&format!("/accounts/{id}/mails?{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        page.shows("This cannot be understood");
    }
}

#[tokio::test]
async fn the_mail_log_is_walked_to_its_end_without_gap_or_repetition() {
    let world = World::empty().await;
    let id = world.account_id;
    let many: Vec<String> = (0..70).map(|n| format!("reader{n}@club.example")).collect();
    world.send(id, "Digest", &many, Fate::Waiting).await;
    let also: Vec<String> = (70..120).map(|n| format!("reader{n}@club.example")).collect();
    world.send(id, "Digest", &also, Fate::Waiting).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let mut seen = Vec::new();
    let mut next = Some(format!("/accounts/{id}/mails?status=waiting"));
    for _ in 0..5 {
        let Some(path) = next.take() else { break };
        let page = browser.get(&path).await;
        for piece in page.text.split("data-label=\"To\" class=\"clip\" title=\"").skip(1) {
            seen.push(piece.split('"').next().unwrap().to_owned());
        }
        next = page.links("after=").pop();
    }
    assert_eq!(next, None);
    assert_eq!(seen.len(), 120);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[tokio::test]
async fn a_mails_page_tells_its_whole_story() {
    let world = World::empty().await;
    let id = world.account_id;
    let message = world.send(id, "To nobody", &to("gone@two.example"), Fate::NoMailbox).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    for text in [
        "Accepted over the API",
        "Charged 1 mail to Free credit (2,000 → 1,999 left).",
        "Attempt 1: failed for good",
        "mx1.two.example [192.0.2.25:25], from 198.51.100.7, encrypted with TLSv1.3",
        "The mailbox does not exist (SmtpNxBox), at RCPT TO.",
        "550 5.1.1 User unknown",
        "Given up: invalid address",
    ] {
        page.shows(text);
    }
    let message = world.send(id, "Later", &to("slow@two.example"), Fate::PutOff).await;
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    page.shows("Attempt 1: put off");
    page.shows("Next try: 2026-11-22 14:38:20 Asia/Shanghai (UTC+08:00).");
    page.shows("Waiting for the next try");
}

#[tokio::test]
async fn a_mail_to_many_has_one_timeline_for_each_to_open() {
    let world = World::empty().await;
    let id = world.account_id;
    let many: Vec<String> = (0..100).map(|n| format!("r{n}@club.example")).collect();
    let message = world.send(id, "many", &many, Fate::Delivered).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    assert_eq!(page.text.matches("<details class=\"recipient\">").count(), 100);
    assert_eq!(page.text.matches("Attempt 1: delivered to mx1.club.example").count(), 100);
    page.shows("</svg>100 Delivered</span>");
}

#[tokio::test]
async fn r04_r05_a_split_charge_names_each_source() {
    let world = World::empty().await;
    let id = world.account_id;
    world.credit(id, 20).await;
    let instance = world.buy(id, 50_000).await.instance_ids.remove(0);
    let many: Vec<String> = (0..205).map(|n| format!("r{n}@club.example")).collect();
    let message = world.send(id, "split", &many, Fate::Waiting).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    page.shows("Charged for all 205 recipients: 200 mails to Free credit (2,000 → 1,800 left).");
    page.shows(&format!("Charged for all 205 recipients: 5 mails to {instance} (50,000 → 49,995 left)."));
    page.shows(">205 mails</span>");
}

#[tokio::test]
async fn a_cancelled_mail_shows_what_was_given_back() {
    let world = World::empty().await;
    let id = world.account_id;
    let message = world.send(id, "Oops", &to("ada@one.example"), Fate::Waiting).await;
    world.store.cancel(id, message, "an operator").await.unwrap();
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    page.shows("1 mail, 1 given back");
    page.shows("Cancelled, and its charge given back");
    page.shows("</svg>Cancelled</span>");
}

#[tokio::test]
async fn nothing_from_outside_is_taken_for_html() {
    let world = World::empty().await;
    let id = world.account_id;
    let subject = "<script>alert(1)</script>\"'&";
    let message = world.send(id, subject, &to("\"<i>\"@one.example"), Fate::Spam).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let query = "%3Cscript%3E%22%27";
    for path in [
        format!("/accounts/{id}"),
        format!("/accounts/{id}/mails"),
        format!("/accounts/{id}/mails/{message}"),
        format!("/accounts/{id}/mails?recipient={query}&sender={query}"),
        format!("/accounts/{id}{DIRECTMAIL}/buy?specification={query}&quantity={query}"),
        format!("/login?next={query}"),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        page.hides("<script");
        page.hides("<i>");
        page.hides("<b>score");
    }
    for rest in [format!("/mails?status={query}"), format!("{DIRECTMAIL}?sort={query}")] {
        let page = browser.get(&format!("/accounts/{id}{rest}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{rest}");
        page.hides("<script");
    }
    let page = browser.get(&format!("/accounts/{id}/mails/{message}")).await;
    page.shows("&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;");
}

#[tokio::test]
async fn r17_r18_a_used_up_quota_says_when_it_resets_and_that_money_does_not_help() {
    let world = World::empty().await;
    let id = world.account_id;
    let many: Vec<String> = (0..2_000).map(|n| format!("r{n}@club.example")).collect();
    world.send(id, "all of it", &many, Fate::Waiting).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get("/").await;
    page.shows("Today&#39;s quota is used up");
    page.shows("2026-11-23 00:00:00 Asia/Shanghai (UTC+08:00). Packages do not raise the quota");
    page.shows("2,000 of 2,000 used");
    world.clock.advance_micros(86_400 * 1_000_000 / 2);
    let tomorrow = Browser::signed_in(&world, EMAIL).await.get("/").await;
    tomorrow.shows("0 of 2,000 used");
    tomorrow.hides("quota is used up");
}

#[tokio::test]
async fn the_overview_of_a_new_account_says_what_to_do_next() {
    let world = World::empty().await;
    let page = Browser::signed_in(&world, EMAIL).await.get("/").await;
    page.shows("No mail yet");
    page.shows("See the sender addresses");
    page.shows("200 mails left today.");
}

#[tokio::test]
async fn an_access_keys_secret_is_never_shown() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{}/sending/access-keys", world.account_id)).await;
    page.shows("AKOPS@");
    page.hides("never-to-be-shown");
}

#[tokio::test]
async fn a_domain_shows_the_records_to_set_and_their_state() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let list = browser.get(&format!("/accounts/{}/sending/domains", world.account_id)).await;
    let page = browser.get(&list.links("/sending/domains/").remove(0)).await;
    page.shows("indicia-2026._domainkey.news.northwind.example");
    page.shows("v=DKIM1; k=rsa; p=MIIB");
    page.shows("0c40d5f125af4e42892a");
    page.shows("Not checked");
    page.hides("not used here");
}

#[tokio::test]
async fn r23_a_change_of_the_quota_is_shown_with_its_reason() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser.get("/").await.hides("Changes of the daily quota");
    let reason = "asked for <more> on the phone";
    world
        .store
        .set_daily_quota(world.account_id, 12_345, reason, &indicia_store::audit::Actor::system("test"))
        .await
        .expect("the account exists");
    let page = browser.get("/").await;
    page.shows("Changes of the daily quota");
    page.shows("an operator");
    page.shows("12,345");
    page.shows("asked for &#60;more&#62; on the phone");
}
