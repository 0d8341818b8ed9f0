//! QueryDPUtilizationDetail: each deduction from a package, each mail given back to one (R03), and each adjustment of one
//! by the operator.
//!
//! What is given back or added has a negative DeductQuantity, so the quantities of a package always add up to what was
//! bought less what is left. Times are read in two forms, civil time of the account's billing zone and UTC (`…T…Z`), and
//! DeductDate is written in the form of StartTime. Beside the SDK's fields each line says its Kind, which tells the three
//! apart, and what the package held before and after (R16), which the SDK has no names for.

use std::collections::HashMap;

use indicia_domain::ledger::{Kind, LedgerAccount, Transfer};
use indicia_domain::time::{DAY_MICROS, UnixMicros};
use indicia_store::ledger::{DeductionQuery, DeductionToken};
use indicia_store::package::PackageFilter;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::filter::not_a_token;
use super::{COMMODITY_CODE, PRODUCT_CODE, PRODUCT_NAME, UNIT};
use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;

const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";
const TIME_EXAMPLE: &str = "2019-05-23 12:00:00 or 2019-05-23T04:00:00Z";
const LIMIT_DEFAULT: i64 = 20;
const LIMIT_MAX: i64 = 300;
/// How far back a query may reach: a year, and a day for the difference of zones.
const REACH_MICROS: i64 = 367 * DAY_MICROS;

/// How times are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Civil,
    Utc,
}

pub async fn query(call: &Call<'_>) -> Result<Value, ApiError> {
    let parameters = call.parameters;
    let zone = call.zone().await?;
    let ((from, form), (before, _)) = (time(call, &zone, "StartTime")?, time(call, &zone, "EndTime")?);
    parameters.required_boolean("IncludeShare")?;
    if from > before {
        return Err(ApiError::invalid_parameter("EndTime", "it is before StartTime"));
    }
    if from < call.now.plus_micros(-REACH_MICROS) {
        return Err(ApiError::invalid_parameter("StartTime", "it is more than a year ago"));
    }
    let limit = parameters.integer_in("Limit", 1..=LIMIT_MAX, LIMIT_DEFAULT)?;
    let query = DeductionQuery {
        account_id: call.account_id,
        instance_id: parameters.text("InstanceId").map(str::to_owned),
        from,
        before,
        after: parameters.text("LastToken").map(read_token).transpose()?,
        limit: limit + 1,
        newest_first: false,
    };
    let mut lines = match (is_ours(call), parameters.text("DeductedInstanceId")) {
        (false, _) => Vec::new(),
        (true, None) => call.api.store.deductions(&query).await?,
        (true, Some(message_id)) => of_message(call, &query, message_id).await?,
    };
    let limit_rows = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = lines.len() > limit_rows;
    lines.truncate(limit_rows);
    let next = lines.last().filter(|_| more).map(token);
    let granted = granted(call).await?;
    let details: Vec<Value> = lines.iter().map(|line| detail(call, (&zone, form), line, &granted)).collect();
    Ok(json!({"Data": {"NextToken": next, "DetailList": {"DetailList": details}}}))
}

fn time(call: &Call<'_>, zone: &TimeZone, name: &str) -> Result<(UnixMicros, Form), ApiError> {
    if call.parameters.required(name)?.contains('T') {
        let at = call.parameters.instant(name)?.map(UnixMicros::from_timestamp);
        return at.map(|at| (at, Form::Utc)).ok_or_else(|| ApiError::missing_parameter(name));
    }
    let civil = call.parameters.civil(name, TIME_FORMAT, TIME_EXAMPLE)?;
    let at = civil.and_then(|civil| instant_of(zone, civil));
    at.map(|at| (at, Form::Civil)).ok_or_else(|| ApiError::invalid_parameter(name, "it is out of range"))
}

/// CommodityCode wins over ProdCode (dossier 2.2); another product's packages have no lines here.
fn is_ours(call: &Call<'_>) -> bool {
    let product = match (call.parameters.text("CommodityCode"), call.parameters.text("ProdCode")) {
        (Some(commodity), _) => [COMMODITY_CODE, PRODUCT_CODE].contains(&commodity),
        (None, Some(product)) => product == PRODUCT_CODE,
        (None, None) => true,
    };
    product && call.parameters.text("InstanceSpec").is_none_or(|specification| specification == UNIT)
}

/// The lines of one mail: what is deducted from a package is a mail, so its EnvId is the deducted instance.
async fn of_message(
    call: &Call<'_>,
    query: &DeductionQuery,
    message_id: &str,
) -> Result<Vec<Transfer>, ApiError> {
    let Ok(message_id) = message_id.parse() else { return Ok(Vec::new()) };
    let mut lines = call.api.store.transaction_lines(call.account_id, message_id).await?;
    let after = query.after.map_or((i64::MIN, i64::MIN), |token| (token.at, token.sequence));
    lines.retain(|line| {
        let wanted = deduction(line).is_some_and(|(instance, _)| {
            query.instance_id.as_deref().is_none_or(|wanted| wanted == instance)
        });
        wanted && query.from <= line.at && line.at < query.before && (line.at.0, line.sequence) > after
    });
    Ok(lines)
}

/// The package that paid, to which a mail was given back, or whose mails were adjusted; and how many mails the line took
/// out of it, negative where it put them in.
fn deduction(line: &Transfer) -> Option<(&str, i64)> {
    match (line.kind, &line.from, &line.to) {
        (Kind::Send | Kind::Adjustment, LedgerAccount::Package(instance), _) => Some((instance, line.amount)),
        (Kind::Reversal | Kind::Adjustment, _, LedgerAccount::Package(instance)) => {
            Some((instance, -line.amount))
        }
        _ => None,
    }
}

fn token(line: &Transfer) -> String {
    format!("{}-{}", line.at.0, line.sequence)
}

fn read_token(text: &str) -> Result<DeductionToken, ApiError> {
    let parsed = text.split_once('-').and_then(|(at, sequence)| {
        Some(DeductionToken { at: at.parse().ok()?, sequence: sequence.parse().ok()? })
    });
    parsed.ok_or_else(|| not_a_token("LastToken", text))
}

async fn granted(call: &Call<'_>) -> Result<HashMap<String, i64>, ApiError> {
    let packages = call.api.store.packages(call.account_id, &PackageFilter::default()).await?;
    Ok(packages.into_iter().map(|row| (row.package.instance_id, row.package.granted)).collect())
}

fn detail(
    call: &Call<'_>,
    (zone, form): (&TimeZone, Form),
    line: &Transfer,
    granted: &HashMap<String, i64>,
) -> Value {
    let (instance, quantity) = deduction(line).unwrap_or_default();
    let date = match form {
        Form::Civil => line.at.civil(zone).strftime(TIME_FORMAT).to_string(),
        Form::Utc => line.at.rfc3339_seconds(),
    };
    json!({
        "InstanceId": instance,
        "DeductDate": date,
        "DeductQuantity": quantity,
        "DeductMeasure": quantity,
        "DeductFactorTotal": granted.get(instance),
        // Of reserved computing instances only.
        "DeductHours": null,
        "DeductedInstanceId": line.transaction_id.to_string(),
        "DeductedCommodityCode": PRODUCT_CODE,
        "DeductedProductDetail": PRODUCT_NAME,
        "InstanceSpec": UNIT,
        "Region": call.api.settings.region,
        "ResCode": UNIT,
        "Uid": call.account_id,
        "ShareUid": call.account_id,
        "Kind": line.kind.as_str(),
        "RemainingBefore": line.before,
        "RemainingAfter": line.after,
    })
}
