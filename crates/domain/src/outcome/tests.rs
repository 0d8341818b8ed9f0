//! Tables of real replies and what each must mean.

use super::Disposition::{Delivered, Permanent, Temporary};
use super::retry::{LAST_ATTEMPT_GRACE_MICROS, Next, RetrySchedule, ScheduleError, jittered};
use super::*;
use crate::time::UnixMicros;

const SECOND: i64 = 1_000_000;

/// Reads `"550 5.1.1 words"` as the reply to `phase`.
fn judge(phase: Phase, line: &str) -> Verdict {
    let (code, rest) = line.split_once(' ').unwrap_or((line, ""));
    let code: u16 = code.parse().expect("a code");
    let first = rest.split(' ').next().unwrap_or_default();
    let numbers: Vec<u16> = first.split('.').filter_map(|n| n.parse().ok()).collect();
    let enhanced = match numbers[..] {
        [class, subject, detail] if class == code / 100 => {
            Some(EnhancedCode::new(class as u8, subject, detail))
        }
        _ => None,
    };
    let text = if enhanced.is_some() { rest[first.len()..].trim() } else { rest };
    classify_reply(&Reply { phase, code, enhanced, text })
}

fn check(table: &[(Phase, &str, Disposition, ErrorClassification)]) {
    for (phase, line, disposition, classification) in table {
        let verdict = judge(*phase, line);
        assert_eq!(
            (verdict.disposition, verdict.classification),
            (*disposition, *classification),
            "{phase}: {line}"
        );
    }
}

use ErrorClassification as C;
use Phase::{Connect, Data, Final, Greeting, Mail, Rcpt};

#[test]
fn only_a_2yz_to_the_final_dot_is_delivery() {
    check(&[
        (Final, "250 2.0.0 OK", Delivered, C::SendOk),
        (Final, "250 queued as spam report 5", Delivered, C::SendOk),
        (Rcpt, "250 2.1.5 OK", Temporary, C::SysOutProtocol),
        (Data, "354 go ahead", Temporary, C::SysOutProtocol),
        (Final, "354 go ahead", Temporary, C::SysOutProtocol),
    ]);
    assert_eq!(judge(Final, "250 OK").status.code(), 0);
}

#[test]
fn invalid_addresses_enter_the_library() {
    for line in [
        "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        "550 5.1.1 <x@icloud.com>: user does not exist",
        "550 5.2.1 The email account that you tried to reach is disabled.",
        "550 5.4.1 Recipient address rejected: Access denied. AS(201806281)",
        "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
        "550 Mailbox not found. http://service.mail.qq.com",
        "550 Invalid User: x@163.com",
        "554 delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com)",
        "550 5.1.1 <x@y.org>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 Message was not accepted -- invalid mailbox. Local mailbox x@mail.ru is unavailable: user not found",
        "550 5.1.0 unknown or illegal alias: x@me.com",
        "550 user unknown",
        "553 5.1.3 The recipient address is not a valid RFC-5321 address.",
        "556 5.1.10 Domain does not accept mail",
        "550 5.7.1 No such user!",
        "550 5.2.1 Mailbox is blocked",
    ] {
        let verdict = judge(Rcpt, line);
        assert!(verdict.enters_invalid_library(), "{line}: {verdict:?}");
        assert_eq!(verdict.status.code(), 2, "{line}");
    }
}

#[test]
fn a_full_mailbox_is_not_an_invalid_address() {
    check(&[
        (
            Rcpt,
            "452 4.2.2 The email account that you tried to reach is over quota",
            Temporary,
            C::SmtpBoxFull,
        ),
        (Rcpt, "552 5.2.2 user is over quota", Permanent, C::SmtpBoxFull),
        (Rcpt, "552 5.2.2", Permanent, C::SmtpBoxFull),
        (Rcpt, "550 5.1.1 Mailbox full", Permanent, C::SmtpBoxFull),
        (Rcpt, "552 Requested mail action aborted", Permanent, C::SmtpBoxFull),
        (Final, "554 5.2.2 mailbox quota exceeded", Permanent, C::SmtpBoxFull),
    ]);
    assert!(!judge(Rcpt, "552 5.2.2 user is over quota").enters_invalid_library());
}

