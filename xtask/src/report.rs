//! What a run shows: a heading for each step, its time, and a table at the end.

use std::time::{Duration, Instant};

use crate::process::Error;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

#[derive(Default)]
pub struct Report {
    lines: Vec<(String, Duration, Outcome)>,
}

impl Report {
    /// Runs one step under its heading and remembers how it went.
    pub fn step(&mut self, title: &str, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        println!("\n=== {title} ===");
        let start = Instant::now();
        let result = work();
        let outcome = if result.is_ok() { Outcome::Passed } else { Outcome::Failed };
        println!("--- {title}: {} in {}", word(outcome), seconds(start.elapsed()));
        self.lines.push((title.to_owned(), start.elapsed(), outcome));
        result
    }

    pub fn print(&self) {
        println!("\n=== Summary ===");
        for (title, took, outcome) in &self.lines {
            println!("{:<7} {:>8}  {title}", word(*outcome), seconds(*took));
        }
        let total: Duration = self.lines.iter().map(|(_, took, _)| *took).sum();
        println!("{:<7} {:>8}  in all", "", seconds(total));
        let failed = self.lines.iter().filter(|(_, _, outcome)| *outcome == Outcome::Failed).count();
        println!("steps: {} passed, {failed} failed", self.lines.len() - failed);
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
