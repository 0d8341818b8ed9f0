//! Lines of a body and the length of a short message.
//!
//! A line is broken between words, and between any two Chinese characters, but never so that a closing mark
//! begins a line or an opening one ends it. What cannot be broken (an address, an id) stands on a line of its own
//! length. A Chinese character is two columns wide.

use crate::sms;

/// Columns of a line.
pub const LINE_COLUMNS: usize = 78;
/// Short messages that one notice may take.
pub const SMS_PARTS_MAX: usize = 3;
/// Packages that a short message names at most.
const SMS_NAMED_MAX: usize = 3;
/// Characters of a name that somebody else gave.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a sentence that somebody else wrote.
const SENTENCE_CHARS_MAX: usize = 500;

/// A given name on one line: no control characters, no line breaks, not endless.
pub fn one_line(name: &str) -> String {
    on_one_line(name, NAME_CHARS_MAX)
}

/// Somebody else's sentence on one line, not endless.
pub fn one_sentence(text: &str) -> String {
    on_one_line(text, SENTENCE_CHARS_MAX)
}

fn on_one_line(text: &str, chars_max: usize) -> String {
    let separators = |letter: char| letter.is_control() || letter.is_whitespace() || is_separator(letter);
    let words: Vec<&str> = text.split(separators).filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(chars_max).collect()
}

/// Unicode's own line breaks, and the marks that turn the direction of what follows.
fn is_separator(letter: char) -> bool {
    matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A body in the making.
pub struct Letter(String);

impl Letter {
    pub fn new(greeting: &str) -> Self {
        Letter(format!("{greeting}\n"))
    }

    /// A paragraph of its own.
    pub fn paragraph(mut self, text: &str) -> Self {
        self.0.push('\n');
        self.lines(text, "", "");
        self
    }

    /// A heading and its points.
    pub fn points(mut self, heading: &str, points: &[&str]) -> Self {
        self = self.paragraph(heading);
        points.iter().for_each(|point| self.lines(point, "- ", "  "));
        self
    }

    /// Something with a name, and facts about it, each on its line.
    pub fn facts(mut self, name: Option<&str>, facts: &[(&str, String)]) -> Self {
        self.0.push('\n');
        let indent = if let Some(name) = name {
            self.lines(name, "  ", "  ");
            "    "
        } else {
            "  "
        };
        let label_columns = facts.iter().map(|(label, _)| columns(label)).max().unwrap_or(0);
        for (label, fact) in facts {
            let gap = " ".repeat(label_columns - columns(label) + 2);
            let first = format!("{indent}{label}{gap}");
            let rest = " ".repeat(columns(&first));
            self.lines(fact, &first, &rest);
        }
        self
    }

    /// What a page is, and its address on the line below.
    pub fn page(mut self, what: &str, address: &str) -> Self {
        self = self.paragraph(what);
        self.0.push_str(address);
        self.0.push('\n');
        self
    }

    pub fn finish(self) -> String {
        self.0
    }

    fn lines(&mut self, text: &str, first_indent: &str, rest_indent: &str) {
        let mut line = first_indent.to_owned();
        let mut is_empty = true;
        for piece in pieces(text) {
            let space = usize::from(piece.after_space && !is_empty);
            if !is_empty && columns(&line) + space + columns(&piece.text) > LINE_COLUMNS {
                self.0.push_str(&line);
                self.0.push('\n');
                line = rest_indent.to_owned();
            } else if space == 1 {
                line.push(' ');
            }
            line.push_str(&piece.text);
            is_empty = false;
        }
        self.0.push_str(&line);
        self.0.push('\n');
    }
}

/// A piece of text that is not broken.
struct Piece {
    text: String,
    after_space: bool,
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut after_space = false;
    let mut last: Option<char> = None;
    for letter in text.chars() {
        if letter == ' ' {
            after_space = true;
            continue;
        }
        let may_break = last.is_none_or(|last| {
            let at_wide = is_wide(last) || is_wide(letter);
            after_space || at_wide && !closes(letter) && !opens(last)
        });
        match pieces.last_mut().filter(|_| !may_break) {
            Some(piece) => piece.text.push(letter),
            None => pieces.push(Piece { text: letter.into(), after_space }),
        }
        after_space = false;
        last = Some(letter);
    }
    pieces
}

fn closes(letter: char) -> bool {
    "，。；：、！？）》」】%".contains(letter)
}

fn opens(letter: char) -> bool {
    "（《「【".contains(letter)
}

/// East Asian wide: two columns.
fn is_wide(letter: char) -> bool {
    matches!(letter,
        '\u{1100}'..='\u{115F}' | '\u{2E80}'..='\u{A4CF}' | '\u{AC00}'..='\u{D7A3}' | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FF60}' | '\u{FFE0}'..='\u{FFE6}' | '\u{20000}'..='\u{3FFFD}')
}

/// Columns that a text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|letter| if is_wide(letter) { 2 } else { 1 }).sum()
}

/// Whether a text goes into at most [`SMS_PARTS_MAX`] short messages, as the gateways cut it.
pub fn fits_sms(text: &str) -> bool {
    sms::encode(text).is_ok_and(|encoded| encoded.parts.len() <= SMS_PARTS_MAX)
}

/// The short message that names as many things as fit: `write` is asked with how many to name, fewer and fewer
/// down to none.
pub fn fitting_sms(things: usize, write: impl Fn(usize) -> String) -> String {
    let named = (1..=things.min(SMS_NAMED_MAX)).rev();
    named.map(&write).find(|text| fits_sms(text)).unwrap_or_else(|| write(0))
}
