//! The daemon that watches the self-test: a child with rules of its own, whose alerts are read from
//! a file in a temporary folder. Both are gone when this is dropped.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::acts;
use super::done::{Done, act_in, expand, field};
use super::reader::Reader;
use super::report::Outcome;
use super::trials::{Act, By, Meanwhile, Plan, Trial};
use crate::reload;

/// Longest from an act to its alert.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(20);
/// How long to wait for alerts that are not there in their turn.
const LATE: Duration = Duration::from_secs(3);
/// Longer than from one look of the daemon at its own maps to the next.
const TURN: Duration = Duration::from_secs(30);
/// How long the watcher is stopped for the act that happens meanwhile.
const STOPPED: Duration = Duration::from_secs(1);
const FENCE: &str = "selftest-fence";
/// How often other rules are taken, and then all again.
const RELOADS: usize = 2;

const MACROS: &str = "\
- macro: opened
  condition: (evt.type in (open, openat, openat2) and fd.num >= 0)
- macro: started
  condition: (evt.type in (execve, execveat) and evt.failed = false)
";

/// Why the self-test could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatcherError {
    #[error("cannot prepare the folder `{}`: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot start this program again: {0}")]
    Start(#[source] io::Error),
    #[error("the watcher did not get ready; it said:\n{log}")]
    Ready { log: String },
    #[error("the watcher's alerts cannot be read: {0}")]
    Alerts(#[source] io::Error),
    #[error("the watcher ended in the middle")]
    Ended,
    #[error("no sign of the watcher within {} s after `{act}`", PATIENCE.as_secs())]
    Silent { act: &'static str },
}

/// A running daemon of our own.
#[derive(Debug)]
pub(super) struct Watcher {
    child: Child,
    program: PathBuf,
    folder: Folder,
    alerts: File,
    unread: Vec<u8>,
    /// How many fences there were.
    fences: usize,
    /// Processes that were there before, by trial.
    older: BTreeMap<&'static str, Child>,
    output: Reader,
}

impl Watcher {
    /// Prepares folders and rules for `trials`, starts the daemon and waits until it is ready.
    pub(super) fn start(trials: &[Trial]) -> Result<Self, WatcherError> {
        let program = std::env::current_exe().map_err(WatcherError::Start)?;
        let folder = Folder::make()?;
        let alerts = folder
            .prepare(&program, trials)
            .map_err(|source| WatcherError::Folder {
                path: folder.0.clone(),
                source,
            })?;
        let mut older = BTreeMap::new();
        for trial in trials {
            if matches!(&trial.plan, Plan::Act(act) if act.meanwhile == Meanwhile::Started) {
                let place = folder.of(trial);
                let child = act_in(&program, trial, &place).spawn();
                older.insert(trial.name, child.map_err(WatcherError::Start)?);
            }
        }
        let mut child = Command::new(&program)
            .args(["run", "--every-alert"])
            .args(["--config".into(), folder.0.join("monitor.yaml")])
            .args(["--policy".into(), folder.0.join("rules.yaml")])
            .args(["--alerts".into(), folder.0.join("alerts")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(WatcherError::Start)?;
        let log = child.stderr.take();
        let output = (child.stdout.take())
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
            .and_then(Reader::start);
        let watcher = Self {
            child,
            program,
            folder,
            alerts,
            unread: Vec::new(),
            fences: 0,
            older,
            output: output.map_err(WatcherError::Start)?,
        };
        match log.map(wait_until_ready) {
            Some(Ok(())) => Ok(watcher),
            Some(Err(log)) => Err(WatcherError::Ready { log }),
            None => Err(WatcherError::Ready { log: String::new() }),
        }
    }

    /// Acts, and says whether the alerts came, and none of the twin: the same in a folder that the
    /// rule does not name.
    pub(super) fn judge(&mut self, trial: &Trial, act: &Act) -> Result<Outcome, WatcherError> {
        let place = self.folder.of(trial);
        let twin = match act.meanwhile {
            Meanwhile::Nothing => Some(self.act(trial, act, &self.folder.twin_of(trial))?),
            // The watcher is busy with the one.
            _ => None,
        };
        let done = self.act(trial, act, &place)?;
        let alerts = self.alerts_up_to_fence(trial.name)?;
        self.output.go_on();
        for done in twin.iter().chain([&done]) {
            if let Some(reason) = &done.refused {
                let reason = reason.clone();
                return Ok(Outcome::Refused { reason });
            }
            if let Some(reason) = done.facts.get(acts::ABSENT) {
                let reason = reason.clone();
                return Ok(Outcome::NotTried { reason });
            }
        }
        if let Some(twin) = twin
            && alerts.iter().any(|alert| twin.made(alert, trial, act))
        {
            let reason = "an alert came for what the rule is not about".to_owned();
            return Ok(Outcome::blind(reason));
        }
        let fields: Vec<(&str, String)> = (act.fields.iter())
            .map(|(name, value)| (*name, done.expand(&expand(value, &place, &self.program))))
            .collect();
        let fits = |alert: &&Value| {
            done.made(alert, trial, act)
                && (fields.iter()).all(|(name, value)| field(alert, name).as_ref() == Some(value))
        };
        let told = done.facts.get("count").and_then(|count| count.parse().ok());
        let expected = told.unwrap_or(act.count);
        let start = Instant::now();
        let mut count = alerts.iter().filter(fits).count();
        // What is of a container may wait for what is known of it, and the daemon sees to itself in
        // turns.
        let patience = match act.by {
            By::Daemon => TURN,
            By::Itself | By::Children => LATE,
        };
        while count < expected && start.elapsed() < patience {
            thread::sleep(PAUSE);
            let late = self.alerts_up_to_fence(trial.name)?;
            count += late.iter().filter(fits).count();
        }
        if count == expected {
            return Ok(Outcome::Detected);
        }
        let known = act
            .blind
            .and_then(|(kind, part)| self.known_blindness(kind, part));
        let found = format!("{count} alerts of {expected}");
        Ok(match known {
            Some(reason) => Outcome::Blind {
                reason: format!("{found}; {reason}"),
                known: true,
            },
            None => Outcome::blind(found),
        })
    }

    /// Does the act, and meanwhile with the watcher what belongs to it.
    fn act(&mut self, trial: &Trial, act: &Act, place: &Path) -> Result<Done, WatcherError> {
        let watcher = self.child.id().to_string();
        let mut command = act_in(&self.program, trial, place);
        if act.meanwhile == Meanwhile::Known {
            command.arg(&watcher);
        }
        let over = || fs::write(place.join(acts::OVER), "").map_err(WatcherError::Start);
        let mut problem = None;
        match act.meanwhile {
            Meanwhile::Stopped => self.signal(Signal::STOP),
            Meanwhile::Blocked => self.output.pause(),
            _ => {}
        }
        let child = match self.older.remove(trial.name) {
            Some(older) => Ok(older),
            None => command.spawn(),
        };
        match act.meanwhile {
            Meanwhile::Reloaded => {
                problem = self.reload().err();
                over()?;
            }
            Meanwhile::Started => over()?,
            _ => {}
        }
        let pid = child.as_ref().map_or(0, Child::id);
        let output = child.and_then(Child::wait_with_output);
        match act.meanwhile {
            Meanwhile::Stopped => {
                thread::sleep(STOPPED);
                self.signal(Signal::CONT);
            }
            Meanwhile::Blocked if !self.output.is_full_within(PATIENCE) => {
                problem = Some("the output did not block".to_owned());
            }
            _ => {}
        }
        let output = output.map_err(WatcherError::Start)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let told = text.lines().filter_map(|line| line.split_once(' '));
        let mut facts: BTreeMap<String, String> = told
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let place = place.display();
        facts.insert(
            "arguments".to_owned(),
            format!("{} {} {place} {watcher}", acts::COMMAND, trial.name),
        );
        if !output.status.success() {
            problem = Some(String::from_utf8_lossy(&output.stderr).trim().to_owned());
        }
        Ok(Done {
            pid: pid.to_string(),
            facts,
            refused: problem,
        })
    }

    /// Has the watcher take the rules of that trial alone and then all again, some times.
    fn reload(&self) -> Result<(), String> {
        let rules = self.folder.0.join("rules.yaml");
        let next = self.folder.0.join("next.yaml");
        for round in 0..2 * RELOADS {
            let from = if round % 2 == 0 {
                "few.yaml"
            } else {
                "all.yaml"
            };
            fs::copy(self.folder.0.join(from), &next)
                .and_then(|_| fs::rename(&next, &rules))
                .map_err(|error| error.to_string())?;
            let answer = reload::ask(&self.folder.0.join("control"));
            let answer = answer.map_err(|error| error.to_string())?;
            if answer.result != reload::Outcome::Loaded {
                return Err(answer.text());
            }
        }
        Ok(())
    }

    /// What `doctor` says of this kind of event that begins so.
    fn known_blindness(&self, kind: &str, part: &str) -> Option<String> {
        let mut doctor = Command::new(&self.program);
        let output = doctor.args(["doctor", "--format", "json"]).output().ok()?;
        let report: Value = serde_json::from_slice(&output.stdout).ok()?;
        let kinds = report.get("coverage")?.as_array()?;
        let of_kind = |one: &&Value| one.get("kind").and_then(Value::as_str) == Some(kind);
        let blind = kinds.iter().find(of_kind)?.get("blind")?.as_array()?;
        let mut reasons = blind.iter().filter_map(Value::as_str);
        let reason = reasons.find(|reason| reason.starts_with(part))?;
        Some(format!(
            "`doctor` says that this kernel does not show {reason}"
        ))
    }

    /// Ends the daemon and waits for that.
    pub(super) fn stop(mut self) -> Result<(), WatcherError> {
        self.signal(Signal::TERM);
        let status = self.child.wait().map_err(WatcherError::Start)?;
        if status.success() {
            Ok(())
        } else {
            Err(WatcherError::Ended)
        }
    }

    fn signal(&self, signal: Signal) {
        // A child that is gone is found out by its silence.
        let _sent = kill_process(Pid::from_child(&self.child), signal);
    }

    /// The alerts until now: alerts come in order, and that of a fence is the last.
    fn alerts_up_to_fence(&mut self, act: &'static str) -> Result<Vec<Value>, WatcherError> {
        self.fences += 1;
        let mark = format!("{FENCE}-{}", self.fences);
        let fence = acts::nothing(&self.folder.0).and_then(|mut command| {
            std::os::unix::process::CommandExt::arg0(&mut command, FENCE);
            command.arg(&mark).status()
        });
        fence.map_err(WatcherError::Start)?;
        let start = Instant::now();
        let mut alerts = Vec::new();
        while start.elapsed() < PATIENCE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(WatcherError::Ended);
            }
            (self.alerts.read_to_end(&mut self.unread)).map_err(WatcherError::Alerts)?;
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let alert: Value = serde_json::from_slice(&line).unwrap_or_default();
                if alert.to_string().contains(&mark) {
                    return Ok(alerts);
                }
                alerts.push(alert);
            }
            thread::sleep(PAUSE);
        }
        Err(WatcherError::Silent { act })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // After `stop` both do nothing; after an error nobody asks how it ended.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _killed = self.child.kill();
            let _status = self.child.wait();
        }
        for older in self.older.values_mut() {
            let _killed = older.kill();
            let _status = older.wait();
        }
    }
}

