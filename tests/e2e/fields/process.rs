//! What is true of a process of these cases, by `/proc` and by what the case itself did.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use monitor_tests::wait;
use rustix::time::{ClockId, clock_gettime};

use crate::world::PATIENCE;

const SECOND: i128 = 1_000_000_000;
/// Ticks of `/proc/PID/stat` in a second.
const TICKS: i128 = 100;

/// How a process acts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Situation {
    /// In the main thread of a new process.
    Main,
    /// In another thread, under another name and user.
    Thread,
    /// The daemon sees nothing of it before it is gone.
    Short,
    /// It was there before the daemon.
    Older,
}

impl Situation {
    pub(super) const NEW: [Self; 3] = [Self::Main, Self::Thread, Self::Short];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Thread => "thread",
            Self::Short => "short",
            Self::Older => "older",
        }
    }

    /// The argument of `bin/calls.c`.
    pub(super) const fn mode(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            _ => "64",
        }
    }
}

/// A container as docker tells of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) privileged: bool,
    /// Namespace and name of its pod.
    pub(super) pod: Option<[&'static str; 2]>,
    /// Start of its first process, ns since the epoch.
    pub(super) start: i128,
}

/// Where processes act.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folder with their files, as this test sees it.
    pub(super) folder: PathBuf,
    /// The same, as they see it.
    pub(super) inside: String,
    /// `None` on the host.
    pub(super) container: Option<Container>,
    /// The outer of the two shells that start them.
    pub(super) outer: u32,
}

impl Place {
    /// The program that they become in the end, as they see it.
    pub(super) fn last(&self) -> String {
        match self.container {
            Some(_) => "/home/e2e-last".to_owned(),
            None => format!("{}/e2e-last", self.inside),
        }
    }

    /// The program that they are.
    fn first(&self) -> String {
        match self.container {
            Some(_) => "/bin/e2e-calls".to_owned(),
            None => format!("{}/e2e-calls", self.inside),
        }
    }
}

/// What a process runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) path: String,
    pub(super) environment: Vec<String>,
    pub(super) is_upper: bool,
    pub(super) is_memory: bool,
    /// ns since the epoch.
    pub(super) changed: i128,
    pub(super) modified: i128,
}

impl Image {
    /// Of a process that lives.
    fn of(pid: u32) -> Result<Self> {
        let words = |name: &str| -> Result<Vec<String>> {
            let text = fs::read(format!("/proc/{pid}/{name}"))?;
            let text = String::from_utf8_lossy(&text).into_owned();
            Ok(text.split_terminator('\0').map(str::to_owned).collect())
        };
        let path = fs::read_link(format!("/proc/{pid}/exe"))?;
        Self {
            name: fs::read_to_string(format!("/proc/{pid}/comm"))?
                .trim_end()
                .to_owned(),
            arguments: words("cmdline")?,
            environment: words("environ")?,
            path: path.display().to_string(),
            ..Self::default()
        }
        .with_times(Path::new(&format!("/proc/{pid}/exe")))
    }

    fn with_times(mut self, file: &Path) -> Result<Self> {
        let found = fs::metadata(file).with_context(|| file.display().to_string())?;
        self.changed = i128::from(found.ctime()) * SECOND + i128::from(found.ctime_nsec());
        self.modified = i128::from(found.mtime()) * SECOND + i128::from(found.mtime_nsec());
        Ok(self)
    }

    pub(super) fn after_first(&self) -> String {
        self.arguments.get(1..).unwrap_or_default().join(" ")
    }

    pub(super) fn command_line(&self) -> String {
        format!("{} {}", self.name, self.after_first())
    }
}

