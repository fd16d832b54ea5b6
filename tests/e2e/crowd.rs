//! A crowd on one CPU: threads that do nothing but calls the programs look at and leave out, so that
//! most of the time one of them is held up amid a program. Who else runs there is told all the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::is_from;
use monitor_tests::{daemon, skip_if};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity, sched_yield};

use crate::actions::Programs;
use crate::world::{PATIENCE, is_watching, text, watch};

const THREADS: usize = 8;
const NEEDLES: usize = 300;
/// Where nobody serves.
const PORT: u16 = 23_462;

const RULES: &str = "
- rule: opened
  desc: an open
  condition: evt.type in (open, openat) and fd.name contains /needle-
  output: opened | path=%fd.name
  priority: NOTICE
- rule: linked
  desc: a symbolic link
  condition: evt.type in (symlink, symlinkat) and evt.arg.linkpath contains /link-
  output: linked | path=%evt.arg.linkpath
  priority: NOTICE
- rule: renamed
  desc: a new name
  condition: evt.type in (rename, renameat, renameat2) and evt.arg.newpath contains /renamed-
  output: renamed | path=%evt.arg.newpath
  priority: NOTICE
- rule: removed
  desc: a name less
  condition: evt.type in (unlink, unlinkat) and fs.path.name contains /renamed-
  output: removed | path=%fs.path.name
  priority: NOTICE
- rule: connected
  desc: a connection that is refused
  condition: evt.type = connect and fd.sport = 23462
  output: connected | path=%evt.arg.fd
  priority: NOTICE
- rule: needle
  desc: tells that the daemon watches
  condition: evt.type = execve and proc.exepath endswith /true
  output: needle
  priority: NOTICE
";

/// The rules whose alerts name the needle.
const NAMED: [&str; 4] = ["opened", "linked", "renamed", "removed"];

#[test]
fn nobody_hides_behind_a_crowd_on_his_cpu() -> Result<()> {
    skip_if!(daemon::obstacle());
    let programs = Programs::new()?;
    let folder = programs.folder().join("crowd");
    fs::create_dir(&folder)?;
    let mut daemon = watch(&programs, RULES, "")?;
    is_watching(&mut daemon)?;
    let mark = daemon.mark()?;
    let over = AtomicBool::new(false);
    let mut cpu = CpuSet::new();
    cpu.set(sched_getcpu());
    let needles = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| crowd(&cpu, &over));
        }
        let needles = scope.spawn(|| -> Result<()> {
            sched_setaffinity(None, &cpu)?;
            (0..NEEDLES).try_for_each(|number| needle(&folder, number))
        });
        let done = needles.join();
        over.store(true, Ordering::Relaxed);
        done
    });
    needles.map_err(|_panic| anyhow::anyhow!("the needles' thread panicked"))??;
    let last = format!("renamed-{}", NEEDLES - 1);
    daemon.wait_for_since(mark, "the last needle", PATIENCE, |alert| {
        is_from(alert, "removed") && text(&alert["output_fields"], "fs.path.name").ends_with(&last)
    })?;
    let mut told: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut connected = 0;
    for alert in daemon.alerts_since(mark)? {
        connected += usize::from(is_from(alert, "connected"));
        if let Some(rule) = NAMED.into_iter().find(|rule| is_from(alert, rule)) {
            let output = alert["output"].as_str().context("no output")?;
            let path = output.split(" path=").nth(1).context("no path")?;
            let name = path.split(' ').next().unwrap_or_default();
            let number = name.rsplit('-').next().unwrap_or_default();
            *told.entry((rule, number)).or_default() += 1;
        }
    }
    let numbers: Vec<String> = (0..NEEDLES).map(|number| number.to_string()).collect();
    let all = NAMED
        .into_iter()
        .flat_map(|rule| numbers.iter().map(move |number| (rule, &**number)));
    let missing: Vec<_> = all.filter(|needle| !told.contains_key(needle)).collect();
    let twice: Vec<_> = told.iter().filter(|(_, count)| **count > 1).collect();
    let twice = format!("{twice:?}");
    let log = daemon.log();
    ensure!(
        missing.is_empty(),
        "{} missing: {missing:?}\n{log}",
        missing.len()
    );
    ensure!(
        connected >= NEEDLES,
        "{connected} of {NEEDLES} connections\n{log}"
    );
    ensure!(twice == "[]", "told twice: {twice}");
    Ok(())
}

/// Opens what no rule names, and connects to where no rule looks: the kernel leaves that out.
fn crowd(cpu: &CpuSet, over: &AtomicBool) {
    let ready = sched_setaffinity(None, cpu);
    while ready.is_ok() && !over.load(Ordering::Relaxed) {
        let _file = File::open("/etc/hostname");
        let _refused = TcpStream::connect(("127.0.0.1", PORT + 1));
    }
}

fn needle(folder: &Path, number: usize) -> Result<()> {
    let path = |name: &str| folder.join(format!("{name}-{number}"));
    // One of the crowd is held up somewhere else each time.
    sched_yield();
    File::create(path("needle"))?;
    sched_yield();
    symlink("target", path("link"))?;
    sched_yield();
    fs::rename(path("needle"), path("renamed"))?;
    sched_yield();
    ensure!(
        TcpStream::connect(("127.0.0.1", PORT)).is_err(),
        "somebody serves"
    );
    sched_yield();
    Ok(fs::remove_file(path("renamed"))?)
}
