//! R19 to R22 over all accounts: who is paused, who is nearest to a line, and what operators do about it.
//!
//! | file | what |
//! | --- | --- |
//! | `mod` | the list of all accounts, worst first |
//! | [`by_hand`] | pause, release and quota of one account |
//! | [`report`] | a spam report that came another way |

pub mod by_hand;
pub mod report;

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::quota::{evidence::Measure, policy::QuotaPolicy, rate::Rate};
use indicia_store::quota::{
    AccountReputation, PausedBy, RANKED_DAYS, ReputationOrder, ReputationQuery, ReputationScope,
};
use serde::Deserialize;

use super::OperatorView;
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon, Pager},
    error::{ConsoleError, page},
    format::{self, Moment, mails},
    pages::{
        SelectOption, asked,
        reputation::{measure_badge, reporting_providers},
        status::account_badge,
        with_query,
    },
    shell::{Place, REPUTATION, REPUTATION_BY_HAND, Shell, account_href},
};

/// The list's address.
pub const HREF: &str = "/operator/reputation";
const PAGE_SIZE: usize = 50;

const ORDERS: &[(&str, &str)] = &[
    ("", "Worst first"),
    ("invalid", "Most invalid addresses first"),
    ("spam", "Most called spam first"),
    ("arrival", "Least arrival first"),
    ("mails", "Most mails first"),
];
const SCOPES: &[(&str, &str)] =
    &[("", "All"), ("paused", "Paused"), ("sending", "Has sent in the last 7 days")];

/// A share with how it stands against the lines.
struct Figure {
    share: String,
    made_of: String,
    badge: Badge,
}

struct Row {
    href: String,
    deed_href: String,
    name: String,
    id: i64,
    email: String,
    badge: Badge,
    /// Since when, by whom and why.
    paused: Option<(Moment, &'static str, String)>,
    level: String,
    daily: String,
    accepted: String,
    invalid: Figure,
    reported: Figure,
    judged: Figure,
    arrival: Figure,
    pressure: String,
}

impl Row {
    /// The shares in the order of their columns.
    fn figures(&self) -> [(&'static str, &Figure); 4] {
        [
            ("Invalid", &self.invalid),
            ("Spam reports", &self.reported),
            ("Called spam", &self.judged),
            ("Arrived", &self.arrival),
        ]
    }
}

#[derive(Template)]
#[template(path = "operator/reputation.html")]
struct ListPage {
    shell: Shell,
    accounts: String,
    sending: String,
    paused: String,
    report_href: &'static str,
    orders: Vec<SelectOption>,
    scopes: Vec<SelectOption>,
    is_filtered: bool,
    days: i64,
    recipients_min: String,
    reporting: String,
    rows: Vec<Row>,
    pager: Pager,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    sort: String,
    #[serde(default)]
    show: String,
    /// The sort key and the id of the last account of the page before, as `key-id`.
    #[serde(default)]
    after: String,
}

impl ListQuery {
    fn query(&self) -> Result<ReputationQuery, ConsoleError> {
        asked::choice(&self.sort, "an order of this list", ORDERS)?;
        asked::choice(&self.show, "a choice of this list", SCOPES)?;
        Ok(ReputationQuery {
            order: match self.sort.trim() {
                "invalid" => ReputationOrder::Invalid,
                "spam" => ReputationOrder::Spam,
                "arrival" => ReputationOrder::NotArrived,
                "mails" => ReputationOrder::MostMails,
                _ => ReputationOrder::WorstFirst,
            },
            scope: match self.show.trim() {
                "paused" => ReputationScope::Paused,
                "sending" => ReputationScope::Sending,
                _ => ReputationScope::All,
            },
            after: asked::asked(&self.after, asked::A_PLACE, place)?,
            limit: PAGE_SIZE as i64 + 1,
        })
    }

