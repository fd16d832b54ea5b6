//! The daemon that watches the self-test: a child with rules of its own, whose alerts are read from
//! a file in a temporary folder. Both are gone when this is dropped.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::acts;
use super::report::Outcome;
use super::trials::{Act, Plan, Trial};

/// Longest from an act to its alert.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);
/// How long the watcher is stopped for the act that happens meanwhile.
const STOPPED: Duration = Duration::from_secs(1);
const FENCE: &str = "selftest-fence";
const STOPPED_ACT: &str = "stopped";

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
        let mut child = Command::new(&program)
            .args(["run", "--every-alert"])
            .args(["--config".into(), folder.0.join("monitor.yaml")])
            .args(["--policy".into(), folder.0.join("rules.yaml")])
            .args(["--alerts".into(), folder.0.join("alerts")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(WatcherError::Start)?;
        let log = child.stderr.take();
        let watcher = Self {
            child,
            program,
            folder,
            alerts,
            unread: Vec::new(),
            fences: 0,
        };
        match log.map(wait_until_ready) {
            Some(Ok(())) => Ok(watcher),
            Some(Err(log)) => Err(WatcherError::Ready { log }),
            None => Err(WatcherError::Ready { log: String::new() }),
        }
    }

    /// Acts, and says whether the alerts came.
    pub(super) fn judge(&mut self, trial: &Trial, act: &Act) -> Result<Outcome, WatcherError> {
        let place = self.folder.of(trial);
        let mut command = Command::new(&self.program);
        command.args([acts::COMMAND, trial.name]).arg(&place);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let stopped = (trial.name == STOPPED_ACT).then(|| self.signal(Signal::STOP));
        let output = command.output();
        if stopped.is_some() {
            thread::sleep(STOPPED);
            self.signal(Signal::CONT);
        }
        let output = output.map_err(WatcherError::Start)?;
        let alerts = self.alerts_up_to_fence(trial.name)?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let reason = complaint.trim().to_owned();
            return Ok(Outcome::Refused { reason });
        }
        let fits = |alert: &&Value| {
            let field = |name: &str| alert.get("output_fields")?.get(name)?.as_str();
            let expected = |value: &str| expand(value, &place, &self.program);
            alert.get("rule").and_then(Value::as_str) == Some(trial.name)
                && (act.fields.iter()).all(|(name, value)| field(name) == Some(&expected(value)))
        };
        let count = alerts.iter().filter(fits).count();
        Ok(if count >= act.count {
            Outcome::Detected
        } else {
            let reason = format!("{count} alerts of {}", act.count);
            Outcome::Blind { reason }
        })
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
    }
}

/// A temporary folder that ends with its value.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, WatcherError> {
        let name = format!("monitor-selftest-{}", std::process::id());
        // As the kernel names it, for rules compare that.
        let base = std::env::temp_dir();
        let path = base.canonicalize().unwrap_or(base).join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(source) => Err(WatcherError::Folder { path, source }),
        }
    }

    fn of(&self, trial: &Trial) -> PathBuf {
        self.0.join(trial.name)
    }

    /// Writes rules, configuration and the acts' files; gives the file of alerts.
    fn prepare(&self, program: &Path, trials: &[Trial]) -> io::Result<File> {
        let mut rules = format!(
            "{MACROS}- rule: {FENCE}\n  desc: a fence\n  condition: started and proc.exe = {FENCE}\n  \
             output: \"%proc.args\"\n  priority: NOTICE\n"
        );
        for trial in trials {
            let Plan::Act(act) = &trial.plan else {
                continue;
            };
            let place = self.of(trial);
            fs::create_dir_all(place.join("b"))?;
            fs::create_dir_all(place.join("a"))?;
            for file in ["secret", "decoy", "a/name"] {
                fs::write(place.join(file), "x\n")?;
            }
            let fields: Vec<String> = act
                .fields
                .iter()
                .map(|(name, _)| format!("%{name}"))
                .collect();
            let _ = writeln!(
                rules,
                "- rule: {}\n  desc: \"{}\"\n  condition: {}\n  output: \"seen {}\"\n  priority: NOTICE",
                trial.name,
                trial.technique,
                expand(act.condition, &place, program),
                fields.join(" ")
            );
        }
        fs::write(self.0.join("rules.yaml"), rules)?;
        fs::write(
            self.0.join("monitor.yaml"),
            "rule_matching: all\naccept_blind: true\nstate_file: off\nmetrics:\n  listen: off\ndocker:\n  \
             metadata_wait_ms: 0\n  socket: /nonexistent\nalerts:\n  stdout: off\n  log: {path: off}\n\
             control:\n  socket: off\n",
        )?;
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

fn expand(text: &str, place: &Path, program: &Path) -> String {
    text.replace("$D", &place.display().to_string())
        .replace("$E", &program.display().to_string())
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
