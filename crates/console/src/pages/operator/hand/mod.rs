//! Money and mails by hand: credit, adjustment, credit limit, each with a reason and a confirm step.
//!
//! Nothing is done before the confirm page's button. That page's own address carries a token that only the
//! first form to use it can take ([`indicia_store::Store::claim_form`]), so that a double click, a resend or a
//! lost answer books once. What is done are new ledger lines, never a change of one that stands (R27), and an
//! audit entry; the page shows both.

mod order;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::{
    ledger::{Kind, Transfer},
    money::MoneyMicros,
};
use indicia_store::{
    money::{AdjustError, Adjusted, Adjustment, CreditError},
    oversight::{AuditQuery, LineQuery},
    package::PackageFilter,
};
use order::{Deed, HandForm, Order, REASON_LENGTH_MAX, TOKEN_SIZE_BYTES};
use serde::Deserialize;

use super::audit::{AuditRow, HREF as AUDIT};
use crate::{
    ConsoleState,
    components::{Note, Tone},
    error::{ConsoleError, page, with_cookie},
    format,
    pages::{Fact, SelectOption, transactions::LineRow, with_query},
    session::{
        cookie::Cookie,
        viewer::{AccountView, here},
    },
    shell::{Flash, HAND, Place, Shell, TRANSACTIONS},
};

const TITLE: &str = "Money by hand";
/// Lines in which those of a deed are looked for: a busy account has charges of mails between them.
const LINES_READ: i64 = 500;
const LINES_SHOWN: usize = 20;
const ENTRIES_SHOWN: i64 = 10;

const DIRECTIONS: &[(&str, &str)] = &[("give", "Put on"), ("take", "Take off")];
const ADJUSTABLE: &[(&str, &str)] =
    &[("money", "Money"), ("free", "Mails of the free credit"), ("package", "Mails of a package")];

/// A package that can be adjusted.
struct PackageOption {
    id: String,
    text: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "operator/hand.html")]
struct HandPage {
    shell: Shell,
    note: Option<Note>,
    confirm_href: String,
    facts: Vec<Fact>,
    form: HandForm,
    credit_directions: Vec<SelectOption>,
    adjust_directions: Vec<SelectOption>,
    adjustable: Vec<SelectOption>,
    packages: Vec<PackageOption>,
    reason_length_max: usize,
    came_of_it: bool,
    rows: Vec<LineRow>,
    transactions_href: String,
    entries: Vec<AuditRow>,
    audit_href: String,
}

/// What the page is asked with after something was done: the last line before it.
#[derive(Deserialize)]
pub struct HandQuery {
    #[serde(default)]
    after: String,
}

/// `GET /accounts/{account_id}/operator`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<HandQuery>,
) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    hand_page(&state, &view, HandForm::default(), None, query.after.parse().ok()).await
}

fn only_operators(view: &AccountView) -> Result<(), ConsoleError> {
    if view.viewer.is_operator() { Ok(()) } else { Err(ConsoleError::NotFound { what: "page" }) }
}

async fn hand_page(
    state: &ConsoleState,
    view: &AccountView,
    form: HandForm,
    note: Option<Note>,
    after: Option<i64>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let lines = lines(state, view, after).await?;
    let query = AuditQuery { account_id: Some(view.id()), actor: None, after: None, limit: ENTRIES_SHOWN };
    let entries = state.store.audit_entries(&query).await?;
    let (for_credit, for_adjustment) =
        if form.kind == "credit" { (form.direction.as_str(), "") } else { ("", form.direction.as_str()) };
    let template = HandPage {
        shell: view
            .shell(state, Place::Hand, TITLE)
            .with_crumbs(vec![view.crumb("Overview", ""), here(TITLE)]),
        note,
        confirm_href: view.href(&format!("{HAND}/confirm")),
        facts: facts(state, view),
        credit_directions: SelectOption::list(DIRECTIONS, for_credit),
        adjust_directions: SelectOption::list(DIRECTIONS, for_adjustment),
        adjustable: SelectOption::list(ADJUSTABLE, &form.kind),
        packages: packages(state, view, &form.instance).await?,
        reason_length_max: REASON_LENGTH_MAX,
        came_of_it: after.is_some(),
        rows: lines.iter().map(|line| LineRow::of(state, view, line)).collect(),
        transactions_href: view.href(TRANSACTIONS),
        entries: entries.iter().map(|entry| AuditRow::of(&view.zone, entry)).collect(),
        audit_href: with_query(AUDIT, &[("account", &view.id().to_string())]),
        form,
    };
    Ok((status, page(&template)?).into_response())
}

