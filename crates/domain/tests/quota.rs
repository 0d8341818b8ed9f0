//! Properties of the quota's decisions over random evidence: what is better never fares worse, nothing moves faster
//! than it may, and what is kept of a decision is enough to make it again.

use indicia_domain::quota::brake::{Readings, Trip, Window, brake};
use indicia_domain::quota::evidence::{Counts, DayUse, Evidence, Grade};
use indicia_domain::quota::policy::{Ladder, QuotaPolicy};
use indicia_domain::quota::rate::{Confidence, Ppm};
use indicia_domain::quota::review::{Action, Decision, Dossier, Paused, Subject, review};
use indicia_domain::time::UnixMicros;
use proptest::prelude::*;

fn policies() -> impl Strategy<Value = QuotaPolicy> {
    let ladder = prop::collection::btree_set(1i64..200_000, 2..12);
    let confidence = prop::sample::select(Confidence::ALL.to_vec());
    (ladder, confidence, 1i64..500, 1i64..6, 1i64..8, 0i64..4).prop_map(
        |(steps, confidence, recipients_min, reports_min, full_days, pauses)| {
            let mut policy = QuotaPolicy {
                ladder: Ladder(steps.into_iter().collect()),
                confidence,
                recipients_min,
                reports_min,
                pauses_before_operator: pauses,
                ..QuotaPolicy::default()
            };
            policy.raise.full_days = full_days;
            policy.initial_level = policy.initial_level.min(policy.ladder.top());
            policy.check().expect("a policy");
            policy
        },
    )
}

/// Shares from spotless to terrible, small numbers and large.
fn evidence() -> impl Strategy<Value = Evidence> {
    let share = prop_oneof![0i64..2_000, 0i64..60_000, 0i64..300_000];
    let total = prop_oneof![0i64..50, 100i64..3_000, 0i64..2_000_000];
    let reports = prop_oneof![Just(0i64), 0i64..6, 0i64..5_000];
    let day = (0i64..120_000, 0i64..100_000).prop_map(|(used, quota)| DayUse { used, quota });
    (total, share.clone(), share.clone(), share, reports, 0i64..3_000, prop::collection::vec(day, 7))
        .prop_map(|(decided, invalid, spam, failed, reported, recipients, days)| {
            let of = |share: i64| decided * share / 1_000_000;
            let (invalid, spam, failed) = (of(invalid), of(spam), of(failed));
            let delivered = (decided - invalid - spam - failed).max(0);
            let counts = Counts {
                accepted: decided,
                delivered,
                invalid,
                spam,
                failed,
                reported: reported.min(delivered / 2),
                judged: spam / 2 + reported.min(delivered / 9),
                reporting: delivered / 2,
                deferred: 0,
            };
            Evidence { counts, reportable: delivered / 2, recipients, days }
        })
}

fn dossier(policy: &QuotaPolicy, level: i64, evidence: Evidence) -> Dossier {
    let level = level.min(policy.ladder.top());
    Dossier {
        subject: Subject::Account,
        week: 20_780,
        from: UnixMicros(0),
        until: UnixMicros(1),
        daily_mails: policy.ladder.daily(level),
        level,
        ceiling_level: None,
        paused: None,
        evidence,
    }
}

/// The same week with some of its bad outcomes turned into good ones.
fn improved(evidence: &Evidence, parts: (i64, i64, i64, i64, i64)) -> Evidence {
    let (invalid, spam, failed, reports, fuller) = parts;
    let mut better = evidence.clone();
    let counts = &mut better.counts;
    for (count, part) in
        [(&mut counts.invalid, invalid), (&mut counts.spam, spam), (&mut counts.failed, failed)]
    {
        let moved = *count * part / 100;
        *count -= moved;
        counts.delivered += moved;
        counts.reporting += moved / 2;
    }
    counts.reported -= counts.reported * reports / 100;
    counts.judged -= counts.judged * reports / 100;
    better.reportable = better.reportable.max(counts.reporting);
    for day in better.days.iter_mut().take(fuller as usize) {
        day.used = day.used.max(day.quota);
    }
    better
}

