//! What happens to a request before and around its action.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use hmac::{Hmac, KeyInit, Mac};

use super::harness::*;
use crate::api::protocol::throttle::ThrottleLimits;
use crate::api::settings::ApiSettings;

/// A request signed with RPC 1.0.
fn rpc(
    client: &Client<'_>,
    method: Method,
    action: &str,
    query: &[(&str, &str)],
    form: &[(&str, &str)],
) -> Request<Body> {
    let query = [query, &[("Action", action), ("Version", DM)]].concat();
    rpc_without_action(client, method, &query, form)
}

fn rpc_without_action(
    client: &Client<'_>,
    method: Method,
    query: &[(&str, &str)],
    form: &[(&str, &str)],
) -> Request<Body> {
    let (nonce, date) = (nonce(), "2026-11-23T02:13:20Z");
    let mut query = query.to_vec();
    query.extend([
        ("Timestamp", date),
        ("SignatureNonce", nonce.as_str()),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("AccessKeyId", client.key.as_str()),
    ]);
    let mut all = [query.as_slice(), form].concat();
    all.sort_unstable();
    let enc = |text: &str| encode(&[("", text)])[1..].to_owned();
    let to_sign = format!("{method}&%2F&{}", enc(&encode(&all)));
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(format!("{}&", client.secret).as_bytes()).unwrap();
    mac.update(to_sign.as_bytes());
    use base64::Engine;
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    query.push(("Signature", &signature));
    Request::builder()
        .method(method)
        .uri(format!("/?{}", encode(&query)))
        .header("host", "http://dm.host.example:8025")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(encode(form)))
        .unwrap()
}

#[tokio::test]
async fn both_signatures_get_and_post_query_and_form() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let wanted = [("PageSize", "7")];
    assert_eq!(client.dm("QueryDomainByParam", &wanted).await.ok()["PageSize"], 7);
    assert_eq!(client.form("QueryDomainByParam", &wanted).await.ok()["PageSize"], 7);
    for method in [Method::GET, Method::POST] {
        let answer = server.send(rpc(&client, method, "QueryDomainByParam", &wanted, &[])).await;
        assert_eq!(answer.ok()["PageSize"], 7);
    }
    let answer = server.send(rpc(&client, Method::POST, "QueryDomainByParam", &[], &wanted)).await;
    assert_eq!(answer.ok()["PageSize"], 7);
    assert_eq!(server.metrics.count("QueryDomainByParam", "OK"), 5);
}

#[tokio::test]
async fn a_signed_request_cannot_be_turned_into_another_action_by_a_header() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let (domain_id, _) = client.sender("news@example.com").await;
    let before = client.snapshot().await;
    let query = [("DomainId", domain_id.as_str())];
    let mut request = rpc_without_action(&client, Method::POST, &query, &[]);
    request.headers_mut().insert("x-acs-action", HeaderValue::from_static("DeleteDomain"));
    request.headers_mut().insert("x-acs-version", HeaderValue::from_static(DM));
    let answer = server.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "IncompleteSignature"), "{}", answer.text);
    assert!(answer.message().contains("x-acs-action"), "{}", answer.message());
    let mut version = rpc_without_action(&client, Method::POST, &[query[0], ("Action", "DeleteDomain")], &[]);
    version.headers_mut().insert("x-acs-version", HeaderValue::from_static(DM));
    assert_eq!(server.send(version).await.code(), "IncompleteSignature");
    assert_eq!(client.snapshot().await, before);
}

#[tokio::test]
async fn xml_when_asked_for() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let answer =
        server.send(rpc(&client, Method::GET, "DescAccountSummary", &[("Format", "XML")], &[])).await;
    assert_eq!(answer.headers["content-type"], "text/xml;charset=utf-8");
    assert!(
        answer.text.contains("<DescAccountSummaryResponse>")
            && answer.text.contains("<DailyQuota>2000</DailyQuota>"),
        "{}",
        answer.text
    );
    let refused = server
        .send(rpc(&client, Method::GET, "DescDomain", &[("Format", "xml"), ("DomainId", "x")], &[]))
        .await;
    assert!(
        refused.text.contains("<Error>") && refused.text.contains("<Code>InvalidParameter</Code>"),
        "{}",
        refused.text
    );
    assert!(refused.text.contains("<HostId>dm.host.example:8025</HostId>"), "{}", refused.text);
}

