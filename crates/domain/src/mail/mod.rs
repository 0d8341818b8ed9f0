//! What a mail is: one recipient address of one accepted request (R01), and the decision to accept it.

pub mod admission;
pub mod provider;
pub mod recipient;
pub mod suppression;

/// Over which door a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    Api,
    Smtp,
    /// SMTP from a trusted network, without AUTH.
    Relay,
    /// Over none: written by the installation itself.
    System,
}

impl Via {
    pub fn as_str(self) -> &'static str {
        match self {
            Via::Api => "api",
            Via::Smtp => "smtp",
            Via::Relay => "relay",
            Via::System => "system",
        }
    }
}

/// What has become of one recipient's mail. The numbers are DirectMail's delivery statuses where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    Delivered = 0,
    /// In the queue.
    Waiting = 1,
    InvalidAddress = 2,
    Spam = 3,
    Failed = 4,
    /// Withdrawn before its first attempt, and its charge reversed (R03).
    Cancelled = 5,
}

impl State {
    pub fn from_number(number: i64) -> Option<State> {
        [
            State::Delivered,
            State::Waiting,
            State::InvalidAddress,
            State::Spam,
            State::Failed,
            State::Cancelled,
        ]
        .into_iter()
        .find(|state| *state as i64 == number)
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            State::Delivered => "Delivered",
            State::Waiting => "Waiting",
            State::InvalidAddress => "Invalid address",
            State::Spam => "Refused as spam",
            State::Failed => "Failed",
            State::Cancelled => "Cancelled",
        }
    }
}
