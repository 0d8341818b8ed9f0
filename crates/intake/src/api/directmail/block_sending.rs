//! ListBlockSending and UnblockSending: recipients who unsubscribed from a sender address or reported its mail as
//! spam (dossier 3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use indicia_domain::mail::suppression::BlockType;
use indicia_domain::time::{SECOND_MICROS, UnixMicros};
use indicia_smtp::address::Mailbox;
use indicia_store::block::{Block, BlockQuery, BlockToken};
use serde_json::{Value, json};

use super::actor;
use super::suppression::epoch_second;
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;
use crate::message::recipients::recipient;

const RESULTS_MAX: i64 = 500;
const RESULTS_DEFAULT: i64 = 50;

pub async fn list(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let block_type = block_type(parameters.required("BlockType")?)?;
    let begin = epoch_second(parameters, "BeginTime")?;
    let end = epoch_second(parameters, "EndTime")?;
    if let (Some(begin), Some(end)) = (begin, end)
        && end < begin
    {
        return Err(ApiError::invalid_parameter("EndTime", "it is before BeginTime"));
    }
    let limit = parameters.integer_in("MaxResults", 1..=RESULTS_MAX, RESULTS_DEFAULT)?;
    let query = BlockQuery {
        account_id: call.account_id,
        block_type,
        sender_address: parameters.text("SenderEmail").map(|text| sender("SenderEmail", text)).transpose()?,
        address_key: parameters.text("BlockEmail").map(|text| key("BlockEmail", text)).transpose()?,
        from: begin.unwrap_or(UnixMicros(0)),
        before: end.map_or(UnixMicros(i64::MAX), |end| end.plus_micros(SECOND_MICROS)),
        after: parameters.text("NextToken").map(read_token).transpose()?,
        limit,
    };
    let (blocks, next) = call.api.store.blocks(&query).await?;
    Ok(json!({
        "Data": blocks.iter().map(row).collect::<Vec<_>>(),
        "MaxResults": limit,
        "NextToken": next.map_or(String::new(), |token| write_token(&token)),
    }))
}

fn row(block: &Block) -> Value {
    json!({
        "BlockEmail": block.address,
        "SenderEmail": block.sender_address,
        "BlockTime": block.blocked_at.seconds(),
        "SendTime": block.sent_at.seconds(),
        "Reason": block.reasons.0,
    })
}

pub async fn unblock(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let block_type = block_type(parameters.required("BlockType")?)?;
    let sender = sender("SenderEmail", parameters.required("SenderEmail")?)?;
    let key = key("BlockEmail", parameters.required("BlockEmail")?)?;
    if call.api.store.unblock(call.account_id, block_type, &sender, &key, &actor(call)).await? {
        return Ok(json!({}));
    }
    Err(ApiError::not_found(
        "InvalidBlockEmail.NotFound",
        format!("There is no {} block of {key} for the sender address {sender}.", block_type.as_str()),
        "List the blocks with ListBlockSending.",
    ))
}

fn block_type(text: &str) -> Result<BlockType, ApiError> {
    text.parse()
        .map_err(|why| ApiError::invalid_parameter("BlockType", format!("of '{}', {why}", shown(text))))
}

fn address(name: &str, text: &str) -> Result<Mailbox, ApiError> {
    Mailbox::parse(text.trim())
        .map_err(|why| ApiError::invalid_parameter(name, format!("'{}' is no address: {why}", shown(text))))
}

fn sender(name: &str, text: &str) -> Result<String, ApiError> {
    Ok(address(name, text)?.to_string().to_lowercase())
}

fn key(name: &str, text: &str) -> Result<String, ApiError> {
    Ok(recipient(&address(name, text)?).key())
}

fn write_token(token: &BlockToken) -> String {
    let parts = json!([token.blocked_at.0, token.address_key, token.sender_address]);
    URL_SAFE_NO_PAD.encode(parts.to_string())
}

fn read_token(text: &str) -> Result<BlockToken, ApiError> {
    let parts = URL_SAFE_NO_PAD.decode(text).ok();
    let parts = parts.and_then(|bytes| serde_json::from_slice::<(i64, String, String)>(&bytes).ok());
    // PostgreSQL's texts hold no NUL; no token of ours has one.
    let parts = parts.filter(|(_, key, sender)| !key.contains('\0') && !sender.contains('\0'));
    let (blocked_at, address_key, sender_address) = parts.ok_or_else(|| {
        ApiError::invalid_parameter("NextToken", format!("'{}' is not a token of this action", shown(text)))
    })?;
    Ok(BlockToken { blocked_at: UnixMicros(blocked_at), address_key, sender_address })
}
