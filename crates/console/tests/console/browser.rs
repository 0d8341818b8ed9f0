//! A browser as far as the tests need one: it keeps cookies, follows redirects and fills in hidden fields.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, Response, StatusCode, header},
};
use http_body_util::BodyExt;
use indicia_console::router;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tower::ServiceExt;

use crate::world::{PASSWORD, World};

/// Redirects followed at most.
const HOPS_MAX: usize = 5;

pub struct Browser {
    service: Router,
    pub cookies: BTreeMap<String, String>,
    pub peer: SocketAddr,
    /// Headers sent with every request.
    pub extra: Vec<(&'static str, &'static str)>,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// The address that gave this answer, after redirects.
    pub path: String,
}

impl Browser {
    pub fn on(world: &World) -> Self {
        Self {
            service: router(world.state.clone()),
            cookies: BTreeMap::new(),
            peer: SocketAddr::from(([192, 0, 2, 44], 40_000)),
            extra: vec![("accept", "text/html")],
        }
    }

    /// A browser that is signed in.
    pub async fn signed_in(world: &World, email: &str) -> Self {
        let mut browser = Self::on(world);
        let answer = browser.sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        browser
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Answer {
        let page = self.get("/login").await;
        let csrf = page.hidden("csrf");
        self.post("/login", &[("csrf", &csrf), ("email", email), ("password", password)]).await
    }

    /// A page whose body is still to be read.
    pub async fn open(&mut self, path: &str) -> Response<Body> {
        let request = self.request(Method::GET, path, None);
        self.service.clone().oneshot(request).await.expect("an answer")
    }

    /// One request without following where it leads.
    pub async fn once(&mut self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Answer {
        let request = self.request(method, path, form);
        let response = self.service.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("the whole body").to_bytes();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().expect("an ASCII cookie"));
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
            path: path.to_owned(),
        }
    }

    fn request(&self, method: Method, path: &str, form: Option<&[(&str, &str)]>) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if !self.cookies.is_empty() {
            let line: Vec<String> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, line.join("; "));
        }
        for (name, value) in &self.extra {
            request = request.header(*name, *value);
        }
        let body = match form {
            Some(fields) => {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let escape = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
                let pairs: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
                    .collect();
                Body::from(pairs.join("&"))
            }
            None => Body::empty(),
        };
        let mut request = request.body(body).expect("a request");
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request
    }

    fn keep(&mut self, cookie: &str) {
        let (name, value) =
            cookie.split(';').next().and_then(|pair| pair.split_once('=')).expect("name=value");
        if cookie.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        let answer = self.once(Method::GET, path, None).await;
        self.follow(answer).await
    }

    pub async fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let answer = self.once(Method::POST, path, Some(form)).await;
        self.follow(answer).await
    }

    async fn follow(&mut self, mut answer: Answer) -> Answer {
        for _ in 0..HOPS_MAX {
            let Some(to) = answer.headers.get(header::LOCATION) else { return answer };
            let to = to.to_str().expect("an ASCII address").to_owned();
            answer = self.once(Method::GET, &to, None).await;
        }
        panic!("more than {HOPS_MAX} redirects, last {}", answer.path);
    }
}

impl Answer {
    /// The value of the first hidden field of that name.
    pub fn hidden(&self, name: &str) -> String {
        let start = format!(r#"name="{name}" value=""#);
        let (_, rest) =
            self.text.split_once(&start).unwrap_or_else(|| panic!("no field {name} on {}", self.path));
        rest.split('"').next().expect("a value").to_owned()
    }

    /// Addresses on the page that contain `part`, each once, in their order.
    pub fn links(&self, part: &str) -> Vec<String> {
        let mut links: Vec<String> = Vec::new();
        for piece in self.text.split(r#"href=""#).skip(1) {
            let href = piece.split('"').next().expect("a value").replace("&#38;", "&").replace("&amp;", "&");
            if href.contains(part) && !links.contains(&href) {
                links.push(href);
            }
        }
        links
    }

    #[track_caller]
    pub fn shows(&self, text: &str) {
        assert!(self.text.contains(text), "{} does not show {text:?}:\n{}", self.path, self.text);
    }

    #[track_caller]
    pub fn hides(&self, text: &str) {
        assert!(!self.text.contains(text), "{} shows {text:?}:\n{}", self.path, self.text);
    }
}
