//! Cookies, as little of RFC 6265 as a console needs.
//!
//! Every cookie is HttpOnly, SameSite=Lax and for the whole site; with https it is Secure too and carries
//! the `__Host-` prefix, so that no other host of the domain can plant one.

use axum::http::{HeaderMap, HeaderValue, header};

/// The names and attributes of the console's cookies, which depend on how it is reached.
#[derive(Clone, Copy, Debug)]
pub struct CookieJar {
    secure: bool,
}

/// One of the console's cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// The session's token.
    Session,
    /// Binds the sign-in form to the browser before there is a session.
    SignIn,
    /// Which message the next page shows.
    Flash,
}

impl Cookie {
    fn plain_name(self) -> &'static str {
        match self {
            Self::Session => "indicia_session",
            Self::SignIn => "indicia_signin",
            Self::Flash => "indicia_flash",
        }
    }

    fn host_name(self) -> &'static str {
        match self {
            Self::Session => "__Host-indicia_session",
            Self::SignIn => "__Host-indicia_signin",
            Self::Flash => "__Host-indicia_flash",
        }
    }
}

impl CookieJar {
    /// `public_url` is the console's address as browsers see it.
    pub fn for_url(public_url: &str) -> Self {
        Self { secure: public_url.trim_start().to_ascii_lowercase().starts_with("https://") }
    }

    fn name(self, cookie: Cookie) -> &'static str {
        if self.secure { cookie.host_name() } else { cookie.plain_name() }
    }

    /// The value that the browser sent. Should it send several of the name, the first counts.
    pub fn get(self, headers: &HeaderMap, cookie: Cookie) -> Option<&str> {
        let name = self.name(cookie);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    }

    /// The header that sets the cookie until the browser is closed, or for `max_age_seconds`.
    ///
    /// `value` is ours: hexadecimal digits or a word of the flash table.
    pub fn set(self, cookie: Cookie, value: &str, max_age_seconds: Option<i64>) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        let age = max_age_seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let line = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", self.name(cookie));
        HeaderValue::from_str(&line)
            .unwrap_or_else(|_| HeaderValue::from_static("indicia_flash=; Path=/; Max-Age=0"))
    }

    /// The header that makes the browser forget the cookie.
    pub fn clear(self, cookie: Cookie) -> HeaderValue {
        self.set(cookie, "", Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_https_the_cookie_is_secure_and_bound_to_the_host() {
        let value = CookieJar::for_url("https://mail.example.com").set(Cookie::Session, "ab", Some(60));
        assert_eq!(value, "__Host-indicia_session=ab; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
        let value = CookieJar::for_url("http://127.0.0.1:8026").set(Cookie::Session, "ab", None);
        assert_eq!(value, "indicia_session=ab; Path=/; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn the_right_cookie_is_found_among_others() {
        let jar = CookieJar::for_url("http://127.0.0.1");
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; xindicia_session=no; indicia_session=yes"),
        );
        headers.append(header::COOKIE, HeaderValue::from_static("indicia_flash=bought"));
        assert_eq!(jar.get(&headers, Cookie::Session), Some("yes"));
        assert_eq!(jar.get(&headers, Cookie::Flash), Some("bought"));
        assert_eq!(jar.get(&headers, Cookie::SignIn), None);
    }
}
