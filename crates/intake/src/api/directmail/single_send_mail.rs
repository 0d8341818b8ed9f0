//! SingleSendMail: one mail to at most 100 recipients, accepted, counted and charged before it is answered.
//!
//! Order of checks: what must be there, what this server does not do yet, content, recipients, sender, and then in one
//! transaction the lists that refuse recipients, the account's status, arrears and quota (R01 to R09, R17, R26).
//! Nothing is written unless all of them pass.

use indicia_domain::mail::Via;
use indicia_domain::mail::admission::Refusal;
use indicia_domain::mail::suppression::{Listed, ListedCounts};
use indicia_domain::quota::OverQuota;
use indicia_smtp::address::Mailbox;
use indicia_store::admission::{Admitted, IdempotencyKey, Submission, SubmitError};
use indicia_store::directory::{SendType, Sender};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::ip_pool;
use crate::api::call::Call;
use crate::api::protocol::parameters::{Origin, shown};
use crate::api::protocol::throttle::too_often;
use crate::api::protocol::{ApiError, Parameters, signature};
use crate::message::compose::{Letterhead, compose};
use crate::message::content::{
    BODY_BYTES_MAX_IN_FORM, BODY_BYTES_MAX_IN_QUERY, Content, ContentError, Given,
};
use crate::message::control::{UNSUBSCRIBE_LATER, is_tag};
use crate::message::mailbox::NamedMailbox;
use crate::message::recipients::{
    BCC_MAX, CC_MAX, RecipientsError, TO_MAX, check_together, envelope, read_list,
};
use crate::message::syntax;

/// The sender address that must exist before DomainAuth may be used (dossier 6).
const DOMAIN_AUTH_LOCAL_PART: &str = "domain-auth-created-by-system";
/// How long a caller is asked to stay away when too many requests wait.
const OVERLOAD_RETRY_MS: u64 = 1_000;

/// What the call asks for, checked as far as it can be without the database.
struct Wanted<'a> {
    account_name: &'a str,
    random_sender: bool,
    domain_auth: bool,
    use_configured_reply: bool,
    content: Content<'a>,
    to: Vec<NamedMailbox>,
    cc: Vec<NamedMailbox>,
    bcc: Vec<NamedMailbox>,
    tag: &'a str,
    /// Which of the unsubscribe parameters, if any, says `default`.
    default_unsubscribe: Option<&'static str>,
}

/// The parameters about unsubscribe links.
const UNSUBSCRIBE: [&str; 2] = ["UnSubscribeLinkType", "UnSubscribeFilterLevel"];

pub async fn single_send_mail(call: &Call<'_>) -> Result<Value, ApiError> {
    let mut wanted = read(call.parameters)?;
    let sender = sender(call, &wanted).await?;
    if let (Some(name), SendType::Batch) = (wanted.default_unsubscribe, sender.send_type) {
        return Err(ApiError::unsupported_parameter(
            name,
            format!("'default' asks for unsubscribe links for a batch sender, and {UNSUBSCRIBE_LATER}"),
        ));
    }
    let from = from_address(&wanted, &sender)?;
    if wanted.use_configured_reply && wanted.content.reply_to.is_none() && !sender.reply_address.is_empty() {
        wanted.content.reply_to = Mailbox::parse(&sender.reply_address).ok().map(|mailbox| (None, mailbox));
    }
    let ip_pool_id = ip_pool::of_mail(call).await?;
    let message_id = call.api.store.next_id().await?;
    let letterhead = Letterhead { message_id, date: call.now, from: &from, to: &wanted.to, cc: &wanted.cc };
    let content = compose(&letterhead, &wanted.content);
    let submission = Submission {
        message_id,
        account_id: call.account_id,
        sender_id: sender.sender_id,
        domain_id: sender.domain_id,
        via: Via::Api,
        mail_from: from.to_string(),
        subject: wanted.content.subject.to_owned(),
        tag: wanted.tag.to_owned(),
        recipients: envelope([&wanted.to[..], &wanted.cc[..], &wanted.bcc[..]]),
        content: content.into(),
        ip_pool_id,
        idempotency: call
            .idempotency_key
            .map(|key| IdempotencyKey { key: key.to_owned(), content_hash: request_hash(call.parameters) }),
        nonce: Some(call.nonce.clone()),
    };
    let recipients = submission.recipients.len();
    let admitted = call.api.admission.submit(submission).await.map_err(|error| refused(call, error))?;
    match &admitted {
        Admitted::Accepted(acceptance) => tracing::info!(
            %message_id,
            account_id = call.account_id,
            recipients,
            refused_recipients = acceptance.refused.len(),
            "accepted over the API"
        ),
        Admitted::Replayed { message_id } => {
            tracing::info!(
                %message_id,
                account_id = call.account_id,
                "answered again under its idempotency key"
            );
        }
    }
    Ok(json!({"EnvId": admitted.message_id().to_string()}))
}

