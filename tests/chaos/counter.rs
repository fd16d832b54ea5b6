//! Programs with a number each, without a pause.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

const EVERY: Duration = Duration::from_millis(10);
/// What every needle's argument begins with.
pub(crate) const NAME: &str = "chaos-needle-";

/// Tells of each.
pub(crate) const RULE: &str = "
- rule: Chaos needle
  desc: a program with a number
  condition: evt.type in (execve, execveat) and evt.failed = false and proc.args startswith chaos-needle-
  output: needle | args=%proc.args
  priority: CRITICAL
";

/// A program that ran; its number is its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needle {
    pub(crate) begin: Instant,
    pub(crate) end: Instant,
}

#[derive(Debug, Default)]
struct State {
    needles: Vec<Needle>,
    paused: bool,
    failure: Option<String>,
}

/// The thread that runs them, until the process ends.
#[derive(Debug)]
pub(crate) struct Counter(Arc<Mutex<State>>);

impl Counter {
    pub(crate) fn start() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let counter = Self(Arc::clone(&state));
        thread::spawn(move || {
            loop {
                thread::sleep(EVERY);
                // A needle is all told before a pause begins.
                let mut state = lock(&state);
                if state.paused {
                    continue;
                }
                let begin = Instant::now();
                let argument = format!("{NAME}{}", state.needles.len());
                let done = Command::new("/bin/true").arg(argument).status();
                let end = Instant::now();
                match done {
                    Ok(status) if status.success() => state.needles.push(Needle { begin, end }),
                    other => {
                        state.failure = Some(format!("{other:?}"));
                        return;
                    }
                }
            }
        });
        counter
    }

    /// Runs none until [`Self::go_on`].
    pub(crate) fn pause(&self) -> Result<()> {
        self.set_paused(true)
    }

    pub(crate) fn go_on(&self) -> Result<()> {
        self.set_paused(false)
    }

    /// All that ran.
    pub(crate) fn needles(&self) -> Result<Vec<Needle>> {
        let state = lock(&self.0);
        if let Some(failure) = &state.failure {
            bail!("a needle failed: {failure}");
        }
        Ok(state.needles.clone())
    }

    fn set_paused(&self, paused: bool) -> Result<()> {
        lock(&self.0).paused = paused;
        self.needles().map(drop)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
