//! The operators' API against a store: who may, what counts, and what each report is answered.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Policy;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::time::{Clock, ManualClock, UnixMicros};
use indicia_store::Store;
use indicia_store::account::{NewAccount, Operator};
use indicia_store::admission::{Admission, Submission};
use indicia_store::oversight::AuditQuery;
use indicia_store::queue::MailKey;
use indicia_store::report::ReportSource;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::metrics::OperatorMetrics;
use super::reports::{BODY_BYTES_MAX, REPORTS_MAX};
use super::token::OperatorTokens;
use super::{OperatorState, SPAM_REPORTS_PATH, router};

const ANN: &str = "ann@example.org";

struct Office {
    store: Store,
    account_id: i64,
    operator: Operator,
    token: String,
    router: Router,
    registry: Registry,
    _dir: tempfile::TempDir,
}

impl Office {
    async fn open() -> Office {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(UnixMicros(1_795_400_000_000_000)));
        let store = Store::open("sqlite", dir.path(), clock as Arc<dyn Clock>).await.unwrap();
        let new = NewAccount {
            name: "Shop".into(),
            email: "owner@shop.example".into(),
            phone: String::new(),
            zone: "UTC".into(),
            password_hash: "$argon2id$none".into(),
            access_key_id: "ak".into(),
            access_key_secret: "secret".into(),
        };
        let account_id = store.create_account(&new, &Policy::default()).await.unwrap();
        let operator_id = store.create_operator(ANN, "$argon2id$first").await.unwrap();
        let operator = store.operator(operator_id).await.unwrap().unwrap();
        let tokens = OperatorTokens::new(&[3; 32]);
        let token = tokens.token(&operator);
        let metrics = OperatorMetrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        // Tokens of mails here are `b-<account>-<message>-<number>`.
        let return_paths = Arc::new(|address: &str| {
            let local = address.split_once('@').map_or(address, |(local, _)| local).strip_prefix("b-")?;
            let numbers: Vec<i64> = local.split('-').map_while(|part| part.parse().ok()).collect();
            let [account_id, message_id, number] = numbers[..] else { return None };
            Some(MailKey { account_id, message_id, number })
        });
        let router = router(OperatorState::new(store.clone(), return_paths, tokens, metrics));
        Office { store, account_id, operator, token, router, registry, _dir: dir }
    }

    async fn mail(&self, recipients: &[&str]) -> i64 {
        let message_id = self.store.next_id().await.unwrap();
        let recipients = recipients.iter().map(|address| {
            let (local, domain) = address.split_once('@').unwrap();
            Recipient::new(local, domain, domain)
        });
        let mail = Submission {
            message_id,
            account_id: self.account_id,
            sender_id: 1,
            domain_id: 1,
            via: Via::Api,
            mail_from: "news@shop.example".into(),
            subject: "Sale".into(),
            tag: String::new(),
            recipients: recipients.collect(),
            content: bytes::Bytes::from_static(b"Subject: Sale\r\n\r\nx\r\n"),
            ip_pool_id: None,
            idempotency: None,
            nonce: None,
        };
        Admission::start(self.store.clone(), Policy::default(), None).0.submit(mail).await.unwrap();
        message_id
    }

    async fn post_raw(&self, authorization: &str, body: impl Into<Body>) -> (StatusCode, Value) {
        let request = Request::post(SPAM_REPORTS_PATH).header("Authorization", authorization);
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let status = response.status();
        let octets = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&octets).unwrap())
    }

    /// The outcomes of a list.
    async fn post(&self, reports: Value) -> Vec<String> {
        let body = json!({ "reports": reports }).to_string();
        let (status, answer) = self.post_raw(&format!("Bearer {}", self.token), body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let results = answer["results"].as_array().unwrap();
        results.iter().map(|result| result["outcome"].as_str().unwrap().to_owned()).collect()
    }

    async fn reports(&self) -> Vec<(i64, i64, ReportSource, String, String)> {
        let (from, before) = (UnixMicros(0), UnixMicros(i64::MAX));
        let rows = self.store.spam_reports(self.account_id, from, before, None, 100).await.unwrap();
        let of = |row: indicia_store::report::ReportRow| {
            (row.message_id, row.number, row.source, row.feedback_type, row.reporter)
        };
        rows.into_iter().map(of).collect()
    }

    async fn audit(&self) -> Vec<(String, Option<i64>, String)> {
        let query = AuditQuery { account_id: None, actor: None, after: None, limit: 100 };
        let entries = self.store.audit_entries(&query).await.unwrap();
        let reports = entries.into_iter().filter(|entry| entry.action == "report-spam");
        reports.map(|entry| (entry.actor, entry.account_id, entry.detail)).collect()
    }
}