/// Where a decision leaves an account that is not paused; a pause is below everything.
fn rank(decision: &Decision) -> (bool, i64) {
    (decision.action != Action::Pause, decision.daily_mails)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn r19_better_data_never_gives_a_worse_decision(
        policy in policies(), evidence in evidence(), level in 0i64..12,
        parts in (0i64..=100, 0i64..=100, 0i64..=100, 0i64..=100, 0i64..=7),
    ) {
        let better = improved(&evidence, parts);
        let (standing, better_standing) = (evidence.stand(&policy), better.stand(&policy));
        prop_assert!(better_standing.grade >= standing.grade, "{:?} and {:?}", standing, better_standing);
        let (decision, better) =
            (review(&policy, &dossier(&policy, level, evidence)), review(&policy, &dossier(&policy, level, better)));
        prop_assert!(rank(&better) >= rank(&decision), "{:?} and {:?}", decision, better);
    }

    #[test]
    fn r20_a_review_moves_one_level_at_most_except_a_pause(
        policy in policies(), evidence in evidence(), level in 0i64..12, ceiling in prop::option::of(0i64..12), custom in 0i64..200_000,
        is_custom: bool,
    ) {
        let mut dossier = dossier(&policy, level, evidence);
        dossier.ceiling_level = ceiling.map(|ceiling| ceiling.max(dossier.level).min(policy.ladder.top()));
        if is_custom {
            (dossier.daily_mails, dossier.level) = (custom, policy.ladder.level_of(custom));
        }
        let decision = review(&policy, &dossier);
        let (old, new) = (dossier.daily_mails, decision.daily_mails);
        let steps = policy.ladder.0.iter().filter(|step| (old.min(new)..old.max(new)).contains(step)).count();
        match decision.action {
            Action::Pause => prop_assert!(new <= old && decision.level <= policy.initial_level.max(dossier.level)),
            Action::Raise => prop_assert!(new > old && steps <= 1 + usize::from(is_custom)),
            Action::Lower => prop_assert!(new < old && steps <= 1 + usize::from(is_custom)),
            Action::Keep => prop_assert_eq!((new, decision.level), (old, dossier.level)),
            Action::Release => prop_assert!(false, "nothing was paused"),
        }
        if let (Action::Raise, Some(ceiling)) = (decision.action, dossier.ceiling_level) {
            prop_assert!(decision.level <= ceiling);
        }
        prop_assert!(!decision.reasons.is_empty(), "R23: every decision says why");
        prop_assert!(!decision.because().is_empty() && !decision.headline(old).is_empty());
    }

    #[test]
    fn r21_few_recipients_or_few_reports_move_nobody(policy in policies(), evidence in evidence(), level in 0i64..12) {
        let few = Evidence { recipients: policy.recipients_min - 1, ..evidence.clone() };
        prop_assert_eq!(review(&policy, &dossier(&policy, level, few)).action, Action::Keep);
        let mut quiet = evidence;
        quiet.counts = Counts { delivered: quiet.counts.decided(), invalid: 0, spam: 0, failed: 0, ..quiet.counts };
        quiet.counts.reported = quiet.counts.reported.min(policy.reports_min - 1);
        quiet.counts.judged = quiet.counts.judged.min(policy.reports_min - 1);
        prop_assert!(quiet.stand(&policy).grade >= Grade::Keep);
    }

    #[test]
    fn r23_what_is_kept_gives_the_same_decision_again(
        policy in policies(), evidence in evidence(), level in 0i64..12, paused in prop::option::of((0i64..4, any::<bool>())),
    ) {
        let mut dossier = dossier(&policy, level, evidence);
        dossier.paused = paused.map(|(lately, by_operator)| Paused { since: UnixMicros(7), lately, by_operator });
        let decision = review(&policy, &dossier);
        let kept_policy: QuotaPolicy = serde_json::from_str(&serde_json::to_string(&policy).unwrap()).unwrap();
        let kept: Dossier = serde_json::from_str(&serde_json::to_string(&dossier).unwrap()).unwrap();
        let read: Decision = serde_json::from_str(&serde_json::to_string(&decision).unwrap()).unwrap();
        prop_assert_eq!(&review(&kept_policy, &kept), &decision);
        prop_assert_eq!(read, decision);
    }

    #[test]
    fn r22_a_pause_ends_at_the_next_review_unless_it_is_one_too_many(
        policy in policies(), evidence in evidence(), lately in 1i64..5, by_operator: bool, began_later: bool,
    ) {
        let mut dossier = dossier(&policy, 3, evidence);
        let since = dossier.until.plus_micros(if began_later { 0 } else { -1 });
        dossier.paused = Some(Paused { since, lately, by_operator });
        let decision = review(&policy, &dossier);
        let too_often = policy.pauses_before_operator > 0 && lately >= policy.pauses_before_operator;
        let waits = by_operator || too_often || began_later;
        prop_assert_eq!(decision.action, if waits { Action::Keep } else { Action::Release });
        prop_assert_eq!(decision.daily_mails, dossier.daily_mails);
    }

    #[test]
    fn r22_the_brake_asks_for_a_pauses_evidence(
        policy in policies(), evidence in evidence(), part in 0i64..=100, blamed in 0i64..2_000,
    ) {
        let reading = |evidence: &Evidence, blamed: i64| Readings {
            recipients: evidence.recipients,
            windows: vec![Window {
                minutes: 1_440,
                counts: evidence.counts,
                blamed: blamed.min(evidence.counts.reporting),
                accused: evidence.counts.judged,
            }],
        };
        let trip = brake(&policy, &reading(&evidence, blamed));
        let better = improved(&evidence, (part, part, part, part, 0));
        let better = brake(&policy, &reading(&better, blamed * (100 - part) / 100));
        prop_assert!(trip.is_some() || better.is_none(), "{:?}", better);
        if trip.is_some() {
            let mut same = evidence.clone();
            same.counts.reported = blamed.min(same.counts.reporting);
            same.reportable = same.counts.reporting;
            prop_assert_eq!(same.stand(&policy).grade, Grade::Pause);
        }
    }

    #[test]
    fn r19_the_order_of_rows_does_not_matter(
        rows in prop::collection::vec((0i64..50, 0i64..50, 0i64..9, 0i64..9, 0i64..9, 0i64..3), 0..60).prop_shuffle(),
        level in 0i64..12,
    ) {
        let policy = QuotaPolicy::default();
        let decide = |rows: &[(i64, i64, i64, i64, i64, i64)]| {
            let mut counts = Counts::default();
            for (accepted, delivered, invalid, spam, failed, reported) in rows.iter().copied() {
                counts.add(&Counts { accepted, delivered, invalid, spam, failed, reported, ..Counts::default() });
            }
            let evidence = Evidence { counts, reportable: counts.delivered, recipients: 500, days: vec![] };
            review(&policy, &dossier(&policy, level, evidence))
        };
        let mut sorted = rows.clone();
        sorted.sort_unstable();
        prop_assert_eq!(decide(&rows), decide(&sorted));
    }
}

