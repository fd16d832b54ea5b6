//! Who is measured: nobody, our daemon with rules of so many, and other monitors by their command
//! lines; and each while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::time::{ClockId, clock_gettime};

use super::rules::Rules;
use super::usage::{self, Mapped, Usage};
use crate::{shell, workspace};

/// Where our daemon serves its figures.
const ADDRESS: &str = "127.0.0.1:19464";
const STOPPING: Duration = Duration::from_secs(10);

/// Somebody to measure.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Nobody,
    Ours(Rules),
    Peer { name: String, command: String },
}

/// A line that a monitor printed, and when.
#[derive(Clone, Debug)]
struct Line {
    ns: u64,
    text: String,
}

/// A monitor that runs; dropped, it ends.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    started_ns: u64,
    lines: Arc<Mutex<Vec<Line>>>,
    ours: bool,
}

impl Subject {
    /// A peer as the command line has it: `NAME=COMMAND`.
    pub(super) fn peer(text: &str) -> Result<Self, String> {
        let (name, command) = text.split_once('=').unwrap_or_default();
        if name.is_empty() || command.trim().is_empty() {
            return Err("a peer is NAME=COMMAND, such as `falco=falco -U -r rules.yaml`".into());
        }
        Ok(Self::Peer {
            name: name.to_owned(),
            command: command.to_owned(),
        })
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Ours(Rules::Execs) => "monitor, execs alone".to_owned(),
            Self::Ours(rules) => format!("monitor, {} rules", rules.count()),
            Self::Peer { name, .. } => name.clone(),
        }
    }

    /// Starts it, unless it is nobody.
    pub(super) fn start(&self) -> Result<Option<Running>> {
        let command = match self {
            Self::Nobody => return Ok(None),
            Self::Ours(rules) => ours(*rules)?,
            Self::Peer { command, .. } => {
                let mut shell = shell::without_outer_cargo("sh");
                shell.args(["-c", &format!("exec {command}")]);
                shell
            }
        };
        Running::start(&command, matches!(self, Self::Ours(_))).map(Some)
    }
}

/// Our daemon with nothing but its rules: no state, no reload, alerts as JSON lines and in a new
/// log. Alerts that say the same are rolled up, as they are by default; needles do not.
fn ours(rules: Rules) -> Result<Command> {
    let config = workspace::target().join("bench/monitor.yaml");
    let log = workspace::target().join("bench/alerts.db");
    for ending in ["db", "db-wal", "db-shm"] {
        let _absent = fs::remove_file(log.with_extension(ending));
    }
    let text = format!(
        "metrics: {{listen: '{ADDRESS}'}}\ncontrol: {{socket: off}}\nstate_file: off\n\
         reload_on_change: false\nalerts: {{log: {{path: '{}'}}}}\n",
        log.display()
    );
    fs::write(&config, text)?;
    let mut command = shell::without_outer_cargo(workspace::daemon());
    command
        .arg("run")
        .arg("--config")
        .arg(config)
        .args(["--alerts", "-"]);
    for file in rules.files()? {
        command.arg("--policy").arg(file);
    }
    Ok(command)
}