/// The account's money as it is now.
fn facts(state: &ConsoleState, view: &AccountView) -> Vec<Fact> {
    let numbers = &view.numbers;
    vec![
        Fact::text("Cash balance", state.money(numbers.cash.0)),
        Fact::text("Credit limit", state.money(numbers.credit_limit.0)),
        Fact::text("Open bills", state.money(numbers.open.0)),
        Fact::text("Of these due", state.money(numbers.due.0)),
        Fact::text("Free credit left", format::mails_noun(numbers.free_left)),
    ]
}

/// Packages that have not ended, as choices.
async fn packages(
    state: &ConsoleState,
    view: &AccountView,
    chosen: &str,
) -> Result<Vec<PackageOption>, ConsoleError> {
    let rows = state.store.packages(view.id(), &PackageFilter::default()).await?;
    let live = rows.iter().filter(|row| row.package.closed.is_none() && view.now < row.package.ends_at);
    Ok(live
        .map(|row| PackageOption {
            id: row.package.instance_id.clone(),
            text: format!(
                "{}: {} of {} left",
                row.package.instance_id,
                format::mails(row.package.remaining),
                format::mails(row.package.granted)
            ),
            is_chosen: row.package.instance_id == chosen,
        })
        .collect())
}

/// Whether a line comes of what was done by hand: due bills are settled with what comes in.
fn comes_of_it(line: &Transfer) -> bool {
    matches!(line.kind, Kind::Credit | Kind::Adjustment | Kind::Settlement)
}

/// After a deed, the lines that came of it, in their order; otherwise the newest that were made by hand.
async fn lines(
    state: &ConsoleState,
    view: &AccountView,
    after: Option<i64>,
) -> Result<Vec<Transfer>, ConsoleError> {
    let mut lines = match after {
        Some(after_sequence) => {
            let query = LineQuery { after_sequence, limit: LINES_READ, ..LineQuery::all(view.id()) };
            let mut lines = state.store.lines_in_order(&query).await?;
            lines.retain(comes_of_it);
            lines
        }
        None => state.store.lines_by_hand(view.id(), LINES_SHOWN as i64).await?,
    };
    lines.truncate(LINES_SHOWN);
    Ok(lines)
}

#[derive(Template)]
#[template(path = "operator/hand_confirm.html")]
struct ConfirmPage {
    shell: Shell,
    note: Option<Note>,
    facts: Vec<Fact>,
    consequence: String,
    can_do: bool,
    form: HandForm,
    book_href: String,
    back_href: String,
    button: String,
}

/// `GET /accounts/{account_id}/operator/confirm`
pub async fn confirm(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(form): Query<HandForm>,
) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    let order = match form.check() {
        Ok(order) => order,
        Err(note) => return hand_page(&state, &view, form, Some(note), None).await,
    };
    if !form.has_token() {
        return Ok(
            Redirect::to(&confirm_href(&view, &form, &crate::random_hex(TOKEN_SIZE_BYTES))).into_response()
        );
    }
    confirm_page(&state, &view, &form, &order, None).await
}

/// The confirm page's own address: going back to it and pressing the button again is the same form.
fn confirm_href(view: &AccountView, form: &HandForm, token: &str) -> String {
    let fields = [
        ("kind", form.kind.as_str()),
        ("direction", &form.direction),
        ("amount", &form.amount),
        ("mails", &form.mails),
        ("instance", &form.instance),
        ("reason", &form.reason),
        ("token", token),
    ];
    with_query(&view.href(&format!("{HAND}/confirm")), &fields)
}

async fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    form: &HandForm,
    order: &Order,
    refusal: Option<Note>,
) -> Result<Response, ConsoleError> {
    let status = if refusal.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let template = ConfirmPage {
        shell: view.shell(state, Place::Hand, "Confirm").with_crumbs(vec![
            view.crumb("Overview", ""),
            view.crumb(TITLE, HAND),
            here("Confirm"),
        ]),
        can_do: refusal.is_none(),
        note: refusal,
        facts: confirm_facts(state, view, order),
        consequence: consequence(state, view, &order.deed),
        book_href: view.href(&format!("{HAND}/book")),
        back_href: view.href(HAND),
        button: format!("{}: {}", order.deed.title(), order.deed.amount(state)),
        form: form.clone(),
    };
    Ok((status, page(&template)?).into_response())
}

