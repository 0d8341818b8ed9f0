use proptest::prelude::*;

use super::*;

const DAY: i64 = 20_000;

fn policy(daily: &[i64]) -> WarmupPolicy {
    WarmupPolicy { schedule: Schedule::new("test", daily.to_vec()).unwrap(), ..WarmupPolicy::default() }
}

fn good(sent: i64) -> DayCounts {
    DayCounts { sent, delivered: sent, ..DayCounts::default() }
}

/// The step after one day that brought `counts`; one past the last when it is warm.
fn rank(policy: &WarmupPolicy, warmup: Warmup, counts: &DayCounts) -> i64 {
    let (next, _) = warmup.advance(policy, counts, warmup.day + 1).expect("a new day");
    next.step + i64::from(next.finished)
}

#[test]
fn r24_a_day_that_was_used_and_went_well_raises_by_one_step() {
    let policy = policy(&[50, 100, 250]);
    let mut warmup = Warmup::new(DAY);
    let mut allowances = vec![];
    for day in DAY + 1..=DAY + 3 {
        let allowance = warmup.allowance(&policy, WarmupType::System).expect("not warm yet");
        allowances.push(allowance);
        (warmup, _) = warmup.advance(&policy, &good(allowance), day).expect("a new day");
    }
    assert_eq!(allowances, [50, 100, 250]);
    assert!(warmup.finished);
    assert_eq!(warmup.allowance(&policy, WarmupType::System), None);
}

#[test]
fn r24_the_step_moves_once_a_day_and_never_back_in_time() {
    let policy = policy(&[50, 100, 250]);
    let warmup = Warmup::new(DAY);
    assert_eq!(warmup.advance(&policy, &good(50), DAY), None);
    assert_eq!(warmup.advance(&policy, &good(50), DAY - 1), None, "a clock that stepped back");
    let (next, _) = warmup.advance(&policy, &good(50), DAY + 20).expect("after a pause");
    assert_eq!((next.step, next.day), (2, DAY + 20), "days without mail raise nothing");
}

#[test]
fn r24_held_with_a_reason_in_words() {
    let policy = policy(&[100, 200]);
    let warmup = Warmup::new(DAY);
    let after = |counts: DayCounts| {
        let (next, decision) = warmup.advance(&policy, &counts, DAY + 1).expect("a new day");
        (next.step, decision.to_string())
    };
    let (step, words) = after(DayCounts { sent: 49, delivered: 49, ..DayCounts::default() });
    assert_eq!((step, words.as_str()), (1, "held: 49 of 100 mails were sent, less than 50 per cent"));
    let (step, words) = after(DayCounts { sent: 100, delivered: 88, deferred: 12, failed: 0 });
    assert_eq!((step, words.as_str()), (1, "held: 12 of 100 answers were deferrals, more than 10 per cent"));
    let (step, words) = after(DayCounts { sent: 100, delivered: 95, deferred: 0, failed: 5 });
    assert_eq!((step, words.as_str()), (1, "held: 5 of 100 mails failed for good, more than 3 per cent"));
    let (step, words) = after(good(50));
    assert_eq!((step, words.as_str()), (2, "raised: the day before was used and went well"));
}

#[test]
fn r24_a_few_bad_answers_are_chance() {
    let policy = policy(&[10, 20]);
    let counts = DayCounts { sent: 10, delivered: 2, deferred: 4, failed: 4 };
    let (next, decision) = Warmup::new(DAY).advance(&policy, &counts, DAY + 1).unwrap();
    assert_eq!((next.step, decision), (2, Decision::Raised), "four are fewer than evidence_min");
}

