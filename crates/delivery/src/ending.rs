//! How one attempt ended: the words that the timeline keeps and the verdict that they mean.

use indicia_domain::outcome::{
    self, EnhancedCode, Failure, Phase, Reply as OutcomeReply, Verdict, classify_failure, classify_reply,
};
use indicia_smtp::Reply;
use indicia_smtp::client;

use crate::route::RouteError;

/// Octets of a remote's words that are kept: a page of text, whatever the remote sends.
const WORDS_BYTES_MAX: usize = 2_000;

/// The end of one attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The step that decided.
    pub phase: Phase,
    pub verdict: Verdict,
    /// The remote's three-digit code, if it was the remote that decided.
    pub code: Option<u16>,
    /// The remote's reply on one line, or what went wrong, in our words.
    pub words: String,
}

impl Ending {
    /// A remote's reply in `phase`.
    pub fn from_reply(phase: Phase, reply: &Reply) -> Ending {
        let text = reply.lines().collect::<Vec<_>>().join(" ");
        let enhanced =
            reply.enhanced_code().map(|code| EnhancedCode::new(code.class(), code.subject(), code.detail()));
        let verdict = classify_reply(&OutcomeReply { phase, code: reply.code(), enhanced, text: &text });
        Ending { phase, verdict, code: Some(reply.code()), words: bounded(reply.to_string()) }
    }

    /// A failure without a remote's reply.
    pub fn from_failure(phase: Phase, failure: Failure, words: impl Into<String>) -> Ending {
        Ending { phase, verdict: classify_failure(failure), code: None, words: bounded(words.into()) }
    }

    /// No next hop.
    pub fn from_route(error: &RouteError) -> Ending {
        Ending::from_failure(Phase::Dns, error.failure(), error.words())
    }

    /// What the SMTP session says became of the recipient. `timed_out` is the phase in which the peer was
    /// given up, if it was.
    pub fn from_outcome(outcome: &client::Outcome, timed_out: Option<client::Phase>, peer: &str) -> Ending {
        match outcome {
            client::Outcome::Accepted { reply } => Ending::from_reply(Phase::Final, reply),
            client::Outcome::Refused { phase, reply } => Ending::from_reply(phase_of(*phase), reply),
            client::Outcome::Unsupported(reason) => {
                let words = format!("554 {} {reason}", reason.enhanced_code());
                match reason {
                    client::Unsupported::EightBit => {
                        Ending::from_failure(Phase::Mail, Failure::EightBitUnsupported, words)
                    }
                    client::Unsupported::SmtpUtf8 => {
                        Ending::from_failure(Phase::Mail, Failure::SmtpUtf8Unsupported, words)
                    }
                    client::Unsupported::TooLarge { .. } | client::Unsupported::BareLineBreak => {
                        let enhanced = reason.enhanced_code();
                        let enhanced =
                            EnhancedCode::new(enhanced.class(), enhanced.subject(), enhanced.detail());
                        let reply = OutcomeReply {
                            phase: Phase::Mail,
                            code: 554,
                            enhanced: Some(enhanced),
                            text: "",
                        };
                        Ending { phase: Phase::Mail, verdict: classify_reply(&reply), code: None, words }
                    }
                }
            }
            client::Outcome::Interrupted { phase: at, error: Some(error) } => {
                let phase = phase_of(*at);
                Ending::from_failure(
                    phase,
                    Failure::ProtocolError(phase),
                    format!("{peer} broke the protocol: {error}"),
                )
            }
            client::Outcome::Interrupted { phase: at, error: None } => match timed_out {
                Some(at) => Ending::timed_out(at, peer),
                None => Ending::lost(*at, peer, "the connection was closed"),
            },
        }
    }

    /// The peer took longer for a step than it has.
    pub fn timed_out(at: client::Phase, peer: &str) -> Ending {
        let phase = phase_of(at);
        let words = format!("451 4.4.2 {peer} did not answer in time (phase {at})");
        Ending::from_failure(phase, Failure::TimedOut(phase), words)
    }

    /// The connection broke.
    pub fn lost(at: client::Phase, peer: &str, reason: &str) -> Ending {
        let phase = phase_of(at);
        let uncertain = match phase {
            Phase::Final => "; the remote may have taken the mail, it is sent again",
            _ => "",
        };
        let words = format!("451 4.4.2 {peer}: {reason} (phase {at}){uncertain}");
        Ending::from_failure(phase, Failure::ConnectionLost(phase), words)
    }

    /// The mail's age ended its retries: the last words stay, the verdict becomes permanent.
    pub fn expired(self) -> Ending {
        Ending { verdict: outcome::expired(self.verdict), ..self }
    }
}

/// The step, in the words of the outcome rules.
pub fn phase_of(phase: client::Phase) -> Phase {
    match phase {
        client::Phase::Greeting => Phase::Greeting,
        client::Phase::Ehlo | client::Phase::Auth => Phase::Hello,
        client::Phase::StartTls => Phase::StartTls,
        client::Phase::Mail => Phase::Mail,
        client::Phase::Rcpt => Phase::Rcpt,
        client::Phase::DataStart => Phase::Data,
        client::Phase::DataBlock => Phase::Content,
        client::Phase::DataEnd => Phase::Final,
        client::Phase::Rset | client::Phase::Quit | client::Phase::Idle | client::Phase::Closed => {
            Phase::Between
        }
    }
}

fn bounded(mut words: String) -> String {
    if words.len() > WORDS_BYTES_MAX {
        let end = (0..=WORDS_BYTES_MAX).rev().find(|at| words.is_char_boundary(*at)).unwrap_or(0);
        words.truncate(end);
    }
    words
}
