//! The system calls that the daemon may not do any more.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use monitor_common::syscall::{self, Machine};
use monitor_policy::EventType;
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};

/// What is refused, by what it is good for.
const REFUSED: &[(&str, &[&str])] = &[
    ("start a program", &["execve", "execveat", "uselib"]),
    (
        "make a program of memory",
        &["memfd_create", "memfd_secret"],
    ),
    (
        "get into another process",
        &[
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "process_madvise",
            "pidfd_getfd",
            "kcmp",
        ],
    ),
    (
        "signal another process",
        &[
            "kill",
            "pidfd_send_signal",
            "rt_sigqueueinfo",
            "rt_tgsigqueueinfo",
        ],
    ),
    (
        "become somebody else",
        &[
            "setuid",
            "setgid",
            "setreuid",
            "setregid",
            "setresuid",
            "setresgid",
            "setgroups",
            "setfsuid",
            "setfsgid",
        ],
    ),
    (
        "change what is mounted or where",
        &[
            "mount",
            "umount2",
            "pivot_root",
            "chroot",
            "move_mount",
            "open_tree",
            "open_tree_attr",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
            "unshare",
            "setns",
        ],
    ),
    (
        "get around permissions of files",
        &["open_by_handle_at", "mknod", "mknodat"],
    ),
    (
        "change owners of files",
        &["chown", "fchown", "lchown", "fchownat"],
    ),
    (
        "load into the kernel, or end it",
        &[
            "init_module",
            "finit_module",
            "delete_module",
            "create_module",
            "kexec_load",
            "kexec_file_load",
            "reboot",
        ],
    ),
    (
        "change the host",
        &[
            "settimeofday",
            "clock_settime",
            "clock_adjtime",
            "adjtimex",
            "sethostname",
            "setdomainname",
            "swapon",
            "swapoff",
            "acct",
            "quotactl",
            "quotactl_fd",
            "syslog",
            "vhangup",
            "iopl",
            "ioperm",
        ],
    ),
    (
        "use parts of the kernel that are often its weak ones",
        &[
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "userfaultfd",
            "keyctl",
            "add_key",
            "request_key",
            "modify_ldt",
            "personality",
            "vmsplice",
            "lookup_dcookie",
            "nfsservctl",
            "_sysctl",
        ],
    ),
];

/// This machine, for filters.
pub(super) const OWN: TargetArch = match Machine::OWN {
    Machine::X86 => TargetArch::x86_64,
    Machine::Arm => TargetArch::aarch64,
};

/// Refuses these calls to all threads from now on. Where the kernel cannot do that, the log says so.
pub(crate) fn calls() {
    let done = program().and_then(|program| seccompiler::apply_filter_all_threads(&program));
    if let Err(error) = done {
        tracing::warn!(%error, "the daemon's own system calls are not confined");
    }
}

fn program() -> Result<BpfProgram, seccompiler::Error> {
    let names = REFUSED.iter().flat_map(|(_, names)| *names);
    let numbers = names.filter_map(|name| number(name));
    // Without conditions: whatever the arguments.
    let rules: BTreeMap<i64, _> = numbers
        .map(|number| (i64::from(number), Vec::new()))
        .collect();
    let refused = SeccompAction::Errno(Errno::PERM.raw_os_error() as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused.clone(), OWN)?;
    let mut program = others(u32::from(refused)).to_vec();
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// Number of a call on this machine; `None` where it has no such call.
pub(super) fn number(name: &str) -> Option<u32> {
    let number = EventType::from_name(name)?.syscall()?;
    syscall::call(number)?.number_on(Machine::OWN)
}

/// Refuses the calls of the ABI x32, which are the same ones by other numbers. (Those of 32-bit
/// programs end the process, by the check of the architecture that comes next.)
fn others(refused: u32) -> [sock_filter; 3] {
    // `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JGE | BPF_K` and `BPF_RET | BPF_K` of
    // include/uapi/linux/bpf_common.h; the number is at offset 0 of `struct seccomp_data`.
    let line = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    [
        line(0x20, 0, 0),
        line(0x35, 1, syscall::X32_BIT),
        line(0x06, 0, refused),
    ]
}

/// docs/reference/confinement.md.
pub(crate) fn markdown() -> String {
    let mut text = String::from(ABOUT);
    text.push_str("\n| Capability | For |\n|---|---|\n");
    for (name, _, reason) in super::capabilities::KEPT {
        let _ = writeln!(text, "| `{name}` | {reason} |");
    }
    text.push_str(
        "\nThese system calls are refused with `EPERM`, to all threads, from the line `ready` \
         on; 32-bit calls end the daemon:\n\n| What for | Calls |\n|---|---|\n",
    );
    for (purpose, names) in REFUSED {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(text, "| {purpose} | {} |", names.join(", "));
    }
    text.push_str(super::helper::ABOUT);
    text
}

const ABOUT: &str = "\
# What the daemon may not do

<!-- Made by `monitor-daemon reference confinement`; do not edit. -->

`monitor-daemon run` gives up what it does not need, however it was started; `/proc/PID/status` shows \
it (`CapEff`, `NoNewPrivs`, `Seccomp: 2`). The systemd unit and the Kubernetes manifest take away \
more: what may be written, and all other system calls but some three hundred. As a service it is the \
user `monitor-daemon`, with the first five of these capabilities. Reasons are in \
`docs/adr/0022-confined-once-it-runs.md`.

At the start all capabilities are dropped but these, if it has them:
";

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::ErrorKind;
    use std::process::Command;
    use std::thread;

    use nix::errno::Errno as Refused;

    use super::*;

    #[test]
    fn every_call_has_a_number() {
        for name in REFUSED.iter().flat_map(|(_, names)| *names) {
            let known = EventType::from_name(name).and_then(EventType::syscall);
            assert!(known.is_some(), "{name}");
            assert!(Machine::OWN == Machine::Arm || number(name).is_some());
        }
        assert_eq!(
            number("execve"),
            Some(if cfg!(target_arch = "x86_64") {
                59
            } else {
                221
            })
        );
    }

    /// In a thread of its own, as there is no way back; the daemon does it to all.
    #[test]
    fn who_is_confined_starts_nothing_and_works() {
        let confined = || {
            seccompiler::apply_filter(&program().unwrap()).unwrap();
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            assert!(status.contains("Seccomp:\t2\n"), "{status}");
            assert!(status.contains("NoNewPrivs:\t1\n"), "{status}");

            let started = Command::new("/bin/true").spawn();
            assert_eq!(started.unwrap_err().kind(), ErrorKind::PermissionDenied);
            let own = nix::unistd::Pid::this();
            // Without the filter: no such process.
            assert_eq!(nix::sys::ptrace::detach(own, None), Err(Refused::EPERM));
            let memory = rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC);
            assert_eq!(memory.unwrap_err(), Errno::PERM);
            let module = rustix::system::init_module(b"no module", c"");
            assert_eq!(module.unwrap_err(), Errno::PERM);
            let signal = rustix::process::test_kill_process(rustix::process::getpid());
            assert_eq!(signal.unwrap_err(), Errno::PERM);

            // What the daemon goes on doing.
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("alerts.jsonl");
            fs::write(&file, "x").unwrap();
            fs::rename(&file, folder.path().join("alerts.jsonl.1")).unwrap();
            File::open("/proc/1/stat").unwrap();
            std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let other = thread::spawn(|| Command::new("/bin/true").spawn().is_err());
            assert!(other.join().unwrap(), "also threads that come later");
        };
        thread::spawn(confined).join().unwrap();
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
}
