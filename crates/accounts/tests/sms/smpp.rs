//! The SMPP gateway against a message centre that does what the test says.

use std::time::Duration;

use indicia_accounts::sms::{
    BindMode, SmppConfig, SmppGateway, SmsError, SmsFailure, SmsGateway, Submitted, TextError,
};
use rusmpp::pdus::{DataSm, DeliverSm, QuerySm};
use rusmpp::values::{DataCoding, Npi, Ton};
use rusmpp::{CommandId, CommandStatus, Pdu};

use crate::smsc::{PASSWORD, Push, Reply, Smsc, parts_of};
use crate::{text_message, until};

/// Long enough for a machine with other things to do, for the tests that wait it out.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);
/// 153 and 8 septets.
const TWO_PARTS: usize = 161;

fn config(smsc: &Smsc) -> SmppConfig {
    SmppConfig {
        response_timeout: RESPONSE_TIMEOUT,
        connect_timeout: RESPONSE_TIMEOUT,
        reconnect_pause_min: Duration::from_millis(50),
        ..SmppConfig::new(smsc.address, "indicia", PASSWORD, "Indicia")
    }
}

fn gateway(smsc: &Smsc) -> SmppGateway {
    SmppGateway::new(config(smsc)).expect("settings that work")
}

fn ids(taken: Result<Submitted, SmsError>) -> Vec<String> {
    taken.expect("a text that was taken").gateway_ids
}

fn transient(refused: Result<Submitted, SmsError>) -> SmsFailure {
    match refused {
        Err(SmsError::Transient { cause, .. }) => cause,
        other => panic!("not a transient failure: {other:?}"),
    }
}

#[tokio::test]
async fn a_text_goes_out_as_the_standard_has_it() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    assert_eq!(ids(gateway.send(&text_message(1, "Hi {you}")).await), ["id-1"]);
    let seen = smsc.seen();
    let submit = &seen.submits[0];
    assert_eq!((submit.dest_addr_ton, submit.dest_addr_npi), (Ton::International, Npi::Isdn));
    assert_eq!(submit.destination_addr.as_str(), "8613800001234");
    assert_eq!((submit.source_addr_ton, submit.source_addr.as_str()), (Ton::Alphanumeric, "Indicia"));
    assert_eq!(submit.data_coding, DataCoding::McSpecific);
    assert_eq!(parts_of(submit).1, b"Hi \x1b\x28you\x1b\x29");
}

#[tokio::test]
async fn a_long_text_is_split_and_its_parts_belong_together() {
    let smsc = Smsc::start([]).await;
    let text = "余额不足，请及时购买资源包😀".repeat(10);
    assert_eq!(ids(gateway(&smsc).send(&text_message(2, text.clone())).await), ["id-1", "id-2", "id-3"]);
    let seen = smsc.seen();
    let mut units = Vec::new();
    let (first, _, reference) = parts_of(&seen.submits[0]);
    for (index, submit) in seen.submits.iter().enumerate() {
        let (header, octets, same) = parts_of(submit);
        assert_eq!(header.expect("a header"), [5, 0, 3, first.expect("a header")[3], 3, index as u8 + 1]);
        assert_eq!((same, submit.data_coding), (reference, DataCoding::Ucs2));
        units.extend(octets.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
    }
    assert_eq!(String::from_utf16(&units).expect("whole characters"), text);
}

#[tokio::test]
async fn throttled_is_later_and_then_it_is_taken() {
    let smsc = Smsc::start([Reply::Refuse(CommandStatus::EsmeRthrottled)]).await;
    let gateway = gateway(&smsc);
    let message = text_message(3, "Hi");
    let cause = transient(gateway.send(&message).await);
    assert!(
        matches!(&cause, SmsFailure::Refused { status, .. } if status.contains("ESME_RTHROTTLED")),
        "{cause}"
    );
    assert_eq!(ids(gateway.send(&message).await), ["id-2"]);
    assert_eq!(smsc.submits_and_binds(), (2, 1));
}

#[tokio::test]
async fn a_connection_cut_between_parts_is_resumed_at_the_part_that_failed() {
    let smsc = Smsc::start([Reply::Accept, Reply::Cut]).await;
    let gateway = gateway(&smsc);
    let message = text_message(4, "x".repeat(153 * 2 + 1));
    let cause = transient(gateway.send(&message).await);
    assert!(matches!(cause, SmsFailure::SessionLost { part: 2, parts: 3 }), "{cause}");
    assert_eq!(ids(gateway.send(&message).await), ["id-1", "id-3", "id-4"]);
    let seen = smsc.seen();
    let numbers: Vec<u8> =
        seen.submits.iter().map(|submit| parts_of(submit).0.expect("a header")[5]).collect();
    assert_eq!(numbers, [1, 2, 2, 3]);
    assert_eq!(seen.binds.len(), 2);
}

#[tokio::test]
async fn a_text_that_was_taken_is_not_sent_again() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    let message = text_message(5, "x".repeat(TWO_PARTS));
    let first = ids(gateway.send(&message).await);
    assert_eq!(ids(gateway.send(&message).await), first);
    assert_eq!(smsc.seen().submits.len(), 2);
    ids(gateway.send(&text_message(6, "x".repeat(TWO_PARTS))).await);
    assert_eq!(smsc.seen().submits.len(), 4, "another reference is another text");
}

