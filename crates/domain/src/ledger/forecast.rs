//! What becomes of an account's packages if it goes on sending as it does now, and which package would fit.
//!
//! The model: mails come evenly. At a pace of `m` mails in `d` days the k-th mail from now comes in the first
//! microsecond at which `k` mails are due, `now + ceil(k × d × 24 h / m)`, and is paid as any mail is: by the
//! package in its validity that ends first, ties as in R05; by pay-as-you-go where there is none (R04). The pace
//! counts mails beyond the free credit, which is no package's business (R06).
//!
//! The algorithm walks from event to event, never from mail to mail. Between two events (a package starts, ends
//! or runs out) one package pays for everything, and how many mails come meanwhile is one integer division. The
//! packages that have started wait in a heap in paying order, so that n packages cost O(n log n), whatever their
//! sizes. All of it is exact: intermediate products are `i128`, where the longest time that two instants can be
//! apart, multiplied by the largest pace, has room (2^64 × 2^63).
//!
//! ```text
//! pace: 24 mails in 1 day, one at every full hour       hour  0   1   2   3   4   5   6   7   8   9  10
//! A: 8 mails left, ends at hour 6; 3 of them lapse                A   A   A   A   A   |
//! B: 3 mails left, ends at hour 10; runs out at hour 8                                B   B   B       |
//! pay-as-you-go from hour 9                                                                       *   *
//! ```

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::tz::TimeZone;

use super::package::Package;
use super::price::{Offer, PriceList};
use crate::money::MoneyMicros;
use crate::time::{DAY_MICROS, UnixMicros, local_day, validity_end};

#[cfg(test)]
mod tests;

/// How fast an account draws on what it pays for: `mails`, free credit not counted, over `days` whole days.
/// Where either is not above zero there is no usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub mails: i64,
    pub days: i64,
}

/// What becomes of one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nothing is left that could still be used: used up, ended or refunded.
    Over,
    /// Its last mail is drawn at this instant, before its end.
    RunsOut { at: UnixMicros },
    /// It does not run out before its end, where this many mails lapse (R13).
    Lapses { mails: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageForecast {
    pub instance_id: String,
    pub outlook: Outlook,
}

/// What becomes of all packages of an account at one pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// One for each package, in the order in which they were given.
    pub packages: Vec<PackageForecast>,
    /// Mails left in packages that have not ended, upcoming ones included.
    pub usable_mails: i64,
    /// How many of those lapse if nothing changes.
    pub lapsing_mails: i64,
    /// When the last package runs out; `None` when there is nothing to run out, or something lapses instead.
    pub runs_out_at: Option<UnixMicros>,
    /// When the first mail comes that no package pays for; `None` without usage.
    pub pay_as_you_go_from: Option<UnixMicros>,
}

/// Forecasts all `packages` of one account from `now` on.
pub fn forecast(packages: &[Package], pace: Pace, now: UnixMicros) -> Forecast {
    let walk = Walk::new(packages, pace, now, 0).run();
    let mut usable: i128 = 0;
    let mut lapsing: i128 = 0;
    let mut runs_out_at = None;
    for (package, outlook) in packages.iter().zip(&walk.outlooks) {
        usable += i128::from(package.usable_at(now).max(0));
        match *outlook {
            Outlook::Over => {}
            Outlook::RunsOut { at } => runs_out_at = runs_out_at.max(Some(at)),
            Outlook::Lapses { mails } => lapsing += i128::from(mails),
        }
    }
    let each = packages.iter().zip(&walk.outlooks);
    Forecast {
        packages: each
            .map(|(package, &outlook)| PackageForecast { instance_id: package.instance_id.clone(), outlook })
            .collect(),
        usable_mails: saturated(usable),
        lapsing_mails: saturated(lapsing),
        runs_out_at: runs_out_at.filter(|_| lapsing == 0),
        pay_as_you_go_from: walk.unpaid_from.map(|elapsed| after(now, elapsed)),
    }
}

/// Whole local days from today to the last day on which the package can be used, as a person counts them: 0 is
/// "today is its last day", 1 is "tomorrow is". `None` when it has ended. The end itself is the midnight that
/// closes that day (R08); a day of 23 or 25 hours counts as one.
pub fn days_left(zone: &TimeZone, now: UnixMicros, ends_at: UnixMicros) -> Option<i64> {
    if now >= ends_at {
        return None;
    }
    let last_day = local_day(zone, ends_at.plus_micros(-1)).number;
    Some(last_day - local_day(zone, now).number)
}

