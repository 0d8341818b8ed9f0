use indicia_domain::quota::rate::{Confidence, Rate};
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use proptest::prelude::*;

use super::layout::{LINE_COLUMNS, SMS_PARTS_MAX, columns};
use super::*;
use crate::sms;

fn at(text: &str) -> UnixMicros {
    UnixMicros::parse(text).expect("an instant")
}

fn to(language: Language) -> Recipient {
    Recipient {
        account_name: "Example Ltd".into(),
        currency: "USD".into(),
        console_url: "https://console.example.net/accounts/7401234567890000001".into(),
        language,
    }
}

fn expiring_package(number: i64, remaining: i64, ends_at: UnixMicros, lead_days: i64) -> ExpiringPackage {
    ExpiringPackage {
        instance_id: format!("DMBAG-{}", 7_401_234_567_890_123_456 + number),
        granted: 50_000,
        remaining,
        ends_at,
        zone: "Asia/Shanghai".into(),
        lead_days,
    }
}

fn lapsed_package(number: i64, lapsed: i64, ended_at: UnixMicros) -> LapsedPackage {
    let expiring = expiring_package(number, lapsed, ended_at, 0);
    let ExpiringPackage { instance_id, granted, zone, .. } = expiring;
    LapsedPackage { instance_id, granted, lapsed, ended_at, zone }
}

/// All of a notice, with what its short message costs.
fn shown(worded: &Worded) -> String {
    let parts = sms::encode(&worded.sms).expect("a text that can be sent").parts.len();
    let length = worded.sms.chars().count();
    format!(
        "Subject: {}\n\n{}\nSMS, {length} characters in {parts}:\n{}",
        worded.subject, worded.body, worded.sms
    )
}

/// One file of the notice in both languages, side by side for a reviewer.
macro_rules! assert_worded {
    ($name:literal, $subject:expr) => {{
        let subject = $subject;
        let (english, chinese) =
            (word(&subject, &to(Language::English)), word(&subject, &to(Language::Chinese)));
        let both = format!("{}\n\n------\n{}", shown(&english), shown(&chinese));
        insta::assert_snapshot!($name, both);
    }};
}

const END: &str = "2027-03-01T00:00:00+08:00";

fn several() -> Vec<ExpiringPackage> {
    vec![
        expiring_package(4, 1, at("2027-03-02T00:00:00+08:00"), 8),
        expiring_package(1, 12_345, at(END), 7),
        expiring_package(3, 50_000, at(END), 7),
        expiring_package(2, 5_000, at("2027-02-28T00:00:00+08:00"), 7),
    ]
}

#[test]
fn r14_one_package_ends_soon() {
    assert_worded!("expiry_one", Subject::Expiry(vec![expiring_package(0, 12_345, at(END), 7)]));
}

#[test]
fn r14_packages_due_together_share_a_message_sorted_by_end() {
    assert_worded!("expiry_several", Subject::Expiry(several()));
}

#[test]
fn r14_the_last_mail_of_a_package_is_one_mail() {
    let mut package = expiring_package(0, 1, at(END), 1);
    package.granted = 1;
    assert_worded!("expiry_one_mail", Subject::Expiry(vec![package]));
}

#[test]
fn r15_little_is_left() {
    assert_worded!(
        "low_balance_all",
        Subject::LowBalance { scope: None, percent: 10, remaining: 4_999, granted: 50_000 }
    );
    let scope = Some("DMBAG-7401234567890123456".to_owned());
    assert_worded!("low_balance_one", Subject::LowBalance { scope, percent: 5, remaining: 1, granted: 20 });
}

#[test]
fn r15_nothing_is_left() {
    let instance_ids: Vec<_> = several().into_iter().map(|package| package.instance_id).collect();
    assert_worded!("used_up_all", Subject::UsedUp { scope: None, instance_ids: instance_ids.clone() });
    let scope = instance_ids.first().cloned();
    assert_worded!(
        "used_up_one",
        Subject::UsedUp { instance_ids: scope.clone().into_iter().collect(), scope }
    );
}

#[test]
fn r13_what_lapsed_is_told_with_its_amount() {
    assert_worded!("lapsed_one", Subject::Lapsed(vec![lapsed_package(0, 12_345, at(END))]));
    let two = vec![lapsed_package(1, 12_345, at(END)), lapsed_package(0, 1, at("2027-02-28T00:00:00+08:00"))];
    assert_worded!("lapsed_several", Subject::Lapsed(two));
}

