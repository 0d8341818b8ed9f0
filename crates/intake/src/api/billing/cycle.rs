//! A billing cycle: one calendar month of the account's zone, or one day of it.

use indicia_domain::time::{self, UnixMicros};
use indicia_store::account::Account;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::api::call::{Call, instant_of};
use crate::api::protocol::ApiError;
use crate::api::protocol::parameters::shown;

/// How the bill actions write civil times, in the account's zone.
const TIME_FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// The month that BillingCycle names, `[from, before)`, and whose it is.
pub struct Cycle {
    pub account: Account,
    pub zone: TimeZone,
    /// Months since January of year 0.
    number: i64,
    pub from: UnixMicros,
    pub before: UnixMicros,
}

/// A part of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: UnixMicros,
    pub before: UnixMicros,
    /// The day, where the span is one.
    pub date: Option<Date>,
}

impl Cycle {
    pub async fn of(call: &Call<'_>) -> Result<Cycle, ApiError> {
        let text = call.parameters.required("BillingCycle")?;
        let number = time::month_number(text).ok_or_else(|| {
            ApiError::invalid_parameter(
                "BillingCycle",
                format!("'{}' is not a month such as 2026-11", shown(text)),
            )
        })?;
        let account = call.account().await?;
        let zone = call.zone().await?;
        let (from, before) = time::local_month_numbered(&zone, number);
        Ok(Cycle { account, zone, number, from, before })
    }

    /// The whole month, or with Granularity DAILY the day that BillingDate names.
    pub fn span(&self, call: &Call<'_>) -> Result<Span, ApiError> {
        let month = Span { from: self.from, before: self.before, date: None };
        match call.parameters.text("Granularity") {
            None => Ok(month),
            Some(name) if name.eq_ignore_ascii_case("MONTHLY") => Ok(month),
            Some(name) if name.eq_ignore_ascii_case("DAILY") => self.day(call),
            Some(other) => Err(ApiError::invalid_parameter(
                "Granularity",
                format!("'{}' is neither MONTHLY nor DAILY", shown(other)),
            )),
        }
    }

    fn day(&self, call: &Call<'_>) -> Result<Span, ApiError> {
        call.parameters.required("BillingDate")?;
        let date =
            call.parameters.day("BillingDate")?.ok_or_else(|| ApiError::missing_parameter("BillingDate"))?;
        if i64::from(date.year()) * 12 + i64::from(date.month()) - 1 != self.number {
            return Err(ApiError::invalid_parameter(
                "BillingDate",
                format!("{date} is not a day of the BillingCycle {}", self.text()),
            ));
        }
        let noon = instant_of(&self.zone, date.to_datetime(Time::constant(12, 0, 0, 0)));
        let day = noon.map(|noon| time::local_day(&self.zone, noon));
        // A zone that moved over the date line has left a day out: nothing was charged on it.
        let (from, before) = match day.filter(|day| time::civil_date(day.number) == date) {
            Some(day) => (day.start, day.end),
            None => (self.from, self.from),
        };
        Ok(Span { from, before, date: Some(date) })
    }

    /// `2026-11`
    pub fn text(&self) -> String {
        time::month_text(self.number)
    }

    /// `2026-11-22 08:00:00` in the account's zone.
    pub fn civil(&self, at: UnixMicros) -> String {
        at.civil(&self.zone).strftime(TIME_FORMAT).to_string()
    }

    /// Whose cycle it is.
    pub fn header(&self) -> Value {
        json!({
            "AccountID": self.account.account_id.to_string(),
            "AccountName": self.account.name,
            "BillingCycle": self.text(),
        })
    }
}