#[test]
fn r24_very_many_deferrals_take_one_step_back() {
    let policy = policy(&[50, 100, 250]);
    let counts = DayCounts { sent: 100, delivered: 70, deferred: 30, failed: 0 };
    let back = |warmup: Warmup| warmup.advance(&policy, &counts, DAY + 1).unwrap().0;
    assert_eq!(back(Warmup { step: 2, day: DAY, finished: false }).step, 1);
    assert_eq!(back(Warmup { step: 1, day: DAY, finished: false }).step, 1);
    let was_warm = back(Warmup { step: 3, day: DAY, finished: true });
    assert_eq!((was_warm.step, was_warm.finished), (3, false), "warm no more, at the schedule's last day");
}

#[test]
fn r24_thirty_days_without_mail_begin_again() {
    let policy = policy(&[50, 100, 250]);
    for finished in [false, true] {
        let warmup = Warmup { step: 3, day: DAY, finished };
        let (next, _) = warmup.advance(&policy, &good(250), DAY + 30).unwrap();
        assert_eq!(next.step, 3, "29 days lie between");
        let (next, decision) = warmup.advance(&policy, &good(250), DAY + 31).unwrap();
        assert_eq!((next.step, next.finished, decision), (1, false, Decision::Idle { days: 30 }));
    }
}

#[test]
fn r24_a_manual_warm_up_limits_nothing_and_learns_all_the_same() {
    let policy = policy(&[50, 100]);
    let warmup = Warmup::new(DAY);
    assert_eq!(warmup.room(&policy, WarmupType::Manual, 1_000), Room::Unlimited { sent: 1_000 });
    let (next, _) = warmup.advance(&policy, &good(1_000), DAY + 1).unwrap();
    assert_eq!(next.room(&policy, WarmupType::System, 30), Room::Mails(70));
}

#[test]
fn r24_an_address_being_warmed_comes_before_a_warm_one() {
    let (full, warm, busy) = (Room::Mails(0), Room::Unlimited { sent: 5 }, Room::Unlimited { sent: 9 });
    assert_eq!(choose(&[warm, Room::Mails(1), Room::Mails(7)]), Some(2));
    assert_eq!(choose(&[full, busy, warm]), Some(2), "the overflow goes to the warm one that has sent least");
    assert_eq!(choose(&[full, full]), None, "to shared addresses");
    assert_eq!(choose(&[]), None);
    assert_eq!(choose(&[Room::Mails(3), Room::Mails(3)]), Some(0));
}

#[test]
fn r24_only_a_providers_judgement_is_evidence() {
    use ErrorClassification as Class;
    let of = |disposition, class, code: Option<u16>, phase| {
        Evidence::of(disposition, class, Evidence::was_answered(phase, code))
    };
    let (temporary, permanent) = (Disposition::Temporary, Disposition::Permanent);
    for (disposition, class, code, phase, expected) in [
        (Disposition::Delivered, Class::SendOk, Some(250), Phase::Final, Some(Evidence::Delivered)),
        (temporary, Class::SmtpIPFreq, Some(421), Phase::Greeting, Some(Evidence::Deferred)),
        (temporary, Class::SmtpZTempErr, Some(451), Phase::Rcpt, Some(Evidence::Deferred)),
        (temporary, Class::SmtpGreylist, Some(451), Phase::Rcpt, None),
        (temporary, Class::SmtpBoxFull, Some(452), Phase::Rcpt, None),
        (temporary, Class::SysOutConnFail, None, Phase::Connect, None),
        (temporary, Class::SysOutConnTimeout, None, Phase::Rcpt, None),
        (permanent, Class::SmtpNxBox, Some(550), Phase::Rcpt, Some(Evidence::Failed)),
        (permanent, Class::SysOutDnsResolveFail, None, Phase::Dns, None),
    ] {
        assert_eq!(of(disposition, class, code, phase), expected, "{class} {phase}");
    }
}

