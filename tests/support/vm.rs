//! Virtual machines: another kernel with a few files, one script, and its exit status.
//!
//! A series that ends in [`ARM`] is a kernel for aarch64, whose programs the files then have to be.
//!
//! The guest lives in memory, from an initramfs. It has the kernel's file systems mounted (procfs,
//! sysfs, devtmpfs, cgroup2, tracefs, securityfs, bpffs), the loopback interface up, no other
//! network, no disk, and no modules but what the files have. What the script prints comes over a
//! serial line of its own, so that kernel messages cannot break its lines.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::tree::Tree;
use crate::{paths, skip, wait};

/// The kernel of Debian 12.
pub const DEBIAN_12: &str = "6.1";

/// The end of the series of kernels for aarch64, such as `6.12-arm64`.
pub const ARM: &str = "-arm64";

/// How many CPUs a guest has if nothing else is asked for.
pub const CPUS: u8 = 2;

/// What is emulated, and where its serial lines are.
struct Machine {
    qemu: &'static str,
    options: &'static [&'static str],
    /// Options for the kernel, of which it passes `port` on to the first process.
    kernel: &'static str,
}

const X86: Machine = Machine {
    qemu: "qemu-system-x86_64",
    // QEMU 7 does not get on with how Linux 6.12 uses that instruction.
    options: &[
        "-cpu",
        "qemu64,-cx16",
        "-serial",
        "chardev:console",
        "-serial",
        "stdio",
    ],
    // On a busy machine the emulated timer is late, and a kernel that checks it panics; the other
    // clocks are slower by far. What the emulated processor does not suffer from costs time, and so
    // do repeated string instructions (112), which are emulated word by word.
    kernel: "console=ttyS0 port=ttyS1 no_timer_check tsc=reliable oops=panic mitigations=off \
             clearcpuid=112",
};

const AARCH64: Machine = Machine {
    qemu: "qemu-system-aarch64",
    // Later processors have authenticated pointers, which take emulation most of its time.
    options: &[
        "-machine",
        "virt",
        "-cpu",
        "cortex-a72",
        "-device",
        "pci-serial,chardev=console",
        "-serial",
        "stdio",
    ],
    kernel: "console=ttyS0 port=ttyAMA0",
};

/// What the kernel says before it starts the first process.
const STARTS_INIT: &str = "as init process";
const END: &str = "guest-exit-status ";
/// How often a guest is booted anew that the emulator let die.
const AGAIN: usize = 2;

const INIT: &str = r#"#!/bin/busybox sh
# The first process of the guest: prepares it, runs /script, reports, and switches off.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb
on() { mkdir -p "$3"; mount -t "$1" "$2" "$3"; }
on proc proc /proc
on sysfs sysfs /sys
on devtmpfs dev /dev
on devpts devpts /dev/pts
on tmpfs shm /dev/shm
on tmpfs tmp /tmp
on tmpfs run /run
on cgroup2 cgroup2 /sys/fs/cgroup
on tracefs tracefs /sys/kernel/tracing
on securityfs securityfs /sys/kernel/security
on bpf bpf /sys/fs/bpf
chmod 1777 /tmp
hostname guest
ip link set lo up
stty -F /dev/$port raw -echo
cd /root
sh /script </dev/null >/dev/$port 2>&1
echo "guest-exit-status $?" >/dev/$port
poweroff -f
"#;

/// What a guest left.
#[derive(Debug)]
pub struct Output {
    /// The exit status of the script.
    pub status: i32,
    /// What the script and its children printed, on standard output and standard error.
    pub text: String,
    /// When each line of `text` ended, since the start.
    pub times: Vec<Duration>,
    /// What the kernel and the first process printed.
    pub console: String,
}

/// Why no guest with the kernel `series` can be booted here, if so.
pub fn obstacle(series: &str) -> Option<String> {
    skip::without(&[machine(series).qemu, "cpio", "busybox"]).or_else(|| {
        paths::guest_kernel(series)
            .err()
            .map(|error| error.to_string())
    })
}

/// Boots the kernel `series` with `files` (to which busybox, `/init` and `/script` belong) and
/// runs the shell script; its output is printed line by line as it comes.
///
/// # Errors
///
/// When the guest cannot be started, or ends without a status, or not `within` the time; the
/// console is in the error.
pub fn run(series: &str, files: &Tree, script: &str, within: Duration) -> Result<Output> {
    run_on(CPUS, series, files, script, within)
}

/// Like [`run`], with this many CPUs: an emulated one costs less alone, without need to wait for
/// others.
///
/// # Errors
///
/// The same.
pub fn run_on(
    cpus: u8,
    series: &str,
    files: &Tree,
    script: &str,
    within: Duration,
) -> Result<Output> {
    files.script("/init", INIT)?.script("/script", script)?;
    boot_on(cpus, series, files, within)
}

/// Like [`run`], for files that have their own `/init`: what it prints to `/dev/ttyS1` (on x86-64)
/// is the output, and the last line is `guest-exit-status` with a number.
///
/// # Errors
///
/// The same.
pub fn boot(series: &str, files: &Tree, within: Duration) -> Result<Output> {
    boot_on(CPUS, series, files, within)
}

fn boot_on(cpus: u8, series: &str, files: &Tree, within: Duration) -> Result<Output> {
    for _ in 0..AGAIN {
        if let Some(output) = boot_once(cpus, series, files, within)? {
            return Ok(output);
        }
        println!("guest {series}: the emulator failed, once more");
    }
    let output = boot_once(cpus, series, files, within)?;
    output.context("the emulator failed each time")
}

