//! What a client session is waiting for, and how long RFC 5321 section 4.5.3.2 lets it wait.

use std::fmt;
use std::time::Duration;

/// The step whose reply is owed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Greeting,
    /// EHLO, or HELO after it.
    Ehlo,
    StartTls,
    Auth,
    Rset,
    Mail,
    Rcpt,
    /// DATA was sent, its 354 is owed.
    DataStart,
    /// Content is being written.
    DataBlock,
    /// The final dot was written.
    DataEnd,
    Quit,
    /// Nothing is owed.
    Idle,
    /// The session is over.
    Closed,
}

impl Phase {
    /// The shortest wait the RFC allows; a caller may scale it. `Idle` is how long a connection may lie
    /// unused, which the RFC does not say for clients: 5 minutes is what servers must grant.
    pub const fn timeout(self) -> Duration {
        let minutes = match self {
            Phase::Greeting | Phase::Ehlo | Phase::Mail | Phase::Rcpt => 5,
            Phase::StartTls | Phase::Auth | Phase::Rset | Phase::DataStart | Phase::Quit => 2,
            Phase::DataBlock => 3,
            Phase::DataEnd => 10,
            Phase::Idle => 5,
            Phase::Closed => 0,
        };
        Duration::from_secs(minutes * 60)
    }

    /// The word for logs and timelines.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Greeting => "greeting",
            Phase::Ehlo => "EHLO",
            Phase::StartTls => "STARTTLS",
            Phase::Auth => "AUTH",
            Phase::Rset => "RSET",
            Phase::Mail => "MAIL",
            Phase::Rcpt => "RCPT",
            Phase::DataStart => "DATA",
            Phase::DataBlock => "content",
            Phase::DataEnd => "end of data",
            Phase::Quit => "QUIT",
            Phase::Idle => "idle",
            Phase::Closed => "closed",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
