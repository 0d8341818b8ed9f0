//! What became of mail over time: shares by day as pictures, and the same mails by provider, domain, sender address
//! and tag. Counted by local day of acceptance; a row's name is a link that keeps only its mails. By day a report of a
//! recipient and a verdict of a provider are one count: mails that somebody called spam.

use std::collections::HashMap;

use indicia_domain::{
    mail::provider::Provider,
    quota::{
        evidence::{Counts, Measure},
        policy::QuotaPolicy,
        rate::{Ppm, Rate},
    },
    time::civil_date,
};
use indicia_store::evidence::{DayOutcome, OutcomeFilter, OutcomeGroup};

use super::standing::measure_badge;
use crate::{
    ConsoleState,
    charts::{Ink, Segment, StackedBar, Trend, TrendLine, TrendPoint},
    components::Badge,
    error::ConsoleError,
    format::{self, mails},
    pages::{mails::day_number, with_query},
    session::viewer::AccountView,
};

/// Days that are shown where nothing else is asked for.
pub const DAYS: i64 = 30;

/// Which mails are shown.
#[derive(Clone, Debug)]
pub struct Selection {
    pub days: i64,
    pub filter: OutcomeFilter,
}

impl Default for Selection {
    fn default() -> Self {
        Selection { days: DAYS, filter: OutcomeFilter::default() }
    }
}

impl Selection {
    /// The address of these mails, below the account's page about them.
    pub fn href(&self, path: &str) -> String {
        let text = |id: Option<i64>| id.map_or_else(String::new, |id| id.to_string());
        let (domain, sender) = (text(self.filter.domain_id), text(self.filter.sender_id));
        let days = if self.days == DAYS { String::new() } else { self.days.to_string() };
        let tag = self.filter.tag.as_deref();
        let provider = self.filter.provider.map_or("", Provider::as_str);
        let fields = [
            ("days", days.as_str()),
            ("domain", &domain),
            ("sender", &sender),
            ("tag", tag.unwrap_or_default()),
            ("untagged", if tag == Some("") { "1" } else { "" }),
            ("provider", provider),
        ];
        with_query(path, &fields)
    }

    /// Local days `[from, before)`.
    pub fn bounds(&self, view: &AccountView) -> (i64, i64) {
        let today = day_number(view, view.now);
        (today - self.days + 1, today + 1)
    }
}

/// One day in the table below the pictures.
pub struct DayRow {
    pub day: String,
    pub accepted: String,
    pub arrived: String,
    pub invalid: String,
    pub reported: String,
}

/// The three pictures and their figures.
pub struct Trends {
    pub arrival: Trend,
    pub invalid: Trend,
    pub reported: Trend,
    pub rows: Vec<DayRow>,
    pub is_empty: bool,
}

/// Everything together, in words.
pub struct Totals {
    pub accepted: String,
    pub arrived: String,
    pub invalid: String,
    pub reported: String,
    pub refused: String,
    pub failed: String,
    pub deferred: String,
}

impl Totals {
    pub fn of(counts: &Counts) -> Totals {
        let decided = counts.decided();
        Totals {
            accepted: mails(counts.accepted),
            arrived: format::share_of(Rate::new(counts.delivered, decided)),
            invalid: format::share_of(Rate::new(counts.invalid, decided)),
            reported: format::share_of(Rate::new(counts.reported, decided)),
            refused: format::share_of(Rate::new(counts.spam, decided)),
            failed: format::share_of(Rate::new(counts.failed, decided)),
            deferred: format::share_of(Rate::new(counts.deferred, counts.accepted)),
        }
    }
}

