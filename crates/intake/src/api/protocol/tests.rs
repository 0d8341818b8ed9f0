//! Parameters and answers.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::answer::{Answerer, Envelope, Format, new_request_id};
use super::error::ApiError;
use super::parameters::{Origin, Parameters};
use super::throttle::too_often;

fn parameters(query: &str, form: &str) -> Parameters {
    Parameters::parse(query, form.as_bytes()).unwrap()
}

#[test]
fn query_and_form_are_one() {
    let parameters = parameters("A=1&Empty=&b+c=%E4%B8%96", "Form=x%2By+z&Nested.1.Name=n");
    assert_eq!(parameters.text("A"), Some("1"));
    assert_eq!(parameters.text("b c"), Some("世"));
    assert_eq!(parameters.text("Form"), Some("x+y z"));
    assert_eq!((parameters.text("Empty"), parameters.raw("Empty")), (None, Some("")));
    assert_eq!(parameters.origin("A"), Some(Origin::Query));
    assert_eq!(parameters.origin("Form"), Some(Origin::Form));
    assert!(parameters.has_list("Nested") && !parameters.has_list("Nest"));
}

#[test]
fn typed_values_or_an_error_that_names_the_parameter() {
    let given = parameters("N=12&Neg=-3&T=True&F=false&Day=2019-09-29&At=2020-02-02T12:00:00Z", "");
    assert_eq!(given.integer("N").unwrap(), Some(12));
    assert_eq!(given.integer("Neg").unwrap(), Some(-3));
    assert_eq!(given.boolean("T").unwrap(), Some(true));
    assert_eq!(given.boolean("F").unwrap(), Some(false));
    assert_eq!(given.day("Day").unwrap(), Some(jiff::civil::date(2019, 9, 29)));
    assert!(given.instant("At").unwrap().is_some());
    assert_eq!(given.integer("Absent").unwrap(), None);
    for wrong in ["N=1.5", "N=%2B1", "N=1+", "N=0x10", "N=99999999999999999999", "N=-", "N=one", "N=١"] {
        let refused = parameters(wrong, "").integer("N").unwrap_err();
        assert_eq!(refused.code, "InvalidParameter", "{wrong}");
        assert!(refused.message.contains("parameter N "), "{}", refused.message);
    }
    for wrong in ["T=1", "T=yes", "T=tru"] {
        assert_eq!(parameters(wrong, "").boolean("T").unwrap_err().code, "InvalidParameter", "{wrong}");
    }
    for wrong in ["D=2019-13-01", "D=29.9.2019", "D=2019-02-30", "D=2019-09-29x"] {
        assert_eq!(parameters(wrong, "").day("D").unwrap_err().code, "InvalidParameter", "{wrong}");
    }
    for wrong in
        ["D=2020-02-02", "D=2020-02-02T12:00:00", "D=2020-02-02T12:00:00%2B08:00", "D=2020-02-02 12:00:00Z"]
    {
        assert_eq!(parameters(wrong, "").instant("D").unwrap_err().code, "InvalidParameter", "{wrong}");
    }
    let refused = parameters("", "").required("AccountName").unwrap_err();
    assert_eq!((refused.code.as_ref(), refused.status), ("MissingParameter", StatusCode::BAD_REQUEST));
    assert!(refused.message.contains("AccountName"));
}

