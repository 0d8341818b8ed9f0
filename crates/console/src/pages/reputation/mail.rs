//! What became of mail, over a time and of a part of it that the reader chooses: a domain, a sender address, a tag, a
//! mailbox provider.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Response,
};
use indicia_domain::{
    mail::provider::Provider,
    quota::{evidence::Counts, reach::EXACT_MAX},
    time::local_day_numbered,
};
use indicia_store::{
    evidence::OutcomeGroup,
    reach::UniqueOf,
    report::{ReportRow, ReportSource},
};
use serde::Deserialize;

use super::{
    TITLE,
    trends::{self, GroupTable, Selection, Totals, Trends, provider_name},
};
use crate::{
    ConsoleState,
    components::{Empty, Icon, Link},
    error::{ConsoleError, page},
    format::{self, Moment},
    pages::{asked, subject_or_none},
    session::viewer::{AccountView, here},
    shell::{Place, REPUTATION, Shell},
};

const PERIODS: [i64; 4] = [7, 30, 90, 365];
const REPORTS_SHOWN: i64 = 20;
/// The longest tag that is asked for; none is kept that is longer.
const TAG_LENGTH_MAX: usize = 255;

/// A period to choose.
struct Period {
    href: String,
    text: String,
    is_current: bool,
}

/// A part of the mail that is shown alone, and the address without it.
struct Narrowed {
    text: String,
    without_href: String,
}

/// A spam report with the mail it is about.
struct ReportLine {
    at: Moment,
    mail: Link,
    address: String,
    source: &'static str,
    detail: String,
}

#[derive(Template)]
#[template(path = "reputation/mail.html")]
struct MailPage {
    shell: Shell,
    periods: Vec<Period>,
    narrowed: Vec<Narrowed>,
    days: i64,
    totals: Totals,
    recipients: Option<String>,
    trends: Trends,
    groups: Vec<GroupTable>,
    reports: Vec<ReportLine>,
    reports_more: bool,
    empty: Option<Empty>,
}

#[derive(Deserialize)]
pub struct MailQuery {
    #[serde(default)]
    days: String,
    #[serde(default)]
    domain: String,
    #[serde(default)]
    sender: String,
    #[serde(default)]
    tag: String,
    /// Anything: mails without a tag.
    #[serde(default)]
    untagged: String,
    #[serde(default)]
    provider: String,
}

impl MailQuery {
    fn selection(&self) -> Result<Selection, ConsoleError> {
        let days = asked::asked(&self.days, "a period of this page: 7, 30, 90 or 365 days", |text| {
            text.parse().ok().filter(|days| PERIODS.contains(days))
        })?;
        let mut selection = Selection { days: days.unwrap_or(trends::DAYS), ..Selection::default() };
        let filter = &mut selection.filter;
        filter.domain_id = asked::number(&self.domain, "the number of a domain")?;
        filter.sender_id = asked::number(&self.sender, "the number of a sender address")?;
        filter.provider =
            asked::asked(&self.provider, "a mailbox provider that is told apart", Provider::parse)?;
        filter.tag = match (self.untagged.is_empty(), self.tag.is_empty()) {
            (false, _) => Some(String::new()),
            (true, false) if self.tag.chars().count() > TAG_LENGTH_MAX => {
                return Err(ConsoleError::BadInput("A tag is not as long as this.".into()));
            }
            (true, false) => Some(self.tag.clone()),
            (true, true) => None,
        };
        Ok(selection)
    }
}

/// `GET /accounts/{account_id}/reputation/mail`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<MailQuery>,
) -> Result<Response, ConsoleError> {
    let selection = query.selection()?;
    let path = view.href(&format!("{REPUTATION}/mail"));
    let (from, before) = selection.bounds(&view);
    let days = state.store.outcomes_by_day(view.id(), from, before, &selection.filter).await?;
    let mut sum = Counts::default();
    days.iter().for_each(|day| sum.add(&day.counts));
    let trends = Trends::of(&state.store.quota_policy(), from, before, &days);
    let mut groups = Vec::new();
    for by in [OutcomeGroup::Provider, OutcomeGroup::Domain, OutcomeGroup::Sender, OutcomeGroup::Tag] {
        groups.push(trends::group(&state, &view, &selection, by, &path).await?);
    }
    let mut reports = reports(&state, &view, &selection).await?;
    let reports_more = reports.len() > REPORTS_SHOWN as usize;
    reports.truncate(REPORTS_SHOWN as usize);
    let title = "What became of the mail";
    page(&MailPage {
        shell: view
            .shell(&state, Place::Reputation, title)
            .with_crumbs(vec![view.crumb(TITLE, REPUTATION), here(title)]),
        periods: periods(&selection, &path),
        narrowed: narrowed(&state, &view, &selection, &path).await?,
        days: selection.days,
        totals: Totals::of(&sum),
        recipients: recipients(&state, &view, &selection).await?,
        empty: trends.is_empty.then(|| {
            let text = "Choose a longer period, or take a part of the choice away.";
            Empty::new(Icon::Mail, "No mail like this was accepted in these days", text)
        }),
        trends,
        groups,
        reports: reports.iter().map(|row| report_line(&view, row)).collect(),
        reports_more,
    })
}