#[test]
fn r11_bills_will_be_collected() {
    let ahead = |available| Subject::CollectionAhead {
        open: MoneyMicros(1_012_340_000),
        unbilled_mails: 1_234,
        available: MoneyMicros(available),
        collect_at: at("2027-01-01T00:00:00+08:00"),
        zone: "Asia/Shanghai".into(),
    };
    assert_worded!("collection_ahead_short", ahead(-2_500_000));
    assert_worded!("collection_ahead_covered", ahead(1_012_340_000));
}

#[test]
fn r11_arrears_and_their_end() {
    assert_worded!(
        "overdue",
        Subject::Overdue {
            due: MoneyMicros(1_012_340_000),
            available: MoneyMicros(12_000_000),
            prepaid_goes_on: false
        }
    );
    assert_worded!(
        "overdue_prepaid_goes_on",
        Subject::Overdue {
            due: MoneyMicros(1_012_340_000),
            available: MoneyMicros(12_000_000),
            prepaid_goes_on: true
        }
    );
    assert_worded!("restored", Subject::Restored { paid: MoneyMicros(1_012_340_000) });
}

fn past(measure: Measure, events: i64, out_of: i64, line: i64) -> Reason {
    let rate = Rate::new(events, out_of);
    Reason::Past { measure, rate, line: Ppm(line), bound: rate.lower_bound(Confidence::Percent95) }
}

fn pause(reasons: Vec<Reason>, minutes: Option<i64>, released_at: Option<&str>) -> Pause {
    Pause {
        operator_says: None,
        reasons,
        minutes,
        daily_after: 1_000,
        released_at: released_at.map(at),
        zone: "Asia/Shanghai".into(),
    }
}

#[test]
fn r22_a_pause_says_why_until_when_and_what_to_do() {
    let invalid = past(Measure::Invalid, 400, 2_000, 100_000);
    let by_brake = pause(vec![invalid.clone()], Some(60), Some("2026-11-30T00:00:00+08:00"));
    assert_worded!("quota_paused_brake", Subject::QuotaPaused(by_brake));
    let reported = past(Measure::Reported, 40, 3_000, 5_000);
    assert_worded!(
        "quota_paused_review_again",
        Subject::QuotaPaused(pause(vec![invalid, reported], None, None))
    );
    let operator_says = Some("Traps of the national\r\nhotline were hit; ticket 4711.".to_owned());
    let by_operator = Pause { operator_says, daily_after: 20_000, ..pause(Vec::new(), None, None) };
    assert_worded!("quota_paused_operator", Subject::QuotaPaused(by_operator));
}

#[test]
fn r22_a_release_says_with_what_quota_and_that_evidence_begins_anew() {
    assert_worded!("quota_released", Subject::QuotaReleased { daily: 1_000, by_operator: false });
    assert_worded!("quota_released_operator", Subject::QuotaReleased { daily: 20_000, by_operator: true });
}

#[test]
fn r19_a_review_says_what_it_changed() {
    assert_worded!("quota_raised", Subject::QuotaRaised { old_daily: 2_000, new_daily: 3_000 });
    let reasons =
        vec![past(Measure::NotArrived, 5_000, 20_000, 150_000), past(Measure::Reported, 90, 15_000, 3_000)];
    assert_worded!("quota_lowered", Subject::QuotaLowered { old_daily: 3_000, new_daily: 2_000, reasons });
}

/// Every reason there is, so that none is without its words.
fn every_reason() -> Vec<Reason> {
    let (rate, line, bound) = (Rate::new(61, 2_000), Ppm(3_000), Ppm(29));
    let measure = Measure::Reported;
    vec![
        Reason::TooFewRecipients { recipients: 1_199, needed: 2_200 },
        Reason::Past { measure: Measure::Invalid, rate, line, bound },
        Reason::Unproven { measure: Measure::NotArrived, rate, line, bound },
        Reason::Barred { measure: Measure::NotArrived, rate, line: Ppm(50_000) },
        Reason::Good { measure, rate, line },
        Reason::Good { measure: Measure::Judged, rate, line },
        Reason::LittleUsed { full_days: 2, needed: 3, full_use: Ppm::percent(80) },
        Reason::WellUsed { full_days: 4, needed: 3, full_use: Ppm::percent(80) },
        Reason::AtCeiling { level: 5 },
        Reason::AtTop,
        Reason::AtBottom,
        Reason::Released,
        Reason::PausedByOperator,
        Reason::WaitsForOperator { pauses: 2, weeks: 8 },
    ]
}

