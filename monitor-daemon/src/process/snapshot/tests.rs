//! The snapshot against the running kernel: what it says of processes that the test knows.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use monitor_common::ARGS_MAX;
use rustix::fs::OFlags;

use super::strings::{PATIENCE_IN_ALL, THREADS_MAX};
use super::*;

/// A child that lives until it is dropped.
struct Running {
    child: Child,
    stdout: ChildStdout,
}

impl Running {
    /// `sh -c` with `script`, which must print a line when it is ready, and `args` as `$1`...
    fn start(script: &str, args: &[&str]) -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", script, "zero"])
            .args(args)
            .env_clear()
            .env("COLOUR", "blue green")
            .current_dir("/usr/lib")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut running = Self { child, stdout };
        let mut byte = [0];
        running.stdout.read_exact(&mut byte).unwrap();
        running
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

const WAIT: &str = "echo; read line";

fn reader() -> Reader {
    let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
        .into_iter()
        .map(PathBuf::from)
        .find(|root| root.join("cgroup.controllers").exists());
    Reader::new("/proc", root)
}

fn comm(process: &SnapshotProcess) -> &[u8] {
    process.task.comm.split(|byte| *byte == 0).next().unwrap()
}

#[test]
fn a_child_is_described() {
    let child = Running::start(WAIT, &["one", "two words", ""]);
    let process = reader().read(child.pid()).unwrap();
    let task = &process.task;
    assert_eq!(comm(&process), b"sh");
    let exe = std::fs::canonicalize("/bin/sh").unwrap();
    assert_eq!(process.exe.as_deref(), Some(exe.as_os_str().as_bytes()));
    assert_eq!(process.exe_flags, 0);
    let file = std::fs::metadata(&exe).unwrap();
    let mtime = file.mtime() as u64 * 1_000_000_000 + file.mtime_nsec() as u64;
    assert_eq!((process.exe_inode, process.exe_mtime), (file.ino(), mtime));
    assert_eq!(
        process.args,
        format!("/bin/sh\0-c\0{WAIT}\0zero\0one\0two words\0\0").as_bytes()
    );
    assert_eq!(process.args_len, process.args.len());
    assert!(
        process
            .env
            .split(|byte| *byte == 0)
            .any(|entry| entry == b"COLOUR=blue green")
    );
    assert_eq!(process.cwd, b"/usr/lib");
    assert_eq!(process.root, b"/");
    assert_eq!(
        (task.pid, task.tid, task.ppid),
        (child.pid(), child.pid(), std::process::id())
    );
    let me = reader().read(std::process::id()).unwrap().task;
    assert_eq!((task.parent_start, task.vppid), (me.start, me.vpid));
    assert_eq!((task.uid, task.euid), (me.uid, me.euid));
    assert_eq!((task.sid, task.pgid), (me.sid, me.pgid));
    assert_eq!(
        (task.mnt_ns, task.pid_ns, task.cgroup),
        (me.mnt_ns, me.pid_ns, me.cgroup)
    );
    assert_ne!(task.mnt_ns, 0);
    assert!(same_start(task.start, task.start + TICK - 1) && !same_start(task.start, 0));
}

#[test]
fn the_cgroup_is_the_inode_of_its_directory() {
    let mut reader = reader();
    let Some(root) = reader.cgroup_root.clone() else {
        println!("SKIP: no unified cgroup hierarchy is mounted");
        return;
    };
    let process = reader.read(std::process::id()).unwrap();
    let path = std::str::from_utf8(&process.cgroup_path)
        .unwrap()
        .trim_start_matches('/');
    assert_eq!(
        process.task.cgroup,
        rustix::fs::stat(root.join(path)).unwrap().st_ino
    );
}

#[test]
fn long_arguments_keep_head_and_tail() {
    let long: Vec<String> = (0..20)
        .map(|n| format!("{n}{}", "x".repeat(9_000)))
        .collect();
    let args: Vec<&str> = long.iter().map(String::as_str).collect();
    let child = Running::start(WAIT, &args);
    let process = reader().read(child.pid()).unwrap();
    let whole = format!("/bin/sh\0-c\0{WAIT}\0zero\0{}\0", args.join("\0"));
    assert_eq!(process.args_len, whole.len());
    let half = ARGS_MAX / 2;
    let expected = [
        &whole.as_bytes()[..half],
        &whole.as_bytes()[whole.len() - half..],
    ]
    .concat();
    assert!(process.args == expected);
}

#[test]
fn a_deleted_executable_is_named_and_flagged() {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("a shell");
    std::fs::copy("/bin/sh", &copy).unwrap();
    let mut child = Command::new(&copy)
        .arg0("innocent")
        .args(["-c", WAIT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let mut running = Running { child, stdout };
    running.stdout.read_exact(&mut [0]).unwrap();
    std::fs::remove_file(&copy).unwrap();
    let process = reader().read(running.pid()).unwrap();
    assert_eq!(process.exe.as_deref(), Some(copy.as_os_str().as_bytes()));
    assert_eq!(
        process.exe_flags,
        monitor_common::process::ExeFlags::UNLINKED
    );
    assert!(process.args.starts_with(b"innocent\0"));
}

#[test]
fn a_scan_finds_parents_and_no_zombies() {
    let living = Running::start(WAIT, &[]);
    let mut zombie = Command::new("/bin/true")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its end of the pipe closes when it is gone, a moment before it is a zombie.
    zombie
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut Vec::new())
        .unwrap();
    let path = format!("/proc/{}/stat", zombie.id());
    while !std::fs::read_to_string(&path).unwrap().contains(") Z") {
        std::thread::yield_now();
    }
    let scan = reader().scan();
    let find = |pid| scan.iter().find(|process| process.task.pid == pid);
    let (me, child) = (
        find(std::process::id()).unwrap(),
        find(living.pid()).unwrap(),
    );
    assert_eq!(child.task.parent_start, me.task.start);
    assert_eq!(child.task.pid_ns_start, me.task.pid_ns_start);
    assert!(scan.iter().any(|process| process.task.pid == 1));
    assert!(scan.is_sorted_by_key(|process| process.task.pid));
    assert!(find(zombie.id()).is_none());
    zombie.wait().unwrap();
}

#[test]
fn whoever_is_gone_is_left_out() {
    let child = Running::start(WAIT, &[]);
    let pid = child.pid();
    drop(child);
    assert!(reader().read(pid).is_none());
    assert!(Reader::new("/nonexistent", None).scan().is_empty());
    assert!(Reader::new("/nonexistent", None).read(1).is_none());
}

/// Runs `churn` again and again beside `look`.
fn beside(churn: impl Fn() + Sync, look: impl FnOnce()) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    churn();
                }
            });
        }
        look();
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_scan_holds_while_processes_come_and_go() {
    let living = Running::start(WAIT, &["kept"]);
    let mut reader = reader();
    let vanish = || {
        let mut child = Command::new("/bin/true").spawn().unwrap();
        child.wait().unwrap();
    };
    beside(vanish, || {
        for _ in 0..20 {
            let scan = reader.scan();
            let mut pids: Vec<u32> = scan.iter().map(|process| process.task.pid).collect();
            let count = pids.len();
            pids.dedup();
            assert_eq!(pids.len(), count);
            for pid in [std::process::id(), living.pid()] {
                assert!(pids.contains(&pid), "{pid} among {pids:?}");
            }
            let child = scan.iter().find(|process| process.task.pid == living.pid());
            assert!(child.unwrap().args.ends_with(b"kept\0"));
        }
    });
}

