//! `cargo xtask chaos`: numbered alerts all the while, and each round something goes wrong: the
//! daemon is killed, its log server, both; the disk of the alert log is full; the log's last pages
//! are damaged, or its index while the server is away; and, if asked for, the host's clock jumps
//! ahead by more than alerts are kept, also while the server is away.
//!
//! Arguments: how many rounds, and `clock` for jumps of the clock. Prints what was raised and what
//! came. Ends with status 1 when an alert is lost, or came as two.

#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null, it never panics"
)]

mod counter;
mod sink;
mod verdict;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use monitor_tests::daemon::{self, Daemon};
use monitor_tests::disk::Disk;
use monitor_tests::{http, paths, wait};
use rusqlite::Connection;
use tempfile::TempDir;

use counter::Counter;
use sink::Sink;
use verdict::Watched;

/// Longest for a state to come about.
const PATIENCE: Duration = Duration::from_mins(2);
/// From the end of one fault to the next, and how long a fault lasts.
const PAUSE: Duration = Duration::from_millis(400);
/// Further than alerts are kept.
const JUMP_SECONDS: i64 = 400 * 24 * 3600;
/// The keeper of the log looks for old alerts after so many.
const LOOK: usize = 256;
const FAILING: &str = "monitor_alert_log_failing";
const WRITTEN: &str = "monitor_alert_log_alerts_total";
/// Bytes at the end of the log's file that are damaged: some pages.
const DAMAGED: u64 = 16 * 4096;

#[derive(Clone, Copy, Debug)]
enum Fault {
    KillDaemon,
    KillSink,
    KillBoth,
    FillDisk,
    DamageLog,
    DamageBehind,
    Clock,
    ClockBehind,
}

/// One after the other; the most telling ones more often.
const FAULTS: [Fault; 12] = [
    Fault::KillDaemon,
    Fault::KillSink,
    Fault::KillBoth,
    Fault::FillDisk,
    Fault::KillBoth,
    Fault::KillDaemon,
    Fault::DamageLog,
    Fault::KillSink,
    Fault::KillBoth,
    Fault::DamageBehind,
    Fault::Clock,
    Fault::ClockBehind,
];

struct World {
    folder: TempDir,
    disk: Disk,
    port: u16,
    sink: Option<Sink>,
    daemon: Option<(Daemon, Instant)>,
    watched: Vec<Watched>,
    /// Needles whose alerts were in the log of a daemon before its end.
    kept: BTreeSet<usize>,
    /// What each daemon said, up to its end.
    said: Vec<String>,
    /// How often the clock was set ahead, and back.
    jumps: usize,
    counter: Counter,
}

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (rounds, clock) = match arguments[..] {
        ["sink", address, file] => {
            sink::serve(address, Path::new(file))?;
            return Ok(ExitCode::SUCCESS);
        }
        [rounds] => (rounds.parse()?, false),
        [rounds, "clock"] => (rounds.parse()?, true),
        _ => bail!("usage: chaos ROUNDS [clock]"),
    };
    if let Some(reason) = daemon::obstacle() {
        bail!("cannot run here: {reason}");
    }
    let mut world = World::start()?;
    let faults = FAULTS
        .iter()
        .filter(|fault| clock || !matches!(fault, Fault::Clock | Fault::ClockBehind));
    for (round, fault) in faults.cycle().take(rounds).enumerate() {
        thread::sleep(PAUSE);
        let done = world.suffer(*fault);
        let done = done.with_context(|| format!("round {round}, {fault:?}"));
        done.inspect_err(|_| world.tell())?;
    }
    world.judge(rounds)
}

