use proptest::prelude::*;

use super::*;
use crate::ledger::charge::{Purse, Source};
use crate::ledger::free_credit::FreeCredit;
use crate::ledger::package::Closed;
use crate::time::{HOUR_MICROS, zone};

/// One mail an hour.
const HOURLY: Pace = Pace { mails: 24, days: 1 };

fn hours(hours: i64) -> UnixMicros {
    UnixMicros(hours * HOUR_MICROS)
}

fn package(id: &str, remaining: i64, starts: i64, ends: i64) -> Package {
    Package {
        instance_id: id.into(),
        granted: remaining.max(1_000),
        remaining,
        purchased_at: hours(starts.min(0)),
        starts_at: hours(starts),
        ends_at: hours(ends),
        closed: None,
    }
}

fn outlooks(forecast: &Forecast) -> Vec<Outlook> {
    forecast.packages.iter().map(|package| package.outlook).collect()
}

#[test]
fn r05_the_worked_example_of_the_module() {
    let packages = [package("DMBAG-B", 3, 0, 10), package("DMBAG-A", 8, 0, 6)];
    let forecast = forecast(&packages, HOURLY, hours(0));
    // Mails 1 to 5 come within A's validity; the sixth comes at its end instant, which is too late (R09).
    assert_eq!(outlooks(&forecast), [Outlook::RunsOut { at: hours(8) }, Outlook::Lapses { mails: 3 }]);
    assert_eq!((forecast.usable_mails, forecast.lapsing_mails, forecast.runs_out_at), (11, 3, None));
    assert_eq!(forecast.pay_as_you_go_from, Some(hours(9)));
}

#[test]
fn r09_a_last_mail_at_the_end_instant_lapses() {
    let (just, missed) = ([package("DMBAG-1", 5, 0, 6)], [package("DMBAG-1", 6, 0, 6)]);
    let (just, missed) = (forecast(&just, HOURLY, hours(0)), forecast(&missed, HOURLY, hours(0)));
    assert_eq!(outlooks(&just), [Outlook::RunsOut { at: hours(5) }]);
    assert_eq!(just.runs_out_at, Some(hours(5)));
    assert_eq!(outlooks(&missed), [Outlook::Lapses { mails: 1 }]);
    assert_eq!((just.pay_as_you_go_from, missed.pay_as_you_go_from), (Some(hours(6)), Some(hours(6))));
}

#[test]
fn r13_without_usage_all_that_is_left_lapses() {
    let packages = [package("DMBAG-1", 5, 0, 6), package("DMBAG-2", 7, 6, 12)];
    for pace in [Pace { mails: 0, days: 7 }, Pace { mails: 5, days: 0 }, Pace { mails: -1, days: 1 }] {
        let forecast = forecast(&packages, pace, hours(0));
        assert_eq!(outlooks(&forecast), [Outlook::Lapses { mails: 5 }, Outlook::Lapses { mails: 7 }]);
        assert_eq!((forecast.lapsing_mails, forecast.runs_out_at), (12, None));
        assert_eq!(forecast.pay_as_you_go_from, None);
    }
}

#[test]
fn a_package_with_nothing_to_use_is_over() {
    let refunded = Package { closed: Some(Closed::Refund), ..package("DMBAG-1", 5, 0, 60) };
    let packages = [refunded, package("DMBAG-2", 0, 0, 60), package("DMBAG-3", 5, -9, 0)];
    let forecast = forecast(&packages, HOURLY, hours(0));
    assert_eq!(outlooks(&forecast), [Outlook::Over; 3]);
    assert_eq!((forecast.usable_mails, forecast.lapsing_mails, forecast.runs_out_at), (0, 0, None));
    assert_eq!(forecast.pay_as_you_go_from, Some(hours(1)));
}

#[test]
fn an_upcoming_package_pays_from_its_start_and_first_if_it_ends_first() {
    let packages = [package("DMBAG-1", 20, 0, 100), package("DMBAG-2", 4, 10, 15)];
    let forecast = forecast(&packages, HOURLY, hours(0));
    // 9 mails before hour 10, then four from the second package, then the eleven that are left.
    assert_eq!(outlooks(&forecast), [Outlook::RunsOut { at: hours(24) }, Outlook::RunsOut { at: hours(13) }]);
    assert_eq!((forecast.runs_out_at, forecast.pay_as_you_go_from), (Some(hours(24)), Some(hours(25))));
}