#[tokio::test]
async fn a_list_is_answered_one_by_one_and_each_mail_counts_once() {
    let office = Office::open().await;
    let message_id = office.mail(&["a@x.example", "b@x.example", "c@x.example"]).await;
    let token = |number: i64| format!("b-{}-{message_id}-{number}", office.account_id);
    let named = |recipient: &str| json!({ "env_id": message_id.to_string(), "recipient": recipient, "type": "fraud", "note": "postmaster tool" });
    let outcomes = office
        .post(json!([
            { "token": token(0) },
            { "token": format!("<{}@bounce.example>", token(0)), "type": "Virus" },
            named("B@x.example"),
            named("b@x.example"),
            { "token": token(1) },
            named("nobody@x.example"),
            { "token": token(9) },
            { "token": "b-forged" },
        ]))
        .await;
    let expected =
        ["counted", "repeated", "counted", "repeated", "repeated", "not_found", "not_found", "not_ours"];
    assert_eq!(outcomes, expected);
    let by = format!("operator {ANN}");
    let mut reports = office.reports().await;
    reports.sort_unstable_by_key(|report| report.1);
    assert_eq!(
        reports,
        [
            (message_id, 0, ReportSource::Operator, "abuse".to_owned(), by.clone()),
            (message_id, 1, ReportSource::Operator, "fraud".to_owned(), by.clone()),
        ]
    );
    let audit = office.audit().await;
    assert_eq!(audit.len(), 2, "what counted, and nothing else");
    assert!(audit.iter().all(|(actor, account, _)| *actor == by && *account == Some(office.account_id)));
    assert!(audit.iter().any(|(_, _, detail)| detail.contains("b@x.example: fraud: postmaster tool")));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &office.registry).unwrap();
    assert!(text.contains("indicia_operator_spam_reports_total{outcome=\"repeated\"} 3"), "{text}");
}

#[tokio::test]
async fn without_our_token_a_note_must_say_why() {
    let office = Office::open().await;
    let env_id = office.mail(&["a@x.example"]).await.to_string();
    let token = format!("b-{}-{env_id}-0", office.account_id);
    let outcomes = office
        .post(json!([
            { "env_id": env_id, "recipient": "a@x.example" },
            { "env_id": env_id, "recipient": "a@x.example", "note": "  " },
            { "env_id": env_id, "note": "whose?" },
            { "env_id": "x", "recipient": "a@x.example", "note": "n" },
            { "token": token, "env_id": env_id, "recipient": "a@x.example", "note": "n" },
            { "token": token, "type": "not-spam" },
            { "token": token, "note": "two\nlines" },
            { "token": token, "note": "x".repeat(501) },
            {},
        ]))
        .await;
    assert_eq!(outcomes, vec!["malformed"; 9]);
    assert_eq!((office.reports().await.len(), office.audit().await.len()), (0, 0));
}

#[tokio::test]
async fn only_an_operators_token_opens() {
    let office = Office::open().await;
    let message_id = office.mail(&["a@x.example"]).await;
    let body =
        json!({ "reports": [{ "token": format!("b-{}-{message_id}-0", office.account_id) }] }).to_string();
    let forged = OperatorTokens::new(&[4; 32]).token(&office.operator);
    let renewed = OperatorTokens::new(&[3; 32])
        .token(&Operator { password_hash: "$argon2id$second".into(), ..office.operator.clone() });
    let other = office.token.replacen(&office.operator.operator_id.to_string(), "1", 1);
    for authorization in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer x".to_owned(),
        office.token.clone(),
        format!("Basic {}", office.token),
        format!("Bearer {forged}"),
        format!("Bearer {renewed}"),
        format!("Bearer {other}"),
        format!("Bearer {}0", office.token),
    ] {
        let (status, answer) = office.post_raw(&authorization, body.clone()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{authorization}");
        assert_eq!(answer["error"]["code"], "Unauthorized");
    }
    assert_eq!(office.reports().await.len(), 0);
    let (status, _) = office.post_raw(&format!("bearer {}", office.token), body).await;
    assert_eq!((status, office.reports().await.len()), (StatusCode::OK, 1));
}

#[tokio::test]
async fn a_list_that_cannot_be_read_is_refused_whole() {
    let office = Office::open().await;
    let bearer = format!("Bearer {}", office.token);
    for body in ["", "[]", "{}", r#"{"reports": [{"token": 1}]}"#, r#"{"reports": [{"tokn": "b-1"}]}"#] {
        let (status, answer) = office.post_raw(&bearer, body).await;
        assert_eq!(
            (status, &answer["error"]["code"]),
            (StatusCode::BAD_REQUEST, &json!("Malformed")),
            "{body}"
        );
    }
    let many = json!({ "reports": vec![json!({ "token": "b-x" }); REPORTS_MAX + 1] }).to_string();
    assert_eq!(office.post_raw(&bearer, many).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        office.post_raw(&bearer, vec![b' '; BODY_BYTES_MAX + 1]).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert!(office.post(json!([])).await.is_empty());
}