impl Trends {
    pub fn of(policy: &QuotaPolicy, from_day: i64, before_day: i64, days: &[DayOutcome]) -> Trends {
        let by_day: HashMap<i64, &Counts> = days.iter().map(|day| (day.day, &day.counts)).collect();
        let label = |day: i64| civil_date(day).to_string().split_off(5);
        let labels: Vec<String> = (from_day..before_day).map(label).collect();
        let points = |rate: &dyn Fn(&Counts) -> Rate| -> Vec<Option<TrendPoint>> {
            let point = |day: i64| {
                let rate = rate(by_day.get(&day)?);
                let words = format!("{}: {}", label(day), format::share_of(rate));
                (rate.out_of > 0).then(|| TrendPoint { share: rate.share(), out_of: rate.out_of, words })
            };
            (from_day..before_day).map(point).collect()
        };
        let (raise, lower, pause) = (&policy.raise, &policy.lower, &policy.pause);
        let arrived = points(&|counts| Rate::new(counts.delivered, counts.decided()));
        let invalid = points(&|counts| Rate::new(counts.invalid, counts.decided()));
        let reported = points(&|counts| Rate::new(counts.reported, counts.decided()));
        let up = vec![line(raise.arrival, "good from", "good"), line(lower.arrival, "lowers below", "warn")];
        let ends = Trend::axis_to_all(&up, &arrived);
        let arrival = trend("Arrival by day", arrived, up, ends, &labels);
        let down = |raise, lower, pause| {
            vec![
                line(raise, "good below", "good"),
                line(lower, "lowers from", "warn"),
                line(pause, "pauses from", "bad"),
            ]
        };
        let lines = down(raise.invalid, lower.invalid, pause.invalid);
        let ends = Trend::axis_from_zero(&lines, &invalid);
        let invalid = trend("Invalid addresses by day", invalid, lines, ends, &labels);
        let lines = down(raise.reported, lower.reported, pause.reported);
        let ends = Trend::axis_from_zero(&lines, &reported);
        let reported = trend("Called spam by day", reported, lines, ends, &labels);
        Trends {
            arrival,
            invalid,
            reported,
            rows: days.iter().rev().map(day_row).collect(),
            is_empty: days.iter().all(|day| day.counts == Counts::default()),
        }
    }
}

fn line(at: Ppm, words: &str, class: &'static str) -> TrendLine {
    TrendLine { at, words: format!("{words} {at}"), class }
}

fn trend(
    title: &str,
    points: Vec<Option<TrendPoint>>,
    lines: Vec<TrendLine>,
    (from, to): (Ppm, Ppm),
    labels: &[String],
) -> Trend {
    Trend { title: title.to_owned(), points, lines, labels: labels.to_vec(), from, to }
}

fn day_row(day: &DayOutcome) -> DayRow {
    let totals = Totals::of(&day.counts);
    DayRow {
        day: civil_date(day.day).to_string(),
        accepted: totals.accepted,
        arrived: totals.arrived,
        invalid: totals.invalid,
        reported: totals.reported,
    }
}

/// The mails of one provider, domain, sender address or tag.
pub struct GroupRow {
    pub name: String,
    /// To these mails alone; `None` where they cannot be named.
    pub href: Option<String>,
    pub accepted: String,
    pub arrived: String,
    pub invalid: String,
    pub invalid_badge: Badge,
    pub reported: String,
    pub reported_badge: Badge,
    pub refused: String,
    pub deferred: String,
    pub bar: StackedBar,
}

/// A table of groups.
pub struct GroupTable {
    pub title: &'static str,
    pub column: &'static str,
    pub rows: Vec<GroupRow>,
    /// Rows beyond those shown.
    pub more: usize,
}

/// Rows of a group that are shown; an account may have thousands of tags.
const ROWS_MAX: usize = 50;

/// Reads a group of the selected mails.
pub async fn group(
    state: &ConsoleState,
    view: &AccountView,
    selection: &Selection,
    by: OutcomeGroup,
    path: &str,
) -> Result<GroupTable, ConsoleError> {
    let (from, before) = selection.bounds(view);
    let groups = state.store.outcomes_by(view.id(), from, before, &selection.filter, by).await?;
    let names = names(state, view, by).await?;
    let policy = state.store.quota_policy();
    let row = |(key, counts): &(String, Counts)| {
        let (name, only) = described(by, key, &names);
        let href = only.map(|change| {
            let mut narrowed = selection.clone();
            change(&mut narrowed.filter);
            narrowed.href(path)
        });
        group_row(&policy, name, href, counts)
    };
    let (title, column) = match by {
        OutcomeGroup::Provider => ("By mailbox provider", "Provider"),
        OutcomeGroup::Domain => ("By domain", "Domain"),
        OutcomeGroup::Sender => ("By sender address", "Sender address"),
        OutcomeGroup::Tag => ("By tag", "Tag"),
    };
    Ok(GroupTable {
        title,
        column,
        rows: groups.iter().take(ROWS_MAX).map(row).collect(),
        more: groups.len().saturating_sub(ROWS_MAX),
    })
}

