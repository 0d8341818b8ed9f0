//! The requests below were captured from the unmodified Python SDK (dossier 5.5); their secret is `testsecret`.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use sha2::Digest;

use super::*;
use crate::api::protocol::parameters::Parameters;

const SEND_BODY: &str = "AccountName=noreply%40mail.example.com&AddressType=1&ClickTrace=0&HtmlBody=%3Cp%3Ehi+a%2Bb%3Dc+~+%2A%3C%2Fp%3E&ReplyToAddress=False&Subject=Hello+%E4%B8%96%E7%95%8C+%26+%22x%22&TagName=t1&Template=%7B%22TemplateData%22%3A%7B%22name%22%3A%22Bob%22%7D%2C%22TemplateId%22%3A%22123%22%7D&ToAddress=a%40example.net%2Cb%40example.net";
const SEND_SIGNED: &str = "accept;content-type;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version";
const QUERY_SIGNED: &str = "accept;host;user-agent;x-acs-action;x-acs-content-sha256;x-acs-credentials-provider;x-acs-date;x-acs-signature-nonce;x-acs-version";
const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[derive(Clone)]
struct Captured {
    headers: HeaderMap,
    query: String,
    body: String,
}

impl Captured {
    fn acs3(
        query: &str,
        body: &str,
        signed: &str,
        signature: &str,
        headers: &[(&'static str, &str)],
    ) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let authorization =
            format!("ACS3-HMAC-SHA256 Credential=testak,SignedHeaders={signed},Signature={signature}");
        map.insert("authorization", HeaderValue::from_str(&authorization).unwrap());
        Captured { headers: map, query: query.to_owned(), body: body.to_owned() }
    }

    fn read(&self) -> Result<Claim, ApiError> {
        let parameters = Parameters::parse(&self.query, self.body.as_bytes())?;
        read(&Incoming {
            method: "POST",
            path: "/",
            headers: &self.headers,
            body: self.body.as_bytes(),
            parameters: &parameters,
        })
    }

    fn outcome(&self) -> Result<(), ApiError> {
        self.read()?.verify("testsecret")
    }

    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        changed
    }
}

