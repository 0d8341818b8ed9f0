//! The small parts that every page is put together from: icons, status badges, notes, facts, pagers.
//!
//! Each is a value that knows its own HTML, so that a template only places it. A status is told by its
//! words and by the shape of its icon; colour only helps.

use std::fmt;

use askama::{Template, filters::HtmlSafe};

/// What a status means for the reader, apart from its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// On its way; nothing to do.
    Info,
    /// Worth a look.
    Warn,
    /// Wrong, and someone has to act.
    Bad,
    /// Over, or not in play.
    Neutral,
}

impl Tone {
    /// The suffix of the CSS class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Neutral => "neutral",
        }
    }

    /// The icon whose shape carries the tone.
    pub fn icon(self) -> Icon {
        match self {
            Self::Good => Icon::Check,
            Self::Info => Icon::Clock,
            Self::Warn => Icon::Alert,
            Self::Bad => Icon::Cross,
            Self::Neutral => Icon::Dash,
        }
    }
}

/// A line icon on a 16 x 16 grid, drawn with the text's own colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    Alert,
    Arrow,
    Check,
    Clock,
    Cross,
    Dash,
    Download,
    Globe,
    Home,
    Inbox,
    Key,
    Lock,
    Mail,
    Package,
    People,
    Person,
    Shield,
    SignOut,
    Wallet,
}

impl Icon {
    fn path(self) -> &'static str {
        match self {
            Self::Alert => "M8 2.2 14.4 13.4H1.6ZM8 6.4v3.2M8 11.4v.2",
            Self::Arrow => "M3 8h10M9 4l4 4-4 4",
            Self::Check => "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM5.4 8.2l1.9 1.9 3.4-3.9",
            Self::Clock => "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM8 4.8V8l2.2 1.5",
            Self::Cross => "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM5.9 5.9l4.2 4.2M10.1 5.9l-4.2 4.2",
            Self::Dash => "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM5.4 8h5.2",
            Self::Download => "M8 2v8M4.6 7 8 10.4 11.4 7M2.5 13.5h11",
            Self::Globe => {
                "M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0ZM2 8h12M8 2c2 2 2.6 4 2.6 6S10 12 8 14M8 2C6 4 5.4 6 5.4 8S6 12 8 14"
            }
            Self::Home => "M2.5 7.6 8 2.8l5.5 4.8M4 6.8v6.4h8V6.8M6.8 13.2V9.6h2.4v3.6",
            Self::Inbox => "M2 9.2 4 3h8l2 6.2V13H2ZM2 9.2h3.6L6.6 11h2.8l1-1.8H14",
            Self::Key => "M8.6 7.4 14 2M11.4 4.6l1.8 1.8M9.4 10.2a3.2 3.2 0 1 1-6.4 0 3.2 3.2 0 0 1 6.4 0Z",
            Self::Lock => "M3.5 7.2h9v6h-9ZM5.4 7.2V5a2.6 2.6 0 0 1 5.2 0v2.2",
            Self::Mail => "M2 3.8h12v8.6H2ZM2.4 4.2 8 8.8l5.6-4.6",
            Self::Package => "M2.4 5 8 2l5.6 3v6L8 14l-5.6-3ZM2.4 5 8 8l5.6-3M8 8v6",
            Self::People => {
                "M8.2 5a2.2 2.2 0 1 1-4.4 0 2.2 2.2 0 0 1 4.4 0ZM1.8 13c0-2.6 1.6-4 4.2-4s4.2 1.4 4.2 4M10.6 3.2a2.2 2.2 0 0 1 0 3.8M11.6 9.2c1.7.5 2.6 1.8 2.6 3.8"
            }
            Self::Person => {
                "M10.6 5.2a2.6 2.6 0 1 1-5.2 0 2.6 2.6 0 0 1 5.2 0ZM2.8 13.6c0-2.8 2-4.4 5.2-4.4s5.2 1.6 5.2 4.4"
            }
            Self::Shield => {
                "M8 1.8 13.2 3.8V8c0 3-2.1 5.2-5.2 6.2C4.9 13.2 2.8 11 2.8 8V3.8ZM5.6 8.1l1.7 1.7 3.2-3.6"
            }
            Self::SignOut => "M6.4 2.6H3v10.8h3.4M7 8h6.6M10.8 5.2 13.6 8l-2.8 2.8",
            Self::Wallet => "M2 4.4h11.2v8.8H2ZM2 4.4 10.6 2v2.4M10.4 8.8h2.8",
        }
    }
}

impl fmt::Display for Icon {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            r#"<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false"><path d="{}"/></svg>"#,
            self.path()
        )
    }
}

impl HtmlSafe for Icon {}

/// A status in words, with the icon of its tone.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<span class="badge badge-{{ tone.class() }}">{{ tone.icon() }}{{ label }}</span>"#
)]
pub struct Badge {
    pub tone: Tone,
    pub label: String,
}

impl Badge {
    pub fn new(tone: Tone, label: impl Into<String>) -> Self {
        Self { tone, label: label.into() }
    }
}

impl HtmlSafe for Badge {}

/// A message about the page as a whole: what happened and what to do.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<div class="note note-{{ tone.class() }}" role="{% if tone == Tone::Bad %}alert{% else %}status{% endif %}">{{ tone.icon() }}<div><strong>{{ title }}</strong>{% if !text.is_empty() %}<p>{{ text }}</p>{% endif %}{% if let Some(link) = link %}<p><a href="{{ link.href }}">{{ link.text }}</a></p>{% endif %}</div></div>"#
)]
pub struct Note {
    pub tone: Tone,
    pub title: String,
    pub text: String,
    pub link: Option<Link>,
}