fn week(delivered: i64, invalid: i64, reported: i64) -> Evidence {
    let counts = Counts { accepted: delivered + invalid, delivered, invalid, reported, ..Counts::default() };
    Evidence {
        counts,
        reportable: delivered,
        recipients: (delivered + invalid) / 2,
        days: vec![DayUse { used: 1_600, quota: 2_000 }; 3],
    }
}

#[test]
fn r21_the_lines_of_the_rule() {
    let policy = QuotaPolicy::default();
    let grade = |evidence: Evidence| evidence.stand(&policy).grade;
    assert_eq!(grade(week(10_000, 199, 9)), Grade::Raise, "1.95 % invalid, 0.09 % reported, three full days");
    assert_eq!(grade(week(10_000, 205, 0)), Grade::Keep, "2 % invalid and more");
    assert_eq!(grade(week(10_000, 0, 10)), Grade::Keep, "0.1 % reported");
    assert_eq!(grade(week(10_000, 540, 0)), Grade::Keep, "5.1 % as counted, not beyond chance");
    assert_eq!(grade(week(10_000, 600, 0)), Grade::Lower);
    assert_eq!(grade(week(10_000, 0, 42)), Grade::Lower, "0.42 % reported");
    assert_eq!(grade(week(10_000, 0, 65)), Grade::Pause, "0.65 % reported");
    assert_eq!(grade(week(10_000, 1_250, 0)), Grade::Pause, "11 % invalid");
    assert_eq!(grade(Evidence { recipients: 199, ..week(100, 100, 50) }), Grade::Keep, "not enough data");
    let mut idle = week(10_000, 0, 0);
    idle.days.truncate(2);
    assert_eq!(grade(idle), Grade::Keep, "two full days");
    let mut late = week(10_000, 0, 0);
    late.counts.failed = 2_000;
    assert_eq!(grade(late), Grade::Lower, "83 % arrived");
}

#[test]
fn r21_a_few_reports_in_a_small_week_move_nobody() {
    let policy = QuotaPolicy::default();
    let standing = week(400, 0, 2).stand(&policy);
    assert_eq!(standing.grade, Grade::Raise, "two reports are 0.5 %, and prove nothing");
    assert_eq!(week(500, 0, 3).stand(&policy).grade, Grade::Keep, "three bar a raise, and lower nobody");
}