/// All that is true of a process.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) situation: Situation,
    pub(super) place: Place,
    pub(super) pid: u32,
    /// Of the thread that acts.
    pub(super) tid: u32,
    pub(super) image: Image,
    /// What it runs in the end.
    pub(super) next: Image,
    /// Parent first.
    pub(super) ancestors: Vec<Image>,
    /// Whether there are further ones of which nothing is to be known here.
    pub(super) hides_ancestors: bool,
    pub(super) session_leader: Image,
    /// `/proc/PID/status` of the thread.
    status: BTreeMap<String, String>,
    /// `/proc/PID/stat` from the third word.
    stat: Vec<i128>,
    pub(super) cwd: String,
    pub(super) login: i64,
    /// Start, ns since the epoch, to a tick.
    pub(super) start: i128,
    accounts: BTreeMap<&'static str, String>,
    /// What each act gave, by its label.
    pub(super) results: BTreeMap<String, i64>,
}

impl Facts {
    /// Of a process that is still to start.
    pub(super) fn expected(situation: Situation, place: &Place) -> Self {
        Self {
            situation,
            place: place.clone(),
            pid: 0,
            tid: 0,
            image: Image::default(),
            next: Image::default(),
            ancestors: Vec::new(),
            hides_ancestors: false,
            session_leader: Image::default(),
            status: BTreeMap::new(),
            stat: Vec::new(),
            cwd: String::new(),
            login: 0,
            start: 0,
            accounts: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }

    /// Looks at the process, which waits.
    pub(super) fn look(&mut self) -> Result<()> {
        let inner = child(self.place.outer)?;
        self.pid = child(inner)?;
        let (pid, own) = (self.pid, format!("/proc/{}", self.pid));
        self.tid = pid;
        for entry in fs::read_dir(format!("{own}/task"))? {
            self.tid = self.tid.max(name_number(&entry?.path()).unwrap_or(0));
        }
        self.status = status(&format!("{own}/task/{}", self.tid))?;
        self.stat = stat(pid)?;
        self.image = Image::of(pid)?;
        self.cwd = fs::read_link(format!("{own}/cwd"))?.display().to_string();
        let login = fs::read_to_string(format!("{own}/loginuid"))?;
        self.login = login.trim().parse::<u32>()?.cast_signed().into();
        self.start = start(pid)?;
        let leader = u32::try_from(self.word(6))?;
        self.session_leader = Image::of(leader)?;
        let root = format!("{own}/root");
        self.accounts = ["passwd", "group"]
            .into_iter()
            .map(|file| {
                let text = fs::read_to_string(format!("{root}/etc/{file}"))?;
                Ok((file, text))
            })
            .collect::<Result<_>>()?;
        // Who started a container's shell is gone.
        let depth = if self.place.container.is_some() { 2 } else { 7 };
        self.ancestors.clear();
        let mut above = parent(pid)?;
        while above > 0 && self.ancestors.len() < depth {
            if fs::read_link(format!("/proc/{above}/exe")).is_err() {
                // The first process of some machines is not to be looked at, not even by root.
                self.hides_ancestors = true;
                break;
            }
            self.ancestors.push(Image::of(above)?);
            above = parent(above)?;
        }
        self.next = self.after(&root)?;
        Ok(())
    }

    /// What it will run.
    fn after(&self, root: &str) -> Result<Image> {
        let image = Image {
            arguments: ["e2e-argv0", "64", "two words"].map(str::to_owned).into(),
            environment: vec!["E2E=after".to_owned()],
            ..Image::default()
        };
        if self.situation == Situation::Short {
            return Image {
                name: "77".to_owned(),
                path: "memfd:e2e-memory".to_owned(),
                is_memory: true,
                ..image
            }
            .with_times(Path::new(&format!("/proc/{}/fd/77", self.pid)));
        }
        let path = self.place.last();
        Image {
            name: "e2e-last".to_owned(),
            path: path.clone(),
            is_upper: self.place.container.is_some(),
            ..image
        }
        .with_times(Path::new(&format!("{root}{path}")))
    }

    /// The same once it runs the other program.
    pub(super) fn afterwards(&self) -> Self {
        Self {
            image: self.next.clone(),
            // A thread that starts a program becomes the process.
            tid: self.pid,
            ..self.clone()
        }
    }

    /// The user and group that it takes, or has.
    pub(super) const fn uid(&self) -> u32 {
        match (self.situation, &self.place.container) {
            (Situation::Thread, Some(_)) => 1000,
            (Situation::Thread, None) => 1,
            _ => 0,
        }
    }

    /// A port of its own, for it may have the same network as the others.
    pub(super) fn port(&self) -> u16 {
        43_440 + self.situation as u16
    }

    pub(super) fn client_port(&self) -> u16 {
        self.port() + 10
    }

    /// A word of `/proc/PID/stat` by its number there.
    pub(super) fn word(&self, number: usize) -> i128 {
        self.stat.get(number - 3).copied().unwrap_or_default()
    }

    /// A line of `/proc/PID/status`.
    pub(super) fn line(&self, name: &str) -> &str {
        self.status.get(name).map_or("", String::as_str)
    }

    /// The last of the numbers in a line, which for ids is that in the innermost namespace.
    pub(super) fn inner(&self, name: &str) -> &str {
        self.line(name)
            .split_whitespace()
            .last()
            .unwrap_or_default()
    }

    /// The effective id in a line of four.
    pub(super) fn effective(&self, name: &str) -> &str {
        self.line(name)
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
    }

    /// The name that `/etc/passwd` or `/etc/group` of its own file system has for an id.
    pub(super) fn account(&self, file: &str, id: &str) -> String {
        let text = self.accounts.get(file).map_or("", String::as_str);
        let named = text.lines().find_map(|line| {
            let mut words = line.split(':');
            let name = words.next()?;
            (words.nth(1)? == id).then(|| name.to_owned())
        });
        named.unwrap_or_else(|| "<NA>".to_owned())
    }

    /// What an act gave.
    pub(super) fn result(&self, label: &str) -> i64 {
        self.results.get(label).copied().unwrap_or(i64::MIN)
    }

    /// A file in its working directory.
    pub(super) fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.cwd)
    }

    /// Its folder, as this test sees it.
    pub(super) fn folder(&self) -> PathBuf {
        self.place.folder.join(self.situation.name())
    }

    /// What starts it, in the shell.
    pub(super) fn line_of_shell(situation: Situation, place: &Place) -> String {
        let name = situation.name();
        format!(
            "cd {}/{name}; read x < start; E2E=yes {} {} {name} e2e-fields < script > results\n",
            place.inside,
            place.first(),
            situation.mode()
        )
    }
}

