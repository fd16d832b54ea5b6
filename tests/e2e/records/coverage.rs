//! That no call is forgotten: each that upstream's rules or users of such a monitor ask for has rows
//! in the tables, of success and of failure, for both ABIs.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use monitor_policy::{EventType, Options, RulesFile, load};
use monitor_tests::paths;

use super::TABLES;
use super::doer::Done;
use super::table::{self, Abi};

/// What upstream's rules do not ask for and users do.
const ASKED_FOR: &str = "
    accept4 bind listen recvfrom recvmsg rename renameat renameat2 unlink unlinkat rmdir mkdir
    mkdirat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat truncate ftruncate setuid
    setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset setns unshare
    clone clone3 mount umount2 pivot_root fsopen fsconfig fsmount fspick open_tree move_mount
    mount_setattr open_tree_attr ptrace process_vm_writev process_vm_readv kill tkill tgkill
    rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal pidfd_open pidfd_getfd bpf perf_event_open userfaultfd io_uring_setup io_uring_enter
    io_uring_register memfd_create memfd_secret mprotect mmap pkey_mprotect name_to_handle_at
    open_by_handle_at init_module finit_module delete_module kexec_load kexec_file_load prctl keyctl
    add_key request_key symlink symlinkat link linkat dup dup2 dup3 fcntl socket socketpair sendto
    sendmsg sendmmsg splice sendfile copy_file_range setsid setpgid chroot chdir fchdir mknod
    mknodat quotactl quotactl_fd seccomp landlock_create_ruleset landlock_add_rule
    landlock_restrict_self setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr
    setxattrat removexattrat file_setattr futimesat utimensat swapon swapoff acct reboot sethostname setdomainname personality
    read write pread pwrite readv writev preadv pwritev lseek fsync ioctl close pipe pipe2
    munmap
";

/// What upstream's rules ask for: 41 types.
const UPSTREAM: &str = "
    connect dup dup2 dup3 execve execveat finit_module init_module link linkat open openat openat2
    ptrace sendmsg sendto socket symlink symlinkat accept accept4 bpf chmod creat fchmod fchmodat
    listen rename renameat renameat2 rmdir setns setuid unlink unlinkat unshare mkdir mkdirat
    recvfrom recvmsg userfaultfd
";

/// What has rows of one outcome only, and why.
const ONE_SIDED: [(&str, &str); 19] = [
    (
        "execve",
        "a program that begins cannot tell its own success: `fields`",
    ),
    ("execveat", "as execve"),
    (
        "dup",
        "told when a socket has a second descriptor, as documented",
    ),
    ("dup2", "as dup"),
    ("dup3", "as dup"),
    ("fcntl", "as dup"),
    ("setfsuid", "it never fails"),
    ("setfsgid", "it never fails"),
    ("personality", "it never fails"),
    ("init_module", "not on this host: `guest` loads a module"),
    ("finit_module", "as init_module"),
    ("delete_module", "as init_module"),
    ("kexec_load", "it would change what the host boots"),
    ("kexec_file_load", "as kexec_load"),
    ("quotactl_fd", "no file system here keeps quotas"),
    ("reboot", "it would end the host"),
    ("swapon", "it would change the host"),
    ("swapoff", "it would change the host"),
    ("acct", "it would change the host"),
];

/// What no row has succeed on this machine, and why; rows of others may fail where the kernel does not
/// let them succeed, but not everywhere.
const NOT_HERE: [(&str, &str); 0] = [];

/// Calls with rows that may succeed, of which none did.
pub(super) fn never_succeeded(all: &[Done], kernel: (u32, u32)) -> Vec<String> {
    let mut calls: BTreeMap<&str, bool> = BTreeMap::new();
    for done in all {
        for (line, result) in done.group.lines.iter().zip(&done.results) {
            let expected = line
                .expected
                .as_ref()
                .filter(|row| row.may_succeed() && row.since.is_none_or(|since| since <= kernel));
            if let (Some(call), Some(_)) = (&line.call, expected) {
                *calls.entry(call).or_default() |= *result >= 0;
            }
        }
    }
    calls.retain(|call, succeeded| !*succeeded && !NOT_HERE.iter().any(|(known, _)| known == call));
    let complaint = |call| format!("{call} never succeeded, so that its success was not tried");
    calls.into_keys().map(complaint).collect()
}

/// Whether the rows of a call have it succeed, and fail.
fn outcomes(call: &str, abi: Abi) -> Result<(bool, bool)> {
    let mut found = (false, false);
    for (_, table) in TABLES {
        for group in table::groups(table, abi)? {
            let rows = group
                .lines
                .iter()
                .filter(|line| line.call.as_deref() == Some(call));
            for row in rows.filter_map(|line| line.expected.as_ref()) {
                found.0 |= row.may_succeed();
                found.1 |= row.may_fail();
            }
        }
    }
    Ok(found)
}

#[test]
fn every_call_asked_for_has_rows() -> Result<()> {
    let upstream: Vec<&str> = UPSTREAM.split_whitespace().collect();
    ensure!(upstream.len() == 41, "{} types", upstream.len());
    let mut wrong = Vec::new();
    for call in upstream.into_iter().chain(ASKED_FOR.split_whitespace()) {
        for abi in [Abi::Wide, Abi::Narrow] {
            let one = ONE_SIDED.iter().any(|(name, _)| *name == call);
            // i386 has neither of these.
            let none = abi == Abi::Narrow && ["accept", "kexec_file_load"].contains(&call);
            let (succeeds, fails) = outcomes(call, abi)?;
            let enough = if one {
                succeeds || fails
            } else {
                succeeds && fails
            };
            if !enough && !none {
                wrong.push(format!(
                    "{call} ({abi:?}): succeeds {succeeds}, fails {fails}"
                ));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The numbers of 64-bit rows are those of the calls.
#[test]
fn the_tables_call_what_they_say() -> Result<()> {
    for (_, text) in TABLES {
        for group in table::groups(text, Abi::Wide)? {
            for line in &group.lines {
                let Some(call) = &line.call else {
                    continue;
                };
                let event = EventType::from_name(call);
                let number = event
                    .and_then(EventType::syscall)
                    .map(|number| number.to_string());
                let called = line.script.split(' ').next().map(str::to_owned);
                ensure!(number == called, "{call} is {number:?}: {}", line.script);
            }
        }
    }
    Ok(())
}

/// What upstream's files ask for today is on the list above.
#[test]
fn upstream_rules_ask_for_nothing_else() -> Result<()> {
    let Some(rules) = paths::upstream_rules() else {
        println!("upstream's rules are not here: the list is compared where they are");
        return Ok(());
    };
    for file in [
        "falco_rules",
        "falco-incubating_rules",
        "falco-sandbox_rules",
    ] {
        let text = fs::read_to_string(rules.join(format!("{file}.yaml")))?;
        let files = [RulesFile {
            name: file,
            text: &text,
        }];
        let policy = load(&files, &Options::default()).policy.context(file)?;
        let unknown = policy
            .event_types()
            .iter()
            .find(|event| !UPSTREAM.split_whitespace().any(|name| name == event.name()));
        ensure!(unknown.is_none(), "{file} asks for {unknown:?}");
    }
    Ok(())
}
