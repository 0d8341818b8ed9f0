//! The jobs that time starts.
//!
//! Every job may run late, twice, or on several nodes at once: its effect is the same. None is needed for a
//! decision to be right: whether a package pays, a nonce is known or a quota has reset follows from instants,
//! not from whether a job has run.
//!
//! | file | what |
//! | --- | --- |
//! | `jobs` | what the jobs need, one round of each, and running them |
//! | `pace` | how often a job looks, and how it goes on after a failure |
//! | [`notice`] | what accounts are told: due rows become messages, mails and texts |
//! | `texts` | texts that wait go to the SMS gateway |
//! | [`sms`] | the SMS gateways |
//! | `reputation` | quotas are reviewed, and paused by the brake |
//! | `housekeeping` | forgets what has no more use |
//! | `metrics` | what is counted |

mod housekeeping;
mod jobs;
mod metrics;
pub mod notice;
mod pace;
mod reputation;
pub mod sms;
mod texts;

pub use housekeeping::Housekeeping;
pub use jobs::{Jobs, run};
pub use metrics::Metrics;
pub use notice::tell::NoticeRound;
pub use texts::TextRound;
