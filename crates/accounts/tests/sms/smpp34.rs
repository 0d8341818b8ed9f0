//! The SMPP gateway against a message centre that somebody else wrote: the Python package `smpp34`, by way of
//! `tests/harness/smsc.py`.
//!
//! Needs a Python that has the packages of `tests/requirements.txt`: `TEST_PYTHON` names it, else it is the one that
//! `cargo xtask test` makes in `target/e2e-venv`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use indicia_accounts::sms::{BindMode, SmppConfig, SmppGateway, SmsFailure, SmsGateway};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{NUMBER, text_message};

const EVENT_TIMEOUT: Duration = Duration::from_secs(20);
const ESME_RTHROTTLED: &str = "0x58";

/// The message centre's process; it ends with its standard input, which ends with this.
struct Smpp34 {
    child: Child,
    events: Lines<BufReader<ChildStdout>>,
    address: String,
}

fn python(root: &Path) -> PathBuf {
    match std::env::var_os("TEST_PYTHON") {
        Some(named) => named.into(),
        None => root.join("target/e2e-venv/bin/python"),
    }
}

impl Smpp34 {
    async fn start(options: &[&str]) -> Smpp34 {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = python(&root);
        let mut child = Command::new(&python)
            .args(["-m", "harness.smsc"])
            .args(options)
            .current_dir(root.join("tests"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{} does not start ({error}); make it with `cargo xtask test --only e2e`, or name another \
                     in TEST_PYTHON that has the packages of tests/requirements.txt",
                    python.display()
                )
            });
        let events = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut smsc = Smpp34 { child, events, address: String::new() };
        smsc.address = smsc.event("listening").await["address"].as_str().expect("an address").to_owned();
        smsc
    }

    /// The next event, which has to be of this kind.
    async fn event(&mut self, kind: &str) -> Value {
        let line = tokio::time::timeout(EVENT_TIMEOUT, self.events.next_line())
            .await
            .unwrap_or_else(|_| panic!("no {kind} within {EVENT_TIMEOUT:?}"))
            .expect("a line")
            .unwrap_or_else(|| panic!("the message centre ended before {kind}; see its standard error"));
        let event: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(event["event"], kind, "{line}");
        event
    }

    fn config(&self) -> SmppConfig {
        SmppConfig::new(self.address.parse().expect("an address"), "indicia", "secret08", "Indicia")
    }

    async fn stop(mut self) {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(EVENT_TIMEOUT, self.child.wait()).await;
        assert!(ended.expect("it ends with its input").expect("a status").success());
    }
}

#[tokio::test]
async fn texts_of_both_alphabets_arrive_at_smpp34_as_they_were_written() {
    let mut smsc = Smpp34::start(&[]).await;
    let gateway = SmppGateway::new(smsc.config()).expect("settings that work");

    let short = "Balance {5 €} @ Indicia";
    let taken = gateway.send(&text_message(1, short)).await.expect("taken");
    assert_eq!(smsc.event("bind").await["system_id"], "indicia");
    let part = smsc.event("submit").await;
    assert_eq!(taken.gateway_ids, [part["message_id"].as_str().expect("an id")]);
    assert_eq!((&part["text"], &part["to"]), (&short.into(), &NUMBER.into()));
    assert_eq!((&part["to_ton"], &part["to_npi"]), (&1.into(), &1.into()));
    assert_eq!((&part["source"], &part["source_ton"]), (&"Indicia".into(), &5.into()));
    assert_eq!((&part["esm_class"], &part["data_coding"]), (&0.into(), &0.into()));

    for (reference, text, data_coding, parts) in
        [(2, "[Indicia] €1 ".repeat(30), 0, 4), (3, "您的资源包即将到期😀".repeat(20), 8, 4)]
    {
        let taken = gateway.send(&text_message(reference, text.clone())).await.expect("taken");
        assert_eq!(taken.gateway_ids.len(), parts);
        let mut shown = String::new();
        let mut references = std::collections::HashSet::new();
        for (index, id) in taken.gateway_ids.iter().enumerate() {
            let part = smsc.event("submit").await;
            assert_eq!((&part["number"], &part["total"]), (&(index + 1).into(), &parts.into()));
            assert_eq!((&part["message_id"], &part["esm_class"]), (&id.as_str().into(), &0x40.into()));
            assert_eq!(part["data_coding"], data_coding);
            references
                .insert((part["user_message_reference"].as_u64(), part["concatenation_reference"].as_u64()));
            shown.push_str(part["text"].as_str().expect("a text"));
        }
        assert_eq!(shown, text);
        assert_eq!(references.len(), 1, "all parts of a text have the same references");
    }
    gateway.close().await;
    smsc.event("unbound").await;
    smsc.stop().await;
}

#[tokio::test]
async fn smpp34_refuses_and_sends_receipts() {
    let mut smsc = Smpp34::start(&["--receipts", "--answer", "0", "--answer", ESME_RTHROTTLED]).await;
    let settings = SmppConfig { bind: BindMode::Transceiver, ..smsc.config() };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    let message = text_message(4, "x".repeat(161));
    let error = gateway.send(&message).await.expect_err("throttled at its second part");
    assert!(error.is_transient(), "{error}");
    assert!(matches!(error.cause(), SmsFailure::Refused { part: 2, .. }), "{error}");
    smsc.event("bind").await;

    // Submits and receipts are told in the order in which they happen, which two directions may interleave.
    let taken = gateway.send(&message).await.expect("taken");
    assert_eq!(taken.gateway_ids, ["smsc-1", "smsc-3"]);
    let (mut numbers, mut receipts) = (Vec::new(), 0);
    while receipts < 2 {
        let line = tokio::time::timeout(EVENT_TIMEOUT, smsc.events.next_line()).await.expect("an event");
        let event: Value = serde_json::from_str(&line.expect("a line").expect("no end")).expect("JSON");
        match event["event"].as_str() {
            Some("submit") => numbers.push(event["number"].as_u64().expect("a number")),
            Some("receipt") => {
                assert_eq!(event["acknowledged"], true);
                receipts += 1;
            }
            _ => panic!("not expected: {event}"),
        }
    }
    assert_eq!(numbers, [1, 2, 2], "the part that was taken is not sent again");
    gateway.close().await;
    smsc.event("unbound").await;
    smsc.stop().await;
}