/// Boots; nothing when the kernel died before its first process did anything, or of the emulator.
fn boot_once(cpus: u8, series: &str, files: &Tree, within: Duration) -> Result<Option<Output>> {
    let folder = TempDir::with_prefix("vm-")?;
    let initramfs = folder.path().join("initramfs");
    fs::write(&initramfs, files.initramfs()?)?;
    let console = folder.path().join("console");
    let kernel = paths::guest_kernel(series)?;
    let mut guest = start(machine(series), cpus, &kernel, &initramfs, &console)?;

    let lines = guest.stdout.take().context("the guest has no output")?;
    let name = series.to_owned();
    let reader = thread::spawn(move || pass_on(&name, lines));
    let ended = wait::until("the end of the guest", within, || Ok(guest.try_wait()?));
    if ended.is_err() {
        guest.kill()?;
        guest.wait()?;
    }
    let (mut text, times) = reader.join().unwrap_or_default();
    let mut complaint = String::new();
    if let Some(mut stderr) = guest.stderr.take() {
        stderr.read_to_string(&mut complaint)?;
    }
    let console = fs::read(&console).unwrap_or_default();
    let console = String::from_utf8_lossy(&console).replace('\r', "");
    let unborn = console.contains("Kernel panic") && !console.contains(STARTS_INIT);
    if unborn || ran_stale(&console) {
        println!("guest {series}: {console}");
        return Ok(None);
    }
    ended.with_context(|| format!("console of the guest:\n{console}\n{complaint}"))?;
    let Some(status) = split_status(&mut text) else {
        bail!("the guest ended without a status; its console:\n{console}\n{complaint}");
    };
    Ok(Some(Output {
        status,
        text,
        times,
        console,
    }))
}

fn machine(series: &str) -> &'static Machine {
    if series.ends_with(ARM) {
        &AARCH64
    } else {
        &X86
    }
}

fn start(
    machine: &Machine,
    cpus: u8,
    kernel: &Path,
    initramfs: &Path,
    console: &Path,
) -> Result<Child> {
    let mut qemu = Command::new(machine.qemu);
    // Emulation everywhere: there are machines whose /dev/kvm opens and then never runs a guest,
    // and a boot takes seconds either way.
    qemu.args(["-accel", "tcg"]);
    qemu.arg("-chardev")
        .arg(format!("file,id=console,path={}", console.display()));
    qemu.args(machine.options);
    qemu.args([
        "-m",
        "2048",
        "-smp",
        &cpus.to_string(),
        "-display",
        "none",
        "-nodefaults",
        "-no-reboot",
    ])
    .arg("-kernel")
    .arg(kernel)
    .arg("-initrd")
    .arg(initramfs)
    .arg("-append")
    // BPF among the security modules: only then do programs of that type attach. Who attaches or
    // detaches one waits for all CPUs, in a hurry or not.
    .arg(format!(
        "{} panic=-1 loglevel=7 rcupdate.rcu_expedited=1 lsm=lockdown,capability,yama,bpf",
        machine.kernel
    ))
    .stdin(Stdio::null())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped());
    let started = qemu.spawn();
    started.with_context(|| format!("cannot start {}", machine.qemu))
}

fn pass_on(series: &str, lines: impl Read) -> (String, Vec<Duration>) {
    let started = Instant::now();
    let (mut text, mut times) = (String::new(), Vec::new());
    for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if !line.starts_with(END) {
            println!("guest {series}: {line}");
        }
        text = text + &line + "\n";
        times.push(started.elapsed());
    }
    (text, times)
}

/// Whether the kernel died of a breakpoint that was not there: while it patches its own code, it puts
/// one in the place of an instruction, and QEMU 7 may run that when it is long gone. The kernel then
/// prints the bytes around the next instruction, which stands in angle brackets.
fn ran_stale(console: &str) -> bool {
    const BREAKPOINT: &str = "cc";
    let mut lines = console.lines().skip_while(|line| !line.contains("int3: "));
    let Some((_, code)) = lines.find_map(|line| line.split_once("Code: ")) else {
        return false;
    };
    let before = code
        .split_whitespace()
        .take_while(|byte| !byte.starts_with('<'));
    before.last().is_some_and(|byte| byte != BREAKPOINT)
}

/// Takes the line with the status off the end of the output.
fn split_status(text: &mut String) -> Option<i32> {
    let (before, status) = text.rsplit_once(END)?;
    let status = status.trim().parse().ok()?;
    *text = before.to_owned();
    Some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_breakpoints_that_are_not_there_are_the_emulators() {
        let oops = |title: &str, code: &str| {
            format!(
                "[1.0] Linux\n[131.9] Oops: {title} [#1] SMP NOPTI\n[131.9] RIP: 0010:f+0xa\n[131.9] Code: {code}\n"
            )
        };
        for (title, code, stale) in [
            ("int3: 0000", "0f 1f 44 00 00 eb <05> c3 cc cc", true),
            ("int3: 0000", "0f 1f 44 00 00 cc <05> c3 cc cc", false),
            ("0002", "0f 1f 44 00 00 eb <05> c3 cc cc", false),
        ] {
            assert_eq!(ran_stale(&oops(title, code)), stale, "{title} {code}");
        }
        assert!(!ran_stale("[1.0] Linux\n"));
    }

    #[test]
    fn the_status_is_the_last_line() {
        let mut text = "one\ntwo, unended".to_owned() + "guest-exit-status 3\n";
        assert_eq!(split_status(&mut text), Some(3));
        assert_eq!(text, "one\ntwo, unended");
        assert_eq!(split_status(&mut text), None);
    }
}