#[test]
fn r04_a_gap_before_an_upcoming_package_is_paid_as_you_go() {
    let packages = [package("DMBAG-1", 2, 0, 100), package("DMBAG-2", 2, 10, 100)];
    let gap = forecast(&packages, HOURLY, hours(0));
    assert_eq!(gap.pay_as_you_go_from, Some(hours(3)));
    assert_eq!(outlooks(&gap)[1], Outlook::RunsOut { at: hours(11) });
    let no_mail_in_the_gap = [package("DMBAG-1", 2, 0, 100), package("DMBAG-2", 2, 3, 100)];
    assert_eq!(forecast(&no_mail_in_the_gap, HOURLY, hours(0)).pay_as_you_go_from, Some(hours(5)));
}

#[test]
fn r05_same_ends_go_to_the_earlier_purchase_then_the_smaller_id() {
    let mut packages =
        [package("DMBAG-9", 2, 0, 100), package("DMBAG-3", 2, 0, 100), package("DMBAG-5", 2, 0, 100)];
    packages[2].purchased_at = hours(-5);
    let at = |hour| Outlook::RunsOut { at: hours(hour) };
    assert_eq!(outlooks(&forecast(&packages, HOURLY, hours(0))), [at(6), at(4), at(2)]);
}

#[test]
fn r08_days_are_counted_as_a_person_counts_them() {
    let berlin = zone("Europe/Berlin").unwrap();
    let at = |text: &str| UnixMicros::parse(text).unwrap();
    // The last usable day is Sunday 2026-10-25, which has 25 hours.
    let end = at("2026-10-26T00:00:00+01:00");
    for (now, days) in [
        ("2026-10-23T23:59:59+02:00", Some(2)),
        ("2026-10-24T00:00:00+02:00", Some(1)),
        ("2026-10-25T00:00:00+02:00", Some(0)),
        ("2026-10-25T23:59:59.999999+01:00", Some(0)),
        ("2026-10-26T00:00:00+01:00", None),
    ] {
        assert_eq!(days_left(&berlin, at(now), end), days, "{now}");
    }
}

mod fitting_size {
    use super::*;

    fn utc() -> TimeZone {
        TimeZone::UTC
    }

    /// 2026-01-01: bought then, a package is valid for 182 days.
    fn new_year() -> UnixMicros {
        UnixMicros::parse("2026-01-01T00:00:00Z").unwrap()
    }

    /// What fits an account without packages for which 182 days bring `mails` mails.
    fn fits(mails: i64) -> Fitting {
        // The last microsecond of the window is where the last mail of the pace would come: one more is wanted.
        let pace = Pace { mails: mails + 1, days: 182 };
        let fitting = fitting(&[], pace, &PriceList::default(), &utc(), new_year()).unwrap();
        assert_eq!((fitting.demand_mails, fitting.uncovered_mails), (mails, mails));
        assert_eq!(fitting.until, UnixMicros::parse("2026-07-02T00:00:00Z").unwrap());
        fitting
    }

    fn buy(mails: i64, quantity: i64) -> Advice {
        Advice::Buy { offer: PriceList::default().offer(mails).unwrap(), quantity }
    }

    #[test]
    fn r07_the_cheapest_way_at_the_prices_of_the_rule() {
        // 45,000 mails cost as much as a package of 50,000: not one mail earlier is it cheaper.
        assert_eq!(fits(45_000).advice, Advice::PayAsYouGo);
        assert_eq!(fits(45_001).advice, buy(50_000, 1));
        assert_eq!(fits(60_000).advice, buy(50_000, 1));
        assert_eq!(fits(100_000).advice, buy(50_000, 2));
        // 500,000 at 121.80 against nine at 13.05 and the rest: 117.45 and 15,000 × 0.00029 = 4.35 is just that.
        assert_eq!(fits(465_000).advice, buy(50_000, 9));
        assert_eq!(fits(465_001).advice, buy(500_000, 1));
        assert_eq!(fits(20_000_000).advice, buy(5_000_000, 4));
    }

    #[test]
    fn the_reason_is_the_cost_of_each_alternative() {
        let costs: Vec<_> = fits(60_000)
            .alternatives
            .iter()
            .map(|way| (way.quantity, way.pay_as_you_go_mails, way.surplus_mails, way.cost.to_string()))
            .collect();
        let as_you_go = |quantity, rest, cost: &str| (quantity, rest, 0, cost.to_owned());
        assert_eq!(
            costs,
            [
                as_you_go(0, 60_000, "17.40"),
                as_you_go(1, 10_000, "15.95"),
                as_you_go(0, 60_000, "17.40"),
                as_you_go(0, 60_000, "17.40"),
                as_you_go(0, 60_000, "17.40"),
            ]
        );
        let filled_in_part = fits(98_000).alternatives[1];
        assert_eq!((filled_in_part.quantity, filled_in_part.surplus_mails), (2, 2_000));
    }