#[test]
fn r19_a_small_week_after_a_large_mailing_is_not_blamed_for_its_reports() {
    let policy = QuotaPolicy::default();
    let monday = Evidence { reportable: 50_000, ..week(1_000, 0, 30) };
    assert!(monday.stand(&policy).grade >= Grade::Keep, "30 reports about 50,000 mails of Sunday");
    assert_eq!(Evidence { reportable: 0, ..monday }.stand(&policy).grade, Grade::Pause);
}

#[test]
fn r23_reasons_are_words() {
    let policy = QuotaPolicy::default();
    let decision = review(&policy, &dossier(&policy, 2, week(10_000, 199, 9)));
    assert_eq!(decision.headline(2_000), "Raised from 2,000 to 3,000 mails a day.");
    assert_eq!(
        decision.because(),
        "invalid addresses: 1.95 % (199 of 10,199), within 2 %; spam reports: 0.09 % (9 of 10,000), within 0.1 %; mails that providers \
         call spam: 0 % (0 of 10,199), within 0.1 %; mails that did not arrive: 1.95 % (199 of 10,199), within 5 %; 80 % or more of the \
         quota was used on 3 of 7 days"
    );
    let decision = review(&policy, &dossier(&policy, 2, week(10_000, 1_250, 0)));
    assert_eq!((decision.action, decision.level, decision.daily_mails), (Action::Pause, 1, 1_000));
    assert_eq!(
        decision.because(),
        "invalid addresses: 11.11 % (1,250 of 11,250), and surely more than 10.63 %; the line is 10 %"
    );
    assert_eq!(Ppm(77).to_string(), "0.0077 %");
}

/// R23, R27: what a release of before has written is read, and decides as it did then. A field that is added later needs a
/// default that changes nothing of this; these texts never change.
#[test]
fn r23_records_of_earlier_releases_are_read_and_replay() {
    let policy: QuotaPolicy = serde_json::from_str(POLICY_OF_THEN).expect("a policy");
    for (dossier, decision) in REVIEWS_OF_THEN {
        let dossier: Dossier = serde_json::from_str(dossier).expect("a dossier");
        let then: Decision = serde_json::from_str(decision).expect("a decision");
        assert_eq!(review(&policy, &dossier), then, "{dossier:?}");
    }
    let readings: Readings = serde_json::from_str(READINGS_OF_THEN).expect("readings");
    let trip: Trip = serde_json::from_str(TRIP_OF_THEN).expect("a trip");
    assert_eq!(brake(&policy, &readings), Some(trip));
}

