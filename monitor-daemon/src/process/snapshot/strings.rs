//! What lies in a process's own memory: its arguments and its environment.
//!
//! The kernel reads them under a lock of the process's, which a process can hold without end (by
//! mapping over a changed page of a file whose file system, its own, never says that it is written
//! back). So a thread does it, and is given up when it takes too long. It goes on waiting until the
//! process lets go. That costs little: all waits together are bounded by a [`Budget`], there are
//! never more than [`THREADS_MAX`] threads, and who shares the cgroup of a process that is waited
//! for is not read, so that one container does not take all of them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use monitor_common::{ARGS_MAX, ENV_MAX};

use super::directory::{Directory, HeadAndTail};
use super::present;

/// Longest wait for one process: a thousand times what it takes.
const PATIENCE: Duration = Duration::from_millis(200);
/// Longest that waits in vain may take that come one after the other. Then each is short.
pub(super) const PATIENCE_IN_ALL: Duration = Duration::from_secs(2);
/// The shortest: most are answered much sooner.
const IMPATIENCE: Duration = Duration::from_millis(10);
/// How many times as long the daemon does other things, on the average.
const SHARE: u32 = 100;
/// Most threads, those that were given up included.
pub(super) const THREADS_MAX: usize = 16;
/// Bytes of a thread's stack: it only reads files.
const STACK: usize = 128 * 1024;

/// Arguments and environment of a process.
#[derive(Debug, Default)]
pub(super) struct Strings {
    pub(super) args: HeadAndTail,
    pub(super) env: Vec<u8>,
}

/// Reads strings of processes, one after the other.
#[derive(Debug)]
pub(super) struct StringsReader {
    helper: Option<Helper>,
    given_up: Vec<GivenUp>,
    budget: Budget,
    unread: u64,
}

/// It took too long, or is not even tried.
#[derive(Clone, Copy, Debug)]
struct Unanswered;

#[derive(Debug)]
struct Helper {
    questions: Sender<Arc<Directory>>,
    answers: Receiver<Option<Strings>>,
    thread: JoinHandle<()>,
}

/// A thread that waits for a process of this cgroup.
#[derive(Debug)]
struct GivenUp {
    thread: JoinHandle<()>,
    cgroup: Vec<u8>,
}

impl StringsReader {
    pub(super) fn new() -> Self {
        Self {
            helper: None,
            given_up: Vec::new(),
            budget: Budget::new(Instant::now()),
            unread: 0,
        }
    }

    /// The strings of a process in this cgroup: none if they cannot be had in time, `None` when the
    /// process is gone.
    pub(super) fn read(&mut self, directory: &Arc<Directory>, cgroup: &[u8]) -> Option<Strings> {
        self.ask(directory, cgroup).unwrap_or_else(|Unanswered| {
            self.unread += 1;
            Some(Strings::default())
        })
    }

    /// Processes whose strings were not read, since start.
    pub(super) fn unread(&self) -> u64 {
        self.unread
    }

    fn ask(
        &mut self,
        directory: &Arc<Directory>,
        cgroup: &[u8],
    ) -> Result<Option<Strings>, Unanswered> {
        self.given_up.retain(|one| !one.thread.is_finished());
        if self.is_shunned(cgroup) {
            return Err(Unanswered);
        }
        let asked = Instant::now();
        let patience = self.budget.patience(asked);
        let helper = match self.helper.take() {
            Some(helper) => helper,
            None => self.start().ok_or(Unanswered)?,
        };
        let sent = helper.questions.send(Arc::clone(directory));
        sent.map_err(|_| Unanswered)?;
        let Ok(answer) = helper.answers.recv_timeout(patience) else {
            self.budget.spend(asked.elapsed());
            self.given_up.push(GivenUp {
                thread: helper.thread,
                cgroup: cgroup.to_vec(),
            });
            let cgroup = String::from_utf8_lossy(cgroup);
            tracing::warn!(%cgroup, "a process does not let its arguments be read");
            return Err(Unanswered);
        };
        self.helper = Some(helper);
        Ok(answer)
    }

    /// Whether a process of this cgroup is being waited for. The root's are not each other's.
    fn is_shunned(&self, cgroup: &[u8]) -> bool {
        let is_same = |one: &GivenUp| one.cgroup == cgroup;
        !matches!(cgroup, b"" | b"/") && self.given_up.iter().any(is_same)
    }

    fn start(&self) -> Option<Helper> {
        if self.given_up.len() >= THREADS_MAX {
            return None;
        }
        let (questions, asked) = channel::<Arc<Directory>>();
        let (answer, answers) = channel();
        let thread = spawn(move || {
            // Who asked may have given up: then nobody asks again.
            for directory in asked {
                if answer.send(strings(&directory)).is_err() {
                    return;
                }
            }
        });
        let thread = thread
            .inspect_err(|error| tracing::warn!(%error, "cannot start a thread"))
            .ok()?;
        Some(Helper {
            questions,
            answers,
            thread,
        })
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name("strings".to_owned());
    thread.stack_size(STACK).spawn(work)
}

fn strings(directory: &Directory) -> Option<Strings> {
    Some(Strings {
        args: present(directory.head_and_tail("cmdline", ARGS_MAX))?,
        env: present(directory.head("environ", ENV_MAX))?,
    })
}

/// How long may be waited: what is spent comes back with time.
#[derive(Debug)]
struct Budget {
    left: Duration,
    at: Instant,
}

impl Budget {
    const fn new(now: Instant) -> Self {
        Self {
            left: PATIENCE_IN_ALL,
            at: now,
        }
    }

    /// The longest wait from now on.
    fn patience(&mut self, now: Instant) -> Duration {
        let back = now.saturating_duration_since(self.at) / SHARE;
        self.at = now;
        self.left = PATIENCE_IN_ALL.min(self.left + back);
        self.left.clamp(IMPATIENCE, PATIENCE)
    }

    fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }
}