#[test]
fn r23_every_reason_is_said_in_both_languages() {
    let subject = Subject::QuotaLowered { old_daily: 3_000, new_daily: 2_000, reasons: every_reason() };
    assert_worded!("quota_reasons", subject);
}

#[test]
fn r14_the_end_is_shown_in_the_stored_zone() {
    let mut package = expiring_package(0, 10, at("2026-03-29T00:00:00+02:00"), 1);
    // Daylight saving skips midnight there: the day ends, and the next begins, at 01:00.
    package.zone = "Asia/Beirut".into();
    let body = word(&Subject::Expiry(vec![package.clone()]), &to(Language::English)).body;
    assert!(body.contains("2026-03-29 01:00 (Asia/Beirut)") && body.contains("2026-03-28"), "{body}");
    package.zone = "Mars/Olympus".into();
    let body = word(&Subject::Expiry(vec![package]), &to(Language::English)).body;
    assert!(body.contains("2026-03-28 22:00 (UTC)"), "{body}");
}

#[test]
fn a_given_name_cannot_write_lines_of_its_own() {
    let subject = Subject::Restored { paid: MoneyMicros(1) };
    let name =
        "Mallory\r\n\r\nYour password has expired\u{2028}\u{202e}call\t+1".to_owned() + &"x".repeat(500);
    for language in Language::ALL {
        let body = word(&subject, &Recipient { account_name: name.clone(), ..to(*language) }).body;
        let first = body.lines().next().unwrap_or_default();
        assert!(first.contains("Mallory Your password has expired call +1x"), "{first}");
        assert!(first.chars().count() < 80, "{first}");
    }
    let unnamed = Recipient { account_name: " \n".into(), ..to(Language::English) };
    assert!(word(&subject, &unnamed).body.starts_with("Hello,\n"));
}

#[test]
fn the_usual_notice_is_one_short_message() {
    let subjects = [
        Subject::Expiry(vec![expiring_package(0, 4_000_000, at(END), 30)]),
        Subject::Lapsed(vec![lapsed_package(0, 4_000_000, at(END))]),
        Subject::LowBalance { scope: None, percent: 30, remaining: 1_500_000, granted: 5_000_000 },
        Subject::UsedUp { scope: Some("DMBAG-7401234567890123456".into()), instance_ids: vec![] },
        Subject::CollectionAhead {
            open: MoneyMicros(1_012_340_000),
            unbilled_mails: 99,
            available: MoneyMicros(12_000_000),
            collect_at: at(END),
            zone: "Asia/Shanghai".into(),
        },
        Subject::Overdue {
            due: MoneyMicros(1_012_340_000),
            available: MoneyMicros(12_000_000),
            prepaid_goes_on: false,
        },
        Subject::Restored { paid: MoneyMicros(1_012_340_000) },
        Subject::QuotaPaused(pause(vec![past(Measure::Invalid, 400, 2_000, 100_000)], Some(60), None)),
        Subject::QuotaPaused(Pause { operator_says: Some("x".repeat(900)), ..pause(vec![], None, None) }),
        Subject::QuotaReleased { daily: 100_000, by_operator: false },
        Subject::QuotaRaised { old_daily: 60_000, new_daily: 100_000 },
        Subject::QuotaLowered {
            old_daily: 100_000,
            new_daily: 60_000,
            reasons: vec![past(Measure::NotArrived, 5_000, 20_000, 150_000)],
        },
    ];
    for subject in subjects {
        for language in Language::ALL {
            let sms = word(&subject, &to(*language)).sms;
            assert_eq!(sms::encode(&sms).unwrap().parts.len(), 1, "{} {sms}", sms.chars().count());
        }
    }
}

