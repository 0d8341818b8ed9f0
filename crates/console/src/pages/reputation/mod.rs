//! The Reputation page (R17 to R24): where an account stands on the ladder, what the running week would come to, how its
//! mail arrived, and every review and change of before.
//!
//! | page | what |
//! | --- | --- |
//! | `/reputation` | the ladder, today's use, the week against the lines, what arrived, what is warmed, the latest reviews |
//! | `/reputation/mail` | what became of mail, over a time and of a part that the reader chooses |
//! | `/reputation/history` | all reviews and changes |
//!
//! Nothing is decided here: the outlook is the review itself, run on the week as far as it has come.

mod history;
mod mail;
mod standing;
mod trends;
mod warming;

use askama::Template;
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::{
    quota::{
        Allowance,
        policy::QuotaPolicy,
        review::{Action, Subject},
    },
    time::{local_day, local_month},
};
use indicia_store::{
    evidence::OutcomeGroup,
    quota::{Outlooks, QuotaError},
};
use serde::Deserialize;

pub use history::who;
use history::{EventRow, ReviewRow};
pub use mail::show as mail_page;
use standing::{OutlookCard, WeekCard};
pub use standing::{measure_badge, reporting_providers};
use trends::{GroupTable, Selection, Trends};
use warming::{AddressCard, AllowanceRow};

use crate::{
    ConsoleState,
    charts::{Donut, LadderPicture},
    components::{Empty, Icon},
    error::{ConsoleError, page, with_cookie},
    format::{self, Moment, mails, mails_noun},
    pages::SelectOption,
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{Flash, Place, REPUTATION, REPUTATION_BY_HAND, Shell},
};

const TITLE: &str = "Reputation";
/// Reviews and changes on the page itself; the history has more.
const LATEST: i64 = 6;
/// Reviews and changes in the history: about two years of an account's own weeks.
const HISTORY_MAX: i64 = 120;

/// Today's and the month's use.
struct UseCard {
    ring: Donut,
    is_paused: bool,
    left: String,
    used: String,
    daily: String,
    resets_at: Moment,
    month_used: String,
    monthly: String,
}

/// The ladder and the form of the ceiling (R20).
struct LadderCard {
    picture: LadderPicture,
    level: i64,
    top: i64,
    daily: String,
    ceiling: String,
    action: String,
    options: Vec<SelectOption>,
}

#[derive(Template)]
#[template(path = "reputation/reputation.html")]
struct ReputationPage {
    shell: Shell,
    by_hand_href: Option<String>,
    outlook: OutlookCard,
    empty: Option<Empty>,
    use_card: UseCard,
    ladder: LadderCard,
    week: WeekCard,
    has_mail: bool,
    days: i64,
    trends: Trends,
    providers: GroupTable,
    mail_href: String,
    warming: Vec<AllowanceRow>,
    addresses: Vec<AddressCard>,
    reviews: Vec<ReviewRow>,
    events: Vec<EventRow>,
    history_href: String,
    policy_version: String,
}

async fn outlooks(state: &ConsoleState, view: &AccountView) -> Result<Outlooks, ConsoleError> {
    let missing = ConsoleError::NotFound { what: "account" };
    state.store.quota_outlooks(view.id()).await?.ok_or(missing)
}

/// `GET /accounts/{account_id}/reputation`
pub async fn show(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let policy = state.store.quota_policy();
    let outlooks = outlooks(&state, &view).await?;
    let selection = Selection::default();
    let (from, before) = selection.bounds(&view);
    let days = state.store.outcomes_by_day(view.id(), from, before, &selection.filter).await?;
    let mail_href = view.href(&format!("{REPUTATION}/mail"));
    let trends = Trends::of(&policy, from, before, &days);
    let mut reviews = state.store.replay_reviews(view.id(), HISTORY_MAX).await?;
    reviews.retain(|replayed| replayed.review.subject == Subject::Account);
    reviews.truncate(LATEST as usize);
    let events = state.store.quota_events(view.id(), LATEST).await?;
    let rows: Vec<_> = outlooks.warming.iter().map(|(row, _)| row.clone()).collect();
    let is_operator = view.viewer.is_operator();
    page(&ReputationPage {
        shell: view.shell(&state, Place::Reputation, TITLE).with_crumbs(vec![here(TITLE)]),
        by_hand_href: is_operator.then(|| view.href(REPUTATION_BY_HAND)),
        empty: (trends.is_empty && reviews.is_empty()).then(|| nothing_yet(&policy, &outlooks)),
        outlook: OutlookCard::of(&outlooks.account),
        use_card: use_card(&view, outlooks.standing.paused_at.is_some()),
        ladder: ladder_card(&view, &policy, &outlooks),
        week: WeekCard::of(&view, &policy, &outlooks.account),
        has_mail: !trends.is_empty,
        days: selection.days,
        trends,
        providers: trends::group(&state, &view, &selection, OutcomeGroup::Provider, &mail_href).await?,
        mail_href,
        warming: outlooks
            .warming
            .iter()
            .map(|(row, outlook)| AllowanceRow::of(&view, &policy, row, outlook.as_ref()))
            .collect(),
        addresses: warming::addresses(&state, &view).await?,
        reviews: reviews.iter().map(|review| ReviewRow::of(&view, review, &rows)).collect(),
        events: events.iter().map(|event| EventRow::of(&view, event, &rows)).collect(),
        history_href: view.href(&format!("{REPUTATION}/history")),
        policy_version: policy.version.clone(),
    })
}