#[test]
fn pages_have_bounds() {
    let page = parameters("PageNo=3&PageSize=20", "").page("PageNo", "PageSize", 10, 100).unwrap();
    assert_eq!((page.number, page.size, page.offset()), (3, 20, 40));
    for wrong in ["PageNo=0", "PageNo=-1", "PageSize=0", "PageSize=101", "PageNo=9223372036854775807"] {
        assert!(parameters(wrong, "").page("PageNo", "PageSize", 10, 100).is_err(), "{wrong}");
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    for (query, form) in [("A=1&A=2", ""), ("A=1", "A=1"), ("A=%FF", ""), ("%FF=1", "")] {
        let refused = Parameters::parse(query, form.as_bytes()).unwrap_err();
        assert_eq!(refused.code, "InvalidParameter", "{query} {form}");
    }
    assert!(Parameters::parse("", b"\xff=1").is_err());
    let many: Vec<String> = (0..2_001).map(|n| format!("p{n}=1")).collect();
    assert!(Parameters::parse(&many.join("&"), b"").is_err());
}

fn answerer(format: Format, envelope: Envelope) -> Answerer {
    Answerer {
        format,
        envelope,
        action: "QueryDomainByParam".to_owned(),
        request_id: "ID".to_owned(),
        host_id: "dm.example".to_owned(),
    }
}

async fn read(response: Response<Body>) -> (StatusCode, String, String) {
    let status = response.status();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn success_carries_the_request_id() {
    let (status, kind, text) =
        read(answerer(Format::Json, Envelope::DirectMail).success(json!({"A": 1}))).await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json;charset=utf-8"));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"A": 1, "RequestId": "ID"}));
    let (_, _, text) = read(answerer(Format::Json, Envelope::Billing).success(json!({"Data": {}}))).await;
    let expected =
        json!({"Data": {}, "RequestId": "ID", "Success": true, "Code": "Success", "Message": "Successful!"});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
}

#[tokio::test]
async fn xml_repeats_the_elements_of_a_list_and_escapes_text() {
    let fields =
        json!({"data": {"domain": [{"Name": "a<b>&\u{1}"}, {"Name": "c"}]}, "Total": 2, "None": null});
    let (_, kind, text) = read(answerer(Format::Xml, Envelope::DirectMail).success(fields)).await;
    assert_eq!(kind, "text/xml;charset=utf-8");
    assert!(
        text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?><QueryDomainByParamResponse>"),
        "{text}"
    );
    assert!(
        text.contains(
            "<data><domain><Name>a&lt;b&gt;&amp;\u{fffd}</Name></domain><domain><Name>c</Name></domain></data>"
        ),
        "{text}"
    );
    assert!(text.contains("<Total>2</Total>") && !text.contains("None"), "{text}");
    let mut odd = answerer(Format::Xml, Envelope::DirectMail);
    odd.action = "<x>".to_owned();
    let (_, _, text) = read(odd.success(json!({}))).await;
    assert!(text.contains("<Response>"), "{text}");
}

#[tokio::test]
async fn an_error_has_the_five_fields() {
    let error = ApiError::missing_parameter("Subject");
    let (status, _, text) = read(answerer(Format::Json, Envelope::DirectMail).failure(&error)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["Code"], "MissingParameter");
    assert_eq!((&value["RequestId"], &value["HostId"]), (&json!("ID"), &json!("dm.example")));
    assert!(value["Message"].as_str().unwrap().contains("Subject"));
    assert!(value["Recommend"].as_str().is_some_and(|text| !text.is_empty()));
    let (_, _, text) = read(answerer(Format::Xml, Envelope::DirectMail).failure(&error)).await;
    assert!(text.contains("<Error>") && text.contains("<Code>MissingParameter</Code>"), "{text}");
}

#[tokio::test]
async fn a_business_refusal_is_http_200_only_in_the_billing_api() {
    let error = ApiError::business("NotApplicable", "no", "do");
    let (status, _, text) = read(answerer(Format::Json, Envelope::Billing).failure(&error)).await;
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, &value["Success"], &value["Code"]),
        (StatusCode::OK, &json!(false), &json!("NotApplicable"))
    );
    let (status, _, _) = read(answerer(Format::Json, Envelope::DirectMail).failure(&error)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _, _) = read(answerer(Format::Json, Envelope::Billing).failure(&ApiError::internal())).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn throttling_carries_the_header_that_the_sdk_looks_for() {
    let response = answerer(Format::Json, Envelope::DirectMail).failure(&too_often("SingleSendMail", 250));
    assert_eq!(
        (response.status(), &response.headers()["x-acs-retry-after"]),
        (StatusCode::BAD_REQUEST, &"250".parse().unwrap())
    );
}

#[test]
fn request_ids_are_uuids_and_differ() {
    let (a, b) = (new_request_id(), new_request_id());
    assert_ne!(a, b);
    assert_eq!(a.len(), 36);
    assert_eq!(a.as_bytes()[14], b'4');
}