#[test]
fn temporary_refusals_keep_the_mail_and_the_address() {
    check(&[
        (
            Rcpt,
            "450 4.2.0 <x@y>: Recipient address rejected: Greylisted, see http://postgrey",
            Temporary,
            C::SmtpGreylist,
        ),
        (Rcpt, "451 4.7.1 Please try again later", Temporary, C::SmtpGreylist),
        (
            Rcpt,
            "450 4.7.1 Client host rejected: cannot find your hostname, [1.2.3.4]",
            Temporary,
            C::SmtpAuthFail,
        ),
        (Rcpt, "450 4.1.1 user unknown in relay table", Temporary, C::SmtpZTempErr),
        (
            Rcpt,
            "450 4.2.1 The user you are trying to contact is receiving mail at a rate that",
            Temporary,
            C::SmtpRcptFreq,
        ),
        (
            Final,
            "421 4.7.28 Our system has detected an unusual rate of unsolicited mail",
            Temporary,
            C::SmtpIPFreq,
        ),
        (
            Mail,
            "421 4.7.0 [TSS04] Messages from 1.2.3.4 temporarily deferred due to unexpected volume or user complaints",
            Temporary,
            C::SmtpIPFreq,
        ),
        (
            Mail,
            "451 4.7.650 The mail server [1.2.3.4] has been temporarily rate limited due to IP reputation",
            Temporary,
            C::SmtpIPFreq,
        ),
        (Rcpt, "451 4.3.0 local error in processing", Temporary, C::SmtpZTempErr),
        (Final, "451", Temporary, C::SmtpZTempErr),
    ]);
    assert!(!judge(Rcpt, "450 5.1.1 user unknown").enters_invalid_library());
}

#[test]
fn misleading_first_digits_are_known() {
    check(&[
        (Rcpt, "552 5.5.3 Too many recipients", Temporary, C::SmtpZPermErr),
        (Rcpt, "550 5.5.3 limit reached", Temporary, C::SmtpZPermErr),
        (Mail, "550 Ip frequency limited. http://service.mail.qq.com", Temporary, C::SmtpIPFreq),
        (Mail, "550 Domain frequency limited [1.2.3.4]", Temporary, C::SmtpMfdFreq),
    ]);
}

#[test]
fn spam_policy_and_authentication_are_told_apart() {
    check(&[
        (
            Final,
            "550 5.7.1 Our system has detected that this message is likely unsolicited mail",
            Permanent,
            C::SmtpContSpam,
        ),
        (Final, "554 5.7.1 [2] Message rejected under suspicion of SPAM", Permanent, C::SmtpContSpam),
        (Final, "554 DT:SPM 163 smtp5", Permanent, C::SmtpContSpam),
        (Final, "550 Mail content denied", Permanent, C::SmtpContSpam),
        (
            Rcpt,
            "554 5.7.1 Service unavailable; Client host [1.2.3.4] blocked using zen.spamhaus.org",
            Permanent,
            C::SmtpMiscSpam,
        ),
        (
            Mail,
            "550 5.7.1 Unfortunately, messages from [1.2.3.4] weren't sent. (S3150)",
            Permanent,
            C::SmtpMiscSpam,
        ),
        (Final, "554 5.7.1 message contains a domain listed on dbl.spamhaus.org", Permanent, C::SmtpDbl),
        (
            Final,
            "550 5.7.26 This mail has been blocked because the sender is unauthenticated.",
            Permanent,
            C::SmtpAuthFail,
        ),
        (Final, "550 5.7.26 policy", Permanent, C::SmtpAuthFail),
        (
            Final,
            "550 5.7.1 Unauthenticated email from x is not accepted due to domain's DMARC policy",
            Permanent,
            C::SmtpDmaFail,
        ),
        (Rcpt, "550 5.7.23 The message was rejected", Permanent, C::SmtpSpfFail),
        (Rcpt, "550 SPF check failed", Permanent, C::SmtpSpfFail),
        (Rcpt, "550 5.7.1 delivery not allowed here", Permanent, C::SmtpZPermErr),
        (Rcpt, "554 5.7.1 <x@y>: Relay access denied", Permanent, C::SmtpZPermErr),
        (
            Rcpt,
            "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; only accepts mail from",
            Permanent,
            C::SmtpZPermErr,
        ),
    ]);
    assert_eq!(judge(Final, "550 Mail content denied").status.code(), 3);
    assert_eq!(judge(Rcpt, "554 5.7.1 <x@y>: Relay access denied").status.code(), 4);
}

#[test]
fn a_refusal_in_reply_to_mail_is_about_the_sender() {
    check(&[
        (Mail, "550 5.1.1 user unknown", Permanent, C::SmtpMfBad),
        (Mail, "553 sender refused", Permanent, C::SmtpMfBad),
        (Mail, "501 5.1.7 bad sender address syntax", Permanent, C::SmtpMfBad),
        (Rcpt, "550 5.1.8 Sender address rejected: Domain not found", Permanent, C::SmtpMfBad),
    ]);
}

#[test]
fn a_refused_host_fails_no_mail_at_once() {
    check(&[
        (Greeting, "554 5.7.1 blocked using sbl", Temporary, C::SmtpMiscSpam),
        (Greeting, "550 5.1.1 user unknown", Temporary, C::SmtpZPermErr),
        (Connect, "421 too busy", Temporary, C::SmtpZTempErr),
        (Greeting, "521 this host accepts no mail", Permanent, C::SmtpZPermErr),
    ]);
}

#[test]
fn large_mail_and_bare_codes() {
    check(&[
        (Mail, "552 5.3.4 Message size exceeds fixed limit", Permanent, C::SmtpTooLarge),
        (Final, "552 too big", Permanent, C::SmtpTooLarge),
        (Rcpt, "551 no", Permanent, C::SmtpNxBox),
        (Rcpt, "550 refused", Permanent, C::SmtpZPermErr),
        (Final, "554 transaction failed", Permanent, C::SmtpZPermErr),
    ]);
}