/// Start of a process, ns since the epoch.
pub(super) fn start(pid: u32) -> Result<i128> {
    let ticks = stat(pid)?.get(19).copied().context("no start")?;
    Ok(epoch_of_boot() + ticks * SECOND / TICKS)
}

fn epoch_of_boot() -> i128 {
    let ns = |clock| {
        let time = clock_gettime(clock);
        i128::from(time.tv_sec) * SECOND + i128::from(time.tv_nsec)
    };
    ns(ClockId::Realtime) - ns(ClockId::Boottime)
}

/// The one child of a process, once it is there.
fn child(of: u32) -> Result<u32> {
    wait::until("a child", PATIENCE.min(Duration::from_secs(20)), || {
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = name_number(&entry?.path()) else {
                continue;
            };
            if parent(pid).is_ok_and(|parent| parent == of) {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    })
}

fn parent(pid: u32) -> Result<u32> {
    Ok(status(&format!("/proc/{pid}"))?
        .get("PPid")
        .context("no parent")?
        .parse()?)
}

fn name_number(path: &Path) -> Option<u32> {
    path.file_name()?.to_str()?.parse().ok()
}

fn status(folder: &str) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(format!("{folder}/status"))?;
    let line = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_owned(), value.trim().to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

/// From the third word, the state, which reads as 0.
fn stat(pid: u32) -> Result<Vec<i128>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, words) = text.rsplit_once(')').context("no stat")?;
    Ok(words
        .split_whitespace()
        .map(|word| word.parse().unwrap_or_default())
        .collect())
}
