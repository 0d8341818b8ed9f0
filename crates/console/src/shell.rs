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
    /// How much waits there; 0 is not shown.
    pub count: i64,
}

/// The account whose pages are shown.
#[derive(Clone, Debug)]
pub struct ShellAccount {
    pub id: i64,
    pub name: String,
    pub unread_messages: i64,
}

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Accounts,
    Month,
    Notices,
    Prices,
    Audit,
    Reputations,
    Overview,
    Reputation,
    Hand,
    ReputationByHand,
    Messages,
    Contacts,
    MailLog,
    Domains,
    Addresses,
    Keys,
    Billing,
    Reserved,
    Packages,
    Bills,
    Transactions,
    Statements,
    Alerts,
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
    /// What keeps the account from sending, on every one of its pages (R11, R22).
    pub banners: Vec<Note>,
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
        let unread = account.as_ref().map_or(0, |account| account.unread_messages);
        let mut nav = navigation(home, viewer.is_operator(), state.demo.is_some(), place);
        nav.iter_mut().filter(|item| item.text == MESSAGES_TEXT).for_each(|item| item.count = unread);
        Self {
            title: title.into(),
            stylesheet: assets::stylesheet_href(),
            nav,
            crumbs: Vec::new(),
            account,
            is_operator: viewer.is_operator(),
            email: viewer.email.clone(),
            csrf: csrf::field_for(&viewer.token),
            flash: viewer.flash.map(Flash::note),
            banners: Vec::new(),
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
        items.push(NavItem { text, href, icon, level, is_current: at == place, heading, count: 0 });
    };
    if is_operator {
        add(Place::Accounts, "Accounts", "/accounts".into(), Some(Icon::People), 0, Some("Operator"));
        add(Place::Month, "Bills and payments", "/operator/month".into(), Some(Icon::Wallet), 0, None);
        add(Place::Notices, "Notices", "/operator/notices".into(), Some(Icon::Alert), 0, None);
        add(Place::Reputations, "Reputation", "/operator/reputation".into(), Some(Icon::Shield), 0, None);
        add(Place::Prices, "Price list", "/operator/prices".into(), Some(Icon::Package), 0, None);
        add(Place::Audit, "Audit log", "/operator/audit".into(), Some(Icon::Lock), 0, None);
    }
    if let Some(id) = account {
        let at = |rest| account_href(id, rest);
        let heading = is_operator.then_some("This account");
        add(Place::Overview, "Overview", at(""), Some(Icon::Home), 0, heading);
        if is_operator {
            add(Place::Hand, "Money by hand", at(HAND), Some(Icon::Key), 0, None);
            add(
                Place::ReputationByHand,
                "Sending by hand",
                at(REPUTATION_BY_HAND),
                Some(Icon::Lock),
                0,
                None,
            );
        }
        add(Place::Messages, MESSAGES_TEXT, at(MESSAGES), Some(Icon::Inbox), 0, None);
        add(Place::MailLog, "Mail log", at("/mails"), Some(Icon::Mail), 0, None);
        add(Place::Reputation, "Reputation", at(REPUTATION), Some(Icon::Shield), 0, Some("Sending"));
        add(Place::Domains, "Domains", at("/sending/domains"), Some(Icon::Globe), 0, None);
        add(Place::Addresses, "Sender addresses", at("/sending/addresses"), Some(Icon::Person), 0, None);
        add(Place::Keys, "Access keys", at("/sending/access-keys"), Some(Icon::Key), 0, None);
        add(Place::Billing, "Billing Management", at("/billing"), Some(Icon::Wallet), 0, Some("Billing"));
        add(Place::Reserved, "Manage Reserved Instances", at(RESERVED), None, 1, None);
        add(Place::Packages, "Resource Packages", at(PACKAGES), None, 2, None);
        add(Place::Bills, "Bills", at(BILLS), None, 1, None);
        add(Place::Transactions, "Balance and transactions", at(TRANSACTIONS), None, 1, None);
        add(Place::Statements, "Statements", at(STATEMENTS), None, 1, None);
        add(Place::Alerts, "Alert settings", at(ALERTS), None, 1, None);
        add(Place::Contacts, "Contacts and channels", at(CONTACTS), None, 1, None);
    }
    if is_demo {
        add(Place::Inbox, "Inbox", "/demo/inbox".into(), Some(Icon::Inbox), 0, Some("Demo"));
        add(Place::Clock, "Clock", "/demo/clock".into(), Some(Icon::Clock), 0, None);
    }
    items
}

const MESSAGES_TEXT: &str = "Messages";
/// Path of the in-station messages below an account.
pub const MESSAGES: &str = "/messages";
/// Path of the contacts and channels below an account.
pub const CONTACTS: &str = "/contacts";
/// Path of what operators do by hand below an account.
pub const HAND: &str = "/operator";
/// Path of the reputation below an account.
pub const REPUTATION: &str = "/reputation";
/// Path of what operators do to an account's sending by hand below it.
pub const REPUTATION_BY_HAND: &str = "/operator/reputation";
/// Path of Billing Management > Manage Reserved Instances below an account.
pub const RESERVED: &str = "/billing/reserved-instances";
/// Path of Resource Packages below an account.
pub const PACKAGES: &str = "/billing/reserved-instances/resource-packages";
/// Path of the chosen product's packages below an account.
pub const DIRECTMAIL: &str = "/billing/reserved-instances/resource-packages/directmail";