#[tokio::test]
async fn a_wrong_password_is_transient_and_not_tried_again_at_once() {
    let smsc = Smsc::start([]).await;
    let settings = SmppConfig {
        password: "wrong".into(),
        reconnect_pause_min: Duration::from_secs(60),
        ..config(&smsc)
    };
    let gateway = SmppGateway::new(settings).expect("settings that look right");
    let cause = transient(gateway.send(&text_message(7, "Hi")).await);
    assert!(
        matches!(&cause, SmsFailure::Bind { status, .. } if status.contains("ESME_RINVPASWD")),
        "{cause}"
    );
    let cause = transient(gateway.send(&text_message(7, "Hi")).await);
    assert!(matches!(&cause, SmsFailure::Paused { last, .. } if last.contains("ESME_RINVPASWD")), "{cause}");
    assert!(!cause.to_string().contains("wrong"));
    assert_eq!(smsc.submits_and_binds(), (0, 1));
}

#[tokio::test]
async fn the_pause_after_a_failure_ends() {
    let smsc = Smsc::start([]).await;
    let address = smsc.address;
    drop(smsc);
    let settings = SmppConfig {
        reconnect_pause_min: Duration::from_secs(1),
        ..SmppConfig::new(address, "indicia", PASSWORD, "")
    };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    let listener = loop {
        // The port is free once the dropped message centre's task has ended.
        if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
            break listener;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    drop(listener);
    let cause = transient(gateway.send(&text_message(8, "Hi")).await);
    assert!(matches!(cause, SmsFailure::Connect { .. }), "{cause}");
    assert!(matches!(transient(gateway.send(&text_message(8, "Hi")).await), SmsFailure::Paused { .. }));
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert!(matches!(transient(gateway.send(&text_message(8, "Hi")).await), SmsFailure::Connect { .. }));
}

#[tokio::test]
async fn a_bind_without_answer_is_transient() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let settings = SmppConfig {
        response_timeout: Duration::from_millis(100),
        ..SmppConfig::new(listener.local_addr().expect("its address"), "indicia", PASSWORD, "")
    };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    let cause = transient(gateway.send(&text_message(35, "Hi")).await);
    assert!(matches!(cause, SmsFailure::ConnectTimeout { .. }), "{cause}");
}

#[tokio::test]
async fn requests_of_the_message_centre_are_answered() {
    let smsc = Smsc::start([]).await;
    let settings = SmppConfig { bind: BindMode::Transceiver, system_type: "CMT".into(), ..config(&smsc) };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    ids(gateway.send(&text_message(9, "Hi")).await);
    assert_eq!(smsc.seen().binds, ["CMT"]);
    let expected = [
        (Pdu::EnquireLink, CommandId::EnquireLinkResp, CommandStatus::EsmeRok),
        (DeliverSm::default().into(), CommandId::DeliverSmResp, CommandStatus::EsmeRok),
        (DataSm::default().into(), CommandId::DataSmResp, CommandStatus::EsmeRok),
        (QuerySm::default().into(), CommandId::GenericNack, CommandStatus::EsmeRinvcmdid),
    ];
    for (index, (request, answer, status)) in expected.into_iter().enumerate() {
        smsc.request(request);
        until("an answer", || smsc.seen().others.len() > index).await;
        assert_eq!(smsc.seen().others[index], (answer, status));
    }
    ids(gateway.send(&text_message(10, "Hi again")).await);
    assert_eq!(smsc.seen().binds.len(), 1, "still the same session");
}

#[tokio::test]
async fn a_body_that_can_not_be_read_does_not_break_the_session() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    ids(gateway.send(&text_message(11, "Hi")).await);
    // A deliver_sm whose body is one octet.
    smsc.push(Push::Octets(vec![0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 3, 0xE8, 0xFF]));
    until("an answer", || smsc.seen().others == [(CommandId::DeliverSmResp, CommandStatus::EsmeRok)]).await;
    ids(gateway.send(&text_message(12, "Hi")).await);
    assert_eq!(smsc.seen().binds.len(), 1);
}

