//! R17 to R24: the quota that reputation earns.
//!
//! | module | what it decides |
//! | --- | --- |
//! | [`allowance`] | whether a request fits into the day and the month (R17) |
//! | [`warming`] | the allowance of a domain or sender address that a grown account added later (R24) |
//! | [`warmup`] | the steps of a dedicated IP address at a mailbox provider (R24) |
//! | [`policy`] | the ladder and the lines: configuration under a version (R20, R21) |
//! | [`rate`] | when a share is past a line beyond chance (R21) |
//! | [`reach`] | how many different recipients |
//! | [`week`] | the local week |
//! | [`evidence`] | what a week shows, and how it stands against the lines (R19, R21) |
//! | [`review`] | the weekly decision: a pure function of a record that is kept (R19, R23) |
//! | [`brake`] | the pause between reviews (R22) |
//! | [`words`] | all of it said to people |
//!
//! Money is no input of anything here: no purchase, package, balance or price can change a quota (R18).

pub mod allowance;
pub mod brake;
pub mod evidence;
pub mod policy;
pub mod rate;
pub mod reach;
pub mod review;
pub mod warming;
pub mod warmup;
pub mod week;
pub mod words;

pub(crate) use allowance::not_before;
pub use allowance::{Allowance, MONTH_DAYS, OverQuota, Period};
