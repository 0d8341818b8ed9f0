//! SASL PLAIN (RFC 4616) and LOGIN as SMTP carries them (RFC 4954): base64 both ways.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Some devices leave the padding away; the octets are the same.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How the client logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Plain,
    Login,
}

impl Mechanism {
    pub(crate) fn from_name(name: &str) -> Option<Mechanism> {
        if name.eq_ignore_ascii_case("PLAIN") {
            Some(Mechanism::Plain)
        } else if name.eq_ignore_ascii_case("LOGIN") {
            Some(Mechanism::Login)
        } else {
            None
        }
    }
}

/// A password: wiped when dropped, never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where an exchange stands: what the next line of the client is.
#[derive(Debug)]
pub(crate) enum AuthStep {
    PlainResponse,
    LoginUsername,
    LoginPassword { username: String },
}

impl AuthStep {
    pub(crate) fn first(mechanism: Mechanism) -> AuthStep {
        match mechanism {
            Mechanism::Plain => AuthStep::PlainResponse,
            Mechanism::Login => AuthStep::LoginUsername,
        }
    }

    /// The 334 line that asks for this step: nothing, "Username:", "Password:".
    pub(crate) fn challenge(&self) -> &'static [u8] {
        match self {
            AuthStep::PlainResponse => b"334 \r\n",
            AuthStep::LoginUsername => b"334 VXNlcm5hbWU6\r\n",
            AuthStep::LoginPassword { .. } => b"334 UGFzc3dvcmQ6\r\n",
        }
    }
}

/// What a client's line led to.
#[derive(Debug)]
pub(crate) enum AuthProgress {
    Ask(AuthStep),
    Complete { mechanism: Mechanism, username: String, password: Secret },
}

/// Why an exchange ended without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuthFault {
    Cancelled,
    Malformed,
    /// PLAIN asked to act as somebody else than who logs in.
    ForeignIdentity,
}

/// Takes the client's response to `step`. `=` alone is an empty initial response (RFC 4954 section 4).
pub(crate) fn respond(step: AuthStep, response: &[u8]) -> Result<AuthProgress, AuthFault> {
    if response == b"*" {
        return Err(AuthFault::Cancelled);
    }
    let text = decode(response)?;
    match step {
        AuthStep::PlainResponse => plain(&text),
        AuthStep::LoginUsername => {
            Ok(AuthProgress::Ask(AuthStep::LoginPassword { username: text.as_str().to_owned() }))
        }
        AuthStep::LoginPassword { username } => {
            Ok(AuthProgress::Complete { mechanism: Mechanism::Login, username, password: Secret(text) })
        }
    }
}

fn plain(text: &str) -> Result<AuthProgress, AuthFault> {
    let mut parts = text.split('\0');
    let (Some(identity), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthFault::Malformed);
    };
    if username.is_empty() {
        return Err(AuthFault::Malformed);
    }
    if !identity.is_empty() && identity != username {
        return Err(AuthFault::ForeignIdentity);
    }
    Ok(AuthProgress::Complete {
        mechanism: Mechanism::Plain,
        username: username.to_owned(),
        password: Secret::new(password.to_owned()),
    })
}

fn decode(response: &[u8]) -> Result<Zeroizing<String>, AuthFault> {
    if response == b"=" {
        return Ok(Zeroizing::default());
    }
    let octets = BASE64.decode(response).map_err(|_| AuthFault::Malformed)?;
    String::from_utf8(octets).map(Zeroizing::new).map_err(|_| AuthFault::Malformed)
}
