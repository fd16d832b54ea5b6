//! The daemon under a service manager: what it tells it, as a user that is not root, with no more
//! capabilities than the unit gives, and the unit itself. Needs root; skips with a reason otherwise, or fails when `CI=true`.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Without the folders that a unit hands to its user.
const CONFIGURATION: &str = "
metrics: {listen: off}
accept_blind: true
state_file: off
control: {socket: off}
alerts: {log: {path: off}}
";

const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon's own, and those that bring policies.
const UNITS: [&str; 3] = [
    "systemd/monitor-daemon.service",
    "fleet/monitor-policies.service",
    "fleet/monitor-policies.timer",
];

fn unit(path: &str) -> String {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    fs::read_to_string(packaging.join(path)).unwrap()
}

/// Says why a test does not run; a failure where everything must.
fn skip(test: &str, reason: &str) {
    assert!(
        std::env::var_os("CI").is_none_or(|value| value != "true"),
        "this test must run where CI=true is set: {reason}"
    );
    println!("SKIP: {test}: {reason}");
}

/// `+bpf,+perfmon`, from the unit.
fn capabilities() -> String {
    let unit = unit(UNITS[0]);
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("AmbientCapabilities="));
    let names = line.unwrap().split(' ').map(|name| {
        let name = name.strip_prefix("CAP_").unwrap();
        format!("+{}", name.to_lowercase())
    });
    names.collect::<Vec<_>>().join(",")
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(folder: &Path, socket: &Path) -> Daemon {
    let config = folder.join("monitor.yaml");
    fs::write(&config, CONFIGURATION).unwrap();
    // As for passwords.
    fs::set_permissions(&config, Permissions::from_mode(0o600)).unwrap();
    let capabilities = format!("-all,{}", capabilities());
    let mut setpriv = Command::new("setpriv");
    for set in ["bounding-set", "inh-caps", "ambient-caps"] {
        setpriv.arg(format!("--{set}={capabilities}"));
    }
    let child = setpriv
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg("--no-new-privs")
        .arg(env!("CARGO_BIN_EXE_monitor-daemon"))
        .args(["run", "--config"])
        .arg(config)
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", "400000")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Daemon(child)
}

fn told(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8(buffer.get(..length).unwrap_or_default().to_vec())
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn the_service_manager_is_told_of_start_life_and_end() {
    if !rustix::process::geteuid().is_root() {
        return skip(
            "the_service_manager_is_told_of_start_life_and_end",
            "needs root",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for (name, mode) in [(folder.path(), 0o755), (&path, 0o777)] {
        fs::set_permissions(name, Permissions::from_mode(mode)).unwrap();
    }
    let mut daemon = start(folder.path(), &path);
    assert_eq!(told(&socket), "READY=1");
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
    assert!(
        status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
        "{status}"
    );
    assert!(status.contains("\nCapAmb:\t0000000000000000\n"), "{status}");
    let started = Instant::now();
    for _ in 0..3 {
        assert_eq!(told(&socket), "WATCHDOG=1");
    }
    assert!(
        started.elapsed() >= Duration::from_millis(500),
        "half of the limit lies between two signs"
    );
    let pid = rustix::process::Pid::from_child(&daemon.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while let told = told(&socket)
        && told != "STOPPING=1"
    {
        assert_eq!(told, "WATCHDOG=1");
    }
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
}

#[test]
fn systemd_takes_the_units() {
    let there = Command::new("systemd-analyze").arg("--version").output();
    if there.is_err() {
        return skip("systemd_takes_the_units", "no systemd-analyze");
    }
    let folder = tempfile::tempdir().unwrap();
    let files = UNITS.map(|path| {
        let file = folder.path().join(Path::new(path).file_name().unwrap());
        // The programs and their manual page are not installed here.
        let unit = unit(path)
            .replace("/usr/bin/monitor-daemon", "/bin/true")
            .replace("/usr/local/bin/monitor-policies", "/bin/true");
        let lines = unit
            .lines()
            .filter(|line| !line.starts_with("Documentation="));
        fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        file
    });
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .args(&files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // Other units of the machine are read along, with faults of their own.
    let ours: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("monitor-daemon.service") || line.contains("monitor-policies"))
        .collect();
    assert!(ours.is_empty(), "{said}");
}
