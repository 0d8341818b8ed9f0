//! The two control headers of DirectMail's SMTP service: Base64 of JSON (dossier 6).
//!
//! `X-AliDM-Trace` names a tag and switches tracking; `X-AliDM-Settings` chooses unsubscribe links and an IP pool.
//! Both are for this server, so they are taken out of the mail. What they ask for and this server does not do is
//! refused, since a sender who believes that his mail is tracked must not be left in that belief.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Characters of a tag's name.
pub const TAG_CHARS_MAX: usize = 128;

/// Why a control header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("{0} is not Base64 of a JSON object of the documented fields")]
    Malformed(&'static str),
    #[error("the tag of X-AliDM-Trace must have 1 to 128 letters, digits, '_' or '-'")]
    Tag,
    #[error("X-AliDM-Trace asks for tracking, which this server does not do")]
    Tracking,
    #[error("Invalid setting: Unsubscribe.LinkType")]
    LinkType,
    #[error("Invalid setting: Unsubscribe.FilterLevel")]
    FilterLevel,
    #[error("Invalid setting: OutboundIp.IpPoolId")]
    IpPool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trace {
    tag_name: Option<String>,
    open_trace: Option<String>,
    link_trace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    unsubscribe: Option<Unsubscribe>,
    outbound_ip: Option<OutboundIp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unsubscribe {
    link_type: Option<String>,
    filter_level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutboundIp {
    ip_pool_id: Option<String>,
}

/// The tag that a trace header names.
pub fn read_trace(value: &str) -> Result<Option<String>, ControlError> {
    let trace: Trace = decode("X-AliDM-Trace", value)?;
    if [&trace.open_trace, &trace.link_trace].into_iter().flatten().any(|on| on == "1") {
        return Err(ControlError::Tracking);
    }
    match trace.tag_name.filter(|tag| !tag.is_empty()) {
        Some(tag) if !is_tag(&tag) => Err(ControlError::Tag),
        tag => Ok(tag),
    }
}

/// Accepts a settings header that asks for nothing beyond the defaults.
pub fn check_settings(value: &str) -> Result<(), ControlError> {
    let settings: Settings = decode("X-AliDM-Settings", value)?;
    let plain = |value: &Option<String>| {
        value.as_deref().is_none_or(|value| matches!(value, "" | "disabled" | "default"))
    };
    if let Some(unsubscribe) = &settings.unsubscribe {
        if !plain(&unsubscribe.link_type) {
            return Err(ControlError::LinkType);
        }
        if !plain(&unsubscribe.filter_level) {
            return Err(ControlError::FilterLevel);
        }
    }
    match settings.outbound_ip.and_then(|outbound| outbound.ip_pool_id).filter(|pool| !pool.is_empty()) {
        Some(_) => Err(ControlError::IpPool),
        None => Ok(()),
    }
}

/// Whether a text may name a tag.
pub fn is_tag(tag: &str) -> bool {
    (1..=TAG_CHARS_MAX).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn decode<T: serde::de::DeserializeOwned>(header: &'static str, value: &str) -> Result<T, ControlError> {
    let packed: String = value.split_ascii_whitespace().collect();
    let json = STANDARD.decode(packed).map_err(|_| ControlError::Malformed(header))?;
    serde_json::from_slice(&json).map_err(|_| ControlError::Malformed(header))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_read_and_tracking_refused() {
        let trace = |json: &str| read_trace(&STANDARD.encode(json));
        assert_eq!(trace(r#"{"TagName":"t-1","OpenTrace":"0","LinkTrace":"0"}"#), Ok(Some("t-1".to_owned())));
        assert_eq!(trace("{}"), Ok(None));
        assert_eq!(trace(r#"{"TagName":"t","OpenTrace":"1"}"#), Err(ControlError::Tracking));
        assert_eq!(trace(r#"{"TagName":"t","LinkTrace":"1"}"#), Err(ControlError::Tracking));
        assert_eq!(trace(r#"{"TagName":"a b"}"#), Err(ControlError::Tag));
        assert_eq!(trace("[]x"), Err(ControlError::Malformed("X-AliDM-Trace")));
        assert_eq!(read_trace("*"), Err(ControlError::Malformed("X-AliDM-Trace")));
    }

    #[test]
    fn settings_beyond_the_defaults_are_refused() {
        let settings = |json: &str| check_settings(&STANDARD.encode(json));
        assert_eq!(
            settings(r#"{"Version":"1.0","Unsubscribe":{"LinkType":"disabled","FilterLevel":"default"}}"#),
            Ok(())
        );
        assert_eq!(settings(r#"{"Unsubscribe":{"LinkType":"zh-cn"}}"#), Err(ControlError::LinkType));
        assert_eq!(settings(r#"{"Unsubscribe":{"FilterLevel":"mailfrom"}}"#), Err(ControlError::FilterLevel));
        assert_eq!(settings(r#"{"OutboundIp":{"IpPoolId":"e4"}}"#), Err(ControlError::IpPool));
        assert_eq!(settings("no"), Err(ControlError::Malformed("X-AliDM-Settings")));
    }
}