fn send_mail() -> Captured {
    Captured::acs3(
        "",
        SEND_BODY,
        SEND_SIGNED,
        "06c4a9743d3cc0fb69ee1362a17f77a5cea27712b4a55d4ad540f0d99163360a",
        &[
            ("host", "127.0.0.1:18099"),
            ("x-acs-version", "2015-11-23"),
            ("x-acs-action", "SingleSendMail"),
            ("user-agent", "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2"),
            ("x-acs-date", "2026-11-22T20:15:46Z"),
            ("x-acs-signature-nonce", "70ffd64de0d46a54527cfca0c8983b89"),
            ("accept", "application/json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("x-acs-content-sha256", "be88b5a66f1b13ed144540969179a404698d26332193dbc3f3ee8482b104a46d"),
            ("x-acs-credentials-provider", "static_ak"),
        ],
    )
}

fn query_call(
    action: &str,
    version: &str,
    date: &str,
    nonce: &str,
    query: &str,
    signature: &str,
) -> Captured {
    Captured::acs3(
        query,
        "",
        QUERY_SIGNED,
        signature,
        &[
            ("host", "127.0.0.1:18099"),
            ("x-acs-version", version),
            ("x-acs-action", action),
            ("user-agent", "AlibabaCloud (Linux; x86_64) Python/3.11.7 Core/0.4.3 TeaDSL/2"),
            ("x-acs-date", date),
            ("x-acs-signature-nonce", nonce),
            ("accept", "application/json"),
            ("x-acs-content-sha256", EMPTY_SHA256),
            ("x-acs-credentials-provider", "static_ak"),
        ],
    )
}

fn query_domains() -> Captured {
    query_call(
        "QueryDomainByParam",
        "2015-11-23",
        "2026-11-22T20:15:46Z",
        "9cd2521262e012fda918fdbc5245df04",
        "KeyWord=exa+mple&PageNo=1&PageSize=10&Status=0",
        "d3dcf9bb017576ba5e09f74d9c56c2f1f46a87febf6c669a3c61f56ee9696b56",
    )
}

const RPC_QUERY: &str = "Action=SingleSendMail&Format=json&Version=2015-11-23&Timestamp=2026-11-22T20%3A16%3A18Z&SignatureNonce=6daeab2d491880354bd88bf42a1e603a&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&AccessKeyId=testak&Signature=K9Ls3d2t84%2B7Lvu%2FOhDWrz0Qaek%3D";
const RPC_BODY: &str = "AccountName=noreply%40mail.example.com&AddressType=1&ReplyToAddress=True&Subject=Hello+%E4%B8%96%E7%95%8C+%26+%2A&TextBody=x&ToAddress=a%40example.net";

fn rpc(query: &str, body: &str) -> Captured {
    Captured { headers: HeaderMap::new(), query: query.to_owned(), body: body.to_owned() }
}

#[test]
fn captured_requests_of_the_sdk_verify() {
    let claim = send_mail().read().unwrap();
    assert_eq!(
        (claim.access_key_id.as_str(), claim.nonce.as_str()),
        ("testak", "70ffd64de0d46a54527cfca0c8983b89")
    );
    assert_eq!(claim.dated.rfc3339_seconds(), "2026-11-22T20:15:46Z");
    claim.verify("testsecret").unwrap();
    query_domains().outcome().unwrap();
    query_call(
        "QueryResourcePackageInstances",
        "2017-12-14",
        "2026-11-22T20:15:47Z",
        "f9314bc992a13f3c2527e3f123bf8e1f",
        "PageNum=1&PageSize=20&ProductCode=dm",
        "94277025ed98bcc5aecc5335a46511aac7009c9bcd60df518166d553435e325e",
    )
    .outcome()
    .unwrap();
    rpc(RPC_QUERY, RPC_BODY).outcome().unwrap();
}

#[test]
fn the_wrong_secret_is_refused_and_the_string_to_sign_is_shown() {
    let refused = send_mail().read().unwrap().verify("othersecret").unwrap_err();
    assert_eq!(refused.code, "SignatureDoesNotMatch");
    assert!(refused.message.contains("server string to sign is:ACS3-HMAC-SHA256\n"), "{}", refused.message);
    let refused = rpc(RPC_QUERY, RPC_BODY).read().unwrap().verify("othersecret").unwrap_err();
    assert!(
        refused.message.contains("server string to sign is:POST&%2F&AccessKeyId%3Dtestak"),
        "{}",
        refused.message
    );
}

#[test]
fn the_canonical_request_is_shown_beside_its_hash() {
    let refused = query_domains().read().unwrap().verify("othersecret").unwrap_err();
    let (to_sign, canonical) = refused.message.split_once("\nserver canonical request is:").unwrap();
    assert!(
        canonical.starts_with(
            "POST\n/\nKeyWord=exa%20mple&PageNo=1&PageSize=10&Status=0\naccept:application/json\n"
        ),
        "{canonical}"
    );
    assert!(canonical.ends_with(&format!("\n\n{QUERY_SIGNED}\n{EMPTY_SHA256}")), "{canonical}");
    assert!(to_sign.ends_with(&hex::encode(sha2::Sha256::digest(canonical))), "{to_sign}");
}

#[test]
fn passwords_are_not_shown() {
    let mut acs3 = query_domains();
    acs3.query = "MailAddressId=1&Password=DM1mail1234&Status=0".to_owned();
    let acs3 = acs3.read().unwrap().verify("othersecret").unwrap_err().message;
    assert!(acs3.contains("MailAddressId=1&Password=***&Status=0\naccept:"), "{acs3}");
    let last = query_domains();
    let last = Captured { query: "Password=DM1mail1234".to_owned(), ..last };
    let last = last.read().unwrap().verify("othersecret").unwrap_err().message;
    assert!(last.contains("\nPassword=***\naccept:"), "{last}");
    let signed = rpc(RPC_QUERY, &format!("{RPC_BODY}&Password=DM1mail1234"));
    let signed = signed.read().unwrap().verify("othersecret").unwrap_err().message;
    assert!(signed.contains("%26Password%3D***%26ReplyToAddress"), "{signed}");
    for message in [acs3, last, signed] {
        assert!(!message.contains("DM1mail1234"), "{message}");
    }
}

#[test]
fn signature_1_0_takes_nothing_from_headers_it_does_not_cover() {
    for (header, value, parameter) in
        [("x-acs-action", "SingleSendMail", "Action"), ("x-acs-version", "2015-11-23", "Version")]
    {
        let named = rpc(RPC_QUERY, RPC_BODY).with(header, value);
        named.outcome().unwrap();
        let mut unnamed = named;
        unnamed.query = unnamed
            .query
            .replace(&format!("{parameter}={value}&"), "")
            .replace(&format!("&{parameter}={value}"), "");
        let refused = unnamed.outcome().unwrap_err();
        assert_eq!(refused.code, "IncompleteSignature");
        assert!(
            refused.message.contains(header) && refused.message.contains(parameter),
            "{}",
            refused.message
        );
    }
}

#[test]
fn whatever_is_changed_after_signing_is_noticed() {
    let original = send_mail();
    for (name, value) in [
        ("x-acs-action", "DeleteDomain"),
        ("x-acs-version", "2017-12-14"),
        ("x-acs-date", "2026-11-22T20:15:47Z"),
        ("x-acs-signature-nonce", "70ffd64de0d46a54527cfca0c8983b88"),
        ("host", "127.0.0.1:18098"),
        ("user-agent", "curl"),
    ] {
        assert_eq!(original.with(name, value).outcome().unwrap_err().code, "SignatureDoesNotMatch", "{name}");
    }
    let mut added = original.clone();
    added.query = "TagName2=x".to_owned();
    assert_eq!(added.outcome().unwrap_err().code, "SignatureDoesNotMatch", "a parameter added to the query");
    let mut body = original.clone();
    body.body = SEND_BODY.replace("a%40example.net", "x%40example.net");
    let refused = body.outcome().unwrap_err();
    assert!(refused.message.contains("x-acs-content-sha256"), "{}", refused.message);
    let changed = rpc(RPC_QUERY, &RPC_BODY.replace("TextBody=x", "TextBody=y"));
    assert_eq!(changed.outcome().unwrap_err().code, "SignatureDoesNotMatch");
}

#[test]
fn the_header_names_case_and_plus_signs_do_not_matter() {
    let mut percent = query_domains();
    percent.query = "Status=0&PageSize=10&PageNo=1&KeyWord=exa%20mple".to_owned();
    percent.outcome().unwrap();
}

#[test]
fn a_host_header_with_a_scheme_is_just_a_value() {
    // The Python SDK signs and sends `http://127.0.0.1:18099` as its Host when the endpoint is given so.
    let odd = send_mail().with("host", "http://127.0.0.1:18099");
    let claim = odd.read().unwrap();
    let resigned = sign_acs3(&claim.string_to_sign, "testsecret");
    let authorization =
        format!("ACS3-HMAC-SHA256 Credential=testak,SignedHeaders={SEND_SIGNED},Signature={resigned}");
    odd.with("authorization", &authorization).outcome().unwrap();
}

#[test]
fn six_headers_must_be_signed() {
    for unsigned in [
        "host",
        "x-acs-action",
        "x-acs-version",
        "x-acs-date",
        "x-acs-signature-nonce",
        "x-acs-content-sha256",
    ] {
        let fewer: Vec<&str> = SEND_SIGNED.split(';').filter(|name| *name != unsigned).collect();
        let authorization =
            format!("ACS3-HMAC-SHA256 Credential=testak,SignedHeaders={},Signature=00", fewer.join(";"));
        let refused = send_mail().with("authorization", &authorization).outcome().unwrap_err();
        assert_eq!(refused.code, "IncompleteSignature");
        assert!(refused.message.contains(unsigned), "{}", refused.message);
    }
}

#[test]
fn malformed_signatures_say_what_is_malformed() {
    for (authorization, names) in [
        ("Basic dXNlcjpwYXNz", "Basic"),
        ("ACS3-HMAC-SM3 Credential=a,SignedHeaders=host,Signature=00", "ACS3-HMAC-SM3"),
        ("ACS3-HMAC-SHA256", "Credential"),
        ("ACS3-HMAC-SHA256 Credential=a,Signature=00", "SignedHeaders"),
        ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host", "Signature"),
        ("ACS3-HMAC-SHA256 Credential=a,SignedHeaders=host,Signature=zz", "hexadecimal"),
    ] {
        let refused = send_mail().with("authorization", authorization).outcome().unwrap_err();
        assert_eq!(refused.code, "IncompleteSignature", "{authorization}");
        assert!(refused.message.contains(names), "{}", refused.message);
    }
    let mut missing = send_mail();
    missing.headers.remove("user-agent");
    assert!(missing.outcome().unwrap_err().message.contains("user-agent"));
    for (date, code) in
        [("yesterday", "InvalidTimeStamp.Format"), ("2026-11-22 20:15:46", "InvalidTimeStamp.Format")]
    {
        assert_eq!(send_mail().with("x-acs-date", date).outcome().unwrap_err().code, code);
    }
    let unsigned = rpc("Action=SingleSendMail", "").outcome().unwrap_err();
    assert!(unsigned.message.contains("neither"), "{}", unsigned.message);
    for (from, to, code) in [
        ("SignatureVersion=1.0", "SignatureVersion=2.0", "IncompleteSignature"),
        ("HMAC-SHA1", "HMAC-MD5", "IncompleteSignature"),
        ("AccessKeyId=testak", "x=y", "MissingParameter"),
        ("SignatureNonce=6daeab2d491880354bd88bf42a1e603a", "x=y", "MissingParameter"),
        ("K9Ls3d2t84", "!!", "IncompleteSignature"),
        ("2026-11-22T20%3A16%3A18Z", "now", "InvalidTimeStamp.Format"),
    ] {
        assert_eq!(rpc(&RPC_QUERY.replace(from, to), RPC_BODY).outcome().unwrap_err().code, code, "{to}");
    }
}

#[test]
fn a_date_is_good_for_fifteen_minutes_either_way() {
    let claim = send_mail().read().unwrap();
    for (offset_s, good) in [(0, true), (900, true), (-900, true), (901, false), (-901, false)] {
        let now = claim.dated.plus_micros(offset_s * 1_000_000);
        assert_eq!(claim.check_date(now).is_ok(), good, "{offset_s} s");
    }
    let refused = claim.check_date(claim.dated.plus_micros(3_600_000_000)).unwrap_err();
    assert_eq!(refused.code, "InvalidTimeStamp.Expired");
    assert!(refused.message.contains("2026-11-22T20:15:46Z"), "{}", refused.message);
}

fn sign_acs3(string_to_sign: &str, secret: &str) -> String {
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(string_to_sign.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}
