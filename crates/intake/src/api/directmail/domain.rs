//! The sending domains of an account: CreateDomain, CheckDomain, DescDomain, QueryDomainByParam, DeleteDomain,
//! ChangeDomainDkimRecord, ModifyPWByDomain.
//!
//! A domain may send once DNS shows that it is the account's: ownership, SPF and DKIM (or an operator says so). Its
//! key pair is made when it is registered; a new one signs from the moment CheckDomain finds its record, and until
//! then the old one does, so that a change of keys never breaks a signature.

use indicia_store::directory::{DkimKey, Domain, DomainChecks, DomainDeletion, RegisterError, VerifyError};
use serde_json::{Value, json};

use super::dns::{self, Observed};
use super::domain_records::{Expected, dkim_record};
use super::{dkim_key, password, status};
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::syntax;

const PAGE_SIZE_MAX: i64 = 100;

pub async fn create(call: &Call<'_>) -> Result<Value, ApiError> {
    let name = domain_name(call, "DomainName")?;
    let selector = selector(call)?;
    let (store, limit) = (&call.api.store, call.api.settings.limits.domains_max);
    // Looked at before a key is made, which costs far more; create_domain decides again in its transaction.
    let existing = store.domains(call.account_id).await?;
    if existing.iter().any(|domain| domain.name == name) {
        return Err(exists(&name));
    }
    if existing.len() as i64 >= limit {
        return Err(too_many(limit));
    }
    let key = generate_key(selector).await?;
    let token = hex::encode(rand::random::<[u8; 10]>());
    match store.create_domain(call.account_id, &name, &token, &key, limit).await {
        Ok(domain_id) => Ok(json!({"DomainId": domain_id.to_string()})),
        Err(RegisterError::Exists) => Err(exists(&name)),
        Err(RegisterError::Limit(limit)) => Err(too_many(limit)),
        Err(RegisterError::Store(error)) => Err(error.into()),
    }
}

/// `dkimSelector` begins with a small letter on the wire (dossier 4.1); the other spelling is taken too.
fn selector(call: &Call<'_>) -> Result<String, ApiError> {
    for name in ["dkimSelector", "DkimSelector"] {
        if let Some(text) = call.parameters.text(name) {
            return syntax::selector(text)
                .map_err(|why| ApiError::invalid_parameter(name, format!("'{}': {why}", shown(text))));
        }
    }
    Ok(call.api.settings.records.dkim_selector.clone())
}

async fn generate_key(selector: String) -> Result<DkimKey, ApiError> {
    let key = tokio::task::spawn_blocking(move || dkim_key::generate(&selector)).await?;
    key.map_err(|error| {
        tracing::error!(%error, "no DKIM key could be made");
        ApiError::internal()
    })
}

pub async fn check(call: &Call<'_>) -> Result<Value, ApiError> {
    let domain = by_id(call).await?;
    let observed = observe(call, &domain).await;
    if let (Some(error), true) = (&observed.unanswered, domain.verified) {
        // Silence is not a "no": a name server that is down for an hour must not stop a customer's mail.
        return Err(ApiError::bad_request(
            "CheckDomain.Failed",
            format!("The domain {} could not be checked: {error}. Its status is unchanged.", domain.name),
            "Try again when the domain's name servers answer.",
        ));
    }
    let may_send = observed.may_send();
    let promote = observed.next_dkim_published;
    let recorded = call.api.store.record_domain_checks(
        call.account_id,
        domain.domain_id,
        observed.checks,
        may_send,
        promote,
    );
    match recorded.await {
        Ok(()) => {
            Ok(json!({"DomainStatus": if may_send || domain.operator_verified_at.is_some() { 0 } else { 1 }}))
        }
        Err(VerifyError::NotFound) => Err(no_such_id(domain.domain_id)),
        Err(VerifyError::ElsewhereVerified) => Err(ApiError::bad_request(
            "InvalidDomainName.Conflict",
            format!("Another account has already proved that {} is theirs.", domain.name),
            "If it is yours, ask the operator of this server.",
        )),
        Err(VerifyError::Store(error)) => Err(error.into()),
    }
}