#[tokio::test]
async fn an_id_that_is_not_ascii_is_taken_all_the_same() {
    let smsc =
        Smsc::start([Reply::AcceptWithBody(b"\xC3\xA9-1\0".to_vec()), Reply::AcceptWithBody(vec![])]).await;
    let gateway = gateway(&smsc);
    assert_eq!(ids(gateway.send(&text_message(13, "Hi")).await), ["é-1"]);
    assert_eq!(ids(gateway.send(&text_message(14, "Hi")).await), [""]);
    assert_eq!(smsc.seen().submits.len(), 2);
}

#[tokio::test]
async fn octets_that_are_no_pdu_end_the_session_and_the_next_text_opens_another() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    ids(gateway.send(&text_message(15, "Hi")).await);
    smsc.push(Push::Octets(vec![0, 0, 0, 5, 1]));
    until("the session's end", || smsc.seen().closed == 1).await;
    ids(gateway.send(&text_message(16, "Hi")).await);
    assert_eq!(smsc.seen().binds.len(), 2);
}

#[tokio::test]
async fn an_unbind_by_the_message_centre_is_answered_and_the_next_text_binds_again() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    ids(gateway.send(&text_message(17, "Hi")).await);
    smsc.request(Pdu::Unbind);
    until("an answer", || smsc.seen().others == [(CommandId::UnbindResp, CommandStatus::EsmeRok)]).await;
    until("the session's end", || smsc.seen().closed == 1).await;
    ids(gateway.send(&text_message(18, "Hi")).await);
    assert_eq!(smsc.seen().binds.len(), 2);
}

#[tokio::test]
async fn a_silent_link_is_asked_and_kept_while_it_answers() {
    let smsc = Smsc::start([]).await;
    let settings = SmppConfig { enquire_link_interval: Duration::from_millis(50), ..config(&smsc) };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    ids(gateway.send(&text_message(19, "Hi")).await);
    let enquired = (CommandId::EnquireLink, CommandStatus::EsmeRok);
    until("three questions", || smsc.seen().others.iter().filter(|other| **other == enquired).count() >= 3)
        .await;
    ids(gateway.send(&text_message(20, "Hi")).await);
    let seen = smsc.seen();
    assert_eq!((seen.binds.len(), seen.closed), (1, 0));
}

#[tokio::test]
async fn a_message_centre_that_does_not_answer_enquire_link_is_left() {
    let smsc = Smsc::start_deaf().await;
    let settings = SmppConfig { enquire_link_interval: Duration::from_millis(50), ..config(&smsc) };
    let gateway = SmppGateway::new(settings).expect("settings that work");
    ids(gateway.send(&text_message(21, "Hi")).await);
    until("the session's end", || smsc.seen().closed == 1).await;
    ids(gateway.send(&text_message(22, "Hi")).await);
    assert_eq!(smsc.seen().binds.len(), 2);
}

#[tokio::test]
async fn a_part_without_answer_is_sent_again_only_after_its_session_is_given_up() {
    let smsc = Smsc::start([Reply::Silence]).await;
    let gateway = gateway(&smsc);
    let message = text_message(23, "Hi");
    for _ in 0..2 {
        let cause = transient(gateway.send(&message).await);
        assert!(matches!(cause, SmsFailure::NoAnswer { part: 1, parts: 1, .. }), "{cause}");
    }
    assert_eq!(smsc.seen().submits.len(), 1, "the second attempt found the part on its way");
    until("the session's end", || smsc.seen().closed == 1).await;
    assert_eq!(ids(gateway.send(&message).await), ["id-2"]);
    assert_eq!(smsc.seen().binds.len(), 2);
}

