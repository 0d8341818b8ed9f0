//! Structured logs on standard error: one JSON object (or one line of text) an event.

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSection};

/// Starts logging. A second start in one process (tests) keeps the first.
pub fn start(section: &LogSection) -> Result<(), String> {
    let filter = EnvFilter::try_new(&section.level).map_err(|error| format!("log.level: {error}"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match section.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging had been started before");
    }
    Ok(())
}
