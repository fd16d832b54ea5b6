//! Records what a workload does, on the host and in what looks like a container, with nothing
//! filtered: the events on which `src/filter/tests/recorded.rs` tries upstream's rules.
//!
//! ```text
//! cargo build --package monitor-daemon --example record
//! sudo target/debug/examples/record monitor-daemon/src/filter/tests/recorded.lz4
//! ```
//!
//! The file is the records as they came out of the rings, one behind the other (each begins with its
//! length), compressed. Only those of the workload's own processes are kept. It writes nothing but
//! that file: the workload has its own mounts.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use monitor_common::{Kind, Slot};
use monitor_daemon::probe::{Probes, Request, Rings};
use monitor_daemon::record::{Body, Record};

/// What Docker would call the cgroup of a container.
const CONTAINER: &str = "docker/f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1";
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
/// Where the workload works.
const FOLDER: &str = "/tmp/monitor-recorded";
/// Programs map their code by the dozen when they start; a few of these tell all.
const MAPPINGS: usize = 40;
/// Records come out this long after what they tell of, at most.
const LATE: Duration = Duration::from_millis(500);

type Failed = Box<dyn Error>;

/// What is kept.
#[derive(Default)]
struct Kept {
    /// Pids of the workload.
    processes: BTreeSet<u32>,
    mappings: usize,
    count: usize,
    bytes: Vec<u8>,
}

fn main() -> Result<(), Failed> {
    let to = PathBuf::from(env::args_os().nth(1).ok_or("usage: record FILE")?);
    let request = Request {
        skip_process: Some(std::process::id()),
        bulk_bytes: 64 << 20,
        ..Request::default()
    };
    let mut probes = Probes::load(&request)?;
    let mut rings = probes.rings()?;
    let root = ROOTS.map(Path::new).into_iter();
    let mut root = root.filter(|root| root.join("cgroup.controllers").exists());
    let root = root.next().ok_or("the unified hierarchy is not mounted")?;
    let cgroup = root.join(CONTAINER);
    fs::create_dir_all(FOLDER)?;
    let mut kept = Kept::default();
    // The cgroups of the host and of the container, by the records of their making.
    let host = root.join("monitor-recorded");
    for place in [&host, &cgroup] {
        fs::create_dir_all(place)?;
        let child = workload(place)?;
        kept.processes.insert(child.id());
        kept.watch(child, &mut rings);
        fs::remove_dir(place)?;
    }
    fs::remove_dir(FOLDER)?;
    let lost = probes.losses()?;
    if !lost.is_empty() {
        return Err(format!("records were lost: {lost:?}").into());
    }
    let packed = lz4_flex::compress_prepend_size(&kept.bytes);
    println!(
        "{} records, {} bytes, {} packed",
        kept.count,
        kept.bytes.len(),
        packed.len()
    );
    fs::write(to, packed)?;
    Ok(())
}

/// Starts the workload in a cgroup and in mounts of its own.
fn workload(cgroup: &Path) -> Result<Child, Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workload.sh");
    let text = fs::read_to_string(script)?;
    let enter = format!("echo $$ > {}/cgroup.procs; {text}", cgroup.display());
    let child = Command::new("/bin/sh")
        .args([
            "-c",
            r#"exec unshare --mount /bin/sh -c "$0" workload "$1""#,
        ])
        .args([&enter, FOLDER])
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child)
}

/// Whether a cgroup is one of the two.
fn is_ours(path: &[u8]) -> bool {
    path.ends_with(b"recorded") || path.ends_with(b"f1f1")
}

impl Kept {
    /// Keeps what the workload does until it ends.
    fn watch(&mut self, mut child: Child, rings: &mut Rings) {
        let mut until = None;
        while until.is_none_or(|until| Instant::now() < until) {
            while let Some(bytes) = rings.next() {
                self.see(bytes);
            }
            if until.is_none() && !matches!(child.try_wait(), Ok(None)) {
                until = Some(Instant::now() + LATE);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn see(&mut self, bytes: &[u8]) {
        let Ok(record) = Record::parse(bytes) else {
            return;
        };
        let pid = record.task().pid;
        match record.body() {
            Body::Fork(fork) if self.processes.contains(&fork.caller_pid) => {
                self.processes.insert(pid);
            }
            // Without these nobody knows whose the others are.
            Body::CgroupMkdir(_) if is_ours(record.string(Slot::Resolved)) => {}
            _ if !self.processes.contains(&pid) => return,
            _ => {}
        }
        if record.kind() == Kind::Memory {
            self.mappings += 1;
            if self.mappings > MAPPINGS {
                return;
            }
        }
        self.count += 1;
        self.bytes.extend_from_slice(bytes);
    }
}
