//! Money and mails by hand: credit, adjustment, credit limit, each with a reason and a confirm step.
//!
//! Nothing is done before the confirm page's button. That page's own address carries a token, which is the deed's
//! idempotency key and kept in the deed's own transaction (R26). So a double click, a resend or a lost answer books
//! once, every repeat is shown the lines of the first time, and a form whose deed failed can be sent again. What
//! is done are new ledger lines, never a change of one that stands (R27), and an audit entry; the page shows both.

mod order;

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::ledger::Transfer;
use indicia_store::{
    StoreError,
    money::{AdjustError, Adjusted, Adjustment, CreditError, MoneyReceipt},
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
const LINES_SHOWN: i64 = 20;
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

/// What the page is asked with after something was done: the last line before it, and how many came of it.
#[derive(Deserialize)]
pub struct HandQuery {
    #[serde(default)]
    after: String,
    #[serde(default)]
    lines: String,
}

impl HandQuery {
    fn came_of_it(&self) -> Option<CameOfIt> {
        Some(CameOfIt { after_sequence: self.after.parse().ok()?, lines: self.lines.parse().ok()? })
    }
}

/// The lines of one deed.
#[derive(Clone, Copy)]
struct CameOfIt {
    after_sequence: i64,
    lines: i64,
}

/// `GET /accounts/{account_id}/operator`
pub async fn show(
    State(state): State<ConsoleState>,
    view: AccountView,
    Query(query): Query<HandQuery>,
) -> Result<Response, ConsoleError> {
    only_operators(&view)?;
    hand_page(&state, &view, HandForm::default(), None, query.came_of_it()).await
}

fn only_operators(view: &AccountView) -> Result<(), ConsoleError> {
    if view.viewer.is_operator() { Ok(()) } else { Err(ConsoleError::NotFound { what: "page" }) }
}

async fn hand_page(
    state: &ConsoleState,
    view: &AccountView,
    form: HandForm,
    note: Option<Note>,
    came_of_it: Option<CameOfIt>,
) -> Result<Response, ConsoleError> {
    let status = if note.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let lines = lines(state, view, came_of_it).await?;
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
        came_of_it: came_of_it.is_some(),
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

/// After a deed, the lines that came of it, in their order; otherwise the newest that were made by hand.
async fn lines(
    state: &ConsoleState,
    view: &AccountView,
    came_of_it: Option<CameOfIt>,
) -> Result<Vec<Transfer>, ConsoleError> {
    let Some(CameOfIt { after_sequence, lines }) = came_of_it else {
        return Ok(state.store.lines_by_hand(view.id(), LINES_SHOWN).await?);
    };
    let query = LineQuery { after_sequence, limit: lines.clamp(0, LINES_SHOWN), ..LineQuery::all(view.id()) };
    Ok(state.store.lines_in_order(&query).await?)
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
    confirm_page(&state, &view, &form, &order, Standing::Asked)
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

/// How a form stands when its confirm page is shown.
enum Standing {
    Asked,
    /// Its token was used for something else.
    Used,
    /// The store failed, perhaps while it was committing.
    Unknown,
}

impl Standing {
    fn note(&self) -> Option<Note> {
        match self {
            Standing::Asked => None,
            Standing::Used => Some(Note::new(
                Tone::Warn,
                "This form has been used",
                "It was used for something else than what it says now. Nothing was done; start with an empty form.",
            )),
            Standing::Unknown => Some(Note::new(
                Tone::Bad,
                "It is not known whether this was done",
                "The database failed or did not answer; the log says how. Press the button again: it is done once, \
                 however often it is pressed, and the page then shows the lines that came of it.",
            )),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Standing::Asked => StatusCode::OK,
            Standing::Used => StatusCode::CONFLICT,
            Standing::Unknown => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Reads nothing, so that it can be shown while the database is gone.
fn confirm_page(
    state: &ConsoleState,
    view: &AccountView,
    form: &HandForm,
    order: &Order,
    standing: Standing,
) -> Result<Response, ConsoleError> {
    let template = ConfirmPage {
        shell: view.shell(state, Place::Hand, "Confirm").with_crumbs(vec![
            view.crumb("Overview", ""),
            view.crumb(TITLE, HAND),
            here("Confirm"),
        ]),
        can_do: !matches!(standing, Standing::Used),
        note: standing.note(),
        facts: confirm_facts(state, view, order),
        consequence: consequence(state, view, &order.deed),
        book_href: view.href(&format!("{HAND}/book")),
        back_href: view.href(HAND),
        button: format!("{}: {}", order.deed.title(), order.deed.amount(state)),
        form: form.clone(),
    };
    Ok((standing.status(), page(&template)?).into_response())
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
    match carry_out(&state, &view, &order, &format!("console:{}", form.token)).await {
        Ok(receipt) => Ok(booked(&state, &view, &receipt)),
        Err(Unbooked::Used) => confirm_page(&state, &view, &form, &order, Standing::Used),
        Err(Unbooked::Refused(why)) => {
            let note = Note::new(Tone::Bad, "Nothing was done", format!("{}.", sentence(&why)));
            hand_page(&state, &view, form, Some(note), None).await
        }
        Err(Unbooked::Unknown(error)) => {
            tracing::error!(account_id = view.id(), %error, "what an operator did by hand may or may not be booked");
            confirm_page(&state, &view, &form, &order, Standing::Unknown)
        }
    }
}

/// To the lines that came of it, the first time and every other.
fn booked(state: &ConsoleState, view: &AccountView, receipt: &MoneyReceipt) -> Response {
    let flash = if receipt.is_repeat { Flash::BookedBefore } else { Flash::Booked };
    let (after, lines) = (receipt.after_sequence.to_string(), receipt.lines.to_string());
    let href = with_query(&view.href(HAND), &[("after", &after), ("lines", &lines)]);
    let cookie = state.cookies().set(Cookie::Flash, flash.name(), Some(30));
    with_cookie(Redirect::to(&href).into_response(), cookie)
}

/// Why there is no receipt.
enum Unbooked {
    /// It cannot be done, and was not; for the reader.
    Refused(String),
    /// The form's token was used for something else.
    Used,
    Unknown(StoreError),
}

impl From<CreditError> for Unbooked {
    fn from(error: CreditError) -> Self {
        match error {
            CreditError::IdempotencyConflict => Unbooked::Used,
            CreditError::Store(error) => Unbooked::Unknown(error),
            refused => Unbooked::Refused(refused.to_string()),
        }
    }
}

impl From<AdjustError> for Unbooked {
    fn from(error: AdjustError) -> Self {
        match error {
            AdjustError::Credit(error) => error.into(),
            refused => Unbooked::Refused(refused.to_string()),
        }
    }
}

/// Does it, once under its key.
async fn carry_out(
    state: &ConsoleState,
    view: &AccountView,
    order: &Order,
    key: &str,
) -> Result<MoneyReceipt, Unbooked> {
    let (store, account_id, actor) = (&state.store, view.id(), view.actor());
    let (reason, key) = (&order.reason, Some(key));
    Ok(match &order.deed {
        Deed::Credit(amount) => store.credit(account_id, *amount, reason, &actor, key).await?,
        Deed::CreditLimit(limit) => store.set_credit_limit(account_id, *limit, reason, &actor, key).await?,
        Deed::Adjust(what) => {
            let adjustment = Adjustment { account_id, what: what.clone(), reason: reason.clone() };
            store.adjust(&adjustment, &actor, key).await?
        }
    })
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