impl Running {
    fn start(command: &Command, ours: bool) -> Result<Self> {
        shell::announce(command);
        let mut command = tied(command);
        let started_ns = now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("cannot start the monitor")?;
        let lines = Arc::<Mutex<Vec<Line>>>::default();
        let outputs: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as _),
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
        ];
        for pipe in outputs.into_iter().flatten() {
            let lines = Arc::clone(&lines);
            thread::spawn(move || keep(pipe, &lines));
        }
        Ok(Self {
            child,
            started_ns,
            lines,
            ours,
        })
    }

    /// When a line came that has all of these texts, ns as [`now`] tells them.
    pub(super) fn told(&self, texts: &[&str]) -> Option<u64> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = lines.iter();
        let line = lines.find(|line| texts.iter().all(|text| line.text.contains(text)))?;
        Some(line.ns)
    }

    /// Time from its start to when it said that it is ready, ms; others than ours do not say so.
    pub(super) fn ready_ms(&self) -> Option<f64> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.iter().find(|line| line.text == "ready")?;
        Some((line.ns - self.started_ns) as f64 / 1e6)
    }

    /// Time from its start to `ns`, ms.
    pub(super) fn since_start_ms(&self, ns: u64) -> f64 {
        ns.saturating_sub(self.started_ns) as f64 / 1e6
    }

    pub(super) fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Its memory, by what is mapped.
    pub(super) fn mappings(&self) -> BTreeMap<&'static str, Mapped> {
        usage::mappings(self.child.id())
    }

    /// Its memory, each page once.
    pub(super) fn own_bytes(&self) -> u64 {
        usage::own_bytes(self.child.id())
    }

    /// What it has taken when it has worked off all there was: when it idles for a while.
    pub(super) fn settled(&self) -> Usage {
        let mut before = self.usage();
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(100));
            let usage = self.usage();
            if usage.cpu_ns - before.cpu_ns.min(usage.cpu_ns) < 2_000_000 {
                return usage;
            }
            before = usage;
        }
        before
    }

    /// Whether it has ended by itself.
    pub(super) fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What it printed last, for a message.
    pub(super) fn last_words(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let last = lines.iter().rev().take(5).rev();
        last.map(|line| ["\n    ", &line.text].concat()).collect()
    }

    /// Records that it lost since it started; others than ours are not asked.
    pub(super) fn lost(&self) -> Result<Option<u64>> {
        if !self.ours {
            return Ok(None);
        }
        let mut stream = TcpStream::connect(ADDRESS).context("no figures from the daemon")?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Some(sum(&text, "monitor_records_lost_total")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(group) = Pid::from_raw(self.child.id().cast_signed()) else {
            return;
        };
        let _ = kill_process_group(group, Signal::TERM);
        for _ in 0..STOPPING.as_millis() / 20 {
            if self.ended() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The command as a child that ends when this process does, however that is: it has a group of its
/// own, which an interrupt from the terminal does not reach.
fn tied(command: &Command) -> Command {
    let mut tied = shell::without_outer_cargo("setpriv");
    tied.args(["--pdeathsig", "TERM", "--"]);
    tied.arg(command.get_program()).args(command.get_args());
    tied
}

fn keep(pipe: impl Read, lines: &Mutex<Vec<Line>>) {
    for text in BufReader::new(pipe).lines().map_while(Result::ok) {
        let line = Line { ns: now(), text };
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

/// The time of the loops' clock, ns.
pub(super) fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

/// All series of a metric in Prometheus' text, added up.
fn sum(text: &str, metric: &str) -> u64 {
    let of_it = |line: &&str| {
        let rest = line.strip_prefix(metric);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    let values = text
        .lines()
        .filter(of_it)
        .filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_added_up() {
        let text = "# HELP lost x\nlost{kind=\"a b\",cpu=\"0\"} 3\nlost{kind=\"c\"} 4\nlost_by 5\n";
        assert_eq!(sum(text, "lost"), 7);
        assert_eq!(sum(text, "found"), 0);
    }

    #[test]
    fn a_peer_has_a_name_and_a_command() {
        let peer = Subject::peer("falco=falco -U -o a=b").unwrap();
        let Subject::Peer { name, command } = peer else {
            panic!("{peer:?}")
        };
        assert_eq!((&*name, &*command), ("falco", "falco -U -o a=b"));
        for text in ["falco", "=falco", "falco= "] {
            assert!(Subject::peer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_monitor_is_read_and_ends_when_dropped() {
        let running = Subject::peer("x=sh -c 'echo one two >&2; exec sleep 60'").unwrap();
        let running = running.start().unwrap().unwrap();
        let group = running.child.id();
        while running.told(&["one", "two"]).is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(running.told(&["one", "three"]).is_none());
        assert!(running.ready_ms().is_none());
        drop(running);
        assert_eq!(Usage::of(group).resident_bytes, 0);
    }
}
