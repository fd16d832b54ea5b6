//! A private dockerd: own data, own socket, own containerd, no change to the host's network.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::tree::Tree;
use crate::{http, paths, skip, wait};

/// A runtime for `docker run --privileged` on machines that lack `CAP_SYS_RESOURCE`: it takes that
/// out of the container, where plain runc gives up. It changes nothing where the capability is.
pub const LEAN_RUNTIME: &str = "lean";

/// A runtime for containers with `CAP_BPF` and `CAP_PERFMON`, which a dockerd of before 2022 does not
/// know: who asks for `CAP_NET_ADMIN` gets them too, and may do the calls that go with them.
pub const MODERN_RUNTIME: &str = "modern";

const START: Duration = Duration::from_mins(1);
const STOP: Duration = Duration::from_mins(1);

/// Containers have no network but their own loopback, or the host's (`--network=host`): a bridge
/// would change the machine's packet filter.
const NETWORK: [&str; 6] = [
    "--bridge=none",
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
    "--ip-masq=false",
    "--userland-proxy=false",
];

/// Calls runc, on a container (or a process in one) without `CAP_SYS_RESOURCE` where this machine
/// lacks it.
const LEAN: &str = r#"#!/bin/sh
bounding=0x$(sed -n 's/^CapBnd:[[:space:]]*//p' /proc/self/status)
drop() {
    [ $(( bounding >> $1 & 1 )) = 1 ] && return
    for file in "$bundle/config.json" "$process"; do
        [ ! -f "$file" ] || sed -i "s/\"$2\"[[:space:]]*,//g; s/,[[:space:]]*\"$2\"//g" "$file"
    done
}
bundle=. process= last=
for word; do
    case $last in --bundle|-b) bundle=$word;; --process|-p) process=$word;; esac
    last=$word
done
drop 24 CAP_SYS_RESOURCE
exec runc "$@"
"#;

const MODERN: &str = r#"#!/bin/sh
bundle=. last=
for word; do
    case $last in --bundle|-b) bundle=$word;; esac
    last=$word
done
file=$bundle/config.json
case " $* " in *" create "*)
    grep -q '"CAP_BPF"' "$file" || sed -i \
        's/"CAP_NET_ADMIN"/"CAP_NET_ADMIN","CAP_BPF","CAP_PERFMON"/g
         s/"accept4"/"accept4","bpf","perf_event_open"/g' "$file";;
esac
exec runc "$@"
"#;

/// Why no dockerd can be started here, if so.
pub fn obstacle() -> Option<String> {
    skip::not_root().or_else(|| skip::without(&["dockerd", "docker", "busybox", "tar"]))
}

/// A running dockerd; on drop it is stopped, with its containers, and its data deleted.
#[derive(Debug)]
pub struct Dockerd {
    process: Child,
    folder: TempDir,
    cgroups: Vec<PathBuf>,
    restart: Restart,
}

/// What becomes of containers when dockerd stops.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Restart {
    /// They stop too.
    StopsContainers,
    /// They run on (`live-restore`).
    KeepsContainers,
}

impl Dockerd {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it ends or does not answer; the end of its log is in the error.
    pub fn start() -> Result<Self> {
        Self::start_with(Restart::StopsContainers)
    }