#[tokio::test]
async fn who_is_not_who_they_say_is_refused() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let stranger =
        Client { server: &server, account_id: 0, key: "ak-none".into(), secret: client.secret.clone() };
    let answer = stranger.dm("DescAccountSummary", &[]).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "InvalidAccessKeyId.NotFound"));
    let thief = Client { server: &server, account_id: 0, key: client.key.clone(), secret: "guess".into() };
    let answer = thief.dm("DescAccountSummary", &[]).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "SignatureDoesNotMatch"));
    assert!(answer.message().contains("server string to sign is:"), "{}", answer.message());
    let unsigned =
        Request::post("/?Action=DescAccountSummary&Version=2015-11-23").body(Body::empty()).unwrap();
    assert_eq!(server.send(unsigned).await.code(), "IncompleteSignature");
    let stale = client.signed("DescAccountSummary", DM, &[], &[], &[]);
    server.clock.advance_micros(15 * 60_000_000 + 1_000_000);
    let answer = server.send(stale).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "InvalidTimeStamp.Expired"));
}

#[tokio::test]
async fn r26_a_replayed_request_is_refused() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let first = client.signed("DescAccountSummary", DM, &[], &[], &[]);
    let (parts, _) = first.into_parts();
    let copy = |parts: &axum::http::request::Parts| Request::from_parts(parts.clone(), Body::empty());
    assert_eq!(server.send(copy(&parts)).await.status, StatusCode::OK);
    let answer = server.send(copy(&parts)).await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_REQUEST, "SignatureNonceUsed"));
    server.clock.advance_micros(14 * 60_000_000);
    assert_eq!(server.send(copy(&parts)).await.code(), "SignatureNonceUsed");
    server.clock.advance_micros(2 * 60_000_000);
    assert_eq!(server.send(copy(&parts)).await.code(), "InvalidTimeStamp.Expired");
}

#[tokio::test]
async fn a_wrong_secret_does_not_use_a_nonce_up() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    let good = client.signed("DescAccountSummary", DM, &[], &[], &[]);
    let (mut forged, _) = good.into_parts();
    let right = forged.headers["authorization"].clone();
    let wrong = right.to_str().unwrap().rsplit_once('=').unwrap().0.to_owned() + "=00";
    forged.headers.insert("authorization", HeaderValue::from_str(&wrong).unwrap());
    assert_eq!(
        server.send(Request::from_parts(forged.clone(), Body::empty())).await.code(),
        "SignatureDoesNotMatch"
    );
    forged.headers.insert("authorization", right);
    assert_eq!(server.send(Request::from_parts(forged, Body::empty())).await.status, StatusCode::OK);
}

#[tokio::test]
async fn versions_actions_paths_and_methods_that_do_not_exist_are_named() {
    let server = Server::start().await;
    let client = server.account("ann").await;
    for (action, version, status, code, named) in [
        ("Frobnicate", DM, 404, "InvalidAction.NotFound", "Frobnicate"),
        ("BatchSendMail", DM, 400, "UnsupportedOperation", "BatchSendMail"),
        ("QueryCommodityList", BSS, 400, "UnsupportedOperation", "QueryCommodityList"),
        ("DescAccountSummary", "1999-01-01", 400, "NoSuchVersion", "1999-01-01"),
    ] {
        let answer = server.send(client.signed(action, version, &[], &[], &[])).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{}", answer.text);
        assert!(answer.message().contains(named), "{}", answer.message());
    }
    assert_eq!(server.metrics.count("unknown", "InvalidAction.NotFound"), 1, "callers cannot make labels");
    let elsewhere = server.send(Request::get("/nowhere").body(Body::empty()).unwrap()).await;
    assert_eq!((elsewhere.status.as_u16(), elsewhere.code()), (404, "InvalidPath.NotFound"));
    let put = server.send(Request::put("/").body(Body::empty()).unwrap()).await;
    assert_eq!((put.status.as_u16(), put.code()), (405, "UnsupportedHTTPMethod"));
    let differing = client.signed("DescAccountSummary", DM, &[("Action", "DeleteDomain")], &[], &[]);
    assert_eq!(server.send(differing).await.code(), "InvalidParameter");
}