#[test]
fn failures_without_a_reply() {
    let table = [
        (Failure::DomainNotFound, Permanent, true),
        (Failure::NoMailHost, Permanent, true),
        (Failure::NullMx, Permanent, true),
        (Failure::BadRecipient, Permanent, true),
        (Failure::DnsUnavailable, Temporary, false),
        (Failure::ConnectFailed, Temporary, false),
        (Failure::TimedOut(Phase::Final), Temporary, false),
        (Failure::ConnectionLost(Phase::Final), Temporary, false),
        (Failure::ProtocolError(Phase::Rcpt), Temporary, false),
        (Failure::EightBitUnsupported, Permanent, false),
        (Failure::SmtpUtf8Unsupported, Permanent, false),
        (Failure::Internal, Temporary, false),
    ];
    for (failure, disposition, invalid) in table {
        let verdict = classify_failure(failure);
        assert_eq!(
            (verdict.disposition, verdict.enters_invalid_library()),
            (disposition, invalid),
            "{failure:?}"
        );
    }
}

#[test]
fn age_makes_the_last_word_permanent_but_no_address_invalid() {
    let last = judge(Rcpt, "450 4.1.1 user unknown");
    let end = expired(last);
    assert_eq!(end.disposition, Permanent);
    assert!(!end.enters_invalid_library());
    assert_eq!(expired(judge(Final, "451 suspected spam")).status, DeliveryStatus::Spam);
}

#[test]
fn every_classification_reads_back() {
    for class in ErrorClassification::ALL {
        assert_eq!(ErrorClassification::parse(class.as_str()), Some(*class));
    }
    assert_eq!(ErrorClassification::parse("Nonsense"), None);
}

#[test]
fn pauses_grow_and_the_last_repeats() {
    let schedule = RetrySchedule::default();
    let start = UnixMicros(0);
    let mut last = 0;
    for attempts in 1..=7 {
        // 200 is the middle of the jitter's range: no change.
        let Next::RetryAt(due) = schedule.next(start, start, attempts, 200) else { panic!("gave up") };
        assert!(due.0 > last, "attempt {attempts}");
        last = due.0;
    }
    assert_eq!(schedule.next(start, start, 1, 200), Next::RetryAt(UnixMicros(60 * SECOND)));
    assert_eq!(schedule.next(start, start, 7, 200), schedule.next(start, start, 70, 200));
}

#[test]
fn the_last_attempt_is_made_at_the_maximum_age() {
    let schedule = RetrySchedule::new(vec![3600], 7200).unwrap();
    let start = UnixMicros(5 * SECOND);
    let deadline = schedule.deadline(start);
    assert_eq!(schedule.next(start, UnixMicros(deadline.0 - SECOND), 2, 0), Next::RetryAt(deadline));
    assert!(!schedule.is_expired(start, deadline));
    assert_eq!(schedule.next(start, deadline, 3, 0), Next::GiveUp);
    assert!(schedule.is_expired(start, UnixMicros(deadline.0 + LAST_ATTEMPT_GRACE_MICROS + 1)));
}

#[test]
fn a_useless_schedule_is_refused() {
    assert_eq!(RetrySchedule::new(vec![], 10), Err(ScheduleError::Empty));
    assert_eq!(RetrySchedule::new(vec![60, 0], 10), Err(ScheduleError::ZeroPause { position: 2 }));
    assert_eq!(RetrySchedule::new(vec![60], 0), Err(ScheduleError::ZeroAge));
}

proptest::proptest! {
    #[test]
    fn any_reply_gets_a_verdict_and_only_2yz_delivers(code in 0u16..1000, text in ".{0,80}") {
        for phase in [Connect, Greeting, Mail, Rcpt, Data, Final] {
            let verdict = classify_reply(&Reply { phase, code, enhanced: None, text: &text });
            proptest::prop_assert_eq!(verdict.disposition == Delivered, code / 100 == 2 && phase == Final);
            if verdict.enters_invalid_library() {
                proptest::prop_assert_eq!(code / 100, 5);
            }
        }
    }

    #[test]
    fn jitter_stays_within_a_fifth(pause in 0i64..1_000_000_000_000, random in 0u32..) {
        let varied = jittered(pause, random);
        proptest::prop_assert!((varied - pause).abs() <= pause / 5);
    }

    #[test]
    fn no_due_instant_lies_past_the_maximum_age(now in 0i64..400_000_000_000, attempts in 0u32..100, random in 0u32..) {
        let schedule = RetrySchedule::default();
        match schedule.next(UnixMicros(0), UnixMicros(now), attempts, random) {
            Next::RetryAt(due) => proptest::prop_assert!(due.0 > now && due <= schedule.deadline(UnixMicros(0))),
            Next::GiveUp => proptest::prop_assert!(now >= schedule.deadline(UnixMicros(0)).0),
        }
    }
}