/// What would pay best for the mails that one validity brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitting {
    /// The time looked at: from now to the end of a package bought now, `[now, until)`.
    pub until: UnixMicros,
    /// Mails that come in that time at the pace.
    pub demand_mails: i64,
    /// How many of them no package pays for that the account has already.
    pub uncovered_mails: i64,
    pub advice: Advice,
    /// What the advice was chosen from: pay-as-you-go, then every offer of the price list in ascending size.
    /// Empty when nothing is uncovered.
    pub alternatives: Vec<Alternative>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// The packages that the account has pay for all of it.
    Enough,
    /// No package is cheaper for so few mails.
    PayAsYouGo,
    /// So many packages of this size; what they do not cover is cheaper as pay-as-you-go than in one more.
    Buy { offer: Offer, quantity: i64 },
}

/// One way to pay for the uncovered mails. The cheapest quantity of its offer: as many as the mails fill, and one
/// more where that is cheaper than paying for the rest as you go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternative {
    /// `None` is pay-as-you-go alone.
    pub offer: Option<Offer>,
    /// Packages of that offer; 0 where not even one is worth it, and for pay-as-you-go alone.
    pub quantity: i64,
    /// Mails left to pay-as-you-go.
    pub pay_as_you_go_mails: i64,
    /// Mails bought beyond what comes: they would lapse.
    pub surplus_mails: i64,
    /// Packages and pay-as-you-go together, before the rounding of hourly bills (R10). Amounts are compared
    /// exactly; one beyond what can be booked is given as the largest amount.
    pub cost: MoneyMicros,
}

/// Which package size fits the mails that come within one validity from `now` (R07, R08) and that the packages
/// at hand will not pay for. `None` without usage.
///
/// The cheapest wins; among equals the one that binds less money in advance, which is the earlier of the list.
pub fn fitting(
    packages: &[Package],
    pace: Pace,
    prices: &PriceList,
    zone: &TimeZone,
    now: UnixMicros,
) -> Option<Fitting> {
    if pace.mails <= 0 || pace.days <= 0 {
        return None;
    }
    let until = validity_end(zone, now, prices.validity_months());
    let window = i128::from(until.0) - i128::from(now.0);
    let walk = Walk::new(packages, pace, now, window).run();
    let uncovered_mails = saturated(walk.unpaid_in_window);
    let mut fitting = Fitting {
        until,
        demand_mails: saturated(walk.rate.drawn_before(window)),
        uncovered_mails,
        advice: Advice::Enough,
        alternatives: Vec::new(),
    };
    if uncovered_mails > 0 {
        (fitting.advice, fitting.alternatives) = choose(uncovered_mails, prices);
    }
    Some(fitting)
}

/// The cheapest way to pay for `mails`, and all that were compared.
fn choose(mails: i64, prices: &PriceList) -> (Advice, Vec<Alternative>) {
    let as_you_go = i128::from(prices.pay_as_you_go().0);
    let alone = Alternative {
        offer: None,
        quantity: 0,
        pay_as_you_go_mails: mails,
        surplus_mails: 0,
        cost: MoneyMicros(saturated(as_you_go * i128::from(mails))),
    };
    let mut best = (as_you_go * i128::from(mails), Advice::PayAsYouGo);
    let mut alternatives = vec![alone];
    for &offer in prices.offers() {
        let (cost, alternative) = best_quantity(mails, offer, as_you_go);
        if cost < best.0 {
            best = (cost, Advice::Buy { offer, quantity: alternative.quantity });
        }
        alternatives.push(alternative);
    }
    (best.1, alternatives)
}

/// A mail of a package is always cheaper than pay-as-you-go (R07), so every package that gets filled pays; only
/// the last, filled in part, has to be compared.
fn best_quantity(mails: i64, offer: Offer, as_you_go: i128) -> (i128, Alternative) {
    let (filled, rest) = (mails / offer.mails, mails % offer.mails);
    let price = i128::from(offer.price.0);
    let rest_as_you_go = as_you_go * i128::from(rest);
    let one_more = rest_as_you_go > price;
    let quantity = filled + i64::from(one_more);
    let cost = price * i128::from(quantity) + if one_more { 0 } else { rest_as_you_go };
    let alternative = Alternative {
        offer: Some(offer),
        quantity,
        pay_as_you_go_mails: if one_more { 0 } else { rest },
        surplus_mails: if one_more { offer.mails - rest } else { 0 },
        cost: MoneyMicros(saturated(cost)),
    };
    (cost, alternative)
}

/// When mails come, in microseconds from now.
#[derive(Clone, Copy)]
struct Rate {
    mails: i128,
    period_us: i128,
}

impl Rate {
    fn of(pace: Pace) -> Self {
        if pace.mails <= 0 || pace.days <= 0 {
            return Rate { mails: 0, period_us: 1 };
        }
        Rate { mails: i128::from(pace.mails), period_us: i128::from(pace.days) * i128::from(DAY_MICROS) }
    }

    /// How many mails come in `[now, now + elapsed)`.
    fn drawn_before(self, elapsed: i128) -> i128 {
        (elapsed - 1).max(0) * self.mails / self.period_us
    }