const POLICY_OF_THEN: &str = r#"{"version":"1","ladder":[200,1000,2000,3000,5000,8000,13000,20000,35000,60000,100000],"initial_level":2,"initial_daily_mails":2000,"pause":{"invalid":100000,"reported":5000},"lower":{"invalid":50000,"reported":3000,"arrival":850000},"raise":{"invalid":20000,"reported":1000,"arrival":950000,"full_use":800000,"full_days":3},"recipients_min":200,"reports_min":3,"reporting":["outlook.com","yahoo.com"],"confidence":"percent95","brake_windows_minutes":[10,60,360,1440],"pauses_before_operator":2,"pauses_weeks":8}"#;
const REVIEWS_OF_THEN: [(&str, &str); 7] = [
    (
        r#"{"subject":{"subject":"account"},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":null,"evidence":{"counts":{"accepted":5100,"delivered":5062,"invalid":24,"spam":2,"failed":12,"reported":1,"judged":2,"reporting":1400,"deferred":30},"reportable":1400,"recipients":5000,"days":[{"used":1700,"quota":2000},{"used":1700,"quota":2000},{"used":1700,"quota":2000},{"used":1700,"quota":2000},{"used":1700,"quota":2000},{"used":1700,"quota":2000},{"used":1700,"quota":2000}]}}"#,
        r#"{"action":"raise","level":3,"daily_mails":3000,"reasons":[{"reason":"good","measure":"invalid","rate":{"events":24,"out_of":5100},"line":20000},{"reason":"good","measure":"reported","rate":{"events":1,"out_of":1400},"line":1000},{"reason":"good","measure":"judged","rate":{"events":2,"out_of":5100},"line":1000},{"reason":"good","measure":"not-arrived","rate":{"events":38,"out_of":5100},"line":50000},{"reason":"well-used","full_days":7,"needed":3,"full_use":800000}]}"#,
    ),
    (
        r#"{"subject":{"subject":"account"},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":2,"paused":null,"evidence":{"counts":{"accepted":5100,"delivered":5062,"invalid":24,"spam":2,"failed":12,"reported":1,"judged":2,"reporting":1400,"deferred":30},"reportable":1400,"recipients":5000,"days":[{"used":1500,"quota":2000},{"used":1500,"quota":2000},{"used":1500,"quota":2000},{"used":1500,"quota":2000},{"used":1500,"quota":2000},{"used":1500,"quota":2000},{"used":1500,"quota":2000}]}}"#,
        r#"{"action":"keep","level":2,"daily_mails":2000,"reasons":[{"reason":"good","measure":"invalid","rate":{"events":24,"out_of":5100},"line":20000},{"reason":"good","measure":"reported","rate":{"events":1,"out_of":1400},"line":1000},{"reason":"good","measure":"judged","rate":{"events":2,"out_of":5100},"line":1000},{"reason":"good","measure":"not-arrived","rate":{"events":38,"out_of":5100},"line":50000},{"reason":"little-used","full_days":0,"needed":3,"full_use":800000}]}"#,
    ),
    (
        r#"{"subject":{"subject":"account"},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":null,"evidence":{"counts":{"accepted":300,"delivered":240,"invalid":27,"spam":20,"failed":13,"reported":3,"judged":20,"reporting":80,"deferred":4},"reportable":1400,"recipients":290,"days":[{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000}]}}"#,
        r#"{"action":"pause","level":1,"daily_mails":1000,"reasons":[{"reason":"past","measure":"judged","rate":{"events":20,"out_of":300},"line":5000,"bound":46641}]}"#,
    ),
    (
        r#"{"subject":{"subject":"domain","id":100001},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":null,"evidence":{"counts":{"accepted":300,"delivered":240,"invalid":27,"spam":0,"failed":13,"reported":0,"judged":0,"reporting":80,"deferred":4},"reportable":1400,"recipients":290,"days":[{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000}]}}"#,
        r#"{"action":"lower","level":1,"daily_mails":1000,"reasons":[{"reason":"past","measure":"invalid","rate":{"events":27,"out_of":280},"line":50000,"bound":71157}]}"#,
    ),
    (
        r#"{"subject":{"subject":"sender","id":100002},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":null,"evidence":{"counts":{"accepted":300,"delivered":240,"invalid":27,"spam":20,"failed":13,"reported":3,"judged":20,"reporting":80,"deferred":4},"reportable":1400,"recipients":9,"days":[{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000},{"used":60,"quota":2000}]}}"#,
        r#"{"action":"keep","level":2,"daily_mails":2000,"reasons":[{"reason":"too-few-recipients","recipients":9,"needed":200}]}"#,
    ),
    (
        r#"{"subject":{"subject":"account"},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":{"since":1795500000000000,"lately":1,"by_operator":false},"evidence":{"counts":{"accepted":0,"delivered":0,"invalid":0,"spam":0,"failed":0,"reported":0,"judged":0,"reporting":0,"deferred":0},"reportable":0,"recipients":0,"days":[]}}"#,
        r#"{"action":"release","level":2,"daily_mails":2000,"reasons":[{"reason":"released"}]}"#,
    ),
    (
        r#"{"subject":{"subject":"account"},"week":20780,"from":1795392000000000,"until":1795996800000000,"daily_mails":2000,"level":2,"ceiling_level":null,"paused":{"since":1795500000000000,"lately":2,"by_operator":false},"evidence":{"counts":{"accepted":0,"delivered":0,"invalid":0,"spam":0,"failed":0,"reported":0,"judged":0,"reporting":0,"deferred":0},"reportable":0,"recipients":0,"days":[]}}"#,
        r#"{"action":"keep","level":2,"daily_mails":2000,"reasons":[{"reason":"waits-for-operator","pauses":2,"weeks":8}]}"#,
    ),
];
const READINGS_OF_THEN: &str = r#"{"recipients":300,"windows":[{"minutes":10,"counts":{"accepted":2000,"delivered":240,"invalid":60,"spam":0,"failed":0,"reported":0,"judged":0,"reporting":80,"deferred":0},"blamed":0,"accused":1}]}"#;
const TRIP_OF_THEN: &str = r#"{"minutes":10,"reason":{"reason":"past","measure":"invalid","rate":{"events":60,"out_of":300},"line":100000,"bound":164770}}"#;
