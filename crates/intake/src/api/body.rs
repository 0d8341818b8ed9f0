//! How a request's body comes into memory.
//!
//! A body waits until there is room for what it announces (a chunked one: for the most that is allowed), so that all
//! bodies together stay bounded before any signature has been looked at. One that is too large is refused; but most
//! clients write all of their request before they read, and a connection that is closed while they write shows them an
//! error of the network instead of the refusal. So what is left of such a body is read and dropped, within bounds, before
//! the answer goes out. Clients that ask first (`Expect: 100-continue`) have sent nothing and are answered at once.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::gateway::header_text;
use super::protocol::ApiError;
use crate::message::content::BODY_BYTES_MAX_IN_FORM;

/// How long a client may take to send its body, waiting for room included.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a body that is refused is read and dropped, and for how long.
const DRAINED_BYTES_MAX: usize = 256 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// What is set aside for a body before any of it has come; beyond, the buffer grows with what comes.
const FIRST_BYTES_MAX: usize = 1024 * 1024;

/// Why a body is not taken.
enum Untaken {
    TooLarge,
    Broken,
    TooSlow,
    /// The server is going down.
    Stopping,
}

/// Takes the body into memory, once there is room for it. The permit stands for the room.
pub(super) async fn read_body(
    api: &Api,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), ApiError> {
    let limit = api.settings.body_bytes_max;
    let announced = header_text(headers, "content-length").and_then(|text| text.parse::<usize>().ok());
    let chunked = headers.contains_key(header::TRANSFER_ENCODING);
    let expected = announced.unwrap_or(if chunked { limit } else { 0 });
    let taken = match expected > limit {
        true => Err(Untaken::TooLarge),
        false => {
            let taking = take(api, &mut body, expected, limit);
            tokio::time::timeout(BODY_TIMEOUT, taking).await.unwrap_or(Err(Untaken::TooSlow))
        }
    };
    let untaken = match taken {
        Ok(taken) => return Ok(taken),
        Err(untaken) => untaken,
    };
    // Of a body that is more than would be drained nothing need be read: its client could not finish it anyway.
    let asks_first = headers.contains_key(header::EXPECT);
    if matches!(untaken, Untaken::TooLarge) && !asks_first && expected <= DRAINED_BYTES_MAX {
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, drain(&mut body)).await;
    }
    Err(refusal(&untaken, limit))
}

async fn take(
    api: &Api,
    body: &mut Body,
    expected: usize,
    limit: usize,
) -> Result<(Bytes, OwnedSemaphorePermit), Untaken> {
    // Never more than there is in all, which would wait for ever.
    let kib = expected.div_ceil(1024).min(api.settings.body_bytes_in_flight_max / 1024);
    let kib = u32::try_from(kib).unwrap_or(u32::MAX);
    let room = api.body_kib.clone().acquire_many_owned(kib).await.map_err(|_| Untaken::Stopping)?;
    let mut taken = Vec::with_capacity(expected.min(FIRST_BYTES_MAX));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Untaken::Broken)?.into_data() else { continue };
        if taken.len() + data.len() > limit {
            return Err(Untaken::TooLarge);
        }
        taken.extend_from_slice(&data);
    }
    Ok((taken.into(), room))
}

/// Reads on and drops what it reads.
async fn drain(body: &mut Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = body.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAINED_BYTES_MAX {
            return;
        }
    }
}

fn refusal(untaken: &Untaken, limit: usize) -> ApiError {
    const MIB: usize = 1024 * 1024;
    match untaken {
        Untaken::TooLarge => ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            format!(
                "The body of the request has more than {limit} bytes, counted as sent (percent-encoded)."
            ),
            format!(
                "Send less: HtmlBody and TextBody may have {} MiB each before they are percent-encoded.",
                BODY_BYTES_MAX_IN_FORM / MIB
            ),
        ),
        Untaken::Broken => ApiError::bad_request(
            "InvalidBody.Incomplete",
            "The body of the request could not be read to its end.",
            "Send the request again.",
        ),
        Untaken::TooSlow => ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeout",
            format!("The body did not arrive within {} seconds.", BODY_TIMEOUT.as_secs()),
            "Send the request again.",
        ),
        Untaken::Stopping => ApiError::internal(),
    }
}
