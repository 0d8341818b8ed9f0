//! The frame around every page: navigation, whose pages they are, the way back, the message after a form.

use axum::http::HeaderMap;

use crate::{
    ConsoleState, assets,
    components::{Icon, Link, Note, Tone},
    format::{Moment, Zone},
    session::{cookie::Cookie, csrf, viewer::Viewer},
};

/// One line of the navigation.
#[derive(Clone, Debug)]
pub struct NavItem {
    pub text: &'static str,
    pub href: String,
    pub icon: Option<Icon>,
    /// 0, 1 or 2: how deep it stands.
    pub level: u8,
    pub is_current: bool,
    /// A heading to be shown above it.
    pub heading: Option<&'static str>,
}

/// The account whose pages are shown.
#[derive(Clone, Debug)]
pub struct ShellAccount {
    pub id: i64,
    pub name: String,
}

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Accounts,
    Overview,
    MailLog,
    Domains,
    Addresses,
    Keys,
    Billing,
    Reserved,
    Packages,
    Inbox,
    Clock,
}

/// What the base template needs.
#[derive(Clone, Debug)]
pub struct Shell {
    pub title: String,
    pub stylesheet: String,
    pub nav: Vec<NavItem>,
    pub crumbs: Vec<Link>,
    pub account: Option<ShellAccount>,
    pub is_operator: bool,
    pub email: String,
    /// The value of the `csrf` field of every form on the page.
    pub csrf: String,
    pub flash: Option<Note>,
    pub demo_now: Option<Moment>,
    /// The zone in which the page shows its times; UTC when there is none.
    pub zone_label: Option<String>,
}

impl Shell {
    /// The frame for `viewer` at `place`. `account` and its zone are given on an account's pages.
    pub fn new(
        state: &ConsoleState,
        viewer: &Viewer,
        account: Option<(ShellAccount, &Zone)>,
        place: Place,
        title: impl Into<String>,
    ) -> Self {
        let now = state.now();
        let utc = Zone::named("UTC");
        let zone = account.as_ref().map(|(_, zone)| (*zone).clone());
        let account = account.map(|(account, _)| account);
        let home = account.as_ref().map(|account| account.id).or_else(|| viewer.own_account());
        Self {
            title: title.into(),
            stylesheet: assets::stylesheet_href(),
            nav: navigation(home, viewer.is_operator(), state.demo.is_some(), place),
            crumbs: Vec::new(),
            account,
            is_operator: viewer.is_operator(),
            email: viewer.email.clone(),
            csrf: csrf::field_for(&viewer.token),
            flash: viewer.flash.map(Flash::note),
            demo_now: state.demo.is_some().then(|| zone.as_ref().unwrap_or(&utc).moment(now)),
            zone_label: zone.map(|zone| zone.label(now)),
        }
    }

    /// Adds the way that leads here; the last has no address because it is this page.
    pub fn with_crumbs(mut self, crumbs: Vec<Link>) -> Self {
        self.crumbs = crumbs;
        self
    }
}

/// The address of an account's page.
pub fn account_href(account_id: i64, rest: &str) -> String {
    format!("/accounts/{account_id}{rest}")
}

fn navigation(account: Option<i64>, is_operator: bool, is_demo: bool, place: Place) -> Vec<NavItem> {
    let mut items = Vec::with_capacity(12);
    let mut add = |at: Place, text, href: String, icon, level, heading| {
        items.push(NavItem { text, href, icon, level, is_current: at == place, heading });
    };
    if is_operator {
        add(Place::Accounts, "Accounts", "/accounts".into(), Some(Icon::People), 0, Some("Operator"));
    }
    if let Some(id) = account {
        let at = |rest| account_href(id, rest);
        let heading = is_operator.then_some("This account");
        add(Place::Overview, "Overview", at(""), Some(Icon::Home), 0, heading);
        add(Place::MailLog, "Mail log", at("/mails"), Some(Icon::Mail), 0, None);
        add(Place::Domains, "Domains", at("/sending/domains"), Some(Icon::Globe), 0, Some("Sending"));
        add(Place::Addresses, "Sender addresses", at("/sending/addresses"), Some(Icon::Person), 0, None);
        add(Place::Keys, "Access keys", at("/sending/access-keys"), Some(Icon::Key), 0, None);
        add(Place::Billing, "Billing Management", at("/billing"), Some(Icon::Wallet), 0, Some("Billing"));
        add(Place::Reserved, "Manage Reserved Instances", at(RESERVED), None, 1, None);
        add(Place::Packages, "Resource Packages", at(PACKAGES), None, 2, None);
    }
    if is_demo {
        add(Place::Inbox, "Inbox", "/demo/inbox".into(), Some(Icon::Inbox), 0, Some("Demo"));
        add(Place::Clock, "Clock", "/demo/clock".into(), Some(Icon::Clock), 0, None);
    }
    items
}

/// Path of Billing Management > Manage Reserved Instances below an account.
pub const RESERVED: &str = "/billing/reserved-instances";
/// Path of Resource Packages below an account.
pub const PACKAGES: &str = "/billing/reserved-instances/resource-packages";
/// Path of the chosen product's packages below an account.
pub const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

/// A message that the page after a form shows once. Only its name travels, in a cookie, so that nobody can
/// make the console say words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flash {
    SignedOut,
    ClockMoved,
}

impl Flash {
    /// The word in the cookie.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::ClockMoved => "clock-moved",
        }
    }

    /// The message of the request's cookie.
    pub fn from_request(state: &ConsoleState, headers: &HeaderMap) -> Option<Self> {
        let name = state.cookies().get(headers, Cookie::Flash)?;
        [Self::SignedOut, Self::ClockMoved].into_iter().find(|flash| flash.name() == name)
    }

    /// What the reader sees.
    pub fn note(self) -> Note {
        match self {
            Self::SignedOut => Note::new(Tone::Good, "Signed out", "This browser holds no session any more."),
            Self::ClockMoved => Note::new(
                Tone::Good,
                "The clock was moved forward",
                "Everything that time starts catches up within a few seconds.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r16_the_way_to_the_packages_is_in_the_navigation() {
        let items = navigation(Some(7), false, false, Place::Packages);
        let way: Vec<_> = items.iter().skip_while(|item| item.text != "Billing Management").collect();
        let names: Vec<_> = way.iter().map(|item| (item.text, item.level)).collect();
        assert_eq!(
            names,
            [("Billing Management", 0), ("Manage Reserved Instances", 1), ("Resource Packages", 2)]
        );
        assert_eq!(way[2].href, "/accounts/7/billing/reserved-instances/resource-packages");
        assert!(way[2].is_current && !way[1].is_current);
    }

    #[test]
    fn an_operator_sees_the_list_of_accounts_and_a_demo_its_own_pages() {
        let texts = |items: Vec<NavItem>| items.iter().map(|item| item.text).collect::<Vec<_>>();
        assert_eq!(texts(navigation(None, true, false, Place::Accounts)), ["Accounts"]);
        assert_eq!(texts(navigation(None, true, true, Place::Inbox)), ["Accounts", "Inbox", "Clock"]);
        assert!(!texts(navigation(Some(7), false, false, Place::Overview)).contains(&"Accounts"));
    }
}
