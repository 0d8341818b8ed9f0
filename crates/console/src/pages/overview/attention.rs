//! What needs attention: said only when it does, the gravest first, each with what to do.

use indicia_domain::{account::AccountStatus, time::DAY_MICROS};

use super::Facts;
use crate::{
    ConsoleState,
    components::{Note, Tone},
    format,
    session::viewer::AccountView,
    shell::{DIRECTMAIL, REPUTATION},
};

/// How early an end with mails left is worth a line here: the first lead of the notices (R14).
const ENDS_SOON_US: i64 = 30 * DAY_MICROS;

/// The notes of an account at this instant.
pub fn notes(state: &ConsoleState, view: &AccountView, facts: &Facts) -> Vec<Note> {
    let mut notes = Vec::new();
    notes.extend(status(facts));
    notes.extend(setup(view, facts));
    notes.extend(quota(view, facts));
    notes.extend(ends_soon(view, facts));
    notes.extend(without_package(state, view, facts));
    notes
}

fn status(facts: &Facts) -> Option<Note> {
    // An account that is overdue or paused is told so on every page, above this.
    let told = AccountStatus::OVERDUE.0 | AccountStatus::RESTRICTED.0;
    let status = facts.numbers.status.0 & !told;
    if status != AccountStatus::NORMAL.0 {
        let text = "The operator has stopped sending for this account. Ask there what has to be done.";
        return Some(Note::new(Tone::Bad, "The account cannot send", text));
    }
    None
}

fn setup(view: &AccountView, facts: &Facts) -> Option<Note> {
    if !facts.has_verified_domain {
        let text = "Before the first mail, a domain of yours has to be registered and its DNS records found.";
        let note = Note::new(Tone::Warn, "No verified domain", text);
        return Some(note.with_link(view.href("/sending/domains"), "Go to the domains"));
    }
    if !facts.has_sender {
        let note = Note::new(
            Tone::Warn,
            "No sender address",
            "The domain is verified; now it needs an address to send as.",
        );
        return Some(note.with_link(view.href("/sending/addresses"), "Go to the sender addresses"));
    }
    None
}

/// R17, R18: what is refused today and why a purchase would not help.
fn quota(view: &AccountView, facts: &Facts) -> Option<Note> {
    // While sending is paused no reset of the day matters; the banner says what does.
    if facts.numbers.status.has(AccountStatus::RESTRICTED) {
        return None;
    }
    let resets = indicia_domain::time::local_day(view.zone.time_zone(), view.now).end;
    let resets = view.zone.moment(resets).full();
    if facts.quota_left == 0 {
        let text = format!(
            "Further requests are refused until {resets}. Packages do not raise the quota; a good sending history does, \
             week by week."
        );
        let note = Note::new(Tone::Bad, "Today's quota is used up", text);
        return Some(note.with_link(view.href(REPUTATION), "See what raises it"));
    }
    if facts.quota_used.saturating_mul(5) >= facts.numbers.daily_quota.saturating_mul(4) {
        let text = format!("{} left until {resets}.", format::mails_noun(facts.quota_left));
        return Some(Note::new(Tone::Warn, "Today's quota is nearly used", text));
    }
    None
}

fn ends_soon(view: &AccountView, facts: &Facts) -> Vec<Note> {
    let paying = facts.paying(view);
    let soon = paying.iter().filter(|row| row.package.ends_at.0 - view.now.0 <= ENDS_SOON_US);
    soon.take(3)
        .map(|row| {
            let package = &row.package;
            let days = format::counted(format::days_left(view.now, package.ends_at), "day");
            let text = format!(
                "{} are left in {}. What is not used by {} lapses and does not come back.",
                format::mails_noun(package.remaining),
                package.instance_id,
                view.zone.moment(package.ends_at).full()
            );
            Note::new(Tone::Warn, format!("A package ends in {days}"), text)
                .with_link(view.href(&format!("{DIRECTMAIL}/{}", package.instance_id)), "See the package")
        })
        .collect()
}

fn without_package(state: &ConsoleState, view: &AccountView, facts: &Facts) -> Option<Note> {
    if facts.free_today > 0 || !facts.paying(view).is_empty() {
        return None;
    }
    let price = state.money(state.prices.pay_as_you_go().0.saturating_mul(1_000));
    let text = format!(
        "No package can pay and no free mail is left today: each 1,000 mails cost {price}. A package is cheaper."
    );
    let note = Note::new(Tone::Info, "Mails are charged as you go", text);
    Some(note.with_link(view.href(&format!("{DIRECTMAIL}/buy")), "Buy a package"))
}