#[test]
fn english_short_messages_stay_in_the_gsm_alphabet() {
    for subject in [
        Subject::Expiry(several()),
        Subject::Overdue { due: MoneyMicros(1), available: MoneyMicros(-1), prepaid_goes_on: false },
        Subject::LowBalance { scope: None, percent: 5, remaining: 0, granted: 3 },
    ] {
        let sms = word(&subject, &to(Language::English)).sms;
        assert_eq!(sms::encode(&sms).unwrap().alphabet, sms::Alphabet::Gsm7, "{sms}");
    }
}

fn zones() -> impl Strategy<Value = String> {
    let names =
        vec!["Asia/Shanghai", "America/Argentina/ComodRivadavia", "Africa/Cairo", "Pacific/Apia", "No/Such"];
    prop::sample::select(names).prop_map(str::to_owned)
}

fn some_packages() -> impl Strategy<Value = Vec<ExpiringPackage>> {
    let one = ("DMBAG-[0-9]{1,19}", any::<(i64, i64, i64)>(), 0i64..90_000, zones());
    prop::collection::vec(one, 1..12).prop_map(|all| {
        let build = |(instance_id, (granted, remaining, lead_days), days, zone)| ExpiringPackage {
            instance_id,
            granted,
            remaining,
            ends_at: UnixMicros(days * DAY_MICROS),
            zone,
            lead_days,
        };
        all.into_iter().map(build).collect()
    })
}

fn some_subjects() -> impl Strategy<Value = Subject> {
    let money = || any::<i64>().prop_map(MoneyMicros);
    let scope = || prop::option::of("DMBAG-[0-9]{1,19}");
    prop_oneof![
        some_packages().prop_map(Subject::Expiry),
        some_packages().prop_map(|all| {
            let lapsed = all.into_iter().map(|package| LapsedPackage {
                instance_id: package.instance_id,
                granted: package.granted,
                lapsed: package.remaining,
                ended_at: package.ends_at,
                zone: package.zone,
            });
            Subject::Lapsed(lapsed.collect())
        }),
        (scope(), any::<i64>(), any::<i64>(), any::<i64>()).prop_map(
            |(scope, percent, remaining, granted)| {
                Subject::LowBalance { scope, percent, remaining, granted }
            }
        ),
        (scope(), prop::collection::vec("DMBAG-[0-9]{1,19}", 0..12))
            .prop_map(|(scope, instance_ids)| Subject::UsedUp { scope, instance_ids }),
        (money(), any::<i64>(), money(), any::<i64>(), zones()).prop_map(
            |(open, unbilled_mails, available, collect_at, zone)| Subject::CollectionAhead {
                open,
                unbilled_mails,
                available,
                collect_at: UnixMicros(collect_at),
                zone,
            }
        ),
        (money(), money(), any::<bool>()).prop_map(|(due, available, prepaid_goes_on)| Subject::Overdue {
            due,
            available,
            prepaid_goes_on,
        }),
        money().prop_map(|paid| Subject::Restored { paid }),
        some_quota_subjects(),
    ]
}

fn some_quota_subjects() -> impl Strategy<Value = Subject> {
    let reasons = || prop::collection::vec(prop::sample::select(every_reason()), 0..6);
    let daily = || 0i64..2_000_000_000;
    let says = prop::option::of("([A-Za-z]{1,12}[ ,\n]){0,90}");
    let pause =
        (says, reasons(), prop::option::of(1i64..1_441), daily(), prop::option::of(any::<i64>()), zones());
    prop_oneof![
        pause.prop_map(|(operator_says, reasons, minutes, daily_after, released_at, zone)| {
            let released_at = released_at.map(UnixMicros);
            Subject::QuotaPaused(Pause { operator_says, reasons, minutes, daily_after, released_at, zone })
        }),
        (daily(), any::<bool>())
            .prop_map(|(daily, by_operator)| Subject::QuotaReleased { daily, by_operator }),
        (daily(), daily()).prop_map(|(old_daily, new_daily)| Subject::QuotaRaised { old_daily, new_daily }),
        (daily(), daily(), reasons()).prop_map(|(old_daily, new_daily, reasons)| {
            Subject::QuotaLowered { old_daily, new_daily, reasons }
        }),
    ]
}

