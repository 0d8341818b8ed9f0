//! Who runs the command, as the machine knows it. Environment variables say what anybody likes, so the name comes
//! from the process's real user id and the password database.
//!
//! The id is the first number of `Uid:` in `/proc/self/status`, the name that of `/etc/passwd`. Where the machine has
//! neither (another kernel, users in a directory service) the id, or "an unknown user", stands alone. `sudo` makes
//! everybody root; whom it acted for it says in the environment, which root may have set: so that is marked as claimed.

use std::fs;

/// Characters of a claimed name that are kept.
const CLAIM_LENGTH_MAX: usize = 64;

/// As `ann (uid 1000)`, or `root (uid 0), by sudo for ann (uid 1000), as claimed`.
pub fn acting() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let claim = |name: &str| std::env::var(name).ok();
    described(
        &read("/proc/self/status"),
        &read("/etc/passwd"),
        claim("SUDO_USER").as_deref(),
        claim("SUDO_UID").as_deref(),
    )
}

fn described(status: &str, passwords: &str, sudo_user: Option<&str>, sudo_uid: Option<&str>) -> String {
    let user = match real_uid(status) {
        Some(uid) => match name_of(passwords, uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        },
        None => "an unknown user".to_owned(),
    };
    match claimed(sudo_user, sudo_uid) {
        Some(other) => format!("{user}, by sudo for {other}, as claimed"),
        None => user,
    }
}

/// `Uid:` is followed by the real, effective, saved and file system id.
fn real_uid(status: &str) -> Option<u32> {
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    ids.split_whitespace().next()?.parse().ok()
}

/// The name of an id in the form of `/etc/passwd`: `name:password:uid:…`.
fn name_of(passwords: &str, uid: u32) -> Option<&str> {
    passwords.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid) && !name.is_empty()).then_some(name)
    })
}

fn claimed(user: Option<&str>, uid: Option<&str>) -> Option<String> {
    let user: String = user?.chars().filter(|found| !found.is_control()).take(CLAIM_LENGTH_MAX).collect();
    if user.is_empty() {
        return None;
    }
    Some(match uid.and_then(|uid| uid.parse::<u32>().ok()) {
        Some(uid) => format!("{user} (uid {uid})"),
        None => user,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tindicia\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nGid:\t1000\t1000\t1000\t1000\n";
    const PASSWORDS: &str = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann:/home/ann:/bin/sh\n";

    #[test]
    fn the_real_user_is_named_and_not_the_effective_one() {
        assert_eq!(described(STATUS, PASSWORDS, None, None), "ann (uid 1000)");
    }

    #[test]
    fn a_user_without_a_name_is_a_number() {
        assert_eq!(described(STATUS, "", None, None), "uid 1000");
        assert_eq!(described(STATUS, "garbage\n:x:1000:\nann:x:not-a-number:1\n", None, None), "uid 1000");
        assert_eq!(described("", PASSWORDS, None, None), "an unknown user");
    }

    #[test]
    fn what_sudo_says_is_a_claim() {
        let status = STATUS.replace("1000\t0", "0\t0");
        let by = |user, uid| described(&status, PASSWORDS, user, uid);
        assert_eq!(by(Some("ann"), Some("1000")), "root (uid 0), by sudo for ann (uid 1000), as claimed");
        assert_eq!(by(Some("a\nnn"), Some("x")), "root (uid 0), by sudo for ann, as claimed");
        assert_eq!(by(Some(""), Some("1000")), "root (uid 0)");
        assert_eq!(by(None, Some("1000")), "root (uid 0)");
        assert!(by(Some(&"x".repeat(500)), None).len() < 120);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_a_user() {
        assert!(acting().contains("uid "), "{}", acting());
    }
}
