//! The Reputation pages: what an account sees of its standing, what operators see of all, and what they do.

use axum::http::StatusCode;
use indicia_domain::{quota::review::Action, time::DAY_MICROS};
use indicia_store::{
    oversight::AuditQuery,
    quota::{ReputationOrder, ReputationQuery, ReputationScope},
};

use crate::{
    browser::Browser,
    world::{CLIMBER_EMAIL, EMAIL, Fate, NOW, OPERATOR_EMAIL, OTHER_EMAIL, PAUSED_EMAIL, World},
};

const PAGES: [&str; 3] = ["", "/mail", "/history"];

fn readers(count: usize, word: &str) -> Vec<String> {
    (0..count).map(|n| format!("{word}{n}@outlook.com")).collect()
}

/// `good` mails that arrive and `lost` ones to nobody, from the first account.
async fn mail_out(world: &World, good: usize, lost: usize) {
    for (count, word, fate) in [(good, "reader", Fate::Delivered), (lost, "gone", Fate::NoMailbox)] {
        for part in readers(count, word).chunks(90) {
            world.send(world.account_id, "Digest", part, fate).await;
        }
    }
}

async fn pause_by_brake(world: &World) {
    mail_out(world, 300, 120).await;
    assert_eq!(world.store.brake().await.unwrap().paused, 1);
}

#[tokio::test]
async fn r20_a_new_account_sees_the_ladder_and_what_counts_before_it_has_sent() {
    let world = World::empty().await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{}/reputation", world.account_id)).await;
    assert_eq!(page.status, StatusCode::OK);
    page.shows("<h2 id=\"ladder-name\">Level 2 of 10</h2>");
    page.shows("<desc>Level 2 of 10: 2,000 mails a day</desc>");
    page.shows("you are here");
    page.shows("No mail has been judged yet");
    page.shows("No mail was accepted in these days.");
    page.shows("No week has been reviewed yet.");
    page.shows(
        "If the week ended now: kept at 2,000 mails a day, because not enough data: 0 unique recipients, 200 are needed.",
    );
    page.hides("Warm-up of dedicated IP addresses");
    page.hides("Later domains and sender addresses");
    page.hides("<script");
    page.hides(" style=");
}

#[tokio::test]
async fn r23_the_running_week_stands_against_each_line() {
    let world = World::empty().await;
    mail_out(&world, 970, 30).await;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{}/reputation", world.account_id)).await;
    page.shows(
        "If the week ended now: kept at 2,000 mails a day, because invalid addresses: 3 % (30 of 1,000)",
    );
    page.shows("<b>3 %</b> <span class=\"muted\">30 of 1,000 mails whose fate is known");
    page.shows("Not good enough for more");
    page.shows("<b>97 %</b> <span class=\"muted\">970 of 1,000");
    page.shows("surely over");
    page.shows(
        "<desc>3 %; from 2 % no raise, from 5 % lowers, from 10 % pauses. Not good enough for more</desc>",
    );
    page.shows("<desc>97 %; below 95 % no raise, below 85 % lowers. Good enough for more</desc>");
    page.shows("mails delivered to providers that report (outlook.com, yahoo.com)");
    page.shows("Use of the daily quota this week");
    page.shows("Enough to judge");
    page.shows(">outlook.com</a>");
    let outlook = world.store.quota_outlooks(world.account_id).await.unwrap().unwrap();
    assert_eq!(outlook.account.decision.action, Action::Keep);
    let same = world.store.quota_outlook(world.account_id).await.unwrap().unwrap();
    assert_eq!(outlook.account.dossier, same.dossier, "read once or one by one");
}