fn read(parameters: &Parameters) -> Result<Wanted<'_>, ApiError> {
    let account_name = parameters.required("AccountName")?;
    let random_sender = match parameters.required_integer("AddressType")? {
        0 => true,
        1 => false,
        other => {
            return Err(ApiError::invalid_parameter("AddressType", format!("{other} is neither 0 nor 1")));
        }
    };
    let use_configured_reply = parameters.required_boolean("ReplyToAddress")?;
    let to_address = parameters.required("ToAddress")?;
    let subject = parameters.required("Subject")?;
    let domain_auth = parameters.boolean("DomainAuth")?.unwrap_or(false);
    refuse_unsupported(parameters)?;
    let tag = parameters.text("TagName").unwrap_or_default();
    if !tag.is_empty() && !is_tag(tag) {
        return Err(ApiError::bad_request(
            "InvalidTagName.Malformed",
            "The specified TagName must have 1 to 128 letters, digits, '_' or '-'.",
            "Correct the TagName.",
        ));
    }
    let content = Content::check(Given {
        subject,
        from_alias: parameters.text("FromAlias"),
        reply_address: parameters.text("ReplyAddress"),
        reply_alias: parameters.text("ReplyAddressAlias"),
        text: parameters.text("TextBody"),
        html: parameters.text("HtmlBody"),
        text_bytes_max: body_bytes_max(parameters, "TextBody"),
        html_bytes_max: body_bytes_max(parameters, "HtmlBody"),
        headers: parameters.text("Headers"),
    })
    .map_err(bad_content)?;
    let to = read_list("ToAddress", Some(to_address), TO_MAX).map_err(bad_recipients)?;
    let cc = read_list("CcAddress", parameters.text("CcAddress"), CC_MAX).map_err(bad_recipients)?;
    check_together(&to, &cc).map_err(bad_recipients)?;
    let bcc = read_list("BccAddress", parameters.text("BccAddress"), BCC_MAX).map_err(bad_recipients)?;
    Ok(Wanted {
        account_name,
        random_sender,
        domain_auth,
        use_configured_reply,
        content,
        to,
        cc,
        bcc,
        tag,
        default_unsubscribe: UNSUBSCRIBE.into_iter().find(|name| parameters.text(name) == Some("default")),
    })
}

/// What the SDK can ask for and this server does not do is refused: a caller must not believe that it was done.
fn refuse_unsupported(parameters: &Parameters) -> Result<(), ApiError> {
    if parameters.has_list("Attachments") {
        return Err(ApiError::unsupported_parameter("Attachments", "attachments can be sent over SMTP"));
    }
    match parameters.text("ClickTrace") {
        None | Some("0") => {}
        Some("1") => {
            return Err(ApiError::unsupported_parameter("ClickTrace", "this server does not track mail"));
        }
        Some(other) => {
            return Err(ApiError::invalid_parameter(
                "ClickTrace",
                format!("'{}' is neither 0 nor 1", shown(other)),
            ));
        }
    }
    if parameters.has_list("Template") {
        return Err(ApiError::unsupported_parameter(
            "Template",
            "send the finished text in HtmlBody or TextBody",
        ));
    }
    for name in UNSUBSCRIBE {
        match parameters.text(name) {
            // What "default" means depends on the sender address.
            None | Some("disabled" | "default") => {}
            Some(other) => {
                return Err(ApiError::unsupported_parameter(
                    name,
                    format!("'{}' is not disabled, and {UNSUBSCRIBE_LATER}", shown(other)),
                ));
            }
        }
    }
    Ok(())
}