/// Path of the bills below an account.
pub const BILLS: &str = "/billing/bills";
/// Path of the cash balance and its lines below an account.
pub const TRANSACTIONS: &str = "/billing/transactions";
/// Path of the monthly statements below an account.
pub const STATEMENTS: &str = "/billing/statements";
/// Path of the alert thresholds below an account.
pub const ALERTS: &str = "/billing/alerts";

/// A message that the page after a form shows once. Only its name travels, in a cookie, so that nobody can
/// make the console say words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flash {
    SignedOut,
    ClockMoved,
    AlertSaved,
    Booked,
    BookedBefore,
    MessagesRead,
    ContactSaved,
    CeilingSaved,
    SendingPaused,
    SendingReleased,
    QuotaSet,
    ReportCounted,
    ReportRepeated,
}

impl Flash {
    const ALL: [Self; 13] = [
        Self::SignedOut,
        Self::ClockMoved,
        Self::AlertSaved,
        Self::Booked,
        Self::BookedBefore,
        Self::MessagesRead,
        Self::ContactSaved,
        Self::CeilingSaved,
        Self::SendingPaused,
        Self::SendingReleased,
        Self::QuotaSet,
        Self::ReportCounted,
        Self::ReportRepeated,
    ];

    /// The word in the cookie.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignedOut => "signed-out",
            Self::ClockMoved => "clock-moved",
            Self::AlertSaved => "alert-saved",
            Self::Booked => "booked",
            Self::BookedBefore => "booked-before",
            Self::MessagesRead => "messages-read",
            Self::ContactSaved => "contact-saved",
            Self::CeilingSaved => "ceiling-saved",
            Self::SendingPaused => "sending-paused",
            Self::SendingReleased => "sending-released",
            Self::QuotaSet => "quota-set",
            Self::ReportCounted => "report-counted",
            Self::ReportRepeated => "report-repeated",
        }
    }

    /// The message of the request's cookie.
    pub fn from_request(state: &ConsoleState, headers: &HeaderMap) -> Option<Self> {
        let name = state.cookies().get(headers, Cookie::Flash)?;
        Self::ALL.into_iter().find(|flash| flash.name() == name)
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
            Self::AlertSaved => Note::new(
                Tone::Good,
                "The alert threshold was saved",
                "It is looked at with every deduction, purchase, refund and end of a package.",
            ),
            Self::Booked => Note::new(
                Tone::Good,
                "Done",
                "It is in the audit log, and the lines that came of it are below.",
            ),
            Self::BookedBefore => Note::new(
                Tone::Warn,
                "This form was done before",
                "A form is done once, however often it is sent. The lines that came of it are below; to do the same \
                 again, start with an empty form.",
            ),
            Self::MessagesRead => Note::new(Tone::Good, "Marked as read", ""),
            Self::ContactSaved => Note::new(
                Tone::Good,
                "The contacts were saved",
                "They hold for every notice from now on, those that wait for another attempt included.",
            ),
            Self::CeilingSaved => Note::new(
                Tone::Good,
                "The ceiling was saved",
                "The next review goes by it; the present quota stays.",
            ),
            Self::SendingPaused => Note::new(
                Tone::Good,
                "Sending is paused",
                "The account has been told why. What it has in the queue is held until the release.",
            ),
            Self::SendingReleased => Note::new(
                Tone::Good,
                "Sending is released",
                "The account has been told, and may send at once. Its evidence begins anew.",
            ),
            Self::QuotaSet => Note::new(
                Tone::Good,
                "The quota was set",
                "It holds at once, and the next review goes on from it.",
            ),
            Self::ReportCounted => Note::new(
                Tone::Good,
                "The report was counted",
                "It is in the mail's timeline, in the account's figures and in the audit log.",
            ),
            Self::ReportRepeated => Note::new(
                Tone::Warn,
                "This mail had been reported before",
                "A mail counts as reported once, whoever reports it; nothing was changed.",
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
        let way: Vec<_> = items.iter().skip_while(|item| item.text != "Billing Management").take(3).collect();
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
        let operators =
            ["Accounts", "Bills and payments", "Notices", "Reputation", "Price list", "Audit log"];
        assert_eq!(texts(navigation(None, true, false, Place::Accounts)), operators);
        assert_eq!(texts(navigation(None, true, true, Place::Inbox))[6..], ["Inbox", "Clock"]);
        let owners = texts(navigation(Some(7), false, false, Place::Overview));
        assert!(
            ["Accounts", "Audit log", "Money by hand", "Sending by hand"]
                .iter()
                .all(|text| !owners.contains(text))
        );
        assert!(texts(navigation(Some(7), true, false, Place::Overview)).contains(&"Money by hand"));
    }
}