#[tokio::test]
async fn r22_a_pause_is_said_on_every_page_with_what_to_do() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    browser.get(&format!("/accounts/{id}")).await.hides("Sending is paused");
    pause_by_brake(&world).await;
    for path in
        ["", "/reputation", "/reputation/mail", "/reputation/history", "/mails", "/billing", "/messages"]
    {
        let page = browser.get(&format!("/accounts/{id}{path}")).await;
        page.shows("Sending is paused since 2026-11-22 14:33:20 Asia/Shanghai (UTC+08:00)");
        page.shows("invalid addresses: 28.57 % (120 of 420)");
        page.shows("The review after Monday 2026-11-23 00:00:00 Asia/Shanghai (UTC+08:00) releases it");
        page.shows("1,000 mails a day may be sent");
        page.shows("stop the campaign");
    }
    let page = browser.get(&format!("/accounts/{id}")).await;
    page.hides("The account cannot send");
    let page = browser.get(&format!("/accounts/{id}/reputation")).await;
    page.shows("If the week ended now: sending released with 1,000 mails a day");
    page.shows("No mail is accepted until it is released");
    page.shows("Pauses sending");
}

#[tokio::test]
async fn r22_the_second_pause_waits_for_an_operator_and_says_so() {
    let world = World::empty().await;
    let id = world.account_id;
    pause_by_brake(&world).await;
    world.clock.set(NOW.plus_micros(DAY_MICROS));
    world.store.review_quotas().await.unwrap();
    assert_eq!(world.store.pause_of(id).await.unwrap().map(|pause| pause.lately), None, "released");
    world.clock.set(NOW.plus_micros(2 * DAY_MICROS));
    for (count, word, fate) in [(300, "second", Fate::Delivered), (120, "lost", Fate::NoMailbox)] {
        for part in readers(count, word).chunks(90) {
            world.send(id, "Digest", part, fate).await;
        }
    }
    assert_eq!(world.store.brake().await.unwrap().paused, 1);
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let page = browser.get(&format!("/accounts/{id}/reputation")).await;
    page.shows("It is pause number 2 within 8 weeks, so only an operator of this service releases it");
    page.shows("If the week ended now: paused as before, because paused 2 times within 8 weeks");
}