    /// When mail `number` comes, counted from 1. `None`: never, or beyond all that can be said in numbers.
    fn instant_of(self, number: i128) -> Option<i128> {
        if self.mails == 0 {
            return None;
        }
        let due = number.checked_mul(self.period_us)?;
        Some(due / self.mails + i128::from(due % self.mails != 0))
    }
}

/// A package that has started and has mails left. Its derived order is the paying order (R05).
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Open<'a> {
    ends: i128,
    purchased_at: UnixMicros,
    instance_id: &'a str,
    index: usize,
    left: i64,
}

/// One walk over the events. Times are microseconds from now.
struct Walk<'a> {
    packages: &'a [Package],
    now: UnixMicros,
    rate: Rate,
    /// Packages that have not started, the next to start last: (start, index).
    waiting: Vec<(i128, usize)>,
    /// The one that pays first on top.
    open: BinaryHeap<Reverse<Open<'a>>>,
    /// Mails that have come so far.
    drawn: i128,
    outlooks: Vec<Outlook>,
    unpaid_from: Option<i128>,
    /// Unpaid mails before this instant are counted.
    window: i128,
    unpaid_in_window: i128,
}

impl<'a> Walk<'a> {
    fn new(packages: &'a [Package], pace: Pace, now: UnixMicros, window: i128) -> Self {
        let elapsed = |at: UnixMicros| i128::from(at.0) - i128::from(now.0);
        let usable = packages.iter().enumerate().filter(|(_, package)| package.usable_at(now) > 0);
        let mut waiting: Vec<_> =
            usable.map(|(index, package)| (elapsed(package.starts_at), index)).collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        Walk {
            packages,
            now,
            rate: Rate::of(pace),
            waiting,
            open: BinaryHeap::new(),
            drawn: 0,
            outlooks: vec![Outlook::Over; packages.len()],
            unpaid_from: None,
            window,
            unpaid_in_window: 0,
        }
    }

    /// Every round opens, uses up or ends a package, or comes to the instant at which the next one starts or
    /// ends: at most four rounds a package.
    fn run(mut self) -> Self {
        let mut at: i128 = 0;
        let mut rounds = 0;
        loop {
            rounds += 1;
            debug_assert!(rounds <= 4 * self.packages.len() + 1, "the walk does not come forward");
            self.open_started(at);
            self.close_ended(at);
            let next_start = self.waiting.last().map(|&(start, _)| start);
            let Some(Reverse(mut first)) = self.open.pop() else {
                self.leave_unpaid(next_start);
                match next_start {
                    Some(start) => at = start,
                    None => return self,
                }
                continue;
            };
            let until = next_start.map_or(first.ends, |start| start.min(first.ends));
            let coming = self.rate.drawn_before(until) - self.drawn;
            if coming < i128::from(first.left) {
                self.drawn += coming;
                // Less than `left`, which is an i64.
                first.left -= coming as i64;
                at = until;
                self.open.push(Reverse(first));
            } else {
                self.drawn += i128::from(first.left);
                // The last of these mails comes before `until`, so its instant is within range.
                at = self.rate.instant_of(self.drawn).unwrap_or(until);
                self.outlooks[first.index] = Outlook::RunsOut { at: after(self.now, at) };
            }
        }
    }

    fn open_started(&mut self, at: i128) {
        while let Some((_, index)) = self.waiting.pop_if(|(start, _)| *start <= at) {
            let package = &self.packages[index];
            self.open.push(Reverse(Open {
                ends: i128::from(package.ends_at.0) - i128::from(self.now.0),
                purchased_at: package.purchased_at,
                instance_id: &package.instance_id,
                index,
                left: package.remaining,
            }));
        }
    }

    fn close_ended(&mut self, at: i128) {
        while let Some(Reverse(first)) = self.open.peek() {
            if first.ends > at {
                return;
            }
            self.outlooks[first.index] = Outlook::Lapses { mails: first.left };
            self.open.pop();
        }
    }

    /// No package pays until `until`, or ever again.
    fn leave_unpaid(&mut self, until: Option<i128>) {
        let coming = until.map(|until| self.rate.drawn_before(until));
        if coming.is_none_or(|coming| coming > self.drawn) {
            self.unpaid_from = self.unpaid_from.or_else(|| self.rate.instant_of(self.drawn + 1));
        }
        let counted = until.map_or(self.window, |until| until.min(self.window));
        self.unpaid_in_window += (self.rate.drawn_before(counted) - self.drawn).max(0);
        self.drawn = coming.unwrap_or(self.drawn);
    }
}

fn after(now: UnixMicros, elapsed: i128) -> UnixMicros {
    UnixMicros(saturated(i128::from(now.0) + elapsed))
}

fn saturated(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}
