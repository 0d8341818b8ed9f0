//! What becomes of the packages if nothing changes, in words: when each runs out at the present pace, what will
//! lapse, and which size would fit. The reckoning is `indicia_domain::ledger::forecast`; this only says it.

use indicia_domain::{
    ledger::{
        forecast::{self, Advice, Alternative, Fitting, Forecast, Outlook, Pace},
        package::Package,
    },
    time::{DAY_MICROS, HOUR_MICROS, UnixMicros},
};
use indicia_store::package::{PackageRow, QUANTITY_MAX};

use crate::{
    ConsoleState,
    error::ConsoleError,
    format::{self, Zone},
    pages::{left::Left, with_query},
    session::viewer::AccountView,
    shell::DIRECTMAIL,
};

/// Days of usage that the pace is taken from; fewer for a younger account.
const PACE_DAYS: i64 = 30;

/// The account that draws on its packages, and when it is looked at.
pub struct Drawing<'a> {
    pub account_id: i64,
    pub created_at: UnixMicros,
    pub zone: &'a Zone,
    pub now: UnixMicros,
}

impl<'a> Drawing<'a> {
    pub fn of(view: &'a AccountView) -> Self {
        Self { account_id: view.id(), created_at: view.account.created_at, zone: &view.zone, now: view.now }
    }
}

/// The forecast of one account at one instant.
pub struct Reckoned {
    pace: Pace,
    /// Whether packages that begin later are among those that are forecast.
    has_later: bool,
    forecast: Forecast,
    fitting: Option<Fitting>,
}

impl Reckoned {
    /// From the usage that the store keeps by hour and all packages of the account.
    pub async fn load(
        state: &ConsoleState,
        drawing: &Drawing<'_>,
        rows: &[PackageRow],
    ) -> Result<Self, ConsoleError> {
        let now = drawing.now;
        let age_us = now.0.saturating_sub(drawing.created_at.0).max(0);
        let days = (age_us / DAY_MICROS + 1).clamp(1, PACE_DAYS);
        let from = now.plus_micros(-days * DAY_MICROS);
        let usage = state.store.usage_total(drawing.account_id, from, now.plus_micros(HOUR_MICROS)).await?;
        let pace = Pace { mails: (usage.package_mails + usage.payg_mails).max(0), days };
        let packages: Vec<Package> = rows.iter().map(|row| row.package.clone()).collect();
        Ok(Self {
            pace,
            has_later: Left::of(&packages, now).later_packages > 0,
            forecast: forecast::forecast(&packages, pace, now),
            fitting: forecast::fitting(&packages, pace, &state.prices, drawing.zone.time_zone(), now),
        })
    }

    /// Whether any mail went beyond the free credit.
    pub fn has_usage(&self) -> bool {
        self.pace.mails > 0
    }

    /// What becomes of one package, for a cell of the list: `None` when it is over.
    pub fn of_package(&self, view: &AccountView, instance_id: &str) -> Option<String> {
        match self.outlook(instance_id)? {
            Outlook::Over => None,
            Outlook::RunsOut { at } => Some(format!("Runs out about {}", view.zone.moment(at).date())),
            Outlook::Lapses { mails: 0 } => Some("Just lasts until its end".into()),
            Outlook::Lapses { mails } => Some(format!("About {} will lapse", format::mails(mails))),
        }
    }

    /// The same as a sentence, for the package's own page.
    pub fn sentence(&self, view: &AccountView, instance_id: &str) -> Option<String> {
        let ends = |mails| {
            format!(
                "If nothing changes, about {} will lapse at its end. {}",
                format::mails_noun(mails),
                self.basis()
            )
        };
        match self.outlook(instance_id)? {
            Outlook::Over => None,
            Outlook::RunsOut { at } => Some(format!(
                "At the present pace its last mail is used about {}, before its end. {}",
                view.zone.moment(at).local,
                self.basis()
            )),
            Outlook::Lapses { mails } => Some(ends(mails)),
        }
    }

    fn outlook(&self, instance_id: &str) -> Option<Outlook> {
        let found = self.forecast.packages.iter().find(|found| found.instance_id == instance_id);
        found.map(|found| found.outlook)
    }

    /// What the pace is and where it comes from.
    pub fn basis(&self) -> String {
        let days = match self.pace.days {
            1 => "the last 24 hours".to_owned(),
            days => format!("the last {days} days"),
        };
        if self.pace.mails == 0 {
            return format!("In {days} no mail went beyond the free credit.");
        }
        // Rounded half up: a pace of half a mail a day is still one.
        let a_day = (self.pace.mails + self.pace.days / 2) / self.pace.days;
        let pace =
            if a_day == 0 { "less than 1".to_owned() } else { format!("about {}", format::mails(a_day)) };
        format!(
            "The pace is {pace} mails a day, from the {} that {days} had beyond the free credit.",
            format::mails(self.pace.mails)
        )
    }

