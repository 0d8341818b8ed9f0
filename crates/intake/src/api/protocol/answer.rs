//! Answers on the wire: JSON, or XML where the RPC caller asked for it.
//!
//! A handler returns the action's fields as a JSON object. This module adds `RequestId`, and for the billing
//! API the envelope `Success`, `Code`, `Message`, and renders the whole. In XML an array becomes its element
//! repeated, which fits the API's own wrappers (`data.domain[]` is `<data><domain/><domain/></data>`).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::error::{ApiError, Kind};

/// Tells the SDKs to raise their throttling exception; the value is in milliseconds.
pub const RETRY_AFTER: HeaderName = HeaderName::from_static("x-acs-retry-after");

/// How the answer is to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Json,
    Xml,
}

/// Which API's envelope is around the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// DirectMail 2015-11-23: the fields and `RequestId`.
    DirectMail,
    /// BSS 2017-12-14: `Success`, `Code`, `Message` around them.
    Billing,
}

/// What is needed to write any answer to one call.
#[derive(Clone, Debug)]
pub struct Answerer {
    pub format: Format,
    pub envelope: Envelope,
    /// The action's name, for the XML root; empty when it is not known.
    pub action: String,
    pub request_id: String,
    /// The address the caller spoke to, as it appears in `Host`.
    pub host_id: String,
}

impl Answerer {
    /// HTTP 200 with the action's fields. `fields` other than an object are taken as no fields.
    pub fn success(&self, fields: Value) -> Response<Body> {
        let mut object = match fields {
            Value::Object(object) => object,
            _ => Map::new(),
        };
        object.insert("RequestId".to_owned(), json!(self.request_id));
        if self.envelope == Envelope::Billing {
            for (name, value) in
                [("Success", json!(true)), ("Code", json!("Success")), ("Message", json!("Successful!"))]
            {
                object.entry(name).or_insert(value);
            }
        }
        self.render(StatusCode::OK, &format!("{}Response", self.action), object)
    }

    /// The answer to a refused call.
    pub fn failure(&self, error: &ApiError) -> Response<Body> {
        let mut object = Map::new();
        object.insert("RequestId".to_owned(), json!(self.request_id));
        object.insert("HostId".to_owned(), json!(self.host_id));
        object.insert("Code".to_owned(), json!(error.code));
        object.insert("Message".to_owned(), json!(error.message));
        object.insert("Recommend".to_owned(), json!(error.recommend));
        if self.envelope == Envelope::Billing {
            object.insert("Success".to_owned(), json!(false));
        }
        if self.envelope == Envelope::Billing && error.kind == Kind::Business {
            return self.render(StatusCode::OK, &format!("{}Response", self.action), object);
        }
        let mut response = self.render(error.status, "Error", object);
        if let Some(millis) = error.retry_after_ms {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(millis.max(1)));
        }
        response
    }

    fn render(&self, status: StatusCode, root: &str, object: Map<String, Value>) -> Response<Body> {
        let (content_type, text) = match self.format {
            Format::Json => ("application/json;charset=utf-8", Value::Object(object).to_string()),
            Format::Xml => ("text/xml;charset=utf-8", xml_document(root, &object)),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(HeaderName::from_static("x-acs-request-id"), id);
        }
        response
    }
}

/// Writes an object as an XML document with this root element.
pub fn xml_document(root: &str, object: &Map<String, Value>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    // A root that is no XML name (an action nobody knows) would make the whole document unreadable.
    let root = if is_xml_name(root) { root } else { "Response" };
    xml_element(&mut xml, root, &Value::Object(object.clone()));
    xml
}

fn is_xml_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn xml_element(xml: &mut String, name: &str, value: &Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| xml_element(xml, name, item)),
        Value::Null => {}
        _ => {
            xml.push('<');
            xml.push_str(name);
            xml.push('>');
            match value {
                Value::Object(object) => {
                    object.iter().for_each(|(name, value)| xml_element(xml, name, value))
                }
                Value::String(text) => xml_text(xml, text),
                other => xml.push_str(&other.to_string()),
            }
            xml.push_str("</");
            xml.push_str(name);
            xml.push('>');
        }
    }
}

/// Escapes text. Characters that XML 1.0 cannot hold at all become U+FFFD rather than break the document.
fn xml_text(xml: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '\t' | '\n' | '\r' => xml.push(character),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push('\u{fffd}'),
            _ => xml.push(character),
        }
    }
}

/// A new request id: a random UUID (version 4), in upper case as the original prints it.
pub fn new_request_id() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode_upper(bytes);
    let (a, rest) = digits.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    format!("{a}-{b}-{c}-{d}-{e}")
}