fn body_bytes_max(parameters: &Parameters, name: &str) -> usize {
    match parameters.origin(name) {
        Some(Origin::Query) => BODY_BYTES_MAX_IN_QUERY,
        _ => BODY_BYTES_MAX_IN_FORM,
    }
}

/// The registered address in whose name the mail goes out.
async fn sender(call: &Call<'_>, wanted: &Wanted<'_>) -> Result<Sender, ApiError> {
    let (address, domain) = syntax::sender_address(wanted.account_name).map_err(|why| {
        ApiError::bad_request(
            "InvalidMailAddress.Malformed",
            format!("The specified AccountName '{}' is wrongly formed: {why}.", shown(wanted.account_name)),
            "Give one of the account's sender addresses.",
        )
    })?;
    let registered = match wanted.domain_auth {
        true => format!("{DOMAIN_AUTH_LOCAL_PART}@{domain}"),
        false => address,
    };
    let sender = call.api.store.sender_by_address(call.account_id, &registered).await?.ok_or_else(|| {
        ApiError::not_found(
            "InvalidMailAddress.NotFound",
            format!(
                "The specified mailAddress does not exist: the account has no sender address {registered}."
            ),
            "Create it with CreateMailAddress, or use one that QueryMailAddressByParam lists.",
        )
    })?;
    if sender.frozen {
        return Err(ApiError::bad_request(
            "InvalidMailAddressStatus.Malformed",
            format!("The specified mailAddress status is wrongly formed: {registered} is frozen."),
            "Use another sender address, or ask the operator of this server.",
        ));
    }
    if !sender.domain_verified {
        return Err(ApiError::bad_request(
            "InvalidMailAddressDomain.Malformed",
            format!("The domain {} of the specified mailAddress is not verified.", sender.domain_name),
            "Publish the records that DescDomain shows, then call CheckDomain.",
        ));
    }
    Ok(sender)
}

/// AddressType 0 sends from a random address of the sender's domain.
fn from_address(wanted: &Wanted<'_>, sender: &Sender) -> Result<Mailbox, ApiError> {
    let address = match (wanted.random_sender, wanted.domain_auth) {
        (true, _) => format!("{:012x}@{}", rand::random::<u64>() >> 16, sender.domain_name),
        (false, true) => wanted.account_name.to_ascii_lowercase(),
        (false, false) => sender.address.clone(),
    };
    Mailbox::parse(&address).map_err(|error| {
        tracing::error!(address, %error, "a registered sender address is no address");
        ApiError::internal()
    })
}

/// Hash of what is asked, without what differs in every signed request (R26). A random sender is not asked for by
/// name, so it is no part of it either.
fn request_hash(parameters: &Parameters) -> String {
    const SIGNING: [&str; 8] = [
        "Timestamp",
        "SignatureNonce",
        "Signature",
        "SignatureMethod",
        "SignatureVersion",
        "SignatureType",
        "AccessKeyId",
        "Format",
    ];
    let mut hash = Sha256::new();
    for (name, value) in parameters.iter().filter(|(name, _)| !SIGNING.contains(name)) {
        if matches!(name, "Action" | "Version") {
            continue;
        }
        for part in [name, value] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
    }
    hex::encode(hash.finalize())
}

fn bad_content(why: ContentError) -> ApiError {
    let code = match why.parameter() {
        "Subject" => "InvalidSubject.Malformed",
        "FromAlias" => "InvalidFromAlias.Malformed",
        "ReplyAddress" => "InvalidReplyAddress.Malformed",
        "ReplyAddressAlias" => "InvalidReplyAddressAlias.Malformed",
        "Headers" => "InvalidHeaders.Malformed",
        _ => "InvalidBody",
    };
    ApiError::bad_request(
        code,
        format!("The specified {} is wrongly formed: {why}.", why.parameter()),
        "Correct the parameter.",
    )
}

fn bad_recipients(why: RecipientsError) -> ApiError {
    let code = match why.parameter() {
        "ToAddress" => "InvalidToAddress",
        "CcAddress" => "InvalidCcAddress",
        _ => "InvalidBccAddress",
    };
    ApiError::bad_request(
        code,
        format!("The specified {} is wrongly formed: {why}.", why.parameter()),
        match why.is_too_many() {
            true => "Send the mail to the other addresses with another call.",
            false => "Separate addresses by commas.",
        },
    )
}