/// The names of ids.
async fn names(
    state: &ConsoleState,
    view: &AccountView,
    by: OutcomeGroup,
) -> Result<HashMap<String, String>, ConsoleError> {
    Ok(match by {
        OutcomeGroup::Domain => {
            let domains = state.store.domains(view.id()).await?;
            domains.into_iter().map(|domain| (domain.domain_id.to_string(), domain.name)).collect()
        }
        OutcomeGroup::Sender => {
            let senders = state.store.senders(view.id()).await?;
            senders.into_iter().map(|sender| (sender.sender_id.to_string(), sender.address)).collect()
        }
        OutcomeGroup::Tag | OutcomeGroup::Provider => HashMap::new(),
    })
}

type Narrowing = Box<dyn Fn(&mut OutcomeFilter)>;

/// A group's name for people, and how a filter keeps only it.
fn described(by: OutcomeGroup, key: &str, names: &HashMap<String, String>) -> (String, Option<Narrowing>) {
    let named = |what: &str| names.get(key).cloned().unwrap_or_else(|| format!("{what} {key} (deleted)"));
    let id = key.parse::<i64>().ok();
    match by {
        OutcomeGroup::Domain => (
            named("domain"),
            id.map(|id| Box::new(move |filter: &mut OutcomeFilter| filter.domain_id = Some(id)) as Narrowing),
        ),
        OutcomeGroup::Sender => (
            named("address"),
            id.map(|id| Box::new(move |filter: &mut OutcomeFilter| filter.sender_id = Some(id)) as Narrowing),
        ),
        OutcomeGroup::Tag => {
            let tag = key.to_owned();
            let name = if tag.is_empty() { "without a tag".to_owned() } else { tag.clone() };
            (name, Some(Box::new(move |filter: &mut OutcomeFilter| filter.tag = Some(tag.clone()))))
        }
        OutcomeGroup::Provider => match Provider::parse(key) {
            Some(provider) => (
                provider_name(provider).to_owned(),
                Some(Box::new(move |filter: &mut OutcomeFilter| filter.provider = Some(provider))),
            ),
            // Before providers were counted.
            None => ("not recorded".to_owned(), None),
        },
    }
}

/// A provider as people know it.
pub fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Others => "all others",
        provider => provider.as_str(),
    }
}

fn group_row(policy: &QuotaPolicy, name: String, href: Option<String>, counts: &Counts) -> GroupRow {
    let decided = counts.decided();
    let (invalid, reported) = (Rate::new(counts.invalid, decided), Rate::new(counts.reported, decided));
    let totals = Totals::of(counts);
    GroupRow {
        accepted: totals.accepted,
        arrived: format::share(Rate::new(counts.delivered, decided).share()),
        invalid: format::share(invalid.share()),
        invalid_badge: measure_badge(policy, Measure::Invalid, invalid),
        reported: format::share(reported.share()),
        reported_badge: measure_badge(policy, Measure::Judged, reported),
        refused: format::share(Rate::new(counts.spam, decided).share()),
        deferred: format::share(Rate::new(counts.deferred, counts.accepted).share()),
        bar: StackedBar::bare(
            format!("What became of the mails: {name}"),
            vec![
                Segment::new("Arrived", counts.delivered, Ink::Good),
                Segment::new("Invalid address", counts.invalid, Ink::Bad),
                Segment::new("Refused as spam", counts.spam, Ink::Returned),
                Segment::new("Failed otherwise", counts.failed, Ink::Gone),
                Segment::new("On its way", (counts.accepted - decided).max(0), Ink::Pending),
            ],
        ),
        name,
        href,
    }
}
