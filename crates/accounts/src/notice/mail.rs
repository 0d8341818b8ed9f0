//! A notice as a mail of the installation's own.
//!
//! It says that a program wrote it (Auto-Submitted, RFC 3834 5), so that no vacation responder answers. The body is
//! plain text in UTF-8; the mail builder takes the shortest transfer encoding that survives.

use bytes::Bytes;
use indicia_domain::mail::Via;
use indicia_domain::mail::recipient::Recipient;
use indicia_domain::time::UnixMicros;
use indicia_smtp::address::{Domain, Mailbox};
use indicia_store::account::SYSTEM_ACCOUNT_ID;
use indicia_store::admission::Submission;
use indicia_store::notice::SystemSender;
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::date::Date;
use mail_builder::headers::raw::Raw;
use mail_builder::headers::text::Text;
use mail_builder::mime::{BodyPart, MimePart};

use super::wording::Worded;

/// What mailboxes show as the sender's name.
const FROM_NAME: &str = "Indicia";
/// By which operators find notices in the mail log.
const TAG: &str = "notice";

/// The mail that carries a notice; `None` when `to` is no address that mail can go to.
pub fn submission_of(
    sender: &SystemSender,
    to: &str,
    message_id: i64,
    date: UnixMicros,
    worded: &Worded,
) -> Option<Submission> {
    let to = Mailbox::parse(to.trim()).ok()?;
    let to_domain = match to.domain() {
        Domain::Name(name) => name.clone(),
        Domain::Literal(_) => return None,
    };
    let from_domain = sender.address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let body = MimePart::new("text/plain", BodyPart::Text(worded.body.replace('\n', "\r\n").into()));
    let mut content = Vec::with_capacity(1_024 + worded.body.len() * 2);
    MessageBuilder::new()
        .from(Address::new_address(Some(FROM_NAME), sender.address.as_str()))
        .to(Address::new_address(None::<&str>, to.to_string()))
        .subject(Text::new(worded.subject.as_str()))
        .date(Date::new(date.seconds()))
        .message_id(format!("{message_id}@{from_domain}"))
        .header("X-Indicia-Env-Id", Raw::new(message_id.to_string()))
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .body(body)
        .serialize(&mut content);
    Some(Submission {
        message_id,
        account_id: SYSTEM_ACCOUNT_ID,
        sender_id: sender.sender_id,
        domain_id: sender.domain_id,
        via: Via::System,
        mail_from: sender.address.clone(),
        subject: worded.subject.clone(),
        tag: TAG.to_owned(),
        recipients: vec![Recipient::new(to.local_part(), &to_domain, to_domain.clone())],
        content: Bytes::from(content),
        ip_pool_id: None,
        idempotency: None,
        nonce: None,
    })
}

#[cfg(test)]
mod tests {
    use mail_parser::{HeaderValue, MessageParser};

    use super::*;

    fn sent(worded: &Worded) -> Submission {
        let sender = SystemSender { domain_id: 3, sender_id: 4, address: "notices@mail.example.org".into() };
        let now = UnixMicros::parse("2026-11-22T04:00:00Z").unwrap();
        submission_of(&sender, " Ann@Exämple.net ", 77, now, worded).expect("an address")
    }

    fn worded(subject: &str, body: &str) -> Worded {
        Worded { subject: subject.into(), body: body.into(), sms: String::new() }
    }

    #[test]
    fn r14_the_mail_is_the_installations_own_and_reads_back() {
        let words = worded("资源包即将到期", "您好：\n\n剩余 1,000 封。\n");
        let submission = sent(&words);
        assert_eq!((submission.account_id, submission.via), (SYSTEM_ACCOUNT_ID, Via::System));
        assert_eq!(submission.recipients[0].domain, "xn--exmple-cua.net");
        assert!(submission.content.is_ascii(), "survives servers without 8BITMIME");
        let parsed = MessageParser::default().parse(&submission.content[..]).expect("a message");
        assert_eq!(parsed.subject(), Some("资源包即将到期"));
        assert_eq!(parsed.body_text(0).unwrap().replace("\r\n", "\n"), words.body);
        assert_eq!(parsed.message_id(), Some("77@mail.example.org"));
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-22T04:00:00Z");
        assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("notices@mail.example.org"));
        assert_eq!(parsed.to().unwrap().first().unwrap().address(), Some("Ann@xn--exmple-cua.net"));
        let header = |name: &str| match parsed.header(name.to_owned()) {
            Some(HeaderValue::Text(text)) => text.trim().to_owned(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert_eq!(header("X-Indicia-Env-Id"), "77");
    }

    #[test]
    fn every_line_of_the_mail_ends_with_crlf() {
        let content = sent(&worded("Words", "One line.\n\nAnother.\n")).content;
        let text = std::str::from_utf8(&content).unwrap();
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
        assert!(text.ends_with("\r\n"));
    }

    #[test]
    fn what_is_no_address_gets_no_mail() {
        let sender = SystemSender { domain_id: 3, sender_id: 4, address: "notices@example.org".into() };
        for to in
            ["", "ann", "ann@", "ann@[192.0.2.1]", "ann@example.net\r\nBcc: all@example.net", "a@b.c, d@e.f"]
        {
            assert!(submission_of(&sender, to, 1, UnixMicros(0), &worded("s", "b\n")).is_none(), "{to:?}");
        }
    }
}