#[tokio::test]
async fn bodies_that_are_too_large_or_no_forms_are_refused() {
    let small = ApiSettings { body_bytes_max: 1_000, ..ApiSettings::for_host("h.example") };
    let server = Server::with(small).await;
    let client = server.account("ann").await;
    let large = "x".repeat(1_001);
    let answer = client.form("SingleSendMail", &[("TextBody", &large)]).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "RequestEntityTooLarge"));
    assert!(answer.message().contains("1000 bytes, counted as sent"), "{}", answer.message());
    assert!(answer.json["Recommend"].as_str().unwrap().contains("8 MiB each"), "{}", answer.text);
    assert_eq!(answer.headers["connection"], "close");
    let announced = Request::post("/").header("content-length", "99999999999").body(Body::empty()).unwrap();
    assert_eq!(server.send(announced).await.code(), "RequestEntityTooLarge");
    let json = Request::post("/").header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(server.send(json).await.status.as_u16(), 415);
    let twice = Request::post("/?A=1&A=2").body(Body::empty()).unwrap();
    assert_eq!(server.send(twice).await.code(), "InvalidParameter");
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_back() {
    let throttle = ThrottleLimits { default_calls_per_second: 2, calls_per_second: Default::default() };
    let server = Server::with(ApiSettings { throttle, ..ApiSettings::for_host("h.example") }).await;
    let (ann, bob) = (server.account("ann").await, server.account("bob").await);
    let mut throttled = None;
    for _ in 0..20 {
        let answer = ann.dm("DescAccountSummary", &[]).await;
        if answer.status != StatusCode::OK {
            throttled = Some(answer);
            break;
        }
    }
    let throttled = throttled.expect("throttled");
    assert_eq!((throttled.status.as_u16(), throttled.code()), (400, "Throttling.User"));
    let wait: u64 = throttled.headers["x-acs-retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
    assert_eq!(
        bob.dm("DescAccountSummary", &[]).await.status,
        StatusCode::OK,
        "another account is not slowed"
    );
}

/// What a server answers to a head and, whatever it says meanwhile, a whole body: most clients write, then read.
async fn written_then_read(
    address: std::net::SocketAddr,
    head: &str,
    body: &[u8],
) -> std::io::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let mut answer = String::new();
    let dialogue = async {
        stream.write_all(head.as_bytes()).await?;
        for piece in body.chunks(64 * 1024) {
            stream.write_all(piece).await?;
        }
        stream.read_to_string(&mut answer).await
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), dialogue).await.expect("an end")?;
    Ok(answer)
}

#[tokio::test]
async fn a_client_that_writes_all_of_a_body_that_is_too_large_reads_why() {
    let small = ApiSettings { body_bytes_max: 100_000, ..ApiSettings::for_host("h.example") };
    let server = Server::with(small).await;
    let address = server.listen().await;
    let body = vec![b'x'; 20_000_000];
    let head = "POST / HTTP/1.1\r\nHost: h.example\r\n";
    let announced = format!("{head}Content-Length: {}\r\n\r\n", body.len());
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    for (head, body) in [(announced, &body), (format!("{head}Transfer-Encoding: chunked\r\n\r\n"), &chunked)]
    {
        let answer = written_then_read(address, &head, body).await.expect("no broken connection");
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("RequestEntityTooLarge"), "{answer}");
    }
    let asking = format!("{head}Content-Length: 200000\r\nExpect: 100-continue\r\n\r\n");
    let answer = written_then_read(address, &asking, b"").await.expect("an answer before the body");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}
