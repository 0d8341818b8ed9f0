//! The sender addresses of an account: CreateMailAddress, ModifyMailAddress, QueryMailAddressByParam,
//! DeleteMailAddress.

use std::collections::HashMap;

use indicia_domain::quota::MONTH_DAYS;
use indicia_domain::quota::review::Subject;
use indicia_domain::quota::warming::Warming;
use indicia_domain::time::local_day;
use indicia_store::directory::{RegisterError, SendType, Sender};
use indicia_store::evidence::OutcomeFilter;
use jiff::civil::Time;
use serde_json::{Value, json};

use super::domain::key_word;
use super::{password, status};
use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::content::reply_address;
use crate::message::syntax;

const PAGE_SIZE_MAX: i64 = 100;

pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let text = parameters.required("AccountName")?;
    let (address, domain) = syntax::sender_address(text).map_err(|why| {
        ApiError::bad_request(
            "InvalidMailAddress.Malformed",
            format!("The specified AccountName '{}' is wrongly formed: {why}.", shown(text)),
            "Give an address such as news@mail.example.com.",
        )
    })?;
    let send_type = send_type(parameters.required("Sendtype")?)?;
    match parameters.text("AddressType") {
        None | Some("INTERNAL") => {}
        Some("EXTERNAL") => {
            return Err(ApiError::unsupported_parameter(
                "AddressType",
                "an address can only be made for a domain that is registered here",
            ));
        }
        Some(other) => {
            return Err(ApiError::invalid_parameter(
                "AddressType",
                format!("'{}' is not INTERNAL", shown(other)),
            ));
        }
    }
    let reply = reply(call)?.unwrap_or_default();
    let domain = call.api.store.domain_by_name(call.account_id, &domain).await?.ok_or_else(|| {
        ApiError::bad_request(
            "InvalidMailAddressDomain.Malformed",
            format!("The specified mailAddress domain does not exist: the account has no domain {domain}."),
            "Register the domain with CreateDomain first.",
        )
    })?;
    let limit = call.api.settings.limits.senders_max;
    let store = &call.api.store;
    match store.create_sender(call.account_id, domain.domain_id, &address, send_type, &reply, limit).await {
        Ok(sender_id) => Ok(json!({"MailAddressId": sender_id.to_string()})),
        Err(RegisterError::Exists) => Err(ApiError::bad_request(
            "InvalidMailAddress.Exist",
            format!("The account already has the sender address {address}."),
            "Use the existing one; QueryMailAddressByParam lists it.",
        )),
        Err(RegisterError::Limit(limit)) => Err(ApiError::bad_request(
            "MailAddressNumber.ExceedLimit",
            format!("An account may have {limit} sender addresses at most."),
            "Delete an address that is no longer used.",
        )),
        Err(RegisterError::Store(error)) => Err(error.into()),
    }
}

fn send_type(text: &str) -> Result<SendType, ApiError> {
    match text {
        "batch" => Ok(SendType::Batch),
        "trigger" => Ok(SendType::Trigger),
        other => Err(ApiError::bad_request(
            "InvalidMailAddressSendType.Malformed",
            format!("The specified mailAddress sendType is wrongly formed: Sendtype is '{}'.", shown(other)),
            "Use batch or trigger.",
        )),
    }
}

/// The reply-to address, if one is given. An empty one is none: SDKs send unset strings so, and a call that only
/// changes the password must not take the reply address away.
fn reply(call: &Call<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = call.parameters.text("ReplyAddress") else { return Ok(None) };
    reply_address(text).map(|mailbox| Some(mailbox.to_string())).map_err(|why| {
        ApiError::bad_request(
            "InvalidReplyAddress.Malformed",
            format!("The specified replyAddress is wrongly formed: {why}."),
            "Give one address, without a display name.",
        )
    })
}

pub async fn modify(call: &Call<'_>) -> Result<Value, ApiError> {
    let sender_id = call.id("MailAddressId")?;
    let (new_password, reply) = (call.parameters.text("Password"), reply(call)?);
    if new_password.is_none() && reply.is_none() {
        return Err(ApiError::missing_parameter("Password (or ReplyAddress)"));
    }
    let store = &call.api.store;
    let sender = store.sender(call.account_id, sender_id).await?.ok_or_else(|| no_such(sender_id))?;
    let hash = match new_password {
        Some(new) => Some(password::accept(new, sender.password_hash).await?),
        None => None,
    };
    match store.modify_sender(call.account_id, sender_id, hash.as_deref(), reply.as_deref()).await? {
        true => Ok(json!({})),
        false => Err(no_such(sender_id)),
    }
}

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let page = parameters.page("PageNo", "PageSize", 10, PAGE_SIZE_MAX)?;
    let wanted = parameters.text("Sendtype").map(send_type).transpose()?;
    let key_word = key_word(call, syntax::SENDER_CHARS_MAX)?;
    let mut senders = call.api.store.senders(call.account_id).await?;
    senders.retain(|sender| {
        sender.address.contains(&key_word) && wanted.is_none_or(|send_type| sender.send_type == send_type)
    });
    let total = senders.len();
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let taken = usize::try_from(page.size).unwrap_or(usize::MAX);
    let shown: Vec<Sender> = senders.into_iter().skip(skipped).take(taken).collect();
    let counts = Counts::load(call, &shown).await?;
    let rows: Vec<Value> = shown.iter().map(|sender| row(sender, &counts)).collect();
    Ok(json!({
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": total,
        "data": {"mailAddress": rows},
    }))
}

