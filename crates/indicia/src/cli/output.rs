//! What a command prints. A reader that has seen enough (`| head`) closes the pipe; that ends the command quietly
//! and is no failure of it. An output that takes nothing (a full disk) is one. So no command uses `println!`, which
//! would panic on both.

use std::fmt;
use std::io::{self, BufWriter, Stdout, Write};

use super::{Done, Failure};

/// Buffered standard output.
pub struct Out(BufWriter<Stdout>);

impl Out {
    pub fn open() -> Self {
        Out(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    pub fn line(&mut self, line: impl fmt::Display) -> Done {
        writeln!(self.0, "{line}").map_err(told)
    }

    /// Without this the last lines could be lost unnoticed.
    pub fn close(mut self) -> Done {
        self.0.flush().map_err(told)
    }
}

/// Prints one text and a newline.
pub fn print(text: impl fmt::Display) -> Done {
    let mut out = Out::open();
    out.line(text)?;
    out.close()
}

/// A count with its noun, as in `1 bill` and `2 bills`.
pub fn counted(count: impl Into<i128>, noun: &str) -> String {
    let count = count.into();
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn told(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::unread(),
        _ => Failure::failed(format!("standard output cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1_i64, "bill"), "1 bill");
        assert_eq!(counted(0_u64, "bill"), "0 bills");
        assert_eq!(counted(2_i64, "mail"), "2 mails");
    }
}