fn periods(selection: &Selection, path: &str) -> Vec<Period> {
    let period = |days: i64| Period {
        href: Selection { days, ..selection.clone() }.href(path),
        text: format::counted(days, "day"),
        is_current: days == selection.days,
    };
    PERIODS.into_iter().map(period).collect()
}

/// What is chosen, each with the way back.
async fn narrowed(
    state: &ConsoleState,
    view: &AccountView,
    selection: &Selection,
    path: &str,
) -> Result<Vec<Narrowed>, ConsoleError> {
    let mut chosen = Vec::new();
    let mut add = |text: String, widen: fn(&mut Selection)| {
        let mut wider = selection.clone();
        widen(&mut wider);
        chosen.push(Narrowed { text, without_href: wider.href(path) });
    };
    let filter = &selection.filter;
    if let Some(provider) = filter.provider {
        add(format!("to {}", provider_name(provider)), |wider| wider.filter.provider = None);
    }
    if let Some(id) = filter.domain_id {
        let name = state.store.domain(view.id(), id).await?.map(|domain| domain.name);
        let name = name.unwrap_or_else(|| format!("domain {id}"));
        add(format!("from {name}"), |wider| wider.filter.domain_id = None);
    }
    if let Some(id) = filter.sender_id {
        let address = state.store.sender(view.id(), id).await?.map(|sender| sender.address);
        let address = address.unwrap_or_else(|| format!("address {id}"));
        add(format!("from {address}"), |wider| wider.filter.sender_id = None);
    }
    if let Some(tag) = &filter.tag {
        let text = if tag.is_empty() { "without a tag".to_owned() } else { format!("tag {tag}") };
        add(text, |wider| wider.filter.tag = None);
    }
    Ok(chosen)
}

/// Different recipients, where they are counted for just this choice.
async fn recipients(
    state: &ConsoleState,
    view: &AccountView,
    selection: &Selection,
) -> Result<Option<String>, ConsoleError> {
    let filter = &selection.filter;
    let of = match (filter.domain_id, filter.sender_id, filter.tag.as_deref(), filter.provider) {
        (None, None, None, None) => UniqueOf::Account,
        (None, Some(sender), None, None) => UniqueOf::Sender(sender),
        (None, None, Some(tag), None) if !tag.is_empty() => UniqueOf::Tag(tag),
        (None, None, None, Some(provider)) => UniqueOf::Provider(provider.as_str()),
        _ => return Ok(None),
    };
    let (from, before) = selection.bounds(view);
    let count = state.store.unique_recipients(view.id(), from, before, of).await?;
    // Beyond, it is an estimate, and may be a little more than there were mails.
    Ok(Some(match count > EXACT_MAX as i64 {
        true => format!("about {}", format::mails(count)),
        false => format::mails(count),
    }))
}

/// The newest reports of the period; of the whole account, since a report names one mail.
async fn reports(
    state: &ConsoleState,
    view: &AccountView,
    selection: &Selection,
) -> Result<Vec<ReportRow>, ConsoleError> {
    let (from, before) = selection.bounds(view);
    let start = local_day_numbered(view.zone.time_zone(), from).start;
    let end = local_day_numbered(view.zone.time_zone(), before).start;
    Ok(state.store.spam_reports(view.id(), start, end, None, REPORTS_SHOWN + 1).await?)
}

fn report_line(view: &AccountView, row: &ReportRow) -> ReportLine {
    ReportLine {
        at: view.zone.moment(row.at),
        mail: Link::new(view.href(&format!("/mails/{}", row.message_id)), subject_or_none(&row.subject)),
        address: row.address.clone(),
        source: match row.source {
            ReportSource::Feedback => "the recipient, over the provider's feedback loop",
            ReportSource::Reply => "the provider, in its answer",
            ReportSource::Operator => "an operator, for a report that came another way",
        },
        detail: match (
            row.reporter.is_empty(),
            view.viewer.is_operator() || row.source != ReportSource::Operator,
        ) {
            (false, true) => format!("{}, by {}", row.feedback_type, row.reporter),
            _ => row.feedback_type.clone(),
        },
    }
}
