//! DescAccountSummary: the account's numbers at a glance.

use indicia_domain::ledger::free_credit::FreeCredit;
use indicia_domain::quota::MONTH_DAYS;
use indicia_domain::time::local_day;
use serde_json::{Value, json};

use crate::api::call::Call;
use crate::api::protocol::ApiError;

pub async fn describe(call: &Call<'_>) -> Result<Value, ApiError> {
    let store = &call.api.store;
    let (account_id, zone) = (call.account_id, call.zone().await?);
    let numbers = store.account_numbers(account_id).await?.ok_or_else(ApiError::internal)?;
    let standing = store.quota_standing(account_id).await?.ok_or_else(ApiError::internal)?;
    // R20: the user's own ceiling is the highest level that reviews raise to.
    let level_max = standing.ceiling_level.unwrap_or_else(|| store.quota_policy().ladder.top());
    let domains = store.domains(account_id).await?.len();
    let senders = store.senders(account_id).await?.len();
    let day = local_day(&zone, call.now);
    let free =
        FreeCredit { total_left: numbers.free_left, day: numbers.free_day, day_used: numbers.free_day_used };
    Ok(json!({
        "DailyQuota": numbers.daily_quota,
        "MonthQuota": numbers.daily_quota.saturating_mul(MONTH_DAYS),
        "QuotaLevel": numbers.quota_level,
        "MaxQuotaLevel": level_max,
        "RemainFreeQuota": numbers.free_left,
        "DailyRemainFreeQuota": free.available(day.number, call.api.settings.policy.free_daily_mails),
        "UserStatus": numbers.status.0,
        "Domains": domains,
        "MailAddresses": senders,
        "Receivers": 0,
        "Tags": 0,
        "Templates": 0,
        "IpChannelType": "normal",
        "EnableTimes": 0,
        "DayuStatus": 0,
        "SmsRecord": 0,
        "SmsSign": 0,
        "SmsTemplates": 0,
    }))
}