#[tokio::test]
async fn r20_the_ceiling_is_the_users_own_and_not_below_the_level() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut browser = Browser::signed_in(&world, EMAIL).await;
    let address = format!("/accounts/{id}/reputation/ceiling");
    let csrf = browser.get(&format!("/accounts/{id}/reputation")).await.hidden("csrf");
    let page = browser.post(&address, &[("csrf", &csrf), ("level", "4")]).await;
    assert_eq!(
        (page.status, page.path.as_str()),
        (StatusCode::OK, format!("/accounts/{id}/reputation").as_str())
    );
    page.shows("The ceiling was saved");
    page.shows("now: level 4, 5,000 mails a day");
    page.shows("your ceiling");
    page.shows("the ceiling is level 4 from now on");
    assert_eq!(world.store.quota_standing(id).await.unwrap().unwrap().ceiling_level, Some(4));
    for level in ["1", "11", "-1", "x", ""] {
        let refused = browser.post(&address, &[("csrf", &csrf), ("level", level)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{level}");
        refused.shows("Nothing was changed");
    }
    let forged = browser.post(&address, &[("csrf", "x"), ("level", "none")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    assert_eq!(world.store.quota_standing(id).await.unwrap().unwrap().ceiling_level, Some(4));
    browser.post(&address, &[("csrf", &csrf), ("level", "none")]).await.shows("now: none");
    assert_eq!(world.store.quota_standing(id).await.unwrap().unwrap().ceiling_level, None);
}

#[tokio::test]
async fn r23_reviews_are_shown_with_their_record_and_replay_to_the_same() {
    let world = World::empty().await;
    let (climber, _) = world.furnish_reputation().await;
    let mut browser = Browser::signed_in(&world, CLIMBER_EMAIL).await;
    let page = browser.get(&format!("/accounts/{climber}/reputation")).await;
    for text in [
        "2026-11-02 to 2026-11-08",
        "5,000 → 3,000 <span class=\"muted\">a day, level 4 to 3",
        "</svg>Lowered</span>",
        "2,000 → 3,000 <span class=\"muted\">a day, level 2 to 3",
        "This review replays to the same result",
        "Unique recipients",
        "the weekly review",
    ] {
        page.shows(text);
    }
    page.hides("replays to another result");
    let history = browser.get(&format!("/accounts/{climber}/reputation/history")).await;
    let reviews = world.store.replay_reviews(climber, 120).await.unwrap();
    assert!(reviews.len() > 8 && reviews.iter().all(|review| review.is_same()));
    history.shows(&format!("{0} of {0} reviews were run again just now", reviews.len()));
    history.shows("shop.juniper.example");
    assert_eq!(history.text.matches("This review replays to the same result").count(), reviews.len());
}

#[tokio::test]
async fn r24_later_domains_and_dedicated_addresses_show_how_warm_they_are() {
    let world = World::empty().await;
    let (climber, _) = world.furnish_reputation().await;
    let mut browser = Browser::signed_in(&world, CLIMBER_EMAIL).await;
    let page = browser.get(&format!("/accounts/{climber}/reputation")).await;
    page.shows("Later domains and sender addresses");
    page.shows("shop.juniper.example");
    page.shows("Sender address, since");
    page.shows("0 of 2,000 mails");
    page.shows("<span class=\"small\">kept at 2,000 mails a day, because");
    page.shows("Warm-up of dedicated IP addresses");
    page.shows("203.0.113.10");
    page.shows("pool newsletter");
    page.shows("day 3 of 21");
    page.shows("8 of 250");
    page.shows("Nothing has been sent from it yet");
    let one = world.store.warming(climber).await.unwrap();
    let outlooks = world.store.quota_outlooks(climber).await.unwrap().unwrap();
    assert_eq!(outlooks.warming.len(), one.len());
    for (row, outlook) in &outlooks.warming {
        let alone = world.store.outlook_of(climber, row.warming.subject).await.unwrap().unwrap();
        assert_eq!(outlook.as_ref().map(|outlook| &outlook.decision), Some(&alone.decision));
    }
}

#[tokio::test]
async fn r19_mail_is_shown_by_provider_domain_address_and_tag_and_narrowed_by_links() {
    let world = World::empty().await;
    let (climber, _) = world.furnish_reputation().await;
    let mut browser = Browser::signed_in(&world, CLIMBER_EMAIL).await;
    let address = format!("/accounts/{climber}/reputation/mail");
    let page = browser.get(&address).await;
    for part in ["provider=gmail", "domain=", "sender=", "tag=weekly", "untagged=1"] {
        let href = page.links(part).into_iter().next().unwrap_or_else(|| panic!("a link with {part}"));
        let narrow = browser.get(&href).await;
        assert_eq!(narrow.status, StatusCode::OK, "{href}");
        narrow.shows("Only mails");
        narrow.shows("(take this choice away)");
        assert!(narrow.links(&address).contains(&address), "{href} leads back to all");
    }
    page.shows("By tag");
    page.shows("without a tag");
    page.shows("the recipient, over the provider&#39;s feedback loop");
    let weekly = browser.get(&format!("{address}?tag=weekly&provider=outlook.com")).await;
    weekly.shows("tag weekly");
    weekly.shows("to outlook.com");
    browser.get(&format!("{address}?tag=nobody")).await.shows("No mail like this was accepted in these days");
    let tag = browser.get(&format!("{address}?tag=%3Cscript%3E")).await;
    tag.hides("<script>");
    for query in ["days=8", "days=x", "domain=x", "sender=1.5", "provider=nowhere"] {
        let refused = browser.get(&format!("{address}?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn r23_another_accounts_reputation_does_not_exist() {
    let world = World::empty().await;
    let mut stranger = Browser::signed_in(&world, OTHER_EMAIL).await;
    let mut nobody = Browser::on(&world);
    for page in PAGES {
        let address = format!("/accounts/{}/reputation{page}", world.account_id);
        assert_eq!(stranger.get(&address).await.status, StatusCode::NOT_FOUND, "{page}");
        assert!(nobody.get(&address).await.path.starts_with("/login"), "{page}");
    }
    let own = format!("/accounts/{}", world.other_id);
    for address in
        ["/operator/reputation", "/operator/reputation/report", &format!("{own}/operator/reputation")]
    {
        assert_eq!(stranger.get(address).await.status, StatusCode::NOT_FOUND, "{address}");
    }
    let csrf = stranger.get(&format!("{own}/reputation")).await.hidden("csrf");
    for address in ["/operator/reputation/report", &format!("{own}/operator/reputation")] {
        let form = [("csrf", csrf.as_str()), ("deed", "quota"), ("daily", "100000"), ("reason", "x")];
        assert_eq!(stranger.post(address, &form).await.status, StatusCode::NOT_FOUND, "{address}");
    }
    assert_eq!(world.store.quota_standing(world.other_id).await.unwrap().unwrap().daily_mails, 2_000);
}

#[tokio::test]
async fn r22_operators_see_the_worst_first_and_why() {
    let world = World::empty().await;
    let (climber, paused) = world.furnish_reputation().await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let page = operator.get("/operator/reputation").await;
    let place =
        |name: &str| page.text.find(&format!(">{name}</a>")).unwrap_or_else(|| panic!("{name} is listed"));
    assert!(
        place("Kestrel Offers") < place("Juniper Post") && place("Juniper Post") < place("Northwind Paper")
    );
    page.shows("by the brake: in the last 10 minutes: invalid addresses: 25.33 % (190 of 750)");
    page.shows("<h2 class=\"stat-name\">Accounts</h2><span class=\"stat-figure\">4</span>");
    assert_eq!(page.links(&format!("/accounts/{paused}/reputation")).len(), 1);
    let only = operator.get("/operator/reputation?show=paused").await;
    only.shows("Kestrel Offers");
    only.hides("Juniper Post");
    let most = operator.get("/operator/reputation?sort=mails").await;
    assert!(most.text.find("Juniper Post").unwrap() < most.text.find("Kestrel Offers").unwrap());
    for query in ["sort=odd", "show=odd", "after=odd"] {
        let refused = operator.get(&format!("/operator/reputation?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
    }
    let seen = operator.get(&format!("/accounts/{climber}/reputation")).await;
    seen.shows("Pause, release, set the quota");
    let mut owner = Browser::signed_in(&world, PAUSED_EMAIL).await;
    owner.get(&format!("/accounts/{paused}/reputation")).await.hides("Pause, release, set the quota");
}

#[tokio::test]
async fn r22_an_operator_pauses_releases_and_sets_the_quota_with_a_reason() {
    let world = World::empty().await;
    let id = world.account_id;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let address = format!("/accounts/{id}/operator/reputation");
    let csrf = operator.get(&address).await.hidden("csrf");
    let mut form = vec![("csrf", csrf.as_str()), ("deed", "pause"), ("reason", "")];
    let refused = operator.post(&address, &form).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    refused.shows("A reason is needed");
    form[2].1 = "a spam trap <b>was</b> hit";
    let paused = operator.post(&address, &form).await;
    paused.shows("Sending is paused");
    paused.shows("a spam trap &#60;b&#62;was&#60;/b&#62; hit");
    paused.shows("An operator of this service has paused it and alone releases it");
    let again = operator.post(&address, &form).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    again.shows("Nothing was done");
    form[1].1 = "release";
    form[2].1 = "the trap was removed";
    operator.post(&address, &form).await.shows("Sending is released");
    operator.post(&address, &form).await.shows("Nothing was done");
    form[1].1 = "quota";
    form.push(("daily", "12,500"));
    operator.post(&address, &form).await.shows("12,500 mails a day");
    let standing = world.store.quota_standing(id).await.unwrap().unwrap();
    assert_eq!((standing.daily_mails, standing.level, standing.paused_at), (12_500, 5, None));
    let query = AuditQuery { account_id: Some(id), limit: 100, ..AuditQuery::default() };
    let entries = world.store.audit_entries(&query).await.unwrap();
    let deeds: Vec<_> = entries.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    let by = "operator root@indicia.example";
    assert_eq!(deeds, [(by, "set-quota"), (by, "release-sending"), (by, "pause-sending")]);
    let mut owner = Browser::signed_in(&world, EMAIL).await;
    let history = owner.get(&format!("/accounts/{id}/reputation/history")).await;
    history.shows("the trap was removed");
    history.shows("an operator");
    history.hides(OPERATOR_EMAIL);
}

#[tokio::test]
async fn r26_a_spam_report_by_hand_counts_once() {
    let world = World::empty().await;
    let id = world.account_id;
    let message = world.send(id, "Offer", &["bob@club.example".to_owned()], Fate::Delivered).await;
    let mut operator = Browser::signed_in(&world, OPERATOR_EMAIL).await;
    let mail = operator.get(&format!("/accounts/{id}/mails/{message}")).await;
    let href = mail.links("/operator/reputation/report").remove(0);
    let page = operator.get(&href).await;
    page.shows(&format!("value=\"{message}\""));
    let (csrf, number) = (page.hidden("csrf"), message.to_string());
    let mut form = vec![
        ("csrf", csrf.as_str()),
        ("message", number.as_str()),
        ("recipient", "bob@elsewhere.example"),
        ("kind", "abuse"),
        ("reason", "by telephone"),
    ];
    let address = "/operator/reputation/report";
    let missing = operator.post(address, &form).await;
    assert_eq!(missing.status, StatusCode::UNPROCESSABLE_ENTITY);
    missing.shows("There is no such mail");
    form[2].1 = "Bob@club.example";
    let counted = operator.post(address, &form).await;
    counted.shows("The report was counted");
    assert_eq!(counted.path, format!("/accounts/{id}/mails/{message}"));
    operator.post(address, &form).await.shows("This mail had been reported before");
    let mut owner = Browser::signed_in(&world, EMAIL).await;
    let page = owner.get(&format!("/accounts/{id}/reputation/mail")).await;
    page.shows("an operator, for a report that came another way");
    page.hides(OPERATOR_EMAIL);
    page.shows("100 % (1 of 1)");
    owner.get(&format!("/accounts/{id}/mails/{message}")).await.hides("/operator/reputation/report");
}

#[tokio::test]
async fn r21_the_list_of_accounts_is_ranked_by_the_lines_and_walked_page_by_page() {
    let world = World::empty().await;
    world.furnish_reputation().await;
    let query = |order, scope, after, limit| ReputationQuery { order, scope, after, limit };
    let all = query(ReputationOrder::WorstFirst, ReputationScope::All, None, 100);
    let whole = world.store.reputations(&all).await.unwrap();
    let mut walked = Vec::new();
    let mut after = None;
    // One more turn than there are accounts would be an endless list.
    for _ in 0..=whole.len() {
        let page =
            world.store.reputations(&ReputationQuery { after, limit: 1, ..all.clone() }).await.unwrap();
        let Some(row) = page.first() else { break };
        after = Some((row.sort_key, row.account_id));
        walked.push(row.account_id);
    }
    assert_eq!(walked, whole.iter().map(|row| row.account_id).collect::<Vec<_>>());
    let keys: Vec<i64> = whole.iter().map(|row| row.sort_key).collect();
    assert!(keys.windows(2).all(|pair| pair[0] >= pair[1]), "{keys:?}");
    let kestrel = &whole[0];
    // 190 of 750, as if of 950, against 5 %.
    assert_eq!(
        (kestrel.counts.invalid, kestrel.counts.decided(), kestrel.pressure_permille),
        (190, 750, 4_000)
    );
    let sending = query(ReputationOrder::MostMails, ReputationScope::Sending, None, 100);
    assert!(world.store.reputations(&sending).await.unwrap().iter().all(|row| row.counts.accepted > 0));
    // After a release what was before its day counts no more.
    let actor = indicia_store::audit::Actor::system("test");
    world.clock.set(NOW.plus_micros(DAY_MICROS));
    world.store.release_sending(kestrel.account_id, "test", &actor).await.unwrap();
    let rows = world.store.reputations(&all).await.unwrap();
    let released = rows.iter().find(|row| row.account_id == kestrel.account_id).unwrap();
    assert_eq!((released.pressure_permille, released.counts.accepted, released.paused_at), (0, 0, None));
    let totals = world.store.reputation_totals().await.unwrap();
    assert_eq!((totals.accounts, totals.paused), (4, 0));
}