fn nothing_yet(policy: &QuotaPolicy, outlooks: &Outlooks) -> Empty {
    let text = format!(
        "The quota is {} a day. Every Monday the week before is looked at: with at least {} different recipients, few invalid \
         addresses, few spam reports and good arrival it is raised when {} days of the seven used {} of it or more.",
        mails_noun(outlooks.standing.daily_mails),
        mails(policy.recipients_min),
        policy.raise.full_days,
        policy.raise.full_use
    );
    Empty::new(Icon::Shield, "No mail has been judged yet", text)
}

fn use_card(view: &AccountView, is_paused: bool) -> UseCard {
    let (zone, numbers) = (view.zone.time_zone(), &view.numbers);
    let allowance = Allowance {
        daily_mails: numbers.daily_quota,
        day: numbers.quota_day,
        day_used: numbers.quota_day_used,
        month: numbers.quota_month,
        month_used: numbers.quota_month_used,
    };
    let today = local_day(zone, view.now);
    let used = allowance.used_on(today.number);
    UseCard {
        is_paused,
        ring: Donut {
            title: "Daily quota".into(),
            used,
            whole: allowance.daily_mails,
            caption: "used".into(),
        },
        left: mails((allowance.daily_mails - used).max(0)),
        used: mails(used),
        daily: mails(allowance.daily_mails),
        resets_at: view.zone.moment(today.end),
        month_used: mails(allowance.used_in(local_month(zone, view.now).0)),
        monthly: mails(allowance.monthly_mails()),
    }
}

fn ladder_card(view: &AccountView, policy: &QuotaPolicy, outlooks: &Outlooks) -> LadderCard {
    let (standing, decision) = (&outlooks.standing, &outlooks.account.decision);
    let (level, top) = (standing.level, policy.ladder.top());
    let moves = matches!(decision.action, Action::Raise | Action::Lower | Action::Pause);
    let mut options = vec![SelectOption {
        value: "none".into(),
        text: "No ceiling".into(),
        is_chosen: standing.ceiling_level.is_none(),
    }];
    options.extend((level..=top).map(|step| SelectOption {
        value: step.to_string(),
        text: format!("Level {step}: {} a day", mails_noun(policy.ladder.daily(step))),
        is_chosen: standing.ceiling_level == Some(step),
    }));
    LadderCard {
        picture: LadderPicture {
            steps: policy.ladder.0.clone(),
            level,
            daily_mails: standing.daily_mails,
            ceiling: standing.ceiling_level,
            next: (moves && decision.level != level).then_some(decision.level),
        },
        level,
        top,
        daily: mails_noun(standing.daily_mails),
        ceiling: match standing.ceiling_level {
            Some(level) => format!("level {level}, {} a day", mails_noun(policy.ladder.daily(level))),
            None => "none".to_owned(),
        },
        action: view.href(&format!("{REPUTATION}/ceiling")),
        options,
    }
}

/// The form of the ceiling.
#[derive(Deserialize)]
pub struct CeilingForm {
    /// A level, or `none`.
    #[serde(default)]
    level: String,
}

/// `POST /accounts/{account_id}/reputation/ceiling`
pub async fn save_ceiling(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<CeilingForm>,
) -> Result<Response, ConsoleError> {
    let wrong = || {
        let text = "A ceiling is a level of the ladder, as a whole number, or “none”. Nothing was changed.";
        ConsoleError::BadInput(text.into())
    };
    let level = match form.level.trim() {
        "none" => None,
        text => Some(text.parse::<i64>().map_err(|_| wrong())?),
    };
    state.store.set_quota_ceiling(view.id(), level, &view.actor()).await.map_err(|error| match error {
        QuotaError::Store(error) => ConsoleError::from(error),
        refused => ConsoleError::BadInput(format!("Nothing was changed: {refused}.")),
    })?;
    let cookie = state.cookies().set(Cookie::Flash, Flash::CeilingSaved.name(), Some(30));
    Ok(with_cookie(Redirect::to(&view.href(REPUTATION)).into_response(), cookie))
}

#[derive(Template)]
#[template(path = "reputation/history.html")]
struct HistoryPage {
    shell: Shell,
    reviews: Vec<ReviewRow>,
    events: Vec<EventRow>,
    summary: String,
}

/// `GET /accounts/{account_id}/reputation/history`
pub async fn history(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let reviews = state.store.replay_reviews(view.id(), HISTORY_MAX).await?;
    let events = state.store.quota_events(view.id(), HISTORY_MAX).await?;
    let warming = state.store.warming(view.id()).await?;
    let title = "Reviews and changes";
    let same = reviews.iter().filter(|review| review.is_same()).count();
    page(&HistoryPage {
        shell: view
            .shell(&state, Place::Reputation, title)
            .with_crumbs(vec![view.crumb(TITLE, REPUTATION), here(title)]),
        summary: match reviews.len() {
            0 => "No week has been reviewed yet.".to_owned(),
            all => format!(
                "{} of {} were run again just now from what is kept of them and gave the same result.",
                same,
                format::counted(all as i64, "review")
            ),
        },
        reviews: reviews.iter().map(|review| ReviewRow::of(&view, review, &warming)).collect(),
        events: events.iter().map(|event| EventRow::of(&view, event, &warming)).collect(),
    })
}