/// A temporary folder that ends with its value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, WatcherError> {
        let name = format!("monitor-selftest-{}", std::process::id());
        let usual = std::env::temp_dir();
        // What a mount shows elsewhere is told in the root file system only.
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let root = device(Path::new("/"));
        let places = [&usual, Path::new("/var/tmp")];
        let base = places.into_iter().find(|place| device(place) == root);
        let base = base.unwrap_or(&usual);
        // As the kernel names it, for rules compare that.
        let base = base.canonicalize().unwrap_or_else(|_| base.to_owned());
        let path = base.join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(WatcherError::Folder { path, source }),
        }
    }

    fn of(&self, trial: &Trial) -> PathBuf {
        self.0.join(trial.name)
    }

    fn twin_of(&self, trial: &Trial) -> PathBuf {
        self.0.join("twin").join(trial.name)
    }

    /// Writes rules, configuration and the acts' files; gives the file of alerts.
    fn prepare(&self, program: &Path, trials: &[Trial]) -> io::Result<File> {
        let mut all = format!(
            "{MACROS}- rule: {FENCE}\n  desc: a fence\n  condition: started and proc.exe = {FENCE}\n  \
             output: \"%proc.args\"\n  priority: NOTICE\n"
        );
        let mut few = all.clone();
        for trial in trials {
            let Plan::Act(act) = &trial.plan else {
                continue;
            };
            for place in [self.of(trial), self.twin_of(trial)] {
                fs::create_dir_all(place.join("b"))?;
                fs::create_dir_all(place.join("a"))?;
                for file in ["secret", "decoy", "a/name"] {
                    fs::write(place.join(file), "x\n")?;
                }
            }
            if act.by == By::Daemon {
                continue;
            }
            let fields: Vec<String> = (act.fields.iter())
                .map(|(name, _)| format!("%{name}"))
                .collect();
            let rule = format!(
                "- rule: {}\n  desc: \"{}\"\n  condition: {}\n  output: \"%proc.vpid %proc.pvpid {}\"\n  \
                 priority: NOTICE\n",
                trial.name,
                trial.technique,
                expand(act.condition, &self.of(trial), program),
                fields.join(" ")
            );
            all.push_str(&rule);
            if act.meanwhile == Meanwhile::Reloaded {
                few.push_str(&rule);
            }
        }
        fs::write(self.0.join("rules.yaml"), &all)?;
        fs::write(self.0.join("all.yaml"), all)?;
        fs::write(self.0.join("few.yaml"), few)?;
        let control = self.0.join("control");
        let configuration = format!(
            "rule_matching: all\naccept_blind: true\nstate_file: off\nmetrics:\n  listen: off\ndocker:\n  \
             metadata_wait_ms: 0\n  socket: /nonexistent\nalerts:\n  log: {{path: off}}\n\
             reload_on_change: false\ncontrol:\n  socket: {}\n",
            control.display()
        );
        fs::write(self.0.join("monitor.yaml"), configuration)?;
        File::options()
            .create(true)
            .append(true)
            .read(true)
            .open(self.0.join("alerts"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "the folder of the self-test stays");
        }
    }
}

/// Reads the log up to the line `ready`, and what follows in a thread, so that the daemon never
/// waits for us. Without that line the error is what it said.
fn wait_until_ready(log: ChildStderr) -> Result<(), String> {
    let mut lines = BufReader::new(log);
    let mut said = String::new();
    loop {
        let start = said.len();
        match lines.read_line(&mut said) {
            Ok(read) if read > 0 => {
                if said
                    .get(start..)
                    .is_some_and(|line| line.trim_end() == "ready")
                {
                    thread::spawn(move || io::copy(&mut lines, &mut io::sink()));
                    return Ok(());
                }
            }
            _ => return Err(said),
        }
    }
}
