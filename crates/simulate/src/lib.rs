//! A simulator for the quota policy: the real rules of `indicia_domain::quota` in a world of senders and mailbox
//! providers that behave as published.
//!
//! ```text
//! cast ──► demand ──► account (R17 quota, R24 warming) ──► provider ──► inbox, spam folder, refusal, later
//!                        ▲                                    │                │
//!                        │ review (R19), brake (R22)          │ reputation     │ complaints, some reported
//!                        └────────────── book ◄───────────────┴────────────────┘
//! ```
//!
//! | module | what it is |
//! | --- | --- |
//! | [`constants`] | the world's numbers, each with its source |
//! | [`random`] | chance, one stream for each purpose |
//! | [`reputation`], [`provider`] | what mailbox providers remember and do |
//! | [`sender`], [`demand`] | who sends, and what he wants to send |
//! | [`book`], [`account`] | the service: evidence as it is counted, and the real decisions about it |
//! | [`regime`] | a policy, or what it is compared with |
//! | [`queue`], [`world`] | what waits, and one run |
//! | [`figures`], [`compare`] | what is measured, in a run and over seeds |
//! | [`sweep`], [`vary`] | the same over a threshold of the policy, and in other worlds |
//! | [`table`], [`picture`] | all of it shown |
//!
//! A run is a pure function of its [`world::Setting`]: no clock, no file, no thread of its own.

pub mod account;
pub mod book;
pub mod compare;
pub mod constants;
pub mod demand;
pub mod figures;
pub mod picture;
pub mod provider;
pub mod queue;
pub mod random;
pub mod regime;
pub mod reputation;
pub mod sender;
pub mod sweep;
pub mod table;
pub mod vary;
pub mod world;
