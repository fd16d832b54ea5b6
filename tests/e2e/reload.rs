//! Rules that change while the daemon runs: by command, by a signal and by themselves, with a needle
//! every few milliseconds that must not be missed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use monitor_tests::daemon::{self, Daemon, field, is_from};
use monitor_tests::{http, paths, skip_if, wait};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::actions::{Programs, run, succeed};
use crate::world::{PATIENCE, watch};

/// Says which programs alert, by a list.
const EXECS: &str = "
- list: marks
  items: [e2e-reload-1]
- rule: execs
  desc: the case's own programs
  condition: evt.type in (execve, execveat) and evt.failed = false and proc.args in (marks)
  output: ran %proc.args
  priority: NOTICE
";
const OPENS: &str = "
- rule: opens
  desc: the case's own files
  condition: evt.type in (open, openat, openat2) and fd.name endswith /e2e-reload-file
  output: opened %fd.name
  priority: NOTICE
";
const TAMPERED: &str = "Monitor tampered with";

struct World {
    daemon: Daemon,
    programs: Programs,
    port: u16,
}

impl World {
    fn start(rules: &str, settings: &str) -> Result<Self> {
        let programs = Programs::new()?;
        let port = http::free_port()?;
        let socket = programs.folder().join("control.sock");
        let settings = format!(
            "{settings}metrics:\n  listen: 127.0.0.1:{port}\ncontrol:\n  socket: {}\n",
            socket.display()
        );
        let daemon = watch(&programs, rules, &settings)?;
        Ok(Self {
            daemon,
            programs,
            port,
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.programs.folder().join(name)
    }

    /// Puts rules in the place of the policy, as editors do.
    fn rename_over(&self, text: &str) -> Result<()> {
        fs::write(self.file("new"), text)?;
        Ok(fs::rename(self.file("new"), self.file("policy.yaml"))?)
    }

    /// What `reload` prints.
    fn reload(&self) -> Result<Output> {
        let mut command = Command::new(paths::daemon()?);
        command.args(["reload", "--format", "json", "--config"]);
        run(command.arg(self.file("monitor.yaml")))
    }

    /// The answer to a `reload` that ends with this status.
    fn answer(&self, status: i32) -> Result<Value> {
        let output = self.reload()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.code() == Some(status),
            "{}: {text}{complaint}",
            output.status
        );
        serde_json::from_str(&text).with_context(|| format!("{text}{complaint}"))
    }

    fn metric(&self, name: &str) -> Result<Option<f64>> {
        let text = http::fetch(self.port, "/metrics")?;
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let found = lines.find(|(found, _)| *found == name);
        Ok(found.map(|(_, value)| value.parse()).transpose()?)
    }

    /// Whether programs that tell of opens are in the kernel, by the figures of the next second.
    fn wait_for_opens(&self, wanted: bool) -> Result<()> {
        wait::until("other programs", PATIENCE, || {
            let text = http::fetch(self.port, "/metrics")?;
            let served = text.contains("monitor_provider{kind=\"open\"");
            Ok((served == wanted).then_some(()))
        })
    }

    /// Rules that a program and a file cause alerts of, up to the end of that program.
    fn seen(&mut self, mark: &str) -> Result<Vec<String>> {
        let start = self.daemon.mark()?;
        fs::write(self.file("e2e-reload-file"), "")?;
        succeed(Command::new("/bin/echo").arg(mark))?;
        // Alerts come in order.
        succeed(Command::new("/bin/echo").arg("e2e-reload-1"))?;
        self.daemon
            .wait_for_since(start, "the last program", PATIENCE, |alert| {
                field(alert, "proc.args").as_deref() == Some("e2e-reload-1")
            })?;
        let alerts = self.daemon.alerts_since(start)?.iter();
        let others =
            alerts.filter(|alert| field(alert, "proc.args").as_deref() != Some("e2e-reload-1"));
        let rules = others.map(|alert| alert["rule"].as_str().unwrap_or_default().to_owned());
        Ok(rules.collect())
    }
}

#[test]
fn rules_come_change_and_go_and_what_is_broken_is_not_taken() -> Result<()> {
    skip_if!(daemon::obstacle());
    let mut world = World::start(EXECS, "")?;
    let seen = world.seen("e2e-reload-2")?;
    ensure!(seen.is_empty(), "{seen:?}");
    let same = world.answer(0)?;
    ensure!(
        same["result"] == "unchanged" && same["rules"] == 1,
        "{same}"
    );

    // A list that a rule uses.
    let two = EXECS.replace("[e2e-reload-1]", "[e2e-reload-1, e2e-reload-2]");
    loaded(&mut world, &two, [&[], &[], &["execs"]])?;
    ensure!(world.seen("e2e-reload-2")? == ["execs"]);

    // A kind of event that no rule was about.
    world.wait_for_opens(false)?;
    let both = two.clone() + OPENS;
    loaded(&mut world, &both, [&["opens"], &[], &[]])?;
    ensure!(world.seen("e2e-reload-2")? == ["opens", "execs"]);
    world.wait_for_opens(true)?;

    // Broken: the old rules stay, and it is said what is wrong where.
    world.rename_over(&(both.clone() + "- rule: broken\n  condition: evt.typ = open\n"))?;
    let refused = world.answer(1)?;
    ensure!(
        refused["result"] == "refused" && refused["cause"] == "policy",
        "{refused}"
    );
    let told = refused["diagnostics"].as_str().unwrap_or_default();
    ensure!(
        told.contains("policy.yaml:15") && told.contains("`broken`"),
        "{told}"
    );
    ensure!(world.metric("monitor_policy_load_successful")? == Some(0.0));
    ensure!(world.seen("e2e-reload-2")? == ["opens", "execs"]);

    // Changed files are loaded without being asked for.
    let before = world.metric("monitor_policy_loads_total{result=\"loaded\"}")?;
    world.rename_over(&two)?;
    wait::until("the change to be found", PATIENCE, || {
        let now = world.metric("monitor_policy_loads_total{result=\"loaded\"}")?;
        Ok((now > before).then_some(()))
    })?;
    // It is counted before it is told.
    wait::until("the change to be told", PATIENCE, || {
        Ok(world.daemon.log().contains("removed: opens").then_some(()))
    })?;
    ensure!(world.seen("e2e-reload-2")? == ["execs"]);
    world.wait_for_opens(false)?;

    configuration(&mut world)?;
    signal(&world)?;
    ensure!(world.metric("monitor_tamperings_total")? == Some(0.0));
    let alerts = world.daemon.stop()?;
    ensure!(!alerts.iter().any(|alert| is_from(alert, TAMPERED)));
    Ok(())
}

/// Loads rules and holds the answer to the names of those added, removed and changed.
fn loaded(world: &mut World, rules: &str, names: [&[&str]; 3]) -> Result<()> {
    world.rename_over(rules)?;
    let answer = world.answer(0)?;
    ensure!(answer["result"] == "loaded", "{answer}");
    for (what, names) in ["added", "removed", "changed"].into_iter().zip(names) {
        ensure!(
            answer[what]["names"] == serde_json::json!(names),
            "{what}: {answer}"
        );
    }
    let checksum = answer["checksum"].as_str().unwrap_or_default();
    let metric = world.metric(&format!("monitor_policy{{checksum=\"{checksum}\"}}"))?;
    ensure!(metric == Some(1.0), "no metric of the checksum in {answer}");
    Ok(())
}

/// What a reload does not take over is told, and the rest is taken.
fn configuration(world: &mut World) -> Result<()> {
    let path = world.file("monitor.yaml");
    let text = fs::read_to_string(&path)?;
    fs::write(
        &path,
        format!("{text}hostname: other\nrules: [{{disable: {{rule: execs}}}}]\n"),
    )?;
    let answer = world.answer(0)?;
    ensure!(
        answer["rules"] == 0 && answer["needs_restart"] == serde_json::json!(["hostname"]),
        "{answer}"
    );
    fs::write(&path, text.clone() + "nonsense: 1\n")?;
    let output = world.reload()?;
    ensure!(output.status.code() == Some(4), "{}", output.status);
    fs::write(&path, text)?;
    let answer = world.answer(0)?;
    ensure!(answer["rules"] == 1, "{answer}");
    Ok(())
}

fn signal(world: &World) -> Result<()> {
    let loads = || world.metric("monitor_policy_loads_total{result=\"unchanged\"}");
    let before = loads()?;
    let pid = Pid::from_raw(world.daemon.pid().cast_signed()).context("a process number")?;
    kill_process(pid, Signal::HUP)?;
    wait::until("a load because of the signal", PATIENCE, || {
        Ok((loads()? > before).then_some(()))
    })
}

/// How many reloads; a thousand take two minutes.
const COUNT: &str = "E2E_RELOADS";
const RELOADS: usize = 200;
/// After so many, what the daemon needs for reloads it has.
const WARM: usize = 30;
const GROWTH_MAX_KIB: u64 = 12 << 10;
const EVERY: Duration = Duration::from_millis(10);
/// Opens between two needles.
const LOAD: usize = 50;

/// What others on this machine do must not fill a ring either.
const SETTINGS: &str = "\
rule_matching: all
reload_on_change: false
rings: {lifecycle_bytes: 16777216, bulk_bytes: 67108864}
";

/// Rules of both sets.
const NEEDLES: &str = "
- rule: ran
  desc: the needle's program
  condition: evt.type in (execve, execveat) and proc.args startswith e2e-needle-
  output: ran %proc.args
  priority: NOTICE
- rule: opened
  desc: the needle's file
  condition: evt.type in (open, openat, openat2) and fd.name contains /e2e-needle-
  output: opened %fd.name
  priority: NOTICE
";
/// Rules of one set, for which other programs and calls are needed, and the environment.
const MORE: &str = "
- rule: more
  desc: what else may happen
  condition: >
    evt.type in (connect, mkdir, mkdirat, symlinkat, creat, dup3) and proc.env[E2E_NEEDLE] = never
  output: more
  priority: NOTICE
";

#[test]
fn reloads_under_load_miss_nothing() -> Result<()> {
    skip_if!(daemon::obstacle());
    let count = std::env::var(COUNT).map_or(Ok(RELOADS), |count| count.parse())?;
    let world = World::start(NEEDLES, SETTINGS)?;
    let stop = AtomicBool::new(false);
    let folder = world.programs.folder();
    let start = Instant::now();
    let (needles, warm) = thread::scope(|scope| {
        let needles = scope.spawn(|| needles(folder, &stop));
        let warm = reloads(&world, count);
        stop.store(true, Ordering::Relaxed);
        let needles = needles
            .join()
            .map_err(|_| anyhow::anyhow!("the needles panicked"))?;
        Ok::<_, anyhow::Error>((needles?, warm?))
    })?;
    let (time, grown) = (
        start.elapsed(),
        rss(world.daemon.pid())?.saturating_sub(warm),
    );
    println!("{count} reloads in {time:?}, {needles} needles, grown by {grown} KiB");
    ensure!(needles > count, "only {needles} needles");
    ensure!(grown <= GROWTH_MAX_KIB, "grown by {grown} KiB");
    let lost: Vec<String> = http::fetch(world.port, "/metrics")?
        .lines()
        .filter(|line| line.starts_with("monitor_records_lost_total{") && !line.ends_with(" 0"))
        .map(str::to_owned)
        .collect();
    ensure!(world.metric("monitor_tamperings_total")? == Some(0.0));
    let alerts = world.daemon.stop()?;
    let mut seen: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for alert in &alerts {
        let (rule, field_name) = match alert["rule"].as_str() {
            Some("ran") => ("ran", "proc.args"),
            Some("opened") => ("opened", "fd.name"),
            _ => continue,
        };
        let text = field(alert, field_name).unwrap_or_default();
        let number = text.rsplit('-').next().unwrap_or_default().parse()?;
        *seen.entry((rule, number)).or_default() += 1;
    }
    for rule in ["ran", "opened"] {
        let missed = (0..needles).filter(|number| !seen.contains_key(&(rule, *number)));
        let missed: Vec<usize> = missed.collect();
        ensure!(
            missed.is_empty(),
            "`{rule}` missed {missed:?} of {needles}; lost: {lost:?}"
        );
    }
    let doubled: Vec<_> = seen.iter().filter(|(_, times)| **times != 1).collect();
    ensure!(doubled.is_empty(), "{doubled:?}");
    ensure!(!alerts.iter().any(|alert| is_from(alert, TAMPERED)));
    Ok(())
}

/// Runs a program and makes a file, each with its number, until told to stop; how many.
fn needles(folder: &Path, stop: &AtomicBool) -> Result<usize> {
    let mut number = 0;
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        succeed(Command::new("/bin/true").arg(format!("e2e-needle-{number}")))?;
        let file = folder.join(format!("e2e-needle-{number}"));
        fs::write(&file, "")?;
        fs::remove_file(&file)?;
        for _ in 0..LOAD {
            fs::File::open("/etc/passwd")?;
        }
        number += 1;
        next += EVERY;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(number)
}

/// Changes the rules again and again; KiB of the daemon once it is warm.
fn reloads(world: &World, count: usize) -> Result<u64> {
    let sets = [NEEDLES.to_owned(), NEEDLES.to_owned() + MORE];
    let socket = world.file("control.sock");
    let mut warm = 0;
    for (number, set) in sets.iter().cycle().skip(1).take(count).enumerate() {
        world.rename_over(set)?;
        let mut stream = UnixStream::connect(&socket)?;
        stream.write_all(b"{\"command\":\"reload\"}\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        ensure!(answer["result"] == "loaded", "{number}: {answer}");
        if number <= WARM {
            warm = rss(world.daemon.pid())?;
        }
    }
    Ok(warm)
}

/// Resident memory of a process, KiB.
fn rss(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
