//! From the cookie of a request to who is looking.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts, OriginalUri, RawPathParams},
    http::request::Parts,
};
use indicia_domain::time::UnixMicros;
use indicia_store::{
    account::{Account, AccountNumbers},
    audit::{Actor, ActorKind},
};

use super::{Token, cookie::Cookie};
use crate::{
    ConsoleState, arrears,
    components::{Link, Note},
    error::ConsoleError,
    format::Zone,
    shell::{Flash, Place, Shell, ShellAccount, account_href},
};

/// As what somebody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sees this account and no other.
    Account(i64),
    /// Sees all accounts.
    Operator(i64),
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct Viewer {
    pub role: Role,
    pub email: String,
    pub token: Token,
    /// A message for the page that is about to be made.
    pub flash: Option<Flash>,
}

impl Viewer {
    pub fn is_operator(&self) -> bool {
        matches!(self.role, Role::Operator(_))
    }

    /// The account that the viewer is, if not an operator.
    pub fn own_account(&self) -> Option<i64> {
        match self.role {
            Role::Account(id) => Some(id),
            Role::Operator(_) => None,
        }
    }

    /// Whether this viewer may see that account's pages.
    pub fn may_see(&self, account_id: i64) -> bool {
        match self.role {
            Role::Account(id) => id == account_id,
            Role::Operator(_) => true,
        }
    }

    /// Where this viewer starts.
    pub fn home(&self) -> String {
        match self.role {
            Role::Account(id) => account_href(id, ""),
            Role::Operator(_) => "/accounts".into(),
        }
    }
}

/// Nobody, or somebody, and whether a cookie was there that is worth nothing any more.
#[derive(Clone, Debug)]
enum Found {
    Nobody,
    /// The session ended by age, disuse, sign-out elsewhere, or removal of the login.
    Ended,
    Somebody(Viewer),
}

/// How often the time of last use is written: often enough for the idle limit, seldom enough to cost nothing.
const TOUCH_EVERY_US: i64 = 60 * 1_000_000;

async fn find(parts: &Parts, state: &ConsoleState) -> Result<Found, ConsoleError> {
    use indicia_store::session::Subject;
    let Some(value) = state.cookies().get(&parts.headers, Cookie::Session) else { return Ok(Found::Nobody) };
    let Some(token) = Token::parse(value) else { return Ok(Found::Ended) };
    let digest = token.digest();
    let now = state.now();
    let Some(session) = state.store.session(&digest).await? else { return Ok(Found::Ended) };
    if is_over(now, session.last_seen_at, session.expires_at, state.config.session_idle_us) {
        state.store.delete_session(&digest).await?;
        return Ok(Found::Ended);
    }
    let (role, email) = match session.subject {
        Subject::Account(id) => {
            (Role::Account(id), state.store.account(id).await?.map(|account| account.email))
        }
        Subject::Operator(id) => {
            (Role::Operator(id), state.store.operator(id).await?.map(|operator| operator.email))
        }
    };
    let Some(email) = email else { return Ok(Found::Ended) };
    if now.0.saturating_sub(session.last_seen_at.0) >= TOUCH_EVERY_US {
        state.store.touch_session(&digest).await?;
    }
    let flash = Flash::from_request(state, &parts.headers);
    Ok(Found::Somebody(Viewer { role, email, token, flash }))
}

fn is_over(now: UnixMicros, last_seen: UnixMicros, expires: UnixMicros, idle_us: i64) -> bool {
    now >= expires || now.0.saturating_sub(last_seen.0) >= idle_us
}

impl FromRequestParts<ConsoleState> for Viewer {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, ConsoleError> {
        // A nested router sees its part of the address only; the reader has to come back to the whole of it.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let next = uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        match find(parts, state).await? {
            Found::Somebody(viewer) => Ok(viewer),
            Found::Nobody => Err(ConsoleError::SignInFirst { next, has_ended: false }),
            Found::Ended => Err(ConsoleError::SignInFirst { next, has_ended: true }),
        }
    }
}

impl OptionalFromRequestParts<ConsoleState> for Viewer {
    type Rejection = ConsoleError;

    async fn from_request_parts(
        parts: &mut Parts,
        state: &ConsoleState,
    ) -> Result<Option<Self>, ConsoleError> {
        match find(parts, state).await? {
            Found::Somebody(viewer) => Ok(Some(viewer)),
            Found::Nobody | Found::Ended => Ok(None),
        }
    }
}

/// An account's page: who looks, at whose account, in whose zone, at what instant. The account is named by
/// the path's `account_id`; one that the viewer may not see is as if it did not exist.
#[derive(Clone, Debug)]
pub struct AccountView {
    pub viewer: Viewer,
    pub account: Account,
    /// As they were when the page was asked for.
    pub numbers: AccountNumbers,
    pub unread_messages: i64,
    /// What keeps the account from sending (R11, R22).
    pub banners: Vec<Note>,
    pub zone: Zone,
    pub now: UnixMicros,
}

impl AccountView {
    pub fn id(&self) -> i64 {
        self.account.account_id
    }

    /// The address of another page of this account.
    pub fn href(&self, rest: &str) -> String {
        account_href(self.id(), rest)
    }

    /// The frame of a page of this account.
    pub fn shell(&self, state: &ConsoleState, place: Place, title: &str) -> Shell {
        let account = ShellAccount {
            id: self.id(),
            name: self.account.name.clone(),
            unread_messages: self.unread_messages,
        };
        let banners = self.banners.clone();
        Shell { banners, ..Shell::new(state, &self.viewer, Some((account, &self.zone)), place, title) }
    }

    /// Who does what is done on this page, for the audit log.
    pub fn actor(&self) -> Actor {
        let kind = if self.viewer.is_operator() { ActorKind::Operator } else { ActorKind::Account };
        Actor { kind, name: self.viewer.email.clone() }
    }

    /// A step of the way to a page of this account.
    pub fn crumb(&self, text: &str, rest: &str) -> Link {
        Link::new(self.href(rest), text)
    }
}

/// The step of the way that is this page itself.
pub fn here(text: impl Into<String>) -> Link {
    Link::new("", text)
}

impl FromRequestParts<ConsoleState> for AccountView {
    type Rejection = ConsoleError;

    async fn from_request_parts(parts: &mut Parts, state: &ConsoleState) -> Result<Self, ConsoleError> {
        let viewer = <Viewer as FromRequestParts<ConsoleState>>::from_request_parts(parts, state).await?;
        let missing = || ConsoleError::NotFound { what: "account" };
        let path = RawPathParams::from_request_parts(parts, state).await.map_err(|_| missing())?;
        let id = path
            .iter()
            .find(|(name, _)| *name == "account_id")
            .and_then(|(_, value)| value.parse::<i64>().ok())
            .ok_or_else(missing)?;
        if !viewer.may_see(id) {
            return Err(missing());
        }
        let account = state.store.account(id).await?.ok_or_else(missing)?;
        let numbers = state.store.account_numbers(id).await?.ok_or_else(missing)?;
        let unread_messages = state.store.unread_messages(id).await?;
        let zone = Zone::named(&account.zone);
        let banners = arrears::banners(state, id, &numbers, &zone).await?;
        Ok(Self { viewer, account, numbers, unread_messages, banners, zone, now: state.now() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_by_age_and_by_disuse() {
        let (at, idle) = (UnixMicros, 100);
        assert!(!is_over(at(50), at(0), at(1_000), idle));
        assert!(is_over(at(100), at(0), at(1_000), idle));
        assert!(is_over(at(1_000), at(999), at(1_000), idle));
        assert!(!is_over(at(999), at(990), at(1_000), idle));
    }
}