#[test]
fn r24_a_policy_that_cannot_be_says_why() {
    let wrong = |change: fn(&mut WarmupPolicy)| {
        let mut policy = WarmupPolicy::default();
        change(&mut policy);
        policy.check().unwrap_err().to_string()
    };
    WarmupPolicy::default().check().expect("the default");
    assert!(wrong(|policy| policy.used_percent = 101).contains("used_percent"));
    assert!(wrong(|policy| policy.hold_failed_percent = -1).contains("hold_failed_percent"));
    assert!(wrong(|policy| policy.back_deferred_percent = 10).contains("above"));
    assert!(wrong(|policy| policy.evidence_min = 0).contains("evidence_min"));
    assert!(wrong(|policy| policy.idle_days = 0).contains("idle_days"));
}

prop_compose! {
    fn schedules()(steps in prop::collection::vec(0i64..5_000, 1..40)) -> Vec<i64> {
        steps.iter().scan(1, |sum, step| { *sum += step; Some(*sum) }).collect()
    }
}

prop_compose! {
    fn days()(sent in 0i64..20_000, delivered in 0i64..10_000, deferred in 0i64..2_000, failed in 0i64..2_000)
        -> DayCounts { DayCounts { sent, delivered, deferred, failed } }
}

fn warmups(last: i64) -> impl Strategy<Value = Warmup> {
    (1..=last, any::<bool>()).prop_map(move |(step, finished)| Warmup {
        step: if finished { last } else { step },
        day: DAY,
        finished,
    })
}

proptest! {
    #[test]
    fn r24_one_step_at_most_and_never_above_the_schedule(
        daily in schedules(),
        history in prop::collection::vec((days(), 1i64..40), 1..60),
    ) {
        let policy = policy(&daily);
        let mut warmup = Warmup::new(DAY);
        for (used_days, (counts, gap)) in (1i64..).zip(history) {
            if let Some(allowance) = warmup.allowance(&policy, WarmupType::System) {
                prop_assert!(allowance <= policy.schedule.mails(used_days));
            } else {
                prop_assert!(used_days > policy.schedule.days());
            }
            let before = warmup;
            (warmup, _) = warmup.advance(&policy, &counts, warmup.day + gap).expect("a later day");
            prop_assert!((1..=policy.schedule.days()).contains(&warmup.step));
            prop_assert!(warmup.step + i64::from(warmup.finished) <= before.step + i64::from(before.finished) + 1);
        }
    }

    #[test]
    fn r24_better_results_never_lead_to_a_lower_step(
        (daily, warmup) in schedules().prop_flat_map(|daily| {
            let last = daily.len() as i64;
            (Just(daily), warmups(last))
        }),
        worse in days(),
        (more_sent, more_delivered) in (0i64..20_000, 0i64..10_000),
        (deferred_kept, failed_kept, turned) in (0.0f64..=1.0, 0.0f64..=1.0, any::<bool>()),
    ) {
        let policy = policy(&daily);
        let deferred = (worse.deferred as f64 * deferred_kept) as i64;
        let failed = (worse.failed as f64 * failed_kept) as i64;
        // What was deferred or failed either did not happen or was delivered instead.
        let instead = if turned { worse.deferred - deferred + worse.failed - failed } else { 0 };
        let shares_fall = turned || (deferred_kept == 1.0 && failed_kept == 1.0);
        let (deferred, failed) = if shares_fall { (deferred, failed) } else { (worse.deferred, worse.failed) };
        let better = DayCounts {
            sent: worse.sent + more_sent,
            delivered: worse.delivered + more_delivered + instead,
            deferred,
            failed,
        };
        prop_assert!(rank(&policy, warmup, &better) >= rank(&policy, warmup, &worse));
    }

    #[test]
    fn r24_what_is_chosen_has_room(rooms in prop::collection::vec(
        prop_oneof![(0i64..5).prop_map(Room::Mails), (0i64..5).prop_map(|sent| Room::Unlimited { sent })], 0..8))
    {
        match choose(&rooms) {
            Some(index) => prop_assert_ne!(rooms[index], Room::Mails(0)),
            None => prop_assert!(rooms.iter().all(|room| *room == Room::Mails(0))),
        }
    }
}