/// Files of a process go one by one, so that any of them may be missing behind one that was there.
#[test]
fn a_process_that_goes_while_it_is_read_is_read_or_left_out() {
    let proc = tempfile::tempdir().unwrap();
    let own = Path::new("/proc/self");
    let files = ["stat", "status", "cmdline", "environ", "cgroup", "loginuid"];
    let texts = files.map(|name| (name, std::fs::read(own.join(name)).unwrap_or_default()));
    let number = AtomicU32::new(0);
    let vanish = || {
        let pid = 1_000_000 + number.fetch_add(1, Ordering::Relaxed) % 50;
        let directory = proc.path().join(pid.to_string());
        // Both threads may be at the same one.
        let _ = std::fs::create_dir(&directory);
        for (name, text) in &texts {
            let _ = std::fs::write(directory.join(name), text);
        }
        for (name, _) in &texts {
            let _ = std::fs::remove_file(directory.join(name));
        }
        let _ = std::fs::remove_dir(&directory);
    };
    beside(vanish, || {
        let mut reader = Reader::new(proc.path(), None);
        for pid in (0..20).flat_map(|_| 1_000_000..1_000_050) {
            let _found = reader.read(pid);
        }
        for _ in 0..100 {
            assert!(reader.scan().len() <= 50);
        }
    });
    assert!(Reader::new(proc.path(), None).scan().is_empty());
}

