//! The Python environment of the suites: `target/e2e-venv`, with the versions that tests/requirements.txt pins.
//!
//! A copy of the requirements is left inside when the installation is complete, so that the next run sees
//! without asking pip whether anything changed.

use std::fs;
use std::path::PathBuf;

use crate::process::{self, Error, command, root};
use crate::tools;

const OLDEST_PYTHON: &str = "import sys; sys.exit(sys.version_info < (3, 11))";

fn folder() -> PathBuf {
    root().join("target/e2e-venv")
}

pub fn python() -> PathBuf {
    folder().join("bin/python")
}

/// Makes the environment if it is not there, or its requirements changed.
pub fn ensure(may_install: bool) -> Result<(), Error> {
    let wanted_path = root().join("tests/requirements.txt");
    let wanted = fs::read_to_string(&wanted_path)
        .map_err(|source| Error::File { path: wanted_path.clone(), source })?;
    let stamp = folder().join("requirements.installed");
    if python().is_file() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        println!("Python environment is up to date");
        return Ok(());
    }
    let mut version = command("python3");
    version.args(["-c", OLDEST_PYTHON]);
    if !process::succeeds(version) {
        tools::install(&["python3", "python3-venv"], may_install)?;
    }
    if process::run(create()).is_err() {
        // Debian's python3 comes without ensurepip until python3-venv is installed.
        tools::install(&["python3-venv"], may_install)?;
        process::run(create())?;
    }
    let mut pip = command(python());
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&wanted_path);
    process::run(pip)?;
    fs::write(&stamp, wanted).map_err(|source| Error::File { path: stamp, source })
}

fn create() -> std::process::Command {
    let mut made = command("python3");
    made.args(["-m", "venv", "--clear"]).arg(folder());
    made
}
