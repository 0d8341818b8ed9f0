//! Signatures are judged by mail-auth's verifier, with the key's record put into its cache.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use bytes::Bytes;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters, ResolverCache, Txt};

use indicia_domain::time::UnixMicros;

use super::*;

const AT: UnixMicros = UnixMicros(1_700_000_000_000_000);
const HEADER: &str = "Received: from x\r\nFrom: Ann <ann@example.net>\r\nTo: b@example.org,\r\n\tc@example.org\r\n\
Subject:  Hello \t world\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\
List-Unsubscribe: <https://example.net/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
const BODY: &str = "Dear  you,\t \r\n\r\n.leading dot\r\n  indented\r\nno end \r\n\r\n\r\n";

/// Key generation takes long without optimisation: one key serves all tests.
fn key() -> &'static (Bytes, String) {
    static KEY: OnceLock<(Bytes, String)> = OnceLock::new();
    KEY.get_or_init(|| {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("SubjectPublicKeyInfo");
        let record = format!(
            "v=DKIM1; k=rsa; p={}",
            base64::engine::general_purpose::STANDARD.encode(public.as_ref())
        );
        (Bytes::copy_from_slice(der.as_ref()), record)
    })
}

fn signer() -> Signer {
    Signer::new("Example.NET", "s1", &key().0).expect("a signer")
}

/// A cache that knows one TXT record.
struct Records(Mutex<HashMap<Box<str>, Txt>>);

impl ResolverCache<Box<str>, Txt> for Records {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().expect("unpoisoned").get(name).cloned()
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, key: Box<str>, value: Txt, _: Instant) {
        self.0.lock().expect("unpoisoned").insert(key, value);
    }
}

/// A cache of nothing.
struct Nothing;

impl<K, V> ResolverCache<K, V> for Nothing {
    fn get<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn remove<Q>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

async fn verify(message: &[u8]) -> Vec<String> {
    let record = DomainKey::parse(key().1.as_bytes()).expect("a DKIM record");
    let records = Records(Mutex::default());
    let until = Instant::now() + Duration::from_secs(3600);
    records.insert("s1._domainkey.example.net.".into(), Txt::DomainKey(Arc::new(record)), until);
    let parsed = AuthenticatedMessage::parse(message).expect("a message");
    let parameters: Parameters<'_, _, _, Nothing, Nothing, Nothing, Nothing> = Parameters {
        params: &parsed,
        cache_txt: Some(&records),
        cache_mx: None,
        cache_ptr: None,
        cache_ipv4: None,
        cache_ipv6: None,
    };
    let servers = hickory_resolver::config::ResolverConfig::from_name_servers(vec![]);
    let authenticator = MessageAuthenticator::new(servers, Default::default()).expect("an authenticator");
    let output = authenticator.verify_dkim(parameters).await;
    output
        .iter()
        .map(|signature| match signature.result() {
            DkimResult::Pass => "pass".to_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

fn signed(header: &str, body: &str) -> Vec<u8> {
    let message = [header.as_bytes(), b"\r\n", body.as_bytes()].concat();
    let field = signer().sign(&[&message], AT).expect("a signature");
    [&field[..], &message].concat()
}

#[tokio::test]
async fn signatures_verify() {
    for body in [BODY, "", "\r\n\r\n", "one line without end", "a\r\n", &"long line ".repeat(2000)] {
        assert_eq!(verify(&signed(HEADER, body)).await, ["pass"], "{body:?}");
    }
}

#[tokio::test]
async fn a_changed_mail_does_not_verify() {
    let good = String::from_utf8(signed(HEADER, BODY)).expect("text");
    for (from, to) in [("Hello", "Hollo"), ("Dear", "Deer"), ("ann@", "eve@"), ("One-Click", "Two-Click")] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert_ne!(verify(bad.as_bytes()).await, ["pass"], "{from} to {to}");
    }
}

#[tokio::test]
async fn a_second_from_breaks_the_signature() {
    let good = String::from_utf8(signed(HEADER, BODY)).expect("text");
    let bad = good.replacen("From: Ann", "From: Eve <eve@example.org>\r\nFrom: Ann", 1);
    assert_ne!(verify(bad.as_bytes()).await, ["pass"]);
}

#[test]
fn chunk_boundaries_change_nothing() {
    let message = format!("{HEADER}\r\n{BODY}").into_bytes();
    let signer = signer();
    let whole = signer.sign(&[&message], AT).expect("a signature");
    for at in 0..message.len() {
        // Only the hashes matter here: the signature itself is computed once per distinct input.
        let (head, tail) = message.split_at(at);
        let (header, body) = header::split(&[head, tail]);
        assert_eq!(header, HEADER.as_bytes(), "split at {at}");
        assert_eq!(body.concat(), BODY.as_bytes(), "split at {at}");
    }
    let (a, b) = message.split_at(HEADER.len() + 9);
    assert_eq!(
        signer.sign(&[&a[..5], &a[5..], b], AT).expect("a signature"),
        whole,
        "PKCS#1 v1.5 is deterministic"
    );
}

#[test]
fn the_field_is_well_formed() {
    let field = signer().sign(&[format!("{HEADER}\r\n").as_bytes()], AT).expect("a signature");
    let text = std::str::from_utf8(&field).expect("ASCII");
    assert!(
        text.starts_with("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net;\r\n"),
        "{text}"
    );
    assert!(text.ends_with("\r\n") && !text.ends_with("\r\n\r\n"));
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    assert!(text.contains("t=1700000000;"), "{text}");
    assert!(text.contains("h=From:From:To:Subject:Date:Message-ID:"), "{text}");
}

#[test]
fn what_cannot_be_signed_says_why() {
    let no_from = signer().sign(&[b"To: a@b\r\n\r\nx"], AT).expect_err("no From");
    assert!(matches!(no_from, DkimError::NoFrom { .. }), "{no_from}");
    assert!(matches!(Signer::new("a.b", "s", b"nonsense"), Err(DkimError::BadKey { .. })));
    assert!(signer().sign(&[], AT).is_err());
}

#[tokio::test]
async fn keys_are_parsed_once_and_a_rotated_key_is_noticed() {
    let signers = Signers::default();
    let key = &key().0;
    let first = signers.signer("a.b", "s", key).expect("a signer");
    assert!(Arc::ptr_eq(
        &first,
        &signers.signer("a.b", "s", &Bytes::copy_from_slice(key)).expect("a signer")
    ));
    assert!(signers.signer("a.b", "s", &Bytes::from_static(b"other")).is_err());
    let content = vec![Bytes::from(format!("{HEADER}\r\n{BODY}"))];
    let field = signers.sign(first.clone(), content.clone(), AT).await.expect("a signature");
    assert_eq!(field, first.sign(&[&content[0]], AT).expect("a signature"));
}
