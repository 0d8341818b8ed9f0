//! Parameters that many actions share.

use indicia_domain::time::{SECOND_MICROS, UnixMicros};

use super::PRODUCT_CODE;
use crate::api::call::Call;
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::{Page, shown};

pub const PAGE_SIZE_DEFAULT: i64 = 20;
pub const PAGE_SIZE_MAX: i64 = 300;

/// How something is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubscriptionType {
    Subscription,
    PayAsYouGo,
}

impl SubscriptionType {
    pub fn as_str(self) -> &'static str {
        match self {
            SubscriptionType::Subscription => "Subscription",
            SubscriptionType::PayAsYouGo => "PayAsYouGo",
        }
    }
}

/// The SubscriptionType that is asked for.
pub fn subscription_type(call: &Call<'_>) -> Result<Option<SubscriptionType>, ApiError> {
    one_of(
        call,
        "SubscriptionType",
        &[SubscriptionType::Subscription, SubscriptionType::PayAsYouGo],
        SubscriptionType::as_str,
    )
}

/// A parameter that is one of these, by name.
pub fn one_of<T: Copy>(
    call: &Call<'_>,
    name: &str,
    values: &[T],
    named: impl Fn(T) -> &'static str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = call.parameters.text(name) else { return Ok(None) };
    if let Some(value) = values.iter().find(|value| named(**value) == text) {
        return Ok(Some(*value));
    }
    let names: Vec<&str> = values.iter().map(|value| named(*value)).collect();
    Err(ApiError::invalid_parameter(name, format!("'{}' is none of {}", shown(text), names.join(", "))))
}

/// Whether ProductCode, ProductType, BillOwnerId and OwnerId, as far as given, name this product and this account.
/// Of another product or somebody else's there is nothing here, which is no error.
pub fn is_ours(call: &Call<'_>) -> Result<bool, ApiError> {
    let mut ours = true;
    for name in ["ProductCode", "ProductType", "PipCode"] {
        ours &= call.parameters.text(name).is_none_or(|code| code == PRODUCT_CODE);
    }
    for name in ["BillOwnerId", "OwnerId"] {
        ours &= call.parameters.integer(name)?.is_none_or(|owner| owner == call.account_id);
    }
    Ok(ours)
}

/// PageNum and PageSize.
pub fn page(call: &Call<'_>) -> Result<Page, ApiError> {
    call.parameters.page("PageNum", "PageSize", PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)
}

/// The rows of a page.
pub fn rows_of<T>(rows: &[T], page: Page) -> &[T] {
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let start = usize::try_from(page.offset()).unwrap_or(usize::MAX).min(rows.len());
    &rows[start..rows.len().min(start.saturating_add(size))]
}

/// MaxResults of the actions that page by token.
pub fn max_results(call: &Call<'_>) -> Result<i64, ApiError> {
    call.parameters.integer_in("MaxResults", 1..=PAGE_SIZE_MAX, PAGE_SIZE_DEFAULT)
}

/// A parameter that is no NextToken of this action.
pub fn not_a_token(name: &str, text: &str) -> ApiError {
    ApiError::invalid_parameter(name, format!("'{}' is not a NextToken of this action", shown(text)))
}

/// A range of creation times in UTC, `[from, before)`; both seconds named are included.
pub fn time_range(
    call: &Call<'_>,
    start_name: &str,
    end_name: &str,
) -> Result<(Option<UnixMicros>, Option<UnixMicros>), ApiError> {
    let start = call.parameters.instant(start_name)?.map(UnixMicros::from_timestamp);
    let end = call.parameters.instant(end_name)?.map(UnixMicros::from_timestamp);
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        return Err(ApiError::invalid_parameter(end_name, format!("it is before {start_name}")));
    }
    Ok((start, end.map(|end| end.plus_micros(SECOND_MICROS))))
}
