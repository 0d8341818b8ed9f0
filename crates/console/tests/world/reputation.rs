//! Two accounts more, with a history to look at: one that has climbed, fallen and climbed again over six weeks, with a
//! later domain and dedicated addresses, and one that the brake has paused.

use std::collections::BTreeSet;

use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, UnixMicros};
use indicia_store::{
    audit::{Actor, ActorKind},
    queue::MailKey,
    report::{ReportSource, SpamReport},
};

use super::{Fate, NOW, Post, World, account, sending};

pub const CLIMBER_EMAIL: &str = "news@juniper.example";
pub const PAUSED_EMAIL: &str = "deals@kestrel.example";

/// Mailbox providers of the readers, in turn.
const PROVIDERS: [&str; 5] = ["gmail.com", "outlook.com", "yahoo.com", "qq.com", "club.example"];
/// 2026-10-12 00:00 in Berlin: the Monday on which the climber began.
const FIRST_MONDAY: UnixMicros = UnixMicros(1_791_756_000_000_000);
/// After the clocks went back.
const WINTER: UnixMicros = UnixMicros(1_792_890_000_000_000);

/// A mailing: so many mails, so many of them to nobody, so many reported.
#[derive(Clone, Copy)]
struct Mailing {
    /// From the Monday on which the climber began.
    day: i64,
    mails: usize,
    lost: usize,
    reported: usize,
}

const fn mailing(day: i64, mails: usize, lost: usize, reported: usize) -> Mailing {
    Mailing { day, mails, lost, reported }
}

/// Six weeks: two that raise, one that uses little, one with a bad list, one that raises again, and the present one.
const MAILINGS: &[Mailing] = &[
    mailing(1, 1_700, 8, 0),
    mailing(2, 1_650, 5, 0),
    mailing(3, 1_690, 9, 0),
    mailing(8, 2_500, 14, 0),
    mailing(9, 2_450, 11, 1),
    mailing(11, 2_600, 10, 0),
    mailing(15, 1_300, 9, 0),
    mailing(22, 1_000, 96, 1),
    mailing(24, 900, 81, 0),
    mailing(29, 2_500, 16, 0),
    mailing(30, 2_480, 12, 0),
    mailing(32, 2_500, 11, 1),
    mailing(35, 4_100, 40, 1),
    mailing(37, 3_000, 21, 1),
    mailing(39, 1_900, 12, 0),
];

/// Local midnight of a day, and an hour of it.
fn at(day: i64, hour: i64) -> UnixMicros {
    let summer = FIRST_MONDAY.plus_micros(day * DAY_MICROS + hour * HOUR_MICROS);
    if summer < WINTER { summer } else { summer.plus_micros(HOUR_MICROS) }
}

fn readers(count: usize, word: &str) -> Vec<String> {
    (0..count).map(|n| format!("{word}{n}@{}", PROVIDERS[n % PROVIDERS.len()])).collect()
}

impl World {
    /// An account with a history of reviews, and one that is paused. Their ids.
    pub async fn furnish_reputation(&self) -> (i64, i64) {
        self.clock.set(at(-14, 9));
        let climber = account(&self.store, "Juniper Post", CLIMBER_EMAIL, "Europe/Berlin").await;
        let sender = sending(&self.store, climber, "juniper.example", "news@juniper.example").await;
        let post = Post {
            account_id: climber,
            sender,
            mail_from: "news@juniper.example",
            subject: "What grows this week",
            tag: "weekly",
            ip_pool_id: None,
        };
        let mut later = None;
        for week in 0..6 {
            self.clock.set(at(7 * week, 0).plus_micros(10 * MINUTE_MICROS));
            self.store.review_quotas().await.expect("reviews");
            if week == 2 {
                self.clock.set(at(7 * week, 8));
                later = Some(
                    sending(&self.store, climber, "shop.juniper.example", "shop@shop.juniper.example").await,
                );
            }
            let days = 7 * week..7 * week + 7;
            for mailing in MAILINGS.iter().filter(|mailing| days.contains(&mailing.day)) {
                self.mail_out(&post, mailing).await;
            }
            if let Some(sender) = later.filter(|_| week > 2) {
                let shop = Post {
                    sender,
                    mail_from: "shop@shop.juniper.example",
                    subject: "Your order",
                    tag: "",
                    ..post
                };
                self.mail_out(&shop, &mailing(7 * week + 1, 310, 2, 0)).await;
            }
        }
        self.warm_addresses(&post).await;
        let paused = self.furnish_paused().await;
        self.clock.set(NOW);
        (climber, paused)
    }