impl Note {
    pub fn new(tone: Tone, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { tone, title: title.into(), text: text.into(), link: None }
    }

    pub fn with_link(mut self, href: impl Into<String>, text: impl Into<String>) -> Self {
        self.link = Some(Link { href: href.into(), text: text.into() });
        self
    }
}

impl HtmlSafe for Note {}

/// Where to go, and what the reader calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub href: String,
    pub text: String,
}

impl Link {
    pub fn new(href: impl Into<String>, text: impl Into<String>) -> Self {
        Self { href: href.into(), text: text.into() }
    }
}

/// Numbered pages of a list that is small enough to count.
#[derive(Clone, Debug, Template)]
#[template(path = "partials/pager.html")]
pub struct Pager {
    /// From 1.
    pub page: u32,
    pub pages: u32,
    /// `21 to 40 of 63 packages`.
    pub summary: String,
    pub previous: Option<String>,
    pub next: Option<String>,
    /// What the two links say.
    pub words: (&'static str, &'static str),
}

impl HtmlSafe for Pager {}

impl Pager {
    /// `href` makes the address of a page by its number. `page` is brought into range.
    pub fn numbered(page: u32, page_size: u32, total: u64, noun: &str, href: impl Fn(u32) -> String) -> Self {
        let pages = u32::try_from(total.div_ceil(u64::from(page_size.max(1)))).unwrap_or(u32::MAX).max(1);
        let page = page.clamp(1, pages);
        let first = u64::from(page - 1) * u64::from(page_size) + 1;
        let last = (u64::from(page) * u64::from(page_size)).min(total);
        let count = i64::try_from(total).unwrap_or(i64::MAX);
        let counted = crate::format::counted(count, noun);
        let summary = if pages == 1 {
            counted
        } else {
            format!("{} to {} of {counted}", grouped(first), grouped(last))
        };
        Self {
            page,
            pages,
            summary,
            previous: (page > 1).then(|| href(page - 1)),
            next: (page < pages).then(|| href(page + 1)),
            words: ("Previous", "Next"),
        }
    }

    /// A list that is walked by token: there is a way on and a way back to its beginning, and no total.
    pub fn walked(
        first: Option<String>,
        next: Option<String>,
        summary: impl Into<String>,
        words: (&'static str, &'static str),
    ) -> Self {
        Self { page: 0, pages: 0, summary: summary.into(), previous: first, next, words }
    }

    /// A list that is walked from the newest to the oldest.
    pub fn newest_first(first: Option<String>, next: Option<String>) -> Self {
        Self::walked(first, next, "Newest first", ("Back to the newest", "Older"))
    }

    /// Whether pages have numbers.
    pub fn is_numbered(&self) -> bool {
        self.pages > 0
    }
}

fn grouped(value: u64) -> String {
    crate::format::mails(i64::try_from(value).unwrap_or(i64::MAX))
}

/// What a list says when there is nothing in it, and what the reader can do about that.
#[derive(Clone, Debug, Template)]
#[template(
    ext = "html",
    source = r#"<div class="empty">{{ icon }}<h3>{{ title }}</h3><p>{{ text }}</p>{% if let Some(link) = link %}<p><a class="button" href="{{ link.href }}">{{ link.text }}</a></p>{% endif %}</div>"#
)]
pub struct Empty {
    pub icon: Icon,
    pub title: String,
    pub text: String,
    pub link: Option<Link>,
}

impl Empty {
    pub fn new(icon: Icon, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { icon, title: title.into(), text: text.into(), link: None }
    }

    pub fn with_link(mut self, href: impl Into<String>, text: impl Into<String>) -> Self {
        self.link = Some(Link::new(href, text));
        self
    }
}

impl HtmlSafe for Empty {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_badge_has_words_and_a_shape() {
        let html = Badge::new(Tone::Good, "Delivered").render().unwrap();
        insta::assert_snapshot!("badge_good", html);
    }

    #[test]
    fn words_from_outside_are_escaped() {
        let badge = Badge::new(Tone::Bad, "<script>alert(1)</script>").render().unwrap();
        assert!(!badge.contains("<script>"), "{badge}");
        let note = Note::new(Tone::Warn, "\"><b>", "a & b").with_link("\"onload=x", "go").render().unwrap();
        assert!(!note.contains("<b>") && !note.contains("\"onload"), "{note}");
        insta::assert_snapshot!("note_escaped", note);
    }

    #[test]
    fn a_pager_brings_the_page_into_range() {
        let pager = Pager::numbered(99, 20, 63, "package", |page| format!("?page={page}"));
        assert_eq!((pager.page, pager.pages), (4, 4));
        assert_eq!(pager.summary, "61 to 63 of 63 packages");
        assert_eq!(pager.previous.as_deref(), Some("?page=3"));
        assert_eq!(pager.next, None);
        let only = Pager::numbered(0, 20, 1, "package", |_| String::new());
        assert_eq!((only.page, only.pages, only.summary.as_str()), (1, 1, "1 package"));
    }

    #[test]
    fn an_empty_list_says_what_to_do_next() {
        let empty = Empty::new(Icon::Package, "No packages", "Mail is charged as you go.");
        insta::assert_snapshot!("empty_state", empty.with_link("/buy", "Buy a package").render().unwrap());
    }
}
