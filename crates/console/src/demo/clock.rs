//! The demo's clock page, and the one form that a script on the same machine may post without a session.

use askama::Template;
use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use indicia_domain::time::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS};
use serde::Deserialize;

use super::DemoFrame;
use crate::{
    ConsoleState,
    error::{ConsoleError, page, wants_html, with_cookie},
    session::{cookie::Cookie, viewer::Viewer},
    shell::{Flash, Place, Shell},
};

/// The furthest that one step goes: ten years, far beyond any package, far from the calendar's end.
const ADVANCE_MAX_US: i64 = 3_653 * DAY_MICROS;

/// A button of the page.
struct Step {
    value: &'static str,
    text: &'static str,
}

const STEPS: &[Step] = &[
    Step { value: "1h", text: "Forward 1 hour" },
    Step { value: "1d", text: "Forward 1 day" },
    Step { value: "7d", text: "Forward 7 days" },
    Step { value: "30d", text: "Forward 30 days" },
];

#[derive(Template)]
#[template(path = "demo/clock.html")]
struct ClockPage {
    shell: Shell,
    now: String,
    zone: String,
    steps: &'static [Step],
    public_url: String,
}

/// `GET /demo/clock`
pub async fn show(State(state): State<ConsoleState>, viewer: Viewer) -> Result<Response, ConsoleError> {
    demo(&state)?;
    let frame = DemoFrame::load(&state, &viewer).await?;
    let now = frame.zone.moment(state.now());
    page(&ClockPage {
        shell: frame.shell(&state, &viewer, Place::Clock, "Demo clock"),
        now: now.local,
        zone: now.zone,
        steps: STEPS,
        public_url: state.config.public_url.trim_end_matches('/').to_owned(),
    })
}

/// `advance`: a whole number and `s`, `m`, `h`, `d` or `w`.
#[derive(Deserialize)]
pub struct Advance {
    #[serde(default)]
    advance: String,
}

/// `POST /demo/clock`
///
/// A browser comes back to the page; a script gets one line with the new time in UTC.
pub async fn advance(
    State(state): State<ConsoleState>,
    viewer: Option<Viewer>,
    headers: HeaderMap,
    Form(form): Form<Advance>,
) -> Result<Response, ConsoleError> {
    let by_us = parse_advance(&form.advance)?;
    let now = demo(&state)?.clock.advance(by_us).await.map_err(|error| ConsoleError::Demo(error.0))?;
    tracing::info!(advance = %form.advance, now = %now, "the demo's clock was moved forward");
    if viewer.is_some() && wants_html(&headers) {
        let answer = Redirect::to("/demo/clock").into_response();
        return Ok(with_cookie(
            answer,
            state.cookies().set(Cookie::Flash, Flash::ClockMoved.name(), Some(30)),
        ));
    }
    Ok(format!("{}\n", now.rfc3339_seconds()).into_response())
}

fn demo(state: &ConsoleState) -> Result<&crate::state::Demo, ConsoleError> {
    state.demo.as_ref().ok_or(ConsoleError::NotFound { what: "page" })
}

fn parse_advance(text: &str) -> Result<i64, ConsoleError> {
    let refuse = || {
        ConsoleError::BadInput(format!(
            "“{}” is not a time to go forward by, so the clock was not moved: write a whole number and s, m, h, d or w, \
             such as 7d, up to ten years.",
            text.chars().take(40).collect::<String>()
        ))
    };
    let unit_us = match text.chars().last() {
        Some('s') => SECOND_MICROS,
        Some('m') => MINUTE_MICROS,
        Some('h') => HOUR_MICROS,
        Some('d') => DAY_MICROS,
        Some('w') => 7 * DAY_MICROS,
        _ => return Err(refuse()),
    };
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refuse());
    }
    let count: i64 = digits.parse().map_err(|_| refuse())?;
    count.checked_mul(unit_us).filter(|by_us| (1..=ADVANCE_MAX_US).contains(by_us)).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_go_forward_by() {
        for (text, by_us) in [
            ("1h", HOUR_MICROS),
            ("7d", 7 * DAY_MICROS),
            ("2w", 14 * DAY_MICROS),
            ("90s", 90 * SECOND_MICROS),
        ] {
            assert_eq!(parse_advance(text).unwrap(), by_us, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "d", "0d", "-1d", "+1d", "1.5d", "1y", "7 d", "9999999999999999999d", "4000d", "１d", "7é"]
        {
            assert!(matches!(parse_advance(text), Err(ConsoleError::BadInput(_))), "{text}");
        }
    }
}