#[tokio::test]
async fn an_answer_that_comes_late_still_counts() {
    let smsc = Smsc::start([Reply::AcceptAfter(RESPONSE_TIMEOUT * 3 / 2)]).await;
    let gateway = gateway(&smsc);
    let message = text_message(24, "Hi");
    assert!(matches!(transient(gateway.send(&message).await), SmsFailure::NoAnswer { .. }));
    until("the late answer", || smsc.seen().outstanding == 0).await;
    tokio::time::sleep(RESPONSE_TIMEOUT / 4).await;
    assert_eq!(ids(gateway.send(&message).await), ["id-1"]);
    assert_eq!(smsc.submits_and_binds(), (1, 1));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_make_a_part_be_sent_twice() {
    let smsc = Smsc::start([Reply::AcceptAfter(RESPONSE_TIMEOUT / 2)]).await;
    let gateway = gateway(&smsc);
    let message = text_message(25, "Hi");
    tokio::select! {
        sent = gateway.send(&message) => panic!("answered before the caller went away: {sent:?}"),
        () = until("the part on its way", || smsc.seen().submits.len() == 1) => {}
    }
    until("the answer", || smsc.seen().outstanding == 0).await;
    tokio::time::sleep(RESPONSE_TIMEOUT / 4).await;
    assert_eq!(ids(gateway.send(&message).await), ["id-1"]);
    assert_eq!(smsc.seen().submits.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_parts_wait_at_once_than_the_window_allows() {
    const TEXTS: i64 = 12;
    let smsc = Smsc::start(vec![Reply::AcceptAfter(Duration::from_millis(30)); TEXTS as usize]).await;
    let gateway = SmppGateway::new(SmppConfig {
        window: 3,
        response_timeout: Duration::from_secs(10),
        ..config(&smsc)
    })
    .expect("settings that work");
    let messages: Vec<_> = (0..TEXTS).map(|index| text_message(100 + index, "Hi")).collect();
    let sent = futures::future::join_all(messages.iter().map(|message| gateway.send(message))).await;
    let mut all: Vec<_> = sent.into_iter().flat_map(ids).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), TEXTS as usize, "each text has an id of its own");
    let seen = smsc.seen();
    assert_eq!((seen.outstanding_most, seen.binds.len()), (3, 1));
}

#[tokio::test]
async fn a_number_that_is_refused_is_permanent_and_our_settings_are_not() {
    let smsc = Smsc::start([
        Reply::Refuse(CommandStatus::EsmeRinvdstadr),
        Reply::Refuse(CommandStatus::EsmeRinvsrcadr),
        Reply::Refuse(CommandStatus::EsmeRmsgqful),
        Reply::Refuse(CommandStatus::Other(0x0411)),
    ])
    .await;
    let gateway = gateway(&smsc);
    let error = gateway.send(&text_message(26, "Hi")).await.expect_err("refused");
    assert!(!error.is_transient(), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("ESME_RINVDSTADR") && said.contains("1234") && !said.contains("13800001234"),
        "{said}"
    );
    let cause = transient(gateway.send(&text_message(27, "Hi")).await);
    assert!(matches!(cause, SmsFailure::RefusedSettings { .. }), "{cause}");
    for reference in [28, 29] {
        let cause = transient(gateway.send(&text_message(reference, "Hi")).await);
        assert!(matches!(cause, SmsFailure::Refused { .. }), "{cause}");
    }
}

#[tokio::test]
async fn a_text_that_no_message_can_carry_is_refused_without_a_connection() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    for (text, why) in
        [("x".repeat(1531), TextError::TooLong { parts: 11 }), (String::new(), TextError::Empty)]
    {
        let error = gateway.send(&text_message(30, text)).await.expect_err("refused");
        assert!(matches!(&error, SmsError::Permanent { cause: SmsFailure::Text(seen), .. } if *seen == why));
    }
    assert_eq!(smsc.seen().binds.len(), 0);
}

#[tokio::test]
async fn not_bound_is_mended_by_another_bind() {
    let smsc = Smsc::start([Reply::Refuse(CommandStatus::EsmeRinvbndsts)]).await;
    let gateway = gateway(&smsc);
    let message = text_message(31, "Hi");
    assert!(matches!(transient(gateway.send(&message).await), SmsFailure::Refused { .. }));
    until("the session's end", || smsc.seen().closed == 1).await;
    ids(gateway.send(&message).await);
    assert_eq!(smsc.seen().binds.len(), 2);
}

#[tokio::test]
async fn closing_waits_for_answers_and_unbinds() {
    let smsc = Smsc::start([Reply::AcceptAfter(RESPONSE_TIMEOUT / 2)]).await;
    let gateway = gateway(&smsc);
    let message = text_message(32, "Hi");
    let (sent, ()) = tokio::join!(gateway.send(&message), async {
        until("the text on its way", || smsc.seen().submits.len() == 1).await;
        gateway.close().await;
    });
    assert_eq!(ids(sent), ["id-1"]);
    assert_eq!(smsc.seen().others, [(CommandId::Unbind, CommandStatus::EsmeRok)]);
    until("the session's end", || smsc.seen().closed == 1).await;
    let cause = transient(gateway.send(&text_message(33, "Hi")).await);
    assert!(matches!(cause, SmsFailure::Closed), "{cause}");
    assert_eq!(smsc.seen().binds.len(), 1);
}

#[tokio::test]
async fn a_gateway_that_is_dropped_unbinds() {
    let smsc = Smsc::start([]).await;
    let gateway = gateway(&smsc);
    ids(gateway.send(&text_message(34, "Hi")).await);
    drop(gateway);
    until("the unbind", || smsc.seen().others == [(CommandId::Unbind, CommandStatus::EsmeRok)]).await;
}