/// The account's limits and what each sender address has used of them.
struct Counts {
    daily_quota: i64,
    /// R24: those that hold.
    allowances: Vec<Warming>,
    today: HashMap<i64, i64>,
    this_month: HashMap<i64, i64>,
}

impl Counts {
    async fn load(call: &Call<'_>, senders: &[Sender]) -> Result<Counts, ApiError> {
        let store = &call.api.store;
        let numbers = store.account_numbers(call.account_id).await?.ok_or_else(ApiError::internal)?;
        let zone = call.zone().await?;
        let today = local_day(&zone, call.now).number;
        let month_start = today + 1 - i64::from(call.now.civil(&zone).date().day());
        let warming = store.warming(call.account_id).await?.into_iter().filter(|row| row.met_at.is_none());
        let mut counts = Counts {
            daily_quota: numbers.daily_quota,
            allowances: warming.map(|row| row.warming).collect(),
            today: HashMap::new(),
            this_month: HashMap::new(),
        };
        for sender in senders {
            let of = OutcomeFilter { sender_id: Some(sender.sender_id), ..OutcomeFilter::default() };
            let days = store.outcomes_by_day(call.account_id, month_start, today + 1, &of).await?;
            let day = days.iter().find(|outcome| outcome.day == today);
            let day = day.map_or(0, |outcome| outcome.counts.accepted);
            counts.today.insert(sender.sender_id, day);
            counts
                .this_month
                .insert(sender.sender_id, days.iter().map(|outcome| outcome.counts.accepted).sum());
        }
        Ok(counts)
    }

    /// Mails that may go out from an address on one day: the account's quota, or a smaller allowance of its own or of
    /// its domain.
    fn daily_mails(&self, sender: &Sender) -> i64 {
        let own = [Subject::Domain(sender.domain_id), Subject::Sender(sender.sender_id)];
        let allowances = self.allowances.iter().filter(|warming| own.contains(&warming.subject));
        allowances.map(|warming| warming.daily_mails).fold(self.daily_quota, i64::min)
    }
}

fn row(sender: &Sender, counts: &Counts) -> Value {
    let of = |counts: &HashMap<i64, i64>| counts.get(&sender.sender_id).copied().unwrap_or(0).to_string();
    json!({
        "MailAddressId": sender.sender_id.to_string(),
        "AccountName": sender.address,
        "SenderAddress": sender.address,
        "AccountStatus": if sender.frozen { "1" } else { "0" },
        "AddressType": "INTERNAL",
        "ConfigSetId": null,
        "ConfigSetName": null,
        "CreateTime": sender.created_at.rfc3339_minutes(),
        "DailyCount": counts.daily_mails(sender).to_string(),
        "DailyReqCount": of(&counts.today),
        "MonthCount": counts.daily_mails(sender).saturating_mul(MONTH_DAYS).to_string(),
        "MonthReqCount": of(&counts.this_month),
        "DomainStatus": status(sender.domain_verified),
        "MailAddressVerificationStatus": status(sender.domain_verified),
        "ReplyAddress": sender.reply_address,
        "ReplyStatus": "0",
        "Sendtype": sender.send_type.as_str(),
    })
}

pub async fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let sender_id = call.id("MailAddressId")?;
    let zone = call.zone().await?;
    let first = call.now.civil(&zone).date().first_of_month().to_datetime(Time::midnight());
    let month_start = instant_of(&zone, first).ok_or_else(ApiError::internal)?;
    let limit = call.api.settings.limits.sender_deletions_per_month_max;
    match call.api.store.delete_sender(call.account_id, sender_id, month_start, limit).await {
        Ok(true) => Ok(json!({})),
        Ok(false) => Err(no_such(sender_id)),
        Err(RegisterError::Limit(limit)) => Err(ApiError::bad_request(
            "MailAddressDeletion.ExceedLimit",
            format!("{limit} sender addresses have been deleted this month, which is the limit."),
            "Delete the address next month.",
        )),
        Err(RegisterError::Exists) => Err(ApiError::internal()),
        Err(RegisterError::Store(error)) => Err(error.into()),
    }
}

fn no_such(sender_id: i64) -> ApiError {
    ApiError::not_found(
        "InvalidMailAddress.NotFound",
        format!("The specified mailAddress does not exist: the account has no MailAddressId {sender_id}."),
        "List the account's addresses with QueryMailAddressByParam.",
    )
}
