//! The deductions of a package as CSV, oldest first, streamed: a page of lines at a time is read and sent, so
//! that an export of any length needs the memory of one page.

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use indicia_domain::ledger::Transfer;
use indicia_store::ledger::{DeductionQuery, DeductionToken};

use super::{all_deductions, find};
use crate::{ConsoleState, error::ConsoleError, format::Zone, session::viewer::AccountView};

/// Lines read at a time.
const LINES_PER_CHUNK: i64 = 1_000;

/// Where the export is.
struct Progress {
    state: ConsoleState,
    query: DeductionQuery,
    zone: Zone,
    is_first: bool,
    is_done: bool,
}

/// `GET …/resource-packages/directmail/{instance_id}/deductions.csv`
pub async fn export(
    State(state): State<ConsoleState>,
    view: AccountView,
    Path((_, instance_id)): Path<(String, String)>,
) -> Result<Response, ConsoleError> {
    let row = find(&state, &view, &instance_id).await?;
    let query = DeductionQuery { limit: LINES_PER_CHUNK, ..all_deductions(&view, &instance_id) };
    let progress = Progress { state, query, zone: view.zone, is_first: true, is_done: false };
    let mut response = Body::from_stream(stream::try_unfold(progress, next_chunk)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    let name = format!("attachment; filename=\"{}-deductions.csv\"", row.package.instance_id);
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// The next piece of the file. An error here breaks the transfer off, so that a reader cannot take half a
/// file for a whole one.
async fn next_chunk(mut progress: Progress) -> Result<Option<(Bytes, Progress)>, ConsoleError> {
    if progress.is_done {
        return Ok(None);
    }
    let lines = progress.state.store.deductions(&progress.query).await?;
    progress.is_done = (lines.len() as i64) < LINES_PER_CHUNK;
    if let Some(last) = lines.last() {
        progress.query.after = Some(DeductionToken { at: last.at.0, sequence: last.sequence });
    }
    let mut text = String::with_capacity(lines.len() * 96 + 128);
    if progress.is_first {
        text.push_str("Deduction time (UTC),Deduction time (local),Time zone,Instance,Before,Deducted,After,Message\r\n");
        progress.is_first = false;
    }
    let instance = progress.query.instance_id.clone().unwrap_or_default();
    for line in &lines {
        text.push_str(&csv_line(&progress.zone, &instance, line));
    }
    Ok(Some((Bytes::from(text), progress)))
}

/// One record. Its fields are digits, instants, a zone's and an instance's name: nothing that CSV would have
/// to quote and nothing that a spreadsheet takes for a formula.
fn csv_line(zone: &Zone, instance: &str, line: &Transfer) -> String {
    let at = zone.moment(line.at);
    format!(
        "{},{},{},{instance},{},{},{},{}\r\n",
        at.utc,
        at.local,
        zone.name(),
        line.before,
        line.amount,
        line.after,
        line.transaction_id
    )
}