impl World {
    fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("chaos-")?;
        let disk = Disk::new(&folder.path().join("disk"), "256m")?;
        let received = folder.path().join("received");
        let sink = Sink::start(None, &received)?;
        let port = http::free_port()?;
        let config = format!(
            "rule_matching: all\nalerts:\n  stdout: off\n  log: {{path: {}}}\n  \
             http:\n    siem: {{url: 'http://{}/', body: ndjson}}\n\
             metrics: {{listen: '127.0.0.1:{port}'}}\n",
            disk.folder().join("alerts.db").display(),
            sink.address(),
        );
        fs::write(folder.path().join("monitor.yaml"), config)?;
        daemon::policy(folder.path(), counter::RULE)?;
        let mut world = Self {
            disk,
            port,
            sink: Some(sink),
            daemon: None,
            watched: Vec::new(),
            kept: BTreeSet::new(),
            said: Vec::new(),
            jumps: 0,
            counter: Counter::start(),
            folder,
        };
        world.start_daemon()?;
        Ok(world)
    }

    fn metric(&self, name: &str) -> Result<u64> {
        let metrics = http::fetch(self.port, "/metrics")?;
        let mut lines = metrics.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines
            .find(|(key, _)| *key == name)
            .context("no such metric")?;
        Ok(value.parse()?)
    }

    fn received(&self) -> PathBuf {
        self.folder.path().join("received")
    }

    fn start_daemon(&mut self) -> Result<()> {
        let mut command = Command::new(paths::daemon()?);
        command.arg("run").arg("--config");
        command.arg(self.folder.path().join("monitor.yaml"));
        command
            .arg("--policy")
            .arg(self.folder.path().join("policy.yaml"))
            .env(daemon::STATE, self.folder.path());
        let daemon = Daemon::start_command(&mut command)?;
        self.daemon = Some((daemon, Instant::now()));
        Ok(())
    }

    fn kill_daemon(&mut self) -> Result<()> {
        let (daemon, from) = self.daemon.take().context("no daemon runs")?;
        let until = Instant::now();
        self.watched.push(Watched { from, until });
        self.said.push(daemon.log());
        // It writes to its file what its log has.
        self.kept
            .extend(verdict::read(&daemon.alerts_file())?.into_keys());
        daemon.kill()
    }

    fn kill_sink(&mut self) -> Result<()> {
        self.sink.as_mut().context("no server runs")?.kill()
    }

    fn start_sink(&mut self) -> Result<()> {
        let address = self.sink.take().context("no server ran")?.address();
        self.sink = Some(Sink::start(Some(address), &self.received())?);
        Ok(())
    }

    fn suffer(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillDaemon => {
                self.kill_daemon()?;
                self.start_daemon()
            }
            Fault::KillSink => {
                self.kill_sink()?;
                thread::sleep(PAUSE);
                self.start_sink()
            }
            // What was raised meanwhile goes out by the next daemon.
            Fault::KillBoth => {
                self.kill_sink()?;
                thread::sleep(PAUSE);
                self.kill_daemon()?;
                self.start_daemon()?;
                thread::sleep(PAUSE);
                self.start_sink()
            }
            Fault::FillDisk => {
                self.disk.fill()?;
                thread::sleep(PAUSE);
                self.disk.empty()?;
                // That it is not written may not have been noticed yet.
                let before = self.metric(WRITTEN)?;
                wait::until("a log that is written again", PATIENCE, || {
                    let again = self.metric(WRITTEN)? > before && self.metric(FAILING)? == 0;
                    Ok(again.then_some(()))
                })
            }
            Fault::DamageLog => {
                // Of what only those pages hold nobody could know.
                self.counter.pause()?;
                self.wait_for_all()?;
                self.kill_daemon()?;
                for suffix in ["", "-wal"] {
                    damage(&self.disk.folder().join(format!("alerts.db{suffix}")))?;
                }
                self.start_daemon()?;
                self.counter.go_on()
            }
            // Nobody can find the alerts by priority any more, nor add any.
            Fault::DamageBehind => {
                self.kill_sink()?;
                thread::sleep(PAUSE);
                self.kill_daemon()?;
                damage_index(&self.disk.folder().join("alerts.db"))?;
                self.start_daemon()?;
                thread::sleep(PAUSE);
                self.start_sink()
            }
            Fault::ClockBehind => self.jump_behind(),
            Fault::Clock => {
                self.jump(JUMP_SECONDS)?;
                thread::sleep(PAUSE);
                self.jump(-JUMP_SECONDS)
            }
        }
    }

    /// Has the clock jump while the server is away, for so long that the log is looked through for
    /// what is too old. By then more waits than a daemon that was just started holds in memory.
    fn jump_behind(&mut self) -> Result<()> {
        self.kill_sink()?;
        self.wait_for_more()?;
        self.kill_daemon()?;
        self.start_daemon()?;
        self.jump(JUMP_SECONDS)?;
        self.wait_for_more()?;
        self.jump(-JUMP_SECONDS)?;
        self.start_sink()
    }

    /// Waits until so many more needles ran that the log is looked through.
    fn wait_for_more(&self) -> Result<()> {
        let until = self.counter.needles()?.len() + 2 * LOOK;
        wait::until("more alerts", PATIENCE, || {
            Ok((self.counter.needles()?.len() > until).then_some(()))
        })
    }

    fn jump(&mut self, seconds: i64) -> Result<()> {
        self.jumps += 1;
        jump(seconds)
    }

    /// Waits until the server has all that it must get.
    fn wait_for_all(&self) -> Result<()> {
        let mut watched = self.watched.clone();
        if let Some((_, from)) = self.daemon {
            let until = Instant::now();
            watched.push(Watched { from, until });
        }
        let needles = self.counter.needles()?;
        let due = verdict::due(&needles, &watched, &self.kept);
        let mut missing = Vec::new();
        wait::until("all alerts at the server", PATIENCE, || {
            let came = verdict::read(&self.received())?;
            missing = due
                .difference(&came.into_keys().collect())
                .copied()
                .collect();
            Ok(missing.is_empty().then_some(()))
        })
        .with_context(|| {
            let which = verdict::places(&missing, &needles, &watched, &self.kept);
            format!("{} of {} did not come: {which}", missing.len(), due.len())
        })
    }

    /// Prints what the daemons said, for who looks for the cause of a loss.
    fn tell(&self) {
        let last = self.daemon.as_ref().map(|(daemon, _)| daemon.log());
        for (daemon, said) in self.said.iter().chain(&last).enumerate() {
            for line in said.lines() {
                eprintln!("daemon {daemon}: {line}");
            }
        }
    }

    fn judge(mut self, rounds: usize) -> Result<ExitCode> {
        thread::sleep(PAUSE);
        self.counter.pause()?;
        let all = self.wait_for_all();
        if all.is_err() {
            self.tell();
        }
        let (daemon, from) = self.daemon.take().context("no daemon runs")?;
        let until = Instant::now();
        self.watched.push(Watched { from, until });
        daemon.stop()?;
        let came = verdict::read(&self.received())?;
        let verdict = verdict::judge(&self.counter.needles()?, &self.watched, &self.kept, &came);
        println!(
            "{rounds} rounds, {} daemons, {} jumps of the clock: {verdict}",
            self.watched.len(),
            self.jumps
        );
        all?;
        Ok(ExitCode::from(u8::from(!verdict.holds())))
    }
}

/// Overwrites the end of a file, if there is one.
fn damage(path: &Path) -> Result<()> {
    let Ok(file) = fs::File::options().write(true).open(path) else {
        return Ok(());
    };
    let length = file.metadata()?.len();
    let start = length.saturating_sub(DAMAGED);
    let pages: Vec<u8> = (start..length).map(|_| 0xa5).collect();
    Ok(file.write_all_at(&pages, start)?)
}

/// Overwrites the page in which the index of priorities begins.
fn damage_index(path: &Path) -> Result<()> {
    let log = Connection::open(path)?;
    let query = "SELECT rootpage FROM sqlite_schema WHERE name = 'by_priority'";
    let page: u64 = log.query_row(query, (), |row| row.get(0))?;
    // What is new goes to the file itself.
    log.close().map_err(|(_, error)| error)?;
    let file = fs::File::options().write(true).open(path)?;
    Ok(file.write_all_at(&[0xa5; 4096], (page - 1) * 4096)?)
}

fn jump(seconds: i64) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let then = format!("@{}", now.cast_signed() + seconds);
    let set = Command::new("date").args(["-s", &then]).output()?;
    ensure!(set.status.success(), "cannot set the clock");
    Ok(())
}
