//! What the helper of the self-check gives up: it starts this program and no other, and writes
//! where the acts of the self-check do.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, RestrictionStatus, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, path_beneath_rules,
};

use crate::container::scan;
use crate::selfcheck::child::SELF;

/// What a build for development is loaded by; what is delivered is static.
const LOADER: &[&str] = if cfg!(target_env = "gnu") {
    &["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"]
} else {
    &[]
};

/// The end of docs/reference/confinement.md.
pub(super) const ABOUT: &str = "
A helper, `monitor-daemon self-check --serve`, is started before that. It starts the children of the \
self-check, on a socket that only the daemon has, from a closed list of acts. By Landlock (from Linux \
5.13 on, where it is among the security modules) it can start no other program than this one, and \
write nowhere but in the folder for temporary files, `/dev/null` and cgroups. What it starts has no \
capabilities, unless the daemon runs as root.

The daemon itself is not under Landlock: any domain, also one about writing alone, would refuse it \
`/proc/PID/exe`, `root` and the like of all other processes. What it may write is restricted by the \
unit's `ProtectSystem=strict`.
";

/// Confines this thread, as far as the kernel can. The helper has no log: `doctor` says what is there.
pub(crate) fn helper() {
    // By these what it starts would have the daemon's capabilities, where that is not root.
    let _none = rustix::thread::clear_ambient_capability_set();
    let _confined = restrict();
}

fn restrict() -> Result<RestrictionStatus, RulesetError> {
    let write = AccessFs::from_write(ABI::V3);
    let mut places = vec![std::env::temp_dir(), PathBuf::from("/dev/null")];
    places.extend(scan::hierarchy().ok().map(|(_, root)| root));
    let programs = LOADER.iter().copied().chain([SELF]);
    Ruleset::default()
        .handle_access(write | AccessFs::Execute)?
        .create()?
        .add_rules(path_beneath_rules(programs, AccessFs::Execute))?
        .add_rules(path_beneath_rules(places, write))?
        .restrict_self()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};
    use std::thread;

    use landlock::RulesetStatus;

    use super::*;

    /// In a thread of its own, as there is no way back.
    #[test]
    fn the_helper_starts_this_program_alone() {
        let elsewhere = format!("/var/tmp/monitor-confined-{}", std::process::id());
        let confined = || {
            let status = restrict().unwrap();
            let enforced = status.ruleset != RulesetStatus::NotEnforced;
            let shell = Command::new("/bin/true").spawn();
            assert_eq!(shell.is_err(), enforced, "{status:?}");
            let written = fs::write(&elsewhere, "x");
            assert_eq!(written.is_err(), enforced, "{status:?}");
            tempfile::tempdir().unwrap();
            let mut own = Command::new(SELF);
            assert!(
                own.arg("--list")
                    .stdout(Stdio::null())
                    .status()
                    .unwrap()
                    .success()
            );
        };
        thread::scope(|scope| scope.spawn(confined).join()).unwrap();
        // It is there where there is no Landlock.
        let _gone = fs::remove_file(&elsewhere);
    }
}
