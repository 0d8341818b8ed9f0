//! What accounts are told about their packages and their money (R14, R15, R11).

pub mod wording;