fn refused(call: &Call<'_>, error: SubmitError) -> ApiError {
    match error {
        SubmitError::Refused(refusal) => not_admitted(refusal),
        SubmitError::Listed { refused } => all_listed(&refused),
        SubmitError::IdempotencyConflict => idempotency_conflict(),
        SubmitError::NonceReplayed => signature::replayed_nonce(),
        SubmitError::Overloaded => too_often("SingleSendMail", OVERLOAD_RETRY_MS),
        SubmitError::NoAccount(account_id) => {
            tracing::error!(account_id, "an access key belongs to an account that does not exist");
            ApiError::internal()
        }
        SubmitError::Store(error) => {
            tracing::error!(account_id = call.account_id, %error, "a mail could not be made durable");
            ApiError::unavailable(
                "The mail could not be made durable, so it was not accepted and not charged.",
            )
        }
    }
}

/// The same key was used for another request (R26).
pub fn idempotency_conflict() -> ApiError {
    ApiError::bad_request(
        "IdempotencyKey.Conflict",
        "The idempotency key was used before for a request with other content.",
        "Use a new key for a new request; the same key only to repeat the same one.",
    )
}

fn not_admitted(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::OverQuota(over) => over_quota(&over),
        Refusal::Overdue => ApiError::bad_request(
            "InvalidSendMail.Overdue",
            "The account has unpaid bills that its balance does not cover, so nothing can be sent; pay them and sending is \
             possible again at once.",
            "Put money on the account's balance; the bills are paid from it at once.",
        ),
        Refusal::Unavailable(status) => ApiError::new(
            axum::http::StatusCode::FORBIDDEN,
            "Forbidden.UserStatus",
            format!("The account cannot send: its status is {status} (1 frozen, 4 restricted, 8 deleted)."),
            "Ask the operator of this server.",
        ),
        over @ Refusal::OverAllowance { .. } => ApiError::bad_request(
            "InvalidSendMail.Quota",
            format!("Sendmail rejected: {over}. Nothing of the request was accepted."),
            "Send fewer mails as this domain or address for now; its allowance grows while its mail arrives.",
        ),
        // The documented code for a refusal by the state of the user (dossier 4.2).
        paused @ Refusal::Paused(_) => ApiError::bad_request(
            "InvalidSendMail.Spam",
            format!(
                "Sendmail rejected by spam filter: {paused}. Nothing of the request was accepted; what was accepted before \
                 and still waits is held until then."
            ),
            "Stop what caused the pause; the next review or the operator of this server releases it.",
        ),
        Refusal::NoRecipients => {
            ApiError::bad_request("InvalidToAddress", "The mail has no recipient.", "Give one.")
        }
    }
}

/// R03: every recipient is on a list.
fn all_listed(refused: &[(usize, Listed)]) -> ApiError {
    let counts: ListedCounts = refused.iter().map(|(_, listed)| *listed).collect();
    let mut remedies: Vec<&str> = refused.iter().map(|(_, listed)| listed.remedy()).collect();
    remedies.sort_unstable();
    remedies.dedup();
    let (code, by) = match counts.are_all_blocked() {
        true => ("InvalidToAddress.Blocked", "the block list"),
        false => ("InvalidToAddress.Spam", "invalid address"),
    };
    let message = format!(
        "Sendmail rejected by {by}: every recipient is refused: {counts}. Nothing was counted or charged."
    );
    ApiError::bad_request(code, message, format!("To write to them again: {}.", remedies.join("; ")))
}

fn over_quota(over: &OverQuota) -> ApiError {
    ApiError::bad_request(
        "InvalidSendMail.Quota",
        format!(
            "{} sending quota exceeded: quota {}, used {}, requested {}; it resets at {}. Nothing of the request was accepted.",
            over.period.name(),
            over.quota,
            over.used,
            over.requested,
            over.resets_at.rfc3339_seconds()
        ),
        "Send fewer mails, or wait until the quota resets. Packages do not raise it; good sending does.",
    )
}
