//! Lines to standard output. A reader that has seen enough (`| head`) closes the pipe; that ends the command
//! quietly and is no failure of it.

use std::fmt;
use std::io::{self, BufWriter, Stdout, Write};

use super::Failure;

/// Buffered standard output.
pub struct Out(BufWriter<Stdout>);

impl Out {
    pub fn open() -> Self {
        Out(BufWriter::with_capacity(64 * 1024, io::stdout()))
    }

    pub fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.0, "{line}").map_err(told)
    }

    /// Without this the last lines could be lost unnoticed.
    pub fn close(mut self) -> Result<(), Failure> {
        self.0.flush().map_err(told)
    }
}

fn told(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::unread(),
        _ => Failure::failed(format!("standard output cannot be written: {error}")),
    }
}
