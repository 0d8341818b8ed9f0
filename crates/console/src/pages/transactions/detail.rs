//! One transaction: its lines in the ledger, and what it was: a message, an order, a bill, a collection.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use indicia_domain::ledger::{Kind, LedgerAccount, Transfer};
use indicia_store::bill::Bill;

use super::{kind_text, ledger::LineRow};
use crate::{
    ConsoleState,
    components::{Link, Note, Tone},
    error::{ConsoleError, page},
    format,
    pages::{
        Fact,
        bills::{BillRow, exact, hour_href, hour_name},
    },
    session::viewer::{AccountView, here},
    shell::{DIRECTMAIL, Place, Shell, TRANSACTIONS},
};

#[derive(Template)]
#[template(path = "transactions/detail.html")]
struct DetailPage {
    shell: Shell,
    title: &'static str,
    id: i64,
    note: Option<Note>,
    facts: Vec<Fact>,
    links: Vec<Link>,
    lines: Vec<LineRow>,
    /// The bills that a collection paid.
    paid: Vec<BillRow>,
}

/// `GET …/billing/transactions/{transaction_id}`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let missing = || ConsoleError::NotFound { what: "transaction" };
    let id: i64 = id.parse().map_err(|_| missing())?;
    let lines = state.store.transaction_lines(view.id(), id).await?;
    let first = lines.first().ok_or_else(missing)?;
    let bill = if first.kind == Kind::Bill { state.store.bill(view.id(), id).await? } else { None };
    let paid = match first.kind {
        Kind::Settlement => state.store.bills_of_settlement(view.id(), id).await?,
        _ => Vec::new(),
    };
    let title = kind_text(first.kind);
    page(&DetailPage {
        shell: view.shell(&state, Place::Transactions, title).with_crumbs(vec![
            view.crumb("Billing Management", "/billing"),
            view.crumb("Balance and transactions", TRANSACTIONS),
            here(format!("{title} {id}")),
        ]),
        note: bill.as_ref().filter(|bill| bill.is_adjustment()).map(|_| {
            let text = "Bills are never changed. This one brings an hour that had been billed up to its final usage; the \
                        hour's page shows all of its bills and their sum.";
            Note::new(Tone::Info, "An adjustment", text)
        }),
        facts: facts(&state, &view, first, bill.as_ref()),
        links: links(&view, first, bill.as_ref()),
        lines: lines.iter().map(|line| LineRow::of(&state, &view, line)).collect(),
        paid: paid.iter().map(|bill| BillRow::of(&state, &view, bill)).collect(),
        title,
        id,
    })
}

fn facts(state: &ConsoleState, view: &AccountView, first: &Transfer, bill: Option<&Bill>) -> Vec<Fact> {
    let mut facts = vec![Fact::text("Time", view.zone.moment(first.at).full())];
    if !first.memo.is_empty() {
        facts.push(Fact::text("What for", format::grouped_mails(&first.memo)));
    }
    if let Some(bill) = bill {
        let hour = format!(
            "{}, {}",
            view.zone.moment(bill.hour_start).date(),
            hour_name(&view.zone, bill.hour_start, bill.hour_end, false)
        );
        facts.push(Fact::text("Hour", hour));
        facts.push(Fact::text("Mails", format::mails(bill.mails)));
        facts.push(Fact::text("Price a mail", state.money(bill.price.0)));
        let exact = exact(state, bill.price, bill.mails, bill.amount).map(|text| format!("; {text}"));
        facts.push(Fact::text(
            "Amount",
            format!("{}{}", state.money(bill.amount.0), exact.unwrap_or_default()),
        ));
    }
    facts
}

/// Where to go from here: to the message, the order, the hour, the package.
fn links(view: &AccountView, first: &Transfer, bill: Option<&Bill>) -> Vec<Link> {
    let id = first.transaction_id;
    let mut links = match first.kind {
        Kind::Send | Kind::Reversal => vec![Link::new(view.href(&format!("/mails/{id}")), "The message")],
        Kind::Purchase | Kind::Upgrade | Kind::Refund => {
            vec![Link::new(view.href(&format!("{DIRECTMAIL}/orders/{id}")), "The order")]
        }
        _ => Vec::new(),
    };
    if let Some(bill) = bill {
        links.push(Link::new(hour_href(view, bill.hour_start), "The hour and all of its bills"));
        if let Some(settlement) = bill.settlement_id {
            links.push(Link::new(
                view.href(&format!("{TRANSACTIONS}/{settlement}")),
                "The collection that paid it",
            ));
        }
    }
    if first.kind == Kind::Adjustment
        && let LedgerAccount::Package(instance) = first.own_side().0
    {
        links.push(Link::new(view.href(&format!("{DIRECTMAIL}/{instance}")), "The package"));
    }
    links
}