    async fn mail_out(&self, post: &Post<'_>, mailing: &Mailing) {
        self.clock.set(at(mailing.day, 9));
        let good = readers(mailing.mails - mailing.lost, "reader");
        let mut reports = mailing.reported;
        for part in good.chunks(90) {
            let message_id = self.send_as(post, part, Fate::Delivered).await;
            if reports > 0 {
                reports -= 1;
                self.report(post.account_id, message_id, 1).await;
            }
        }
        for part in readers(mailing.lost, &format!("gone{}.{}.", post.sender.1, mailing.day)).chunks(90) {
            self.send_as(post, part, Fate::NoMailbox).await;
        }
    }

    /// A recipient calls the mail spam; number 1 is at a provider that reports.
    pub async fn report(&self, account_id: i64, message_id: i64, number: i64) {
        let report = SpamReport {
            key: MailKey { account_id, message_id, number },
            source: ReportSource::Feedback,
            feedback_type: "abuse".into(),
            reporter: "staff@hotmail.com".into(),
            detail: "by Hotmail FBL/1.0".into(),
        };
        self.store.record_report(&report).await.expect("a report");
    }

    /// Two dedicated addresses, one of them in use.
    async fn warm_addresses(&self, post: &Post<'_>) {
        let operator = Actor::new(ActorKind::CommandLine, "tests");
        self.clock.set(at(35, 7));
        let mut ids = Vec::new();
        for address in ["203.0.113.10", "203.0.113.11"] {
            let address = address.parse().expect("an address");
            let assigned =
                self.store.assign_ip(post.account_id, address, 12, &operator).await.expect("assigned");
            ids.push(assigned.ip_id);
        }
        let first = BTreeSet::from([ids[0]]);
        let pool = self.store.create_ip_pool(post.account_id, "newsletter", &first).await.expect("a pool");
        let pooled =
            Post { ip_pool_id: Some(pool), subject: "From an address of our own", tag: "own-ip", ..*post };
        for (day, mails) in [(36, 200), (38, 260), (40, 90)] {
            self.clock.set(at(day, 11));
            for part in readers(mails, &format!("warm{day}.")).chunks(90) {
                self.send_as(&pooled, part, Fate::Delivered).await;
            }
        }
        self.clock.set(NOW.plus_micros(-2 * HOUR_MICROS));
        self.send_as(&pooled, &readers(40, "today"), Fate::Delivered).await;
    }

    /// An account that has mailed a bought list.
    async fn furnish_paused(&self) -> i64 {
        self.clock.set(NOW.plus_micros(-9 * DAY_MICROS));
        let id = account(&self.store, "Kestrel Offers", PAUSED_EMAIL, "UTC").await;
        let sender = sending(&self.store, id, "kestrel.example", "deals@kestrel.example").await;
        let post = Post {
            account_id: id,
            sender,
            mail_from: "deals@kestrel.example",
            subject: "50 % off everything",
            tag: "",
            ip_pool_id: None,
        };
        self.clock.set(NOW.plus_micros(-3 * HOUR_MICROS));
        for part in readers(560, "lead").chunks(90) {
            self.send_as(&post, part, Fate::Delivered).await;
        }
        for part in readers(190, "bought").chunks(90) {
            self.send_as(&post, part, Fate::NoMailbox).await;
        }
        let round = self.store.brake().await.expect("a round of the brake");
        assert_eq!(round.paused, 1, "the brake stops a bought list");
        id
    }
}