    #[test]
    fn what_the_packages_at_hand_pay_for_is_not_bought_again() {
        let now = new_year();
        let held = |mails, days: i64| Package {
            remaining: mails,
            starts_at: now,
            ends_at: now.plus_micros(days * DAY_MICROS),
            ..package("DMBAG-1", mails, 0, 1)
        };
        let pace = Pace { mails: 1_000, days: 1 };
        let fit = |packages: &[Package]| fitting(packages, pace, &PriceList::default(), &utc(), now).unwrap();
        let enough = fit(&[held(200_000, 300)]);
        assert_eq!((enough.uncovered_mails, &enough.advice), (0, &Advice::Enough));
        assert!(enough.alternatives.is_empty());
        // Large, but it ends after ten days: only what comes till then is covered.
        let lapses = fit(&[held(200_000, 10)]);
        assert_eq!((lapses.demand_mails, lapses.uncovered_mails), (181_999, 181_999 - 9_999));
        assert_eq!(lapses.advice, buy(50_000, 3));
    }

    #[test]
    fn without_usage_nothing_fits() {
        let none = fitting(&[], Pace { mails: 0, days: 30 }, &PriceList::default(), &utc(), new_year());
        assert_eq!(none, None);
    }

    proptest! {
        /// No quantity of any one size, with the rest paid as you go, is cheaper than the advice.
        #[test]
        fn r07_no_quantity_of_one_size_is_cheaper(mails in 1i64..3_000_000) {
            let prices = PriceList::default();
            let (advice, alternatives) = choose(mails, &prices);
            let cheapest = alternatives.iter().map(|way| way.cost).min().unwrap();
            for offer in prices.offers() {
                for quantity in 0..=mails / offer.mails + 2 {
                    let rest = (mails - quantity * offer.mails).max(0);
                    let cost = quantity * offer.price.0 + rest * prices.pay_as_you_go().0;
                    prop_assert!(cheapest.0 <= cost, "{quantity} of {}", offer.mails);
                }
            }
            let advised = match advice {
                Advice::Buy { offer, quantity } => alternatives.iter().find(|way| way.offer == Some(offer) && way.quantity == quantity),
                _ => alternatives.first(),
            };
            prop_assert_eq!(advised.map(|way| way.cost), Some(cheapest));
        }
    }
}

/// The same by charging one mail after the other the way the service charges: the oracle.
struct MailByMail {
    outlooks: Vec<Outlook>,
    unpaid_from: Option<UnixMicros>,
    unpaid_before_window: i64,
}

fn mail_by_mail(packages: &[Package], pace: Pace, now: UnixMicros, window: UnixMicros) -> MailByMail {
    let mut held = packages.to_vec();
    let live: Vec<bool> = packages.iter().map(|package| package.usable_at(now) > 0).collect();
    let mut run_out = vec![None; packages.len()];
    let (mut unpaid_from, mut unpaid_before_window) = (None, 0);
    let last = packages.iter().map(|package| package.ends_at).fold(window, UnixMicros::max);
    let mut free = FreeCredit { total_left: 0, day: 0, day_used: 0 };
    let period = i128::from(pace.days) * i128::from(DAY_MICROS);
    for number in 1i128.. {
        let mut elapsed = number * period / i128::from(pace.mails);
        if elapsed * i128::from(pace.mails) < number * period {
            elapsed += 1;
        }
        let at = UnixMicros(now.0 + i64::try_from(elapsed).unwrap());
        let mut payg = 0;
        let mut purse = Purse { free: &mut free, packages: &mut held, pay_as_you_go_mails: &mut payg };
        let charge = purse.charge(at, 1, 200, 1).remove(0);
        match charge.source {
            Source::Package(id) if charge.after == 0 => {
                let index = packages.iter().position(|package| package.instance_id == id).unwrap();
                run_out[index] = Some(at);
            }
            Source::Package(_) => {}
            Source::Free => panic!("there is no free credit"),
            Source::PayAsYouGo => {
                unpaid_from = unpaid_from.or(Some(at));
                unpaid_before_window += i64::from(at < window);
            }
        }
        if at > last && unpaid_from.is_some() {
            break;
        }
    }
    let outlook = |(index, package): (usize, &Package)| match (live[index], run_out[index]) {
        (false, _) => Outlook::Over,
        (true, Some(at)) => Outlook::RunsOut { at },
        (true, None) => {
            let left = held.iter().find(|held| held.instance_id == package.instance_id).unwrap();
            Outlook::Lapses { mails: left.remaining }
        }
    };
    MailByMail {
        outlooks: packages.iter().enumerate().map(outlook).collect(),
        unpaid_from,
        unpaid_before_window,
    }
}