fn confirm_facts(state: &ConsoleState, view: &AccountView, order: &Order) -> Vec<Fact> {
    let numbers = &view.numbers;
    let mut facts = vec![
        Fact::text("Account", format!("{} ({})", view.account.name, view.id())),
        Fact::text("What", order.deed.title()),
        Fact::text("How much", order.deed.amount(state)),
    ];
    let after = |before: i64, change: i64| before.saturating_add(change);
    match &order.deed {
        Deed::Credit(amount) | Deed::Adjust(Adjusted::Money(amount)) => {
            facts.push(Fact::text("Cash balance now", state.money(numbers.cash.0)));
            let then =
                if numbers.due.0 > 0 { "Then, before due bills are paid" } else { "Cash balance then" };
            facts.push(Fact::text(then, state.money(after(numbers.cash.0, amount.0))));
        }
        Deed::Adjust(Adjusted::FreeMails(mails)) => {
            facts.push(Fact::text("Free credit now", format::mails_noun(numbers.free_left)));
            facts.push(Fact::text("Free credit then", format::mails_noun(after(numbers.free_left, *mails))));
        }
        Deed::Adjust(Adjusted::PackageMails { instance_id, .. }) => {
            facts.push(Fact::mono("Package", instance_id.clone()));
        }
        Deed::CreditLimit(_) => {
            facts.push(Fact::text("Credit limit now", state.money(numbers.credit_limit.0)));
        }
    }
    facts.push(Fact::text("Reason", order.reason.clone()));
    facts
}

/// What else happens in the same moment.
fn consequence(state: &ConsoleState, view: &AccountView, deed: &Deed) -> String {
    let numbers = &view.numbers;
    let rises = match deed {
        Deed::Credit(amount) | Deed::Adjust(Adjusted::Money(amount)) => amount.0 > 0,
        Deed::CreditLimit(limit) => limit.0 > numbers.credit_limit.0,
        Deed::Adjust(_) => false,
    };
    if rises && numbers.due.0 > 0 {
        return format!(
            "Bills of {} are due. They are paid in the same moment, the oldest first, as far as the money reaches; when \
             nothing is due any more, the account can send again at once (R11).",
            state.money(numbers.due.0)
        );
    }
    match deed {
        Deed::CreditLimit(_) => "The limit is written to the audit log. It moves no money, so it makes no line in the ledger.".into(),
        _ => "A line is added to the ledger and an entry to the audit log. Neither can be changed; a mistake is mended by \
              another line the other way."
            .into(),
    }
}

/// `POST /accounts/{account_id}/operator/book`
pub async fn book(
    State(state): State<ConsoleState>,
    view: AccountView,
    Form(form): Form<HandForm>,
) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    let order = match form.check() {
        Ok(order) => order,
        Err(note) => return hand_page(&state, &view, form, Some(note), None).await,
    };
    if !form.has_token() {
        let text = "The form lacks its token. Nothing was done. Go back and start anew.";
        return Err(ConsoleError::BadInput(text.into()));
    }
    if !state.store.claim_form(view.id(), &form.token).await? {
        let text = "It was sent before, and is done once. The lines below show what came of it; to do the same \
                    again, start with an empty form.";
        let note = Note::new(Tone::Warn, "This form has been used", text)
            .with_link(view.href(HAND), "See the lines");
        return confirm_page(&state, &view, &form, &order, Some(note)).await;
    }
    match carry_out(&state, &view, &order).await? {
        Ok(()) => {
            let after = view.numbers.ledger_sequence.to_string();
            let href = with_query(&view.href(HAND), &[("after", &after)]);
            let cookie = state.cookies().set(Cookie::Flash, Flash::Booked.name(), Some(30));
            Ok(with_cookie(Redirect::to(&href).into_response(), cookie))
        }
        Err(refusal) => hand_page(&state, &view, form, Some(refusal), None).await,
    }
}

/// Does it. The inner error is the reader's: what was asked for cannot be done, and nothing was.
async fn carry_out(
    state: &ConsoleState,
    view: &AccountView,
    order: &Order,
) -> Result<Result<(), Note>, ConsoleError> {
    let (store, actor) = (&state.store, view.actor());
    let refused =
        |error: String| Err(Note::new(Tone::Bad, "Nothing was done", format!("{}.", sentence(&error))));
    let credited = |done: Result<(), CreditError>| match done {
        Ok(()) => Ok(Ok(())),
        Err(CreditError::Store(error)) => Err(ConsoleError::Store(error)),
        Err(error) => Ok(refused(error.to_string())),
    };
    match &order.deed {
        Deed::Credit(amount) => {
            credited(store.credit(view.id(), *amount, &order.reason, &actor).await.map(|_: MoneyMicros| ()))
        }
        Deed::CreditLimit(limit) => {
            credited(store.set_credit_limit(view.id(), *limit, &order.reason, &actor).await)
        }
        Deed::Adjust(what) => {
            let adjustment =
                Adjustment { account_id: view.id(), what: what.clone(), reason: order.reason.clone() };
            match store.adjust(&adjustment, &actor).await {
                Ok(_) => Ok(Ok(())),
                Err(AdjustError::Credit(CreditError::Store(error))) => Err(ConsoleError::Store(error)),
                Err(error) => Ok(refused(error.to_string())),
            }
        }
    }
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
