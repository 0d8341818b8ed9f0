//! Running other programs: their output goes straight through, their failure becomes a typed error.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{program}` could not be started: {source}")]
    NotStarted { program: String, source: std::io::Error },
    #[error("`{command}` failed ({status})")]
    Failed { command: String, status: std::process::ExitStatus },
    #[error("{0}")]
    Missing(String),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

/// The workspace's root: the parent of this crate's folder.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_else(|| ".".into());
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// A command that runs in the workspace's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut made = Command::new(program);
    made.current_dir(root()).stdin(Stdio::null());
    made
}

/// Cargo, the very one that runs this task. What cargo set for this process is not handed on: it would make
/// build scripts believe that their environment changed, and build everything again.
pub fn cargo() -> Command {
    let mut made = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            made.env_remove(&name);
        }
    }
    made
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs to the end; an exit status other than 0 is an error.
pub fn run(mut command: Command) -> Result<(), Error> {
    println!("$ {}", shown(&command));
    let status = command.status().map_err(|source| Error::NotStarted {
        program: command.get_program().to_string_lossy().into_owned(),
        source,
    })?;
    if status.success() { Ok(()) } else { Err(Error::Failed { command: shown(&command), status }) }
}

/// Whether the command runs and ends with status 0; its output is not shown.
pub fn succeeds(mut command: Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What the command prints on standard output; empty when it fails.
pub fn output(mut command: Command) -> String {
    match command.stderr(Stdio::null()).output() {
        Ok(done) if done.status.success() => String::from_utf8_lossy(&done.stdout).into_owned(),
        _ => String::new(),
    }
}

/// Looks a program up in PATH and in the folders where Debian keeps servers, which a user's PATH may lack.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}
