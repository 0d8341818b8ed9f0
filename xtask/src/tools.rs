//! The programs that the suites need besides Rust and Python, and how Debian calls them.
//!
//! Installing must not start anything: a Postfix or PostgreSQL that came up as a system service would take
//! ports and read mail. Debian asks `/usr/sbin/policy-rc.d` before it starts a service; while apt runs, one
//! that always says no is put there, unless the machine has its own. Postfix's configuration question is
//! answered beforehand with "No configuration".

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::process::{self, Error, command, find};
use crate::steps::Step;

struct Tool {
    package: &'static str,
    present: fn() -> bool,
    needed_by: &'static [Step],
}

const SERVER_SUITES: &[Step] = &[Step::E2e, Step::Sdk, Step::Browser, Step::Crash];
const POLICY_PATH: &str = "/usr/sbin/policy-rc.d";
const POLICY_DENIES_ALL: &str = "#!/bin/sh\nexit 101\n";

const TOOLS: &[Tool] = &[
    Tool { package: "postgresql", present: has_postgres, needed_by: SERVER_SUITES },
    Tool { package: "dnsmasq-base", present: || find("dnsmasq").is_some(), needed_by: SERVER_SUITES },
    Tool {
        package: "postfix",
        present: || Path::new("/usr/lib/postfix/sbin/master").is_file(),
        needed_by: &[Step::E2e],
    },
    Tool { package: "libfaketime", present: has_faketime, needed_by: &[Step::E2e] },
    Tool { package: "chromium", present: || find("chromium").is_some(), needed_by: &[Step::Browser] },
    Tool {
        package: "chromium-driver",
        present: || find("chromedriver").is_some(),
        needed_by: &[Step::Browser],
    },
];

fn has_postgres() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin/initdb").is_file())
        || find("initdb").is_some()
}

fn has_faketime() -> bool {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders.into_iter().any(|folder| folder.path().join("faketime/libfaketimeMT.so.1").is_file())
}

/// Makes sure that all tools of the suites are there.
///
/// # Errors
/// `Missing` with the command to type when something is missing and may not be installed from here.
pub fn ensure(suites: impl Iterator<Item = Step>, may_install: bool) -> Result<(), Error> {
    let suites: Vec<Step> = suites.collect();
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|tool| tool.needed_by.iter().any(|step| suites.contains(step)) && !(tool.present)())
        .map(|tool| tool.package)
        .collect();
    install(&missing, may_install)
}

/// Installs Debian packages, when there are any in the list and it is allowed and possible.
pub fn install(packages: &[&str], may_install: bool) -> Result<(), Error> {
    if packages.is_empty() {
        println!("nothing to install");
        return Ok(());
    }
    if !may_install || !is_root() || find("apt-get").is_none() {
        return Err(Error::Missing(format!(
            "missing on this machine. Install with: sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
            packages.join(" ")
        )));
    }
    println!("installing: {}", packages.join(" "));
    let _services_stay_down = ServicesStayDown::begin()?;
    if packages.contains(&"postfix") {
        answer_postfix_question();
    }
    process::run(apt(&["update", "--quiet"]))?;
    let mut arguments = vec!["install", "-y", "--quiet", "--no-install-recommends"];
    arguments.extend(packages);
    process::run(apt(&arguments))
}

fn apt(arguments: &[&str]) -> std::process::Command {
    let mut made = command("apt-get");
    made.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    made
}

fn is_root() -> bool {
    let mut id = command("id");
    id.arg("-u");
    process::output(id).trim() == "0"
}

/// Best effort: without it the package's own default is a local-only configuration, which does no harm.
fn answer_postfix_question() {
    let child = command("debconf-set-selections").stdin(Stdio::piped()).spawn();
    if let Ok(mut child) = child {
        if let Some(mut input) = child.stdin.take() {
            let _ = input.write_all(b"postfix postfix/main_mailer_type select No configuration\n");
        }
        let _ = child.wait();
    }
}

/// While it lives, Debian starts no service that it installs.
struct ServicesStayDown {
    ours: bool,
}

impl ServicesStayDown {
    fn begin() -> Result<Self, Error> {
        if Path::new(POLICY_PATH).exists() {
            return Ok(Self { ours: false });
        }
        let failed = |source| Error::File { path: POLICY_PATH.into(), source };
        fs::write(POLICY_PATH, POLICY_DENIES_ALL).map_err(failed)?;
        fs::set_permissions(POLICY_PATH, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        Ok(Self { ours: true })
    }
}

impl Drop for ServicesStayDown {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY_PATH);
        }
    }
}