/// Everything that a body must say: ids, and for each package its end in its zone.
fn must_say(subject: &Subject) -> Vec<String> {
    let end = |at: &UnixMicros, zone: &str| {
        let moment = figures::Moment::new(*at, zone);
        [moment.local, moment.zone, moment.last_day]
    };
    match subject {
        Subject::Expiry(all) => all
            .iter()
            .flat_map(|package| {
                let amounts = [figures::number(package.remaining), figures::number(package.granted)];
                end(&package.ends_at, &package.zone)
                    .into_iter()
                    .chain(amounts)
                    .chain([package.instance_id.clone()])
            })
            .collect(),
        Subject::Lapsed(all) => all
            .iter()
            .flat_map(|package| {
                let amounts = [figures::number(package.lapsed), figures::number(package.granted)];
                end(&package.ended_at, &package.zone)
                    .into_iter()
                    .chain(amounts)
                    .chain([package.instance_id.clone()])
            })
            .collect(),
        Subject::LowBalance { scope, remaining, granted, .. } => {
            scope.iter().cloned().chain([figures::number(*remaining), figures::number(*granted)]).collect()
        }
        Subject::UsedUp { scope, instance_ids } => scope.iter().chain(instance_ids).cloned().collect(),
        Subject::CollectionAhead { open, available, unbilled_mails, collect_at, zone } => {
            let [local, zone, _] = end(collect_at, zone);
            vec![
                figures::money("USD", *open),
                figures::money("USD", *available),
                figures::number(*unbilled_mails),
                local,
                zone,
            ]
        }
        Subject::Overdue { due, available, .. } => {
            vec![figures::money("USD", *due), figures::money("USD", *available)]
        }
        Subject::Restored { paid } => vec![figures::money("USD", *paid)],
        Subject::QuotaPaused(pause) => {
            let until = pause.released_at.as_ref().map(|at| end(at, &pause.zone));
            let until = until.into_iter().flat_map(|[local, zone, _]| [local, zone]);
            until.chain([figures::number(pause.daily_after)]).collect()
        }
        Subject::QuotaReleased { daily, .. } => vec![figures::number(*daily)],
        Subject::QuotaRaised { old_daily, new_daily }
        | Subject::QuotaLowered { old_daily, new_daily, .. } => {
            vec![figures::number(*old_daily), figures::number(*new_daily)]
        }
    }
}

proptest! {
    #[test]
    fn r14_every_id_date_and_amount_is_in_the_body(subject in some_subjects(), pick in 0usize..2) {
        let to = to(Language::ALL[pick]);
        let worded = word(&subject, &to);
        for said in must_say(&subject) {
            prop_assert!(worded.body.contains(&said), "{said} is not in\n{}", worded.body);
        }
        let pages = match subject {
            Subject::QuotaPaused(_)
            | Subject::QuotaReleased { .. }
            | Subject::QuotaRaised { .. }
            | Subject::QuotaLowered { .. } => to.console_url.clone() + "/reputation\n",
            _ => to.console_url.clone() + "/billing/",
        };
        prop_assert!(worded.body.contains(&pages));
        prop_assert!(worded.body.ends_with('\n') && !worded.body.contains('\r'));
        prop_assert!(!worded.subject.contains('\n') && !worded.sms.contains('\n'));
        prop_assert!(worded.sms.contains(PRODUCT));
    }

    #[test]
    fn lines_keep_to_their_width(subject in some_subjects(), pick in 0usize..2) {
        for line in word(&subject, &to(Language::ALL[pick])).body.lines() {
            let is_address = line.starts_with("https://");
            prop_assert!(is_address || columns(line) <= LINE_COLUMNS, "{}: {line}", columns(line));
            prop_assert_eq!(line.trim_end(), line);
        }
    }

    /// Whatever the names: with ids and zones of any length too.
    #[test]
    fn r14_a_short_message_is_at_most_three(subject in some_subjects(), pick in 0usize..2, padding in 0usize..300) {
        let mut subject = subject;
        if let Subject::Expiry(all) = &mut subject {
            all.iter_mut().for_each(|package| package.instance_id.push_str(&"9".repeat(padding)));
        }
        if let Subject::UsedUp { scope: Some(scope), .. } | Subject::LowBalance { scope: Some(scope), .. } = &mut subject {
            scope.push_str(&"9".repeat(padding));
        }
        let sms = word(&subject, &to(Language::ALL[pick])).sms;
        let parts = sms::encode(&sms).expect("a text that can be sent").parts.len();
        prop_assert!(parts <= SMS_PARTS_MAX, "{parts}: {sms}");
    }
}