    fn href(&self, after: &str) -> String {
        with_query(HREF, &[("sort", &self.sort), ("show", &self.show), ("after", after)])
    }
}

fn place(text: &str) -> Option<(i64, i64)> {
    let (key, id) = text.rsplit_once('-')?;
    Some((key.parse().ok()?, id.parse().ok()?))
}

/// `GET /operator/reputation`
pub async fn list(
    State(state): State<ConsoleState>,
    operator: OperatorView,
    Query(query): Query<ListQuery>,
) -> Result<Response, ConsoleError> {
    let wanted = query.query()?;
    let mut accounts = state.store.reputations(&wanted).await?;
    let totals = state.store.reputation_totals().await?;
    let has_more = accounts.len() > PAGE_SIZE;
    accounts.truncate(PAGE_SIZE);
    let next = accounts.last().filter(|_| has_more);
    let next = next.map(|last| query.href(&format!("{}-{}", last.sort_key, last.account_id)));
    let order = ORDERS.iter().find(|(value, _)| *value == query.sort).map_or(ORDERS[0].1, |(_, text)| *text);
    let policy = state.store.quota_policy();
    page(&ListPage {
        shell: operator.shell(&state, Place::Reputations, "Reputation"),
        accounts: mails(totals.accounts),
        sending: mails(totals.sending),
        paused: mails(totals.paused),
        report_href: report::HREF,
        empty: accounts.is_empty().then(|| nothing(&wanted)),
        pager: Pager::walked(
            wanted.after.map(|_| query.href("")),
            next,
            order,
            ("Back to the first", "More"),
        ),
        orders: SelectOption::list(ORDERS, &query.sort),
        scopes: SelectOption::list(SCOPES, &query.show),
        is_filtered: !query.sort.is_empty() || !query.show.is_empty(),
        days: RANKED_DAYS,
        recipients_min: mails(policy.recipients_min),
        reporting: reporting_providers(&policy),
        rows: accounts.iter().map(|account| row(&policy, &operator, account)).collect(),
    })
}

fn nothing(query: &ReputationQuery) -> Empty {
    let all = |empty: Empty| empty.with_link(HREF, "Show all accounts");
    if query.after.is_some() {
        let text = "The accounts of this page may have changed their place meanwhile.";
        return all(Empty::new(Icon::People, "Here the list ends", text));
    }
    match query.scope {
        ReputationScope::Paused => {
            all(Empty::new(Icon::Check, "No account is paused", "Everybody may send."))
        }
        ReputationScope::Sending => {
            all(Empty::new(Icon::Mail, "Nobody has sent in the last 7 days", "There is nothing to judge."))
        }
        ReputationScope::All => {
            let how = "Make one with: indicia account create --name NAME --email ADDRESS --json";
            Empty::new(Icon::People, "There is no account yet", how)
        }
    }
}

/// What paused an account, in words.
pub fn paused_by(by: Option<PausedBy>) -> &'static str {
    match by {
        Some(PausedBy::Brake) => "by the brake",
        Some(PausedBy::Operator) => "by an operator",
        Some(PausedBy::Review) | None => "by the weekly review",
    }
}

fn row(policy: &QuotaPolicy, operator: &OperatorView, account: &AccountReputation) -> Row {
    let counts = &account.counts;
    let decided = counts.decided();
    let figure = |measure, shown: Rate, rate| Figure {
        share: if shown.out_of == 0 { "–".to_owned() } else { format::share(shown.share()) },
        made_of: match shown.out_of {
            0 => String::new(),
            out_of => format!("{} of {}", mails(shown.events), mails(out_of)),
        },
        badge: measure_badge(policy, measure, rate),
    };
    let same = |measure, rate| figure(measure, rate, rate);
    Row {
        href: account_href(account.account_id, REPUTATION),
        deed_href: account_href(account.account_id, REPUTATION_BY_HAND),
        name: account.name.clone(),
        id: account.account_id,
        email: account.email.clone(),
        badge: account_badge(account.status),
        paused: account.paused_at.map(|at| {
            let why = format::grouped_mails(&account.pause_reason);
            (operator.zone.moment(at), paused_by(account.paused_by), why)
        }),
        level: format!("level {} of {}", account.level, policy.ladder.top()),
        daily: mails(account.daily_mails),
        accepted: mails(counts.accepted),
        invalid: same(Measure::Invalid, Rate::new(counts.invalid, decided)),
        reported: same(Measure::Reported, Rate::new(counts.reported, counts.reporting)),
        judged: same(Measure::Judged, Rate::new(counts.judged, decided)),
        arrival: figure(
            Measure::NotArrived,
            Rate::new(counts.delivered, decided),
            Rate::new(decided - counts.delivered, decided),
        ),
        pressure: pressure(account.pressure_permille),
    }
}

/// How near the nearest line of lowering is: `1.8 × the line`.
fn pressure(permille: i64) -> String {
    match permille {
        0..100 => "no line near".to_owned(),
        permille => format!("{}.{} × the line", mails(permille / 1_000), permille % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_the_distance_from_the_line_is_said_in_words() {
        assert_eq!((pressure(0), pressure(99)), ("no line near".to_owned(), "no line near".to_owned()));
        assert_eq!(pressure(1_000), "1.0 × the line");
        assert_eq!(pressure(3_460), "3.4 × the line");
        assert_eq!(pressure(1_234_567), "1,234.5 × the line");
    }
}
