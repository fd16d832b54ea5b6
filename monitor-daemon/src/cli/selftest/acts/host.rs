//! Acts on what belongs to the host: mounts in a namespace of its own, cgroups, process numbers, BPF
//! programs and the watcher. All of it is as it was when the act is over.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::MountPropagationFlags;
use rustix::thread::UnshareFlags;

use super::{COMMAND, absent, children, fact};
use crate::probe;
use crate::selfcheck::acts::cgroup_places;

/// Where the file that ends a waiting act is.
pub(in super::super) const OVER: &str = "over";
/// The container's id of the acts in cgroups, as alerts have it: the first digits.
pub(in super::super) const CONTAINER: &str = "5e1f7e575e1f";
/// Longest that an act waits to be told that it is over; that which is older waits for the others.
const PATIENCE: Duration = Duration::from_mins(5);
/// The second process of `pid-reuse`.
const REUSED: &str = "reused";

pub(super) fn act(name: &str, folder: &Path, rest: &[String]) -> Option<io::Result<()>> {
    let secret = folder.join("secret");
    Some(match name {
        "bind-mount" => bind_mount(folder),
        "flood" => flood(folder),
        "leave-cgroup" => in_container(|cgroups, _| {
            cgroups.leave()?;
            File::open(secret).map(drop)
        }),
        "nested-cgroup" => in_container(|_, container| {
            let deepest = container.join("a/b/c/d/e");
            fs::create_dir_all(&deepest)?;
            fs::write(deepest.join("cgroup.procs"), "0")?;
            File::open(secret).map(drop)
        }),
        "pid-reuse" => reuse(folder),
        REUSED => open_as(&secret, rest),
        "tamper" => tamper(rest),
        "ftrace-off" => switch_of_tracing(),
        "own-bpf" => load_program(),
        "reload" => open_until_over(folder),
        "older" => wait_until_over(folder).and_then(|()| File::open(secret).map(drop)),
        "slow-output" => children(folder, "selftest-cover", 100),
        _ => return None,
    })
}

/// Loads a BPF program that is hung in nowhere: `return XDP_PASS`.
fn load_program() -> io::Result<()> {
    /// `r0 = 2` and `exit`.
    const PROGRAM: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];
    // Before 5.11 programs count against the limit of their user, whose are the watcher's maps, too.
    probe::raise_memlock();
    monitor_freeze::takes(monitor_freeze::XDP, &PROGRAM)
}

fn bind_mount(folder: &Path) -> io::Result<()> {
    if fs::metadata("/")?.dev() != fs::metadata(folder)?.dev() {
        absent(
            "no folder for temporary files is in the root file system, and only there it is told",
        );
        return Ok(());
    }
    #[expect(
        deprecated,
        reason = "what is unsafe about it is to unshare descriptors, which this does not"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNS)?;
    // So that nobody else sees what is mounted.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)?;
    let other = folder.join("decoy");
    rustix::mount::mount_bind(folder.join("secret"), &other)?;
    File::open(other).map(drop)
}

/// Opens by threads for a second, and meanwhile the children that have to be seen.
fn flood(folder: &Path) -> io::Result<()> {
    const THREADS: usize = 2;
    let over = AtomicBool::new(false);
    let decoy = folder.join("decoy");
    let end = Instant::now() + Duration::from_secs(1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _opened = File::open(&decoy);
                }
            });
        }
        let done = children(folder, "selftest-needle", 20);
        thread::sleep(end.saturating_duration_since(Instant::now()));
        over.store(true, Ordering::Relaxed);
        done
    })
}

/// Cgroups of our own, one of which this process is in. They go with this.
struct Cgroups {
    /// Where the process was before, and is when it has left.
    home: PathBuf,
    left: bool,
    folder: PathBuf,
}

impl Cgroups {
    fn leave(&mut self) -> io::Result<()> {
        if !self.left {
            fs::write(self.home.join("cgroup.procs"), "0")?;
        }
        self.left = true;
        Ok(())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        if let Err(error) = self.leave().and_then(|()| remove(&self.folder)) {
            tracing::warn!(folder = %self.folder.display(), %error, "a cgroup of the self-test stays");
        }
    }
}

/// The folder and those in it; the files of a cgroup go with it.
fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Joins a cgroup that is like a container's, and acts there.
fn in_container(work: impl FnOnce(&mut Cgroups, &Path) -> io::Result<()>) -> io::Result<()> {
    let (root, home) = cgroup_places()?;
    let mut cgroups = Cgroups {
        folder: root.join(format!("monitor-selftest-{}", parent_id())),
        home,
        left: false,
    };
    let digits = 64 - CONTAINER.len();
    let id = format!("{CONTAINER}{:0digits$x}", std::process::id());
    let container = cgroups.folder.join(id);
    fs::create_dir_all(&container)?;
    fs::write(container.join("cgroup.procs"), "0")?;
    work(&mut cgroups, &container)
}

/// A process ends, and the next gets its number. It may go to a process of somebody else.
fn reuse(folder: &Path) -> io::Result<()> {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    if !Path::new(LAST).exists() {
        absent("this kernel lets nobody choose a process number (ns_last_pid)");
        return Ok(());
    }
    for _ in 0..100 {
        let mut first = super::nothing(folder)?.spawn()?;
        let number = first.id();
        first.wait()?;
        fs::write(LAST, number.saturating_sub(1).to_string())?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([COMMAND, REUSED]).arg(folder);
        if command.arg(number.to_string()).status()?.success() {
            fact("pid", number);
            return Ok(());
        }
    }
    Err(io::Error::other("others took the number each time"))
}

/// Opens the file if this process has the number that it was told.
fn open_as(secret: &Path, rest: &[String]) -> io::Result<()> {
    match rest {
        [number] if *number == std::process::id().to_string() => File::open(secret).map(drop),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Changes the table of calls of the watcher, whose number is told.
fn tamper(rest: &[String]) -> io::Result<()> {
    let watcher = rest.first().and_then(|number| number.parse().ok());
    probe::tamper(watcher.ok_or(io::ErrorKind::InvalidInput)?)
}

/// Opens the switch for writing, and writes nothing: to turn it off would stop all tracers.
fn switch_of_tracing() -> io::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .open("/proc/sys/kernel/ftrace_enabled");
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            absent("this kernel has no such switch");
            Ok(())
        }
        other => other.map(drop),
    }
}

fn open_until_over(folder: &Path) -> io::Result<()> {
    let (start, mut count) = (Instant::now(), 0);
    while !folder.join(OVER).exists() {
        if start.elapsed() > PATIENCE {
            return Err(io::ErrorKind::TimedOut.into());
        }
        File::open(folder.join("secret"))?;
        count += 1;
        thread::sleep(Duration::from_millis(2));
    }
    fact("count", count);
    Ok(())
}

fn wait_until_over(folder: &Path) -> io::Result<()> {
    let start = Instant::now();
    while !folder.join(OVER).exists() {
        // Whoever started this may be gone.
        if start.elapsed() > PATIENCE || !folder.exists() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