    /// The same, with a say in what a restart does.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn start_with(restart: Restart) -> Result<Self> {
        let folder = TempDir::with_prefix("dockerd-")?;
        let cgroups = absent_cgroups();
        let process = spawn(folder.path(), restart)?;
        let mut dockerd = Self {
            process,
            folder,
            cgroups,
            restart,
        };
        dockerd.wait_until_ready()?;
        Ok(dockerd)
    }

    /// Stops it and starts it again over the same data.
    ///
    /// # Errors
    ///
    /// When it does not stop or does not come back.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.resume()
    }

    /// Stops it and, unless they are kept, its containers; the data stay.
    ///
    /// # Errors
    ///
    /// When it had to be killed.
    pub fn stop(&mut self) -> Result<()> {
        let status = wait::terminate(&mut self.process, STOP)?;
        ensure!(
            status.success(),
            "dockerd ended with {status}:\n{}",
            self.log_tail()
        );
        Ok(())
    }

    /// Starts it again after [`Self::stop`].
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn resume(&mut self) -> Result<()> {
        self.process = spawn(self.folder.path(), self.restart)?;
        self.wait_until_ready()
    }

    /// Hangs it: its process stops in the middle of what it does, its containers run on. It
    /// continues when the value is dropped.
    ///
    /// # Errors
    ///
    /// When it is no more.
    pub fn freeze(&self) -> Result<Frozen<'_>> {
        kill_process(Pid::from_child(&self.process), Signal::STOP)?;
        Ok(Frozen { dockerd: self })
    }

    /// Its API socket.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// Its command line, which outlives a restart of it.
    pub fn client(&self) -> Client {
        Client {
            folder: self.folder.path().to_owned(),
        }
    }

    /// A `docker` command for this dockerd, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.client().command(arguments)
    }

    /// Runs `docker` with `arguments`, whatever its exit status.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.client().cli(arguments)
    }

    /// Runs `docker` with `arguments` and gives its standard output, trimmed.
    ///
    /// # Errors
    ///
    /// When its exit status is not 0; what it wrote is in the error.
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!(
                "docker {}: {}: {text}\n{complaint}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(text)
    }

    /// Makes `tree` an image called `tag` (such as `registry.example/busybox:1`) and gives its id.
    ///
    /// # Errors
    ///
    /// When the tree cannot be packed or dockerd refuses it.
    pub fn import_image(&self, tag: &str, tree: &Tree) -> Result<String> {
        let archive = tree.tar()?;
        let mut import = self.command(&["import", "-", tag]);
        import
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut import = import.spawn().context("cannot start docker")?;
        // It reads all before it writes its one line, so this cannot block for ever.
        import
            .stdin
            .take()
            .context("docker has no input")?
            .write_all(&archive)?;
        let output = import.wait_with_output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "docker import: {complaint}");
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let socket = self.socket();
        let ready = wait::until("an answer of dockerd", START, || {
            if let Some(status) = self.process.try_wait()? {
                bail!("dockerd ended with {status}");
            }
            Ok(http::fetch_unix(&socket, "/_ping").ok())
        });
        ready
            .map(drop)
            .with_context(|| format!("dockerd did not start:\n{}", self.log_tail()))
    }

    fn remove_containers(&self) {
        let ids = self.text(&["ps", "--all", "--quiet"]).unwrap_or_default();
        let remove: Vec<&str> = ["rm", "--force"]
            .into_iter()
            .chain(ids.split_whitespace())
            .collect();
        if remove.len() > 2
            && let Err(error) = self.text(&remove)
        {
            eprintln!("{error:#}");
        }
    }

    fn log_tail(&self) -> String {
        let log = fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(15))
            .fold(String::new(), |all, line| all + line + "\n")
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.restart == Restart::KeepsContainers {
            self.remove_containers();
        }
        let stopped = self.stop();
        detach_mounts_below(self.folder.path());
        // Empty by now; one that somebody else uses stays.
        for cgroup in &self.cgroups {
            let _ = fs::remove_dir(cgroup);
        }
        if let Err(error) = stopped {
            eprintln!("{error:#}");
        }
    }
}

/// The `docker` command of a dockerd.
#[derive(Clone, Debug)]
pub struct Client {
    folder: PathBuf,
}

impl Client {
    /// A `docker` command for this dockerd, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT");
        // Nobody's own settings: those may name credential helpers, proxies and contexts.
        command.env("DOCKER_CONFIG", self.folder.join("config"));
        command
            .arg("--host")
            .arg(format!("unix://{}", socket(&self.folder).display()));
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs `docker` with `arguments` to its end, whatever its exit status.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.command(arguments)
            .output()
            .context("cannot start docker")
    }
}

/// A dockerd that hangs; on drop it continues.
#[derive(Debug)]
#[must_use]
pub struct Frozen<'d> {
    dockerd: &'d Dockerd,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let process = Pid::from_child(&self.dockerd.process);
        if let Err(error) = kill_process(process, Signal::CONT) {
            eprintln!("dockerd does not continue: {error}");
        }
    }
}

fn spawn(folder: &Path, restart: Restart) -> Result<Child> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))?;
    let dockerd = paths::program("dockerd").context("dockerd is missing")?;
    Command::new(dockerd)
        .arg("--data-root")
        .arg(folder.join("data"))
        .arg("--exec-root")
        .arg(folder.join("run"))
        .arg("--pidfile")
        .arg(folder.join("pid"))
        // One that the machine has would put other settings beside these, and conflict.
        .arg("--config-file")
        .arg(configuration(folder, restart)?)
        .arg("--host")
        .arg(format!("unix://{}", socket(folder).display()))
        .args(NETWORK)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start dockerd")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("docker.sock")
}

fn configuration(folder: &Path, restart: Restart) -> Result<PathBuf> {
    let script = |name: &str, text: &str| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Ok(path)
    };
    let (lean, modern) = (script("lean-runc", LEAN)?, script("modern-runc", MODERN)?);
    let path = folder.join("daemon.json");
    let settings = serde_json::json!({
        "runtimes": { LEAN_RUNTIME: { "path": lean }, MODERN_RUNTIME: { "path": modern } },
        "live-restore": restart == Restart::KeepsContainers,
    });
    fs::write(&path, settings.to_string())?;
    Ok(path)
}

/// The folders that dockerd is going to make in the cgroup hierarchies.
fn absent_cgroups() -> Vec<PathBuf> {
    let hierarchies = fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten();
    hierarchies
        .map(|hierarchy| hierarchy.path())
        .chain([PathBuf::from("/sys/fs/cgroup")])
        .filter(|path| path.join("cgroup.procs").exists())
        .map(|path| path.join("docker"))
        .filter(|path| !path.exists())
        .collect()
}

/// dockerd leaves its own data folder mounted onto itself, which would keep it from deletion.
fn detach_mounts_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let mut points: Vec<&Path> = points
        .map(Path::new)
        .filter(|point| point.starts_with(folder))
        .collect();
    // The innermost first.
    points.sort_by_key(|point| std::cmp::Reverse(point.as_os_str().len()));
    for point in points {
        let _ = Command::new("umount").arg("--lazy").arg(point).status();
    }
}
