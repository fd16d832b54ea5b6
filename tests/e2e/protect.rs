//! `protect: true`: where BPF programs are a security module, others can neither kill nor trace the
//! daemon nor get at its kernel objects; elsewhere it says so and goes on.
//!
//! Guests boot with `bpf` among the security modules.

use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::{paths, skip, skip_if};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::actions::Programs;
use crate::world::{PATIENCE, WATCHING, configuration, is_watching};

const TAMPERED: &str = "Monitor tampered with";
/// On a terminal of its own: there the kernel itself sends the signal of Ctrl-C.
fn start(programs: &Programs) -> Result<(Daemon, fs::File)> {
    let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let terminal = ptsname(&master, Vec::new())?.into_string()?;
    let policy = daemon::policy(programs.folder(), WATCHING)?;
    let mut command = Command::new("sh");
    command.args(["-c", "exec setsid -c \"$@\" <\"$0\""]);
    command.arg(terminal).arg(paths::daemon()?);
    command
        .args(["run", "--config"])
        .arg(configuration(programs, "protect: true\n")?);
    command.arg("--policy").arg(policy);
    let mut daemon = Daemon::start_command(&mut command)?;
    is_watching(&mut daemon)?;
    Ok((daemon, master.into()))
}

#[test]
fn others_are_kept_off_or_it_is_said_why_not() -> Result<()> {
    skip_if!(daemon::obstacle());
    skip_if!(skip::without(&["setsid"]));
    let programs = Programs::new()?;
    let (mut daemon, mut terminal) = start(&programs)?;
    let refused = "this kernel cannot keep others off";
    let Some(line) = daemon.log().lines().find_map(|line| {
        let (_, reason) = line.split_once(refused)?;
        Some(reason.to_owned())
    }) else {
        protected(&mut daemon)?;
        terminal.write_all(b"\x03")?;
        return daemon.ended(Duration::from_secs(30));
    };
    // Why, and what to do about it.
    let reasons = ["lsm", "security module", "Operation not permitted"];
    ensure!(
        reasons.iter().any(|reason| line.contains(reason)),
        "no reason in `{line}`"
    );
    daemon.stop().map(drop)
}

fn protected(daemon: &mut Daemon) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(daemon.pid())?).context("a pid")?;
    test_kill_process(pid)?;
    for (signal, what) in [
        (Signal::KILL, "signal 9 to the daemon was refused"),
        (Signal::STOP, "signal 19 to the daemon was refused"),
        (Signal::TERM, "signal 15 to the daemon was refused"),
    ] {
        let sent = kill_process(pid, signal);
        ensure!(sent == Err(Errno::PERM), "{signal:?}: {sent:?}");
        told(daemon, what)?;
    }
    let memory = fs::File::open(format!("/proc/{}/mem", daemon.pid()));
    ensure!(memory.is_err(), "its memory can be opened");
    told(daemon, "tracing the daemon was refused")?;
    // None but the daemon has any here. What is refused is told ten times a second, and there is
    // room for one kind of them at a time.
    let maps = aya::maps::loaded_maps().filter(Result::is_err).count();
    ensure!(maps > 5, "{maps} maps were refused");
    told(daemon, "a descriptor of the daemon's map")?;
    let programs = aya::programs::loaded_programs();
    let programs = programs.filter(Result::is_err).count();
    ensure!(programs > 5, "{programs} programs were refused");
    told(daemon, "a descriptor of the daemon's program")?;
    let links = aya::programs::loaded_links().filter(Result::is_err).count();
    ensure!(links > 5, "{links} links were refused");
    told(daemon, "a descriptor of the daemon's link")
}

fn told(daemon: &mut Daemon, what: &str) -> Result<()> {
    let fits = |alert: &serde_json::Value| {
        let told = field(alert, "monitor.tampering").unwrap_or_default();
        is_from(alert, TAMPERED) && told.starts_with(what)
    };
    daemon.wait_for(what, PATIENCE, fits).map(drop)
}
