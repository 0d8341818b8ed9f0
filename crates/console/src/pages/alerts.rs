//! R15: the alert thresholds, for all packages together and for each.

use askama::Template;
use axum::{
    Form,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::ledger::alert::{self, PERCENTS};
use indicia_store::{
    alert::{AlertError, AlertScope},
    package::{PackageFilter, PackageRow},
};
use serde::Deserialize;

use super::status::package_badge;
use crate::{
    ConsoleState,
    components::{Badge, Empty, Icon},
    error::{ConsoleError, page, with_cookie},
    format::{self, Moment},
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{ALERTS, DIRECTMAIL, Flash, Place, Shell},
};

/// A threshold to choose.
pub struct PercentOption {
    pub value: i64,
    pub text: String,
    /// What the percentage is in mails.
    pub mails: Option<String>,
    pub is_chosen: bool,
}

impl PercentOption {
    /// Off and the percentages of the rule; `granted` is what they are of.
    pub fn list(chosen: i64, granted: i64) -> Vec<Self> {
        [0].into_iter()
            .chain(PERCENTS)
            .map(|value| Self {
                value,
                text: if value == 0 { "Off".into() } else { format!("{value} %") },
                mails: (value > 0 && granted > 0).then(|| format::mails_noun(alert::floor(value, granted))),
                is_chosen: value == chosen,
            })
            .collect()
    }
}

struct PackageAlert {
    id: String,
    href: String,
    badge: Badge,
    remaining: String,
    granted: String,
    ends_at: Moment,
    options: Vec<PercentOption>,
}

#[derive(Template)]
#[template(path = "alerts/alerts.html")]
struct AlertsPage {
    shell: Shell,
    action: String,
    contacts_href: String,
    total_text: String,
    all: Vec<PercentOption>,
    packages: Vec<PackageAlert>,
    empty: Option<Empty>,
}

/// `GET /accounts/{account_id}/billing/alerts`
pub async fn show(State(state): State<ConsoleState>, view: AccountView) -> Result<Response, ConsoleError> {
    let mut rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
    rows.retain(|row| is_live(&view, row));
    let total = alert::total(rows.iter().map(|row| &row.package), view.now);
    page(&AlertsPage {
        shell: view
            .shell(&state, Place::Alerts, "Alert settings")
            .with_crumbs(vec![view.crumb("Billing Management", "/billing"), here("Alert settings")]),
        action: view.href(ALERTS),
        contacts_href: view.href("/contacts"),
        total_text: match total.granted {
            0 => "No package is in its validity; the alert is armed with the next one.".into(),
            granted => format!(
                "{} of {} are left in packages that are in their validity now.",
                format::mails(total.remaining),
                format::mails_noun(granted)
            ),
        },
        all: PercentOption::list(view.numbers.alert_percent, total.granted),
        empty: rows.is_empty().then(|| {
            let text = "A package can have a threshold of its own besides the one for all.";
            Empty::new(Icon::Package, "No package to watch", text)
                .with_link(view.href(&format!("{DIRECTMAIL}/buy")), "Buy a package")
        }),
        packages: rows.iter().map(|row| package_alert(&view, row)).collect(),
    })
}

fn is_live(view: &AccountView, row: &PackageRow) -> bool {
    row.package.closed.is_none() && view.now < row.package.ends_at
}

fn package_alert(view: &AccountView, row: &PackageRow) -> PackageAlert {
    let package = &row.package;
    PackageAlert {
        href: view.href(&format!("{DIRECTMAIL}/{}", package.instance_id)),
        id: package.instance_id.clone(),
        badge: package_badge(package, view.now),
        remaining: format::mails(package.usable_at(view.now)),
        granted: format::mails(package.granted),
        ends_at: view.zone.moment(package.ends_at),
        options: PercentOption::list(row.alert_percent, package.granted),
    }
}

/// The form: a threshold for one package, or for all where no package is named.
#[derive(Deserialize)]
pub struct AlertForm {
    #[serde(default)]
    percent: String,
    #[serde(default)]
    package: String,
    /// The page to come back to: `package`, or the settings.
    #[serde(default)]
    back: String,
}

/// `POST /accounts/{account_id}/billing/alerts`
pub async fn save(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<AlertForm>,
) -> Result<Response, ConsoleError> {
    let choices = "An alert threshold is 0 (off), 5, 10, 20 or 30 per cent. Nothing was changed.";
    let percent: i64 = form.percent.trim().parse().map_err(|_| ConsoleError::BadInput(choices.into()))?;
    let scope = match form.package.as_str() {
        "" => AlertScope::All,
        instance => AlertScope::Package(instance.to_owned()),
    };
    state.store.set_alert(view.id(), &scope, percent, &view.actor()).await.map_err(|error| match error {
        AlertError::Store(error) => ConsoleError::from(error),
        other => ConsoleError::BadInput(format!("Nothing was changed: {other}.")),
    })?;
    let back = match (form.back.as_str(), form.package.as_str()) {
        ("package", instance) if !instance.is_empty() => view.href(&format!("{DIRECTMAIL}/{instance}")),
        _ => view.href(ALERTS),
    };
    let cookie = state.cookies().set(Cookie::Flash, Flash::AlertSaved.name(), Some(30));
    Ok(with_cookie(Redirect::to(&back).into_response(), cookie))
}