/// Packages whose ends, starts and purchases often coincide with one another and with mails.
fn some_packages() -> impl Strategy<Value = Vec<Package>> {
    let one = (0i64..60, -20i64..60, 1i64..40, -3i64..0, prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..9).prop_map(|all| {
        let build = |(index, one): (usize, (i64, i64, i64, i64, bool))| {
            let (remaining, starts, length, bought, upgraded) = one;
            Package {
                purchased_at: hours(bought),
                closed: upgraded.then_some(Closed::Upgrade),
                ..package(&format!("DMBAG-{}", 9 - index), remaining, starts, starts + length)
            }
        };
        all.into_iter().enumerate().map(build).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

    #[test]
    fn r05_the_walk_over_events_is_the_walk_over_mails(
        packages in some_packages(), mails in 1i64..80, days in 1i64..4, window in 0i64..120, shift in 0i64..2
    ) {
        // Half of the runs have an instant of mail on every boundary, the others off it by a microsecond.
        let now = hours(0).plus_micros(shift);
        let pace = Pace { mails, days };
        let oracle = mail_by_mail(&packages, pace, now, hours(window));
        let forecast = forecast(&packages, pace, now);
        prop_assert_eq!(outlooks(&forecast), oracle.outlooks);
        prop_assert_eq!(forecast.pay_as_you_go_from, oracle.unpaid_from);
        let walk = Walk::new(&packages, pace, now, i128::from(hours(window).0) - i128::from(now.0)).run();
        prop_assert_eq!(walk.unpaid_in_window, i128::from(oracle.unpaid_before_window));
    }

    /// R25: what is left now is drawn or lapses, whatever the pace.
    #[test]
    fn r25_used_and_lapsing_mails_add_up(packages in some_packages(), mails in 0i64..5_000, days in 1i64..4) {
        let forecast = forecast(&packages, Pace { mails, days }, hours(0));
        let lapsing = forecast.packages.iter().map(|package| match package.outlook {
            Outlook::Lapses { mails } => mails,
            _ => 0,
        });
        prop_assert_eq!(lapsing.sum::<i64>(), forecast.lapsing_mails);
        prop_assert!(forecast.lapsing_mails <= forecast.usable_mails);
    }

    /// Any integers at all: no overflow, no endless walk.
    #[test]
    fn no_number_is_too_large(
        all in prop::collection::vec(any::<(i64, i64, i64, i64)>(), 0..6), mails: i64, days: i64, now: i64
    ) {
        let build = |(index, (remaining, bought, starts, ends)): (usize, (i64, i64, i64, i64))| Package {
            remaining,
            purchased_at: UnixMicros(bought),
            starts_at: UnixMicros(starts),
            ends_at: UnixMicros(ends),
            ..package(&format!("DMBAG-{index}"), 0, 0, 1)
        };
        let packages: Vec<_> = all.into_iter().enumerate().map(build).collect();
        let (pace, now) = (Pace { mails, days }, UnixMicros(now));
        let forecast = forecast(&packages, pace, now);
        prop_assert_eq!(forecast.packages.len(), packages.len());
        prop_assert!(forecast.runs_out_at.is_none_or(|at| at > now));
        let fitting = fitting(&packages, pace, &PriceList::default(), &TimeZone::UTC, now);
        prop_assert_eq!(fitting.is_some(), mails > 0 && days > 0);
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let all = Package {
        remaining: i64::MAX,
        purchased_at: UnixMicros(i64::MIN),
        starts_at: UnixMicros(i64::MIN),
        ends_at: UnixMicros(i64::MAX),
        ..package("DMBAG-1", 0, 0, 1)
    };
    let packages = [all.clone(), Package { instance_id: "DMBAG-2".into(), ..all }];
    for days in [1, i64::MAX] {
        let pace = Pace { mails: i64::MAX, days };
        let forecast = forecast(&packages, pace, UnixMicros(i64::MIN));
        assert_eq!(forecast.usable_mails, i64::MAX, "saturated");
        let prices = PriceList::new(
            vec![Offer { mails: 1, price: MoneyMicros(i64::MAX - 1) }],
            MoneyMicros(i64::MAX),
            120,
        );
        let fitting = fitting(&[], pace, &prices.unwrap(), &TimeZone::UTC, UnixMicros(0)).unwrap();
        assert!(matches!(fitting.advice, Advice::Buy { .. }), "{days}");
        assert_eq!(fitting.alternatives[1].cost, MoneyMicros(i64::MAX), "saturated");
    }
}