/// A `/proc` of processes like this one, each in the cgroup of its name.
fn proc_of(pids: impl Iterator<Item = (u32, String)>) -> tempfile::TempDir {
    let proc = tempfile::tempdir().unwrap();
    for (pid, cgroup) in pids {
        let directory = proc.path().join(pid.to_string());
        std::fs::create_dir(&directory).unwrap();
        for name in ["stat", "status", "cmdline", "environ"] {
            let text = std::fs::read(Path::new("/proc/self").join(name)).unwrap();
            std::fs::write(directory.join(name), text).unwrap();
        }
        std::fs::write(directory.join("cgroup"), format!("0::/{cgroup}\n")).unwrap();
    }
    proc
}

/// A pipe that nobody writes, which stands for memory whose lock is held.
fn hold(proc: &Path, pid: u32) -> PathBuf {
    let file = proc.join(pid.to_string()).join("cmdline");
    std::fs::remove_file(&file).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&file)
            .status()
            .unwrap()
            .success()
    );
    file
}

/// Lets a process go, if somebody waits for it.
fn let_go(file: &Path) -> bool {
    let mut options = File::options();
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    options.write(true).custom_flags(flags).open(file).is_ok()
}

#[test]
fn who_holds_its_memory_holds_nobody_up() {
    let named = |pid| (pid, format!("own-{pid}"));
    let proc = proc_of((1..=40).map(named));
    let held: Vec<PathBuf> = (1..=40).map(|pid| hold(proc.path(), pid)).collect();
    let mut reader = Reader::new(proc.path(), None);
    let start = Instant::now();
    assert_eq!(reader.scan().len(), 40);
    assert!(
        start.elapsed() < 2 * PATIENCE_IN_ALL,
        "{:?}",
        start.elapsed()
    );
    assert_eq!(reader.unread(), 40);
    assert_eq!(held.iter().filter(|file| let_go(file)).count(), THREADS_MAX);
}

#[test]
fn a_container_whose_memory_is_held_takes_it_from_no_other() {
    let cgroup = |pid| (pid, if pid <= 20 { "bad" } else { "good" }.to_owned());
    let proc = proc_of((1..=21).map(cgroup));
    let held: Vec<PathBuf> = (1..=20).map(|pid| hold(proc.path(), pid)).collect();
    let mut reader = Reader::new(proc.path(), None);
    let found = reader.scan();
    let own = std::fs::read("/proc/self/cmdline").unwrap();
    for process in found {
        let args = if process.task.pid <= 20 {
            &[][..]
        } else {
            &own
        };
        assert_eq!(process.args, args, "{}", process.task.pid);
    }

    // Once it lets go, the others are asked again.
    assert_eq!(held.iter().filter(|file| let_go(file)).count(), 1);
    for file in &held {
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, &own).unwrap();
    }
    while reader.read(1).unwrap().args.is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn a_forged_proc_of_any_shape_is_survived() {
    let proc = tempfile::tempdir().unwrap();
    for (pid, stat) in [("1", "1 (a) S"), ("2", ""), ("3", "3 ) ( S 1"), ("x", "")] {
        let directory = proc.path().join(pid);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("stat"), stat).unwrap();
    }
    std::fs::write(proc.path().join("4"), "a file").unwrap();
    assert!(Reader::new(proc.path(), None).scan().is_empty());
}
