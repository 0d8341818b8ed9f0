//! An order: what was bought, renewed, exchanged or given back, what it cost, and what came of it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use indicia_domain::ledger::package::PackageStatus;
use indicia_store::{
    order::{Order, OrderKind},
    package::{PackageFilter, PackageRow},
};

use super::{bills::ledger_href, purchase::shell, status::package_badge};
use crate::{
    ConsoleState,
    components::{Badge, Note, Tone},
    error::{ConsoleError, page},
    format::{self, Moment},
    session::viewer::AccountView,
    shell::{DIRECTMAIL, Shell},
};

struct InstanceRow {
    href: String,
    id: String,
    badge: Badge,
    specification: String,
    price: String,
    starts_at: Moment,
    ends_at: Moment,
}

#[derive(Template)]
#[template(path = "billing/receipt.html")]
struct OrderPage {
    shell: Shell,
    note: Note,
    order_id: i64,
    at: Moment,
    what: String,
    /// `Paid` or `Paid back`.
    amount_name: &'static str,
    amount: String,
    ledger_href: String,
    balance: String,
    placed_by: String,
    /// The package that was renewed, exchanged or given back.
    related: Option<(String, String)>,
    packages_href: String,
    rows: Vec<InstanceRow>,
}

/// `GET …/directmail/orders/{order_id}`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, order_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "order" };
    let order_id: i64 = order_id.parse().map_err(|_| missing())?;
    let order = state.store.order(view.id(), order_id).await?.ok_or_else(missing)?;
    let mut rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
    rows.retain(|row| order.instances.contains(&row.package.instance_id));
    let package = |instance: &str| view.href(&format!("{DIRECTMAIL}/{instance}"));
    let has_come_back = order.amount.0 < 0;
    page(&OrderPage {
        shell: shell(&state, &view, "Receipt"),
        note: note(&view, &order, &rows),
        order_id,
        at: view.zone.moment(order.at),
        what: what(&order),
        amount_name: if has_come_back { "Paid back" } else { "Paid" },
        amount: state.money(order.amount.0.saturating_abs()),
        ledger_href: ledger_href(&view, order_id),
        balance: state.money(view.numbers.cash.0),
        placed_by: order.placed_by.clone(),
        related: order.related_instance.as_ref().map(|id| (package(id), id.clone())),
        packages_href: view.href(DIRECTMAIL),
        rows: rows.iter().map(|row| instance_row(&state, &view, row)).collect(),
    })
}

fn what(order: &Order) -> String {
    let mails = format::mails_noun(order.specification);
    match order.kind {
        OrderKind::New => format!("{} of {mails}", format::counted(order.quantity, "package")),
        OrderKind::Renew => format!("Renewal by a package of {mails}"),
        OrderKind::Upgrade => format!("Exchange for a package of {mails}"),
        OrderKind::Refund => format!("Refund of a package of {mails}"),
    }
}

fn note(view: &AccountView, order: &Order, rows: &[PackageRow]) -> Note {
    let upcoming = rows.iter().find(|row| row.package.status_at(view.now) == PackageStatus::Upcoming);
    let (works, pays) = if rows.len() == 1 { ("It works", "It pays") } else { ("They work", "They pay") };
    let text = match upcoming {
        Some(row) => format!("{works} from {}.", view.zone.moment(row.package.starts_at).full()),
        None => format!("{pays} as soon as the free credit and packages that end earlier are used."),
    };
    let (title, text) = match order.kind {
        OrderKind::New => (format!("{} bought", format::counted(order.quantity, "package")), text),
        OrderKind::Renew => ("The package was renewed".into(), text),
        OrderKind::Upgrade => ("The package was exchanged for a larger one".into(), text),
        OrderKind::Refund => (
            "The package was refunded".into(),
            "Its price is back on the cash balance, and its mails can no longer be used.".into(),
        ),
    };
    Note::new(Tone::Good, title, text)
}

fn instance_row(state: &ConsoleState, view: &AccountView, row: &PackageRow) -> InstanceRow {
    InstanceRow {
        href: view.href(&format!("{DIRECTMAIL}/{}", row.package.instance_id)),
        id: row.package.instance_id.clone(),
        badge: package_badge(&row.package, view.now),
        specification: format::mails(row.specification),
        price: state.money(row.price.0),
        starts_at: view.zone.moment(row.package.starts_at),
        ends_at: view.zone.moment(row.package.ends_at),
    }
}