async fn observe(call: &Call<'_>, domain: &Domain) -> Observed {
    let expected = Expected::of(&domain.name, &call.api.settings.records);
    dns::observe(call.api.dns.as_ref(), domain, &expected).await
}

pub async fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let real_time = call.parameters.boolean("RequireRealTimeDnsRecords")?.unwrap_or(false);
    let domain = by_id(call).await?;
    let observed = match real_time {
        true => observe(call, &domain).await,
        false => Observed { checks: domain.checks, ..Observed::default() },
    };
    let records = &call.api.settings.records;
    let expected = Expected::of(&domain.name, records);
    let checks = observed.checks;
    // The record to publish next: the waiting key's, if there is one.
    let key = domain.next_dkim.as_ref().unwrap_or(&domain.dkim);
    Ok(json!({
        "DomainId": domain.domain_id.to_string(),
        "DomainName": domain.name,
        "DomainStatus": status(domain.verified),
        "DomainType": domain.ownership_token,
        "DomainVersion": 1,
        "TlDomainName": expected.root,
        "CreateTime": domain.created_at.rfc3339_minutes(),
        "IcpStatus": "1",
        "DefaultDomain": "0",
        "HostRecord": expected.ownership_host,
        "DnsTxt": observed.ownership,
        "SpfRecord": expected.spf_mechanism(),
        "SpfRecordV2": expected.spf_record(),
        "SpfAuthStatus": status(checks.spf),
        "DnsSpf": observed.spf,
        "DkimRR": expected.dkim_host(&key.selector),
        "DkimPublicKey": dkim_record(&key.public_key),
        "DkimRsaLength": dkim_key::KEY_BITS,
        "DkimAuthStatus": status(checks.dkim),
        "DmarcHostRecord": expected.dmarc_host,
        "DmarcRecord": records.dmarc,
        "DmarcAuthStatus": if checks.dmarc { 0 } else { 1 },
        "DnsDmarc": observed.dmarc,
        "MxRecord": expected.mx_host,
        "MxAuthStatus": status(checks.mx),
        "DnsMx": observed.mx,
        "CnameRecord": records.tracking_label,
        "TracefRecord": records.tracking_host,
        "CnameAuthStatus": "1",
        "CnameConfirmStatus": "0",
    }))
}

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let page = parameters.page("PageNo", "PageSize", 10, PAGE_SIZE_MAX)?;
    let wanted = match parameters.integer("Status")? {
        None => None,
        Some(0) => Some(true),
        Some(1) => Some(false),
        Some(other) => {
            return Err(ApiError::invalid_parameter("Status", format!("{other} is neither 0 nor 1")));
        }
    };
    let key_word = key_word(call, syntax::DOMAIN_CHARS_MAX)?;
    let mut domains = call.api.store.domains(call.account_id).await?;
    domains.retain(|domain| {
        domain.name.contains(&key_word) && wanted.is_none_or(|verified| domain.verified == verified)
    });
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let taken = usize::try_from(page.size).unwrap_or(usize::MAX);
    let rows: Vec<Value> = domains.iter().skip(skipped).take(taken).map(row).collect();
    Ok(json!({
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": domains.len(),
        "data": {"domain": rows},
    }))
}

/// The lists' filter, in lower case; empty when not given.
pub(super) fn key_word(call: &Call<'_>, chars_max: usize) -> Result<String, ApiError> {
    let text = call.parameters.text("KeyWord").unwrap_or_default();
    match text.chars().count() {
        chars if chars > chars_max => Err(ApiError::invalid_parameter(
            "KeyWord",
            format!("it has {chars} characters, more than {chars_max}"),
        )),
        _ => Ok(text.to_lowercase()),
    }
}

fn row(domain: &Domain) -> Value {
    let DomainChecks { spf, mx, .. } = domain.checks;
    json!({
        "DomainId": domain.domain_id.to_string(),
        "DomainName": domain.name,
        "DomainRecord": domain.ownership_token,
        "DomainStatus": status(domain.verified),
        "SpfAuthStatus": status(spf),
        "MxAuthStatus": status(mx),
        "CnameAuthStatus": "1",
        "ConfirmStatus": "1",
        "IcpStatus": "1",
        "CreateTime": domain.created_at.rfc3339_minutes(),
        "UtcCreateTime": domain.created_at.seconds(),
    })
}

