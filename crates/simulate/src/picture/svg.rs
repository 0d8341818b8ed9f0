//! A small writer of SVG: shapes, texts, axes. Plain attributes, no script, a white ground, colours that people with
//! colour blindness tell apart (Okabe and Ito).

use std::fmt::Write;

/// Enough for every kind and regime.
pub const COLOURS: [&str; 8] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5c00", "#444444"];
pub const INK: &str = "#222222";
const FAINT: &str = "#dddddd";

/// A drawing.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text hangs on its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Svg {
    pub fn new(width: f64, height: f64) -> Svg {
        Svg { width, height, body: String::new() }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64, dashes: &str) {
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}/>",
            from.0, from.1, to.0, to.1
        ));
    }

    pub fn path(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        self.push(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"/>",
            joined(points)
        ));
    }

    pub fn area(&mut self, points: &[(f64, f64)], colour: &str, opacity: f64) {
        let points = joined(points);
        self.push(format_args!(
            "<polygon points=\"{points}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>"
        ));
    }

    pub fn dot(&mut self, at: (f64, f64), radius: f64, colour: &str, opacity: f64) {
        self.push(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>",
            at.0, at.1
        ));
    }

    pub fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, colour: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.push(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{}</text>",
            at.0,
            at.1,
            escaped(text)
        ));
    }

    /// Read from below.
    pub fn upright_text(&mut self, at: (f64, f64), size: f64, text: &str) {
        self.push(format_args!(
            "<text x=\"{0:.1}\" y=\"{1:.1}\" font-size=\"{size}\" text-anchor=\"middle\" fill=\"{INK}\" \
             transform=\"rotate(-90 {0:.1} {1:.1})\">{2}</text>",
            at.0,
            at.1,
            escaped(text)
        ));
    }

    pub fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"Helvetica, Arial, sans-serif\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// How values become places.
#[derive(Clone, Debug)]
pub struct Scale {
    pub low: f64,
    pub high: f64,
    pub logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
}

