//! The two control headers of DirectMail's SMTP service: Base64 of JSON (dossier 6).
//!
//! `X-AliDM-Trace` names a tag and switches tracking; `X-AliDM-Settings` chooses unsubscribe links and an IP pool.
//! Both are for this server, so they are taken out of the mail. What they ask for and this server does not do is
//! refused, since a sender who believes that his mail is tracked must not be left in that belief. So is the
//! `default` unsubscribe policy for a batch sender, which would put a link into his mail.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

/// What is said to whoever asks for unsubscribe links, over the API and over SMTP.
pub const UNSUBSCRIBE_LATER: &str = "this server makes no unsubscribe links yet; they come with a later version, so use disabled or leave it out";
/// Characters of a tag's name.
pub const TAG_CHARS_MAX: usize = 128;

/// Why a control header is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("{0} is not Base64")]
    NotBase64(&'static str),
    #[error("{0} is Base64, but not of a JSON object whose fields have the documented types")]
    NotJson(&'static str),
    #[error("the tag of X-AliDM-Trace must have 1 to 128 letters, digits, '_' or '-'")]
    Tag,
    #[error("{0} of X-AliDM-Trace must be \"0\" or \"1\"")]
    Switch(&'static str),
    #[error(
        "X-AliDM-Trace asks for tracking, which this server does not do yet; it comes with a later version"
    )]
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
    open_trace: Option<Value>,
    link_trace: Option<Value>,
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
    let opens = is_on("OpenTrace", trace.open_trace.as_ref())?;
    if is_on("LinkTrace", trace.link_trace.as_ref())? || opens {
        return Err(ControlError::Tracking);
    }
    match trace.tag_name.filter(|tag| !tag.is_empty()) {
        Some(tag) if !is_tag(&tag) => Err(ControlError::Tag),
        tag => Ok(tag),
    }
}

/// A switch: documented as a text, but many write the number.
fn is_on(name: &'static str, value: Option<&Value>) -> Result<bool, ControlError> {
    match value {
        None => Ok(false),
        Some(Value::String(text)) if matches!(text.as_str(), "" | "0") => Ok(false),
        Some(Value::String(text)) if text == "1" => Ok(true),
        Some(Value::Number(number)) if number.as_u64() == Some(0) => Ok(false),
        Some(Value::Number(number)) if number.as_u64() == Some(1) => Ok(true),
        Some(_) => Err(ControlError::Switch(name)),
    }
}

/// Accepts a settings header that asks for nothing that this server does not do; returns the id of the IP pool that it
/// names. `default` makes no unsubscribe link for a trigger sender (dossier 8.4), but would for one of type batch.
pub fn read_settings(value: &str, is_batch_sender: bool) -> Result<Option<i64>, ControlError> {
    let settings: Settings = decode("X-AliDM-Settings", value)?;
    let plain = |value: &Option<String>| match value.as_deref() {
        None | Some("" | "disabled") => true,
        Some("default") => !is_batch_sender,
        Some(_) => false,
    };
    if let Some(unsubscribe) = &settings.unsubscribe {
        if !plain(&unsubscribe.link_type) {
            return Err(ControlError::LinkType);
        }
        if !plain(&unsubscribe.filter_level) {
            return Err(ControlError::FilterLevel);
        }
    }
    let pool = settings.outbound_ip.and_then(|outbound| outbound.ip_pool_id);
    pool.filter(|pool| !pool.is_empty()).map(|pool| read_ip_pool(&pool)).transpose()
}

/// The id of an IP pool. Whether the account has it is for the caller to ask.
pub fn read_ip_pool(text: &str) -> Result<i64, ControlError> {
    text.trim().parse().ok().filter(|id| *id > 0).ok_or(ControlError::IpPool)
}

/// Whether a text may name a tag.
pub fn is_tag(tag: &str) -> bool {
    (1..=TAG_CHARS_MAX).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn decode<T: serde::de::DeserializeOwned>(header: &'static str, value: &str) -> Result<T, ControlError> {
    let packed: String = value.split_ascii_whitespace().collect();
    let json = STANDARD.decode(packed).map_err(|_| ControlError::NotBase64(header))?;
    serde_json::from_slice(&json).map_err(|_| ControlError::NotJson(header))
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
        assert_eq!(trace("[]x"), Err(ControlError::NotJson("X-AliDM-Trace")));
        assert_eq!(trace(r#"{"TagName":7}"#), Err(ControlError::NotJson("X-AliDM-Trace")));
        assert_eq!(read_trace("*"), Err(ControlError::NotBase64("X-AliDM-Trace")));
        let refused = trace("no JSON").unwrap_err().to_string();
        assert!(refused.contains("is Base64, but not of a JSON object"), "{refused}");
    }

    #[test]
    fn a_switch_may_be_a_number() {
        let trace = |json: &str| read_trace(&STANDARD.encode(json));
        assert_eq!(trace(r#"{"TagName":"t","OpenTrace":0,"LinkTrace":""}"#), Ok(Some("t".to_owned())));
        assert_eq!(trace(r#"{"TagName":"t","OpenTrace":null}"#), Ok(Some("t".to_owned())));
        assert_eq!(trace(r#"{"TagName":"t","OpenTrace":1}"#), Err(ControlError::Tracking));
        assert_eq!(trace(r#"{"LinkTrace":1}"#), Err(ControlError::Tracking));
        for other in ["2", "\"yes\"", "true", "1.5", "-1", "[1]"] {
            let json = format!(r#"{{"OpenTrace":1,"LinkTrace":{other}}}"#);
            assert_eq!(trace(&json), Err(ControlError::Switch("LinkTrace")), "{other}");
        }
    }

    #[test]
    fn settings_beyond_the_defaults_are_refused() {
        let settings = |json: &str| read_settings(&STANDARD.encode(json), false);
        assert_eq!(
            settings(r#"{"Version":"1.0","Unsubscribe":{"LinkType":"disabled","FilterLevel":"default"}}"#),
            Ok(None)
        );
        assert_eq!(settings(r#"{"OutboundIp":{"IpPoolId":"17"}}"#), Ok(Some(17)));
        assert_eq!(settings(r#"{"OutboundIp":{"IpPoolId":""}}"#), Ok(None));
        assert_eq!(settings(r#"{"Unsubscribe":{"LinkType":"zh-cn"}}"#), Err(ControlError::LinkType));
        assert_eq!(settings(r#"{"Unsubscribe":{"FilterLevel":"mailfrom"}}"#), Err(ControlError::FilterLevel));
        assert_eq!(settings(r#"{"OutboundIp":{"IpPoolId":"e4"}}"#), Err(ControlError::IpPool));
        assert_eq!(settings("no"), Err(ControlError::NotJson("X-AliDM-Settings")));
    }

    #[test]
    fn default_is_a_link_for_batch_senders_only() {
        for (json, batch) in [
            (r#"{"Unsubscribe":{"LinkType":"default"}}"#, Err(ControlError::LinkType)),
            (r#"{"Unsubscribe":{"FilterLevel":"default"}}"#, Err(ControlError::FilterLevel)),
            (r#"{"Unsubscribe":{"LinkType":"disabled","FilterLevel":""}}"#, Ok(None)),
            (r#"{"Version":"1.0"}"#, Ok(None)),
        ] {
            let value = STANDARD.encode(json);
            assert_eq!(read_settings(&value, true), batch, "{json}");
            assert_eq!(read_settings(&value, false), Ok(None), "{json}");
        }
    }
}