pub async fn delete(call: &Call<'_>) -> Result<Value, ApiError> {
    let domain_id = call.id("DomainId")?;
    match call.api.store.delete_domain(call.account_id, domain_id).await? {
        DomainDeletion::Deleted => Ok(json!({})),
        DomainDeletion::NotFound => Err(no_such_id(domain_id)),
        DomainDeletion::MailWaits(mails) => Err(ApiError::bad_request(
            "InvalidDomain.InUse",
            format!(
                "{mails} accepted mails of the domain still wait for delivery and are signed with its key."
            ),
            "Delete the domain when they are delivered, or have the operator cancel them.",
        )),
    }
}

pub async fn change_dkim_record(call: &Call<'_>) -> Result<Value, ApiError> {
    let name = domain_name(call, "Domain")?;
    match call.parameters.integer("DkimRsaLength")? {
        None | Some(dkim_key::KEY_BITS) => {}
        Some(1024) => {
            return Err(ApiError::invalid_parameter(
                "DkimRsaLength",
                "1024 bits can be forged with enough money and are treated as weak by Google and others; RFC 8301 recommends 2048",
            ));
        }
        Some(other) => {
            return Err(ApiError::invalid_parameter("DkimRsaLength", format!("{other} is not 2048")));
        }
    }
    let domain = by_name(call, &name).await?;
    let key = generate_key(dkim_key::next_selector(&domain.dkim.selector, call.now)).await?;
    if !call.api.store.set_next_dkim(call.account_id, domain.domain_id, &key).await? {
        return Err(no_such_name(&name));
    }
    let expected = Expected::of(&domain.name, &call.api.settings.records);
    Ok(json!({
        "Changed": true,
        "DkimPublicKey": dkim_record(&key.public_key),
        "DkimRsaLength": dkim_key::KEY_BITS,
        "Hostname": expected.dkim_host(&key.selector),
    }))
}

pub async fn modify_password(call: &Call<'_>) -> Result<Value, ApiError> {
    let name = domain_name(call, "DomainName")?;
    let new = call.parameters.required("Password")?;
    let domain = by_name(call, &name).await?;
    let hash = password::accept(new, domain.password_hash).await?;
    if !call.api.store.set_domain_password(call.account_id, domain.domain_id, &hash).await? {
        return Err(no_such_name(&name));
    }
    Ok(json!({"Code": "OK", "Message": "Request succeeded.", "Success": true}))
}

fn domain_name(call: &Call<'_>, parameter: &str) -> Result<String, ApiError> {
    let text = call.parameters.required(parameter)?;
    syntax::domain_name(text).map_err(|why| {
        ApiError::bad_request(
            "InvalidDomainName.Malformed",
            format!("The specified {parameter} '{}' is wrongly formed: {why}.", shown(text)),
            "Give a domain name such as mail.example.com.",
        )
    })
}

async fn by_id(call: &Call<'_>) -> Result<Domain, ApiError> {
    let domain_id = call.id("DomainId")?;
    call.api.store.domain(call.account_id, domain_id).await?.ok_or_else(|| no_such_id(domain_id))
}

async fn by_name(call: &Call<'_>, name: &str) -> Result<Domain, ApiError> {
    call.api.store.domain_by_name(call.account_id, name).await?.ok_or_else(|| no_such_name(name))
}

fn no_such_id(domain_id: i64) -> ApiError {
    no_such(format!("The account has no domain with the DomainId {domain_id}."))
}

fn no_such_name(name: &str) -> ApiError {
    no_such(format!("The account has no domain {name}."))
}

fn no_such(message: String) -> ApiError {
    ApiError::not_found(
        "InvalidDomain.NotFound",
        message,
        "List the account's domains with QueryDomainByParam.",
    )
}

fn exists(name: &str) -> ApiError {
    ApiError::bad_request(
        "InvalidDomainName.Exist",
        format!("The account already has the domain {name}."),
        "Use the existing one; QueryDomainByParam lists it.",
    )
}

fn too_many(limit: i64) -> ApiError {
    ApiError::bad_request(
        "DomainNumber.ExceedLimit",
        format!("An account may have {limit} domains at most."),
        "Delete a domain that is no longer used.",
    )
}