impl Scale {
    /// Even, with about `count` round ticks.
    pub fn even(low: f64, high: f64, count: usize, label: impl Fn(f64) -> String) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        let rough = (high - low) / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power);
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let ticks = (first..=last).map(|at| at as f64 * step).map(|at| (at, label(at))).collect();
        Scale { low, high, logarithmic: false, ticks }
    }

    /// Even in the logarithm, with a tick at each power of ten.
    pub fn powers(low: f64, high: f64, label: impl Fn(f64) -> String) -> Scale {
        let low = low.max(f64::MIN_POSITIVE);
        let high = high.max(low * 10.0);
        let (first, last) = ((low.log10() - 1e-9).ceil() as i32, (high.log10() + 1e-9).floor() as i32);
        let ticks = (first..=last).map(|power| 10f64.powi(power)).map(|at| (at, label(at))).collect();
        Scale { low, high, logarithmic: true, ticks }
    }

    /// Between 0 and 1; what lies outside is put on the edge.
    fn place(&self, value: f64) -> f64 {
        let part = match self.logarithmic {
            true => (value.max(self.low) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        part.clamp(0.0, 1.0)
    }
}

/// A framed plot.
#[derive(Clone, Debug)]
pub struct Plot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Plot {
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let (across, up) = (self.x.place(x), self.y.place(y));
        (self.left + across * self.width, self.top + self.height * (1.0 - up))
    }

    /// Grid, frame, ticks and titles; an empty title draws none.
    pub fn frame(&self, svg: &mut Svg, title: &str, x_title: &str, y_title: &str) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for (value, label) in &self.x.ticks {
            let (x, _) = self.at(*value, self.y.low);
            svg.line((x, self.top), (x, bottom), FAINT, 1.0, "");
            svg.text((x, bottom + 16.0), 12.0, Anchor::Middle, INK, label);
        }
        for (value, label) in &self.y.ticks {
            let (_, y) = self.at(self.x.low, *value);
            svg.line((self.left, y), (right, y), FAINT, 1.0, "");
            svg.text((self.left - 6.0, y + 4.0), 12.0, Anchor::End, INK, label);
        }
        svg.line((self.left, bottom), (right, bottom), INK, 1.2, "");
        svg.line((self.left, self.top), (self.left, bottom), INK, 1.2, "");
        svg.text((self.left, self.top - 8.0), 14.0, Anchor::Start, INK, title);
        svg.text((self.left + self.width / 2.0, bottom + 34.0), 12.0, Anchor::Middle, INK, x_title);
        if !y_title.is_empty() {
            svg.upright_text((self.left - 56.0, self.top + self.height / 2.0), 12.0, y_title);
        }
    }

    pub fn line(&self, svg: &mut Svg, points: &[(f64, f64)], colour: &str) {
        let placed: Vec<_> = points.iter().map(|(x, y)| self.at(*x, *y)).collect();
        svg.path(&placed, colour, 2.0);
    }

    /// From the lower to the upper value at each x.
    pub fn band(&self, svg: &mut Svg, points: &[(f64, f64, f64)], colour: &str) {
        let lower = points.iter().map(|(x, low, _)| self.at(*x, *low));
        let upper = points.iter().rev().map(|(x, _, high)| self.at(*x, *high));
        let outline: Vec<_> = lower.chain(upper).collect();
        svg.area(&outline, colour, 0.18);
    }

    /// A dashed line at a value of x, with words above its upper end.
    pub fn mark(&self, svg: &mut Svg, x: f64, words: &str) {
        let (across, _) = self.at(x, self.y.low);
        svg.line((across, self.top - 4.0), (across, self.top + self.height), INK, 1.2, "5 4");
        let is_right = across > self.left + self.width * 0.7;
        let (anchor, aside) = if is_right { (Anchor::End, 4.0) } else { (Anchor::Start, -4.0) };
        svg.text((across + aside, self.top - 8.0), 12.0, anchor, INK, words);
    }

    /// The same across, with words at its right end.
    pub fn level(&self, svg: &mut Svg, y: f64, words: &str) {
        let (_, up) = self.at(self.x.low, y);
        svg.line((self.left, up), (self.left + self.width, up), INK, 1.2, "5 4");
        // Near the upper edge there is no room above.
        let words_at = if up < self.top + 20.0 { up + 15.0 } else { up - 5.0 };
        svg.text((self.left + self.width - 4.0, words_at), 12.0, Anchor::End, INK, words);
    }
}

/// Names beside their colours, one under the other.
pub fn legend(svg: &mut Svg, at: (f64, f64), names: &[(String, &str)]) {
    for (place, (name, colour)) in names.iter().enumerate() {
        let y = at.1 + place as f64 * 18.0;
        svg.line((at.0, y - 4.0), (at.0 + 22.0, y - 4.0), colour, 3.0, "");
        svg.text((at.0 + 28.0, y), 12.0, Anchor::Start, INK, name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels =
            |scale: Scale| scale.ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ");
        assert_eq!(labels(Scale::even(0.0, 26.0, 6, |at| format!("{at}"))), "0 5 10 15 20 25");
        assert_eq!(labels(Scale::powers(100.0, 20_000.0, |at| format!("{at}"))), "100 1000 10000");
        assert_eq!(
            labels(Scale::even(0.9, 1.0, 5, |at| format!("{at:.2}"))),
            "0.90 0.92 0.94 0.96 0.98 1.00"
        );
    }

    #[test]
    fn values_find_their_place() {
        let plot = Plot {
            left: 10.0,
            top: 20.0,
            width: 100.0,
            height: 50.0,
            x: Scale::even(0.0, 10.0, 5, |_| String::new()),
            y: Scale::powers(1.0, 100.0, |_| String::new()),
        };
        assert_eq!(plot.at(0.0, 1.0), (10.0, 70.0));
        assert_eq!(plot.at(5.0, 10.0), (60.0, 45.0));
        assert_eq!(plot.at(99.0, 1e9), (110.0, 20.0), "on the edge");
    }

    #[test]
    fn texts_cannot_break_the_drawing() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((1.0, 1.0), 12.0, Anchor::Start, INK, "a < b & c");
        let drawn = svg.finish();
        assert!(
            drawn.contains("a &lt; b &amp; c") && drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n")
        );
    }
}
