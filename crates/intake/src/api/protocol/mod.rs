//! The protocol around the actions: parameters in, signatures verified, answers and errors out.
//!
//! Nothing here knows an action; everything here is the same for DirectMail (2015-11-23) and BSS (2017-12-14).

pub mod answer;
pub mod error;
pub mod parameters;
pub mod replay;
pub mod signature;
pub mod throttle;

#[cfg(test)]
mod tests;

pub use error::ApiError;
pub use parameters::Parameters;