    /// The summary above the list.
    pub fn summary(&self, state: &ConsoleState, view: &AccountView) -> OutlookSummary {
        OutlookSummary {
            basis: self.basis(),
            future: self.future(&view.zone, view.now),
            advice: self.fitting.as_ref().map(|fitting| advice(state, view, fitting)),
        }
    }

    /// What becomes of all packages together, and when pay-as-you-go begins.
    pub fn future(&self, zone: &Zone, now: UnixMicros) -> String {
        let forecast = &self.forecast;
        let mut said = Vec::new();
        if forecast.usable_mails > 0 {
            if let Some(at) = forecast.runs_out_at {
                said.push(format!("All of it is used up about {}.", zone.moment(at).date()));
            } else if forecast.lapsing_mails > 0 {
                said.push(format!(
                    "About {} of the {} {} will lapse if nothing changes.",
                    format::mails(forecast.lapsing_mails),
                    format::mails(forecast.usable_mails),
                    if self.has_later { "in packages, those that begin later included," } else { "left" }
                ));
            } else {
                said.push("What is left lasts just until it ends.".into());
            }
        }
        if let Some(at) = forecast.pay_as_you_go_from {
            said.push(if at.0.saturating_sub(now.0) < DAY_MICROS {
                "Mails beyond the free credit are charged as you go.".into()
            } else {
                format!("Pay-as-you-go begins about {}.", zone.moment(at).date())
            });
        }
        said.join(" ")
    }
}

/// The summary above the list of packages.
pub struct OutlookSummary {
    pub basis: String,
    pub future: String,
    pub advice: Option<AdviceView>,
}

/// Which size would fit, and what it was chosen from.
pub struct AdviceView {
    pub title: String,
    pub text: String,
    pub buy_href: Option<String>,
    pub alternatives: Vec<AlternativeRow>,
}

/// One way to pay for the mails to come.
pub struct AlternativeRow {
    pub name: String,
    pub quantity: String,
    pub payg: String,
    pub surplus: String,
    pub cost: String,
    pub is_chosen: bool,
}

fn advice(state: &ConsoleState, view: &AccountView, fitting: &Fitting) -> AdviceView {
    let until = view.zone.moment(fitting.until).local;
    let mails = format::mails_noun(fitting.demand_mails);
    let covered = match fitting.uncovered_mails {
        0 => "and the packages at hand pay for all of them".to_owned(),
        all if all == fitting.demand_mails => "and no package at hand pays for them".to_owned(),
        some => format!("and for {} of them no package at hand pays", format::mails(some)),
    };
    let text = format!(
        "A package bought now would end {until}. Until then about {mails} are to come at this pace, {covered}."
    );
    let (title, buy_href) = match fitting.advice {
        Advice::Enough => ("No further package is needed".to_owned(), None),
        Advice::PayAsYouGo => ("Pay-as-you-go costs least for so few mails".to_owned(), None),
        Advice::Buy { offer, quantity } => {
            let fields = [
                ("specification", offer.mails.to_string()),
                ("quantity", quantity.clamp(1, QUANTITY_MAX).to_string()),
            ];
            let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
            let href = with_query(&view.href(&format!("{DIRECTMAIL}/buy")), &fields);
            (
                format!("{} × {} mails would fit", format::mails(quantity), format::mails(offer.mails)),
                Some(href),
            )
        }
    };
    AdviceView {
        title,
        text,
        buy_href,
        alternatives: fitting
            .alternatives
            .iter()
            .map(|alternative| alternative_row(state, fitting, alternative))
            .collect(),
    }
}

fn alternative_row(state: &ConsoleState, fitting: &Fitting, alternative: &Alternative) -> AlternativeRow {
    AlternativeRow {
        name: match alternative.offer {
            None => "Pay-as-you-go alone".into(),
            Some(offer) => format!("Packages of {}", format::mails(offer.mails)),
        },
        quantity: if alternative.offer.is_some() {
            format::mails(alternative.quantity)
        } else {
            "–".into()
        },
        payg: format::mails(alternative.pay_as_you_go_mails),
        surplus: format::mails(alternative.surplus_mails),
        cost: state.money(alternative.cost.0),
        is_chosen: match fitting.advice {
            Advice::Buy { offer, quantity } => {
                alternative.offer == Some(offer) && alternative.quantity == quantity
            }
            Advice::PayAsYouGo => alternative.offer.is_none(),
            Advice::Enough => false,
        },
    }
}

/// How long a package still works, as a person counts days.
pub fn days_left_text(view: &AccountView, package: &Package) -> Option<String> {
    let days = forecast::days_left(view.zone.time_zone(), view.now, package.ends_at)?;
    Some(match days {
        0 => "today is its last day".into(),
        1 => "tomorrow is its last day".into(),
        days => format!("{} left", format::counted(days, "day")),
    })
}
